"""Recorded streams of arrivals in files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from gustibus.errors import InputError
from gustibus.matching.arrays import Arrivals
from gustibus.matching.instances import Instance


def read_stream(path: str | Path) -> Instance:
    """A stream from JSON Lines.

    The first line describes the items, `{"capacity": [2, 1], "weight": [1.0, 2.0]}` or with `budget`
    instead of `capacity`; `weight` may be left out. Every other line is one arrival,
    `{"items": [0, 1], "values": [0.5, 0.2]}`; `values` may be left out everywhere.

    Raises:
        InputError: a line is not as described; the message names it.
    """
    path = Path(path)
    rows: list[list[int]] = []
    values: list[list[float]] = []
    with path.open(encoding="utf-8") as file:
        head = _line(path, 1, file.readline())
        for number, text in enumerate(file, start=2):
            if not text.strip():
                continue
            line = _line(path, number, text)
            rows.append(_list(path, number, line, "items"))
            if "values" in line:
                values.append(_list(path, number, line, "values"))
            if values and (len(values) != len(rows) or len(values[-1]) != len(rows[-1])):
                message = f"{path}:{number}: expected as many values as items on every line or none"
                raise InputError(message, where=f"{path}:{number}")
    limit = head.get("capacity", head.get("budget"))
    if not isinstance(limit, list):
        message = f"{path}:1: expected a list 'capacity' or 'budget', got {limit!r}"
        raise InputError(message, where=f"{path}:1")
    weight = None if head.get("weight") is None else np.asarray(head["weight"], dtype=np.float64)
    arrivals = Arrivals.of(rows, values or None)
    return Instance(path.name, arrivals, np.asarray(limit, dtype=np.float64), None, weight)


def _line(path: Path, number: int, text: str) -> dict[str, Any]:
    try:
        line = json.loads(text)
    except json.JSONDecodeError as error:
        message = f"{path}:{number}: expected a JSON object, got {error}"
        raise InputError(message, where=f"{path}:{number}") from None
    if not isinstance(line, dict):
        message = f"{path}:{number}: expected a JSON object, got {type(line).__name__}"
        raise InputError(message, where=f"{path}:{number}")
    return line


def _list(path: Path, number: int, line: dict[str, Any], key: str) -> list[Any]:
    found = line.get(key)
    kinds = (int,) if key == "items" else (int, float)
    if not isinstance(found, list) or any(type(x) not in kinds for x in found):
        message = f"{path}:{number}: expected a list of numbers {key!r}, got {found!r}"
        raise InputError(message, where=f"{path}:{number}")
    return found
