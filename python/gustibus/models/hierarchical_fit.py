"""The fit of hierarchical Bayes: candidates judged on held-out people, the best one on everybody.

With many features and few answers a person, the covariance of pal.md 10 has far more numbers than
the data can tell, and EM creeps; `hierarchical_learn` has the way out. How strong the ridge is and
how far variances are equalised is chosen on held-out people, and the choice is fitted once more on
all of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from gustibus.errors import ConfigError, InputError
from gustibus.models.base import Fitted, Progress, TrainingSet
from gustibus.models.hierarchical import Hierarchical
from gustibus.models.hierarchical_learn import (
    Objective,
    Population,
    exact,
    finish,
    learn,
    population_reward,
)
from gustibus.models.hierarchical_start import Frame
from gustibus.models.torch_network import Checkpoint, pick_device
from gustibus.models.validation import (
    everybody,
    folds,
    held_out_loss,
    held_out_losses,
    hold_out,
    simplest,
)
from gustibus.posterior import Answering
from gustibus.types import F64

_LAPSES = (0.0, 0.02, 0.05, 0.1)
_FEW_PEOPLE, _FOLDS = 1500, 3


@dataclass(frozen=True, slots=True)
class HierarchicalOptions:
    """Options of the fit.

    Attributes:
        basis: `learned`, `features` (the model of pal.md 10 as written, for features that are few
            or already good), or `auto`: whichever is better on held-out people, `features` being
            tried up to 64 dimensions.
        rank: personal directions at most.
        max_features: principal components kept of the item features.
        equalise: exponents of the variance of a component by which it is divided, 0 (as it is) to 1
            (whitened); each is tried.
        ridges: strengths of the ridge on V; each is tried, from weak to strong.
        residuals: standard deviations of a person's reward beside V, along the plain features; each
            is tried, as is 0.
        ridge_population: strengths of the ridge on theta; each is tried.
        rounds: EM rounds.
        groups: Gaussians in the population prior.
        folds: times that other people are held out to choose; 0 is 3 below 1,500 people, else 1.
        lapse: share of answers at random in `[0, 0.5)`; None chooses on held-out people.
    """

    basis: str = "auto"
    rank: int = 16
    max_features: int = 384
    equalise: tuple[float, ...] = (0.5, 0.8, 1.0)
    ridges: tuple[float, ...] = (10.0, 30.0, 100.0, 300.0, 1000.0)
    residuals: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0)
    ridge_population: tuple[float, ...] = (100.0, 30.0, 10.0, 3.0)
    rounds: int = 10
    groups: int = 1
    folds: int = 0
    lapse: float | None = None


def hierarchical_options(given: Mapping[str, Any]) -> HierarchicalOptions:
    """Options from keywords.

    Raises:
        ConfigError: an unknown keyword or a value out of range.
    """
    known = {f.name for f in fields(HierarchicalOptions)}
    for name in given:
        if name not in known:
            message = f"hierarchical has no option {name!r}; known: {sorted(known)}"
            raise ConfigError(message, where=name)
    lists = ("equalise", "ridges", "residuals", "ridge_population")
    tidy: dict[str, Any] = {
        k: tuple(map(float, np.atleast_1d(v))) if k in lists else v for k, v in given.items()
    }
    options = HierarchicalOptions(**tidy)
    if options.basis not in ("auto", "learned", "features"):
        message = f"basis: expected auto, learned or features, got {options.basis!r}"
        raise ConfigError(message, where="basis")
    if (
        min(options.rank, options.max_features, options.rounds, options.groups) < 1
        or options.folds < 0
    ):
        message = "rank, max_features, rounds and groups must be at least 1"
        raise ConfigError(message, where="rank")
    return options


class _Candidate(NamedTuple):
    """One setting of the basis."""

    basis: str
    equalise: float
    ridge: float


class _Fitted(NamedTuple):
    """A candidate's population, and the ridge on theta that it was fitted with."""

    candidate: _Candidate
    population: Population
    pull: float


class _Fitter:
    """Fits candidates to one training set."""

    def __init__(
        self, train: TrainingSet, options: HierarchicalOptions, device: torch.device
    ) -> None:
        self.train, self.options, self.device = train, options, device

    def fit(
        self, basis: str, equalise: float, ridges: tuple[float, ...], pulls: tuple[float, ...],
        valid: TrainingSet | None = None,
    ) -> Iterator[_Fitted]:  # fmt: skip
        """Models of a path of ridges on V, from weak to strong.

        Args:
            basis: `learned` or `features`.
            equalise: exponent of the coordinates.
            ridges: on V.
            pulls: ridges on theta; of several, the one that serves `valid` best.
            valid: people who choose.
        """
        o = self.options
        frame = Frame.of(self.train, equalise, o.max_features)
        if basis == "features":
            population = exact(self.train, frame, groups=o.groups, rounds=o.rounds)
            yield _Fitted(_Candidate(basis, equalise, 0.0), population, pulls[0])
            return
        objective = Objective(self.train, frame, self.device)
        theta, pull = population_reward(objective, frame, pulls, valid)
        path = learn(
            objective, self.train, frame, theta,
            pull=pull, ridges=ridges, rank=o.rank, rounds=o.rounds,
        )  # fmt: skip
        for ridge, wide, learned in path:
            population = finish(frame, wide, learned, self.train, groups=o.groups)
            yield _Fitted(_Candidate(basis, equalise, ridge), population, pull)


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
    started = time.perf_counter()
    torch.manual_seed(seed)
    where = pick_device(device)
    judged = valid if valid is not None and len(valid) else None
    if judged is None:  # nothing to choose with: the middle of every range
        ranges = (options.equalise, options.ridges, options.ridge_population)
        equalise, ridge, pull = (r[len(r) // 2] for r in ranges)
        basis = "features" if options.basis == "features" else "learned"
        residual, held = 0.0, None
        history: list[dict[str, Any]] = []
        final = train
    else:
        chooser = _Chooser(train, judged, options, seed, where, progress, checkpoint)
        (basis, equalise, ridge), residual, pull, held = chooser.choose()
        history = chooser.done
        final = everybody(train, judged)
    if basis == "features":
        ridge = 0.0  # there is no V to shrink
    chosen = {
        "basis": basis, "equalise": equalise, "ridge": ridge, "residual": residual,
        "ridge_population": pull,
    }  # fmt: skip
    model = _with_lapse(fit_chosen(final, chosen, options, where), judged, options)
    report = {
        "options": asdict(options), "history": history, "chosen": chosen,
        "narrowed": {"basis": "learned", "equalise": [equalise or 0.5]},
        "held_out_loss": held, "lapse": model.answering.lapse,
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
        chosen: as in the report of a fit: basis, equalise, ridge, residual, ridge_population.
        options: of the fit that chose.
        device: where to compute.
    """
    path = (*(r for r in sorted(options.ridges) if r < chosen["ridge"]), chosen["ridge"])
    *_, last = _Fitter(train, options, device).fit(
        chosen["basis"], chosen["equalise"], path, (chosen["ridge_population"],)
    )
    return last.population.export(chosen["residual"])


class _Chooser:
    """Judges candidates on people who were held out; an interrupted search goes on where it was."""

    def __init__(
        self, train: TrainingSet, valid: TrainingSet, options: HierarchicalOptions, seed: int,
        device: torch.device, progress: Progress | None, checkpoint: Path | None,
    ) -> None:  # fmt: skip
        self.train, self.valid, self.options = train, valid, options
        self.seed, self.device, self.progress = seed, device, progress
        key = {
            "family": "hierarchical",
            "seed": seed,
            "rows": len(train),
            "items": train.item_features.shape,
            **asdict(options),
        }
        self._keeper = Checkpoint(checkpoint, key=key)
        found = self._keeper.load()
        self.done: list[dict[str, Any]] = found[2]["done"] if found else []
        self._losses = [t.numpy() for _, t in sorted(found[1].items())] if found else []

    def choose(self) -> tuple[_Candidate, float, float, float | None]:
        """The strongest ridge that is as good as the best, its residual, its ridge on theta, its loss.

        The loss is the mean over held-out people.
        """
        paths, o = self._paths(), self.options
        few = self.train.people + self.valid.people < _FEW_PEOPLE
        count = o.folds or (_FOLDS if few else 1)
        size = sum(len(ridges) for _, _, ridges in paths)
        known, position = len(self.done), 0
        for number, (fitting, holding) in enumerate(
            folds(self.train, self.valid, count, seed=self.seed)
        ):
            fitter, split = _Fitter(fitting, o, self.device), hold_out(holding)
            for basis, equalise, ridges in paths:
                position += len(ridges)
                if position <= known:
                    continue
                for fitted in fitter.fit(basis, equalise, ridges, o.ridge_population, holding):
                    losses = np.column_stack([
                        held_out_losses(fitted.population.export(residual), holding, split)
                        for residual in self._residuals(basis)
                    ])  # fmt: skip
                    self._note(number, fitted, losses, count * size)
                self._save()
        return self._best(size)

    def _paths(self) -> list[tuple[str, float, tuple[float, ...]]]:
        o, dim = self.options, self.train.item_features.shape[1]
        learned = [("learned", e, tuple(sorted(o.ridges))) for e in o.equalise]
        as_given: list[tuple[str, float, tuple[float, ...]]] = [("features", 0.0, (0.0,))]
        if o.basis == "features":
            return as_given
        return learned + (as_given if o.basis == "auto" and dim <= 64 else [])

    def _residuals(self, basis: str) -> tuple[float, ...]:
        """The first is always 0, the model of V alone."""
        more = [r for r in self.options.residuals if r > 0]
        return (0.0, *(more if basis == "learned" else [0.0] * len(more)))

    def _note(self, fold: int, fitted: _Fitted, losses: F64, total: int) -> None:
        held = losses[np.isfinite(losses).all(axis=1)]
        means = held.mean(axis=0) if len(held) else np.full(losses.shape[1], np.nan)
        self.done.append({
            **fitted.candidate._asdict(), "ridge_population": fitted.pull, "fold": fold,
            "valid_loss": means.tolist(),
        })  # fmt: skip
        self._losses.append(losses)
        if self.progress is not None:
            self.progress("hierarchical", len(self.done), total, float(means[0]))

    def _save(self) -> None:
        tensors = {f"{i:05}": torch.from_numpy(losses) for i, losses in enumerate(self._losses)}
        self._keeper.save(len(self.done), tensors, {"done": self.done})

    def _best(self, size: int) -> tuple[_Candidate, float, float, float | None]:
        """By the one-standard-error rule over ridges without residual; then simply the best."""
        names = [_Candidate(d["basis"], d["equalise"], d["ridge"]) for d in self.done[:size]]
        columns = [np.concatenate(self._losses[j::size]) for j in range(size)]
        losses = np.stack(columns, axis=1)  # (people of all folds, candidates, residuals)
        order = sorted(range(size), key=lambda j: -names[j].ridge)
        ridge = names[order[simplest(losses[:, order, 0])]].ridge
        judged = losses[np.isfinite(losses).all(axis=(1, 2))]
        means = judged.mean(axis=0) if len(judged) else np.zeros(losses.shape[1:])
        among = [j for j in order if names[j].ridge == ridge]
        place, column = np.unravel_index(int(means[among].argmin()), means[among].shape)
        best = among[int(place)]
        pulls = [d["ridge_population"] for d in self.done[best::size]]
        residual = self._residuals(names[best].basis)[int(column)]
        held = float(means[best, int(column)]) if len(judged) else None
        return names[best], residual, float(np.median(pulls)), held


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
