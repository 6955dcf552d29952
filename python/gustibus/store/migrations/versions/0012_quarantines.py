"""People whose answers are kept out of trainings: why, since when, and until when."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def _name(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "quarantines",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("user_id", _name(160), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("put_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True)),
        sa.Column("lifted_through", _name(40)),
        sa.PrimaryKeyConstraint("tenant_id", "user_id", name="pk_quarantines"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("quarantines")
