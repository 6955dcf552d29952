"""The heads of HyRe: denoised rewards of seen people, or rewards fitted on resampled people."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from gustibus.errors import InputError
from gustibus.models.base import Fitted, Progress, TrainingSet
from gustibus.models.gpm_transitive import refit_transitive
from gustibus.models.heads import SCORES, effective
from gustibus.models.hierarchical import Hierarchical
from gustibus.models.hierarchical_fit import fit_hierarchical
from gustibus.models.hierarchical_objective import apart
from gustibus.models.hierarchical_options import hierarchical_options, inner_options
from gustibus.models.hierarchical_start import Frame
from gustibus.models.hyre import Hyre
from gustibus.models.keywords import Count, NotNegative, Span, check_choice, read_options
from gustibus.models.torch_network import pick_device
from gustibus.models.validation import everybody, held_out_loss, hold_out, representations
from gustibus.posterior import Answering, ParticlePrior
from gustibus.types import F64


@dataclass(frozen=True, slots=True)
class HyreOptions:
    """Options of the fit; `recipe = "published"` sets those marked (p).

    Attributes:
        heads: `denoised`, the seen people as hierarchical Bayes places them, or `bootstrap` (p),
            pooled rewards of resampled people.
        count: bootstrap heads, and seen people at most.
        share: draws of a bootstrap head for each person; few make heads differ.
        score: `log`, `zero_one`, or `auto`: whichever serves held-out people better (p: `log`).
        sharpness: factors of the summed loss; held-out people choose, the largest is taken without
            any (p: 1).
        ridge: of bootstrap heads, in units of comparisons.
        max_features: principal components kept for bootstrap heads.
        hierarchical: options of the fit behind denoised heads.
        recipe: `project` or `published`.
    """

    heads: str = "denoised"
    count: Annotated[int, Span(2)] = 1024
    share: Annotated[float, Span(1e-6, 1)] = 0.02
    score: str = "auto"
    sharpness: tuple[NotNegative, ...] = (0.25, 0.5, 1.0)
    ridge: Annotated[float, Span(1e-9)] = 1.0
    max_features: Count = 64
    hierarchical: Mapping[str, Any] = field(default_factory=lambda: {"folds": 1})
    recipe: str = "project"


_FEWEST = 4
"""People that a bootstrap head sees at least."""
_PUBLISHED = {"heads": "bootstrap", "count": 64, "score": "log", "sharpness": 1.0}


def hyre_options(given: Mapping[str, Any]) -> HyreOptions:
    """Options from keywords.

    Raises:
        ConfigError: an unknown keyword or a value out of range.
    """
    published = given.get("recipe") == "published"
    base = _PUBLISHED if published else {"count": 64} if given.get("heads") == "bootstrap" else {}
    known = {"hierarchical": HyreOptions().hierarchical, **base}
    options = read_options(HyreOptions, "hyre", given, base=known)
    check_choice("heads", options.heads, ("denoised", "bootstrap"))
    check_choice("score", options.score, ("auto", *SCORES))
    check_choice("recipe", options.recipe, ("project", "published"))
    inner_options("hierarchical", options.hierarchical)
    return options


def fit_hyre(
    train: TrainingSet,
    valid: TrainingSet | None,
    *,
    options: HyreOptions,
    seed: int,
    device: str,
    progress: Progress | None,
    checkpoint: Path | None,
) -> Fitted:
    """Heads of the training people choose how to weigh on held-out people; then heads of everybody.

    Raises:
        InputError: there are no comparisons.
    """
    if len(train) == 0:
        message = "train: expected at least one comparison, got none"
        raise InputError(message, where="train")
    started = time.perf_counter()
    judged = valid if valid is not None and len(valid) else None
    whole = train if judged is None else everybody(train, judged)
    where, chosen = pick_device(device), None
    first: Hyre | None = None
    if options.heads == "denoised":
        found, report = fit_hierarchical(
            train, judged, options=hierarchical_options(options.hierarchical), seed=seed,
            device=device, progress=progress, checkpoint=checkpoint,
        )  # fmt: skip
        chosen = {**report["chosen"], "lapse": report["lapse"]}
        assert isinstance(found, Hierarchical), "the family fits its own class"
        final = denoised(found, whole, options.count, seed)
        if judged is not None:
            again = refit_transitive(train, chosen, options.hierarchical, where).model
            assert again is not None, "a refit is taken from a model"
            first = denoised(again, train, options.count, seed)
    else:
        final = bootstrapped(whole, options, seed, where)
        first = None if judged is None else bootstrapped(train, options, seed, where)
    scores = SCORES if options.score == "auto" else (options.score,)
    ways = list(product(scores, sorted(options.sharpness, reverse=True)))
    (score, sharpness), held, history = ways[0], None, []
    number: float | None = None
    if judged is not None and first is not None:
        split = hold_out(judged)
        for way in ways:
            tried = replace(first, score=way[0], sharpness=way[1])
            loss = held_out_loss(tried, judged, split)
            history.append({"score": way[0], "sharpness": way[1], "valid_loss": loss})
            if loss < (np.inf if held is None else held):
                (score, sharpness), held = way, loss
        chosen_first = replace(first, score=score, sharpness=sharpness)
        a, b = representations(chosen_first, judged, split.support)
        weights = chosen_first.weights(
            a, b, judged.target[split.support].astype(np.float64),
            weight=judged.weight[split.support].astype(np.float64), starts=split.support_starts,
        )  # fmt: skip
        number = float(effective(weights).mean())
    report = {
        "options": asdict(options), "score": score, "sharpness": sharpness, "history": history,
        "heads": len(final.prior.particles), "effective_heads": number, "hierarchical": chosen,
        "held_out_loss": held, "seconds": time.perf_counter() - started,
    }  # fmt: skip
    return Fitted(replace(final, score=score, sharpness=sharpness), report)


def denoised(model: Hierarchical, people: TrainingSet, most: int, seed: int) -> Hyre:
    """Heads where hierarchical Bayes places people; of many people a random part."""
    order = np.argsort(people.user, kind="stable")
    counts = np.bincount(people.user, minlength=people.people)
    a, b = representations(model, people, order)
    placed = model.place(
        a, b, people.target[order].astype(np.float64),
        weight=people.weight[order].astype(np.float64),
        starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), covariance=False,
    )  # fmt: skip
    chosen = np.flatnonzero(counts)
    if len(chosen) > most:
        chosen = np.sort(np.random.default_rng(seed).permutation(chosen)[:most])
    return _of(model.center, model.population, model.basis, placed.mean[chosen], model.answering)


def _of(center: Any, population: Any, basis: Any, heads: F64, answering: Answering) -> Hyre:
    prior = ParticlePrior(np.ascontiguousarray(heads), np.zeros(len(heads)))
    return Hyre(center, population, basis, prior, answering, "log", 1.0)


def bootstrapped(train: TrainingSet, options: HyreOptions, seed: int, device: torch.device) -> Hyre:
    """Pooled rewards of people drawn with replacement, all heads fitted at once."""
    frame = Frame.of(train, 0.0, options.max_features, device)
    rng = np.random.default_rng(seed)
    p, draws = train.people, max(_FEWEST, round(options.share * train.people))
    drawn = rng.multinomial(draws, np.full(p, 1 / p), options.count)
    items = torch.as_tensor(frame.items, dtype=torch.float32, device=device)
    a, b = (torch.as_tensor(side, device=device).long() for side in (train.a, train.b))
    target = torch.as_tensor(train.target, device=device)[:, None]
    times = torch.as_tensor(drawn.T[train.user], dtype=torch.float32, device=device)  # (n, j)
    times = times * torch.as_tensor(train.weight, device=device)[:, None]
    heads = torch.zeros(items.shape[1], options.count, device=device, requires_grad=True)
    optimizer = torch.optim.LBFGS([heads], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = items @ heads  # (m, j)
        margin = apart(value, a, b)
        loss = ((softplus(margin) - target * margin) * times).sum()
        loss = loss + 0.5 * options.ridge * heads.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]  # torch does not annotate it
    theta = heads.detach().double().cpu().numpy()  # (q, j)
    mean = theta.mean(1, keepdims=True)
    axes, size, rows = np.linalg.svd(theta - mean, full_matrices=False)
    kept = max(1, int((size > 1e-6 * max(size[0], 1e-300)).sum()))
    return _of(
        frame.center, (frame.turn @ mean[:, 0]).astype(np.float32),
        (frame.turn @ axes[:, :kept]).astype(np.float32),
        (size[:kept, None] * rows[:kept]).T, Answering(lapse=0.0),
    )  # fmt: skip
