"""`POST /v1/score:batch`: several requests for scores in one body, each with a status of its own."""

from __future__ import annotations

import asyncio
import copy
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from gustibus.service.answering import problem_reply
from gustibus.service.call import JSON, Call, Reply, encode
from gustibus.service.decoding import read_json
from gustibus.service.leases import Leased
from gustibus.service.problems import Problem, ProblemBody, invalid
from gustibus.service.repeating import refuse_repeated_outside
from gustibus.service.routes.scoring import PROBLEMS, ScoreReply, score
from gustibus.service.routing import Route

MOST: Final = 64
"""Requests of one body."""

Count = Meta(min_length=1, max_length=MOST)


class ScoreBatch(Struct, forbid_unknown_fields=True):
    """Requests as `POST /v1/score` takes them; one that is wrong fails alone."""

    requests: Annotated[list[dict[str, Any]], Count]


class BatchEntry(Struct):
    """What one request would have been answered by itself: `reply` where it went well, else `problem`."""

    index: int
    status: int
    reply: ScoreReply | None
    problem: ProblemBody | None


class ScoreBatchReply(Struct):
    """Answers in the order of the requests."""

    object: Literal["list"]
    data: list[BatchEntry]


class _Apart(Struct, forbid_unknown_fields=True):
    """The body with its requests still to be read, each for itself."""

    requests: Annotated[list[msgspec.Raw], Count]


class _Whole(Struct):
    """The same with all of its requests as they are written."""

    requests: msgspec.Raw


_decode_whole = msgspec.json.Decoder(_Whole).decode


async def score_batch(call: Call) -> Reply:
    """Scores for several people or prompts; texts of all requests share the encoder's batches."""
    parts = read_json(call.body, _Apart, strict=False).requests
    refuse_repeated_outside(call.body, bytes(_decode_whole(call.body).requests))
    for place, part in enumerate(parts):
        if not bytes(part).lstrip().startswith(b"{"):
            raise invalid(f"/requests/{place}", "expected an object, a request for scores")
    calls = [_alone(call, bytes(part)) for part in parts]
    async with asyncio.TaskGroup() as group:
        tasks = []
        for one in calls:
            tasks.append(group.create_task(_answered(one)))
            await asyncio.sleep(0)  # thousands of ids each: others get their turn in between
    replies = [task.result() for task in tasks]
    call.units = sum(one.units for one in calls)
    call.encoding = max(one.encoding for one in calls)  # they wait for the encoder together
    call.model = next((one.model for one in calls if one.model), "")
    rows = [
        {
            "index": place, "status": reply.status,
            "reply": msgspec.Raw(reply.body) if reply.status == 200 else None,
            "problem": None if reply.status == 200 else msgspec.Raw(reply.body),
        }
        for place, reply in enumerate(replies)
    ]  # fmt: skip
    return Reply(200, encode({"object": "list", "data": rows}))


def _alone(call: Call, body: bytes) -> Call:
    """One of the requests, as if it had come by itself."""
    one = copy.copy(call)
    one.body, one.content_type, one.units, one.model = body, JSON, 0, ""
    one.allowance = None
    return one


async def _answered(call: Call) -> Reply:
    """The reply to one request, a problem included."""
    try:
        wait = 0.0
        if call.caller is not None:
            units, opened = call.caller.units, call.caller.opened  # which counts the whole of it
            if isinstance(units, Leased):
                await units.lease(opened, mine=1)
            wait = units.overdraft(opened[0] - 1)
        if wait > 0.0:
            call.state.meter.reject("rate")
            detail = "The key has used up its units; wait as retry_after says"
            raise Problem("rate_limited", detail, retry_after=wait)
        return await score(call)
    except Exception as error:
        return problem_reply(call.state, error, "/v1/score", call.request_id)


ROUTES = (
    Route(
        "POST", "/v1/score:batch", "score_batch", "score", score_batch, "Scoring",
        "Several requests for scores, each with a status of its own.",
        request=ScoreBatch, response=ScoreBatchReply, problems=PROBLEMS, body="scoring",
        example={"requests": [
            {"user": "u-831", "candidates": [{"id": "resp-19"}, {"id": "resp-20"}]},
            {"user": "u-832", "candidates": [{"id": "resp-19"}, {"id": "resp-20"}]},
        ]},
    ),
)  # fmt: skip
