"""The whole service inside this process: requests go in as ASGI, and nothing is listened to."""

from __future__ import annotations

import asyncio
import json
import logging
import tempfile
import threading
import traceback
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np

from gustibus.service.app import TABLE, create_app
from gustibus.service.settings import Settings
from gustibus.store import upgrade
from tests.fuzz.limits import SLOWER
from tests.service.harness import DIM, new_key, save_vectors_model

PATIENCE = 5.0 * SLOWER
"""Seconds of the processor that a case may take; other work on the machine is not its fault."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    code: str
    body: bytes


class Served:
    """A service with a model of embeddings, items, people and a key of every scope."""

    def __init__(self) -> None:
        memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # a commit costs nothing there
        self._folder = tempfile.TemporaryDirectory(prefix="gustibus-fuzz-", dir=memory)
        folder = Path(self._folder.name)
        self.artifact = save_vectors_model(folder / "model")
        url = f"sqlite:///{folder}/service.db"
        upgrade(url)
        self.key = new_key(url)
        settings = Settings(
            database=url, model=str(folder / "model"), log=False, worker=False, rate=0.0,
            import_folder=str(folder), max_wait=60.0, deadline_ms=0, failed_keys=0, sessions=0, answers=0,
        )  # fmt: skip
        self.stories: list[str] = []
        log = logging.getLogger("gustibus.service")
        log.propagate = False
        log.addHandler(_Kept(self.stories))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.gate = create_app(settings)
        self._wait(self.gate.start())
        rows = np.random.default_rng(0).standard_normal((12, DIM))
        items = [{"id": f"item-{n}", "embedding": row.tolist()} for n, row in enumerate(rows)]
        self.told("POST", "/v1/items:batch", {"items": items})
        for n in range(3):
            self.told("PUT", f"/v1/users/user-{n}", {"attributes": {"x": "y"}})
        self.session = self.told(
            "POST", "/v1/onboarding/sessions", {"user": "asked"}
        )  # whom nobody restricts

    def close(self) -> None:
        self._wait(self.gate.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._folder.cleanup()

    def told(self, method: str, path: str, body: Any) -> dict[str, Any]:
        """The reply to a request that is right."""
        answer = self.ask(method, path, json.dumps(body).encode())
        assert answer.status < 300, answer
        return json.loads(answer.body)

    def ask(
        self, method: str, path: str, body: bytes = b"", *, query: bytes = b"",
        kind: str = "application/json", headers: dict[str, bytes] | None = None,
        pieces: int = 1, key: bytes | None = None,
    ) -> Answer:  # fmt: skip
        """A request; one that is not answered as the document says ends in an error."""
        sent = {"content-type": kind.encode(), **(headers or {})}
        if key is None:
            key = b"Bearer " + self.key.encode()
        sent["authorization"] = key
        scope = {
            "type": "http", "method": method, "path": path, "raw_path": quote(path).encode(),
            "query_string": query, "headers": [(n.encode(), v) for n, v in sent.items()],
        }  # fmt: skip
        self.stories.clear()
        answer = self._wait(self._answer(scope, body, pieces))
        if self.stories:
            raise AssertionError(f"{method} {path}: {self.stories[0]}")
        found = TABLE.find(method, path)
        if answer.code and found is not None:
            assert answer.code != "internal"
            assert answer.code in found[0].codes, (
                f"{method} {path}: {answer.code} is not documented"
            )
        return answer

    async def _answer(self, scope: dict[str, Any], body: bytes, pieces: int) -> Answer:
        size = -(-len(body) // pieces) or 1
        parts = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
        waiting = iter(parts)
        head: dict[str, Any] = {}
        out: list[bytes] = []
        left = len(parts)

        async def receive() -> dict[str, Any]:
            nonlocal left
            part = next(waiting, None)
            if part is None:
                return {"type": "http.disconnect"}
            left -= 1
            return {"type": "http.request", "body": part, "more_body": left > 0}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                head.update(message)
            else:
                out.append(message.get("body", b""))

        await self.gate(scope, receive, send)
        data = b"".join(out)
        code = json.loads(data)["code"] if head["status"] >= 400 else ""
        return Answer(head["status"], code, data)

    def _wait(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)


class _Kept(logging.Handler):
    """Keeps what the service logs as an error."""

    def __init__(self, stories: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._stories = stories

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += "\n" + "".join(traceback.format_exception(record.exc_info[1]))
        self._stories.append(text)
