"""Open sessions whose model changes: they go on with the questions of the version in service.

What was asked and answered becomes a finished session of its own under the earlier version, and its answers
comparisons, as if the person had stopped; the session goes on without a question, and with fewer to ask. So
every answer counts once, under whatever version, and nothing of one pool is taken for a pair of another.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from gustibus.artifact import read_pool
from gustibus.errors import ArtifactError
from gustibus.onboarding.turns import Answer
from gustibus.service.conditions import NONE, Condition
from gustibus.service.interviews import (
    BEFORE,
    LIFETIME,
    ModelChanged,
    comparison_of,
    outcome_of,
    pool_of,
    turns_of,
    written_of,
)
from gustibus.service.locales import with_locales
from gustibus.service.problems import Problem
from gustibus.service.state import refuse_restricted
from gustibus.store import (
    CHAMPION,
    Connection,
    SessionRow,
    add_comparisons,
    close_session,
    get_alias,
    get_questions,
    get_session,
    get_version,
    lock_session,
    set_answer,
    split_session,
)

if TYPE_CHECKING:
    from gustibus.onboarding import QuestionPool
    from gustibus.service.serving import Serving
    from gustibus.service.state import State

T = TypeVar("T")


class Given(NamedTuple):
    """An answer that comes to a question of the earlier version."""

    seq: int
    said: Answer
    ms: int | None
    pair: str | None
    condition: Condition = NONE


async def carried(
    state: State, serving: Serving, session: str, work: Callable[[], Awaitable[T]]
) -> T:
    """Do something with a session, once it is of the version in service.

    Raises:
        Problem: what `work` raises; 410 where the questions of the earlier version are gone.
    """
    try:
        return await work()
    except ModelChanged:
        await carry(state, serving, session)
        return await work()


async def carry(state: State, serving: Serving, session: str, given: Given | None = None) -> None:
    """Let an open session of an earlier version go on under the one in service.

    Args:
        state: of the process.
        serving: the model.
        session: id.
        given: an answer that came meanwhile, to a question that was asked before.

    Raises:
        Problem: 404 or 409 when that question was not asked, 410 when the session is closed or the questions
            of its version are gone, 412, 503 while this process does not serve what was promoted.
    """
    row = await state.threads.read(lambda conn: get_session(conn, session=session))
    asked_from = None if row is None else await _earlier_pool(state, row.model)
    if row is None or asked_from is None:
        raise ModelChanged
    pool, more = asked_from, await _settings(state, serving, row)
    answered: list[str] = []

    def write(conn: Connection) -> None:
        answered.clear()
        lock_session(conn, session=session)
        now = get_session(conn, session=session)
        if now is None or now.model == serving.digest:  # another request was faster
            return
        if now.state != "open" or now.model != row.model or now.expires_at <= datetime.now(UTC):
            raise ModelChanged
        _refuse_late(conn, state, serving)
        refuse_restricted(conn, now.user)
        fresh = given is not None and _take(conn, now, pool, given)
        turns, _ = turns_of(now, get_questions(conn, session=session))
        if fresh:  # it is the last that was asked
            answered.append(outcome_of(turns.turns[-1]))
        before = now.settings.get(BEFORE, 0) + len(turns.turns)
        settings = {**now.settings, **more, BEFORE: before}
        part = split_session(
            conn, session=now, model=serving.digest, settings=settings, lifetime=LIFETIME
        )
        rows = [comparison_of(pool, part, turn) for turn in turns.turns]
        add_comparisons(conn, rows=rows, model=part.model, store_text=state.settings.store_text)
        if before >= settings["max_questions"]:
            close_session(conn, session=session, stop="max_questions")

    await state.threads.write(write)
    state.meter.compare("onboarding", answered)


async def _settings(state: State, serving: Serving, row: SessionRow) -> dict[str, Any]:
    """What is another under the version in service."""
    pool, locale = pool_of(serving), row.settings.get("locale")
    if locale is None:
        return {}
    known = await with_locales(state, serving, pool)
    return {"pool_locale": known.within(locale, least=row.settings["max_questions"])[1]}


async def _earlier_pool(state: State, digest: str) -> QuestionPool | None:
    """The questions of a version that is not served here any more, None where they are gone."""
    root = state.settings.models
    if not root:
        return None
    try:
        return await state.threads.compute(lambda: _read(str(Path(root) / digest)))
    except (ArtifactError, OSError, json.JSONDecodeError):
        return None


@lru_cache(maxsize=2)
def _read(folder: str) -> QuestionPool | None:
    return read_pool(Path(folder))


def _refuse_late(conn: Connection, state: State, serving: Serving) -> None:
    """Let a process that has not loaded what was promoted carry nothing back.

    Raises:
        Problem: 503.
    """
    model = state.settings.model_name
    alias = get_alias(conn, model=model, alias=CHAMPION)
    version = None if alias is None else get_version(conn, model=model, version=alias.version)
    if version is None or version.digest != serving.digest:
        raise Problem("not_ready", "Another version is being loaded here", retry_after=1)


def _take(conn: Connection, row: SessionRow, pool: QuestionPool, given: Given) -> bool:
    """Keep the answer to a question of the earlier version; whether it had none before."""
    asked = get_questions(conn, session=row.id)
    turns, waiting = turns_of(row, asked)
    seq = given.seq - row.settings.get(BEFORE, 0)
    found = next((one for one in asked if one.seq == seq), None)
    if found is None:
        raise Problem("not_found", f"Question {given.seq} has not been asked in this session")
    if given.pair not in {None, pool.ids[found.row]}:
        detail = f"Question {given.seq} shows the pair {pool.ids[found.row]!r}, not {given.pair!r}"
        raise Problem("conflict", detail)
    if found.answer != given.said:
        given.condition.refuse(written_of(row, turns, waiting), f"The session {row.id!r}")
        set_answer(conn, session=row.id, seq=seq, answer=given.said, ms=given.ms)
    return found.answer is None
