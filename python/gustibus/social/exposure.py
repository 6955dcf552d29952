"""Lotteries over rankings that share exposure between groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gustibus import _core
from gustibus.errors import InfeasibleError, InputError, MissingExtraError
from gustibus.social.arguments import reals, seed_of
from gustibus.social.grouping import Grouping, grouping

if TYPE_CHECKING:
    from gustibus.social.interning import Labels
    from gustibus.types import F64, I64


@dataclass(frozen=True, slots=True)
class ExposurePolicy:
    """A lottery over rankings with fair expected exposure."""

    matrix: F64
    """`(m, m)`, probability of each item (row) at each place (column)."""
    rankings: I64
    """`(r, m)`, items of each ranking, best place first."""
    weights: F64
    """`(r,)`, probability of each ranking; they sum to one."""
    utility: float
    """Expected utility `sum_i sum_j relevance_i matrix_ij / log2(j + 2)`."""
    best_utility: float
    """That of the ranking by relevance."""
    groups: Labels
    exposure: F64
    """`(g,)`, expected mean exposure of the items of each group."""

    def sample(self, n: int = 1, *, seed: int = 0) -> I64:
        """`(n, m)`, rankings drawn from the lottery."""
        rng = np.random.default_rng(seed_of(seed))
        return self.rankings[rng.choice(len(self.weights), size=n, p=self.weights)]


def exposure_policy(relevance: Any, groups: Any, *, parity: str = "demographic") -> ExposurePolicy:
    """The lottery over rankings with the most expected utility under fair exposure.

    A linear program over doubly stochastic matrices: place `j` (from 1) has the exposure
    `1 / log2(j + 1)`, and groups have equal mean exposure (`demographic`), or mean exposure in
    proportion to their mean relevance (`treatment`). The solution is split into rankings by
    Birkhoff's theorem. Takes seconds for a hundred items.

    Args:
        relevance: `(m,)`, at least 0.
        groups: `(m,)`, a label per item.
        parity: `demographic` or `treatment`.

    Raises:
        InputError: A wrong argument; `InfeasibleError` when `treatment` asks for more exposure than
            places give; `MissingExtraError` without scipy.

    Examples:
        >>> policy = exposure_policy([3.0, 2.0, 1.0, 0.5], ["a", "a", "b", "b"])
        >>> bool(np.ptp(policy.exposure) < 1e-7), round(float(policy.weights.sum()), 9)
        (True, 1.0)

    Source: Singh and Joachims 2018, sections 3 and 4.
    """
    values = reals("relevance", relevance)
    if not np.isfinite(values).all() or (values < 0).any():
        message = "relevance: expected finite numbers at or above 0"
        raise InputError(message)
    if parity not in ("demographic", "treatment"):
        message = f"parity: expected 'demographic' or 'treatment', got {parity!r}"
        raise InputError(message)
    grouped = grouping(groups, len(values))
    members = [grouped.codes == g for g in range(grouped.count)]
    worth = np.array([values[mask].mean() for mask in members])
    if parity == "treatment" and (worth == 0).any():
        message = "relevance: expected a positive mean in every group for parity 'treatment'"
        raise InputError(message)
    scale = worth if parity == "treatment" else np.ones(grouped.count)
    exposure = 1 / np.log2(np.arange(2, len(values) + 2))
    matrix = _solve(values, exposure, members, scale, parity)
    rankings, weights = _core.birkhoff(matrix)
    given = matrix @ exposure
    return ExposurePolicy(
        matrix, rankings, weights, float(values @ given), float(np.sort(values)[::-1] @ exposure),
        grouped.names, _means(given, grouped),
    )  # fmt: skip


def _means(values: F64, grouped: Grouping) -> F64:
    sums = np.bincount(grouped.codes, weights=values, minlength=grouped.count)
    means: F64 = sums / grouped.sizes()
    return means


def _solve(values: F64, exposure: F64, members: list[Any], scale: F64, parity: str) -> F64:
    try:
        from scipy.optimize import linprog
        from scipy.sparse import eye_array, kron, vstack
    except ImportError:
        raise MissingExtraError.of("scipy", "social") from None
    m = len(values)
    ones = np.ones((1, m))
    sums = [kron(eye_array(m), ones), kron(ones, eye_array(m))]
    # Exposure of a group over its scale, less that of the first group.
    per = [mask / mask.sum() / scale[g] for g, mask in enumerate(members)]
    fair = [kron((row - per[0])[None], exposure[None]) for row in per[1:]]
    right = np.concatenate([np.ones(2 * m), np.zeros(len(fair))])
    found = linprog(
        -np.outer(values, exposure).ravel(), A_eq=vstack(sums + fair).tocsr(), b_eq=right,
        bounds=(0, 1), method="highs",
    )  # fmt: skip
    if found.status == 2:
        message = f"relevance: no lottery gives groups exposure with parity {parity!r}"
        raise InfeasibleError(message)
    if found.x is None:
        message = f"relevance: the linear program was not solved: {found.message}"
        raise InputError(message)
    matrix: F64 = np.clip(found.x.reshape(m, m), 0, 1)
    return matrix
