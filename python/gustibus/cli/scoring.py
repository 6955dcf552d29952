"""`gustibus score`: rewards of candidates for one person, from the command line."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, cast

import typer

from gustibus.cli.candidates import (
    LOCAL,
    SERVED,
    Candidate,
    answers_of,
    read_candidates,
    represented,
)
from gustibus.cli.common import JsonOption, emit, parse_options
from gustibus.cli.records import UrlOption
from gustibus.errors import ConfigError, InputError

if TYPE_CHECKING:
    from gustibus.client.calls.scoring import SelectionMethod
    from gustibus.rewards import Transform
    from gustibus.selection import Selected
    from gustibus.types import F32, F64

Option = typer.Option


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("score")(score_command)


def score_command(
    *,
    model: Annotated[
        str, typer.Argument(help="Folder of a trained model; without, a service is asked.")
    ] = "",
    prompt: Annotated[str, Option(help="The prompt that the candidates answer.")] = "",
    user: Annotated[
        str, Option(help="A person of the model or the service; nobody scores for the population.")
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
    plain: Annotated[
        bool, Option("--text", help="Every line is a text, also one that looks like JSON.")
    ] = False,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> int:
    r"""Score candidates read from standard input, one a line, best first.

    A line is a text, a JSON string, or an object with `text` or `embedding`; a service also takes
    `id`, of an item that it keeps, and `messages`. With --method an object may tell its final
    `answer`; without, the text is the answer.

    Example: printf 'Short.\nA much longer answer.\n' | gustibus score runs/demo --user ada
    """
    stated = _weights(weights)
    if stated is None and robust:
        message = "robust: an angle around stated weights; give --weights too"
        raise InputError(message, where="robust")
    if stated is not None and user:
        message = "weights: they stand in the place of a person; leave --user out"
        raise InputError(message, where="weights")
    asked = _Asked(
        prompt, user, on_unknown_user, stated, robust, _transform(transform, options or []),
        method, alpha, k,
    )  # fmt: skip
    _check_method(method, alpha, k)
    where = url or ("" if model else os.environ.get("GUSTIBUS_URL", ""))
    if not where and not model:
        message = "score: expected a model folder, or a service: --url or GUSTIBUS_URL"
        raise ConfigError(message, where="model")
    if sys.stdin.isatty():
        sys.stderr.write("Candidates, one a line; Ctrl-D ends them:\n")
    candidates = read_candidates(
        sys.stdin, kinds=SERVED if where else LOCAL, choosing=bool(method), plain=plain
    )
    if where:
        return _served(asked, candidates, where, model or "default", as_json=as_json)
    return _local(asked, candidates, model, as_json=as_json)


class _Asked(NamedTuple):
    """What is wanted of the candidates."""

    prompt: str
    user: str
    on_unknown_user: Literal["population", "error"]
    weights: dict[str, float] | None
    robust: float
    transform: Transform | Literal["model"] | None
    method: str
    alpha: float | None
    k: int


def _local(asked: _Asked, candidates: list[Candidate], model: str, *, as_json: bool) -> int:
    """Score with a model folder."""
    import gustibus
    from gustibus.models.directions import direction, rewards, robust_scores
    from gustibus.scoring import stderr
    from gustibus.selection import select

    answers = answers_of(candidates) if asked.method else []
    scorer = gustibus.load(model)
    vectors = represented(scorer, asked.prompt, candidates)
    if asked.weights is not None:
        along = direction(scorer.model, asked.weights)

        def reward(vectors: F32) -> F64:
            return robust_scores(rewards(scorer.model, vectors), along, degrees=asked.robust)

        value = reward(vectors)
        errors = 0.0 * value  # nothing about stated weights is estimated
    else:
        user = asked.user
        person = scorer.posterior(user or None, on_unknown_user=asked.on_unknown_user)
        if user and scorer.artifact.people.find(user) is None:
            _say_unknown(user, "among the people of this model")

        def reward(vectors: F32) -> F64:
            return scorer.model.utility(person.mean, vectors)

        # a choice is made among the candidates; a score is of each by itself
        lines = scorer.model.linearize_among if asked.method else scorer.model.linearize
        value, gradient = lines(person.mean, vectors)
        errors = stderr(person.covariance, gradient)
    if asked.transform is not None:
        shape, compared = scorer.compared(asked.transform, reward)
        value, errors = shape(value, compared), shape.slope(value, compared) * errors
    if asked.method:
        chosen = select(asked.method, answers, value, k=asked.k, alpha=asked.alpha or 0.0)
        return _give(chosen, candidates, as_json=as_json)
    return _show(candidates, value, errors, as_json=as_json)


def _served(
    asked: _Asked, candidates: list[Candidate], url: str, model: str, *, as_json: bool
) -> int:
    """Have a service score."""
    import numpy as np

    from gustibus.client import Client
    from gustibus.selection import Selected

    shape: Any = asked.transform
    if shape is not None and shape != "model":
        shape = {"name": shape.name, "options": shape.options}
    given: dict[str, Any] = {
        "prompt": asked.prompt or None, "user": asked.user or None, "model": model,
        "on_unknown_user": asked.on_unknown_user, "weights": asked.weights,
        "robust": asked.robust or None, "transform": shape,
    }  # fmt: skip
    sent = [one.sent for one in candidates]
    with Client(url) as client:
        if asked.method:
            best = client.best_of_n(
                sent, method=cast("SelectionMethod", asked.method), answers=answers_of(candidates),
                k=asked.k, alpha=asked.alpha, **given,
            )  # fmt: skip
            state = best.user.state
        else:
            scores = client.score(sent, stderr=asked.weights is None, **given)
            state = scores.user.state
    if asked.user and state == "population":
        _say_unknown(asked.user, "known to the service, or has answered too little")
    if asked.method:
        chosen = [Selected(one.answer, one.index, one.count, one.score) for one in best.selection]
        return _give(chosen, candidates, as_json=as_json)
    errors = np.array([one.stderr or 0.0 for one in scores.data])
    return _show(candidates, np.array(scores.scores), errors, as_json=as_json)


def _say_unknown(user: str, where: str) -> None:
    sys.stderr.write(f"gustibus: {user!r} is not {where}; these are the population's scores\n")


def _show(candidates: list[Candidate], value: F64, errors: F64, *, as_json: bool) -> int:
    """Write the candidates with their scores, best first."""
    from gustibus.scoring import rank

    order = rank(value)
    if as_json:
        emit([
            {"index": int(i), **candidates[i].told, "score": float(value[i]),
             "stderr": float(errors[i])} for i in order
        ])  # fmt: skip
        return 0
    for i in order:
        sys.stdout.write(f"{value[i]:+8.3f} ± {errors[i]:.3f}  {candidates[i].shown}\n")
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


def _give(chosen: list[Selected], candidates: list[Candidate], *, as_json: bool) -> int:
    """Write the answers that were chosen, and the candidate that stands for each."""
    if as_json:
        emit([
            {"answer": one.answer, "index": one.index, **candidates[one.index].told,
             "count": one.count, "score": one.reward} for one in chosen
        ])  # fmt: skip
        return 0
    for one in chosen:
        score = f"{'':8}" if one.reward is None else f"{one.reward:+8.3f}"
        sys.stdout.write(f"{score}  {one.count} of {len(candidates)}  {one.answer}\n")
    return 0
