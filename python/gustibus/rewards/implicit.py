"""What people say next as a preference: weak labels, only with consent, and marked as implicit.

A turn that follows a response says something about the response. It is scored for being satisfied or
dissatisfied, and where the same person got two responses to the same prompt, the one that was
followed by the better turn is taken to be preferred, with a low weight and the origin `implicit`, so
that these labels can be told from what people were asked, and switched off.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gustibus.data.arrays import number
from gustibus.errors import InputError
from gustibus.rewards.arrays import arrays
from gustibus.rewards.follow_up import mine_pair
from gustibus.rewards.follow_up_lists import FOLLOW_UPS

ORIGIN = "implicit"
"""Where such rows say that they come from."""
BUILDER, VERSION = "follow_up", 1
WEIGHT = 0.2
"""Usual weight beside 1 for an answer to a question."""

Encode = Callable[[list[str]], Any]
Valence = Callable[[Sequence[str]], Any]
"""From turns to `(n,)` numbers: above 0 satisfied, below 0 dissatisfied."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One response and what its person said next.

    Attributes:
        user: who.
        prompt: what was asked.
        response: what was answered.
        next_turn: what the person said to that, in their own words.
        consent: whether the person agreed that what they say may teach their reward; None for what is
            on record of them.
    """

    user: str
    prompt: str
    response: str
    next_turn: str
    consent: bool | None = None


@dataclass(frozen=True, slots=True)
class ImplicitRow:
    """A comparison in the columns of the comparison tables: a is preferred."""

    user: str
    prompt: str
    response_a: str
    response_b: str
    target: float
    weight: float
    source: str = ORIGIN
    builder: str = BUILDER
    version: int = VERSION

    def as_answer(self) -> dict[str, Any]:
        """The row as `POST /v1/comparisons` takes it, `source` telling where it comes from."""
        return {
            "user": self.user, "prompt": self.prompt, "a": self.response_a, "b": self.response_b,
            "outcome": "a", "strength": self.weight, "source": self.source,
        }  # fmt: skip


def implicit_rows(
    turns: Iterable[Turn],
    valence: Valence,
    *,
    min_gap: float,
    weight: float = WEIGHT,
    agreed: Collection[str] = (),
    opted_out: Collection[str] = (),
) -> list[ImplicitRow]:
    """Weak comparisons from turns that followed responses, at most one a person and prompt.

    Turns without consent and of people who opted out are dropped before anything reads them.

    Args:
        turns: in any order.
        valence: how satisfied turns are, such as `similarity_valence` or one by a language model.
        min_gap: least difference of valence between two responses, at or above 0.
        weight: of a row, in `(0, 1)`.
        agreed: people whose consent is on record, for turns that say nothing of it.
        opted_out: people whose turns teach nothing, whatever a turn says of consent.

    Raises:
        InputError: the weight or the gap is out of range, or `valence` gives something else.
    """
    weight = number("weight", weight, low=0, high=1, open_ends="()")
    number("min_gap", min_gap, low=0)
    asked: dict[tuple[str, str], list[Turn]] = {}
    for turn in turns:
        if may_read(turn, agreed=agreed, opted_out=opted_out):
            asked.setdefault((turn.user, turn.prompt), []).append(turn)
    rows = []
    for (user, prompt), told in asked.items():
        if len({turn.response for turn in told}) < 2:
            continue
        _, values = arrays(valence=valence([turn.next_turn for turn in told]))
        if values.shape != (len(told),):
            message = f"valence: expected {len(told)} numbers, got shape {tuple(values.shape)}"
            raise InputError(message, where="valence")
        responses = sorted({turn.response for turn in told})
        means = [values[[turn.response == r for turn in told]].mean() for r in responses]
        pair = mine_pair(means, min_gap)
        if pair is not None:
            a, b = responses[pair.chosen], responses[pair.rejected]
            rows.append(ImplicitRow(user, prompt, a, b, 1.0, weight))
    return rows


def may_read(turn: Turn, *, agreed: Collection[str] = (), opted_out: Collection[str] = ()) -> bool:
    """Whether a turn may be read: an opt-out decides, then the turn's own consent, then the record."""
    if turn.user in opted_out:
        return False
    return turn.user in agreed if turn.consent is None else turn.consent


def similarity_valence(encode: Encode) -> Valence:
    """Valence by nearness to satisfied rather than to dissatisfied follow-ups.

    Args:
        encode: from texts to vectors `(n, d)`, such as the `encode` of an encoder.

    Returns:
        A function to `(n,)` differences of mean cosines, in `[-2, 2]`.
    """
    sides = [
        _unit(encode([turn for pair in FOLLOW_UPS.values() for turn in pair[side]])).mean(0)
        for side in (0, 1)
    ]
    towards = sides[0] - sides[1]  # (d,)
    return lambda turns: _unit(encode(list(turns))) @ towards


def _unit(vectors: Any) -> np.ndarray:
    _, found = arrays(vectors=vectors)
    return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12))
