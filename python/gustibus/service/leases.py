"""Units that a key may use: a bucket of this process, or leases from one that all machines share.

Both are arithmetic of a few hundred nanoseconds; what asks Redis for the next lease is in `quotas`.
"""

from __future__ import annotations

from math import ceil
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from gustibus.service.quotas import Quotas

LEAD: Final = 0.1
"""Seconds of a key's recent use that a process leases ahead, and of its rate at most."""
PATIENCE: Final = 0.05
"""Seconds that a request waits for a lease at most; after that the bucket of its process decides."""
_LEAST = 0.02  # seconds of the rate that are leased in one piece, even if they are all that is left
_PACE = 0.01  # seconds until a bucket that was found empty is asked for again
_MEASURED = 0.05  # seconds of use that make a measurement
_WEIGHT = 0.1  # of a request that is smaller than those before it in the size that one is expected to have


class Bucket:
    """Tokens of one process, refilled by its own clock.

    Args:
        rate: units a second, 0 for no limit.
        burst: units that may be saved up.
    """

    __slots__ = ("_at", "_burst", "_left", "_rate")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._at = monotonic()

    def overdraft(self, opened: int = 0) -> float:
        """Seconds until the key may do more work; 0 when it may now."""
        del opened
        if self._rate == 0.0:
            return 0.0
        now = monotonic()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        return 0.0 if self._left > 0.0 else -self._left / self._rate + 0.001

    def charge(self, units: int) -> None:
        """Take units; a request may overdraw, the next one waits."""
        if self._rate:
            self._left -= units

    def told(self) -> tuple[tuple[bytes, bytes], ...]:
        """What is left of the key's units, as headers; none where there is no limit."""
        return rate_headers(self._rate, self._left) if self._rate else ()


UNLIMITED: Final = Bucket(0.0, 1.0)
"""Of those who may do as much as they like."""


class Order(NamedTuple):
    """What is asked of a shared bucket."""

    debt: int
    """Units that were used beyond what was leased; below 0 those that are given back."""
    want: int
    """Units to lease; 0 for none."""
    least: int
    """As many of them are given from a bucket that is nearly empty; of the rest half stays for others."""


class Leased:
    """A key's units where all machines share them: some are leased ahead, what is used beyond is a debt.

    While Redis is away the key has a bucket of this process, as without it.

    Args:
        quotas: asks Redis.
        name: id of the key.
        rate: units a second over all machines, above 0.
        burst: units that may be saved up, over all machines.
        local: the bucket of this process.
    """

    __slots__ = (
        "_blind", "_burst", "_dry", "_heard", "_left", "_local", "_low", "_measured", "_opened",
        "_quotas", "_rate", "_typical", "_use", "_used", "_waiting", "asked", "held", "name", "touched",
    )  # fmt: skip

    def __init__(
        self, quotas: Quotas, name: str, *, rate: float, burst: float, local: Bucket
    ) -> None:
        self.name = name
        self.held = 0
        """Units that were leased and are not used yet; below 0 a debt."""
        self.asked = False
        """Whether the next message to Redis asks for more."""
        self.touched = False
        """Whether units were used since the last look at leases that nobody needs."""
        self._quotas = quotas
        self._rate, self._burst = rate, burst
        self._local = local
        self._dry = 0.0  # until then, on the clock of `monotonic`, the shared bucket is empty
        self._blind = False  # whether Redis took too long, and the bucket of this process was asked
        self._left, self._heard = burst, monotonic()  # of the shared bucket, and when it was told
        self._typical = 1.0  # units of the largest of the last requests
        self._waiting = self._opened = 0  # requests that wait for a lease, and those before them
        self._low = 0.0  # units at which more are leased
        self._use, self._used, self._measured = 0.0, 0, self._heard

    def is_short(self, opened: int) -> bool:
        """Whether a request has to wait for a lease; not where it is known that there is none.

        Args:
            opened: other requests that are being answered, whose units are not charged yet.
        """
        if self.held > opened * self._typical or not self._quotas.up:
            return False
        return monotonic() >= self._dry

    async def lease(self, opened: list[int], mine: int = 0) -> None:
        """Wait for a lease, for `PATIENCE` at most.

        Args:
            opened: requests that are being answered, as it changes meanwhile.
            mine: how many of them are the one that waits.
        """
        until = monotonic() + PATIENCE
        self._waiting += 1
        try:
            while self.is_short(opened[0] - mine) and (left := until - monotonic()) > 0.0:
                self._opened = opened[0] - mine
                await self._quotas.answered(self, left)
        finally:
            self._waiting -= 1

    def overdraft(self, opened: int = 0) -> float:
        """Seconds until the key may do more work; 0 when it may now.

        Args:
            opened: as above.
        """
        if not self._quotas.up:
            return self._local.overdraft()
        if self.held > opened * self._typical:
            return 0.0
        wait = self._dry - monotonic()
        if wait > 0.0:
            return wait
        self._blind = True
        return self._local.overdraft()

    def charge(self, units: int) -> None:
        """Take units; a request may overdraw, which all machines then wait for."""
        if not self._quotas.up:
            self._local.charge(units)
            return
        self.held -= units
        self._used += units
        if units >= self._typical:
            self._typical = float(units)
        else:
            self._typical = max(1.0, self._typical + _WEIGHT * (units - self._typical))
        self.touched = True
        if self._blind:
            self._local.charge(units)
        # A debt is told at once; what is leased ahead is not asked of a bucket that is known to be empty.
        if not self.asked and (
            self.held < 0 or (self.held < self._low and monotonic() >= self._dry)
        ):
            self._quotas.ask(self)

    def told(self) -> tuple[tuple[bytes, bytes], ...]:
        """What is left of the key's units on all machines, as headers."""
        if not self._quotas.up:
            return self._local.told()
        shared = self._left + (monotonic() - self._heard) * self._rate
        return rate_headers(self._rate, min(self._burst, shared) + self.held)

    def order(self) -> Order:
        """What is to be asked of the shared bucket now; debts are paid with it."""
        now = monotonic()
        seconds = now - self._measured
        use = self._used / max(seconds, _MEASURED)
        self._use = max(self._use, use)
        if seconds >= _MEASURED:
            self._use = (self._use + use) / 2
            self._used, self._measured = 0, now
        debt = max(0, -self.held)
        self.held += debt
        need = (self._opened + self._waiting if self._waiting else 1) * self._typical
        target = max(LEAD * min(self._use, self._rate), need)
        self._low = target / 2
        self.asked = False
        wanted = 0 if now < self._dry else ceil(max(0.0, target - self.held))
        return Order(debt, wanted, ceil(max(need, _LEAST * self._rate)))

    def take(self, grant: int, left: float) -> None:
        """Take what was leased.

        Args:
            grant: units.
            left: what is in the shared bucket now, below 0 a debt.
        """
        now = monotonic()
        self.held += grant
        self._left, self._heard = left, now
        self._blind = False
        self.touched |= grant > 0
        if left < 1.0:
            pace = min(_PACE, self._burst / self._rate / 4)
            self._dry = now + max(pace, (1.0 - left) / self._rate)

    def give_back(self) -> Order:
        """What nobody needs."""
        held, self.held = max(0, self.held), min(0, self.held)
        self._low = self._use = 0.0
        self._used, self._measured = 0, monotonic()
        return Order(-held, 0, 0)

    def forget(self) -> None:
        """Redis is away: what it is asked for next begins anew."""
        self.held, self.asked, self._blind = 0, False, False
        self._low = self._dry = 0.0


def rate_headers(rate: float, left: float) -> tuple[tuple[bytes, bytes], ...]:
    """Headers of a rate, in units a second, and of what is left."""
    return (
        (b"ratelimit-policy", b'"units";q=%d;w=1' % max(1, int(rate))),
        (b"ratelimit", b'"units";r=%d;t=1' % max(0, int(left))),
    )
