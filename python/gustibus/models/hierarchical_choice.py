"""How the settings of hierarchical Bayes are chosen: by people whom no candidate was fitted on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from gustibus.models.base import Progress, TrainingSet
from gustibus.models.hierarchical_learn import (
    SETTLING,
    Population,
    exact,
    finish,
    learn,
    population_reward,
    settle,
)
from gustibus.models.hierarchical_objective import Objective
from gustibus.models.hierarchical_options import HierarchicalOptions
from gustibus.models.hierarchical_start import Frame
from gustibus.models.torch_network import Checkpoint
from gustibus.models.validation import folds, held_out_losses, hold_out, simplest
from gustibus.types import F64

_FEW_PEOPLE, _FOLDS = 1500, 3


class Candidate(NamedTuple):
    """One setting of the basis."""

    basis: str
    equalise: float
    ridge: float


class Choice(NamedTuple):
    """All settings of a model, and its mean loss over held-out people where there are any."""

    candidate: Candidate
    residual: float
    ridge_population: float
    rank: int
    groups: int = 1
    settling: int = SETTLING
    held: float | None = None

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Choice:
        """From `settings`, and whatever lies beside them."""
        candidate = Candidate(*(settings[name] for name in Candidate._fields))
        rest = {name: settings[name] for name in cls._fields if name not in ("candidate", "held")}
        return cls(candidate, **rest)

    @property
    def settings(self) -> dict[str, Any]:
        """As they are reported."""
        return {
            **self.candidate._asdict(), "residual": self.residual,
            "ridge_population": self.ridge_population, "rank": self.rank,
            "groups": self.groups, "settling": self.settling,
        }  # fmt: skip


class _Fitted(NamedTuple):
    """A candidate's population, and the ridge on theta that it was fitted with."""

    candidate: Candidate
    population: Population
    pull: float


class Fitter:
    """Fits candidates to one training set."""

    def __init__(
        self, train: TrainingSet, options: HierarchicalOptions, device: torch.device
    ) -> None:
        self.train, self.options, self.device = train, options, device

    def fit(
        self, basis: str, equalise: float, ridges: tuple[float, ...], pulls: tuple[float, ...],
        *, rank: int, valid: TrainingSet | None = None,
    ) -> Iterator[_Fitted]:  # fmt: skip
        """Models of a path of ridges on V, from weak to strong.

        Args:
            basis: `learned` or `features`.
            equalise: exponent of the coordinates.
            ridges: on V.
            pulls: ridges on theta; of several, the one that serves `valid` best.
            rank: columns of V at most.
            valid: people who choose.
        """
        o = self.options
        frame = Frame.of(self.train, equalise, o.max_features, self.device)
        if basis == "features":
            population = exact(
                self.train, frame, groups=o.groups_for(self.train.people)[0], rounds=o.rounds
            )
            yield _Fitted(Candidate(basis, equalise, 0.0), population, pulls[0])
            return
        objective = Objective(self.train, frame, self.device)
        theta, pull = population_reward(objective, frame, pulls, valid)
        path = learn(
            objective, self.train, frame, theta,
            pull=pull, ridges=ridges, rank=rank, rounds=o.rounds,
        )  # fmt: skip
        for ridge, wide, learned in path:
            population = finish(frame, wide, learned, self.train)
            yield _Fitted(Candidate(basis, equalise, ridge), population, pull)

    def path(self, choice: Choice) -> Iterator[_Fitted]:
        """What a choice comes to before people are settled in it, after all that are weaker."""
        c = choice.candidate
        weaker = (r for r in sorted(self.options.ridges) if r < c.ridge)
        return self.fit(
            c.basis, c.equalise, (*weaker, c.ridge), (choice.ridge_population,), rank=choice.rank
        )


class Chooser:
    """Judges candidates on people who were held out; an interrupted search goes on where it was.

    First the basis, under the distribution of people that `finish` gives it; then, in the basis that
    was chosen, how that distribution is estimated; then whether a weaker ridge on theta is better, and
    then a basis of more directions. The ridge on theta was found without personal parts, where
    margins are smaller: those that are averaged over what is not known of a person have to be larger.
    """

    def __init__(
        self, train: TrainingSet, valid: TrainingSet, options: HierarchicalOptions, seed: int,
        device: torch.device, progress: Progress | None, checkpoint: Path | None,
    ) -> None:  # fmt: skip
        self.train, self.valid, self.options = train, valid, options
        self.seed, self.device, self.progress = seed, device, progress
        key = {
            "family": "hierarchical", "seed": seed, "device": device.type, **asdict(options),
        }  # fmt: skip
        few = train.people + valid.people < _FEW_PEOPLE
        self.folds = options.folds or (_FOLDS if few else 1)
        self.size = sum(len(ridges) for _, _, ridges in self._paths())
        dim = train.item_features.shape[1]
        ranks = (options.first_rank, *options.wider(train.people))
        self.wider = [rank for less, rank in pairwise(ranks) if less < dim]
        self._keeper = Checkpoint(checkpoint, key=key, data=(train, valid))
        found = self._keeper.load()
        self.done: list[dict[str, Any]] = found[2]["done"] if found else []
        self._settlings = 0
        self._weaker = 0  # ridges on theta that may be tried, known once one was chosen
        self._kept: dict[str, F64] = {n: t.numpy() for n, t in found[1].items()} if found else {}

    def choose(self) -> Choice:
        """The strongest ridge that is as good as the best, and what goes with it."""
        known, position = len(self.done), 0
        for number, (fitting, holding) in enumerate(self._pairs()):
            fitter, split = Fitter(fitting, self.options, self.device), hold_out(holding)
            for basis, equalise, ridges in self._paths():
                position += len(ridges)
                if position <= known:
                    continue
                pulls = self.options.ridge_population
                for fitted in fitter.fit(
                    basis, equalise, ridges, pulls, rank=self.options.first_rank, valid=holding
                ):
                    losses = np.column_stack([
                        held_out_losses(fitted.population.export(residual), holding, split)
                        for residual in self._residuals(basis)
                    ])  # fmt: skip
                    self._note(number, fitted, losses)
                self._save()
        place, choice = self._best()
        if choice.candidate.basis == "features":
            return choice
        choice = self._settled(choice, self._bases(place))
        weaker = [p for p in self.options.ridge_population if p < choice.ridge_population]
        self._weaker = len(weaker)
        for settings in (
            [{"ridge_population": pull} for pull in sorted(weaker, reverse=True)],
            [{"rank": rank} for rank in self.wider],
        ):
            choice = self._climbed(choice, settings)
        return choice

    def _climbed(self, choice: Choice, settings: Iterable[Mapping[str, Any]]) -> Choice:
        """The choice with the last of some settings up to which held-out people gained."""
        for changed in settings:
            among = [self._settled(*one) for one in self._refitted(choice._replace(**changed))]
            best = min(among, key=lambda c: np.inf if c.held is None else c.held)
            if choice.held is None or best.held is None or best.held >= choice.held:
                break
            choice = best
        return choice

    def _pairs(self) -> Iterator[tuple[TrainingSet, TrainingSet]]:
        return folds(self.train, self.valid, self.folds, seed=self.seed)

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

    def _note(self, fold: int, fitted: _Fitted, losses: F64) -> None:
        means = _means(losses)
        name = f"{len(self.done):05}"
        self.done.append({
            **fitted.candidate._asdict(), "ridge_population": fitted.pull, "fold": fold,
            "valid_loss": means.tolist(),
        })  # fmt: skip
        self._kept[name] = losses
        if fitted.candidate.basis == "learned":
            self._kept[f"{name}.theta"] = fitted.population.theta
            self._kept[f"{name}.basis"] = fitted.population.basis
        self._tell(len(self.done), float(means[0]))

    def _tell(self, done: int, loss: float) -> None:
        if self.progress is not None:
            steps = self.size + 1 + 2 * (self._weaker + len(self.wider))
            self.progress("hierarchical", done, self.folds * steps, loss)

    def _save(self) -> None:
        tensors = {name: torch.from_numpy(values) for name, values in self._kept.items()}
        self._keeper.save(len(self.done), tensors, {"done": self.done})

    def _best(self) -> tuple[int, Choice]:
        """By the one-standard-error rule over ridges without residual; then simply the best."""
        size = self.size
        names = [Candidate(d["basis"], d["equalise"], d["ridge"]) for d in self.done[:size]]
        columns = [
            np.concatenate([self._kept[f"{i:05}"] for i in range(j, len(self.done), size)])
            for j in range(size)
        ]
        losses = np.stack(columns, axis=1)  # (people of all folds, candidates, residuals)
        order = sorted(range(size), key=lambda j: -names[j].ridge)
        ridge = names[order[simplest(losses[:, order, 0])]].ridge
        judged = losses[np.isfinite(losses).all(axis=(1, 2))]
        means = judged.mean(axis=0) if len(judged) else np.zeros(losses.shape[1:])
        among = [j for j in order if names[j].ridge == ridge]
        place, column = np.unravel_index(int(means[among].argmin()), means[among].shape)
        best = among[int(place)]
        pulls = [d["ridge_population"] for d in self.done[best::size]]
        return best, Choice(
            names[best], self._residuals(names[best].basis)[int(column)], float(np.median(pulls)),
            self.options.first_rank, self.options.groups_for(self.train.people)[0],
            held=float(means[best, int(column)]) if len(judged) else None,
        )  # fmt: skip

    def _bases(self, place: int) -> Iterator[tuple[F64, F64]]:
        """Theta and V of a candidate, fold by fold."""
        for number in range(self.folds):
            name = f"{place + number * self.size:05}"
            if f"{name}.theta" in self._kept:
                yield self._kept[f"{name}.theta"], self._kept[f"{name}.basis"]

    def _refitted(self, choice: Choice) -> list[tuple[Choice, list[tuple[F64, F64]]]]:
        """A choice of another rank or ridge on theta, with theta and V fold by fold.

        More directions may need a stronger ridge to prune them: the next one is tried as well.
        """
        ridge = choice.candidate.ridge
        ridges = [ridge, *(r for r in sorted(self.options.ridges) if r > ridge)][:2]
        among = [choice._replace(candidate=choice.candidate._replace(ridge=one)) for one in ridges]
        bases: list[list[tuple[F64, F64]]] = [[] for _ in among]
        for fitting, _ in self._pairs():
            path = list(Fitter(fitting, self.options, self.device).path(among[-1]))
            for found, fitted in zip(bases, path[-len(among) :], strict=True):
                found.append((fitted.population.theta, fitted.population.basis))
        return list(zip(among, bases, strict=True))

    def _settled(self, choice: Choice, bases: Iterable[tuple[F64, F64]]) -> Choice:
        """The choice with the distribution of people that foretells held-out ones best."""
        o, found = self.options, list[F64]()
        ways: list[tuple[int, int]] = []
        for (fitting, holding), (theta, basis) in zip(self._pairs(), bases, strict=True):
            frame = Frame.of(fitting, choice.candidate.equalise, o.max_features, self.device)
            split = hold_out(holding)
            ways, losses = [], []
            for count, rounds, population in settle(
                frame, theta, basis, fitting,
                groups=o.groups_for(self.train.people), rounds=o.settling,
            ):  # fmt: skip
                ways.append((count, rounds))
                losses.append(held_out_losses(population.export(choice.residual), holding, split))
            found.append(np.column_stack(losses))
            self._settlings += 1
            self._tell(len(self.done) + self._settlings, float(_means(found[-1]).min()))
        means = _means(np.concatenate(found))
        if not np.isfinite(means).all():  # nobody could judge
            return choice
        best = int(means.argmin())
        return choice._replace(
            groups=ways[best][0], settling=ways[best][1], held=float(means[best])
        )


def _means(losses: F64) -> F64:
    """`(people, ways)` -> mean of each way over the people who judged all of them; NaN for none."""
    judged = losses[np.isfinite(losses).all(axis=1)]
    return np.asarray(judged.mean(axis=0)) if len(judged) else np.full(losses.shape[1], np.nan)
