"""Tables of candidates: names with texts, or with embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gustibus.bulk.parts import Candidates
from gustibus.data.streaming import rows_of
from gustibus.errors import InputError
from gustibus.scoring import Scorer
from gustibus.types import F32


def read_candidates(
    scorer: Scorer, path: Path, *, prompt: str = "", most: int | None = None
) -> Candidates:
    """Names and representations of a table with the columns id and text, or id and embedding.

    Args:
        scorer: of the model.
        path: of the table, in any form that `rows_of` reads.
        prompt: that the candidates answer.
        most: candidates that the table may hold; None for any number.

    Raises:
        InputError: a column is missing, a name occurs twice, a vector has another length, or there are
            too many rows, or none.
    """
    places: dict[str, int] = {}
    given: list[Any] = []
    column = ""
    for row in rows_of(path):
        if isinstance(row.values, InputError):
            raise row.values
        place = f"{path}:{row.number}"
        column = column or next((c for c in ("embedding", "text") if c in row.values), "")
        if "id" not in row.values or column not in row.values:
            message = f"{place}: expected the columns id and text, or id and embedding"
            raise InputError(message, where="candidates")
        name = str(row.values["id"])
        if name in places:
            message = f"{place}: the id {name!r} is that of row {places[name]} too"
            raise InputError(message, where="candidates")
        if most is not None and len(places) >= most:
            message = f"{place}: expected at most {most} candidates, got more"
            raise InputError(message, where="candidates")
        places[name] = row.number
        cell = row.values[column]
        given.append(_vector(place, cell, scorer.model.item_dim) if column == "embedding" else cell)
    names = list(places)
    if not names:
        message = f"{path}: expected at least one candidate, got none"
        raise InputError(message, where="candidates")
    if column == "text":
        return Candidates(names, scorer.represent(prompt, [str(text) for text in given]))
    features = np.stack(given)
    prompts = None
    if scorer.model.prompt_dim:
        prompts = np.repeat(scorer.encoder.encode([prompt]), len(features), axis=0)
    return Candidates(names, scorer.model.represent(features, prompts))


def _vector(place: str, value: Any, dim: int) -> F32:
    """One embedding of a table.

    Raises:
        InputError: it is none of the model's; the message has the file and the row.
    """
    try:
        row = np.asarray(value, np.float32)
    except (TypeError, ValueError):
        row = np.zeros((0, 0), np.float32)
    if row.shape != (dim,) or not np.isfinite(row).all():
        got = "other values" if row.ndim != 1 else f"{len(row)}"
        got = "NaN or infinity" if row.shape == (dim,) else got
        message = f"{place}: embedding: expected {dim} finite numbers, got {got}"
        raise InputError(message, where="candidates")
    return row
