"""Turns on the event loop, on a clock that only the requests move."""

from __future__ import annotations

import asyncio
import heapq
import random

import pytest

from gustibus.service.threads import QueueFullError
from gustibus.service.turns import TURN, Turns

LONGEST = 0.25
COST = 0.007  # seconds of an answer
REFUSAL = 0.0002


class Service:
    """An event loop whose requests take no time but the clock's."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: dict[int, float] = {}
        """Seconds for which the process stands still, by how much it has answered by then."""
        self.told = 0
        self.latency: list[float] = []
        """Of what was answered, in the order of answers, from when it was sent."""
        self.refused: list[float] = []
        """When."""
        self.waited: list[float] = []
        """By those who were refused."""
        self.retry_after: list[float] = []
        self.turns = Turns(LONGEST, self.tell, clock=lambda: self.now)
        self._sent: list[tuple[float, int]] = []
        self._left: dict[int, int] = {}
        self._open = 0

    def tell(self) -> None:
        self.told += 1

    def stream(self, load: float, seconds: float) -> None:
        """A Poisson stream of so many times the capacity comes in."""
        pause, due = random.Random(0).expovariate, self.now
        while (due := due + pause(load / COST)) < self.now + seconds:
            heapq.heappush(self._sent, (due, -1))

    def clients(self, count: int, requests: int) -> None:
        """Clients come who ask again once they are answered, or refused."""
        for _ in range(count):
            heapq.heappush(self._sent, (self.now, len(self._left)))
            self._left[len(self._left)] = requests - 1

    def run(self) -> None:
        """Answer all of them."""
        asyncio.run(self.answer_all())

    async def answer_all(self) -> None:
        """The same in an event loop."""
        tasks: list[asyncio.Task[None]] = []
        while self._sent or self._open:
            if not self._open:
                self.now = max(self.now, self._sent[0][0])
            while self._sent and self._sent[0][0] <= self.now:  # is read behind all that is ready
                self._open += 1
                tasks.append(asyncio.create_task(self._answer(*heapq.heappop(self._sent))))
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)

    async def _answer(self, sent: float, client: int) -> None:
        try:
            await self.turns.wait()
            self.now += COST + self.pauses.get(len(self.latency), 0.0)
            self.latency.append(self.now - sent)
        except QueueFullError as error:
            self.waited.append(self.now - sent)
            self.now += REFUSAL
            self.retry_after.append(error.retry_after)
            self.refused.append(self.now)
        self._open -= 1
        if self._left.get(client, 0) > 0:
            self._left[client] -= 1
            heapq.heappush(self._sent, (self.now, client))

    def p99(self) -> float:
        """Of latency, but for the beginning and the end, when the queue grows and drains."""
        edge = round(2 * LONGEST / COST)
        found = sorted(self.latency[edge:-edge])
        return found[len(found) * 99 // 100]


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.mark.parametrize("clients", [1, 4, 16, 32])
def test_clients_who_ask_again_once_they_are_answered_are_never_refused(service, clients):
    service.clients(clients, 200)
    service.run()
    assert len(service.latency) == 200 * clients
    assert max(service.latency) == pytest.approx(clients * COST)


def test_a_burst_that_drains_is_answered(service):
    for _ in range(20):
        service.clients(30, 1)
        service.run()
    assert len(service.latency) == 20 * 30


def test_whoever_has_waited_for_too_long_is_refused_and_told_what_is_left_to_do(service):
    service.clients(100, 1)
    service.run()
    assert max(service.latency) <= LONGEST + 2 * COST
    assert len(service.latency) >= LONGEST / COST
    assert len(service.refused) == service.told == 100 - len(service.latency)
    assert min(service.retry_after) >= LONGEST
    assert max(service.retry_after) <= 100 * COST


def test_p99_at_five_times_the_capacity_is_no_more_than_at_half_of_it(service):
    half = Service()
    half.stream(0.5, 30)
    half.run()
    assert not half.refused
    service.stream(5, 15)
    service.run()
    assert service.p99() <= half.p99()
    assert len(service.latency) * COST >= 0.8 * service.now


@pytest.mark.parametrize("load", [1.2, 1.5, 2, 5])
def test_the_service_is_not_idle_while_it_refuses(service, load):
    service.stream(load, 10)
    service.run()
    assert service.refused
    busy = len(service.latency) * COST + len(service.refused) * REFUSAL
    assert busy >= 0.99 * service.now
    assert max(service.latency) <= LONGEST + 3 * COST


@pytest.mark.parametrize("clients", [16, 28])
def test_clients_who_ask_again_are_answered_again_as_soon_as_an_overload_is_over(service, clients):
    """Almost as many as otherwise: for some turns refusals still count in what a request takes."""
    service.stream(5, 5)
    service.run()
    assert service.refused
    service.refused.clear()
    service.clients(clients, 50)
    service.run()
    assert not service.refused


def test_whoever_is_refused_while_an_overload_lasts_need_not_wait_for_that(service):
    service.stream(5, 20)
    service.run()
    at_once = [waited for waited in service.waited if waited <= 8 * TURN]
    assert len(at_once) >= 0.9 * len(service.refused)
    assert max(service.waited) >= LONGEST, "an overload is one once somebody has waited for as long"


def test_a_pause_refuses_those_who_waited_through_it_and_no_one_later(service):
    """Also when they come back at once, whatever they were told."""
    service.pauses[4] = LONGEST
    service.clients(16, 300)
    service.run()
    assert 0 < len(service.refused) < 16
    assert max(service.refused) < 2 * LONGEST


def test_requests_begin_in_the_order_in_which_they_came(service):
    """Also when one is ready before those who came before it."""
    order: list[int] = []
    tasks: list[asyncio.Task[None]] = []

    async def ask(number: int) -> None:
        await service.turns.wait()
        order.append(number)
        service.now += COST
        if number < 100:  # its client has sent two at once
            tasks.append(asyncio.create_task(ask(number + 100)))

    async def main() -> None:
        tasks.extend(asyncio.create_task(ask(number)) for number in range(15))
        for task in tasks:  # also those that are added meanwhile
            await task

    asyncio.run(main())
    assert order == [*range(15), *range(100, 115)]


def test_short_requests_share_a_turn(service):
    """Each turn of the event loop costs something, too."""
    begun: list[float] = []

    async def ask() -> None:
        await service.turns.wait()
        begun.append(service.now)
        service.now += TURN / 20

    async def main() -> None:
        asks = asyncio.gather(*(ask() for _ in range(1000)))
        turns = 0
        while len(begun) < 1000:
            turns += 1
            await asyncio.sleep(0)
        await asks
        assert turns < 300

    asyncio.run(main())


def test_a_turn_ends_before_the_queue_does(service):
    """So that whatever else is ready is not kept waiting."""
    looks: list[float] = []

    async def look() -> None:
        while len(service.latency) < 30:
            looks.append(service.now)
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(service.answer_all(), look())

    service.clients(30, 1)
    asyncio.run(main())
    assert max(map(float.__sub__, looks[1:], looks)) <= TURN + COST


def test_whoever_leaves_while_waiting_is_passed_over(service):
    begun: list[int] = []

    async def ask(number: int) -> None:
        await service.turns.wait()
        begun.append(number)
        service.now += COST

    async def main() -> None:
        tasks = [asyncio.create_task(ask(number)) for number in range(10)]
        await asyncio.sleep(0)
        assert begun == [0]
        for task in tasks[3:6]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())
    assert begun == [0, 1, 2, 6, 7, 8, 9]
    assert service.told == 0


def test_a_turn_is_over_once_a_request_has_waited_for_something_else(service):
    async def main() -> None:
        await service.turns.wait()
        number = service.turns.number
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert service.turns.number != number

    asyncio.run(main())
