"""Slow searches and fits: interrupted soon, beside other threads, the same for any number of threads."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest

import gustibus.social as g
from tests.social.interrupting import seconds_until_interrupted
from tests.social.test_strength_rankings import weak

SETUP = """
import sys, time
import numpy as np
import gustibus.social as g
from tests.social.test_strength_rankings import weak
rng = np.random.default_rng(0)
"""
#: Data, and a call that takes seconds; those that can be shorter are repeated.
LONG = {
    "thurstone": (
        "a = np.arange(9999); winners, losers = np.r_[a, a + 1, a], np.r_[a + 1, a, a + 1]",
        "g.thurstone(winners, losers)",
    ),
    "davidson_luce": (
        "ballots = weak(rng, 40, 2000)",
        "g.davidson_luce(ballots, items=range(40), tolerance=1e-300)",
    ),
    "break_rankings": (
        "rows = np.argsort(rng.random((4000, 1200)), 1)",
        "g.break_rankings(rows)",
    ),
    "parity_consensus": (
        "rows = np.argsort(rng.random((9, 26)), 1)",
        "g.parity_consensus(rows, ['a', 'b'] * 13, delta=0.02)",
    ),
    "ranking_bootstrap": (
        "fit = g.plackett_luce(np.argsort(rng.random((2000, 9)), 1))",
        "g.bootstrap(fit, replicates=10**6)",
    ),
    "dodgson": (
        "profile = g.Profile(np.argsort(rng.random((41, 20)), 1))",
        "g.dodgson(profile, cap=10**12)",
    ),
    "young": (
        "profile = g.Profile(np.argsort(rng.random((41, 20)), 1))",
        "g.young(profile, cap=10**12)",
    ),
    "random_profile": ("", "g.random_profile(4, 20_000, 'single_crossing')"),
    "revseqpav": (
        "profile = g.ApprovalProfile([[0]], labels=range(40_000))",
        "g.committee(profile, 1, rule='revseqpav', groups=['a', 'b'] * 20_000, upper={'a': 1})",
    ),
}
END = """
print("ready", flush=True)
try:
    while True:
        {call}
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


# a busy machine may miss a deadline once
@pytest.mark.flaky(reruns=3)
@pytest.mark.skipif(os.name == "nt", reason="signals are sent as POSIX does")
@pytest.mark.parametrize("name", LONG)
def test_ctrl_c_ends_it_within_half_a_second(name):
    data, call = LONG[name]
    assert seconds_until_interrupted(SETUP + data + END.format(call=call)) < 0.5


# a busy machine may miss a deadline once
@pytest.mark.flaky(reruns=3)
@pytest.mark.parametrize("name", LONG)
def test_other_threads_work_meanwhile(name):
    data, call = LONG[name]
    scope = {"np": np, "g": g, "weak": weak, "rng": np.random.default_rng(0)}
    exec(data, scope)
    ticks = []

    def tick():
        for _ in range(100):
            ticks.append(time.perf_counter())
            time.sleep(0.002)
        signal.raise_signal(signal.SIGINT)

    thread = threading.Thread(target=tick)
    try:
        thread.start()
        while True:
            exec(call, scope)
    except KeyboardInterrupt:
        pass
    finally:
        thread.join()
    assert len(ticks) == 100
    assert max(np.diff(ticks)) < 0.3


def test_any_number_of_threads_gives_the_same_bytes():
    rng = np.random.default_rng(5)
    rows = np.argsort(rng.random((3000, 12)), 1)
    profile = g.Profile(rows[:15, :7].argsort(1))
    ballots = weak(rng, 12, 300)
    a = rng.integers(0, 60, 50_000)
    b, ties = (a + rng.integers(1, 60, len(a))) % 60, rng.random(len(a)) < 0.1
    fit = g.plackett_luce(rows)
    for run in (
        lambda t: g.thurstone(a, b, ties=ties, threads=t).scores,
        lambda t: g.davidson_luce(ballots, items=range(12), threads=t).scores,
        lambda t: g.break_rankings(rows, threads=t).scores,
        lambda t: g.break_rankings(rows, breaking="adjacent", threads=t).scores,
        lambda t: g.parity_consensus(rows[:9], ["a", "b"] * 6, delta=0.1, threads=t).order,
        lambda t: g.bootstrap(fit, replicates=20, threads=t).replicates,
        lambda t: g.dodgson(profile, threads=t).scores,
        lambda t: g.young(profile, threads=t).scores,
    ):
        assert len({run(t).tobytes() for t in (1, 2, None)}) == 1
