"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _name(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "api_keys",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("id", _name(160), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_api_keys"),
    )
    op.create_table(
        "settings",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("name", _name(160), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "name", name="pk_settings"),
    )
    op.create_table(
        "users",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("id", _name(160), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("profile_version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_users"),
    )
    op.create_table(
        "profiles",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("user_id", _name(160), nullable=False),
        sa.Column("model", _name(160), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("mean", sa.LargeBinary(), nullable=False),
        sa.Column("covariance", sa.LargeBinary(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("fitted_through", _name(40), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "user_id", "model", name="pk_profiles"),
    )
    op.create_table(
        "items",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("id", _name(160), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("prompt", sa.Text(), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_items"),
    )
    op.create_table(
        "vectors",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("item_id", _name(160), nullable=False),
        sa.Column("model", _name(160), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "item_id", "model", name="pk_vectors"),
    )
    op.create_table(
        "comparisons",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("id", _name(40), nullable=False),
        sa.Column("client_id", _name(160), nullable=True),
        sa.Column("content", sa.LargeBinary(20), nullable=False),
        sa.Column("user_id", _name(160), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=True),
        sa.Column("a_item", _name(160), nullable=True),
        sa.Column("a_text", sa.Text(), nullable=True),
        sa.Column("b_item", _name(160), nullable=True),
        sa.Column("b_text", sa.Text(), nullable=True),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("strength", sa.Float(), nullable=True),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("score_id", _name(160), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_comparisons"),
        sa.UniqueConstraint("tenant_id", "client_id", name="uq_comparisons_tenant_id_client_id"),
    )
    op.create_index(
        "ix_comparisons_tenant_id_user_id_id", "comparisons", ["tenant_id", "user_id", "id"]
    )
    op.create_table(
        "sides",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("comparison_id", _name(40), nullable=False),
        sa.Column("model", _name(160), nullable=False),
        sa.Column("a", sa.LargeBinary(), nullable=False),
        sa.Column("b", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "comparison_id", "model", name="pk_sides"),
    )
    op.create_table(
        "onboarding_sessions",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("id", _name(40), nullable=False),
        sa.Column("user_id", _name(160), nullable=False),
        sa.Column("model", _name(160), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("stop", sa.String(32), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_onboarding_sessions"),
    )
    op.create_index(
        "ix_onboarding_sessions_tenant_id_user_id", "onboarding_sessions", ["tenant_id", "user_id"]
    )
    op.create_table(
        "onboarding_questions",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("session_id", _name(40), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("swapped", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(16), nullable=False),
        sa.Column("answer", sa.String(16), nullable=True),
        sa.Column("ms", sa.Integer(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "session_id", "seq", name="pk_onboarding_questions"),
    )
    op.create_table(
        "idempotency",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("caller", _name(160), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("body_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("reply", sa.LargeBinary(), nullable=False),
        sa.Column("users", sa.JSON(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "caller", "key", name="pk_idempotency"),
    )
    op.create_table(
        "tombstones",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "digest", name="pk_tombstones"),
    )
    op.create_table(
        "changes",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            nullable=False,
            autoincrement=True,
        ),
        sa.Column("transaction_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", _name(160), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_changes"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_changes_transaction_id", "changes", ["transaction_id"])


def downgrade() -> None:
    """Drop every table."""
    for name in (
        "changes",
        "tombstones",
        "idempotency",
        "onboarding_questions",
        "onboarding_sessions",
        "sides",
        "comparisons",
        "vectors",
        "items",
        "profiles",
        "users",
        "settings",
        "api_keys",
    ):
        op.drop_table(name)
