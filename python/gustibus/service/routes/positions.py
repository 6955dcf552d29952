"""`/v1/rank/positions`: creatives in positions, and what they pay."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from gustibus.matching import METHODS, place_creatives, position_auction
from gustibus.service.call import Call, Reply, ok
from gustibus.service.problems import invalid
from gustibus.service.routing import Route
from gustibus.service.voters import Seconds, decided, time_left

Method = Annotated[str, Meta(max_length=32, extra_json_schema={"enum": list(METHODS)})]
_PRICED = ("mnl", "cascade")


class Positions(Struct, forbid_unknown_fields=True):
    """Creatives and positions: who is shown where, and at what price."""

    p: Annotated[list[list[Annotated[float, Meta(ge=0, le=1)]]], Meta(min_length=1, max_length=256)]
    """Click chances, a row a creative, a column a position."""
    values: Annotated[list[Annotated[float, Meta(ge=0)]], Meta(min_length=1, max_length=256)]
    """Bids per click."""
    method: Method = "mnl"
    payments: bool = True
    """Whether prices are asked for, which need `mnl` or `cascade`."""
    most: Annotated[int, Meta(ge=1)] | None = None
    time_limit: Seconds = 2.0
    """Seconds after which the search is given up."""


class PositionsReply(Struct):
    """The slate of largest value."""

    pairs: list[Annotated[list[int], Meta(min_length=2, max_length=2)]]
    """Creative and position."""
    click: list[float]
    value: float
    payment: list[float] | None
    payment_per_click: list[float] | None
    method: str


async def positions(call: Call) -> Reply:
    """Who is shown where."""
    body = await call.read_aside(Positions)
    known = _PRICED if body.payments else METHODS
    if body.method not in known:
        priced = " where prices are asked for" if body.payments else ""
        detail = f"expected one of {list(known)}{priced}, got {body.method!r}"
        raise invalid("/method", detail)
    call.units += sum(map(len, body.p)) // 32 + 1
    left = time_left(body.time_limit)

    def work() -> PositionsReply:
        if body.payments:
            found = position_auction(
                body.method, body.p, body.values, most=body.most, time_limit=left()
            )
            paid = None if found.payment is None else found.payment.tolist()
            each = None if paid is None else found.payment_per_click.tolist()
        else:
            found = place_creatives(
                body.method, body.p, body.values, most=body.most, time_limit=left()
            )
            paid = each = None
        pairs = [list(pair) for pair in found.pairs]
        return PositionsReply(
            pairs, found.click.tolist(), float(found.value), paid, each, body.method
        )

    return ok(await decided(call, work))


ROUTES = (
    Route(
        "POST", "/v1/rank/positions", "place_in_positions", "rank", positions, "Matching",
        "Creatives in positions, and what they pay.",
        request=Positions, response=PositionsReply, body="scoring", patient=True,
        problems=("too_many_candidates", "queue_full", "not_finite", "infeasible"),
        example={"p": [[0.5], [0.4]], "values": [2.0, 1.0]},
    ),
)  # fmt: skip
