"""Keys for named models and ranges of addresses, with a revision that changes are based on."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; keys of before have no limits, and are at their first revision."""
    with op.batch_alter_table("api_keys") as table:
        table.add_column(sa.Column("models", sa.JSON))
        table.add_column(sa.Column("cidrs", sa.JSON))
        table.add_column(sa.Column("revision", sa.Integer, nullable=False, server_default="1"))


def downgrade() -> None:
    """Drop them."""
    with op.batch_alter_table("api_keys") as table:
        for name in ("models", "cidrs", "revision"):
            table.drop_column(name)
