"""Who a request is about: a person in memory, the population, or an answer that there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from gustibus.service.ids import CLIENT_ID
from gustibus.service.problems import Problem, invalid
from gustibus.service.tables import Person
from gustibus.types import F64

if TYPE_CHECKING:
    from gustibus.service.call import Call
    from gustibus.service.serving import Serving
    from gustibus.service.state import State

OnUnknown = Literal["population", "error", "create"]
UserState = Literal["population", "learning", "ready", "stale", "restricted", "quarantined"]


async def find_person(
    call: Call, user: str | None, on_unknown: OnUnknown, *, pointer: str = "/user"
) -> Person:
    """The person that a request names in the field at `pointer`.

    Raises:
        Problem: 404 when nobody has this name and the request insists; 422 for another form.
    """
    state = call.state
    if user is None:
        return state.people.population
    person = state.people.find(user)
    if person is not None:
        return person
    if CLIENT_ID.fullmatch(user) is None:
        raise invalid(pointer, "expected 1 to 128 letters, digits or any of . _ : @ -")
    if on_unknown == "error":
        detail = f"{pointer}: there is nobody called {user!r}"
        raise Problem("not_found", detail, errors=[(pointer, detail)])
    if on_unknown == "create":
        call.need("users:write")
        await state.create_person(user)
        return state.people.find(user) or state.people.population
    return state.people.population


def person_state(serving: Serving, person: Person) -> UserState:
    """How well somebody is known, or that nothing of theirs is used, or not for training."""
    if person.restricted:
        return "restricted"
    if person.quarantined:
        return "quarantined"
    if person.count == 0:
        return "population"
    if serving.superseded:
        return "stale"
    return "ready" if person.count >= serving.min_comparisons else "learning"


async def spread_of(state: State, user: str | None, person: Person) -> F64:
    """Covariance `(u, u)` of a person's user vector, from memory or else from the store."""
    if user is None or person.count == 0 or state.serving is None:
        return state.prior_spread()
    known = state.spreads.get(user)
    if known is not None and known[0] == person.version:
        return known[1]
    return await state.load_spread(user, person)
