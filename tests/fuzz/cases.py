"""The table of targets, and what may come out of a case."""

from __future__ import annotations

import traceback

from gustibus import _core
from tests.fuzz import fairness, groups, matching, people, strengths, texts
from tests.fuzz.draw import Draw
from tests.fuzz.limits import address_space

TARGETS = {
    **groups.TARGETS,
    **strengths.TARGETS,
    **fairness.TARGETS,
    **people.TARGETS,
    **matching.TARGETS,
    **texts.TARGETS,
}

#: What a wrong argument may raise. `gustibus.errors.InputError` is a ValueError, an unknown name is a
#: LookupError; an integer that no machine word holds is Python's OverflowError.
ALLOWED = (ValueError, TypeError, LookupError, OverflowError)


#: Bytes of address space that cases may take beyond what the process has before the first: sizes that
#: nobody checked fail at once instead of filling the machine.
MEMORY = 12 << 30


def prepare(targets: list[str]) -> None:
    """Nothing takes long here."""


def memory() -> int:
    """Most bytes of address space."""
    return address_space() + MEMORY


def exports() -> set[str]:
    """Names of everything callable that the compiled core exports."""
    return {
        name for name in dir(_core) if not name.startswith("_") and callable(getattr(_core, name))
    }


def run(target: str, seed: int) -> tuple[str, str | None]:
    """Runs one case: the kind of its end, and the story where that is not allowed."""
    draw = Draw(seed)
    try:
        for call in TARGETS[target]:
            call(draw)
    except ALLOWED as error:
        return type(error).__name__, None
    except BaseException as error:  # a panic is no Exception
        if isinstance(error, KeyboardInterrupt):
            raise
        return type(error).__name__, "".join(traceback.format_exception(error))
    return "returned", None
