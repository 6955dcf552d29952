"""The best that can be reached, by continuations: against brute force, and for judging by regret."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gustibus import ops
from gustibus.errors import InputError, NotFiniteError
from gustibus.rewards.continuations import continued_segment, judged_by
from gustibus.rewards.segments import compare_links, fit_segments

quick = settings(max_examples=40, deadline=None)
rewards = st.lists(st.floats(-20, 20), min_size=1, max_size=7)


def test_the_best_of_n_has_the_worked_numbers():
    r = [4.0, 1.0, 2.0]
    assert ops.best_of_n_value(r, 1) == pytest.approx(7 / 3, abs=1e-12)
    assert ops.best_of_n_value(r, 2) == pytest.approx(10 / 3, abs=1e-12)  # 2, 4 and 4
    assert ops.best_of_n_value(r, 3) == ops.best_of_n_value(r) == 4.0


@quick
@given(r=rewards)
def test_it_is_the_mean_best_over_all_draws_and_rises_with_n(r):
    found = [ops.best_of_n_value(r, n) for n in range(1, len(r) + 1)]
    slow = [np.mean([max(draw) for draw in combinations(r, n)]) for n in range(1, len(r) + 1)]
    np.testing.assert_allclose(found, slow, atol=1e-9)
    assert (np.diff(found) >= -1e-9).all()


@quick
@given(r=rewards, shift=st.floats(-9, 9), scale=st.floats(0.1, 9))
def test_it_moves_with_the_level_and_the_scale_of_rewards(r, shift, scale):
    n = (len(r) + 1) // 2
    found = ops.best_of_n_value(scale * np.array(r) + shift, n)
    assert found == pytest.approx(scale * ops.best_of_n_value(r, n) + shift, abs=1e-7)


@pytest.mark.parametrize(("right", "n"), [(0, 2), (3, 1), (3, 2), (3, 8), (10, 4)])
def test_of_right_and_wrong_it_is_pass_at_k(right, n):
    r = [1.0] * right + [0.0] * (10 - right)
    assert ops.best_of_n_value(r, n) == pytest.approx(ops.pass_at_k(10, right, n), abs=1e-12)


def test_it_keeps_its_digits_with_many_samples():
    r = np.arange(5000.0)
    # mean of the largest of n of 0 to m - 1, drawn without return: n (m + 1) / (n + 1) - 1
    assert ops.best_of_n_value(r, 64) == pytest.approx(64 * 5001 / 65 - 1, rel=1e-12)


@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
def test_batches_and_tensors_give_the_same_with_a_gradient(batch):
    r = np.random.default_rng(0).standard_normal((*batch, 5))
    found = ops.best_of_n_value(r, 3)
    assert np.shape(found) == batch
    for at in np.ndindex(*batch):
        assert found[at] == pytest.approx(ops.best_of_n_value(r[at], 3), abs=1e-12)
    tensor = torch.tensor(r, requires_grad=True)
    value = ops.best_of_n_value(tensor, 3)
    np.testing.assert_allclose(value.detach().numpy(), found, rtol=1e-12)
    (slope,) = torch.autograd.grad(value.sum(), tensor)
    np.testing.assert_allclose(slope.sum(-1).numpy(), 1.0)
    single = ops.best_of_n_value(torch.tensor(r, dtype=torch.float32), 3)
    assert single.dtype == torch.float32


# Conversations of at most three turns, each "a", "b" or "c"; a turn's reward depends on the one before.
WORTH = {"": (0.2, 0.9, -0.4), "a": (1.0, 0.1, 0.0), "b": (0.3, -0.8, 0.4), "c": (0.0, 2.5, 0.1)}
LENGTH = 3


def score(conversation, turns):
    said = [*conversation, *turns]
    return [
        WORTH[said[at - 1] if at else ""]["abc".index(said[at])]
        for at in range(len(conversation), len(said))
    ]


def ways(conversation):
    """Every way to go on to the end."""
    return [list(way) for way in product("abc", repeat=LENGTH - len(conversation))]


def best(conversation):
    """The best return, by looking at every way on."""
    return max(sum(score(conversation, way)) for way in ways(conversation))


def every(conversation, samples):
    """So many continuations that each way on is among them."""
    found = ways(conversation)
    return [found[at % len(found)] for at in range(samples)]


@pytest.mark.parametrize("turns", [["a"], ["c", "b"], ["b", "a", "a"]])
def test_with_every_continuation_it_is_the_regret_of_the_best_returns(turns):
    segment = continued_segment([], turns, sample=every, score=score, samples=27)
    r, start, end = score([], turns), best([]), best(turns)
    assert (segment.start[0], segment.end[0]) == (start, pytest.approx(end))
    missed = ops.regret(r, start, end)
    assert judged_by("regret").worth([segment]) == pytest.approx([-missed], abs=1e-12)
    assert judged_by("partial_return").worth([segment]) == pytest.approx([sum(r)], abs=1e-12)
    other = continued_segment(["a"], ["a"], sample=every, score=score, samples=9)
    chance = 1 / (1 + np.exp(-judged_by("regret").margin([segment], [other])))
    wanted = ops.regret_prob(r, start, end, score(["a"], ["a"]), best(["a"]), best(["a", "a"]))
    assert chance == pytest.approx([wanted], abs=1e-12)


def test_the_best_excerpt_has_no_regret_and_none_is_below_nothing():
    rng = np.random.default_rng(0)

    def few(conversation, samples):
        found = ways(conversation)
        return [found[at] for at in rng.integers(len(found), size=samples)]

    def worth(turns, sample):
        segment = continued_segment([], turns, sample=sample, score=score, samples=27)
        return judged_by("regret").worth([segment])[0]

    assert worth(["b", "c", "b"], every) == pytest.approx(0)  # 0.9 + 0.4 + 2.5
    for turns in ways([]):
        few_told = continued_segment([], turns[:2], sample=few, score=score, samples=2)
        assert judged_by("regret").worth([few_told])[0] <= 1e-12
        assert worth(turns, every) <= 1e-12


def test_values_rise_to_the_best_return_with_samples():
    rng = np.random.default_rng(1)

    def draw(conversation, samples):
        found = ways(conversation)
        return [found[at] for at in rng.integers(len(found), size=samples)]

    def start(n):
        made = [
            continued_segment([], ["a", "b"], sample=draw, score=score, samples=n)
            for _ in range(60)
        ]
        return np.mean([segment.start[0] for segment in made])

    values = [start(n) for n in (1, 4, 16, 64)]
    assert (np.diff(values) > 0).all()
    assert values[-1] == pytest.approx(best([]), abs=0.1)


def test_people_who_judge_by_regret_are_foretold_by_it():
    rng = np.random.default_rng(0)

    def excerpts(count):
        made = []
        for _ in range(count):
            said = rng.choice(list("abc"), 3).tolist()
            at = int(rng.integers(0, 3))
            made.append(
                continued_segment(said[:at], said[at:], sample=every, score=score, samples=27)
            )
        return made

    first, second = excerpts(400), excerpts(400)
    margin = 2 * judged_by("regret").margin(first, second)
    chose = (rng.random(400) < 1 / (1 + np.exp(-margin))).astype(float)
    told = {link: judged_by(link).log_likelihood(first, second, chose) for link in
            ("regret", "partial_return")}  # fmt: skip
    assert told["regret"] > told["partial_return"] + 0.1
    links = compare_links(first, second, chose)
    assert links["regret"] > links["partial_return"] + 0.05
    fitted = fit_segments(first, second, chose)
    assert fitted.reward[0] == pytest.approx(2, abs=0.5)  # how much people heed each
    assert fitted.value[0] == pytest.approx(2, abs=0.5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ops.best_of_n_value([]), InputError, r"rewards: expected shape \(\*b, m\)"),
        (lambda: ops.best_of_n_value(1.0), InputError, r"rewards: expected shape \(\*b, m\)"),
        (lambda: ops.best_of_n_value([1.0], 2), InputError, "n: expected at most the 1 samples"),
        (lambda: ops.best_of_n_value([1.0], 0), InputError, "n: expected a whole number"),
        (lambda: ops.best_of_n_value([np.nan]), NotFiniteError, "rewards: expected finite"),
        (lambda: judged_by("advantage"), InputError, "link: expected one of"),
        (
            lambda: continued_segment([], [], sample=every, score=score, samples=1),
            InputError,
            "turns: expected at least one",
        ),
        (
            lambda: continued_segment([], ["a"], sample=lambda *_: [], score=score, samples=2),
            InputError,
            "sample: expected 2 continuations, got 0",
        ),
        (
            lambda: continued_segment([], ["a"], sample=every, score=lambda *_: [1, 2], samples=2),
            InputError,
            "score: expected 1 rewards, one a turn, got 2",
        ),
        (
            lambda: continued_segment(
                [], ["a"], sample=every, score=lambda *_: [np.nan], samples=2
            ),
            NotFiniteError,
            "score: expected finite",
        ),
    ],
)
def test_what_makes_no_sense_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
