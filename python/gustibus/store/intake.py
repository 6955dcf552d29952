"""Answers from logs: many at once, each kept or refused with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection

from gustibus.data.answers import Answer
from gustibus.store.answers import NewComparison, Side, add_comparisons
from gustibus.store.freshness import missing_items
from gustibus.store.people import deleted_users, ensure_users


class Refused(NamedTuple):
    """An answer that was not kept."""

    place: int
    """Among those that were given."""
    code: str
    problem: str


@dataclass(slots=True)
class Intake:
    """What became of answers."""

    accepted: int = 0
    duplicates: int = 0
    refused: list[Refused] = field(default_factory=list)


def take_answers(conn: Connection, *, answers: Sequence[Answer]) -> Intake:
    """Keep answers, each once; one of a deleted person or about no item is refused.

    Vectors are made when the person is fitted, so that nothing here waits for an encoder.

    Args:
        conn: a write transaction.
        answers: with names of their own.
    """
    done = Intake()
    gone = deleted_users(conn, users={one.user for one in answers})
    named = {one.a_item for one in answers} | {one.b_item for one in answers}
    lacking = missing_items(conn, items={item for item in named if item is not None})
    kept: list[int] = []
    for place, one in enumerate(answers):
        if one.user in gone:
            done.refused.append(Refused(place, "user_deleted", "the person was deleted"))
        elif one.a_item in lacking or one.b_item in lacking:
            item = one.a_item if one.a_item in lacking else one.b_item
            done.refused.append(Refused(place, "not_found", f"there is no item {item!r}"))
        else:
            kept.append(place)
    ensure_users(conn, users={answers[place].user for place in kept})
    rows = [_comparison(answers[place]) for place in kept]
    for place, added in zip(kept, add_comparisons(conn, rows=rows, model=""), strict=True):
        if added.conflict:
            detail = f"{answers[place].id!r} was another comparison before"
            done.refused.append(Refused(place, "conflict", detail))
        else:
            done.duplicates += added.duplicate
            done.accepted += not added.duplicate
    done.refused.sort()
    return done


def _comparison(one: Answer) -> NewComparison:
    return NewComparison(
        one.user, Side(one.a_item, one.a_text, None), Side(one.b_item, one.b_text, None),
        one.outcome, one.id, one.prompt, one.strength, one.at, one.source or "import",
    )  # fmt: skip
