"""Whether a margin says how often it is right, and one temperature that mends it.

Margins here point to the response that was preferred: above 0 the model agrees.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gustibus.data.arrays import above, count, finite
from gustibus.methods import method
from gustibus.types import F64

COLDEST, HOTTEST = 1e-3, 1e3
"""Temperatures that are looked at; data without a single error would ask for one of 0."""
_HALVINGS = 60


@method(
    "PROBES",
    source="Guo et al. 2017, On Calibration of Modern Neural Networks, equation 3",
    purpose="Expected calibration error of a reward model's pair probabilities",
    check="tests/methods/test_probes_calibration.py::test_the_worked_calibration_error",
    example="ops.pair_ece(margins=[2, -0.5, 0.3, 1.2], bins=10)",
    laws=("user_renaming", "row_order", "perfect"),
)
def pair_ece(margins: Any, *, bins: int = 10) -> float:
    """Mean distance of confidence and accuracy over bins of equal width; 0 when perfect.

    `p = sigma(margin)` is the probability of the preferred response; the confidence is
    `max(p, 1 - p)`, and a pair is right when `p > 1/2`.

    Args:
        margins: `(n,)` in log-odds, of the preferred over the other response.
        bins: of [0, 1], each closed on the right.
    """
    z = finite("margins", margins)
    k = count("bins", bins)
    sure = _sigmoid(np.abs(z))
    which = np.clip(np.ceil(sure * k).astype(np.int64) - 1, 0, k - 1)
    gap = np.bincount(which, (z > 0) - sure, k)  # bins' sums of right less confidence
    return float(np.abs(gap).sum() / len(z))


@method(
    "PROBES",
    source="Brier 1950",
    purpose="Mean squared distance of pair probabilities from what was preferred",
    check="tests/methods/test_probes_calibration.py::test_the_brier_score_is_that_of_scikit_learn",
    example="ops.pair_brier(margins=[2, -0.5, 0.3, 1.2])",
    laws=("user_renaming", "row_order", "perfect"),
)
def pair_brier(margins: Any) -> float:
    """`mean (1 - p)^2` with `p = sigma(margin)`; 0 when perfect, 1/4 for a model without margins."""
    return float((_sigmoid(-finite("margins", margins)) ** 2).mean())


class Temperature(NamedTuple):
    """What one temperature changes."""

    temperature: float
    loss: float
    """Mean log loss at it, in nats."""
    loss_before: float
    ece: float
    ece_before: float


@method(
    "PROBES",
    source="Guo et al. 2017, On Calibration of Modern Neural Networks, section 4.2",
    purpose="One temperature that calibrates a reward model without changing its ranking",
    check="tests/methods/test_probes_calibration.py::test_the_scale_of_overconfident_margins_is_found",
    example="ops.temperature_scaling(margins=[2, -0.5, 0.3, 1.2])",
    laws=("user_renaming", "row_order"),
)
def temperature_scaling(margins: Any, *, bins: int = 10) -> Temperature:
    """The temperature T in [0.001, 1000] with the least mean log loss of `margin / T`.

    The loss is convex in `1 / T`, so that its slope is bisected.

    Args:
        margins: `(n,)` of the preferred over the other response, held out from fitting.
        bins: of the calibration errors before and after.
    """
    z = finite("margins", margins)
    low, high = 1 / HOTTEST, 1 / COLDEST
    for _ in range(_HALVINGS):
        scale = np.sqrt(low * high)
        slope = -(z * _sigmoid(-scale * z)).mean()
        low, high = (scale, high) if slope <= 0 else (low, scale)
    t = float(1 / np.sqrt(low * high))
    return Temperature(
        t, _loss(z / t), _loss(z), pair_ece(z / t, bins=bins), pair_ece(z, bins=bins)
    )


def scaled(margins: Any, temperature: float) -> F64:
    """Margins at a temperature above 0: the ranking stays, the confidence changes."""
    return finite("margins", margins) / above("temperature", temperature)


def _sigmoid(z: F64) -> F64:
    return np.asarray(0.5 * (1 + np.tanh(z / 2)), np.float64)


def _loss(z: F64) -> float:
    return float(np.logaddexp(0, -z).mean())
