"""Public benchmarks of reward models: rows in their layouts, scored, and summed up as they do.

Nothing is downloaded; a file in the layout of a benchmark is read with `benchmark_rows`. A row is
right when its worst chosen response scores above its best rejected one, and a tie is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gustibus.data import Table
from gustibus.data.arrays import finite, names, same_length
from gustibus.errors import InputError
from gustibus.evaluation.probes.ties import ties_score
from gustibus.methods import method
from gustibus.registry import Registry
from gustibus.types import F64

Score = Callable[[str, Sequence[str]], Any]
"""Rewards `(n,)` of `n` responses to a prompt."""

REWARDBENCH_SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Chat": ("alpacaeval", "mt-bench-easy", "mt-bench-med"),
    "Chat Hard": ("mt-bench-hard", "llmbar"),
    "Safety": ("refusals", "xstest", "donotanswer"),
    "Reasoning": ("math-prm", "hep-"),
}
"""Sections of RewardBench, and how the names of their subsets begin."""

TIES = "Ties"
"""The subset of RewardBench 2 whose questions have several right answers."""

SCENARIOS: Mapping[str, tuple[str, ...]] = {
    "multi-hop": ("multi-hop", "multihop", "hop"),
    "citation": ("citation", "cite"),
    "abstain": ("abstain", "abstention"),
    "conflict": ("conflict",),
}
"""Scenarios of RAG-RewardBench, and words of the subsets that belong to each."""


@dataclass(frozen=True, slots=True)
class Item:
    """One row of a benchmark."""

    prompt: str
    chosen: tuple[str, ...]
    rejected: tuple[str, ...]
    section: str
    subset: str
    references: tuple[str, ...] = ()
    """Passages that were retrieved for the prompt."""
    name: str = ""
    """Kind and number of a row of Ties, such as `tied:3`; empty elsewhere."""

    def context(self) -> str:
        """The prompt with its references in front, numbered as citations name them."""
        passages = [f"[{i}] {text}" for i, text in enumerate(self.references, start=1)]
        return "\n".join([*passages, "", self.prompt] if passages else [self.prompt])


Reader = Callable[[Table], list[Item]]
BENCHMARKS: Registry[Reader] = Registry("benchmark")
"""Layouts of public benchmarks of reward models."""


def benchmark_rows(table: Table, name: str) -> list[Item]:
    """The rows of a table in the layout of a benchmark.

    Raises:
        UnknownNameError: there is no such benchmark.
        InputError: a column is missing, or a row says nothing that can be judged.
    """
    return BENCHMARKS[name].run(table)


@BENCHMARKS.add("rewardbench", source="Lambert et al. 2024, RewardBench, arXiv 2403.13787")
def read_rewardbench(table: Table) -> list[Item]:
    """Columns `prompt`, `chosen`, `rejected`, `subset`."""
    return [
        Item(prompt, (chosen,), (rejected,), _section(table, row, subset), subset)
        for row, (prompt, chosen, rejected, subset) in enumerate(
            _columns(table, "prompt", "chosen", "rejected", "subset")
        )
    ]


@BENCHMARKS.add("rewardbench2", source="Malik et al. 2025, RewardBench 2, arXiv 2506.01937")
def read_rewardbench2(table: Table) -> list[Item]:
    """Columns `prompt`, `chosen` and `rejected` with lists of texts, `subset`; `id` or none.

    Every chosen response has to score above every rejected one. In the subset Ties `id`, such as
    `tied:3`, tells which rows belong together, so that margins are weighed as published.
    """
    items = []
    given = table.columns.get("id")
    for row, (prompt, chosen, rejected, subset) in enumerate(
        _columns(table, "prompt", "chosen", "rejected", "subset")
    ):
        sides = [tuple(map(str, side)) if _listed(side) else () for side in (chosen, rejected)]
        if not all(sides):
            raise table.origin.problem(
                row, "chosen", "a list of texts, here and in rejected", chosen
            )
        name = str(given[row]) if given is not None and subset == TIES else ""
        items.append(Item(prompt, sides[0], sides[1], subset, subset, name=name))
    return items


@BENCHMARKS.add("rag_rewardbench", source="Jin et al. 2024, RAG-RewardBench, arXiv 2412.13746")
def read_rag_rewardbench(table: Table) -> list[Item]:
    """Columns `prompt` or `question`, `chosen`, `rejected`, `subset`; `references`, `scenario` or none.

    Without `scenario` the name of the subset tells it; where references are part of the prompt
    already, there is no column of them.
    """
    asked = "question" if "question" in table.columns else "prompt"
    rows = _columns(table, asked, "chosen", "rejected", "subset")
    scenario = table.columns.get("scenario")
    passages = table.columns.get("references")
    items = []
    for row, (prompt, chosen, rejected, subset) in enumerate(rows):
        section = _scenario(table, row, subset) if scenario is None else str(scenario[row])
        if section not in SCENARIOS:
            raise table.origin.problem(row, "scenario", f"one of {list(SCENARIOS)}", section)
        given = () if passages is None else tuple(map(str, passages[row]))
        items.append(Item(prompt, (chosen,), (rejected,), section, subset, given))
    return items


def judge_items(items: Iterable[Item], score: Score) -> dict[str, np.ndarray[Any, Any]]:
    """Columns for the probes `rewardbench` and `rag_subsets`.

    Rows with references are scored a second time without them, as a control that has to do worse.

    Args:
        items: rows of a benchmark.
        score: rewards of responses.
    """
    listed = list(items)
    if not listed:
        message = "items: expected at least one row, got none"
        raise InputError(message, where="items")
    columns: dict[str, np.ndarray[Any, Any]] = {
        "section": names("section", [item.section for item in listed]),
        "subset": names("subset", [item.subset for item in listed]),
    }
    columns["score_w"], columns["score_l"], best = _scores(listed, score)
    if any(item.name for item in listed):
        columns["best_w"], columns["item"] = best, np.array([i.name for i in listed], object)
    if any(item.references for item in listed):
        bare = [replace(item, references=()) for item in listed]
        columns["control_w"], columns["control_l"], _ = _scores(bare, score)
    return columns


def _scores(items: Sequence[Item], score: Score) -> tuple[F64, F64, F64]:
    """`(n,)` of the worst chosen, of the best rejected and of the best chosen response."""
    worst, wrong, best = np.empty((3, len(items)))
    for row, item in enumerate(items):
        values = finite("score", score(item.context(), [*item.chosen, *item.rejected]))
        cut = len(item.chosen)
        worst[row], wrong[row], best[row] = (
            values[:cut].min(),
            values[cut:].max(),
            values[:cut].max(),
        )
    return worst, wrong, best


@method(
    "PROBES",
    source="Lambert et al. 2024, RewardBench, section 4.3; Malik et al. 2025, RewardBench 2",
    purpose="Accuracy of a reward model on a public benchmark by subset and section",
    check="tests/methods/test_probes_benchmarks.py::test_maths_weighs_as_much_as_all_code_together",
    example="ops.rewardbench(section=['Chat', 'Safety'], subset=['alpacaeval-easy', 'donotanswer'], "
    "score_w=[1.2, 0.1], score_l=[0.3, 0.4])",
    laws=("user_renaming", "row_order", "perfect"),
)
def rewardbench(
    section: Any, subset: Any, score_w: Any, score_l: Any, best_w: Any = None, item: Any = None
) -> dict[str, float]:
    """Accuracy by subset and section, and `overall`, the mean of the sections; 1 when perfect.

    A section is the mean over its rows, except that `math-prm` weighs as much as all the rows of
    code together, and that Ties, where `item` names its rows, is `ties_score`, as published.

    Args:
        section: `(n,)`.
        subset: `(n,)`.
        score_w: `(n,)` of the worst chosen response.
        score_l: `(n,)` of the best rejected one.
        best_w: `(n,)` of the best chosen response.
        item: `(n,)` kinds and numbers of the rows of Ties, such as `tied:3`.
    """
    part, inner, right = _judged(section, subset, score_w, score_l)
    maths = inner == "math-prm"
    code = np.array([str(name).startswith("hep-") for name in inner])
    weight = np.where(maths & code.any(), code.sum() / max(maths.sum(), 1), 1.0)
    found = {f"subset/{name}": float(right[inner == name].mean()) for name in _sorted(inner)}
    sections = {
        name: float(np.average(right[part == name], weights=weight[part == name]))
        for name in _sorted(part)
    }
    ties = part == TIES
    if ties.any() and best_w is not None and item is not None:
        columns = (names("item", item), finite("best_w", best_w), finite("score_w", score_w))
        rows = (*columns, finite("score_l", score_l))
        same_length(section=part, item=columns[0], best_w=columns[1])
        sections[TIES] = ties_score(*(column[ties] for column in rows))
    return found | sections | {"overall": float(np.mean(list(sections.values())))}


@method(
    "PROBES",
    source="Jin et al. 2024, RAG-RewardBench; helpful and harmless as summed up here",
    purpose="Accuracy of a reward model on retrieval-augmented answers by scenario",
    check="tests/methods/test_probes_benchmarks.py::test_scenarios_are_means_of_their_subsets",
    example="ops.rag_subsets(section=['abstain', 'conflict'], subset=['a', 'b'], "
    "score_w=[1.0, 0.2], score_l=[0.5, 0.6])",
    laws=("user_renaming", "row_order", "perfect"),
)
def rag_subsets(
    section: Any,
    subset: Any,
    score_w: Any,
    score_l: Any,
    control_w: Any = None,
    control_l: Any = None,
) -> dict[str, float]:
    """Accuracy by subset, mean over subsets by scenario, `helpful`, `harmless`, `overall`; 1 when perfect.

    `helpful` is the mean of multi-hop reasoning and citation, `harmless` that of abstention and
    conflict, `overall` the mean of both; NaN where the scenarios of one are absent.

    Args:
        section: `(n,)` scenario.
        subset: `(n,)`.
        score_w: `(n,)` of the chosen response.
        score_l: `(n,)` of the rejected one.
        control_w: `(n,)` of the chosen response scored without its references; with these,
            `without_references` is the overall accuracy then, and `gain_of_references` what is lost.
        control_l: `(n,)` likewise of the rejected one.
    """
    part, inner, right = _judged(section, subset, score_w, score_l)
    found = _scenario_means(part, inner, right)
    if control_w is not None and control_l is not None:
        _, _, blind = _judged(section, subset, control_w, control_l)
        found["without_references"] = _scenario_means(part, inner, blind)["overall"]
        found["gain_of_references"] = found["overall"] - found["without_references"]
    return found


def _scenario_means(part: Any, inner: Any, right: F64) -> dict[str, float]:
    found: dict[str, float] = {}
    scenarios: dict[str, float] = {}
    for name in _sorted(part):
        own = part == name
        subsets = {s: float(right[own & (inner == s)].mean()) for s in _sorted(inner[own])}
        found |= {f"{name}/{s}": value for s, value in subsets.items()}
        scenarios[name] = float(np.mean(list(subsets.values())))
    nothing = float("nan")
    helpful = np.mean([scenarios.get(s, nothing) for s in ("multi-hop", "citation")])
    harmless = np.mean([scenarios.get(s, nothing) for s in ("abstain", "conflict")])
    sums = {"helpful": helpful, "harmless": harmless, "overall": (helpful + harmless) / 2}
    return found | scenarios | {name: float(value) for name, value in sums.items()}


def _judged(section: Any, subset: Any, score_w: Any, score_l: Any) -> tuple[Any, Any, F64]:
    part, inner = names("section", section), names("subset", subset)
    w, low = finite("score_w", score_w), finite("score_l", score_l)
    same_length(section=part, subset=inner, score_w=w, score_l=low)
    return part, inner, (w > low).astype(np.float64)


def _sorted(labels: Any) -> list[Any]:
    return sorted(set(labels.tolist()), key=str)


def _columns(table: Table, *wanted: str) -> Iterable[tuple[Any, ...]]:
    absent = [(name,) for name in wanted if name not in table.columns]
    if absent:
        raise table.origin.missing(absent, table.columns)
    return zip(*(table.columns[name] for name in wanted), strict=True)


def _listed(value: Any) -> bool:
    return isinstance(value, list | tuple | np.ndarray)


def _section(table: Table, row: int, subset: str) -> str:
    for section, beginnings in REWARDBENCH_SECTIONS.items():
        if str(subset).startswith(beginnings):
            return section
    known = [name for group in REWARDBENCH_SECTIONS.values() for name in group]
    raise table.origin.problem(row, "subset", f"a name that begins with one of {known}", subset)


def _scenario(table: Table, row: int, subset: str) -> str:
    for scenario, words in SCENARIOS.items():
        if any(word in str(subset).lower() for word in words):
            return scenario
    expected = "a name that tells the scenario, or a column scenario"
    raise table.origin.problem(row, "subset", expected, subset)
