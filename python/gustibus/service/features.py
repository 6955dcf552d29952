"""Many embeddings at once, each with an answer of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gustibus.service.allowance import allowance_of
from gustibus.service.candidates import (
    TOO_LARGE,
    Embedding,
    Vector,
    kept_vector,
    represented,
    too_large,
    vector_of,
)
from gustibus.service.norms import too_long, why_too_long
from gustibus.service.problems import Problem, invalid
from gustibus.types import F32

if TYPE_CHECKING:
    from gustibus.service.call import Call
    from gustibus.service.serving import Serving

_FEW = 32  # embeddings that are decoded on the event loop


class Wanted(NamedTuple):
    """An embedding to be represented, or a vector that is one already."""

    embedding: Embedding | list[float] | Vector
    prompt: str
    pointer: str


async def embed(call: Call, serving: Serving, wanted: Sequence[Wanted]) -> list[F32 | Problem]:
    """Representations `(r,)` of embeddings and vectors, or what is wrong with them, in their order.

    Raises:
        Problem: 403 when the key may not send embeddings; or their prompts cannot be encoded.
    """
    if not wanted:
        return []
    call.need("score:raw")

    def decode() -> list[F32 | Problem]:
        return [_decoded(one, serving) for one in wanted]

    few = len(wanted) <= _FEW
    found = decode() if few else await call.state.threads.compute(decode)
    reads_prompt = serving.model.prompt_dim > 0
    places = [
        place
        for place, one in enumerate(found)
        if not isinstance(one, Problem) and not isinstance(wanted[place].embedding, Vector)
    ]
    if not places:
        return found
    items = np.stack([np.asarray(found[place], np.float32) for place in places])
    prompts = None
    if reads_prompt:
        said = [wanted[place].prompt for place in places]
        prompts = await serving.encode_prompts(said, most=allowance_of(call))
    vectors = represented(serving, items, prompts)
    for place, vector in zip(places, vectors, strict=True):
        found[place] = vector
    for row in too_large(vectors):
        found[places[row]] = invalid(wanted[places[row]].pointer, TOO_LARGE)
    for row in too_long(items, serving.longest):
        detail = why_too_long(items[row], serving.longest)
        found[places[row]] = invalid(wanted[places[row]].pointer, detail)
    return found


def _decoded(one: Wanted, serving: Serving) -> F32 | Problem:
    try:
        if isinstance(one.embedding, Vector):
            return kept_vector(serving, one.embedding, one.pointer)
        vector = vector_of(one.embedding, serving.model.item_dim, one.pointer)
    except Problem as problem:
        return problem
    if not np.isfinite(vector).all():
        return invalid(one.pointer, "holds NaN or infinity", code="not_finite")
    return vector
