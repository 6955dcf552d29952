"""The benchmark of quality: one table of several data sets, and no work done twice."""

import runpy
import sys
from pathlib import Path

import pytest

from gustibus.data import write_folder
from gustibus.data.synthetic import linear_mixture_world
from gustibus.evaluation import Report

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "quality.py"


@pytest.fixture
def folder(tmp_path):
    for seed, name in enumerate(("first", "second")):
        dataset, _ = linear_mixture_world(
            seen=24, new=12, train=20, test=20, support=12, query=20, seed=seed
        )
        write_folder(dataset, tmp_path / name)
    return tmp_path


def quality(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    return ended.value.code


def test_a_run_writes_one_report_a_data_set_and_goes_on_where_it_was(folder, monkeypatch, capsys):
    out = folder / "out"
    common = ("--out", out, "--draws", "2", "--set", "bt.ridge=10")
    assert quality(monkeypatch, folder, "--data", "first", "--families", "bt", *common) == 0
    assert "trained" in capsys.readouterr().out
    assert quality(monkeypatch, folder, "--families", "bt", *common) == 0
    said = capsys.readouterr().out
    assert "first: report kept" in said
    assert "first/bt: trained" not in said
    assert "second/bt: trained" in said
    shown = Report.load(out / "first").method("bt").point("query", 5).accuracy
    table = (out / "quality.md").read_text()
    assert "| `bt` |" in table
    assert f"{shown.value:.3f} [{shown.low:.3f}, {shown.high:.3f}]" in table
    assert quality(monkeypatch, folder, "--families", "bt", *common[:4]) == 0  # other options
    assert "first/bt: trained" in capsys.readouterr().out


def test_a_family_that_fails_is_told_and_the_others_go_on(folder, monkeypatch, capsys):
    code = quality(
        monkeypatch, folder, "--data", "first", "--families", "bt", "pal", "--out", folder / "out",
        "--draws", "2", "--set", "pal.variant=c", "bt.ridge=10",
    )  # fmt: skip
    assert code == 4
    assert "first pal" in capsys.readouterr().err
    assert Report.load(folder / "out" / "first").method("bt").kind == "model"
