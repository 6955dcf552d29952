"""Every probe keeps the laws that its row names, and every probe has to be given rows here."""

from __future__ import annotations

import numpy as np
import pytest

import gustibus.evaluation
import gustibus.robustness  # noqa: F401 - lists its probes
from gustibus.errors import ConfigError, InputError, NotFiniteError, UnknownNameError
from gustibus.evaluation.probes import PROBES, arguments, run_probe

N = 48
LAWS = {"user_renaming", "row_order", "perfect"}


def draw(name, rng):
    """Any rows that the probe reads."""
    normal, chance = rng.standard_normal, rng.random
    logps = {c: -20 + 3 * normal(N) for c in ("pi_w", "pi_l", "ref_w", "ref_l")}
    scores = {c: normal(N) for c in ("score_w", "score_l", "score_edited")}
    words = np.array(["support", "neutral", "oppose"], dtype=object)
    names = {
        "section": rng.choice(["multi-hop", "citation", "abstain", "conflict"], N).astype(object),
        "subset": rng.choice(["math-prm", "hep-go", "donotanswer"], N).astype(object),
    }
    rows = {
        "alignment_gap": {**logps, "alpha": chance(N)},
        "conflict_rate": {"verdict": rng.integers(-1, 2, N), "swapped": rng.integers(-1, 2, N)},
        "idealized_accuracy": {"ref_w": logps["ref_w"], "ref_l": logps["ref_l"], "alpha": chance(N)},
        "linear_probe": {
            "vectors": normal((N, 3)), "labels": np.arange(N) % 2, "train": np.arange(N) % 4 < 2,
        },
        "list_accuracy": {"scores": normal((N, 2))},
        "mean_position_entropy": {"pairs": rng.integers(1, 4, (N, 6, 2))},
        "pair_brier": {"margins": normal(N)},
        "pair_difficulty": {"ref_w": logps["ref_w"], "ref_l": logps["ref_l"]},
        "pair_ece": {"margins": normal(N)},
        "property_effects": {"x": rng.integers(-1, 2, (N, 3)), "y": chance(N) < 0.5},
        "proxy_agreement": {
            "checkpoint": np.arange(N) % 4, "proxy": scores["score_w"], "learnt": scores["score_l"],
        },
        "rag_subsets": {**names, "score_w": scores["score_w"], "score_l": scores["score_l"]},
        "rank_boost": {
            "rank_before": rng.integers(1, 9, N), "rank_after": rng.integers(1, 9, N),
        },
        "ranking_accuracy": {
            "pi_w": logps["pi_w"], "pi_l": logps["pi_l"], "len_w": rng.integers(1, 9, N),
            "len_l": rng.integers(1, 9, N), "tie": chance(N) < 0.2,
        },
        "reward_accuracy": logps,
        "rewardbench": {**names, "score_w": scores["score_w"], "score_l": scores["score_l"]},
        "robustness": {"perturbation": rng.choice(["flattery", "padding"], N).astype(object), **scores},
        "rubric_scores": {
            "points": [["Style", "Colour - Red"]] * N, "verdicts": rng.integers(0, 2, (N, 2)).tolist(),
        },
        "side_effect": {"chose_a": chance(N) < 0.5},
        "stance_drift": {
            "checkpoint": np.arange(N) % 3, "topic": np.array(["t", "u"], object)[np.arange(N) // 3 % 2],
            "stance": rng.choice(words, N).astype(object),
        },
        "stance_shifts": {
            "before": rng.integers(0, 2, (N, 5)).tolist(), "after": rng.integers(0, 2, (N, 5)).tolist(),
            "target": rng.integers(0, 2, N),
        },
        "temperature_scaling": {"margins": normal(N) + 0.3},
        "value_gap": {c: rng.choice(words, N).astype(object) for c in ("stance_w", "stance_l")},
    }  # fmt: skip
    return rows[name]


UP, DOWN = np.ones(N), np.zeros(N)
PERFECT = {
    "alignment_gap": (
        {"pi_w": UP, "pi_l": DOWN, "ref_w": DOWN, "ref_l": UP, "alpha": UP}, {"alignment_gap": 0},
    ),
    "conflict_rate": ({"verdict": UP, "swapped": UP}, {"conflict_rate": 0}),
    "idealized_accuracy": ({"ref_w": UP, "ref_l": DOWN, "alpha": UP}, {"idealized_accuracy": 1}),
    "linear_probe": (
        {"vectors": np.array([[-1.0], [1.0]] * (N // 2)), "labels": [0, 1] * (N // 2),
         "train": [1, 1, 0, 0] * (N // 4)}, {"linear_probe": 1},
    ),
    "list_accuracy": ({"scores": np.array([[3, 2, 1]] * N)}, {"list_accuracy": 1}),
    "mean_position_entropy": ({"pairs": np.array([[[8, 2], [7, 3]]] * N)}, {"mean_position_entropy": 0}),
    "pair_brier": ({"margins": 50 * UP}, {"pair_brier": 0}),
    "pair_ece": ({"margins": 50 * UP}, {"pair_ece": 0}),
    "proxy_agreement": (
        {"checkpoint": np.arange(N) % 4, "proxy": np.arange(N) % 4, "learnt": np.arange(N) % 4 / 9},
        {"proxy_agreement": 1, "healthy": 1},
    ),
    "rag_subsets": (
        {"section": ["multi-hop", "citation", "abstain", "conflict"] * (N // 4), "subset": ["s"] * N,
         "score_w": UP, "score_l": DOWN}, {"overall": 1, "helpful": 1, "harmless": 1},
    ),
    "rank_boost": ({"rank_before": UP, "rank_after": UP}, {"rank_boost": 0}),
    "ranking_accuracy": ({"pi_w": UP - 3, "pi_l": DOWN - 3}, {"ranking_accuracy": 1}),
    "reward_accuracy": (
        {"pi_w": UP, "pi_l": DOWN, "ref_w": DOWN, "ref_l": DOWN}, {"reward_accuracy": 1},
    ),
    "rewardbench": (
        {"section": ["Chat"] * N, "subset": ["s"] * N, "score_w": UP, "score_l": DOWN}, {"overall": 1},
    ),
    "robustness": (
        {"perturbation": ["flattery"] * N, "score_w": UP, "score_l": DOWN, "score_edited": DOWN},
        {"flip_rate": 0, "gain": 0},
    ),
    "rubric_scores": ({"points": [["Style"]] * N, "verdicts": [[1]] * N}, {"overall": 1}),
    "stance_drift": (
        {"checkpoint": np.arange(N) % 2, "topic": ["t"] * N, "stance": ["neutral"] * N}, {"magnitude": 0},
    ),
    "stance_shifts": (
        {"before": [[0, 1]] * N, "after": [[0, 1]] * N, "target": [1] * N},
        {"change": 0, "attack_success": 0},
    ),
}  # fmt: skip


def test_every_probe_names_laws_that_are_checked_here():
    for name, entry in PROBES.items():
        assert set(entry.laws) <= LAWS
        assert ("perfect" in entry.laws) == (name in PERFECT)


@pytest.mark.parametrize("name", sorted(PROBES))
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_plays_no_part(name, seed):
    rng = np.random.default_rng(seed)
    columns = draw(name, rng)
    order = rng.permutation(N)
    turned = {c: [values[i] for i in order] for c, values in columns.items()}
    before, after = run_probe(name, columns).figures, run_probe(name, turned).figures
    assert before.keys() == after.keys()
    for key in before:
        assert after[key] == pytest.approx(before[key], abs=1e-9, nan_ok=True), key


@pytest.mark.parametrize("name", sorted(PROBES))
def test_renaming_people_renames_their_figures_and_changes_nothing_else(name):
    rng = np.random.default_rng(0)
    columns = draw(name, rng)
    who = np.array(["ada", "bo"], dtype=object)[np.arange(N) // 24]
    new = {"ada": "zoe", "bo": "ada"}
    before = run_probe(name, {**columns, "user": who})
    after = run_probe(name, {**columns, "user": [new[w] for w in who]})
    assert after.figures == pytest.approx(before.figures, nan_ok=True)
    for old, part in before.by["user"].items():
        renamed = after.by["user"][new[old]]
        assert renamed.rows == part.rows == 24
        assert renamed.figures == pytest.approx(part.figures, nan_ok=True)


@pytest.mark.parametrize("name", sorted(PROBES))
def test_the_rows_of_one_person_change_nobody_elses_figures(name):
    columns, other = (draw(name, np.random.default_rng(seed)) for seed in (0, 1))
    who = ["ada"] * 24 + ["bo"] * 24
    mixed = {c: [*values[:24], *other[c][24:]] for c, values in columns.items()}
    before = run_probe(name, {**columns, "user": who}).by["user"]["ada"].figures
    after = run_probe(name, {**mixed, "user": who}).by["user"]["ada"].figures
    assert after == pytest.approx(before, nan_ok=True)


@pytest.mark.parametrize("name", sorted(PERFECT))
def test_a_perfect_model_has_the_value_that_is_stated(name):
    columns, expected = PERFECT[name]
    figures = run_probe(name, columns).figures
    for key, value in expected.items():
        assert figures[key] == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("name", sorted(PROBES))
def test_a_missing_column_and_an_unknown_option_are_named(name):
    columns = draw(name, np.random.default_rng(0))
    needed = arguments(name).needed[0]
    with pytest.raises(InputError, match=needed):
        run_probe(name, {c: v for c, v in columns.items() if c != needed})
    with pytest.raises(ConfigError, match="no option 'nonsense'"):
        run_probe(name, columns, nonsense=1)


@pytest.mark.parametrize(
    ("name", "column"),
    [(n, c) for n in sorted(PROBES) for c in arguments(n).needed
     if c not in {"points", "verdicts", "before", "after", "stance", "stance_w", "stance_l"}],
)  # fmt: skip
def test_nan_is_refused(name, column):
    columns = dict(draw(name, np.random.default_rng(0)))
    spoilt = np.array(columns[column], dtype=object)
    spoilt[(0,) * spoilt.ndim] = float("nan")
    columns[column] = spoilt
    with pytest.raises((NotFiniteError, InputError), match=column):
        run_probe(name, columns)


@pytest.mark.parametrize("name", sorted(PROBES))
def test_no_rows_are_refused(name):
    columns = {c: [] for c in draw(name, np.random.default_rng(0))}
    with pytest.raises(InputError):
        run_probe(name, columns)


def test_an_unknown_probe_has_its_neighbours_named():
    with pytest.raises(UnknownNameError, match=r"no probe 'pair_ecce'; did you mean \['pair_ece'"):
        run_probe("pair_ecce", {})
    assert "pair_ecce" not in PROBES
    assert "position_entropy" not in PROBES  # a method of another table
