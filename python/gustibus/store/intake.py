"""Answers from logs: many at once, each kept or refused with a reason."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection

from gustibus.data.answers import Answer, answer_of
from gustibus.errors import InputError
from gustibus.store.answers import (
    Added,
    ComparisonRow,
    Draft,
    NewComparison,
    Side,
    add_drafts,
    draft,
    kept_as,
)
from gustibus.store.freshness import missing_items
from gustibus.store.people import deleted_users, ensure_users
from gustibus.store.restrictions import WITHHELD

OPTED_OUT = "the person opted out of learning from what they say next"
BEGAN_ANEW = (
    "the person was deleted and has begun anew since; a record is taken if its created_at, or else its at, "
    "is later than that"
)
HOLLOW = (
    "tells of no response on one side, as an export does of an answer that was given with embeddings or "
    "whose texts are not kept, and there is no answer of that id here to be the same as"
)


class Refused(NamedTuple):
    """An answer that was not kept."""

    place: int
    """Among those that were given."""
    code: str
    problem: str


@dataclass(slots=True)
class Intake:
    """What became of answers."""

    outcomes: list[str] = field(default_factory=list)
    """Of the answers that were accepted."""
    duplicates: int = 0
    refused: list[Refused] = field(default_factory=list)

    @property
    def accepted(self) -> int:
        """How many answers were."""
        return len(self.outcomes)


def draft_answers(answers: Sequence[Answer], *, key: str | None = None) -> list[Draft]:
    """Answers made ready to be kept, for `take_answers`; needs no transaction.

    Args:
        answers: with names of their own.
        key: id of the key that brings them; None for none.
    """
    return draft([_comparison(one, key) for one in answers])


def take_answers(conn: Connection, *, drafts: Sequence[Draft]) -> Intake:
    """Keep answers, each once; one of a deleted or restricted person, or about no item, is refused.

    Of a person who was deleted and has begun anew, what is not known to be later than that is refused.

    Vectors are made when the person is fitted, so that nothing here waits for an encoder.

    Args:
        conn: a write transaction.
        drafts: of `draft_answers`.
    """
    rows = [one.row for one in drafts]
    gone = deleted_users(conn, users={row.user for row in rows})
    named = {row.a.item for row in rows} | {row.b.item for row in rows}
    lacking = missing_items(conn, items={item for item in named if item is not None})
    done = Intake()
    kept: Sequence[int] = range(len(drafts))
    if gone or lacking:
        done.refused = _refused(rows, gone, lacking)
        refused = {one.place for one in done.refused}
        kept = [place for place in kept if place not in refused]
    taken = [drafts[place] for place in kept]
    ensure_users(conn, users={one.row.user for one in taken if not one.row.hollow})
    rows_added = settled(
        conn, drafts=taken, added=add_drafts(conn, drafts=taken, model="", replayed=True)
    )
    for place, added in zip(kept, rows_added, strict=True):
        if added.refused:
            done.refused.append(Refused(place, "opted_out", OPTED_OUT))
        elif added.withheld:
            done.refused.append(Refused(place, "restricted", WITHHELD))
        elif added.departed:
            done.refused.append(Refused(place, "user_deleted", BEGAN_ANEW))
        elif added.unknown:
            done.refused.append(Refused(place, "invalid_field", HOLLOW))
        elif added.conflict:
            detail = f"{rows[place].client_id!r} was another comparison before"
            done.refused.append(Refused(place, "conflict", detail))
        else:
            done.duplicates += added.duplicate
            if not added.duplicate:
                done.outcomes.append(rows[place].outcome)
    done.refused.sort()
    return done


def settled(conn: Connection, *, drafts: Sequence[Draft], added: Sequence[Added]) -> list[Added]:
    """What became of answers; one that says what an export says of the kept one is no other.

    An export has no embeddings, not always texts, and an empty prompt is none when it is read.
    """
    unsure = [one.id for one in added if one.conflict]
    kept = kept_as(conn, ids=unsure) if unsure else {}
    return [
        one._replace(conflict=False)
        if one.id in kept and one.conflict and _told(kept[one.id]) == mine.content
        else one
        for mine, one in zip(drafts, added, strict=True)
    ]


def _told(row: ComparisonRow) -> bytes | None:
    """Digest of what somebody reads of a kept answer in an export."""
    values = {
        "id": row.id, "user": row.user, "prompt": row.prompt, "item_a": row.a_item,
        "response_a": row.a_text, "item_b": row.b_item, "response_b": row.b_text,
        "outcome": row.outcome, "strength": row.strength, "created_at": row.created_at,
    }  # fmt: skip
    told = {name: value for name, value in values.items() if value is not None}
    try:
        return _comparison(answer_of(told, place=row.id)).content()
    except InputError:  # no import could hold it
        return None


def _refused(
    rows: Sequence[NewComparison], gone: Collection[str], lacking: Collection[str]
) -> list[Refused]:
    """Answers of deleted people, and about items that are not there."""
    found = []
    for place, row in enumerate(rows):
        if row.user in gone:
            found.append(Refused(place, "user_deleted", "the person was deleted"))
        elif row.a.item in lacking or row.b.item in lacking:
            item = row.a.item if row.a.item in lacking else row.b.item
            found.append(Refused(place, "not_found", f"there is no item {item!r}"))
    return found


def _comparison(one: Answer, key: str | None = None) -> NewComparison:
    return NewComparison(
        one.user, Side(one.a_item, one.a_text, None), Side(one.b_item, one.b_text, None),
        one.outcome, one.id, one.prompt, one.strength, one.at, one.source or "import",
        created_at=one.created_at, key=key,
    )  # fmt: skip
