"""The same winners as an independent library, and on files of real elections where they are given.

Set `GUSTIBUS_PREFLIB` to a folder of PrefLib files to run over them.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pytest

import gustibus.social as g

FOLDER = os.environ.get("GUSTIBUS_PREFLIB", "")

RULES = {
    "plurality": (g.plurality, "scoring_methods"),
    "borda": (g.borda, "scoring_methods"),
    "anti_plurality": (g.veto, "scoring_methods"),
    "copeland": (g.copeland, "c1_methods"),
    "llull": (lambda p: g.copeland(p, t=1), "c1_methods"),
    "getcha": (g.smith_set, "c1_methods"),
    "gocha": (g.schwartz_set, "c1_methods"),
    "uc_gill": (g.uncovered_set, "c1_methods"),
    "uc_fish": (lambda p: g.uncovered_set(p, variant="fishburn"), "c1_methods"),
    "uc_bordes": (lambda p: g.uncovered_set(p, variant="bordes"), "c1_methods"),
    "uc_mckelvey": (lambda p: g.uncovered_set(p, variant="mckelvey"), "c1_methods"),
    "banks": (g.banks, "other_methods"),
    "slater": (lambda p: g.slater(p, all_optimal=True), "other_methods"),
    "kemmeny_young": (lambda p: g.kemeny(p, all_optimal=True), "other_methods"),
    "bucklin": (g.bucklin, "other_methods"),
    "simplified_bucklin": (g.simplified_bucklin, "other_methods"),
    "minimax": (g.minimax, "margin_based_methods"),
    "beat_path": (g.schulze, "margin_based_methods"),
    "split_cycle": (g.split_cycle, "margin_based_methods"),
    "stable_voting": (g.stable_voting, "margin_based_methods"),
    "simple_stable_voting": (g.simple_stable_voting, "margin_based_methods"),
    "instant_runoff": (g.instant_runoff, "iterative_methods"),
    "instant_runoff_put": (lambda p: g.instant_runoff(p, tie="put"), "iterative_methods"),
    "coombs": (g.coombs, "iterative_methods"),
    "baldwin": (g.baldwin, "iterative_methods"),
    "strict_nanson": (g.nanson, "iterative_methods"),
    "weak_nanson": (lambda p: g.nanson(p, variant="weak"), "iterative_methods"),
    "benham": (g.benham, "iterative_methods"),
    "plurality_with_runoff_put": (g.runoff, "iterative_methods"),
    "blacks": (g.black, "combined_methods"),
    "smith_irv": (g.smith_irv, "combined_methods"),
}


@pytest.fixture(scope="module")
def peer():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("pref_voting", reason="pref_voting is not installed")
        return pytest.importorskip("pref_voting.voting_methods", exc_type=ImportError)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.filterwarnings("ignore")
def test_winners_are_those_of_pref_voting(peer, name):
    del peer
    from importlib import import_module

    ours, module = RULES[name]
    theirs = getattr(import_module(f"pref_voting.{module}"), name)
    make = import_module("pref_voting.profiles").Profile
    rng = np.random.default_rng(0)
    slow = name in ("slater", "kemmeny_young", "banks")
    for _ in range(25 if slow else 60):
        m, n = int(rng.integers(2, 5 if slow else 7)), int(rng.integers(1, 9))
        rows, weights = np.argsort(rng.random((n, m)), 1), rng.integers(1, 4, n)
        expected = theirs(make(rows.tolist(), rcounts=weights.tolist()))
        assert sorted(ours(g.Profile(rows, weights=weights)).winners) == sorted(map(int, expected))


@pytest.mark.skipif(not FOLDER, reason="GUSTIBUS_PREFLIB names no folder")
@pytest.mark.filterwarnings("ignore")
def test_every_preflib_file_is_decided_by_every_rule():
    files = [
        f
        for f in sorted(Path(FOLDER).iterdir())
        if f.suffix in (".soc", ".soi", ".toc", ".toi", ".cat")
    ]
    assert files
    for file in files:
        profile = g.Profile.read(file)
        for name in g.rules():
            m = profile.n_items
            options = {"positional": {"vector": range(m, 0, -1)}, "kemeny": {"nodes": 20_000},
                       "slater": {"nodes": 20_000}, "stv": {"seats": min(3, m)}}.get(name)  # fmt: skip
            if name in ("meek", "warren") and not profile.is_strict:
                continue
            if name in ("banks", "stable_voting", "simple_stable_voting") and m > 20:
                continue
            decision = g.decide(profile, name, options=options)
            assert sorted(decision.order_ids) == list(range(m)), (file, name)
            if name in ("schulze", "ranked_pairs", "split_cycle", "kemeny", "copeland"):
                champion = g.condorcet_winner(profile).winners
                assert not champion or decision.winners == champion, (file, name)
        distant = g.distances(profile, g.kemeny(profile, nodes=20_000).order, penalty=0.0)
        assert np.isfinite(distant).all()
