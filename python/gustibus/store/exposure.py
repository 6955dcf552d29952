"""How many people were shown each question of a model's pool, without reading what was ever asked.

Whoever adds or removes questions notes in the same transaction by how much the counts change. Each change
is a row of its own, so that no two transactions wait for each other; now and then the rows of a question
are added up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Insert,
    Integer,
    ScalarSelect,
    Select,
    bindparam,
    delete,
    func,
    insert,
    literal,
    literal_column,
    select,
    union_all,
)

from gustibus.store.lookup import one_of
from gustibus.store.tables import TENANT, exposures, questions, sessions

EVERYBODY = -1
"""In place of a row of the pool: people who were shown any question."""
FOLD_FROM = 1000
"""Changes that are worth adding up."""
_LOCK = 0x67757377  # advisory lock of PostgreSQL: one correction after the other


class Shown(NamedTuple):
    """How often the questions of a model were shown, first questions left out."""

    counts: dict[int, int]
    """People by row of the pool."""
    people: int
    """People who were shown any question."""
    changes: int = 0
    """Rows that may be added up to others."""


def exposure(conn: Connection, *, model: str) -> Shown:
    """How many people saw each row of a model's pool, and how many people there were.

    First questions are left out: they are the same for everybody.
    """
    query = select(exposures.c.row, func.sum(exposures.c.people), func.count())
    rows = conn.execute(query.where(_of(model)).group_by(exposures.c.row)).all()
    counts = {int(row): int(people) for row, people, _ in rows if people}
    changes = sum(int(parts) - 1 for _, _, parts in rows)
    return Shown(counts, counts.pop(EVERYBODY, 0), changes)


def fold_exposure(conn: Connection, *, model: str) -> None:
    """Add up the changes of each row of a model's pool.

    What others add meanwhile stays, and of two who fold at once each adds up what it removed.
    """
    several = select(exposures.c.row).where(_of(model)).group_by(exposures.c.row)
    mine = _of(model) & exposures.c.row.in_(several.having(func.count() > 1))
    gone = conn.execute(
        delete(exposures).where(mine).returning(exposures.c.row, exposures.c.people)
    )
    sums: dict[int, int] = {}
    for row, people in gone:
        sums[row] = sums.get(row, 0) + people
    _note(conn, model, sums)


def count_session(conn: Connection, *, session: str) -> None:
    """Count the person of a new session, unless they have another one of its model."""
    conn.execute(_counting(EVERYBODY), {"session": session, "shown": EVERYBODY})


def count_question(conn: Connection, *, session: str, seq: int, row: int) -> None:
    """Count a question that was just asked, unless the person has been shown the pair before."""
    if seq > 0:
        conn.execute(_counting(0), {"session": session, "shown": row, "place": seq})


@lru_cache(maxsize=2)
def _counting(what: int) -> Insert:
    """The statement for a session or a question, made once: every answer takes it.

    The limits keep engines from joins, which may read every question.
    """
    mine, other = sessions.alias("mine"), sessions.alias("other")
    session, shown = bindparam("session", type_=mine.c.id.type), bindparam("shown", type_=Integer)
    if what == EVERYBODY:
        before: ColumnElement[bool] = other.c.id != session
    else:
        itself = (questions.c.session_id == session) & (questions.c.seq == bindparam("place"))
        asked = (questions.c.tenant_id == TENANT) & (questions.c.session_id == other.c.id)
        same = select(questions.c.seq).where(asked, questions.c.row == shown, ~itself)
        before = _first(same.where(questions.c.seq > 0), of=other).is_not(None)
    person = (other.c.user_id == mine.c.user_id) & (other.c.model == mine.c.model)
    again = select(other.c.id).where(other.c.tenant_id == TENANT, person, before)
    new = _first(again, of=mine).is_(None)
    counted = select(mine.c.tenant_id, mine.c.model, shown, literal(1)).where(
        mine.c.tenant_id == TENANT, mine.c.id == session, new
    )
    return insert(exposures).from_select(["tenant_id", "model", "row", "people"], counted)


def _first(query: Select[Any], *, of: FromClause) -> ScalarSelect[Any]:
    """One row of a query about a row of another, None without any."""
    return query.limit(literal_column("1")).correlate(of).scalar_subquery()


def uncount_questions(conn: Connection, *, session: str, rows: Iterable[int]) -> None:
    """Take back the count of questions that were removed, as far as the person has no others."""
    gone = set(rows)
    if not gone:
        return
    model, theirs = _sessions_beside(conn, session)
    left = select(questions.c.row).where(_asked_in(theirs))
    _note(conn, model, dict.fromkeys(gone.difference(conn.execute(left).scalars()), -1))


def uncount_session(conn: Connection, *, user: str, model: str) -> None:
    """Take back the count of somebody whose session was removed, unless they have another one."""
    others = (sessions.c.user_id == user) & (sessions.c.model == model)
    query = select(sessions.c.id).where(sessions.c.tenant_id == TENANT, others).limit(1)
    if conn.execute(query).first() is None:
        _note(conn, model, {EVERYBODY: -1})


def uncount_person(conn: Connection, *, user: str) -> None:
    """Take back everything that counts somebody, before it is removed."""
    mine = (sessions.c.tenant_id == TENANT) & (sessions.c.user_id == user)
    by_model: dict[str, list[str]] = {}
    for model, session in conn.execute(select(sessions.c.model, sessions.c.id).where(mine)):
        by_model.setdefault(model, []).append(session)
    for model, theirs in by_model.items():
        shown = conn.execute(select(questions.c.row).where(_asked_in(theirs))).scalars()
        _note(conn, model, dict.fromkeys([EVERYBODY, *shown], -1))


def exposure_is_off(conn: Connection) -> bool:
    """Whether the counts differ from what all questions say; reads all of them."""
    return conn.execute(_off().limit(1)).first() is not None


def settle_exposure(conn: Connection) -> None:
    """Correct counts that are off: a release before this one asks without counting.

    The difference is taken of one state of the database and added to whatever the counts are by then, so
    that nobody has to be kept from asking.
    """
    if conn.dialect.name == "postgresql":  # or two processes would both correct
        conn.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    off = _off().subquery()
    columns = ["tenant_id", "model", "row", "people"]
    rows = select(literal(TENANT), off.c.model, off.c.row, off.c.people)
    conn.execute(insert(exposures).from_select(columns, rows))


def _off() -> Select[Any]:
    """By how much the counts of each model and row are too low."""
    person = sessions.c.user_id.distinct()
    mine = sessions.c.tenant_id == TENANT
    same = (questions.c.tenant_id == TENANT) & (questions.c.session_id == sessions.c.id)
    pairs = (
        select(sessions.c.model, questions.c.row, func.count(person).label("people"))
        .select_from(sessions.join(questions, same))
        .where(mine, questions.c.seq > 0)
        .group_by(sessions.c.model, questions.c.row)
    )
    everybody = (
        select(sessions.c.model, literal(EVERYBODY), func.count(person))
        .where(mine)
        .group_by(sessions.c.model)
    )
    kept = select(exposures.c.model, exposures.c.row, -exposures.c.people)
    both = union_all(pairs, everybody, kept.where(exposures.c.tenant_id == TENANT)).subquery()
    people = func.sum(both.c.people)
    by_row = select(both.c.model, both.c.row, people.label("people"))
    return by_row.group_by(both.c.model, both.c.row).having(people != 0)


def _sessions_beside(conn: Connection, session: str) -> tuple[str, list[str]]:
    """The model of a session, and the person's sessions about it: this one and others.

    They are read before their questions, for an engine that joins both may read every question.
    """
    one = sessions.alias("one")

    def of(column: str) -> Any:
        here = (one.c.tenant_id == TENANT) & (one.c.id == session)
        return select(one.c[column]).where(here).scalar_subquery()

    mine = (sessions.c.user_id == of("user_id")) & (sessions.c.model == of("model"))
    query = select(sessions.c.model, sessions.c.id).where(sessions.c.tenant_id == TENANT, mine)
    rows = conn.execute(query).all()
    return rows[0].model, [row.id for row in rows]


def _asked_in(theirs: Sequence[str]) -> ColumnElement[bool]:
    """Questions of sessions; the first of each is left out."""
    named = (questions.c.tenant_id == TENANT) & one_of(questions.c.session_id, theirs)
    return named & (questions.c.seq > 0)


def _note(conn: Connection, model: str, changes: Mapping[int, int]) -> None:
    rows = [
        {"tenant_id": TENANT, "model": model, "row": row, "people": people}
        for row, people in changes.items()
        if people
    ]
    if rows:
        conn.execute(insert(exposures), rows)


def _of(model: str) -> Any:
    return (exposures.c.tenant_id == TENANT) & (exposures.c.model == model)
