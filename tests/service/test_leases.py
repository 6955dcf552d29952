"""Leases of a shared bucket, taken by several processes' worth of quotas in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import secrets
import time

import pytest

from gustibus.service.quotas import Quotas
from gustibus.service.settings import Settings
from tests.service.redis_server import redis


@pytest.fixture(scope="module")
def server():
    """A Redis for the tests that leave it alone."""
    with redis() as found:
        yield found.start()


@contextlib.asynccontextmanager
async def processes(server, count, *, rate, burst):
    """What several processes of one deployment share."""
    secret, several, tasks = secrets.token_hex(16), [], []
    for _ in range(count):
        quotas = Quotas(Settings(quotas=server.url, rate=rate, burst=burst))
        quotas.secure(secret)
        tasks.append(asyncio.create_task(quotas.run()))
        await quotas.tried.wait()
        assert quotas.up
        several.append(quotas)
    try:
        yield several
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def test_of_many_requests_at_once_no_more_begin_than_the_burst(server):
    async def begun():
        async with processes(server, 2, rate=1.0, burst=5.0) as several:
            admitted = 0

            async def ask(units, opened):
                nonlocal admitted
                if units.is_short(opened[0]):
                    await units.lease(opened)
                if not units.overdraft(opened[0]):
                    opened[0] += 1
                    admitted += 1
                    await asyncio.sleep(0.3)  # its units are not charged yet
                    units.charge(1)
                    opened[0] -= 1

            async with asyncio.TaskGroup() as group:
                for quotas in several:
                    units, opened = quotas.leased("key"), [0]
                    for _ in range(30):
                        group.create_task(ask(units, opened))
            return admitted

    assert 5 <= asyncio.run(begun()) <= 6


async def in_turns(server, *, rate, burst, sizes, seconds):
    """Units by when they were charged, of requests that take a while in three processes."""
    async with processes(server, 3, rate=rate, burst=burst) as several:
        return await asking(several, sizes, seconds)


async def asking(several, sizes, seconds):
    charged, refusals, begun = [], 0, time.monotonic()

    async def ask(units, opened, rng):
        nonlocal refusals
        while time.monotonic() < begun + seconds:
            if units.is_short(opened[0]):
                await units.lease(opened)
            if units.overdraft(opened[0]):
                refusals += 1
                await asyncio.sleep(0.003)
                continue
            opened[0] += 1
            await asyncio.sleep(rng.uniform(0, 0.004))
            units.charge(size := rng.choice(sizes))
            opened[0] -= 1
            charged.append((time.monotonic() - begun, size))
            if rng.random() < 0.01:
                await asyncio.sleep(0.3)  # a pause after which others have what it held

    async with asyncio.TaskGroup() as group:
        for place, quotas in enumerate(several):
            units, opened = quotas.leased("key"), [0]
            for number in range(3):
                group.create_task(ask(units, opened, random.Random(f"{place}-{number}")))
    return charged, refusals


@pytest.mark.parametrize(
    ("rate", "burst", "sizes"),
    [(200, 50, [1]), (3000, 2000, [64]), (3000, 500, [1, 5, 200]), (50, 1, [1, 30]), (1e5, 1, [1])],
)
def test_no_window_has_more_than_the_quota_and_what_processes_hold(server, rate, burst, sizes):
    charged, refusals = asyncio.run(
        in_turns(server, rate=rate, burst=burst, sizes=sizes, seconds=2.0)
    )
    slack = 3 * max(rate / 10, 4 * max(sizes))
    moments = [moment for moment, _ in charged]
    sums = [0, *itertools.accumulate(size for _, size in charged)]
    for first in range(0, len(charged), 1 + len(charged) // 200):
        for last in range(first, len(charged), 1 + len(charged) // 200):
            used = sums[last + 1] - sums[first]
            assert used <= rate * (moments[last] - moments[first]) + burst + slack
    if rate < 1e5:
        assert refusals > 0
        assert sums[-1] >= 0.75 * (2.0 * rate + burst) - slack / 3
