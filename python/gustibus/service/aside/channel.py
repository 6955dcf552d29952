"""The process's end of the line to the worker that began it."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO

from gustibus.artifact import Artifact
from gustibus.errors import GustibusError, OverloadedError
from gustibus.scoring import Scorer
from gustibus.service.loading import remote_encoder
from gustibus.service.problems import Problem
from gustibus.service.settings import Settings
from gustibus.service.work.task import UNEXPECTED, result_file
from gustibus.store import ROUND, Store

if sys.platform != "win32":
    import fcntl

_NICE = 10
_EVERY = 0.1  # seconds between two tellings of how far it is


@dataclass
class Order:
    """What the process is to do.

    Attributes:
        settings: of the service.
        job: id.
        params: what the job is asked to do.
        line: that the worker reads.
    """

    settings: Settings
    job: str
    params: dict[str, Any]
    line: BinaryIO
    _told: float = field(default=0.0, init=False)

    def tell(self, done: int, total: int | None) -> None:
        """Say how far it is, now and then."""
        if monotonic() > self._told + _EVERY or done == total:
            self._told = monotonic()
            self.say({"done": done, "total": total})

    def say(self, what: dict[str, Any]) -> None:
        """One line."""
        self.line.write(json.dumps(what).encode() + b"\n")
        self.line.flush()

    def file(self, ending: str) -> Path:
        """A file of the job in the folder of results."""
        return result_file(self.settings, self.job, ending)

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The store, for reading."""
        store = Store(self.settings.database, readers=1, writers=1)
        try:
            yield store
        finally:
            store.close()

    def model(self) -> Artifact:
        """The model that the job is about.

        Raises:
            NoArtifactError: it is not here any more.
        """
        settings, digest = self.settings, str(self.params["model"])
        folder = Path(settings.models) / digest if settings.models else Path(settings.model)
        found = Artifact.load(folder) if folder.name and folder.is_dir() else None
        if found is None or found.digest != digest:
            message = f"the model {digest[:12]} is not in service here any more; ask again"
            raise GustibusError(message)
        return found

    def scorer(self, artifact: Artifact) -> Scorer:
        """The model with the encoder that the service uses."""
        return Scorer(artifact, encoder=remote_encoder(self.settings, artifact))

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """The folder that the job works in, which nobody else does meanwhile.

        What an earlier process of the job has left is there, unless the job is to begin anew. A process
        whose worker was told to stop may still be at it for a moment; it is waited for.
        """
        folder = self.file(".work")
        with self.file(".lock").open("wb") as held:  # it stays, as others may wait for it
            if sys.platform != "win32":
                with suppress(OSError):  # of a file system without locks
                    fcntl.flock(held, fcntl.LOCK_EX)
            begun, now = folder / "round", str(self.params.get(ROUND, 0))
            if not begun.is_file() or begun.read_text() != now:
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                begun.write_text(now)
            yield folder


def run(work: Callable[[Order], dict[str, Any]]) -> None:
    """Do what the worker asks for, in one line on standard input, and tell it what came of that.

    Whatever else is written to standard output goes to the log. Where standard input ends, the worker
    has, and so does this process.
    """
    line = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    if sys.platform != "win32":
        os.nice(_NICE)  # requests come first
    given = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_worker, daemon=True).start()
    order = Order(_absolute(Settings(**given["settings"])), given["job"], given["params"], line)
    try:
        order.say({"result": work(order)})
    except (GustibusError, Problem) as error:
        again = isinstance(error, OverloadedError)
        told = _without(order, str(error))
        order.say({"error": told, "code": error.code, "again": again})
    except Exception:
        traceback.print_exc()
        order.say({"error": UNEXPECTED, "code": "internal", "again": False})
    line.close()
    os._exit(0)  # threads of libraries are not waited for


def _end_with_worker() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def _absolute(settings: Settings) -> Settings:
    """Settings whose folders are the same from wherever the job works."""

    def absolute(folder: str) -> str:
        return str(Path(folder).absolute()) if folder else ""

    return replace(
        settings, files=absolute(settings.files), models=absolute(settings.models),
        import_folder=absolute(settings.import_folder), golden=absolute(settings.golden),
    )  # fmt: skip


def _without(order: Order, message: str) -> str:
    """A message without the folders of this machine."""
    for folder in (order.settings.import_folder, order.settings.files, order.settings.models):
        if folder:
            for told in (str(Path(folder).resolve()), folder):
                message = message.replace(f"{told}/", "")
    golden = order.settings.golden
    if golden:
        message = message.replace(golden, Path(golden).name)
    return message
