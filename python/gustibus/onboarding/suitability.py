"""Which texts may be shown in a question: by words that must not be in them, and by how hard they read."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gustibus.errors import InputError

if TYPE_CHECKING:
    from gustibus.onboarding.building import Pairs
    from gustibus.types import I64

Suits = Callable[[str], bool]
"""Whether a text may be shown."""

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")
_END = re.compile(r"[.!?\u2026:;]+(?=\s|$)|\n{2,}")
_LONG = 7  # letters


def lix(text: str) -> float:
    """How hard a text reads: words a sentence, plus the percentage of words of 7 letters and more.

    Up to 30 is easy, 40 a newspaper, from 60 on very hard. It counts what any language has that puts spaces
    between words, and means nothing for others. 0 without words.

    Source: Björnsson 1968.
    """
    words = _WORD.findall(text)
    if not words:
        return 0.0
    sentences = max(1, sum(1 for part in _END.split(text) if _WORD.search(part)))
    return len(words) / sentences + 100.0 * sum(len(w) >= _LONG for w in words) / len(words)


def suiting(*, terms: Iterable[str] = (), max_lix: float = math.inf) -> Suits:
    """What refuses texts that hold one of some terms, or that are too hard to read.

    Args:
        terms: words or phrases, whole and in any case; a text of several is found over any spaces.
        max_lix: largest `lix`, above 0.

    Raises:
        InputError: an empty term, or a limit that is not above 0.
    """
    if not max_lix > 0:
        message = f"max_lix: expected a number above 0, got {max_lix!r}"
        raise InputError(message, where="max_lix")
    parts = []
    for term in terms:
        words = term.split()
        if not words:
            message = f"terms: expected words, got {term!r}"
            raise InputError(message, where="terms")
        parts.append(r"\s+".join(map(re.escape, (word.casefold() for word in words))))
    held = re.compile(rf"(?<!\w)(?:{'|'.join(parts)})(?!\w)") if parts else None

    def suits(text: str) -> bool:
        if held is not None and held.search(text.casefold()) is not None:
            return False
        return max_lix == math.inf or lix(text) <= max_lix

    return suits


def suitable(
    pairs: Pairs, suits: Suits, *, texts: Sequence[str], prompts: Sequence[str] | None = None
) -> I64:
    """Places of the pairs whose texts and prompt may all be shown, rising; each text is judged once.

    Args:
        pairs: `(c,)` candidates.
        suits: tells of a text.
        texts: of the items.
        prompts: of the prompts; None judges none.
    """
    said: dict[str, bool] = {}

    def judged(text: str) -> bool:
        if text not in said:
            said[text] = bool(suits(text))
        return said[text]

    rows = zip(pairs.prompt.tolist(), pairs.a.tolist(), pairs.b.tolist(), strict=True)
    kept = [
        place for place, (prompt, a, b) in enumerate(rows)
        if judged(texts[a]) and judged(texts[b]) and (prompts is None or judged(prompts[prompt]))
    ]  # fmt: skip
    return np.array(kept, np.int64)
