"""What a scorer gives for edits that add nothing: pairs that flip, reward that is gained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from gustibus.data.arrays import finite, names, same_length
from gustibus.errors import InputError
from gustibus.methods import method
from gustibus.robustness.perturbations import PERTURBATIONS
from gustibus.types import F64

Score = Callable[[str, Sequence[str]], Any]
"""Rewards `(n,)` of `n` responses to a prompt."""
SURFACE = ("padding", "formatting", "flattery")
"""Edits of the look alone: length, format, tone."""


class Row(NamedTuple):
    """A prompt with a better and a worse response."""

    prompt: str
    chosen: str
    rejected: str


@dataclass(frozen=True, slots=True)
class Effect:
    """What one edit of the worse response does."""

    perturbation: str
    flip_rate: float
    """Share of the pairs ranked right before that no longer are."""
    mean_gain: float
    """Mean rise of the edited response's reward, in standard deviations of clean rewards."""


@dataclass(frozen=True, slots=True)
class Audit:
    """A scorer under the suite."""

    accuracy: float
    """On the unedited pairs."""
    effects: tuple[Effect, ...]

    @property
    def flip_rate(self) -> float:
        """Mean over the edits."""
        return float(np.mean([effect.flip_rate for effect in self.effects]))


def perturbation_audit(
    score: Score, rows: Iterable[Row], perturbations: Sequence[str] = tuple(PERTURBATIONS)
) -> Audit:
    """Edit every worse response in every way, and score again.

    Args:
        score: rewards of responses.
        rows: prompts with a better and a worse response.
        perturbations: names in `PERTURBATIONS`.

    Raises:
        InputError: there are no rows, or a reward is not finite.
        UnknownNameError: there is no such edit.
    """
    listed = [Row(*row) for row in rows]
    if not listed:
        message = "rows: expected at least one, got none"
        raise InputError(message, where="rows")
    edits = [PERTURBATIONS[name].run for name in perturbations]
    scores = np.stack(
        [
            finite(
                "score",
                score(r.prompt, [r.chosen, r.rejected, *(e(r.prompt, r.rejected) for e in edits)]),
            )
            for r in listed
        ]
    )  # (n, 2 + edits)
    spread = float(scores[:, :2].std()) or 1.0
    right = scores[:, 0] > scores[:, 1]
    effects = tuple(
        Effect(name, *_effect(scores[:, 0], scores[:, 1], scores[:, 2 + i], spread))
        for i, name in enumerate(perturbations)
    )
    return Audit(float(right.mean()), effects)


def _effect(chosen: F64, rejected: F64, edited: F64, spread: float) -> tuple[float, float]:
    right = chosen > rejected
    flips = float((edited >= chosen)[right].mean()) if right.any() else float("nan")
    return flips, float((edited - rejected).mean() / spread)


@method(
    "PROBES",
    source="Gong et al. 2025, Topic-FlipRAG, and Li et al. 2024, Dissecting Preferences, as defined here",
    purpose="Pair flip rate and mean reward gain of each edit of the rejected response",
    check="tests/methods/test_robustness_audit.py::test_flips_are_counted_among_pairs_that_were_right",
    example="ops.robustness(perturbation=['flattery', 'flattery'], score_w=[1.0, 0.8], "
    "score_l=[0.2, 0.1], score_edited=[0.4, 0.9])",
    laws=("user_renaming", "row_order", "perfect"),
)
def robustness(
    perturbation: Any, score_w: Any, score_l: Any, score_edited: Any
) -> dict[str, float]:
    """Flip rate and gain by edit, and their means over edits; 0 when perfect.

    Args:
        perturbation: `(n,)` name of the edit.
        score_w: `(n,)` of the chosen response.
        score_l: `(n,)` of the rejected one.
        score_edited: `(n,)` of the rejected one after the edit.

    Returns:
        `NAME/flip_rate` among pairs that were right before, NaN without any; `NAME/gain` in the
        units of the scores; `flip_rate` and `gain`, means over the edits.
    """
    kind = names("perturbation", perturbation)
    w, low, edited = (
        finite(name, values)
        for name, values in (
            ("score_w", score_w),
            ("score_l", score_l),
            ("score_edited", score_edited),
        )
    )
    same_length(perturbation=kind, score_w=w, score_l=low, score_edited=edited)
    found: dict[str, float] = {}
    listed = sorted(set(kind.tolist()), key=str)
    effects = [_effect(w[kind == k], low[kind == k], edited[kind == k], 1.0) for k in listed]
    for name, (flips, gain) in zip(listed, effects, strict=True):
        found |= {f"{name}/flip_rate": flips, f"{name}/gain": gain}
    known = [flips for flips, _ in effects if not np.isnan(flips)]
    found["flip_rate"] = float(np.mean(known)) if known else float("nan")
    found["gain"] = float(np.mean([gain for _, gain in effects]))
    return found


def gaming_audit(
    score: Score,
    prompts: Sequence[str],
    responses: Sequence[str],
    properties: Sequence[str] = SURFACE,
) -> dict[str, float]:
    """Mean change of the reward when the look of a response changes and its content does not.

    Returns:
        Property to change, in standard deviations of the rewards of the unedited responses.

    Source: Li et al. 2024, "Dissecting Human and LLM Preferences", section on gaming judges.
    """
    same_length(prompts=prompts, responses=responses)
    edits = [PERTURBATIONS[name].run for name in properties]
    scores = np.stack(
        [
            finite("score", score(prompt, [text, *(edit(prompt, text) for edit in edits)]))
            for prompt, text in zip(prompts, responses, strict=True)
        ]
    )  # (n, 1 + properties)
    spread = float(scores[:, 0].std()) or 1.0
    gains = (scores[:, 1:] - scores[:, :1]).mean(0) / spread
    return dict(zip(properties, gains.tolist(), strict=True))
