"""Reading PrefLib files: orders (soc, soi, toc, toi) and categories (cat)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gustibus.errors import InputError
from gustibus.social.interning import Coded, Labels

KINDS = (".soc", ".soi", ".toc", ".toi", ".cat")
_MOST_ALTERNATIVES = 1_000_000
_MOST_VOTERS = 10**15
_NAME = re.compile(r"ALTERNATIVE NAME (\d+):\s*(.*)")
_PLACE = re.compile(r"\s*(?:\{([^{}]*)\}|(\d+))\s*(?:,|$)")


@dataclass(slots=True)
class _Reading:
    path: Path
    line: int = 0
    expected: int | None = None
    names: dict[int, str] = field(default_factory=dict)
    counts: list[float] = field(default_factory=list)
    starts: list[int] = field(default_factory=lambda: [0])
    items: list[int] = field(default_factory=list)
    ends: list[bool] = field(default_factory=list)

    def fail(self, message: str) -> InputError:
        where = f"{self.path}:{self.line}"
        return InputError(f"{where}: {message}", where=where)


def read_preflib(path: str | Path) -> tuple[Coded, list[float]]:
    """Coded ballots of a PrefLib file, and how often each was given.

    Raises:
        InputError: the ending is unknown or a line cannot be read; the message has file and line.
        FileNotFoundError: there is no such file.
    """
    path = Path(path)
    if path.suffix not in KINDS:
        message = f"path: expected a file ending in {', '.join(KINDS)}, got {path.name!r}"
        raise InputError(message, where=str(path))
    reading = _Reading(path)
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        for reading.line, line in enumerate(lines, 1):
            text = line.strip()
            if text.startswith("#"):
                _metadata(reading, text[1:].strip())
            elif text:
                _ballot(reading, text)
    labels = _labels(reading)
    starts, items = np.array(reading.starts, np.int64), np.array(reading.items, np.int64)
    return Coded(starts, items, np.array(reading.ends, np.bool_), labels), reading.counts


def _metadata(reading: _Reading, text: str) -> None:
    found = _NAME.match(text)
    if found and (place := _whole(found[1], _MOST_ALTERNATIVES)):
        reading.names[place] = found[2].strip()
    elif text.startswith("NUMBER ALTERNATIVES:"):
        text = text.partition(":")[2].strip()
        number = _whole(text, _MOST_ALTERNATIVES)
        if number is None:
            most = f"at most {_MOST_ALTERNATIVES}"
            raise reading.fail(f"expected the number of alternatives, {most}, got {text!r:.60}")
        reading.expected = number


def _whole(text: str, most: int) -> int | None:
    """A number from 1 to `most` in digits, None for anything else."""
    if not text.isdecimal() or len(text.lstrip("0")) > len(str(most)):
        return None
    number = int(text)
    return number if 1 <= number <= most else None


def _ballot(reading: _Reading, text: str) -> None:
    head, colon, order = text.partition(":")
    count = _whole(head.strip(), _MOST_VOTERS)
    if not colon or count is None:
        raise reading.fail(f"expected 'count: order', got {text!r:.60}")
    first, at = len(reading.items), 0
    order = order.strip()
    while at < len(order):
        place = _PLACE.match(order, at)
        if place is None:
            raise reading.fail(f"expected numbers and {{groups}} between commas, got {order!r:.60}")
        at = place.end()
        _bucket(reading, place[2] if place[1] is None else place[1])
    if len(set(reading.items[first:])) < len(reading.items) - first:
        raise reading.fail("expected each alternative once")
    reading.starts.append(len(reading.items))
    reading.counts.append(float(count))


def _bucket(reading: _Reading, text: str) -> None:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    most = reading.expected or 0
    numbers = []
    for part in parts:
        number = _whole(part, most)
        if number is None:
            raise reading.fail(f"expected alternatives from 1 to {most}, got {part!r:.60}")
        numbers.append(number - 1)
    reading.items += numbers
    reading.ends += [False] * (len(numbers) - 1) + [True] * bool(numbers)


def _labels(reading: _Reading) -> Labels:
    """Names of alternatives; those that several share get their number behind."""
    if reading.expected is None:
        raise reading.fail("expected a line '# NUMBER ALTERNATIVES: m', got none")
    names = [reading.names.get(i, str(i)) or str(i) for i in range(1, reading.expected + 1)]
    shared = {name for name in names if names.count(name) > 1}
    return tuple(f"{n} ({i})" if n in shared else n for i, n in enumerate(names, 1))
