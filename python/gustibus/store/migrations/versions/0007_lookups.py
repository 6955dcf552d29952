"""Indexes for what would read whole tables, and replies by the people in them."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# In the order in which transactions of a process that serves meanwhile write to them: no deadlock.
_INDEXES: dict[str, list[tuple[str, ...]]] = {
    "profiles": [("model", "fitted_through")],
    "jobs": [("kind", "state"), ("user_id",)],
    "usage_daily": [("day", "key_id")],
    "audit": [("object", "seq")],
    "idempotency": [("expires_at",)],
}
_NAMED = """
INSERT INTO reply_users (tenant_id, user_id, caller, "key", expires_at)
SELECT DISTINCT i.tenant_id, named.value, i.caller, i."key", i.expires_at
FROM idempotency i, {each} AS named
"""
_EACH = {
    "postgresql": "json_array_elements_text(i.users)",
    "sqlite": "json_each(i.users)",
}


def _name(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    """Make them, and say who is in the replies that are kept."""
    for table, several in _INDEXES.items():
        if table == "audit":
            op.create_index("ix_changes_name", "changes", ["name"])
        for columns in several:
            op.create_index(_of(table, columns), table, ["tenant_id", *columns])
    op.create_table(
        "reply_users",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("user_id", _name(160), nullable=False),
        sa.Column("caller", _name(160), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "user_id", "caller", "key", name="pk_reply_users"),
    )
    op.create_index(_of("reply_users", ("expires_at",)), "reply_users", ["tenant_id", "expires_at"])
    op.execute(_NAMED.format(each=_EACH[op.get_bind().dialect.name]))


def downgrade() -> None:
    """Drop them."""
    op.drop_table("reply_users")
    op.drop_index("ix_changes_name", "changes")
    for table, several in _INDEXES.items():
        for columns in several:
            op.drop_index(_of(table, columns), table)


def _of(table: str, columns: tuple[str, ...]) -> str:
    return "_".join(["ix", table, "tenant_id", *columns])
