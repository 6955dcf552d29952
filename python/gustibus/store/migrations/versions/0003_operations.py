"""Imports, jobs, versions of models, the audit log and usage."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _name(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def _filled(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def _maybe(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=True)


def _moment() -> sa.DateTime:
    return sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "imports", _filled("tenant_id", sa.String(64)), _filled("id", _name(40)),
        _filled("caller", _name(160)), _filled("state", sa.String(16)),
        _filled("format", sa.String(16)), _filled("columns", sa.JSON()),
        _filled("by_id", sa.Boolean()), _maybe("source", sa.Text()),
        _filled("rows", sa.BigInteger()), _filled("accepted", sa.BigInteger()),
        _filled("duplicates", sa.BigInteger()), _filled("rejected", sa.BigInteger()),
        _filled("resume_from", sa.BigInteger()), _filled("created_at", _moment()),
        _filled("updated_at", _moment()),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_imports"),
    )  # fmt: skip
    op.create_table(
        "import_errors", _filled("tenant_id", sa.String(64)), _filled("import_id", _name(40)),
        _filled("row", sa.BigInteger()), _filled("code", sa.String(32)),
        _filled("problem", sa.Text()), _maybe("user_id", _name(160)),
        sa.PrimaryKeyConstraint("tenant_id", "import_id", "row", name="pk_import_errors"),
    )  # fmt: skip
    op.create_index("ix_import_errors_tenant_id_user_id", "import_errors", ["tenant_id", "user_id"])
    op.create_table(
        "jobs", _filled("tenant_id", sa.String(64)), _filled("id", _name(40)),
        _filled("kind", sa.String(32)), _filled("state", sa.String(16)),
        _filled("params", sa.JSON()), _maybe("user_id", _name(160)),
        _filled("done", sa.BigInteger()), _maybe("total", sa.BigInteger()),
        _filled("attempts", sa.Integer()), _maybe("owner", sa.String(64)),
        _maybe("lease_until", _moment()), _filled("cancel", sa.Boolean()),
        _maybe("result", sa.JSON()), _maybe("error", sa.Text()),
        _filled("created_by", _name(160)), _filled("created_at", _moment()),
        _maybe("started_at", _moment()), _maybe("finished_at", _moment()),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_jobs"),
    )  # fmt: skip
    op.create_index("ix_jobs_tenant_id_state_id", "jobs", ["tenant_id", "state", "id"])
    op.create_table(
        "model_versions", _filled("tenant_id", sa.String(64)), _filled("model", _name(160)),
        _filled("version", sa.Integer()), _filled("digest", sa.String(64)),
        _filled("state", sa.String(16)), _filled("created_at", _moment()),
        sa.PrimaryKeyConstraint("tenant_id", "model", "version", name="pk_model_versions"),
        sa.UniqueConstraint(
            "tenant_id", "model", "digest", name="uq_model_versions_tenant_id_model_digest"
        ),
    )  # fmt: skip
    op.create_table(
        "aliases", _filled("tenant_id", sa.String(64)), _filled("model", _name(160)),
        _filled("alias", _name(160)), _filled("version", sa.Integer()),
        _maybe("previous", sa.Integer()), _filled("revision", sa.Integer()),
        _filled("updated_at", _moment()),
        sa.PrimaryKeyConstraint("tenant_id", "model", "alias", name="pk_aliases"),
    )  # fmt: skip
    op.create_table(
        "audit", _filled("tenant_id", sa.String(64)), _filled("seq", sa.BigInteger()),
        _filled("at", _moment()), _filled("actor", _name(160)), _filled("action", sa.String(64)),
        _filled("object", _name(160)), _filled("detail", sa.JSON()),
        _filled("request_id", sa.String(64)), _filled("before", sa.LargeBinary(32)),
        _filled("hash", sa.LargeBinary(32)),
        sa.PrimaryKeyConstraint("tenant_id", "seq", name="pk_audit"),
    )  # fmt: skip
    op.create_table(
        "usage_daily", _filled("tenant_id", sa.String(64)), _filled("key_id", _name(160)),
        _filled("day", sa.String(10)), _filled("units", sa.BigInteger()),
        _filled("requests", sa.BigInteger()),
        sa.PrimaryKeyConstraint("tenant_id", "key_id", "day", name="pk_usage_daily"),
    )  # fmt: skip


def downgrade() -> None:
    """Drop them."""
    for name in (
        "usage_daily", "audit", "aliases", "model_versions", "jobs", "import_errors", "imports",
    ):  # fmt: skip
        op.drop_table(name)
