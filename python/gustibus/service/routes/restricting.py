"""What operators decide about a person: restriction of their processing, and the end of a quarantine."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from gustibus.service.call import Call, Reply, ok
from gustibus.service.routes.users import User, nobody, show_user
from gustibus.service.routing import STORE, Route
from gustibus.store import (
    Connection,
    UserRow,
    audit,
    ensure_users,
    get_user,
    hashed_user,
    release_user,
    restrict_user,
    unrestrict_user,
)

_PATIENCE = 5.0  # seconds for a fit before a reply


class RestrictUser(Struct, forbid_unknown_fields=True):
    """Nothing is to be said about it."""


class ReleaseUser(Struct, forbid_unknown_fields=True):
    """Nothing is to be said about it."""


class UnrestrictUser(Struct, forbid_unknown_fields=True):
    """Nothing is to be said about it."""


async def restrict(call: Call) -> Reply:
    """Keep what a person has said and use nothing of it; again, it changes nothing."""
    call.read_optional(RestrictUser)
    user, state = call.param("user"), call.state
    row, _ = await _changed(call, user, restrict_user, "user.restrict")
    state.restrict_person(user, version=row.profile_version)
    return ok(show_user(state, user, row))


async def unrestrict(call: Call) -> Reply:
    """Lift the restriction and fit the person from all that is stored; without one it changes nothing."""
    call.read_optional(UnrestrictUser)
    user, state = call.param("user"), call.state
    row, changed = await _changed(call, user, unrestrict_user, "user.unrestrict")
    if changed:
        state.unrestrict_person(user, version=row.profile_version)
        await state.refits.wait([user], _PATIENCE)
    return ok(show_user(state, user, row))


async def release(call: Call) -> Reply:
    """Lift a quarantine; what was said by now is not held against the person again."""
    call.read_optional(ReleaseUser)
    user, state = call.param("user"), call.state
    row, changed = await _changed(call, user, release_user, "user.release")
    if changed:
        state.people.quarantined.discard(user)
        await state.refits.wait([user], _PATIENCE)
    return ok(show_user(state, user, row))


async def _changed(
    call: Call, user: str, change: Callable[..., bool], action: str
) -> tuple[UserRow, bool]:
    """The person after a change, and whether it changed anything.

    Raises:
        Problem: 404 when nobody has this name.
    """
    state, actor = call.state, "" if call.caller is None else call.caller.id
    call.user = user

    def work(conn: Connection) -> tuple[UserRow, bool]:
        if state.trained(user) is not None and user in state.people:
            ensure_users(conn, users=[user])
        changed = change(conn, user=user)
        if changed:
            what = hashed_user(conn, user)
            audit(conn, actor=actor, action=action, what=what, request_id=call.request_id)
        row = get_user(conn, user=user)
        if row is None:
            raise nobody(user)
        return row, changed

    return await state.threads.write(work)


_PATH = "/v1/users/{user}"

ROUTES = (
    Route(
        "POST", _PATH + ":restrict", "restrict_user", "users:write", restrict, "People",
        "Keep what a person has said and use nothing of it; their scores are the population's.",
        request=RestrictUser, optional=True, response=User, problems=("not_found", *STORE),
        example={},
    ),
    Route(
        "POST", _PATH + ":unrestrict", "unrestrict_user", "users:write", unrestrict, "People",
        "Lift a restriction and fit the person from all their answers.",
        request=UnrestrictUser, optional=True, response=User, problems=("not_found", *STORE),
        example={},
    ),
    Route(
        # Not for a key that brings answers: the quarantine may be of what it brought.
        "POST", _PATH + ":release", "release_user", "admin", release, "People",
        "Lift a quarantine: what the person says is trained on again, and is not held against them.",
        request=ReleaseUser, optional=True, response=User, problems=("not_found", *STORE),
        example={},
    ),
)  # fmt: skip
