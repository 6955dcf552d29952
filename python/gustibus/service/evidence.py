"""What people are fitted to, and what is kept of it: read, completed and written within transactions."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gustibus.service.fitting import Answers, Fit, answers_of, counted
from gustibus.service.signals import Signal, signals_of
from gustibus.store import (
    TARGET,
    ComparisonRow,
    Connection,
    audit,
    evidence,
    find_vectors,
    given_in_sessions,
    hashed_user,
    items_with_text,
    put_profile,
    quarantine_user,
    quarantines_of,
    resets_of,
    restricted_among,
    set_sides,
    versions_of,
    weight_of,
)

if TYPE_CHECKING:
    from gustibus.data.strengths import Strengths
    from gustibus.service.serving import Serving
    from gustibus.service.state import State
    from gustibus.types import F32

_TEXTS = 64  # texts encoded at once, so that requests get their turn in between


class Known(NamedTuple):
    """What a fit starts from."""

    version: int
    """Of the profile when the answers were read."""
    answers: Answers
    missing: tuple[ComparisonRow, ...]
    """Answers whose texts have no vectors under this model yet."""
    last: str
    """Id of the last answer."""
    reset: bool
    """Whether the fit was forgotten and no answer has come since: then there is none to make."""
    signals: tuple[Signal, ...]
    """That nobody with a taste gave their answers."""
    held: bool
    """Whether they are in quarantine already."""
    judged: int
    """Rows of the answers that an operator had before them who lifted a quarantine."""
    released: bool


class Made(NamedTuple):
    """What comes out."""

    fit: Fit
    last: str
    sides: dict[str, tuple[F32, F32]]
    """Vectors that had to be made."""
    waits: bool
    """Whether more answers count once their items and texts have vectors."""
    agreeing: float | None
    """Share of the answers that the fit agrees with; None where none decides anything."""
    careless: float
    """Probability that the answers that no operator has judged were given at random."""
    told: int
    """How many those are."""


class Represented(NamedTuple):
    """Vectors of answers that had none."""

    sides: dict[str, tuple[F32, F32]]
    """By answer; the others have none now."""
    whole: bool
    """Whether these are all that there will ever be."""
    waits: bool = False
    """Whether the rest are about items or texts that are still to be encoded."""


def read_known(conn: Connection, users: list[str], serving: Serving) -> dict[str, Known]:
    """What is known of people now, but of those who are restricted.

    Versions come first, so that a later change is noticed.
    """
    model = serving.digest
    still = restricted_among(conn, users=users)
    versions = versions_of(conn, users=users)
    resets = resets_of(conn, users=users, model=model)
    given = given_in_sessions(conn, users=users)
    quarantines = quarantines_of(conn, users=users)
    found = {}
    for user in users:
        if user in versions and user not in still:
            rows = evidence(conn, user=user, model=model)
            answers = answers_of(rows, serving.strengths)
            reset = _nothing_since(resets.get(user), rows.last)
            held, through, lifted = False, "", None
            if (row := quarantines.get(user)) is not None:
                held, through, lifted = row.lifted_at is None, row.lifted_through, row.lifted_at
            signals = tuple(signals_of(given.get(user, ()), lifted))
            judged = bisect_right(rows.ids, through) if through else 0
            found[user] = Known(
                versions[user], answers, rows.missing, rows.last, reset, signals, held, judged,
                lifted is not None,
            )  # fmt: skip
    return found


def _nothing_since(reset: str | None, last: str) -> bool:
    """Whether somebody was reset after an answer, and the last that there is now is no later one."""
    return reset is not None and last <= reset


def write_fits(
    conn: Connection, made: dict[str, Made], known: dict[str, Known],
    signals: dict[str, list[Signal]], model: str,
) -> tuple[dict[str, int], list[str]]:  # fmt: skip
    """Keep the fits but of people who were reset or restricted while they were made.

    Returns:
        Versions of the profiles of the rest, and those of them who are in quarantine now.
    """
    resets = resets_of(conn, users=list(made), model=model, hold=True)
    still = restricted_among(conn, users=made)
    made = {
        user: one for user, one in made.items()
        if user not in still and not _nothing_since(resets.get(user), known[user].last)
    }  # fmt: skip
    sides = {name: pair for one in made.values() for name, pair in one.sides.items()}
    if sides:
        set_sides(conn, found=sides, model=model)
    versions = {
        user: put_profile(
            conn, user=user, model=model, mean=one.fit.mean, covariance=one.fit.covariance,
            count=one.fit.count, fitted_through=one.last, read=known[user].version,
        )
        for user, one in sorted(made.items())  # one order for all processes: no deadlock
    }  # fmt: skip
    return versions, [
        user for user, reasons in sorted(signals.items())
        if versions.get(user) and _quarantined(conn, user, reasons)
    ]  # fmt: skip


def _quarantined(conn: Connection, user: str, reasons: list[Signal]) -> bool:
    """Whether somebody is in quarantine from now on."""
    if not quarantine_user(conn, user=user, reasons=reasons):
        return False
    audit(
        conn, actor="worker", action="user.quarantine", what=hashed_user(conn, user),
        reasons=list(reasons),
    )  # fmt: skip
    return True


def represented(state: State, serving: Serving, missing: Sequence[ComparisonRow]) -> Represented:
    """Vectors of both sides of answers: of items by name, of texts through the encoder."""
    names = {item for row in missing for item in (row.a_item, row.b_item) if item is not None}
    with state.store.read() as conn:
        vectors = find_vectors(conn, found=sorted(names), model=serving.digest)
        without = sorted(names - vectors.keys()) if serving.has_encoder else []
        waits = bool(items_with_text(conn, names=without))
    texts: dict[str, dict[str, F32 | None]] = {}  # by prompt
    if serving.has_encoder:
        for row in missing:
            for text in (row.a_text, row.b_text):
                if text is not None:
                    texts.setdefault(row.prompt or "", {})[text] = None
    made: dict[tuple[str, str], F32] = {}
    for prompt, wanted in texts.items():
        each = list(wanted)
        for start in range(0, len(each), _TEXTS):
            part = each[start : start + _TEXTS]
            found = serving.represent_now(prompt, part)
            made |= {(prompt, text): vector for text, vector in zip(part, found, strict=True)}
    sides = {}
    for row in missing:
        prompt = row.prompt or ""
        a = vectors.get(row.a_item or "", made.get((prompt, row.a_text or "")))
        b = vectors.get(row.b_item or "", made.get((prompt, row.b_text or "")))
        if a is not None and b is not None:
            sides[row.id] = (a, b)
    return Represented(sides, whole=not waits, waits=waits)


def joined(
    answers: Answers, told: Sequence[ComparisonRow], sides: dict[str, tuple[F32, F32]],
    strengths: Strengths | None,
) -> Answers:  # fmt: skip
    """Answers with those whose vectors have just been made."""
    a = np.stack([sides[row.id][0] for row in told])
    b = np.stack([sides[row.id][1] for row in told])
    target = np.array([TARGET[row.outcome] for row in told], np.float64)
    said = np.array([row.strength for row in told], np.float64)  # None is NaN
    weight = np.array([weight_of(row.source) for row in told], np.float64)
    weight = counted(weight, said, strengths)
    if len(answers.target) == 0:
        return Answers(a, b, target, weight)
    return Answers(
        np.concatenate([answers.a, a]), np.concatenate([answers.b, b]),
        np.concatenate([answers.target, target]), np.concatenate([answers.weight, weight]),
    )  # fmt: skip
