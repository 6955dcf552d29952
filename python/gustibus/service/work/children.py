"""A job done by a process of its own, which can be stopped at any moment and takes nobody along.

The process is told what to do in one line of JSON, and tells how far it is, and at last what came of it,
in lines of JSON. It ends when the worker does: what it reads from ends then.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from dataclasses import asdict
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import msgspec

from gustibus.errors import MissingExtraError, OverloadedError
from gustibus.service.work.task import JobError, Task

if TYPE_CHECKING:
    from collections.abc import Mapping

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_LINE = 16 << 20  # most bytes that the process tells at once

log = logging.getLogger("gustibus.service")


async def done_aside(
    task: Task, module: str, *, threads: int | None = None, files: bool = True, **more: Any
) -> dict[str, Any]:
    """What came of a job that `gustibus.service.aside` does; its process ends when this is cancelled.

    Args:
        task: the job; what it is asked to do is told to the process.
        module: of that package.
        threads: of each piece of arithmetic; None for as many as there are cores.
        files: whether it works with files of the job.
        more: is told to the process beside.

    Raises:
        JobError: the job cannot be done, or its process ended before it was.
        OverloadedError: the store cannot be used now.
    """
    if files:
        task.need_folder()
    order = {
        "settings": asdict(task.state.settings), "job": task.job.id, "params": task.job.params,
        **more,
    }  # fmt: skip
    limits = {} if threads is None else dict.fromkeys(_THREADS, str(threads))
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"gustibus.service.aside.{module}", env={**os.environ, **limits},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_LINE,
    )  # fmt: skip
    try:
        assert child.stdin is not None, "it is a pipe"
        child.stdin.write(msgspec.json.encode(order) + b"\n")
        told = await _followed(task, child)
        await child.wait()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if told is None:
        log.error("the process of job %s ended with %s", task.job.id, child.returncode)
        message = (
            "the process of this job ended before it was done; the log of the worker may say why"
        )
        raise JobError(message, code="internal")
    return told


async def _followed(task: Task, child: asyncio.subprocess.Process) -> dict[str, Any] | None:
    """The result that a process tells, and until then its progress; None where it tells none."""
    assert child.stdout is not None, "it is a pipe"
    async for line in child.stdout:
        told: Mapping[str, Any] = msgspec.json.decode(line)
        if "result" in told:
            return dict(told["result"])
        if "error" in told:
            if told["again"]:
                raise OverloadedError(told["error"])
            raise JobError(told["error"], code=told["code"])
        task.done, task.total = told["done"], told["total"]
    return None


def require(package: str, extra: str) -> None:
    """Refuse a job that a package is missing for.

    Raises:
        MissingExtraError: names the extra that brings it.
    """
    try:
        found = find_spec(package)
    except ValueError:  # a module without a spec
        found = None
    if found is None:
        raise MissingExtraError.of(package, extra)
