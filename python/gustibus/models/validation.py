"""How a family is judged on held-out people while it is being fitted: never on test people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gustibus.models.base import BESIDE, PreferenceModel, TrainingSet
from gustibus.posterior import Answering, Posteriors, predict
from gustibus.types import F32, F64, I32, I64

_BLOCK = 1 << 16
"""Rows that are represented at once where prompts are read: their features are wide."""


class HeldOut(NamedTuple):
    """Answers of validation people: the first part places them, the rest judges the placing."""

    support: I64
    support_starts: I64
    query: I64
    query_person: I64
    share: F64
    """`(s,)` what each query row counts beside the others of its person."""


def hold_out(data: TrainingSet, *, most: int = 20) -> HeldOut:
    """At most `most` support rows a person: those marked, else half of what `apart` leaves.

    Where none are marked, rows across the halves are query rows as well: they ask whether what a
    person likes stays liked beside something else. They count as often as a person will meet an item
    again by chance: half of the time among a dozen items, hardly ever among thousands.
    """
    side = apart(data) if data.is_support is None else np.where(data.is_support, 1, 2)
    order = np.argsort(data.user, kind="stable")
    rows = order[side[order] == 1]
    counts = np.bincount(data.user[rows], minlength=data.people)
    position = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = np.concatenate([[0], np.cumsum(np.minimum(counts, most))]).astype(np.int64)
    support, query = rows[position < most], order[side[order] != 1]
    person = data.user[query].astype(np.int64)
    return HeldOut(support, starts, query, person, _shares(data, support, query))


def _shares(data: TrainingSet, support: I64, query: I64) -> F64:
    """`(s,)` what query rows count: those that meet a support item again, together, by its chance.

    Of two different items, with a share f of all among a person's support, one is among them with
    chance 2 f (1 - f) and none with chance (1 - f)^2.
    """
    items, count = len(data.item_features), data.people

    def of_person(rows: I64, side: I32) -> I64:
        return data.user[rows].astype(np.int64) * items + side[rows]

    met = np.unique(np.concatenate([of_person(support, side) for side in (data.a, data.b)]))
    again = np.isin(of_person(query, data.a), met) | np.isin(of_person(query, data.b), met)
    share, person = np.ones(len(query)), data.user[query]
    if data.is_support is None and again.any():
        f = np.bincount(met // items, minlength=count) / items
        new, old = (np.bincount(person[rows], minlength=count) for rows in (~again, again))
        with np.errstate(divide="ignore", invalid="ignore"):
            each = np.where(new > 0, 2 * f / (1 - f) * new / old, 1.0)
        share[again] = each[person[again]]
    return share


def apart(data: TrainingSet) -> NDArray[np.int8]:
    """Each person's rows in two parts, 1 and 2, that share no item; rows across are 0, `(n,)`.

    Rows that share items give each other's answers away by transitivity, so that a half of the rows
    at random would favour whatever memorises. A row across gives nothing away: one of its items is
    in no row of the first part.
    """
    side = np.zeros(len(data), np.int8)
    order = np.argsort(data.user, kind="stable")
    edges = np.searchsorted(data.user[order], np.arange(data.people + 1))
    rng = np.random.default_rng(0)
    for start, stop in pairwise(edges):
        rows = order[start:stop]
        side[rows] = _sides(data.a[rows].tolist(), data.b[rows].tolist(), rng)
    return side


def _sides(a: list[int], b: list[int], rng: np.random.Generator) -> list[int]:
    """1 or 2 for each row of one person, 0 for a row whose items lie on both sides."""
    root = {item: item for item in (*a, *b)}

    def find(item: int) -> int:
        while root[item] != item:
            root[item] = root[root[item]]
            item = root[item]
        return item

    for x, y in zip(a, b, strict=True):
        root[find(x)] = find(y)
    rows = Counter(find(x) for x in a)
    members: dict[int, list[int]] = {group: [] for group in rows}
    for item in root:
        members[find(item)].append(item)
    weight, where = [0, 0], dict[int, int]()
    for group, size in rows.most_common():
        items = members[group]
        if 2 * size > len(a) and len(items) > 3:  # one web of rows: cut it
            half = rng.permutation(len(items)) < len(items) // 2
            where |= {item: int(first) for item, first in zip(items, half, strict=True)}
        else:
            lighter = int(weight[1] < weight[0])
            weight[lighter] += size
            where |= dict.fromkeys(items, lighter)
    return [1 + where[x] if where[x] == where[y] else 0 for x, y in zip(a, b, strict=True)]


def representations(model: PreferenceModel, data: TrainingSet, rows: I64) -> tuple[F32, F32]:
    """Representations of both sides of some rows, `(s, r)` each.

    Distinct items are done once where no prompt is read, else rows block by block.
    """
    if model.prompt_dim == 0:
        used, code = np.unique(np.concatenate([data.a[rows], data.b[rows]]), return_inverse=True)
        table = model.represent(data.item_features[used])
        return table[code[: len(rows)]], table[code[len(rows) :]]
    assert data.prompt_features is not None, "a model that reads prompts was fitted on prompts"
    found: list[F32] = []
    for side in (data.a, data.b):
        blocks = [
            model.represent(
                data.item_features[side[block]], data.prompt_features[data.prompt[block]]
            )
            for block in np.array_split(rows, max(1, -(-len(rows) // _BLOCK)))
        ]
        found.append(np.concatenate(blocks) if len(blocks) > 1 else blocks[0])
    return found[0], found[1]


def moments(
    model: PreferenceModel, posteriors: Posteriors, person: I64, a: F32, b: F32
) -> tuple[F64, F64]:
    """Mean and variance of each row's margin, `(s,)` each; rows sorted by person."""
    margin, variance = np.empty(len(a)), np.empty(len(a))
    edges = np.flatnonzero(np.diff(person, prepend=-1, append=-2))
    for start, stop in pairwise(edges):
        who = posteriors[int(person[start])]
        rows = slice(start, stop)
        margin[rows], slope = model.contrast(who.mean, a[rows], b[rows])  # (s, u)
        variance[rows] = np.einsum("su,uv,sv->s", slope, who.covariance, slope)
    return margin, np.maximum(variance, 0)


def predictive(
    model: PreferenceModel, posteriors: Posteriors, person: I64, a: F32, b: F32
) -> tuple[F64, F64]:
    """Mean margin and P(a) averaged over each row's person, `(s,)` each; rows sorted by person."""
    margin, variance = moments(model, posteriors, person, a, b)
    return margin, predict(margin, variance, answering=model.answering)


class Foretold(NamedTuple):
    """What a model says of the query answers, with people placed by their support and without."""

    margin: F64
    """`(2, s)` means."""
    variance: F64
    """`(2, s)`."""
    answering: Answering


def foretell(model: PreferenceModel, valid: TrainingSet, split: HeldOut) -> Foretold:
    """Place validation people by their support answers, and by none, and foretell the query."""
    support_a, support_b = representations(model, valid, split.support)
    query_a, query_b = representations(model, valid, split.query)
    told = []
    for starts, rows in (
        (split.support_starts, slice(None)),
        (np.zeros(valid.people + 1, np.int64), slice(0, 0)),
    ):
        placed = model.place(
            support_a[rows], support_b[rows],
            valid.target[split.support][rows].astype(np.float64),
            weight=valid.weight[split.support][rows].astype(np.float64), starts=starts,
        )  # fmt: skip
        told.append(moments(model, placed, split.query_person, query_a, query_b))
    margin, variance = (np.stack(each) for each in zip(*told, strict=True))
    return Foretold(margin, variance, model.answering)


Loss = Callable[[F64, F64], F64]
"""Log-odds `(s,)` and targets `(s,)` to losses `(s,)`."""


def cyclic_shares(
    model: PreferenceModel, users: F64, person: I64, item: I64, sides: F32
) -> F64:  # fmt: skip
    """How much of what each person thinks of the items they were asked about runs in circles.

    Args:
        model: whose margins.
        users: `(p, u)` user vectors.
        person: `(n,)` whose each item is.
        item: `(n,)` which item; of one that a person has more than once the first counts.
        sides: `(n, r)` representations.

    Returns:
        `(p,)` share in `[0, 1]` of squared margins that no ranking explains; NaN for people with fewer
        than three items, of which none can run in a circle.
    """
    _, first = np.unique(np.stack([person, item]), axis=1, return_index=True)
    first = first[np.argsort(person[first], kind="stable")]
    shares = np.full(len(users), np.nan)
    for rows in np.split(first, np.flatnonzero(np.diff(person[first])) + 1):
        if len(rows) > 2:
            who = person[rows[0]]
            shares[who] = model.cyclic_share(users[who], sides[rows])
    return shares


def held_out_losses(
    model: PreferenceModel, valid: TrainingSet, split: HeldOut, *, loss: Loss | None = None
) -> F64:
    """Mean loss of each validation person's query answers, `(p,)`; NaN for those without any.

    Half of it with the person placed by their support answers, half without any support, so that
    the population part counts too.

    Args:
        model: which is judged.
        valid: validation people.
        split: their answers.
        loss: of the log-odds of an answer; the log loss when None.
    """
    return losses_of(foretell(model, valid, split), valid, split, loss=loss)


def losses_of(
    told: Foretold, valid: TrainingSet, split: HeldOut, *, loss: Loss | None = None
) -> F64:
    """`held_out_losses` of a model that has foretold the query answers."""
    target = valid.target[split.query].astype(np.float64)
    weight = valid.weight[split.query] * split.share
    total = np.zeros(len(target))
    for margin, variance in zip(told.margin, told.variance, strict=True):
        p = np.clip(predict(margin, variance, answering=told.answering), 1e-9, 1 - 1e-9)
        if loss is None:
            total -= (target * np.log(p) + (1 - target) * np.log1p(-p)) / 2
        else:
            total += loss(np.log(p) - np.log1p(-p), target) / 2
    count, who = valid.people, split.query_person
    with np.errstate(invalid="ignore"):
        return np.asarray(
            np.bincount(who, total * weight, count) / np.bincount(who, weight, count), np.float64
        )


def held_out_loss(
    model: PreferenceModel, valid: TrainingSet, split: HeldOut, *, loss: Loss | None = None
) -> float:
    """Mean of `held_out_losses` over people; NaN where nobody is judged."""
    losses = held_out_losses(model, valid, split, loss=loss)
    judged = losses[np.isfinite(losses)]
    return float(judged.mean()) if len(judged) else float("nan")


def simplest(losses: F64) -> int:
    """Column of the simplest candidate that is as good as the best one, as far as people can tell.

    Args:
        losses: `(p, c)` of people under candidates, from the simplest to the most complex.

    Returns:
        The first column whose mean excess over the best column is within one standard error of the
        paired differences.

    Source: Hastie, Tibshirani and Friedman 2009, section 7.10, the one-standard-error rule.
    """
    judged = losses[np.isfinite(losses).all(axis=1)]
    if len(judged) == 0:
        return 0
    excess = judged - judged[:, [int(judged.mean(axis=0).argmin())]]
    error = excess.std(axis=0) / np.sqrt(len(judged))
    return int(np.flatnonzero(excess.mean(axis=0) <= error)[0])


def everybody(train: TrainingSet, valid: TrainingSet) -> TrainingSet:
    """Training and validation people together: what chosen settings are fitted on at the end."""
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(train, name), getattr(valid, name)])
        for name in ("prompt", "a", "b", "target", "weight")
    }
    user = np.concatenate([train.user, valid.user + train.people])
    people = train.people + valid.people
    for name in BESIDE:
        first, second = getattr(train, name), getattr(valid, name)
        both = first is not None and second is not None
        columns[name] = np.concatenate([first, second]) if both else None
    return replace(train, user=user, **columns, people=people, is_support=None)


def folds(
    train: TrainingSet, valid: TrainingSet, count: int, *, seed: int
) -> Iterator[tuple[TrainingSet, TrainingSet]]:
    """The given pair, then pairs in which other people are held out, as many as in `valid`."""
    yield train, valid
    both = everybody(train, valid)
    order = np.random.default_rng(seed).permutation(train.people)
    for number in range(1, count):
        held = order[(number - 1) * valid.people : number * valid.people]
        if len(held) == 0 or len(held) == train.people:
            return
        yield part(both, np.setdiff1d(np.arange(both.people), held)), part(both, held)


def part(data: TrainingSet, people: I64) -> TrainingSet:
    """The rows of some people, coded from zero."""
    code = np.full(data.people, -1, np.int32)
    code[people] = np.arange(len(people), dtype=np.int32)
    rows = np.flatnonzero(code[data.user] >= 0)
    columns: dict[str, Any] = {
        n: getattr(data, n)[rows] for n in ("prompt", "a", "b", "target", "weight")
    }
    for name in BESIDE:
        column = getattr(data, name)
        columns[name] = None if column is None else column[rows]
    return replace(data, user=code[data.user[rows]], **columns, people=len(people), is_support=None)
