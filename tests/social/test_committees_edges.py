"""What committees refuse, and what does not change their result."""

from __future__ import annotations

import numpy as np
import pytest

import gustibus.social
from gustibus.errors import InfeasibleError, InputError, NotFiniteError, UnknownNameError
from gustibus.social import (
    AXIOMS,
    ApprovalProfile,
    Policy,
    Profile,
    UtilityProfile,
    at_least,
    at_most,
    check_committee,
    committee,
    committee_rules,
    committee_value,
    equal,
    exactly,
    price_of_fairness,
    price_system,
    proportional,
    rooney,
    shares,
)
from tests.social.committee_cases import approvals, rankings, utilities

KINDS = {"rankings": rankings, "approvals": approvals, "utilities": utilities}
OPTIONS = {
    "positional": {"vector": [3.0, 2, 1, 1, 0, 0, 0]},
    "owa": {"vector": [1.0, 0.5]},
    "thiele": {"vector": [1.0, 0.5]},
    "t_borda": {"t": 2},
    "t_best": {"t": 2},
    "threshold": {"t": 2},
    "lp_borda": {"p": 2.0},
}
RULES = [
    pytest.param(KINDS[r.ballots], r.name, OPTIONS.get(r.name, {}), id=f"{r.ballots}-{r.name}")
    for r in committee_rules()
]


@pytest.mark.parametrize(("make", "rule", "options"), RULES)
def test_any_number_of_threads_gives_identical_bytes(make, rule, options):
    profile = make(3, weighted=True)
    results = [
        repr(committee(profile, 3, rule=rule, threads=threads, **options))
        for threads in (1, 2, None)
    ]
    assert len(set(results)) == 1


def test_threads_do_not_matter_where_they_are_used():
    rng = np.random.default_rng(0)
    rows = np.argsort(rng.random((6000, 300)), axis=1)
    for weights in (None, rng.random(6000)):
        profile = Profile(rows, weights=weights, compact=False)
        for rule in ("cc", "k_borda"):
            results = [
                repr(committee(profile, 12, rule=rule, method="greedy", threads=threads))
                for threads in (1, 2, None)
            ]
            assert len(set(results)) == 1


@pytest.mark.parametrize(("make", "rule", "options"), RULES)
def test_none_and_all(make, rule, options):
    profile = make(4)
    none = committee(profile, 0, rule=rule, **options)
    assert none.members == ()
    assert none.steps == () or rule == "revseqpav"  # which takes all items out
    assert none.value in (0.0, None) or rule in ("minimaxav", "egalitarian_cc")
    everything = committee(profile, 7, rule=rule, resolute=False, **options)
    if rule != "equal_shares" or make is not utilities:
        assert everything.members == tuple(range(7))
        assert everything.tied in (((0, 1, 2, 3, 4, 5, 6),), ())


@pytest.mark.parametrize(("make", "rule", "options"), RULES)
def test_one_voter_and_one_item(make, rule, options):
    if rule == "positional":
        options = {"vector": [1.0]}
    out = committee(make(5, n=1, m=1, **({"share": 1.0} if make is approvals else {})), 1,
                    rule=rule, **options)  # fmt: skip
    assert out.members == (0,)


@pytest.mark.parametrize("k", [8, -1, 2.5, True, "3", None])
def test_a_wrong_size_is_named(k):
    for make in KINDS.values():
        for options in ({}, {"groups": [0] * 7, "upper": 7}, {"method": "milp"}):
            with pytest.raises(InputError, match="k: expected"):
                committee(make(0), k, **options)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"rule": "nothing"}, UnknownNameError, "committee rule on rankings"),
        ({"rule": "seqphragmen"}, UnknownNameError, "committee rule on rankings"),
        ({"method": "magic"}, UnknownNameError, "method"),
        ({"threads": 0}, InputError, "threads"),
        ({"max_committees": 0}, InputError, "max_committees"),
        ({"time_limit": -1.0}, InputError, "time_limit"),
        ({"time_limit": float("nan")}, InputError, "time_limit"),
        ({"rule": "positional"}, InputError, "vector"),
        ({"rule": "positional", "vector": [1, 2]}, InputError, r"vector: expected shape \(7,\)"),
        ({"rule": "positional", "vector": "abc"}, InputError, "vector"),
        ({"rule": "owa", "vector": [1, float("nan")]}, NotFiniteError, "vector"),
        ({"rule": "owa", "vector": [1, 2]}, InputError, "do not rise"),
        ({"rule": "owa", "vector": [1, -1]}, InputError, "at or above 0"),
        ({"rule": "owa", "vector": []}, InputError, "at least one"),
        ({"rule": "t_borda"}, InputError, "t: expected"),
        ({"rule": "lp_borda", "p": 0.5}, InputError, "p: expected"),
        ({"lower": 1}, InputError, "lower: expected groups"),
        ({"bounds": "proportional"}, InputError, "groups"),
        ({"groups": [0, 1], "lower": 1}, InputError, "one entry for each of 7"),
        ({"groups": {"a": [0, 0]}, "lower": 1}, InputError, "once"),
        ({"groups": {"a": [9]}, "lower": 1}, InputError, "groups: expected items"),
        ({"groups": [0, 1] * 3 + [0], "lower": {2: 1}}, UnknownNameError, "group"),
        ({"groups": [0, 1] * 3 + [0], "lower": [1]}, InputError, "each of 2 groups"),
        ({"groups": [0, 1] * 3 + [0], "lower": 1.5}, InputError, "share from 0.0 to 1.0"),
        ({"groups": [0, 1] * 3 + [0], "lower": -1}, InputError, "whole number"),
        ({"groups": [0, 1] * 3 + [0], "bounds": "fair"}, UnknownNameError, "policy"),
        ({"groups": [0, 1] * 3 + [0], "lower": 2}, InfeasibleError, "0, 1 need 4"),
        ({"groups": [0, 1] * 3 + [0], "upper": 1}, InfeasibleError, "0, 1 allow 2"),
        (
            {"groups": [0, 1] * 3 + [0], "lower": {1: 2}, "upper": {1: 1}},
            InfeasibleError,
            "group 1",
        ),
        ({"method": "milp", "resolute": False}, InputError, "resolute"),
        ({"method": "milp", "rule": "lp_borda", "p": 2.0}, InputError, "method"),
        ({"rule": "equal_shares"}, UnknownNameError, "rankings"),
    ],
)
def test_wrong_arguments_are_named(options, error, match):
    with pytest.raises(error, match=match):
        committee(rankings(0), 3, **options)


def test_wrong_profiles_are_named():
    with pytest.raises(InputError, match="profile: expected a Profile"):
        committee([[0, 1], [1, 0]], 1)
    weak = Profile([["a", ["b", "c"]]])
    with pytest.raises(InputError, match="full strict rankings"):
        committee(weak, 1)
    with pytest.raises(InputError, match="completion"):
        committee(approvals(0), 2, rule="equal_shares", completion="x")
    with pytest.raises(InputError, match="completion"):
        committee(utilities(0), 2, rule="equal_shares", completion="av")
    fractions = ApprovalProfile([{0, 1}, {1}], weights=[0.5, 1.25])
    with pytest.raises(InputError, match="whole numbers"):
        committee(fractions, 1, rule="monroe")


@pytest.mark.parametrize(
    ("ballots", "options", "match"),
    [
        ([], {}, "at least one"),
        (np.zeros((0, 3)), {}, "at least one"),
        (np.full((2, 2), 2), {}, "0 and 1"),
        (np.full((2, 2), np.nan), {}, "0 and 1"),
        (["ab", "c"], {}, "a set of items per person"),
        (5, {}, "a set"),
        ([[0, 0]], {}, "got 0 twice on ballot 0"),
        ([["x", "y", "y"]], {}, "got 'y' twice on ballot 0"),
        ([[["x"]]], {}, "hashable"),
        ([{0}], {"weights": [np.nan]}, "finite"),
        ([{0}], {"weights": [-1]}, "weights"),
        ([{0}], {"weights": [0]}, "above 0"),
        ([{0}], {"weights": [1, 2]}, "weights"),
        ([{0}], {"weights": "x"}, "weights"),
        ([{"a"}], {"labels": ["b"]}, "among"),
        ([{"a"}], {"labels": ["a", "a"]}, "twice"),
        ([{-1}], {}, "among"),
        ([{10**12}], {}, "labels"),
    ],
)
def test_wrong_approvals_are_named(ballots, options, match):
    with pytest.raises(InputError, match=match):
        ApprovalProfile(ballots, **options)


def test_approvals_are_the_same_from_any_container():
    matrix = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 1]])
    expected = ApprovalProfile([{0, 2}, set(), {1, 2}], labels="xyz")
    for other in (
        ApprovalProfile(matrix, labels="xyz"),
        ApprovalProfile(matrix.astype(bool), labels="xyz"),
        ApprovalProfile([["z", "x"], [], ("y", "z")], labels="xyz"),
        ApprovalProfile.from_csr([0, 2, 2, 4], [2, 0, 1, 2], 3, labels="xyz"),
    ):
        assert (other.matrix() == expected.matrix()).all()
        assert other.labels == ("x", "y", "z")
        assert committee(other, 1, rule="av").labels == ("z",)
    with pytest.raises(InputError, match="numbers from 0 to 2"):
        ApprovalProfile.from_csr([0, 1], [3], 3)
    with pytest.raises(InputError, match="starts"):
        ApprovalProfile.from_csr([0, 2], [1], 3)
    profile = Profile([[2, 0, 1], [1, 2, 0]])
    first = ApprovalProfile.from_rankings(profile, 2)
    assert [s.tolist() for s in first.sets()] == [[0, 2], [1, 2]]
    with pytest.raises(InputError, match="t: expected"):
        ApprovalProfile.from_rankings(profile, 4)
    assert ApprovalProfile([{"ü", "日本"}]).labels == ("ü", "日本")


@pytest.mark.parametrize(
    ("values", "options", "match"),
    [
        ([[1.0, np.nan]], {}, "finite numbers, got nan"),
        ([[1.0, np.inf]], {}, "finite"),
        ([[1.0, -1.0]], {}, "choose another transform"),
        (np.zeros((0, 2)), {}, "at least one"),
        ([1.0, 2.0], {}, "shape"),
        ("x", {}, "numbers"),
        (np.array([[1j]]), {}, "utilities: expected numbers"),
        (
            [[1.0, 2.0], [3.0]],
            {},
            "utilities: expected numbers, got list: rows of several lengths$",
        ),
        ([[1.0]], {"transform": "magic"}, "transform"),
        ([[1.0]], {"transform": "softmax", "temperature": 0}, "temperature"),
        ([[1.0]], {"labels": ["a", "b"]}, "labels"),
        ([[1e308, 1e308], [1e308, 1e308]], {}, "finite total"),
    ],
)
def test_wrong_utilities_are_named(values, options, match):
    with pytest.raises((InputError, UnknownNameError), match=match):
        UtilityProfile(values, **options)


def test_transforms_make_people_comparable_and_are_reported():
    values = np.array([[1.0, 3.0, 2.0], [100.0, 300.0, 200.0], [-5.0, -5.0, -5.0]])
    for transform in ("rank", "min_max", "z", "softmax"):
        profile = UtilityProfile(values, transform=transform)
        assert (profile.values >= 0).all()
        if transform != "softmax":
            assert profile.values[0] == pytest.approx(profile.values[1])
        assert committee(profile, 1, rule="sum").transform == transform
    assert UtilityProfile(values, transform="rank").values[2].tolist() == [0.5, 0.5, 0.5]
    assert UtilityProfile(values, transform="min_max").values[0].tolist() == [0, 1, 0.5]
    assert UtilityProfile(values, transform="softmax").values.sum(1) == pytest.approx(1)
    assert UtilityProfile(np.abs(values), transform="sum").values.sum(1) == pytest.approx(1)
    assert committee(rankings(0), 2).transform is None


def test_policies_mean_what_bylaws_say():
    def limits(*policies, k=10, groups="aaaabbbbbbcccccccccc"):
        out = gustibus.social.bounds.resolve(
            len(groups), k, labels=tuple(range(len(groups))), groups=list(groups), lower=None,
            upper=None, bounds=policies,
        )  # fmt: skip
        return {name: (low, high) for name, _, low, high in out}

    assert limits(proportional()) == {"a": (2, 2), "b": (3, 3), "c": (5, 5)}
    assert limits(equal()) == {"a": (3, 4), "b": (3, 4), "c": (3, 4)}
    assert limits(at_most(None, 1 / 3), k=9) == dict.fromkeys("abc", (0, 3))
    assert limits(at_least("a", 0.25)) == {"a": (3, 10)}
    assert limits(rooney("b"), k=4) == {"b": (1, 4)}
    assert limits(exactly("b", 2)) == {"b": (2, 2)}
    assert limits(*shares({"a": 0.55, "c": 0.4})) == {"a": (5, 6), "c": (4, 4)}
    assert limits("equal", at_least("a", 4)) == {"a": (4, 4), "b": (3, 4), "c": (3, 4)}
    assert limits(Policy("at_most", "c", 2)) == {"c": (0, 2)}
    with pytest.raises(InputError, match="shares"):
        shares({"a": 0.9, "b": 0.2})
    with pytest.raises(UnknownNameError, match="group"):
        limits(rooney("z"))


def test_groups_may_be_a_mapping_and_items_go_by_label():
    profile = Profile([["ann", "bob", "cid", "dan"]] * 3)
    groups = {"women": ["ann"], "men": ["bob", "cid", "dan"]}
    out = committee(profile, 2, rule="k_borda", groups=groups, upper={"women": 0})
    assert out.labels == ("bob", "cid")
    assert committee_value(profile, ["bob", "cid"], rule="k_borda") == out.value
    assert committee_value(profile, [1, 2], rule="k-borda") == out.value
    with pytest.raises(InputError, match="members"):
        committee_value(profile, ["eve"])


def test_the_price_of_fairness_is_a_share_of_the_free_value():
    profile = Profile([[0, 1, 2, 3]] * 4)
    groups = ["a", "a", "b", "b"]
    price = price_of_fairness(profile, 2, rule="k_borda", groups=groups, bounds="equal")
    assert price == pytest.approx(1 - 4 / 5)
    assert price_of_fairness(profile, 2, rule="k_borda") == 0
    with pytest.raises(InputError, match="maximises"):
        price_of_fairness(approvals(0), 2, rule="seqphragmen")


def test_real_weights_keep_ties():
    """0.1 + 0.2 and 0.3 are the same weight."""
    ballots = ApprovalProfile([{1}, {1}, {0}], weights=[0.1, 0.2, 0.3])
    for rule in ("av", "pav", "cc"):
        assert committee(ballots, 1, rule=rule, resolute=False).tied == ((0,), (1,))


def test_many_real_utilities_are_rounded_without_harm():
    rng = np.random.default_rng(3)
    values, weights = rng.random((5000, 12)), rng.random(5000)
    profile = UtilityProfile(values, weights=weights)
    for rule, worth in (("cc", values[:, [1, 4, 7]].max(1)), ("sum", values[:, [1, 4, 7]].sum(1))):
        assert committee_value(profile, [1, 4, 7], rule=rule) == pytest.approx(
            weights @ worth, rel=1e-10
        )


def test_a_cap_on_tied_committees_is_reported():
    profile = ApprovalProfile([set(range(12))])
    for rule in ("av", "seqpav", "seqphragmen", "minimaxav"):
        out = committee(profile, 4, rule=rule, resolute=False, max_committees=7)
        assert len(out.tied) == 7
        assert not out.complete
        assert out.members == (0, 1, 2, 3)


def test_axioms_with_witnesses():
    ballots = ApprovalProfile([{"a", "b"}] * 6 + [{"c"}] * 3, labels="abcd")
    good = check_committee(ballots, "abc", axioms=AXIOMS)
    assert all(good.values())
    bad = check_committee(ballots, "acd", axioms=AXIOMS)
    assert bad["jr"]
    assert not any(bad[axiom] for axiom in AXIOMS if axiom != "jr")
    assert bad["ejr"].voters == tuple(range(6))
    price, payments = price_system(ballots, "abc")
    assert payments.sum(0) == pytest.approx([price] * 3)
    assert (payments.sum(1) <= 1 + 1e-9).all()
    with pytest.raises(UnknownNameError, match="axiom"):
        check_committee(ballots, "abc", axioms=["fairness"])
    with pytest.raises(InputError, match="twice"):
        check_committee(ballots, "aab")
    with pytest.raises(InputError, match="ApprovalProfile"):
        check_committee(rankings(0), [0])
    assert check_committee(ballots, [], axioms=["jr"])["jr"]


def test_rules_that_pay_are_priceable():
    for seed in range(8):
        profile = approvals(seed, n=10, m=8, share=0.5, weighted=bool(seed % 2))
        for rule in ("seqphragmen", "equal_shares"):
            members = committee(profile, 4, rule=rule).members
            assert check_committee(profile, members, axioms=["priceable"])["priceable"], (
                rule,
                seed,
            )


def test_the_names_of_the_package_are_all_there():
    for name in gustibus.social.__all__:
        assert getattr(gustibus.social, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        gustibus.social.nothing  # noqa: B018 - the access raises
