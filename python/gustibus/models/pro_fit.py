"""The fit of a preference orchestrator: rewards first, then the adapter, then people's multipliers.

Whether the prompt is worth reading and how strong the ridge is are chosen on held-out people, and
the choice is fitted once more on all of them.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

from gustibus.errors import InputError
from gustibus.models.base import Fitted, Progress, TrainingSet
from gustibus.models.gpm_module import Statistics, used_rows
from gustibus.models.pro import Orchestrator
from gustibus.models.pro_heads import Heads, column_heads, normalised, rating_heads
from gustibus.models.pro_module import Adapter, Batch, objective_losses
from gustibus.models.pro_options import ProOptions
from gustibus.models.stepping import Stepper, adam, cosine, scale_rates
from gustibus.models.torch_network import drawn, pick_device
from gustibus.models.validation import (
    everybody,
    held_out_losses,
    hold_out,
    representations,
    simplest,
)
from gustibus.posterior import Answering, Evidence, GaussianPrior, fit_population
from gustibus.types import F32, F64

_DOMINANT, _START, _LR_PEOPLE, _PROMPTS = 0.9, 0.1, 3.0, 5000


class _Candidate(NamedTuple):
    """One setting of the adapter."""

    reads_prompt: bool
    ridge: float


def fit_pro(
    train: TrainingSet,
    valid: TrainingSet | None,
    *,
    options: ProOptions,
    seed: int,
    device: str,
    progress: Progress | None,
) -> Fitted:
    """Choose on held-out people, then fit the choice on everybody.

    Raises:
        InputError: there are no comparisons, or a gate reads prompts and there are none.
    """
    if len(train) == 0:
        message = "train: expected at least one comparison, got none"
        raise InputError(message, where="train")
    prompted = train.prompt_features is not None
    if options.gate in ("prompt", "armorm") and not prompted:
        message = f"gate: {options.gate!r} needs prompt features, the data has none"
        raise InputError(message, where="gate")
    started = time.perf_counter()
    fitter = _Fitter(options, seed, pick_device(device))
    reads = {"constant": (False,), "auto": (False, True) if prompted else (False,)}
    learned = options.rewards == "experts"
    candidates = [
        _Candidate(reading, ridge)
        for reading in reads.get(options.gate, (True,))
        for ridge in (options.ridges if reading or learned else options.ridges[:1])
    ]
    history: list[dict[str, Any]] = []
    held: float | None = None
    chosen, whole = candidates[len(candidates) // 2], train
    if valid is not None and len(valid):
        split, losses = hold_out(valid), []
        for done, candidate in enumerate(candidates, 1):
            losses.append(held_out_losses(fitter.fit(train, candidate), valid, split))
            judged = losses[-1][np.isfinite(losses[-1])]
            mean = float(judged.mean()) if len(judged) else float("nan")
            history.append({**candidate._asdict(), "valid_loss": mean})
            if progress is not None:
                progress("pro", done, len(candidates), mean)
        best = simplest(np.column_stack(losses))
        chosen, held = candidates[best], history[best]["valid_loss"]
        whole = everybody(train, valid)
    model = fitter.fit(whole, chosen)
    report = {
        "options": options.as_json(), "history": history, "chosen": chosen._asdict(),
        "held_out_loss": held if held is not None and math.isfinite(held) else None,
        **_weights_report(model, whole), "scale": model.scale, "foretold": fitter.foretold,
        "seconds": time.perf_counter() - started,
    }  # fmt: skip
    return Fitted(model, report)


def _weights_report(model: Orchestrator, train: TrainingSet) -> dict[str, Any]:
    """How even the weights are over training prompts: `entropy` 1 is uniform, 0 one objective."""
    prompts = None
    if model.prompt_dim and train.prompt_features is not None:
        prompts = train.prompt_features[np.unique(train.prompt)[:_PROMPTS]]
    weights = model.weights(prompts)  # (n, m)
    entropy = -(weights * np.log(np.maximum(weights, 1e-300))).sum(1)
    most = math.log(model.objectives) if model.objectives > 1 else 1.0
    return {
        "weights": weights.mean(0).tolist(),
        "entropy": float(entropy.mean() / most),
        "dominance": float((weights.max(1) > _DOMINANT).mean()),
    }


class _Fitter:
    """Fits one setting of the adapter to one training set."""

    def __init__(self, options: ProOptions, seed: int, device: torch.device) -> None:
        self.options, self.seed, self.device = options, seed, device
        self.foretold: dict[str, float | None] = {}
        """By the name of each rated reward, as the last fit has it; None where nothing can tell."""

    def fit(self, train: TrainingSet, candidate: _Candidate) -> Orchestrator:
        """The fitted model, the population of multipliers included."""
        heads = self._heads(train)
        items, prompts = used_rows(train)
        statistics = Statistics.of(items, train.own)
        reading = Statistics.of(prompts) if candidate.reads_prompt and prompts is not None else None
        generator = torch.Generator().manual_seed(self.seed)
        torch.manual_seed(self.seed)  # of the dropout
        adapter = Adapter(
            self.options.experts if heads is None else heads.weight.shape[1],
            0 if reading is None else len(reading.center),
            items.shape[1] if heads is None else 0, train.people, self.options, generator,
        ).to(self.device)  # fmt: skip
        rows = _Rows(train, heads, statistics, reading, self.device)
        self._train(adapter, rows, candidate.ridge, generator)
        model = self._export(adapter, train, heads, statistics, reading)
        if self.options.objective != "likelihood":
            model = _calibrated(model, train)
        return _with_population(model, train) if self.options.personal else model

    def _heads(self, train: TrainingSet) -> Heads | None:
        """None where they are learned."""
        o = self.options
        if o.rewards == "columns":
            return column_heads(train, o.columns)
        if o.ratings is not None and o.rewards == "ratings":
            heads = rating_heads(train, o.ratings, seed=self.seed)
            told = [share if math.isfinite(share) else None for share in heads.foretold]
            self.foretold = dict(zip(o.named(len(told)), told, strict=True))
            return heads
        return None

    def _train(
        self, adapter: Adapter, rows: _Rows, ridge: float, generator: torch.Generator
    ) -> None:
        """The published target first where there is a warm start, then the objective."""
        o = self.options
        if o.warm_start:
            self._descend(adapter, rows, ridge, generator, "target", o.warm_start)
        self._descend(adapter, rows, ridge, generator, o.objective, o.steps)

    def _descend(
        self, adapter: Adapter, rows: _Rows, ridge: float, generator: torch.Generator,
        objective: str, steps: int,
    ) -> None:  # fmt: skip
        """Adam with a cosine; ridge and priors are in the loss, in units of comparisons."""
        o = self.options
        lr = o.lr or (1e-2 if adapter.experts.numel() else 3e-3)
        shared = [p for n, p in adapter.named_parameters() if n != "people" and p.numel()]
        groups = [{"params": shared, "lr": lr}]
        if adapter.people.numel():
            groups.append({"params": [adapter.people], "lr": _LR_PEOPLE * lr})
        optimizer = adam(groups, self.device, weight_decay=0.0)
        take = Stepper(partial(self._loss, adapter, rows, ridge, objective), optimizer)
        adapter.train()
        for step, index in enumerate(drawn(len(rows), o.batch, steps, generator, self.device)):
            scale_rates(optimizer, cosine(step, steps))
            take(index)
        adapter.eval()

    def _loss(
        self, adapter: Adapter, rows: _Rows, ridge: float, objective: str, index: torch.Tensor
    ) -> torch.Tensor:
        o, batch = self.options, rows.take(index)
        log_weights = adapter.log_weights(batch.prompt, len(index))
        each = objective_losses(adapter, batch, log_weights, objective, o.temperature)
        loss = (each * batch.weight).sum() / batch.weight.sum().clamp(min=1e-12)
        loss = loss + 0.5 * ridge / len(rows) * adapter.squares()
        if o.rho:
            mean = log_weights.exp().mean(0).detach().clamp(min=1e-9).log()
            loss = loss + o.rho * (log_weights.exp() * (log_weights - mean)).sum(-1).mean()
        if len(adapter.people):  # a person's prior counts once, however many answers carry it
            apart = adapter.people[batch.user].square().sum(-1) * rows.once[batch.user]
            loss = loss + 0.5 * o.user_prior * apart.mean()
        return loss

    def _export(
        self, adapter: Adapter, train: TrainingSet, heads: Heads | None, statistics: Statistics,
        reading: Statistics | None,
    ) -> Orchestrator:  # fmt: skip
        scale = float(adapter.log_scale.detach().exp())
        if heads is None:
            learned = adapter.experts.detach().cpu().numpy() / statistics.spread[:, None]
            heads = normalised(train, learned.astype(np.float32), statistics.center, common=True)
            scale *= float(heads.spread[0])
        m, empty = len(heads.mean), np.zeros(0, np.float32)
        logits = adapter.logits.detach().cpu().numpy().astype(np.float64) / self.options.softness
        return Orchestrator(
            heads=heads.weight, center=heads.center, mean=heads.mean, spread=heads.spread,
            adapter=adapter.export(),
            prompt_center=empty if reading is None else reading.center,
            prompt_spread=empty if reading is None else reading.spread,
            logits=logits, scale=scale, stated=np.full(m, 1 / m), trust=0.0,
            prior=GaussianPrior.standard(0), answering=Answering(lapse=0.0),
            names=self.options.named(m),
        )  # fmt: skip


class _Rows:
    """A training set on the device."""

    def __init__(
        self, data: TrainingSet, heads: Heads | None, statistics: Statistics,
        reading: Statistics | None, device: torch.device,
    ) -> None:  # fmt: skip
        used = np.unique(np.concatenate([data.a, data.b]))
        code = np.zeros(len(data.item_features), np.int64)
        code[used] = np.arange(len(used))
        items = data.item_features[used]
        table: F32 | F64 = (items - statistics.center) / statistics.spread
        if heads is not None:
            table = heads.rewards(items)
        self.table = torch.as_tensor(table, dtype=torch.float32, device=device)
        self.a, self.b = (torch.as_tensor(code[c], device=device) for c in (data.a, data.b))
        self.prompts = None
        if reading is not None and data.prompt_features is not None:
            e = (data.prompt_features - reading.center) / reading.spread
            self.prompts = torch.as_tensor(e, device=device)
        self.prompt, self.user = (
            torch.as_tensor(c.astype(np.int64), device=device) for c in (data.prompt, data.user)
        )
        self.target = torch.as_tensor(data.target, device=device)
        self.weight = torch.as_tensor(data.weight, device=device)
        counts = np.maximum(np.bincount(data.user, minlength=data.people), 1)
        self.once = torch.as_tensor(1 / counts, dtype=torch.float32, device=device)

    def __len__(self) -> int:
        return len(self.target)

    def take(self, index: torch.Tensor) -> Batch:
        """Rows by number."""
        prompt = None if self.prompts is None else self.prompts[self.prompt[index]]
        return Batch(
            self.table[self.a[index]], self.table[self.b[index]], prompt, self.user[index],
            self.target[index], self.weight[index],
        )  # fmt: skip


def _calibrated(model: Orchestrator, train: TrainingSet) -> Orchestrator:
    """The model with the scale of most likelihood: its objective did not see the comparisons."""
    a, b = representations(model, train, np.arange(len(train)))
    z = (a[:, 0].astype(np.float64) - b[:, 0]) / model.scale
    target, weight = train.target.astype(np.float64), train.weight.astype(np.float64)
    scale = 1.0
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(scale * z, -500, 500)))
        slope = (weight * (target - p) * z).sum() - 1e-3 * scale
        bend = (weight * p * (1 - p) * z**2).sum() + 1e-3
        step = float(np.clip(slope / bend, -scale / 2, scale + 0.5))
        scale = max(scale + step, 1e-3)  # weights that foretell nothing get hardly any
        if abs(step) < 1e-8 * scale:
            break
    return replace(model, scale=scale)


def _with_population(model: Orchestrator, train: TrainingSet) -> Orchestrator:
    """The model with a distribution of people's multipliers, by empirical Bayes from 1."""
    m = model.objectives
    start = GaussianPrior.single(np.ones(m), _START * np.eye(m))
    open_model = replace(model, prior=start)
    a, b = representations(open_model, train, np.arange(len(train)))
    evidence = Evidence.build(
        a[:, 1 : 1 + m].astype(np.float64) - b[:, 1 : 1 + m], train.target.astype(np.float64),
        weight=train.weight.astype(np.float64), person=train.user.astype(np.int64),
        people=train.people,
    )  # fmt: skip
    found = fit_population(evidence, initial=start, floor=1e-4, answering=model.answering)
    return replace(model, prior=found.prior)
