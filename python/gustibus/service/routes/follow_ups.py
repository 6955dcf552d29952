"""What people say next: their consent, and turns that become weak comparisons under it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Annotated, Literal

from msgspec import Meta, Struct

from gustibus.rewards.implicit import ORIGIN, Turn, implicit_rows, may_read
from gustibus.service.call import Call, Reply, encode, ok
from gustibus.service.candidates import AnyCandidate, Candidate, Prompt, text_of
from gustibus.service.ids import Id
from gustibus.service.once import given_again, once
from gustibus.service.problems import Problem, invalid
from gustibus.service.routes.comparisons import ComparisonsReply, write_answers
from gustibus.service.routing import STORE, Route
from gustibus.service.sides import NewAnswer, side_of, sides_of
from gustibus.store import (
    Connection,
    audit,
    consents_of,
    deleted_users,
    get_consent,
    hashed_user,
    restricted_among,
    set_consent,
)

MAX_TURNS = 1000
MIN_GAP = 0.05

Valence = Annotated[float, Meta(ge=-1e6, le=1e6)]
Gap = Annotated[float, Meta(ge=0, le=1e6)]
Reason = Literal["no_consent", "opted_out", "restricted", "user_deleted"]


class PutConsent(Struct, forbid_unknown_fields=True):
    """What a person says about learning from their next turns."""

    follow_ups: bool
    """False is an opt-out: what was read off their turns is removed, and nothing more is taken."""


class Consent(Struct):
    """What a person said; nothing may be read of somebody who said nothing."""

    user: str
    object: Literal["consent"]
    follow_ups: bool | None
    """None where nothing is on record."""
    updated_at: datetime | None
    removed: int = 0
    """Comparisons that were removed by this change."""


class NewTurn(Struct, forbid_unknown_fields=True):
    """One response, and what its person said next."""

    user: Id
    response: AnyCandidate
    """A text or an item."""
    prompt: Prompt | None = None
    next_turn: Prompt | None = None
    """In the person's words; read for its tone and not kept."""
    valence: Valence | None = None
    """How satisfied the turn is, where the application judges that itself."""
    consent: bool | None = None
    """Whether the person agreed; what is on record of them unless given."""


class PostFollowUps(Struct, forbid_unknown_fields=True):
    """Turns of one or many people; two responses to one prompt are compared if they are sent together."""

    turns: Annotated[list[NewTurn], Meta(min_length=1, max_length=MAX_TURNS)]
    min_gap: Gap = MIN_GAP
    """Least difference of valence between two responses of which one is to be preferred."""


class Skipped(Struct):
    """A turn that was not read."""

    index: int
    reason: Reason


class FollowUpsReply(Struct):
    """What became of turns; the comparisons made of them have the source `implicit`."""

    read: int
    """Turns that were read."""
    skipped: list[Skipped]
    accepted: int
    """New comparisons."""
    duplicates: int
    """Comparisons that were here before."""
    ids: list[str | None]
    profiles: Literal["queued"]


async def show_consent(call: Call) -> Reply:
    """What a person said about learning from their next turns."""
    user = call.param("user")
    call.user = user
    row = await call.state.threads.read(lambda conn: get_consent(conn, user=user))
    if row is None:
        return ok(Consent(user, "consent", None, None))
    return ok(Consent(user, "consent", row.follow_ups, row.updated_at))


async def put_consent(call: Call) -> Reply:
    """Keep what a person says; an opt-out removes what was read off their turns."""
    user, body, state = call.param("user"), call.read(PutConsent), call.state
    call.user = user
    actor = "" if call.caller is None else call.caller.id
    removed = 0

    def work(conn: Connection) -> Reply:
        nonlocal removed
        if user in deleted_users(conn, users=[user]):
            raise Problem("user_deleted", f"{user!r} was deleted")
        row, removed = set_consent(conn, user=user, follow_ups=body.follow_ups)
        audit(
            conn, actor=actor, action="user.consent", what=hashed_user(conn, user),
            request_id=call.request_id, follow_ups=body.follow_ups,
        )  # fmt: skip
        told = Consent(user, "consent", row.follow_ups, row.updated_at, removed)
        return Reply(200, encode(told))

    reply = await once(call, work, users=[user])
    if user not in state.people:
        state.set_person(user, None, count=0, version=0)
    if removed:
        state.refits.add([user])
    return reply


async def post(call: Call) -> Reply:
    """Read turns of people who agreed to it, and keep the comparisons they make."""
    body, state = await call.read_aside(PostFollowUps), call.state
    users = sorted({turn.user for turn in body.turns})
    turns, skipped = await _permitted(call, body.turns, users)
    rows = await _rows(call, body, turns)
    sides = await sides_of(call, rows)
    taken: set[str] = set()
    kept: list[str] = []

    def work(conn: Connection) -> Reply:
        told = ComparisonsReply(0, 0, [], [], "queued")
        if rows:
            told, people, kept[:] = write_answers(conn, call, rows, sides)
            taken.update(people)
        reply = FollowUpsReply(
            len(turns), skipped, told.accepted, told.duplicates, told.ids, "queued"
        )
        return Reply(201, encode(reply))

    reply = await once(call, work, users=users)
    for user in taken:
        if user not in state.people:
            state.set_person(user, None, count=0, version=0)
    if not given_again(reply):
        state.meter.compare("follow_up", kept)
    state.refits.add(taken)
    return reply


async def _permitted(
    call: Call, turns: Sequence[NewTurn], users: Sequence[str]
) -> tuple[dict[int, Turn], list[Skipped]]:
    """Turns that may be read, by their place, still without what was said; and the others."""

    def look(conn: Connection) -> tuple[set[str], set[str], dict[str, bool]]:
        gone, still = deleted_users(conn, users=users), restricted_among(conn, users=users)
        return gone, still, consents_of(conn, users=users)

    gone, still, said = await call.state.threads.read(look)
    agreed = {user for user, yes in said.items() if yes}
    out = {user for user, yes in said.items() if not yes}
    found: dict[int, Turn] = {}
    skipped: list[Skipped] = []
    for place, one in enumerate(turns):
        at = f"/turns/{place}"
        prompt = "" if one.prompt is None else text_of(one.prompt, f"{at}/prompt")
        turn = Turn(one.user, prompt, _response(call, one, at), str(place), one.consent)
        if one.user in gone:
            skipped.append(Skipped(place, "user_deleted"))
        elif one.user in still:
            skipped.append(Skipped(place, "restricted"))
        elif may_read(turn, agreed=agreed, opted_out=out):
            found[place] = turn
        else:
            skipped.append(Skipped(place, "opted_out" if one.user in out else "no_consent"))
    return found, skipped


def _response(call: Call, turn: NewTurn, at: str) -> str:
    """What names a response: two turns about the same one are one response.

    Raises:
        Problem: it is an embedding, no item, or a turn says nothing or two things.
    """
    if (turn.next_turn is None) == (turn.valence is None):
        raise invalid(at, "expected exactly one of next_turn and valence")
    if isinstance(turn.response, Candidate) and turn.response.embedding is not None:
        raise invalid(f"{at}/response", "expected a text or an item, got an embedding")
    if isinstance(turn.response, Candidate) and turn.response.vector is not None:
        raise invalid(f"{at}/response", "expected a text or an item, got a vector")
    side = side_of(call, turn.response, f"{at}/response")
    return f"text {side.text}" if side.item is None else f"item {side.item}"


async def _rows(call: Call, body: PostFollowUps, turns: Mapping[int, Turn]) -> list[NewAnswer]:
    """The comparisons that turns make, named by what they say, so that each is kept once."""
    valence = await _valences(call, body.turns, list(turns))
    made = implicit_rows(
        [Turn(t.user, t.prompt, t.response, t.next_turn, consent=True) for t in turns.values()],
        lambda places: [valence[int(place)] for place in places], min_gap=body.min_gap,
    )  # fmt: skip
    response = {turn.response: body.turns[place].response for place, turn in turns.items()}
    prompts = {turn.prompt: body.turns[place].prompt for place, turn in turns.items()}
    rows = []
    for row in made:
        said = json.dumps([row.user, row.prompt, row.response_a, row.response_b])
        name = f"follow-up-{blake2b(said.encode(), digest_size=20).hexdigest()}"
        rows.append(NewAnswer(
            row.user, response[row.response_a], response[row.response_b], "a", name,
            prompts[row.prompt], row.weight, source=ORIGIN,
        ))  # fmt: skip
    return rows


async def _valences(
    call: Call, turns: Sequence[NewTurn], places: Sequence[int]
) -> dict[int, float]:
    """How satisfied the turns at some places are: as the application says, or by their words."""
    found: dict[int, float] = {}
    texts: dict[int, str] = {}
    for place in places:
        given, said = turns[place].valence, turns[place].next_turn
        if given is not None:
            found[place] = given
        elif said is not None:
            texts[place] = text_of(said, f"/turns/{place}/next_turn")
    if not texts:
        return found
    serving = call.state.serving
    if serving is None:
        raise Problem("not_ready", "No model is loaded", retry_after=30)
    if not serving.has_encoder:
        where = f"/turns/{min(texts)}/next_turn"
        raise invalid(where, "the model has no text encoder; send the valence")
    values = await serving.valence(list(texts.values()))
    return found | dict(zip(texts, values.tolist(), strict=True))


_CONSENT = "/v1/users/{user}/consent"

ROUTES = (
    Route(
        "PUT", _CONSENT, "put_consent", "users:write", put_consent, "People",
        "Keep what a person says about learning from their next turns; an opt-out removes what was "
        "read off them.",
        request=PutConsent, response=Consent, problems=("user_deleted", "conflict", *STORE),
        idempotent=True, example={"follow_ups": True},
    ),
    Route(
        "GET", _CONSENT, "get_consent", "users:read", show_consent, "People",
        "What a person said about learning from their next turns.",
        response=Consent, problems=STORE,
    ),
    Route(
        "POST", "/v1/follow-ups", "post_follow_ups", "ingest", post, "Comparisons",
        "Turn what people said next into weak comparisons, with their consent alone.",
        request=PostFollowUps, response=FollowUpsReply, status=201,
        problems=(
            "not_found", "conflict", "item_pending", "user_deleted", "opted_out", "restricted",
            "too_much_text", "too_many_tokens", "not_ready", "encoder_unavailable", *STORE,
        ),
        idempotent=True,
        example={"turns": [
            {"user": "u-831", "prompt": "How long?", "response": "Ten minutes.",
             "next_turn": "Thanks, just what I needed.", "consent": True},
            {"user": "u-831", "prompt": "How long?", "response": "It depends.",
             "next_turn": "That does not answer my question.", "consent": True},
        ]},
    ),
)  # fmt: skip
