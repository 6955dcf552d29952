"""The same winners as an independent library, and on files of real elections where they are given.

Set `GUSTIBUS_PREFLIB` to a folder of PrefLib files to run over them.
"""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import gustibus.social as g
from gustibus.errors import InputError

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


FILES = [
    file
    for file in (sorted(Path(FOLDER).iterdir()) if FOLDER else [])
    if file.suffix in (".soc", ".soi", ".toc", ".toi", ".cat")
]
#: What a rule may say of a file that it does not decide: it asks for other ballots or fewer items, or its
#: search, which is NP-hard, is capped.
REASONS = (
    r"cap: (the search|stable voting) needs more than \d+ (nodes|sets of items)"
    r"|time_limit: the search was not over"
    r"|expected .*(full strict|strict|without ties|at most \d+ items|at most \d+ in|for at most)"
)


CONDORCET = {
    "schulze", "ranked_pairs", "split_cycle", "kemeny", "copeland", "dodgson", "young",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(not FOLDER, reason="GUSTIBUS_PREFLIB names no folder")
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_rule_decides_a_preflib_file_or_says_why_not(file, record_property):
    profile = g.Profile.read(file)
    m = profile.n_items
    champion = g.condorcet_winner(profile).winners
    special = {
        "positional": {"vector": list(range(m, 0, -1))},
        "kemeny": {"nodes": 20_000},
        "slater": {"nodes": 20_000},
        "weak_kemeny": {"kicks": 2},
        "stv": {"seats": min(3, m)},
    }
    refused = {}
    for row in g.rules():
        try:
            decision = g.decide(profile, row, options=special.get(row), time_limit=2.0)
        except InputError as error:
            refused[row] = str(error)
            continue
        assert sorted(decision.order_ids) == list(range(m)), row
        if row in CONDORCET:
            assert not champion or decision.winners == champion, row
    for row, reason in refused.items():
        record_property(row, reason)
        assert re.search(REASONS, reason), (row, reason)
    distant = g.distances(profile, g.kemeny(profile, nodes=20_000).order, penalty=0.0)
    assert np.isfinite(distant).all()
