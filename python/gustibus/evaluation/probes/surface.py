"""Properties of a response that code can read off its text, for explaining what a model pays for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from gustibus.types import F64

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def _count(pattern: str) -> Callable[[str], float]:
    compiled = re.compile(pattern)
    return lambda text: float(len(compiled.findall(text)))


def _variety(text: str) -> float:
    """Different words over all words; 1 for a text without words."""
    said = [word.lower() for word in _WORD.findall(text)]
    return len(set(said)) / len(said) if said else 1.0


SURFACE: Mapping[str, Callable[[str], float]] = {
    "long": _count(_WORD.pattern),
    "formatted": _count(r"(?m)^\s*(?:[-*•#]|\d+[.)])\s|\*\*|`"),
    "step-by-step": _count(r"(?m)^\s*\d+[.)]\s|\b(?i:first|second|third|then|finally)\b"),
    "interactive": _count(r"\?"),
    "supporting material": _count(r"https?://|\[\d+\]|\(\d{4}\)|\bet al\b"),
    "polite": _count(r"\b(?i:please|thank|thanks|sorry|welcome|glad|happy to)\b"),
    "admits limits": _count(r"\b(?i:not sure|may|might|perhaps|cannot|do not know|don't know)\b"),
    "informal": _count(r"['’](?:s|re|ve|ll|d|m|t)\b|!"),
    "non-repetitive": _variety,
}
"""Those of the properties of `properties.PROPERTIES` that need no judge; more is a larger number."""


def surface_annotations(texts: Sequence[str]) -> F64:
    """`(n, q)` how much of each property of `SURFACE` a text has."""
    values = [[measure(text) for measure in SURFACE.values()] for text in texts]
    return np.array(values, np.float64).reshape(len(texts), len(SURFACE))
