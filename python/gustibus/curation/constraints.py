"""Instructions that code can check: each says what it asks, its opposite, and whether a text obeys."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gustibus.curation.keywords import content_words, words
from gustibus.registry import Registry

_LIST = re.compile(r"(?m)^\s*(?:[-*•]|\d+[.)])\s+\S")
_LANGUAGES = {
    "English": "the of and to in is that it for was with as are this not",
    "German": "der die das und ist nicht ein eine zu mit den von auf es sich",
    "French": "le la les et des est une que dans pour pas qui sur du il",
    "Spanish": "el los las y es una que en por para con del no se lo",
}
"""The commonest words of a few languages; the language of a text has most of its words."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """One kind of instruction.

    Attributes:
        value: draws what it is about, such as a number of words, from a text and its rival.
        ask: the instruction.
        ask_not: its opposite, which a text obeys exactly when it does not obey `ask`.
        holds: whether a text obeys.
    """

    value: Callable[[str, str, np.random.Generator], Any]
    ask: Callable[[Any], str]
    ask_not: Callable[[Any], str]
    holds: Callable[[str, Any], bool]


CONSTRAINTS: Registry[Constraint] = Registry("constraint")
_OWN = "This project's; the idea of checkable instructions is that of Zhou et al. 2023, IFEval"


def language(text: str) -> str:
    """The language most of whose common words a text has; English where it has none."""
    said = words(text)
    hits = {name: sum(w in common.split() for w in said) for name, common in _LANGUAGES.items()}
    return max(hits, key=lambda name: hits[name])


def _length_between(text: str, rival: str, rng: np.random.Generator) -> int:
    """A length between those of both texts, or, where they are equal, that or a little less."""
    low, high = sorted((len(words(text)), len(words(rival))))
    return int(rng.integers(low, high)) if low < high else max(low - int(rng.integers(2)), 1)


def _word(text: str, rival: str, rng: np.random.Generator) -> str:
    """A content word of one of the texts, preferably not of both."""
    own, other = set(content_words(text)), set(content_words(rival))
    apart = sorted(own ^ other) or sorted(own | other) or sorted(set(words(text))) or ["and"]
    return apart[int(rng.integers(len(apart)))]


def _nothing(text: str, rival: str, rng: np.random.Generator) -> None:
    del text, rival, rng  # the constraint asks one thing of every text


CONSTRAINTS.add("length", source=_OWN)(
    Constraint(
        _length_between,
        lambda n: f"Use at most {n} words.",
        lambda n: f"Use more than {n} words.",
        lambda text, n: len(words(text)) <= n,
    )
)
CONSTRAINTS.add("keyword", source=_OWN)(
    Constraint(
        _word,
        lambda w: f'Use the word "{w}".',
        lambda w: f'Do not use the word "{w}".',
        lambda text, w: w in words(text),
    )
)
CONSTRAINTS.add("case", source=_OWN)(
    Constraint(
        _nothing,
        lambda _: "Write in lower case only.",
        lambda _: "Use at least one capital letter.",
        lambda text, _: text == text.lower(),
    )
)
CONSTRAINTS.add("list", source=_OWN)(
    Constraint(
        _nothing,
        lambda _: "Answer with a list.",
        lambda _: "Do not use a list.",
        lambda text, _: _LIST.search(text) is not None,
    )
)
CONSTRAINTS.add("language", source=_OWN)(
    Constraint(
        lambda text, *_: language(text),
        lambda name: f"Write in {name}.",
        lambda name: f"Write in another language than {name}.",
        lambda text, name: language(text) == name,
    )
)
