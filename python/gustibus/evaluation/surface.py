"""Rules that read only the look of a text: its length, its punctuation, its format."""

from __future__ import annotations

import re
import time

import numpy as np

from gustibus.data import Dataset
from gustibus.evaluation.contenders import Fixed
from gustibus.evaluation.logistic import Pairs, fit_logistic
from gustibus.models.base import TrainingSet
from gustibus.types import F64

MARKS = (
    r"\w+", r"[()\[\]{}]", "[\"'“”‘’«»`]", r"(?m)^\s*(?:[-*•]|\d+[.)])\s", r"\n", r"\d", r"[,;:]",
    r"[.!?]", r"\?", "!", r"[*_#|]", r"https?://", r"[A-Z]", r"[^\x00-\x7f]",
)  # fmt: skip
"""What is counted besides characters: words, brackets, quotes, list marks, lines, and so on."""


def surface_features(texts: tuple[str, ...]) -> F64:
    """`(m, 1 + len(MARKS))` logarithms of one plus the number of characters and of each mark."""
    patterns = [re.compile(mark) for mark in MARKS]
    counts = [[len(text), *(len(p.findall(text)) for p in patterns)] for text in texts]
    return np.log1p(np.array(counts, np.float64).reshape(len(texts), 1 + len(MARKS)))


def length_rule(dataset: Dataset, train: TrainingSet) -> Fixed:
    """Prefer the longer text, or the shorter one where the training answers do."""
    return _fit("length", dataset, train, surface_features(dataset.comparisons.item_texts)[:, :1])


def surface_rule(dataset: Dataset, train: TrainingSet) -> Fixed:
    """Logistic regression on all surface features."""
    return _fit("surface", dataset, train, surface_features(dataset.comparisons.item_texts))


def _fit(name: str, dataset: Dataset, train: TrainingSet, features: F64) -> Fixed:
    started = time.perf_counter()
    spread = features.std(0)
    x = (features - features.mean(0)) / np.where(spread > 1e-9, spread, 1)
    weights = fit_logistic(x, Pairs.of(train), ridge=3.0)
    c = dataset.comparisons
    value = x @ weights
    return Fixed(name, np.asarray(value[c.a] - value[c.b]), time.perf_counter() - started)
