"""A coroutine whose first step is taken at once goes on as one that is awaited."""

from __future__ import annotations

import asyncio

import pytest

from gustibus.service.stepping import Begun, Done, begin


def run(made):
    async def main():
        begun = begin(made())
        return begun if isinstance(begun, Done) else await begun

    return asyncio.run(main())


def test_what_does_not_wait_is_done():
    async def made():
        return 7

    assert run(made) == Done(7)


def test_what_waits_goes_on_and_errors_come_through():
    async def made():
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        failing = loop.create_future()
        loop.call_soon(failing.set_exception, ValueError("of a future"))
        with pytest.raises(ValueError, match="of a future"):
            await failing
        value = await asyncio.to_thread(lambda: 3)
        async with asyncio.timeout(20):
            await asyncio.sleep(0.001)
        return value

    assert run(made) == 3


@pytest.mark.parametrize("waits", [False, True])
def test_an_error_is_raised_where_it_is_awaited(waits):
    async def made():
        if waits:
            await asyncio.sleep(0)
        raise KeyError("x")

    with pytest.raises(KeyError):
        run(made)


def test_a_clock_around_it_ends_it_and_is_seen_within():
    seen = []

    async def made():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def main():
        begun = begin(made())
        assert isinstance(begun, Begun)
        async with asyncio.timeout(0.01):
            await begun

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert seen == ["cancelled"]


def test_one_that_handles_its_cancellation_goes_on():
    async def made():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            return "tidied"

    async def main():
        async def within():
            return await begin(made())

        task = asyncio.create_task(within())
        await asyncio.sleep(0)
        task.cancel()
        return await task

    assert asyncio.run(main()) == "tidied"
