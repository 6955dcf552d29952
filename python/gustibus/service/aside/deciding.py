"""What a group decides, as the request wanted it that became a job."""

from __future__ import annotations

from typing import Any

from msgspec import convert, to_builtins

from gustibus.service.aside.channel import Order, run
from gustibus.service.orders import ORDERED_BY, AggregateRequest, order_of
from gustibus.service.routes.ranking import CHOSEN_BY, CommitteeRequest, committee_of
from gustibus.service.voters import sent_ballots, time_left


def decided(order: Order) -> dict[str, Any]:
    """The reply to the request.

    Raises:
        InputError: an argument is wrong; `InfeasibleError` without a result in time.
        Problem: the same, of a field of the request.
    """
    given = order.params["request"]
    if order.params["operation"] == "aggregate":
        body = convert(given, AggregateRequest)
        ballots, _ = sent_ballots(body, ORDERED_BY)
        return _plain(order, order_of(body, ballots, time_left(body.time_limit), []))
    wanted = convert(given, CommitteeRequest)
    ballots, _ = sent_ballots(wanted, CHOSEN_BY)
    return _plain(order, committee_of(wanted, ballots, time_left(wanted.time_limit), []))


def _plain(order: Order, reply: Any) -> dict[str, Any]:
    """The reply as JSON; people's utilities were made comparable before the job began."""
    reply.transform = order.params.get("transform", reply.transform)
    return dict(to_builtins(reply))


if __name__ == "__main__":
    run(decided)
