"""Counts for operators: how much there is, and how each question was answered."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, case, func, select

from gustibus.store.tables import TENANT, comparisons, items, questions, sessions, users


class Totals(NamedTuple):
    """Rows of the store."""

    people: int
    items: int
    comparisons: int
    sessions: dict[str, int]
    """By state."""


class Asked(NamedTuple):
    """What became of one question of a pool."""

    people: int
    """Who were shown it."""
    answered: int
    skipped: int
    both_bad: int
    tied: int
    milliseconds: float | None
    """Mean time of an answer; None where no time was told."""


def totals(conn: Connection) -> Totals:
    """How much there is."""

    def count(table: object) -> int:
        of = table.c.tenant_id == TENANT  # type: ignore[attr-defined]  # tables have columns
        query = select(func.count()).select_from(table).where(of)  # type: ignore[arg-type]
        return int(conn.execute(query).scalar_one())

    by_state = (
        select(sessions.c.state, func.count())
        .where(sessions.c.tenant_id == TENANT)
        .group_by(sessions.c.state)
    )
    states = {str(state): int(number) for state, number in conn.execute(by_state)}
    return Totals(count(users), count(items), count(comparisons), states)


def question_statistics(conn: Connection, *, model: str) -> dict[int, Asked]:
    """What became of each row of a model's pool that was asked; others are left out."""
    joined = questions.join(
        sessions,
        (sessions.c.tenant_id == questions.c.tenant_id) & (sessions.c.id == questions.c.session_id),
    )

    def of(answer: str) -> object:
        return func.sum(case((questions.c.answer == answer, 1), else_=0))

    query = (
        select(
            questions.c.row, func.count(sessions.c.user_id.distinct()),
            func.count(questions.c.answer), of("skip"), of("both_bad"), of("tie"),
            func.avg(questions.c.ms),
        )  # type: ignore[call-overload]  # columns of several kinds
        .select_from(joined)
        .where(sessions.c.tenant_id == TENANT, sessions.c.model == model)
        .group_by(questions.c.row)
    )  # fmt: skip
    return {
        int(row): Asked(
            int(people), int(answered), int(skipped), int(bad), int(tied),
            None if ms is None else float(ms),
        )
        for row, people, answered, skipped, bad, tied, ms in conn.execute(query)
    }  # fmt: skip
