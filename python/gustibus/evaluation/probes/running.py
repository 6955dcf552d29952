"""Run probes on the columns of a table, over all rows and by person or group, and report."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gustibus.data.arrays import names, same_length
from gustibus.errors import ConfigError, InputError
from gustibus.evaluation.markdown import table
from gustibus.evaluation.probes.table import PROBES, arguments
from gustibus.evaluation.report import encode
from gustibus.types import I64

BY = ("user", "group")
"""Columns by which figures are told apart where a table has them."""
_SHOWN = 20
"""Parts that the Markdown lists; the JSON has all of them."""


@dataclass(frozen=True, slots=True)
class Part:
    """The figures of some of the rows; none where these rows are too few for the probe."""

    rows: int
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one probe found.

    Attributes:
        probe: its name.
        source: the paper that it is from.
        rows: on which it ran.
        figures: over all rows.
        options: as given.
        by: column, its value, and the figures of the rows that have it.
    """

    probe: str
    source: str
    rows: int
    figures: Mapping[str, float]
    options: Mapping[str, Any] = field(default_factory=dict)
    by: Mapping[str, Mapping[str, Part]] = field(default_factory=dict)


def run_probe(
    name: str, columns: Mapping[str, Any], *, by: Sequence[str] = BY, **options: Any
) -> Finding:
    """Run one probe on a table.

    Args:
        name: a row of `PROBES`.
        columns: of equal length; the probe reads those that its arguments name.
        by: columns whose every value gets figures of its own; absent ones are passed over.
        options: of the probe.

    Raises:
        UnknownNameError: there is no such probe.
        ConfigError: it has no such option.
        InputError: a column is missing, or a value is wrong.
    """
    wanted = arguments(name)
    for option in options:
        if option not in wanted.options:
            message = f"{name}: no option {option!r}; known: {list(wanted.options)}"
            raise ConfigError(message, where=option)
    missing = [column for column in wanted.needed if column not in columns]
    if missing:
        message = f"{name}: expected the columns {list(wanted.needed)}, got {sorted(columns)}"
        raise InputError(message, where=missing[0])
    read = {c: columns[c] for c in (*wanted.needed, *wanted.optional) if columns.get(c) is not None}
    groups = {c: columns[c] for c in by if c in columns and c not in wanted.needed}
    same_length(**read, **groups)
    entry = PROBES[name]
    return Finding(
        name, entry.source, len(next(iter(read.values()))),
        figures(name, entry.run.run(**read, **options)), dict(options),
        {c: _parts(name, read, c, values, options) for c, values in groups.items()},
    )  # fmt: skip


def figures(name: str, result: Any) -> dict[str, float]:
    """What a probe returned as numbers by name: one number, a mapping, or a named tuple of them."""
    if isinstance(result, Mapping):
        return {key: float(value) for key, value in result.items()}
    if hasattr(result, "_asdict"):
        return {key: float(value) for key, value in result._asdict().items()}
    return {name: float(result)}


def _parts(
    name: str, read: Mapping[str, Any], column: str, values: Any, options: Mapping[str, Any]
) -> dict[str, Part]:
    labels = [str(label) for label in names(column, values)]
    listed, code = np.unique(np.array(labels), return_inverse=True)
    edges = np.cumsum(np.bincount(code))[:-1]
    parts = {}
    for label, rows in zip(listed, np.split(np.argsort(code, kind="stable"), edges), strict=True):
        some = {c: _taken(given, rows) for c, given in read.items()}
        try:
            found = figures(name, PROBES[name].run.run(**some, **options))
        except InputError:  # such as a person whose rows hold one class alone
            found = {}
        parts[str(label)] = Part(len(rows), found)
    return parts


def _taken(values: Any, rows: I64) -> Any:
    return values[rows] if isinstance(values, np.ndarray) else [values[i] for i in rows]


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """The findings of several probes on one table."""

    data: str
    findings: tuple[Finding, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain data; NaN becomes None."""
        out: dict[str, Any] = encode(self)
        return out

    def markdown(self) -> str:
        """A table of figures per probe, and one per column that tells rows apart."""
        parts = [f"# Probes of {self.data}"]
        for finding in self.findings:
            parts += [f"## {finding.probe}", f"{finding.rows} rows. {finding.source}."]
            parts.append(_rows("figure", finding.figures))
            parts += [_table_by(column, of) for column, of in finding.by.items() if of]
        return "\n\n".join(parts) + "\n"

    def save(self, folder: str | Path) -> Path:
        """Write `probes.json` and `probes.md`; the folder is returned."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.as_json(), indent=1, ensure_ascii=False, allow_nan=False)
        (target / "probes.json").write_text(text + "\n", encoding="utf-8")
        (target / "probes.md").write_text(self.markdown(), encoding="utf-8")
        return target


def probe(
    data: str,
    columns: Mapping[str, Any],
    probes: Iterable[str],
    *,
    by: Sequence[str] = BY,
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> ProbeReport:
    """Run several probes on one table; `options` are those of each probe by its name."""
    given = options or {}
    return ProbeReport(
        data, tuple(run_probe(name, columns, by=by, **given.get(name, {})) for name in probes)
    )


def _rows(head: str, values: Mapping[str, float]) -> str:
    return table((head, "value"), [(key, _show(value)) for key, value in values.items()])


def _table_by(column: str, parts: Mapping[str, Part]) -> str:
    heads = list(dict.fromkeys(key for part in parts.values() for key in part.figures))
    listed = list(parts.items())[:_SHOWN]
    rows = [
        (label, str(part.rows), *(_show(part.figures.get(key, math.nan)) for key in heads))
        for label, part in listed
    ]
    more = f"\n\n{len(parts) - _SHOWN} more are in the JSON." if len(parts) > _SHOWN else ""
    return table((column, "rows", *heads), rows) + more


def _show(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4g}"
