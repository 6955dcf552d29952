"""Runs cases in a process that may die: `python -m tests.fuzz.child CASES NOTE FIRST SECONDS TARGETS...`."""

from __future__ import annotations

import faulthandler
import importlib
import json
import resource
import sys
import time
import warnings
from collections import Counter
from pathlib import Path


def main(cases: str, note: str, first: int, seconds: float, targets: list[str]) -> None:
    """Cases `first`, `first + 1`, ... of each target in turn; the file `note` names the one that runs."""
    faulthandler.enable()
    warnings.simplefilter("ignore")
    module = importlib.import_module(cases)
    module.prepare(targets)
    resource.setrlimit(resource.RLIMIT_AS, (module.memory(), module.memory()))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    stop = time.monotonic() + seconds
    with Path(note).open("w", encoding="utf-8") as file:
        while (start := time.monotonic()) < stop:
            ends: dict[str, Counter[str]] = {target: Counter() for target in targets}
            slowest = (0.0, "")
            while time.monotonic() < min(stop, start + 1.0):
                for target in targets:
                    case = f"{target} {first}"
                    file.seek(0)
                    file.write(f"{case:<60}\n")
                    file.flush()
                    since = time.monotonic()
                    kind, story = module.run(target, first)
                    slowest = max(slowest, (time.monotonic() - since, case))
                    ends[target][kind] += 1
                    if story is not None:
                        print(json.dumps({"case": case, "story": story}), flush=True)
                first += 1
            print(json.dumps({"ends": ends, "slowest": slowest, "next": first}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), sys.argv[5:])
