"""Every rule against slow versions, on random profiles of all kinds."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

import gustibus.social as g
from gustibus.errors import InfeasibleError, InputError, UnknownNameError
from tests.social import slow

KINDS = ("full", "partial", "weak", "both")


def cases(count, *, most=6, kinds=KINDS, seed=0, weighted=True):
    """Ballots, weights, number of items and the profile."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        m, n = int(rng.integers(1, most + 1)), int(rng.integers(1, 9))
        ballots = slow.random_ballots(rng, m, n, kinds[i % len(kinds)])
        weights = rng.integers(1, 4, n).tolist() if weighted and i % 3 else [1] * n
        yield ballots, weights, m, g.Profile(ballots, weights=weights, labels=range(m))


def support_cases(count, **options):
    for ballots, weights, m, profile in cases(count, **options):
        S = slow.support(ballots, weights, m)
        assert np.array_equal(profile.support(), S)
        yield S, profile


def test_pairwise_support_ignores_or_counts_unranked_items():
    rng = np.random.default_rng(5)
    for i in range(400):
        m, n = int(rng.integers(1, 9)), int(rng.integers(1, 30))
        ballots = slow.random_ballots(rng, m, n, KINDS[i % 4])
        weights = (rng.integers(1, 9, n) / 8).tolist()
        for unranked in ("last", "ignore"):
            profile = g.Profile(ballots, weights=weights, labels=range(m), unranked=unranked)
            expected = slow.support(ballots, weights, m, ignore=unranked == "ignore")
            assert np.array_equal(profile.support(), expected)
        half = g.Profile(ballots, weights=weights, labels=range(m)).support(ties="half")
        if m > 1:
            assert np.allclose((half + half.T)[~np.eye(m, dtype=bool)], sum(weights))


VECTORS = {
    "plurality": lambda m: [1] + [0] * (m - 1),
    "veto": lambda m: [0] * (m - 1) + [-1],
    "borda": lambda m: list(range(m - 1, -1, -1)),
    "dowdall": lambda m: [Fraction(1, r + 1) for r in range(m)],
    "exponential": lambda m: [Fraction(1, 2**r) for r in range(m)],
    "formula_one": lambda m: ([25, 18, 15, 12, 10, 8, 6, 4, 2, 1] + [0] * m)[:m],
    "eurovision": lambda m: ([12, 10, 8, 7, 6, 5, 4, 3, 2, 1] + [0] * m)[:m],
}


@pytest.mark.parametrize("how", ["mean", "high", "low"])
@pytest.mark.parametrize("rule", VECTORS)
def test_positional_rules_add_up_points(rule, how):
    for ballots, weights, m, profile in cases(200, seed=1):
        expected = slow.positional(ballots, weights, m, VECTORS[rule](m), how)
        decision = g.decide(profile, rule, options={"tie_points": how})
        assert np.allclose(decision.scores, [float(x) for x in expected], atol=1e-12)
        assert list(decision.winners) == slow.best(expected)
        levels = sorted(set(expected), reverse=True)
        ranking = tuple(tuple(x for x in range(m) if expected[x] == s) for s in levels)
        assert decision.ranking == ranking


def test_borda_is_the_row_sum_of_support_and_its_variants_are_affine():
    for ballots, weights, m, profile in cases(200, seed=2):
        S, W = slow.support(ballots, weights, m), sum(weights)
        below, above = S.sum(1), S.sum(0)
        assert np.allclose(g.borda(profile, variant="domination").scores, below)
        assert np.allclose(g.borda(profile, variant="nondomination").scores, -above)
        assert np.allclose(g.borda(profile, variant="symmetric").scores, below - above)
        standard = g.borda(profile).scores
        assert np.allclose(standard, (below - above + W * (m - 1)) / 2)
        assert np.allclose(g.borda(profile, variant="one_based").scores, standard + W)


def test_places_left_open_can_share_their_points():
    profile = g.Profile([[0]], labels=range(3), unranked="average")
    assert g.borda(profile, tie_points="high").scores.tolist() == [2, 0.5, 0.5]
    ignored = g.Profile([[0]], labels=range(3), unranked="ignore")
    assert g.borda(ignored).scores.tolist() == [0, 0, 0]
    assert g.plurality(ignored).scores.tolist() == [1, 0, 0]


def test_custom_vectors_and_approvals():
    profile = g.Profile([[0, 1, 2], [2, 1, 0]], weights=[2, 1])
    assert g.positional(profile, [3, 1, 0]).scores.tolist() == [6, 3, 3]
    assert g.t_approval(profile, 2).winners == (1,)
    assert g.positional(profile, [0, 1, 0], allow_nonmonotone=True).winners == (1,)
    for vector, message in (([1, 0], "vector: expected shape"), ([0, 1, 0], "do not rise"),
                            ([np.nan, 1, 0], "vector: expected finite")):  # fmt: skip
        with pytest.raises(InputError, match=message):
            g.positional(profile, vector)
    with pytest.raises(InputError, match="t: expected a whole number from 1 to 3, got 4"):
        g.t_approval(profile, 4)


def test_head_to_head_rules():
    for S, profile in support_cases(400, seed=3):
        M, m = slow.margins(S), len(S)
        off = ~np.eye(m, dtype=bool)
        beats, ties = (M > 0), (M == 0) & off
        wins = beats.sum(1)
        assert list(g.condorcet_winner(profile).winners) == [
            a for a in range(m) if wins[a] == m - 1
        ]
        assert list(g.weak_condorcet_winner(profile).winners) == [
            a for a in range(m) if not beats[:, a].any()]  # fmt: skip
        losers = [a for a in range(m) if beats[:, a].sum() == m - 1]
        assert list(g.condorcet_loser(profile).winners) == losers
        assert g.copeland(profile).scores.tolist() == (wins - beats.sum(0)).tolist()
        assert g.copeland(profile, t=1).scores.tolist() == (wins + ties.sum(1)).tolist()
        for strength, L in (("margins", M), ("winning", np.where(beats, S, 0)), ("opposition", S)):
            worst = [max((L[b, a] for b in range(m) if b != a), default=0) for a in range(m)]
            decision = g.minimax(profile, strength=strength)
            assert decision.scores.tolist() == [-x for x in worst]
            assert list(decision.winners) == slow.best([-x for x in worst])
        single = [a for a in range(m) if wins[a] == m - 1]
        black = g.black(profile)
        assert list(black.winners) == (single or slow.best(M.sum(1).tolist()))
        assert black.ranking[0] == black.winners


def test_dominant_and_uncovered_sets():
    for S, profile in support_cases(300, seed=4, most=5):
        m, D = len(S), slow.margins(S) > 0
        layers = g.smith_set(profile).ranking
        assert list(g.smith_set(profile).winners) == slow.smith(S)
        rest = sorted(set(range(m)) - set(slow.smith(S)))
        if rest:
            assert list(layers[1]) == [rest[i] for i in slow.smith(S[np.ix_(rest, rest)])]
        assert list(g.schwartz_set(profile).winners) == slow.schwartz(S)
        assert list(g.banks(profile).winners) == slow.banks(S)

        left = np.array([[not (D[:, a] & ~D[:, b]).any() for b in range(m)] for a in range(m)])
        right = np.array([[not (D[b] & ~D[a]).any() for b in range(m)] for a in range(m)])
        covers = {
            "gillies": D & left,
            "fishburn": left & ~left.T,
            "bordes": D & right,
            "mckelvey": D & left & right,
        }
        for variant, covered in covers.items():
            expected = np.flatnonzero(~covered.any(0)).tolist()
            assert list(g.uncovered_set(profile, variant=variant).winners) == expected


def test_paths_decide_schulze_and_split_cycle():
    for S, profile in support_cases(300, seed=5):
        assert list(g.schulze(profile).winners) == slow.schulze(S)
        assert list(g.split_cycle(profile).winners) == slow.split_cycle(S)
        paths = g.schulze(profile, paths=True).paths
        assert np.array_equal(paths, slow.widest(slow.margins(S)))
        assert g.beat_path(S).winners == g.schulze(profile).winners


def test_paths_over_blocks_of_many_items_are_those_of_the_plain_pass():
    rng = np.random.default_rng(0)
    for m, n in ((70, 9), (150, 4)):
        profile = g.Profile(np.argsort(rng.random((n, m)), 1))
        P = np.maximum(profile.margins(), 0)
        for k in range(m):
            P = np.maximum(P, np.minimum(P[:, k : k + 1], P[k]))
        np.fill_diagonal(P, 0)
        assert np.array_equal(g.schulze(profile, paths=True).paths, P)


def test_measures_of_strength_can_differ():
    ballots = [["a", "b", "c"], ["b", "c", "a"], ["c"], ["a"]]
    profile = g.Profile(ballots, weights=[7, 6, 5, 1])
    S = profile.support()
    winning = np.where(S > S.T, S, 0.0)
    for k in range(3):
        winning = np.maximum(winning, np.minimum(winning[:, k : k + 1], winning[k]))
    np.fill_diagonal(winning, 0)
    assert np.array_equal(g.schulze(profile, strength="winning", paths=True).paths, winning)
    ratio = g.schulze(np.array([[0, 4, 0], [2, 0, 0], [0, 0, 0.0]]), strength="ratio", paths=True)
    assert ratio.paths[0, 1] == 2


def test_ranked_pairs_and_river_follow_the_order_of_items():
    rng = np.random.default_rng(1)
    for S, profile in support_cases(300, seed=6):
        order = rng.permutation(len(S)).tolist()
        expected = slow.ranked_pairs(S, order)
        assert list(g.ranked_pairs(profile, order=order).order) == expected
        assert list(g.river(profile, order=order).winners) == slow.river(S, order)
        assert list(g.ranked_pairs(S).order) == slow.ranked_pairs(S, range(len(S)))


def test_all_ways_to_break_ties_are_united():
    for S, profile in support_cases(150, seed=7, most=4, kinds=("full", "weak")):
        m = len(S)
        groups = {}
        for a, b in itertools.combinations(range(m), 2):
            if S[a, b] != S[b, a]:
                groups.setdefault(abs(S[a, b] - S[b, a]), []).append((a, b))
        if max(map(len, groups.values()), default=0) > 5:
            continue
        assert list(g.ranked_pairs(profile, tie="all").winners) == slow.all_ties(S, "pairs")
        assert list(g.river(profile, tie="all").winners) == slow.all_ties(S, "river")


def test_many_equal_margins_are_no_matter():
    ring = np.zeros((6, 6))
    for a in range(6):
        ring[a, (a + 1) % 6] = ring[a, (a + 2) % 6] = 1
    assert len(g.ranked_pairs(ring, tie="all").winners) == 6
    with pytest.raises(InfeasibleError, match="cap"):
        g.ranked_pairs(ring, tie="all", cap=3)


def test_a_ballot_can_break_ties():
    profile = g.Profile([["a", "b"], ["b", "a"]])
    assert g.ranked_pairs(profile, tie="ballot", ballot=1).order == ("b", "a")
    seen = {g.ranked_pairs(profile, tie="ballot", seed=s).winners for s in range(20)}
    assert seen == {("a",), ("b",)}
    with pytest.raises(InputError, match="ballot: expected a number from 0 to 1"):
        g.ranked_pairs(profile, tie="ballot", ballot=2)
    with pytest.raises(InputError, match="tie: expected"):
        g.ranked_pairs(profile.support(), tie="ballot")


def test_instant_runoff_with_ties_and_weak_ballots():
    for ballots, weights, m, profile in cases(400, seed=8):
        expected = slow.instant_runoff(ballots, weights, m)
        assert list(g.instant_runoff(profile).winners) == expected
        assert list(g.instant_runoff(profile, exit_on_majority=False).winners) == expected
        put = sorted(slow.instant_runoff_put(ballots, weights, m))
        assert list(g.instant_runoff(profile, tie="put").winners) == put
        smith = slow.smith(slow.support(ballots, weights, m))
        assert list(g.smith_irv(profile).winners) == slow.instant_runoff(ballots, weights, m, smith)
        single = g.instant_runoff(profile, tie="order").winners
        assert len(single) == 1
        assert set(single) <= set(put)


def test_rounds_of_instant_runoff_order_all_items():
    profile = g.Profile([["a"], ["b", "a"], ["c", "b"]], weights=[5, 4, 3])
    decision = g.instant_runoff(profile)
    assert decision.winners == ("b",)
    assert decision.rounds == (("c",),)
    assert decision.ranking == (("b",), ("a",), ("c",))


def test_lotteries_are_optimal_and_give_a_chance_to_all_that_may_have_one():
    linprog = pytest.importorskip("scipy.optimize").linprog
    for i, (S, profile) in enumerate(support_cases(120, seed=9)):
        m = len(S)
        for decision, M in ((g.maximal_lotteries(profile), slow.margins(S)),
                            (g.bipartisan_set(S), np.sign(slow.margins(S)))):  # fmt: skip
            p = decision.lottery
            assert abs(p.sum() - 1) < 1e-9
            assert (p @ M >= -1e-7 * max(1, np.abs(M).max())).all()
            for item in range(m) if i % 4 == 0 else ():
                most = -linprog(-np.eye(m)[item], A_ub=-M.T, b_ub=np.zeros(m),
                                A_eq=np.ones((1, m)), b_eq=[1]).fun  # fmt: skip
                assert (item in decision.winners) == (most > 1e-7)


def test_worked_examples_of_runoffs():
    # Tennessee: Memphis 42, Nashville 26, Chattanooga 15, Knoxville 17.
    ballots = ["MNCK", "NCKM", "CKNM", "KCNM"]
    profile = g.Profile(list(map(list, ballots)), weights=[42, 26, 15, 17], labels="MNCK")
    expected = {
        "plurality": "M", "borda": "N", "copeland": "N", "minimax": "N", "schulze": "N",
        "ranked_pairs": "N", "kemeny": "N", "nanson": "N", "baldwin": "N", "coombs": "N",
        "bucklin": "N", "instant_runoff": "K", "runoff": "N", "supplementary_vote": "M",
        "benham": "N", "bottom_two_runoff": "N", "stable_voting": "N", "black": "N",
    }  # fmt: skip
    for rule, winner in expected.items():
        assert g.decide(profile, rule).winners == (winner,), rule
    assert g.bucklin(profile).scores.tolist() == [42, 26 + 42, 15 + 43, 17 + 15]
    assert g.simplified_bucklin(profile).winners == ("N", "C")
    assert g.kemeny(profile).order == ("N", "C", "K", "M")
    assert g.instant_runoff(profile).order == ("K", "M", "N", "C")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda p: g.decide(p, "bordaa"), UnknownNameError, "did you mean"),
        (lambda p: g.decide(p, "borda", options={"t": 1}), UnknownNameError, "no option"),
        (lambda p: g.decide(p, "borda", options={"variant": object()}), InputError, "variant: exp"),
        (lambda p: g.borda(p, variant="x"), InputError, "variant: expected standard, one_based"),
        (lambda p: g.copeland(p, t=2), InputError, r"t: expected a number from 0 to 1, got 2"),
        (lambda p: g.copeland(p, t=np.nan), InputError, "t: expected a number from 0 to 1"),
        (lambda p: g.copeland(p, threads=0), InputError, "threads: expected a number of at least"),
        (lambda p: g.copeland(p, threads=True), InputError, "threads: expected"),
        (lambda p: g.ranked_pairs(p, order=[0, 1]), InputError, "order: expected each of the 3"),
        (lambda p: g.ranked_pairs(p, order=["x"]), InputError, "order: expected labels"),
        (lambda p: g.ranked_pairs(p, tie="x"), InputError, "tie: expected order or all"),
        (lambda p: g.instant_runoff(p, tie="x"), InputError, "tie: expected all, order or put"),
        (lambda p: g.kemeny(p, method="x"), InputError, "method: expected auto, subsets"),
        (lambda p: g.kemeny(p, time_limit=-1), InputError, "time_limit: expected seconds"),
        (lambda p: g.kemeny(p, time_limit=np.nan), InputError, "time_limit: expected seconds"),
        (lambda p: g.kemeny(p, seed=-1), InputError, "seed: expected a whole number"),
        (lambda p: g.kemeny(p, starts=0), InputError, "starts: expected a whole number"),
        (lambda p: g.stv(p, 0), InputError, "seats: expected a whole number from 1 to 3, got 0"),
        (lambda p: g.stv(p, 4), InputError, "seats: expected a whole number from 1 to 3, got 4"),
        (lambda p: g.stv(p, 1, decimals=10), InputError, "decimals: expected a whole number"),
        (lambda p: g.stv(p, 1, quota="x"), InputError, "quota: expected droop, exact_droop"),
        (lambda p: g.borda(p.support()), InputError, "profile: expected ballots for this rule"),
        (lambda p: g.schulze(np.zeros((2, 3))), InputError, r"support: expected shape \(m, m\)"),
        (lambda p: g.schulze(np.zeros((0, 0))), InputError, r"support: expected shape \(m, m\)"),
        (lambda p: g.schulze(np.array([[0, np.nan], [0, 0]])), InputError, "support: expected fin"),
        (lambda p: g.schulze(np.array([[0, -1.0], [0, 0]])), InputError, "support: expected numb"),
        (lambda p: g.schulze("abc"), InputError, "subject: expected a Profile"),
        (lambda p: g.schulze(np.ones((2, 2)) * 1j), InputError, "subject: expected a Profile or a"),
        (lambda p: g.positional(p, vector=np.ones(3) * 1j), InputError, "vector: expected"),
        (lambda p: g.condorcet_winner(p).winner, InputError, "expected a winner, there is none"),
        (lambda p: p.support(ties="x"), InputError, "ties: expected 'none', or 'half'"),
    ],
)
def test_wrong_calls_are_named(call, error, message):
    cycle = g.Profile(np.array([[0, 1, 2], [1, 2, 0], [2, 0, 1]]))
    with pytest.raises(error, match=message):
        call(cycle)


def test_one_item_wins_everything():
    profile = g.Profile([["only"]])
    for rule in g.rules():
        options = {"positional": {"vector": [1]}}.get(rule)
        decision = g.decide(profile, rule, options=options)
        assert decision.winners == ("only",), rule
        assert decision.order == ("only",)


def test_decisions_break_ties_by_the_order_of_labels():
    decision = g.plurality(g.Profile([["b"], ["a"], ["c"]], labels=["c", "b", "a"]))
    assert decision.winners == ("c", "b", "a")
    assert decision.winner == "c"
    assert decision.ranking == (("c", "b", "a"),)
    assert decision.order == ("c", "b", "a")
    assert decision.order_ids.tolist() == [0, 1, 2]


def test_instant_runoff_counts_many_ballots_in_parts():
    rng = np.random.default_rng(0)
    rows = np.argsort(rng.random((150_000, 7)) + 0.05 * np.arange(7), axis=1)
    live, rounds = np.ones(7, bool), []
    while True:
        first = rows[np.arange(len(rows)), live[rows].argmax(1)]
        votes = np.bincount(first, minlength=7)
        if votes.max() * 2 > votes.sum():
            break
        gone = min(np.flatnonzero(live), key=lambda item: votes[item])
        live[gone] = False
        rounds.append([int(gone)])
    for threads in (None, 1, 3):
        found = g.instant_runoff(g.Profile(rows), threads=threads)
        assert list(found.winners) == [int(votes.argmax())]
        assert [list(each) for each in found.rounds] == rounds
