"""What a process does beside its requests: it follows what others write, clears up, and listens to itself."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from gustibus.errors import GustibusError
from gustibus.service.loading import count_shown, keep, load_aliases
from gustibus.store import (
    Connection,
    KeyRow,
    ProfileRow,
    add_usage,
    deleted_among,
    existing_items,
    exposure_is_off,
    find_vectors,
    jobs_at_work,
    list_keys,
    profiles_of,
    purge_changes,
    purge_replies,
    quarantines_of,
    restricted_among,
    settle_exposure,
    since,
    training_forgotten,
    versions_of,
)

if TYPE_CHECKING:
    from gustibus.service.state import State
    from gustibus.types import F32

_MOST = 500  # names read at once
_BACKLOG = 5.0  # seconds between looks at which jobs wait and run
_TICK = 0.05  # seconds between looks at how late the event loop is
_LOOKS = 10  # that must agree
_USAGE = 10.0  # seconds of usage that a crash may lose
_PURGE = 3600.0  # seconds between removals of what nobody needs any more
_SETTLE = 86400.0  # seconds between looks whether counts of shown questions are right
_EXPOSURE = 10.0  # seconds that counts of shown questions stay as they are

log = logging.getLogger("gustibus.service")


async def _settle(state: State) -> None:
    """Correct how often questions were shown; as a rule nothing is off, and nothing is written."""
    if await state.threads.read(exposure_is_off):
        await state.threads.write(settle_exposure)


async def watch_lag(state: State) -> None:
    """Measure how late the event loop comes to what is due, until cancelled.

    What counts is the least of the last looks: a queue is there at every one of them, a pause is not.
    """
    loop = asyncio.get_running_loop()
    late: deque[float] = deque([0.0] * _LOOKS, maxlen=_LOOKS)
    while True:
        due = loop.time() + _TICK
        await asyncio.sleep(_TICK)
        late.append(max(0.0, loop.time() - due))
        state.meter.lag = min(late)


async def follow(state: State) -> None:
    """Read again what other processes write, and clear up, until cancelled."""
    loop = asyncio.get_running_loop()
    counted, written = loop.time(), loop.time()
    purged, settled = loop.time() - _PURGE, loop.time() - _SETTLE
    looked = loop.time() - _BACKLOG
    while True:
        await state.alarm.changes(state.settings.refresh)
        try:
            await catch_up(state)
            state.alarm.looked(state.sequence)
            if loop.time() > counted + _EXPOSURE:
                counted = loop.time()
                await count_shown(state)
            if loop.time() > looked + _BACKLOG:
                looked = loop.time()
                state.meter.backlog.see(
                    (await state.counts.of(state.threads, "backlog", jobs_at_work)).value
                )
            if loop.time() > written + _USAGE:
                written = loop.time()
                await write_usage(state)
            if loop.time() > purged + _PURGE:
                purged = loop.time()
                await state.threads.write(_purge)
            if loop.time() > settled + _SETTLE:
                settled = loop.time()
                await _settle(state)
        except GustibusError as error:
            state.alarm.failed()
            state.meter.retry("changes")
            log.warning("what others wrote could not be read: %s", error)
        except Exception as error:  # the task must not end while the process serves
            state.alarm.failed()
            log.error("what others wrote could not be read", exc_info=error)


async def write_usage(state: State) -> None:
    """Write down what keys have used since the last time.

    Raises:
        GustibusError: the store cannot be used now; the counts are kept for the next time.
    """
    used, state.meter.usage = state.meter.usage, {}
    if not used:
        return
    day = datetime.now(UTC).date().isoformat()
    try:
        await state.threads.write(lambda conn: add_usage(conn, day=day, used=used))
    except BaseException:
        for key, (units, requests) in used.items():
            state.meter.use(key, units, requests)
        raise


def _purge(conn: Connection) -> None:
    purge_replies(conn)
    purge_changes(conn)


class News(NamedTuple):
    """What the store holds now of people and items that somebody changed."""

    versions: dict[str, int]
    """Of the profiles of people that exist."""
    gone: set[str]
    """People who were deleted."""
    forgotten: set[str]
    """People who were deleted once."""
    restricted: set[str]
    """People whose processing is restricted."""
    quarantined: set[str]
    profiles: dict[str, ProfileRow]
    vectors: dict[str, F32]
    items: set[str]
    """Items that exist, with a vector or without."""


async def catch_up(state: State) -> None:
    """Apply what was written since the last time."""
    state.touched.clear()  # what this process changes from now on is newer than what is read
    cursor, changes = await state.threads.read(lambda conn: since(conn, state.sequence))
    if any(change.kind == "key" for change in changes):
        keys: list[KeyRow] = await state.threads.read(list_keys)
        state.keys.load(keys)
    if any(change.kind == "model" for change in changes):
        state.moved.set()
        await state.threads.read(lambda conn: load_aliases(state, conn))
    users = [change.name for change in changes if change.kind == "user"]
    items = [change.name for change in changes if change.kind == "item"]
    for start in range(0, max(len(users), len(items)), _MOST):
        end = start + _MOST
        await _read_again(state, users[start:end], items[start:end])
    state.sequence = cursor


async def _read_again(state: State, users: list[str], items: list[str]) -> None:
    have = {user: found.version for user in users if (found := state.people.find(user))}
    news = await state.threads.read(lambda conn: _news(conn, users, items, have, state.digest))
    if news.forgotten:
        state.forget(news.forgotten)
    _restrict(state, news)
    for user in users:
        if ("user", user) in state.touched:
            continue
        if user in news.gone:
            state.people.drop(user)
            state.spreads.drop(user)
            state.release(user)
        elif user in news.profiles:
            keep(state, news.profiles[user])
        elif user in news.versions and have.get(user) != news.versions[user]:
            trained = state.trained(user)
            mean = None if trained is None else trained.mean
            count = 0 if trained is None else trained.comparisons
            state.people.put(user, mean, count=count, version=news.versions[user])
    for item in items:
        if ("item", item) in state.touched:
            continue
        if item in news.vectors:
            state.items.put(item, news.vectors[item])
        elif item in news.items:
            state.items.wait(item)
            state.encoding.add([item])
        else:
            state.items.drop(item)


def _restrict(state: State, news: News) -> None:
    """Begin or end restrictions and quarantines as the store says, but where something later is known here."""
    for user, version in news.versions.items():
        found = state.people.find(user)
        if found is not None and found.version > version:
            continue
        if user in news.quarantined:
            state.people.quarantined.add(user)
        else:
            state.people.quarantined.discard(user)
        if user in news.restricted:
            state.people.restrict([user])
            state.spreads.drop(user)
            state.release(user)
            state.frame = None
        else:
            state.people.lift(user)


def _news(
    conn: Connection, users: Sequence[str], items: Sequence[str], have: dict[str, int], model: str
) -> News:
    """Read people whose version is another than the one in memory, and items."""
    versions = versions_of(conn, users=users)
    gone = deleted_among(conn, users=[user for user in users if user not in versions])
    behind = [user for user, version in versions.items() if have.get(user) != version]
    profiles = {row.user: row for row in profiles_of(conn, users=behind, model=model)}
    held = quarantines_of(conn, users=users)
    return News(
        versions, gone, training_forgotten(conn, users=users),
        restricted_among(conn, users=users),
        {user for user, row in held.items() if row.lifted_at is None}, profiles,
        find_vectors(conn, found=items, model=model),
        existing_items(conn, items=items),
    )  # fmt: skip
