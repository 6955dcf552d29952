"""No acknowledged answer is lost when PostgreSQL is killed at any moment, and the service recovers."""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.harness import DIM, running
from tests.service.test_kill import WRITERS, Writer, everything


class Cluster:
    """A PostgreSQL server of this test's own; it refuses to run as root, so another user does.

    Args:
        folder: for its data.
        binaries: where `initdb` and `postgres` are.
        user: who runs it; None for who runs the test.
    """

    def __init__(self, folder: Path, binaries: Path, user: str | None) -> None:
        self.folder, self.data = folder, folder / "data"
        self.environment: dict[str, str] = {}
        self._binaries, self._user = binaries, user
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        if user is not None:
            owner = pwd.getpwnam(user)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        self._run("initdb", "-D", str(self.data), "-U", "gustibus", "-A", "trust", "-E", "UTF8")
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://gustibus@127.0.0.1:{self.port}/postgres"

    def _run(self, name: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._binaries / name), *arguments], user=self._user, capture_output=True,
            check=False, cwd="/",
        )  # fmt: skip
        if done.returncode:
            pytest.skip(f"{name} does not run here: {done.stderr.decode()[-200:]}")

    def start(self) -> None:
        """Start and wait until it takes connections, recovery included.

        A process that was being made when the server was killed may hold its memory for a moment longer:
        the server ends at once then, and is started again.
        """
        import psycopg

        until = time.monotonic() + 60
        while True:
            if self.process is None or self.process.poll() is not None:
                self.process = subprocess.Popen(
                    [str(self._binaries / "postgres"), "-D", str(self.data), "-p", str(self.port),
                     "-k", "", "-h", "127.0.0.1", "-c", "fsync=on"],
                    user=self._user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
                    env={**os.environ, **self.environment},
                )  # fmt: skip
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.url, connect_timeout=2).close()
                return
            assert time.monotonic() < until, "the database does not start"
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL to the server and every process of it, at once."""
        if self.process is None:
            return
        pid = self.process.pid
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            os.kill(pid, signal.SIGKILL)
            for child in children:
                with contextlib.suppress(OSError):
                    os.kill(int(child), signal.SIGKILL)
        self.process.wait(60)
        self.process = None


@contextlib.contextmanager
def installed() -> Iterator[Cluster]:
    """A server that is not started yet, killed at the end; skips where none can be."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    single = shutil.which("initdb")
    if not found and single is None:
        pytest.skip("no PostgreSQL server is installed")
    binaries = found[-1].parent if found else Path(str(single)).resolve().parent
    user = None
    if os.geteuid() == 0:
        try:
            user = pwd.getpwnam("postgres").pw_name
        except KeyError:
            pytest.skip("PostgreSQL refuses to run as root, and there is no user postgres")
    # Folders of pytest are closed to other users.
    with tempfile.TemporaryDirectory(prefix="gustibus-cluster-") as folder:
        made = Cluster(Path(folder), binaries, user)
        try:
            yield made
        finally:
            made.kill()


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with installed() as made:
        made.start()
        yield made


def survive(cluster: Cluster, folder: Path, model: Path, *, kills: int, seed: int) -> int:
    """Kill the database under load again and again; returns the answers kept."""
    rng = random.Random(seed)
    with running(cluster.url, folder, gustibus_model=str(model)) as service:
        with service.client() as http:
            items = [{"id": n, "embedding": [float(k)] * DIM} for k, n in enumerate("xy")]
            assert http.post("/v1/items:batch", json={"items": items}).status_code == 200
        done = threading.Event()
        writers = [Writer(service, number, done) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        for _ in range(kills):
            time.sleep(rng.uniform(0.05, 0.5))
            cluster.kill()
            with service.client(service.key) as http:  # scoring needs no database
                assert http.post("/v1/score", json={"candidates": [{"id": "x"}]}).status_code == 200
            cluster.start()
            until = time.monotonic() + 60
            before = sum(len(writer.acknowledged) for writer in writers)
            while sum(len(writer.acknowledged) for writer in writers) <= before:
                assert time.monotonic() < until, "the service does not recover"
                time.sleep(0.02)
        done.set()
        for writer in writers:
            writer.join(20)
        kept = 0
        with service.client() as http:
            for writer in writers:
                assert not writer.wrong, writer.wrong[:3]
                found = everything(http, f"u{writer.number}")
                by_source = {row["source"]: row["id"] for row in found}
                assert len(by_source) == len(found), "an answer was kept twice"
                for name, told in writer.acknowledged.items():
                    assert by_source.get(name) == told, f"{name} was acknowledged, and is not there"
                kept += len(found)
        return kept


def test_answers_survive_two_kills_of_the_database(
    cluster, tmp_path, vectors_folder, vectors_model
):
    assert survive(cluster, tmp_path, vectors_folder, kills=2, seed=1) > 10


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_answers_survive_fifty_kills_of_the_database(
    cluster, tmp_path, vectors_folder, vectors_model
):
    kept = survive(cluster, tmp_path, vectors_folder, kills=50, seed=2)
    print({"kills": 50, "kept": kept})
    assert kept > 200
