"""People on a map: where they are, how they moved between versions, and who their neighbours are."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta, Struct

from gustibus.artifact import People
from gustibus.errors import ArtifactError
from gustibus.service.call import Call, Reply, ok
from gustibus.service.crowd import Crowd, crowd_of
from gustibus.service.orienting import people_in, placed, plane_of
from gustibus.service.peoplegroups import shares
from gustibus.service.peoplemap import Plane, align, project
from gustibus.service.problems import Problem
from gustibus.service.routing import STORE, Route
from gustibus.service.serving import Serving
from gustibus.service.smallgroups import SMALL
from gustibus.service.state import State
from gustibus.store import (
    Connection,
    JobRow,
    Neighbours,
    VersionRow,
    get_neighbours,
    get_version,
    last_job,
    profiles_of,
)
from gustibus.types import F64, I64


class PeopleMap(Struct):
    """People on the plane of the two directions along which they differ most, column by column."""

    object: Literal["people.map"]
    model: str
    people: int
    """Who have answered."""
    hidden: int
    """Of these, who are not drawn: everybody in a group of fewer than 10 people, and so many others
    that they are 10 at least."""
    explained: Annotated[list[float], Meta(min_length=2, max_length=2)]
    """Share of the variance along each axis."""
    users: list[str]
    x: list[float]
    y: list[float]
    doubt: list[float]
    """Spread of what is known of each, on the plane, compared with that of the population, 0 to 1."""
    comparisons: list[int]
    state: list[Literal["learning", "ready"]]
    """How well each is known; empty where fewer than 10 people are in one of the two states."""
    groups: int
    """Groups of like tastes that the model knows of; 1 where it knows of none."""
    group: list[int]
    """That each most probably belongs to, from 1; 0 for those that are told together, because one of
    them has fewer than 10 people."""


async def people_map(call: Call) -> Reply:
    """People in two dimensions."""
    state = call.state
    serving = served(state)
    crowd = await crowd_of(state, serving)
    plane = await plane_of(state, serving, crowd)
    rows = await state.threads.background(crowd.drawn)
    wanted = [crowd.names[row] for row in rows]
    spread = await state.threads.read(
        lambda conn: _spreads(conn, state, serving, wanted, plane.axes)
    )
    before = max(_across(serving.spread, plane.axes), 1e-24)
    return ok(PeopleMap(
        object="people.map", model=serving.label, people=len(crowd.names),
        hidden=int(crowd.hidden.sum()), explained=list(plane.explained), users=wanted,
        x=_told(plane.points[rows, 0]), y=_told(plane.points[rows, 1]),
        doubt=[
            round(min(1.0, math.sqrt(max(spread.get(name, before), 0.0) / before)), 3)
            for name in wanted
        ],
        comparisons=crowd.counts[rows].tolist(), state=_states(crowd, rows, serving),
        groups=len(shares(serving.model.prior)), group=crowd.label[rows].tolist(),
    ))  # fmt: skip


def _told(values: F64) -> list[float]:
    found: list[float] = values.round(4).tolist()
    return found


def _states(crowd: Crowd, rows: I64, serving: Serving) -> list[Literal["learning", "ready"]]:
    """How well those in some rows are known, nothing where few people are in one of the states."""
    ready = crowd.counts >= serving.min_comparisons
    if any(0 < some < SMALL for some in (int(ready.sum()), int((~ready).sum()))):
        return []
    return ["ready" if one else "learning" for one in ready[rows].tolist()]


def _spreads(
    conn: Connection, state: State, serving: Serving, names: list[str], axes: F64
) -> dict[str, float]:
    """Each person's variance on the plane, from the training or the store, whose profiles win."""
    people = serving.artifact.people
    found = {}
    if len(people.covariances):
        found = {
            name: _across(people.covariances[people.rows[name]], axes)
            for name in names if name in people.rows and name not in state.forgotten
        }  # fmt: skip
    for row in profiles_of(conn, users=names, model=serving.digest):
        found[row.user] = _across(row.covariance, axes)
    return found


def _across(covariance: Any, axes: F64) -> float:
    """Variance `(u, u)` along both axes `(u, 2)` together."""
    return float(np.einsum("ua,uv,va->", axes, covariance, axes))


def served(state: State) -> Serving:
    """The model in service.

    Raises:
        Problem: 503 without one.
    """
    if state.serving is None:
        raise Problem("not_ready", "No model is loaded", retry_after=30)
    return state.serving


class MovesQuery(Struct, forbid_unknown_fields=True):
    """From which version."""

    before: Annotated[int, Meta(ge=1, le=999_999_999)]
    """Number of a registered version other than the one in service."""


class PeopleMoves(Struct):
    """Where people are, and where they were under another version, its map laid over this one.

    The other map is moved, turned, perhaps mirrored, and brought to the size of this one (orthogonal
    Procrustes), so that what is left is how people moved against each other. Fewer than 10 people who
    are on both are not shown.
    """

    object: Literal["people.moves"]
    model: str
    before: str
    """The other version."""
    agreement: float | None
    """Procrustes correlation of both maps, 0 to 1; null without people."""
    spread: float | None
    """Root mean square distance of people from their middle, which moves compare with."""
    median: float | None
    """Of the distances."""
    largest: float | None
    without: int
    """People on this map who have no place on the other."""
    users: list[str]
    x: list[float]
    y: list[float]
    before_x: list[float]
    before_y: list[float]
    distance: list[float]
    group: list[int]
    """As on the map."""


async def people_moves(call: Call) -> Reply:
    """How people moved between two versions."""
    query, state = call.query(MovesQuery), call.state
    serving = served(state)
    name = state.settings.model_name
    row = await state.threads.read(lambda conn: get_version(conn, model=name, version=query.before))
    if row is None or not state.settings.models:
        raise Problem("not_found", f"There is no version {query.before} of {name!r}")
    if row.digest == serving.digest:
        detail = f"Version {query.before} is in service; moves are from another version to it"
        raise Problem("conflict", detail)
    trained = await state.threads.background(lambda: _trained(state, row))
    crowd = await crowd_of(state, serving)
    drawn = await state.threads.background(crowd.drawn)
    wanted = [crowd.names[place] for place in drawn]
    known = await state.threads.read(lambda conn: placed(conn, row, trained, wanted))
    plane = await plane_of(state, serving, crowd)
    label = f"{row.model}@{row.version}"
    return ok(
        await state.threads.background(
            lambda: _moves(crowd, plane, drawn, known, serving.label, label)
        )
    )


def _trained(state: State, row: VersionRow) -> People:
    """What the training of a version says of people.

    Raises:
        Problem: 409 when its folder cannot be read.
    """
    try:
        return people_in(Path(state.settings.models) / row.digest, row.digest)
    except (ArtifactError, OSError) as error:
        detail = f"Version {row.version} cannot be read: {error}"
        raise Problem("conflict", detail) from None


def _moves(
    crowd: Crowd, plane: Plane, drawn: I64, known: dict[str, F64], model: str, before: str
) -> PeopleMoves:
    """Both maps of those who are on both."""
    rows = np.array([row for row in drawn if crowd.names[row] in known], np.int64)
    without = len(drawn) - len(rows)
    if len(rows) < SMALL:
        return PeopleMoves(
            "people.moves", model, before, None, None, None, None, len(drawn),
            [], [], [], [], [], [], [],
        )  # fmt: skip
    users = [crowd.names[row] for row in rows]
    here = plane.points[rows]  # (n, 2)
    there = align(project(np.stack([known[user] for user in users])).points, here)
    moved = np.linalg.norm(here - there.points, axis=1)  # (n,)
    return PeopleMoves(
        object="people.moves", model=model, before=before, agreement=round(there.agreement, 4),
        spread=round(there.spread, 4), median=round(float(np.median(moved)), 4),
        largest=round(float(moved.max()), 4), without=without, users=users,
        x=_told(here[:, 0]), y=_told(here[:, 1]), before_x=_told(there.points[:, 0]),
        before_y=_told(there.points[:, 1]), distance=_told(moved),
        group=crowd.label[rows].tolist(),
    )  # fmt: skip


class PeopleNeighbours(Struct):
    """People placed so that neighbours are alike (t-SNE); made by the job `map_neighbours`.

    Only who is close to whom means something: distances between crowds and the axes do not.
    """

    object: Literal["people.neighbours"]
    model: str
    state: Literal["none", "queued", "running", "ready", "failed"]
    """Of the newest job about this version; `ready` also where it is long forgotten and its map is not."""
    job: str | None
    error: str | None
    made_at: datetime | None
    """Of the places, which may be older than the newest job."""
    without: int
    """People on the map who have no place here, as they came or changed their group later."""
    users: list[str]
    x: list[float]
    y: list[float]


async def people_neighbours(call: Call) -> Reply:
    """The map of neighbours of the version in service, and what is being done about it."""
    state = call.state
    serving = served(state)
    model = serving.digest

    def read(conn: Connection) -> tuple[JobRow | None, Neighbours]:
        return last_job(conn, kind="map_neighbours", model=model), get_neighbours(conn, model=model)

    job, kept = await state.threads.read(read)
    crowd = await crowd_of(state, serving)
    rows = await state.threads.background(crowd.drawn)
    drawn = {crowd.names[row] for row in rows}
    places = [place for place, user in enumerate(kept.users) if user in drawn]
    return ok(PeopleNeighbours(
        object="people.neighbours", model=serving.label, state=_progress(job, kept),
        job=None if job is None else job.id, error=None if job is None else job.error,
        made_at=kept.made_at, without=len(drawn) - len(places) if kept.users else 0,
        users=[kept.users[place] for place in places],
        x=_told(kept.points[places, 0]), y=_told(kept.points[places, 1]),
    ))  # fmt: skip


def _progress(
    job: JobRow | None, kept: Neighbours
) -> Literal["none", "queued", "running", "ready", "failed"]:
    if job is not None and job.state == "queued":
        return "queued"
    if job is not None and job.state == "running":
        return "running"
    if job is not None and job.state == "failed":
        return "failed"
    return "ready" if kept.users else "none"


_MAP = "/v1/admin/map"

ROUTES = (
    Route(
        "GET", _MAP, "admin_map", "admin", people_map, "Operators",
        "People in two dimensions.", response=PeopleMap, problems=STORE,
    ),
    Route(
        "GET", _MAP + "/moves", "admin_map_moves", "admin", people_moves, "Operators",
        "How people moved between another version and the one in service.",
        query=MovesQuery, response=PeopleMoves, problems=("not_found", "conflict", *STORE),
    ),
    Route(
        "GET", _MAP + "/neighbours", "admin_map_neighbours", "admin", people_neighbours,
        "Operators", "People placed so that neighbours are alike, and the job that places them.",
        response=PeopleNeighbours, problems=STORE,
    ),
)  # fmt: skip
