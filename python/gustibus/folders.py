"""Folders that appear complete or not at all, though the process that writes them is killed."""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows, where leftovers stay until they are removed by hand
    fcntl = None  # type: ignore[assignment]

_EXCHANGE, _HERE = 2, -100  # RENAME_EXCHANGE and AT_FDCWD of Linux


@contextmanager
def scratch_folder(target: Path) -> Iterator[Path]:
    """A folder beside `target` to write in, removed at the end.

    It is locked while its process lives: those that nobody holds are what killed ones left, and are
    removed.
    """
    prefix = f".{target.name}.part-"
    for left in target.parent.glob(f"{escape(prefix)}*"):
        with _held(left) as free:
            if free:
                shutil.rmtree(left, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
    try:
        with _held(scratch):
            yield scratch
    finally:
        if scratch.is_symlink():  # what lay at the target
            scratch.unlink()
        shutil.rmtree(scratch, ignore_errors=True)


def put_in_place(scratch: Path, target: Path) -> None:
    """Make a finished folder `target`; an older one there is then where the new one was written.

    Where the system can exchange two folders, one of them is at `target` at every moment.
    """
    for path in (*scratch.iterdir(), scratch):
        _sync(path)
    scratch.chmod(0o755)
    if not target.exists():
        scratch.rename(target)
    elif not _exchange(scratch, target):
        old = Path(tempfile.mkdtemp(prefix=f".{target.name}.part-", dir=target.parent))
        old.rmdir()
        target.rename(old)
        scratch.rename(target)
        old.rename(scratch)
    _sync(target.parent)


def _exchange(one: Path, other: Path) -> bool:
    """Whether two folders have changed places, in one step."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None) if os.name == "posix" else None
    if rename is None:
        return False
    done: int = rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE)
    return done == 0


@contextmanager
def _held(folder: Path) -> Iterator[bool]:
    """Holds the lock of a folder; whether it was free."""
    if fcntl is None:
        yield False
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # removed meanwhile
        yield False
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another's, or of a file system without locks
        yield False
    else:
        yield True
    finally:
        os.close(handle)


def _sync(path: Path) -> None:
    """Have what was written reach the disk."""
    if path.is_dir() and os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
