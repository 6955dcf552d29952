"""The log: one JSON line a request, written in batches; never a text or a person's name."""

from __future__ import annotations

import asyncio
import json
import os
import time
from hashlib import blake2b
from typing import TYPE_CHECKING

from gustibus.service.problems import NO_WRITES
from gustibus.store import TENANT

if TYPE_CHECKING:
    from gustibus.service.call import Call
    from gustibus.service.tracing import Trace

_EVERY = 0.1  # seconds between writes
_MOST = 2000  # lines kept back


class Journal:
    """Lines that wait to be written.

    Args:
        salt: key of the hash under which people appear.
        descriptor: where lines go; None writes nothing.
    """

    def __init__(self, salt: bytes, descriptor: int | None) -> None:
        self._salt = salt[:64]
        self._descriptor = descriptor
        self._lines: list[str] = []
        self._due = False

    def add(
        self, method: str, route: str, status: int, seconds: float, request_id: str,
        call: Call | None, trace: Trace | None = None,
    ) -> None:  # fmt: skip
        """One line for one reply."""
        if self._descriptor is None:
            return
        more = ""
        if call is not None:
            if call.caller is not None:
                name = "session_id" if call.caller.session else "key_id"
                more = f',"{name}":"{call.caller.id}"'
            if call.units:
                more += f',"units":{call.units},"model":"{call.model}"'
            if call.user:
                more += f',"user_hash":"{self.hash(call.user)}"'
        if trace is not None:
            more += f',"trace_id":"{trace.id}"'
        level = "info" if status < 500 else "error"
        self._lines.append(
            f'{{"ts":{time.time():.3f},"level":"{level}","method":{_METHODS.get(method, _OTHER)},'
            f'"route":"{route}","status":{status},"ms":{seconds * 1e3:.3f},'
            f'"tenant":"{TENANT}","request_id":"{request_id}"{more}}}\n'
        )
        if len(self._lines) >= _MOST:
            self.flush()
        elif not self._due:
            self._due = True
            asyncio.get_running_loop().call_later(_EVERY, self.flush)

    def event(self, name: str, **values: object) -> None:
        """One line about the process itself."""
        if self._descriptor is None:
            return
        self._lines.append(
            json.dumps({"ts": round(time.time(), 3), "level": "info", "event": name, **values})
            + "\n"
        )
        self.flush()

    def hash(self, user: str) -> str:
        """A name that tells people apart within this installation and nothing else."""
        return blake2b(user.encode(), digest_size=8, key=self._salt).hexdigest()

    def flush(self) -> None:
        """Write what waits; a reader that has gone is no reason to fail, nor is a full disk."""
        self._due = False
        if self._lines and self._descriptor is not None:
            data = "".join(self._lines).encode()
            self._lines.clear()
            try:
                os.write(self._descriptor, data)
            except OSError as error:
                if error.errno not in NO_WRITES:
                    self._descriptor = None


_METHODS = {m: f'"{m}"' for m in ("GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS")}
_OTHER = '"OTHER"'
