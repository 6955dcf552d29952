"""People: put, read, list, profile, reset, export, delete."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta, Struct

from gustibus.onboarding.information import information_gained
from gustibus.posterior import Posterior
from gustibus.service.call import Call, Reply, Streamed, encode, ok
from gustibus.service.conditions import NONE, digest, tagged
from gustibus.service.cursors import Page, page_of
from gustibus.service.decoding import refuse_unstorable
from gustibus.service.erasing import erase_person
from gustibus.service.fitting import Answers, Fit, answers_of, worth_of
from gustibus.service.holdings import held_of
from gustibus.service.once import once
from gustibus.service.people import UserState, person_state, spread_of
from gustibus.service.peoplegroups import group_of, shares
from gustibus.service.problems import Problem, invalid, pointer_to
from gustibus.service.routing import STORE, Nothing, Route
from gustibus.service.signals import agreement
from gustibus.service.state import State
from gustibus.service.tables import Person
from gustibus.service.tabular import NDJSON
from gustibus.store import (
    QUARANTINED,
    RESTRICTED,
    Connection,
    UserRow,
    audit,
    departures,
    ensure_users,
    evidence,
    get_user,
    given_in_sessions,
    hashed_user,
    list_users,
    put_profile,
    put_user,
    reset_at,
    reset_profile,
)

if TYPE_CHECKING:
    from gustibus.service.serving import Serving
    from gustibus.service.threads import Threads

MAX_ATTRIBUTES = 4096
"""Most bytes of a person's attributes as JSON."""
_IN_MEMORY = (
    4 << 20
)  # bytes of an export that are kept there until they are sent; more go into a file
_PIECE = 1 << 18  # bytes that are sent at once

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
    signals: list[str] = []
    """Why the person is in quarantine: `repeats`, `fast`, `side`, `information`, `crowd`; else empty."""


class ListUsers(Page, forbid_unknown_fields=True):
    """Which people are wanted."""

    state: Literal["restricted", "quarantined"] | None = None
    """Those of whom nothing is used, or those whose answers are kept out of trainings."""


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
    group: int
    """Of the model's groups, from 0: the one that most probably holds the person."""
    group_share: float
    """Of the population that is in this group."""
    effective_answers: float
    """How many answers at even odds those given to this service are worth; at most as many as there are."""
    repeated: int
    """Pairs that the person was asked a second time, with the sides swapped, under any model."""
    consistent: int
    """Of these, answered the same both times."""
    consistency: float | None
    """The one over the other; null where nothing was asked twice."""
    fitted_model: str | None
    """The version that the profile was fitted under, as `model`; null where it is the population's."""


class Statement(Struct):
    """What was removed, without the name, signed with a key of the store."""

    user: str
    """The person's keyed hash, as in the audit log."""
    at: str
    removed: dict[str, int]
    trained_on: dict[str, str]
    """Digests of the models that were trained on the person; versions among them are marked `retrain_due`."""
    unknown: dict[str, str]
    """Digests of models that do not tell whom they were trained on."""
    signature: str
    """HMAC-SHA256 of the rest; `gustibus users verify` checks it."""


class Deleted(Struct):
    """What was removed; scores are those of the population from now on."""

    id: str
    object: Literal["user"]
    deleted: Literal[True]
    removed: dict[str, int]
    statement: Statement


async def put(call: Call) -> Reply:
    """Make a person, or change their attributes."""
    user, body = call.param("user"), call.read_optional(PutUser)
    call.user = user
    _check(body.attributes)

    def work(conn: Connection) -> Reply:
        created = False
        if call.condition is not NONE:  # made first, so that it can be held
            _, created = put_user(conn, user=user)
            _refuse(call, user, None if created else get_user(conn, user=user, hold=True))
        row, new = put_user(conn, user=user, attributes=body.attributes)
        created |= new
        if created and departures(conn, users=[user]):
            audit(
                conn, actor="" if call.caller is None else call.caller.id, action="user.return",
                what=hashed_user(conn, user), request_id=call.request_id,
            )  # fmt: skip
        return Reply(201 if created else 200, encode(show_user(call.state, user, row)))

    reply = await once(call, work, users=[user])
    if user not in call.state.people:
        call.state.set_person(user, None, count=0, version=0)
        call.state.newcomers.meet("" if call.caller is None else call.caller.id, user)
    return tagged(call, reply, _written(msgspec.json.decode(reply.body, type=User)))


def _written(user: User) -> str:
    """The part of a person's tag that is of what clients write."""
    return digest([user.id, user.attributes, user.created_at])


def _refuse(call: Call, user: str, row: UserRow | None) -> None:
    """Keep a change to the person that it is meant for.

    Raises:
        Problem: 412.
    """
    known = row is not None or user in call.state.people
    written = _written(show_user(call.state, user, row)) if known else None
    call.condition.refuse(written, f"The person {user!r}")


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
    shown = await _found(call, user)
    return tagged(call, ok(shown), _written(shown))


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
    before = None if state.superseded is None else state.superseded.find(user)
    person = before or state.people.find(user) or state.people.population
    known: UserState = "population"
    if person.restricted if row is None else row.state == RESTRICTED:
        known = "restricted"
    elif state.serving is not None:
        held = person.quarantined if row is None else row.state == QUARANTINED
        known = person_state(state.serving, person._replace(restricted=False, quarantined=held))
        if before is not None and not held:
            known = "stale"
    version = person.version if row is None else max(row.profile_version, person.version)
    return User(
        user, "user", known, {} if row is None else row.attributes,
        0 if row is None else row.n_comparisons, person.count, version,
        None if row is None else row.created_at, None if row is None else row.updated_at,
        [] if row is None else list(row.signals),
    )  # fmt: skip


async def list_all(call: Call) -> Reply:
    """A page of the people whom this service has met; those of the training only join them then."""
    page = call.query(ListUsers)
    kind = "users" if page.state is None else f"users {page.state}"
    after = call.state.cursors.open(kind, page.after)
    rows, more = page_of(
        await call.state.threads.read(
            lambda conn: list_users(conn, after=after, limit=page.limit + 1, state=page.state)
        ),
        page.limit,
    )
    following = call.state.cursors.seal(kind, rows[-1].id) if more else None
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
    said = await state.threads.read(lambda conn: _said(conn, user, serving, used=person.count > 0))
    group = int(group_of(serving.model.prior, person.mean[None])[0])
    return ok(Profile(
        shown, "profile", serving.label, gained, directions, group,
        float(shares(serving.model.prior)[group]),
        0.0 if said.rows is None else worth_of(serving.model, here, said.rows), said.repeated,
        said.agreed, said.agreed / said.repeated if said.repeated else None,
        serving.label if person.count else None,
    ))  # fmt: skip


class _Said(NamedTuple):
    rows: Answers | None
    agreed: int
    repeated: int


def _said(conn: Connection, user: str, serving: Serving, *, used: bool) -> _Said:
    """A person's answers, and how often they agreed with themselves; nothing where none is used."""
    if not used:
        return _Said(None, 0, 0)
    agreed, repeated = agreement(given_in_sessions(conn, users=[user]).get(user, ()))
    rows = answers_of(evidence(conn, user=user, model=serving.digest), serving.strengths)
    return _Said(rows, agreed, repeated)


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


async def export(call: Call) -> Streamed:
    """Everything held about a person, one JSON value a line."""
    user, state = call.param("user"), call.state
    call.user = user
    trained = state.trained(user) if user in state.people else None
    training = None if trained is None else {
        "kind": "training", "model": state.digest, "comparisons": trained.comparisons,
        "mean": trained.mean.tolist(), "stderr": _sd(trained.covariance).tolist(),
    }  # fmt: skip

    def work(conn: Connection) -> tuple[SpooledTemporaryFile[bytes], int]:
        """One transaction, which does not wait for the client: a file keeps what it has read."""
        with ExitStack() as failing:
            kept = failing.enter_context(SpooledTemporaryFile(_IN_MEMORY))
            for row in held_of(conn, state.settings, user, training):
                kept.write(encode(row) + b"\n")
            size = kept.tell()
            kept.seek(0)
            failing.pop_all()
        return kept, size

    lines, size = await state.threads.read(work)
    if not size:
        raise nobody(user)
    actor = "" if call.caller is None else call.caller.id

    def note(conn: Connection) -> None:
        what = hashed_user(conn, user)
        audit(conn, actor=actor, action="user.export", what=what, request_id=call.request_id)

    await state.threads.write(note)
    length = (b"content-length", b"%d" % size)
    return Streamed(_pieces(lines, state.threads), NDJSON.encode(), (length,))


async def _pieces(file: SpooledTemporaryFile[bytes], threads: Threads) -> AsyncIterator[bytes]:
    """What a file holds, which is gone afterwards."""
    with file:
        while piece := await threads.background(partial(file.read, _PIECE)):
            yield piece


async def delete(call: Call) -> Reply:
    """Remove everything that names a person, here and in every process."""
    user, state = call.param("user"), call.state
    call.user = user
    known = user in state.people

    if not known and await state.threads.read(lambda conn: get_user(conn, user=user)) is None:
        raise nobody(user)
    actor = "" if call.caller is None else call.caller.id

    def check(conn: Connection) -> None:
        if call.condition is not NONE:
            _refuse(call, user, get_user(conn, user=user, hold=True))

    erased = await erase_person(state, user, actor=actor, request_id=call.request_id, check=check)
    return ok(Deleted(user, "user", True, erased.removed, Statement(**erased.statement)))  # noqa: FBT003 - positional record


_PATH = "/v1/users/{user}"

ROUTES = (
    Route(
        "PUT", _PATH, "put_user", "users:write", put, "People",
        "Make a person, or change their attributes.",
        request=PutUser, optional=True, response=User, also=(201,), problems=STORE,
        idempotent=True, tagged=True, example={"attributes": {"locale": "en"}},
    ),
    Route(
        "GET", _PATH, "get_user", "users:read", get, "People", "One person.",
        response=User, problems=("not_found", *STORE), tagged=True,
    ),
    Route(
        "GET", "/v1/users", "list_users", "users:read", list_all, "People",
        "People whom this service has met, by name.",
        query=ListUsers, response=Users, problems=STORE,
    ),
    Route(
        "DELETE", _PATH, "delete_user", "users:write", delete, "People",
        "Remove everything that names a person.",
        response=Deleted, problems=("not_found", *STORE), tagged=True,
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
        request=Nothing, optional=True, response=NDJSON, problems=("not_found", *STORE),
    ),
)  # fmt: skip
