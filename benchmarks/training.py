"""Training throughput of every family: comparisons a second, against what the device can do.

Whole fits on one setting each, over made comparisons; a watch on the optimiser's steps says what part
of the time they take and how many comparisons they work through. Where a step is bound by arithmetic
it is held against the device's own matrix product, elsewhere against its own copy.

Run: python benchmarks/training.py [--device cuda] [--pairs 10000000] [--people 100000] [--dim 4096]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple, Self

import numpy as np
import torch

from gustibus.models import TrainingSet
from gustibus.models.hybrid import fit_model
from gustibus.models.stepping import Stepper

_WARM = 5
SHOWN = 384
"""Principal components that families read unless told otherwise."""


class Size(NamedTuple):
    """Of the made world."""

    pairs: int
    people: int
    items: int
    dim: int

    @property
    def read(self) -> int:
        """Features that a family reads after the principal components."""
        return min(SHOWN, self.dim, self.items)


class Case(NamedTuple):
    """A fit, and what a step must move or compute at least for each comparison."""

    family: str
    options: dict[str, Any]
    cost: Callable[[Size], float]
    unit: str
    """`B`, bytes read and written once; `FLOP` in single precision, `half FLOP` in half of it."""


HIERARCHICAL = {"ridges": [30.0], "rank": 16, "rounds": 3}
LORE = {"ridges": [30.0], "steps": 30}
SHARED = {"ridge": 10.0, "spreads": [1.0]}
"""Of `ridge` and of what `nearest` rests on: one reward for everybody, one spread of people about it."""
KNOWN = 2048
"""Items that `factors` know at most."""
HEADS = 64


def pooled_bytes(size: Size) -> float:
    """Of a look at the loss of one reward for everybody, over all features."""
    return 24 + 8 * size.items * size.dim / size.pairs


def hierarchical_bytes(size: Size) -> float:
    """Of a look at the loss of 16 directions."""
    return 24 + (16 * 16 + 16) * 4 / 8 + 8 * size.items * size.read / size.pairs


def factor_bytes(size: Size) -> float:
    """The same over names."""
    known = min(KNOWN, size.items)
    return 24 + (16 * 16 + 16) * 4 / 8 + 8 * size.items * known / size.pairs


def lore_bytes(size: Size) -> float:
    """Of a look at the loss of 8 rewards."""
    return 32 + 8 * size.items * size.read / size.pairs


def head_bytes(size: Size) -> float:
    """Of a look at the loss of all heads: how often each drew a person, two values of each, two gradients."""
    return 12 + 5 * 4 * HEADS + 8 * size.items * HEADS / size.pairs


# A minibatch gathers two items a comparison; a full batch reads places, target and weight, reads the
# items once forwards and once backwards, and adds up as many gradients as it gathers. A blend counts what
# its two members move on average.
CASES = {
    "bt": Case("bt", {"ridge": 10.0}, pooled_bytes, "B"),
    "hierarchical, 16 directions": Case(
        "hierarchical", {**HIERARCHICAL, "equalise": [0.5], "residuals": 0.0},
        hierarchical_bytes, "B",
    ),
    "factors, 16 directions": Case(
        "factors", {**HIERARCHICAL, "most": KNOWN}, factor_bytes, "B"
    ),
    "lore, 8 rewards": Case("lore", LORE, lore_bytes, "B"),
    "blend of hierarchical and lore": Case(
        "blend",
        {"members": [
            {"family": "hierarchical", **HIERARCHICAL, "equalise": [0.5], "residuals": 0.0},
            {"family": "lore", **LORE},
        ]},
        lambda s: (hierarchical_bytes(s) + lore_bytes(s)) / 2, "B",
    ),
    "ridge": Case("ridge", SHARED, pooled_bytes, "B"),
    "nearest": Case(
        "nearest", {**SHARED, "neighbours": [20], "imaginary": [1.0]}, pooled_bytes, "B"
    ),
    "hyre, 64 bootstrap heads": Case(
        "hyre", {"heads": "bootstrap", "count": HEADS, "score": "log"}, head_bytes, "B"
    ),
    "hyre, heads of denoised people": Case(
        "hyre",
        {"hierarchical": {**HIERARCHICAL, "equalise": [0.5], "residuals": 0.0, "folds": 1}},
        hierarchical_bytes, "B",
    ),
    "pal, principal components": Case(
        "pal", {"epochs": 1, "ridges": [30.0]}, lambda s: 8 * s.read**2, "half FLOP"
    ),
    "pal, all features": Case(
        "pal", {"epochs": 1, "equalise": -1.0, "start": "random", "form": "dist"},
        lambda s: 8 * s.dim**2, "half FLOP",
    ),
    "pal, all features in single precision": Case(
        "pal", {"epochs": 1, "equalise": -1.0, "start": "random", "form": "dist", "mixed": False},
        lambda s: 8 * s.dim**2, "FLOP",
    ),
    "gpm, blocks without people": Case(
        "gpm", {"personal": False, "steps": 2000}, lambda s: 8 * s.dim, "B"
    ),
    "gpm, batches of 16,384": Case(
        "gpm", {"personal": False, "steps": 500, "batch": 16_384}, lambda s: 8 * s.dim, "B"
    ),
    "pro, experts": Case(
        "pro", {"rewards": "experts", "steps": 2000, "gate": "constant"}, lambda s: 8 * s.dim, "B"
    ),
    "ppd": Case("ppd", {"refit": False}, lambda s: 8 * s.read, "B"),
    "vpl": Case("vpl", {"steps": 500}, lambda s: 8 * s.read, "B"),
    "mrm": Case("mrm", {"steps": 200}, lambda s: 8 * s.read, "B"),
}  # fmt: skip


def world(size: Size, device: torch.device) -> TrainingSet:
    """People who differ in eight of the directions in which items vary; the first are the strongest."""
    generator = torch.Generator(device).manual_seed(0)
    on: dict[str, Any] = {"generator": generator, "device": device}
    spread = torch.arange(1, size.dim + 1, device=device) ** -0.5
    items = torch.randn(size.items, size.dim, **on) * spread
    tastes = torch.randn(size.people, 8, **on) + torch.randn(8, **on)
    user = torch.arange(size.pairs, device=device) * size.people // size.pairs
    a = torch.randint(size.items, (size.pairs,), **on)
    b = (a + torch.randint(1, size.items, (size.pairs,), **on)) % size.items
    margin = ((items[a, :8] - items[b, :8]) * tastes[user]).sum(1)
    target = torch.rand(size.pairs, **on) < margin.sigmoid()
    user, a, b = (x.to(torch.int32).cpu().numpy() for x in (user, a, b))
    return TrainingSet(
        user=user, prompt=np.zeros(size.pairs, np.int32), a=a, b=b,
        target=target.float().cpu().numpy(), weight=np.ones(size.pairs, np.float32),
        item_features=items.cpu().numpy(), prompt_features=None, people=size.people,
    )  # fmt: skip


@dataclass
class Tally:
    """Steps of one kind, timed from the sixth on."""

    calls: int = 0
    mark: Any = None
    spans: list[tuple[Any, Any, Any]] = field(default_factory=list)

    def add(self, mark: Any, worked: Any) -> None:
        """A step that ended at `mark`, and began where the one before ended."""
        self.calls += 1
        if self.calls > _WARM:
            self.spans.append((self.mark, mark, worked))
        self.mark = mark

    def pause(self, mark: Any) -> None:
        """What was done since the last step is none."""
        self.mark = mark

    def result(self) -> tuple[float, float]:
        """Comparisons worked through, and the seconds that took."""
        return (
            float(sum(float(worked) for *_, worked in self.spans)),
            sum(elapsed(first, last) for first, last, _ in self.spans),
        )


@dataclass
class Watch:
    """Tells the steps of `Stepper`, and looks of L-BFGS at the loss of all comparisons."""

    device: torch.device
    pairs: int
    steps: Tally = field(default_factory=Tally)
    looks: Tally = field(default_factory=Tally)

    @property
    def tally(self) -> Tally:
        """Of the steps where there are some: looks then only found where they begin."""
        return self.steps if self.steps.calls else self.looks

    def __enter__(self) -> Self:
        self._kept = (Stepper.__call__, torch.optim.LBFGS.step)

        def step(stepper: Stepper, *batch: Any) -> Any:
            found = self._kept[0](stepper, *batch)
            self.steps.add(now(self.device), _rows(batch[0]))
            return found

        def minimise(optimizer: Any, closure: Callable[[], Any]) -> Any:
            def watched() -> Any:
                found = closure()
                self.looks.add(now(self.device), self.pairs)
                return found

            self.looks.pause(now(self.device))
            return self._kept[1](optimizer, watched)

        Stepper.__call__, torch.optim.LBFGS.step = step, minimise
        return self

    def __exit__(self, *_: object) -> None:
        Stepper.__call__, torch.optim.LBFGS.step = self._kept


def _rows(batch: Any) -> Any:
    """Comparisons of a batch: numbers of rows, or an episode, in which some places weigh nothing."""
    if isinstance(batch, torch.Tensor):
        return len(batch)
    told = [batch.support, batch.query] if hasattr(batch, "support") else [batch.told, batch.asked]
    return sum((getattr(t, "weight", t) > 0).sum() for t in told)


def ceilings(device: torch.device) -> dict[str, float]:
    """What the device does: bytes a second of a copy, operations a second of a square product."""
    large = device.type == "cuda"
    source, target = torch.rand(2, (1 << 29) if large else (1 << 25), device=device)
    found = {"B": 2 * source.nbytes / seconds(partial(target.copy_, source), device)}
    n = 8192 if large else 1024
    for name, kind in (("FLOP", torch.float32), ("half FLOP", torch.bfloat16)):
        x, y = torch.randn(2, n, n, device=device).to(kind)
        found[name] = 2 * n**3 / seconds(partial(torch.mm, x, y), device)
    return found


def now(device: torch.device) -> Any:
    """A mark on the device's own clock."""
    if device.type != "cuda":
        return perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def elapsed(first: Any, last: Any) -> float:
    """Seconds between two marks."""
    if isinstance(first, float):
        return float(last - first)
    torch.cuda.synchronize()
    return float(first.elapsed_time(last)) / 1e3


def seconds(run: Callable[[], object], device: torch.device) -> float:
    """Median of ten."""
    for _ in range(3):
        run()
    found = []
    for _ in range(10):
        first = now(device)
        run()
        found.append(elapsed(first, now(device)))
    return float(np.median(found))


def main() -> None:
    """Fit each family, print a table, keep the figures where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--pairs", type=int, default=10_000_000)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=4096)
    parser.add_argument("--only", action="append", help="a row; may be given again")
    parser.add_argument("--json", type=Path, help="where figures are kept, row by row")
    args = parser.parse_args()
    device, size = (
        torch.device(args.device), Size(args.pairs, args.people, args.items, args.dim),
    )  # fmt: skip
    name = torch.cuda.get_device_name() if device.type == "cuda" else platform.machine()
    most = ceilings(device)
    print(
        f"{name}, {os.cpu_count()} cores, torch {torch.__version__}; copy {most['B'] / 1e9:,.0f} "
        f"GB/s, product {most['FLOP'] / 1e12:.1f} TFLOP/s, in bfloat16 "
        f"{most['half FLOP'] / 1e12:.0f}\n{size.pairs:,} comparisons of {size.people:,} people over "
        f"{size.items:,} items of {size.dim} features\n"
    )
    print("| fit | whole | steps | comparisons a second in steps | of the ceiling | memory |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |", flush=True)
    data, rows = world(size, device), []
    for title in args.only or CASES:
        case = CASES[title]
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        started = perf_counter()
        with Watch(device, size.pairs) as watch:
            fit_model(
                case.family, data, None, seed=0, device=args.device, known_items="never",
                **case.options,
            )  # fmt: skip
            whole = perf_counter() - started
        tally = watch.tally
        worked, took = tally.result()
        rate = worked / took if took else float("nan")
        share = rate * case.cost(size) / most[case.unit]
        memory = torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else 0.0
        per = 1e3 * took / max(len(tally.spans), 1)
        scale, word = (1e9, "GB/s") if case.unit == "B" else (1e12, "TFLOP/s")
        achieved = rate * case.cost(size) / scale
        print(
            f"| `{title}` | {whole:.1f} s | {tally.calls:,} of {per:.2f} ms | {rate:,.0f} | "
            f"{achieved:,.4g} {word}, {share:.0%} | {memory:.1f} GiB |",
            flush=True,
        )
        rows.append({
            "fit": title, "whole_s": whole, "steps": tally.calls, "step_ms": per, "rate": rate,
            "achieved": achieved, "unit": word, "share": share, "memory_gib": memory,
        })  # fmt: skip
        if args.json is not None:
            record = {"device": name, "size": size._asdict(), "ceilings": most, "rows": rows}
            args.json.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
