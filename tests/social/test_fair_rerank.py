"""Re-ranking to groups: promises, published cases, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gustibus.errors import InfeasibleError, InputError, UnknownNameError
from gustibus.social import fair_methods, fair_rerank, fair_table


def prefix_counts(order, groups, group):
    return np.cumsum([groups[item] == group for item in order])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_prefix_meets_the_floor_of_its_share(data):
    m = data.draw(st.integers(2, 40))
    groups = data.draw(st.lists(st.sampled_from("abc"), min_size=m, max_size=m))
    scores = data.draw(st.lists(st.integers(-5, 5), min_size=m, max_size=m))
    for method in ("det_const_sort", "closest"):
        order = fair_rerank(scores, groups, method=method).order
        assert sorted(order) == list(range(m))
        for group in set(groups):
            share = groups.count(group) / m
            floor = np.floor(np.arange(1, m + 1) * share + 1e-9)
            assert (prefix_counts(order, groups, group) >= floor).all(), method
            mine = [item for item in order if groups[item] == group]
            assert mine == sorted(mine, key=lambda item: (-scores[item], item))


def test_fa_ir_meets_its_table_and_takes_the_best_otherwise():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 2, 200)
    scores = rng.random(200) - groups
    done = fair_rerank(scores, groups, 80, method="fa_ir", shares={0: 0.6, 1: 0.4}, alpha=0.1)
    table = fair_table(80, 0.4, 0.1)
    assert done.lower[:, 1].tolist() == table.minimum.tolist()
    assert (prefix_counts(done.order, groups, 1) >= table.minimum).all()
    assert (done.alpha, done.failure) == (table.alpha, table.failure)
    # Protected items score below all others, so each is there because the table asks for it.
    assert prefix_counts(done.order, groups, 1)[-1] == table.minimum[-1]


def test_fa_ir_needs_to_know_who_is_protected():
    scores, groups = [4, 3, 2, 1], ["m", "m", "f", "f"]
    with pytest.raises(InputError, match="protected"):
        fair_rerank(scores, groups, method="fa_ir")
    for wrong in ("x", ["m", "f"], [], ["f", "x"]):
        with pytest.raises(InputError, match="protected"):
            fair_rerank(scores, groups, method="fa_ir", protected=wrong)
    done = fair_rerank(scores, groups, method="fa_ir", protected="f", alpha=0.2)
    assert done.groups == ("m", "f")
    alone = fair_rerank([3, 2], [True, True], method="fa_ir", shares={False: 0.5, True: 0.5})
    assert alone.order.tolist() == [0, 1]


def test_fa_ir_with_several_groups_follows_a_tree():
    rng = np.random.default_rng(1)
    groups = rng.choice(["a", "b", "none"], 60)
    scores = rng.random(60) + (groups == "none")
    done = fair_rerank(
        scores, groups, 20, method="fa_ir", protected=["a", "b"],
        shares={"a": 0.3, "b": 0.3, "none": 0.4}, adjust=False,
    )  # fmt: skip
    assert done.groups == ("none", "a", "b")
    for column, group in ((1, "a"), (2, "b")):
        assert (prefix_counts(done.order, groups, group) >= done.lower[:, column]).all()
    assert done.lower[-1, 1:].sum() > 0


def test_infeasible_bounds_say_so():
    with pytest.raises(InfeasibleError, match="group 1 needs"):
        fair_rerank([3, 2, 1], ["a", "a", "b"], method="closest", shares={"a": 0.3, "b": 0.7})
    with pytest.raises(InfeasibleError):
        fair_rerank(np.arange(20), [0] * 20, method="fa_ir", shares={0: 0.5, 1: 0.5})


def test_given_bounds_replace_shares():
    lower = {"a": [0, 0, 0], "b": [0, 1, 1]}
    done = fair_rerank([3, 2, 1], ["a", "a", "b"], method="closest", lower=lower)
    assert done.order.tolist() == [0, 2, 1]
    free = fair_rerank([1, 3, 2], ["a", "a", "b"], method="closest", lower=np.zeros((3, 2), int))
    assert free.order.tolist() == [1, 2, 0]
    with pytest.raises(InputError, match="either shares or bounds"):
        fair_rerank([3, 2], ["a", "b"], method="closest", lower=lower, shares=[0.5, 0.5])
    with pytest.raises(InputError, match="closest or quota_merge"):
        fair_rerank([3, 2, 1], ["a", "a", "b"], lower=lower)
    with pytest.raises(InputError, match="shape"):
        fair_rerank([3, 2], ["a", "b"], method="closest", lower=np.zeros((1, 2), int))


def test_published_const_sort_may_break_a_floor_and_ours_does_not():
    # Items 0 and 1 (group b) score above both of group a; the floor wants one of a in two places.
    scores, groups = [4, 3, 2, 1], ["b", "b", "a", "a"]
    shares = {"a": 0.5, "b": 0.5}
    assert fair_rerank(scores, groups, shares=shares).order.tolist() == [0, 2, 1, 3]
    published = fair_rerank(scores, groups, shares=shares, parity=True)
    assert published.order.tolist() == [0, 1, 2, 3]


def test_const_sort_in_parity_is_the_published_implementation():
    try:
        import pandas as pd
        from FairRankTune.Rankers import DETCONSTSORT
    except ImportError as error:
        pytest.skip(f"FairRankTune does not import: {error}")
    rng = np.random.default_rng(3)
    for _ in range(20):
        m = int(rng.integers(4, 25))
        groups = rng.integers(0, 2, m)
        groups[:2] = [0, 1]
        scores = np.sort(rng.permutation(m).astype(float))[::-1]
        kinds, counts = np.unique(groups, return_counts=True)
        shares = dict(zip(kinds.tolist(), (counts / m).tolist(), strict=True))
        frame = pd.DataFrame(np.arange(m))
        theirs, _, _ = DETCONSTSORT(
            frame, dict(enumerate(groups.tolist())), pd.DataFrame(scores), shares, m
        )
        ours = fair_rerank(scores, groups, shares=shares, parity=True)
        assert ours.order.tolist() == theirs.iloc[:, 0].tolist()


def test_epsilon_greedy_is_the_order_at_zero_and_seeded():
    scores = np.arange(30.0)
    plain = fair_rerank(scores, [0] * 30, method="epsilon_greedy", epsilon=0.0)
    assert plain.order.tolist() == list(range(29, -1, -1))
    one = fair_rerank(scores, [0] * 30, method="epsilon_greedy", epsilon=0.5, seed=1)
    two = fair_rerank(scores, [0] * 30, method="epsilon_greedy", epsilon=0.5, seed=2)
    assert one.order.tolist() != two.order.tolist()


@pytest.mark.parametrize("method", sorted(fair_methods()))
def test_every_method_fills_k_places_and_ignores_the_type_of_its_input(method):
    scores = [5, 3, 8, 1, 9, 2, 7, 4]
    groups = [0, 1, 0, 1, 0, 1, 1, 0]
    expected = fair_rerank(scores, groups, 5, method=method).order.tolist()
    assert len(set(expected)) == 5
    for kind in (np.int16, np.int64, np.float32):
        done = fair_rerank(np.array(scores, kind), np.array(groups, np.int8), 5, method=method)
        assert done.order.tolist() == expected
    pa = pytest.importorskip("pyarrow")
    done = fair_rerank(pa.array(scores), pa.array(groups), 5, method=method)
    assert done.order.tolist() == expected


def test_unicode_labels_and_one_item():
    assert fair_rerank([1.0], ["ä"]).order.tolist() == [0]
    done = fair_rerank([1, 2], ["日本", "ελ"], method="round_robin")
    assert done.groups == ("ελ", "日本")
    assert done.order.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": []}, "scores"),
        ({"scores": [1.0, float("nan"), 2.0]}, "scores"),
        ({"scores": "abc"}, "scores"),
        ({"scores": [[1.0, 2.0, 3.0]]}, "scores"),
        ({"groups": ["a", "b"]}, "groups: expected 3 labels, got 2"),
        ({"groups": ["a", None, "b"]}, "groups: expected a label for every item"),
        ({"groups": "abc"}, "groups"),
        ({"k": 0}, "k: expected a whole number from 1 to 3, got 0"),
        ({"k": 4}, "k: expected"),
        ({"k": 1.5}, "k: expected"),
        ({"shares": {"a": 1.0}}, "shares"),
        ({"shares": [0.9, 0.9]}, "shares"),
        ({"shares": [0.5, float("nan")]}, "shares"),
        ({"shares": [-0.1, 1.0]}, "shares"),
        ({"alpha": "x"}, "alpha"),
        ({"epsilon": 2.0}, "epsilon"),
        ({"seed": -1}, "seed"),
    ],
)
def test_wrong_arguments_are_named(changes, message):
    arguments = {"scores": [3.0, 2.0, 1.0], "groups": ["a", "b", "a"], **changes}
    with pytest.raises(InputError, match=message):
        fair_rerank(arguments.pop("scores"), arguments.pop("groups"), **arguments)


def test_an_unknown_method_is_named():
    with pytest.raises(UnknownNameError, match="known: closest, det_cons"):
        fair_rerank([1.0], ["a"], method="x")
