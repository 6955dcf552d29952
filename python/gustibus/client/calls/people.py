"""People: their attributes, their profiles, what to ask them next."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gustibus.client.decoding import decoder
from gustibus.client.wire import (
    Candidate,
    Page,
    Prompt,
    Request,
    body_of,
    candidate_of,
    segment,
    several,
)

Attribute = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class User:
    """A person and how well they are known."""

    id: str
    state: str
    attributes: dict[str, Any]
    comparisons: int
    """Answers given to this service."""
    fitted_comparisons: int
    """Answers that scores rest on, those of the training included."""
    profile_version: int
    created_at: datetime | None
    updated_at: datetime | None
    signals: tuple[str, ...] = ()
    """Why the person is in quarantine; empty for those who are not."""


@dataclass(frozen=True, slots=True)
class Coordinate:
    """One coordinate of the user vector."""

    index: int
    mean: float
    stderr: float
    population_mean: float
    population_sd: float


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of a person under the model in service."""

    user: User
    model: str
    information: float
    directions: tuple[Coordinate, ...]
    group: int = 0
    group_share: float = 1.0
    effective_answers: float = 0.0
    """How many answers at even odds those given are worth."""
    repeated: int = 0
    consistent: int = 0
    consistency: float | None = None
    """Share of the pairs asked twice that were answered the same."""
    fitted_model: str | None = None
    """None where the profile is the population's."""


@dataclass(frozen=True, slots=True)
class UserDeleted:
    """What was removed; scores are those of the population from now on."""

    id: str
    removed: dict[str, int]
    statement: dict[str, Any] | None = None
    """The same, signed, and which versions of the model were trained on the person."""


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person said about learning from their next turns."""

    user: str
    follow_ups: bool | None
    """None where nothing is on record; False is an opt-out."""
    updated_at: datetime | None
    removed: int = 0
    """Comparisons that were removed by a change."""


@dataclass(frozen=True, slots=True)
class PairSide:
    """A candidate by its place, or a text of the pool."""

    index: int | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """The pair to ask."""

    model: str
    user: str
    a: PairSide
    b: PairSide
    information: float
    id: str | None = None
    prompt: str | None = None


def _user(name: str) -> str:
    return f"/v1/users/{segment(name)}"


def put_user(
    user: str,
    *,
    attributes: Mapping[str, Attribute] | None = None,
    if_match: str | None = None,
    idempotency_key: str | None = None,
) -> Request[User]:
    """Make a person, or change their attributes; those that are left out stay.

    Args:
        user: name.
        attributes: all of them.
        if_match: the `etag` of a raw reply, to change nothing that somebody else has changed since.
        idempotency_key: of the change.

    Example:
        client.users.put("ada", attributes={"locale": "en"}).state
        read = client.users.get.with_raw_response("ada")
        more = {**read.parse().attributes, "age": 36}
        client.users.put("ada", attributes=more, if_match=read.etag)
    """
    body = body_of(attributes=None if attributes is None else dict(attributes))
    return Request(
        "PUT",
        _user(user),
        decoder(User),
        body=body,
        writes=True,
        key=idempotency_key,
        if_match=if_match,
    )


def get_user(user: str) -> Request[User]:
    """One person.

    Example:
        client.users.get("ada").comparisons
    """
    return Request("GET", _user(user), decoder(User))


def list_users(
    *, limit: int = 100, after: str | None = None, state: str | None = None
) -> Request[Page[User]]:
    """People whom the service has met, by name; those who are `restricted` or `quarantined` alone by `state`.

    Example:
        page = client.users.list(limit=10)
        names = [user.id for user in client.users.iterate()]  # page after page
    """
    query = {"limit": limit, "after": after, "state": state}
    return Request("GET", "/v1/users", decoder(Page[User]), query)


def delete_user(user: str, *, if_match: str | None = None) -> Request[UserDeleted]:
    """Remove everything that names a person; with the `etag` of a raw reply only while it is still right.

    Should the reply to an earlier attempt have been lost, the next one says 404.

    Example:
        client.users.delete("somebody").removed
    """
    return Request("DELETE", _user(user), decoder(UserDeleted), writes=True, if_match=if_match)


def get_profile(user: str) -> Request[Profile]:
    """What is known of a person.

    Example:
        profile = client.users.profile("ada")
        [one.mean for one in profile.directions]
    """
    return Request("GET", _user(user) + "/profile", decoder(Profile))


def reset_profile(user: str) -> Request[User]:
    """Forget the fit and keep the comparisons.

    Example:
        client.users.reset_profile("ada").profile_version
    """
    return Request("POST", _user(user) + "/profile:reset", decoder(User), writes=True)


def restrict_user(user: str) -> Request[User]:
    """Keep what a person has said and use nothing of it; their scores are those of the population.

    Example:
        client.users.restrict("ada").state
    """
    return Request("POST", _user(user) + ":restrict", decoder(User), writes=True)


def unrestrict_user(user: str) -> Request[User]:
    """Lift a restriction; the person is fitted from all that they have said.

    Example:
        client.users.unrestrict("ada").fitted_comparisons
    """
    return Request("POST", _user(user) + ":unrestrict", decoder(User), writes=True)


def release_user(user: str) -> Request[User]:
    """Lift a quarantine, with a key that has the scope `admin`; what was said is trained on again.

    Example:
        client.users.release("ada").signals
    """
    return Request("POST", _user(user) + ":release", decoder(User), writes=True)


def get_consent(user: str) -> Request[Consent]:
    """What a person said about learning from their next turns.

    Example:
        client.users.consent("ada").follow_ups
    """
    return Request("GET", _user(user) + "/consent", decoder(Consent))


def put_consent(
    user: str, *, follow_ups: bool, idempotency_key: str | None = None
) -> Request[Consent]:
    """Keep what a person says; an opt-out also removes what was read off their turns.

    Example:
        client.users.put_consent("ada", follow_ups=True)
    """
    body = body_of(follow_ups=follow_ups)
    return Request(
        "PUT", _user(user) + "/consent", decoder(Consent), body=body, writes=True,
        key=idempotency_key,
    )  # fmt: skip


def export_user(user: str) -> Request[list[dict[str, Any]]]:
    """Everything held about a person, one object a row, its table under `kind`.

    Example:
        kinds = {row["kind"] for row in client.users.export("ada")}
    """
    return Request("POST", _user(user) + ":export", _lines)


def _lines(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines() if line]


def next_pair(
    user: str,
    *,
    candidates: Sequence[Candidate] | None = None,
    pairs: Sequence[tuple[int, int]] | None = None,
    prompt: Prompt | None = None,
    exclude: Sequence[str] = (),
    strategy: str = "d_opt",
    model: str = "default",
) -> Request[Pair]:
    """The pair whose answer would teach most, of the candidates or of the model's own pool.

    Example:
        pair = client.users.next_pair("ada", candidates=["Briefly.", "At length.", "No."])
        pair.a.index, pair.b.index
    """
    given = None if candidates is None else several("candidates", candidates)
    sent = None if given is None else [candidate_of(one) for one in given]
    body = body_of(
        candidates=sent, pairs=pairs, prompt=prompt, exclude=list(exclude), strategy=strategy,
        model=model,
    )  # fmt: skip
    return Request("POST", _user(user) + ":next-pair", decoder(Pair), body=body)
