"""The protocol: which rows place whom, which are judged, and the few-shot curve.

Four cells of seen and new people and items; nested shots drawn alike for
every contender; nothing of a new person is seen but the shots.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from gustibus.data import Dataset, Shots, Split, nested_shots
from gustibus.errors import InputError
from gustibus.evaluation.contenders import Contender, Predictions
from gustibus.evaluation.metrics import (
    Calibration,
    brier_scores,
    by_person,
    calibration,
    calibration_gaps,
    correctness,
    log_losses,
)
from gustibus.evaluation.rows import CELLS, FITTED, Rows, people_with, rows_of, targets
from gustibus.types import F64, I64

SIZES = (0, 1, 2, 5, 10, 20, 50)
"""Numbers of shots of the curve."""
NEW_CELLS = CELLS[2:]
"""Judged parts of new people."""

Step = Callable[[int, int], None]
"""Called with how many draws are done, and of how many."""


@dataclass(frozen=True)
class Scores:
    """What each person's judged rows came to, under one contender and one way to place people."""

    accuracy: F64
    """`(p,)`, NaN for people who were not judged."""
    log_loss: F64
    """`(p,)` in nats."""
    brier: F64
    """`(p,)`."""
    gaps: F64
    """`(p, bins)` see `metrics.calibration_gaps`; zeros for people who were not judged."""
    rows: F64
    """`(p,)` judged rows, 0 for people who were not judged."""

    @property
    def right(self) -> F64:
        """`(p,)` rows that were right."""
        return np.where(self.rows > 0, np.nan_to_num(self.accuracy) * self.rows, 0.0)


@dataclass(frozen=True)
class Group:
    """People who are judged alike: seen or new ones, with the rows that may place them."""

    people: I64
    """`(p,)` codes."""
    evidence: Rows
    judged: Rows
    """Rows of all cells of these people."""
    cells: tuple[str, ...]
    """Names of the cells."""
    cell: I64
    """`(n,)` which cell each judged row is in."""
    target: F64
    """`(n,)` what was answered in the judged rows."""

    def rows_in(self, name: str) -> Rows:
        """The judged rows of one cell."""
        return self.judged.keep(self.cell == self.cells.index(name))

    def score(self, found: Predictions, name: str, who: I64 | None = None) -> Scores:
        """Scores of one cell.

        Args:
            found: predictions for the judged rows of `who`, in order.
            name: the cell.
            who: places of the people who were judged; everybody when None.
        """
        who = np.arange(len(self.people)) if who is None else who
        asked = Rows(np.arange(len(self.judged.row)), self.judged.starts).of(who)
        mask = self.cell[asked.row] == self.cells.index(name)
        kept = asked.keep(mask)
        target, p = self.target[kept.row], found.p[mask]
        correct = correctness(found.margin[mask], target)
        return _spread(
            len(self.people), who,
            by_person(correct, kept.starts), by_person(log_losses(p, target), kept.starts),
            by_person(brier_scores(p, target), kept.starts),
            calibration_gaps(p, correct, kept.starts), kept.counts,
        )  # fmt: skip

    def bins(self, found: Predictions, name: str) -> Calibration:
        """Calibration of everybody's rows of one cell."""
        mask = self.cell == self.cells.index(name)
        return calibration(found.p[mask], correctness(found.margin[mask], self.target[mask]))


@dataclass(frozen=True)
class Trial:
    """One data set, one split, one set of draws: the same for every contender."""

    dataset: Dataset
    split: Split
    sizes: tuple[int, ...] = SIZES
    draws: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse splits that leak and splits that hold nothing out."""
        self.split.assert_no_leak(self.dataset.comparisons)
        if not any(len(self.split.get(name, ())) for name in CELLS):
            message = f"split: expected at least one of {list(CELLS)}, got {sorted(self.split)}"
            raise InputError(message, where="split")

    @cached_property
    def seen(self) -> Group | None:
        """Seen people, placed on their own fitting rows."""
        return self._group(CELLS[:2], FITTED)

    @cached_property
    def new(self) -> Group | None:
        """New people, placed on their support rows."""
        return self._group(NEW_CELLS, ("support",))

    @property
    def groups(self) -> tuple[Group, ...]:
        """Those that exist."""
        return tuple(g for g in (self.seen, self.new) if g is not None)

    @property
    def headline(self) -> str:
        """New people on new items; on known ones where too few answered about new items."""
        for group, (known, fresh) in ((self.new, NEW_CELLS), (self.seen, CELLS[:2])):
            if group is None:
                continue
            if known not in group.cells:
                return fresh
            if fresh in group.cells:
                answered = [int((group.rows_in(c).counts > 0).sum()) for c in (known, fresh)]
                return fresh if 2 * answered[1] >= answered[0] else known
            return known
        message = "a trial has a judged part"
        raise AssertionError(message)

    @cached_property
    def shots(self) -> Shots:
        """The draws of every new person's shots."""
        assert self.new is not None, "shots are drawn for new people"
        return nested_shots(
            *self.new.evidence, sizes=self.sizes, draws=self.draws, seed=self.seed,
            order=self.dataset.comparisons.order,
        )  # fmt: skip

    def _group(self, cells: Sequence[str], placing: Sequence[str]) -> Group | None:
        parts = {n: self.split[n] for n in cells if len(self.split.get(n, ()))}
        if not parts:
            return None
        rows = np.concatenate(list(parts.values()))
        label = np.full(len(self.dataset.comparisons), -1, np.int64)
        for number, part in enumerate(parts.values()):
            label[part] = number
        people = people_with(self.dataset, rows[self.dataset.comparisons.weight[rows] > 0])
        if len(people) == 0:
            return None
        judged = rows_of(self.dataset, rows, people)
        used = [self.split[n] for n in placing if n in self.split]
        evidence = np.concatenate([np.empty(0, np.int64), *used])
        return Group(
            people, rows_of(self.dataset, evidence, people), judged, tuple(parts),
            label[judged.row], targets(self.dataset, judged),
        )  # fmt: skip


@dataclass(frozen=True)
class Shot:
    """One number of shots: scores by cell, averaged over draws."""

    size: int
    scores: Mapping[str, Scores]
    left_out: int
    """People with fewer support rows than that."""
    microseconds: float
    """Time to place one person, in a batch of all."""


def judge_cells(trial: Trial, contender: Contender) -> dict[str, tuple[Scores, Calibration]]:
    """Scores and calibration of every cell, people placed on all that may place them."""
    found: dict[str, tuple[Scores, Calibration]] = {}
    for group in trial.groups:
        said = contender.predict(group.evidence, group.judged)
        for name in group.cells:
            found[name] = group.score(said, name), group.bins(said, name)
    return found


def judge_curve(
    trial: Trial, contender: Contender, *, step: Step | None = None
) -> tuple[Shot, ...]:
    """The few-shot curve of new people; empty where the split has none."""
    group = trial.new
    if group is None:
        return ()
    shots = trial.shots
    counts = group.evidence.counts
    nobody = contender.predict(group.evidence.none(), group.judged)
    points = []
    for size in shots.sizes:
        enough = np.flatnonzero(counts >= size)
        if len(enough) == 0:
            continue
        known = contender.personal and size > 0
        judged = group.judged if not known else group.judged.of(enough)
        sums: dict[str, list[Scores]] = {name: [] for name in group.cells}
        spent = 0.0
        for draw in range(shots.rows.shape[0] if known else 1):
            said = nobody
            if known:
                rows, starts = shots.take(draw, size)
                said = contender.predict(Rows(rows, starts[_edges(enough, len(starts))]), judged)
                spent += said.seconds
            for name in group.cells:
                everybody = group.score(said, name, enough if known else None)
                sums[name].append(everybody if known else _only(everybody, enough))
            if step is not None and known:
                step(draw + 1, shots.rows.shape[0])
        points.append(
            Shot(
                size,
                {name: _mean(each) for name, each in sums.items()},
                int((counts < size).sum()),
                1e6 * spent / max(len(enough) * shots.rows.shape[0], 1) if known else 0.0,
            )
        )
    return tuple(points)


def _edges(enough: I64, count: int) -> I64:
    """Where the rows of the people in `enough` begin, and end; the others have none."""
    return np.append(enough, count - 1)


def _spread(
    people: int, who: I64, accuracy: F64, loss: F64, brier: F64, gaps: F64, rows: I64
) -> Scores:
    """Scores of some people as arrays over all."""
    means = np.full((3, people), np.nan)
    means[:, who] = accuracy, loss, brier
    wide, count = np.zeros((people, gaps.shape[1])), np.zeros(people)
    wide[who], count[who] = gaps, rows
    return Scores(means[0], means[1], means[2], wide, count)


def _only(scores: Scores, who: I64) -> Scores:
    """The scores of some people, the others not judged."""
    out = np.ones(len(scores.rows), np.bool_)
    out[who] = False
    return replace(
        scores,
        **{n: np.where(out, np.nan, getattr(scores, n)) for n in ("accuracy", "log_loss", "brier")},
        gaps=np.where(out[:, None], 0.0, scores.gaps), rows=np.where(out, 0.0, scores.rows),
    )  # fmt: skip


def _mean(draws: Sequence[Scores]) -> Scores:
    """Person by person; the same people are judged on the same rows in every draw."""
    if len(draws) == 1:
        return draws[0]
    names = ("accuracy", "log_loss", "brier", "gaps", "rows")
    return replace(draws[0], **{n: np.mean([getattr(s, n) for s in draws], 0) for n in names})
