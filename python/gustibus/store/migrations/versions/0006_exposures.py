"""How many people were shown each question, counted when they are asked."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_COUNT = """
INSERT INTO exposures (tenant_id, model, "row", people)
SELECT s.tenant_id, s.model, q."row", count(DISTINCT s.user_id)
FROM onboarding_sessions s
JOIN onboarding_questions q ON q.tenant_id = s.tenant_id AND q.session_id = s.id
WHERE q.seq > 0
GROUP BY s.tenant_id, s.model, q."row"
UNION ALL
SELECT tenant_id, model, -1, count(DISTINCT user_id)
FROM onboarding_sessions
GROUP BY tenant_id, model
"""


def _name(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table, and count what was asked before."""
    op.create_table(
        "exposures",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), autoincrement=True,
            nullable=False,
        ),
        sa.Column("model", _name(160), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("people", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_exposures"),
    )  # fmt: skip
    op.create_index("ix_exposures_tenant_id_model_row", "exposures", ["tenant_id", "model", "row"])
    op.execute(_COUNT)


def downgrade() -> None:
    """Drop it."""
    op.drop_table("exposures")
