"""What people said about learning from their next turns."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _name(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "consents",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("user_id", _name(160), nullable=False),
        sa.Column("follow_ups", sa.Boolean(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "user_id", name="pk_consents"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("consents")
