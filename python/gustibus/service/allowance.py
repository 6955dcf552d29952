"""What one request may have encoded, in however many parts."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Allowance:
    """Tokens that texts of one request may have which have to be encoded."""

    most: int
    texts: list[str] = field(default_factory=list)
    """Those that were encoded for it so far; how many tokens they have only an encoder knows."""
