"""The table of builders: functions from rows of labels to more rows, which `build` lands in a table."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gustibus.curation.labels import EVERYONE, Labels
from gustibus.errors import ConfigError, InputError
from gustibus.registry import Registry

Row = Mapping[str, Any]
Rows = Sequence[Row]


@dataclass(frozen=True, slots=True)
class Builder:
    """One row of the table of builders.

    Attributes:
        run: from rows to more rows; options are keyword-only, `seed` among them where it draws.
        columns: that its rows need.
        version: raised when the same rows give others.
        reads: `labels` for rows that count in a table of labels; `items` for single responses,
            grouped by person and prompt.
    """

    run: Callable[..., Iterable[Row]]
    columns: tuple[str, ...]
    version: str
    reads: str

    @property
    def options(self) -> tuple[str, ...]:
        """Names of its options."""
        given = inspect.signature(self.run).parameters.values()
        return tuple(p.name for p in given if p.kind is p.KEYWORD_ONLY)


BUILDERS: Registry[Builder] = Registry("builder")


def builder(
    name: str,
    *,
    source: str,
    columns: tuple[str, ...] = (),
    version: str = "1",
    reads: str = "labels",
) -> Callable[[Callable[..., Iterable[Row]]], Callable[..., Iterable[Row]]]:
    """Decorator that adds a builder to the table; arguments as the attributes of `Builder`."""

    def decorate(run: Callable[..., Iterable[Row]]) -> Callable[..., Iterable[Row]]:
        BUILDERS.add(name, source=source)(Builder(run, columns, version, reads))
        return run

    return decorate


def build(
    name: str,
    data: Labels | Sequence[Row],
    *,
    source: str,
    into: Labels | None = None,
    seed: int = 0,
    **options: Any,
) -> Labels:
    """The labels with what a builder adds, its provenance on every new row.

    Args:
        name: a row of `BUILDERS`.
        data: a table of labels; for builders that read `items`, plain rows of responses.
        source: what the provenance says that the rows were made from.
        into: a table that receives the pairs of a builder that reads `items`.
        seed: of builders that draw.
        options: of the builder.

    Raises:
        UnknownNameError: there is no such builder.
        ConfigError: it has no such option.
        InputError: a column is missing, or a value is wrong.
        ConflictError: the table has rows of this builder already.
    """
    made = BUILDERS[name].run
    for option in options:
        if option not in made.options:
            message = f"{name}: no option {option!r}; known: {sorted(made.options)}"
            raise ConfigError(message, where=option)
    labels, rows = _given(name, made, data, into)
    draws = {"seed": seed} if "seed" in made.options else {}
    return labels.add(
        made.run(rows, **draws, **options),
        builder=name, source=source, version=made.version, seed=draws.get("seed", -1),
    )  # fmt: skip


def _given(
    name: str, made: Builder, data: Labels | Sequence[Row], into: Labels | None
) -> tuple[Labels, Rows]:
    if (made.reads == "labels") != isinstance(data, Labels):
        message = f"data: expected {made.reads} for the builder {name!r}, got {type(data).__name__}"
        raise InputError(message, where="data")
    rows: Rows = data.counting() if isinstance(data, Labels) else list(data)
    if isinstance(data, Labels):
        labels = data
        if into is not None:
            message = f"into: expected none for {name!r}, which adds to the labels that it reads"
            raise InputError(message, where="into")
    else:
        labels = Labels.of([], source="") if into is None else into
    for column in made.columns:
        if rows and not any(row.get(column) is not None for row in rows):
            message = f"{name}: expected the columns {list(made.columns)}, got {sorted(rows[0])}"
            raise InputError(message, where=column)
    return labels, rows


def by_prompt(rows: Rows) -> dict[tuple[str, str], list[Row]]:
    """Rows of single responses by person and prompt, both in order of appearance."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault(
            (str(row.get("user") or EVERYONE), str(row.get("prompt") or "")), []
        ).append(row)
    return groups


def winner(row: Row) -> str:
    """The side that the label prefers, `a` or `b`; empty for a tie."""
    return "" if row["target"] == 0.5 else "a" if row["target"] > 0.5 else "b"
