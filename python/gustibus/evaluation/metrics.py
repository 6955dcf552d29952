"""Scores of predicted answers: per person, over people, and by how sure the model was.

Everywhere `correct` is the share of an answer that a prediction gets right: 1 or 0 for a clear
answer and a clear prediction, a half where the margin is zero or the answer was a tie.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gustibus.types import F64, I64

SAME = 1e-9
"""Margins closer to zero than this express no preference."""
_TINY = 1e-12


class Calibration(NamedTuple):
    """Bins of equal numbers of answers, from the least to the most confident prediction."""

    confidence: F64
    """`(k,)` mean probability that the model gave to the side that it preferred."""
    accuracy: F64
    """`(k,)` share of these answers that it got right."""
    rows: I64
    """`(k,)` answers in the bin."""

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of confidence and accuracy over answers."""
        gap = np.abs(self.confidence - self.accuracy)
        return float((gap * self.rows).sum() / max(self.rows.sum(), 1))


def correctness(margin: F64, target: F64) -> F64:
    """`(n,)` how right each sign is: `target` where a is preferred, `1 - target` where b is.

    Args:
        margin: `(n,)`, above 0 prefers a.
        target: `(n,)` in `[0, 1]`, 1 where a was preferred; a tie is 0.5.
    """
    side = np.where(np.abs(margin) < SAME, 0.0, np.sign(margin))
    return np.asarray(0.5 + side * (target - 0.5), np.float64)


def log_losses(p: F64, target: F64) -> F64:
    """`(n,)` cross-entropy in nats of probabilities `p` that a is preferred."""
    p = np.clip(p, _TINY, 1 - _TINY)
    return np.asarray(-(target * np.log(p) + (1 - target) * np.log1p(-p)), np.float64)


def brier_scores(p: F64, target: F64) -> F64:
    """`(n,)` squared distance of probability and answer.

    Source: Brier 1950.
    """
    return np.asarray((p - target) ** 2, np.float64)


def confidence(p: F64) -> F64:
    """`(n,)` probability of the side that is thought likelier, in `[0.5, 1]`."""
    return np.asarray(np.maximum(p, 1 - p), np.float64)


def by_person(values: F64, starts: I64) -> F64:
    """`(p,)` mean of each person's rows; NaN for a person without rows.

    Args:
        values: `(n,)`, all people's rows in order of person.
        starts: `(p + 1,)` where each person's rows begin.
    """
    total = np.concatenate([[0.0], np.cumsum(values)])
    with np.errstate(invalid="ignore"):
        return np.asarray((total[starts[1:]] - total[starts[:-1]]) / np.diff(starts), np.float64)


def macro(values: F64) -> float:
    """Mean over the people who have a value."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def worst_share(values: F64, share: float = 0.1) -> float:
    """Mean over the worst `share` of the people who have a value; a person may count in part."""
    known = np.sort(values[np.isfinite(values)])
    if len(known) == 0:
        return float("nan")
    mass = share * len(known)
    return float((known * np.clip(mass - np.arange(len(known)), 0, 1)).sum() / mass)


def harmed_share(values: F64, baseline: F64) -> float:
    """Share of people who do worse than under `baseline`, of those who have both values."""
    both = np.isfinite(values) & np.isfinite(baseline)
    return float((values < baseline - SAME)[both].mean()) if both.any() else float("nan")


def equal_mass_bins(sure: F64, bins: int = 10) -> I64:
    """`(n,)` bin of each answer; bins have equally many answers, up to one.

    Equal confidences are kept in one bin, so that the result does not depend on the order of the
    rows; there are then fewer bins, or bins of different size.
    """
    value, code, counts = np.unique(sure, return_inverse=True, return_counts=True)
    before = np.cumsum(counts) - counts  # rank of the first answer with this confidence
    middle = before + (counts - 1) / 2
    bin_of_value = np.minimum((middle * bins) // max(len(sure), 1), bins - 1).astype(np.int64)
    del value
    return np.asarray(bin_of_value[code.reshape(-1)], np.int64)


def calibration(p: F64, correct: F64, *, bins: int = 10) -> Calibration:
    """How often the model is right when it is so sure.

    Args:
        p: `(n,)` probability that a is preferred.
        correct: `(n,)` from `correctness`.
        bins: Most bins.

    Returns:
        The bins that hold answers.

    Source: Nixon et al. 2019, "Measuring Calibration in Deep Learning", adaptive bins.
    """
    sure = confidence(p)
    which = equal_mass_bins(sure, bins)
    rows = np.bincount(which, minlength=bins)
    used = rows > 0
    count = np.maximum(rows, 1)
    return Calibration(
        (np.bincount(which, sure, bins) / count)[used],
        (np.bincount(which, correct, bins) / count)[used],
        rows[used].astype(np.int64),
    )


def calibration_gaps(p: F64, correct: F64, starts: I64, *, bins: int = 10) -> F64:
    """`(p, bins)` sums of `correct - confidence` over each person's answers in each bin.

    The calibration error is the sum over bins of the absolute column sums, divided by the answers;
    with people drawn again, it is the same of the drawn rows.
    """
    sure = confidence(p)
    people = len(starts) - 1
    who = np.repeat(np.arange(people), np.diff(starts))
    cell = who * bins + equal_mass_bins(sure, bins)
    sums = np.bincount(cell, correct - sure, people * bins)
    return np.asarray(sums.reshape(people, bins), np.float64)
