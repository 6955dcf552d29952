"""Everything held about a person: what the store keeps, and what only models can say of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gustibus.service.membership import look, named, places_of
from gustibus.store import Connection, export_user, known_key

if TYPE_CHECKING:
    from gustibus.service.settings import Settings

_TEXTS = ("prompts", "texts_a", "texts_b")


def held_of(
    conn: Connection, settings: Settings, user: str, training: dict[str, Any] | None = None
) -> Iterator[dict[str, Any]]:
    """Rows of the store about a person, questions with the texts that they showed, and what models keep.

    Args:
        conn: a transaction.
        settings: where models are.
        user: name.
        training: what the training of the model in service says of the person; None for nothing.
    """
    places = places_of(conn, settings)
    pools = _Pools({one.digest: one.folder for one in places}, settings.models)
    model, known = "", training is not None
    for row in export_user(conn, user=user, known=known):
        known = True
        if row["kind"] == "session":
            model = row["model"]
        yield {**row, **pools.shown(model, row)} if row["kind"] == "question" else row
    if known:
        asked = look(places, user=user, key=known_key(conn) or b"")
        for label, digest in named(places, asked, answer=True).items():
            yield {"kind": "trained_on", "model": label, "digest": digest}
    if training is not None:
        yield training


class _Pools:
    """Texts of questions of models; what is not here any more is None."""

    def __init__(self, folders: dict[str, Path | None], root: str) -> None:
        self._folders, self._root = folders, root
        self._read: dict[str, dict[str, Any]] = {}

    def shown(self, model: str, question: dict[str, Any]) -> dict[str, str | None]:
        """What somebody saw: the prompt, and the answers on the left and on the right."""
        if model not in self._read:
            self._read[model] = self._texts(model)
        texts, row = self._read[model], question["row"]
        lists = [texts.get(name, ()) for name in _TEXTS]
        prompt, a, b = (one[row] if row < len(one) else None for one in lists)
        left, right = (b, a) if question["swapped"] else (a, b)
        return {"prompt": prompt, "left": left, "right": right}

    def _texts(self, model: str) -> dict[str, Any]:
        folder = self._folders.get(model)
        if folder is None and self._root and model:  # of a version that was forgotten
            folder = Path(self._root) / model
        if folder is not None:
            with suppress(OSError, ValueError):
                return dict(json.loads((folder / "pool.json").read_text(encoding="utf-8")))
        return {}
