"""What a split is, and the check that its parts do not leak into one another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gustibus.data.origin import quoted
from gustibus.errors import InputError, UnknownNameError
from gustibus.showing import shown
from gustibus.types import I64

if TYPE_CHECKING:
    from gustibus.data.comparisons import Comparisons

Unit = Literal["prompt", "item"]
"""What is held out of fitting: whole prompts, or items."""

SEEN = ("train", "val", "test", "test_new_items")
"""Parts of the people that models are fitted on."""
VALID = ("valid_people", "valid_support", "valid_query")
"""Parts of the people that settings are chosen on; the first contains the others."""
NEW = ("support", "query", "query_new_items")
"""Parts of the people that nothing is fitted or chosen on."""
HELD_OUT = ("test_new_items", "query_new_items")
"""Parts whose prompts or items occur in no other part."""


@dataclass(frozen=True, slots=True, eq=False)
class Split(Mapping[str, I64]):
    """From the name of a part to the rows in it, with what was left out and why.

    The names are those of `SEEN`, `VALID` and `NEW`. The four cells of an evaluation are `test`,
    `test_new_items`, `query` and `query_new_items`.
    """

    parts: Mapping[str, I64]
    unit: Unit
    dropped: Mapping[str, int] = field(default_factory=dict)
    """How many rows are in no part, by reason."""

    def __post_init__(self) -> None:
        for name in self.parts:
            if name not in (*SEEN, *VALID, *NEW):
                raise UnknownNameError.of(kind="part", name=name, known=(*SEEN, *VALID, *NEW))

    def __repr__(self) -> str:
        return shown(self, **{name: len(rows) for name, rows in self.parts.items()}, unit=self.unit)

    def __getitem__(self, name: str) -> I64:
        return self.parts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.parts)

    def __len__(self) -> int:
        return len(self.parts)

    def assert_no_leak(self, comparisons: Comparisons) -> None:
        """Run `check_leaks`."""
        check_leaks(self, comparisons)


def check_leaks(split: Split, comparisons: Comparisons) -> None:
    """Refuse a split in which one part says something about another that it should not.

    Refused are: a row in two parts; a person in two of the groups `SEEN`, `VALID` and `NEW`; a
    prompt (or item, as `split.unit` says) of a part in `HELD_OUT` in any other part; the same two
    texts under the same prompt, whichever way round, judged by the same person in two parts. The
    same pair judged by somebody else is not a leak.

    Raises:
        InputError: With the number of leaks and an example.
    """
    c = comparisons
    rows, part, names = _stacked(split, [n for n in split if n not in VALID[1:]])
    group = np.array([0 if n in SEEN else 1 if n in VALID else 2 for n in names], dtype=np.int64)
    held = np.array([n in HELD_OUT for n in names], dtype=np.int64)
    groups, cells = ("seen", "valid", "new"), ("fitted", "held out")
    _refuse("rows", rows, part, names, lambda row: row)
    _refuse("people", c.user[rows], group[part], groups, lambda code: c.user_ids[code])
    if split.unit == "prompt":
        _refuse("prompts", c.prompt[rows], held[part], cells, lambda code: c.prompts[code])
    else:
        both = np.concatenate([c.a[rows], c.b[rows]])
        _refuse("items", both, np.tile(held[part], 2), cells, lambda code: c.item_ids[code])
    pairs = pair_keys(c)

    def example(key: int) -> str:
        row = int(np.flatnonzero(pairs == key)[0])
        a, b = (c.item_ids[side[row]] for side in (c.a, c.b))
        return f"{c.user_ids[c.user[row]]} on {a} against {b}"

    hint = "; given_split leaves the later ones out with repeats='drop'"
    _refuse("pairs of one person", pairs[rows], part, names, example, hint=hint)
    rows, part, names = _stacked(split, [n for n in VALID[1:] if n in split])
    _refuse("rows", rows, part, names, lambda row: row)
    _refuse("pairs of one person", pairs[rows], part, names, example)
    if not np.isin(rows, split.get("valid_people", rows)).all():
        message = "split: valid_support and valid_query have rows that valid_people lacks"
        raise InputError(message, where="split")


def pair_keys(comparisons: Comparisons) -> I64:
    """`(n,)` equal numbers where person, prompt and the unordered pair of texts are equal."""
    c = comparisons
    texts: dict[str, int] = {}
    code = np.array([texts.setdefault(t, len(texts)) for t in c.item_texts], dtype=np.int64)
    a, b = (code[side] for side in (c.a, c.b))  # empty tables have no rows to look up
    pair = _dense(np.minimum(a, b) * len(texts) + np.maximum(a, b))
    asked = _dense(c.user.astype(np.int64) * max(len(c.prompts), 1) + c.prompt)
    return _dense(asked * (pair.max(initial=0) + 1) + pair)


def straddling(keys: np.ndarray[Any, Any], part: I64, count: int) -> I64:
    """The distinct keys that occur in more than one of `count` parts, ascending."""
    met = np.unique(keys.astype(np.int64) * count + part) // max(count, 1)
    return np.unique(met[1:][met[1:] == met[:-1]])


def _dense(keys: I64) -> I64:
    return np.unique(keys, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _stacked(split: Split, names: Sequence[str]) -> tuple[I64, I64, Sequence[str]]:
    """Rows of the named parts one after the other, and the number of the part of each."""
    rows = [np.asarray(split[n], dtype=np.int64) for n in names]
    part = np.repeat(np.arange(len(names)), [len(r) for r in rows])
    return np.concatenate([np.empty(0, dtype=np.int64), *rows]), part, names


def _refuse(
    kind: str,
    keys: np.ndarray[Any, Any],
    part: I64,
    names: Sequence[str],
    show: Callable[[int], object],
    *,
    hint: str = "",
) -> None:
    leaks = straddling(keys, part, len(names))
    if len(leaks):
        where = " and ".join(names[k] for k in np.unique(part[keys == leaks[0]]))
        message = (
            f"split: {len(leaks)} {kind} are in more than one part, "
            f"such as {quoted(show(int(leaks[0])))} in {where}{hint}"
        )
        raise InputError(message, where="split")
