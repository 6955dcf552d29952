"""Onboarding sessions over the store: any process can take the next answer, none asks twice.

Every answer is one transaction that holds the answer, the next question and, at the end, the
comparisons that come out. What is to be asked is worked out before it; should another request have
changed the session meanwhile, it is worked out again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from gustibus.onboarding import (
    Progress,
    QuestionPool,
    Rows,
    Session,
    Settings,
    Step,
    Stopping,
    advance,
    confidence,
    place_person,
)
from gustibus.onboarding.confidence import Stop
from gustibus.onboarding.information import information_gained
from gustibus.onboarding.turns import Answer, Question, Reason, Turn
from gustibus.service.conditions import NONE, Condition, digest
from gustibus.service.fitting import counted, with_before
from gustibus.service.locales import EVERY, with_locales
from gustibus.service.problems import Problem
from gustibus.service.state import refuse_restricted
from gustibus.store import (
    Connection,
    NewComparison,
    QuestionRow,
    SessionRow,
    Side,
    add_comparisons,
    add_question,
    close_session,
    create_session,
    evidence,
    get_questions,
    get_session,
    lock_session,
    set_answer,
)

if TYPE_CHECKING:
    from gustibus.models.base import PreferenceModel
    from gustibus.posterior import Posterior
    from gustibus.service.serving import Serving
    from gustibus.service.state import State

T = TypeVar("T")

LIFETIME = timedelta(days=7)
"""How long a session can be taken up again."""
_TRIES = 5  # times an answer is worked out again because another request was faster


@dataclass(frozen=True, slots=True)
class Interview:
    """A session as it is in the store, and what the person had answered before it."""

    row: SessionRow
    session: Session
    waiting: Question | None
    """The question that was asked and has no answer."""
    earlier: Rows | None
    """Without the answers of the session while it is open, with them when it is closed."""

    @property
    def seen(self) -> tuple[Any, ...]:
        """What must not change while the next step is worked out."""
        return self.row.state, self.session.turns, self.waiting

    @property
    def before(self) -> int:
        """How many questions were asked under earlier versions."""
        return int(self.row.settings.get(BEFORE, 0))

    @property
    def written(self) -> str:
        """The part of its tag that is of what was asked and answered."""
        return written_of(self.row, self.session, self.waiting)


def pool_of(serving: Serving) -> QuestionPool:
    """The questions of a model.

    Raises:
        Problem: 409 when it has none.
    """
    pool = serving.artifact.pool
    if pool is None:
        raise Problem("conflict", f"The model {serving.label} was trained without questions")
    return pool


async def asked_from(state: State, serving: Serving, kept: dict[str, Any]) -> QuestionPool:
    """The questions that a session with these settings is asked."""
    locale = kept.get("pool_locale", EVERY)
    if locale == EVERY:
        return pool_of(serving)
    return (await with_locales(state, serving, pool_of(serving))).within(locale)[0]


BEFORE = "before"
"""Entry of a session's settings: how many of its questions were asked under earlier versions."""
PARTS = "parts"
"""Entry of a session's settings: the sessions that hold those questions."""


class ModelChanged(Problem):
    """410: a session is of another version than the one in service."""

    def __init__(self) -> None:
        super().__init__("session_expired", "The model has changed since; begin another session")


def read_interview(
    conn: Connection, session: str, serving: Serving, *, whole: bool = True
) -> Interview:
    """A session from the store.

    Args:
        conn: a transaction.
        session: id.
        serving: the model in service.
        whole: False leaves out what the person had answered before.

    Raises:
        Problem: 404 when there is none, 409 while nothing of the person is used, 410 when it is over or
            of another model.
    """
    row = get_session(conn, session=session)
    if row is None:
        raise Problem("not_found", f"There is no session {session!r}")
    if row.model != serving.digest:
        raise ModelChanged
    if row.state == "open" and row.expires_at <= datetime.now(UTC):
        raise Problem("session_expired", "The session is more than 7 days old; begin another")
    refuse_restricted(conn, row.user)
    turns = turns_of(row, get_questions(conn, session=session))
    return Interview(row, *turns, earlier_answers(conn, row.user, serving) if whole else None)


def written_of(row: SessionRow, session: Session, waiting: Question | None) -> str:
    """The part of a session's tag that is of what was asked and answered."""
    return digest([row.id, row.state, row.stop, row.settings, session.turns, waiting])


def turns_of(row: SessionRow, asked: list[QuestionRow]) -> tuple[Session, Question | None]:
    """What was asked and answered, and the question that waits."""
    turns = []
    waiting = None
    for q in asked:
        question = Question(q.seq, q.row, q.swapped, cast("Reason", q.reason))
        if q.answer is None:  # what waited when a session was closed does so no longer
            waiting = question if row.state == "open" or q.reason == "doubt" else None
        else:
            turns.append(Turn(question, cast("Answer", q.answer), q.ms))
    return Session(_settings(row.settings), tuple(turns)), waiting


def _settings(kept: dict[str, Any]) -> Settings:
    before = kept.get(BEFORE, 0)
    stopping = Stopping(
        max(0, kept["min_questions"] - before), max(1, kept["max_questions"] - before)
    )
    return Settings(kept["seed"], kept["strategy"], stopping)


def earlier_answers(conn: Connection, user: str, serving: Serving) -> Rows | None:
    """What a person has answered outside of open sessions; only answers to questions count here."""
    rows = evidence(conn, user=user, model=serving.digest)
    asked = rows.weight == 1
    if not asked.any():
        return None
    weight = counted(rows.weight[asked], rows.strength[asked], serving.strengths)
    return Rows(rows.a[asked], rows.b[asked], rows.target[asked], weight)


def informed(state: State, serving: Serving, user: str) -> PreferenceModel:
    """The model, with what its training said of a person as the prior."""
    before = state.trained(user)
    return serving.model if before is None else with_before(serving.model, before)


async def step_of(state: State, serving: Serving, now: Interview) -> Step:
    """What follows from a session, and how well the person is known."""
    pool, exposure = await asked_from(state, serving, now.row.settings), state.exposure
    model = informed(state, serving, now.row.user)

    def work() -> Step:
        if now.row.state == "open":
            return advance(model, pool, now.session, exposure=exposure, earlier=now.earlier)
        posterior = posterior_of(model, pool, now)
        progress = Progress(
            answered=len(now.session.turns),
            expected_remaining=0,
            max=now.session.settings.stopping.max_questions,
            confidence=confidence(model, posterior, pool),
        )
        return Step(None, cast("Stop", now.row.stop), progress, posterior)

    return await state.threads.compute(work)


def posterior_of(model: PreferenceModel, pool: QuestionPool, now: Interview) -> Posterior:
    """Where everything that the person has answered puts them."""
    turns = now.session.turns if now.row.state == "open" else ()
    return place_person(model, pool, turns, earlier=now.earlier)


async def begin(
    state: State, serving: Serving, *, user: str, settings: dict[str, Any], key: str
) -> tuple[Step, Callable[[Connection], SessionRow]]:
    """The first step of a session that a key begins, and the transaction that writes it.

    Raises:
        Problem: 409 while nothing of the person is used; the transaction too.
    """

    def read(conn: Connection) -> Rows | None:
        refuse_restricted(conn, user)
        return earlier_answers(conn, user, serving)

    earlier = await state.threads.read(read)
    pool, exposure = await asked_from(state, serving, settings), state.exposure
    model, session = informed(state, serving, user), Session(_settings(settings))
    step = await state.threads.compute(
        lambda: advance(model, pool, session, exposure=exposure, earlier=earlier)
    )

    def write(conn: Connection) -> SessionRow:
        row = create_session(
            conn, user=user, model=serving.digest, settings=settings, lifetime=LIFETIME, key=key
        )
        refuse_restricted(conn, user)  # who is held by now
        go_on(conn, state, serving, row, session, step)
        found = get_session(conn, session=row.id)
        assert found is not None, "the transaction has just written it"
        return found

    return step, write


async def answer(
    state: State, serving: Serving, session: str, *, number: int, said: Answer, ms: int | None,
    pair: str | None, condition: Condition = NONE,
) -> tuple[Interview, Step]:  # fmt: skip
    """Take an answer, or another answer to an earlier question, and ask the next question.

    Args:
        state: of the process.
        serving: the model.
        session: id.
        number: of the question, those of earlier versions counted.
        said: the answer.
        ms: how long it took.
        pair: name of the pair that was shown, None when the client does not say.
        condition: on the session; an answer that is there already is no change.

    Raises:
        Problem: 404, 409, 410 or 412.
    """
    for _ in range(_TRIES):
        now = await state.threads.read(lambda conn: read_interview(conn, session, serving))
        if number < now.before:
            await state.threads.read(partial(_refuse_change, row=now.row, number=number, said=said))
            return now, await step_of(state, serving, now)
        seq = number - now.before
        question = _asked(now, seq)
        shown = pool_of(serving).ids[question.row]
        if pair is not None and pair != shown:
            raise Problem("conflict", f"Question {number} shows the pair {shown!r}, not {pair!r}")
        given = now.session.turns[seq] if seq < len(now.session.turns) else None
        if given is not None and given.answer == said:  # sent again: the reply was lost
            return now, await step_of(state, serving, now)
        condition.refuse(now.written, f"The session {session!r}")
        closed = now.row.state != "open"
        if closed and question != now.waiting:  # only a doubt is answered afterwards
            raise Problem("conflict", "The session is closed; its answers stay as they are")
        after = replace(now, session=now.session.answered(question, said, ms=ms))
        step = await step_of(state, serving, after)
        if given is not None:  # the question that waits is asked all the same
            step = replace(step, question=now.waiting, stop=None)
        if await state.threads.write(_taking(state, serving, now, after, seq, step)):
            state.meter.outcomes.answered(now.session.settings.strategy, ms)
            if given is None:  # else it takes the place of one that was counted
                state.meter.compare("onboarding", [outcome_of(after.session.turns[seq])])
            if step.question is None and not closed:
                ended(state, serving, after.session, step)
            if step.question is not None:
                return replace(after, waiting=step.question), step
            now = await written(state, serving, session)
            return now, await step_of(state, serving, now) if closed else step
        state.meter.retry("session")
    raise Problem("conflict", "Other requests keep changing this session; try again")


def _refuse_change(conn: Connection, *, row: SessionRow, number: int, said: Answer) -> None:
    """Take an answer under an earlier version that is sent again, and no other one.

    Raises:
        Problem: 409.
    """
    for name in row.settings.get(PARTS, ()):
        part = get_session(conn, session=name)
        seq = number - (0 if part is None else part.settings.get(BEFORE, 0))
        if any(q.seq == seq and q.answer == said for q in get_questions(conn, session=name)):
            return
    detail = f"Question {number} was asked under an earlier version of the model; its answer stays"
    raise Problem("conflict", detail)


def _asked(now: Interview, seq: int) -> Question:
    """A question of a session by number."""
    if seq < len(now.session.turns):
        return now.session.turns[seq].question
    if now.waiting is None or seq != now.waiting.seq:
        number = seq + now.before
        raise Problem("not_found", f"Question {number} has not been asked in this session")
    return now.waiting


def _taking(
    state: State, serving: Serving, before: Interview, after: Interview, seq: int, step: Step
) -> Callable[[Connection], bool]:
    """The transaction of an answer; False when the session is no longer what it was."""
    turn = after.session.turns[seq]

    def write(conn: Connection) -> bool:
        lock_session(conn, session=before.row.id)
        now = read_interview(conn, before.row.id, serving, whole=False)
        if now.seen != before.seen:
            return False
        set_answer(conn, session=before.row.id, seq=seq, answer=turn.answer, ms=turn.ms)
        if before.row.state != "open":
            _keep(conn, state, serving, before.row, [turn])
        elif step.question is None or step.question != before.waiting:
            go_on(conn, state, serving, before.row, after.session, step)
        return True

    return write


def go_on(
    conn: Connection, state: State, serving: Serving, row: SessionRow, session: Session, step: Step
) -> None:
    """Keep the next question, or close the session with what came out of it."""
    if step.question is None:
        _close(conn, state, serving, row, session, step.stop or "exhausted")
        return
    q = step.question
    add_question(conn, session=row.id, seq=q.seq, row=q.row, swapped=q.swapped, reason=q.reason)


def _close(
    conn: Connection, state: State, serving: Serving, row: SessionRow, session: Session, stop: str
) -> None:
    close_session(conn, session=row.id, stop=stop)
    _keep(conn, state, serving, row, session.turns)


def _keep(
    conn: Connection, state: State, serving: Serving, row: SessionRow, turns: Sequence[Turn]
) -> None:
    """Answers of a session as comparisons."""
    add_comparisons(
        conn, rows=[comparison_of(pool_of(serving), row, turn) for turn in turns],
        model=serving.digest, store_text=state.settings.store_text,
    )  # fmt: skip


def comparison_id(session: str, seq: int) -> str:
    """Client id of the comparison that an answer becomes."""
    return f"{session}:{seq}"


def outcome_of(turn: Turn) -> str:
    """What an answer says of the sides as the pool has them."""
    if turn.answer in {"left", "right"}:
        return "a" if turn.target == 1.0 else "b"
    return turn.answer


def comparison_of(pool: QuestionPool, row: SessionRow, turn: Turn) -> NewComparison:
    """An answer of a session as a comparison."""
    at = turn.question.row
    return NewComparison(
        user=row.user,
        a=Side(None, pool.texts_a[at] or None, pool.a[at]),
        b=Side(None, pool.texts_b[at] or None, pool.b[at]),
        outcome=outcome_of(turn),
        client_id=comparison_id(row.id, turn.question.seq),
        prompt=pool.prompts[at] or None,
        source="onboarding",
        key=row.key,
    )


async def finish(state: State, serving: Serving, session: str) -> tuple[Interview, Step]:
    """Close a session because the person stops."""

    def write(conn: Connection) -> bool:
        lock_session(conn, session=session)
        now = read_interview(conn, session, serving, whole=False)
        if now.row.state == "open":
            _close(conn, state, serving, now.row, now.session, "person")
        return now.row.state == "open"

    closed = await state.threads.write(write)
    now = await written(state, serving, session)
    step = await step_of(state, serving, now)
    if closed:
        ended(state, serving, now.session, step)
    return now, step


def ended(state: State, serving: Serving, session: Session, step: Step) -> None:
    """Count what came out of a session that has just been closed."""
    state.meter.outcomes.ended(
        session.settings.strategy, answers=len(session.turns),
        nats=information_gained(serving.model.prior, step.posterior),
        confidence=step.progress.confidence,
    )  # fmt: skip


async def written(state: State, serving: Serving, session: str) -> Interview:
    """A session after a write; the profile of somebody whose session has ended is fitted first."""
    now = await state.threads.read(lambda conn: read_interview(conn, session, serving))
    if now.row.state != "open":
        await state.refits.wait([now.row.user], _PATIENCE)
    return now


_PATIENCE = 5.0  # seconds for a fit before a reply
