"""No person and no sender has more than a share of a loss."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gustibus.data import to_comparisons
from gustibus.data.dataset import Dataset
from gustibus.data.files import Table
from gustibus.data.origin import Origin
from gustibus.errors import InputError
from gustibus.robustness.shares import limit_shares
from gustibus.service.aside.weighing import weighed
from gustibus.training.senders import influences, limited
from tests.service.harness import model_of

ROWS = st.lists(
    st.tuples(
        st.floats(0.001, 100), st.sampled_from([None, *"abcdefg"]), st.sampled_from("pqrstuvwxyz"),
    ),
    min_size=1, max_size=60,
)  # fmt: skip


def share_of(weight, names, name):
    mine = np.array([one == name for one in names])
    return float(weight[mine].sum() / weight.sum())


def test_one_key_among_six_has_a_fifth_and_the_others_keep_their_weight():
    key = ["x"] * 95 + list("abcde")
    found = limit_shares(np.ones(100), key, share=0.2)
    assert share_of(found.weight, key, "x") == pytest.approx(0.2)
    np.testing.assert_allclose(found.weight[95:], 1)  # 5 of 6.25
    assert found.share == 0.2
    assert found.limited == {"x": pytest.approx(1.25 / 95)}


def test_few_keys_share_alike_and_one_alone_has_everything():
    two = limit_shares(np.ones(110), ["x"] * 100 + ["y"] * 10, share=0.2)
    assert (two.share, two.limited) == (0.5, {"x": pytest.approx(0.1)})
    assert limit_shares(np.ones(5), ["x"] * 5, share=0.2)[1:] == (1.0, {})
    # what no key brought makes the share that is possible no smaller
    assert limit_shares(np.ones(105), ["x"] * 100 + [None] * 5, share=0.2)[1:] == (1.0, {})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"weight": [1.0, np.nan]}, "weight"), ({"weight": [1.0, -1.0]}, "weight"),
        ({"weight": [1.0]}, "key"), ({"share": 0.0}, "share"), ({"share": 1.5}, "share"),
        ({"person": ["p"]}, "person"), ({"person_share": -0.1}, "person_share"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(change, named):
    given = {"weight": [1.0, 2.0], "key": ["x", None], "share": 0.2} | change
    with pytest.raises(InputError, match=named):
        limit_shares(**given)


def test_no_rows_are_refused_and_rows_without_weight_are_as_they_were():
    with pytest.raises(InputError, match="weight"):
        limit_shares([], [], share=0.2)
    assert limit_shares(np.zeros(3), ["x", "y", None], share=0.2).limited == {}


def test_a_trusted_key_keeps_its_weight_and_makes_a_fifth_possible():
    key = ["own"] * 80 + ["x"] * 100
    found = limit_shares(np.ones(180), key, share=0.2, trusted={"own"})
    np.testing.assert_allclose(found.weight[:80], 1)
    assert share_of(found.weight, key, "x") == pytest.approx(0.2)
    assert limit_shares(np.ones(180), key, share=0.2, trusted={"own", "x"}).limited == {}


def test_a_key_of_few_heavy_people_cannot_hold_another_down():
    """The person of x has 5 % at most, so that the key of the 99 others has the other 95 %."""
    key, person = ["x"] * 50 + ["y"] * 99, ["ada"] * 50 + [f"p{n}" for n in range(99)]
    found = limit_shares(np.ones(149), key, share=0.2, person=person, person_share=0.05)
    assert found.share == pytest.approx(0.95)
    np.testing.assert_allclose(found.weight[50:], 1)
    assert share_of(found.weight, person, "ada") == pytest.approx(0.05)


@settings(max_examples=100, deadline=None)
@given(ROWS, st.sets(st.sampled_from("abcdefg"), max_size=2))
def test_nobody_has_more_than_the_share_and_something_remains(rows, trusted):
    weight = np.array([row[0] for row in rows])
    key, person = [row[1] for row in rows], [row[2] for row in rows]
    most = min(1.0, 5 / len(set(person)))
    found = limit_shares(weight, key, share=0.2, trusted=trusted, person=person, person_share=most)
    assert (found.weight <= weight * (1 + 1e-12)).all()
    assert found.weight.sum() > 0
    assert 0.2 <= found.share <= 1
    for one in {*key} - {None, *trusted}:
        assert share_of(found.weight, key, one) <= found.share * (1 + 1e-9)
    for one in {*person}:
        assert share_of(found.weight, person, one) <= most * (1 + 1e-9)


def answer(user, a, b, key="k", weight=1.0):
    return {"user": user, "prompt": "", "response_a": a, "response_b": b, "key": key,
            "weight": weight}  # fmt: skip


def test_what_somebody_repeats_counts_once_whichever_side_is_which():
    rows = [answer("ada", "x", "y"), answer("ada", "y", "x"), answer("ada", "x", "z"),
            answer("bob", "x", "y")]  # fmt: skip
    assert weighed(rows) == [0.5, 0.5, 1, 1]


def table(user, sender):
    """Answers of some people, each with who sent it."""
    n = len(user)
    columns = {"user": user, "prompt": [""] * n, "response_a": [f"t{k}" for k in range(n)],
               "response_b": ["m"] * n, "outcome": ["a"] * n}  # fmt: skip
    comparisons = to_comparisons(Table(columns, Origin("it", np.arange(n))), layout="gustibus")
    return Dataset(comparisons, row_table={"sender": np.array(sender, object)}, name="it")


def test_people_and_senders_of_a_training_are_held_to_their_shares_of_it():
    user = [f"p{n}" for n in range(20)] + ["bot"] * 400
    sender = [f"k{n % 5}" for n in range(20)] + ["k0"] * 400
    rows = np.arange(420)
    dataset = table(user, sender)

    def held(**more):
        found = limited(dataset, [rows], keys="sender", people=True, **more)
        return found.dataset.comparisons.weight, found.told

    weight, told = held()
    assert share_of(weight, sender, "k0") == pytest.approx(0.2)
    assert share_of(weight, user, "bot") <= 0.2
    assert (told["share"], list(told["limited"])) == (0.2, ["k0"])
    weight, told = held(trusted={"k0"})
    assert share_of(weight, user, "bot") == pytest.approx(5 / 21)
    assert told["limited"] == {}


def test_each_part_is_held_by_itself_and_what_is_not_fitted_on_stays():
    sender = ["x"] * 8 + ["y", "z", None, ""] + ["x"] * 4 + ["y"] * 2 + ["x"] * 6
    dataset = table(["u"] * 24, sender)
    parts = [np.arange(12), np.arange(12, 18)]
    weight = limited(dataset, parts, keys="sender").dataset.comparisons.weight
    assert share_of(weight[:12], sender[:12], "x") == pytest.approx(1 / 3)  # of three senders
    assert share_of(weight[12:18], sender[12:18], "x") == pytest.approx(1 / 2)
    np.testing.assert_allclose(weight[8:12], 1)
    np.testing.assert_allclose(weight[18:], 1)
    with pytest.raises(InputError, match=r"keys.*'nobody'"):
        limited(dataset, parts, keys="nobody")


def test_a_sender_who_turns_answers_around_is_told_by_what_it_has_changed():
    """Honest senders say that text 3 is better than 2, and so on; the bad one the opposite, and more often."""
    model = replace(
        model_of(6, seed=0),
        population=np.zeros(6, np.float32),
        basis=np.eye(6, 4, dtype=np.float32),
    )
    pairs = list(combinations(range(4), 2)) * 50
    sender = ["x"] * 180 + ["y"] * 60 + ["z"] * 60
    said = [("a" if a > b else "b") if one != "x" else ("b" if a > b else "a")
            for (a, b), one in zip(pairs, sender, strict=True)]  # fmt: skip
    columns = {"user": [f"p{n % 40}" for n in range(300)], "prompt": [""] * 300,
               "response_a": [f"t{a}" for a, _ in pairs],
               "response_b": [f"t{b}" for _, b in pairs], "outcome": said}  # fmt: skip
    comparisons = to_comparisons(Table(columns, Origin("it", np.arange(300))), layout="gustibus")
    order = [int(text[1:]) for text in comparisons.item_texts]
    dataset = Dataset(
        comparisons, item_features=np.eye(6, dtype=np.float32)[order], name="it",
        row_table={"sender": np.array(sender, object)},
    )  # fmt: skip
    bad, y, z = influences(model, dataset, np.arange(300), "sender")
    assert (bad["key"], bad["answers"], bad["share"]) == ("x", 180, pytest.approx(0.6))
    assert bad["flipped"] == 1.0
    assert bad["gain_without"] == pytest.approx(1.0)  # from always wrong to always right
    for honest in (y, z):
        assert honest["flipped"] == 0.0
        assert honest["gain_without"] == 0.0
    assert influences(model, replace(dataset, row_table={"sender": np.array(["x"] * 300)}),
                      np.arange(300), "sender") == []  # fmt: skip


@pytest.mark.parametrize("key", [None, "k"])
def test_people_who_cannot_all_have_less_than_an_equal_share_have_that(key):
    """Of a hundred people two have weight, and 5 % of the sum for each would leave no sum at all."""
    weight = np.zeros(100)
    weight[:2] = 1.0, 3.0
    found = limit_shares(
        weight, [key] * 100, share=0.2, person=[f"p{n}" for n in range(100)], person_share=0.05
    )
    np.testing.assert_allclose(found.weight, [1.0, 1.0, *np.zeros(98)])
    assert found.limited == {}
