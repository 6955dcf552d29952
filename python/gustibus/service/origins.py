"""Origins of addresses, as browsers see them."""

from __future__ import annotations

import re
from typing import Final

_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST: Final = rf"(?P<host>{_LABEL}(?:\.{_LABEL})*|\[::1\])"
_ADDRESS: Final = re.compile(
    rf"(?P<scheme>https?)://{_HOST}(?::(?P<port>[0-9]{{1,5}}))?(?:[/?#][\x21-\x5b\x5d-\x7e]*)?"
)
_HERE: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_PORTS: Final = {"http": 80, "https": 443}


def origin_of(address: str) -> str | None:
    """Scheme, host and port of an address; None for one that nobody should be sent to.

    That is any but an https address of plain characters without a user's name, and http on this machine:
    browsers and `urllib` read some of the others differently.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        return None
    scheme, host = found["scheme"], found["host"].lower()
    port = _PORTS[scheme] if found["port"] is None else int(found["port"])
    if not 0 < port < 65536 or (scheme == "http" and host not in _HERE):
        return None
    return f"{scheme}://{host}" + ("" if port == _PORTS[scheme] else f":{port}")
