"""How it runs: any number of threads, no interpreter lock, an end when asked."""

from __future__ import annotations

import os
import threading
import time

import numpy as np
import pytest

from gustibus.social import bootstrap, bradley_terry, covariance, davidson, plackett_luce, spectral
from tests.social.interrupting import seconds_until_interrupted


def world(rows, items, seed=0):
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=items)
    a = rng.integers(0, items, rows)
    b = (a + rng.integers(1, items, rows)) % items
    won = rng.random(rows) < 1 / (1 + np.exp(theta[b] - theta[a]))
    return np.where(won, a, b), np.where(won, b, a)


@pytest.mark.parametrize(("rows", "items"), [(400_000, 90), (300_000, 2100)])
def test_any_number_of_threads_gives_the_same_bytes(rows, items):
    w, b = world(rows, items)
    weights = np.random.default_rng(1).random(rows)
    for options in ({}, {"weights": weights}, {"ties": weights < 0.1}):
        fits = [bradley_terry(w, b, **options, threads=t) for t in (1, 2, None)]
        assert len({f.scores.tobytes() for f in fits}) == 1
        assert len({f.log_likelihood for f in fits}) == 1
        doubts = [
            covariance(f, threads=t).variances for f, t in zip(fits, (1, 2, None), strict=True)
        ]
        assert len({d.tobytes() for d in doubts}) == 1


def test_other_models_do_not_depend_on_threads_either():
    w, b = world(200_000, 40)
    ties = np.random.default_rng(1).random(len(w)) < 0.1
    rankings = np.argsort(np.random.default_rng(2).random((20_000, 12)), axis=1)
    x = np.random.default_rng(3).normal(size=(len(w), 1))
    fit = bradley_terry(w, b)
    for run in (
        lambda t: davidson(w, b, ties=ties, threads=t).scores,
        lambda t: plackett_luce(rankings, threads=t).scores,
        lambda t: spectral(w, b, threads=t).scores,
        lambda t: bradley_terry(w, b, covariates=x, threads=t).scores,
        lambda t: bootstrap(fit, replicates=50, threads=t).replicates,
    ):
        assert len({run(t).tobytes() for t in (1, 2, None)}) == 1


# a busy machine may miss a deadline once
@pytest.mark.flaky(reruns=3)
def test_the_interpreter_lock_is_released():
    w, b = world(300_000, 200)
    fit = bradley_terry(w, b)
    ticks, done = [], threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        begin = time.perf_counter()
        bootstrap(fit, replicates=400, threads=1)
        took = time.perf_counter() - begin
    finally:
        done.set()
        thread.join()
    during = [t for t in ticks if begin <= t <= begin + took]
    assert len(during) > 20


LONG = """
import numpy as np
from gustibus.social import bootstrap, bradley_terry
rng = np.random.default_rng(0)
a = rng.integers(0, 300, 500_000); b = (a + rng.integers(1, 300, len(a))) % 300
fit = bradley_terry(a, b)
print("ready", flush=True)
try:
    bootstrap(fit, replicates=1_000_000)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


# a busy machine may miss a deadline once
@pytest.mark.flaky(reruns=3)
@pytest.mark.skipif(os.name == "nt", reason="signals are sent as POSIX does")
def test_a_long_bootstrap_ends_soon_after_an_interrupt():
    assert seconds_until_interrupted(LONG, after=0.5) < 0.5
