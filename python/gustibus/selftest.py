"""Pairs of texts that a model's card keeps with their scores: are texts encoded now as training did?

The texts are the project's own, so that no card, which every client may read, holds what somebody wrote.
They are short and long, of one line and of several, and in several scripts, for another template, pooling
or padding shows in some texts only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np

from gustibus.models.base import PreferenceModel
from gustibus.posterior import Posterior
from gustibus.types import F32, F64

Represent: TypeAlias = Callable[[str, Sequence[str]], F32]
"""`(prompt, n texts) -> (n, r)` representations."""

CARD: Final = "self_test"
"""Entry of the card."""
TOLERANCE: Final = 0.02
"""Log-odds that a score may be off; of a score beyond 1 or -1, this share of it."""

_PAIRS: Final = (
    ("How do I boil an egg?", "Put it into boiling water for eight minutes.", "Eggs."),
    (
        "What is a good way to learn a language?",
        "Read every day what you like, speak early, and do not mind mistakes. " * 12,
        "Move to where it is spoken.",
    ),
    ("Is this number prime: 91?", "No: 91 = 7 × 13.", "Yes, it is."),
    (
        "List three things to pack for a hike.",
        "1. Water\n2. A map\n3. A warm jacket",
        "- boots\n- bread\n- a knife, perhaps",
    ),
    ("", "Thank you!", "I am sorry, but I cannot help with that."),
    (
        "Write a function that adds two numbers.",
        "```python\ndef add(a, b):\n    return a + b\n```",
        "Use the + operator; no function is needed for that.",
    ),
    (
        "Wie wird das Wetter morgen?",
        "Morgen wird es kühl und regnerisch, am Abend klart es auf.",
        "明天会下雨,晚上转晴。",
    ),
    ("Tell me a story.", "Once upon a time there was a lighthouse. " * 40, "No."),
)


def recorded(model: PreferenceModel, represent: Represent) -> list[dict[str, Any]]:
    """What a card keeps: of each pair the prompt, both texts and their scores for the population."""
    return [
        {"prompt": prompt, "texts": [a, b], "scores": np.round(scores, 6).tolist()}
        for prompt, a, b in _PAIRS
        for scores in [_scores(model, represent(prompt, [a, b]))]
    ]


def tells(card: Mapping[str, Any]) -> bool:
    """Whether a card keeps scores that show another encoder: some that are not all alike."""
    scores = [score for row in card.get(CARD, ()) for score in row["scores"]]
    return bool(scores) and max(scores) - min(scores) > 2.0 * TOLERANCE


def wrong(card: Mapping[str, Any], model: PreferenceModel, represent: Represent) -> str:
    """What is off, for an error; empty where every score is as recorded, or none is."""
    for row in card.get(CARD, ()):
        kept = np.asarray(row["scores"], np.float64)
        found = _scores(model, represent(row["prompt"], row["texts"]))
        away = np.abs(found - kept) / np.maximum(1.0, np.abs(kept))
        if not away.max() <= TOLERANCE:  # nor where it is no number
            at = int(away.argmax())
            text = row["texts"][at][:40]
            return f"{text!r} scores {found[at]:.4g}, and {kept[at]:.4g} when the model was made"
    return ""


def _scores(model: PreferenceModel, representations: F32) -> F64:
    """`(n,)` rewards for somebody of whom nothing is known."""
    mean = np.ascontiguousarray(Posterior.from_prior(model.prior).mean, np.float64)
    return np.asarray(model.utility(mean, representations), np.float64)
