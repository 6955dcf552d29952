"""From predictions to figures with intervals: one method at a time, then pairs of methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Protocol

import numpy as np

from gustibus.evaluation.contenders import Contender
from gustibus.evaluation.controls import label_flip, user_swap
from gustibus.evaluation.intervals import Estimate, Resamples
from gustibus.evaluation.metrics import SAME, Calibration
from gustibus.evaluation.protocol import (
    NEW_CELLS,
    Scores,
    Shot,
    Step,
    Trial,
    judge_cells,
    judge_curve,
)
from gustibus.evaluation.report import Bin, Cell, Difference, Flip, Method, Point, Swap
from gustibus.types import F64

ALL = -1
"""Stands for people placed on all that may place them, where a number of shots is asked for."""
HISTOGRAM = 20
"""Bins of the histogram of people by accuracy."""

Outcome = Mapping[tuple[str, int], Scores]
"""Scores by part and number of shots, `ALL` for the cells."""


class Paired(Protocol):
    """What a difference needs of one method: `Scores`, or those parts of it that were kept."""

    @property
    def accuracy(self) -> F64:
        """`(p,)`, NaN for people who were not judged."""

    @property
    def log_loss(self) -> F64:
        """`(p,)` in nats."""


@dataclass(frozen=True)
class Judge:
    """The trial and the draws of people that all intervals rest on."""

    trial: Trial
    focus: int
    """Shots at which the time to place a person is taken; the most below where nobody has them."""
    draws: int
    """Of people."""

    @cached_property
    def seen(self) -> Resamples:
        """Draws of seen people."""
        return self._over(0 if self.trial.seen is None else len(self.trial.seen.people))

    @cached_property
    def new(self) -> Resamples:
        """Draws of new people."""
        return self._over(0 if self.trial.new is None else len(self.trial.new.people))

    def over(self, part: str) -> Resamples:
        """Draws of the people of a part."""
        return self.new if part in NEW_CELLS else self.seen

    def _over(self, people: int) -> Resamples:
        return Resamples(people, self.draws, self.trial.seed)

    def method(self, one: Contender, *, step: Step | None = None) -> tuple[Method, Outcome]:
        """Every figure of one contender, and the scores that differences are made of."""
        cells, curve = judge_cells(self.trial, one), judge_curve(self.trial, one, step=step)
        outcome = {(part, ALL): scores for part, (scores, _) in cells.items()}
        outcome |= {(p, s.size): scores for s in curve for p, scores in s.scores.items()}
        swap, flip = self._controls(one)
        timed = [s.microseconds for s in curve if min(self.focus, 1) <= s.size <= self.focus]
        return Method(
            name=one.name,
            family=one.family,
            kind=one.kind,
            personal=one.personal,
            fit_seconds=one.fit_seconds,
            place_microseconds=timed[-1] if timed else float("nan"),
            bytes_per_person=one.bytes_per_person,
            digest=one.digest,
            cells=tuple(self._cell(part, *found) for part, found in cells.items()),
            curve=tuple(
                self._point(part, shot, curve[0].scores[part])
                for part in NEW_CELLS
                for shot in curve
                if part in shot.scores
            ),
            swap=swap,
            flip=flip,
            few_swap=self._few_swap(one),
            cyclic_share=self._cyclic_share(one),
        ), outcome

    def differences(self, outcomes: Sequence[tuple[str, Outcome]]) -> list[Difference]:
        """Every pair of methods on every part and number of shots."""
        found = []
        for (first, one), (second, other) in combinations(outcomes, 2):
            for part, shots in one:
                if (part, shots) in other:
                    found.append(
                        self.difference(
                            (part, shots), (first, one[part, shots]), (second, other[part, shots])
                        )
                    )
        return found

    def difference(
        self, where: tuple[str, int], first: tuple[str, Scores], second: tuple[str, Scores]
    ) -> Difference:
        """Two methods, person by person."""
        return paired(self.over(where[0]), where, first, second)

    def _controls(self, one: Contender) -> tuple[Swap | None, Flip | None]:
        part = self.trial.headline
        if not one.personal:
            return None, None
        flipped = label_flip(self.trial, one, part)
        over = self.over(part)
        share = over.mean(flipped.share)
        flip = Flip(share, over.mean(flipped.scores.accuracy), turned=share.low > 0.5)
        return self._swap(one, part, None), flip

    def _cyclic_share(self, one: Contender) -> Estimate | None:
        """Of people placed on all that may place them, over the items of the headline part."""
        part = self.trial.headline
        group = next(group for group in self.trial.groups if part in group.cells)
        shares = one.cyclic_shares(group.evidence, group.rows_in(part))
        return None if shares is None else self.over(part).mean(shares)

    def _few_swap(self, one: Contender) -> Swap | None:
        """The swap at the number of shots at which methods are compared, on known items."""
        new = self.trial.new
        if not one.personal or new is None or self.focus == 0:
            return None
        return self._swap(one, new.cells[0], self.focus)

    def _swap(self, one: Contender, part: str, shots: int | None) -> Swap | None:
        over, swapped = self.over(part), user_swap(self.trial, one, part, shots)
        drop = over.mean(swapped.own - swapped.other)
        if drop.people == 0:
            return None
        return Swap(
            over.mean(np.where(np.isfinite(swapped.other), swapped.own, np.nan)),
            over.mean(swapped.other), drop, drop.is_above_zero(), swapped.within_prompts,
        )  # fmt: skip

    def _cell(self, part: str, scores: Scores, bins: Calibration) -> Cell:
        return Cell(
            part=part,
            rows=int(scores.rows.sum()),
            **self._figures(part, scores),
            bins=tuple(
                Bin(float(c), float(a), int(n))
                for c, a, n in zip(bins.confidence, bins.accuracy, bins.rows, strict=True)
            ),
            histogram=histogram(scores.accuracy),
        )

    def _point(self, part: str, shot: Shot, nobody: Scores) -> Point:
        over, scores = self.over(part), shot.scores[part]
        return Point(
            part=part,
            shots=shot.size,
            left_out=shot.left_out,
            **self._figures(part, scores),
            gain=over.mean(scores.accuracy - nobody.accuracy),
            harmed=over.mean(worse(scores.accuracy, nobody.accuracy)),
        )

    def _figures(self, part: str, scores: Scores) -> dict[str, Estimate]:
        over = self.over(part)
        return {
            "accuracy": over.mean(scores.accuracy),
            "pooled_accuracy": over.ratio(scores.right, scores.rows),
            "log_loss": over.mean(scores.log_loss),
            "brier": over.mean(scores.brier),
            "calibration_error": over.calibration_error(scores.gaps, scores.rows),
            "worst_decile": over.worst_share(scores.accuracy),
        }


def paired(
    over: Resamples, where: tuple[str, int], first: tuple[str, Paired], second: tuple[str, Paired]
) -> Difference:
    """Two methods on the same people.

    Args:
        over: draws of the people of the part.
        where: part and number of shots.
        first: name and figures of a method.
        second: of another.
    """
    x, y = first[1], second[1]
    return Difference(
        *where, first[0], second[0],
        accuracy=over.mean(x.accuracy - y.accuracy),
        log_loss=over.mean(x.log_loss - y.log_loss),
        harmed=over.mean(worse(x.accuracy, y.accuracy)),
        helped=over.mean(worse(y.accuracy, x.accuracy)),
    )  # fmt: skip


def worse(first: F64, second: F64) -> F64:
    """`(p,)` 1 where the first is lower than the second, else 0; NaN where either is missing."""
    return np.where(np.isfinite(first - second), first < second - SAME, np.nan)


def histogram(accuracy: F64) -> tuple[int, ...]:
    """People by accuracy, in `HISTOGRAM` equal bins of [0, 1]."""
    known = accuracy[np.isfinite(accuracy)]
    which = np.minimum((known * HISTOGRAM + SAME).astype(np.int64), HISTOGRAM - 1)
    return tuple(np.bincount(which, minlength=HISTOGRAM).tolist())


def correct_swaps(methods: Sequence[Method]) -> list[Method]:
    """Decide what is personal, allowing for the number of methods that were asked."""
    full = sum(m.swap is not None for m in methods)
    few = sum(m.few_swap is not None for m in methods)
    return [
        replace(m, swap=_corrected(m.swap, full), few_swap=_corrected(m.few_swap, few))
        for m in methods
    ]


def _corrected(swap: Swap | None, tests: int) -> Swap | None:
    return swap and replace(swap, personal=swap.drop.is_above_zero(tests=tests))
