"""`gustibus onboard`: A/B questions in the terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from gustibus.cli.common import JsonOption
from gustibus.cli.interviews import Interview
from gustibus.cli.records import UrlOption
from gustibus.errors import ConfigError

Option = typer.Option
_SAID = {"1": "left", "2": "right", "t": "tie", "b": "both_bad", "s": "skip"}
_HELP = "1 or 2: which is better   t: tie   b: both bad   s: skip   z: back   q: stop and keep"


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("onboard")(onboard_command)


def onboard_command(
    *,
    user: Annotated[str, Option(help="Who answers.")],
    model: Annotated[str, Option(help="Folder of a trained model; without, a service asks.")] = "",
    url: UrlOption = "",
    most: Annotated[int, Option("--max-questions", min=1, max=100, help="At most so many.")] = 12,
    answers: Annotated[
        Path | None,
        Option(help="Where answers to a model folder are kept; default USER.answers.json."),
    ] = None,
    session: Annotated[str, Option(help="A session of the service to go on with.")] = "",
    seed: Annotated[int | None, Option(help="Of the session's draws.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Ask a person which of two answers they like better, and say what was learned.

    Keys: 1 and 2 choose, t is a tie, b both bad, s skips, z goes back, q stops and keeps what was
    answered. Questions go to standard error, the result to standard output.
    """
    from gustibus.cli.common import emit

    with _begun(user, model, url, most, answers, session, seed) as interview:
        try:
            with keys() as read:
                converse(interview, read)
        except KeyboardInterrupt:
            _say(f"\n{interview.resume()}\n")
            raise
        found = interview.finish()
    if as_json:
        emit(found)
    else:
        sys.stdout.write(f"{found['words']}\n")
    return 0


@contextmanager
def _begun(
    user: str, model: str, url: str, most: int, answers: Path | None, session: str,
    seed: int | None,
) -> Iterator[Interview]:  # fmt: skip
    from gustibus.cli.interviews import LocalInterview, ServedInterview

    if model and (url or session):
        message = "--model: expected it alone, or --url and --session without it"
        raise ConfigError(message, where="--model")
    if model:
        from gustibus.artifact import Artifact

        kept = answers or Path(f"{user.replace('/', '_')}.answers.json")
        yield LocalInterview(Artifact.load(model), user, kept=kept, most=most, seed=seed)
        return
    from gustibus.client import Client

    with Client(url or os.environ.get("GUSTIBUS_URL") or None) as client:
        yield ServedInterview(client, user, most=most, session=session, seed=seed)


def converse(interview: Interview, read: Callable[[], str]) -> None:
    """Ask until there is nothing more to ask, or the person stops.

    Args:
        interview: the session.
        read: the next key; empty when nobody is there any more.
    """
    _say(f"{_HELP}\n")
    while (question := interview.question) is not None:
        now = interview.standing
        _say(
            f"\nQuestion {question.seq + 1}, about {now.expected_remaining} to go, "
            f"expected accuracy {now.confidence:.0%}\n{question.prompt}\n\n"
            f"  1  {_indented(question.left)}\n\n  2  {_indented(question.right)}\n\n> "
        )
        started = time.monotonic()
        key = read()
        _say(f"{key}\n")
        if key in {"q", ""}:
            return
        if key == "z":
            if not interview.undo():
                _say("This is the first question.\n")
        elif key in _SAID:
            interview.answer(_SAID[key], int((time.monotonic() - started) * 1e3))
        else:
            _say(f"{_HELP}\n")


def _indented(text: str) -> str:
    return "\n     ".join(text.splitlines()) or "(empty)"


@contextmanager
def keys() -> Iterator[Callable[[], str]]:
    """Reads keys one by one from a terminal, and the first letter of each line from a pipe."""
    if not sys.stdin.isatty():
        yield _first_of_line
        return
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before: list[Any] = termios.tcgetattr(terminal)
    try:
        # Keys without Enter, those typed ahead among them; Ctrl-C still interrupts.
        tty.setcbreak(terminal, termios.TCSADRAIN)
        yield lambda: sys.stdin.read(1).lower()
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _first_of_line() -> str:
    for line in sys.stdin:
        if line.strip():
            return line.strip()[0].lower()
    return ""


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
