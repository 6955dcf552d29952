"""Who sent the comparisons of a run: how much of its loss one may have, and what each has changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from gustibus.data import Dataset
from gustibus.errors import InputError
from gustibus.models.base import LinearInUser, PreferenceModel
from gustibus.models.hybrid import Hybrid
from gustibus.models.validation import representations
from gustibus.posterior import GaussianPrior
from gustibus.robustness.shares import limit_shares
from gustibus.training.sets import column_of, training_set
from gustibus.types import F64, I64, Bool

KEY_SHARE = 0.2
"""Of the loss, that one sender may have at most."""
_SHARE, _FIVE = 0.001, 5.0  # of the loss, and times an equal share, that one person may have
_TOLD = 20  # senders, those with the most weight


def senders(dataset: Dataset, column: str) -> list[str | None]:
    """Names of who sent each comparison, from a further column; None in empty cells.

    Raises:
        InputError: there is no such column.
    """
    cells = column_of(dataset, column, "keys")
    return [None if cell is None or cell != cell or cell == "" else str(cell) for cell in cells]


class Limited(NamedTuple):
    """Comparisons whose weights are limited in each part that is fitted on."""

    dataset: Dataset
    told: dict[str, Any]
    """For the card: the `share` of the training that one sender may have, and the senders that count for
    less, each with its factor (`limited`)."""


def limited(
    dataset: Dataset,
    parts: Sequence[I64],
    *,
    keys: str = "",
    key_share: float = KEY_SHARE,
    trusted: Collection[str] = (),
    people: bool = False,
) -> Limited:
    """The same comparisons, those of heavy senders and people scaled down in each part by itself.

    Args:
        dataset: the comparisons.
        parts: rows that are fitted on together; the first is the training. Others keep their weight.
        keys: column that names who sent each; empty where that is not told, or not limited.
        key_share: of a part's weight that one sender may have, in (0, 1]; 1/n where there are only n.
        trusted: senders that may have any share.
        people: whether nobody may have more than the larger of 0.1 % and five times an equal share.

    Raises:
        InputError: there is no such column.
    """
    c = dataset.comparisons
    weight = c.weight.astype(np.float64)
    sent = senders(dataset, keys) if keys else [None] * len(c)
    told: dict[str, Any] = {}
    for rows in (part for part in parts if len(part)):
        who = c.user[rows].tolist()
        most = max(_FIVE / max(len(set(who)), 1), _SHARE) if people else 1.0
        found = limit_shares(
            weight[rows], [sent[row] for row in rows.tolist()], share=key_share, trusted=trusted,
            person=who if people else None, person_share=min(1.0, most),
        )  # fmt: skip
        weight[rows] = found.weight
        told = told or {"share": found.share, "limited": found.limited}
    limits = replace(c, weight=weight.astype(np.float32))
    return Limited(replace(dataset, comparisons=limits), told)


def influences(
    model: PreferenceModel, dataset: Dataset, rows: I64, column: str
) -> list[dict[str, Any]]:
    """What each of the 20 senders with the most weight has changed in what the population likes.

    The population's user vector is fitted over the fixed representations, as that of one person who gave all
    answers, once with and once without a sender's: a refit of the last layer without the sender. Both
    are asked about the answers of all others.

    Args:
        model: the fitted model.
        dataset: with features.
        rows: that it was fitted on.
        column: that names who sent each comparison.

    Returns:
        For each sender, the heaviest first: `key`, its `answers`, the `share` of all weight, the share of the
        others' pairs that the population likes the other way round without it (`flipped`), and by how
        much others' answers are foretold more often without it (`gain_without`, a difference of accuracies,
        above 0 where the sender does harm). Empty where the model has no personal part that
        is linear in the user vector, or there are fewer than two senders.

    Raises:
        InputError: there is no such column.
    """
    named = senders(dataset, column)
    sent = [named[row] for row in rows.tolist()]
    inner = model.inner if isinstance(model, Hybrid) else model
    if not isinstance(inner, LinearInUser) or not isinstance(inner.prior, GaussianPrior):
        return []
    if inner.user_dim == 0 or len(set(sent)) < 2:
        return []
    try:
        _ = inner.prior.factored  # raises where the engine does not take the prior
    except InputError:  # people may be on a simplex, where it is flat
        return []
    view, _ = training_set(dataset, rows)
    a, b = representations(model, view, np.arange(len(view)))
    target, weight = view.target.astype(np.float64), view.weight.astype(np.float64)

    def margins(kept: Bool) -> F64:
        """`(n,)` of the population as the answers under a mask have it."""
        placed = LinearInUser.place(  # the engine, whatever the family does to place people
            inner, a[kept], b[kept], target[kept], weight=weight[kept], covariance=False
        )
        return inner.margin(placed.mean[0], a, b)

    code = {name: place for place, name in enumerate(dict.fromkeys(sent))}
    of_row = np.array([code[name] for name in sent])
    heavy = np.bincount(of_row, weight)
    counts = Counter(sent)
    everything = margins(np.ones(len(rows), np.bool_))
    told = []
    for name in sorted((n for n in code if n is not None), key=lambda n: (-heavy[code[n]], n))[
        :_TOLD
    ]:
        others = of_row != code[name]
        without = margins(others)
        judged = others & (target != 0.5)
        right = [float(np.mean((m[judged] > 0) == (target[judged] > 0.5))) if judged.any() else 0.0
                 for m in (everything, without)]  # fmt: skip
        flipped = np.sign(everything[others]) != np.sign(without[others])
        told.append({
            "key": name, "answers": counts[name], "share": float(heavy[code[name]] / heavy.sum()),
            "flipped": float(flipped.mean()), "gain_without": right[1] - right[0],
        })  # fmt: skip
    return told
