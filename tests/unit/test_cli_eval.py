"""`gustibus eval` from the command line, on a folder of its own."""

import json

import numpy as np
import pytest

from gustibus.artifact import Artifact
from gustibus.cli.app import run
from gustibus.data import given_split, read, write_folder
from gustibus.data.synthetic import linear_mixture_world
from gustibus.evaluation import Report

SMALL = ("--draws", "2", "--shots", "0,5", "--resamples", "1000")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A data folder, another with other answers, and two models trained on the first."""
    root = tmp_path_factory.mktemp("eval")
    for name, seed in (("data", 0), ("other", 1)):
        dataset, _ = linear_mixture_world(
            seen=24, new=12, train=20, test=20, support=12, query=20, seed=seed
        )
        write_folder(dataset, root / name)
    for name in ("one", "two"):
        assert train(root, name) == 0
    return root


def train(root, name, *more, data="data"):
    return run([
        "train", str(root / data), "-o", str(root / name), "--model", "bt", "--set", "ridge=10",
        "--questions", "0", *more,
    ])  # fmt: skip


def test_saved_models_are_judged_beside_baselines_and_a_family_fitted_here(place, capsys):
    out = place / "results"
    code = run([
        "eval", str(place / "data"), "--model", str(place / "one"), "--train", "bt",
        "--set", "bt.ridge=3", "--baseline", "shrunk", "-o", str(out), *SMALL,
    ])  # fmt: skip
    said = capsys.readouterr()
    assert code == 0, said.err
    report = Report.load(out)
    assert [m.name for m in report.methods] == ["one", "bt", "linear", "shrunk", "length"]
    assert report.method("one").digest == Artifact.load(place / "one").digest
    assert (out / "curve.png").exists()
    shown = report.method("one").point("query", 5).accuracy
    assert f"{shown.value:.3f}" in said.out
    assert "tells methods apart" in said.out
    assert "nan" not in said.out


def test_the_held_out_people_are_those_of_the_training_run(place, capsys):
    assert run(["eval", str(place / "data"), "--model", str(place / "one"), "--json", *SMALL]) == 0
    report = Report.from_json(json.loads(capsys.readouterr().out))
    dataset = read(place / "data")
    split = given_split(dataset, seed=0, repeats="drop")
    assert report.split == {name: len(rows) for name, rows in split.items()}
    card = Artifact.load(place / "one").card
    assert report.split == card["split"]
    assert report.digest == card["data"]["digest"]
    assert report.people["new"] == 12


def test_several_models_are_put_side_by_side(place, capsys):
    code = run([
        "eval", str(place / "data"), "--model", str(place / "one"), "--model", str(place / "two"),
        "--json", *SMALL,
    ])  # fmt: skip
    assert code == 0
    report = Report.from_json(json.loads(capsys.readouterr().out))
    assert report.difference("one", "two", shots=5).accuracy.value == 0
    assert report.seed == 0


def test_a_run_file_says_where_data_and_model_are(place, capsys):
    path = place / "run.toml"
    path.write_text(
        f'output = "{place / "one"}"\n[data]\npath = "{place / "data"}"\n[model]\nname = "bt"\n'
    )
    assert run(["eval", str(path), "--json", *SMALL]) == 0
    report = Report.from_json(json.loads(capsys.readouterr().out))
    assert report.methods[0].name == "one"


def test_without_models_the_baselines_say_what_the_data_is_worth(place, capsys):
    assert run(["eval", str(place / "data"), "--json", *SMALL]) == 0
    report = Report.from_json(json.loads(capsys.readouterr().out))
    assert [m.name for m in report.methods] == ["linear", "shrunk", "item_mean", "length"]


def test_other_data_than_the_model_was_trained_on_is_refused_unless_forced(place, capsys):
    command = ["eval", str(place / "other"), "--model", str(place / "one"), *SMALL]
    assert run(command) == 1
    assert "was trained on other data" in capsys.readouterr().err
    # Its people have the names of the first folder's, but no new one is among the seen ones there.
    assert run([*command, "--force", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["dataset"] == "other"


def test_a_model_that_knows_the_held_out_people_is_refused_even_when_forced(place, capsys):
    assert train(place, "all", "--split", "all") == 0
    capsys.readouterr()
    command = ["eval", str(place / "data"), "--model", str(place / "all"), *SMALL]
    assert run(command) == 1
    assert "nothing is held out" in capsys.readouterr().err
    assert run([*command, "--force"]) == 1
    assert "of the people that the split holds out" in " ".join(capsys.readouterr().err.split())


def test_models_of_different_splits_are_not_mixed(place, capsys):
    assert train(place, "seeded", "--seed", "4") == 0
    capsys.readouterr()
    code = run([
        "eval", str(place / "data"), "--model", str(place / "one"),
        "--model", str(place / "seeded"), *SMALL,
    ])  # fmt: skip
    assert code == 1
    assert "seed is 0 and 4" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--model", "nowhere"], 3, "no such folder"),
        (["--shots", "a,b"], 2, "--shots"),
        (["--train", "palm"], 1, "did you mean"),
        (["--baseline", "shrink"], 1, "shrunk"),
        (["--train", "bt", "--set", "ridge=3"], 2, "FAMILY.NAME=VALUE"),
        (["--resamples", "10"], 1, "at least 1000"),
    ],
)
def test_mistakes_are_told_in_one_line(place, capsys, arguments, code, message):
    assert run(["eval", str(place / "data"), "--draws", "1", *arguments]) == code
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


def test_data_that_is_not_there_is_not_found(place, capsys):
    assert run(["eval", str(place / "nothing")]) == 3
    assert "nothing" in capsys.readouterr().err


def test_the_seed_decides_the_draws(place, capsys):
    found = []
    for seed in ("1", "1", "2"):
        assert run(["eval", str(place / "data"), "--seed", seed, "--json", *SMALL]) == 0
        report = Report.from_json(json.loads(capsys.readouterr().out))
        found.append(report.method("shrunk").point("query", 5).accuracy)
    assert found[0] == found[1]
    assert not np.isclose(found[0].low, found[2].low)
