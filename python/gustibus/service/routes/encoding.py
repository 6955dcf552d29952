"""`POST /v1/encode`: candidates as the vectors that they are scored by, for the caller to keep."""

from __future__ import annotations

import time
from typing import Annotated, Literal

import numpy as np
import pybase64
from msgspec import UNSET, Meta, Struct, UnsetType

from gustibus.service.call import Call, Reply, ok
from gustibus.service.candidates import (
    DTYPES,
    MAX_IDS,
    AnyCandidate,
    Dtype,
    Prompt,
    model_of,
    represent,
)
from gustibus.service.ids import ulid
from gustibus.service.problems import Problem, invalid
from gustibus.service.routes.scoring import PROBLEMS, ModelName, Usage, note
from gustibus.service.routing import Route
from gustibus.types import F32

_THREAD_FROM = 1 << 16  # numbers that take about a millisecond to write

Format = Literal["base64", "float"]


class EncodeRequest(Struct, forbid_unknown_fields=True):
    """Candidates to encode; nobody in particular is part of it."""

    candidates: Annotated[list[AnyCandidate], Meta(min_length=1, max_length=MAX_IDS)]
    model: ModelName = "default"
    prompt: Prompt | None = None
    """What they answer; models that read prompts need it, and vectors are of it."""
    encoding_format: Format = "base64"
    """Of the vectors; arrays of numbers are for debugging."""
    dtype: Dtype = "f32"
    """Of their numbers; with `f16` scores differ from those of the candidate in the third digit."""


class EncodedVector(Struct, omit_defaults=True):
    """To be kept as it is, and sent as the `vector` of a candidate."""

    model: str
    """That made it, by its digest."""
    dtype: Dtype | UnsetType = UNSET
    b64: str | UnsetType = UNSET
    numbers: list[float] | UnsetType = UNSET


class EncodedCandidate(Struct):
    """One candidate."""

    index: int
    object: Literal["vector"]
    vector: EncodedVector


class EncodeReply(Struct):
    """Vectors in the order of the candidates."""

    id: str
    object: Literal["list"]
    created: int
    model: str
    dim: int
    """Numbers of a vector."""
    data: list[EncodedCandidate]
    usage: Usage


async def encode(call: Call) -> Reply:
    """Vectors of candidates."""
    body = call.read(EncodeRequest)
    count = len(body.candidates)
    most = call.state.settings.candidate_texts
    if body.encoding_format == "float" and count > most:
        detail = f"/candidates: {count} candidates as arrays, at most {most} are allowed"
        raise Problem("too_many_candidates", detail, errors=[("/candidates", detail)])
    serving = model_of(call.state, body.model)
    made = await represent(call, serving, body.prompt, body.candidates)
    note(call, serving, None, made.units)

    def work() -> Reply:
        return ok(EncodeReply(
            f"encode_{ulid()}", "list", int(time.time()), serving.label, made.vectors.shape[1],
            _written(serving.artifact.pin, made.vectors, body.encoding_format, body.dtype),
            Usage(count, made.tokens, made.cached, made.units),
        ))  # fmt: skip

    return work() if made.vectors.size < _THREAD_FROM else await call.state.threads.compute(work)


def _written(
    pin: str, vectors: F32, form: Format, dtype: Dtype
) -> list[EncodedCandidate]:  # fmt: skip
    """Vectors as they are sent.

    Raises:
        Problem: 422 when a number does not fit into the type.
    """
    with np.errstate(over="ignore"):
        rows = np.ascontiguousarray(vectors, DTYPES[dtype])
    if not np.isfinite(rows).all():
        place = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
        raise invalid("/dtype", f"numbers of candidate {place} do not fit into {dtype}; send 'f32'")
    if form == "float":
        made = [EncodedVector(pin, numbers=row) for row in rows.tolist()]
    else:
        texts = (pybase64.b64encode(row).decode() for row in rows)
        made = [EncodedVector(pin, dtype, text) for text in texts]
    return [EncodedCandidate(place, "vector", one) for place, one in enumerate(made)]


ROUTES = (
    Route(
        "POST", "/v1/encode", "encode", "score", encode, "Scoring",
        "Vectors of candidates, which the caller may keep and send to be scored.",
        request=EncodeRequest, response=EncodeReply, problems=PROBLEMS, body="scoring",
        example={"candidates": ["Briefly.", "At length."], "prompt": "How do I boil an egg?"},
    ),
)  # fmt: skip
