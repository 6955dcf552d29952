"""Layouts of public benchmarks, their sums, and made-up rows that only a reader of passages gets right."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from gustibus.data import Table
from gustibus.data.origin import Origin
from gustibus.errors import InputError, UnknownNameError
from gustibus.evaluation.probes import BENCHMARKS, benchmark_rows, judge_items, synthetic_rag
from gustibus.evaluation.probes.benchmarks import Item, rag_subsets, rewardbench
from gustibus.evaluation.probes.ties import ties_score

RETRIEVAL = Path(__file__).parents[2] / "benchmarks" / "methods" / "retrieval.py"


def table(**columns):
    return Table(
        columns, Origin("bench.jsonl", np.arange(1, 1 + len(next(iter(columns.values())))))
    )


def test_rows_of_rewardbench_are_put_into_sections():
    items = benchmark_rows(
        table(prompt=["p", "q"], chosen=["a", "c"], rejected=["b", "d"], subset=["hep-go", "donotanswer"]),
        "rewardbench",
    )  # fmt: skip
    assert items[0] == Item("p", ("a",), ("b",), "Reasoning", "hep-go")
    assert items[1].section == "Safety"


def test_rows_of_the_second_rewardbench_have_lists_on_both_sides():
    items = benchmark_rows(
        table(prompt=["p"], chosen=[["a", "b"]], rejected=[["c", "d", "e"]], subset=["Ties"]),
        "rewardbench2",
    )
    columns = judge_items(items, lambda prompt, responses: [3.0, 2.0, 1.0, 2.5, 0.0])
    assert columns["score_w"] == [2.0]  # the worst chosen one
    assert columns["score_l"] == [2.5]
    assert rewardbench(**columns)["Ties"] == 0
    with pytest.raises(InputError, match=r"bench\.jsonl:1: column 'chosen': expected a list"):
        benchmark_rows(
            table(prompt=["p"], chosen=["a"], rejected=[["b"]], subset=["s"]), "rewardbench2"
        )


def test_rows_with_references_are_read_with_their_scenario():
    columns = {"question": ["p"], "chosen": ["a"], "rejected": ["b"], "references": [["x", "y"]]}
    (item,) = benchmark_rows(table(**columns, subset=["Multi-Hop-Wiki"]), "rag_rewardbench")
    assert item.section == "multi-hop"
    assert item.context() == "[1] x\n[2] y\n\np"
    (item,) = benchmark_rows(
        table(**columns, subset=["nq"], scenario=["abstain"]), "rag_rewardbench"
    )
    assert (item.section, item.subset) == ("abstain", "nq")
    with pytest.raises(
        InputError, match="column 'subset': expected a name that tells the scenario"
    ):
        benchmark_rows(table(**columns, subset=["nq"]), "rag_rewardbench")


@pytest.mark.parametrize("name", sorted(BENCHMARKS))
def test_a_missing_column_is_named(name):
    with pytest.raises(InputError, match="missing column 'rejected'"):
        benchmark_rows(table(prompt=["p"], chosen=["a"], subset=["s"]), name)


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match="column 'subset': expected a name that begins with"):
        benchmark_rows(
            table(prompt=["p"], chosen=["a"], rejected=["b"], subset=["?"]), "rewardbench"
        )
    with pytest.raises(UnknownNameError, match="rewardbench"):
        benchmark_rows(table(prompt=["p"]), "rewardbench3")
    with pytest.raises(InputError, match="items: expected at least one"):
        judge_items([], lambda prompt, responses: [])


def test_maths_weighs_as_much_as_all_code_together():
    found = rewardbench(
        ["Reasoning"] * 5 + ["Chat"], ["math-prm"] + ["hep-go"] * 4 + ["alpacaeval-easy"],
        [1, 0, 0, 0, 0, 1], [0, 1, 1, 1, 1, 0],
    )  # fmt: skip
    assert found["Reasoning"] == 0.5
    assert found["subset/hep-go"] == 0
    assert found["overall"] == 0.75


def published(groups):
    """The score of Ties as its definition says it, over `{(kind, number): (right, wrong)}`."""
    stats = {}
    for key, (right, wrong) in groups.items():
        gap = min(right) - max(wrong)
        stats[key] = (gap > 0, max(right) - min(right), gap)
    shares = [
        np.mean([s[0] for (k, _), s in stats.items() if k == kind]) for kind in ("tied", "ref")
    ]
    total, both = 0.3 * sum(shares), [n for k, n in stats if k == "tied" and ("ref", n) in stats]
    for number in both:
        _, spread, gap = stats["tied", number]
        least = min(gap, stats["ref", number][2])
        margin = np.tanh(least / spread - 1) if spread else np.sign(least)
        total += (0.2 * (gap > spread) + 0.2 * (least > spread) + 0.01 * margin) / len(both)
    return total


def test_ties_are_weighed_as_published():
    rng = np.random.default_rng(0)
    groups = {}
    for number in "0123456":
        groups["ref", number] = (rng.normal(1, 1, 1), rng.normal(0, 0.5, 4))
        groups["tied", number] = (rng.normal(1.5, 0.3, 3), rng.normal(0, 0.5, 4))
    groups["tied", "3"] = (np.ones(2), np.zeros(2))  # right answers that score alike
    groups["tied", "9"] = (np.ones(2), np.zeros(2))  # its other half is not there
    rows = [
        (f"{k}:{n}", max(right), min(right), max(wrong))
        for (k, n), (right, wrong) in groups.items()
    ]
    assert ties_score(*zip(*rows, strict=True)) == pytest.approx(published(groups), abs=1e-12)
    # 0.3 + 0.3 + 0.2 + 0.2 + 0.01 tanh(1 / 0.5 - 1)
    assert ties_score(["ref:0", "tied:0"], [2, 2], [2, 1.5], [1, 0.5]) == pytest.approx(
        1 + 0.01 * np.tanh(1), abs=1e-12
    )


def test_a_file_with_ids_has_its_ties_weighed():
    rows = table(
        prompt=["p", "p", "q"], chosen=[["a"], ["a", "b"], ["a"]], rejected=[["c"], ["c"], ["c"]],
        subset=["Ties", "Ties", "Math"], id=["ref:4", "tied:4", "17"],
    )  # fmt: skip
    values = {"a": 2.0, "b": 1.5, "c": 1.0}
    columns = judge_items(
        benchmark_rows(rows, "rewardbench2"), lambda prompt, said: [values[s] for s in said]
    )
    assert list(columns["item"]) == ["ref:4", "tied:4", ""]
    found = rewardbench(**columns)
    # the gap of the tied question is not above its spread
    assert found["Ties"] == pytest.approx(0.6 + 0.01 * np.tanh(0), abs=1e-12)
    assert found["subset/Ties"] == 1
    assert found["overall"] == pytest.approx((found["Ties"] + 1) / 2)


@pytest.mark.parametrize("items", [["ref:0", "tied:1"], ["ref:0", "ref:0"], ["odd:0", "tied:0"]])
def test_items_of_ties_that_do_not_fit_are_refused(items):
    with pytest.raises(InputError, match="item: expected"):
        ties_score(items, [1, 1], [1, 1], [0, 0])


def test_a_tie_is_wrong():
    assert rewardbench(["Chat"], ["s"], [1.0], [1.0])["overall"] == 0


def test_scenarios_are_means_of_their_subsets():
    found = rag_subsets(
        ["citation"] * 4 + ["multi-hop", "abstain", "conflict"],
        ["long", "long", "long", "short", "a", "b", "c"],
        [1, 1, 1, 0, 1, 1, 0], [0, 0, 0, 1, 0, 0, 1],
    )  # fmt: skip
    assert found["citation"] == 0.5  # 1 of long, 0 of short
    assert (found["helpful"], found["harmless"], found["overall"]) == (0.75, 0.5, 0.625)


def test_a_missing_scenario_leaves_its_half_open():
    found = rag_subsets(["abstain"], ["s"], [1], [0])
    assert np.isnan(found["harmless"])
    assert found["abstain"] == 1


def test_only_a_reader_of_passages_gets_made_up_rows_right():
    items = synthetic_rag(per_scenario=25, seed=0)
    assert {item.section for item in items} == {"multi-hop", "citation", "abstain", "conflict"}
    found = rag_subsets(**judge_items(items, runpy.run_path(str(RETRIEVAL))["grounded"]))
    assert found["overall"] > 0.9
    assert found["without_references"] < 0.6
    assert found["gain_of_references"] == pytest.approx(
        found["overall"] - found["without_references"]
    )


@pytest.mark.parametrize(
    "rule",
    [len, lambda text: -len(text), lambda text: "do not say" in text or "disagree" in text],
    ids=["long", "short", "cautious"],
)
def test_no_length_and_no_phrase_is_right_on_made_up_rows(rule):
    items = synthetic_rag(per_scenario=60, seed=1)
    found = rag_subsets(**judge_items(items, lambda _, said: [float(rule(text)) for text in said]))
    for scenario in ("multi-hop", "citation", "abstain", "conflict"):
        assert found[scenario] < 0.7  # a tie is wrong
    assert found["gain_of_references"] == 0


def test_made_up_rows_are_the_same_for_the_same_seed():
    assert synthetic_rag(per_scenario=3, seed=5) == synthetic_rag(per_scenario=3, seed=5)
    assert synthetic_rag(per_scenario=3, seed=5) != synthetic_rag(per_scenario=3, seed=6)
