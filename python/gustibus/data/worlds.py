"""Worlds of vectors whose people are known.

Each returns a `Dataset` with the split that its source describes and the `Truth` behind it. Sides
are in random order, seen people are called `seen-…` and new ones `new-…`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gustibus.data.comparisons import Comparisons
from gustibus.data.dataset import Dataset
from gustibus.errors import InputError
from gustibus.types import F64, I64, Bool


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What made the answers; nothing here may be used as a feature."""

    margin: F64
    """`(n,)` true utility of a minus that of b, for the person who answered."""
    probability: F64
    """`(n,)` true probability that the person prefers a; 0 or 1 in worlds without noise."""
    people: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    """`(p, …)` true parameters of each person, in the order of `user_ids`."""
    world: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    """Parameters that all share."""
    utility: F64 | None = None
    """`(p, m)` utility of each item to each person, where it does not depend on the prompt."""


@dataclass(frozen=True, slots=True)
class Cell:
    """How many answers a kind of person gives for one part."""

    part: str
    answers: int


def schedule(
    seen: int, new: int, seen_cells: Sequence[Cell], new_cells: Sequence[Cell]
) -> tuple[I64, np.ndarray[Any, Any], I64]:
    """Person, part and order of every answer, person by person."""
    of_seen = [(c.part, k) for c in seen_cells for k in range(c.answers)]
    of_new = [(c.part, k) for c in new_cells for k in range(c.answers)]
    sizes = [len(of_seen)] * seen + [len(of_new)] * new
    rows = of_seen * seen + of_new * new
    parts = np.array([part for part, _ in rows], dtype=object)
    return np.repeat(np.arange(seen + new), sizes), parts, np.array([k for _, k in rows])


def bilinear_world(
    *,
    seen: int = 60,
    new: int = 30,
    groups: int = 2,
    train: int = 100,
    test: int = 40,
    support: int = 50,
    query: int = 100,
    dim: int = 8,
    seed: int,
) -> tuple[Dataset, Truth]:
    """Groups of people who map the prompt to the direction that they like (T1).

    The direction is `z = G p` with the group's map `G`; the item with the larger `cos(x, z)` is
    preferred, without noise. People belong to the groups in turn. Every comparison has a prompt and
    two items of its own, all standard normal; the entries of `G` have variance `1 / dim`.

    Args:
        seen: People with `train` and `test` answers.
        new: People with `support` and `query` answers.
        groups: Different maps.
        train: Answers of a seen person for fitting.
        test: Answers of a seen person for judging.
        support: Answers of a new person for placing.
        query: Answers of a new person for judging.
        dim: Features of prompts and items.
        seed: Of everything.

    The project's own.
    """
    rng = np.random.default_rng(seed)
    cells = (
        (Cell("train", train), Cell("test", test)),
        (Cell("support", support), Cell("query", query)),
    )
    who, part, order = schedule(seen, new, *cells)
    n = len(who)
    maps = rng.normal(0, dim**-0.5, (groups, dim, dim))
    prompts, items = rng.normal(size=(n, dim)), rng.normal(size=(2 * n, dim))
    group = np.arange(seen + new) % groups
    z = np.einsum("nij,nj->ni", maps[group[who]], prompts)
    unit = items / np.linalg.norm(items, axis=1, keepdims=True)
    liking = (unit.reshape(2, n, dim) * (z / np.linalg.norm(z, axis=1, keepdims=True))).sum(-1)
    a, b = np.arange(n), np.arange(n, 2 * n)
    dataset = _assemble(
        "bilinear",
        seen,
        who,
        np.arange(n),
        a,
        b,
        liking[0] > liking[1],
        part,
        order,
        items,
        prompts,
    )
    margin = liking[0] - liking[1]
    return dataset, Truth(margin, _sure(margin), {"group": group}, {"maps": maps})


def ideal_point_world(
    *,
    seen: int = 90,
    new: int = 60,
    groups: int = 3,
    train: int = 40,
    test: int = 100,
    support: int = 50,
    query: int = 100,
    dim: int = 16,
    latent: int = 4,
    seed: int,
) -> tuple[Dataset, Truth]:
    """Groups of people who each like what is close to a point of theirs (T2).

    Items are standard normal in `dim` dimensions and are compared in `latent` ones after a linear
    map with entries of variance `2.25 / dim`; the ideal points are `1.2` times standard normal. The
    item with the smaller squared distance is preferred, without noise. The utility is minus that
    distance. People belong to the groups in turn, and every comparison has two items of its own.

    Args:
        seen: People with `train` and `test` answers.
        new: People with `support` and `query` answers.
        groups: Different ideal points.
        train: Answers of a seen person for fitting.
        test: Answers of a seen person for judging.
        support: Answers of a new person for placing.
        query: Answers of a new person for judging.
        dim: Features of an item.
        latent: Dimensions of the space of ideal points.
        seed: Of everything.

    The project's own.
    """
    rng = np.random.default_rng(seed)
    cells = (
        (Cell("train", train), Cell("test", test)),
        (Cell("support", support), Cell("query", query)),
    )
    who, part, order = schedule(seen, new, *cells)
    n = len(who)
    projection = rng.normal(0, 1.5 / dim**0.5, (dim, latent))
    ideals = 1.2 * rng.normal(size=(groups, latent))
    items = rng.normal(size=(2 * n, dim))
    group = np.arange(seen + new) % groups
    away = (items @ projection).reshape(2, n, latent) - ideals[group[who]]
    distance = (away**2).sum(-1)
    margin = distance[1] - distance[0]
    a, b = np.arange(n), np.arange(n, 2 * n)
    asked = np.zeros(n, dtype=np.int64)
    dataset = _assemble("ideal-point", seen, who, asked, a, b, margin > 0, part, order, items, None)
    world = {"projection": projection, "ideals": ideals}
    return dataset, Truth(margin, _sure(margin), {"group": group}, world)


def linear_mixture_world(
    *,
    seen: int = 100,
    new: int = 60,
    bases: int = 6,
    concentration: float = 0.1,
    train: int = 20,
    test: int = 150,
    support: int = 64,
    query: int = 150,
    prompts: int = 300,
    responses: int = 8,
    dim: int = 24,
    saturated: bool = False,
    seed: int,
) -> tuple[Dataset, Truth]:
    """People whose linear reward is a mixture of a few base rewards (T3, and T6 if `saturated`).

    Base rewards are standard normal vectors, mixtures are Dirichlet, responses are standard normal.
    A comparison is between two random responses to a random prompt, without noise; nobody meets the
    same pair twice. A saturated world adds a strong reward that all share and compares the best
    with the worst response to a prompt: there a model without people is right on almost every pair,
    so a benchmark must reject it.

    Args:
        seen: People with `train` and `test` answers.
        new: People with `support` and `query` answers.
        bases: Base rewards.
        concentration: Of the Dirichlet distribution; small makes people alike one base.
        train: Answers of a seen person for fitting.
        test: Answers of a seen person for judging.
        support: Answers of a new person for placing.
        query: Answers of a new person for judging.
        prompts: How many there are.
        responses: To each prompt.
        dim: Features of a response.
        saturated: Make the control T6 instead.
        seed: Of everything.

    Raises:
        InputError: A person would need more pairs than there are.

    The project's own.
    """
    rng = np.random.default_rng(seed)
    cells = (
        (Cell("train", train), Cell("test", test)),
        (Cell("support", support), Cell("query", query)),
    )
    who, part, order = schedule(seen, new, *cells)
    base = rng.normal(size=(bases, dim))
    weights = rng.dirichlet(np.full(bases, concentration), size=seen + new)
    taste = weights @ base
    if saturated:
        taste = taste + _SHARED * rng.normal(size=dim)
    items = rng.normal(size=(prompts * responses, dim))
    utility = taste @ items.T
    left, right = np.triu_indices(responses, 1)
    pairs = 1 if saturated else len(left)
    most = int(np.bincount(who).max(initial=0))
    if most > prompts * pairs:
        message = f"train + test, support + query: expected at most {prompts * pairs}, got {most}"
        raise InputError(message, where="train")
    drawn = np.concatenate(
        [rng.choice(prompts * pairs, size=k, replace=False) for k in np.bincount(who)]
    )
    asked, pair = np.divmod(drawn, pairs)
    if saturated:
        ranked = utility.reshape(seen + new, prompts, responses)[who, asked].argsort(-1)
        a, b = ranked[:, -1], ranked[:, 0]
    else:
        a, b = left[pair], right[pair]
    a, b = _shuffled_sides(asked * responses + a, asked * responses + b, rng)
    margin = utility[who, a] - utility[who, b]
    name = "saturated" if saturated else "linear-mixture"
    dataset = _assemble(name, seen, who, asked, a, b, margin > 0, part, order, items, None)
    people = {"weights": weights, "taste": taste}
    return dataset, Truth(margin, _sure(margin), people, {"base": base}, utility)


_SHARED = 1.5
"""Strength of the shared reward of a saturated world, in units of one base reward."""


def _shuffled_sides(a: I64, b: I64, rng: np.random.Generator) -> tuple[I64, I64]:
    swap = rng.random(len(a)) < 0.5
    return np.where(swap, b, a), np.where(swap, a, b)


def _sure(margin: F64) -> F64:
    return (margin > 0).astype(np.float64)


def _assemble(
    name: str,
    seen: int,
    who: I64,
    asked: I64,
    a: I64,
    b: I64,
    prefers_a: Bool,
    part: np.ndarray[Any, Any],
    order: I64,
    items: F64,
    prompts: F64 | None,
) -> Dataset:
    """A data set whose people, prompts and items have numbers for names."""
    people = [f"seen-{i:03d}" if i < seen else f"new-{i - seen:03d}" for i in range(who.max() + 1)]
    questions = [f"prompt {i}" for i in range(asked.max() + 1)]
    texts = {f"item-{i:05d}": f"item {i}" for i in range(len(items))}
    ids = list(texts)
    comparisons = Comparisons.build(
        user=[people[i] for i in who],
        prompt=[questions[i] for i in asked],
        a=[ids[i] for i in a],
        b=[ids[i] for i in b],
        target=prefers_a.astype(np.float64),
        split=part,
        order=order,
        item_texts=texts,
        user_ids=people,
        prompts=questions,
    )
    return Dataset(
        comparisons,
        item_features=items.astype(np.float32),
        prompt_features=None if prompts is None else prompts.astype(np.float32),
        item_new=np.zeros(len(items), dtype=bool),
        user_table={"seen": np.arange(len(people)) < seen},
        name=name,
    )
