"""What a process reads when it starts."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from gustibus.artifact import BROKEN, Artifact, People
from gustibus.errors import ArtifactError, GustibusError
from gustibus.onboarding import Exposure
from gustibus.service.breaker import Breaker
from gustibus.service.memory import check_fits
from gustibus.service.pooling import RemoteEncoder
from gustibus.service.serving import REMOTE, Serving
from gustibus.service.settings import MODEL_NAME, Settings, new_secret
from gustibus.service.threads import Threads
from gustibus.store import (
    FOLD_FROM,
    Connection,
    ProfileRow,
    Store,
    VersionRow,
    allow_time,
    champion,
    deleted_among,
    exposure,
    fold_exposure,
    iter_placed,
    iter_unplaced,
    iter_vectors,
    list_aliases,
    list_keys,
    list_versions,
    make_hashing_key,
    position,
    quarantined_users,
    restricted_users,
    setting,
    training_forgotten,
    unready_items,
)

if TYPE_CHECKING:
    from gustibus.service.metrics import Meter
    from gustibus.service.state import State

_PART = 10_000  # people of a training that come into memory together

log = logging.getLogger("gustibus.service")


def load(state: State) -> None:
    """Open the store and the model, and fill every table; runs once, before anything is served.

    Raises:
        ConfigError: the store's schema is not this version's, or the model has a name that none may have.
        ArtifactError: the model is damaged.
    """
    settings = state.settings
    store = Store(settings.database, readers=settings.readers + 1, writers=settings.writers)
    store.check_schema()
    state.store = store
    if not MODEL_NAME.fullmatch(settings.model_name):
        _refuse_name(settings, store)
    writers = 1 if store.dialect == "sqlite" else settings.writers
    state.threads = Threads(
        store, readers=settings.readers, writers=writers, waiting=settings.queue,
        tell=state.meter.transactions.observe,
    )  # fmt: skip
    if not settings.secret:
        with store.write() as conn:
            state.secure(setting(conn, name="secret", default=new_secret))
    make_hashing_key(store)
    if settings.model:
        state.serve(open_model(state, Path(settings.model), None))
    elif settings.models:
        with store.read() as conn:
            row = champion(conn, model=settings.model_name)
        if row is not None:
            state.serve(open_model(state, Path(settings.models) / row.digest, row))
    fill(state)


def _refuse_name(settings: Settings, store: Store) -> None:
    """Refuse a name of a form that new models may not have, unless the store has it from before.

    Raises:
        ConfigError: neither versions are registered under it, nor are keys for it.
    """
    name = settings.model_name
    with store.read() as conn:
        known = list_versions(conn, model=name, limit=1)
        if not known and not any(name in (row.models or ()) for row in list_keys(conn)):
            raise settings.wrong_name()


def open_model(
    state: State, folder: Path, row: VersionRow | None, *, beside: int | None = None
) -> Serving:
    """A model from its folder, verified, and found to give numbers.

    Args:
        state: of the process.
        folder: of the model.
        row: the version that it is registered as; None for one that is not.
        beside: people who get a place under it while another model is in memory too: it is refused where it
            does not fit; None for a process that has nothing to lose yet.

    Raises:
        ArtifactError: the folder is damaged, or holds another model.
        GustibusError: it needs more memory than there is.
    """
    settings, began = state.settings, perf_counter()
    if beside is not None and settings.check_memory:
        encodes = settings.warm and not settings.encoder_url
        check_fits(folder, people=beside, encodes=encodes)
    artifact = Artifact.load(folder)
    if row is not None and artifact.digest != row.digest:
        message = f"{folder}: holds {artifact.digest[:12]}, not version {row.version}"
        raise ArtifactError(message, where=str(folder))
    _check_dims(settings, artifact, folder)
    try:
        serving = Serving(
            artifact, name=settings.model_name, texts=settings.texts, meter=state.meter,
            version=None if row is None else row.version, texts_bytes=settings.texts_bytes,
            remote=remote_encoder(settings, artifact, state.meter),
            connections=settings.encoder_connections,
            warm=settings.warm, bound=settings.bound_embeddings,
            max_delay_ms=settings.encoder_max_delay_ms, max_wait=settings.max_wait,
        )  # fmt: skip
        serving.check()
    except GustibusError:
        raise
    except BROKEN as error:
        message = f"{folder}: cannot be served: {type(error).__name__}: {error}"
        raise ArtifactError(message, where=str(folder)) from error
    serving.load_seconds = perf_counter() - began
    return serving


def _check_dims(settings: Settings, artifact: Artifact, folder: Path) -> None:
    """Refuse a model whose vectors are longer than may be.

    Raises:
        ArtifactError: it says which setting allows them.
    """
    model = artifact.model
    for name, dim in (("embedding_dim", model.item_dim), ("user_dim", model.user_dim)):
        most = getattr(settings, name)
        if dim > most:
            message = (
                f"{folder}: {name}: expected at most {most} (GUSTIBUS_{name.upper()}), got {dim}"
            )
            raise ArtifactError(message, where=str(folder))


def remote_encoder(
    settings: Settings, artifact: Artifact, meter: Meter | None = None
) -> RemoteEncoder | None:
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
        tell=None if meter is None else partial(meter.batches.begun, REMOTE),
    )  # fmt: skip


def fill(state: State) -> None:
    """Fill every table of a state from the store, for the model that it serves."""
    with state.store.read() as conn:
        allow_time(conn)
        state.sequence = position(conn)  # first: what is written from now on is read again
        state.keys.load(list_keys(conn))
        load_aliases(state, conn)
        _load_people(state, conn)
        _load_items(state, conn)
        state.exposure, _ = shown(state, conn)


def load_aliases(state: State, conn: Connection) -> None:
    """Take over where aliases point."""
    if not state.settings.models:
        return
    found = list_aliases(conn, model=state.settings.model_name)
    state.aliases = {row.alias: row.version for row in found}
    serving = state.serving
    if serving is not None:
        serving.aliases = frozenset(row.alias for row in found if row.version == serving.version)


def _load_people(state: State, conn: Connection) -> None:
    """People of the training first, then those of the store, whose profiles win."""
    if state.serving is not None:
        _load_trained(state, conn, state.serving.artifact.people)
    for page in iter_placed(conn, model=state.digest):
        state.people.load(*page)
    for versions in iter_unplaced(conn, model=state.digest):
        state.people.meet(versions)
    state.people.quarantined.update(quarantined_users(conn))
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


def keep(state: State, row: ProfileRow) -> None:
    """Take a profile over; whoever is fitted needs the version before no longer."""
    mean = None if row.count == 0 else row.mean
    state.people.put(row.user, mean, count=row.count, version=row.version)
    if row.fitted_through:  # not while answers wait for vectors
        state.release(row.user)


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
