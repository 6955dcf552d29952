"""What commands share: options as NAME=VALUE, and JSON on standard output."""

from __future__ import annotations

import json
import sys
from typing import Any

from gustibus.errors import ConfigError


def emit(value: Any) -> None:
    """One JSON document on standard output."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=1)
    sys.stdout.write("\n")


def parse_options(pairs: list[str]) -> dict[str, Any]:
    """`NAME=VALUE` pairs; a value is JSON where it can be, else a string.

    Raises:
        ConfigError: there is no `=`.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            message = f"--set: expected NAME=VALUE, got {pair!r}"
            raise ConfigError(message, where="--set")
        try:
            found[name.strip()] = json.loads(value)
        except ValueError:
            found[name.strip()] = value
    return found
