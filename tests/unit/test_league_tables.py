"""Tables, claims and pictures of a league, from figures made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gustibus.bench.claims import new_items
from gustibus.bench.standings import League, Standing
from gustibus.evaluation import Report
from gustibus.evaluation.intervals import Estimate
from gustibus.evaluation.judging import ALL
from gustibus.evaluation.report import Bin, Cell, Difference, Method, Point, Swap, Verdict

SIZES = (0, 1, 5, 10)
ZERO = Estimate(0.0, 0.0, 0.0, 0.0, 60)


def near(value: float, error: float = 0.02) -> Estimate:
    return Estimate(value, value - 1.96 * error, value + 1.96 * error, error, 60)


def method(name: str, accuracy: float, parts: list[str], *, kind: str = "model") -> Method:
    figures = (near(accuracy), near(accuracy), near(0.6), near(0.2), near(0.03), near(0.4))
    bins = tuple(Bin(p, p - 0.02, 100) for p in (0.55, 0.7, 0.9))
    personal = kind == "model" and name != "bt"
    new = [part for part in parts if part.startswith("query")]
    return Method(
        name, name, kind, personal, 10 * accuracy, 400.0 * accuracy if personal else 0.0, 440, "",
        tuple(Cell(part, 600, *figures, bins, (60,)) for part in parts),
        tuple(Point(part, n, 0, *figures, ZERO, ZERO) for part in new for n in SIZES),
        Swap(near(accuracy), near(0.5), near(accuracy - 0.5), True, False) if personal else None,
    )  # fmt: skip


def standing(name: str, accuracies: dict[str, float], parts: list[str]) -> Standing:
    kinds = {"linear": "baseline", "length": "rule"}
    methods = [method(n, a, parts, kind=kinds.get(n, "model")) for n, a in accuracies.items()]
    differences = [
        Difference(part, shots, one, other, near(accuracies[one] - accuracies[other], 0.004),
                   near(accuracies[other] - accuracies[one], 0.004), ZERO, ZERO)
        for place, one in enumerate(accuracies) for other in [*accuracies][place + 1 :]
        for part in parts for shots in (*(SIZES if part.startswith("query") else ()), ALL)
    ]  # fmt: skip
    report = Report(
        name, "", {"train": 1000}, {}, {"seen": 200, "new": 60}, parts[0], 5, SIZES, 10, 0, 1000,
        0.95, "", {}, tuple(methods), tuple(differences), (), Verdict(True, True, ()),
    )  # fmt: skip
    return Standing(name, 0, report, {}, {})


FEW = {"bt": 0.6, "hierarchical": 0.66, "auto": 0.65, "linear": 0.6, "length": 0.55}


def test_all_four_cells_are_shown_and_a_cell_without_rows_is_named():
    found = League((
        standing("one", FEW, ["test", "test_new_items", "query"]), standing("two", FEW, ["query"]),
    ))  # fmt: skip
    text = found.markdown()
    titles = [line for line in text.splitlines() if line.startswith("### ") and "people" in line]
    assert titles[:5] == [
        "### new people, known items, 5 answers",
        "### new people, known items, 10 answers",
        "### new people, new items",
        "### seen people, known items, all their answers",
        "### seen people, new items, all their answers",
    ]
    assert "No data set has answers in this cell (`query_new_items`)." in text
    shown = text.split("### seen people, new items")[1].split("###")[0]
    assert "| `bt` | 0.600 [0.561, 0.639] | – |" in shown


def test_figures_of_all_answers_say_so_where_nobody_gave_as_many_as_the_table_is_of():
    many = standing("many", FEW, ["query"])
    few = standing("few", FEW, ["query"])
    methods = tuple(
        replace(m, curve=tuple(p for p in m.curve if p.shots < 10)) for m in few.report.methods
    )
    few = replace(few, report=replace(few.report, methods=methods))
    text = League((many, few)).markdown()
    after = text.split("### new people, known items, 10 answers\n")[1].split("###")[0]
    assert "| method | many | few (all answers, nobody gave 10) |" in after
    after = text.split("### new people, known items, 5 answers\n")[1].split("###")[0]
    assert "| method | many | few |" in after
    assert "### Lead of `auto` after 10 answers, new people on known items" in text
    assert "few, all answers, nobody gave 10, `hierarchical`" in text
    alone = League((few,)).markdown()
    assert "### new people, known items, all their answers (nobody gave 10)" in alone
    assert "known items, 10 answers" not in alone


@pytest.mark.parametrize("parts", [["query", "test_new_items"], ["query", "query_new_items"]])
def test_claims_on_new_items_come_from_the_cell_that_has_rows(parts):
    behind = standing("one", FEW | {"auto": 0.55}, parts)
    assert new_items(behind) == parts[1]
    claims = {claim: (holds, said) for claim, holds, said in League((behind,)).claims()}
    holds, said = claims["`auto` is never behind `bt` beyond its interval on new items"]
    assert not holds
    who = ", seen people" if parts[1] == "test_new_items" else ""
    assert f"one{who}, all answers -0.050 [-0.058, -0.042]" in said
    assert claims["`hierarchical` is never behind `bt` beyond its interval on new items"][0]
    known = standing("two", FEW, ["query"])
    assert not any("new items" in claim for claim, _, _ in League((known,)).claims())


def test_hindsight_knows_every_single_family_but_no_blend_and_no_published_recipe():
    every = FEW | {"mrm": 0.7, "blend": 0.8, "lore-published": 0.8, "auto-long": 0.8}
    found = replace(standing("one", every, ["query"]), chosen={"auto-long": {}})
    assert found.singles == ["bt", "hierarchical", "mrm"]
    assert found.best("query", 5) == "mrm"
    claims = {claim: (holds, said) for claim, holds, said in League((found,)).claims()}
    holds, said = claims["`auto` is within a point of the best single family in hindsight"]
    assert not holds
    assert "one, 5 answers, `mrm` -0.050" in said


def test_costs_tell_the_bytes_of_a_person():
    text = League((standing("one", FEW, ["query"]),)).markdown().split("### Cost")[1]
    assert "| `hierarchical` | 6.6 s, 264 us, 440 B |" in text


@pytest.mark.parametrize("count", [1, 8])
def test_pictures_work_for_one_and_for_many_data_sets_and_for_twenty_methods(tmp_path, count):
    rng = np.random.default_rng(count)
    names = [*FEW, *(f"method-{n}" for n in range(15))]
    found = League(tuple(
        standing(f"data{n}", {m: float(rng.uniform(0.55, 0.8)) for m in names}, ["query"])
        for n in range(count)
    ))  # fmt: skip
    drawn = found.save(tmp_path)
    assert drawn == ["league.png", "forest.png", "calibration.png", "cost.png"]
    assert all((tmp_path / name).stat().st_size > 10_000 for name in drawn)
    assert "![forest.png](forest.png)" in (tmp_path / "league.md").read_text()
    assert League.load(tmp_path).markdown() == found.markdown()
    alone = {"bt": 0.6, "hierarchical": 0.7}
    again = League((standing("one", alone, ["query"]),)).save(tmp_path)
    assert "forest.png" not in again
    assert not (tmp_path / "forest.png").exists()  # of the league before
