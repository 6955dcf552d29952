"""Approval rules and axioms against abcvoting, ties included."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from gustibus.social import ApprovalProfile, check_committee, committee
from tests.social.committee_cases import approvals

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    abcrules = pytest.importorskip("abcvoting.abcrules", reason="abcvoting is not installed")
    properties = pytest.importorskip("abcvoting.properties")
    preferences = pytest.importorskip("abcvoting.preferences")

BRUTE = ("pav", "slav", "cc", "geom2", "minimaxav", "monroe")
EXACT = ("av", "sav", *BRUTE)
SEQUENTIAL = ("maximin-support", "seqpav", "revseqpav", "seqslav", "seqcc", "seqphragmen", "equal-shares",
              "equal-shares-with-av-completion", "equal-shares-without-completion")  # fmt: skip


def peer_of(profile):
    peer = preferences.Profile(profile.n_items)
    for items, weight in zip(profile.sets(), profile.weights, strict=True):
        peer.add_voter(preferences.Voter([int(i) for i in items], weight=int(weight)))
    return peer


def outcomes(rule, profile, k, **options):
    algorithm = "brute-force" if rule in BRUTE else "fastest"
    if rule == "maximin-support":
        algorithm = "nx-max-flow"
    if rule in ("seqphragmen",) or rule.startswith("equal-shares"):
        algorithm = "standard-fractions"
    found = abcrules.compute(
        rule, peer_of(profile), k, algorithm=algorithm, max_num_of_committees=None, **options
    )
    return sorted(tuple(sorted(int(i) for i in members)) for members in found)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("rule", [*EXACT, *SEQUENTIAL])
def test_all_tied_committees_are_the_peers(rule, weighted):
    if rule == "monroe" and weighted:
        pytest.skip("abcvoting has no weights under Monroe")
    for seed in range(12):
        n, m, k = 4 + seed % 7, 5 + seed % 3, 1 + seed % 4
        profile = approvals(seed, n=n, m=m, share=0.3 + 0.05 * (seed % 5), weighted=weighted)
        method = "exact" if rule in EXACT else "auto"
        ours = committee(profile, k, rule=rule, resolute=False, method=method)
        assert list(ours.tied) == outcomes(rule, profile, k, resolute=False), (seed, n, m, k)
        assert ours.complete


@pytest.mark.parametrize("rule", SEQUENTIAL)
def test_ties_are_broken_as_the_peer_breaks_them(rule):
    if rule.endswith("av-completion"):
        pytest.skip("the peer lists all completions before it takes one")
    for seed in range(15):
        profile = approvals(seed + 100, n=6 + seed, m=6, weighted=bool(seed % 2))
        ours = committee(profile, 3, rule=rule)
        assert [ours.members] == outcomes(rule, profile, 3, resolute=True)


def test_increments_of_the_budget_give_the_peers_committee():
    rule = "equal-shares-with-increment-completion"
    for seed in range(15):
        profile = approvals(seed + 200, n=7, m=6, share=0.35)
        ours = committee(profile, 3, rule=rule)
        assert [ours.members] == outcomes(rule, profile, 3, resolute=True), seed


def test_greedy_monroe_is_the_peers():
    for seed in range(15):
        profile = approvals(seed + 300, n=8, m=6)
        ours = committee(profile, 3, rule="greedy-monroe")
        assert [ours.members] == outcomes("greedy-monroe", profile, 3, resolute=True), seed


def test_a_larger_example_has_the_peers_phragmen_and_shares():
    profile = approvals(5, n=60, m=15, share=0.3, weighted=True)
    for rule in ("seqphragmen", "equal-shares", "seqpav", "revseqpav"):
        ours = committee(profile, 6, rule=rule)
        assert [ours.members] == outcomes(rule, profile, 6, resolute=True), rule


AXIOMS = {
    "jr": "jr",
    "pjr": "pjr",
    "ejr": "ejr",
    "ejr+": "ejr+",
    "pareto": "pareto",
    "core": "core",
}


@pytest.mark.parametrize("axiom", AXIOMS)
def test_axioms_hold_when_the_peer_says_so(axiom):
    rng = np.random.default_rng(0)
    seen = set()
    for seed in range(60):
        n, m, k = 4 + seed % 5, 5, 1 + seed % 4
        profile = approvals(seed, n=n, m=m, share=0.35 + 0.1 * (seed % 3))
        if any(len(s) == 0 for s in profile.sets()):
            profile = ApprovalProfile([s.tolist() or [0] for s in profile.sets()], labels=range(m))
        members = sorted(rng.choice(m, k, replace=False).tolist())
        ours = check_committee(profile, members, axioms=[axiom])[axiom].holds
        peer = peer_check(axiom, peer_of(profile), members)
        assert ours == peer, (seed, members)
        seen.add(peer)
    assert seen == {True, False}


def peer_check(axiom, peer, members):
    checks = {
        "jr": properties.check_JR,
        "pjr": properties.check_PJR,
        "ejr": properties.check_EJR,
        "ejr+": properties.check_EJR_plus,
        "pareto": properties.check_pareto_optimality,
        "core": properties.check_core,
    }
    options = {} if axiom in ("jr", "ejr+") else {"algorithm": "brute-force"}
    return checks[axiom](peer, members, **options)
