"""Which key brought each answer, which keys are trusted, and how versions did on the golden set."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def _key() -> sa.Column[str]:
    kind = sa.String(160).with_variant(sa.String(160, collation="C"), "postgresql")
    return sa.Column("key_id", kind)


def upgrade() -> None:
    """Add the columns; of answers of before no key is known, no key is trusted, nothing was judged."""
    for name in ("comparisons", "onboarding_sessions"):
        with op.batch_alter_table(name) as table:
            table.add_column(_key())
    with op.batch_alter_table("api_keys") as table:
        table.add_column(
            sa.Column("trusted", sa.Boolean, nullable=False, server_default=sa.false())
        )
    with op.batch_alter_table("model_versions") as table:
        table.add_column(sa.Column("golden", sa.JSON))


def downgrade() -> None:
    """Drop them."""
    for name, column in (
        ("model_versions", "golden"),
        ("api_keys", "trusted"),
        ("onboarding_sessions", "key_id"),
        ("comparisons", "key_id"),
    ):
        with op.batch_alter_table(name) as table:
            table.drop_column(column)
