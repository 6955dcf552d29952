"""Bulk scoring: time and memory of the best ten of many candidates for many people, to Parquet.

Usage: python benchmarks/bulk.py [--people 100000] [--candidates 1000] [--tastes 32] [--threads 2]
Prints seconds on the clock and of the processor, what a million people would take at that speed, and by
how much resident memory grew after the first tenth.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

from gustibus.bulk import bulk_score
from gustibus.models.hierarchical import Hierarchical
from gustibus.posterior import Answering, GaussianPrior


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--candidates", type=int, default=1000)
    parser.add_argument("--tastes", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    rng = np.random.default_rng(0)
    u = chosen.tastes
    model = Hierarchical(
        center=np.zeros(64, np.float32), population=rng.standard_normal(64).astype(np.float32),
        basis=rng.standard_normal((64, u)).astype(np.float32), prior=GaussianPrior.standard(u),
        answering=Answering(),
    )  # fmt: skip
    features = rng.standard_normal((chosen.candidates, 64)).astype(np.float32)
    means = rng.standard_normal((chosen.people, u)).astype(np.float32)
    marks: list[int] = []

    def told(done: int, people: int) -> None:
        if done > people / 10:
            marks.append(resident())

    with tempfile.TemporaryDirectory() as folder:
        began, cpu = perf_counter(), process_time()
        bulk_score(
            model, digest="benchmark", users=[f"user-{n}" for n in range(chosen.people)],
            means=means, items=[f"item-{n}" for n in range(chosen.candidates)],
            representations=model.represent(features), output=Path(folder) / "out", top=10,
            threads=chosen.threads, told=told,
        )  # fmt: skip
        took, used = perf_counter() - began, process_time() - cpu
        size = sum(path.stat().st_size for path in (Path(folder) / "out").iterdir())
    million = 1e6 / chosen.people
    print(f"{chosen.people} people x {chosen.candidates} candidates, {u} dimensions, "
          f"{chosen.threads} threads")  # fmt: skip
    print(f"{took:.1f} s, {used:.1f} s of the processor, {size / 2**20:.0f} MiB of Parquet")
    print(f"a million people: {took * million:.0f} s, {used * million:.0f} s of the processor")
    print(f"memory after the first tenth: {(max(marks) - marks[0]) / 2**20:+.0f} MiB")


def resident() -> int:
    """Resident bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


if __name__ == "__main__":
    main()
