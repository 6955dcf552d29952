"""Idempotency: the reply of a write is kept in the same transaction as its effect."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import TYPE_CHECKING

from gustibus.errors import ConflictError, InputError
from gustibus.service.call import JSON, Reply
from gustibus.service.problems import Problem
from gustibus.store import Connection, find_reply, keep_reply

if TYPE_CHECKING:
    from gustibus.service.call import Call

_REPLAYED = ((b"idempotency-replayed", b"true"),)


async def once(
    call: Call, effect: Callable[[Connection], Reply], *, users: Iterable[str] = ()
) -> Reply:
    """Run a write; under an `Idempotency-Key` only the first time, then its reply is given again.

    Args:
        call: the request.
        effect: a whole transaction but for the commit, and the reply to it.
        users: whom the reply names, so that deleting them removes it.

    Raises:
        Problem: 422 when the key came with another request before.
        InputError: the write is refused, and was not done under the key by another process meanwhile.
    """
    key = call.idempotency_key
    if key is None:
        return await call.state.threads.write(effect)
    try:
        return await call.state.threads.write(lambda conn: _under(conn, call, key, effect, users))
    except ConflictError:  # another request under the same key was faster: its reply is there now
        return await call.state.threads.write(lambda conn: _under(conn, call, key, effect, users))
    except (InputError, Problem):  # which may be because of what a faster one has changed
        reply = await call.state.threads.read(lambda conn: _given(conn, call, key))
        if reply is None:
            raise
        return reply


def given_again(reply: Reply) -> bool:
    """Whether a reply of `once` is that of an earlier request."""
    return _REPLAYED[0] in reply.headers


def _under(
    conn: Connection, call: Call, key: str, effect: Callable[[Connection], Reply],
    users: Iterable[str],
) -> Reply:  # fmt: skip
    known = _given(conn, call, key)
    if known is not None:
        return known
    reply = effect(conn)
    caller, route, said = _named(call)
    kept = keep_reply(
        conn, caller=caller, key=key, route=route, body_sha256=said, status=reply.status,
        reply=reply.body, users=users,
    )  # fmt: skip
    if not kept:
        message = "another request under the same key was faster"
        raise ConflictError(message)
    return reply


def _given(conn: Connection, call: Call, key: str) -> Reply | None:
    """The reply to an earlier request under a key, None without one.

    Raises:
        Problem: 422 when that was another request.
    """
    caller, route, said = _named(call)
    known = find_reply(conn, caller=caller, key=key, route=route, body_sha256=said)
    if known is None:
        return None
    if not known.matches:
        detail = "Idempotency-Key: this key was used with another request before"
        raise Problem("idempotency_mismatch", detail)
    return Reply(known.status, known.body, JSON, _REPLAYED)


def _named(call: Call) -> tuple[str, str, bytes]:
    """Who asks, for what, and the rest of the request by its digest."""
    caller = "" if call.caller is None else call.caller.id
    said = sha256(b"\0".join([repr(call.params).encode(), call.query_string, call.body])).digest()
    return caller, f"{call.route.method} {call.route.path}", said
