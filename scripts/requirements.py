"""Print what some extras of this package require, one a line, without building the package."""

import re
import sys
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]


def requirements(extras: list[str]) -> list[str]:
    """The package's own requirements and those of its extras, extras of extras resolved."""
    found = list(PROJECT["dependencies"])
    for extra in extras:
        for line in PROJECT["optional-dependencies"][extra]:
            inner = re.fullmatch(r"gustibus\[(.+)\]", line)
            found += requirements(inner[1].split(",")) if inner else [line]
    return sorted(set(found))


if __name__ == "__main__":
    sys.stdout.write("\n".join(requirements(sys.argv[1:])) + "\n")
