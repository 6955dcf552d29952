"""Targets of `gustibus.posterior`: where answers place people, and what to ask next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gustibus import _core
from tests.fuzz.draw import Draw
from tests.fuzz.groups import small


def mixture(draw: Draw, dim: int) -> Any:
    """A mixture of Gaussians; its covariances are positive definite unless spoiled."""
    g = draw.pick((1, 1, 2, 3))
    roots = draw.rng.normal(size=(g, dim, dim))
    covariances = roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(dim)
    if draw.spoils():
        covariances = draw.pick((-covariances, 0 * covariances, roots, 1e300 * covariances))
    weights = draw.rng.random(g) + 0.1
    return (
        draw.array(weights / weights.sum(), np.float64),
        draw.array(draw.rng.normal(size=(g, dim)), np.float64),
        draw.array(covariances, np.float64),
    )  # fmt: skip


def prior(draw: Draw, dim: int) -> Any:
    """A mixture with its factors, made anew from what it gives for a pickle, now and then."""
    made = _core.Prior(*mixture(draw, dim))
    return _core.Prior(*made.__getnewargs__()) if draw.chance(0.2) else made


def factored(draw: Draw) -> None:
    """Factors a mixture."""
    prior(draw, small(draw, 5))


def evidence(draw: Draw, dim: int) -> Any:
    """Answers of a few people."""
    n, people = draw.pick((0, 1, 4, 20)), draw.pick((0, 1, 3))
    n = n if people else 0
    rows = (
        draw.array(draw.rng.normal(size=(n, dim)) * draw.pick((0.0, 1.0, 50.0)), np.float64),
        draw.array(draw.rng.normal(size=n), np.float64),
        draw.array(draw.rng.choice([0.0, 0.5, 1.0, 0.7], n), np.float64),
        draw.array(draw.rng.choice([0.0, 1.0, 2.5], n), np.float64),
    )
    return rows, draw.starts(people, n)


def answering(draw: Draw) -> tuple[Any, Any]:
    """Lapses and ties."""
    return draw.number(0, 0.4), draw.number(0, 2)


def place(draw: Draw) -> None:
    """Places people under a Gaussian mixture."""
    dim = small(draw, 5)
    method = draw.name(("laplace", "variational"))
    _core.place(
        *evidence(draw, dim), prior(draw, dim), method, *answering(draw), draw.count(1, 40, work=True),
        draw.number(1e-12, 1e-3), draw.flag(), draw.threads(),
    )  # fmt: skip


def simplex(draw: Draw) -> None:
    """Places people on a simplex."""
    dim = small(draw, 5)
    _core.place_simplex(
        *evidence(draw, dim), prior(draw, max(dim - int(draw.chance(0.5)), 1)), *answering(draw),
        draw.count(1, 40, work=True), draw.number(1e-12, 1e-3), draw.flag(), draw.threads(),
    )  # fmt: skip


def particles(draw: Draw) -> None:
    """Weighs particles."""
    c, people = small(draw, 6), draw.pick((0, 1, 3))
    n = draw.pick((0, 1, 9)) if people else 0
    _core.place_particles(
        draw.array(draw.rng.normal(size=(n, c)), np.float64),
        draw.array(draw.rng.choice([0.0, 0.5, 1.0], n), np.float64),
        draw.array(draw.rng.choice([0.0, 1.0, 2.5], n), np.float64), draw.starts(people, n),
        draw.array(-draw.rng.exponential(size=c), np.float64), *answering(draw), draw.threads(),
    )  # fmt: skip


def expected(draw: Draw) -> None:
    """Averages a loss over what is believed of people."""
    k, items, people = small(draw, 5), small(draw, 6), draw.pick((0, 1, 3))
    n = draw.pick((0, 1, 9)) if people else 0
    roots = draw.rng.normal(size=(people, k, k)) * draw.pick((0.0, 1.0, 1e4))
    nodes = draw.pick((0, 1, 7, 20))
    loss = _core.ExpectedLoss(
        draw.array(draw.rng.integers(0, items, (n, 2)), np.int64),
        draw.array(draw.rng.choice([0.0, 0.5, 1.0], n), np.float64),
        draw.array(draw.rng.choice([0.0, 1.0, 2.5], n), np.float64), draw.starts(people, n),
        draw.array(draw.rng.normal(size=(people, k)), np.float64),
        draw.array(roots @ roots.transpose(0, 2, 1), np.float64),
        draw.array(draw.rng.normal(size=(nodes, 2)), np.float64),
    )  # fmt: skip
    rewards = draw.rng.normal(size=(items, k + 1)) * draw.pick((0.0, 1.0, 1e300))
    loss.at(draw.array(rewards, np.float64), draw.threads())


def population(draw: Draw) -> None:
    """Fits a population."""
    dim = small(draw, 4)
    progress = draw.maybe(lambda: draw.pick((lambda *_: None, print, None)), 0.1)
    if progress is print:
        progress = None
    _core.fit_population(
        *evidence(draw, dim), mixture(draw, dim), draw.name(("laplace", "variational")),
        draw.name(("full", "diagonal", "isotropic")), draw.flag(), (draw.number(0, 2), draw.number(0, 5)),
        draw.number(1e-9, 0.1), draw.number(1, 1e6), draw.count(1, 6, work=True), draw.number(1e-9, 1e-2),
        *answering(draw), draw.count(1, 20, work=True), draw.threads(), progress,
    )  # fmt: skip


def predict(draw: Draw) -> None:
    """Predicts answers."""
    g, n = draw.pick((1, 2)), draw.pick((0, 1, 7))
    mean = draw.array(draw.rng.normal(size=(g, n)) * draw.pick((1.0, 100.0)), np.float64)
    variance = draw.array(draw.rng.exponential(size=(g, n)), np.float64)
    _core.predict(
        mean, variance, draw.array(np.full(g, 1 / g), np.float64), *answering(draw), draw.flag()
    )


def questions(draw: Draw) -> tuple[int, Any, Any]:
    """A pool of questions."""
    dim, m = small(draw, 5), draw.pick((0, 1, 3, 12))
    delta = draw.array(draw.rng.normal(size=(m, dim)), np.float64)
    return dim, delta, draw.array(draw.rng.normal(size=m), np.float64)


def acquire(draw: Draw) -> None:
    """Values of questions."""
    dim, delta, offset = questions(draw)
    base = draw.maybe(lambda: draw.array(draw.rng.normal(size=len(offset)), np.float64))
    rule = draw.name(("d_opt", "information", "bald", "eubo"))
    _core.acquire(rule, delta, offset, base, mixture(draw, dim), *answering(draw), draw.threads())


def target_gain(draw: Draw) -> None:
    """What questions say about the pairs that will be ranked."""
    dim, delta, offset = questions(draw)
    root = draw.rng.normal(size=(draw.pick((0, 1, 4)), dim))
    moments = draw.array(root.T @ root, np.float64)
    belief = mixture(draw, dim)
    _core.target_gain(delta, offset, moments, belief, *answering(draw), draw.threads())


def batch(draw: Draw) -> None:
    """A batch of questions."""
    dim, delta, offset = questions(draw)
    _core.acquire_batch(delta, offset, mixture(draw, dim), draw.count(0, 6), *answering(draw))


TARGETS: dict[str, tuple[Callable[[Draw], Any], ...]] = {
    "Prior": (factored,),
    "place": (place,),
    "place_simplex": (simplex,),
    "place_particles": (particles,),
    "ExpectedLoss": (expected,),
    "fit_population": (population,),
    "predict": (predict,),
    "acquire": (acquire,),
    "acquire_batch": (batch,),
    "target_gain": (target_gain,),
}
