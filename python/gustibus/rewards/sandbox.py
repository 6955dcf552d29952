"""A Python program in a process of its own, with limits on time, memory, output and files.

The limits stop programs that loop, grow or print without end, and an audit hook stops those that
open sockets or start processes. They are no wall against hostile code: where programs come from
strangers, run the whole service in a container without network.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

_OUTPUT = 64 << 10
"""Most bytes that a program may write to any file, its output included."""

# The child limits itself before it reads the program: a hook between fork and exec is not safe in a
# process with threads.
_LAUNCHER = """
import resource, runpy, sys
seconds, memory, output = map(int, sys.argv[1:4])
resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
for limit, most in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_FSIZE, output),
                    (resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, 32)):
    resource.setrlimit(limit, (most, most))
CLOSED = ("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn",
          "os.kill", "ctypes.", "os.remove", "os.rename", "os.rmdir", "shutil.")
def guard(event, args):
    if event.startswith(CLOSED):
        raise PermissionError(f"{event} is closed to programs under test")
sys.addaudithook(guard)
sys.argv = ["program.py"]
runpy.run_path("program.py", run_name="__main__")
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended."""

    passed: bool
    output: str
    """What it printed, errors included, cut."""
    reason: str = ""
    """Why it was stopped; empty where it ended by itself."""
    unfinished: bool = False
    """Whether the clock ran out before its work did, which on a busy machine says nothing of it."""


def run_python(program: str, *, seconds: int = 5, clock: float = 30.0, megabytes: int = 256) -> Ran:
    """Run a program without arguments, input, environment or packages beside the standard library.

    Args:
        program: source text.
        seconds: of work, of the processor.
        clock: seconds on the clock.
        megabytes: of address space.
    """
    with tempfile.TemporaryDirectory(prefix="gustibus-program-") as folder:
        root = Path(folder)
        (root / "program.py").write_text(program, encoding="utf-8", errors="replace")
        limits = [str(seconds), str(megabytes << 20), str(_OUTPUT)]
        with (root / "output").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", "-c", _LAUNCHER, *limits],
                cwd=root, env={}, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
            unfinished = False
            try:
                status = process.wait(clock)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                status, unfinished = process.wait(), True
        said = (root / "output").read_bytes()[:_OUTPUT]
    reason = ""
    if unfinished:
        reason = f"stopped after {clock:g} s on the clock"
    elif status and len(said) >= _OUTPUT:
        reason = f"stopped after {_OUTPUT} bytes of output"
    elif -status in (signal.SIGXCPU, signal.SIGKILL):
        reason = f"stopped after {seconds} s of work"
    elif status < 0:
        reason = f"stopped by {signal.Signals(-status).name}"
    return Ran(status == 0, said.decode("utf-8", "replace"), reason, unfinished)
