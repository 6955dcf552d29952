"""The fit of VPL: episodes of seen people, the best state on held-out people, a watch on collapse."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

from gustibus.errors import InputError
from gustibus.models.base import Fitted, Progress, TrainingSet
from gustibus.models.hierarchical_start import Frame
from gustibus.models.stepping import Stepper, adam, scale_rates, warmed
from gustibus.models.torch_network import pick_device
from gustibus.models.validation import held_out_loss, hold_out, representations
from gustibus.models.vpl import Vpl
from gustibus.models.vpl_module import Drawer, Machine, Rows, episode_loss
from gustibus.models.vpl_options import VplOptions
from gustibus.posterior import Answering
from gustibus.types import F32, F64

_WARM, _ACTIVE, _DROP = 0.03, 0.01, 0.01
"""Share of warm-up; variance over people that makes a dimension active; accuracy that a swap costs."""


def fit_vpl(
    train: TrainingSet,
    valid: TrainingSet | None,
    *,
    options: VplOptions,
    seed: int,
    device: str,
    progress: Progress | None,
) -> Fitted:
    """Train with every weight of the divergence; held-out people choose. They are not trained on.

    Raises:
        InputError: there are no comparisons, or nobody answered twice.
    """
    if len(train) == 0:
        message = "train: expected at least one comparison, got none"
        raise InputError(message, where="train")
    if np.bincount(train.user, minlength=train.people).max() < 2:
        message = "train: expected people with two comparisons or more, got one each"
        raise InputError(message, where="train")
    started = time.perf_counter()
    judged = valid if valid is not None and len(valid) else None
    where = pick_device(device)
    history: list[dict[str, float]] = []
    best: tuple[float, float, Vpl] | None = None
    betas = options.beta if judged is not None else options.beta[:1]
    for beta in betas:
        trainer = _Trainer(train, judged, options, beta, seed, where, progress)
        model, loss = trainer.run(history)
        if best is None or loss < best[0]:
            best = loss, beta, model
    assert best is not None, "there is at least one weight"
    watch = monitor(best[2], train if judged is None else judged)
    report: dict[str, Any] = {
        "options": asdict(options), "beta": best[1], "history": history,
        "held_out_loss": None if judged is None else best[0], "collapse": watch._asdict(),
        "warning": watch.warning, "seconds": time.perf_counter() - started,
    }  # fmt: skip
    return Fitted(best[2], report)


class Watch(NamedTuple):
    """Whether the latent vectors say anything of people."""

    active_units: float
    """Share of latent dimensions whose mean varies over people."""
    accuracy: float
    """On answers of people who were placed by others of theirs."""
    swap_drop: float
    """What is lost of it when everybody gets another person's vector."""
    collapsed: bool

    @property
    def warning(self) -> str | None:
        """What to tell whoever fitted the model."""
        if not self.collapsed:
            return None
        return (
            f"the latent vectors have collapsed: {self.active_units:.0%} of the dimensions vary "
            f"over people, another person's vector costs {self.swap_drop:.3f} of accuracy; lower "
            "beta"
        )


def monitor(model: Vpl, people: TrainingSet) -> Watch:
    """Active units, and the drop in accuracy under swapped contexts, on people with answers left."""
    split = hold_out(people)
    a, b = representations(model, people, split.support)
    placed = model.place(
        a, b, people.target[split.support].astype(np.float64),
        weight=people.weight[split.support].astype(np.float64), starts=split.support_starts,
    ).mean  # fmt: skip
    told = np.flatnonzero(np.diff(split.support_starts) > 0)
    active = float((placed[told].var(0) > _ACTIVE).mean()) if len(told) else 0.0
    rows = np.isin(split.query_person, told) & (people.target[split.query] != 0.5)
    query, who, share = split.query[rows], split.query_person[rows], split.share[rows]
    if len(query) == 0 or len(told) < 2:
        return Watch(active, float("nan"), 0.0, active == 0.0)
    first, second = representations(model, people, query)
    right = people.target[query] > 0.5

    def accuracy(vectors: F64) -> float:
        found = (model.margin(vectors[who], first, second) > 0) == right
        return float(np.average(found, weights=share))

    own, others = accuracy(placed), list[float]()
    order = np.random.default_rng(0).permutation(told)
    for shift in range(1, min(4, len(order))):
        swapped = placed.copy()
        swapped[order] = placed[np.roll(order, shift)]
        others.append(accuracy(swapped))
    drop = own - float(np.mean(others))
    return Watch(active, own, drop, active == 0.0 or drop < _DROP)


class _Trainer:
    """Trains one machine."""

    def __init__(
        self, train: TrainingSet, valid: TrainingSet | None, options: VplOptions, beta: float,
        seed: int, device: torch.device, progress: Progress | None,
    ) -> None:  # fmt: skip
        self.train, self.valid, self.options, self.beta = train, valid, options, beta
        self.device, self.progress = device, progress
        self.center, self.turn = coordinates(train, options, device)
        items = (train.item_features - self.center) @ self.turn
        self.rows = Rows.of(train, torch.as_tensor(items, device=device))
        self.generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.machine = Machine(items.shape[1], options).to(device)
        self.drawer = Drawer(train, options, seed)
        self.placing = hold_out(train, most=options.context)

    def run(self, history: list[dict[str, float]]) -> tuple[Vpl, float]:
        """The model that serves held-out people best, or the last one, and its loss."""
        o = self.options
        steps = o.steps or math.ceil(8 * len(self.train) / o.batch)
        optimizer = adam(
            self.machine.parameters(), self.device, lr=o.lr, weight_decay=o.weight_decay
        )
        take = Stepper(partial(episode_loss, self.machine, self.rows), optimizer, record=False)
        judge = math.ceil(steps / o.judgements) if o.judgements and self.valid is not None else 0
        split = None if self.valid is None else hold_out(self.valid)
        best: tuple[float, Vpl] | None = None
        for step in range(steps):
            scale_rates(optimizer, warmed(step, steps, _WARM))
            take(self.drawer.draw(self.device), self._beta(step), self.generator)
            last = step + 1 == steps
            if (judge and (step + 1) % judge == 0) or last:
                model = self.export()
                held = float("nan")
                if self.valid is not None and split is not None:
                    held = held_out_loss(model, self.valid, split)
                history.append({"beta": self.beta, "step": step + 1, "valid_loss": held})
                if self.progress is not None:
                    self.progress("vpl", step + 1, steps, held)
                if best is None or not judge or held < best[0]:
                    best = held, model
        assert best is not None, "there is at least one step"
        return best[1], best[0]

    def _beta(self, step: int) -> float:
        """Weight of the divergence; under a ramp it rises from a tenth along a cosine, again and again."""
        if not self.options.ramp:
            return self.beta
        part = step % self.options.ramp / self.options.ramp
        return self.beta * (0.1 + 0.9 * (1 - math.cos(math.pi * part)) / 2)

    def export(self) -> Vpl:
        """The served model, with how training people's vectors scatter."""
        encoder, decoder = self.machine.export()
        o = self.options
        model = Vpl(
            self.center, self.turn, encoder, decoder, o.rescale, np.eye(o.latent),
            Answering(lapse=0.0),
        )  # fmt: skip
        split = self.placing
        a, b = representations(model, self.train, split.support)
        placed = model.place(
            a, b, self.train.target[split.support].astype(np.float64),
            weight=self.train.weight[split.support].astype(np.float64),
            starts=split.support_starts,
        )  # fmt: skip
        told = np.flatnonzero(np.diff(split.support_starts) > 0)
        if len(told) == 0:
            return model
        scatter = placed.covariance[told].mean(0) + placed.mean[told].T @ placed.mean[told] / len(
            told
        )
        return replace(model, scatter=scatter)


def coordinates(train: TrainingSet, options: VplOptions, device: torch.device) -> tuple[F32, F32]:
    """Centre `(d,)` and turn `(d, r)` to what the networks read, each of about unit variance."""
    d = train.item_features.shape[1]
    if options.equalise < 0:
        return np.zeros(d, np.float32), np.eye(d, dtype=np.float32)
    frame = Frame.of(train, options.equalise, options.max_features, device)
    q = frame.turn.shape[1]
    return frame.center, (frame.turn * np.sqrt(q / 2)).astype(np.float32)
