"""Answers that count for how strongly the one was preferred."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from gustibus import Scorer
from gustibus.artifact import Artifact
from gustibus.bench import GRADED, LeagueConfig, run_league
from gustibus.cli.app import app
from gustibus.data import write_folder
from gustibus.data.strengths import MOST, Strengths, strengths_of
from gustibus.data.synthetic import demo_world, linear_mixture_world
from gustibus.errors import ConfigError, InputError
from gustibus.evaluation import Modelled
from gustibus.training import RunConfig, train

QUICK = {"ridges": [10.0], "equalise": [0.5], "rounds": 3}


def told(seed: int = 0, *, true: bool, column: str = "how_much"):
    """A world in which half of the answers are slight, and at random if strengths are `true`."""
    dataset, truth = linear_mixture_world(
        seen=60, new=20, train=30, test=20, support=12, query=20, seed=seed
    )
    c, rng = dataset.comparisons, np.random.default_rng(seed)
    slight = rng.random(len(c)) < 0.5
    unsure = slight if true else rng.random(len(c)) < 0.5
    unsure &= ~np.isin(c.split, ["query", "test", "test_new_items"])
    target = np.where(unsure, rng.integers(0, 2, len(c)), c.target).astype(np.float32)
    column_of = {column: np.where(slight, 1.0, 8.0)}
    return replace(dataset, comparisons=replace(c, target=target), row_table=column_of), truth


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("strengths")
    for name, true in (("true", True), ("empty", False)):
        write_folder(told(true=true)[0], found / name)
    return found


def fitted(folder, name, output, **more):
    return train(
        RunConfig(
            data=str(folder / name), output=str(folder / output), model="hierarchical",
            model_options=QUICK, questions=20, **more,
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def graded(folder) -> Artifact:
    return fitted(folder, "true", "graded", strengths="how_much")


def test_answers_with_a_strength_count_for_one_in_the_mean_and_the_stronger_for_more():
    strength = np.array([0.5, 1, 2, np.nan, 9, 3])
    rule = Strengths.fitted("s", 0.5, strength)
    weight = rule.weights(strength)
    assert weight[np.isfinite(strength)].mean() == pytest.approx(1)
    assert weight[3] == 1
    assert (np.diff(weight[[0, 1, 2, 5, 4]]) > 0).all()
    np.testing.assert_allclose(weight[4] / weight[1], 3)
    np.testing.assert_array_equal(Strengths.fitted("s", 0, strength).weights(strength), 1)
    assert Strengths("s", 1.0, 1.0).weights(np.array([1e-3, 1e3])).tolist() == [1 / MOST, MOST]
    assert Strengths.fitted("s", 1, np.array([np.nan])).weights(np.array([5.0])) == 5


@pytest.mark.parametrize("wrong", [-1, 0, "much", float("inf"), [2]])
def test_a_strength_that_is_none_is_named_with_its_row(wrong):
    dataset, _ = told(true=True)
    cells = np.full(len(dataset.comparisons), None, object)
    cells[7] = wrong
    with pytest.raises(InputError, match=r"numbers above 0 in column 's', got .* in row 7"):
        strengths_of(replace(dataset, row_table={"s": cells}), "s")


def test_empty_cells_and_ties_of_strength_0_say_nothing():
    dataset, _ = told(true=True)
    c = dataset.comparisons
    cells = np.full(len(c), "2.5", object)
    cells[:4] = None, "", float("nan"), 0
    target = c.target.copy()
    target[3] = 0.5
    dataset = replace(dataset, comparisons=replace(c, target=target), row_table={"s": cells})
    found = strengths_of(dataset, "s")
    assert np.isnan(found[:4]).all()
    assert (found[4:] == 2.5).all()
    with pytest.raises(InputError, match=r"no column 'other'; further columns: \['s'\]"):
        strengths_of(dataset, "other")


def test_held_out_people_say_whether_strengths_count(folder, graded):
    assert graded.strengths.exponent > 0
    losses = graded.card["strengths"]["losses"]
    assert losses["1.0"] < losses["0.0"]
    nothing = fitted(folder, "empty", "nothing", strengths="how_much")
    assert nothing.strengths.exponent == 0


def test_what_strengths_say_makes_a_better_model(folder, graded):
    from gustibus.data import read
    from gustibus.evaluation import evaluate

    plain = fitted(folder, "true", "plain")
    assert plain.strengths is None
    dataset = read(folder / "true")
    report = evaluate(dataset, models={"plain": plain, "graded": graded}, baselines=(), draws=2)
    found = {n: report.method(n).point("query", 10).log_loss.value for n in ("plain", "graded")}
    assert found["graded"] < found["plain"] - 0.01


def test_people_are_placed_by_answers_as_they_count(folder, graded):
    from gustibus.data import read

    dataset = read(folder / "true")
    weight = Modelled.of("graded", graded, dataset).weight
    strength = strengths_of(dataset, "how_much")
    np.testing.assert_allclose(weight, graded.strengths.weights(strength), rtol=1e-6)
    assert len(np.unique(weight)) == 2
    # exports of the service call the column `strength`
    renamed = replace(dataset, row_table={"strength": dataset.row_table["how_much"]})
    np.testing.assert_array_equal(Modelled.of("graded", graded, renamed).weight, weight)
    without = replace(dataset, row_table={})
    np.testing.assert_array_equal(Modelled.of("graded", graded, without).weight, 1)


def test_the_rule_is_kept_with_the_model(folder, graded):
    again = Artifact.load(folder / "graded")
    assert again.strengths == graded.strengths
    assert again.card["run"]["strengths"] == "how_much"


def test_a_fixed_exponent_asks_nobody(folder):
    found = fitted(folder, "true", "fixed", strengths="how_much", strength_exponent=1)
    assert found.strengths.exponent == 1
    assert "losses" not in found.card["strengths"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"strength_exponent": 0.5}, "needs a column of strengths"),
        ({"strengths": "s", "strength_exponent": 1.5}, r"expected a number in \[0, 1\]"),
        ({"strengths": "s", "strength_exponent": True}, r"expected a number in \[0, 1\]"),
        ({"strengths": 3}, "expected the name of a column"),
    ],
)
def test_a_run_that_cannot_be_is_refused(wrong, said):
    with pytest.raises(ConfigError, match=said):
        RunConfig(data="d", output="o", **wrong)


def test_a_column_that_is_empty_where_it_is_fitted_is_refused(folder, tmp_path):
    dataset, _ = told(true=True)
    cells = np.full(len(dataset.comparisons), None, object)
    cells[dataset.comparisons.split == "query"] = 2.0
    write_folder(replace(dataset, row_table={"s": cells}), tmp_path / "d")
    with pytest.raises(InputError, match="column 's' is empty in the rows to fit on"):
        train(RunConfig(data=str(tmp_path / "d"), output=str(tmp_path / "m"), strengths="s"))
    assert not (tmp_path / "m").exists()


def test_a_scorer_counts_a_strong_answer_for_more(tmp_path):
    world = demo_world(seed=0)
    rng = np.random.default_rng(0)
    dataset = replace(
        world.dataset, row_table={"s": rng.integers(1, 4, len(world.dataset.comparisons))}
    )
    write_folder(dataset, tmp_path / "d")
    artifact = train(
        RunConfig(
            data=str(tmp_path / "d"), output=str(tmp_path / "m"), model="hierarchical",
            model_options=QUICK, questions=0, strengths="s", strength_exponent=1.0,
            encoder="hashing",
        )
    )  # fmt: skip
    scorer = Scorer(artifact)
    answers = [("What now?", "Be brief.", "Let me tell you a long story about it.", 1.0)]
    slight, strong = (scorer.place(answers, strengths=[s]) for s in (1, 3))
    far = [np.linalg.norm(p.mean - scorer.place([]).mean) for p in (slight, strong)]
    assert 0 < far[0] < far[1]
    by_hand = scorer.place(answers * 3, strengths=[artifact.strengths.typical / 3 * 3] * 3)
    thrice = scorer.place(answers, strengths=[artifact.strengths.typical * 3])
    np.testing.assert_allclose(thrice.mean, by_hand.mean, atol=1e-6)
    np.testing.assert_array_equal(
        scorer.place(answers).mean, scorer.place(answers, strengths=[None]).mean
    )
    for wrong, said in (
        ([1, 2], "one for each of the 1 answers"), ([0], "a number above 0"),
        (["much"], "a number above 0"), (3, "a sequence of numbers"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=said):
            scorer.place(answers, strengths=wrong)


def test_a_league_sets_graded_methods_beside_the_others(folder):
    methods = {
        "hierarchical": GRADED["hierarchical-graded"]._replace(options=QUICK, graded=False),
        "hierarchical-graded": GRADED["hierarchical-graded"]._replace(options=QUICK),
    }
    config = LeagueConfig(
        (str(folder / "true"),), str(folder / "league"), methods=methods, draws=2,
        strengths="how_much",
    )  # fmt: skip
    report = run_league(config).standings[0].report
    plain, better = (report.method(name).point("query", 10).log_loss.value for name in methods)
    assert better < plain
    with pytest.raises(ConfigError, match="needs a column of strengths"):
        replace(config, strengths="")


def test_the_command_line_trains_with_strengths(folder, tmp_path):
    outcome = CliRunner().invoke(
        app,
        ["train", str(folder / "true"), "-o", str(tmp_path / "m"), "--model", "bt",
         "--strengths", "how_much", "--strength-exponent", "0.5", "--json"],
    )  # fmt: skip
    assert outcome.exit_code == 0, outcome.output
    assert json.loads(outcome.stdout)["strengths"]["exponent"] == 0.5
