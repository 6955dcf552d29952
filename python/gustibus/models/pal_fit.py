"""The fit of PAL: a warm start where the member is linear, then stochastic gradients.

The start is chosen, and the fit stopped, on held-out people.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gustibus.errors import ConfigError, InputError
from gustibus.models.base import Fitted, Progress, TrainingSet
from gustibus.models.hierarchical_start import Frame as PrincipalFrame
from gustibus.models.pal import Pal
from gustibus.models.pal_module import TAU_MOST, PalModule, pal_frame
from gustibus.models.pal_options import PalOptions
from gustibus.models.pal_population import calibrated, dirichlet_prior, gaussian_population
from gustibus.models.pal_start import REACH, warm_start
from gustibus.models.stepping import Stepper, adam
from gustibus.models.torch_network import (
    Checkpoint,
    batches,
    optimizer_tensors,
    pick_device,
    restore_optimizer,
)
from gustibus.models.validation import Loss, held_out_loss, hold_out
from gustibus.objectives.choice import Objective, choose
from gustibus.types import F64


def fit_pal(
    train: TrainingSet,
    valid: TrainingSet | None,
    *,
    options: PalOptions,
    seed: int,
    device: str,
    progress: Progress | None,
    checkpoint: Path | None,
) -> Fitted:
    """Fit; the state with the least loss on held-out people is kept.

    Raises:
        InputError: no comparisons, or variant B without prompt features.
    """
    if len(train) == 0:
        message = "train: expected at least one comparison, got none"
        raise InputError(message, where="train")
    if options.variant == "b" and train.prompt_features is None:
        message = "variant: 'b' needs prompt features, the data has none"
        raise InputError(message, where="variant")
    if options.objective and choose(options.objective, options.objective_options).listwise:
        message = f"objective: 'pal' takes pairwise objectives, {options.objective!r} takes lists"
        raise ConfigError(message, where="objective")
    started = time.perf_counter()
    run = _Run(train, valid, options, seed, pick_device(device))
    keeper = Checkpoint(
        checkpoint,
        key={
            "family": "pal", "seed": seed, "device": run.device.type, **asdict(options),
        },
        data=(train, valid),
    )  # fmt: skip
    first = run.resume(keeper)
    if first == 0 and options.start == "em":
        run.keep_start()
    for epoch in range(first, options.epochs):
        if run.done:
            break
        loss = run.epoch()
        run.done = run.judge(epoch, loss)
        keeper.save(epoch + 1, run.tensors(), run.state())
        if progress is not None:
            progress("pal", epoch + 1, options.epochs, run.history[-1]["valid_loss"])
    model = run.finish()
    report = {
        "options": asdict(options), "history": run.history, "best_epoch": run.best_epoch,
        "held_out_loss": None if run.split is None else run.best,
        "seconds": time.perf_counter() - started, "device": str(run.device),
        "parameters": sum(p.numel() for n, p in run.module.named_parameters() if n != "logits"),
    }  # fmt: skip
    if run.objective is not None:
        report["objective"] = {
            "name": run.objective.name, "options": dict(run.objective.options),
        }  # fmt: skip
    return Fitted(model, report)


class _Run:
    """State of one fit."""

    def __init__(
        self, train: TrainingSet, valid: TrainingSet | None, options: PalOptions, seed: int,
        device: torch.device,
    ) -> None:  # fmt: skip
        self.train, self.valid, self.options, self.device = train, valid, options, device
        self.generator = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)
        self.seed = seed
        principal = None
        if options.equalise >= 0:
            principal = PrincipalFrame.of(train, options.equalise, options.max_features, device)
        self.frame = pal_frame(train, options, principal)
        prompts = train.prompt_features if options.variant == "b" else None
        module = PalModule(
            self.frame.items.shape[1], 0 if prompts is None else prompts.shape[1],
            train.people, options, self.generator,
        )  # fmt: skip
        self.user_prior = options.user_prior
        if options.start == "em":
            assert principal is not None, "such a start is for equalise >= 0"
            module.begin(warm_start(train, valid, principal, options, device))
            self.user_prior *= REACH**2  # the simplex is that much wider than the population
        self.module = module.to(device)
        self.optimizer = adam(module.groups(), device, decoupled=not options.coupled)
        # objectives of the tables may look at numbers
        self.step = Stepper(
            self._loss, self.optimizer, after=self._clamp, record=not options.objective
        )
        # what is multiplied in half precision is gathered in it
        half = options.mixed and device.type == "cuda" and options.form != "norm"
        kind = torch.bfloat16 if half else torch.float32
        self.items = torch.as_tensor(self.frame.items, dtype=kind, device=device)
        self.prompts = None if prompts is None else torch.as_tensor(prompts, device=device)
        self.columns = {
            name: torch.as_tensor(getattr(train, name), device=device).long()
            for name in ("user", "prompt", "a", "b")
        }
        self.target = torch.as_tensor(train.target, device=device)
        counts = np.maximum(np.bincount(train.user, minlength=train.people), 1)
        # A person's prior counts once an epoch, however many answers carry it.
        self.once = torch.as_tensor(1 / counts, dtype=torch.float32, device=device)
        self.weight = torch.as_tensor(train.weight, device=device)
        self.batch = options.batch or int(np.clip(len(train) // 200, 128, 4096))
        self.objective = (
            choose(options.objective, options.objective_options) if options.objective else None
        )
        self.judging: Loss | None = None
        if self.objective is not None and self.objective.log_odds:
            # under the log loss, labels with flips would have rewards shrink
            self.judging = partial(_judge, self.objective)
        self.gap = None
        if self.objective is not None and train.margin is not None:
            self.gap = torch.as_tensor(train.margin, device=device)
        self.split = None if valid is None or len(valid) == 0 else hold_out(valid)
        self.history: list[dict[str, float]] = []
        self.best = float("inf")
        self.best_epoch = -1
        self.best_state: dict[str, Tensor] = {}
        self.done = False

    def epoch(self) -> float:
        """One pass; returns the mean loss."""
        self.module.train()
        total = torch.zeros((), device=self.device)
        for index in batches(len(self.train), self.batch, self.generator, self.device):
            total += self.step(index) * len(index)
        return float(total) / len(self.train)  # the only host synchronisation of the epoch

    def _clamp(self) -> None:
        self.module.tau.clamp_(max=TAU_MOST)

    def _loss(self, index: Tensor) -> Tensor:
        user, prompt, a, b = (self.columns[n][index] for n in ("user", "prompt", "a", "b"))
        both = torch.cat([a, b])
        if self.device.type == "cpu":  # few distinct items: project each once
            used, both = torch.unique(both, return_inverse=True)
            table = self._project(self.items[used])[both]
        else:
            table = self._project(self.items[both])
        first, second = table.chunk(2)
        prompts = None if self.prompts is None else self.prompts[prompt]
        margin, z = self.module.margin(user, first, second, prompts)
        target, weight = self.target[index], self.weight[index]
        if self.objective is not None:
            if self.gap is not None:
                margin = margin - (2 * target - 1) * self.gap[index]
            each = self.objective(margin, target)
        elif self.options.loss == "hinge":
            # A soft target weighs both signs; a tie pulls on neither side more than on the other.
            each = target * functional.relu(1 - margin) + (1 - target) * functional.relu(1 + margin)
        else:
            each = functional.softplus(margin) - target * margin
        loss = (each * weight).mean()
        if self.options.bound:
            excess = functional.relu(z.norm(dim=-1) - self.options.bound_radius)
            loss = loss + self.options.bound * excess.mean()
        if self.options.ridge:
            squares = torch.stack([w.square().sum() for w in self.module.matrices()]).sum()
            loss = loss + 0.5 * self.options.ridge / len(self.train) * squares
        if self.user_prior:
            logits = self.module.logits
            apart = (logits[user] - logits.mean(0)).square().sum(-1) * self.once[user]
            loss = loss + 0.5 * self.user_prior * apart.mean()
        return loss

    def _project(self, items: Tensor) -> Tensor:
        if self.module.shape.form == "norm":
            return items
        return self.module.project(self.module.f, items)

    def keep_start(self) -> None:
        """Let the start count as a state that later ones have to beat."""
        if self.split is not None and self.valid is not None:
            self.best = held_out_loss(
                self.export(quick=True), self.valid, self.split, loss=self.judging
            )
            self.best_state = {k: v.detach().clone() for k, v in self.module.state_dict().items()}

    def judge(self, epoch: int, train_loss: float) -> bool:
        """Record the epoch; True when held-out people have stopped gaining."""
        if not np.isfinite(train_loss):
            message = f"loss: not finite in epoch {epoch + 1}; lower the learning rates"
            raise InputError(message, where="loss")
        held = train_loss
        every = max(1, self.options.epochs // 20)
        if self.split is not None and (
            (epoch + 1) % every == 0 or epoch + 1 == self.options.epochs
        ):
            assert self.valid is not None, "a split of validation people comes with them"
            held = held_out_loss(self.export(quick=True), self.valid, self.split, loss=self.judging)
        elif self.split is not None:
            held = self.history[-1]["valid_loss"] if self.history else float("nan")
            self.history.append({"train_loss": train_loss, "valid_loss": held})
            return False
        self.history.append({"train_loss": train_loss, "valid_loss": held})
        if self.split is None or held < self.best - 1e-5:
            self.best, self.best_epoch = held, epoch
            self.best_state = {k: v.detach().clone() for k, v in self.module.state_dict().items()}
        return self.split is not None and epoch - self.best_epoch >= self.options.patience * every

    def finish(self) -> Pal:
        """The best state with its population fitted to the end."""
        if self.best_state:
            self.module.load_state_dict(self.best_state)
        return self.export(quick=False)

    def export(self, *, quick: bool) -> Pal:
        """The numpy model with the population of the seen people's weights."""
        self.module.eval()
        with torch.inference_mode():
            weights = self.module.logits.softmax(-1).cpu().numpy().astype(np.float64)
        if self.options.mixing == "partition":
            weights = np.eye(weights.shape[1])[weights.argmax(1)]
        model = self.module.export(
            self.frame, dirichlet_prior(weights, self.options.particles, self.seed)
        )
        unscaled = self.options.loss == "hinge"
        if self.objective is not None:
            unscaled = not self.objective.log_odds or self.gap is not None
        if unscaled and not quick:
            model = calibrated(model, self.train, weights)
        if self.options.population == "dirichlet" or not self.module.shape.is_linear:
            return model
        return model.with_prior(gaussian_population(model, self.train, weights, quick=quick))

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a resumed fit needs."""
        found = {f"module.{k}": v for k, v in self.module.state_dict().items()}
        found |= {f"best.{k}": v for k, v in self.best_state.items()}
        found |= {"generator": self.generator.get_state(), "torch": torch.get_rng_state()}
        return found | optimizer_tensors(self.optimizer)

    def state(self) -> dict[str, Any]:
        """The rest of it, as JSON."""
        names = ("history", "best", "best_epoch", "done")
        return {name: getattr(self, name) for name in names}

    def resume(self, keeper: Checkpoint) -> int:
        """Go on from a checkpoint; returns the first epoch to run."""
        found = keeper.load()
        if found is None:
            return 0
        epoch, tensors, state = found
        self.module.load_state_dict(_named(tensors, "module."))
        best = _named(tensors, "best.")
        self.best_state = {k: v.to(self.device) for k, v in best.items()}
        restore_optimizer(self.optimizer, tensors)
        self.generator.set_state(tensors["generator"])
        torch.set_rng_state(tensors["torch"])
        for name, value in state.items():
            setattr(self, name, value)
        return epoch


def _judge(objective: Objective, margin: F64, target: F64) -> F64:
    loss: F64 = objective(torch.from_numpy(margin), torch.from_numpy(target)).numpy()
    return loss


def _named(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
