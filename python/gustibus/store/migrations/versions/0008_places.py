"""An index of where people are, for SQLite: a start reads it and not the profiles."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_COLUMNS = ["tenant_id", "model", "user_id", "version", "count", "mean"]


def upgrade() -> None:
    """Make it."""
    if op.get_bind().dialect.name == "sqlite":
        op.create_index("ix_profiles_places", "profiles", _COLUMNS)


def downgrade() -> None:
    """Drop it."""
    if op.get_bind().dialect.name == "sqlite":
        op.drop_index("ix_profiles_places", "profiles")
