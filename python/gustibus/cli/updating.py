"""`gustibus update`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from gustibus.cli.common import JsonOption, emit

Option = typer.Option


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("update")(update_command)


def update_command(
    *,
    model: Annotated[str, typer.Argument(help="Folder of a trained model.")],
    source: Annotated[
        str,
        typer.Argument(help="New comparisons, in the layout that the model was trained on."),
    ],
    output: Annotated[str, Option("--output", "-o", help="Folder of the new model.")],
    least: Annotated[int, Option(help="Answers about an item for it to be learned.")] = 8,
    again: Annotated[
        bool,
        Option(
            "--again",
            help="Learn items anew that the model knows, too; the table must have all answers about them.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Learn items that came after a training from the answers about them, without training again.

    An item that the model does not know is scored by its features alone. This places what it has beside
    them, as people are placed, and saves a model that knows it. People keep their profiles. The log
    loss is told of answers that were left out, before and after.

    Example: gustibus update runs/first new.parquet -o runs/second
    """
    from gustibus.training.updating import update_items

    found, learned = update_items(model, source, output, least=least, again=again)
    if as_json:
        emit({**asdict(learned), "output": output, "digest": found.digest})
        return 0
    sys.stdout.write(
        f"learned {learned.items} of {learned.given} items from {learned.answers} answers; log loss of those "
        f"left out: {learned.before:.4f} before, {learned.after:.4f} after\n"
        f"saved {Path(output)}\n"
        f"next: gustibus models register {quote(output)}\n"
    )
    return 0
