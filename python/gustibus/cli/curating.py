"""`gustibus data`: annotate tables of comparisons, without ever changing the one that is read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gustibus.cli.common import JsonOption, emit, parse_options

if TYPE_CHECKING:
    from gustibus.curation import Labels

Option = typer.Option
Output = Annotated[
    Path, Option("--output", "-o", help="New file, .parquet or .jsonl; one that exists is refused.")
]
Columns = Annotated[str, Option("--map", help="Column names, such as chosen=good,user=annotator.")]

data_app = typer.Typer(
    help="Builders of labels and pairs, all in one table with weight and origin.",
    no_args_is_help=True,
)


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.add_typer(data_app, name="data")


@data_app.command("builders")
def builders_command(*, as_json: JsonOption = False) -> int:
    """List the builders: what each reads, its options, and the paper.

    Example: gustibus data builders
    """
    from gustibus.curation import BUILDERS

    rows = [
        {
            "name": name, "reads": entry.run.reads, "columns": list(entry.run.columns),
            "options": list(entry.run.options), "source": entry.source,
        } for name, entry in BUILDERS.items()
    ]  # fmt: skip
    if as_json:
        emit(rows)
        return 0
    for row in rows:
        columns = ", ".join(row["columns"]) or "no further columns"
        options = ", ".join(row["options"]) or "none"
        sys.stdout.write(
            f"{row['name']}\n  reads {row['reads']}: {columns}; options: {options}\n  {row['source']}\n"
        )
    return 0


@data_app.command("add")
def add_command(
    *,
    builder: Annotated[str, typer.Argument(help="A name that `gustibus data builders` lists.")],
    source: Annotated[
        Path, typer.Argument(help="Comparisons, labels made before, or single responses.")
    ],
    output: Output,
    option: Annotated[
        list[str] | None, Option("--set", help="An option, NAME=VALUE; repeatable.")
    ] = None,
    into: Annotated[
        Path | None, Option(help="Labels that receive the pairs made of single responses.")
    ] = None,
    columns: Columns = "",
    seed: Annotated[int, Option(help="Seed of builders that draw.")] = 0,
    as_json: JsonOption = False,
) -> int:
    """Add the rows of a builder to a table of labels, in a new file.

    Example: gustibus data add strength pairs.parquet -o labels.parquet --set flip=0.2
    """
    from gustibus.curation import BUILDERS, build, read_labels
    from gustibus.data import parse_columns, read_table

    names = parse_columns(columns) if columns else None
    options = parse_options(option or [])
    if BUILDERS[builder].run.reads == "labels":
        given = read_labels(source, columns=names)
        labels = build(builder, given, source=source.name, seed=seed, **options)
    else:
        table = read_table(source).columns
        rows = [
            dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)
        ]
        labels = build(
            builder, rows, source=source.name, seed=seed,
            into=None if into is None else read_labels(into, columns=names), **options,
        )  # fmt: skip
    return _written(labels, output, as_json=as_json)


@data_app.command("switch")
def switch_command(
    *,
    source: Annotated[Path, typer.Argument(help="A table of labels.")],
    output: Output,
    off: Annotated[
        list[str] | None, Option(help="A builder to switch off; repeatable; the others are on.")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Switch builders off and on; with all of them off the recorded labels count again.

    Example: gustibus data switch labels.parquet -o recorded.parquet --off strength
    """
    from gustibus.curation import read_labels

    return _written(read_labels(source).switch(off or []), output, as_json=as_json)


@data_app.command("uses")
def uses_command(
    *,
    source: Annotated[Path, typer.Argument(help="A table of labels.")],
    as_json: JsonOption = False,
) -> int:
    """Say how many rows of each builder a table has, and how many of them count.

    Example: gustibus data uses labels.parquet
    """
    from gustibus.curation import read_labels

    return _told(read_labels(source), as_json=as_json)


def _written(labels: Labels, output: Path, *, as_json: bool) -> int:
    labels.write(output)
    return _told(labels, as_json=as_json)


def _told(labels: Labels, *, as_json: bool) -> int:
    uses = labels.uses()
    if as_json:
        emit({name: use._asdict() for name, use in uses.items()})
        return 0
    for name, use in uses.items():
        sys.stdout.write(f"{name}: {use.rows} rows, {use.counting} count\n")
    return 0
