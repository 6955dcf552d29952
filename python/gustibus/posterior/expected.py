"""The loss of answers averaged over what is believed of people, as a function of what items are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gustibus import _core
from gustibus.posterior.arrays import floats
from gustibus.types import integers

if TYPE_CHECKING:
    from gustibus.types import F64, I64

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
NORMAL_RULE: F64 = np.column_stack([_NODES, _WEIGHTS / _WEIGHTS.sum()])
"""`(7, 2)` nodes and weights of an average over a standard normal variable."""


class ExpectedLoss:
    """Expected log loss of answers, by the rewards of the items that they compare.

    An item's reward for a person is `phi . z + s` with `z ~ N(m, C)` believed of them; the margin of an
    answer is Gaussian, and its log loss is averaged over that by a rule of Gauss and Hermite with seven
    nodes. The M step of expectation maximisation over `phi` and `s` minimises it.

    Args:
        sides: `(n, 2)` left and right item of each answer, rows of the table.
        target: `(n,)` in `[0, 1]`, 1 where left was preferred.
        weight: `(n,)` at or above 0.
        starts: `(p + 1,)`; person i has rows `starts[i]` up to `starts[i + 1]`.
        means: `(p, k)`.
        covariances: `(p, k, k)`, symmetric.

    Raises:
        InputError: An argument is of another kind or shape, not finite or out of its range.

    Examples:
        >>> eye = np.eye(1)[None]
        >>> loss = ExpectedLoss(
        ...     np.array([[0, 1]]), np.ones(1), np.ones(1), np.array([0, 1]), np.zeros((1, 1)), eye
        ... )
        >>> value, slopes = loss.at(np.zeros((2, 2)))
        >>> round(value, 4), slopes.round(4).tolist()
        (0.6931, [[0.0, -0.5], [0.0, 0.5]])
    """

    def __init__(
        self, sides: I64, target: F64, weight: F64, starts: I64, means: F64, covariances: F64
    ) -> None:
        self._core = _core.ExpectedLoss(
            integers("sides", sides, dims=2, empty=True), floats("target", target),
            floats("weight", weight), integers("starts", starts), floats("means", means),
            floats("covariances", covariances), NORMAL_RULE,
        )  # fmt: skip

    def at(self, table: F64, *, threads: int | None = None) -> tuple[float, F64]:
        """The loss, summed over answers, and its slopes by the table.

        Args:
            table: `(m, k + 1)` an item's `phi`, then its `s`.
            threads: Number of threads; every core by default. Results do not depend on it.

        Returns:
            The loss in nats and `(m, k + 1)` slopes. Where a compared item is not finite the loss is
            not either, which a line search takes for a step too far, and the slopes mean nothing.

        Raises:
            InputError: The table is of another width, or lacks items that were compared.
        """
        return self._core.at(floats("table", table), threads)
