"""`gustibus bench serve` and `bench place`: how fast a service answers, and a model places people."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import typer

from gustibus.cli.common import JsonOption, emit
from gustibus.cli.records import UrlOption
from gustibus.errors import ConfigError, GustibusError

if TYPE_CHECKING:
    import numpy as np

    from gustibus.artifact import Artifact

Option = typer.Option
_START = 60.0
"""Seconds in which a service has to be ready."""
_BODIES = 16
"""Different bodies that are sent in turn."""
_REFUSALS = (429, 503)
_PATIENCE = 30.0
"""Seconds for a reply."""


def serve_command(
    *,
    model: Annotated[
        str, typer.Argument(help="Folder of a trained model, which is served for the occasion.")
    ] = "",
    url: UrlOption = "",
    user: Annotated[str, Option(help="A person; nobody scores for the population.")] = "",
    candidates: Annotated[int, Option(min=1, max=1024, help="Embeddings in a request.")] = 64,
    connections: Annotated[
        int, Option(min=1, max=256, help="Each with one request at a time.")
    ] = 4,
    seconds: Annotated[float, Option(min=0.1, max=600, help="How long, after a warm-up.")] = 5.0,
    workers: Annotated[int, Option(min=1, help="Processes that serve the model folder.")] = 1,
    as_json: JsonOption = False,
) -> int:
    """Requests a second, and how long they take, as fast as replies come.

    A request scores random embeddings, so that no encoder is part of it. A running service may refuse
    requests over the limits of the key; refusals are counted apart. The load is made by threads of
    Python on this machine: where it takes most of a core, the service can do more.

    Example: gustibus bench serve runs/first --seconds 10
    """
    where = url or ("" if model else os.environ.get("GUSTIBUS_URL", ""))
    if bool(where) == bool(model):
        message = "bench serve: expected a model folder, or a service: --url or GUSTIBUS_URL"
        raise ConfigError(message, where="model")
    if where:
        target = _Target(where, os.environ.get("GUSTIBUS_KEY", "").strip())
        load = _load(target, user, candidates, connections, seconds)
    else:
        with _throw_away(Path(model), workers) as target:
            load = _load(target, user, candidates, connections, seconds)
    if as_json:
        emit(load._asdict())
    else:
        sys.stdout.write(table({
            "requests a second": f"{load.requests_per_second:,.0f}",
            "candidates a second": f"{load.candidates_per_second:,.0f}",
            "half of them within": f"{load.p50_ms:.2f} ms",
            "99 % of them within": f"{load.p99_ms:.2f} ms",
            "answered, refused, failed": f"{load.answered}, {load.refused}, {load.failed}",
            "cores taken by the load": f"{load.client_cores:.2f}",
        }))  # fmt: skip
    if load.problem:
        sys.stderr.write(f"gustibus: the first that failed: {load.problem}\n")
    return 1 if not load.answered else 4 if load.failed else 0


class _Target(NamedTuple):
    """Where requests go."""

    url: str
    key: str


class _Load(NamedTuple):
    """What was measured; times are of the requests that were answered."""

    requests_per_second: float
    candidates_per_second: float
    p50_ms: float
    p99_ms: float
    answered: int
    refused: int
    """With 429 or 503."""
    failed: int
    problem: str
    """Of the first that failed, empty where none did."""
    seconds: float
    connections: int
    candidates: int
    client_cores: float
    """Processor time of the load over the time that it took."""


def _load(target: _Target, user: str, count: int, connections: int, seconds: float) -> _Load:
    """Keep every connection busy for so long.

    Raises:
        GustibusError: the service cannot be reached, or has no model.
    """
    import numpy as np

    from gustibus.client import Client

    with Client(target.url, target.key) as client:
        served = client.models().data
    if not served:
        message = f"{target.url}: no model is served there"
        raise GustibusError(message, where="model")
    dim, rng = served[0].embedding_dim, np.random.default_rng(0)
    scale = (served[0].longest_embedding or 4.0 * dim**0.5) / (
        4.0 * dim**0.5
    )  # half of that, about
    bodies = [
        (scale * rng.standard_normal((count, dim))).astype("<f4").tobytes() for _ in range(_BODIES)
    ]
    query: dict[str, Any] = {"dtype": "f32", "dim": dim, **({"user": user} if user else {})}
    path = f"{urlsplit(target.url).path.rstrip('/')}/v1/score?{urlencode(query)}"
    warm = time.perf_counter() + min(1.0, seconds / 2)
    begun, used = warm, 0.0

    with ThreadPoolExecutor(connections) as pool:
        sent = [
            pool.submit(_busy, target, path, bodies[n % _BODIES :] + bodies[: n % _BODIES], warm,
                        warm + seconds)
            for n in range(connections)
        ]  # fmt: skip
        time.sleep(max(0.0, warm - time.perf_counter()))
        used = time.process_time()
        results = [one.result() for one in sent]
        used = time.process_time() - used
    took = time.perf_counter() - begun
    statuses: Counter[int] = Counter()
    for one in results:
        statuses.update(one.statuses)
    times = np.array([t for one in results for t in one.times])
    problem = next((one.problem for one in results if one.problem), "")
    half, most = np.quantile(times, [0.5, 0.99]) * 1e3 if len(times) else (0.0, 0.0)
    refused = sum(statuses[status] for status in _REFUSALS)
    return _Load(
        len(times) / took, count * len(times) / took, float(half), float(most), len(times), refused,
        statuses.total() - refused - len(times), problem, took, connections, count, used / took,
    )  # fmt: skip


@dataclass(slots=True)
class _Done:
    """What one connection was answered."""

    statuses: Counter[int] = field(default_factory=Counter)
    """How often each came; 0 where there was no reply."""
    times: list[float] = field(default_factory=list)
    """Seconds of those with 200."""
    problem: str = ""
    """Of the first reply that was neither a success nor a refusal."""


def _busy(target: _Target, path: str, bodies: list[bytes], warm: float, until: float) -> _Done:
    """Send over one connection, one request after the other."""
    parts = urlsplit(target.url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_PATIENCE)
    headers = {"Content-Type": "application/octet-stream"}
    headers |= {"Authorization": f"Bearer {target.key}"} if target.key else {}
    done, place = _Done(), 0
    try:
        while (begun := time.perf_counter()) < until:
            try:
                connection.request("POST", path, bodies[place % len(bodies)], headers)
                reply = connection.getresponse()
                content, status = reply.read(), reply.status
            except (OSError, HTTPException) as error:
                content, status = str(error).encode(), 0
                connection.close()
                time.sleep(0.01)  # a service that is gone is not called a million times
            place += 1
            if begun < warm:
                continue
            done.statuses[status] += 1
            if status == 200:
                done.times.append(time.perf_counter() - begun)
            elif status not in _REFUSALS and not done.problem:
                done.problem = _problem(status, content)
    finally:
        connection.close()
    return done


def _problem(status: int, content: bytes) -> str:
    """What a reply that is no success says of itself."""
    from gustibus.client.errors import error_of

    return error_of(status, {}, content).message if status else content.decode("utf-8", "replace")


@contextmanager
def _throw_away(model: Path, workers: int) -> Iterator[_Target]:
    """A service of a model over a database of its own, both gone afterwards."""
    from gustibus.artifact import Artifact
    from gustibus.store import Store, create_key, upgrade

    Artifact.load(model)  # what is wrong with the folder is said here, and not in a log
    with TemporaryDirectory(prefix="gustibus-") as folder:
        database = f"sqlite:///{folder}/bench.db"
        upgrade(database)
        store = Store(database)
        with store.write() as conn:
            key = create_key(
                conn, name="bench", scopes=["models:read", "score", "score:raw"]
            ).secret_text
        store.close()
        settings = {
            "DATABASE": database, "MODEL": str(model.resolve()), "MODELS": "", "HOST": "127.0.0.1",
            "PORT": "0", "WORKERS": str(workers), "RATE": "0", "DRAIN": "0", "METRICS_PORT": "0",
        }  # fmt: skip
        environment = {**os.environ, **{f"GUSTIBUS_{n}": value for n, value in settings.items()}}
        log = Path(folder) / "log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "gustibus", "serve"], env=environment, cwd=folder,
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip
        try:
            yield _Target(f"http://127.0.0.1:{_port(process, log, workers)}", key or "")
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _port(process: subprocess.Popen[bytes], log: Path, workers: int) -> int:
    """The port on which a service listens, once each of its processes is ready.

    Raises:
        GustibusError: it ended, or took too long; with the end of what it said.
    """
    until = time.monotonic() + _START
    while time.monotonic() < until and process.poll() is None:
        events = []
        for line in log.read_text("utf-8", "replace").splitlines():
            try:
                told = json.loads(line)
            except ValueError:
                continue
            events.append(told)
        if sum(one.get("event") == "ready" for one in events) >= workers:
            return int(next(one["port"] for one in events if one.get("event") == "listening"))
        time.sleep(0.05)
    message = f"the service did not start: {log.read_text('utf-8', 'replace')[-400:].strip()}"
    raise GustibusError(message, where="model")


def place_command(
    *,
    model: Annotated[str, typer.Argument(help="Folder of a trained model.")],
    answers: Annotated[int, Option(min=1, max=1000, help="Of each person.")] = 10,
    people: Annotated[int, Option(min=1, max=100_000, help="That are placed one by one.")] = 500,
    candidates: Annotated[int, Option(min=1, max=100_000, help="Scored together.")] = 1000,
    seconds: Annotated[float, Option(min=0.05, max=60, help="Of scoring.")] = 1.0,
    as_json: JsonOption = False,
) -> int:
    """Microseconds to place a person, and candidates scored a second, in this process.

    Answers are random, about questions of the model where it has some; representations are there
    already, so that neither the encoder nor what is shared by everybody is part of it.

    Example: gustibus bench place runs/first --answers 20
    """
    import numpy as np

    from gustibus.artifact import Artifact

    artifact = Artifact.load(model)
    rng, fitted = np.random.default_rng(0), artifact.model
    a, b = sides(artifact, rng)
    times = np.empty(people)
    for n in range(-10, people):  # the first ten are not counted
        rows = rng.integers(len(a), size=answers)
        left, right, target = a[rows], b[rows], rng.integers(2, size=answers).astype(np.float64)
        begun = time.perf_counter()
        state = fitted.place(left, right, target)[0]
        if n >= 0:
            times[n] = time.perf_counter() - begun
    half, most = np.quantile(times, [0.5, 0.99]) * 1e6
    vectors = np.concatenate([a, b])[rng.integers(2 * len(a), size=candidates)]
    done, begun = 0, time.perf_counter()
    while (took := time.perf_counter() - begun) < seconds:
        fitted.utility(state.mean, vectors)
        done += candidates
    found = {
        "place_p50_us": float(half), "place_p99_us": float(most), "people": people,
        "answers": answers, "candidates_per_second": done / took, "candidates": candidates,
        "user_dim": fitted.user_dim,
    }  # fmt: skip
    if as_json:
        emit(found)
    else:
        sys.stdout.write(table({
            f"placing a person by {answers} answers": f"{half:,.0f} us, 99 % within {most:,.0f} us",
            f"candidates a second, {candidates} at once": f"{done / took:,.0f}",
        }))  # fmt: skip
    return 0


def sides(artifact: Artifact, rng: np.random.Generator) -> tuple[Any, Any]:
    """Representations of both sides of questions; of random pairs, or random, where there are none."""
    import numpy as np

    if artifact.pool is not None and len(artifact.pool.ids):
        return artifact.pool.a, artifact.pool.b
    found = artifact.reference
    if len(found) < 2:
        shape = (1000, artifact.model.representation_dim)
        found = rng.standard_normal(shape).astype(np.float32)
    return found, found[rng.permutation(len(found))]


def table(rows: dict[str, str]) -> str:
    """Lines of a name and a value each, the values below each other."""
    wide = max(map(len, rows))
    return "".join(f"{name:{wide}}  {value}\n" for name, value in rows.items())
