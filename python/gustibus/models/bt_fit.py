"""The fit of the pooled reward: L-BFGS over all comparisons at once, rewards computed per item."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gustibus.errors import ConfigError, InputError
from gustibus.models.base import Progress, TrainingSet
from gustibus.models.bt import BradleyTerry
from gustibus.models.bt_auxiliary import Term, Terms, choose_terms
from gustibus.models.bt_more import STEPS, minimise_by_steps
from gustibus.models.bt_rows import TAIL, ListRows, Rows, Sets, load_sets
from gustibus.models.network import Network
from gustibus.models.torch_network import Projector, pick_device
from gustibus.models.validation import everybody, held_out_loss, hold_out
from gustibus.objectives.choice import Objective, choose
from gustibus.objectives.reducers import REDUCERS
from gustibus.posterior import Answering
from gustibus.types import F32

RIDGES = (30_000.0, 10_000.0, 3000.0, 1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0)
"""Candidates, from strong to weak; a ridge r weighs like r comparisons of typical length."""
ROUGH = 120
"""Steps for a candidate where no exact solver serves; the last fit takes all."""


def fit_reward(
    train: TrainingSet,
    valid: TrainingSet | None,
    *,
    seed: int,
    device: str,
    progress: Progress | None,
    hidden: int,
    ridge: float | None,
    reducer: str = "mean",
    objective: str | None = None,
    objective_options: Mapping[str, Any] | None = None,
    auxiliary: Mapping[str, Any] | None = None,
    tail: float | None = None,
    steps: int = STEPS,
) -> tuple[Network, F32, dict[str, Any]]:
    """`(network, center, report)`; `valid` chooses the ridge, then everybody counts.

    Raises:
        ConfigError: there is no such reducer or objective.
        InputError: there are no comparisons, or no data sets for `more` to weigh.
    """
    chosen = None if objective is None else choose(objective, objective_options)
    known = ("more", *REDUCERS)
    if reducer not in known:
        message = f"reducer: expected one of {known}, got {reducer!r}"
        raise ConfigError(message, where="reducer")
    if tail is not None and reducer != "cvar":
        message = f"tail: is of the reducer 'cvar', got {reducer!r}"
        raise ConfigError(message, where="tail")
    share = TAIL if tail is None else tail
    extra = choose_terms(auxiliary)
    if extra and chosen is None:
        message = (
            f"auxiliary: terms stand beside an objective, got none for {sorted(auxiliary or {})}"
        )
        raise ConfigError(message, where="objective")
    if len(train) == 0:
        message = "train: expected at least one comparison, got none"
        raise InputError(message, where="train")
    started = time.perf_counter()
    where = pick_device(device)
    used = np.unique(np.concatenate([train.a, train.b]))
    features = train.item_features[used] if len(used) else train.item_features
    center = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    scale = float(np.sqrt(((features - center) ** 2).mean(dtype=np.float64))) or 1.0

    load = partial(
        load_sets, center=center, scale=scale, device=where, objective=chosen, reducer=reducer,
        tail=share,
    )  # fmt: skip
    sets = load(train)
    judged = sets if valid is None or len(valid) == 0 else load(valid)
    torch.manual_seed(seed)
    module = Reward(features.shape[1], hidden).to(where)
    how = _How(reducer, seed, steps, _terms(extra, train, center, scale, where, module))
    strength, weights, history = _search(module, sets, judged, ridge, how, progress)
    unit = 1.0
    if chosen is not None and not (chosen.log_odds and train.margin is None and not extra):
        rows = train if valid is None or judged is sets else valid
        unit = _unit(module, Rows(rows, center, scale, where), chosen)
    held_out: float | None = None
    if valid is not None and judged is not sets:
        network = _rescale(module.export(), scale, unit)
        found = BradleyTerry(network, center, Answering(lapse=0.0))
        held_out = held_out_loss(found, valid, hold_out(valid))
        both = everybody(train, valid)
        sets = load(both)
        how = how._replace(terms=_terms(extra, both, center, scale, where, module))
        weights = _minimise(module, sets, strength, how)
    report: dict[str, Any] = {
        "ridge": strength, "history": history, "held_out_loss": held_out,
        "seconds": time.perf_counter() - started,
    }  # fmt: skip
    if reducer == "more":
        report |= {"data_sets": {"weights": weights, "losses": _losses(module, sets)}}
    if chosen is not None:
        report |= {"objective": _record(chosen, sets, unit)}
    if how.terms is not None:
        report["objective"]["auxiliary"] = how.terms.record(module, seed)
    return _rescale(module.export(), scale, unit), center, report


class _How(NamedTuple):
    """What all minimisations of one fit share."""

    reducer: str
    seed: int
    steps: int
    terms: Terms | None


def _search(
    module: Reward,
    sets: Sets,
    judged: Sets,
    ridge: float | None,
    how: _How,
    progress: Progress | None,
) -> tuple[float, list[float], list[dict[str, float]]]:
    """The ridge of least loss on `judged`, the weights of the data sets under it, and every ridge.

    The module is left as it was under that ridge.
    """
    several: tuple[float, ...] = RIDGES
    quick = how
    if how.reducer != "more" and not _smooth(sets, how) and judged is not sets:
        several = RIDGES[::2]  # a rough path, each from the last
        quick = how._replace(steps=min(ROUGH, how.steps))
    candidates = (ridge,) if ridge is not None else several if judged is not sets else (10.0,)
    history: list[dict[str, float]] = []
    best: tuple[float, dict[str, Tensor], float, list[float]] | None = None
    for done, strength in enumerate(candidates, 1):
        weights = _minimise(module, sets, strength, quick)
        loss, held = float(np.mean(_losses(module, sets))), float(np.mean(_losses(module, judged)))
        history.append({"ridge": strength, "train_loss": loss, "valid_loss": held})
        if progress is not None:
            progress("bt", done, len(candidates), held)
        if best is None or held < best[0]:
            state = {k: v.detach().clone() for k, v in module.state_dict().items()}
            best = (held, state, strength, weights)
    assert best is not None, "there is at least one candidate"
    module.load_state_dict(best[1])
    return best[2], best[3], history


class Reward(torch.nn.Module):
    """Linear, or a network of `hidden` layers and one output."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        width = min(dim, 256)
        self.body = Projector(dim, width, layers=hidden - 1) if hidden else None
        self.head = torch.nn.Linear(width if hidden else dim, 1)
        torch.nn.init.zeros_(self.head.weight)
        torch.nn.init.zeros_(self.head.bias)

    def hidden(self, x: Tensor) -> Tensor:
        """`(n, d)` -> `(n, width)`, the last hidden layer; the features of a linear reward."""
        return x if self.body is None else torch.relu(self.body(x))

    def forward(self, x: Tensor) -> Tensor:
        """`(n, d)` -> `(n, 1)`."""
        out: Tensor = self.head(self.hidden(x))
        return out

    def export(self) -> Network:
        """The same function in numpy."""
        body = Network((), ()) if self.body is None else self.body.export()
        weight = self.head.weight.detach().cpu().numpy().T.copy()
        bias = self.head.bias.detach().cpu().numpy() * 0  # rewards differ only up to a constant
        return Network((*body.weights, weight), (*body.biases, bias), "relu")


def _losses(module: Reward, sets: Sets) -> list[float]:
    with torch.inference_mode():
        return [float(rows.loss(module(rows.items))) for rows in sets]


def _minimise(module: Reward, sets: Sets, ridge: float, how: _How) -> list[float]:
    """Weights of the data sets under which the loss was made least, in place."""
    if _smooth(sets, how):
        _minimise_mean(module, sets[0], ridge)
        return [1.0]
    found = minimise_by_steps(module, sets, ridge, seed=how.seed, steps=how.steps, terms=how.terms)
    return found.tolist()


def _smooth(sets: Sets, how: _How) -> bool:
    """Whether one loss of all rows has the slopes that L-BFGS needs.

    Weights by rank jump, and auxiliary terms draw anew at each step.
    """
    plain = isinstance(sets[0], Rows) and how.reducer in ("mean", "user_mean")
    return plain and how.terms is None


def _terms(
    chosen: tuple[Term, ...], data: TrainingSet, center: F32, scale: float, device: torch.device,
    module: Reward,
) -> Terms | None:  # fmt: skip
    if not chosen:
        return None
    width = 0 if module.body is None else module.head.in_features
    return Terms(chosen, data, center, scale, device, width=width)


def _minimise_mean(module: Reward, rows: Rows | ListRows, ridge: float) -> None:
    parameters = list(module.parameters())
    optimizer = torch.optim.LBFGS(
        parameters, max_iter=200, history_size=20, line_search_fn="strong_wolfe",
        tolerance_grad=1e-7, tolerance_change=1e-10,
    )  # fmt: skip

    def closure() -> Tensor:
        optimizer.zero_grad()
        penalty = sum((p**2).sum() for p in parameters)
        loss = rows.loss(module(rows.items)) + 0.5 * ridge * penalty / rows.total
        loss.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
        return loss

    optimizer.step(closure)  # type: ignore[arg-type]  # a closure may return a tensor


def _rescale(network: Network, scale: float, unit: float = 1.0) -> Network:
    """Take the division of the features by `scale` into the first layer, `unit` into the last."""
    weights = [*network.weights]
    weights[0] = (weights[0] / scale).astype(np.float32)
    if unit != 1:
        weights[-1] = (weights[-1] * unit).astype(np.float32)
    return Network(tuple(weights), network.biases, network.activation)


def _unit(module: Reward, rows: Rows, chosen: Objective) -> float:
    """Factor under which margins are log-odds, by bisection.

    It makes the objective least where its minimiser is log-odds, whatever margins were asked for
    in the fit, and the log loss of the labels elsewhere.
    """
    loss = chosen if chosen.log_odds else choose("bt_pair")
    with torch.no_grad():
        margin = rows.margins(module(rows.items)).double()
    target, weight = rows.target.double(), rows.weight.double()
    low, high = np.log(1e-3), np.log(1e3)
    for _ in range(40):
        factor = margin.new_tensor((low + high) / 2, requires_grad=True)
        total = (loss(factor.exp() * margin, target) * weight).sum()
        (slope,) = torch.autograd.grad(total, factor)
        middle = (low + high) / 2
        low, high = (middle, high) if slope < 0 else (low, middle)
    return float(np.exp((low + high) / 2))


def _record(chosen: Objective, sets: Sets, unit: float) -> dict[str, Any]:
    """What the report says of the objective."""
    lists = sum(len(rows) for rows in sets if isinstance(rows, ListRows))
    record = {"name": chosen.name, "options": dict(chosen.options), "unit": unit}
    return record | ({"lists": lists} if chosen.listwise else {})
