"""The schema, for both engines. `tenant_id` leads every key, so that tenants can come later."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.types import TypeDecorator

TENANT = "default"
"""The only tenant so far."""

ACTIVE, RESTRICTED, QUARANTINED = "active", "restricted", "quarantined"
"""States of people; the second keeps what they said and uses none of it, the third trains nothing with it."""

ONLY = "only"
"""Key in `info` of an index that one engine has alone; its value names the engine."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Moment(TypeDecorator[datetime]):
    """A time with a zone; SQLite, which has none, keeps UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC."""
        if value is None:
            return None
        value = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From UTC."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _name(length: int) -> Any:
    """Names compare by code point everywhere, as they do in Python and in SQLite."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


_ID = _name(160)
_ULID = _name(40)
_SERIAL = BigInteger().with_variant(Integer, "sqlite")


def _tenant() -> Column[Any]:
    return Column("tenant_id", String(64), primary_key=True, default=TENANT)


def _key(name: str, kind: Any = _ID) -> Column[Any]:
    return Column(name, kind, primary_key=True)


def _filled(name: str, kind: Any, **more: Any) -> Column[Any]:
    return Column(name, kind, nullable=False, **more)


api_keys = Table(
    "api_keys", metadata, _tenant(), _key("id"), _filled("name", Text),
    _filled("secret_sha256", LargeBinary(32)), _filled("scopes", JSON),
    Column("expires_at", Moment), Column("revoked_at", Moment), _filled("created_at", Moment),
    Column("models", JSON(none_as_null=True)), Column("cidrs", JSON(none_as_null=True)),
    # An older release, which writes beside this one while versions change, knows of no revision.
    _filled("revision", Integer, server_default="1"),
    _filled("trusted", Boolean, server_default=false()),
)  # fmt: skip
settings = Table("settings", metadata, _tenant(), _key("name"), _filled("value", Text))
users = Table(
    "users", metadata, _tenant(), _key("id"), _filled("state", String(16)),
    _filled("attributes", JSON), _filled("profile_version", BigInteger),
    _filled("created_at", Moment), _filled("updated_at", Moment),
    Index(
        "ix_users_restricted", "tenant_id", "id", sqlite_where=text(f"state = '{RESTRICTED}'"),
        postgresql_where=text(f"state = '{RESTRICTED}'"),
    ),
)  # fmt: skip
consents = Table(
    "consents", metadata, _tenant(), _key("user_id"), _filled("follow_ups", Boolean),
    _filled("updated_at", Moment),
)  # fmt: skip
quarantines = Table(
    "quarantines", metadata, _tenant(), _key("user_id"), _filled("reasons", JSON),
    _filled("put_at", Moment), Column("lifted_at", Moment), Column("lifted_through", _ULID),
)  # fmt: skip
profiles = Table(
    "profiles", metadata, _tenant(), _key("user_id"), _key("model"), _filled("version", BigInteger),
    _filled("mean", LargeBinary), _filled("covariance", LargeBinary), _filled("count", Integer),
    _filled("fitted_through", _ULID), _filled("updated_at", Moment),
    Index(None, "tenant_id", "model", "fitted_through"),
    # All that a start reads of somebody. SQLite would turn over a page of the disk for each person,
    # most of which is their uncertainty; PostgreSQL keeps that apart by itself, and bounds such a row.
    Index(
        "ix_profiles_places", "tenant_id", "model", "user_id", "version", "count", "mean",
        info={ONLY: "sqlite"},
    ).ddl_if(dialect="sqlite"),
)  # fmt: skip
neighbours = Table(
    "neighbours", metadata, _tenant(), _key("model"), _key("user_id"), _filled("x", Float),
    _filled("y", Float), _filled("made_at", Moment), Index(None, "tenant_id", "user_id"),
)  # fmt: skip
items = Table(
    "items", metadata, _tenant(), _key("id"), Column("text", Text), Column("prompt", Text),
    _filled("tags", JSON), _filled("created_at", Moment),
)  # fmt: skip
vectors = Table(
    "vectors", metadata, _tenant(), _key("item_id"), _key("model"), _filled("data", LargeBinary),
)  # fmt: skip
comparisons = Table(
    "comparisons", metadata, _tenant(), _key("id", _ULID), Column("client_id", _ID),
    _filled("content", LargeBinary(20)), _filled("user_id", _ID), Column("prompt", Text),
    Column("a_item", _ID), Column("a_text", Text), Column("b_item", _ID), Column("b_text", Text),
    _filled("outcome", String(16)), Column("strength", Float), Column("source", Text),
    Column("score_id", _ID), Column("at", Moment), _filled("created_at", Moment),
    Column("key_id", _ID), UniqueConstraint("tenant_id", "client_id"),
    Index(None, "tenant_id", "user_id", "id"),
)  # fmt: skip
sides = Table(
    "sides", metadata, _tenant(), _key("comparison_id", _ULID), _key("model"),
    _filled("a", LargeBinary), _filled("b", LargeBinary),
)  # fmt: skip
sessions = Table(
    "onboarding_sessions", metadata, _tenant(), _key("id", _ULID), _filled("user_id", _ID),
    _filled("model", _ID), _filled("state", String(16)), _filled("settings", JSON),
    Column("stop", String(32)), _filled("created_at", Moment), _filled("expires_at", Moment),
    Column("closed_at", Moment), Column("key_id", _ID), Index(None, "tenant_id", "user_id"),
)  # fmt: skip
questions = Table(
    "onboarding_questions", metadata, _tenant(), _key("session_id", _ULID),
    _key("seq", Integer), _filled("row", Integer), _filled("swapped", Boolean),
    _filled("reason", String(16)), Column("answer", String(16)), Column("ms", Integer),
    _filled("asked_at", Moment), Column("answered_at", Moment),
)  # fmt: skip
exposures = Table(
    "exposures", metadata, _filled("tenant_id", String(64), default=TENANT),
    Column("seq", _SERIAL, primary_key=True, autoincrement=True), _filled("model", _ID),
    _filled("row", Integer), _filled("people", BigInteger),
    Index(None, "tenant_id", "model", "row"),
)  # fmt: skip
idempotency = Table(
    "idempotency", metadata, _tenant(), _key("caller"), _key("key", String(255)),
    _filled("route", Text), _filled("body_sha256", LargeBinary(32)), _filled("status", Integer),
    _filled("reply", LargeBinary), _filled("users", JSON), _filled("expires_at", Moment),
    Index(None, "tenant_id", "expires_at"),
)  # fmt: skip
reply_users = Table(
    "reply_users", metadata, _tenant(), _key("user_id"), _key("caller"), _key("key", String(255)),
    _filled("expires_at", Moment), Index(None, "tenant_id", "expires_at"),
)  # fmt: skip
tombstones = Table(
    "tombstones", metadata, _tenant(), _key("digest", LargeBinary(32)), _filled("at", Moment)
)
matchings = Table(
    "matchings", metadata, _tenant(), _key("id"), _filled("spec", JSON),
    _filled("sequence", BigInteger), _filled("snapshot", LargeBinary),
    _filled("snapshot_at", BigInteger), _filled("created_at", Moment),
    _filled("updated_at", Moment),
)  # fmt: skip
matching_events = Table(
    "matching_events", metadata, _tenant(), _key("matching_id"), _key("seq", BigInteger),
    _filled("kind", String(16)), Column("arrival_id", _ID), _filled("body", JSON),
    _filled("decision", JSON), _filled("at", Moment),
    UniqueConstraint("tenant_id", "matching_id", "arrival_id"),
)  # fmt: skip
changes = Table(
    "changes", metadata, _filled("tenant_id", String(64), default=TENANT),
    Column("seq", _SERIAL, primary_key=True, autoincrement=True),
    _filled("transaction_id", BigInteger, index=True), _filled("kind", String(16)),
    _filled("name", _ID, index=True), _filled("at", Moment), sqlite_autoincrement=True,
)  # fmt: skip
imports = Table(
    "imports", metadata, _tenant(), _key("id", _ULID), _filled("caller", _ID),
    _filled("state", String(16)), _filled("format", String(16)), _filled("columns", JSON),
    _filled("by_id", Boolean), Column("source", Text), _filled("rows", BigInteger),
    _filled("accepted", BigInteger), _filled("duplicates", BigInteger),
    _filled("rejected", BigInteger), _filled("resume_from", BigInteger),
    _filled("created_at", Moment), _filled("updated_at", Moment),
)  # fmt: skip
import_errors = Table(
    "import_errors", metadata, _tenant(), _key("import_id", _ULID), _key("row", BigInteger),
    _filled("code", String(32)), _filled("problem", Text), Column("user_id", _ID),
    Index(None, "tenant_id", "user_id"),
)  # fmt: skip
jobs = Table(
    "jobs", metadata, _tenant(), _key("id", _ULID), _filled("kind", String(32)),
    _filled("state", String(16)), _filled("params", JSON), Column("user_id", _ID),
    _filled("done", BigInteger), Column("total", BigInteger), _filled("attempts", Integer),
    Column("owner", String(64)), Column("lease_until", Moment), _filled("cancel", Boolean),
    Column("result", JSON), Column("error", Text), Column("error_code", String(32)),
    _filled("created_by", _ID), _filled("created_at", Moment), Column("started_at", Moment),
    Column("finished_at", Moment),
    Index(None, "tenant_id", "state", "id"), Index(None, "tenant_id", "kind", "state"),
    Index(None, "tenant_id", "user_id"),
)  # fmt: skip
model_versions = Table(
    "model_versions", metadata, _tenant(), _key("model"), _key("version", Integer),
    _filled("digest", String(64)), _filled("state", String(16)), _filled("created_at", Moment),
    Column("retrain_due", Moment), Column("golden", JSON(none_as_null=True)),
    UniqueConstraint("tenant_id", "model", "digest"),
)  # fmt: skip
aliases = Table(
    "aliases", metadata, _tenant(), _key("model"), _key("alias"), _filled("version", Integer),
    Column("previous", Integer), _filled("revision", Integer), _filled("updated_at", Moment),
)  # fmt: skip
audit = Table(
    "audit", metadata, _tenant(), _key("seq", BigInteger), _filled("at", Moment),
    _filled("actor", _ID), _filled("action", String(64)), _filled("object", _ID),
    _filled("detail", JSON), _filled("request_id", String(64)),
    _filled("before", LargeBinary(32)), _filled("hash", LargeBinary(32)),
    Index(None, "tenant_id", "object", "seq"),
)  # fmt: skip
usage_daily = Table(
    "usage_daily", metadata, _tenant(), _key("key_id"), _key("day", String(10)),
    _filled("units", BigInteger), _filled("requests", BigInteger),
    Index(None, "tenant_id", "day", "key_id"),
)  # fmt: skip
