"""What takes long to count is told again for a while, with its age; all else is counted at every look."""

from __future__ import annotations

import asyncio

import pytest

from gustibus.service.counting import FAST, Counts


class Clock:
    """Time that passes when something says so."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Table:
    """Threads over a table that grows by a row with every count, which takes some seconds."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock, self.seconds, self.counted = clock, seconds, 0

    async def read(self, work):
        await asyncio.sleep(0)
        return work(None)

    def count(self, conn) -> int:
        del conn
        self.clock.now += self.seconds
        self.counted += 1
        return self.counted


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_what_is_counted_fast_is_counted_at_every_look(clock):
    counts, table = Counts(clock), Table(clock, FAST / 2)
    looks = [asyncio.run(counts.of(table, "people", table.count)) for _ in range(3)]
    assert [look.value for look in looks] == [1, 2, 3]
    assert all(look.age == pytest.approx(FAST / 2) for look in looks)


def test_what_takes_long_is_told_again_with_its_age_for_twenty_times_as_long(clock):
    counts, table = Counts(clock), Table(clock, 2.0)

    def look(kind="people"):
        return asyncio.run(counts.of(table, kind, table.count))

    assert look() == (1, 2.0)
    clock.now += 39.5
    assert look() == (1, 41.5)
    assert look("items") == (2, 2.0), "each kind by itself"
    assert look() == (3, 2.0), "the look before took two seconds"


def test_of_those_who_ask_at_once_one_counts(clock):
    counts, table = Counts(clock), Table(clock, 2.0)

    async def both():
        return await asyncio.gather(*(counts.of(table, "people", table.count) for _ in range(5)))

    assert {look.value for look in asyncio.run(both())} == {1}


def test_a_count_that_fails_is_made_again(clock):
    counts, table = Counts(clock), Table(clock, 2.0)

    def fail(conn):
        raise OSError

    with pytest.raises(OSError):
        asyncio.run(counts.of(table, "people", fail))
    assert asyncio.run(counts.of(table, "people", table.count)).value == 1
