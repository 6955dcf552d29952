"""Hold what this package is made of against what it may be: `make audit`.

Checked without a network: that installed distributions fit together, the licences of those that users get,
the licences, versions and sources of crates. Advisories are asked for where their services can be reached;
where they cannot, the last lines say so, and `--need-advisories` fails.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from closure import SHIPPED, licence, shipped

ROOT = Path(__file__).parent.parent
ALLOWED = frozenset({
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "CNRI-Python", "ISC", "MIT",
    "MIT-CMU", "MPL-2.0", "PSF-2.0", "Zlib",
})  # fmt: skip
"""Licences that ask of a whole which uses them no more than to name them; of MPL-2.0 their own files alone."""
EXCEPTIONS = {
    r"psycopg(-binary)?": ("LGPL-3.0-only", "used as it is, and replaced by whoever wants another"),
    r"nvidia-.*": ("LicenseRef-NVIDIA-Proprietary", "torch asks for them, for its CUDA builds"),
    r"cuda-toolkit": (None, "likewise; it is empty, and names those"),
}
"""By name: the licence, and why it is used all the same."""
_WORDS = re.compile(r"\s*(\(|\)|[^\s()]+)")
UNREACHED = "NOT CHECKED"


class NotCheckedError(Exception):
    """A service cannot be reached."""


class ViolationError(Exception):
    """Something that may not be."""


def allows(expression: str, allowed: frozenset[str] = ALLOWED) -> bool:
    """Whether a licence expression of SPDX can be met with allowed licences alone."""
    words = [one for one in _WORDS.findall(expression) if one]

    def either() -> bool:
        met = both()
        while words and words[0].upper() == "OR":
            words.pop(0)
            met = both() or met
        return met

    def both() -> bool:
        met = one()
        while words and words[0].upper() == "AND":
            words.pop(0)
            met = one() and met
        return met

    def one() -> bool:
        if not words:
            return False
        word = words.pop(0)
        if word == "(":
            met = either()
            return bool(words) and words.pop(0) == ")" and met
        if words and words[0].upper() == "WITH":  # an exception permits more, never less
            del words[:2]
        return word in allowed

    met = either()
    return met and not words


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """What a command says."""
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def consistent() -> str:
    """Every installed distribution has what it asks for."""
    done = run(sys.executable, "-m", "pip", "check")
    if done.returncode:
        raise ViolationError(done.stdout.strip())
    return "ok"


def licences() -> str:
    """Of every distribution that some extra brings to a user."""
    wrong, found = [], shipped(SHIPPED)
    for name, node in sorted(found.items()):
        told = licence(node.found)
        known = [row for pattern, row in EXCEPTIONS.items() if re.fullmatch(pattern, name)]
        if told != known[0][0] if known else told is None or not allows(told):
            wrong.append(f"{name} {node.found.version}: {told or 'names no licence'}")
    if wrong:
        raise ViolationError("\n".join(wrong))
    return f"ok, {len(found)} distributions"


def advisories(pins: Path) -> str:
    """Of every version that constraints.txt pins; of one first, for a service that does not know even that."""
    lines = pins.read_text("utf-8").splitlines()
    judged(told([next(line for line in lines if line.startswith("numpy=="))]))
    return judged(told(lines))


def told(lines: list[str]) -> list[dict[str, Any]]:
    """What pip-audit tells of each of these versions.

    Raises:
        NotCheckedError: it has no reply.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        done = run(sys.executable, "-m", "pip_audit", "--requirement", file.name, "--no-deps",
                   "--disable-pip", "--format", "json", "--progress-spinner", "off")  # fmt: skip
    try:
        return json.loads(done.stdout)["dependencies"]
    except ValueError:
        raise NotCheckedError((done.stderr.strip() or "no reply").splitlines()[-1]) from None


def judged(rows: list[dict[str, Any]]) -> str:
    """What pip-audit told of each distribution; one that its service does not know is not checked."""
    wrong = [
        f"{row['name']} {row['version']}: {', '.join(sorted(one['id'] for one in row['vulns']))}"
        for row in rows
        if row.get("vulns")
    ]
    if wrong:
        raise ViolationError("\n".join(wrong))
    skipped = [row["name"] for row in rows if "skip_reason" in row]
    if skipped or not rows:
        told = f"{len(skipped)} of {len(rows)} distributions are not known to the service"
        raise NotCheckedError(f"{told}, {', '.join(skipped[:3])} among them")
    return f"ok, {len(rows)} distributions"


def crates(deny: str) -> str:
    """Licences, versions and sources of crates, as deny.toml allows them."""
    done = run(deny, "--locked", "check", "bans", "licenses", "sources")
    if done.returncode:
        raise ViolationError(done.stderr.strip())
    return "ok"


def crate_advisories(deny: str) -> str:
    """Advisories on crates."""
    done = run(deny, "--locked", "fetch", "db")
    if done.returncode:
        raise NotCheckedError("the database of advisories cannot be fetched")
    done = run(deny, "--locked", "check", "advisories")
    if done.returncode:
        raise ViolationError(done.stderr.strip())
    return "ok"


def main() -> None:
    """Print a line for each check; the status is 1 where one has found something."""
    parser = argparse.ArgumentParser(description="what this package is made of")
    parser.add_argument("--deny", default="cargo-deny", help="the program cargo-deny")
    parser.add_argument("--need-advisories", action="store_true")
    given = parser.parse_args()
    checks: dict[str, Callable[[], str]] = {
        "distributions fit together": consistent,
        "licences of distributions": licences,
        "licences, versions and sources of crates": lambda: crates(given.deny),
        "advisories on distributions": lambda: advisories(ROOT / "constraints.txt"),
        "advisories on crates": lambda: crate_advisories(given.deny),
    }
    failed = False
    for name, check in checks.items():
        try:
            told = check()
        except ViolationError as found:
            failed, told = True, f"WRONG\n{found}"
        except NotCheckedError as reason:
            failed = failed or given.need_advisories
            told = f"{UNREACHED}: {reason}"
        sys.stdout.write(f"{name}: {told}\n")
        sys.stdout.flush()
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
