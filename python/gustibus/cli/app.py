"""The typer application: one small function a command, errors and exit codes in one place.

Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 partial, 130 interrupted.
"""

from __future__ import annotations

import sys
import warnings
from typing import Annotated, Any

import typer
from rich.console import Console

from gustibus.cli import (
    asking,
    auditing,
    benching,
    bulk,
    catalogue,
    curating,
    doctoring,
    encoding,
    evaluating,
    exporting,
    importing,
    keys,
    operating,
    people,
    ranking,
    scoring,
    training,
    updating,
)
from gustibus.errors import ConfigError, GustibusError, NotFoundError

app = typer.Typer(
    name="gustibus",
    help="Learn each person's own reward from comparisons, serve it, place new people.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
training.register(app)
updating.register(app)
encoding.register(app)
evaluating.register(app)
curating.register(app)
scoring.register(app)
bulk.register(app)
ranking.register(app)
benching.register(app)
importing.register(app)
exporting.register(app)
people.register(app)
catalogue.register(app)
asking.register(app)
doctoring.register(app)
operating.register(app)
keys.register(app)
auditing.register(app)


def _version(value: bool) -> None:  # noqa: FBT001 - typer's signature
    if value:
        import gustibus

        sys.stdout.write(f"gustibus {gustibus.__version__}\n")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Results go to standard output, progress to standard error."""
    del version


def run(arguments: list[str] | None = None) -> int:
    """Run a command line and return its exit code; our own errors are one line each."""
    errors = Console(stderr=True, highlight=False, soft_wrap=True)

    def warn(message: Warning | str, *_: Any, **__: Any) -> None:
        errors.print(f"[yellow]gustibus:[/yellow] {_plain(str(message))}")

    try:
        with warnings.catch_warnings():
            warnings.showwarning = warn  # the line of our source that warns helps nobody here
            result: Any = app(arguments, standalone_mode=False)
    except NotFoundError as error:
        errors.print(f"[red]gustibus:[/red] {_plain(error.message)}", markup=True)
        return 3
    except GustibusError as error:
        errors.print(f"[red]gustibus:[/red] {_plain(error.message)}", markup=True)
        return 2 if isinstance(error, ConfigError) else 1
    except KeyboardInterrupt:
        errors.print("interrupted")
        return 130
    except BrokenPipeError:
        return 0
    except OSError as error:  # a file or a place in the network that cannot be used
        place = "" if error.filename is None else f"{error.filename}: "
        errors.print(f"[red]gustibus:[/red] {_plain(f'{place}{error.strerror or error}')}")
        return 1
    except Exception as error:
        shown = getattr(error, "show", None)  # click's own errors know how to print themselves
        if shown is None:
            raise
        shown()
        return int(getattr(error, "exit_code", 1))
    return result if isinstance(result, int) else 0


def _plain(message: str) -> str:
    return message.replace("[", r"\[")
