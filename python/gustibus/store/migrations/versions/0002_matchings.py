"""Named matchings and what happened in them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _name(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "matchings",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("id", _name(160), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("snapshot", sa.LargeBinary(), nullable=False),
        sa.Column("snapshot_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_matchings"),
    )
    op.create_table(
        "matching_events",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("matching_id", _name(160), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("arrival_id", _name(160), nullable=True),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("decision", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "matching_id", "seq", name="pk_matching_events"),
        sa.UniqueConstraint(
            "tenant_id", "matching_id", "arrival_id",
            name="uq_matching_events_tenant_id_matching_id_arrival_id",
        ),
    )  # fmt: skip


def downgrade() -> None:
    """Drop both."""
    op.drop_table("matching_events")
    op.drop_table("matchings")
