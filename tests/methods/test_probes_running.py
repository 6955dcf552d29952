"""Probes on tables: figures by person and group, reports, and the experiment matrix."""

import json

import numpy as np
import pytest

from gustibus.errors import DimensionError, InputError
from gustibus.evaluation.probes import ablate, arguments, probe, run_probe

COLUMNS = {
    "margins": [2.0, -0.5, 0.3, 1.2], "user": ["ada", "ada", "bo", "bo"], "group": [1, 1, 1, 2],
}  # fmt: skip


def test_figures_are_told_apart_by_person_and_group_with_counts():
    found = run_probe("pair_brier", COLUMNS)
    assert found.rows == 4
    assert {k: part.rows for k, part in found.by["user"].items()} == {"ada": 2, "bo": 2}
    assert {k: part.rows for k, part in found.by["group"].items()} == {"1": 3, "2": 1}
    parts = found.by["user"].values()
    mean = np.mean([part.figures["pair_brier"] for part in parts])
    assert mean == pytest.approx(found.figures["pair_brier"])


def test_arguments_say_which_columns_and_options_a_probe_has():
    assert arguments("ranking_accuracy") == (("pi_w", "pi_l"), ("len_w", "len_l", "tie"), ())
    assert arguments("pair_ece") == (("margins",), (), ("bins",))


def test_parts_with_too_few_rows_have_no_figures():
    rows = {"vectors": np.eye(8), "labels": [0, 1] * 4, "train": [1, 1, 1, 1, 0, 0, 0, 0]}
    found = run_probe("linear_probe", {**rows, "user": ["x"] * 7 + ["y"]})
    assert found.by["user"]["y"].figures == {}
    assert found.by["user"]["y"].rows == 1


def test_a_report_is_saved_as_json_and_markdown(tmp_path):
    report = probe(
        "table", COLUMNS, ["pair_ece", "side_effect"][:1], options={"pair_ece": {"bins": 5}}
    )
    report.save(tmp_path / "out")
    data = json.loads((tmp_path / "out" / "probes.json").read_text("utf-8"))
    assert data["findings"][0]["options"] == {"bins": 5}
    assert data["findings"][0]["by"]["user"]["ada"]["rows"] == 2
    text = (tmp_path / "out" / "probes.md").read_text("utf-8")
    assert "## pair_ece" in text
    assert "| ada | 2 |" in text


def test_long_tables_are_cut_in_markdown_alone():
    columns = {"margins": np.ones(60), "user": [f"u{i}" for i in range(60)]}
    report = probe("table", columns, ["pair_ece"])
    assert "40 more are in the JSON" in report.markdown()
    assert len(report.as_json()["findings"][0]["by"]["user"]) == 60


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(DimensionError, match="equal lengths"):
        run_probe("pair_ece", {"margins": [1.0, 2.0], "user": ["ada"]})


def experiment(config):
    people = np.random.default_rng(0).standard_normal(80) * 0.05
    effect = {"data": {"small": 0.0, "clean": 0.08}, "loss": {"dpo": 0.0, "ppo": 0.01}}
    return 0.6 + people + sum(effect[name][level] for name, level in config.items())


def test_one_factor_at_a_time_is_varied_and_the_largest_effect_comes_first():
    runs = []

    def run(config):
        runs.append(dict(config))
        return experiment(config)

    found = ablate(
        run, {"data": "small", "loss": "dpo"}, {"data": ["small", "clean"], "loss": ["ppo"]}
    )
    assert runs == [
        {"data": "small", "loss": "dpo"}, {"data": "clean", "loss": "dpo"},
        {"data": "small", "loss": "ppo"},
    ]  # fmt: skip
    assert [(c.factor, c.level) for c in found.changes] == [("data", "clean"), ("loss", "ppo")]
    delta = found.changes[0].delta
    assert delta.value == pytest.approx(0.08)
    assert delta.low == pytest.approx(0.08)
    assert delta.high - delta.low < 1e-9  # paired: what people have in common drops out
    assert "| data = clean |" in found.markdown()


def test_experiments_judge_the_same_people():
    with pytest.raises(DimensionError, match="figures of 2 people as in the base, got 3"):
        ablate(lambda c: [0.1] * (2 + c["x"]), {"x": 0}, {"x": [1]})
    with pytest.raises(InputError, match="levels: expected factors among"):
        ablate(lambda c: [0.1], {"x": 0}, {"y": [1]})
