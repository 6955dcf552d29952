"""Whether a model fits into what memory is left, before it is loaded: the kernel ends what does not fit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gustibus.errors import GustibusError

_GIB = 2.0**30
# Bytes beside the numbers, measured on CPython 3.11 with 300,000 people
_NAME = 150  # of somebody of the training: the text, its places in a tuple and in a dict
_ROW = 100  # of somebody in the table of people
_TEXTS = 3  # for a byte of a file of texts
_HEAD = 1 << 27  # most bytes of a head, as the format says


def check_fits(
    folder: Path, *, people: int, encodes: bool,
    proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup"),
) -> None:  # fmt: skip
    """Refuse a model that needs more memory than this process can have; nothing where that is not known.

    Args:
        folder: of the model; damaged ones are left to whoever reads them.
        people: in the store, who get a place each.
        encodes: whether its encoder is loaded too.
        proc: where the kernel tells of processes.
        cgroups: where it tells of control groups, version 2.

    Raises:
        GustibusError: it does not fit; the message has both figures.
    """
    have = left(proc, cgroups)
    if have is None:
        return
    try:
        wanted = needed(folder, people=people, encodes=encodes)
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return
    if wanted > have:
        message = (
            f"{folder}: loading it takes about {wanted / _GIB:.2f} GiB of memory, and {have / _GIB:.2f} GiB "
            "are left; GUSTIBUS_CHECK_MEMORY=0 loads it nevertheless"
        )
        raise GustibusError(message, where="memory")


def leaves(
    wanted: int, *, proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")
) -> bool:
    """Whether so many bytes are left for this process; also where that is not known."""
    have = left(proc, cgroups)
    return have is None or have >= wanted


def needed(folder: Path, *, people: int, encodes: bool) -> int:
    """Bytes that a model takes once it is loaded, roughly, by the sizes of its files.

    Raises:
        OSError: a file is missing.
        ValueError: a file holds something else.
    """
    arrays = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    texts = sum(path.stat().st_size for path in folder.glob("*.json") if path.name != "people.json")
    trained, dim = _head(folder / "people.safetensors")["means"]["shape"]
    table = max(int(trained), people) * (4 * int(dim) + _ROW)
    found = arrays + _TEXTS * texts + _NAME * int(trained) + table
    return found + (_encoder(folder) if encodes else 0)


def left(proc: Path, cgroups: Path) -> int | None:
    """Bytes that this process may still take: the machine's, or less by its groups; None if not known."""
    found = [*_machine(proc), *_groups(proc, cgroups)]
    return max(0, min(found)) if found else None


def _machine(proc: Path) -> Iterator[int]:
    for line in _lines(proc / "meminfo"):
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            yield int(rest.split()[0]) * 1024


def _groups(proc: Path, cgroups: Path) -> Iterator[int]:
    """Of every group around this process that has a limit: the limit, less what cannot be given back."""
    own = [line[3:] for line in _lines(proc / "self" / "cgroup") if line.startswith("0::")]
    here = cgroups / own[0].strip("/") if own else cgroups
    for group in (here, *here.parents):
        most = "".join(_lines(group / "memory.max"))
        if most.isdigit():
            used = int("".join(_lines(group / "memory.current")) or 0)
            stat = dict(line.split() for line in _lines(group / "memory.stat"))
            files = int(stat.get("inactive_file", 0)) + int(stat.get("active_file", 0))
            yield int(most) - max(0, used - files)
        if group == cgroups:
            return


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:  # another system, or a group without a limit
        return []


def _head(path: Path) -> Mapping[str, Any]:
    """Names, types and shapes of the arrays of a file in the format of safetensors."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        found: Mapping[str, Any] = json.loads(file.read(min(size, _HEAD)))
    return found


def _encoder(folder: Path) -> int:
    """Bytes of an encoder's weights where the card names their folder; 0 for what is not on this machine."""
    spec = json.loads((folder / "card.json").read_text(encoding="utf-8")).get("encoder") or {}
    named = spec.get("options", {}).get("model")
    if not isinstance(named, str) or not Path(named).is_dir():
        return 0
    return sum(path.stat().st_size for path in Path(named).rglob("*.safetensors"))
