"""Valid inputs made wrong: bytes flipped, cut, doubled and swapped; values exchanged for hostile ones."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

WORDS = (
    "", "\x00", "\ud800", "null", "é", "順位", "a b", "../../etc/passwd", "x" * 129, "x" * 40_000,
    "1e999", "NaN", "$ref", "-0", "\u202e", "0" * 5000,
    "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-02-30", "2026-01-02T03:04:05",
)  # fmt: skip
NUMBERS = (
    0, -1, 1, 2**31, 2**32, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**40, 10**4000, 0.5, -0.0, 1e308, 5e-324,
    float("nan"), float("inf"), float("-inf"),
)  # fmt: skip
PIECES = (
    b"\x00", b"\xff" * 8, b"{", b"}", b"[" * 2000, b'"', b"\\u0000", b"\\ud800", b",", b":", b"\n",
    b"\r\n", b"NaN", b"1e999", b"9" * 5000, b"9" * 12, b"\xef\xbb\xbf", b"\xed\xa0\x80", b"=", b"%00", b"%",
    b"\x1f\x8b\x08", b"PAR1", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"null", b"{}" * 50,
)  # fmt: skip

_MOST = 2000
"""Places of a value that is still changed."""


def bytes_of(rng: random.Random, data: bytes) -> bytes:
    """A few changes to bytes, or other bytes altogether."""
    if rng.random() < 0.03:
        return rng.randbytes(rng.choice((0, 1, 7, 64, 1000)))
    for _ in range(1 + int(rng.expovariate(0.7))):
        data = _changed(rng, data)
    return data


def _changed(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    end = min(len(data), at + rng.choice((1, 1, 2, 4, 8, 64, 1000)))
    kind = rng.randrange(9)
    if kind == 0 and data:  # a bit
        at %= len(data)
        return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
    if kind == 1:
        return data[:at]
    if kind == 2:
        return data[:at] + data[end:]
    if kind == 3:
        return data[:at] + rng.choice(PIECES) + data[at:]
    if kind == 4:
        return data[:at] + rng.choice(PIECES) + data[end:]
    if kind == 5:
        return data[:end] + data[at:]
    if kind == 6 and data:
        at %= len(data)
        return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
    if kind == 7 and len(data) >= 8:  # a length
        at = rng.choice((0, len(data) - 8, at % (len(data) - 7)))
        size = rng.choice((0, 1, len(data), 2**31 - 1, 2**31, 2**32, 2**40, 2**63 - 1, 2**64 - 1))
        return data[:at] + size.to_bytes(8, "little") + data[at + 8 :]
    other = rng.randrange(len(data) + 1)
    low, high = sorted((at, other))
    return data[high:] + data[low:high] + data[:low]


def value_of(rng: random.Random, value: Any) -> Any:
    """A few changes to a value of JSON."""
    value = copy.deepcopy(value)
    for _ in range(1 + int(rng.expovariate(0.7))):
        holder: list[Any] = [value]
        places = [(holder, 0), *_places(value)]
        if len(places) > _MOST:  # lists of lists grow faster than the memory
            break
        where, key = rng.choice(places)
        _spoil(rng, where, key)
        value = holder[0]
    return value


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every place below a value, as what holds it and the key there."""
    found, left = [], [value]
    while left and len(found) < _MOST:
        one = left.pop()
        keys = one if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else ()
        for key in keys:
            found.append((one, key))
            left.append(one[key])
    return found


def _spoil(rng: random.Random, where: Any, key: Any) -> None:
    kind = rng.randrange(8)
    if kind == 0:
        where[key] = rng.choice(WORDS)
    elif kind == 1:
        where[key] = rng.choice(NUMBERS)
    elif kind == 2:
        where[key] = rng.choice((None, True, False, [], {}, [[]], [None], {"": {}}))
    elif kind == 3 and isinstance(where, dict):
        del where[key]
    elif kind == 4 and isinstance(where, dict):
        where[rng.choice((*WORDS[:10], *where, "id", "kind", "type"))] = where[key]
    elif kind == 5:
        where[key] = [where[key]] * rng.choice((0, 1, 2, 300))
    elif kind == 6 and isinstance(where, list):
        where.extend([where[key]] * rng.choice((1, 3, 500)))
    else:
        deep: Any = where[key]
        for _ in range(rng.choice((1, 20, 300))):
            deep = [deep] if rng.random() < 0.5 else {"a": deep}
        where[key] = deep


def json_of(rng: random.Random, value: Any) -> bytes:
    """Valid JSON a third of the time; else of a spoiled value, or spoiled bytes."""
    how = rng.random()
    plain = value
    if 0.33 < how < 0.8:
        value = value_of(rng, value)
    ascii_only = rng.random() < 0.7
    try:
        text = json.dumps(value, ensure_ascii=ascii_only)
    except RecursionError:  # nested deeper than this process can write
        text = json.dumps(plain, ensure_ascii=ascii_only)
    data = text.encode("utf-8", "surrogatepass")
    return bytes_of(rng, data) if how > 0.7 else data
