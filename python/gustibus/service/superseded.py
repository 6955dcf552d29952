"""The version that was in service before, kept for people who are still to be fitted under the new one.

A request that names one of them is answered with the whole state of the old version: its weights, items,
texts and uncertainties, so that nothing in the reply is of another. What that version cannot answer, such
as vectors that the new one has made, is answered by the new one, which knows nothing of that person yet.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from gustibus.errors import GustibusError
from gustibus.service.candidates import AnyCandidate
from gustibus.service.following import catch_up
from gustibus.service.memory import leaves
from gustibus.service.problems import Problem
from gustibus.store import allow_time, get_alias, iter_unfitted

if TYPE_CHECKING:
    from gustibus.service.call import Call
    from gustibus.service.state import State
    from gustibus.service.tables import Person
    from gustibus.store import Connection

T = TypeVar("T")

_OTHERWISE = frozenset({404, 409, 422, 502})
"""Statuses of what one version cannot do and another may."""

log = logging.getLogger("gustibus.service")


class Superseded:
    """An old version beside the one in service; only the event loop changes it.

    Args:
        old: state of the old version.
        new: that of the one in service.
        pending: people who are still to be fitted under the new one.
        seconds: that they may wait for it.
    """

    def __init__(self, old: State, new: State, pending: set[str], *, seconds: float) -> None:
        self.state = old
        self.pending = pending
        """Whom the old version serves; nobody joins them."""
        self.gone = asyncio.Event()
        """Set when the old version has been freed."""
        self._new = new
        self._wake = asyncio.Event()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.let_go)
        self._same_encoder = _encoder(old) == _encoder(new)
        assert old.serving is not None, "somebody has weights under it"
        self._serving = old.serving
        self._serving.superseded = True

    def release(self, user: str) -> None:
        """Serve somebody by the new version from now on."""
        self.pending.discard(user)
        if not self.pending:
            self._wake.set()

    def let_go(self) -> None:
        """The same for everybody."""
        self.pending.clear()
        self._wake.set()

    def drop_item(self, item: str) -> None:
        """Forget an item that this process has changed; the store tells what it is under the old version."""
        self.state.items.drop(item)
        self.state.touched.add(("item", item))

    def find(self, user: str) -> Person | None:
        """Somebody as the old version knows them; None for those whom it does not serve."""
        if user not in self.pending:
            return None
        person = self.state.people.find(user)
        if person is None or person.count == 0:  # deleted, restricted or reset by another process
            self.release(user)
            return None
        return person

    async def keep(self) -> None:
        """Follow what is written until nobody is left to be served."""
        every = self.state.settings.refresh
        while self.pending:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(every):
                    await self._wake.wait()
            try:
                await catch_up(self.state)
            except GustibusError as error:
                log.warning("what others wrote could not be read: %s", error)
            except Exception as error:  # the old version must be freed in the end
                log.error("what others wrote could not be read", exc_info=error)

    def end(self) -> None:
        """Take it out of the state in service."""
        self.let_go()
        self._timer.cancel()
        self._new.superseded = None

    async def answer(
        self, call: Call, run: Callable[[], Awaitable[T]], *, user: str, model: str,
        given: Iterable[AnyCandidate],
    ) -> T:  # fmt: skip
        """As `served`, for somebody who is pending."""
        if model != "default" and not self._serving.answers_to(model):
            return await run()
        if self.find(user) is None or not self._takes(given):
            return await run()
        old, new = self.state, call.state
        call.state = old
        old.open += 1
        try:
            return await run()
        except Problem as problem:
            if problem.kind.status not in _OTHERWISE:
                raise
        finally:
            old.open -= 1
            call.state = new
        return await run()

    def _takes(self, given: Iterable[AnyCandidate]) -> bool:
        """Whether the old version would understand candidates as they are meant.

        Embeddings are of the encoder in service, and so are those that a pooling server makes: another
        version's would be taken for what they are not. Whatever else it cannot take it refuses.
        """
        if self._same_encoder:
            return True
        if self._serving.remote is not None:
            texts = not all(_is_kept(one) for one in given)
            return not texts and not self._serving.model.prompt_dim
        return all(isinstance(one, str) or one.embedding is None for one in given)


async def served(
    call: Call, run: Callable[[], Awaitable[T]], *, user: str | None, model: str,
    given: Iterable[AnyCandidate],
) -> T:  # fmt: skip
    """What a request for one person is answered with, under the version that serves that person.

    Args:
        call: the request; its state is the old version's while that answers.
        run: makes the answer with the state of the call; a second time where the old version cannot.
        user: whom it names.
        model: that it names.
        given: its candidates.
    """
    superseded = call.state.superseded
    if superseded is None or user is None or user not in superseded.pending:
        return await run()
    return await superseded.answer(call, run, user=user, model=model, given=given)


def references_of(transform: Any) -> Iterable[AnyCandidate]:
    """The candidates among what a request says of a transform."""
    return getattr(transform, "references", ())


def _is_kept(candidate: AnyCandidate) -> bool:
    """Whether a candidate has a vector already."""
    if isinstance(candidate, str):
        return False
    return candidate.id is not None or candidate.vector is not None


def _encoder(state: State) -> tuple[str, int]:
    """What makes embeddings of a version those of another as well."""
    assert state.serving is not None, "only states with a model are compared"
    spec = state.serving.artifact.card.get("encoder") or {}
    return str(spec.get("fingerprint", "")), state.serving.model.item_dim


async def superseded_by(old: State, new: State) -> Superseded | None:
    """The old version beside a new one that is filled; None where nobody needs it, or it has no room."""
    settings = old.settings
    if old.serving is None or new.serving is None or settings.keep_stale == 0:
        return None
    if settings.check_memory and not leaves(settings.texts_bytes):
        log.warning("no memory is left to serve people by the version before until they are fitted")
        return None
    weighted = old.people.weighted()

    def look() -> tuple[set[str], float]:
        known = weighted()
        with new.store.read() as conn:
            allow_time(conn)
            pages = iter_unfitted(conn, model=new.digest)
            return {user for page in pages for user in page if user in known}, _age(conn, new)

    try:
        pending, age = await asyncio.to_thread(look)
    except GustibusError as error:
        log.warning("who is to be fitted under the new version could not be read: %s", error)
        return None
    seconds = settings.keep_stale - age
    if not pending or seconds <= 0:
        return None
    return Superseded(old, new, pending, seconds=seconds)


def _age(conn: Connection, new: State) -> float:
    """Seconds since the version was promoted, so that all processes let the one before go at once."""
    row = get_alias(conn, model=new.settings.model_name)
    return 0.0 if row is None else max(0.0, (datetime.now(UTC) - row.updated_at).total_seconds())
