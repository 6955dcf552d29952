"""Print the page of methods, one row per published method: python scripts/methods.py > docs/methods.md.

A test compares the page with what this prints, runs every example, and looks up every check.
"""

from __future__ import annotations

import sys

import gustibus.ops
from gustibus.methods import METHODS, Method
from gustibus.registry import Entry

HEAD = """\
# Methods

Every published method that gustibus has, by the table that it belongs to. `gustibus.ops` finds each by its
name: `from gustibus import ops`. The lines of the last column run as they stand.

This page is written by `python scripts/methods.py`; it is not edited by hand.
"""
COLUMNS = ("name", "paper", "what for", "where it lives", "check", "runs as")


def page() -> str:
    """The whole page; methods in order of table and name."""
    dir(gustibus.ops)  # imports every package that lists methods
    tables: dict[str, list[Entry[Method]]] = {}
    for name in sorted(METHODS):
        tables.setdefault(METHODS[name].run.table, []).append(METHODS[name])
    parts = [HEAD]
    for table in sorted(tables):
        lines = [f"## {table}", "", _line(COLUMNS), _line(["---"] * len(COLUMNS))]
        lines += [_line(_cells(entry)) for entry in tables[table]]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _cells(entry: Entry[Method]) -> list[str]:
    method = entry.run
    home = getattr(method.run, "__module__", "")
    check = method.check.replace("::", ", ")
    return [
        f"`{entry.name}`", entry.source, method.purpose, f"`{home}`", check, f"`{method.example}`",
    ]  # fmt: skip


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


if __name__ == "__main__":
    sys.stdout.write(page())
