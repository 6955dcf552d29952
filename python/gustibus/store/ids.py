"""Server ids: ULIDs, which sort by time."""

from __future__ import annotations

import os
import threading
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_MASK = (1 << 80) - 1


class Ulids:
    """ULIDs that rise within a process, even within one millisecond and over threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ms = 0
        self._head = ""
        self._low = 0

    def __call__(self) -> str:
        """26 characters: 48 bits of time in ms, 80 random bits."""
        ms = time.time_ns() // 1_000_000
        with self._lock:
            if ms > self._ms:
                self._ms = ms
                self._head = _digits(ms, 5)
                self._low = int.from_bytes(os.urandom(10), "big") >> 1
            else:
                self._low = (self._low + 1 + os.urandom(1)[0]) & _MASK
            return self._head + _digits(self._low, 8)


def _digits(value: int, pairs: int) -> str:
    out = [""] * pairs
    for place in range(pairs - 1, -1, -1):
        out[place] = _PAIRS[value & 1023]
        value >>= 10
    return "".join(out)


ulid = Ulids()
"""The generator of this process."""
