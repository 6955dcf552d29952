"""Long searches end when they are told to, and large committees do not exhaust the stack."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest

from gustibus.errors import InputError
from gustibus.social import ApprovalProfile, Profile, check_committee, committee


def hard():
    rng = np.random.default_rng(0)
    return Profile(np.argsort(rng.random((400, 120)), axis=1))


# a busy machine may miss a deadline once
@pytest.mark.flaky(reruns=3)
def test_a_time_limit_returns_the_best_so_far():
    start = time.perf_counter()
    out = committee(hard(), 12, method="exact", time_limit=0.2)
    assert time.perf_counter() - start < 5
    greedy = committee(hard(), 12, method="greedy")
    assert not out.optimal
    assert not out.complete
    assert greedy.value <= out.value <= out.upper_bound
    assert 0 < out.gap < 0.5


# a busy machine may miss a deadline once
@pytest.mark.flaky(reruns=3)
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_an_interrupt_ends_a_long_search():
    profile = hard()
    timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        committee(profile, 12, method="exact")
    assert time.perf_counter() - start < 0.3 + 0.5 + 1.0  # the last second is for a busy machine
    timer.join()


def test_other_threads_run_meanwhile():
    profile = hard()
    ticks = []
    done = threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.005)

    thread = threading.Thread(target=tick)
    thread.start()
    committee(profile, 12, method="exact", time_limit=0.5)
    done.set()
    thread.join()
    assert len(ticks) > 20


def many(m=1200):
    rng = np.random.default_rng(0)
    return ApprovalProfile((rng.random((30, m)) < 0.1).astype(int))


@pytest.mark.parametrize("rule", ["pav", "cc", "minimaxav", "monroe"])
def test_exact_search_refuses_committees_that_are_too_large(rule):
    with pytest.raises(InputError, match="at most 512 members"):
        committee(many(), 600, rule=rule, method="exact", resolute=False)


def test_large_committees_are_chosen_otherwise():
    profile = many()
    for rule in ("av", "pav", "seqphragmen", "equal_shares", "revseqpav"):
        assert len(committee(profile, 1199, rule=rule).members) == 1199
    assert committee(profile, 1199, rule="av").optimal
    everything = range(1199)
    assert check_committee(profile, everything, axioms=["jr", "ejr+"])["ejr+"]
    with pytest.raises(InputError, match="at most 512 items"):
        check_committee(profile, everything, axioms=["ejr"])


def test_the_deepest_search_fits_the_stack():
    rng = np.random.default_rng(1)
    profile = ApprovalProfile((rng.random((40, 530)) < 0.1).astype(int))
    out = committee(profile, 512, rule="pav", method="exact", time_limit=0.3)
    assert len(out.members) == 512
    assert committee(profile, 512, rule="minimaxav", time_limit=0.3).value is not None
    assert check_committee(profile, range(512), axioms=["pareto"], time_limit=0.3)


def test_groups_that_overlap_in_many_ways_are_refused_or_solved():
    rng = np.random.default_rng(2)
    profile = ApprovalProfile((rng.random((20, 700)) < 0.1).astype(int))
    groups = [{f"g{j}" for j in range(40) if rng.random() < 0.5} for _ in range(700)]
    with pytest.raises(InputError, match="milp"):
        committee(profile, 5, rule="av", groups=groups, upper=4)
    out = committee(profile, 5, rule="av", groups=groups, upper=4, method="milp")
    for j in range(40):
        assert sum(f"g{j}" in groups[item] for item in out.members) <= 4
