"""Fuzzes what reads the input of strangers: `python -m tests.fuzz.parsers --seconds 600`.

A failing case is named; `python -m tests.fuzz.parsers --case "json 123"` runs it again, alone.
"""

from __future__ import annotations

import argparse
import sys

from tests.fuzz.__main__ import fuzz
from tests.fuzz.limits import SLOWER
from tests.fuzz.parsers.cases import TARGETS, prepare, run

CASES = "tests.fuzz.parsers.cases"
LIMIT = 15.0 * SLOWER
"""Seconds after which a case is taken to hang; one of 5 s of the processor is told as well."""


def main() -> int:
    """Runs cases for a while and prints what came out of each parser; 1 where a case failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.parsers", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0, help="number of the first case")
    parser.add_argument("--only", action="append", choices=TARGETS, help="only this one")
    parser.add_argument("--case", help="a parser and a number: run this case alone")
    options = parser.parse_args()
    if options.case:
        target, number = options.case.split()
        prepare([target])
        kind, story = run(target, int(number))
        print(story or kind)
        return int(story is not None)
    return fuzz(options.only or TARGETS, options.seed, options.seconds, cases=CASES, limit=LIMIT)


if __name__ == "__main__":
    sys.exit(main())
