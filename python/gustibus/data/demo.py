"""An everyday assistant with people of opposite tastes: what `gustibus demo` shows."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np

from gustibus.data.comparisons import Comparisons
from gustibus.data.dataset import Dataset
from gustibus.data.worlds import Cell, Truth, schedule
from gustibus.types import F64, I64

TRAITS = ("long", "warm", "blunt", "playful", "formal", "listed", "examples")
"""What an answer can be; each is between -1 and 1 in `Truth.world["styles"]`."""

LAPSE = 0.05
"""Share of answers that are a coin toss, whatever the two sides are."""

_SHARPNESS = 1.7
"""Log-odds per unit of relative weight; people then follow their taste in 83 % of answers."""


@dataclass(frozen=True, slots=True)
class Style:
    """How an answer is written."""

    tone: str
    length: int
    """0 the advice alone, 1 with its reason, 2 with steps as well."""
    listed: bool = False
    examples: bool = False


STYLES: Mapping[str, Style] = {
    "short and plain": Style("plain", 0),
    "short and blunt": Style("blunt", 0),
    "blunt with reasons": Style("blunt", 1),
    "short and warm": Style("warm", 0),
    "warm and detailed": Style("warm", 2),
    "playful": Style("playful", 1),
    "playful with examples": Style("playful", 1, examples=True),
    "formal and detailed": Style("formal", 2),
    "formal and brief": Style("formal", 1),
    "plain list": Style("plain", 2, listed=True),
    "warm list with examples": Style("warm", 2, listed=True, examples=True),
    "detailed with examples": Style("plain", 2, examples=True),
}
"""The styles of answers; each prompt gets a part of them."""

_TONES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "plain": (("",), ("",)),
    "blunt": (
        ("No fluff:", "Simple.", "Straight to the point:", "Stop overthinking this."),
        ("That is all.", "Just do it.", "Done.", "Nothing more to it."),
    ),
    "warm": (
        ("What a lovely question!", "I am so glad you asked.", "I know how that feels.",
         "Thank you for trusting me with this."),
        ("You can do this, and I am here if you need me.", "Be kind to yourself along the way!",
         "I am keeping my fingers crossed for you.", "Take your time, you are doing great."),
    ),
    "playful": (
        ("Aha, a quest!", "Drum roll, please!", "Fasten your seat belt.", "Oh, this is a fun one!"),
        ("{quip}",),
    ),
    "formal": (
        ("The following course of action is recommended.", "Kindly consider this advice.",
         "In response to your enquiry, please note the following.",
         "It is advisable to proceed thus."),
        ("Should further clarification be required, please do not hesitate to enquire.",
         "I trust that this information is of assistance.",
         "Please be assured of our continued support.", "Individual circumstances may vary."),
    ),
}  # fmt: skip
"""Openings and closings by tone."""


@dataclass(frozen=True, slots=True)
class NamedPerson:
    """Somebody of the demonstration, with a taste that can be said in a sentence."""

    user_id: str
    description: str
    taste: Mapping[str, float]
    """Relative weight of each trait that matters to this person."""


NAMED = (
    NamedPerson("Ada", "likes it short and blunt", {"long": -1.6, "blunt": 1.8, "warm": -0.8}),
    NamedPerson("Bo", "likes it warm and detailed", {"long": 1.5, "warm": 1.8, "blunt": -1.0}),
    NamedPerson("Cy", "likes it playful, with examples",
                {"playful": 2.0, "examples": 1.4, "formal": -0.8}),
    NamedPerson("Dee", "likes it formal and orderly",
                {"formal": 2.0, "listed": 0.8, "playful": -1.4}),
    NamedPerson("Eli", "likes lists and no chatter",
                {"listed": 2.0, "warm": -1.0, "playful": -1.0}),
    NamedPerson("Fay", "likes examples and dislikes lists",
                {"examples": 2.0, "listed": -1.4, "long": 0.6}),
)  # fmt: skip
"""People whom everybody can tell apart by their choices."""


@dataclass(frozen=True, slots=True, eq=False)
class DemoWorld:
    """The demonstration's data, its named people and the truth."""

    dataset: Dataset
    people: tuple[NamedPerson, ...]
    truth: Truth


def demo_world(*, people: int = 150, new: int = 30, candidates: int = 8, seed: int) -> DemoWorld:
    """Answers of an assistant to everyday questions, and people who choose between them.

    Every question has `candidates` answers in different styles. A utility is linear in the style's
    traits with a small part that depends on the answer alone; a person prefers a with the logistic
    probability of the difference, or tosses a coin in a share `LAPSE` of the answers. The simulated
    people's tastes are those of a named person, or the opposite, with Gaussian noise.

    The named people are new, as are `new` others: they have `support` and `query` answers. The rest
    have `train`, `val`, `test` and `test_new_items`. A seventh of the questions is held out.

    Args:
        people: Simulated people who are seen.
        new: Simulated people who are new, besides the named ones.
        candidates: 2 to 12 answers to each question.
        seed: Of everything but the texts of the styles.

    Returns:
        The data with texts and no features, the named people, and the truth: `utility` for all
        people and answers, `people["taste"]` `(p, traits)`, `world["styles"]` `(m, traits)`.
    """
    rng = np.random.default_rng(seed)
    entries = tomllib.loads(files("gustibus.data").joinpath("everyday.toml").read_text("utf-8"))
    prompts: list[dict[str, Any]] = entries["prompt"]
    kinds = [sorted(rng.permutation(len(STYLES))[:candidates]) for _ in prompts]
    styles = np.array([k for chosen in kinds for k in chosen])
    texts = {
        f"q{q:02d}-{list(STYLES)[k].replace(' ', '-')}": compose(
            prompts[q], list(STYLES.values())[k], q
        )
        for q, chosen in enumerate(kinds)
        for k in chosen
    }
    traits = np.array([_traits(style) for style in STYLES.values()])[styles]  # (m, traits)
    held = np.zeros(len(prompts), dtype=bool)
    held[rng.permutation(len(prompts))[: round(len(prompts) / 7)]] = True
    tastes = _tastes(people + new, rng)
    utility = tastes @ traits.T + rng.normal(0, 0.25, len(styles))  # (p, m)

    seen_cells = [Cell("train", 32), Cell("val", 6), Cell("test", 12), Cell("test_new_items", 10)]
    new_cells = [Cell("support", 30), Cell("query", 20), Cell("query_new_items", 12)]
    who, part, order = schedule(people, new + len(NAMED), seen_cells, new_cells)
    on_new = np.isin(part, ("test_new_items", "query_new_items"))
    a, b = _pairs(who, on_new, held, candidates, rng)
    margin = utility[who, a] - utility[who, b]
    probability = LAPSE / 2 + (1 - LAPSE) / (1 + np.exp(-margin))
    names = [f"person-{i:03d}" for i in range(people + new)] + [p.user_id for p in NAMED]
    ids = list(texts)
    comparisons = Comparisons.build(
        user=[names[i] for i in who],
        prompt=[prompts[i // candidates]["ask"] for i in a],
        a=[ids[i] for i in a],
        b=[ids[i] for i in b],
        target=(rng.random(len(who)) < probability).astype(np.float64),
        split=np.where(part == "query_new_items", "query", part),
        order=order,
        item_texts=texts,
        user_ids=names,
        prompts=[entry["ask"] for entry in prompts],
    )
    dataset = Dataset(
        comparisons,
        item_new=np.repeat(held, candidates),
        user_table={
            "description": np.array([""] * (people + new) + [p.description for p in NAMED])
        },
        item_table={"style": np.array(list(STYLES), dtype=object)[styles]},
        name="demo",
    )
    truth = Truth(margin, probability, {"taste": tastes}, {"styles": traits}, utility)
    return DemoWorld(dataset, NAMED, truth)


def compose(entry: Mapping[str, Any], style: Style, variant: int) -> str:
    """The answer to one question in one style; `variant` chooses among the tone's phrases."""
    openings, closings = _TONES[style.tone]
    opening = openings[variant % len(openings)]
    closing = closings[(variant // len(openings)) % len(closings)].format(quip=entry["quip"])
    middle = [entry["core"]]
    if style.length >= 1:
        middle.append(entry["why"])
    if style.examples:
        middle.append(f"For example: {entry['example']}")
    body = " ".join(p for p in (opening, *middle) if p)
    if style.length >= 2 and style.listed:
        body += "\n" + "\n".join(f"- {step}" for step in entry["steps"]) + "\n"
    elif style.length >= 2:
        body += " " + " ".join(
            f"{word} {step[0].lower()}{step[1:]}"
            for word, step in zip(("First,", "Then,", "Finally,"), entry["steps"], strict=True)
        )
    return f"{body.rstrip(' ')}{'' if body.endswith(chr(10)) else ' '}{closing}".strip()


def _traits(style: Style) -> list[float]:
    tones = [float(style.tone == tone) for tone in ("warm", "blunt", "playful", "formal")]
    return [style.length - 1.0, *tones, float(style.listed), float(style.examples)]


def _tastes(simulated: int, rng: np.random.Generator) -> F64:
    """`(p, traits)` weights: of people around the named ones or their opposites, then of these."""
    named = _SHARPNESS * np.array([[p.taste.get(trait, 0.0) for trait in TRAITS] for p in NAMED])
    kind = rng.integers(len(named), size=simulated)
    sign = np.where(rng.random(simulated) < 0.25, -1.0, 1.0)[:, None]
    around = sign * named[kind] * rng.lognormal(0, 0.25, (simulated, 1))
    tastes: F64 = np.concatenate([around + rng.normal(0, 0.4, around.shape), named])
    return tastes


def _pairs(
    who: I64,
    on_new: np.ndarray[Any, Any],
    held: np.ndarray[Any, Any],
    candidates: int,
    rng: np.random.Generator,
) -> tuple[I64, I64]:
    """`(n,)` two answers to one question for every row, never the same two twice for one person."""
    left, right = np.triu_indices(candidates, 1)
    drawn = np.empty(len(who), dtype=np.int64)
    for person in range(int(who.max()) + 1):
        for wanted, among in ((on_new, np.flatnonzero(held)), (~on_new, np.flatnonzero(~held))):
            rows = np.flatnonzero((who == person) & wanted)
            pick = rng.choice(len(among) * len(left), size=len(rows), replace=False)
            drawn[rows] = among[pick // len(left)] * len(left) + pick % len(left)
    asked, pair = np.divmod(drawn, len(left))
    swap = rng.random(len(who)) < 0.5
    a, b = asked * candidates + left[pair], asked * candidates + right[pair]
    return np.where(swap, b, a), np.where(swap, a, b)
