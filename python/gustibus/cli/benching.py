"""`gustibus bench`: `league` here, what measures speed beside it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gustibus.cli.common import ColumnsOption, IdenticalOption, LayoutOption
from gustibus.cli.measuring import place_command, serve_command
from gustibus.cli.pacing import acquire_command, encode_command
from gustibus.errors import ConfigError

if TYPE_CHECKING:
    from gustibus.bench import Entry

Option = typer.Option


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    bench = typer.Typer(
        help="Compare methods on your own data, and measure how fast a model is.",
        no_args_is_help=True,
    )
    bench.command("league")(league_command)
    bench.command("serve")(serve_command)
    bench.command("place")(place_command)
    bench.command("encode")(encode_command)
    bench.command("acquire")(acquire_command)
    app.add_typer(bench, name="bench")


def league_command(
    *,
    data: Annotated[list[str], typer.Argument(help="Folders or files of comparisons.")],
    output: Annotated[
        str,
        Option(
            "--output",
            "-o",
            help="Folder for models, reports, league.md, league.json and the pictures: league.png, "
            "forest.png, calibration.png and cost.png.",
        ),
    ],
    method: Annotated[
        list[str] | None,
        Option(
            help="A family, FAMILY-published, or auto; with --strengths FAMILY-graded and auto-graded as "
            "well; repeatable; default all but those."
        ),
    ] = None,
    option: Annotated[
        list[str] | None,
        Option("--set", help="An option of a method, METHOD.NAME=VALUE; repeatable."),
    ] = None,
    strengths: Annotated[
        str, Option(help="Column by how much the one was preferred, for methods that are graded.")
    ] = "",
    layout: LayoutOption = "",
    columns: ColumnsOption = "",
    identical: IdenticalOption = "",
    seeds: Annotated[str, Option(help="One trial of every data set each, such as 0,1,2.")] = "0",
    draws: Annotated[int, Option(help="Draws of every person's shots.")] = 10,
    focus: Annotated[int, Option(help="Answers at which methods are compared, and twice it.")] = 5,
    device: Annotated[str, Option(help="auto, cpu or cuda.")] = "auto",
    fresh: Annotated[bool, Option("--fresh", help="Train and judge everything again.")] = False,
    as_json: Annotated[bool, Option("--json", help="Print the claims as JSON.")] = False,
) -> int:
    """Train every family on every data set and judge all of them on people they have not seen.

    A league that was cut off goes on where it was: models and reports of the same settings are kept.
    One row is made again by its data set and --method alone, with --fresh if no setting changed; the
    other rows of the folder stay as they are, and differences, tables and claims are made again. A
    data set on which nothing can be told apart is refused: named with the reason, in no table.

    Example: gustibus bench league logs.parquet other/ -o league --method bt --method auto
    """
    from gustibus.bench import LeagueConfig, run_league
    from gustibus.cli.progress import Bars
    from gustibus.data import parse_columns

    reading: dict[str, Any] = {"columns": parse_columns(columns)} if columns else {}
    reading |= {k: v for k, v in (("layout", layout), ("identical", identical)) if v}
    config = LeagueConfig(
        data=tuple(data), output=output, methods=_methods(method or [], option or []),
        seeds=_seeds(seeds), draws=draws, focus=focus, device=device, fresh=fresh, strengths=strengths,
        **reading,
    )  # fmt: skip
    with Bars() as bars:
        league = run_league(config, progress=bars.update, told=_say)
    if as_json:
        from gustibus.cli.common import emit

        emit([{"claim": c, "holds": holds, "found": found} for c, holds, found in league.claims()])
    else:
        sys.stdout.write(f"{league.markdown()}\nsaved {output}\n")
    return 4 if any(s.failed for s in league.standings) else 0


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _methods(names: list[str], options: list[str]) -> dict[str, Entry]:
    from gustibus.bench import GRADED, METHODS
    from gustibus.cli.common import parse_options
    from gustibus.errors import UnknownNameError

    known = {**METHODS, **GRADED}
    for name in names:
        if name not in known:
            raise UnknownNameError.of("method", name, tuple(known))
    found = {name: known[name] for name in names or METHODS}
    for key, value in parse_options(options).items():
        name, dot, setting = key.partition(".")
        if not dot or name not in found:
            message = f"--set: expected METHOD.NAME=VALUE with METHOD of {list(found)}, got {key!r}"
            raise ConfigError(message, where="--set")
        found[name] = found[name]._replace(options={**found[name].options, setting: value})
    return found


def _seeds(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(seed) for seed in text.split(","))
    except ValueError:
        message = f"--seeds: expected numbers such as 0,1,2, got {text!r}"
        raise ConfigError(message, where="--seeds") from None
