"""How far rankings are from each other."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gustibus import _core
from gustibus.errors import InputError
from gustibus.social.interning import BUCKETS
from gustibus.social.profile import Profile
from gustibus.social.values import check_threads

if TYPE_CHECKING:
    from gustibus.types import F64, I64

METRICS = ("kendall", "tau_a", "tau_b", "gamma", "footrule", "rho", "cayley", "ulam", "hamming")


def distances(
    profile: Profile,
    ranking: Sequence[Any],
    *,
    metric: str = "kendall",
    penalty: float = 0.5,
    threads: int | None = None,
) -> F64:
    """`(n,)`, how far each ballot is from a ranking.

    Items that a side leaves out are tied below its others, so that `kendall` of short lists is the
    top-k distance of Fagin, Kumar and Sivakumar.

    Args:
        profile: Ballots.
        ranking: Labels, best first; a list, tuple or set inside ties its items.
        metric: `kendall`, pairs ordered oppositely and `penalty` for each tied in exactly one;
            `footrule` and `rho`, displacements and their squares; `cayley`, `ulam` and `hamming`,
            swaps, moves and items displaced, for rankings without ties; or a correlation, `tau_a`,
            `tau_b` or `gamma`, 0 where it would divide by nothing.
        penalty: In [0, 1].
        threads: Number of threads; every core by default.

    Raises:
        UnknownNameError: No such metric.
        InputError: An unknown or repeated item, or ties where the metric has none.

    Source: Kendall 1945; Knight 1966; Diaconis 1988; Fagin, Kumar and Sivakumar 2003.
    """
    buckets = _buckets(ranking, profile.labels)
    return _core.social_distances(
        profile.handle, buckets, metric, float(penalty), check_threads(threads)
    )


def distance(
    a: Sequence[Any], b: Sequence[Any], *, metric: str = "kendall", penalty: float = 0.5
) -> float:
    """How far two rankings are from each other; see `distances`.

    Examples:
        >>> distance("abcd", "abdc"), distance([["a", "b"], "c"], "cab", penalty=0.25)
        (1.0, 2.25)
    """
    first, second = list(a), list(b)
    if not first and not second:
        message = "a, b: expected at least one item, got none"
        raise InputError(message)
    names = Profile([first, second], compact=False).labels
    return float(
        distances(Profile([first], labels=names), second, metric=metric, penalty=penalty)[0]
    )


def _buckets(ranking: Sequence[Any], labels: Sequence[Hashable]) -> I64:
    number = {label: i for i, label in enumerate(labels)}
    out = np.full(len(labels), len(labels), np.int64)
    for place, entry in enumerate(ranking):
        for item in entry if isinstance(entry, BUCKETS) else [entry]:
            if item not in number:
                message = f"ranking: expected labels of the profile, got {item!r}"
                raise InputError(message)
            if out[number[item]] < len(labels):
                message = f"ranking: expected each item at most once, got {item!r} twice"
                raise InputError(message)
            out[number[item]] = place
    return out


class Overlap(NamedTuple):
    """Rank-biased overlap of two lists: what they show and what lies beyond their ends."""

    extrapolated: float
    minimum: float
    residual: float
    """`minimum + residual` is the most that longer lists could reach."""


def rbo(a: Sequence[Hashable], b: Sequence[Hashable], *, persistence: float = 0.9) -> Overlap:
    """Rank-biased overlap of two lists without ties, of any lengths.

    Args:
        a: Labels, best first.
        b: Labels, best first.
        persistence: Chance to go on to the next place, above 0 and below 1.

    Raises:
        InputError: An empty list, an item twice, or a persistence out of range.

    Source: Webber, Moffat and Zobel 2010, equations 11, 30 and 32.
    """
    if not 0 < persistence < 1:
        message = f"persistence: expected a number in (0, 1), got {persistence!r}"
        raise InputError(message)
    long, short = sorted((list(a), list(b)), key=len, reverse=True)
    for name, items in (("a", a), ("b", b)):
        if not len(items) or len(set(items)) < len(items):
            message = f"{name}: expected different items, at least one, got {items!r:.60}"
            raise InputError(message)
    p, s, l = persistence, len(short), len(long)  # noqa: E741 - the letters of the equations
    place = {item: at for at, item in enumerate(long)}
    deeper = np.array([max(at, place[x]) for at, x in enumerate(short) if x in place], np.int64)
    overlap = np.cumsum(np.bincount(deeper, minlength=l)).astype(np.float64)  # (l,)
    depth = np.arange(1, l + 1)
    weight = p**depth / depth
    common, common_short = overlap[-1], overlap[s - 1]
    scale = (1 - p) / p
    minimum = scale * (((overlap - common) * weight).sum() - common * np.log1p(-p))
    tail = depth > s
    extrapolated = (
        scale * ((overlap * weight).sum() + (common_short * (depth - s) / s * weight)[tail].sum())
        + ((common - common_short) / l + common_short / s) * p**l
    )
    f = int(l + s - common)
    far = np.arange(1, f + 1)
    far_weight = p**far / far
    rest = -np.log1p(-p) - far_weight.sum()
    residual = (
        p**s
        + p**l
        - p**f
        - scale * (s * far_weight[s:].sum() + l * far_weight[l:].sum() + common * rest)
    )
    return Overlap(float(extrapolated), float(minimum), float(residual))
