"""The pool of questions: pairs of responses to one prompt, frozen with the model that made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from gustibus.errors import ArtifactError, InputError
from gustibus.models.base import PreferenceModel, check_features
from gustibus.showing import shown
from gustibus.types import F32, F64, I64, Bool

_TEXTS = ("texts_a", "texts_b", "prompts", "ids")


class Linear(NamedTuple):
    """Margins of pairs as a straight line in the user vector: `offset + delta . w`."""

    delta: F64
    """`(m, u)`."""
    offset: F64
    """`(m,)`."""


@dataclass(frozen=True, eq=False)
class QuestionPool:
    """Pairs that may be asked, and pairs kept aside to say how well a person is known.

    Attributes:
        a: `(m, r)` representations of the first sides.
        b: `(m, r)` representations of the second sides.
        texts_a: `m` texts of the first sides; empty where there are only embeddings.
        texts_b: `m` texts of the second sides.
        prompts: `m` prompts.
        ids: `m` names, all different.
        held_out: `(m,)`; True for pairs that are never asked and on which confidence is measured.
        locales: `m` language tags (BCP 47) of what is shown, empty for a pair of which it is not known;
            none at all where it is known of no pair.
        closed: `(m,)`; True for pairs that are neither asked nor measured on, as those of other languages.

    Raises:
        InputError: lengths or shapes differ, a name occurs twice, a number is not finite.
    """

    a: F32
    b: F32
    texts_a: tuple[str, ...]
    texts_b: tuple[str, ...]
    prompts: tuple[str, ...]
    ids: tuple[str, ...]
    held_out: Bool = field(default_factory=lambda: np.zeros(0, np.bool_))
    locales: tuple[str, ...] = ()
    closed: Bool = field(default_factory=lambda: np.zeros(0, np.bool_))

    _line: list[tuple[PreferenceModel, Linear]] = field(
        default_factory=list, init=False, repr=False
    )
    _narrowed: dict[str, QuestionPool] = field(default_factory=dict, init=False, repr=False)

    def __repr__(self) -> str:
        held = int(self.held_out.sum())
        return shown(self, pairs=len(self.ids), held_out=held, texts=any(self.texts_a))

    def __post_init__(self) -> None:
        """Check shapes once; later code trusts them."""
        shape = np.shape(self.a)
        width = shape[1] if len(shape) == 2 else 0
        a, b = check_features("a", self.a, width), check_features("b", self.b, width)
        m = len(a)
        held_out = np.asarray(self.held_out, np.bool_)
        held_out = np.zeros(m, np.bool_) if held_out.shape == (0,) else held_out
        closed = np.asarray(self.closed, np.bool_)
        closed = np.zeros(m, np.bool_) if closed.shape == (0,) else closed
        lengths = {"b": len(b), "held_out": len(held_out), "closed": len(closed)}
        lengths |= {"locales": len(self.locales)} if self.locales else {}
        lengths |= {name: len(getattr(self, name)) for name in _TEXTS}
        for name, length in lengths.items():
            if length != m:
                message = f"{name}: expected {m} entries, one a pair as in a, got {length}"
                raise InputError(message, where=name)
        if len(set(self.ids)) != m:
            seen: set[str] = set()
            twice = next(i for i in self.ids if i in seen or seen.add(i))  # type: ignore[func-returns-value]  # add returns None, which is false: the name is remembered
            message = f"ids: expected different names, got {twice!r} twice"
            raise InputError(message, where="ids")
        for name, value in (("a", a), ("b", b), ("held_out", held_out), ("closed", closed)):
            value.flags.writeable = False
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.a)

    @cached_property
    def askable(self) -> I64:
        """Rows that may be asked, rising."""
        return np.flatnonzero(~(self.held_out | self.closed))

    def still_open(self, asked: Sequence[int]) -> Bool:
        """`(m,)`; True for pairs that may be asked and have not been.

        Raises:
            InputError: a row is not in the pool.
        """
        rows = np.asarray(asked, np.int64)
        if len(rows) and not (rows.min() >= 0 and rows.max() < len(self)):
            got = f"{rows.min()} to {rows.max()}"
            message = f"asked: expected rows from 0 to {len(self) - 1}, got {got}"
            raise InputError(message, where="asked")
        open_ = ~(self.held_out | self.closed)
        open_[rows] = False
        return open_

    def sample(self, most: int = 256) -> I64:
        """Rows on which confidence is measured: those held out, else evenly spaced askable ones."""
        rows = np.flatnonzero(self.held_out & ~self.closed)
        if len(rows) == 0:
            rows = self.askable
        if len(rows) <= most:
            return rows
        return rows[np.linspace(0, len(rows) - 1, most).round().astype(np.int64)]

    def within(self, locale: str, *, least: int = 1) -> tuple[QuestionPool, str]:
        """The same pool, of which only pairs in somebody's language are asked, and what was found.

        `de-AT` finds pairs of `de-AT`, else those of `de` and of what belongs to it, else all pairs,
        which is `*` (RFC 4647, filtering by ever shorter tags).

        Args:
            locale: a language tag, as in BCP 47.
            least: pairs that may be asked; with fewer, a tag finds nothing.
        """
        subtags = locale.lower().split("-")
        for count in range(len(subtags), 0, -1):
            tag = "-".join(subtags[:count])
            found = self._narrowed.get(tag) or self._of_language(tag)
            if found is not None and len(found.askable) >= least:
                return found, "-".join(locale.split("-")[:count])
        return self, "*"

    def _of_language(self, tag: str) -> QuestionPool | None:
        mine = [one.lower() == tag or one.lower().startswith(f"{tag}-") for one in self.locales]
        if not any(mine):
            return None
        found = replace(self, closed=self.closed | ~np.array(mine))
        object.__setattr__(found, "_line", self._line)  # of the same pairs
        self._narrowed[tag] = found
        return found

    def line(self, model: PreferenceModel, user: F64) -> Linear:
        """Every pair's margin linearised at a user vector `(u,)`.

        For families that are linear in the user the answer does not depend on `user`: it is
        computed once for the model last used and kept.
        """
        kept = self._line
        if kept and kept[0][0] is model:
            return kept[0][1]
        here = _linearize(model, user, self.a, self.b)
        if _is_linear(model, user, self.a, self.b, here):
            here.delta.flags.writeable = False
            here.offset.flags.writeable = False
            kept[:] = [(model, here)]
        return here

    def delta(self, model: PreferenceModel, user: F64) -> F64:
        """`(m, u)`: how each pair's margin changes with the user vector."""
        return self.line(model, user).delta

    def offset(self, model: PreferenceModel, user: F64) -> F64:
        """`(m,)`: each pair's margin that does not come from `delta . user`."""
        return self.line(model, user).offset

    def save(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """JSON parameters and arrays that `load` turns into an equal pool."""
        params = {name: list(getattr(self, name)) for name in _TEXTS}
        if self.locales:
            params["locales"] = list(self.locales)
        arrays = {"a": self.a, "b": self.b, "held_out": self.held_out.astype(np.uint8)}
        return params, arrays

    @classmethod
    def load(cls, params: Mapping[str, Any], arrays: Mapping[str, Any]) -> QuestionPool:
        """Inverse of `save`.

        Raises:
            ArtifactError: an entry is missing.
        """
        missing = [n for n in _TEXTS if n not in params]
        missing += [n for n in ("a", "b", "held_out") if n not in arrays]
        if missing:
            message = f"pool: expected entries for texts, ids and arrays, {missing} are missing"
            raise ArtifactError(message, where="pool")
        texts = {name: tuple(str(text) for text in params[name]) for name in _TEXTS}
        a, b = np.asarray(arrays["a"]), np.asarray(arrays["b"])
        return cls(
            a, b, texts["texts_a"], texts["texts_b"], texts["prompts"], texts["ids"],
            held_out=np.asarray(arrays["held_out"]).astype(np.bool_),
            locales=tuple(str(locale) for locale in params.get("locales", ())),
        )  # fmt: skip


def _linearize(model: PreferenceModel, user: F64, a: F32, b: F32) -> Linear:
    margin, slope = model.contrast(user, a, b)
    delta = np.ascontiguousarray(slope, np.float64)  # (m, u)
    return Linear(delta, np.ascontiguousarray(margin - delta @ user, np.float64))


def _is_linear(model: PreferenceModel, user: F64, a: F32, b: F32, here: Linear) -> bool:
    """Whether the line through `user` is also the line through a distant point, on some rows."""
    rows = np.linspace(0, len(a) - 1, min(len(a), 32)).astype(np.int64)
    away = np.random.default_rng(0).standard_normal(len(user)) + 2.0 * user
    there = _linearize(model, away, a[rows], b[rows])
    return bool(
        np.allclose(here.delta[rows], there.delta, rtol=1e-6, atol=1e-9)
        and np.allclose(here.offset[rows], there.offset, rtol=1e-6, atol=1e-6)
    )
