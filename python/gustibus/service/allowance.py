"""What one request may have encoded, in however many parts, and what that costs its key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gustibus.service.call import Call
    from gustibus.service.serving import Serving
    from gustibus.types import F32


@dataclass(slots=True)
class Allowance:
    """Tokens that texts of one request may have which have to be encoded."""

    most: int
    texts: list[str] = field(default_factory=list)
    """Those that were encoded for it so far; how many tokens they have only an encoder knows."""


async def encode_each(call: Call, serving: Serving, asked: Sequence[tuple[str, str]]) -> F32:
    """Representations `(n, r)` of texts of a write, each with its prompt; the key is charged for them.

    Raises:
        Problem: 413 for more tokens than a request may have, or the model cannot encode now.
    """
    began = perf_counter()
    vectors, cached, tokens = await serving.represent_each(asked, most=allowance_of(call))
    call.encoding += perf_counter() - began
    call.model = serving.label
    charge(call, units_of_texts(len(asked), cached, tokens))
    return vectors


def units_of_texts(count: int, cached: int, tokens: int) -> int:
    """What texts cost: one unit each, and one for every 32 tokens of those that were not known."""
    return count + (-(-tokens // 32) if cached < count else 0)


def charge(call: Call, units: int) -> None:
    """Have the key and the log count units."""
    call.units += units
    if call.caller is not None:
        call.caller.units.charge(units)


def allowance_of(call: Call) -> Allowance:
    """What is left of the tokens of a request."""
    if call.allowance is None:
        call.allowance = Allowance(call.state.settings.request_tokens)
    return call.allowance
