"""What a process reads when it starts, and what it reads again when others have written."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gustibus.artifact import BROKEN, Artifact, People
from gustibus.errors import ArtifactError, GustibusError
from gustibus.onboarding import Exposure
from gustibus.service.breaker import Breaker
from gustibus.service.pooling import RemoteEncoder
from gustibus.service.serving import Serving
from gustibus.service.settings import Settings, new_secret
from gustibus.service.threads import Threads
from gustibus.store import (
    FOLD_FROM,
    Connection,
    KeyRow,
    ProfileRow,
    Store,
    VersionRow,
    add_usage,
    allow_time,
    champion,
    deleted_among,
    existing_items,
    exposure,
    exposure_is_off,
    find_vectors,
    fold_exposure,
    iter_placed,
    iter_unplaced,
    iter_vectors,
    list_aliases,
    list_keys,
    position,
    profiles_of,
    purge_changes,
    purge_replies,
    restricted_among,
    restricted_users,
    setting,
    settle_exposure,
    since,
    training_forgotten,
    unready_items,
    versions_of,
)

if TYPE_CHECKING:
    from gustibus.service.state import State
    from gustibus.types import F32

_MOST = 500  # names read at once
_PART = 10_000  # people of a training that come into memory together
_EXPOSURE = 10.0  # seconds that counts of shown questions stay as they are
_TICK = 0.05  # seconds between looks at how late the event loop is
_LOOKS = 10  # that must agree
_USAGE = 10.0  # seconds of usage that a crash may lose
_PURGE = 3600.0  # seconds between removals of what nobody needs any more
_SETTLE = 86400.0  # seconds between looks whether counts of shown questions are right

log = logging.getLogger("gustibus.service")


def load(state: State) -> None:
    """Open the store and the model, and fill every table; runs once, before anything is served.

    Raises:
        ConfigError: the store's schema is not this version's.
        ArtifactError: the model is damaged.
    """
    settings = state.settings
    store = Store(settings.database, readers=settings.readers + 1, writers=settings.writers)
    store.check_schema()
    state.store = store
    writers = 1 if store.dialect == "sqlite" else settings.writers
    state.threads = Threads(
        store, readers=settings.readers, writers=writers, waiting=settings.queue
    )
    if not settings.secret:
        with store.write() as conn:
            state.secure(setting(conn, name="secret", default=new_secret))
    if settings.model:
        state.serve(open_model(state, Path(settings.model), None))
    elif settings.models:
        with store.read() as conn:
            row = champion(conn, model=settings.model_name)
        if row is not None:
            state.serve(open_model(state, Path(settings.models) / row.digest, row))
    fill(state)


def open_model(state: State, folder: Path, row: VersionRow | None) -> Serving:
    """A model from its folder, verified, and found to give numbers.

    Args:
        state: of the process.
        folder: of the model.
        row: the version that it is registered as; None for one that is not.

    Raises:
        ArtifactError: the folder is damaged, or holds another model.
    """
    settings = state.settings
    artifact = Artifact.load(folder)
    if row is not None and artifact.digest != row.digest:
        message = f"{folder}: holds {artifact.digest[:12]}, not version {row.version}"
        raise ArtifactError(message, where=str(folder))
    try:
        serving = Serving(
            artifact, name=settings.model_name, texts=settings.texts, meter=state.meter,
            version=None if row is None else row.version, remote=remote_encoder(settings, artifact),
            connections=settings.encoder_connections, texts_bytes=settings.texts_bytes,
            warm=settings.warm, bound=settings.bound_embeddings,
        )  # fmt: skip
        serving.check()
    except GustibusError:
        raise
    except BROKEN as error:
        message = f"{folder}: cannot be served: {type(error).__name__}: {error}"
        raise ArtifactError(message, where=str(folder)) from error
    return serving


def remote_encoder(settings: Settings, artifact: Artifact) -> RemoteEncoder | None:
    """The pooling server of the settings for a model of texts; None where it encodes here, or cannot."""
    spec = artifact.card.get("encoder")
    if not settings.encoder_url or not spec:
        return None
    named = spec["options"].get("model") or spec["name"]
    return RemoteEncoder(
        settings.encoder_url, model=settings.encoder_model or named,
        dim=artifact.model.item_dim, fingerprint=spec["fingerprint"], key=settings.encoder_key,
        timeout=settings.encoder_timeout,
        breaker=Breaker(failures=settings.encoder_failures, pause=settings.encoder_pause),
    )  # fmt: skip


def fill(state: State) -> None:
    """Fill every table of a state from the store, for the model that it serves."""
    with state.store.read() as conn:
        allow_time(conn)
        state.sequence = position(conn)  # first: what is written from now on is read again
        state.keys.load(list_keys(conn))
        _load_aliases(state, conn)
        _load_people(state, conn)
        _load_items(state, conn)
        state.exposure, _ = shown(state, conn)


def _load_aliases(state: State, conn: Connection) -> None:
    serving = state.serving
    if serving is not None and serving.version is not None:
        found = list_aliases(conn, model=serving.name)
        serving.aliases = frozenset(row.alias for row in found if row.version == serving.version)


def _load_people(state: State, conn: Connection) -> None:
    """People of the training first, then those of the store, whose profiles win."""
    if state.serving is not None:
        _load_trained(state, conn, state.serving.artifact.people)
    for page in iter_placed(conn, model=state.digest):
        state.people.load(*page)
    for versions in iter_unplaced(conn, model=state.digest):
        state.people.meet(versions)
    state.people.restrict(restricted_users(conn))  # last: what the training says of them goes too


def _load_trained(state: State, conn: Connection, trained: People) -> None:
    """Those of the training who were not deleted; in parts, for a copy of all would be the peak."""
    state.forgotten = training_forgotten(conn, users=trained.ids)
    gone = state.forgotten | deleted_among(conn, users=trained.ids)
    for start in range(0, len(trained.ids), _PART):
        names = trained.ids[start : start + _PART]
        kept = [row for row, user in enumerate(names, start) if user not in gone]
        names = tuple(trained.ids[row] for row in kept)
        state.people.load(names, trained.means[kept], trained.counts[kept], 0)


def _put(state: State, row: ProfileRow) -> None:
    mean = None if row.count == 0 else row.mean
    state.people.put(row.user, mean, count=row.count, version=row.version)


def _load_items(state: State, conn: Connection) -> None:
    for item, vector in iter_vectors(conn, model=state.digest):
        state.items.put(item, vector)
    unready = unready_items(conn, model=state.digest)
    for item in unready:
        state.items.wait(item)
    state.encoding.add(unready)


def shown(state: State, conn: Connection) -> tuple[Exposure | None, int]:
    """How often each question of the model's pool was shown, and how many changes make that up."""
    serving = state.serving
    if serving is None or serving.artifact.pool is None:
        return None, 0
    counts = np.zeros(len(serving.artifact.pool), np.int64)
    found = exposure(conn, model=serving.digest)
    for row, count in found.counts.items():
        if row < len(counts):
            counts[row] = max(count, 0)  # too low until it is settled
    return Exposure(counts, max(found.people, 0)), found.changes


async def count_shown(state: State) -> None:
    """Look how often each question was shown; where that takes many changes, they are added up."""
    state.exposure, changes = await state.threads.read(lambda conn: shown(state, conn))
    if changes >= FOLD_FROM:
        await state.threads.write(lambda conn: fold_exposure(conn, model=state.digest))


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
    while True:
        await state.alarm.changes(state.settings.refresh)
        try:
            await catch_up(state)
            state.alarm.looked(state.sequence)
            if loop.time() > counted + _EXPOSURE:
                counted = loop.time()
                await count_shown(state)
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
        await state.threads.read(lambda conn: _load_aliases(state, conn))
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
        elif user in news.profiles:
            _put(state, news.profiles[user])
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
    """Begin or end restrictions as the store says, but where this process knows of something later."""
    for user, version in news.versions.items():
        found = state.people.find(user)
        if found is not None and found.version > version:
            continue
        if user in news.restricted:
            state.people.restrict([user])
            state.spreads.drop(user)
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
    return News(
        versions, gone, training_forgotten(conn, users=users),
        restricted_among(conn, users=users), profiles,
        find_vectors(conn, found=items, model=model),
        existing_items(conn, items=items),
    )  # fmt: skip
