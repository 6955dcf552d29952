"""How sure strengths are: covariances, bootstraps, intervals of scores and of ranks."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from gustibus import _core
from gustibus.errors import InputError, UnknownNameError
from gustibus.social.strength_data import checked_seed, checked_threads
from gustibus.social.strength_labels import Labels
from gustibus.social.strength_results import TIED, Strengths

if TYPE_CHECKING:
    from gustibus.types import F64, I64

KINDS = ("basic", "bca", "model", "normal", "percentile", "sandwich")
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True, eq=False)
class Covariance:
    """Covariance of scores of mean zero.

    Attributes:
        labels: Label of every item, `(m,)`.
        matrix: `(m, m)`, or `None` above 2000 items.
        variances: `(m,)`.
        acceleration: `(m,)`, how the spread changes with the score, for `bca` intervals; 0 for models
            other than `bradley_terry`, which compute it when such intervals are made.
    """

    labels: Labels
    matrix: F64 | None
    variances: F64
    acceleration: F64

    @property
    def std_errors(self) -> F64:
        """`(m,)`, square roots of the variances."""
        return np.sqrt(self.variances)


@dataclass(frozen=True, slots=True, eq=False)
class Bootstrap:
    """Scores of resampled comparisons.

    Attributes:
        fit: The scores of all comparisons.
        replicates: `(b, m)`, NaN where a replicate says nothing finite about an item.
        degenerate: `(m,)`, number of such replicates.
    """

    fit: Strengths
    replicates: F64
    degenerate: I64


@dataclass(frozen=True, slots=True, eq=False)
class Intervals:
    """Intervals of scores and of ranks.

    Attributes:
        labels: Label of every item, `(m,)`.
        lower: `(m,)`, lower ends of the scores.
        upper: `(m,)`, upper ends.
        std_errors: `(m,)`.
        best_rank: `(m,)`, 1 plus the number of items whose lower end is above the upper one.
        worst_rank: `(m,)`, the number of items less those whose upper end is below the lower one.
        level: Probability that an interval is meant to hold its score; all of them at once where
            that was asked for.
    """

    labels: Labels
    lower: F64
    upper: F64
    std_errors: F64
    best_rank: I64
    worst_rank: I64
    level: float


def covariance(
    fit: Strengths, *, kind: str = "sandwich", seed: int = 0, threads: int | None = None
) -> Covariance:
    """Covariance of the scores of a fit around their mean.

    A parameter for ties counts as fitted along with the scores. A ranking of weight `w` stands for `w`
    independent voters.

    Args:
        fit: What `bradley_terry` (without covariates), `davidson`, `rao_kupper`, `thurstone`,
            `plackett_luce` (not by `lsr`) or `davidson_luce` returned.
        kind: `sandwich`, which holds whatever the model, or `model`, which trusts it.
        seed: Of the estimator that `bradley_terry` needs above 2000 items; the others refuse so many.
        threads: Number of threads; every core by default.

    Raises:
        InputError: A fit of another kind, or of too many items.

    Source: White 1982; Hutchinson 1990 above 2000 items.
    """
    if kind not in ("model", "sandwich"):
        raise UnknownNameError.of("kind of covariance", kind, ("model", "sandwich"))
    return _covariance(fit, robust=kind == "sandwich", skewed=False, seed=seed, threads=threads)


def _covariance(
    fit: Strengths, *, robust: bool, skewed: bool, seed: int, threads: int | None
) -> Covariance:
    seed, threads = checked_seed(seed), checked_threads(threads)
    if fit.cells is not None and fit.method in ("bradley_terry", *TIED):
        found = _core.strength_covariance(
            fit.cells, _ties(fit), _fitted(fit), robust, skewed, seed, threads
        )
    elif fit.rankings is not None and fit.method == "plackett_luce":
        found = _core.ranking_covariance(*fit.rankings, _fitted(fit), robust, skewed, threads)
    elif fit.rankings is not None and fit.method == "davidson_luce":
        found = _core.tied_ranking_covariance(
            *fit.rankings, _fitted(fit), list(fit.prevalence.items()), robust, threads
        )
    else:
        raise _no_doubt(fit)
    return Covariance(fit.labels, *found)


def _fitted(fit: Strengths) -> tuple[Any, ...]:
    component = fit.component if fit.separate else np.zeros_like(fit.component)
    return fit.scores - fit.shift, component, fit.tie_weight, fit.prior


def _ties(fit: Strengths) -> tuple[str, float] | None:
    return (fit.method, fit.parameter) if fit.method in TIED else None


def _no_doubt(fit: Strengths) -> InputError:
    message = (
        "fit: expected a fit by maximum likelihood that keeps its data, without covariates; got "
        f"{fit.method}"
    )
    return InputError(message)


def bootstrap(
    fit: Strengths, *, replicates: int = 1000, seed: int = 0, threads: int | None = None
) -> Bootstrap:
    """Scores of `replicates` data sets resampled from the comparisons, or the rankings, of a fit.

    Rows are resampled with replacement, by their counts per pair; rankings by their weights, which have to
    be whole. A replicate has the mean of the fit. Items that win nothing or lose nothing in a replicate
    are NaN there, as are those that it does not connect with most others.

    Args:
        fit: What `bradley_terry` (without covariates), `davidson`, `rao_kupper`, `thurstone` or
            `plackett_luce` (not by `lsr`) returned; not `davidson_luce`, since a replicate often lacks the
            ties of some size, or all but them, so that their prevalence has no finite estimate there.
        replicates: How many.
        seed: Of the random numbers; replicate `b` is the same for any number of them.
        threads: Number of threads; every core by default.

    Raises:
        InputError: A fit of another kind, no replicates, or weights of rankings that are not whole.

    Source: Efron 1979.
    """
    if replicates < 1:
        message = f"replicates: expected at least 1, got {replicates}"
        raise InputError(message)
    seed, threads = checked_seed(seed), checked_threads(threads)
    if fit.cells is not None and fit.method in ("bradley_terry", *TIED):
        values, degenerate = _core.strength_bootstrap(
            fit.cells, _ties(fit), _fitted(fit), replicates, seed, threads
        )
    elif fit.rankings is not None and fit.method == "plackett_luce":
        values, degenerate = _core.ranking_bootstrap(
            *fit.rankings, _fitted(fit), replicates, seed, threads
        )
    elif fit.method == "davidson_luce":
        message = (
            "fit: expected a fit with a bootstrap, got davidson_luce, whose replicates may have no "
            "finite prevalence of ties; covariance(fit) has its standard errors"
        )
        raise InputError(message)
    else:
        raise _no_doubt(fit)
    values += fit.shift
    return Bootstrap(fit, values, degenerate)


def intervals(
    fit: Strengths | Bootstrap,
    *,
    level: float = 0.95,
    kind: str | None = None,
    simultaneous: bool = False,
    threads: int | None = None,
) -> Intervals:
    """Intervals of the scores, and which ranks they leave open.

    Args:
        fit: A fit, for intervals from its covariance; or a bootstrap.
        level: Probability that an interval holds its score, in (0, 1).
        kind: Of a fit `sandwich` or `model`; of a bootstrap `percentile`, `basic`, `bca` or `normal`.
            The first of each by default.
        simultaneous: Whether the level is that of all intervals at once, by the largest studentised
            deviation among items; a bootstrap's `percentile` and `bca` have no such form.
        threads: Number of threads; every core by default.

    Raises:
        InputError: A level outside (0, 1), or a kind that the first argument does not have.

    Source: Efron and Tibshirani 1993, chapters 13 and 14.
    """
    if not 0 < level < 1:
        message = f"level: expected a number in (0, 1), got {level}"
        raise InputError(message)
    if isinstance(fit, Bootstrap):
        lower, upper, errors = _of_bootstrap(
            fit, level, kind or "percentile", simultaneous=simultaneous, threads=threads
        )
        labels = fit.fit.labels
    else:
        kind = kind or "sandwich"
        if simultaneous or kind not in ("sandwich", "model"):
            message = (
                f"kind: expected sandwich or model for a fit, one interval at a time, got {kind}"
            )
            raise InputError(message)
        errors = covariance(fit, kind=kind, threads=threads).std_errors
        reach = _NORMAL.inv_cdf(0.5 + level / 2) * errors
        lower, upper, labels = fit.scores - reach, fit.scores + reach, fit.labels
    best, worst = _ranks(lower, upper)
    return Intervals(labels, lower, upper, errors, best, worst, level)


def _of_bootstrap(
    boot: Bootstrap,
    level: float,
    kind: str,
    *,
    simultaneous: bool,
    threads: int | None,
) -> tuple[F64, F64, F64]:
    scores, values = boot.fit.scores, boot.replicates
    known = (~np.isnan(values)).sum(0) > 1
    errors = np.full(len(scores), np.inf)
    errors[known] = np.nanstd(values[:, known], axis=0, ddof=1)
    lower, upper = np.full(len(scores), -np.inf), np.full(len(scores), np.inf)
    tails = (0.5 - level / 2, 0.5 + level / 2)
    if simultaneous:
        if kind not in ("basic", "normal"):
            message = f"kind: expected basic or normal for simultaneous intervals, got {kind}"
            raise InputError(message)
        return _simultaneous(scores, values, errors, known, level)
    if kind == "normal":
        reach = _NORMAL.inv_cdf(tails[1]) * errors
        return scores - reach, scores + reach, errors
    if kind == "percentile":
        lower[known], upper[known] = np.nanquantile(values[:, known], tails, axis=0)
    elif kind == "basic":
        low, high = np.nanquantile(values[:, known], tails, axis=0)
        lower[known], upper[known] = 2 * scores[known] - high, 2 * scores[known] - low
    elif kind == "bca":
        acceleration = _covariance(
            boot.fit, robust=True, skewed=True, seed=0, threads=threads
        ).acceleration
        for i in np.flatnonzero(known).tolist():
            lower[i], upper[i] = _bca(scores[i], values[:, i], acceleration[i], tails)
    else:
        raise UnknownNameError.of("kind of interval", kind, KINDS)
    return lower, upper, errors


def _simultaneous(
    scores: F64, values: F64, errors: F64, known: Any, level: float
) -> tuple[F64, F64, F64]:
    """Intervals of equal studentised length that all hold together with probability `level`."""
    safe = np.where(errors[known] > 0, errors[known], 1.0)
    away = np.abs(values[:, known] - scores[known]) / safe
    most = np.nanmax(np.where(np.isnan(away), -np.inf, away), axis=1)
    reach = float(np.quantile(most, level)) * errors
    return scores - reach, scores + reach, errors


def _bca(
    score: float, values: F64, acceleration: float, tails: tuple[float, float]
) -> tuple[float, float]:
    """Percentiles moved for bias and acceleration.

    Source: Efron 1987, equation 1.4.
    """
    values = values[~np.isnan(values)]
    below = ((values < score).sum() + 0.5 * (values == score).sum()) / len(values)
    bias = _NORMAL.inv_cdf(float(np.clip(below, 0.5 / len(values), 1 - 0.5 / len(values))))
    levels = []
    for tail in tails:
        z = bias + _NORMAL.inv_cdf(tail)
        levels.append(_NORMAL.cdf(bias + z / (1 - acceleration * z)))
    low, high = np.quantile(values, levels)
    return float(low), float(high)


def _ranks(lower: F64, upper: F64) -> tuple[I64, I64]:
    """Ranks that intervals leave open."""
    m = len(lower)
    above = m - np.searchsorted(np.sort(lower), upper, side="right")
    below = np.searchsorted(np.sort(upper), lower, side="left")
    return (1 + above).astype(np.int64), (m - below).astype(np.int64)
