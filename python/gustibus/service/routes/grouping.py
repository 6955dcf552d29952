"""Groups of people with like tastes on the operator pages: their size, and how well they are foretold."""

from __future__ import annotations

from typing import Literal

import numpy as np
from msgspec import Struct

from gustibus.service.call import Call, Reply, ok
from gustibus.service.crowd import crowd_of
from gustibus.service.fitting import Answers, answers_of
from gustibus.service.peoplegroups import Accuracy, Foretold, accuracy, foretell, shares
from gustibus.service.peoplemap import draw_lots
from gustibus.service.routes.mapping import served
from gustibus.service.routing import STORE, Route
from gustibus.service.serving import Serving
from gustibus.service.smallgroups import SMALL
from gustibus.service.state import State
from gustibus.store import Connection, evidence
from gustibus.types import I64

TESTED = 600
"""Most people whose answers are foretold, of all groups together."""
_ANSWERS = 200  # the last of each of them


class Bin(Struct):
    """One point of a calibration curve."""

    confidence: float
    """Mean probability given to the side that was foretold."""
    accuracy: float
    """Share of these answers in which it was preferred."""
    answers: int


class Group(Struct):
    """A group, or those that are told together because one of them has fewer than 10 people.

    Figures are null where fewer than 10 people have answered at all, or could be tested.
    """

    group: int
    """From 1, in the order of the prior; 0 for those that are told together."""
    members: list[int]
    """Groups that these figures are about."""
    share: float
    """Of the population, as the training estimated it."""
    people: int | None
    """Who have answered and most probably belong to it."""
    mean_comparisons: float | None
    tested: int | None
    """People whose later answers were foretold from their earlier ones."""
    accuracy: float | None
    """Share of these answers that were foretold rightly; everybody counts alike."""
    accuracy_stderr: float | None
    accuracy_population: float | None
    """Of the reward that is the same for everybody, on the same answers."""
    calibration_error: float | None
    calibration: list[Bin]


class Groups(Struct):
    """Groups of the model in service, the worst foretold first."""

    object: Literal["list"]
    model: str
    people: int
    """Who have answered."""
    data: list[Group]


async def groups(call: Call) -> Reply:
    """Groups with their size, accuracy and calibration."""
    state = call.state
    serving = served(state)
    crowd = await crowd_of(state, serving)
    share, label = shares(serving.model.prior), crowd.label
    members = {number: [number] for number in (np.flatnonzero(crowd.apart) + 1).tolist()}
    if not crowd.apart.all():
        members[0] = (np.flatnonzero(~crowd.apart) + 1).tolist()
    chosen = [
        [
            crowd.names[row]
            for row in _drawn(crowd.names, np.flatnonzero(label == number), TESTED // len(members))
        ]
        for number in members
    ]
    told = await state.threads.read(
        lambda conn: [_read(conn, people, serving) for people in chosen]
    )
    found = await state.threads.background(
        lambda: [_foretold(state, serving, answers) for answers in told]
    )
    rows = [
        _show(number, of, float(share[np.array(of) - 1].sum()), crowd.counts[label == number], fit)
        for (number, of), fit in zip(members.items(), found, strict=True)
    ]
    rows.sort(key=lambda row: (row.accuracy is None, row.accuracy or 0.0, row.group == 0))
    return ok(Groups("list", serving.label, len(crowd.names), rows))


def _drawn(names: list[str], rows: I64, most: int) -> I64:
    """Some of the people in these rows, the same ones every time."""
    return rows[draw_lots([names[row] for row in rows], most)] if len(rows) else rows


def _read(conn: Connection, people: list[str], serving: Serving) -> dict[str, Answers]:
    """Answers of people, those whose vectors are there."""
    found = {}
    for user in people:
        rows = evidence(conn, user=user, model=serving.digest, limit=_ANSWERS)
        found[user] = answers_of(rows, serving.strengths)
    return found


def _foretold(state: State, serving: Serving, told: dict[str, Answers]) -> list[Foretold]:
    each = (foretell(serving.model, rows, state.trained(user)) for user, rows in told.items())
    return [one for one in each if one is not None]


def _show(
    number: int, members: list[int], share: float, counts: I64, found: list[Foretold]
) -> Group:
    large = len(counts) >= SMALL
    tested: Accuracy | None = accuracy(found) if large and len(found) >= SMALL else None
    return Group(
        group=number, members=members, share=share, people=len(counts) if large else None,
        mean_comparisons=float(counts.mean()) if large else None,
        tested=None if tested is None else tested.people,
        accuracy=None if tested is None else tested.mean,
        accuracy_stderr=None if tested is None else tested.stderr,
        accuracy_population=None if tested is None else tested.unknowing,
        calibration_error=None if tested is None else tested.curve.error,
        calibration=[] if tested is None else [
            Bin(float(sure), float(right), int(rows))
            for sure, right, rows in zip(*tested.curve, strict=True)
        ],
    )  # fmt: skip


ROUTES = (
    Route(
        "GET", "/v1/admin/groups", "admin_groups", "admin", groups, "Operators",
        "Groups of people with like tastes: size, accuracy and calibration, the worst first.",
        response=Groups, problems=STORE,
    ),
)  # fmt: skip
