"""Ways to split a data set by person and by prompt or item; none of them leaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from gustibus.data.leaks import (
    HELD_OUT,
    NEW,
    SEEN,
    VALID,
    Split,
    Unit,
    check_leaks,
    pair_keys,
)
from gustibus.errors import InputError

if TYPE_CHECKING:
    from gustibus.data.comparisons import Comparisons
    from gustibus.data.dataset import Dataset
    from gustibus.types import F64, I64, Bool

__all__ = [
    "FEW_PROMPTS",
    "HELD_OUT",
    "NEW",
    "SEEN",
    "VALID",
    "Split",
    "check_leaks",
    "fitted_split",
    "four_cells",
    "given_split",
    "split_by_person",
    "split_by_prompt",
]

FEW_PROMPTS = 20
"""With fewer prompts than this, items are held out instead of prompts."""

_HOLD_NONE = "to train with nothing held out: --split all, in a run file split = 'all'"


def split_by_person(comparisons: Comparisons, share: float, *, seed: int) -> Split:
    """Hold out people: `query` has the rows of a `share` of the people, `train` the others.

    Raises:
        InputError: `share` is not between 0 and 1, or a side would have nobody.
    """
    _check_share("share", share)
    who = np.flatnonzero(comparisons.counts)
    new = _drawn(who, share, np.random.default_rng(seed), "people")
    held = np.isin(comparisons.user, new)
    parts = {"train": np.flatnonzero(~held), "query": np.flatnonzero(held)}
    return _checked(Split(parts, _unit(comparisons, "auto")), comparisons)


def split_by_prompt(
    comparisons: Comparisons,
    share: float,
    *,
    seed: int,
    unit: Unit | Literal["auto"] = "auto",
) -> Split:
    """Hold out prompts, or items where there are few prompts: parts `train` and `test_new_items`.

    With items, only comparisons between two held-out items are `test_new_items`; those of one
    held-out item with another item are dropped and counted as `mixed`.

    Args:
        comparisons: What to split.
        share: Of the prompts or items, between 0 and 1.
        seed: Of the draw.
        unit: "auto" holds out items where there are fewer than `FEW_PROMPTS` prompts.

    Raises:
        InputError: `share` is not between 0 and 1, or a side would be empty.
    """
    _check_share("share", share)
    unit = _unit(comparisons, unit)
    held, mixed = _held_out(comparisons, share, unit, np.random.default_rng(seed))
    parts = {"train": np.flatnonzero(~held & ~mixed), "test_new_items": np.flatnonzero(held)}
    return _checked(Split(parts, unit, {"mixed": int(mixed.sum())}), comparisons)


def four_cells(
    comparisons: Comparisons,
    *,
    new_users: float = 0.2,
    new_prompts: float = 0.15,
    valid_people: float = 0.1,
    test: float = 0.2,
    val: float = 0.1,
    seed: int,
    unit: Unit | Literal["auto"] = "auto",
) -> Split:
    """Split so that all four cells of seen and new people and prompts can be judged.

    People are divided into seen, valid and new; prompts (or items, as in `split_by_prompt`) into
    seen and held out. A seen person's rows on seen prompts become `train`, `val` and `test`, on
    held-out ones `test_new_items`. A new person's rows on seen prompts become `support` and `query`
    by halves, on held-out ones `query_new_items`; a valid person's `valid_support` and
    `valid_query` by halves, together `valid_people`, while those on held-out prompts are dropped.
    Repeats of one pair by one person stay together. On little data a cell can be empty.

    Args:
        comparisons: What to split.
        new_users: Share of the people that are new; only people with two different pairs can be.
        new_prompts: Share of the prompts or items that are held out.
        valid_people: Share of the people that are valid, chosen likewise.
        test: Share of each seen person's pairs that are `test`.
        val: Share that are `val`. Any of the shares can be 0.
        seed: Of all draws.
        unit: What is held out.

    Raises:
        InputError: A share is out of range, or there are too few people, prompts or items.
    """
    for name, share in (
        ("new_users", new_users),
        ("new_prompts", new_prompts),
        ("valid_people", valid_people),
        ("val", val),
        ("test", test),
    ):
        _check_share(name, share, zero=True)
    if new_users + valid_people >= 1 or test + val >= 1:
        message = "expected new_users + valid_people < 1 and test + val < 1"
        raise InputError(message, where="new_users")
    c, rng = comparisons, np.random.default_rng(seed)
    unit = _unit(c, unit)
    held, mixed = _held_out(c, new_prompts, unit, rng)
    keys = pair_keys(c)
    open_rows = np.flatnonzero(~held & ~mixed)
    able, total = _able_people(c, keys, open_rows), int((c.counts > 0).sum())
    chosen = rng.permutation(able)
    n_new, n_valid = (max(1, round(s * total)) if s else 0 for s in (new_users, valid_people))
    if n_new + n_valid > len(able) or n_new + n_valid >= total:
        message = (
            f"comparisons: expected more than {n_new + n_valid} people to hold {n_new + n_valid} "
            f"out who have judged two different pairs, got {_people(total)}, {len(able)} of whom "
            f"have; {_HOLD_NONE}"
        )
        raise InputError(message, where="comparisons")
    kind = np.zeros(len(c.user_ids), dtype=np.int64)  # 0 seen, 1 valid, 2 new
    kind[chosen[:n_new]] = 2
    kind[chosen[n_new : n_new + n_valid]] = 1
    who, place = kind[c.user], _place_in_person(c, keys, open_rows, rng)
    free = ~held & ~mixed
    masks = {
        "train": (who == 0) & free & (place >= test + val),
        "val": (who == 0) & free & (place >= test) & (place < test + val),
        "test": (who == 0) & free & (place < test),
        "test_new_items": (who == 0) & held,
        "valid_people": (who == 1) & free,
        "valid_support": (who == 1) & free & (place >= 0.5),
        "valid_query": (who == 1) & free & (place < 0.5),
        "support": (who == 2) & free & (place >= 0.5),
        "query": (who == 2) & free & (place < 0.5),
        "query_new_items": (who == 2) & held,
    }
    parts = {name: np.flatnonzero(mask) for name, mask in masks.items()}
    dropped = {"mixed": int(mixed.sum()), "valid_held_out": int(((who == 1) & held).sum())}
    return _checked(Split(parts, unit, dropped), c)


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"


def fitted_split(comparisons: Comparisons, *, seen: Bool, fitted: Bool, seed: int) -> Split:
    """The split that judges a model which was fitted before, on what it was not fitted on.

    A seen person's rows become `train` where the model was fitted on them, else `test`; a new person's
    become `support` and `query` by halves. Repeats of one pair by one person stay together: those that
    are not in the first of these parts are dropped and counted as `repeated_pair`.

    Args:
        comparisons: What to split.
        seen: `(p,)` people whom the model was fitted on.
        fitted: `(n,)` rows that it was fitted on.
        seed: Of the halves.
    """
    c, keys = comparisons, pair_keys(comparisons)
    place = _place_in_person(c, keys, np.arange(len(c)), np.random.default_rng(seed))
    known = seen[c.user]
    masks = {
        "train": known & fitted, "test": known & ~fitted,
        "support": ~known & (place >= 0.5), "query": ~known & (place < 0.5),
    }  # fmt: skip
    parts = {name: np.flatnonzero(mask) for name, mask in masks.items()}
    dropped = {"repeated_pair": _drop_repeats(c, parts)}
    return _checked(Split(parts, _unit(c, "auto"), dropped), c)


def given_split(
    dataset: Dataset,
    *,
    valid_people: float = 0.1,
    seed: int = 0,
    repeats: Literal["refuse", "drop"] = "refuse",
) -> Split:
    """The split that the data came with, with some of the seen people set aside.

    `query` rows between two held-out items become `query_new_items`; those between a held-out item
    and another are dropped and counted as `mixed`. Held out are the items of `item_new`; where that
    is not known, those that occur in no `train`, `val`, `test` or `support` row. The people set
    aside are `valid_people`: their `train` rows are `valid_support`, `test` rows `valid_query`.

    Args:
        dataset: With a `split` column; rows whose split is "" are in no part.
        valid_people: Share of the seen people with `train` and `test` rows; 0 for none.
        seed: Of the draw of people.
        repeats: What to do where one person judged one pair of texts in two parts: refuse, or drop
            the rows that are not in the first of these parts and count them as `repeated_pair`.

    Raises:
        InputError: There is no split, or it leaks.
    """
    _check_share("valid_people", valid_people, zero=True)
    c = dataset.comparisons
    if c.split is None or not c.split.astype(bool).any():
        message = f"{dataset.name}: expected a column split, got none; four_cells makes a split"
        raise InputError(message, where="split")
    names = ("train", "val", "test", "test_new_items", "support", "query")
    parts = {name: np.flatnonzero(c.split == name) for name in names}
    new = _new_items(dataset, parts)
    both, one = new[c.a] & new[c.b], new[c.a] ^ new[c.b]
    asked = parts["query"]
    parts["query"], parts["query_new_items"] = asked[~(both | one)[asked]], asked[both[asked]]
    dropped = {"mixed": int(one[asked].sum())}
    if repeats == "drop":
        dropped["repeated_pair"] = _drop_repeats(c, parts)
    check_leaks(Split(parts, "item"), c)  # before people move, so that the message fits the file
    parts, dropped["valid_held_out"] = _set_aside(
        c, parts, valid_people, np.random.default_rng(seed)
    )
    return _checked(Split(parts, "item", dropped), c)


def _new_items(dataset: Dataset, parts: dict[str, I64]) -> Bool:
    """`(m,)` which items are held out."""
    if dataset.item_new is not None:
        return dataset.item_new
    c = dataset.comparisons
    new = np.ones(len(c.item_ids), dtype=bool)
    for name in ("train", "val", "test", "support"):
        new[c.a[parts[name]]] = False
        new[c.b[parts[name]]] = False
    return new


def _drop_repeats(c: Comparisons, parts: dict[str, I64]) -> int:
    """Remove rows whose pair the same person has in an earlier part; return how many."""
    keys, before = pair_keys(c), np.empty(0, dtype=np.int64)
    removed = 0
    for name, rows in parts.items():
        repeated = np.isin(keys[rows], before)
        parts[name] = rows[~repeated]
        before = np.union1d(before, keys[rows])
        removed += int(repeated.sum())
    return removed


def _set_aside(
    c: Comparisons, parts: dict[str, I64], share: float, rng: np.random.Generator
) -> tuple[dict[str, I64], int]:
    """Parts in which some people are valid people, and the number of held-out rows they lose."""
    able = np.intersect1d(c.user[parts["train"]], c.user[parts["test"]])
    count = max(1, round(share * len(able))) if share and len(able) > 1 else 0
    people = rng.choice(able, size=count, replace=False)
    moved = {n: parts[n][np.isin(c.user[parts[n]], people)] for n in SEEN}
    result = {n: np.setdiff1d(parts[n], moved[n]) for n in SEEN}
    result |= {
        "valid_people": np.sort(np.concatenate([moved[n] for n in ("train", "val", "test")])),
        "valid_support": moved["train"],
        "valid_query": moved["test"],
    }
    return result | {n: parts[n] for n in NEW}, len(moved["test_new_items"])


def _held_out(
    c: Comparisons, share: float, unit: Unit, rng: np.random.Generator
) -> tuple[Bool, Bool]:
    """`(n,)` rows that are held out, and rows that are half so."""
    if share == 0:
        return np.zeros(len(c), dtype=bool), np.zeros(len(c), dtype=bool)
    if unit == "prompt":
        new = _drawn(np.unique(c.prompt), share, rng, "prompts")
        held = np.isin(c.prompt, new)
        return held, np.zeros(len(c), dtype=bool)
    texts: dict[str, int] = {}
    code = np.array([texts.setdefault(t, len(texts)) for t in c.item_texts], dtype=np.int64)
    a, b = code[c.a], code[c.b]  # items with one text are held out together
    new = _drawn(np.union1d(a, b), share, rng, "items", least=2)
    left, right = np.isin(a, new), np.isin(b, new)
    return left & right, left ^ right


def _able_people(c: Comparisons, keys: I64, rows: I64) -> I64:
    """People with at least two different pairs among `rows`, so that these can be divided."""
    first = np.unique(keys[rows], return_index=True)[1]
    pairs = np.bincount(c.user[rows[first]], minlength=len(c.user_ids))
    return np.flatnonzero(pairs >= 2)


def _place_in_person(c: Comparisons, keys: I64, rows: I64, rng: np.random.Generator) -> F64:
    """`(n,)` random place of a row's pair among its person's pairs, from 0 to below 1.

    Pairs are spread evenly, so a person's share of places below `x` is `x` up to one pair.
    """
    distinct, first = np.unique(keys[rows], return_index=True)
    who = c.user[rows[first]]
    shuffled = np.lexsort((rng.random(len(distinct)), who))
    sizes = np.bincount(who, minlength=len(c.user_ids))
    rank = np.arange(len(distinct)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    spot = np.empty(len(distinct))
    spot[shuffled] = (rank + 0.5) / np.repeat(sizes, sizes)
    place = np.full(len(c), np.nan)
    place[rows] = spot[np.searchsorted(distinct, keys[rows])]
    return place


def _drawn(among: I64, share: float, rng: np.random.Generator, kind: str, *, least: int = 1) -> I64:
    """A random `share` of the codes, at least `least` and not all."""
    if len(among) <= least:
        message = (
            f"comparisons: expected more than {least} {kind} to hold some out, got {len(among)}; "
            f"{_HOLD_NONE}"
        )
        raise InputError(message, where="comparisons")
    count = min(max(least, round(share * len(among))), len(among) - 1)
    return rng.choice(among, size=count, replace=False)


def _unit(c: Comparisons, unit: Unit | Literal["auto"]) -> Unit:
    if unit != "auto":
        return unit
    return "item" if len(np.unique(c.prompt)) < FEW_PROMPTS else "prompt"


def _check_share(name: str, share: float, *, zero: bool = False) -> None:
    if not (0 <= share < 1) or (share == 0 and not zero):
        message = f"{name}: expected a share between 0 and 1, got {share!r}"
        raise InputError(message, where=name)


def _checked(split: Split, comparisons: Comparisons) -> Split:
    split.assert_no_leak(comparisons)
    return split
