"""A server of a few lines that answers as a test says and remembers what it was asked."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

RESET = "reset"
"""Drops the connection after the request was read."""


@dataclass
class Script:
    """Answers in order, the last one for ever: `(status, headers, body)` or `RESET`."""

    url: str = ""
    answers: list[Any] = field(default_factory=list)
    seen: list[dict[str, Any]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    """What an answer with status 0 waits for."""

    def next(self, method: str, path: str, headers: Any, body: bytes) -> Any:
        lower = {k.lower(): v for k, v in headers.items()}
        self.seen.append({"method": method, "path": path, "headers": lower, "body": body})
        return self.answers[min(len(self.seen), len(self.answers)) - 1]


def problem(status: int, code: str, **more: Any) -> tuple[int, dict[str, str], bytes]:
    headers = {"Retry-After": str(more["retry_after"])} if "retry_after" in more else {}
    body = {"status": status, "code": code, "detail": f"because of {code}", **more}
    return (
        status,
        {**headers, "Content-Type": "application/problem+json"},
        json.dumps(body).encode(),
    )


def ok(value: Any) -> tuple[int, dict[str, str], bytes]:
    headers = {"X-Request-Id": "req-1", "Content-Type": "application/json"}
    return 200, headers, json.dumps(value).encode()


@contextlib.contextmanager
def scripted() -> Iterator[Script]:
    script = Script()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            found = script.next(self.command, self.path, self.headers, body)
            if found == RESET:
                # linger of 0 turns the close into a reset
                self.connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
                self.close_connection = True
                self.connection.close()
                return
            status, headers, content = found
            if status == 0:
                script.gate.wait(20)
                status = 200
            with contextlib.suppress(OSError):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - names of the library

        def log_message(self, *args: Any) -> None:
            pass

        def finish(self) -> None:
            with contextlib.suppress(OSError, ValueError):
                super().finish()

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield script
    finally:
        script.gate.set()
        server.shutdown()
        server.server_close()
        thread.join(10)
