"""`gustibus demo`: the whole of it in two minutes, on people with opposite tastes.

Makes a sample, trains, serves over SQLite, tells the service what three people prefer, places a
fourth with a few questions, and shows how each of them ranks the same answers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import numpy as np

from gustibus.data import write_folder
from gustibus.data.synthetic import DemoWorld, demo_world
from gustibus.errors import ConfigError, GustibusError
from gustibus.models.base import Progress
from gustibus.training import RunConfig, train

_KNOWN = ("Ada", "Bo", "Cy")
_NEW = "Dee"
_ANSWERS = 20  # recorded answers that the service is told about each known person
_PROMPT = "How do I fall asleep faster?"
_PATIENCE = 60.0  # seconds that the service may take to start


@dataclass(frozen=True, slots=True)
class _Client:
    """The service as a client sees it."""

    url: str
    key: str

    def ask(self, method: str, path: str, body: Any = None, *, key: str = "") -> Any:
        """One request; the JSON of its reply.

        Raises:
            GustibusError: the service refused; the message holds its reason.
        """
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {key or self.key}", "Content-Type": "application/json"}
        request = Request(self.url + path, data, headers, method=method)
        try:
            with urlopen(request, timeout=30) as reply:
                return json.loads(reply.read() or b"null")
        except HTTPError as error:
            detail = json.loads(error.read()).get("detail", "")
            message = f"{method} {path}: {error.code} {detail}"
            raise GustibusError(message) from None


def run_demo(
    *, folder: str, port: int, once: bool, seed: int, progress: Progress | None = None
) -> int:
    """Run the demonstration and return the exit code.

    Args:
        folder: where the sample, the model and the database go; what an earlier run left is used
            again as far as it is whole.
        port: of the service; 0 takes a free one.
        once: stop after showing the results instead of serving on.
        seed: of the sample and the training.
        progress: called while training.

    Raises:
        ConfigError: somebody else listens on the port.
        GustibusError: the service does not start, or refuses a request.
    """
    root = Path(folder)
    _check_port(port)
    world = demo_world(seed=seed)
    model = _trained(world, root, seed, progress)
    with _served(root, model, port) as client:
        _introduce(client, world)
        _onboard(client, world)
        _show_rankings(client, world)
        if once:
            port_again = client.url.rpartition(":")[2]
            _say(
                f"\n   To serve it again: gustibus serve --model {root / 'model'} "
                f"--database sqlite:///{root / 'demo.db'} --port {port_again}\n"
            )
        _say(_where_next(client, root))
        if not once:
            _say("Serving until Ctrl-C.\n")
            try:
                while True:
                    time.sleep(3600)
            except KeyboardInterrupt:
                _say("\n")
    return 0


def _trained(world: DemoWorld, root: Path, seed: int, progress: Progress | None) -> Path:
    people = len(world.dataset.comparisons.user_ids)
    _say(
        f"1. A sample of {len(world.dataset.comparisons):,} comparisons by {people} people over "
        f"{len(world.dataset.comparisons.item_ids)} answers.\n"
    )
    data = root / "sample"
    root.mkdir(parents=True, exist_ok=True)
    if not (data / "comparisons.parquet").exists():
        write_folder(world.dataset, data)
    started = time.perf_counter()
    config = RunConfig(
        data=str(data), output=str(root / "model"), model="hierarchical", encoder="static",
        seed=seed,
        model_options={"equalise": [0.5], "ridges": [3.0, 10.0, 30.0], "rank": 8, "folds": 1},
    )  # fmt: skip
    artifact = train(config, progress=progress)
    _say(
        f"2. Trained in {time.perf_counter() - started:.0f} s: people differ along "
        f"{artifact.model.user_dim} directions (model {artifact.digest[:12]}).\n"
    )
    return root / "model"


@contextmanager
def _served(root: Path, model: Path, port: int) -> Iterator[_Client]:
    """A service of its own process over a fresh SQLite file."""
    from gustibus.service.routing import SCOPES
    from gustibus.store import Store, create_key, upgrade

    for suffix in ("", "-wal", "-shm"):
        (root / f"demo.db{suffix}").unlink(missing_ok=True)
    database = f"sqlite:///{(root / 'demo.db').absolute()}"
    upgrade(database)
    store = Store(database)
    with store.write() as conn:
        key = create_key(conn, name="demo", scopes=SCOPES).secret_text
    store.close()
    assert key is not None, "a key that was just made has its text"
    port = port or _free_port()
    environment = {
        **os.environ, "GUSTIBUS_DATABASE": database, "GUSTIBUS_MODEL": str(model.absolute()),
        "GUSTIBUS_PORT": str(port), "GUSTIBUS_DOCS": "1", "GUSTIBUS_DRAIN": "0",
    }  # fmt: skip
    with (root / "service.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gustibus.service.run"], env=environment, stderr=log, stdout=log
        )
        client = _Client(f"http://127.0.0.1:{port}", key)
        try:
            _wait(client, process, root / "service.log")
            _say(f"3. Serving on {client.url} over SQLite ({root / 'demo.db'}).\n")
            yield client
        finally:
            process.terminate()
            process.wait(timeout=40)


def _wait(client: _Client, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            client.ask("GET", "/readyz")
        except (URLError, ConnectionError, GustibusError):
            time.sleep(0.1)
        else:
            return
    tail = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
    message = f"the service did not start; {log} ends with: {' / '.join(tail) or 'nothing'}"
    raise GustibusError(message)


def _check_port(port: int) -> None:
    """Refuse a port that somebody has before anything is trained."""
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            message = (
                f"--port: cannot listen on {port}: {error.strerror}; --port 0 takes a free one"
            )
            raise ConfigError(message, where="--port") from None


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _introduce(client: _Client, world: DemoWorld) -> None:
    """Tell the service what the known people preferred."""
    c = world.dataset.comparisons
    sent = []
    for name in _KNOWN:
        person = c.user_ids.index(name)
        rows = np.flatnonzero((c.user == person) & (c.split == "support"))[:_ANSWERS]
        sent += [
            {"id": f"demo-{name}-{row}", "user": name, "prompt": c.prompts[c.prompt[row]],
             "a": c.item_texts[c.a[row]], "b": c.item_texts[c.b[row]],
             "outcome": "a" if c.target[row] > 0.5 else "b"} for row in rows.tolist()
        ]  # fmt: skip
    reply = client.ask("POST", "/v1/comparisons?wait=profile", {"comparisons": sent})
    _say(f"4. {', '.join(_KNOWN)} gave {_ANSWERS} answers each ({reply['accepted']} accepted).\n")


def _onboard(client: _Client, world: DemoWorld) -> None:
    """Place a new person, who answers as their taste says."""
    c, utility = world.dataset.comparisons, world.truth.utility
    assert utility is not None, "the demonstration's world has utilities"
    liking = dict(zip(c.item_texts, utility[c.user_ids.index(_NEW)], strict=True))
    _say(f"5. {_NEW} is new and {_described(world, _NEW)}. The service asks:\n")
    step = client.ask("POST", "/v1/onboarding/sessions", {"user": _NEW, "max_questions": 8})
    session, token = step["id"], step["token"]
    while step["question"] is not None:
        question = step["question"]
        left, right = question["left"]["text"], question["right"]["text"]
        answer = "left" if liking[left] > liking[right] else "right"
        chosen, other = (left, right) if answer == "left" else (right, left)
        _say(f"   {question['seq'] + 1}. “{_short(chosen)}”\n      over “{_short(other)}”\n")
        path = f"/v1/onboarding/sessions/{session}/answers/{question['seq']}"
        step = client.ask("PUT", path, {"answer": answer}, key=token)
    _say(f"   Expected accuracy on pairs not asked: {step['progress']['confidence']:.0%}.\n")


def _show_rankings(client: _Client, world: DemoWorld) -> None:
    """The same answers for several people, with what is not known about each."""
    c = world.dataset.comparisons
    asked = c.prompts.index(_PROMPT)
    mine = np.unique(np.concatenate([c.a[c.prompt == asked], c.b[c.prompt == asked]]))
    styles = world.dataset.item_table["style"]
    _say(
        f"6. “{_PROMPT}”: the same {len(mine)} answers, ranked for each (score ± standard error):\n"
    )
    columns = []
    for name in (*_KNOWN, _NEW):
        body = {
            "user": name, "prompt": _PROMPT, "return": ["stderr"],
            "candidates": [c.item_texts[i] for i in mine],
        }  # fmt: skip
        reply = client.ask("POST", "/v1/score", body)
        best = client.ask("POST", "/v1/best-of-n", {k: body[k] for k in body if k != "return"})
        rows = [reply["data"][i] for i in reply["ranking"]]
        columns.append((name, rows, best["p_best"]))
    for name, rows, sure in columns:
        _say(f"\n   {name}, who {_described(world, name)} (the first is best with {sure:.0%}):\n")
        for row in (*rows[:2], rows[-1]):
            mark = "…" if row is rows[-1] else " "
            _say(
                f"   {mark} {row['score']:+6.2f} ± {row['stderr']:.2f}  "
                f"{styles[mine[row['index']]]}\n"
            )


def _where_next(client: _Client, root: Path) -> str:
    page = client.ask("POST", "/v1/onboarding/sessions", {"user": "you"})["url"]
    body = json.dumps(
        {"user": "Ada", "prompt": _PROMPT,
         "candidates": ["Phone away, lights off.", "What a lovely question! Take it slowly."],
         "return": ["stderr"]}
    )  # fmt: skip
    return (
        "\n7. Yours to repeat:\n\n"
        f"   export KEY={client.key}\n"
        f'   curl -s {client.url}/v1/score -H "Authorization: Bearer $KEY" \\\n'
        f"     -H 'Content-Type: application/json' -d '{body}'\n"
        f'   curl -s {client.url}/v1/users/{_NEW}/profile -H "Authorization: Bearer $KEY"\n'
        f"   curl -s {client.url}/openapi.json\n\n"
        f"   Say what you prefer yourself (in a browser, for half an hour):\n   {client.url}{page}\n"
        f"   Operator pages, which ask for the key above: {client.url}/admin\n\n"
        f"   Model card: {root / 'model' / 'README.md'}; log: {root / 'service.log'}\n"
        f"   How good is it?  gustibus eval {root / 'sample'} --model {root / 'model'}\n"
    )


def _described(world: DemoWorld, name: str) -> str:
    return next(person.description for person in world.people if person.user_id == name)


def _short(text: str, width: int = 88) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
