"""Who decides in a request about a group: ballots as they come, or people and their scores."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import numpy as np
from msgspec import Meta, Struct, field, structs, to_builtins

from gustibus.errors import GustibusError
from gustibus.service.candidates import AnyCandidate, Prompt, model_of, represent
from gustibus.service.ids import UNIQUE, Id
from gustibus.service.people import OnUnknown, find_person
from gustibus.service.problems import Problem, from_error, invalid, pointer_to
from gustibus.service.routes.scoring import ModelName, note
from gustibus.service.threads import DEADLINE
from gustibus.social import ApprovalProfile, Profile, UtilityProfile
from gustibus.types import F64

if TYPE_CHECKING:
    from gustibus.service.call import Call

T = TypeVar("T")

MAX_CHOICES = 500
MAX_CELLS = 2_000_000
"""Places on all ballots together, or people times candidates."""

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Names = Annotated[list[Name], UNIQUE]
Ranking = Annotated[list[Name | Names], UNIQUE]
Choice = str | int
"""A name as the ballots give it, or the place of a candidate."""
Seconds = Annotated[float, Meta(gt=0, le=30)]
LONGEST = 30.0
"""Seconds that a request may take; a job may take `Patience`."""
Patience = Annotated[float, Meta(gt=0, le=3600)]


class Voters(Struct, forbid_unknown_fields=True, kw_only=True):
    """Who decides: ballots of one kind, or people and what they are to choose between.

    Exactly one of `rankings`, `approvals`, `utilities` and `users` is given.
    """

    rankings: Annotated[list[Ranking], Meta(min_length=1)] | None = None
    """Ballots, best first; a list inside a ballot ties its names."""
    approvals: Annotated[list[Names], Meta(min_length=1)] | None = None
    utilities: Annotated[list[list[float]], Meta(min_length=1)] | None = None
    """A row a voter, a number for each of `labels`."""
    labels: Annotated[list[Name], Meta(min_length=1, max_length=MAX_CHOICES)] | None = None
    weights: Annotated[list[float], Meta(min_length=1)] | None = None
    users: Annotated[list[Id], Meta(min_length=1)] | None = None
    candidates: Annotated[list[AnyCandidate], Meta(min_length=1, max_length=MAX_CHOICES)] | None = (
        None
    )
    prompt: Prompt | None = None
    model: ModelName = "default"
    on_unknown_user: OnUnknown = "population"
    transform: Annotated[str, Meta(max_length=32)] | None = None
    """How utilities of different people are made comparable: `none`, `rank`, `min_max`, `sum`, `z` or
    `softmax`; `rank` for people's scores and `none` for utilities unless given."""
    time_limit: Patience = 2.0
    """Seconds after which a search returns the best that it has; a rule that has nothing by then is
    refused. At most 30 without `async`."""
    queued: bool = field(name="async", default=False)
    """Whether the reply is 202 with a job, whose `result` is the reply once it has succeeded. Needs the
    scope `jobs`. The job holds scores and no names of people, so `unknown_users` is empty there."""


Ballots = Callable[[], "Profile | ApprovalProfile | UtilityProfile"]


async def ballots_of(call: Call, body: Voters, kinds: Sequence[str]) -> tuple[Ballots, list[str]]:
    """How to make the ballots, off the event loop, and the people who are not known.

    Raises:
        Problem: 413 or 422.
    """
    if body.time_limit > LONGEST and not body.queued:
        detail = f"expected at most {LONGEST:g} without async, got {body.time_limit:g}"
        raise invalid("/time_limit", detail)
    if _kind(body, kinds) == "users":
        if not body.candidates:
            raise invalid("/candidates", "users decide between candidates, and there are none")
        refuse_cells(len(body.users or ()) * len(body.candidates))
        values, unknown = await scores_of(call, body, body.candidates, body.users or [])
        return lambda: _utilities(values, body, None, "rank"), unknown
    ballots, cells = sent_ballots(body, kinds)
    call.units += cells // 32 + 1
    return ballots, []


def _kind(body: Voters, kinds: Sequence[str]) -> str:
    given = _given(body)
    if len(given) != 1 or given[0] not in kinds:
        raise invalid(f"/{kinds[0]}", f"expected exactly one of {', '.join(kinds)}")
    return given[0]


def sent_ballots(body: Voters, kinds: Sequence[str]) -> tuple[Ballots, int]:
    """How to make ballots that came with the request, and how many places they have.

    Raises:
        Problem: 413 or 422.
    """
    kind = _kind(body, kinds)
    if body.candidates is not None:
        raise invalid("/candidates", f"candidates go with users, not with {kind}")
    rows: list[Any] = getattr(body, kind)
    cells = len(rows) + sum(len(x) if isinstance(x, list) else 1 for row in rows for x in row)
    refuse_cells(cells)
    if kind == "utilities":
        _refuse_many(kind, max(map(len, rows)))
        return lambda: _utilities(rows, body, body.labels, "none"), cells
    names = {n for row in rows for x in row for n in (x if isinstance(x, list) else (x,))}
    _refuse_many(kind, len(names | set(body.labels or ())))
    if kind == "approvals":
        labels = body.labels or sorted(names)
        return lambda: ApprovalProfile(rows, labels=labels, weights=body.weights), cells
    unranked = getattr(body, "unranked", "last")
    return (
        lambda: Profile(rows, weights=body.weights, labels=body.labels, unranked=unranked)
    ), cells


def _utilities(
    values: Any, body: Voters, labels: list[str] | None, transform: str
) -> UtilityProfile:
    return UtilityProfile(
        values, weights=body.weights, labels=labels, transform=body.transform or transform
    )


async def scores_of(
    call: Call, body: Any, candidates: Sequence[AnyCandidate], users: Sequence[str | None]
) -> tuple[F64, list[str]]:
    """`(people, candidates)` rewards, and the people of whom nothing is known."""
    serving = model_of(call.state, body.model)
    field = "/users/{}" if isinstance(body, Voters) else "/user"
    people = [
        await find_person(call, user, body.on_unknown_user, pointer=field.format(place))
        for place, user in enumerate(users)
    ]
    made = await represent(call, serving, body.prompt, candidates)
    means = np.stack([person.mean for person in people])
    note(call, serving, users[0] if len(users) == 1 else None, made.units * len(users))
    values = serving.model.utility_among(means, made.vectors)
    unknown = [u for u, p in zip(users, people, strict=True) if u is not None and p.count == 0]
    return np.atleast_2d(values), unknown


def _given(body: Voters) -> list[str]:
    """The fields that say who decides."""
    return [k for k in ("rankings", "approvals", "utilities", "users") if getattr(body, k)]


async def decided(call: Call, work: Callable[[], T], body: Struct | None = None) -> T:
    """Work in the pool for groups; errors of the library point at the field that they name.

    Args:
        call: the request.
        work: that is done.
        body: whose fields are meant; without, a field is called as the library calls it.

    Raises:
        Problem: 422, 503 when too much work waits, or 504.
    """
    try:
        return await call.state.threads.groups(work)
    except GustibusError as error:
        if error.code in {"queue_full", "internal"}:
            raise
        deadline = DEADLINE.get()
        if error.code == "infeasible" and deadline is not None and monotonic() >= deadline:
            detail = "The deadline passed before there was a result"
            raise Problem("deadline_exceeded", detail) from None
        where = error.where or ""
        name, _, rest = error.message.partition(":")
        if isinstance(body, Voters) and name in {"profile", "ballots"}:
            error = type(error)(f"{_given(body)[0]}:{rest}")
        said = _TAGGED.sub(_plain, error.message)
        for value in to_builtins(getattr(body, "options", {})).values():
            said = said.replace(f"got {value!r}", f"got {json.dumps(value)}")
        error = type(error)(said)
        pointer = where if where.startswith("/") else _pointer(error.message, body)
        raise from_error(error, pointer=pointer) from None


_UNKNOWN = re.compile(r"""no ([a-z ]+) (?:'(.*?)'|"(.*?)");""", re.DOTALL)
_BOUND = re.compile(r"bounds: expected .* for group '(.*)', got ", re.DOTALL)
_TAGGED = re.compile(r"got (Number|Flag|Text|Numbers)\((.*)\)$", re.DOTALL)


def _plain(told: re.Match[str]) -> str:
    """A value of an option as JSON has it."""
    kind, value = told.groups()
    if kind == "Number":
        value = f"{float(value):.15g}"
    return f"got {value}"


def _pointer(message: str, body: Struct | None) -> str:
    """The field that a message of the library is about: it begins with a name, or says what is not known."""
    fields = set() if body is None else {one.name for one in structs.fields(body)}
    options: Any = to_builtins(getattr(body, "options", {}))
    unknown = _UNKNOWN.match(message)
    bound = _BOUND.match(message)
    if bound is not None:
        return pointer_to(_wrong_limit(body, bound[1]), bound[1])
    if message.startswith("bounds:") and "groups" in fields:
        return pointer_to(_not_met(message, body))
    if unknown is None:
        name = message.partition(":")[0]
        free = "options" in fields and (name not in fields or name in options)
        return "" if not name.isidentifier() else pointer_to(*["options"] * free, name)
    if body is None:
        return ""
    what, name = unknown[1], unknown[2] or unknown[3] or ""
    if what == "option":
        return pointer_to("options", name)
    if what == "group":
        limits = next((k for k in ("lower", "upper") if name in getattr(body, k, {})), None)
        return "/groups" if limits is None else pointer_to(limits, name)
    named = ("rule", "method") if "rule" in what.split() else (what, "method")
    return next((f"/{field}" for field in named if field in fields), "")


def _wrong_limit(body: Struct | None, group: str) -> str:
    """Which of a group's limits is neither a whole number nor a share."""
    lower: float = getattr(body, "lower", {}).get(group, 0)
    return "upper" if lower <= 1 or lower.is_integer() else "lower"


def _not_met(message: str, body: Struct | None) -> str:
    """Which bounds on the prefixes of an order leave none."""
    given = [name for name in ("shares", "lower", "upper") if getattr(body, name, None) is not None]
    if given == ["lower", "upper"]:
        return "upper" if message.startswith("bounds: the upper") else "lower"
    return given[0] if given else "groups"


def time_left(limit: float) -> Callable[[], float]:
    """What tells how many seconds are left of a limit that begins with the first question.

    The request's deadline, where it has one, is kept too.
    """
    deadline, ends = DEADLINE.get(), 0.0

    def left() -> float:
        nonlocal ends
        now = monotonic()
        if not ends:
            ends = now + limit if deadline is None else min(now + limit, deadline)
        return max(0.0, ends - now)

    return left


def _refuse_many(kind: str, choices: int) -> None:
    if choices > MAX_CHOICES:
        detail = f"/{kind}: {choices} names, at most {MAX_CHOICES} are allowed"
        raise Problem("too_many_candidates", detail, errors=[(f"/{kind}", detail)])


def refuse_cells(cells: int, what: str = "places on the ballots") -> None:
    """Refuse what would take too much memory.

    Raises:
        Problem: 413.
    """
    if cells > MAX_CELLS:
        detail = f"{cells} {what}, at most {MAX_CELLS} are allowed"
        raise Problem("too_many_candidates", detail)
