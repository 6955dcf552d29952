"""Versions of models: register, validate, promote, roll back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gustibus.client.decoding import decoder
from gustibus.client.wire import Page, Request, body_of, segment

CHAMPION = "champion"


@dataclass(frozen=True, slots=True)
class Alias:
    """A name for one of the versions."""

    alias: str
    model: str
    version: int
    previous: int | None
    """What it pointed at before."""
    revision: int
    """What a change has to name."""
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ModelState:
    """A model, its aliases, and what is served of it."""

    id: str
    serving: str | None
    problem: str | None
    """Why the promoted version is not served; None when it is."""
    aliases: tuple[Alias, ...]

    def revision(self, alias: str = CHAMPION) -> int:
        """The revision of an alias; 0 for one that is not there."""
        return next((one.revision for one in self.aliases if one.alias == alias), 0)


@dataclass(frozen=True, slots=True)
class Version:
    """A version; what it is never changes."""

    id: str
    model: str
    version: int
    digest: str
    state: str
    created_at: datetime
    card: dict[str, Any] | None = None
    retrain_due: datetime | None = None
    """When somebody whom it was trained on was first deleted; None where nobody is known to have been."""
    golden: dict[str, Any] | None = None
    """How right it is on the service's golden set; None where it was judged on none."""


@dataclass(frozen=True, slots=True)
class VersionDeleted:
    """A version that is no more; its folder stays."""

    id: str


@dataclass(frozen=True, slots=True)
class AliasDeleted:
    """An alias that was forgotten."""

    id: str


def get_model(model: str = "default") -> Request[ModelState]:
    """A model with its aliases.

    Example:
        model = client.versions.model()
        model.aliases
    """
    return Request("GET", f"/v1/models/{segment(model)}", decoder(ModelState))


def list_versions(
    model: str = "default", *, limit: int = 100, after: str | None = None
) -> Request[Page[Version]]:
    """Versions of a model by number.

    Example:
        page = client.versions.list()
        numbers = [one.version for one in client.versions.iterate()]
    """
    query = {"limit": limit, "after": after}
    return Request("GET", _versions(model), decoder(Page[Version]), query)


def get_version(version: int, *, model: str = "default") -> Request[Version]:
    """A version with its card.

    Example:
        client.versions.get(7).card
    """
    return Request("GET", f"{_versions(model)}/{version}", decoder(Version))


def register_version(digest: str, *, model: str = "default") -> Request[Version]:
    """Number a folder that is in the service's folder of models under its digest.

    Example:
        version = client.versions.register("3f9c0a…")
    """
    return Request(
        "POST", _versions(model), decoder(Version), body=body_of(digest=digest), writes=True
    )  # fmt: skip


def validate_version(version: int, *, model: str = "default") -> Request[Version]:
    """Load a version as a process would that serves it.

    Example:
        client.versions.validate(7).state
    """
    path = f"{_versions(model)}/{version}:validate"
    return Request("POST", path, decoder(Version), writes=True)


def put_alias(
    version: int,
    *,
    revision: int,
    model: str = "default",
    alias: str = CHAMPION,
    force: bool | None = None,
) -> Request[Alias]:
    """Point an alias at a validated version; the one that `champion` points at is served.

    Args:
        version: number.
        revision: of the alias as it was last read; 0 for one that is not there.
        model: whose.
        alias: name.
        force: moves `champion` to a version that is worse on the service's golden set, or was not judged
            on it.

    Example:
        client.versions.promote(7, revision=client.versions.model().revision())
    """
    return Request(
        "PUT", f"/v1/models/{segment(model)}/aliases/{segment(alias)}", decoder(Alias),
        body=body_of(version=version, force=force), writes=True, revision=revision,
    )  # fmt: skip


def delete_alias(alias: str, *, revision: int, model: str = "default") -> Request[AliasDeleted]:
    """Forget an alias other than `champion`; `revision` is its own as it was last read.

    Example:
        client.versions.delete_alias("spare", revision=1)
    """
    return Request(
        "DELETE", f"/v1/models/{segment(model)}/aliases/{segment(alias)}", decoder(AliasDeleted),
        writes=True, revision=revision,
    )  # fmt: skip


def rollback(*, revision: int, model: str = "default") -> Request[Alias]:
    """Serve what was served before; `revision` is that of `champion` as it was last read.

    Example:
        client.versions.rollback(revision=client.versions.model().revision())
    """
    return Request(
        "POST", f"/v1/models/{segment(model)}:rollback", decoder(Alias), writes=True,
        revision=revision, repeatable=False,
    )  # fmt: skip


def delete_version(version: int, *, model: str = "default") -> Request[VersionDeleted]:
    """Forget a version that no alias points at.

    Example:
        client.versions.delete(6)
    """
    return Request("DELETE", f"{_versions(model)}/{version}", decoder(VersionDeleted), writes=True)


def _versions(model: str) -> str:
    return f"/v1/models/{segment(model)}/versions"
