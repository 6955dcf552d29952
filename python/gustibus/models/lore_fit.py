"""The fit of LoRe: shared rewards and weights together, the ridge chosen on held-out people.

The published recipe has no regularisation and a learning rate of 0.5; here a ridge holds the
rewards, a Gaussian the logits, and the search begins around the pooled reward, in the directions in
which people differ most.
"""

from __future__ import annotations

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
from gustibus.models.hierarchical_objective import Objective, apart, chosen
from gustibus.models.hierarchical_start import Frame, spectral_start
from gustibus.models.keywords import (
    Count,
    Exponent,
    NotNegative,
    Positive,
    Span,
    check_choice,
    read_options,
)
from gustibus.models.lore import Lore, Onboarding
from gustibus.models.mixtures import logit_population
from gustibus.models.pal_start import simplex_corners
from gustibus.models.torch_network import pick_device
from gustibus.models.validation import (
    everybody,
    held_out_losses,
    hold_out,
    simplest,
)
from gustibus.posterior import Answering, Evidence, GaussianPrior, fit_population
from gustibus.types import F64


@dataclass(frozen=True, slots=True)
class LoreOptions:
    """Options of the fit; `recipe = "published"` sets those marked (p) as the public code does.

    Attributes:
        rank: number of shared rewards.
        weights: `simplex` (p), or `gaussian`, free weights.
        equalise: exponent of the variance by which principal components of the features are
            divided first, 0 to 1; negative leaves the features alone (p).
        max_features: principal components kept.
        ridges: strengths of the ridge on the rewards, in units of comparisons; held-out people
            choose.
        user_prior: precision of a Gaussian prior on a person's logits or weights around their mean.
        steps: steps of the optimiser (p: 1000).
        lr: learning rate of the published recipe.
        onboarding_steps: of the published recipe.
        onboarding_lr: of the published recipe.
        ridge_population: of the pooled reward at which the search starts; held-out people choose.
        recipe: `project` or `published`: rewards and logits from N(0, I), margins divided by 100,
            every person counts the same, Adam over everything, and new people by Adam as well.
    """

    rank: Annotated[int, Span(1, 64)] = 8
    weights: str = "simplex"
    equalise: Exponent = 0.5
    max_features: Count = 384
    ridges: tuple[NotNegative, ...] = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
    user_prior: NotNegative = 1.0
    steps: Count = 100
    lr: Positive = 0.5
    onboarding_steps: Count = 500
    onboarding_lr: Positive = 0.1
    ridge_population: tuple[NotNegative, ...] = (100.0, 30.0, 10.0, 3.0)
    recipe: str = "project"


def lore_options(given: Mapping[str, Any]) -> LoreOptions:
    """Options from keywords.

    Raises:
        ConfigError: an unknown keyword or a value out of range.
    """
    published = given.get("recipe") == "published"
    base = {"steps": 1000, "equalise": -1.0} if published else {}
    options = read_options(LoreOptions, "lore", given, base=base)
    check_choice("weights", options.weights, ("simplex", "gaussian"))
    check_choice("recipe", options.recipe, ("project", "published"))
    if published:
        check_choice("weights", options.weights, ("simplex",))
    return options


class _Learned(NamedTuple):
    """Shared rewards `(q, k)` and people's logits or weights `(p, k)`."""

    basis: F64
    people: F64


def fit_lore(
    train: TrainingSet,
    valid: TrainingSet | None,
    *,
    options: LoreOptions,
    seed: int,
    device: str,
    progress: Progress | None,
) -> Fitted:
    """Choose the ridge on held-out people, then fit it on everybody.

    Raises:
        InputError: there are no comparisons.
    """
    if len(train) == 0:
        message = "train: expected at least one comparison, got none"
        raise InputError(message, where="train")
    started = time.perf_counter()
    where = pick_device(device)
    judged = valid if valid is not None and len(valid) else None
    history: list[dict[str, float]] = []
    if options.recipe == "published":
        model = _published(train, options, seed, where)
        held = None if judged is None else _mean(held_out_losses(model, judged, hold_out(judged)))
    else:
        ridge, held, history = _choose(train, judged, options, seed, where, progress)
        final = train if judged is None else everybody(train, judged)
        fitter = _Fitter(final, judged, options, seed, where)
        path = [r for r in sorted(options.ridges) if r <= ridge]
        learned = [fitter.fit(r) for r in path][-1]
        model = fitter.export(learned, rounds=15)
    report = {
        "options": asdict(options), "history": history, "held_out_loss": held,
        "ridge": None if options.recipe == "published" else ridge,
        "seconds": time.perf_counter() - started,
    }  # fmt: skip
    return Fitted(model, report)


def _choose(
    train: TrainingSet, valid: TrainingSet | None, options: LoreOptions, seed: int,
    device: torch.device, progress: Progress | None,
) -> tuple[float, float | None, list[dict[str, float]]]:  # fmt: skip
    """Ridge, its loss on held-out people, and the losses of all."""
    ridges = sorted(options.ridges)  # from weak to strong: a strong one leaves no directions
    if valid is None:
        return ridges[len(ridges) // 3], None, []
    split = hold_out(valid)
    fitter = _Fitter(train, valid, options, seed, device)
    columns, history = [], []
    for done, ridge in enumerate(ridges, 1):
        columns.append(held_out_losses(fitter.export(fitter.fit(ridge), rounds=5), valid, split))
        history.append({"ridge": ridge, "valid_loss": _mean(columns[-1])})
        if progress is not None:
            progress("lore", done, len(ridges), history[-1]["valid_loss"])
    best = len(ridges) - 1 - simplest(np.column_stack(columns[::-1]))
    return ridges[best], history[best]["valid_loss"], history


def _mean(losses: F64) -> float:
    judged = losses[np.isfinite(losses)]
    return float(judged.mean()) if len(judged) else float("nan")


class _Fitter:
    """Fits one training set along a path of ridges, from weak to strong."""

    def __init__(
        self, train: TrainingSet, valid: TrainingSet | None, options: LoreOptions, seed: int,
        device: torch.device,
    ) -> None:  # fmt: skip
        self.train, self.options = train, options
        self.frame = Frame.of(train, max(options.equalise, 0.0), options.max_features, device)
        tensor: dict[str, Any] = {"dtype": torch.float32, "device": device}
        self.items = torch.as_tensor(self.frame.items, **tensor)
        self.rows = {
            name: torch.as_tensor(getattr(train, name), device=device).long()
            for name in ("user", "a", "b")
        }
        self.target = torch.as_tensor(train.target, device=device)
        self.weight = torch.as_tensor(train.weight, device=device)
        objective = Objective(train, self.frame, device)
        theta, _ = population_reward(objective, self.frame, options.ridge_population, valid)
        basis, people = self._start(theta.double().cpu().numpy(), seed)
        self.basis = torch.as_tensor(basis, **tensor)
        self.people = torch.as_tensor(people, **tensor)

    def _start(self, theta: F64, seed: int) -> tuple[F64, F64]:
        """Rewards around the pooled one, in the directions in which people differ most."""
        k, simplex = self.options.rank, self.options.weights == "simplex"
        noise = 0.1 * np.random.default_rng(seed).standard_normal((self.train.people, k))
        few = min(k - 1, self.frame.items.shape[1])
        apart = (
            spectral_start(self.train, self.frame, theta, few, self.items.device)
            if few
            else np.zeros((len(theta), 0))
        )
        apart = np.pad(apart, ((0, 0), (0, k - 1 - few)))
        if simplex:
            corners = simplex_corners(k) if k > 1 else np.zeros((1, 0))
            return theta[:, None] + k * apart @ corners.T, noise
        noise[:, 0] += 1
        return np.column_stack([theta, apart]), noise

    def fit(self, ridge: float) -> _Learned:
        """Minimise from where the ridge before ended."""
        o = self.options
        basis = self.basis.clone().requires_grad_()
        people = self.people.clone().requires_grad_()
        optimizer = torch.optim.LBFGS(
            [basis, people], max_iter=o.steps, line_search_fn="strong_wolfe"
        )

        def closure() -> Tensor:
            optimizer.zero_grad()
            w = people.softmax(-1) if o.weights == "simplex" else people
            margin = _margins(self.items, basis, w, self.rows)
            loss = ((softplus(margin) - self.target * margin) * self.weight).sum()
            loss = loss + 0.5 * ridge * self._length(basis)
            loss = loss + 0.5 * o.user_prior * (people - people.mean(0)).square().sum()
            loss.backward()
            return loss

        optimizer.step(closure)
        self.basis, self.people = basis.detach(), people.detach()
        return _Learned(*(t.double().cpu().numpy() for t in (self.basis, self.people)))

    def _length(self, basis: Tensor) -> Tensor:
        """Squared length of the rewards that the ridge holds.

        Weights on the simplex move by about 1 / k, so what the corners have apart from their middle
        is k times as long as the personal part of a reward.
        """
        if self.options.weights == "gaussian":
            return basis.square().sum()
        middle = basis.mean(1, keepdim=True)
        apart = (basis - middle).square().sum() / self.options.rank**2
        return middle.square().sum() + apart

    def export(self, learned: _Learned, *, rounds: int) -> Lore:
        """The served model with the population of people under these rewards."""
        phi = self.frame.items @ learned.basis
        evidence = _evidence(self.train, phi)
        k = phi.shape[1]
        spread = np.cov(learned.people.T, bias=True).reshape(k, k) + 0.3 * np.eye(k)
        start = GaussianPrior.single(learned.people.mean(0), spread)
        if self.options.weights == "simplex":
            population = logit_population(evidence, start, rounds=rounds, answering=_EXACT)
        else:
            population = fit_population(
                evidence, initial=start, rounds=rounds, answering=_EXACT
            ).prior
        return Lore(
            self.frame.center, (self.frame.turn @ learned.basis).astype(np.float32),
            self.options.weights == "simplex", population, _EXACT,
        )  # fmt: skip


_EXACT = Answering(lapse=0.0)


def _evidence(train: TrainingSet, phi: F64) -> Evidence:
    return Evidence.build(
        phi[train.a] - phi[train.b], train.target.astype(np.float64),
        weight=train.weight.astype(np.float64), person=train.user.astype(np.int64),
        people=train.people,
    )  # fmt: skip


def _margins(items: Tensor, basis: Tensor, w: Tensor, rows: Mapping[str, Tensor]) -> Tensor:
    """`(n,)` margins; the rewards of an item are computed once."""
    phi = items @ basis  # (m, k)
    return (apart(phi, rows["a"], rows["b"]) * chosen(w, rows["user"])).sum(-1)


def _published(train: TrainingSet, o: LoreOptions, seed: int, device: torch.device) -> Lore:
    """Adam over rewards and logits from N(0, I); every person counts the same.

    Source: Bose et al. 2025, arXiv 2504.14439, public code.
    """
    generator = torch.Generator().manual_seed(seed)
    d, people = train.item_features.shape[1], train.people
    basis = torch.randn(d, o.rank, generator=generator).to(device).requires_grad_()
    logits = torch.randn(people, o.rank, generator=generator).to(device).requires_grad_()
    items = torch.as_tensor(train.item_features, device=device)
    rows = {n: torch.as_tensor(getattr(train, n), device=device).long() for n in ("user", "a", "b")}
    target = torch.as_tensor(train.target, device=device)
    total = np.maximum(np.bincount(train.user, train.weight, people), 1e-12)
    share = torch.as_tensor((train.weight / total[train.user]).astype(np.float32), device=device)
    optimizer = torch.optim.Adam([basis, logits], lr=o.lr)
    for _ in range(o.steps):
        margin = _margins(items, basis, logits.softmax(-1), rows) / 100
        loss = ((softplus(margin) - target * margin) * share).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    learned = logits.detach().double().cpu().numpy()
    spread = np.cov(learned.T, bias=True).reshape(o.rank, o.rank) + 1e-3 * np.eye(o.rank)
    return Lore(
        np.zeros(d, np.float32), (basis.detach() / 100).cpu().numpy(), True,  # noqa: FBT003 - a field
        GaussianPrior.single(learned.mean(0), spread), _EXACT,
        Onboarding(o.onboarding_steps, o.onboarding_lr, seed),
    )  # fmt: skip
