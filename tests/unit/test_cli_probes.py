"""`gustibus eval --probe` and `gustibus data` from the command line."""

import json

import numpy as np
import pytest

from gustibus.cli.app import run
from gustibus.curation import read_labels
from gustibus.data import write_folder
from gustibus.data.synthetic import linear_mixture_world
from gustibus.evaluation.probes.surface import SURFACE


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_a_probe_runs_on_the_columns_of_a_table(tmp_path, capsys):
    rows = [{"user": u, "margins": m} for u, m in zip("aabb", [2, -0.5, 0.3, 1.2], strict=True)]
    table = write(tmp_path / "t.jsonl", rows)
    assert run(["eval", table, "--probe", "pair_ece", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["findings"][0]
    assert found["figures"]["pair_ece"] == pytest.approx(0.349674, abs=1e-6)
    assert found["by"]["user"]["a"]["rows"] == 2
    out = tmp_path / "out"
    code = run([
        "eval", table, "--probe", "pair_ece", "--set", "pair_ece.bins=1", "--by", "", "-o", str(out),
    ])  # fmt: skip
    assert code == 0
    assert "pair_ece" in capsys.readouterr().out
    saved = json.loads((out / "probes.json").read_text())["findings"][0]
    assert saved["options"] == {"bins": 1}
    assert saved["by"] == {}


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (["--probe", "pair_ecce"], 1, "no probe 'pair_ecce'; did you mean"),
        (["--probe", "pair_ece", "--set", "bins=3"], 2, "expected PROBE.NAME=VALUE"),
        (["--probe", "pair_ece", "--set", "pair_ece.binz=3"], 2, "no option 'binz'"),
        (["--probe", "stance_shifts"], 1, "expected the columns"),
        (["--probe", "pair_ece", "--model", "x", "--model", "y"], 2, "expected one model"),
        (["--probe", "pair_ece", "--probe", "rewardbench", "--model", "x"], 2, "one kind of row"),
    ],
)
def test_what_cannot_be_run_is_told_in_a_line(tmp_path, capsys, more, code, message):
    table = write(tmp_path / "t.jsonl", [{"margins": 1.0}])
    assert run(["eval", table, *more]) == code
    assert message in capsys.readouterr().err


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("probes")
    dataset, _ = linear_mixture_world(
        seen=24, new=12, train=20, test=20, support=12, query=20, seed=0
    )
    write_folder(dataset, root / "data")
    done = run([
        "train", str(root / "data"), "-o", str(root / "bt"), "--model", "bt", "--set", "ridge=10",
        "--questions", "0",
    ])  # fmt: skip
    assert done == 0
    return root


def test_a_model_is_probed_on_what_its_training_held_out(trained, capsys):
    code = run([
        "eval", str(trained / "data"), "--model", str(trained / "bt"), "--probe", "pair_ece",
        "--probe", "side_effect", "--probe", "property_effects", "--by", "user,part", "--json",
    ])  # fmt: skip
    assert code == 0
    calibration, side, effects = json.loads(capsys.readouterr().out)["findings"]
    assert calibration["rows"] == side["rows"] > 200
    assert 0 <= calibration["figures"]["pair_ece"] < 0.5
    assert set(calibration["by"]["part"]) <= {"test", "test_new_items", "query", "query_new_items"}
    assert len(calibration["by"]["user"]) > 12
    assert set(effects["figures"]) == set(SURFACE)


def test_a_benchmark_is_scored_by_a_model(tmp_path, capsys):
    pairs = [(f"a kind answer {i}", f"a rude answer {i}") for i in range(8)]
    log = write(
        tmp_path / "log.jsonl",
        [
            {"user": f"u{u}", "prompt": "p", "chosen": w, "rejected": x}
            for u in range(16)
            for w, x in pairs
        ],
    )
    model, out = str(tmp_path / "model"), tmp_path / "out"
    assert run([
        "train", log, "-o", model, "--model", "bt", "--set", "ridge=10", "--encoder", "hashing",
        "--split", "all", "--questions", "0",
    ]) == 0  # fmt: skip
    bench = write(
        tmp_path / "bench.jsonl",
        [
            {
                "prompt": "q",
                "chosen": ["kind"],
                "rejected": ["rude", "rude words"],
                "subset": "Focus",
            }
        ],
    )
    assert run([
        "eval", bench, "--model", model, "--probe", "rewardbench", "--layout", "rewardbench2",
        "-o", str(out),
    ]) == 0  # fmt: skip
    found = json.loads((out / "probes.json").read_text())["findings"][0]
    assert found["figures"] == {"subset/Focus": 1.0, "Focus": 1.0, "overall": 1.0}


LOG = [
    {"user": "u", "prompt": "p", "response_a": "yes", "response_b": "no", "target": 1,
     "scores_w": [g], "scores_l": [0.0]} for g in (2.0, -1.0, 0.5)
]  # fmt: skip


def test_labels_are_annotated_in_a_new_file_and_switched_back(tmp_path, capsys):
    log = write(tmp_path / "log.jsonl", LOG)
    before = (tmp_path / "log.jsonl").read_bytes()
    labelled, back = tmp_path / "labels.parquet", tmp_path / "back.jsonl"
    add = ["data", "add", "strength", log, "-o", str(labelled), "--set", "flip=0.4", "--json"]
    assert run(add) == 0
    assert json.loads(capsys.readouterr().out)["strength"] == {"rows": 3, "counting": 3}
    assert run(add) == 1
    assert "never overwritten" in capsys.readouterr().err
    assert run(["data", "switch", str(labelled), "-o", str(back), "--off", "strength"]) == 0
    assert [r["target"] for r in read_labels(back).counting()] == [1, 1, 1]
    assert run(["data", "uses", str(back)]) == 0
    assert "strength: 3 rows, 0 count" in capsys.readouterr().out
    assert (tmp_path / "log.jsonl").read_bytes() == before


def test_pairs_made_of_single_responses_join_a_table(tmp_path, capsys):
    log = write(tmp_path / "log.jsonl", LOG)
    items = write(
        tmp_path / "items.jsonl",
        [{"prompt": "q", "response": f"r{i}", "rating": i, "user": "u"} for i in range(3)],
    )
    out = tmp_path / "joined.parquet"
    code = run(["data", "add", "curriculum", items, "--into", log, "-o", str(out), "--json"])
    assert code == 0
    assert json.loads(capsys.readouterr().out) == {
        "recorded": {"rows": 3, "counting": 3}, "curriculum": {"rows": 2, "counting": 2},
    }  # fmt: skip
    table = read_labels(out)
    assert table["prompt_a"].tolist() == ["p"] * 3 + ["q"] * 2
    np.testing.assert_array_equal(table["seed"], -1)


def test_builders_are_listed(capsys):
    assert run(["data", "builders", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["strength"]["columns"] == ["scores_w", "scores_l"]
    assert rows["tree"]["reads"] == "items"
    assert run(["data", "builders"]) == 0
    assert "options: flip, soften, rest" in capsys.readouterr().out
