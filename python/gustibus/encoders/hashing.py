"""Feature hashing of words and character n-grams: no model, no download, any language."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, ClassVar
from zlib import crc32

import numpy as np

from gustibus.encoders.base import ENCODERS, checked_texts, digest_of, unit_length
from gustibus.errors import ConfigError
from gustibus.showing import shown
from gustibus.types import F32, I64

_WORD = re.compile(r"\w+|[^\w\s]")
_VERSION = "1"  # raise it with any change of the vectors


@ENCODERS.add("hashing", source="Weinberger et al. 2009")
class HashingEncoder:
    """Signed counts of words, word pairs and character n-grams, at unit length.

    Args:
        dim: length of a vector, 8 to 65,536.
        characters: shortest and longest n-gram of characters within a word.
        pairs: whether neighbouring words count as features.

    The empty text is the zero vector.
    """

    name: ClassVar[str] = "hashing"

    def __init__(
        self, dim: int = 256, characters: Sequence[int] = (3, 5), *, pairs: bool = True
    ) -> None:
        if not isinstance(dim, int) or not 8 <= dim <= 65_536:
            message = f"dim: expected 8 to 65536, got {dim!r}"
            raise ConfigError(message, where="dim")
        if len(characters) != 2 or not 1 <= characters[0] <= characters[1] <= 16:
            message = f"characters: expected shortest <= longest in 1 to 16, got {list(characters)}"
            raise ConfigError(message, where="characters")
        self.dim = dim
        low, high = characters
        self.options: Mapping[str, Any] = {"dim": dim, "characters": [low, high], "pairs": pairs}
        self.fingerprint = digest_of("hashing", _VERSION, str(sorted(self.options.items())))
        self._pairs = pairs
        self._of_word = lru_cache(1 << 16)(lambda word: _features_of_word(word, low, high))

    def __repr__(self) -> str:
        return shown(self, dim=self.dim)

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> F32:
        """`(n, dim)`; see `Encoder.encode`."""
        del progress  # tens of thousands of texts a second
        found = checked_texts(texts)
        out = np.zeros((len(found), self.dim), np.float32)
        for row, text in enumerate(found):
            hashes = self._hashes(text)
            if len(hashes):
                sign = 1.0 - 2.0 * (hashes >> 31 & 1)
                out[row] = np.bincount(hashes % self.dim, sign, self.dim)
        return unit_length(out)

    def _hashes(self, text: str) -> I64:
        words = _WORD.findall(text.lower())
        parts = [self._of_word(word) for word in words]
        if self._pairs:
            joined = (f"{a} {b}".encode() for a, b in pairwise(words))
            parts.append(np.fromiter((_mixed(crc32(x)) for x in joined), np.int64))
        return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _features_of_word(word: str, low: int, high: int) -> I64:
    """Hashes of a word and of the n-grams of the word between marks."""
    marked = f"<{word}>"
    grams = {marked[i : i + n] for n in range(low, high + 1) for i in range(len(marked) - n + 1)}
    return np.array([_mixed(crc32(x.encode())) for x in [f"={word}", *sorted(grams)]], np.int64)


def _mixed(value: int) -> int:
    """CRC-32 is linear in its input: spread it, so that bucket and sign are independent."""
    value = (value ^ value >> 16) * 0x45D9F3B & 0xFFFFFFFF
    value = (value ^ value >> 16) * 0x45D9F3B & 0xFFFFFFFF
    return value ^ value >> 16
