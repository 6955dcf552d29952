"""The fit of MRM: an outer loop over people through the inner steps that will place them.

The published recipe takes one Adam step of one size on two rewards and reports the epoch that tests
best; here sizes are tried, and people who were held out choose.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from gustibus.errors import InputError
from gustibus.models.base import Fitted, Progress, TrainingSet
from gustibus.models.hierarchical_learn import population_reward
from gustibus.models.hierarchical_objective import Objective
from gustibus.models.hierarchical_start import Frame, spectral_start
from gustibus.models.keywords import (
    Count,
    Exponent,
    NotNegative,
    Span,
    Whole,
    check_choice,
    read_options,
)
from gustibus.models.mrm import Inner, MetaReward, adapted
from gustibus.models.pal_start import simplex_corners
from gustibus.models.stepping import Stepper, adam, scale_rates, warmed
from gustibus.models.torch_network import pick_device
from gustibus.models.validation import everybody, held_out_loss, hold_out
from gustibus.posterior import Answering, Evidence, GaussianPrior
from gustibus.types import F64

_EXACT = Answering(lapse=0.0)


@dataclass(frozen=True, slots=True)
class MrmOptions:
    """Options of the fit; `recipe = "published"` sets those marked (p) as the public code does.

    Attributes:
        rank: number of shared rewards (p: 2).
        step_sizes: sizes of an inner step; held-out people choose, the middle one is taken without
            any (p: 0.005).
        inner_steps: inner steps (p: 1).
        inner: `gradient`, or `adam` (p).
        support: share of a person's answers that the inner steps see in training; in
            the project's recipe drawn anew, up to this (p: 0.1).
        robust: width of the sigmoid that gives people above the median loss more weight (p: 0.5);
            0 counts everybody alike.
        steps: outer steps; 0 is 200 passes over people (p).
        batch: people an outer step (p: 2).
        lr: of the outer Adam, warmed up over 5 % of the steps, then cosine (p: 0.005).
        ridge: on the shared rewards, in units of comparisons (p: 0).
        equalise: exponent of the variance by which principal components of the features are
            divided first; negative leaves the features alone (p).
        max_features: principal components kept.
        recipe: `project` or `published`.
    """

    rank: Annotated[int, Span(1, 64)] = 8
    step_sizes: tuple[NotNegative, ...] = (1.0, 3.0, 10.0)
    inner_steps: Count = 5
    inner: str = "gradient"
    support: Annotated[float, Span(1e-3, 0.99)] = 0.5
    robust: NotNegative = 0.5
    steps: Whole = 300
    batch: Count = 64
    lr: Annotated[float, Span(1e-9, 1)] = 0.02
    ridge: NotNegative = 3.0
    equalise: Exponent = 0.5
    max_features: Count = 384
    recipe: str = "project"


_PUBLISHED: dict[str, Any] = {
    "rank": 2, "step_sizes": 5e-3, "inner_steps": 1, "inner": "adam", "support": 0.1, "steps": 0,
    "batch": 2, "lr": 5e-3, "ridge": 0.0, "equalise": -1.0,
}  # fmt: skip
_MARGIN = 0.01
"""Factor of the published margins."""
_WARM = 0.05
"""Share of steps in which the learning rate rises."""


def mrm_options(given: Mapping[str, Any]) -> MrmOptions:
    """Options from keywords.

    Raises:
        ConfigError: an unknown keyword or a value out of range.
    """
    base = _PUBLISHED if given.get("recipe") == "published" else {}
    options = read_options(MrmOptions, "mrm", given, base=base)
    check_choice("recipe", options.recipe, ("project", "published"))
    check_choice("inner", options.inner, ("gradient", "adam"))
    return options


def fit_mrm(
    train: TrainingSet,
    valid: TrainingSet | None,
    *,
    options: MrmOptions,
    seed: int,
    device: str,
    progress: Progress | None,
) -> Fitted:
    """Choose the size of the inner step on held-out people, then learn from everybody.

    Raises:
        InputError: there are no comparisons.
    """
    if len(train) == 0:
        message = "train: expected at least one comparison, got none"
        raise InputError(message, where="train")
    started = time.perf_counter()
    where = pick_device(device)
    judged = valid if valid is not None and len(valid) else None
    sizes, history = sorted(options.step_sizes), []
    size, held = sizes[len(sizes) // 2], None
    if judged is not None:
        split, learner = hold_out(judged), _Learner(train, judged, options, seed, where)
        for done, candidate in enumerate(sizes, 1):
            loss = held_out_loss(learner.run(candidate), judged, split)
            history.append({"step_size": candidate, "valid_loss": loss})
            if progress is not None:
                progress("mrm", done, len(sizes), loss)
            if loss < (np.inf if held is None else held):
                size, held = candidate, loss
    whole = train if judged is None else everybody(train, judged)
    model = _Learner(whole, judged, options, seed, where).run(size)
    report = {
        "options": asdict(options), "step_size": size, "history": history, "held_out_loss": held,
        "seconds": time.perf_counter() - started,
    }  # fmt: skip
    return Fitted(model, report)


class _Batch(NamedTuple):
    """Rows of b people, `(b, s)`, with weights that say which place a person and which judge."""

    rows: Tensor
    support: Tensor
    query: Tensor


class _Learner:
    """Learns start and basis on one training set."""

    def __init__(
        self, train: TrainingSet, valid: TrainingSet | None, options: MrmOptions, seed: int,
        device: torch.device,
    ) -> None:  # fmt: skip
        self.train, self.options, self.seed, self.device = train, options, seed, device
        d = train.item_features.shape[1]
        if options.recipe == "published":
            generator = torch.Generator().manual_seed(seed)
            self.center, self.turn = np.zeros(d, np.float32), np.eye(d)
            items: F64 = train.item_features * np.float64(_MARGIN)
            basis = torch.randn(d, options.rank, generator=generator).double().numpy() / d**0.5
            self.turn = self.turn * _MARGIN
        else:
            frame = Frame.of(train, max(options.equalise, 0.0), options.max_features, device)
            self.center, self.turn, items = frame.center, frame.turn, frame.items
            basis = self._start(frame, valid)
        self.items = torch.as_tensor(items, dtype=torch.float32, device=device)
        self.basis = torch.as_tensor(basis, dtype=torch.float32, device=device)
        self.a, self.b = (torch.as_tensor(s, device=device).long() for s in (train.a, train.b))
        self.target = torch.as_tensor(train.target, device=device)
        counts = np.bincount(train.user, minlength=train.people)
        self.counts, self.first = counts, np.cumsum(counts) - counts
        self.order = np.argsort(train.user, kind="stable")

    def _start(self, frame: Frame, valid: TrainingSet | None) -> F64:
        """The pooled reward, and rewards around it in the directions in which people differ most."""
        objective = Objective(self.train, frame, self.device)
        shared, _ = population_reward(objective, frame, (100.0, 30.0, 10.0, 3.0), valid)
        theta, k = shared.double().cpu().numpy(), self.options.rank
        if k == 1:
            return np.asarray(theta[:, None])
        few = min(k - 1, len(theta))
        apart = np.pad(
            spectral_start(self.train, frame, theta, few, self.device), ((0, 0), (0, k - 1 - few))
        )
        return np.asarray(theta[:, None] + k * apart @ simplex_corners(k).T)

    def run(self, size: float) -> MetaReward:
        """The model for inner steps of one size."""
        o = self.options
        inner = Inner(o.inner_steps, size, o.inner)
        basis = self.basis.clone().requires_grad_()
        start = torch.zeros(o.rank, device=self.device, requires_grad=True)
        optimizer = adam([basis, start], self.device, decoupled=False, lr=o.lr)

        def mean_loss(batch: _Batch) -> Tensor:
            losses = self._losses(basis, start, batch, inner)  # (b,)
            weight = torch.ones_like(losses)
            if o.robust:
                weight = torch.sigmoid((losses - losses.median()) / o.robust).detach()
            loss = (weight * losses).sum() / weight.sum()
            return loss + 0.5 * o.ridge / max(total, 1.0) * self._length(basis)

        take = Stepper(mean_loss, optimizer, record=False)
        rng, total = np.random.default_rng(self.seed), float(self.train.weight.sum())
        steps = o.steps or math.ceil(200 * max(1, (self.counts > 1).sum()) / o.batch)
        for step in range(steps):
            scale_rates(optimizer, warmed(step, steps, _WARM))
            take(self._draw(rng))
        return self._export(basis.detach(), start.detach(), inner)

    def _length(self, basis: Tensor) -> Tensor:
        """Squared length of the mean reward, and of what the others have beside it, as in LoRe."""
        middle = basis.mean(1, keepdim=True)
        apart = (basis - middle).square().sum() / self.options.rank**2
        return middle.square().sum() + apart

    def _draw(self, rng: np.random.Generator) -> _Batch:
        """People at random; of each a part of the rows places, the others judge."""
        o = self.options
        able = np.flatnonzero(self.counts > 1)
        if len(able) == 0:
            able = np.flatnonzero(self.counts)  # judged as they start
        people = rng.choice(able, min(o.batch, len(able)), replace=False)
        most = int(self.counts[people].max())
        rows = np.zeros((len(people), most), np.int64)
        support = np.zeros((len(people), most), np.float32)
        query = np.zeros_like(support)
        for i, person in enumerate(people):
            count = int(self.counts[person])
            mine = self.order[self.first[person] + rng.permutation(count)]
            n = max(1, round(o.support * count))
            if o.recipe == "project":  # a new person may have said little or much
                n = int(rng.integers(0, n + 1))
            n = min(n, count - 1)
            rows[i, :count] = mine
            support[i, :n] = self.train.weight[mine[:n]]
            query[i, n:count] = self.train.weight[mine[n:]]
        return _Batch(*(torch.as_tensor(x, device=self.device) for x in (rows, support, query)))

    def _losses(self, basis: Tensor, start: Tensor, batch: _Batch, inner: Inner) -> Tensor:
        """`(b,)` mean loss of each person's queries, after the inner steps on the support."""
        phi = self.items @ basis  # (m, k)
        delta = phi[self.a[batch.rows]] - phi[self.b[batch.rows]]  # (b, s, k)
        target = self.target[batch.rows]
        logits = start.expand(len(delta), -1)
        total = batch.support.sum(1, keepdim=True)
        total = total + inner.imaginary if inner.rule == "gradient" else total.clamp_min(1e-12)
        moment, second = torch.zeros_like(logits), torch.zeros_like(logits)
        for step in range(1, inner.steps + 1):
            w = logits.softmax(-1)
            pull = batch.support * (torch.sigmoid((delta * w[:, None]).sum(-1)) - target)
            slope = (delta * pull[..., None]).sum(1) / total
            gradient = w * (slope - (slope * w).sum(1, keepdim=True))
            if inner.rule == "gradient":
                logits = logits - inner.size * gradient
                continue
            moment = moment + 0.1 * (gradient - moment)
            second = second + 0.001 * (gradient.square() - second)
            # the small number under the root keeps its slope finite where a gradient is 0
            scale = (second / (1 - 0.999**step) + 1e-20).sqrt() + 1e-8
            logits = logits - inner.size * moment / (1 - 0.9**step) / scale
        margin = (delta * logits.softmax(-1)[:, None]).sum(-1)
        each = (softplus(margin) - target * margin) * batch.query
        return each.sum(1) / batch.query.sum(1).clamp_min(1e-12)

    def _export(self, basis: Tensor, start: Tensor, inner: Inner) -> MetaReward:
        """The served model; the prior's covariance is that of the training people."""
        k = self.options.rank
        mean: F64 = start.double().softmax(-1).cpu().numpy()
        phi = (self.items @ basis).double().cpu().numpy()
        train = self.train
        evidence = Evidence.build(
            phi[train.a] - phi[train.b], train.target.astype(np.float64),
            weight=train.weight.astype(np.float64), person=train.user.astype(np.int64),
            people=train.people,
        )  # fmt: skip
        away = adapted(evidence, mean, inner)[self.counts > 0] - mean
        spread = away.T @ away / len(away) + 1e-6 * np.eye(k)
        vectors = (self.turn @ basis.double().cpu().numpy()).astype(np.float32)
        prior = GaussianPrior.single(mean, spread)
        return MetaReward(self.center, vectors, prior, _EXACT, inner)
