"""Fuzzes the compiled core: `python -m tests.fuzz --seconds 600`.

A failing case is named; `python -m tests.fuzz --case "elect 123"` runs it again, alone.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.cases import TARGETS, exports, run
from tests.fuzz.limits import SLOWER

#: Seconds after which a case hangs; most take a millisecond.
LIMIT = 20.0 * SLOWER
CORE = "tests.fuzz.cases"
ROOT = Path(__file__).parents[2]


def main() -> int:
    """Runs cases for a while and prints what came out of each target; 1 where a case failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0, help="number of the first case")
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="only this one")
    parser.add_argument("--case", help="a target and a number: run this case alone")
    options = parser.parse_args()
    if options.case:
        target, number = options.case.split()
        kind, story = run(target, int(number))
        print(story or kind)
        return int(story is not None)
    missing = exports() - TARGETS.keys()
    if missing:
        print(f"no target for {', '.join(sorted(missing))}")
        return 1
    return fuzz(options.target or sorted(TARGETS), options.seed, options.seconds)


def fuzz(
    targets: list[str], first: int, seconds: float, *, cases: str = CORE, limit: float = LIMIT
) -> int:
    """Starts children one after the other until the time is over."""
    stop = time.monotonic() + seconds
    ends: dict[str, Counter[str]] = {target: Counter() for target in targets}
    failures: dict[str, str] = {}
    slowest = (0.0, "")
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder) / "case"
        while (left := stop - time.monotonic()) > 0:
            lines, story = child(note, first, min(left, 30.0), targets, cases=cases, limit=limit)
            for line in lines:
                found = json.loads(line)
                if "case" in found:
                    failures[found["case"]] = found["story"]
                    continue
                first, slowest = found["next"], max(slowest, tuple(found["slowest"]))
                for target, counts in found["ends"].items():
                    ends[target].update(counts)
            if story is not None:
                case = " ".join(note.read_text(encoding="utf-8").split())
                if not case:
                    message = f"no case began: {story}"
                    raise RuntimeError(message)
                failures[case] = story
                first = int(case.split()[1]) + 1
    report(ends, failures, slowest)
    return int(bool(failures))


def child(
    note: Path, first: int, seconds: float, targets: list[str], *, cases: str, limit: float
) -> tuple[list[str], str | None]:
    """What a child printed, and how it died if it did."""
    note.write_text("", encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "tests.fuzz.child",
        cases,
        str(note),
        str(first),
        str(seconds),
        *targets,
    ]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=out, stderr=errors, cwd=ROOT)
        story, seen, since = None, "", time.monotonic()
        while process.poll() is None:
            time.sleep(0.05)
            case = note.read_text(encoding="utf-8")
            if case != seen:
                seen, since = case, time.monotonic()
            elif seen and time.monotonic() - since > limit:  # on a busy machine imports take longer
                process.kill()
                story = f"no end within {limit:.0f} s"
        process.wait()
        out.seek(0)
        errors.seek(0)
        if process.returncode != 0 and story is None:
            story = f"the process died with {process.returncode}\n{errors.read()[-6000:]}"
        return [line for line in out if line.startswith("{")], story


def report(
    ends: dict[str, Counter[str]], failures: dict[str, str], slowest: tuple[float, str]
) -> None:
    """A line per target, then the failures."""
    for target, counts in ends.items():
        kinds = ", ".join(f"{kind} {count}" for kind, count in counts.most_common())
        print(f"{target}: {kinds}")
    total = sum(sum(counts.values()) for counts in ends.values())
    print(
        f"{total} cases; the slowest, {slowest[1]}, took {slowest[0]:.1f} s; {len(failures)} failures"
    )
    for case, story in failures.items():
        print(f"\n--case {case!r}\n{story}")


if __name__ == "__main__":
    sys.exit(main())
