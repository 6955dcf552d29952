"""Since when versions of models hold somebody who was deleted."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; nothing is known to be due."""
    with op.batch_alter_table("model_versions") as table:
        table.add_column(sa.Column("retrain_due", sa.DateTime(timezone=True)))


def downgrade() -> None:
    """Drop it."""
    with op.batch_alter_table("model_versions") as table:
        table.drop_column("retrain_due")
