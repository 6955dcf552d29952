"""Calls of what reads JSON: valid texts, texts with bytes changed, and no texts at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from gustibus import _core
from tests.fuzz.draw import OTHER, WORDS, Draw

MARKS = (b'"', b"\\", b"{", b"}", b":", b"\\u", b"\\ud83d\\u", b"\x00", b"\xff")


def repeated(draw: Draw) -> None:
    """A tree of objects and lists, written down and perhaps spoiled."""
    text: Any = json.dumps(_tree(draw, 4), ensure_ascii=draw.chance(0.5)).encode(errors="replace")
    for _ in range(int(draw.rng.integers(0, 4)) if draw.share else 0):
        at = int(draw.rng.integers(len(text) + 1))
        text = text[:at] + draw.pick(MARKS) + text[at + int(draw.rng.integers(0, 3)) :]
    _core.repeated_name(draw.pick(OTHER) if draw.spoils() else text)


def _tree(draw: Draw, levels: int) -> Any:
    if levels == 0 or draw.chance(0.3):
        return draw.pick((1, None, 0.5, *WORDS))
    inner = [_tree(draw, levels - 1) for _ in range(int(draw.rng.integers(0, 20)))]
    return (
        {draw.pick(WORDS) + str(n): v for n, v in enumerate(inner)} if draw.chance(0.5) else inner
    )


TARGETS: dict[str, tuple[Callable[[Draw], Any], ...]] = {"repeated_name": (repeated,)}
