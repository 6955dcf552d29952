"""Candidates as the vectors that they are scored by, to be kept and sent to be scored."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from gustibus.client.calls.scoring import Usage
from gustibus.client.decoding import decoder
from gustibus.client.wire import Array, Candidate, Prompt, Request, body_of, candidate_of, several


@dataclass(frozen=True, slots=True)
class Vector:
    """What a model made of a candidate; no other model takes it."""

    model: str
    """By its digest."""
    b64: str
    dtype: str = "f32"

    @property
    def array(self) -> Array:
        """`(dim,)`."""
        return np.frombuffer(base64.b64decode(self.b64), "<f2" if self.dtype == "f16" else "<f4")

    @property
    def candidate(self) -> dict[str, Any]:
        """As a candidate, of values that JSON has."""
        return {"vector": asdict(self)}


@dataclass(frozen=True, slots=True)
class EncodedCandidate:
    """One candidate."""

    index: int
    vector: Vector


@dataclass(frozen=True, slots=True)
class Encoded:
    """Vectors in the order of the candidates."""

    id: str
    model: str
    dim: int
    data: tuple[EncodedCandidate, ...]
    usage: Usage

    @property
    def array(self) -> Array:
        """`(n, dim)`."""
        return np.stack([one.vector.array for one in self.data])

    @property
    def candidates(self) -> list[dict[str, Any]]:
        """What can be kept as JSON, and sent wherever candidates are taken."""
        return [one.vector.candidate for one in self.data]


def encode(
    candidates: Sequence[Candidate] | Array,
    *,
    prompt: Prompt | None = None,
    model: str = "default",
    dtype: Literal["f32", "f16"] = "f32",
) -> Request[Encoded]:
    """Vectors of candidates, which score as they do and need no encoder any more.

    Args:
        candidates: as those of `score`; embeddings become vectors too, which are much shorter.
        prompt: what the candidates answer; where the model reads prompts, vectors are of it.
        model: name, or name and version.
        dtype: of the numbers; `f16` is half as long, and scores differ in the third digit.

    Example:
        made = client.encode(["Briefly.", "At length."], prompt="How?")
        made.array.shape, made.candidates[0]["vector"]["model"]
        client.score(made.candidates, user="ada").scores
    """
    body = body_of(
        candidates=[candidate_of(one) for one in several("candidates", candidates)], prompt=prompt,
        model=model, dtype=dtype,
    )  # fmt: skip
    return Request("POST", "/v1/encode", decoder(Encoded), body=body)
