"""Made-up rows for the scenarios of retrieval-augmented answers, so that the harness can be tried.

Every row is about invented places and people, so that nothing but its passages can tell the answer.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gustibus.data.arrays import count
from gustibus.evaluation.probes.benchmarks import Item

_SOUNDS = ("ba", "de", "fi", "go", "lu", "ma", "ne", "ri", "so", "tu", "va", "zo")


def synthetic_rag(*, per_scenario: int = 40, seed: int = 0) -> list[Item]:
    """Rows of every scenario, in the form that `read_rag_rewardbench` gives.

    Multi-hop reasoning: two passages have to be joined. Citation: the same sentence with the right
    or with the wrong passage. Abstention: the passages do not say, or they do, by turns. Conflict: two
    passages contradict each other and a good answer says so, or they agree. So no phrase and no length
    is better in itself.

    Args:
        per_scenario: rows of each.
        seed: of the names.
    """
    rng = np.random.default_rng(seed)
    makers = {"multi-hop": _hop, "citation": _cite, "abstain": _abstain, "conflict": _conflict}
    rows = count("per_scenario", per_scenario)
    return [_item(scenario, make, rng) for scenario, make in makers.items() for _ in range(rows)]


_Parts = tuple[str, list[str], str, str]
"""Question, passages, chosen and rejected answer."""


def _item(
    scenario: str, make: Callable[[np.random.Generator], _Parts], rng: np.random.Generator
) -> Item:
    question, passages, chosen, rejected = make(rng)
    return Item(question, (chosen,), (rejected,), scenario, f"made-up-{scenario}", tuple(passages))


def _hop(rng: np.random.Generator) -> _Parts:
    person, town, other, province, wrong = _names(rng, 5)
    passages = [
        f"{person} is the mayor of {town}.",
        f"The town of {town} lies in the province of {province}.",
        f"The town of {other} lies in the province of {wrong}.",
    ]
    say = "{0} is the mayor of {1}, which lies in the province of {2}."
    question = f"In which province does mayor {person} work?"
    return question, passages, say.format(person, town, province), say.format(person, other, wrong)


def _cite(rng: np.random.Generator) -> _Parts:
    town, river, other, year = *_names(rng, 3), _year(rng)
    passages = [
        f"{other} has a market that was first held in {year + 11}.",
        f"The bridge over the {river} in {town} was built in {year}.",
    ]
    rng.shuffle(passages)
    right = 1 + next(i for i, text in enumerate(passages) if river in text)
    say = f"The bridge over the {river} in {town} was built in {year} [{{}}]."
    return (
        f"When was the bridge in {town} built?",
        passages,
        say.format(right),
        say.format(3 - right),
    )


def _abstain(rng: np.random.Generator) -> _Parts:
    town, river, year = *_names(rng, 2), _year(rng)
    told = rng.random() < 0.5
    passages = [
        f"{town} was founded in {year}." if told else f"{town} lies on the {river}.",
        f"The {river} floods the fields every spring.",
    ]
    silent = f"The passages do not say when {town} was founded."
    answers = silent, f"{town} was founded in {year}."
    return f"When was {town} founded?", passages, answers[told], answers[not told]


def _conflict(rng: np.random.Generator) -> _Parts:
    town, year = *_names(rng, 1), _year(rng)
    agree = rng.random() < 0.5
    passages = [
        f"The town hall of {town} was finished in {year}.",
        f"It was in {year if agree else year + 7} that the town hall of {town} was finished.",
    ]
    torn = (
        f"The passages disagree: one says that it was finished in {year}, the other in {year + 7}."
    )
    answers = torn, f"It was finished in {year if agree else year + 3}."
    question = f"When was the town hall of {town} finished?"
    return question, passages, answers[agree], answers[not agree]


def _names(rng: np.random.Generator, wanted: int) -> list[str]:
    """Different names of three sounds."""
    codes = rng.choice(len(_SOUNDS) ** 3, wanted, replace=False)
    base = len(_SOUNDS)
    return [
        "".join(_SOUNDS[i] for i in (c // base**2, c // base % base, c % base)).capitalize()
        for c in codes
    ]


def _year(rng: np.random.Generator) -> int:
    return int(rng.integers(1400, 1900))
