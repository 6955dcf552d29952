"""What one process holds: the model in service, people and items, and what works on them."""

from __future__ import annotations

import asyncio
import copy
import logging
import sys
from typing import TYPE_CHECKING

import numpy as np

from gustibus.service.counting import Counts
from gustibus.service.cursors import Cursors
from gustibus.service.encoding import Encoding
from gustibus.service.journal import Journal
from gustibus.service.keys import KeyTable
from gustibus.service.leases import Bucket
from gustibus.service.matchers import Matchers
from gustibus.service.metrics import Meter
from gustibus.service.newcomers import Newcomers
from gustibus.service.problems import NO_WRITES, Problem
from gustibus.service.quotas import Quotas
from gustibus.service.refits import Refits
from gustibus.service.sessions import SessionTokens
from gustibus.service.settings import Settings, new_secret
from gustibus.service.tables import ItemTable, PeopleTable, Person, Recent
from gustibus.service.wakeups import Alarm
from gustibus.service.windows import Windows, counts_of
from gustibus.store import (
    CHAMPION,
    Connection,
    Store,
    deleted_users,
    ensure_users,
    get_profile,
    restricted_among,
    versions_of,
)
from gustibus.store.schema import is_behind

if TYPE_CHECKING:
    from gustibus.onboarding import Exposure
    from gustibus.posterior import Posterior
    from gustibus.service.locales import Languages
    from gustibus.service.merging import Whole
    from gustibus.service.orienting import Frame
    from gustibus.service.serving import Serving
    from gustibus.service.spans import Spans
    from gustibus.service.superseded import Superseded
    from gustibus.service.threads import Threads
    from gustibus.types import F64

_PATIENCE = 2.0  # seconds for the store to answer a question about its health

log = logging.getLogger("gustibus.service")


class State:
    """Everything that handlers reach; only the event loop changes it.

    Attributes:
        settings: as the process was started with.
        meter: counters.
        quotas: what keys may do over all machines, None where each machine has its own.
        keys: who may do what.
        journal: the log.
        sessions: tokens of onboarding sessions.
        cursors: places in lists.
        counts: of whole tables, for operators.
        serving: the model, None without one.
        aliases: versions of the model by the names that point at them, as of when the store was last read.
        people: user vectors by name.
        items: representations by name.
        spreads: covariances of the people seen last, with the version they are of.
        refits: people to fit again.
        newcomers: new people by the keys that brought them.
        encoding: items to encode.
        matchers: running matchings.
        spans: what requests and jobs are traced by, None where no collector is named.
        begun: how many onboarding sessions each key began within a minute.
        answered: how many answers each session was sent within a minute.
        exposure: how often each question was shown, as of a few seconds ago.
        languages: in which language the questions are by the tags of items, None until somebody asks.
        forgotten: people of the training who were deleted once: nothing that it says of them is used.
        superseded: the version before, for people who are not fitted under this one yet; None where there is
            nobody.
        frame: where people were on the maps of the versions before, None until somebody asks.
        touched: people and items that this process changed since it last began to look at what
            others wrote.
        sequence: cursor into what was written.
        alarm: rung when another process has written.
        whole: asked for the figures of all processes, None where this process shows its own.
        moved: set when another version of the model is to be served.
        problem: why the version that is to be served is not; empty when it is.
        open: requests that are being answered with this state.
        ready: whether requests are answered.
        draining: whether the process is about to end.
    """

    store: Store
    threads: Threads
    loop: asyncio.AbstractEventLoop

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.meter = Meter()
        self.quotas = Quotas(settings) if settings.quotas else None
        rate, burst, _ = settings.share
        lease = self.quotas.leased if self.quotas is not None and rate else None
        self.keys = KeyTable(lease or (lambda _: Bucket(rate, burst)))
        self.serving: Serving | None = None
        self.aliases: dict[str, int] = {}
        self.people = PeopleTable(np.zeros(0))
        self.items = ItemTable(0)
        self.spreads: Recent[str, tuple[int, F64]] = Recent(settings.covariances)
        self.refits = Refits(self)
        self.newcomers = Newcomers()
        self.encoding = Encoding(self)
        self.matchers = Matchers()
        self.spans: Spans | None = None
        self.begun = counts_of(self.quotas, "sessions", settings.sessions, settings.workers)
        self.answered = Windows(settings.answers)
        self.counts = Counts()
        self.exposure: Exposure | None = None
        self.languages: Languages | None = None
        self.forgotten: set[str] = set()
        self.superseded: Superseded | None = None
        self.frame: Frame | None = None
        self.touched: set[tuple[str, str]] = set()
        self.sequence = 0
        self.alarm = Alarm()
        self.whole: Whole | None = None
        self.moved = asyncio.Event()
        self.problem = ""
        self.open = 0
        self.ready = False
        self.draining = False
        self.secure(settings.secret or new_secret())

    def secure(self, secret: str) -> None:
        """Take a secret into use; processes that share it accept each other's tokens."""
        self.journal = Journal(secret.encode(), sys.stderr.fileno() if self.settings.log else None)
        self.sessions = SessionTokens(secret)
        self.cursors = Cursors(secret)
        if self.quotas is not None:
            self.quotas.secure(secret)

    def serve(self, serving: Serving) -> None:
        """Take a model into use, with tables for it."""
        self.serving = serving
        self.people = PeopleTable(serving.population)
        self.items = ItemTable(serving.model.representation_dim)

    def successor(self) -> State:
        """A state for another model in the same process.

        What belongs to the process is shared; what belongs to the model begins empty. A request
        keeps the state that it began with, so that no reply mixes two models.
        """
        new = copy.copy(self)
        new.serving = None
        new.people = PeopleTable(np.zeros(0))
        new.items = ItemTable(0)
        new.spreads = Recent(self.settings.covariances)
        new.refits = Refits(new)
        new.newcomers = Newcomers()  # whom keys brought is placed by the model
        new.encoding = Encoding(new)
        new.exposure = new.frame = new.superseded = None
        new.forgotten, new.touched = set(), set()
        new.alarm = Alarm()
        new.problem = ""
        new.open = 0
        return new

    @property
    def digest(self) -> str:
        """Of the model in service; empty without one."""
        return "" if self.serving is None else self.serving.digest

    def trained(self, user: str) -> Posterior | None:
        """What the model's training said of somebody, None for people who were not in it."""
        if self.serving is None or user in self.forgotten:
            return None
        return self.serving.artifact.people.find(user)

    def set_person(
        self, user: str, mean: F64 | None, *, count: int, version: int, whole: bool = True
    ) -> None:
        """Note what this process has learned of somebody; `whole` unless answers wait for vectors."""
        self.people.put(user, mean, count=count, version=version)
        self.touched.add(("user", user))
        if whole:
            self.release(user)

    def release(self, user: str) -> None:
        """Serve somebody by this version, should the one before do so still."""
        if self.superseded is not None:
            self.superseded.release(user)

    def change_item(self, item: str) -> None:
        """Note that this process has changed an item, or removed it."""
        self.touched.add(("item", item))
        if self.superseded is not None:
            self.superseded.drop_item(item)

    def restrict_person(self, user: str, *, version: int) -> None:
        """Use nothing of somebody at once."""
        if self._is_newer(user, version):
            return
        self.people.restrict([user])
        self.set_person(user, None, count=0, version=version)
        self.spreads.drop(user)
        self.frame = None

    def unrestrict_person(self, user: str, *, version: int) -> None:
        """Use again what the training says of somebody; their answers follow when they are fitted."""
        if self._is_newer(user, version):
            return
        self.people.lift(user)
        before = self.trained(user)
        mean, count = (None, 0) if before is None else (before.mean, before.comparisons)
        self.set_person(user, mean, count=count, version=version)

    def _is_newer(self, user: str, version: int) -> bool:
        """Whether what is in memory of somebody is of a later version of their profile."""
        found = self.people.find(user)
        return found is not None and found.version > version

    def drop_person(self, user: str) -> None:
        """Forget somebody at once."""
        self.people.drop(user)
        self.spreads.drop(user)
        self.newcomers.drop(user)
        self.release(user)
        self.forget({user})
        self.touched.add(("user", user))

    def forget(self, users: set[str]) -> None:
        """Use nothing any more that the training says of people; of others it says nothing."""
        if self.serving is not None:
            self.forgotten |= users & self.serving.artifact.people.rows.keys()
        self.frame = None

    async def create_person(self, user: str) -> None:
        """Make a person nothing is known of, unless there is one of that name.

        Raises:
            Problem: 410 for somebody who was deleted.
        """

        def work(conn: Connection) -> int:
            refuse_deleted(conn, user)
            ensure_users(conn, users=[user])
            return versions_of(conn, users=[user])[user]

        version = await self.threads.write(work)
        if user not in self.people:
            self.set_person(user, None, count=0, version=version)

    def prior_spread(self) -> F64:
        """Covariance `(u, u)` of the population."""
        return np.zeros((0, 0)) if self.serving is None else self.serving.spread

    async def load_spread(self, user: str, person: Person) -> F64:
        """Covariance `(u, u)` of a person's user vector, from the store or the training."""
        row = await self.threads.read(lambda conn: get_profile(conn, user=user, model=self.digest))
        if row is not None:
            spread, version = row.covariance, row.version
        else:
            # some families say nothing of how sure they are: zeros that were kept are theirs
            kept = self.serving is not None and len(self.serving.artifact.people.covariances) > 0
            trained = self.trained(user) if kept else None
            spread = self.prior_spread() if trained is None else trained.covariance
            version = person.version
        self.spreads.put(user, (version, spread))
        return spread

    async def trouble(self) -> str:
        """Why no requests should be sent here; empty where nothing stands against it."""
        if not self.ready or self.draining:
            return "The service is starting or stopping"
        if self.serving is None and (self.settings.model or CHAMPION in self.aliases):
            return "The model that is promoted is not loaded"
        try:
            behind = await asyncio.wait_for(self.threads.read(is_behind), _PATIENCE)
        except Exception as error:
            log.warning("the store does not answer: %s", error)
            return "The store does not answer"
        return "The store's schema is older than this version's" if behind else ""

    def translate(self, error: Exception) -> Problem:
        """The reply for an error that is not one of ours."""
        if isinstance(error, OSError) and error.errno in NO_WRITES:
            return Problem("read_only", "A disk takes no writes now", retry_after=10)
        return Problem("internal", "The request id finds the reason in the log.")


def refuse_deleted(conn: Connection, user: str) -> None:
    """Nobody comes back by accident.

    Raises:
        Problem: 410 for somebody who was deleted and has not been put again.
    """
    if deleted_users(conn, users=[user]):
        detail = f"{user!r} was deleted; PUT /v1/users/{user} begins anew"
        raise Problem("user_deleted", detail)


def refuse_restricted(conn: Connection, user: str) -> None:
    """Nothing is asked of somebody of whom nothing is used.

    Raises:
        Problem: 409 for somebody whose processing is restricted.
    """
    if restricted_among(conn, users=[user]):
        raise restricted(user)


def restricted(user: str) -> Problem:
    """What somebody whose processing is restricted is refused with."""
    detail = (
        f"The processing of {user!r} is restricted; POST /v1/users/{user}:unrestrict lifts that"
    )
    return Problem("restricted", detail)
