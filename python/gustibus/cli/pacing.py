"""`gustibus bench encode` and `bench acquire`: how fast texts become vectors, and a question is chosen."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from gustibus.cli.common import JsonOption, emit
from gustibus.cli.measuring import sides, table
from gustibus.errors import ConfigError, GustibusError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gustibus.artifact import Artifact
    from gustibus.encoders import Encoder
    from gustibus.onboarding import QuestionPool
    from gustibus.service.serving import Serving

Option = typer.Option
_POOLS = (2_000, 20_000)
_WORDS, _TEXTS = 2_000, 1_000  # different ones that are made up


def encode_command(
    *,
    model: Annotated[str, typer.Argument(help="Folder of a trained model.")],
    file: Annotated[
        str, Option(help="Texts, a line each; without, texts of random words are made up.")
    ] = "",
    words: Annotated[int, Option(min=1, max=10_000, help="In a text that is made up.")] = 60,
    texts: Annotated[int, Option(min=1, max=256, help="In a request.")] = 64,
    callers: Annotated[int, Option(min=1, max=64, help="Requests at once.")] = 1,
    seconds: Annotated[float, Option(min=0.05, max=600, help="Of each, after a warm-up.")] = 3.0,
    as_json: JsonOption = False,
) -> int:
    """Texts and tokens a second, encoded and known already, as a service of this model does it.

    The model's own encoder makes vectors of texts that it has not seen, and then the same texts are
    looked up where a service keeps them. Tokens are those that the encoder reads where it tells them,
    else a fourth of the characters, as a service counts them. Nothing of HTTP is part of it.

    Example: gustibus bench encode runs/first --words 200
    """
    from gustibus.artifact import Artifact
    from gustibus.service.metrics import Meter
    from gustibus.service.problems import Problem
    from gustibus.service.serving import Serving

    artifact = Artifact.load(model)
    if not artifact.card.get("encoder"):
        message = f"{model}: was trained on ready-made embeddings, and has no encoder to measure"
        raise ConfigError(message, where="model")
    given = _lines(Path(file)) if file else _made_up(words)
    serving = Serving(
        artifact, name="bench", texts=1_000_000, texts_bytes=1 << 30, meter=Meter(), warm=False
    )
    try:
        encoder = serving.encoder()
        pace = asyncio.run(_measure(serving, _requests(given, texts), callers, seconds))
    except Problem as problem:
        raise GustibusError(problem.detail, where="encoder") from None
    finally:
        serving.close()
    each, counted = _tokens(encoder, pace.sample)
    found = {
        "encoder": encoder.name, "texts_per_second": pace.fresh, "tokens_per_second": each * pace.fresh,
        "cached_texts_per_second": pace.cached, "cached_tokens_per_second": each * pace.cached,
        "tokens_a_text": each, "tokens_counted": counted, "texts": texts, "callers": callers,
        "encoded": pace.encoded,
    }  # fmt: skip
    if as_json:
        emit(found)
    else:
        sys.stdout.write(table({
            f"texts encoded a second, {texts} at once": f"{pace.fresh:,.0f}",
            "tokens of them": f"{each * pace.fresh:,.0f}{'' if counted else ', roughly'}",
            "texts known already": f"{pace.cached:,.0f}",
            "tokens of them ": f"{each * pace.cached:,.0f}{'' if counted else ', roughly'}",
        }))  # fmt: skip
    return 0


class _Pace(NamedTuple):
    """Texts a second, some of the texts, and how many were encoded in all."""

    fresh: float
    cached: float
    sample: list[str]
    encoded: int


async def _measure(
    serving: Serving, requests: Iterator[list[str]], callers: int, seconds: float
) -> _Pace:
    """Encode for so long, and then look up for so long what was encoded."""
    for _ in range(2):  # what an encoder does at its first texts alone
        await serving.represent("", next(requests))
    sent: list[list[str]] = []
    begun = time.perf_counter()

    async def encode() -> None:
        while not sent or time.perf_counter() - begun < seconds:
            sent.append(next(requests))
            await serving.represent("", sent[-1])

    await asyncio.gather(*(encode() for _ in range(callers)))
    took = time.perf_counter() - begun
    count = sum(map(len, sent))
    known, place, begun = 0, 0, time.perf_counter()
    while not known or time.perf_counter() - begun < seconds:
        part = sent[place % len(sent)]
        _, cached, _ = await serving.represent("", part)
        known, place = known + cached, place + 1
    lasted = time.perf_counter() - begun
    sample = [text for part in sent[:16] for text in part]
    return _Pace(count / took, known / lasted, sample, count)


def _requests(texts: list[str], count: int) -> Iterator[list[str]]:
    """Texts of one request after the other, never the same text twice."""
    number = 0
    while True:
        part = []
        for _ in range(count):
            again, place = divmod(number, len(texts))
            part.append(f"{texts[place]} {again}" if again else texts[place])
            number += 1
        yield part


def _made_up(words: int) -> list[str]:
    """Texts of so many words that nobody has said."""
    import numpy as np

    rng = np.random.default_rng(0)
    syllables = ("ba", "ke", "li", "mo", "nu", "ra", "se", "ti", "vo", "zu")
    known = ["".join(rng.choice(syllables, rng.integers(1, 5))) for _ in range(_WORDS)]
    return [f"{' '.join(rng.choice(known, words))} {number}" for number in range(_TEXTS)]


def _lines(path: Path) -> list[str]:
    """Different texts of a file."""
    if not path.is_file():
        message = f"{path}: no such file"
        raise NotFoundError(message, where="--file")
    found = [*dict.fromkeys(filter(None, map(str.strip, path.read_text("utf-8").splitlines())))]
    if not found:
        message = f"{path}: expected a text a line, got none"
        raise GustibusError(message, where="--file")
    return found


def _tokens(encoder: Encoder, sample: list[str]) -> tuple[float, bool]:
    """Tokens of a text on average, and whether the encoder told them."""
    prepare = getattr(getattr(encoder, "encoder", encoder), "prepare", None)
    if prepare is None:
        return sum(map(len, sample)) / 4 / len(sample), False
    return sum(map(len, prepare(sample))) / len(sample), True


def acquire_command(
    *,
    model: Annotated[str, typer.Argument(help="Folder of a trained model.")],
    pairs: Annotated[
        list[int] | None,
        Option(min=2, max=1_000_000, help="Size of a pool; repeatable (default 2000 and 20000)."),
    ] = None,
    strategy: Annotated[str, Option(help="By which questions are chosen.")] = "d_opt",
    answers: Annotated[int, Option(min=1, max=100, help="Of each person.")] = 10,
    people: Annotated[int, Option(min=1, max=10_000, help="Who answer at random.")] = 10,
    as_json: JsonOption = False,
) -> int:
    """Milliseconds to choose the next question, and from an answer to the next question.

    Pools are random pairs of what the model has represented. To choose is to value every pair and draw
    one of the best; a whole step also places the person, looks ahead, and says how well they are known.

    Example: gustibus bench acquire runs/first --pairs 5000
    """
    import numpy as np

    from gustibus.artifact import Artifact

    artifact = Artifact.load(model)
    dim = artifact.model.user_dim
    if dim == 0:
        message = f"{model}: a model of family {artifact.model.family!r} learns nothing of a person"
        raise ConfigError(message, where="model")
    found = []
    for size in pairs or _POOLS:
        chosen, steps = _interview(artifact, _pool(artifact, size), strategy, answers, people)
        half, most = np.quantile(chosen, [0.5, 0.99]) * 1e3
        step_half, step_most = np.quantile(steps, [0.5, 0.99]) * 1e3
        found.append({
            "pairs": size, "choose_p50_ms": float(half), "choose_p99_ms": float(most),
            "step_p50_ms": float(step_half), "step_p99_ms": float(step_most), "questions": len(steps),
        })  # fmt: skip
    if as_json:
        emit({"user_dim": dim, "strategy": strategy, "pools": found})
        return 0
    rows = {
        f"{row['pairs']:,} pairs, {dim} tastes, to choose": _words(row, "choose") for row in found
    } | {f"{row['pairs']:,} pairs, answer to question": _words(row, "step") for row in found}
    sys.stdout.write(table(rows))
    return 0


def _words(row: dict[str, Any], what: str) -> str:
    return f"{row[f'{what}_p50_ms']:.2f} ms, 99 % within {row[f'{what}_p99_ms']:.2f} ms"


def _pool(artifact: Artifact, size: int) -> QuestionPool:
    """Random pairs of what the model has represented."""
    import numpy as np

    from gustibus.onboarding import QuestionPool

    rng = np.random.default_rng(0)
    a, b = sides(artifact, rng)
    left, right = rng.integers(len(a), size=size), rng.integers(len(b), size=size)
    nothing = ("",) * size
    return QuestionPool(a[left], b[right], nothing, nothing, nothing, tuple(map(str, range(size))))


def _interview(
    artifact: Artifact, pool: QuestionPool, strategy: str, answers: int, people: int
) -> tuple[list[float], list[float]]:
    """Seconds to choose each question after the first, and of each whole step."""
    import numpy as np

    from gustibus.onboarding import Session, Settings, Stopping, advance, place_person
    from gustibus.onboarding.session import ask

    model, rng = artifact.model, np.random.default_rng(1)
    chosen: list[float] = []
    steps: list[float] = []
    rules = Stopping(min_questions=answers + 1, max_questions=answers + 1)
    for person in range(-1, people):  # the first is not counted
        settings = Settings(seed=person + 1, strategy=strategy, stopping=rules, controls=False)
        session = Session(settings)
        question = advance(model, pool, session).question
        while question is not None and len(session.turns) < answers:
            session = session.answered(question, "left" if rng.integers(2) else "right")
            here = place_person(model, pool, session.turns)
            begun = time.perf_counter()
            ask(model, here, pool, session)
            between = time.perf_counter()
            question = advance(model, pool, session).question
            if person >= 0:
                chosen.append(between - begun)
                steps.append(time.perf_counter() - between)
    return chosen, steps
