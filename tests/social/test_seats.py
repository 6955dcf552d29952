"""Single transferable votes, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

import gustibus.social as g
from gustibus.errors import InputError
from tests.social import slow

# The example of food for a party: three of five dishes, quota floor(20 / 4) + 1 = 6.
PARTY = g.Profile(
    [["orange"], ["pear", "orange"], ["chocolate", "strawberry"], ["chocolate", "hamburger"],
     ["strawberry"], ["hamburger"]],
    weights=[4, 2, 8, 4, 1, 1],
    labels=["orange", "pear", "chocolate", "strawberry", "hamburger"],
)  # fmt: skip


def test_a_count_followed_by_hand():
    decision = g.stv(PARTY, 3)
    assert decision.quota == 6
    # Chocolate has 12; its surplus of 6 goes 4 to strawberry and 2 to hamburger; pear's 2 votes
    # then make orange's 6; hamburger leaves, and strawberry is the last standing.
    assert decision.elected == ("chocolate", "orange", "strawberry")
    assert decision.dropped == ("pear", "hamburger")
    assert decision.tallies[0].tolist() == [4, 2, 12, 1, 1]
    assert decision.tallies[1].tolist() == [4, 2, 6, 5, 3]
    assert decision.tallies[2].tolist() == [6, 0, 6, 5, 3]


def test_shares_are_cut_to_the_digits_asked_for():
    ballots = g.Profile([["a", "b"], ["a", "c"], ["b"], ["c"]], weights=[5, 2, 2, 2])
    decision = g.stv(ballots, 2, decimals=5)
    # Quota 4, surplus 3 of 7: each paper goes on at 0.42857 of a vote.
    assert decision.tallies[1].tolist() == pytest.approx([4, 4.14285, 2.85714], abs=1e-12)
    assert g.stv(ballots, 2, decimals=0).tallies[1].tolist() == [4, 2, 2]


def test_quotas():
    ballots = g.Profile([["a"], ["b"], ["c"]], weights=[50, 30, 20])
    assert g.stv(ballots, 2).quota == 34
    assert g.stv(ballots, 2, quota="exact_droop").quota == pytest.approx(100 / 3)
    assert g.stv(ballots, 2, quota="hare").quota == 50
    assert g.stv(ballots, 1).elected == ("a",)


def test_transfers_differ_in_what_moves():
    ballots = g.Profile([["x", "a", "c"], ["a", "b"], ["b"], ["c"]], weights=[6, 7, 5, 4])
    for transfer in ("weighted", "inclusive", "last_parcel", "random"):
        decision = g.stv(ballots, 2, transfer=transfer, seed=1)
        assert len(decision.elected) == 2
        total = decision.tallies.sum(1) + 0
        assert (total <= 22 + 1e-9).all()
        assert (total[0] == 22).all()
    same = g.stv(ballots, 2, transfer="random", seed=5)
    assert same.elected == g.stv(ballots, 2, transfer="random", seed=5).elected


def test_votes_are_never_created():
    rng = np.random.default_rng(0)
    for i in range(300):
        m, n = int(rng.integers(1, 8)), int(rng.integers(1, 30))
        ballots = slow.random_ballots(rng, m, n, ("full", "partial", "weak", "both")[i % 4])
        weights = rng.integers(1, 5, n).tolist() if i % 2 else (rng.integers(1, 9, n) / 8).tolist()
        profile = g.Profile(ballots, weights=weights, labels=range(m))
        seats = int(rng.integers(1, m + 1))
        for transfer in ("weighted", "inclusive", "last_parcel", "random"):
            decision = g.stv(profile, seats, transfer=transfer)
            assert len(decision.elected) == seats == len(decision.winners)
            assert set(decision.elected) == set(decision.winners)
            assert not len(decision.tallies) or decision.tallies.sum(1).max() <= sum(weights) + 1e-6
            assert sorted(decision.order) == list(range(m))


def test_one_seat_is_instant_runoff():
    rng = np.random.default_rng(1)
    for _ in range(200):
        m, n = int(rng.integers(2, 7)), int(rng.integers(3, 20))
        profile = g.Profile(np.argsort(rng.random((n, m)), 1), weights=rng.integers(1, 99, n))
        put = g.instant_runoff(profile, tie="put").winners
        assert g.stv(profile, 1).elected[0] in put
        assert g.meek(profile, 1).elected[0] in put
        assert g.warren(profile, 1).elected[0] in put


@pytest.mark.parametrize("rule", [g.meek, g.warren, g.stv])
def test_solid_coalitions_get_their_seats(rule):
    # 60 of 100 put a, b and c first in some order, so they deserve two of three seats or more.
    left = [["a", "b", "c", "x", "y"], ["b", "c", "a", "x", "y"], ["c", "a", "b", "y", "x"]]
    right = [["x", "y", "a", "b", "c"], ["y", "x", "c", "b", "a"]]
    profile = g.Profile(left + right, weights=[25, 20, 15, 21, 19])
    elected = set(rule(profile, 3).elected)
    assert len(elected & set("abc")) == 2
    assert len(elected & set("xy")) == 1


def test_elected_items_keep_just_the_quota():
    rng = np.random.default_rng(2)
    for rule in (g.meek, g.warren):
        for _ in range(40):
            m, n = int(rng.integers(3, 8)), int(rng.integers(20, 60))
            profile = g.Profile(np.argsort(rng.random((n, m)), 1)[:, : m - 1], labels=range(m))
            decision = rule(profile, 2)
            keep, votes = decision.facts["keep"], decision.facts["votes"]
            assert ((keep >= 0) & (keep <= 1)).all()
            assert votes.sum() <= n + 1e-6
            assert len(decision.elected) == 2


def test_meek_by_hand():
    # a has 6 of 9, quota 3: it keeps one half of what reaches it and b gets the rest.
    decision = g.meek(g.Profile([["a", "b"], ["b"], ["c"]], weights=[6, 1, 2]), 2)
    assert decision.elected == ("a", "b")
    assert decision.facts["keep"][0] == pytest.approx(0.5)
    warren = g.warren(g.Profile([["a", "b"], ["b"], ["c"]], weights=[6, 1, 2]), 2)
    assert warren.facts["keep"][0] == pytest.approx(0.5)


def test_ties_are_for_stv_alone():
    weak = g.Profile([[["a", "b"], "c"]])
    assert g.stv(weak, 1).winners == ("a",)
    with pytest.raises(InputError, match="ballots without ties for meek"):
        g.meek(weak, 1)
