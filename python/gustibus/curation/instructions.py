"""Pairs that differ in the instruction: the same response under a prompt it obeys and one it does not.

Two kinds of rows. Intra: one response, two prompts. Inter: the pair again under a longer prompt whose
added instruction the chosen response obeys and the other does not, so that the gap should widen. What
obeys is decided by code, never by a model. The losses are `mapl_intra` and `mapl_inter`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gustibus.curation.builders import Row, Rows, builder, winner
from gustibus.curation.constraints import CONSTRAINTS
from gustibus.data.arrays import count

_SOURCE = "MAPL, learning from prompts; the construction is this project's"


@builder("instructions", source=_SOURCE)
def instructions(rows: Rows, *, per_pair: int = 1, seed: int = 0) -> Iterator[Row]:
    """Intra rows for both responses, and inter rows where an instruction tells them apart.

    Args:
        rows: of labels; ties and pairs across prompts are passed over.
        per_pair: instructions drawn for each pair, no kind twice.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    drawn = min(count("per_pair", per_pair), len(CONSTRAINTS))
    for row in rows:
        best = winner(row)
        if not best or row["prompt_a"] != row["prompt_b"]:
            continue
        chosen = row[f"response_{best}"]
        other = row["response_b" if best == "a" else "response_a"]
        for kind in rng.choice(sorted(CONSTRAINTS), drawn, replace=False).tolist():
            yield from _pairs(row, kind, chosen, other, rng)


def _pairs(row: Row, kind: str, chosen: str, other: str, rng: np.random.Generator) -> Iterator[Row]:
    c = CONSTRAINTS[kind].run
    value = c.value(chosen, other, rng)
    prompt = row["prompt_a"]
    made = {"constraint": kind, "base": row["row"]}
    for text in (chosen, other):
        obeyed, broken = c.ask(value), c.ask_not(value)
        if not c.holds(text, value):
            obeyed, broken = broken, obeyed
        yield {
            **made, "pairing": "intra", "prompt_a": joined(prompt, obeyed), "response_a": text,
            "prompt_b": joined(prompt, broken), "response_b": text, "target": 1.0,
        }  # fmt: skip
    if c.holds(chosen, value) != c.holds(other, value):
        told = c.ask(value) if c.holds(chosen, value) else c.ask_not(value)
        yield {
            **made, "pairing": "inter", "prompt": joined(prompt, told), "response_a": chosen,
            "response_b": other, "target": 1.0,
        }  # fmt: skip


def joined(prompt: str, instruction: str) -> str:
    """The prompt with an instruction after it."""
    return f"{prompt} {instruction}".strip()
