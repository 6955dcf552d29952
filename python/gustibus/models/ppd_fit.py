"""The fit of personal preference from few pairs: episodes first, then the form that is served.

Weight decay, rank and spread of the population are chosen on held-out people, and the choice is
trained once more on all of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

from gustibus.errors import InputError
from gustibus.models.base import Fitted, Progress, TrainingSet
from gustibus.models.hierarchical_learn import population_reward
from gustibus.models.hierarchical_objective import Objective
from gustibus.models.hierarchical_start import Frame
from gustibus.models.ppd import Ppd
from gustibus.models.ppd_episodes import Episodes, everybody_at_once
from gustibus.models.ppd_module import PpdModule, double
from gustibus.models.ppd_options import PpdOptions
from gustibus.models.stepping import Stepper, adam, cosine, scale_rates
from gustibus.models.torch_network import pick_device
from gustibus.models.validation import everybody, held_out_losses, hold_out
from gustibus.posterior import Answering, GaussianPrior, ParticlePrior, Prior
from gustibus.types import F64

_MOST_PARTICLES, _BLOCK = 1000, 20_000
_FLOOR = 1e-6
"""Share of the mean variance of a population that every direction has at least."""


class Setting(NamedTuple):
    """What held-out people choose among, beside weight decay."""

    rank: int
    spread: float


def fit_ppd(
    train: TrainingSet,
    valid: TrainingSet | None,
    *,
    options: PpdOptions,
    seed: int,
    device: str,
    progress: Progress | None,
) -> Fitted:
    """Choose on held-out people, then train the choice on everybody.

    Raises:
        InputError: there are no comparisons.
    """
    if len(train) == 0:
        message = "train: expected at least one comparison, got none"
        raise InputError(message, where="train")
    started = time.perf_counter()
    where = pick_device(device)
    judged = valid if valid is not None and len(valid) else None
    fitter = _Fitter(train, judged, options, seed, where)
    history: list[dict[str, Any]] = []
    held = None
    if judged is None:
        decay, rank, spread = (
            values[min(1, len(values) - 1)]
            for values in (options.decays, options.ranks, options.spreads)
        )
        setting = Setting(min(int(rank), options.dim), spread)
        model, trained = fitter.fit(decay, setting, progress)
    else:
        model, trained, history = _choose(fitter, judged, progress)
        best = min(history, key=lambda row: row["valid_loss"])
        held = best["valid_loss"] if np.isfinite(best["valid_loss"]) else None
        decay, setting = best["decay"], Setting(best["rank"], best["spread"])
        if options.refit:
            whole = _Fitter(everybody(train, judged), judged, options, seed, where)
            model, trained = whole.fit(decay, setting, progress)
    report = {
        "options": asdict(options), "history": history, "held_out_loss": held,
        "chosen": {"decay": decay, **setting._asdict()}, "episode_losses": trained,
        "seconds": time.perf_counter() - started,
    }  # fmt: skip
    return Fitted(model, report)


def _settings(o: PpdOptions) -> Iterator[Setting]:
    """Ranks matter where the served model has a basis."""
    based = o.refine != "encoder" and o.head == "bilinear"
    for rank in sorted({min(int(r), o.dim) for r in o.ranks}) if based else [o.dim]:
        for spread in sorted(o.spreads):
            yield Setting(rank, spread)


def _choose(
    fitter: _Fitter, valid: TrainingSet, progress: Progress | None
) -> tuple[Ppd, list[float], list[dict[str, Any]]]:
    """The model of the best setting, the losses of its episodes, and how every setting did."""
    split, history = hold_out(valid), []
    found: tuple[float, Ppd, list[float]] | None = None
    for decay in fitter.options.decays:
        module, trained = fitter.train_module(decay, progress)
        theta = fitter.people(module)
        for setting in _settings(fitter.options):
            model = fitter.export(module, theta, setting)
            losses = held_out_losses(model, valid, split)
            judged = losses[np.isfinite(losses)]
            loss = float(judged.mean()) if len(judged) else float("inf")
            history.append({"decay": decay, **setting._asdict(), "valid_loss": loss})
            if found is None or loss < found[0]:
                found = (loss, model, trained)
    assert found is not None, "options have at least one weight decay, rank and spread"
    return found[1], found[2], history


class _Fitter:
    """Trains on one training set and turns what was learned into served models."""

    def __init__(
        self, train: TrainingSet, valid: TrainingSet | None, options: PpdOptions, seed: int,
        device: torch.device,
    ) -> None:  # fmt: skip
        self.train, self.options, self.seed, self.device = train, options, seed, device
        self.frame = Frame.of(train, max(options.equalise, 0.0), options.max_features, device)
        plain = self.frame.items.shape[1] - self.frame.own
        self.unit = float(np.sqrt(2 * plain))  # of a coordinate: about a standard deviation
        self.items = self.frame.items * self.unit
        objective = Objective(train, self.frame, device)
        theta, _ = population_reward(objective, self.frame, options.ridge_population, valid)
        self.theta = theta / self.unit

    def fit(
        self, decay: float, setting: Setting, progress: Progress | None
    ) -> tuple[Ppd, list[float]]:
        """The served model of one setting, and the losses of its episodes."""
        module, trained = self.train_module(decay, progress)
        return self.export(module, self.people(module), setting), trained

    def train_module(
        self, decay: float, progress: Progress | None
    ) -> tuple[PpdModule, list[float]]:
        """Episodes under AdamW; the mean loss of each tenth of them."""
        o = self.options
        module = PpdModule(self.items.shape[1], self.theta.cpu(), o, self.seed).to(self.device)
        items = torch.as_tensor(self.items, dtype=torch.float32, device=self.device)
        optimizer = adam(module.parameters(), self.device, lr=o.lr, weight_decay=decay)
        take = Stepper(partial(module.loss, items), optimizer, record=False)
        losses, means, every = [], [], max(o.steps // 10, 1)
        episodes = Episodes(self.train, o, self.seed, self.device)
        for done, episode in enumerate(episodes.draw(o.steps), 1):
            scale_rates(optimizer, cosine(done - 1, o.steps))
            losses.append(take(episode))
            if done % every == 0:
                means.append(float(torch.stack(losses[-every:]).mean()))
                if progress is not None:
                    progress("ppd", done, o.steps, means[-1])
        return module, means

    def people(self, module: PpdModule) -> F64:
        """`(p, M)` encoder's vectors of the training people, all of their answers as support."""
        encoder, first = module.encoder(), double(module.first)
        a, b, target, weight, starts = everybody_at_once(self.train)
        sides = self.items @ first
        out = np.empty((self.train.people, encoder.dim))
        for begin in range(0, self.train.people, _BLOCK):
            edges = starts[begin : begin + _BLOCK + 1]
            rows = slice(int(edges[0]), int(edges[-1]))
            out[begin : begin + _BLOCK] = encoder.encode(
                sides[a[rows]], sides[b[rows]], target[rows], weight[rows], edges - edges[0]
            )
        return out

    def export(self, module: PpdModule, people: F64, setting: Setting) -> Ppd:
        """The served model."""
        o, theta = self.options, double(module.theta)
        if module.attends:
            columns = [theta[:, None], double(module.lift)]
        elif o.refine == "encoder":
            columns = [theta[:, None], double(module.personal)]
        else:
            people, basis = self._basis(module, people, setting.rank)
            if o.refine == "particles":  # the zero of user vectors is the population
                theta = theta + basis @ people.mean(0)
                people = people - people.mean(0)
            columns = [theta[:, None], basis]
        if o.refine == "encoder":
            columns.append(double(module.first))
        projection = self.unit * self.frame.turn @ np.concatenate(columns, axis=1)
        return Ppd(
            self.frame.center, projection.astype(np.float32), self._population(people, setting),
            Answering(lapse=0.0), module.encoder() if o.refine == "encoder" else None,
            module.attention(),
        )  # fmt: skip

    def _basis(self, module: PpdModule, people: F64, rank: int) -> tuple[F64, F64]:
        """Coordinates `(p, k)` of people and a basis `(q, k)`: the row space of `u Bm`."""
        personal = double(module.personal).T  # (M, q)
        values, axes = np.linalg.eigh(people.T @ people)
        root = (axes * np.sqrt(np.maximum(values, 0))).T  # its rows span those of people
        turned = np.linalg.svd(root @ personal, full_matrices=False)[2]  # (M, q)
        basis = turned[:rank].T
        return people @ personal @ basis, basis

    def _population(self, people: F64, setting: Setting) -> Prior:
        """Around zero, the person without answers, as wide as the training people are."""
        if self.options.refine == "particles":
            rng = np.random.default_rng(self.seed)
            few = min(_MOST_PARTICLES, len(people))
            chosen = people[np.sort(rng.choice(len(people), few, replace=False))]
            return ParticlePrior(chosen * np.sqrt(setting.spread), np.zeros(few))
        moment = people.T @ people / max(len(people), 1)
        floor = _FLOOR * max(float(np.trace(moment)) / len(moment), _FLOOR)
        covariance = setting.spread * (moment + floor * np.eye(len(moment)))
        return GaussianPrior.single(np.zeros(len(moment)), covariance)
