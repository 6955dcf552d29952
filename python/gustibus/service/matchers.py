"""Named matchings: one transaction a request, decisions that every process agrees on.

A request holds the matching's row, brings the matcher in memory up to that row (from the snapshot and the
log where another process was faster), applies its events, and writes them. A matcher in memory is used
again only when its number is the row's, so that a failed transaction or another writer cannot leave one
behind that is ahead or stale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gustibus.errors import InputError
from gustibus.matching import Matcher
from gustibus.service.problems import Problem
from gustibus.store import (
    Connection,
    EventRow,
    MatchingRow,
    advance_matching,
    append_events,
    decided_arrivals,
    get_matching,
    list_events,
)

SNAPSHOT_EVERY = 256
"""Events between snapshots: what a process may have to replay after another was killed."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One arrival as the log keeps it."""

    id: str
    items: list[int]
    values: list[float] | None
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about an arrival."""

    id: str
    item: int | None
    attempt: int | None
    sequence: int
    replayed: bool
    """Whether it had been decided before."""


class Matchers:
    """Matchers in memory, each with the number of the last event that it includes."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[int, Matcher]] = {}

    def change(
        self, conn: Connection, name: str, work: Callable[[Running], Any]
    ) -> tuple[Any, Callable[[], None]]:
        """Run events in a write transaction.

        Args:
            conn: the transaction; the caller commits it.
            name: of the matching.
            work: applies events.

        Returns:
            What `work` returned, and what to call once the transaction is committed.

        Raises:
            Problem: 404 when there is no such matching.
            InputError: an event is refused; nothing changes.
        """
        row = held(conn, name)
        kept = self._kept.pop(name, None)  # until it is known how the transaction ends
        matcher = kept[1] if kept is not None and kept[0] == row.sequence else rebuilt(conn, row)
        running = Running(conn, name, matcher, row.sequence)
        result = work(running)
        append_events(conn, matching=name, events=running.events)
        if running.sequence > row.sequence:
            due = running.sequence - row.snapshot_at >= SNAPSHOT_EVERY
            advance_matching(
                conn, matching=name, sequence=running.sequence,
                snapshot=matcher.snapshot() if due else None,
            )  # fmt: skip
        sequence = running.sequence

        def committed() -> None:
            self._kept[name] = (sequence, matcher)

        return result, committed

    def look(self, conn: Connection, name: str) -> tuple[MatchingRow, Matcher]:
        """A matching as it is, in a read transaction."""
        row = get_matching(conn, matching=name)
        if row is None:
            raise no_matching(name)
        return row, rebuilt(conn, row)


class Running:
    """A matcher within a transaction, and the events that it has taken there."""

    def __init__(self, conn: Connection, name: str, matcher: Matcher, sequence: int) -> None:
        self.conn, self.name, self.matcher, self.sequence = conn, name, matcher, sequence
        self.events: list[EventRow] = []

    def arrive(self, arrivals: Sequence[Arrival]) -> list[Decision]:
        """Decide arrivals in order; those decided before get their first decision."""
        known = decided_arrivals(self.conn, matching=self.name, arrivals=[a.id for a in arrivals])
        out = []
        for place, arrival in enumerate(arrivals):
            before = known.get(arrival.id)
            if before is None:
                body: dict[str, Any] = {"items": arrival.items, "values": arrival.values}
                if arrival.deadline is not None:
                    body["deadline"] = arrival.deadline
                try:
                    decision = take(self.matcher, "arrival", body)
                except InputError as error:
                    message = f"arrivals/{place}: {error.message}"
                    raise InputError(message, where=f"/arrivals/{place}") from None
                before = self._note("arrival", body, decision, arrival.id)
                known[arrival.id] = before
                out.append(_decision(before, replayed=False))
            else:
                out.append(_decision(before, replayed=True))
        return out

    def happen(self, kind: str, body: dict[str, Any]) -> EventRow:
        """Any other event."""
        return self._note(kind, body, take(self.matcher, kind, body), None)

    def _note(
        self, kind: str, body: dict[str, Any], decision: dict[str, Any], arrival: str | None
    ) -> EventRow:
        self.sequence += 1
        event = EventRow(self.sequence, kind, arrival, body, decision)
        self.events.append(event)
        return event


def take(matcher: Matcher, kind: str, body: dict[str, Any]) -> dict[str, Any]:
    """Apply one event as the log keeps it; the same state and event give the same decision.

    Raises:
        InputError: the event is refused; the matcher is what it was.
    """
    if kind == "arrival":
        values = body["values"]
        item, attempt = matcher.arrive(
            np.asarray(body["items"], np.int64),
            None if values is None else np.asarray(values, np.float64),
            deadline=body.get("deadline"),
        )
        return {"item": item, "attempt": attempt}
    if kind == "outcome":
        matcher.report(body["attempt"], body["success"])
        return {}
    if kind == "items":
        return {"first": matcher.add_items(body["capacity"], body["weight"])}
    assert kind == "expiry", "the log holds no other kind"
    return {"expired": matcher.expire(body["now"])}


def rebuilt(conn: Connection, row: MatchingRow) -> Matcher:
    """The matcher of a row: its snapshot, and the events after it."""
    matcher = Matcher.resume(row.snapshot)
    for event in list_events(conn, matching=row.id, after=row.snapshot_at):
        if event.seq > row.sequence:
            break
        take(matcher, event.kind, event.body)
    return matcher


def held(conn: Connection, name: str) -> MatchingRow:
    """The row, which nobody else can change until the transaction ends.

    Raises:
        Problem: 404.
    """
    row = get_matching(conn, matching=name, hold=True)
    if row is None:
        raise no_matching(name)
    return row


def no_matching(name: str) -> Problem:
    """404 for a matching."""
    return Problem("not_found", f"There is no matching {name!r}")


def _decision(event: EventRow, *, replayed: bool) -> Decision:
    assert event.arrival_id is not None, "arrivals have ids"
    return Decision(
        event.arrival_id, event.decision["item"], event.decision["attempt"], event.seq, replayed
    )
