"""People whose answers have changed, fitted again in the background; requests are joined."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from time import perf_counter, time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gustibus.errors import GustibusError, OverloadedError
from gustibus.service.fitting import Answers, Fit, fit_person
from gustibus.store import (
    TARGET,
    ComparisonRow,
    Connection,
    evidence,
    find_vectors,
    from_moment,
    items_with_text,
    marked_users,
    news_since,
    put_profile,
    resets_of,
    restricted_among,
    set_sides,
    users_with_news,
    versions_of,
    weight_of,
)

if TYPE_CHECKING:
    from gustibus.service.serving import Serving
    from gustibus.service.state import State
    from gustibus.types import F32

_BATCH = 64  # people fitted together, written in one transaction
_TEXTS = 64  # texts encoded at once, so that requests get their turn in between
_SWEEP = 300.0  # seconds between looks for people whose fit was lost
_AWAITED = 10.0  # seconds to the next look while answers wait for vectors
_PEOPLE, _ANSWERS = 10_000, 20_000  # that are looked at together
_LATE = 600.0  # seconds by which an answer may be seen later than its id tells
_EVERYBODY = 86_400.0  # seconds between looks at everybody; in between, at who has answered lately
_BACK_OFF = 1.0  # seconds after the store could not be used

log = logging.getLogger("gustibus.service")


class Known(NamedTuple):
    """What a fit starts from."""

    version: int
    """Of the profile when the answers were read."""
    answers: Answers
    missing: tuple[ComparisonRow, ...]
    """Answers whose texts have no vectors under this model yet."""
    last: str
    """Id of the last answer."""
    reset: bool
    """Whether the fit was forgotten and no answer has come since: then there is none to make."""


class Made(NamedTuple):
    """What comes out."""

    fit: Fit
    last: str
    sides: dict[str, tuple[F32, F32]]
    """Vectors that had to be made."""
    waits: bool
    """Whether more answers count once their items and texts have vectors."""


class Represented(NamedTuple):
    """Vectors of answers that had none."""

    sides: dict[str, tuple[F32, F32]]
    """By answer; the others have none now."""
    whole: bool
    """Whether these are all that there will ever be."""
    waits: bool = False
    """Whether the rest are about items or texts that are still to be encoded."""


class BackOff:
    """How long to wait for what does not come: twice as long after every look that found nothing new.

    Args:
        first: seconds after a look that found something.
        most: seconds at most.
    """

    def __init__(self, *, first: float, most: float) -> None:
        self._first = first
        self._most = most
        self._seen: object = None
        self.pause = first
        self.waits = False
        """Whether something is missing since the last look."""

    def look(self, signs: object) -> None:
        """Begin a look.

        Args:
            signs: equal to those of the look before when nothing can have come.
        """
        again = self.waits and signs == self._seen
        self.pause = min(2 * self.pause, self._most) if again else self._first
        self._seen = signs
        self.waits = False

    def worth(self, signs: object) -> bool:
        """Whether something has come since the last look that may be what is missing."""
        return self.waits and signs != self._seen


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
        self._since = _comparison_from(time() - _LATE)
        self._name: str | None = ""  # where the look at everybody has come to; None when it is over
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
        self._name = name or None
        self._since = last or _comparison_from(began - _LATE)
        self.add(found)
        return bool(name or last)

    def _lost(self, conn: Connection) -> tuple[list[str], str, str]:
        """Some people to fit, and where the looks at everybody and at late answers go on; empty at an end."""
        model = self._state.digest
        found: list[str] = []
        name = ""
        if self._name is not None:
            found, name = users_with_news(conn, model=model, after=self._name, limit=_PEOPLE)
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
        known = await state.threads.read(lambda conn: _read(conn, users, serving.digest))
        made = await state.threads.background(
            lambda: {
                user: self._place(serving, user, one)
                for user, one in known.items()
                if not one.reset
            }
        )
        versions = await state.threads.write(lambda conn: _write(conn, made, known, serving.digest))
        for user, version in versions.items():
            newer = (found := state.people.find(user)) is not None and found.version > version
            if version == 0 or newer:  # deleted, reset or restricted meanwhile
                continue
            fit = made[user].fit
            mean = None if fit.count == 0 else fit.mean
            state.people.lift(
                user
            )  # the store had them unrestricted, which may not have been read yet
            state.set_person(user, mean, count=fit.count, version=version)
            state.spreads.put(user, (version, fit.covariance))
            if version != known[user].version + 1:  # another process wrote in between
                self.add([user])
            if made[user].waits:
                self._missing.waits = True
                self._due = min(self._due, perf_counter() + self._missing.pause)
            else:
                state.meter.fresh(perf_counter() - self._begun[user])
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
            answers = _joined(answers, told, sides)
        fit = fit_person(serving.model, answers, self._state.trained(user))
        return Made(fit, known.last if whole else "", sides, waits)

    def _represent(self, serving: Serving, missing: Sequence[ComparisonRow]) -> Represented:
        """Vectors of answers that have none, as far as they can be made now."""
        if not missing:
            return Represented({}, whole=True)
        try:
            return _represented(self._state, serving, missing)
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


def _comparison_from(seconds: float) -> str:
    """Before the id of every comparison from a time on."""
    return f"cmp_{from_moment(seconds)}"


def _read(conn: Connection, users: list[str], model: str) -> dict[str, Known]:
    """What is known of people now, but of those who are restricted.

    Versions come first, so that a later change is noticed.
    """
    still = restricted_among(conn, users=users)
    versions = versions_of(conn, users=users)
    resets = resets_of(conn, users=users, model=model)
    found = {}
    for user in users:
        if user in versions and user not in still:
            rows = evidence(conn, user=user, model=model)
            answers = Answers(rows.a, rows.b, rows.target, rows.weight)
            reset = resets.get(user) == rows.last
            found[user] = Known(versions[user], answers, rows.missing, rows.last, reset)
    return found


def _write(
    conn: Connection, made: dict[str, Made], known: dict[str, Known], model: str
) -> dict[str, int]:
    """Keep the fits but of people who were reset or restricted while they were made; versions of the rest."""
    resets = resets_of(conn, users=list(made), model=model, hold=True)
    still = restricted_among(conn, users=made)
    made = {
        user: one for user, one in made.items()
        if user not in still and resets.get(user) != known[user].last
    }  # fmt: skip
    sides = {name: pair for one in made.values() for name, pair in one.sides.items()}
    if sides:
        set_sides(conn, found=sides, model=model)
    return {
        user: put_profile(
            conn, user=user, model=model, mean=one.fit.mean, covariance=one.fit.covariance,
            count=one.fit.count, fitted_through=one.last,
        )
        for user, one in sorted(made.items())  # one order for all processes: no deadlock
    }  # fmt: skip


def _represented(state: State, serving: Serving, missing: Sequence[ComparisonRow]) -> Represented:
    """Vectors of both sides of answers: of items by name, of texts through the encoder."""
    names = {item for row in missing for item in (row.a_item, row.b_item) if item is not None}
    with state.store.read() as conn:
        vectors = find_vectors(conn, found=sorted(names), model=serving.digest)
        without = sorted(names - vectors.keys()) if serving.has_encoder else []
        waits = bool(items_with_text(conn, names=without))
    texts: dict[str, dict[str, F32 | None]] = {}  # by prompt
    if serving.has_encoder:
        for row in missing:
            for text in (row.a_text, row.b_text):
                if text is not None:
                    texts.setdefault(row.prompt or "", {})[text] = None
    made: dict[tuple[str, str], F32] = {}
    for prompt, wanted in texts.items():
        each = list(wanted)
        for start in range(0, len(each), _TEXTS):
            part = each[start : start + _TEXTS]
            found = serving.represent_now(prompt, part)
            made |= {(prompt, text): vector for text, vector in zip(part, found, strict=True)}
    sides = {}
    for row in missing:
        prompt = row.prompt or ""
        a = vectors.get(row.a_item or "", made.get((prompt, row.a_text or "")))
        b = vectors.get(row.b_item or "", made.get((prompt, row.b_text or "")))
        if a is not None and b is not None:
            sides[row.id] = (a, b)
    return Represented(sides, whole=not waits, waits=waits)


def _joined(
    answers: Answers, told: Sequence[ComparisonRow], sides: dict[str, tuple[F32, F32]]
) -> Answers:
    """Answers with those whose vectors have just been made."""
    a = np.stack([sides[row.id][0] for row in told])
    b = np.stack([sides[row.id][1] for row in told])
    target = np.array([TARGET[row.outcome] for row in told], np.float64)
    weight = np.array([weight_of(row.source) for row in told], np.float64)
    if len(answers.target) == 0:
        return Answers(a, b, target, weight)
    return Answers(
        np.concatenate([answers.a, a]), np.concatenate([answers.b, b]),
        np.concatenate([answers.target, target]), np.concatenate([answers.weight, weight]),
    )  # fmt: skip
