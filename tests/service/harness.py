"""A real server in a process of its own, with a small model and a database of its own."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np

from gustibus.artifact import Artifact, People
from gustibus.encoders import load_encoder
from gustibus.models.hierarchical import Hierarchical
from gustibus.onboarding import Pairs, build_pool, random_pairs
from gustibus.posterior import Answering, GaussianPrior
from gustibus.service.routing import SCOPES
from gustibus.store import Store, create_key, upgrade

DIM = 6
TASTES = 4
WORDS = "short long warm plain formal funny clear rich calm sharp bright dry".split()  # noqa: SIM905


def model_of(dim: int, *, seed: int) -> Hierarchical:
    """A model in which people differ along four directions."""
    rng = np.random.default_rng(seed)
    return Hierarchical(
        center=np.zeros(dim, np.float32),
        population=(0.3 * rng.standard_normal(dim)).astype(np.float32),
        basis=rng.standard_normal((dim, TASTES)).astype(np.float32),
        prior=GaussianPrior.standard(TASTES),
        answering=Answering(lapse=0.05),
    )


def people_of(seed: int) -> People:
    """Three people of the training."""
    rng = np.random.default_rng(seed)
    spread = np.repeat(0.2 * np.eye(TASTES, dtype=np.float32)[None], 3, 0)
    return People(
        ("trained-0", "trained-1", "trained-2"),
        rng.standard_normal((3, TASTES)).astype(np.float32),
        spread,
        np.array([12, 20, 3], np.int32),
    )


def responses(count: int, *, seed: int) -> list[str]:
    """Different texts of six words."""
    rng = np.random.default_rng(seed)
    return [f"{' '.join(rng.choice(WORDS, 5))} {number}" for number in range(count)]


def save_vectors_model(folder: Path) -> Artifact:
    """A model of ready-made embeddings, with questions."""
    model, rng = model_of(DIM, seed=1), np.random.default_rng(2)
    items = rng.standard_normal((80, DIM)).astype(np.float32)
    return _save(folder, model, items, responses(80, seed=3), None)


def save_texts_model(folder: Path) -> Artifact:
    """A model of texts, with questions."""
    encoder = load_encoder("hashing", dim=64)
    texts = responses(80, seed=4)
    spec = {"name": encoder.name, "options": dict(encoder.options),
            "fingerprint": encoder.fingerprint, "dim": encoder.dim}  # fmt: skip
    model = model_of(64, seed=5)
    return _save(folder, model, encoder.encode(texts), texts, spec)


def _save(folder, model, items, texts, encoder) -> Artifact:
    prompts = [f"Say something, please: number {number}?" for number in range(8)]
    pairs: Pairs = random_pairs(np.arange(len(items)) % 8, count=200, seed=0)
    pool = build_pool(
        model, items, pairs, texts=texts, prompts=prompts, size=120, held_out=30, seed=0
    )
    card = {"name": folder.name, "family": "hierarchical", "version": "0", "encoder": encoder,
            "created": "2026-01-01T00:00:00+00:00"}  # fmt: skip
    reference = model.represent(items[:50])
    return Artifact(model, card, people_of(6), reference, pool).save(folder)


def new_key(url: str, *scopes: str) -> str:
    """A key with these scopes, or with all."""
    store = Store(url)
    with store.write() as conn:
        key = create_key(conn, name="test", scopes=scopes or tuple(SCOPES))
    store.close()
    assert key.secret_text is not None
    return key.secret_text


def quiet_port() -> int:
    """A port that is free, and below those that the system gives to connections.

    A server that starts again needs it again, and meanwhile other tests open many of those.
    """
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


@dataclass
class Service:
    """A server that can be stopped, killed and started again.

    Attributes:
        url: of the database.
        folder: for the log.
        environment: `GUSTIBUS_*` beside those that the harness sets.
    """

    url: str
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    key: str = ""
    starts: int = 0

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log_path(self) -> Path:
        return self.folder / f"server-{self.starts}.log"

    def start(self, *, seconds: float = 90.0) -> Service:
        """Start and wait until every process is ready."""
        self.port = self.port or quiet_port()
        self.starts += 1
        environment = {
            **os.environ, "GUSTIBUS_DATABASE": self.url, "GUSTIBUS_PORT": str(self.port),
            "GUSTIBUS_DRAIN": "0", "GUSTIBUS_REFRESH": "0.2",
            "GUSTIBUS_MAX_WAIT": "5",  # other programs than the service make requests wait here
            "GUSTIBUS_FAILED_KEYS": "0",  # tests send wrong keys by the dozen, from one address
            **self.environment,
        }  # fmt: skip
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "gustibus.service.run"],
                env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        workers = int(self.environment.get("GUSTIBUS_WORKERS", "1"))
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            events = [line for line in self.lines() if "event" in line]
            if sum(line["event"] == "ready" for line in events) >= workers:
                self.port = next(line["port"] for line in events if line["event"] == "listening")
                return self
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        self.kill()
        raise AssertionError(f"the server did not start:\n{self.log_path.read_text()}")

    def lines(self) -> list[dict[str, object]]:
        """The log as far as it is JSON."""
        found = []
        for line in self.log_path.read_text().splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return [line for line in found if isinstance(line, dict)]

    def client(self, key: str | None = None, **options) -> httpx.Client:
        """A client with a key, by default one with every scope."""
        if key is None:
            self.key = self.key or new_key(self.url)
            key = self.key
            self.settle(key)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        options = {"timeout": 20.0, **options}
        return httpx.Client(base_url=self.base, headers=headers, **options)

    def settle(self, key: str, *, seconds: float = 60.0) -> None:
        """Wait until the server knows a key."""
        until = time.monotonic() + seconds
        headers = {"Authorization": f"Bearer {key}"}
        streak = 0
        while time.monotonic() < until:
            reply = httpx.get(f"{self.base}/v1/version", headers=headers)
            known = reply.status_code not in {401, 429}
            streak = streak + 1 if known else 0
            if streak >= 1 + 10 * (self.environment.get("GUSTIBUS_WORKERS", "1") != "1"):
                return
            time.sleep(0 if known else 0.05)
        raise AssertionError("the server does not learn of the key")

    def stop(self, *, seconds: float = 40.0) -> int:
        """SIGTERM, and the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(60)


@contextlib.contextmanager
def running(url: str, folder: Path, **environment: str) -> Iterator[Service]:
    """A server over a fresh database."""
    upgrade(url)
    service = Service(url, folder, {k.upper(): v for k, v in environment.items()})
    try:
        yield service.start()
    finally:
        service.kill()


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """URL of a PostgreSQL database that lives as long as the block; skips where there is none."""
    import psycopg
    import pytest

    host, port = os.environ.get("PGHOST", "127.0.0.1"), os.environ.get("PGPORT", "5432")
    user = os.environ.get("PGUSER", "postgres")

    def run(statement: str) -> None:
        with psycopg.connect(
            host=host, port=int(port), user=user, dbname="postgres", autocommit=True,
            connect_timeout=3,
        ) as conn:  # fmt: skip
            conn.execute(statement.encode())

    name = f"gustibus_service_{secrets.token_hex(6)}"
    try:
        run(f'CREATE DATABASE "{name}"')
    except psycopg.OperationalError:
        pytest.skip("no PostgreSQL at the address of PGHOST, PGPORT and PGUSER")
    try:
        yield f"postgresql://{user}@{host}:{port}/{name}"
    finally:
        run(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextlib.contextmanager
def database(engine: str, folder: Path) -> Iterator[str]:
    """URL of a fresh database of an engine."""
    if engine == "sqlite":
        yield f"sqlite:///{folder}/service.db"
    else:
        with postgres() as url:
            yield url
