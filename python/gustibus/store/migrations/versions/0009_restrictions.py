"""An index of the people whose processing is restricted: as a rule few, and asked for by every write."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_RESTRICTED = sa.text("state = 'restricted'")


def upgrade() -> None:
    """Make it."""
    op.create_index(
        "ix_users_restricted", "users", ["tenant_id", "id"], sqlite_where=_RESTRICTED,
        postgresql_where=_RESTRICTED,
    )  # fmt: skip


def downgrade() -> None:
    """Drop it."""
    op.drop_index("ix_users_restricted", "users")
