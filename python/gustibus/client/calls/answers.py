"""Comparisons: what people preferred."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from gustibus.client.decoding import decoder
from gustibus.client.wire import Page, Request, body_of, candidate_of, rows_of, segment

Outcome = Literal["a", "b", "tie", "both_bad", "skip"]


@dataclass(frozen=True, slots=True)
class FieldDetail:
    """One wrong field of an answer."""

    pointer: str
    detail: str


@dataclass(frozen=True, slots=True)
class RowProblem:
    """Why one answer was not taken."""

    code: str
    status: int
    detail: str
    errors: tuple[FieldDetail, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """An answer that was not taken."""

    index: int
    problem: RowProblem


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of answers that were sent together."""

    accepted: int
    duplicates: int
    """Answers that were there before, word for word."""
    rejected: tuple[Rejected, ...]
    ids: tuple[str | None, ...]
    """Names of the answers in their order; None for those rejected."""
    profiles: str
    """`queued`, or `ready` where the people were fitted before the reply."""
    profile_versions: dict[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Sided:
    """One side of a comparison as it was given; empty for an embedding."""

    id: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison as it is kept."""

    id: str
    client_id: str | None
    user: str
    prompt: str | None
    a: Sided
    b: Sided
    outcome: str
    strength: float | None
    at: datetime | None
    source: str | None
    score_id: str | None
    created_at: datetime
    key: str | None = None
    """Id of the key that brought it; None where that is not known."""


@dataclass(frozen=True, slots=True)
class ComparisonDeleted:
    """A comparison that is no more; its person is fitted again."""

    id: str
    user: str


def create_comparisons(
    comparisons: Sequence[Mapping[str, Any]],
    *,
    wait: bool = False,
    replayed: bool | None = None,
    idempotency_key: str | None = None,
) -> Request[Taken]:
    """Send up to 1,000 answers; an `id` of their own keeps each once however often it is sent.

    Args:
        comparisons: `{"user", "a", "b", "outcome"}` and, if there are, `id`, `prompt`, `strength`,
            `at`, `source`, `score_id`, `created_at`; sides are candidates as in `score`.
        wait: whether the people are fitted before the reply, at most 50 of them.
        replayed: whether they come from a log: of somebody who was deleted and has begun anew, what is not
            known to be later than that is refused.
        idempotency_key: makes the request as a whole one that is taken once.

    Example:
        taken = client.comparisons.create([
            {"id": "c-1", "user": "ada", "prompt": "How?", "a": "Briefly.", "b": "At length.", "outcome": "a"}
        ], wait=True)
        taken.accepted, [(one.index, one.problem.detail) for one in taken.rejected]
    """
    rows = [
        {**one, "a": candidate_of(one.get("a", "")), "b": candidate_of(one.get("b", ""))}
        for one in rows_of("comparisons", comparisons)
    ]
    return Request(
        "POST", "/v1/comparisons", decoder(Taken), {"wait": "profile" if wait else None},
        body_of(comparisons=rows, replayed=replayed), writes=True, key=idempotency_key,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class SkippedTurn:
    """A turn that was not read."""

    index: int
    reason: str
    """`no_consent`, `opted_out`, `restricted` or `user_deleted`."""


@dataclass(frozen=True, slots=True)
class TurnsTaken:
    """What became of turns."""

    read: int
    skipped: tuple[SkippedTurn, ...]
    accepted: int
    """New comparisons, of the source `implicit`."""
    duplicates: int
    ids: tuple[str | None, ...]
    profiles: str


def send_follow_ups(
    turns: Sequence[Mapping[str, Any]],
    *,
    min_gap: float | None = None,
    idempotency_key: str | None = None,
) -> Request[TurnsTaken]:
    """What people said next, as weak comparisons; only of people who agreed to it.

    Args:
        turns: `{"user", "response"}` with `prompt` and `consent` if there are, and one of
            `next_turn`, in the person's words, and `valence`, a number; at most 1,000.
        min_gap: least difference of valence between two responses to one prompt.
        idempotency_key: makes the request as a whole one that is taken once.

    Example:
        client.comparisons.follow_ups([
            {"user": "ada", "prompt": "How?", "response": "Briefly.", "next_turn": "Thanks!", "consent": True}
        ]).read
    """
    rows = [
        {**one, "response": candidate_of(one.get("response", ""))}
        for one in rows_of("turns", turns)
    ]
    return Request(
        "POST", "/v1/follow-ups", decoder(TurnsTaken), body=body_of(turns=rows, min_gap=min_gap),
        writes=True, key=idempotency_key,
    )  # fmt: skip


def list_comparisons(
    *, user: str | None = None, limit: int = 100, after: str | None = None, restricted: bool = True
) -> Request[Page[Comparison]]:
    """Comparisons of one person or of all, the oldest first.

    Args:
        user: whose; everybody's without.
        limit: most of a page.
        after: the `next` of the page before.
        restricted: False leaves out people whose processing is restricted, as for training.

    Example:
        page = client.comparisons.list(user="ada", limit=10)
        outcomes = [one.outcome for one in client.comparisons.iterate(user="ada")]
    """
    query = {"user": user, "limit": limit, "after": after}
    query |= {} if restricted else {"restricted": "false"}
    return Request("GET", "/v1/comparisons", decoder(Page[Comparison]), query)


def delete_comparison(comparison: str) -> Request[ComparisonDeleted]:
    """Remove a comparison and fit its person again.

    Example:
        kept = client.comparisons.list(user="ada").data[0]
        client.comparisons.delete(kept.id)
    """
    path = f"/v1/comparisons/{segment(comparison)}"
    return Request("DELETE", path, decoder(ComparisonDeleted), writes=True)
