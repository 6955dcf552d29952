"""Ctrl-C during a long call, as a person at a terminal presses it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time


def seconds_until_interrupted(code: str, *, after: float = 0.3) -> float:
    """Seconds from SIGINT until a process of its own has left a call by `KeyboardInterrupt`.

    Args:
        code: prints `ready` before the call, and `interrupted` once the exception is caught.
        after: seconds of work before the signal.
    """
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "ready\n"
        time.sleep(after)
        assert child.poll() is None, "the call ended before it could be interrupted"
        start = time.perf_counter()
        os.kill(child.pid, signal.SIGINT)
        assert child.stdout.readline() == "interrupted\n"
        return time.perf_counter() - start
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
