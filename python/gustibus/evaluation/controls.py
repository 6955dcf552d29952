"""Controls that a result has to survive: whose answers they were, which way round, and leaks."""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

import numpy as np

from gustibus.data import Dataset, Split
from gustibus.data.leaks import HELD_OUT
from gustibus.evaluation.contenders import Contender
from gustibus.evaluation.metrics import SAME, by_person
from gustibus.evaluation.protocol import Group, Scores, Trial
from gustibus.evaluation.rows import CELLS, Rows, strata
from gustibus.types import F64, I64


class Swapped(NamedTuple):
    """Accuracies of people placed on their own and on somebody else's answers."""

    own: F64
    """`(p,)`, NaN for people without somebody to swap with."""
    other: F64
    """`(p,)` mean over the swaps."""
    within_prompts: bool
    """Whether people were swapped only with people who were asked about the same prompt."""


def user_swap(trial: Trial, contender: Contender, cell: str, shots: int | None = None) -> Swapped:
    """Give every person another person's answers, `trial.draws` times.

    If accuracy does not drop, whatever placing gains is not personal. Everybody gets the answers of
    the next person in a random order of those who were asked about the same prompt.

    Args:
        trial: the data and the draws.
        contender: who predicts.
        cell: the judged part.
        shots: answers that place each person, drawn as for the few-shot curve; of new people alone,
            and of those who have as many. All that may place a person when None.
    """
    group = _group_of(trial, cell)
    kinds = strata(trial.dataset, group.evidence)
    if shots is not None:
        kinds = np.where(group.evidence.counts >= shots, kinds, -1)
    own = np.full((trial.draws, len(group.people)), np.nan)
    other = np.full((trial.draws, len(group.people)), np.nan)
    rng = np.random.default_rng(trial.seed)
    for draw in range(trial.draws):
        partner = _partners(kinds, rng)
        who = np.flatnonzero(partner >= 0)
        if len(who) == 0:
            break
        evidence = group.evidence if shots is None else Rows(*trial.shots.take(draw, shots))
        judged = group.judged.of(who)
        said = contender.predict(evidence.of(partner[who]), judged)
        other[draw] = group.score(said, cell, who).accuracy
        if shots is None and draw > 0:
            own[draw] = own[0]
            continue
        own[draw] = group.score(contender.predict(evidence.of(who), judged), cell, who).accuracy
    prompts = len(np.unique(kinds[kinds >= 0])) > 1
    return Swapped(own.mean(0), other.mean(0), prompts)


class Flipped(NamedTuple):
    """What the opposite answers do."""

    share: F64
    """`(p,)` share of a person's predictions that change sides."""
    scores: Scores


def label_flip(trial: Trial, contender: Contender, cell: str) -> Flipped:
    """Place everybody on the opposite of their answers."""
    group = _group_of(trial, cell)
    who = np.flatnonzero(group.evidence.counts > 0)
    evidence, judged = group.evidence.of(who), group.judged.of(who)
    before = contender.predict(evidence, judged)
    after = contender.predict(evidence, judged, flip=True)
    asked = group.cell[_positions(group, who)] == group.cells.index(cell)
    turned = np.sign(_clean(before.margin)) * np.sign(_clean(after.margin)) < 0
    share = np.full(len(group.people), np.nan)
    share[who] = by_person(turned[asked].astype(np.float64), judged.keep(asked).starts)
    return Flipped(share, group.score(after, cell, who))


def always_first(trial: Trial) -> tuple[F64, F64]:
    """Rows, and rows on which "always a" is right, of each judged person: `(p,)` both."""
    right, rows = [], []
    for group in trial.groups:
        right.append(np.bincount(group.judged.person, group.target, len(group.people)))
        rows.append(group.judged.counts.astype(np.float64))
    return np.concatenate(right), np.concatenate(rows)


def duplicates(dataset: Dataset, split: Split) -> int:
    """Held-out texts that, but for case, accents and spaces, are among the fitting rows' texts.

    Texts of prompts where prompts are held out, of items where items are.
    """
    c = dataset.comparisons
    fitted = [split[n] for n in split if n not in CELLS and len(split[n])]
    held = [split[n] for n in HELD_OUT if len(split.get(n, ()))]
    if not fitted or not held:
        return 0
    names = c.prompts if split.unit == "prompt" else c.item_texts
    sides = (c.prompt,) if split.unit == "prompt" else (c.a, c.b)

    def texts(parts: list[I64]) -> set[str]:
        rows = np.concatenate(parts)
        codes = np.unique(np.concatenate([side[rows] for side in sides]))
        return {plain(names[code]) for code in codes.tolist()}

    return len(texts(fitted) & texts(held))


def plain(text: str) -> str:
    """A text without differences of case, accents and spaces."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(x for x in letters if not unicodedata.combining(x)).split())


def _group_of(trial: Trial, cell: str) -> Group:
    return next(group for group in trial.groups if cell in group.cells)


def _positions(group: Group, who: I64) -> I64:
    """Places among the judged rows of the rows of some people."""
    return group.judged._replace(row=np.arange(len(group.judged.row))).of(who).row


def _clean(margin: F64) -> F64:
    return np.where(np.abs(margin) < SAME, 0.0, margin)


def _partners(kinds: I64, rng: np.random.Generator) -> I64:
    """`(p,)` the next person of the same kind in a random order; -1 for a person alone."""
    partner = np.full(len(kinds), -1, np.int64)
    for kind in np.unique(kinds[kinds >= 0]):
        circle = rng.permutation(np.flatnonzero(kinds == kind))
        if len(circle) > 1:
            partner[circle] = np.roll(circle, -1)
    return partner
