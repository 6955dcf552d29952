"""People: put, read, list, profile, reset, export, delete."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta, Struct

from gustibus.onboarding.information import information_gained
from gustibus.posterior import Posterior
from gustibus.service.call import Call, Reply, encode, ok
from gustibus.service.cursors import Page, page_of
from gustibus.service.decoding import refuse_unstorable
from gustibus.service.erasing import erase_person
from gustibus.service.fitting import Fit
from gustibus.service.once import once
from gustibus.service.people import UserState, person_state, spread_of
from gustibus.service.problems import Problem, invalid, pointer_to
from gustibus.service.routing import STORE, Nothing, Route
from gustibus.service.state import State
from gustibus.service.tables import Person
from gustibus.store import (
    RESTRICTED,
    Connection,
    UserRow,
    audit,
    departures,
    ensure_users,
    evidence,
    export_user,
    get_user,
    hashed_user,
    list_users,
    put_profile,
    put_user,
    reset_at,
    reset_profile,
)

MAX_ATTRIBUTES = 4096
"""Most bytes of a person's attributes as JSON."""

Attribute = str | int | float | bool | None
Attributes = dict[Annotated[str, Meta(min_length=1, max_length=64)], Attribute]


class PutUser(Struct, forbid_unknown_fields=True):
    """What an application notes about a person; never used for scores."""

    attributes: Attributes | None = None
    """Left out, those there are stay."""


class User(Struct):
    """A person and how well they are known."""

    id: str
    object: Literal["user"]
    state: UserState
    attributes: Attributes
    comparisons: int
    """Answers given to this service."""
    fitted_comparisons: int
    """Answers that scores rest on, those of the training included."""
    profile_version: int
    created_at: datetime | None
    """None for people of the training whom this service has not met."""
    updated_at: datetime | None


class Users(Struct):
    """A page of people, by name."""

    object: Literal["list"]
    data: list[User]
    has_more: bool
    next: str | None


class Direction(Struct):
    """One coordinate of the user vector."""

    index: int
    mean: float
    stderr: float
    population_mean: float
    population_sd: float


class Profile(Struct):
    """What is known of a person under the model in service."""

    user: User
    object: Literal["profile"]
    model: str
    information: float
    """Nats by which answers have narrowed down where the person may be."""
    directions: list[Direction]


class Deleted(Struct):
    """What was removed; scores are those of the population from now on."""

    id: str
    object: Literal["user"]
    deleted: Literal[True]
    removed: dict[str, int]


async def put(call: Call) -> Reply:
    """Make a person, or change their attributes."""
    user, body = call.param("user"), call.read_optional(PutUser)
    call.user = user
    _check(body.attributes)

    def work(conn: Connection) -> Reply:
        row, created = put_user(conn, user=user, attributes=body.attributes)
        if created and departures(conn, users=[user]):
            audit(
                conn, actor="" if call.caller is None else call.caller.id, action="user.return",
                what=hashed_user(conn, user), request_id=call.request_id,
            )  # fmt: skip
        return Reply(201 if created else 200, encode(show_user(call.state, user, row)))

    reply = await once(call, work, users=[user])
    if user not in call.state.people:
        call.state.set_person(user, None, count=0, version=0)
    return reply


def _check(attributes: Attributes | None) -> None:
    if attributes is None:
        return
    if len(encode(attributes)) > MAX_ATTRIBUTES:
        raise invalid("/attributes", f"longer than {MAX_ATTRIBUTES} bytes as JSON")
    for name, value in attributes.items():
        at = pointer_to("attributes", name)
        refuse_unstorable(name, at)
        if isinstance(value, str):
            refuse_unstorable(value, at)
        if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
            raise invalid(at, "expected a number of 64 bits")


async def get(call: Call) -> Reply:
    """One person."""
    user = call.param("user")
    call.user = user
    return ok(await _found(call, user))


async def _found(call: Call, user: str) -> User:
    """A person as shown, from the store or from the training.

    Raises:
        Problem: 404 when nobody has this name.
    """
    row = await call.state.threads.read(lambda conn: get_user(conn, user=user))
    if row is None and user not in call.state.people:
        raise nobody(user)
    return show_user(call.state, user, row)


def nobody(user: str) -> Problem:
    """404 for a name that nobody has."""
    return Problem("not_found", f"There is nobody called {user!r}")


def show_user(state: State, user: str, row: UserRow | None) -> User:
    """A person as replies have them; what the store says of a restriction is newer than what is in memory."""
    person = state.people.find(user) or state.people.population
    known: UserState = "population"
    if person.restricted if row is None else row.state == RESTRICTED:
        known = "restricted"
    elif state.serving is not None:
        known = person_state(state.serving, person._replace(restricted=False))
    version = person.version if row is None else max(row.profile_version, person.version)
    return User(
        user, "user", known, {} if row is None else row.attributes,
        0 if row is None else row.n_comparisons, person.count, version,
        None if row is None else row.created_at, None if row is None else row.updated_at,
    )  # fmt: skip


async def list_all(call: Call) -> Reply:
    """A page of the people whom this service has met; those of the training only join them then."""
    page = call.query(Page)
    after = call.state.cursors.open("users", page.after)
    rows, more = page_of(
        await call.state.threads.read(
            lambda conn: list_users(conn, after=after, limit=page.limit + 1)
        ),
        page.limit,
    )
    following = call.state.cursors.seal("users", rows[-1].id) if more else None
    return ok(Users("list", [show_user(call.state, row.id, row) for row in rows], more, following))


async def profile(call: Call) -> Reply:
    """What is known of a person."""
    user, state = call.param("user"), call.state
    call.user = user
    serving = state.serving
    if serving is None:
        raise Problem("not_ready", "No model is loaded", retry_after=30)
    shown = await _found(call, user)
    person = state.people.find(user) or Person(serving.population, 0, 0, known=True)
    spread = await spread_of(state, user, person)
    prior = Posterior.from_prior(serving.model.prior)
    here = Posterior(np.ones(1), person.mean[None], spread[None], 0.0, 0, True, person.count)  # noqa: FBT003 - positional record
    gained = information_gained(serving.model.prior, here) if person.count else 0.0
    columns = (
        person.mean, _sd(spread), prior.mean, _sd(serving.spread)
    )  # fmt: skip
    rows = zip(*(column.tolist() for column in columns), strict=True)
    directions = [Direction(index, *row) for index, row in enumerate(rows)]
    return ok(Profile(shown, "profile", serving.label, gained, directions))


def _sd(covariance: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(np.diagonal(covariance), 0.0))


async def reset(call: Call) -> Reply:
    """Forget the fit and keep the comparisons; the next answer fits them all again."""
    user, state = call.param("user"), call.state
    call.user = user
    serving = state.serving
    nothing = None if serving is None else Fit(serving.population, serving.spread, 0)

    def work(conn: Connection) -> tuple[UserRow, int]:
        if state.trained(user) is not None and user in state.people:
            ensure_users(conn, users=[user])
        if get_user(conn, user=user) is None:
            raise nobody(user)
        version = reset_profile(conn, user=user)
        if (
            nothing is not None
        ):  # also what the training said of them; not of people who are restricted
            version = max(version, put_profile(
                conn, user=user, model=state.digest, mean=nothing.mean,
                covariance=nothing.covariance, count=0,
                fitted_through=reset_at(evidence(conn, user=user, model=state.digest).last),
            ))  # fmt: skip
        row = get_user(conn, user=user)
        assert row is not None, "the transaction has just written it"
        return row, version

    row, version = await state.threads.write(work)
    state.set_person(user, None, count=0, version=version)
    state.spreads.drop(user)
    return ok(show_user(state, user, row))


async def export(call: Call) -> Reply:
    """Everything held about a person, one JSON value a line."""
    user, state = call.param("user"), call.state
    call.user = user
    trained = state.trained(user) if user in state.people else None

    def work(conn: Connection) -> bytes:
        lines = [encode(row) for row in export_user(conn, user=user)]
        if trained is not None:
            lines.append(
                encode(
                    {
                        "kind": "training",
                        "model": state.digest,
                        "comparisons": trained.comparisons,
                        "mean": trained.mean.tolist(),
                        "stderr": _sd(trained.covariance).tolist(),
                    }
                )
            )
        return b"".join(line + b"\n" for line in lines)

    body = await state.threads.read(work)
    if not body:
        raise nobody(user)
    actor = "" if call.caller is None else call.caller.id

    def note(conn: Connection) -> None:
        what = hashed_user(conn, user)
        audit(conn, actor=actor, action="user.export", what=what, request_id=call.request_id)

    await state.threads.write(note)
    return Reply(200, body, b"application/x-ndjson")


async def delete(call: Call) -> Reply:
    """Remove everything that names a person, here and in every process."""
    user, state = call.param("user"), call.state
    call.user = user
    known = user in state.people

    if not known and await state.threads.read(lambda conn: get_user(conn, user=user)) is None:
        raise nobody(user)
    actor = "" if call.caller is None else call.caller.id
    removed = await erase_person(state, user, actor=actor, request_id=call.request_id)
    return ok(Deleted(user, "user", True, removed))  # noqa: FBT003 - positional record


_PATH = "/v1/users/{user}"

ROUTES = (
    Route(
        "PUT", _PATH, "put_user", "users:write", put, "People",
        "Make a person, or change their attributes.",
        request=PutUser, optional=True, response=User, also=(201,), problems=STORE,
        idempotent=True, example={"attributes": {"locale": "en"}},
    ),
    Route(
        "GET", _PATH, "get_user", "users:read", get, "People", "One person.",
        response=User, problems=("not_found", *STORE),
    ),
    Route(
        "GET", "/v1/users", "list_users", "users:read", list_all, "People",
        "People whom this service has met, by name.",
        query=Page, response=Users, problems=STORE,
    ),
    Route(
        "DELETE", _PATH, "delete_user", "users:write", delete, "People",
        "Remove everything that names a person.",
        response=Deleted, problems=("not_found", *STORE),
    ),
    Route(
        "GET", _PATH + "/profile", "get_profile", "users:read", profile, "People",
        "What is known of a person.",
        response=Profile, problems=("not_found", *STORE),
    ),
    Route(
        "POST", _PATH + "/profile:reset", "reset_profile", "users:write", reset, "People",
        "Forget the fit and keep the comparisons.",
        request=Nothing, optional=True, response=User, problems=("not_found", *STORE),
    ),
    Route(
        "POST", _PATH + ":export", "export_user", "users:write", export, "People",
        "Everything held about a person, one JSON value a line.",
        request=Nothing, optional=True, response="application/x-ndjson",
        problems=("not_found", *STORE),
    ),
)  # fmt: skip
