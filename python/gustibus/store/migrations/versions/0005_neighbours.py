"""Where people are on the map of neighbours of a model."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _name(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "neighbours",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("model", _name(160), nullable=False),
        sa.Column("user_id", _name(160), nullable=False),
        sa.Column("x", sa.Float(), nullable=False),
        sa.Column("y", sa.Float(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "model", "user_id", name="pk_neighbours"),
    )
    op.create_index("ix_neighbours_tenant_id_user_id", "neighbours", ["tenant_id", "user_id"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("neighbours")
