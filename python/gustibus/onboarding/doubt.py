"""Whether a person answers like a person with a taste, and what to believe if they may not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gustibus.errors import InputError
from gustibus.onboarding.turns import Turn
from gustibus.posterior import Answering, Posterior, Prior

CARELESS = 0.1
"""Share of people assumed to answer at random before they have answered."""


def carelessness(
    posterior: Posterior, answering: Answering, *, careless: float = CARELESS,
    answers: float | None = None,
) -> float:  # fmt: skip
    """Probability that somebody pressed at random all along, given their answers.

    Compares the evidence of the answers under the model with that of a coin (or of three equal
    outcomes where ties are modelled).

    Args:
        posterior: of the person, with its evidence.
        answering: lapses and ties.
        careless: the probability before the answers, in `[0, 1)`.
        answers: how many answers theirs count for, where they are weighted; each counts once when None.

    Raises:
        InputError: `careless` is out of range.
    """
    if not 0.0 <= careless < 1.0:
        message = f"careless: expected a number in [0, 1), got {careless}"
        raise InputError(message, where="careless")
    if careless == 0.0:
        return 0.0
    outcomes = 3.0 if answering.tie > 0.0 else 2.0
    coin = -(posterior.comparisons if answers is None else answers) * np.log(outcomes)
    odds = np.log(careless) - np.log1p(-careless) + coin - posterior.log_evidence
    return float(1.0 / (1.0 + np.exp(-np.clip(odds, -700.0, 700.0))))


def doubt(
    posterior: Posterior, answering: Answering, *, careless: float = CARELESS,
    answers: float | None = None,
) -> float:  # fmt: skip
    """How much of what answers say is not to be believed, from 0 to 1.

    The part of `carelessness` above the usual `CARELESS`: answers that a coin explains no better than a
    taste are believed whole, so that the profiles of nearly everybody stay what their answers say. Of
    answers without an evidence nothing is doubted.

    Args:
        posterior: of the person.
        answering: lapses and ties.
        careless: as in `carelessness`; more than usual where something else tells of it.
        answers: as in `carelessness`.
    """
    if not np.isfinite(posterior.log_evidence):
        return 0.0
    share = carelessness(posterior, answering, careless=careless, answers=answers)
    return max(0.0, (share - CARELESS) / (1.0 - CARELESS))


def doubted(
    posterior: Posterior, prior: Prior, answering: Answering, *, careless: float = CARELESS
) -> Posterior:
    """The posterior mixed with the prior by the probability that the answers mean nothing.

    In simulation this halves what somebody who answers at random loses against the population model
    and costs others 0.1 to 0.2 points of accuracy at the default share.

    Args:
        posterior: of the person.
        prior: of the population.
        answering: lapses and ties.
        careless: as in `carelessness`; 0 changes nothing.
    """
    share = carelessness(posterior, answering, careless=careless)
    if share == 0.0 or posterior.comparisons == 0:
        return posterior
    before = Posterior.from_prior(prior)
    return replace(
        posterior,
        weights=np.concatenate([(1.0 - share) * posterior.weights, share * before.weights]),
        means=np.concatenate([posterior.means, before.means]),
        covariances=np.concatenate([posterior.covariances, before.covariances]),
    )


def consistency(turns: Sequence[Turn]) -> tuple[int, int]:
    """How many repeated pairs got the same answer again, and how many were answered twice."""
    first: dict[int, float] = {}
    agreed = repeated = 0
    for turn in turns:
        target = turn.target
        if target is None:
            continue
        row = turn.question.row
        if turn.question.reason == "repeat" and row in first:
            repeated += 1
            agreed += first[row] == target
        else:
            first[row] = target
    return agreed, repeated
