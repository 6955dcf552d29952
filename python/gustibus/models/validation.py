"""How a family is judged on held-out people while it is being fitted: never on test people."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from gustibus.models.base import PreferenceModel, TrainingSet
from gustibus.posterior import Posteriors, predict
from gustibus.types import F32, F64, I64


class HeldOut(NamedTuple):
    """Answers of validation people: the first part places them, the rest judges the placing."""

    support: I64
    support_starts: I64
    query: I64
    query_person: I64


def hold_out(data: TrainingSet, *, most: int = 20) -> HeldOut:
    """At most `most` support rows a person: those marked, or the first half of the rows."""
    judged = np.zeros(len(data), bool) if data.is_support is None else ~data.is_support
    order = np.lexsort((judged, data.user))  # people in order, their support first
    counts = np.bincount(data.user, minlength=data.people)
    marked = counts // 2
    if data.is_support is not None:
        marked = np.bincount(data.user[data.is_support], minlength=data.people)
    position = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    person = np.repeat(np.arange(data.people), counts)
    taken = np.minimum(marked, most)
    is_support, is_query = position < taken[person], position >= marked[person]
    starts = np.concatenate([[0], np.cumsum(taken)]).astype(np.int64)
    return HeldOut(order[is_support], starts, order[is_query], person[is_query])


def representations(model: PreferenceModel, data: TrainingSet, rows: I64) -> tuple[F32, F32]:
    """Representations of both sides of some rows, `(s, r)` each; distinct items are done once."""
    if model.prompt_dim == 0:
        used, code = np.unique(np.concatenate([data.a[rows], data.b[rows]]), return_inverse=True)
        table = model.represent(data.item_features[used])
        return table[code[: len(rows)]], table[code[len(rows) :]]
    assert data.prompt_features is not None, "a model that reads prompts was fitted on prompts"
    prompts = data.prompt_features[data.prompt[rows]]
    a = model.represent(data.item_features[data.a[rows]], prompts)
    return a, model.represent(data.item_features[data.b[rows]], prompts)


def predictive(
    model: PreferenceModel, posteriors: Posteriors, person: I64, a: F32, b: F32
) -> tuple[F64, F64]:
    """Mean margin and P(a) averaged over each row's person, `(s,)` each; rows sorted by person."""
    margin, variance = np.empty(len(a)), np.empty(len(a))
    edges = np.flatnonzero(np.diff(person, prepend=-1, append=-2))
    for start, stop in pairwise(edges):
        who = posteriors[int(person[start])]
        rows = slice(start, stop)
        value_a, slope_a = model.linearize(who.mean, a[rows])
        value_b, slope_b = model.linearize(who.mean, b[rows])
        slope = slope_a - slope_b  # (s, u)
        margin[rows] = value_a - value_b
        variance[rows] = np.einsum("su,uv,sv->s", slope, who.covariance, slope)
    return margin, predict(margin, np.maximum(variance, 0), answering=model.answering)


def held_out_loss(model: PreferenceModel, valid: TrainingSet, split: HeldOut) -> float:
    """Mean log loss on the query answers of validation people placed by their support answers.

    Half of it is the loss without any support, so that the population part counts too.
    """
    if len(split.query) == 0:
        return float("nan")
    support_a, support_b = representations(model, valid, split.support)
    query_a, query_b = representations(model, valid, split.query)
    target = valid.target[split.query].astype(np.float64)
    weight = valid.weight[split.query].astype(np.float64)
    losses = []
    for starts, rows in (
        (split.support_starts, slice(None)),
        (np.zeros(valid.people + 1, np.int64), slice(0, 0)),
    ):
        placed = model.place(
            support_a[rows], support_b[rows],
            valid.target[split.support][rows].astype(np.float64),
            weight=valid.weight[split.support][rows].astype(np.float64), starts=starts,
        )  # fmt: skip
        _, p = predictive(model, placed, split.query_person, query_a, query_b)
        p = np.clip(p, 1e-9, 1 - 1e-9)
        loss = -(target * np.log(p) + (1 - target) * np.log1p(-p))
        losses.append(float((loss * weight).sum() / weight.sum()))
    return sum(losses) / 2
