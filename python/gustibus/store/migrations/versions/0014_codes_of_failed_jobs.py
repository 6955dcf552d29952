"""What kind of problem a job failed with."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; of jobs that failed before only the sentence is known."""
    with op.batch_alter_table("jobs") as table:
        table.add_column(sa.Column("error_code", sa.String(32)))


def downgrade() -> None:
    """Drop it."""
    with op.batch_alter_table("jobs") as table:
        table.drop_column("error_code")
