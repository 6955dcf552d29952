"""Write requirements with hashes, for `pip install --require-hashes`, at the versions of constraints.txt.

python scripts/hashes.py EXTRA ... [--python 3.12] [--machine x86_64 aarch64]
python scripts/hashes.py --only maturin ...    a package that is no requirement of this one
python scripts/hashes.py --report FILE ...     what pip has told before

pip chooses the archives and tells their SHA-256; nothing is installed, and no address is written. With
several machines every version has the hash of each machine's wheel.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from requirements import requirements

ROOT = Path(__file__).parent.parent
GLIBC = range(36, 4, -1)
"""Minor versions of the C library that wheels may be built for: those that Debian 12 has, newest first."""
_HEAD = """# Made by scripts/hashes.py ({made}): make hashes.
# What the image is made of, for pip install --require-hashes.
"""


def pinned(text: str) -> dict[str, str]:
    """Versions by name, of lines `name==version`."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, version = line.partition("==")
        if equals and not line.startswith("#"):
            found[canonicalize_name(name.strip())] = version.strip()
    return found


def lines_of(reports: Iterable[Mapping[str, Any]], versions: Mapping[str, str]) -> list[str]:
    """A line a distribution, in the order of their names.

    Args:
        reports: what `pip install --report` wrote, one for each machine.
        versions: those that are allowed, by name.

    Raises:
        SystemExit: a distribution has another version, or none that is allowed, or no hash.
    """
    hashes: dict[str, set[str]] = {}
    wrong = []
    for report in reports:
        for row in report["install"]:
            name, version = canonicalize_name(row["metadata"]["name"]), row["metadata"]["version"]
            archive = row["download_info"].get("archive_info") or {}
            digest = (archive.get("hashes") or {}).get("sha256")
            if versions.get(name) != version:
                wrong.append(f"{name} {version}: constraints.txt has {versions.get(name, 'none')}")
            elif not digest:
                wrong.append(f"{name} {version}: pip tells no SHA-256; it is no archive")
            else:
                hashes.setdefault(name, set()).add(digest)
    if wrong:
        raise SystemExit("\n".join(sorted(set(wrong))))
    return [
        " \\\n    ".join(
            [f"{name}=={versions[name]}", *(f"--hash=sha256:{one}" for one in sorted(digests))]
        )
        for name, digests in sorted(hashes.items())
    ]


def platforms(machine: str) -> list[str]:
    """Tags of wheels for Linux, the best first."""
    tags = []
    for minor in GLIBC:
        tags.append(f"manylinux_2_{minor}_{machine}")
        if minor == 17:
            tags.append(f"manylinux2014_{machine}")
    return [*tags, f"linux_{machine}"]


def ask(wanted: list[str], python: str | None, machine: str | None) -> dict[str, Any]:
    """What pip would install from the registry, and from nowhere else."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed",
               "--report", "-", "--constraint", str(ROOT / "constraints.txt")]  # fmt: skip
    if python or machine:
        command += ["--only-binary", ":all:", "--target", "build/nothing"]  # which stays empty
    if python:
        command += ["--python-version", python, "--implementation", "cp"]
    for tag in platforms(machine) if machine else ():
        command += ["--platform", tag]
    # Archives of a folder of this machine would have hashes that nobody else's have.
    environment = {k: v for k, v in os.environ.items() if k != "PIP_FIND_LINKS"}
    done = subprocess.run(
        [*command, *wanted], stdout=subprocess.PIPE, env=environment, cwd=ROOT, check=False
    )
    if done.returncode:
        raise SystemExit("pip found no such set of archives; what it says is above")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Print the file."""
    parser = argparse.ArgumentParser(description="requirements with hashes")
    parser.add_argument("extras", nargs="*")
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--python")
    parser.add_argument("--machine", nargs="+", default=[])
    parser.add_argument("--report", nargs="+", default=[], type=Path)
    given = parser.parse_args()
    if given.report:
        reports = [json.loads(path.read_text("utf-8")) for path in given.report]
    else:
        wanted = given.only or requirements(given.extras)
        reports = [ask(wanted, given.python, one) for one in given.machine or [None]]
    versions = pinned((ROOT / "constraints.txt").read_text("utf-8"))
    made = " ".join(given.extras + given.only) or "what pip told"
    sys.stdout.write(_HEAD.format(made=made) + "\n".join(lines_of(reports, versions)) + "\n")


if __name__ == "__main__":
    main()
