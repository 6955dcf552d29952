"""A Redis of the tests' own, which may be stopped."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass

import pytest

from tests.service.harness import quiet_port


@dataclass
class Redis:
    """A Redis of its own, that may be stopped."""

    password: str = ""
    port: int = 0
    process: subprocess.Popen | None = None

    def __post_init__(self):
        if shutil.which("redis-server") is None:
            pytest.skip("no redis-server on the PATH")
        self.port = quiet_port()

    @property
    def url(self) -> str:
        return f"redis://{f':{self.password}@' * bool(self.password)}127.0.0.1:{self.port}/0"

    def start(self) -> Redis:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        if self.password:
            command += ["--requirepass", self.password]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with contextlib.suppress(OSError), self.client() as found:
                found.settimeout(1)
                return self
            time.sleep(0.02)
        raise AssertionError("redis-server did not start")

    def client(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 1)

    def ask(self, *words: str) -> str:
        """What redis-cli prints."""
        command = ["redis-cli", "--raw", "-p", str(self.port)]
        command += ["-a", self.password, "--no-auth-warning"] if self.password else []
        return subprocess.run([*command, *words], check=True, capture_output=True, text=True).stdout

    def kill(self, sig: int = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(sig)
            if sig == signal.SIGKILL:
                self.process.wait(60)


@contextlib.contextmanager
def redis(**options):
    found = Redis(**options)
    try:
        yield found
    finally:
        if found.process is not None:
            found.kill()
