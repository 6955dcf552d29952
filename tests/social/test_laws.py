"""Laws that rules declare, on random profiles; and the examples on which known rules break some."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import gustibus.social as g
from tests.social import slow

OPTIONS = {
    "positional": lambda m: {"vector": [(m - r) ** 2 for r in range(m)]},
    "t_approval": lambda m: {"t": max(1, m // 2)},
    "stv": lambda m: {"seats": max(1, m // 2)},
    "meek": lambda m: {"seats": max(1, m // 2)},
    "warren": lambda m: {"seats": max(1, m // 2)},
    "ranked_pairs": lambda m: {"tie": "all"},
    "river": lambda m: {"tie": "all"},
    "instant_runoff": lambda m: {"tie": "put"},
}
STRICT = ("meek", "warren")
FULL = ("dodgson",)


def having(law):
    return [name for name, row in g.rules().items() if law in row.laws]


def run(name, profile):
    options = OPTIONS.get(name, lambda m: {})(profile.n_items)
    return g.decide(profile, name, options=options)


def draw(count, *, seed=0, most=5, kinds=("full", "partial", "weak", "both"), low=1):
    rng = np.random.default_rng(seed)
    for i in range(count):
        m, n = int(rng.integers(low, most + 1)), int(rng.integers(1, 8))
        yield rng, slow.random_ballots(rng, m, n, kinds[i % len(kinds)]), rng.integers(1, 4, n), m


def kinds_of(name):
    if name in FULL:
        return ("full",)
    return ("full", "partial") if name in STRICT else ("full", "partial", "weak", "both")


def test_every_rule_declares_its_laws():
    known = {
        "anonymous", "neutral", "homogeneous", "monotone", "reinforcing", "condorcet", "smith",
        "condorcet_loser", "reversal", "clones", "within_split_cycle", "reinforcing_order",
    }  # fmt: skip
    assert len(g.rules()) >= 40
    for row in g.rules().values():
        assert row.source
        assert set(row.laws) <= known, row.name


@pytest.mark.parametrize("name", having("anonymous"))
def test_order_of_ballots_and_splitting_weights_change_nothing(name):
    for rng, ballots, weights, m in draw(40, kinds=kinds_of(name)):
        plain = run(name, g.Profile(ballots, weights=weights, labels=range(m)))
        order = rng.permutation(len(ballots))
        single = [ballots[v] for v in order for _ in range(weights[v])]
        for compact in (True, False):
            other = run(name, g.Profile(single, labels=range(m), compact=compact))
            assert other.winners == plain.winners
            assert other.ranking == plain.ranking


@pytest.mark.parametrize("name", having("neutral"))
def test_names_of_items_are_no_matter(name):
    for rng, ballots, weights, m in draw(40, seed=1, kinds=kinds_of(name)):
        plain = run(name, g.Profile(ballots, weights=weights, labels=range(m)))
        names = rng.permutation(m).tolist()
        renamed = [[[names[x] for x in bucket] for bucket in ballot] for ballot in ballots]
        other = run(name, g.Profile(renamed, weights=weights, labels=range(m)))
        assert set(other.winners) == {names[x] for x in plain.winners}


@pytest.mark.parametrize("name", having("homogeneous"))
def test_multiplying_weights_changes_no_winner(name):
    for _, ballots, weights, m in draw(40, seed=2, kinds=kinds_of(name)):
        plain = run(name, g.Profile(ballots, weights=weights, labels=range(m)))
        for factor in (7, 0.1):
            other = run(name, g.Profile(ballots, weights=weights * factor, labels=range(m)))
            assert other.winners == plain.winners


@pytest.mark.parametrize("name", having("condorcet"))
def test_an_item_that_beats_all_others_wins_alone(name):
    for _, ballots, weights, m in draw(120, seed=3, kinds=kinds_of(name)):
        profile = g.Profile(ballots, weights=weights, labels=range(m))
        champion = g.condorcet_winner(profile).winners
        if champion:
            assert run(name, profile).winners == champion


@pytest.mark.parametrize("name", having("smith"))
def test_winners_are_in_the_smith_set(name):
    for _, ballots, weights, m in draw(120, seed=4):
        profile = g.Profile(ballots, weights=weights, labels=range(m))
        assert set(run(name, profile).winners) <= set(g.smith_set(profile).winners)


@pytest.mark.parametrize("name", having("condorcet_loser"))
def test_an_item_that_loses_to_all_others_never_wins(name):
    for _, ballots, weights, m in draw(120, seed=5, low=2, kinds=("full",)):
        profile = g.Profile(ballots, weights=weights, labels=range(m))
        loser = set(g.condorcet_loser(profile).winners)
        assert not loser & set(run(name, profile).winners)


@pytest.mark.parametrize("name", having("reversal"))
def test_reversing_all_ballots_cannot_keep_a_single_winner(name):
    for _, ballots, weights, m in draw(120, seed=6, low=2, kinds=("full", "weak")):
        winners = run(name, g.Profile(ballots, weights=weights, labels=range(m))).winners
        reverse = [ballot[::-1] for ballot in ballots]
        other = run(name, g.Profile(reverse, weights=weights, labels=range(m))).winners
        assert len(winners) > 1 or winners != other


@pytest.mark.parametrize("name", having("monotone"))
def test_raising_a_winner_keeps_it_winning(name):
    for rng, ballots, weights, m in draw(80, seed=7, low=2, kinds=("full",)):
        for winner in run(name, g.Profile(ballots, weights=weights, labels=range(m))).winners:
            raised = [list(ballot) for ballot in ballots]
            v = int(rng.integers(len(ballots)))
            place = raised[v].index([winner])
            raised[v].insert(int(rng.integers(place + 1)), raised[v].pop(place))
            after = run(name, g.Profile(raised, weights=weights, labels=range(m)))
            assert winner in after.winners


@pytest.mark.parametrize("name", having("reinforcing"))
def test_winners_of_two_electorates_win_together(name):
    for rng, ballots, weights, m in draw(80, seed=8):
        others = slow.random_ballots(rng, m, 4, "full")
        first = run(name, g.Profile(ballots, weights=weights, labels=range(m)))
        second = run(name, g.Profile(others, labels=range(m)))
        shared = set(first.winners) & set(second.winners)
        if shared:
            joint = g.Profile(ballots + others, weights=[*weights, 1, 1, 1, 1], labels=range(m))
            assert set(run(name, joint).winners) == shared


def test_optimal_orders_of_two_electorates_are_optimal_together():
    for rng, ballots, weights, m in draw(60, seed=9, most=4):
        others = slow.random_ballots(rng, m, 4, "full")
        joint = g.Profile(ballots + others, weights=[*weights, 1, 1, 1, 1], labels=range(m))
        parts = (g.Profile(ballots, weights=weights, labels=range(m)),
                 g.Profile(others, labels=range(m)))  # fmt: skip
        first, second = (set(g.kemeny(p, all_optimal=True).orders) for p in parts)
        if first & second:
            assert set(g.kemeny(joint, all_optimal=True).orders) == first & second


@pytest.mark.parametrize("name", having("clones"))
def test_a_clone_changes_nothing_for_the_others(name):
    for rng, ballots, weights, m in draw(80, seed=10, most=4, low=2, kinds=("full",)):
        twin = int(rng.integers(m))
        cloned = []
        for ballot in ballots:
            place = ballot.index([twin])
            pair = [[twin], [m]] if rng.random() < 0.5 else [[m], [twin]]
            cloned.append(ballot[:place] + pair + ballot[place + 1 :])
        before = set(run(name, g.Profile(ballots, weights=weights, labels=range(m))).winners)
        after = set(run(name, g.Profile(cloned, weights=weights, labels=range(m + 1))).winners)
        assert {twin if x == m else x for x in after} == before


@pytest.mark.parametrize("name", [*having("within_split_cycle"), "stable_voting", "river"])
def test_winners_are_undefeated_in_split_cycle(name):
    for rng, ballots, weights, m in draw(150, seed=11):
        profile = g.Profile(ballots, weights=weights, labels=range(m))
        undefeated = set(g.split_cycle(profile).winners)
        assert set(run(name, profile).winners) <= undefeated
        if name == "ranked_pairs":
            order = rng.permutation(m).tolist()
            assert set(g.ranked_pairs(profile, order=order).winners) <= undefeated


def test_containments_of_sets():
    for _, ballots, weights, m in draw(200, seed=12, kinds=("full",)):
        profile = g.Profile(ballots, weights=weights, labels=range(m))
        smith = set(g.smith_set(profile).winners)
        order = g.kemeny(profile).order
        assert set(order[: len(smith)]) == smith
        margins = profile.margins()
        if not (margins[~np.eye(m, dtype=bool)] == 0).any():
            assert set(g.banks(profile).winners) <= set(g.uncovered_set(profile).winners)
            assert set(g.bipartisan_set(profile).winners) <= set(g.uncovered_set(profile).winners)
        assert set(g.schwartz_set(profile).winners) <= smith


def test_an_item_that_nobody_puts_below_another_is_not_beaten_by_it():
    for _, ballots, weights, m in draw(80, seed=13, low=2, kinds=("full",)):
        S = slow.support(ballots, weights, m)
        profile = g.Profile(ballots, weights=weights, labels=range(m))
        for a, b in itertools.permutations(range(m), 2):
            if S[b, a] == 0:
                for name in ("borda", "copeland", "schulze", "kemeny", "split_cycle", "nanson"):
                    assert b not in run(name, profile).winners, name
                order = g.kemeny(profile).order
                assert order.index(a) < order.index(b)


def test_identities_of_counts():
    rng = np.random.default_rng(14)
    for m, n in ((1, 1), (7, 50), (300, 40)):
        profile = g.Profile(np.argsort(rng.random((n, m)), 1), weights=rng.integers(1, 5, n))
        S, H, W = profile.support(), profile.rank_histogram(), profile.total_weight
        assert (S + S.T)[~np.eye(m, dtype=bool)].tolist() == [W] * (m * (m - 1))
        assert np.array_equal(g.borda(profile).scores, S.sum(1))
        assert np.array_equal(g.plurality(profile).scores, H[:, 0])
        assert (H.sum(0) == W).all()
        assert (H.sum(1) == W).all()


def test_known_examples_on_which_runoffs_are_not_monotone():
    # 17 voters; raising a from second to first on two ballots makes it lose to c.
    before = g.Profile(list(map(list, ["abc", "cab", "bca", "bac"])), weights=[6, 5, 4, 2])
    after = g.Profile(list(map(list, ["abc", "cab", "bca", "abc"])), weights=[6, 5, 4, 2])
    assert g.instant_runoff(before).winners == ("a",)
    assert g.instant_runoff(after).winners == ("c",)


@pytest.mark.parametrize("name", ["coombs", "baldwin"])
def test_elimination_by_last_places_or_borda_is_not_monotone(name):
    rng = np.random.default_rng(15)
    for _ in range(3000):
        rows = np.array(list(itertools.permutations(range(3 if name == "coombs" else 4))))
        weights = rng.integers(0, 6, len(rows)) + (rng.random(len(rows)) < 0.02)
        if not weights.sum():
            continue
        winners = g.decide(g.Profile(rows, weights=weights), name).winners
        v = int(rng.integers(len(rows)))
        place = rows[v].tolist().index(winners[0])
        if place and len(winners) == 1:
            raised = rows.copy()
            raised[v, [place - 1, place]] = raised[v, [place, place - 1]]
            if winners[0] not in g.decide(g.Profile(raised, weights=weights), name).winners:
                return
    pytest.fail("no example found")


def test_plurality_and_minimax_can_elect_the_item_that_loses_to_all():
    votes = g.Profile(list(map(list, ["abc", "bca", "cba"])), weights=[4, 3, 3])
    assert g.condorcet_loser(votes).winners == g.plurality(votes).winners == ("a",)
    S = np.array([[0, 4, 4, 4], [5, 0, 9, 0], [5, 0, 0, 9], [5, 9, 0, 0.0]])
    assert g.condorcet_loser(S).winners == g.minimax(S).winners == (0,)


def test_threads_and_input_types_give_the_same_bytes():
    rng = np.random.default_rng(16)
    rows = np.argsort(rng.random((3000, 40)), 1)
    weights = rng.random(3000)
    full = g.Profile(rows, weights=weights)
    cut = rng.integers(0, 41, 3000)
    partial = g.Profile([row[:k].tolist() for row, k in zip(rows, cut, strict=True)],
                        weights=weights, labels=range(40))  # fmt: skip
    for profile in (full, partial):
        make = lambda p=profile: g.Profile(  # noqa: E731 - a profile without caches
            [b.tolist() for b in np.split(p.lists().items, p.lists().starts[1:-1])],
            weights=weights, labels=range(40), compact=False,
        )  # fmt: skip
        bytes_of = {}
        for threads in (1, 2, 5, None):
            fresh = make()
            out = [fresh.support(threads=threads).tobytes()]
            out += [g.borda(fresh, threads=threads).scores.tobytes()]
            out += [g.schulze(fresh, threads=threads).buckets.tobytes()]
            out += [g.kemeny(fresh, method="local", kicks=3, threads=threads).buckets.tobytes()]
            out += [g.distances(fresh, range(40), threads=threads).tobytes()]
            bytes_of[threads] = out
        assert all(out == bytes_of[1] for out in bytes_of.values())
