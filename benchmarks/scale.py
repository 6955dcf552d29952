"""Cost of every family at serving: utilities of many candidates for many people, and placing one.

One core, from cached representations; times are of the processor. Families in which the reward is
linear in the person are held to 50 ms for 1,000 x 1,000 utilities and 300 us for placing somebody.

Run: python benchmarks/scale.py [--only pal] [--dim 384]
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable
from time import process_time

import numpy as np

from gustibus.models import MODELS, PreferenceModel, TrainingSet
from gustibus.models.hybrid import fit_model

PEOPLE, CANDIDATES, ANSWERS = 1000, 1000, 20
UTILITIES_MS, PLACING_US = 50.0, 300.0
_ONE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
MEMBERS = {
    "hierarchical, features": ("hierarchical", {"basis": "features"}),
    "hierarchical, four groups": ("hierarchical", {"basis": "features", "groups": [4]}),
    "lore, 32 rewards": ("lore", {"rank": 32, "ridges": [100.0]}),
    "pal, dirichlet": ("pal", {"population": "dirichlet"}),
    "pal, dist": ("pal", {"form": "dist"}),
    "pal, angle": ("pal", {"form": "angle"}),
    "pal, b": ("pal", {"variant": "b", "layers": 1}),
    "ppd, encoder": ("ppd", {"refine": "encoder"}),
    "ppd, particles": ("ppd", {"refine": "particles"}),
    "ppd, attention": ("ppd", {"head": "cross_attention", "steps": 100}),
    "pal, b bilinear": ("pal", {"variant": "b", "form": "bilinear", "layers": 1}),
}
"""Members of families whose personal part is another than the default's, or larger."""
_CALLS = 200  # placings between two looks at the clock, which ticks in milliseconds on some systems


def world(seed: int, *, people: int, rows: int, dim: int) -> TrainingSet:
    """People of two opposite tastes, linear in six of the features, over random items and prompts."""
    rng = np.random.default_rng(0)
    items = rng.standard_normal((800, dim)).astype(np.float32)
    prompts = rng.standard_normal((40, dim)).astype(np.float32)
    tastes = np.zeros((2, dim), np.float32)
    tastes[:, :6] = rng.standard_normal((2, 6)) * 1.5
    rng = np.random.default_rng([1, seed])
    user = np.repeat(np.arange(people), rows).astype(np.int32)
    a = rng.integers(0, len(items), len(user)).astype(np.int32)
    b = (a + rng.integers(1, len(items), len(user))).astype(np.int32) % len(items)
    margin = ((items[a] - items[b]) * tastes[user % 2]).sum(1)
    target = (rng.random(len(user)) < 1 / (1 + np.exp(-margin))).astype(np.float32)
    return TrainingSet(
        user=user, prompt=rng.integers(0, len(prompts), len(user)).astype(np.int32), a=a, b=b,
        target=target, weight=np.ones(len(user), np.float32), item_features=items,
        prompt_features=prompts, people=people,
    )  # fmt: skip


def best(run: Callable[[], object], *, repeats: int, calls: int = 1) -> float:
    """Least processor seconds of one call, over `repeats` looks at `calls` calls each."""
    run()
    found = []
    for _ in range(repeats):
        start = process_time()
        for _ in range(calls):
            run()
        found.append((process_time() - start) / calls)
    return min(found)


def is_linear(model: PreferenceModel) -> bool:
    """Whether gradients of the reward in the person are the same for everybody."""
    rng = np.random.default_rng(0)
    reps = some(model, 8, rng)
    slopes = [model.linearize(user, reps)[1] for user in users(model, 2, rng)]
    return bool(np.allclose(*slopes, rtol=1e-6, atol=1e-9))


def some(model: PreferenceModel, count: int, rng: np.random.Generator) -> np.ndarray:
    """Representations of random items, each with a prompt of its own where prompts are read."""
    items = rng.standard_normal((count, model.item_dim)).astype(np.float32)
    prompts = rng.standard_normal((count, model.prompt_dim)).astype(np.float32)
    return model.represent(items, prompts if model.prompt_dim else None)


def users(model: PreferenceModel, count: int, rng: np.random.Generator) -> np.ndarray:
    """`(count, u)` different user vectors, at or above 0."""
    return model.prior.mean + rng.random((count, model.user_dim))


def main() -> None:
    """Fit each family, time it, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="name of one row")
    parser.add_argument("--dim", type=int, default=384)
    args = parser.parse_args()
    if any(os.environ.get(name) != "1" for name in _ONE):  # libraries read them when they start
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | _ONE)
    sizes = {"rows": 40, "dim": args.dim}
    train, valid = world(0, people=60, **sizes), world(1, people=20, **sizes)
    print(f"{platform.machine()}, one core, d = {args.dim}; ", end="")
    print(f"{CANDIDATES:,} candidates for {PEOPLE:,} people; {ANSWERS} answers a person\n")
    print("| family | u | r | linear | utilities | placing one | within target |")
    print("| --- | ---: | ---: | --- | ---: | ---: | --- |")
    rows = {name: (name, {}) for name in MODELS} | MEMBERS
    for name in [args.only] if args.only else rows:
        family, options = rows[name]
        model = fit_model(family, train, valid, seed=0, known_items="never", **options).model
        rng = np.random.default_rng(0)
        who, reps = users(model, PEOPLE, rng), some(model, CANDIDATES, rng)
        a, b = some(model, ANSWERS, rng), some(model, ANSWERS, rng)
        target = (rng.random(ANSWERS) < 0.5).astype(np.float64)
        linear = is_linear(model)
        utilities = 1e3 * best(lambda m=model, w=who, r=reps: m.utility(w, r), repeats=7)
        placing = 1e6 * best(
            lambda m=model, a=a, b=b, t=target: m.place(a, b, t)[0],
            repeats=9, calls=_CALLS if linear else _CALLS // 20,
        )  # fmt: skip
        kept = utilities < UTILITIES_MS and placing < PLACING_US
        verdict = ("yes" if kept else "no") if linear else "–"
        print(
            f"| `{name}` | {model.user_dim} | {model.representation_dim} | "
            f"{'yes' if linear else 'no'} | {utilities:.1f} ms | {placing:.0f} us | {verdict} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
