"""The fit of hierarchical Bayes: exact EM on given features, or EM that also learns the basis.

With many features and few answers a person, `S` of pal.md 10 has far more numbers than the data can
tell, and EM creeps. The learned basis has rank k: `w_u = theta + V z_u` with `z_u ~ N(0, I)`. The
E step is the posterior engine's; the M step maximises the expected log likelihood under those
posteriors less a ridge, in features of partly equalised variance. A ridge on V prunes directions
that carry nothing (the maximum a posteriori form of automatic relevance determination). Strength
of the ridge and of the equalisation are chosen on held-out people.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from gustibus.errors import ConfigError, InputError
from gustibus.models.base import Fitted, Progress, TrainingSet
from gustibus.models.hierarchical import Hierarchical
from gustibus.models.torch_network import Checkpoint, pick_device
from gustibus.models.validation import held_out_loss, hold_out
from gustibus.posterior import Answering, Evidence, GaussianPrior, Posteriors, fit_population, place
from gustibus.types import F32, F64

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
_LAPSES = (0.0, 0.02, 0.05, 0.1)


@dataclass(frozen=True, slots=True)
class HierarchicalOptions:
    """Options of the fit.

    Attributes:
        basis: `learned`, `features` (the model of pal.md 10 as written, for features that are few
        or
            already good), or `auto`: whichever is better on held-out people, `features` being tried
            up to 64 dimensions.
        rank: personal directions at most.
        max_features: principal components kept of the item features.
        equalise: exponents of the variance of a component by which it is divided, 0 (as it is) to 1
            (whitened); each is tried.
        ridges: strengths of the ridge on V; each is tried, from strong to weak.
        ridge_population: strengths of the ridge on theta; each is tried.
        rounds: EM rounds.
        groups: Gaussians in the population prior.
        lapse: share of answers at random in `[0, 0.5)`; None chooses on held-out people.
    """

    basis: str = "auto"
    rank: int = 16
    max_features: int = 384
    equalise: tuple[float, ...] = (0.5, 0.8, 1.0)
    ridges: tuple[float, ...] = (300.0, 100.0, 30.0, 10.0)
    ridge_population: tuple[float, ...] = (100.0, 30.0, 10.0, 3.0)
    rounds: int = 10
    groups: int = 1
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
    lists = ("equalise", "ridges", "ridge_population")
    tidy: dict[str, Any] = {
        k: tuple(map(float, np.atleast_1d(v))) if k in lists else v for k, v in given.items()
    }
    options = HierarchicalOptions(**tidy)
    if options.basis not in ("auto", "learned", "features"):
        message = f"basis: expected auto, learned or features, got {options.basis!r}"
        raise ConfigError(message, where="basis")
    if min(options.rank, options.max_features, options.rounds, options.groups) < 1:
        message = "rank, max_features, rounds and groups must be at least 1"
        raise ConfigError(message, where="rank")
    return options


@dataclass(frozen=True)
class _Frame:
    """Item features in the coordinates of the fit: `x = (item - center) @ turn`."""

    center: F32
    turn: F64
    items: F64

    @classmethod
    def of(cls, train: TrainingSet, exponent: float, most: int) -> _Frame:
        used = np.unique(np.concatenate([train.a, train.b]))
        center = train.item_features[used].mean(0, dtype=np.float64)
        x = train.item_features.astype(np.float64) - center
        _, spread, axes = np.linalg.svd(x[used], full_matrices=False)
        # float16 embeddings carry relative noise of 1e-3: directions below it are rounding.
        keep = min(most, max(1, int((spread > 1e-3 * max(spread[0], 1e-300)).sum())))
        variance = np.maximum(spread[:keep] ** 2 / len(used), 1e-300)
        turn = axes[:keep].T * variance ** (-exponent / 2)  # (d, q)
        coordinates = x @ turn
        apart = ((coordinates[train.a] - coordinates[train.b]) ** 2).sum(1).mean()
        scale = float(np.sqrt(apart)) or 1.0
        return cls(center.astype(np.float32), turn / scale, coordinates / scale)


class _Objective:
    """Expected log loss of a shared reward and a basis, as a function of both."""

    def __init__(self, train: TrainingSet, frame: _Frame, device: torch.device) -> None:
        self.items = torch.as_tensor(frame.items, dtype=torch.float32, device=device)
        self.a = torch.as_tensor(train.a, device=device).long()
        self.b = torch.as_tensor(train.b, device=device).long()
        self.target = torch.as_tensor(train.target, device=device)
        self.weight = torch.as_tensor(train.weight, device=device)
        self.user = torch.as_tensor(train.user, device=device).long()
        self.nodes = torch.as_tensor(_NODES, dtype=torch.float32, device=device)
        self.probability = torch.as_tensor(
            _WEIGHTS / _WEIGHTS.sum(), dtype=torch.float32, device=device
        )
        self.device = device

    def minimise(
        self, theta: Tensor, basis: Tensor, ridges: tuple[float, float],
        posterior: tuple[Tensor, Tensor] | None, steps: int,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """L-BFGS steps on `theta (q,)`, and on `basis (q, k)` where posteriors are given."""
        theta = theta.detach().clone().requires_grad_()
        basis = basis.detach().clone().requires_grad_(posterior is not None)
        free = [theta] if posterior is None else [theta, basis]
        optimizer = torch.optim.LBFGS(free, max_iter=steps, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = self._loss(theta, basis, posterior)
            loss = loss + 0.5 * ridges[0] * theta.square().sum()
            if posterior is not None:
                loss = loss + 0.5 * ridges[1] * basis.square().sum()
            loss.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
            return loss

        optimizer.step(closure)  # type: ignore[arg-type]  # a closure may return a tensor
        return theta.detach(), basis.detach()

    def _loss(
        self, theta: Tensor, basis: Tensor, posterior: tuple[Tensor, Tensor] | None
    ) -> Tensor:
        offset = self.items @ theta  # (m,)
        margin = offset[self.a] - offset[self.b]  # (n,)
        if posterior is None:
            each = softplus(margin) - self.target * margin
            return (each * self.weight).sum()
        means, roots = posterior  # (p, k), (p, k, k)
        phi = self.items @ basis  # (m, k)
        delta = phi[self.a] - phi[self.b]  # (n, k)
        margin = margin + (delta * means[self.user]).sum(-1)
        spread = torch.einsum("nk,nkl->nl", delta, roots[self.user]).square().sum(-1)
        z = margin[:, None] + (spread + 1e-12).sqrt()[:, None] * self.nodes  # (n, nodes)
        each = (softplus(z) - self.target[:, None] * z) @ self.probability
        return (each * self.weight).sum()


def _evidence(train: TrainingSet, frame: _Frame, theta: F64, basis: F64) -> Evidence:
    offset, phi = frame.items @ theta, frame.items @ basis
    return Evidence.build(
        phi[train.a] - phi[train.b], train.target.astype(np.float64),
        offset=offset[train.a] - offset[train.b], weight=train.weight.astype(np.float64),
        person=train.user.astype(np.int64), people=train.people,
    )  # fmt: skip


def _second_moment(posteriors: Posteriors) -> F64:
    """Mean of `E[z z^T]` over people: the M step of a zero-mean covariance."""
    mean = posteriors.mean  # (p, k)
    return np.asarray(mean.T @ mean + posteriors.covariance.sum(0)) / max(len(mean), 1)


def _learn(
    objective: _Objective, train: TrainingSet, frame: _Frame, theta: Tensor,
    ridges: tuple[float, float], options: HierarchicalOptions,
) -> tuple[F64, F64]:  # fmt: skip
    """EM over people's z, theta and V; returns theta `(q,)` and V `(q, k)` with z ~ N(0, I)."""
    basis = _spectral_start(train, frame, theta.double().cpu().numpy(), options.rank)
    standard = GaussianPrior.standard(basis.shape[1])
    wide = theta.double().cpu().numpy()
    for _ in range(options.rounds):
        placed = place(_evidence(train, frame, wide, basis), standard, answering=Answering(0.0))
        root = np.linalg.cholesky(_second_moment(placed) + 1e-9 * np.eye(basis.shape[1]))
        inverse = np.linalg.inv(root)
        means = placed.mean @ inverse.T
        covariances = inverse @ placed.covariance @ inverse.T
        jitter = 1e-9 * np.eye(basis.shape[1])
        posterior = tuple(
            torch.as_tensor(x, dtype=torch.float32, device=objective.device)
            for x in (means, np.linalg.cholesky(covariances + jitter))
        )
        start = torch.as_tensor(basis @ root, dtype=torch.float32, device=objective.device)
        theta, learned = objective.minimise(theta, start, ridges, (posterior[0], posterior[1]), 8)
        basis, wide = learned.double().cpu().numpy(), theta.double().cpu().numpy()
    return wide, basis


def _spectral_start(train: TrainingSet, frame: _Frame, theta: F64, rank: int) -> F64:
    """Directions in which people's score vectors vary more than chance: `(q, k)`.

    With `g_u` the gradient of a person's log likelihood at the population, `Cov(g_u) = F S F + F`
    for
    Fisher information F a person; the leading eigenvectors of the excess start the search.
    """
    margin = (frame.items @ theta)[train.a] - (frame.items @ theta)[train.b]
    p = 1 / (1 + np.exp(-np.clip(margin, -500, 500)))
    q = frame.items.shape[1]
    scores, information = np.zeros((train.people, q)), np.zeros((q, q))
    for start in range(0, len(train), 50_000):
        rows = slice(start, start + 50_000)
        delta = frame.items[train.a[rows]] - frame.items[train.b[rows]]
        pull = train.weight[rows] * (train.target[rows] - p[rows])
        np.add.at(scores, train.user[rows], delta * pull[:, None])
        information += (delta * (train.weight[rows] * p[rows] * (1 - p[rows]))[:, None]).T @ delta
    information /= max(train.people, 1)
    excess = scores.T @ scores / max(train.people, 1) - information
    values, vectors = np.linalg.eigh(excess)
    rank = min(rank, q)
    top, direction = values[-rank:][::-1], vectors[:, -rank:][:, ::-1]
    fisher = np.einsum("qk,qr,rk->k", direction, information, direction)
    length = np.sqrt(np.maximum(top, 1e-6)) / np.maximum(fisher, 1e-6)
    return np.asarray(direction * np.clip(length, 0.05, 3.0))


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
    """Fit every candidate and keep the one with the least loss on held-out people.

    Raises:
        InputError: there are no comparisons.
    """
    if len(train) == 0:
        message = "train: expected at least one comparison, got none"
        raise InputError(message, where="train")
    started = time.perf_counter()
    torch.manual_seed(seed)
    split = None if valid is None or len(valid) == 0 else hold_out(valid)
    keeper = Checkpoint(
        checkpoint, key={"family": "hierarchical", "rows": len(train), **asdict(options)}
    )
    candidates = _candidates(train, options, judged=split is not None)
    done, best = _resume(keeper)
    where = pick_device(device)
    frames: dict[float, tuple[_Frame, _Objective]] = {}
    for number, (kind, exponent, ridge, pull) in enumerate(candidates):
        if number < len(done):
            continue
        if exponent not in frames:
            frame = _Frame.of(train, exponent, options.max_features)
            frames = {exponent: (frame, _Objective(train, frame, where))}
        frame, objective = frames[exponent]
        ridge_population = pull or _population_ridge(
            objective, frame, valid, split, options, done, exponent
        )
        if kind == "features":
            model = _exact(train, frame, options)
        else:
            start = torch.zeros(frame.items.shape[1], device=where)
            theta, _ = objective.minimise(
                start, torch.zeros(0, 0), (ridge_population, 0.0), None, 100
            )
            model = _finish(
                frame, *_learn(objective, train, frame, theta, (ridge_population, ridge), options),
                train, options,
            )  # fmt: skip
        loss = float("nan")
        if split is not None:
            assert valid is not None, "a split of validation people comes with them"
            loss = held_out_loss(model, valid, split)
        done.append(
            {"basis": kind, "equalise": exponent, "ridge": ridge,
             "ridge_population": ridge_population, "valid_loss": loss,
             "directions": float(model.user_dim)}
        )  # fmt: skip
        if best is None or loss < min(d["valid_loss"] for d in done[:-1]):
            best = model
        keeper.save(number + 1, _tensors(best), {"done": done})
        if progress is not None:
            progress("hierarchical", number + 1, len(candidates), loss)
    assert best is not None, "there is at least one candidate"
    model = _with_lapse(best, valid, split, options)
    chosen = min(done, key=lambda d: d["valid_loss"]) if split is not None else done[0]
    report = {
        "options": asdict(options), "history": done, "chosen": chosen,
        "lapse": model.answering.lapse, "seconds": time.perf_counter() - started,
    }  # fmt: skip
    return Fitted(model, report)


def _candidates(
    train: TrainingSet, options: HierarchicalOptions, *, judged: bool
) -> list[tuple[str, float, float, float | None]]:
    dim = train.item_features.shape[1]
    found: list[tuple[str, float, float, float | None]] = []
    if options.basis == "features" or (options.basis == "auto" and dim <= 64):
        found.append(("features", 0.0, 0.0, 1.0))
    if options.basis == "features":
        return found
    if not judged:  # nothing to choose with: the middle of the range
        pull = options.ridge_population[len(options.ridge_population) // 2]
        middle = options.equalise[len(options.equalise) // 2]
        return [("learned", middle, options.ridges[len(options.ridges) // 2], pull)]
    return found + [("learned", e, r, None) for e in options.equalise for r in options.ridges]


def _population_ridge(
    objective: _Objective, frame: _Frame, valid: TrainingSet | None, split: Any,
    options: HierarchicalOptions, done: list[dict[str, Any]], exponent: float,
) -> float:  # fmt: skip
    """The ridge on theta that serves held-out people best without personal answers."""
    for record in done:
        if record["basis"] == "learned" and record["equalise"] == exponent:
            return float(record["ridge_population"])
    assert valid is not None, "candidates without a ridge come with validation people"
    losses = {}
    theta = torch.zeros(frame.items.shape[1], device=objective.device)
    for ridge in options.ridge_population:
        theta, _ = objective.minimise(theta, torch.zeros(0, 0), (ridge, 0.0), None, 100)
        margin = frame.items @ theta.double().cpu().numpy()
        z = margin[valid.a] - margin[valid.b]
        losses[ridge] = float(((np.logaddexp(0, z) - valid.target * z) * valid.weight).mean())
    del split
    return min(losses, key=lambda r: losses[r])


def _exact(train: TrainingSet, frame: _Frame, options: HierarchicalOptions) -> Hierarchical:
    """pal.md 10 as written: full mean and covariance by EM, in all coordinates."""
    q = frame.items.shape[1]
    delta = frame.items * np.sqrt(
        q
    )  # unit variance a coordinate, the scale that 0.1 I is meant for
    evidence = Evidence.build(
        delta[train.a] - delta[train.b], train.target.astype(np.float64),
        weight=train.weight.astype(np.float64), person=train.user.astype(np.int64),
        people=train.people,
    )  # fmt: skip
    population = fit_population(
        evidence, initial=_spread(GaussianPrior.standard(q, 0.1), options.groups),
        rounds=max(options.rounds, 25), answering=Answering(0.0),
    )  # fmt: skip
    return _export(frame, np.zeros(q), np.eye(q) * np.sqrt(q), population.prior)


def _finish(
    frame: _Frame, theta: F64, basis: F64, train: TrainingSet, options: HierarchicalOptions
) -> Hierarchical:
    """Estimate the population of z in the learned basis and export."""
    start = _spread(GaussianPrior.standard(basis.shape[1]), options.groups)
    population = fit_population(
        _evidence(train, frame, theta, basis), initial=start, rounds=5, answering=Answering(0.0)
    )
    return _export(frame, theta, basis, population.prior)


def _spread(prior: GaussianPrior, groups: int) -> GaussianPrior:
    """A mixture of `groups` around one Gaussian, apart enough for EM to tell them."""
    if groups == 1:
        return prior
    noise = np.random.default_rng(0).standard_normal((groups, prior.dim))
    root = np.linalg.cholesky(prior.covariance)
    return GaussianPrior(
        np.full(groups, 1 / groups), prior.mean + noise @ root.T,
        np.repeat(prior.covariance[None], groups, axis=0),
    )  # fmt: skip


def _export(frame: _Frame, theta: F64, basis: F64, prior: GaussianPrior) -> Hierarchical:
    """Turn to a basis in which the population is standard normal and directions are sorted.

    The mean moves into the shared reward. Directions are the principal axes of the personal part of
    the margin; those after 99.9 % of its variance are dropped.
    """
    mean, covariance = prior.mean, prior.covariance
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))  # (k, k): w = mean + root z
    phi = frame.items @ basis @ root
    _, spread, axes = np.linalg.svd(phi - phi.mean(0), full_matrices=False)
    share = np.cumsum(spread**2) / max(float((spread**2).sum()), 1e-300)
    keep = int(np.searchsorted(share, 0.999)) + 1 if spread[0] > 1e-9 else 1
    turn = root @ axes[:keep].T  # (k, kept)
    inverse = axes[:keep] @ ((vectors / np.sqrt(np.maximum(values, 1e-12))).T)
    if len(prior.weights) == 1:
        standard = GaussianPrior.standard(keep)
    else:
        standard = GaussianPrior(
            prior.weights, (prior.means - mean) @ inverse.T,
            inverse @ prior.covariances @ inverse.T + 1e-9 * np.eye(keep),
        )  # fmt: skip
    return Hierarchical(
        frame.center,
        (frame.turn @ (theta + basis @ mean)).astype(np.float32),
        (frame.turn @ basis @ turn).astype(np.float32),
        standard,
        Answering(lapse=0.0),
    )


def _with_lapse(
    model: Hierarchical, valid: TrainingSet | None, split: Any, options: HierarchicalOptions
) -> Hierarchical:
    if options.lapse is not None:
        return replace(model, answering=Answering(lapse=options.lapse))
    if split is None or valid is None:
        return model
    tried = [replace(model, answering=Answering(lapse=lapse)) for lapse in _LAPSES]
    return min(tried, key=lambda m: held_out_loss(m, valid, split))


def _tensors(model: Hierarchical) -> dict[str, Tensor]:
    return {k: torch.as_tensor(np.ascontiguousarray(v)) for k, v in model.save()[1].items()}


def _resume(keeper: Checkpoint) -> tuple[list[dict[str, Any]], Hierarchical | None]:
    found = keeper.load()
    if found is None:
        return [], None
    arrays = {k: v.numpy() for k, v in found[1].items()}
    return found[2]["done"], Hierarchical.load({"lapse": 0.0, "tie": 0.0}, arrays)
