"""What extras of this package bring, as it is installed here: distributions, who asks for whom, licences."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from requirements import PROJECT, requirements

NOT_SHIPPED = frozenset({"dev", "docs", "bench", "audit"})
SHIPPED = sorted(PROJECT["optional-dependencies"].keys() - NOT_SHIPPED)
"""Extras that users install."""

_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0", "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC", "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}  # fmt: skip
_SPELLINGS = {
    "3-clause bsd license": "BSD-3-Clause", "apache": "Apache-2.0", "apache 2.0": "Apache-2.0",
    "apache 2.0 license": "Apache-2.0", "bsd": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause", "isc license": "ISC", "mit license": "MIT",
    "nvidia proprietary software": "LicenseRef-NVIDIA-Proprietary",
}  # fmt: skip
"""What fields of before licence expressions hold."""
_EXPRESSION = re.compile(r"[A-Za-z0-9.+-]+(?: (?:AND|OR|WITH) [A-Za-z0-9.+-]+)*")


@dataclass(slots=True)
class Node:
    """A distribution, and the names of those that it asks for."""

    found: Distribution
    needs: set[str] = field(default_factory=set)


def closure(roots: Iterable[str]) -> dict[str, Node]:
    """Distributions by their names, those that are asked for by those that are asked for among them.

    Args:
        roots: requirements, as of `pyproject.toml`.

    Raises:
        SystemExit: something that is asked for is not installed.
    """
    nodes: dict[str, Node] = {}
    waiting = [(Requirement(line), "") for line in roots]
    seen: set[tuple[str, str]] = set()
    while waiting:
        wanted, by = waiting.pop()
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        name = canonicalize_name(wanted.name)
        if by:
            nodes[by].needs.add(name)
        for extra in ("", *wanted.extras):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            if name not in nodes:
                nodes[name] = Node(_installed(wanted))
            for line in nodes[name].found.requires or ():
                inner = Requirement(line)
                if inner.marker is None or inner.marker.evaluate({"extra": extra}):
                    inner.marker = None
                    waiting.append((inner, name))
    return nodes


def shipped(extras: Iterable[str]) -> dict[str, Node]:
    """What this package and some of its extras bring."""
    return closure(requirements(list(extras)))


def _installed(wanted: Requirement) -> Distribution:
    try:
        return distribution(wanted.name)
    except PackageNotFoundError:
        raise SystemExit(f"{wanted} is not installed here: make install") from None


def licence(found: Distribution) -> str | None:
    """The licence of a distribution as SPDX writes it; None where it names none that is known."""
    expression = found.metadata.get("License-Expression")
    if expression:
        return expression
    first = (found.metadata.get("License") or "").strip().partition("\n")[0].strip()
    told = _SPELLINGS.get(first.lower())
    if told is None and len(first) < 60 and _EXPRESSION.fullmatch(first):
        told = first
    if told is not None:
        return told
    entries = found.metadata.get_all("Classifier") or []
    named = {line.rpartition(" :: ")[2] for line in entries if line.startswith("License ::")}
    known = sorted({_CLASSIFIERS[name] for name in named if name in _CLASSIFIERS})
    return " OR ".join(known) or None
