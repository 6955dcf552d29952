"""Bulk scoring: time and memory of the best ten of many candidates for many people, to Parquet.

Usage: python benchmarks/bulk.py [--people 100000] [--candidates 1000] [--tastes 32] [--threads 2] [--ray 0]
Prints seconds on the clock and of the processor, what a million people would take at that speed, and by
how much resident memory grew after the first tenth. With --ray N a Ray cluster of N workers on this
machine does the same work after the threads; its start is told apart, and the files are compared.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

from gustibus.bulk import bulk_score, bulk_score_on_ray
from gustibus.models.hierarchical import Hierarchical
from gustibus.posterior import Answering, GaussianPrior


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--candidates", type=int, default=1000)
    parser.add_argument("--tastes", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--ray", type=int, default=0, help="workers; 0 leaves it out")
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

    job = {
        "digest": "benchmark", "users": [f"user-{n}" for n in range(chosen.people)], "means": means,
        "items": [f"item-{n}" for n in range(chosen.candidates)], "top": 10,
        "representations": model.represent(features),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        here = Path(name) / "threads"
        began, cpu = perf_counter(), process_time()
        bulk_score(model, output=here, threads=chosen.threads, told=told, **job)
        took, used = perf_counter() - began, process_time() - cpu
        size = sum(path.stat().st_size for path in here.iterdir())
        million = 1e6 / chosen.people
        print(f"{chosen.people} people x {chosen.candidates} candidates, {u} dimensions, "
              f"{chosen.threads} threads")  # fmt: skip
        print(f"{took:.1f} s, {used:.1f} s of the processor, {size / 2**20:.0f} MiB of Parquet")
        print(f"a million people: {took * million:.0f} s, {used * million:.0f} s of the processor")
        print(f"memory after the first tenth: {(max(marks) - marks[0]) / 2**20:+.0f} MiB")
        if chosen.ray:
            on_ray(model, job, here, chosen.ray)


def on_ray(model: Hierarchical, job: dict[str, Any], here: Path, workers: int) -> None:
    """Print the figures of a cluster, and whether its files are those of the threads."""
    import ray

    began = perf_counter()
    ray.init(address="local", num_cpus=workers, include_dashboard=False, log_to_driver=False)
    started = perf_counter() - began
    there, first = here.with_name("ray"), []
    began = perf_counter()
    bulk_score_on_ray(
        model, output=there, told=lambda *_: first or first.append(perf_counter()), **job
    )
    took = perf_counter() - began
    same = all(path.read_bytes() == (there / path.name).read_bytes() for path in here.iterdir())
    print(f"Ray, {workers} workers: {started:.1f} s to start, {took:.1f} s to score, the first part "
          f"after {first[0] - began:.1f} s; {of_workers():.1f} s of the processor in workers; files "
          f"{'the same' if same else 'DIFFERENT'}")  # fmt: skip
    ray.shutdown()


def of_workers() -> float:
    """Seconds of the processor that workers have used, their start among them."""
    ticks = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (folder / "cmdline").read_bytes().startswith(b"ray::"):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def resident() -> int:
    """Resident bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


if __name__ == "__main__":
    main()
