"""Quotas that all machines share through Redis or Valkey.

No request asks Redis: one task of each process sends what its keys have used and fetches what they are
going to use, of all keys in one message, and waits for the answer before the next. Redis refills the
buckets by its own clock, so that no other clock counts.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Hashable
from importlib.util import find_spec
from itertools import islice
from random import uniform
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from gustibus.errors import ConfigError, MissingExtraError
from gustibus.service.leases import Bucket, Leased, Order
from gustibus.service.windows import MINUTE

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

    from gustibus.service.settings import Settings
    from gustibus.service.windows import SharedWindows

SCRIPT: Final = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local buckets = tonumber(ARGV[1])
local told = {}
for i = 1, buckets do
  local place = 5 * i - 3
  local rate, burst = tonumber(ARGV[place]), tonumber(ARGV[place + 1])
  local debt, want = tonumber(ARGV[place + 2]), tonumber(ARGV[place + 3])
  local kept = redis.call('HMGET', KEYS[i], 'left', 'at')
  local left = burst
  if kept[1] then
    left = math.min(burst, kept[1] + math.max(0, now - kept[2]) * rate)
  end
  left = math.min(burst, left - debt)
  local grant = 0
  if want > 0 and left >= 1 then
    local most = math.max(left / 2, tonumber(ARGV[place + 4]))
    grant = math.max(1, math.floor(math.min(want, left, most)))
    left = left - grant
  end
  redis.call('HSET', KEYS[i], 'left', string.format('%.17g', left), 'at', string.format('%.6f', now))
  local full = math.min(1e12, math.ceil((burst - left) / rate * 1000) + 1000)
  redis.call('PEXPIRE', KEYS[i], string.format('%.0f', full))
  told[2 * i - 1] = grant
  told[2 * i] = string.format('%.6f', left)
end
for i = buckets + 1, #KEYS do
  local count = redis.call('INCRBY', KEYS[i], ARGV[4 * buckets + 1 + i])
  local ends = redis.call('PTTL', KEYS[i])
  if ends < 0 then
    ends = tonumber(ARGV[#ARGV])
    redis.call('PEXPIRE', KEYS[i], ends)
  end
  told[2 * i - 1] = count
  told[2 * i] = ends
end
return told
"""
"""One message. Keys: buckets, then windows. Arguments: how many buckets; of each its rate, its burst, a debt,
the units wanted and those that are given even where they are most of what is left; of each window how
often it was counted; milliseconds of a new window. Answers of a bucket what was leased and what is
left, of a window its count and the milliseconds until its end."""

_TIMEOUT = 0.5  # seconds for an answer; a Redis that takes longer is away
_OPENING = 1.0  # seconds for a connection
_IDLE = 0.5  # seconds between looks at leases that nobody needs; at the second they are given back
_BEAT = 5.0  # seconds without a message until it is looked whether Redis is still there
_LAST_WORD = 0.2  # seconds to give back leases at the end
_MOST = 500  # keys of one message
_FIRST, _LAST = 0.1, 10.0  # seconds, twice as long each time, until a lost connection is made again

log = logging.getLogger("gustibus.service")


class Quotas:
    """What the keys of one process have of the quotas that all machines share.

    Args:
        settings: the URL, and the quotas.

    Attributes:
        up: whether Redis answers; while it does not, each process has its part of the quotas of a machine.
        tried: set once it is known whether it does.
    """

    def __init__(self, settings: Settings) -> None:
        self.up = False
        self.tried = asyncio.Event()
        self._settings = settings
        self._space = ""
        self._secret = b""
        self._asked: dict[Leased, None] = {}
        self._counted: dict[tuple[SharedWindows, Hashable], int] = {}
        self._held: dict[Leased, None] = {}  # those who may have something to give back
        self._answer: asyncio.Future[None] | None = None  # of the message that is sent next
        self._wake = asyncio.Event()
        self._speaking = False  # whether an answer has not come yet
        self._told = False

    def secure(self, secret: str) -> None:
        """Take a secret into use: processes that share it share quotas, and no name can be read in Redis."""
        self._secret = secret.encode()
        self._space = (
            f"{{gustibus:{self._digest('space')[:12]}}}"  # one slot of a cluster has all of it
        )

    def leased(self, name: str) -> Leased:
        """The units of a key."""
        settings = self._settings
        rate, burst, _ = settings.share
        local = Bucket(rate, burst)
        return Leased(self, name, rate=settings.rate, burst=settings.burst, local=local)

    def ask(self, leased: Leased) -> None:
        """Have the next message ask for a lease."""
        leased.asked = True
        self._asked[leased] = None
        self._wake.set()

    def count(self, windows: SharedWindows, name: Hashable) -> None:
        """Have the next message count something."""
        self._counted[windows, name] = self._counted.get((windows, name), 0) + 1
        self._wake.set()

    def uncounted(self, windows: SharedWindows, name: Hashable) -> int:
        """What the next message is going to count."""
        return self._counted.get((windows, name), 0)

    async def answered(self, leased: Leased, seconds: float) -> None:
        """Ask, and wait for the answer, or until Redis is away, or for so long."""
        self.ask(leased)
        if self._answer is None:
            self._answer = asyncio.get_running_loop().create_future()
        await asyncio.wait((self._answer,), timeout=seconds)

    async def run(self) -> None:
        """Exchange messages while there is something to say, until cancelled."""
        from redis.exceptions import RedisError

        pause = _FIRST
        while True:
            connection = None
            try:
                self._speaking = False
                connection = await _opened(self._settings.quotas, self._probe())
                self._arrive()
                pause = _FIRST
                await self._follow(connection)
            except asyncio.CancelledError:
                if connection is not None and not self._speaking:
                    await self._give_back(connection)
                raise
            except (RedisError, OSError, TimeoutError) as error:
                self._leave(f"{type(error).__name__}: {error}")
            except Exception as error:  # the task must not end while the process lives
                log.error("quotas are not shared", exc_info=error)
                self._leave(type(error).__name__)
            finally:
                self.up = False
                self.tried.set()
                if connection is not None:
                    await connection.disconnect(nowait=True)
            await asyncio.sleep(uniform(0.5, 1.0) * pause)
            pause = min(2 * pause, _LAST)

    async def _follow(self, connection: AbstractConnection) -> None:
        """Send whatever there is to say, and take the answers."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        look = heard = monotonic()
        while True:
            if task is not None and task.cancelling():
                raise asyncio.CancelledError  # `asyncio.wait_for` of Python 3.11 may have forgotten it
            pause = _IDLE if self._held else _BEAT
            timer = loop.call_later(pause, self._wake.set)
            await self._wake.wait()
            timer.cancel()
            self._wake.clear()
            unneeded: list[Leased] = []
            if monotonic() >= look + _IDLE:
                look = monotonic()
                unneeded = self._unneeded()
            if await self._exchange(connection, unneeded):
                heard = monotonic()
            elif monotonic() >= heard + _BEAT:
                await _say(connection, *self._probe())
                heard = monotonic()

    def _unneeded(self) -> list[Leased]:
        """Leases of which nothing was used since the last look."""
        unneeded = [one for one in self._held if not one.touched and not one.asked]
        for one in self._held:
            one.touched = False
        return unneeded

    async def _exchange(self, connection: AbstractConnection, unneeded: list[Leased]) -> bool:
        """One message and its answer, or nothing where there is nothing to say."""
        answer, self._answer = self._answer, None
        try:
            orders = [(one, one.order()) for one in _taken(self._asked)]
            self._held.update((one, None) for one, _ in orders)
            orders += [(one, one.give_back()) for one in unneeded if one.held > 0]
            for one in unneeded:
                del self._held[one]
            counted = [(key, self._counted.pop(key)) for key in list(islice(self._counted, _MOST))]
            if self._asked or self._counted:
                self._wake.set()
            if not orders and not counted:
                return False
            keys = [f"{self._space}:units:{one.name}" for one, _ in orders]
            keys += [self._key(windows, name) for (windows, name), _ in counted]
            self._speaking = True
            told = await _say(connection, keys, self._arguments([o for _, o in orders], counted))
            self._speaking = False
            for place, (one, _) in enumerate(orders):
                one.take(int(told[2 * place]), float(told[2 * place + 1]))
            for place, ((windows, name), _) in enumerate(counted, len(orders)):
                windows.hear(name, int(told[2 * place]), int(told[2 * place + 1]) / 1e3)
            return True
        finally:
            if answer is not None and not answer.done():
                answer.set_result(None)

    def _arguments(self, orders: list[Order], counted: list[tuple[Any, int]]) -> list[Any]:
        settings = self._settings
        found: list[Any] = [len(orders)]
        for order in orders:
            found += [settings.rate, settings.burst, *order]
        found += [count for _, count in counted]
        found.append(int(1e3 * MINUTE))
        return found

    def _probe(self) -> tuple[list[str], list[Any]]:
        """A message that changes nothing and shows whether others would be taken."""
        order = Order(0, 0, 0)
        return [f"{self._space}:probe"], [1, 1.0, 1.0, *order, int(1e3 * MINUTE)]

    def _key(self, windows: SharedWindows, name: Hashable) -> str:
        return f"{self._space}:{windows.kind}:{self._digest(repr(name))}"

    def _digest(self, text: str) -> str:
        return hmac.digest(self._secret, b"quotas:" + text.encode(), "sha256").hex()[:32]

    def _arrive(self) -> None:
        """Redis answers."""
        if self._told:
            log.warning("Redis answers again: quotas of keys are shared by all machines")
        self._told = False
        self.up = True
        self.tried.set()

    def _leave(self, reason: str) -> None:
        """Redis is away: nothing that it said is used any more."""
        self.up = False
        for one in {**self._held, **self._asked}:
            one.forget()
        self._held.clear()
        self._asked.clear()
        self._counted.clear()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(None)
        self._answer = None
        if not self._told:
            detail = "quotas of keys are those of each machine until Redis answers"
            log.warning("%s (%s)", detail, without_password(reason, self._settings.quotas))
        self._told = True

    async def _give_back(self, connection: AbstractConnection) -> None:
        """Give back every lease, for this process ends; what is not given back is refilled in time."""
        try:
            async with asyncio.timeout(_LAST_WORD):
                self._asked.clear()
                await self._exchange(connection, list(self._held))
        except Exception as error:
            log.info("leases were not given back: %s", type(error).__name__)


def check_client(settings: Settings) -> None:
    """Refuse to start where quotas are to be shared and what talks to Redis is missing, or the URL is wrong.

    Raises:
        MissingExtraError: names the extra that brings it.
        ConfigError: the URL has an option that is not known.
    """
    if not settings.quotas:
        return
    if find_spec("redis") is None:
        raise MissingExtraError.of("GUSTIBUS_QUOTAS is set: redis", "redis")
    try:
        _connection(settings.quotas)
    except (ValueError, TypeError) as error:
        reason = without_password(str(error), settings.quotas)
        raise ConfigError(f"GUSTIBUS_QUOTAS: {reason}", where="GUSTIBUS_QUOTAS") from None


async def answer_time(settings: Settings) -> float:
    """Seconds that Redis takes for a message.

    Raises:
        redis.exceptions.RedisError, OSError, TimeoutError: it does not answer, or refuses.
    """
    quotas = Quotas(settings)
    quotas.secure("doctor")
    connection = await _opened(settings.quotas, quotas._probe())
    try:
        started = perf_counter()
        await _say(connection, *quotas._probe())
        return perf_counter() - started
    finally:
        await connection.disconnect(nowait=True)


def place_of(url: str) -> str:
    """A URL without its user, password and options."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port is None else f":{parts.port}"
    secret = "***@" if "@" in parts.netloc else ""
    options = "?***" if parts.query else ""
    return f"{parts.scheme}://{secret}{host}{port}{parts.path}{options}"


def without_password(text: str, url: str) -> str:
    """A text in which a URL and its password do not stand."""
    text = text.replace(url, place_of(url))
    for password in filter(None, (urlsplit(url).password, unquote(urlsplit(url).password or ""))):
        text = text.replace(password, "***")
    return text


def _taken(asked: dict[Leased, None]) -> list[Leased]:
    """The first that ask, who do not ask any more."""
    first = list(islice(asked, _MOST))
    for one in first:
        del asked[one]
    return first


def _connection(url: str) -> AbstractConnection:
    from redis.asyncio import ConnectionPool
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    pool = ConnectionPool.from_url(
        url, retry=Retry(NoBackoff(), 0), socket_connect_timeout=_OPENING, health_check_interval=0
    )
    return pool.make_connection()  # type: ignore[no-untyped-call]  # redis types half of itself


async def _opened(url: str, probe: tuple[list[str], list[Any]]) -> AbstractConnection:
    """A connection over which messages are taken."""
    connection = _connection(url)
    try:
        async with asyncio.timeout(_OPENING):
            await connection.connect()  # type: ignore[no-untyped-call]  # likewise
            await _say(connection, *probe)
    except BaseException:
        await connection.disconnect(nowait=True)
        raise
    return connection


async def _say(connection: AbstractConnection, keys: list[str], arguments: list[Any]) -> Any:
    """Run the script; it is sent whole, so that a Redis that was started again knows it."""
    async with asyncio.timeout(_TIMEOUT):
        await connection.send_command("EVAL", SCRIPT, len(keys), *keys, *arguments)
        return await connection.read_response()
