"""The fit of PAL: projectors, prototypes and the seen people's mixtures, then the population."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gustibus.errors import ConfigError, InputError
from gustibus.models.base import Fitted, Progress, TrainingSet
from gustibus.models.network import Network
from gustibus.models.pal import Pal, PalShape
from gustibus.models.torch_network import (
    Checkpoint,
    Projector,
    batches,
    optimizer_tensors,
    pick_device,
    restore_optimizer,
)
from gustibus.models.validation import held_out_loss, hold_out, representations
from gustibus.posterior import (
    Answering,
    Evidence,
    GaussianPrior,
    ParticlePrior,
    Prior,
    fit_population,
)
from gustibus.types import F64

_TAU = 2.6592600369327783  # ln(1 / 0.07), the published start of the logarithm of the scale
_TAU_MOST = 4.605170185988092  # ln 100; the parameter is clamped, so that it can come back


@dataclass(frozen=True, slots=True)
class PalOptions:
    """Options of the fit; `recipe = "published"` sets those marked (p) as the paper's code does.

    Attributes:
        prototypes: K.
        variant: `a` or `b`; see `PalShape`.
        form: see `PalShape`; empty chooses `squared` for a and `angle` for b.
        point: see `PalShape`.
        layers: hidden layers of every projector; 0 is linear, -1 the identity.
        width: output dimension of the projectors; 0 keeps the input dimension.
        activation: `gelu` or `relu` (p).
        dropout: share of hidden units dropped.
        residual: add the input of a projector to its output (p).
        batch_norm: normalise hidden units.
        loss: `logistic` or `hinge` (p for the distance forms).
        mixing: `softmax`; `gumbel` adds noise while training; `partition` takes the largest weight
            when judged.
        epochs: passes over the data (p: 1).
        batch: comparisons in a step; 0 chooses by size of the data (p: 4).
        lr_projector: learning rate of f and g (p: 1e-4).
        lr_prototypes: of P (p: 5e-3).
        lr_users: of the logits of people (p: 5e-3).
        lr_scale: of the logarithm of the scale (p: 0.1).
        weight_decay: of f and g.
        coupled: Adam with the decay inside the gradient instead of AdamW (p).
        user_noise: standard deviation of the initial logits (p: 1).
        unit_prototypes: start P on the unit sphere instead of N(0, I / d) (p).
        bound: weight of the penalty on points beyond `bound_radius`; 0 is off.
        bound_radius: beta of that penalty.
        population: `dirichlet`, `gaussian` (linear members only), or `auto`.
        particles: candidate weights of a Dirichlet population.
        patience: judgements without progress on held-out people before the fit stops.
        recipe: `project` or `published`.
    """

    prototypes: int = 8
    variant: str = "a"
    form: str = ""
    point: str = "Pw"
    layers: int = 0
    width: int = 0
    activation: str = "gelu"
    dropout: float = 0.0
    residual: bool = False
    batch_norm: bool = False
    loss: str = "logistic"
    mixing: str = "softmax"
    epochs: int = 40
    batch: int = 0
    lr_projector: float = 2e-3
    lr_prototypes: float = 2e-2
    lr_users: float = 3e-2
    lr_scale: float = 1e-2
    weight_decay: float = 0.01
    coupled: bool = False
    user_noise: float = 0.1
    unit_prototypes: bool = False
    bound: float = 0.0
    bound_radius: float = 4.0
    population: str = "auto"
    particles: int = 400
    patience: int = 4
    recipe: str = "project"


_PUBLISHED: dict[str, Any] = {
    "epochs": 1, "batch": 4, "lr_projector": 1e-4, "lr_prototypes": 5e-3, "lr_users": 5e-3,
    "lr_scale": 0.1, "coupled": True, "user_noise": 1.0, "unit_prototypes": True, "layers": 2,
}  # fmt: skip


def pal_options(given: Mapping[str, Any]) -> PalOptions:
    """Options from keywords: defaults, then the recipe, then what is given.

    Raises:
        ConfigError: an unknown keyword, or values that do not go together.
    """
    known = [f.name for f in fields(PalOptions)]
    for name in given:
        if name not in known:
            message = f"pal has no option {name!r}; known: {sorted(known)}"
            raise ConfigError(message, where=name)
    base: dict[str, Any] = {}
    if given.get("recipe") == "published":
        base = dict(_PUBLISHED)
        if given.get("variant", "a") == "a":
            base |= {"form": "dist", "point": "f(Pw)", "loss": "hinge", "activation": "relu",
                     "residual": True}  # fmt: skip
    options = PalOptions(**{**base, **given})
    if not options.form:
        options = replace(options, form="squared" if options.variant == "a" else "angle")
    shape = PalShape(options.variant, options.form, options.point)
    for name, allowed in (
        ("loss", ("logistic", "hinge")),
        ("mixing", ("softmax", "gumbel", "partition")),
        ("population", ("auto", "dirichlet", "gaussian")),
        ("recipe", ("project", "published")),
    ):
        if getattr(options, name) not in allowed:
            message = f"{name}: expected one of {allowed}, got {getattr(options, name)!r}"
            raise ConfigError(message, where=name)
    if options.prototypes < 1 or options.epochs < 1 or options.batch < 0:
        message = "prototypes and epochs must be at least 1 and batch at least 0"
        raise ConfigError(message, where="prototypes")
    if options.population == "gaussian" and not shape.is_linear:
        message = f"population: 'gaussian' needs a form linear in the user, got {options.form!r}"
        raise ConfigError(message, where="population")
    return options


class PalModule(nn.Module):
    """The trainable model; people are rows of one matrix of logits."""

    def __init__(
        self,
        dim: int,
        prompt_dim: int,
        people: int,
        options: PalOptions,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        k, width = options.prototypes, options.width or dim
        shape = PalShape(options.variant, options.form, options.point)
        keywords: dict[str, Any] = {
            "layers": options.layers, "activation": options.activation,
            "dropout": options.dropout, "residual": options.residual,
            "batch_norm": options.batch_norm,
        }  # fmt: skip
        self.shape, self.options = shape, options
        self.f = Projector(dim, width if options.layers >= 0 else dim, **keywords)
        out = width if options.layers >= 0 else dim
        prompted = range(k) if shape.variant == "b" else range(0)
        self.g = nn.ModuleList(Projector(prompt_dim, out, **keywords) for _ in prompted)
        inside = shape.point != "Pw" or shape.form == "norm"
        rows = torch.randn(k, dim if inside else out, generator=generator)
        if options.unit_prototypes:
            rows = rows / rows.norm(dim=1, keepdim=True)
        else:
            rows = rows / rows.shape[1] ** 0.5
        self.prototypes = nn.Parameter(rows if shape.variant == "a" else torch.zeros(k, 0))
        self.prototypes.requires_grad_(shape.variant == "a")
        logits = torch.randn(people, k, generator=generator) * options.user_noise
        self.logits = nn.Parameter(logits)
        self.tau = nn.Parameter(torch.tensor(_TAU if self.uses_scale else 0.0))
        self.tau.requires_grad_(self.uses_scale)

    @property
    def uses_scale(self) -> bool:
        """Whether the form has a learned scale s = exp(tau)."""
        return self.shape.form in ("angle", "bilinear", "dist_logistic")

    def groups(self) -> list[dict[str, Any]]:
        """Parameter groups; every trained parameter is in exactly one."""
        o = self.options
        projectors = [*self.f.parameters(), *self.g.parameters()]
        found: list[dict[str, Any]] = [
            {"params": projectors, "lr": o.lr_projector, "weight_decay": o.weight_decay},
            {"params": [self.prototypes], "lr": o.lr_prototypes, "weight_decay": 0.0},
            {"params": [self.logits], "lr": o.lr_users, "weight_decay": 0.0},
            {"params": [self.tau], "lr": o.lr_scale, "weight_decay": 0.0},
        ]
        group: dict[str, Any]
        for group in found:
            group["params"] = [p for p in group["params"] if p.requires_grad]
        return [group for group in found if group["params"]]

    def weights(self, user: Tensor) -> Tensor:
        """`(b,)` -> `(b, K)` on the simplex."""
        logits = self.logits[user]
        if self.options.mixing == "gumbel" and self.training:
            return functional.gumbel_softmax(logits, dim=-1)
        return logits.softmax(-1)

    def point(self, w: Tensor, prompts: Tensor | None) -> Tensor:
        """`(b, K)` weights, `(b, dp)` prompts -> `(b, d)` ideal points."""
        if self.shape.variant == "b":
            g = torch.stack([net(prompts) for net in self.g], dim=1)  # (b, K, d)
            return torch.einsum("bk,bkd->bd", w, g)
        if self.shape.point == "f(Pw)":
            out: Tensor = self.f(w @ self.prototypes)
            return out
        rows: Tensor = self.prototypes
        if self.shape.point in ("f(P)w", "|f(P)|w"):
            rows = self.f(rows)
        if self.shape.point == "|f(P)|w":
            rows = functional.normalize(rows, dim=-1, eps=1e-8)
        return w @ rows

    def reward(self, items: Tensor, z: Tensor) -> Tensor:
        """`(b, d)` items, projected but for the form `norm`, `(b, d)` points -> `(b)`."""
        form = self.shape.form
        if form == "norm":
            return -(self.f(items - z).square().sum(-1) + 1e-12).sqrt()
        if form in ("angle", "dist_normalization", "bilinear"):
            items = functional.normalize(items, dim=-1, eps=1e-8)
        if form in ("angle", "dist_normalization"):
            z = functional.normalize(z, dim=-1, eps=1e-8)
        if form in ("angle", "bilinear"):
            return self.tau.exp() * (items * z).sum(-1)
        squared = (items - z).square().sum(-1)
        if form == "squared":
            return -squared
        distance = (squared + 1e-12).sqrt()
        return -self.tau.exp() * distance if form == "dist_logistic" else -distance

    def margin(
        self, user: Tensor, a: Tensor, b: Tensor, prompts: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Margins `(b,)` and points `(b, d)` from projected items, both sides in one batch."""
        z = self.point(self.weights(user), prompts)
        reward = self.reward(torch.cat([a, b]), torch.cat([z, z]))
        first, second = reward.chunk(2)
        return first - second, z

    def export(self, center: Any, prior: Prior) -> Pal:
        """The same model in numpy."""
        scale = float(self.tau.detach().exp()) if self.uses_scale else 1.0
        return Pal(
            shape=self.shape,
            projector=self.f.export() if self.options.layers >= 0 else Network((), ()),
            prompt_projectors=tuple(net.export() for net in self.g),  # type: ignore[operator, misc]
            prototypes=self.prototypes.detach().cpu().numpy().astype(np.float32),
            scale=scale,
            center=center,
            prior_=prior,
            answering=Answering(lapse=0.0),
        )


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
    started = time.perf_counter()
    run = _Run(train, valid, options, seed, pick_device(device))
    keeper = Checkpoint(
        checkpoint, key={"family": "pal", "seed": seed, "rows": len(train), **asdict(options)}
    )
    first = run.resume(keeper)
    for epoch in range(first, options.epochs):
        loss = run.epoch()
        done = run.judge(epoch, loss)
        keeper.save(epoch + 1, run.tensors(), run.state())
        if progress is not None:
            progress("pal", epoch + 1, options.epochs, run.history[-1]["valid_loss"])
        if done:
            break
    model = run.finish()
    report = {
        "options": asdict(options), "history": run.history, "best_epoch": run.best_epoch,
        "seconds": time.perf_counter() - started, "device": str(run.device),
        "parameters": sum(p.numel() for n, p in run.module.named_parameters() if n != "logits"),
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
        used = np.unique(np.concatenate([train.a, train.b]))
        self.center = train.item_features[used].mean(0, dtype=np.float64).astype(np.float32)
        if options.recipe == "published":
            self.center = np.zeros_like(self.center)
        prompts = train.prompt_features if options.variant == "b" else None
        module = PalModule(
            train.item_features.shape[1], 0 if prompts is None else prompts.shape[1],
            train.people, options, self.generator,
        )  # fmt: skip
        self.module = module.to(device)
        optimizer = torch.optim.Adam if options.coupled else torch.optim.AdamW
        self.optimizer = optimizer(module.groups())
        self.items = torch.as_tensor(train.item_features - self.center, device=device)
        self.prompts = None if prompts is None else torch.as_tensor(prompts, device=device)
        self.columns = {
            name: torch.as_tensor(getattr(train, name), device=device).long()
            for name in ("user", "prompt", "a", "b")
        }
        self.target = torch.as_tensor(train.target, device=device)
        self.weight = torch.as_tensor(train.weight, device=device)
        self.batch = options.batch or int(np.clip(len(train) // 200, 128, 4096))
        self.split = None if valid is None or len(valid) == 0 else hold_out(valid)
        self.history: list[dict[str, float]] = []
        self.best = float("inf")
        self.best_epoch = -1
        self.best_state: dict[str, Tensor] = {}

    def epoch(self) -> float:
        """One pass; returns the mean loss."""
        self.module.train()
        total = torch.zeros((), device=self.device)
        for index in batches(len(self.train), self.batch, self.generator, self.device):
            loss = self._loss(index)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
            self.optimizer.step()
            with torch.no_grad():
                self.module.tau.clamp_(max=_TAU_MOST)
            total += loss.detach() * len(index)
        return float(total) / len(self.train)  # the only host synchronisation of the epoch

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
        margin = margin.float()
        target, weight = self.target[index], self.weight[index]
        if self.options.loss == "hinge":
            # A soft target weighs both signs; a tie pulls on neither side more than on the other.
            each = target * functional.relu(1 - margin) + (1 - target) * functional.relu(1 + margin)
        else:
            each = functional.softplus(margin) - target * margin
        loss = (each * weight).mean()
        if self.options.bound:
            excess = functional.relu(z.norm(dim=-1) - self.options.bound_radius)
            loss = loss + self.options.bound * excess.mean()
        return loss

    def _project(self, items: Tensor) -> Tensor:
        if self.module.shape.form == "norm":
            return items
        projected: Tensor = self.module.f(items)
        return projected

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
            held = held_out_loss(self.export(quick=True), self.valid, self.split)
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
            self.center, dirichlet_prior(weights, self.options.particles, self.seed)
        )
        if self.options.loss == "hinge" and not quick:
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
        return {"history": self.history, "best": self.best, "best_epoch": self.best_epoch}

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
        self.history, self.best = state["history"], state["best"]
        self.best_epoch = state["best_epoch"]
        return epoch


def _named(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def dirichlet_prior(weights: F64, particles: int, seed: int) -> ParticlePrior:
    """Dirichlet over mixtures by the method of moments: `(p, K)` weights of the seen people."""
    mean = np.clip(weights.mean(0), 1e-3, None)
    mean = mean / mean.sum()
    if len(mean) == 1:
        return ParticlePrior(np.ones((1, 1)), np.zeros(1))
    variance = np.maximum(weights.var(0), 1e-6)
    strength = float(np.median(mean * (1 - mean) / variance - 1))
    alpha = mean * np.clip(strength, 0.05, 100.0)
    return ParticlePrior.dirichlet(alpha, draws=particles, seed=seed)


def gaussian_population(
    model: Pal, train: TrainingSet, weights: F64, *, quick: bool
) -> GaussianPrior:
    """Gaussian over w by empirical Bayes on the seen people's answers."""
    k = weights.shape[1]
    rows = np.arange(len(train))
    people = train.people
    if quick and people > 600:  # a sample is enough to judge an epoch
        rows = np.flatnonzero(train.user < 600)
        people = 600
    a, b = representations(model, train, rows)
    diff = a.astype(np.float64) - b
    evidence = Evidence.build(
        diff[:, 1:], train.target[rows].astype(np.float64), offset=diff[:, 0],
        weight=train.weight[rows].astype(np.float64), person=train.user[rows].astype(np.int64),
        people=people,
    )  # fmt: skip
    start = GaussianPrior.single(
        weights.mean(0), np.cov(weights.T).reshape(k, k) + 0.05 * np.eye(k)
    )
    return fit_population(
        evidence, initial=start, rounds=4 if quick else 25, answering=model.answering
    ).prior


def calibrated(model: Pal, train: TrainingSet, weights: F64) -> Pal:
    """Scale the rewards so that sigmoid(margin) is a probability: one factor, by Newton."""
    rows = np.arange(len(train))
    a, b = representations(model, train, rows)
    margin = model.margin(weights[train.user], a, b)
    target = train.target.astype(np.float64)
    factor = 1.0
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(factor * margin, -500, 500)))
        slope = ((target - p) * margin).sum() - 1e-3 * factor
        curve = (p * (1 - p) * margin**2).sum() + 1e-3
        step = float(np.clip(slope / curve, -0.5 * factor - 0.5, factor + 0.5))
        factor = max(factor + step, 1e-3)
        if abs(step) < 1e-8 * factor:
            break
    return replace(model, scale=model.scale * factor)
