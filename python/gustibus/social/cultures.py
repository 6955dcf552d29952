"""Random profiles."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from gustibus import _core
from gustibus.errors import InputError
from gustibus.social.interning import checked_labels
from gustibus.social.profile import Profile
from gustibus.social.values import check_count, check_seed, check_threads
from gustibus.types import doubles

CULTURES = (
    "impartial",
    "anonymous",
    "urn",
    "mallows",
    "norm_mallows",
    "plackett_luce",
    "thurstone",
    "walsh",
    "conitzer",
    "euclidean",
    "single_crossing",
)
"""Names of cultures."""


def random_profile(
    n_ballots: int,
    n_items: int,
    culture: str = "impartial",
    *,
    parameter: float | None = None,
    centre: Sequence[int] | None = None,
    strengths: Sequence[float] | None = None,
    dimensions: int = 2,
    labels: Iterable[Hashable] | None = None,
    seed: int = 0,
    threads: int | None = None,
) -> Profile:
    """Full strict rankings drawn from a culture.

    A ballot depends on the seed and its number alone, so that a longer profile begins with a shorter
    one, except for `single_crossing`, and threads change nothing.

    Args:
        n_ballots: At least 1.
        n_items: At least 1.
        culture: `impartial`, all orders alike; `anonymous`, all multisets of orders alike; `urn`;
            `mallows` and `norm_mallows` around a centre; `plackett_luce` and `thurstone` around
            strengths; `walsh` and `conitzer`, single-peaked on the axis of the items; `euclidean`,
            by distance in a cube; `single_crossing`, of at most 20,000 items, for it swaps each two
            of them once.
        parameter: Of `urn`, its alpha of at least 0, by default from the gamma distribution of shape
            0.8; of `mallows` phi and of `norm_mallows` the normalised phi, in [0, 1], by default
            uniform; of `thurstone` the standard deviation of the noise, 1 by default.
        centre: `(m,)`, items by number, best first; rising numbers by default.
        strengths: `(m,)`, log-strengths of `plackett_luce` or means of `thurstone`.
        dimensions: Of `euclidean`.
        labels: `(m,)`, names of the items.
        seed: From 0 to 2^53.
        threads: Number of threads; every core by default.

    Raises:
        UnknownNameError: No such culture.
        InputError: A parameter is out of range.

    Examples:
        >>> random_profile(2, 3, "mallows", parameter=0.0).rankings.tolist()
        [[0, 1, 2], [0, 1, 2]]

    Source: Szufa et al. 2020; Doignon, Pekec and Regenwetter 2004; Boehmer et al. 2021.
    """
    n, m = check_count("n_ballots", n_ballots), check_count("n_items", n_items)
    names = checked_labels(labels) or tuple(range(m))
    if len(names) != m:
        message = f"labels: expected {m}, got {len(names)}"
        raise InputError(message)
    given = centre if strengths is None else strengths
    ballots = _core.social_sample(
        culture, n, m, _number(parameter), _vector(given), check_count("dimensions", dimensions),
        check_seed(seed), check_threads(threads),
    )  # fmt: skip
    return Profile.of_handle(ballots, names)


def _number(parameter: float | None) -> float | None:
    if parameter is None:
        return None
    try:
        return float(parameter)
    except (TypeError, ValueError):
        message = f"parameter: expected a number, got {parameter!r}"
        raise InputError(message) from None


def _vector(values: Sequence[float] | None) -> list[float] | None:
    if values is None:
        return None
    try:
        vector = doubles(values)
    except (TypeError, ValueError):
        message = f"centre, strengths: expected numbers, got {values!r:.60}"
        raise InputError(message) from None
    if vector.ndim != 1:
        message = f"centre, strengths: expected shape (m,), got {vector.shape}"
        raise InputError(message)
    out: list[float] = vector.tolist()
    return out
