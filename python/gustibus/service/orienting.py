"""Maps of all versions the same way round: each is turned onto the one before.

The two main directions of a version may be those of another the other way round, or turned where both are
about as long. People are not: those who are on both maps say how the one lies on the other.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gustibus.artifact import Artifact, People
from gustibus.errors import ArtifactError
from gustibus.service.peoplemap import project, turn, turned
from gustibus.service.smallgroups import SMALL
from gustibus.store import (
    Connection,
    VersionRow,
    list_versions,
    profiles_of,
    training_forgotten,
)
from gustibus.types import F64

if TYPE_CHECKING:
    from gustibus.service.crowd import Crowd
    from gustibus.service.peoplemap import Plane
    from gustibus.service.serving import Serving
    from gustibus.service.state import State

_BEFORE = 8  # versions that are looked at: each has to be read from its folder


class Frame(NamedTuple):
    """Where people were on the map of a version, as it was turned."""

    rows: dict[str, int]
    """By name."""
    points: F64
    """`(n, 2)`."""
    asked: int
    """People who were looked for."""


async def plane_of(state: State, serving: Serving, crowd: Crowd) -> Plane:
    """Where everybody is on the map of the version in service, turned onto that of the one before."""
    plane = await state.threads.background(lambda: crowd.plane)
    if serving.version is None or not state.settings.models or len(crowd.names) < SMALL:
        return plane
    frame = state.frame
    if frame is None or len(crowd.names) > 2 * frame.asked:
        frame = state.frame = await _frame_before(state, serving.version, crowd)
    return await state.threads.background(lambda: _onto(plane, crowd.names, frame))


async def _frame_before(state: State, version: int, crowd: Crowd) -> Frame:
    """The map of the newest version before that is known of enough people; empty where none is."""
    name = state.settings.model_name
    rows = await state.threads.read(
        lambda conn: list_versions(conn, model=name, after=max(0, version - 1 - _BEFORE))
    )
    drawn = await state.threads.background(crowd.drawn)
    names = [crowd.names[row] for row in drawn]
    frame = Frame({}, np.zeros((0, 2)), len(names))
    for row in rows:  # the oldest first
        if row.version >= version:
            break
        frame = await _next(state, row, names, frame)
    return frame


async def _next(state: State, row: VersionRow, names: list[str], before: Frame) -> Frame:
    """The map of a version, turned onto the one before it; that one where there is no such map."""
    trained = await state.threads.background(lambda: _trained(state, row))
    known = await state.threads.read(lambda conn: placed(conn, row, trained, names))
    if len(known) < SMALL:
        return before
    users = list(known)

    def make() -> Frame:
        plane = _onto(project(np.stack([known[user] for user in users])), users, before)
        return Frame({user: place for place, user in enumerate(users)}, plane.points, len(names))

    return await state.threads.background(make)


def _onto(plane: Plane, names: list[str], frame: Frame) -> Plane:
    """A plane turned onto a frame, where enough people are on both."""
    both = [(here, frame.rows[name]) for here, name in enumerate(names) if name in frame.rows]
    if len(both) < SMALL:
        return plane
    here, there = np.array(both, np.int64).T
    return turned(plane, turn(plane.points[here], frame.points[there]))


def _trained(state: State, row: VersionRow) -> People | None:
    """What the training of a version says of people; None when its folder cannot be read."""
    try:
        return people_in(Path(state.settings.models) / row.digest, row.digest)
    except (ArtifactError, OSError):
        return None


@lru_cache(maxsize=1)
def people_in(folder: Path, digest: str) -> People:
    """People of a version's training, without their covariances, which are large.

    Raises:
        ArtifactError: the folder is damaged, or holds another version.
    """
    artifact = Artifact.load(folder)
    if artifact.digest != digest:
        message = f"{folder}: holds {artifact.digest[:12]}"
        raise ArtifactError(message, where=str(folder))
    people = artifact.people
    return replace(people, covariances=np.zeros((0, *people.covariances.shape[1:]), np.float32))


def placed(
    conn: Connection, row: VersionRow, trained: People | None, names: list[str]
) -> dict[str, F64]:
    """User vectors of people under a version, as far as there are any; the store wins."""
    found: dict[str, F64] = {}
    if trained is not None:
        told = [name for name in names if name in trained.rows]
        gone = training_forgotten(conn, users=told)
        found = {
            name: trained.means[trained.rows[name]].astype(np.float64)
            for name in told if name not in gone and trained.counts[trained.rows[name]] > 0
        }  # fmt: skip
    for one in profiles_of(conn, users=names, model=row.digest):
        if one.count > 0:
            found[one.user] = one.mean
    return found
