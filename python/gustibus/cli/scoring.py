"""`gustibus score`: rewards of candidate texts for one person, from the command line."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer

from gustibus.cli.common import parse_options
from gustibus.errors import ConfigError, InputError

if TYPE_CHECKING:
    from gustibus.rewards import Transform
    from gustibus.selection import Selected
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
    on_unknown_user: Annotated[
        Literal["population", "error"], Option(help="What to do about somebody else.")
    ] = "population",
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
    method: Annotated[
        str,
        Option(help="Choose among distinct answers: best_of_n, majority_vote or best_of_majority."),
    ] = "",
    alpha: Annotated[
        float | None,
        Option(help="With best_of_majority: least share of the candidates that give an answer."),
    ] = None,
    k: Annotated[int, Option(help="With --method: how many answers to give.")] = 1,
    as_json: Annotated[bool, Option("--json", help="One JSON document.")] = False,
) -> int:
    r"""Score candidates read from standard input, a text or a JSON string a line, best first.

    With --method a line may be an object with `text` and its final `answer`; without, the text is
    the answer.

    Example: printf 'Short.\nA much longer answer.\n' | gustibus score runs/demo --user ada
    """
    import gustibus
    from gustibus.models.directions import direction, rewards, robust_scores
    from gustibus.scoring import rank, stderr
    from gustibus.selection import select

    stated = _weights(weights)
    if stated is None and robust:
        message = "robust: an angle around stated weights; give --weights too"
        raise InputError(message, where="robust")
    if stated is not None and user:
        message = "weights: they stand in the place of a person; leave --user out"
        raise InputError(message, where="weights")
    shape = _transform(transform, options or [])
    _check_method(method, alpha, k)
    if sys.stdin.isatty():
        sys.stderr.write("Candidates, one a line; Ctrl-D ends them:\n")
    read = (_sample(n, line, choosing=bool(method)) for n, line in enumerate(sys.stdin, 1))
    samples = [one for one in read if one.text]
    candidates = [one.text for one in samples]
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
        if user and scorer.artifact.people.find(user) is None:
            sys.stderr.write(
                f"gustibus: {user!r} is not among the people of this model; these are the "
                "population's scores\n"
            )

        def reward(vectors: F32) -> F64:
            return scorer.model.utility(person.mean, vectors)

        value, gradient = scorer.model.linearize(person.mean, vectors)
        errors = stderr(person.covariance, gradient)
    if shape is not None:
        shape, compared = scorer.compared(shape, reward)
        value, errors = shape(value, compared), shape.slope(value, compared) * errors
    if method:
        chosen = select(method, [one.answer for one in samples], value, k=k, alpha=alpha or 0.0)
        return _give(chosen, candidates, as_json=as_json)
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


def _check_method(method: str, alpha: float | None, k: int) -> None:
    """Refuse options that do not go together, and a method that is not there, before any work."""
    from gustibus.selection import SELECTIONS

    if not method:
        if alpha is not None or k != 1:
            name = "--k" if alpha is None else "--alpha"
            message = f"{name}: belongs to a method; give --method too"
            raise ConfigError(message, where=name)
        return
    SELECTIONS[method]
    if (method == "best_of_majority") != (alpha is not None):
        message = "--alpha: expected with the method 'best_of_majority', and with no other"
        raise ConfigError(message, where="--alpha")


def _give(chosen: list[Selected], candidates: list[str], *, as_json: bool) -> int:
    """Write the answers that were chosen, and the candidate that stands for each."""
    if as_json:
        from gustibus.cli.common import emit

        emit([
            {"answer": one.answer, "index": one.index, "text": candidates[one.index],
             "count": one.count, "score": one.reward} for one in chosen
        ])  # fmt: skip
        return 0
    for one in chosen:
        score = f"{'':8}" if one.reward is None else f"{one.reward:+8.3f}"
        sys.stdout.write(f"{score}  {one.count} of {len(candidates)}  {one.answer}\n")
    return 0


class _Sample(NamedTuple):
    """A candidate and its final answer."""

    text: str
    answer: str


def _sample(number: int, line: str, *, choosing: bool) -> _Sample:
    """A line of standard input: a text, a JSON string, or an object where answers are chosen.

    Raises:
        InputError: it is an object of other things than `text` and `answer`.
    """
    line = line.strip()
    if not line.startswith('"' if not choosing else ('"', "{")):
        return _Sample(line, line)
    try:
        value = json.loads(line)
    except ValueError:
        return _Sample(line, line)
    told = value if isinstance(value, dict) else {"text": str(value)}
    text, answer = (told.get(name, told.get("text")) for name in ("text", "answer"))
    odd = set(told) - {"text", "answer"}
    if odd or not isinstance(text, str) or not isinstance(answer, str):
        message = (
            f"candidates: line {number}: expected an object with the texts 'text' and 'answer', got "
            f"{line:.80}"
        )
        raise InputError(message, where="candidates")
    return _Sample(text, answer)
