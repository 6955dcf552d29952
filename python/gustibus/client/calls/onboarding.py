"""Onboarding sessions: placing a new person with a few questions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from gustibus.client.decoding import decoder
from gustibus.client.wire import Request, body_of, segment

Answer = Literal["left", "right", "tie", "both_bad", "skip"]


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a question."""

    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """A pair as it is shown."""

    id: str
    seq: int
    """Number in the session; answers are put under it."""
    prompt: str
    left: Side
    right: Side
    reason: str


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a session stands."""

    answered: int
    expected_remaining: int
    max: int
    confidence: float
    """Expected accuracy on pairs not asked, 0.5 to 1."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session with the question that waits for an answer, if it is open."""

    id: str
    user: str
    model: str
    state: str
    """`open` or `finished`."""
    stop: str | None
    question: Question | None
    progress: Progress
    created_at: datetime
    expires_at: datetime
    profile_version: int | None = None
    token: str | None = None
    """Lets a page run this session and nothing else; told once."""
    token_expires_at: int | None = None
    after: dict[str, Question | None] | None = None
    """What would be asked after each answer, as `prefetch` wants it."""
    locale: str | None = None
    pool_locale: str | None = None
    """In which language the questions are, `*` for every one; None without a `locale`."""
    return_url: str | None = None
    """Where the finished page links to."""


@dataclass(frozen=True, slots=True)
class Example:
    """A pair that a direction decides, the side that this person would take first."""

    prompt: str
    preferred: str
    other: str
    p: float
    population_p: float


@dataclass(frozen=True, slots=True)
class Direction:
    """How the person differs from the population along one coordinate."""

    index: int
    words: str
    mean: float
    stderr: float
    population_mean: float
    population_sd: float
    certainty: float
    beyond: float
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What was learned, in words and numbers."""

    id: str
    user: str
    model: str
    state: str
    words: str
    answers: int
    effective_answers: float
    information: float
    confidence: float
    repeated: int
    consistent: int
    careless: float
    directions: tuple[Direction, ...]


_SESSIONS = "/v1/onboarding/sessions"


def _session(name: str) -> str:
    return f"{_SESSIONS}/{segment(name)}"


def create_session(
    user: str,
    *,
    min_questions: int = 2,
    max_questions: int = 12,
    strategy: str = "d_opt",
    seed: int | None = None,
    model: str = "default",
    locale: str | None = None,
    return_url: str | None = None,
    idempotency_key: str | None = None,
) -> Request[Session]:
    """Begin a session; the reply holds its first question.

    Args:
        user: who is asked.
        min_questions: before which it does not end by itself.
        max_questions: after which it ends.
        strategy: how questions are chosen.
        seed: of the session's draws.
        model: that the person is placed under.
        locale: language tag (BCP 47), in whose language the page speaks and the questions are, as far
            as there are any in it; `pool_locale` of the reply says in which they are.
        return_url: where the finished page links to, at an origin that the service allows.
        idempotency_key: under which it is begun once.

    Example:
        session = client.onboarding.create("grace", max_questions=5)
        session.question.left.text, session.question.right.text
    """
    body = body_of(
        user=user, min_questions=min_questions, max_questions=max_questions, strategy=strategy,
        seed=seed, model=model, locale=locale, return_url=return_url,
    )  # fmt: skip
    return Request("POST", _SESSIONS, decoder(Session), body=body, writes=True, key=idempotency_key)


def next_question(session: str, *, prefetch: int = 0, token: str | None = None) -> Request[Session]:
    """The question that waits; `prefetch=2` adds what would be asked after either side.

    Example:
        session = client.onboarding.next(session.id)
        session.progress.expected_remaining
    """
    query = {"prefetch": prefetch or None}
    return Request("GET", _session(session) + "/next", decoder(Session), query, token=token)


def put_answer(
    session: str,
    question: int,
    answer: Answer,
    *,
    ms: int | None = None,
    pair: str | None = None,
    token: str | None = None,
) -> Request[Session]:
    """Take an answer, or another answer to an earlier question; the reply holds the next one.

    Args:
        session: its id.
        question: its `seq`.
        answer: what the person said.
        ms: milliseconds that it took.
        pair: id of the pair that was shown; another one than was asked is refused.
        token: of the session, in place of the key.

    Example:
        session = client.onboarding.answer(session.id, session.question.seq, "left", ms=2300)
    """
    body = body_of(answer=answer, ms=ms, id=pair)
    path = f"{_session(session)}/answers/{question}"
    return Request("PUT", path, decoder(Session), body=body, writes=True, token=token)


def undo_answer(session: str, question: int, *, token: str | None = None) -> Request[Session]:
    """Take an answer back while the session is open: it counts as skipped until answered again.

    Example:
        session = client.onboarding.undo(session.id, 0)
    """
    return put_answer(session, question, "skip", token=token)


def finish_session(session: str, *, token: str | None = None) -> Request[Session]:
    """Close a session and fit the person.

    Example:
        client.onboarding.finish(session.id).state
    """
    path = _session(session) + ":finish"
    return Request("POST", path, decoder(Session), writes=True, token=token)


def session_result(session: str, *, token: str | None = None) -> Request[Result]:
    """What was learned, in words and numbers.

    Example:
        client.onboarding.result(session.id).words
    """
    return Request("GET", _session(session) + "/result", decoder(Result), token=token)
