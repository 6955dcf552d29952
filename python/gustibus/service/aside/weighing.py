"""How much each answer of the store counts before a training limits people and keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any


def weighed(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    """Weights of answers: what one person said of the same two responses several times counts once.

    Args:
        rows: of `answers_of`.
    """
    pairs = [_pair(row) for row in rows]
    times = Counter(pairs)
    return [float(row["weight"]) / times[pair] for row, pair in zip(rows, pairs, strict=True)]


def _pair(row: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Who judged what, whichever side was which."""
    a, b = sorted((row["response_a"], row["response_b"]))
    return row["user"], row["prompt"], a, b
