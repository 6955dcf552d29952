"""People whose answers have changed, fitted again in the background; requests are joined."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from time import perf_counter, time
from typing import TYPE_CHECKING

from gustibus.errors import GustibusError, OverloadedError
from gustibus.service.backoff import BackOff
from gustibus.service.clipping import whitened
from gustibus.service.evidence import (
    Known,
    Made,
    Represented,
    joined,
    read_known,
    represented,
    write_fits,
)
from gustibus.service.fitting import Answers, Fit, agreement, fit_person
from gustibus.service.signals import ENOUGH, Signal, expected, tells_little
from gustibus.store import (
    ComparisonRow,
    Connection,
    from_moment,
    marked_users,
    news_since,
    users_with_news,
)

if TYPE_CHECKING:
    from gustibus.service.serving import Serving
    from gustibus.service.state import State

_BATCH = 64  # people fitted together, written in one transaction
_SWEEP = 300.0  # seconds between looks for people whose fit was lost
_AWAITED = 10.0  # seconds to the next look while answers wait for vectors
_PEOPLE, _ANSWERS = 10_000, 20_000  # that are looked at together
_LATE = 600.0  # seconds by which an answer may be seen later than its id tells
ACTIVE = 90 * 86_400.0
"""Seconds since their last answer within which people are fitted before others."""
_EVERYBODY = 86_400.0  # seconds between looks at everybody; in between, at who has answered lately
_BACK_OFF = 1.0  # seconds after the store could not be used

log = logging.getLogger("gustibus.service")


class Refits:
    """The queue of people to fit, and the task that works it off.

    Args:
        state: whose people they are.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._queue: dict[str, list[asyncio.Future[int]]] = {}
        self._running: dict[str, list[asyncio.Future[int]]] = {}
        self._told: dict[str, float] = {}  # since when somebody of the queue waits
        self._begun: dict[str, float] = {}  # the same of those that are fitted now
        self._wake = asyncio.Event()
        self._due = 0.0
        self._missing = BackOff(first=_AWAITED, most=_SWEEP)
        self._since = comparison_from(time() - _LATE)
        self._name: str | None = ""  # where the look at everybody has come to; None when it is over
        self._active = comparison_from(time() - ACTIVE)  # empty once those have been looked at
        self._again = perf_counter() + _EVERYBODY

    @property
    def waiting(self) -> int:
        """People whose fit is still to come."""
        return len(self._queue.keys() | self._running.keys())

    def add(self, users: Iterable[str]) -> None:
        """Fit people again, soon."""
        if self._state.serving is None:
            return
        for user in users:
            self._queue.setdefault(user, [])
            self._told.setdefault(user, perf_counter())
        if self._queue:
            self._wake.set()

    async def wait(self, users: Sequence[str], seconds: float) -> dict[str, int] | None:
        """Fit people now and return their profile versions; None when that takes too long.

        Only a fit that begins after this call counts.
        """
        if self._state.serving is None:
            return None
        loop = asyncio.get_running_loop()
        self.add(users)
        futures = [loop.create_future() for _ in users]
        for user, future in zip(users, futures, strict=True):
            self._queue[user].append(future)
        done, _ = await asyncio.wait(futures, timeout=seconds)
        if len(done) < len(futures):
            return None
        versions = {user: future.result() for user, future in zip(users, futures, strict=True)}
        return {user: version for user, version in versions.items() if version}

    def look(self) -> None:
        """Look soon for people whose fit is missing."""
        self._due = 0.0
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled; then nobody is left waiting."""
        try:
            await self._work()
        finally:
            self._finish({})
            self._running, self._queue = self._queue, {}
            self._finish({})

    async def _work(self) -> None:
        while True:
            if not self._queue and perf_counter() >= self._due:
                more = await self._sweep()
                self._due = perf_counter() + (_BACK_OFF if more else _SWEEP)
            if not self._queue:
                self._wake.clear()
                pause = max(self._due - perf_counter(), 0.01)
                try:
                    await asyncio.wait_for(self._wake.wait(), min(pause, _AWAITED))
                except TimeoutError:
                    if self._missing.worth(self._signs()):
                        self._due = 0.0
                    continue
            if not self._queue:
                continue
            self._running = {user: self._queue.pop(user) for user in list(self._queue)[:_BATCH]}
            self._begun = {user: self._told.pop(user) for user in self._running}
            try:
                await self._fit_all(list(self._running))
            except OverloadedError as error:
                self._state.meter.retry("fit")
                log.warning("fits wait: %s", error)
                self._put_back()
                await asyncio.sleep(_BACK_OFF)
            finally:
                self._finish({})

    async def _sweep(self) -> bool:
        """Find people whose fit was lost with another process; whether there may be more."""
        self._missing.look(self._signs())
        if perf_counter() >= self._again:
            self._name, self._again = "", perf_counter() + _EVERYBODY
        began = time()
        try:
            found, name, last = await self._state.threads.read(self._lost)
        except GustibusError as error:
            log.warning("the look for people to fit failed: %s", error)
            return False
        everybody = self._name is not None
        self._name = name or None
        if everybody and not name and self._active:  # now those whose last answer is long ago
            self._name = self._active = ""
        self._since = last or comparison_from(began - _LATE)
        self.add(found)
        return self._name is not None or bool(last)

    def _lost(self, conn: Connection) -> tuple[list[str], str, str]:
        """Some people to fit, and where the looks at everybody and at late answers go on; empty at an end."""
        model = self._state.digest
        found: list[str] = []
        name = ""
        if self._name is not None:
            found, name = users_with_news(
                conn, model=model, after=self._name, limit=_PEOPLE, since=self._active
            )
        late, last = news_since(conn, model=model, after=self._since, limit=_ANSWERS)
        marked = marked_users(conn, model=model, limit=_PEOPLE)
        return [*found, *late, *marked], name, last

    def _signs(self) -> tuple[int, int]:
        """What changes when an encoder has answered, here or in another process."""
        serving = self._state.serving
        return self._state.items.arrived, 0 if serving is None else serving.encoded

    async def _fit_all(self, users: list[str]) -> None:
        """A batch; when it fails, each of its people alone, so that one stops no other."""
        try:
            await self._fit(users)
        except OverloadedError:
            raise
        except Exception as error:  # a fit that fails must not end the task
            if len(users) > 1:
                for user in users:
                    await self._fit_all([user])
                return
            self._state.meter.refit_failures += 1
            log.error("a fit failed", exc_info=error)

    async def _fit(self, users: list[str]) -> None:
        state, serving = self._state, self._state.serving
        assert serving is not None, "without a model nobody is queued"
        started = perf_counter()
        known = await state.threads.read(lambda conn: read_known(conn, users, serving))
        made = await state.threads.background(
            lambda: {
                user: self._place(serving, user, one)
                for user, one in known.items()
                if not one.reset
            }
        )
        signals = self._signals(serving, known, made)
        versions, held = await state.threads.write(
            lambda conn: write_fits(conn, made, known, signals, serving.digest)
        )
        for user in held:
            state.people.quarantined.add(user)
            for one in signals[user]:
                state.meter.quarantined[one] += 1
        for user, version in versions.items():
            newer = (found := state.people.find(user)) is not None and found.version > version
            if version == 0 or newer:  # deleted, reset or restricted meanwhile
                continue
            fit = made[user].fit
            mean = None if fit.count == 0 else fit.mean
            state.people.lift(
                user
            )  # the store had them unrestricted, which may not have been read yet
            state.set_person(
                user, mean, count=fit.count, version=version, whole=not made[user].waits
            )
            state.spreads.put(user, (version, fit.covariance))
            if (agreeing := made[user].agreeing) is not None:
                state.meter.consistency.observe(agreeing)
            if version != known[user].version + 1:  # another process wrote in between
                self.add([user])
            if made[user].waits:
                self._missing.waits = True
                self._due = min(self._due, perf_counter() + self._missing.pause)
            else:
                state.meter.freshness.observe(perf_counter() - self._begun[user])
                state.meter.refit_failures += made[user].last != known[user].last
        state.meter.refits += len(made)
        state.meter.refit_seconds += perf_counter() - started
        left = {user: one.version for user, one in known.items() if user not in versions}
        self._finish(dict.fromkeys(users, 0) | left | versions)

    def _place(self, serving: Serving, user: str, known: Known) -> Made:
        """One person's fit, in a thread."""
        sides, whole, waits = self._represent(serving, known.missing)
        answers = known.answers
        if sides:
            told = [row for row in known.missing if row.id in sides]
            answers = joined(answers, told, sides, serving.strengths)
        before = self._state.trained(user)
        fit = fit_person(serving.model, answers, before, careless=expected(known.signals))
        careless, told_since = fit.careless, len(answers.target) - known.judged
        if known.judged and told_since > 0:
            a, b, target, weight = answers
            at = slice(known.judged, None)
            since = Answers(a[at], b[at], target[at], weight[at])
            careless = fit_person(serving.model, since, before).careless
        agreeing = agreement(serving.model, answers, fit)
        return Made(fit, known.last if whole else "", sides, waits, agreeing, careless, told_since)

    def _signals(
        self, serving: Serving, known: dict[str, Known], made: dict[str, Made]
    ) -> dict[str, list[Signal]]:
        """What puts people into quarantine now, of those for whom it is enough."""
        found = {}
        for user, one in made.items():
            signals = list(known[user].signals)
            if tells_little(one.careless, one.told):
                signals.append("information")
            if not known[user].released and self._crowded(serving, user, one.fit):
                signals.append("crowd")
            if len(signals) >= ENOUGH and not known[user].held:
                found[user] = signals
        return found

    def _crowded(self, serving: Serving, user: str, fit: Fit) -> bool:
        """Whether many new people of one key are where somebody is; those of before are looked at again."""
        newcomers = self._state.newcomers
        if not newcomers.knows(user):
            return False
        crowd, before = newcomers.place(user, whitened(serving.model.prior, fit.mean), fit.count)
        self.add(before)
        return crowd

    def _represent(self, serving: Serving, missing: Sequence[ComparisonRow]) -> Represented:
        """Vectors of answers that have none, as far as they can be made now."""
        if not missing:
            return Represented({}, whole=True)
        try:
            return represented(self._state, serving, missing)
        except Exception as error:
            log.warning("texts of answers could not be encoded: %s", error)
            return Represented({}, whole=False, waits=True)

    def _put_back(self) -> None:
        for user, futures in self._running.items():
            self._queue.setdefault(user, []).extend(futures)
            self._told[user] = self._begun[user]
        self._running = {}

    def _finish(self, versions: dict[str, int]) -> None:
        """Tell those who wait for the batch; without versions, that their fit failed."""
        for user in list(versions or self._running):
            for future in self._running.pop(user, []):
                if not future.done():
                    future.set_result(versions.get(user, 0))


def comparison_from(seconds: float) -> str:
    """Before the id of every comparison from a time on."""
    return f"cmp_{from_moment(seconds)}"
