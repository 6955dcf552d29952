"""What several trials of a data set, under other seeds, say together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gustibus.evaluation.markdown import table
from gustibus.models.automatic_options import AUTO

if TYPE_CHECKING:
    from gustibus.bench.standings import Standing


def together(
    standings: Sequence[Standing], methods: Sequence[str], part: str, shots: int
) -> str | None:
    """A table of means over seeds; None where every data set has one.

    Trials share people, so that their spread says how much hangs on the split and is no interval.

    Args:
        standings: of all trials.
        methods: rows.
        part: of people and items, as `PARTS` names them.
        shots: answers of each person.
    """
    trials: dict[str, list[Standing]] = {}
    for standing in standings:
        trials.setdefault(standing.data, []).append(standing)
    several = {data: found for data, found in trials.items() if len(found) > 1}
    if not several:
        return None
    head = ["method"]
    for data, found in several.items():
        head += [f"{data}, {_seeds(found, part, shots)}", f"`{AUTO}` ahead"]
    rows = []
    for name in methods:
        row = [f"`{name}`"]
        for found in several.values():
            row += [_spread(found, name, part, shots), _leads(found, name, part, shots)]
        rows.append(row)
    return table(head, rows)


def _seeds(trials: Sequence[Standing], part: str, shots: int) -> str:
    """How many there are, and which of them have figures of all answers instead."""
    without = [str(s.seed) for s in trials if not s.has_shots(part, shots)]
    said = f"{len(trials)} seeds"
    return f"{said} (all answers under {', '.join(without)})" if without else said


def _spread(trials: Sequence[Standing], name: str, part: str, shots: int) -> str:
    """Mean accuracy, and the least and the most."""
    found = [e.value for s in trials if (e := s.accuracy(name, part, shots)) is not None]
    if not found:
        return "–"
    return f"{np.mean(found):.3f} ({min(found):.3f} to {max(found):.3f})"


def _leads(trials: Sequence[Standing], name: str, part: str, shots: int) -> str:
    """Mean lead of the automatic choice, and in how many trials it leads."""
    found = [
        e.value for s in trials
        if name != AUTO and (e := s.lead(AUTO, name, part, shots)) is not None
    ]  # fmt: skip
    if not found:
        return "–"
    return f"{np.mean(found):+.3f}, in {sum(x > 0 for x in found)} of {len(found)}"
