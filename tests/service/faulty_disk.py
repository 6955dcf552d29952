"""A disk that fails when it is told to: calls of another process that change files end in an error."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).with_name("faulty_disk.c")
WRITE, SYNC, OPEN, GROW = 1, 2, 4, 8


class Fault(NamedTuple):
    """What goes wrong."""

    number: int
    """The errno."""
    kinds: int
    """The calls that end in it, `WRITE | SYNC | OPEN | GROW`."""


FAULTS = {
    "full disk": Fault(errno.ENOSPC, WRITE | GROW),
    "full quota": Fault(errno.EDQUOT, WRITE | GROW),
    "write error": Fault(errno.EIO, WRITE),
    "sync error": Fault(errno.EIO, SYNC),
    "read-only file": Fault(errno.EROFS, WRITE | OPEN | GROW),
}


class FaultyDisk:
    """The library for one process, and the word that makes its calls fail.

    Args:
        folder: for the library and the word; whoever runs the process must reach it.
        files: a part of the paths that fail.
    """

    def __init__(self, folder: Path, files: str) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            pytest.skip("no C compiler, to build a disk that fails")
        library, control = folder / "faulty_disk.so", folder / "faulty_disk.control"
        built = subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"],
            capture_output=True, check=False, text=True,
        )  # fmt: skip
        if built.returncode:
            pytest.skip(f"the disk that fails cannot be built here: {built.stderr[-300:]}")
        control.write_bytes(bytes(12))
        control.chmod(0o666)
        with control.open("r+b") as file:
            self._control = mmap.mmap(file.fileno(), 12)
        self.environment = {
            "LD_PRELOAD": str(library), "FAULTY_FILES": files, "FAULTY_CONTROL": str(control),
        }  # fmt: skip

    @property
    def struck(self) -> int:
        """Calls that have failed so far."""
        return struct.unpack_from("3i", self._control)[2]

    @contextlib.contextmanager
    def failing(self, fault: Fault) -> Iterator[None]:
        """Calls fail as long as the block lasts; at least one has to."""
        before = self.struck
        struct.pack_into("2i", self._control, 0, *fault)
        try:
            yield
        finally:
            struct.pack_into("2i", self._control, 0, 0, 0)
        assert self.struck > before, f"no call of the process met {os.strerror(fault.number)}"
