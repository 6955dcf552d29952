"""Parsers by name: each makes an input from a number, gives it to the parser, and names the end."""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable
from functools import cache
from time import process_time

from gustibus.errors import InputError
from tests.fuzz.limits import address_space
from tests.fuzz.parsers import files, requests
from tests.fuzz.parsers.served import PATIENCE, Served

Case = Callable[[random.Random], str]

REQUESTS = {**requests.TARGETS, "artifacts": files.artifacts}
FILES = files.TARGETS
TARGETS = sorted({*REQUESTS, *FILES})


#: Bytes of address space that cases may take beyond what the process has before the first.
MEMORY = 2 << 30


def memory() -> int:
    """Most bytes of address space."""
    return address_space() + MEMORY


@cache
def served() -> Served:
    """The service of this process."""
    return Served()


def prepare(targets: list[str]) -> None:
    """What takes long and is no part of a case."""
    if set(targets) & REQUESTS.keys():
        served()
    files.prepare()


def run(target: str, seed: int) -> tuple[str, str | None]:
    """Runs one case: the kind of its end, and the story where that is not allowed."""
    rng = random.Random(f"{target} {seed}")
    began = process_time()
    try:
        end = REQUESTS[target](rng, served()) if target in REQUESTS else FILES[target](rng)
    except InputError as error:
        if target in REQUESTS:  # which answer with a problem
            return error.code, "".join(traceback.format_exception(error))
        end = error.code
    except BaseException as error:  # a panic is no Exception
        if isinstance(error, KeyboardInterrupt):
            raise
        return type(error).__name__, "".join(traceback.format_exception(error))
    seconds = process_time() - began
    if seconds > PATIENCE:
        return "slow", f"took {seconds:.1f} s of the processor"
    return end, None
