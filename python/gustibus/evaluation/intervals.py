"""Intervals by drawing people again: answers of one person hang together, people do not."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np

from gustibus.errors import InputError
from gustibus.types import F64

LEAST = 1000
"""Fewest draws that give the ends of a 95 % interval to about a tenth of its width."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval.

    Attributes:
        value: the figure on the people at hand; NaN where nobody has one.
        low: lower end.
        high: upper end.
        error: standard deviation of the figure over the draws.
        people: people who went in.
    """

    value: float
    low: float
    high: float
    error: float
    people: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.low > 0 or self.high < 0

    def is_above_zero(self, *, tests: int = 1, level: float = 0.95) -> bool:
        """Whether the figure is above zero, also when it is one of many that were looked at.

        A few people show nothing, whatever the interval says, which is far too narrow for them: if
        all of five agree, chance does as much in one of 16 cases (two-sided sign test).

        Args:
            tests: figures among which this one was found; the level is divided among them.
            level: of the interval.

        Source: Bonferroni's inequality, with normal ends beyond one test.
        """
        if 2.0 ** (1 - self.people) > (1 - level) / max(tests, 1):
            return False
        if tests <= 1:
            return self.low > 0
        reach = NormalDist().inv_cdf(1 - (1 - level) / (2 * tests))
        return self.low > 0 and self.value > reach * self.error


@dataclass(frozen=True)
class Resamples:
    """How often each of `p` people is drawn in each of many draws with replacement.

    One object serves every figure over the same people, so that differences are paired.

    Attributes:
        people: p.
        draws: at least `LEAST`.
        seed: of the draws.
        level: share of the draws inside an interval.
    """

    people: int
    draws: int = LEAST
    seed: int = 0
    level: float = 0.95

    def __post_init__(self) -> None:
        """Refuse too few draws and a level that is no share."""
        if self.draws < LEAST:
            message = f"draws: expected at least {LEAST}, got {self.draws}"
            raise InputError(message, where="draws")
        if not 0 < self.level < 1:
            message = f"level: expected a share between 0 and 1, got {self.level}"
            raise InputError(message, where="level")

    @cached_property
    def counts(self) -> F64:
        """`(draws, p)` times that each person is drawn; rows sum to p."""
        rng = np.random.default_rng(self.seed)
        drawn = rng.integers(self.people, size=(self.draws, self.people))
        drawn += self.people * np.arange(self.draws)[:, None]
        return (
            np.bincount(drawn.ravel(), minlength=self.draws * self.people)
            .reshape(self.draws, self.people)
            .astype(np.float64)
        )

    def mean(self, values: F64) -> Estimate:
        """Mean over people of `(p,)` values; people without one (NaN) are left out."""
        known = np.isfinite(values)
        if not known.any():
            return self.nothing()
        counts = self.counts if known.all() else self.counts[:, known]
        return self._of(
            float(values[known].mean()), counts @ values[known], counts.sum(1), int(known.sum())
        )

    def ratio(self, top: F64, bottom: F64) -> Estimate:
        """Sum of `top` over sum of `bottom`, both `(p,)`, as for accuracy over all answers."""
        total = float(bottom.sum())
        if total == 0:
            return self.nothing()
        return self._of(
            float(top.sum()) / total, self.counts @ top, self.counts @ bottom,
            int((bottom > 0).sum()),
        )  # fmt: skip

    def calibration_error(self, gaps: F64, rows: F64) -> Estimate:
        """Calibration error from `calibration_gaps` `(p, bins)` and answers a person `(p,)`.

        Drawing people again adds chance gaps, so that the interval leans upwards.
        """
        total = float(rows.sum())
        if total == 0:
            return self.nothing()
        return self._of(
            float(np.abs(gaps.sum(0)).sum()) / total,
            np.abs(self.counts @ gaps).sum(1), self.counts @ rows, int((rows > 0).sum()),
        )  # fmt: skip

    def worst_share(self, values: F64, share: float = 0.1) -> Estimate:
        """Mean over the worst `share` of the people, see `metrics.worst_share`."""
        known = np.flatnonzero(np.isfinite(values))
        if len(known) == 0:
            return self.nothing()
        order = known[np.argsort(values[known], kind="stable")]
        ranked = values[order]
        counts = self.counts[:, order]
        upto = np.cumsum(counts, axis=1)
        mass = share * upto[:, -1]
        taken = np.clip(counts, 0, np.maximum(mass[:, None] - (upto - counts), 0))
        first = share * len(order)
        value = (ranked * np.clip(first - np.arange(len(order)), 0, 1)).sum() / first
        return self._of(float(value), taken @ ranked, mass, len(order))

    def nothing(self) -> Estimate:
        """The estimate of a figure that nobody has."""
        nan = float("nan")
        return Estimate(nan, nan, nan, nan, 0)

    def _of(self, value: float, top: F64, bottom: F64, people: int) -> Estimate:
        drawn = top[bottom > 0] / bottom[bottom > 0]
        tail = (1 - self.level) / 2
        low, high = np.quantile(drawn, [tail, 1 - tail])
        return Estimate(value, float(low), float(high), float(drawn.std()), people)
