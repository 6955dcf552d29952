"""The fit of hierarchical Bayes: candidates judged on held-out people, the best one on everybody.

With many features and few answers a person, a full covariance has far more numbers than
the data can tell, and EM creeps; `hierarchical_learn` has the way out. How strong the ridge is and
how far variances are equalised is chosen on held-out people, then how the distribution of people is
estimated, and the choice is fitted once more on all of them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from gustibus.errors import InputError
from gustibus.models.base import Fitted, Progress, TrainingSet
from gustibus.models.hierarchical import Hierarchical
from gustibus.models.hierarchical_choice import Candidate, Choice, Chooser, Fitter
from gustibus.models.hierarchical_learn import finish
from gustibus.models.hierarchical_options import HierarchicalOptions
from gustibus.models.recent import once
from gustibus.models.torch_network import pick_device
from gustibus.models.validation import everybody, held_out_loss, hold_out
from gustibus.posterior import Answering

_LAPSES = (0.0, 0.02, 0.05, 0.1)


def fit_hierarchical(
    train: TrainingSet,
    valid: TrainingSet | None,
    *,
    options: HierarchicalOptions,
    seed: int,
    device: str,
    progress: Progress | None,
    checkpoint: Path | None,
) -> Fitted:
    """Choose on held-out people, then fit the choice on everybody.

    Raises:
        InputError: there are no comparisons.
    """
    if len(train) == 0:
        message = "train: expected at least one comparison, got none"
        raise InputError(message, where="train")
    where = pick_device(device)
    return once(
        lambda: _fit(train, valid, options, seed, where, progress, checkpoint),
        train, valid, f"{options} {seed} {where}",
    )  # fmt: skip


def _fit(
    train: TrainingSet, valid: TrainingSet | None, options: HierarchicalOptions, seed: int,
    where: torch.device, progress: Progress | None, checkpoint: Path | None,
) -> Fitted:  # fmt: skip
    started = time.perf_counter()
    torch.manual_seed(seed)
    judged = valid if valid is not None and len(valid) else None
    if judged is None:  # nothing to choose with: the middle of every range
        equalise, ridge, pull = (
            r[len(r) // 2] for r in (options.equalise, options.ridges, options.ridge_population)
        )
        basis = "features" if options.basis == "features" else "learned"
        choice = Choice(
            Candidate(basis, equalise, ridge), 0.0, pull, options.first_rank,
            options.groups_for(train.people)[0],
        )  # fmt: skip
        history: list[dict[str, Any]] = []
        final = train
    else:
        chooser = Chooser(train, judged, options, seed, where, progress, checkpoint)
        choice = chooser.choose()
        history = chooser.done
        final = everybody(train, judged)
    if choice.candidate.basis == "features":  # there is no V to shrink
        choice = choice._replace(candidate=choice.candidate._replace(ridge=0.0))
    model = _with_lapse(_made(final, choice, options, where), judged, options)
    report = {
        "options": asdict(options), "history": history, "chosen": choice.settings,
        "held_out_loss": choice.held, "lapse": model.answering.lapse,
        "seconds": time.perf_counter() - started,
    }  # fmt: skip
    return Fitted(model, report)


def fit_chosen(
    train: TrainingSet, chosen: Mapping[str, Any], options: HierarchicalOptions,
    device: torch.device,
) -> Hierarchical:  # fmt: skip
    """A model with settings that were chosen before.

    Args:
        train: comparisons.
        chosen: as in the report of a fit: basis, equalise, ridge, residual, ridge_population, rank,
            groups, settling.
        options: of the fit that chose.
        device: where to compute.
    """
    return _made(train, Choice.of(chosen), options, device)


def _made(
    train: TrainingSet, choice: Choice, options: HierarchicalOptions, device: torch.device
) -> Hierarchical:
    *_, last = Fitter(train, options, device).path(choice)
    population = last.population
    if choice.candidate.basis == "learned":
        population = finish(
            population.frame, population.theta, population.basis, train,
            groups=choice.groups, rounds=choice.settling,
        )  # fmt: skip
    return population.export(choice.residual)


def _with_lapse(
    model: Hierarchical, valid: TrainingSet | None, options: HierarchicalOptions
) -> Hierarchical:
    if options.lapse is not None:
        return replace(model, answering=Answering(lapse=options.lapse))
    if valid is None:
        return model
    split = hold_out(valid)
    tried = [replace(model, answering=Answering(lapse=lapse)) for lapse in _LAPSES]
    return min(tried, key=lambda m: held_out_loss(m, valid, split))
