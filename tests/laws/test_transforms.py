"""Laws of reward transforms and combinations, checked for every row of their tables."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gustibus.errors import InputError, NotFiniteError, UnknownNameError
from gustibus.rewards import COMBINE, TRANSFORMS, Statistics, Transform

OPTIONS = {
    "lsc": [{}, {"q": 0.6, "method": "empirical"}],
    "par": [{}, {"k": 0.5}],
    "shifted_sigmoid": [{}, {"shift": 1.0}],
    "clip": [{}, {"width": 2.0}],
    "ceiling": [{"c": 0.5}],
}
VARIANTS = [Transform(name, one) for name in TRANSFORMS for one in OPTIONS.get(name, [{}])]
BY_STATISTICS = ("mean_std", "min_max", "clip")

rewards = st.floats(-6, 6).map(lambda x: round(x, 3))  # apart enough for float64 to tell
lists = st.lists(rewards, min_size=1, max_size=8)
transforms = pytest.mark.parametrize(
    "shape", VARIANTS, ids=lambda t: "-".join([t.name, *map(str, t.options.values())])
)


def laws(shape: Transform) -> tuple[str, ...]:
    return TRANSFORMS[shape.name].laws


@transforms
@settings(max_examples=12, deadline=None)
@given(r=lists, refs=lists, move=rewards, scale=st.floats(0.1, 10))
def test_every_law_that_a_row_declares_holds(shape, r, refs, move, scale):
    r, refs = np.array(r), np.array(refs)
    out = shape(r, refs)
    order = np.argsort(r, kind="stable")
    rise, step = np.diff(r[order]), np.diff(out[order])
    assert (step >= 0).all()
    if "order-preserving" in laws(shape):
        assert (step[rise > 0] > 0).all()
    if "shift-invariant" in laws(shape):
        np.testing.assert_allclose(shape(r + move, refs + move), out, rtol=1e-9, atol=1e-9)
    if "scale-invariant" in laws(shape) and np.ptp(refs) > 0:
        np.testing.assert_allclose(shape(r * scale, refs * scale), out, rtol=1e-9, atol=1e-9)
    far = shape(np.array([-1e4, 1e4]), refs)
    assert np.isfinite(far).all()
    if "bounded" in laws(shape):
        assert np.abs(far).max() <= max(np.pi / 2, np.abs(refs).max() + 12)
    if "bounded-above" in laws(shape):
        assert far[1] <= 0.5


BREAKERS = {
    "scale-invariant": lambda t: t(np.array([0.4]), [0.0, 1.0]) - t(np.array([4.0]), [0.0, 10.0]),
    "bounded": lambda t: t(np.array([1e6]), [0.0, 1.0]) > 1e3,
}


@transforms
@pytest.mark.parametrize("law", BREAKERS)
def test_a_law_that_a_row_does_not_declare_fails_for_it(shape, law):
    if law in laws(shape) or (law == "bounded" and "bounded-above" in laws(shape)):
        pytest.skip("the row declares it")
    if shape.name == "ceiling":
        pytest.skip("reads no references")
    assert np.any(BREAKERS[law](shape))


@transforms
@settings(max_examples=12, deadline=None)
@given(r=lists, refs=lists)
def test_one_by_one_in_batches_and_in_a_stream_give_the_same(shape, r, refs):
    together = shape(r, refs)
    alone = [shape(x, refs) for x in r]
    np.testing.assert_allclose(alone, together, rtol=1e-12, atol=1e-15)
    parted = np.concatenate([shape(r[:1], refs), shape(r[1:], refs)])
    np.testing.assert_allclose(parted, together, rtol=1e-12, atol=1e-15)
    stacked = shape(np.array([r, r[::-1]]), np.array([refs, refs]))
    np.testing.assert_allclose(stacked, [together, together[::-1]], rtol=1e-12, atol=1e-15)
    own = shape(np.array(r), np.tile(refs, (len(r), 1)))  # a row of references a response
    np.testing.assert_allclose(own, together, rtol=1e-12, atol=1e-15)


@transforms
@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
def test_tensors_come_back_as_tensors_with_the_same_numbers_and_a_gradient(shape, batch):
    rng = np.random.default_rng(0)
    r, refs = rng.standard_normal((*batch, 4)), rng.standard_normal((*batch, 6))
    tensor = torch.tensor(r, requires_grad=True)
    out = shape(tensor, torch.tensor(refs))
    assert out.dtype == torch.float64
    np.testing.assert_allclose(out.detach().numpy(), shape(r, refs), rtol=1e-10, atol=1e-12)
    (slope,) = torch.autograd.grad(out.sum(), tensor)
    step = 1e-6
    moved = (shape(r + step, refs) - shape(r - step, refs)) / (2 * step)
    np.testing.assert_allclose(slope.numpy(), moved, rtol=1e-5, atol=1e-7)
    single = shape(tensor.detach().float(), refs)
    assert single.dtype == torch.float32


@transforms
def test_empty_single_and_tied_rewards_are_taken(shape):
    assert shape(np.zeros(0), [0.0, 1.0]).shape == (0,)
    assert np.isfinite(shape(0.3, [0.2]))
    for level in (1.0, 0.1):  # the mean of three times 0.1 is not 0.1
        tied = shape(np.full(3, level), [level] * 3)
        assert (tied == tied[0]).all()
        assert abs(tied[0]) < 10
        if shape.name in BY_STATISTICS:
            seen = shape(np.full(3, level), Statistics.of([level] * 3))
            np.testing.assert_allclose(seen, tied, atol=1e-12)


@transforms
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused_by_name(shape, bad):
    with pytest.raises(NotFiniteError, match=r"^r: expected finite numbers"):
        shape([0.0, bad], [0.0, 1.0])
    with pytest.raises(NotFiniteError, match=r"^r: expected finite numbers"):
        shape(torch.tensor([0.0, bad]), [0.0, 1.0])
    if shape.name != "ceiling":
        with pytest.raises(NotFiniteError, match=r"^refs: expected finite numbers"):
            shape([0.0], [0.0, bad])
    with pytest.raises(InputError, match="r: expected numbers"):
        shape(["much"], [0.0])


@transforms
def test_no_reference_is_an_error_where_the_row_reads_any(shape):
    if shape.name == "ceiling":
        assert shape([9.0]) == 0.5
        return
    with pytest.raises(InputError, match="compares with reference responses, got none"):
        shape([1.0])
    with pytest.raises(InputError, match="expected at least one reward of a reference"):
        shape([1.0], [])
    with pytest.raises(InputError, match=r"refs: expected shape \(p,\)"):
        shape(np.zeros((2, 3)), np.zeros((5, 4)))


@transforms
@settings(max_examples=10, deadline=None)
@given(r=lists, refs=lists)
def test_a_frozen_transform_survives_json_to_the_last_bit(shape, r, refs):
    import json

    frozen = shape.freeze(refs)
    again = Transform.load(json.loads(json.dumps(frozen.save())))
    assert again == frozen
    np.testing.assert_array_equal(again(r), shape(r, refs))
    if shape.name in BY_STATISTICS:
        seen = shape.freeze(Statistics.of(refs))
        assert Transform.load(json.loads(json.dumps(seen.save()))) == seen
        np.testing.assert_allclose(seen(r), shape(r, refs), rtol=1e-9, atol=1e-9)


@settings(max_examples=12, deadline=None)
@given(
    parts=st.lists(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=6), min_size=1, max_size=4)
)
def test_statistics_merge_in_any_order(parts):
    whole = Statistics.of(np.concatenate(parts))
    assert whole.std == pytest.approx(np.concatenate(parts).std(), abs=1e-9)
    for order in itertools.permutations(range(len(parts))):
        found = Statistics.of(parts[order[0]])
        for at in order[1:]:
            found = found.merge(Statistics.of(torch.tensor(parts[at], dtype=torch.float64)))
        assert (found.count, found.low, found.high) == (whole.count, whole.low, whole.high)
        assert found.mean == pytest.approx(whole.mean, abs=1e-9)
        assert found.std == pytest.approx(whole.std, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("parr", {}, UnknownNameError, "no transform 'parr'; did you mean"),
        ("par", {"kk": 1}, UnknownNameError, "no option of 'par' 'kk'"),
        ("par", {"k": -1}, InputError, "k: expected a number in"),
        ("par", {"k": "much"}, InputError, "k: expected a number in"),
        ("lsc", {"q": 1.0}, InputError, "q: expected a number in"),
        ("lsc", {"method": "median"}, InputError, "method: expected 'normal' or 'empirical'"),
        ("ceiling", {}, InputError, "c: 'ceiling' needs it"),
        ("clip", {"width": 0}, InputError, "width: expected a number in"),
    ],
)
def test_a_wrong_option_is_refused_before_any_reward_comes(name, options, error, message):
    with pytest.raises(error, match=message):
        Transform(name, options)


@pytest.mark.parametrize(
    "saved",
    [
        {}, {"name": "par", "more": 1}, {"name": "mean_std", "statistics": {"count": 1}},
        {"name": "min_max", "statistics": {"count": 2, "mean": 0.0, "squares": -1.0, "low": 0.0,
                                           "high": 1.0}},
    ],
)  # fmt: skip
def test_what_is_no_saved_transform_is_refused(saved):
    with pytest.raises(InputError, match="expected"):
        Transform.load(saved)


combinations = pytest.mark.parametrize("name", COMBINE)


@combinations
@settings(max_examples=12, deadline=None)
@given(
    rows=st.lists(st.tuples(rewards, rewards, rewards), min_size=1, max_size=5),
    refs=st.tuples(rewards, rewards, rewards), lift=st.floats(0, 3), which=st.integers(0, 2),
)  # fmt: skip
def test_a_combination_is_monotone_symmetric_and_the_same_row_by_row(name, rows, refs, lift, which):
    run, rows, refs = COMBINE[name].run, np.array(rows), np.array(refs)
    out = run(rows, refs, None)
    assert out.shape == (len(rows),)
    better = rows.copy()
    better[:, which] += lift
    assert (run(better, refs, None) >= out - 1e-12).all()
    turned = np.random.default_rng(which).permutation(3)
    np.testing.assert_allclose(run(rows[:, turned], refs[turned], None), out, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose([run(row, refs, None) for row in rows], out, rtol=1e-12)
    tensors = run(torch.tensor(rows), torch.tensor(refs), None)
    np.testing.assert_allclose(tensors.numpy(), out, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(run(rows, refs, np.ones(3)), out, rtol=1e-12)
    if "bounded-above" in COMBINE[name].laws:
        assert (run(rows + 1e4, refs, None) <= 0).all()


@combinations
def test_a_combination_refuses_nan_and_other_lengths(name):
    run = COMBINE[name].run
    with pytest.raises(NotFiniteError, match="rewards: expected finite"):
        run([[0.0, np.nan]], [0.0, 0.0], None)
    with pytest.raises(InputError, match="refs: expected 2, one a reward"):
        run([[0.0, 1.0]], [0.0, 0.0, 0.0], None)
    with pytest.raises(InputError, match=r"rewards: expected shape \(\*b, d\)"):
        run(1.0, 0.0, None)
    assert run(np.zeros((0, 2)), [0.0, 0.0], None).shape == (0,)
