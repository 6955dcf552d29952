"""What was removed, under a signature by which whoever has the store can tell it from a made-up one."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

_SIGNATURE = "signature"
_PURPOSE = b"statement "  # with a space, which no name has


def signed(key: bytes, told: Mapping[str, Any]) -> dict[str, Any]:
    """A statement with its signature: HMAC-SHA256 over its other fields as JSON, sorted and without spaces."""
    text = json.dumps(dict(told), sort_keys=True, separators=(",", ":"))
    signature = hmac.digest(key, _PURPOSE + text.encode(), hashlib.sha256)
    return {**told, _SIGNATURE: signature.hex()}


def is_signed(key: bytes, statement: Mapping[str, Any]) -> bool:
    """Whether a statement was signed with this key and says now what it said then."""
    told = {name: value for name, value in statement.items() if name != _SIGNATURE}
    given = statement.get(_SIGNATURE)
    return isinstance(given, str) and hmac.compare_digest(
        signed(key, told)[_SIGNATURE].encode(), given.encode()
    )
