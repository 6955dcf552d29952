"""`gustibus score`: rewards of candidate texts for one person, from the command line."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gustibus.cli.common import parse_options
from gustibus.errors import ConfigError, InputError

if TYPE_CHECKING:
    from gustibus.rewards import Transform
    from gustibus.types import F32, F64

Option = typer.Option


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("score")(score_command)


def score_command(
    *,
    model: Annotated[str, typer.Argument(help="Folder of a trained model.")],
    prompt: Annotated[str, Option(help="The prompt that the candidates answer.")] = "",
    user: Annotated[
        str, Option(help="A person of the model; nobody scores for the population.")
    ] = "",
    on_unknown_user: Annotated[str, Option(help="population or error.")] = "population",
    weights: Annotated[
        str, Option(help="Weights of the model's objectives instead of a person: NAME=NUMBER,...")
    ] = "",
    robust: Annotated[
        float, Option(help="With --weights: score by the worst direction within so many degrees.")
    ] = 0.0,
    transform: Annotated[
        str, Option(help="Show rewards as a transform makes them; 'model' is the saved one.")
    ] = "",
    options: Annotated[
        list[str] | None, Option("--set", help="Option of the transform, NAME=VALUE; may repeat.")
    ] = None,
    as_json: Annotated[bool, Option("--json", help="One JSON document.")] = False,
) -> int:
    r"""Score candidates read from standard input, a text or a JSON string a line, best first.

    Example: printf 'Short.\nA much longer answer.\n' | gustibus score runs/demo --user ada
    """
    import gustibus
    from gustibus.models.directions import direction, rewards, robust_scores
    from gustibus.scoring import rank, stderr

    stated = _weights(weights)
    if stated is None and robust:
        message = "robust: an angle around stated weights; give --weights too"
        raise InputError(message, where="robust")
    if stated is not None and user:
        message = "weights: they stand in the place of a person; leave --user out"
        raise InputError(message, where="weights")
    shape = _transform(transform, options or [])
    candidates = [line for line in map(_text, sys.stdin) if line]
    if not candidates:
        message = "candidates: expected at least one line on standard input, got none"
        raise InputError(message, where="candidates")
    scorer = gustibus.load(model)
    vectors = scorer.represent(prompt, candidates)
    if stated is not None:
        along = direction(scorer.model, stated)

        def reward(vectors: F32) -> F64:
            return robust_scores(rewards(scorer.model, vectors), along, degrees=robust)

        value = reward(vectors)
        errors = 0.0 * value  # nothing about stated weights is estimated
    else:
        person = scorer.posterior(user or None, on_unknown_user=on_unknown_user)

        def reward(vectors: F32) -> F64:
            return scorer.model.utility(person.mean, vectors)

        value, gradient = scorer.model.linearize(person.mean, vectors)
        errors = stderr(person.covariance, gradient)
    if shape is not None:
        shape, compared = scorer.compared(shape, reward)
        value, errors = shape(value, compared), shape.slope(value, compared) * errors
    order = rank(value)
    if as_json:
        from gustibus.cli.common import emit

        emit([
            {"index": int(i), "text": candidates[i], "score": float(value[i]),
             "stderr": float(errors[i])} for i in order
        ])  # fmt: skip
        return 0
    for i in order:
        sys.stdout.write(f"{value[i]:+8.3f} ± {errors[i]:.3f}  {candidates[i]}\n")
    return 0


def _weights(given: str) -> dict[str, float] | None:
    """`a=1,b=-2` as numbers by name; None where nothing is given."""
    if not given:
        return None
    found: dict[str, float] = {}
    for part in given.split(","):
        name, _, number = part.rpartition("=")
        try:
            found[name.strip()] = float(number)
        except ValueError:
            name = ""
        if not name:
            message = f"weights: expected NAME=NUMBER,..., got {part!r}"
            raise InputError(message, where="weights")
    return found


def _transform(name: str, options: list[str]) -> Transform | Literal["model"] | None:
    """The transform that is asked for; None without one."""
    from gustibus.rewards import Transform

    if options and name in ("", "model"):
        message = "--set: an option of a transform; give --transform NAME too"
        raise ConfigError(message, where="--set")
    if name in ("", "model"):
        return "model" if name else None
    return Transform(name, parse_options(options))


def _text(line: str) -> str:
    line = line.strip()
    if line.startswith('"'):
        try:
            return str(json.loads(line))
        except ValueError:
            return line
    return line
