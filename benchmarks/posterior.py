"""Speed of the compiled core, with a general optimiser as the peer; prints a Markdown table.

Run: python benchmarks/posterior.py [--people 20000]
"""

from __future__ import annotations

import argparse
import os
import platform
from time import perf_counter

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from gustibus.posterior import (
    QUESTION_RULES,
    Answering,
    Evidence,
    GaussianPrior,
    Posterior,
    acquire,
    acquire_batch,
    fit_population,
    place,
    target_gain,
)

K, ANSWERS, POOL = 32, 20, 20_000


def median(f, repeats):
    """Median seconds of `f()` after one warm call."""
    f()
    times = []
    for _ in range(repeats):
        start = perf_counter()
        f()
        times.append(perf_counter() - start)
    return float(np.median(times))


def rows_of(rng, people, answers, k):
    delta = rng.normal(size=(people * answers, k)) / k**0.5
    target = (rng.random(len(delta)) < expit(2 * delta[:, 0])).astype(float)
    return delta, target, np.repeat(np.arange(people), answers)


def peer(delta, target):
    """The mode by SciPy's L-BFGS with the analytic gradient, then a numpy inverse."""

    def loss(w):
        z = delta @ w
        slope = w - delta.T @ (target - expit(z))
        return 0.5 * w @ w - target @ log_expit(z) - (1 - target) @ log_expit(-z), slope

    w = minimize(loss, np.zeros(delta.shape[1]), jac=True, options={"gtol": 1e-9}).x
    p = expit(delta @ w)
    return w, np.linalg.inv(np.eye(len(w)) + delta.T @ ((p * (1 - p))[:, None] * delta))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=20_000)
    people = parser.parse_args().people
    rng = np.random.default_rng(0)
    prior, exact = GaussianPrior.standard(K), Answering(lapse=0.0)
    delta, target, person = rows_of(rng, people, ANSWERS, K)
    one, answers = delta[:ANSWERS], target[:ANSWERS]

    def single() -> Posterior:
        return place(Evidence.build(one, answers), prior, answering=exact)[0]

    mode, covariance = peer(one, answers)
    gap = max(np.abs(single().mean - mode).max(), np.abs(single().covariance - covariance).max())
    print(f"{platform.machine()}, {os.cpu_count()} cores, k = {K}, {ANSWERS} answers; ", end="")
    print(f"largest difference from the peer {gap:.1e}\n")
    print("| what | time | rate |\n|---|---|---|")

    def line(what, seconds, count):
        unit = f"{seconds * 1e6:.0f} us" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms"
        print(f"| {what} | {unit} | {count / seconds:,.0f}/s |", flush=True)

    line("place one person, from Python", median(single, 500), 1)
    line("the same by scipy.optimize and numpy", median(lambda: peer(one, answers), 50), 1)
    evidence = Evidence.build(delta, target, person=person)
    for threads in (1, None):
        seconds = median(lambda t=threads: place(evidence, prior, threads=t), 3)
        line(f"place {people:,} people, {threads or 'all'} threads", seconds, people)
    pool = rng.normal(size=(POOL, K)) / K**0.5
    known = single()
    for rule in QUESTION_RULES:
        for threads in (1, None):
            seconds = median(lambda r=rule, t=threads: acquire(r, pool, known, threads=t), 30)
            line(f"{rule} over {POOL:,} pairs, {threads or 'all'} threads", seconds, POOL)
    moments = pool[:256].T @ pool[:256] / 256
    for threads in (1, None):
        seconds = median(lambda t=threads: target_gain(pool, known, moments, threads=t), 30)
        line(f"v_opt over {POOL:,} pairs, {threads or 'all'} threads", seconds, POOL)
    line("greedy batch of 10 from the pool", median(lambda: acquire_batch(pool, known, 10), 10), 10)
    wide = rows_of(rng, 320, 40, 384)
    evidence = Evidence.build(*wide[:2], person=wide[2])
    seconds = median(lambda: fit_population(evidence, rounds=1), 1)
    line("population round, k = 384, 320 people x 40 answers", seconds, 320)


if __name__ == "__main__":
    main()
