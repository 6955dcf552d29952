"""In which models somebody is, by the keyed hashes that trainings leave, from which nobody can read names."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gustibus.artifact import find_trained
from gustibus.errors import ArtifactError
from gustibus.store import Connection, key_name, known_key, list_versions

if TYPE_CHECKING:
    from gustibus.service.settings import Settings

_ALL = 1 << 30


class Place(NamedTuple):
    """A model that may have been trained on somebody."""

    label: str
    digest: str
    folder: Path | None
    """None where it is not known here."""
    version: int | None
    """None for a folder that is served without versions."""


def places_of(conn: Connection, settings: Settings) -> list[Place]:
    """The versions of the model, and the folder that is served without any."""
    root = Path(settings.models) if settings.models else None
    found = [
        Place(f"{row.model}@{row.version}", row.digest, root and root / row.digest, row.version)
        for row in list_versions(conn, model=settings.model_name, limit=_ALL)
    ]
    if settings.model:
        folder = Path(settings.model)
        with suppress(OSError, ValueError, LookupError, TypeError):
            digest = str(json.loads((folder / "MANIFEST.json").read_text("utf-8"))["digest"])
            found.append(Place(f"{settings.model_name}@{digest[:12]}", digest, folder, None))
    return found


def look(places: Iterable[Place], *, user: str, key: bytes) -> dict[str, bool | None]:
    """Whether models were trained on somebody, by digest; None where it cannot be told."""
    hashed, name = hmac.digest(key, user.encode(), hashlib.sha256), key_name(key)
    found: dict[str, bool | None] = {}
    for place in places:
        found[place.digest] = None
        if place.folder is not None:
            with suppress(ArtifactError, OSError):
                found[place.digest] = find_trained(place.folder, user=user, hashed=hashed, key=name)
    return found


def ask(conn: Connection, settings: Settings, *, user: str) -> dict[str, bool | None]:
    """The same of all models that there are; nothing where no hash can have been made."""
    key = known_key(conn)
    return {} if key is None else look(places_of(conn, settings), user=user, key=key)


def named(
    places: Iterable[Place], asked: Mapping[str, bool | None], *, answer: bool | None
) -> dict[str, str]:
    """The models of which the answer is this: their digests under their labels."""
    return {one.label: one.digest for one in places if asked[one.digest] is answer}
