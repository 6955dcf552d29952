"""`POST /v1/rank/aggregate`, `/committee` and `/rerank`: what groups decide, with certificates.

Thin wrappers of `gustibus.social`. Ballots come with the request, or are the scores of known people for
candidates. Work runs in a thread of its own, with the interpreter lock released, up to a time limit.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any, Final, Literal

import numpy as np
from msgspec import Meta, Struct, field, to_builtins

from gustibus.errors import InfeasibleError, UnknownNameError
from gustibus.service.call import Call, Reply, ok
from gustibus.service.candidates import AnyCandidate, Prompt
from gustibus.service.ids import Id
from gustibus.service.orders import (
    ORDERED_BY,
    AggregateReply,
    AggregateRequest,
    Certificate,
    check_order,
    choice,
    choices,
    order_of,
    try_order,
)
from gustibus.service.people import OnUnknown
from gustibus.service.problems import invalid
from gustibus.service.routes.jobs import Job
from gustibus.service.routes.queueing import queue
from gustibus.service.routes.scoring import PROBLEMS, ModelName
from gustibus.service.routing import STORE, Route
from gustibus.service.voters import (
    MAX_CHOICES,
    Ballots,
    Choice,
    Name,
    Seconds,
    Voters,
    ballots_of,
    decided,
    refuse_cells,
    scores_of,
    time_left,
)
from gustibus.social import (
    ApprovalProfile,
    Committee,
    Profile,
    UtilityProfile,
    check_committee,
    committee,
    committee_rules,
    fair_metrics,
    fair_rerank,
)
from gustibus.types import F64

CHOSEN_BY: Final = ("rankings", "approvals", "utilities", "users")
"""Kinds of ballots that committees are chosen by."""

Amount = Annotated[float, Meta(ge=0, le=100_000)]


class CommitteeOptions(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What some of the rules take."""

    vector: Annotated[list[float], Meta(min_length=1, max_length=MAX_CHOICES)] | None = None
    """Scores of places, or factors of members: for `thiele`, `owa`, `positional`."""
    t: Annotated[int, Meta(ge=1, le=MAX_CHOICES)] | None = None
    """How many places or members count: for `threshold`, `t_borda`, `t_best`, `approval_cc`."""
    p: float | None = None
    """Power of `lp_borda`, base of `geometric`."""
    completion: Annotated[str, Meta(max_length=32)] | None = None
    """How `equal_shares` fills seats that nobody can afford."""


class CommitteeRequest(Voters, kw_only=True):
    """`k` members, within bounds on groups."""

    k: Annotated[int, Meta(ge=0, le=MAX_CHOICES)]
    rule: Annotated[str, Meta(max_length=64)] | None = None
    """`pav` on approvals, `cc` on rankings and utilities unless given."""
    options: CommitteeOptions = field(default_factory=CommitteeOptions)
    groups: dict[Name, list[Choice]] | None = None
    """Members of each group, by name or by place."""
    lower: dict[Name, Amount] = field(default_factory=dict)
    upper: dict[Name, Amount] = field(default_factory=dict)
    policies: Annotated[list[Literal["proportional", "equal"]], Meta(max_length=2)] = field(
        default_factory=list
    )
    method: Literal["auto", "exact", "greedy", "swap"] = "auto"
    audit: Annotated[list[Literal["jr", "pjr", "ejr", "ejr+", "priceable"]], Meta(max_length=5)] = (
        field(default_factory=list)
    )
    """Axioms to check, for approvals; what the time limit leaves no time for is unknown."""


class CommitteeStep(Struct):
    """One decision of the rule: who, and what it added or cost."""

    member: Choice
    gain: float


class CommitteeResult(Struct):
    """Members in the order of the ballots' names or of the candidates."""

    members: list[Choice]
    steps: list[CommitteeStep]


class Audit(Struct, omit_defaults=True):
    """An axiom; where it fails, voters who deserve seats and the names that they agree on."""

    holds: bool | None
    voters: list[int] = []
    members: list[Choice] = []
    seats: int = 0


class CommitteeReply(Struct):
    """The committee, and what is known of it."""

    result: CommitteeResult
    certificate: Certificate
    audit: dict[str, Audit]
    price_of_fairness: float | None
    """Share of the value that the bounds cost; none without bounds, or without time to know it."""
    rule: str
    method: str
    source: str
    transform: str | None
    unknown_users: list[str]
    seed: int | None
    """None: nothing is drawn, and ties go to whoever comes first."""


class FairRerankRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """Scored items, or candidates for one person, in an order that is fair to groups.

    Places times groups are two million at most.
    """

    groups: Annotated[list[Name], Meta(min_length=1)]
    """The group of each item."""
    scores: Annotated[list[float], Meta(min_length=1)] | None = None
    candidates: Annotated[list[AnyCandidate], Meta(min_length=1, max_length=4096)] | None = None
    user: Id | None = None
    prompt: Prompt | None = None
    model: ModelName = "default"
    on_unknown_user: OnUnknown = "population"
    k: Annotated[int, Meta(ge=1)] | None = None
    method: Annotated[str, Meta(max_length=32)] = "det_const_sort"
    shares: dict[Name, Annotated[float, Meta(ge=0, le=1)]] | None = None
    protected: list[Name] | None = None
    alpha: Annotated[float, Meta(gt=0, lt=1)] = 0.1
    seed: Annotated[int, Meta(ge=0, le=(1 << 53) - 1)] = 0
    time_limit: Seconds = 2.0
    """Seconds after which the order is given up."""


class FairOrder(Struct):
    """Places of the items, best first."""

    order: list[int]


class FairFigures(Struct):
    """Measures of the order."""

    ndkl: float
    exposure_ratio: float
    infeasible_index: int


class FairCertificate(Struct):
    """What every prefix holds."""

    minimum: dict[str, list[int]]
    """Promised number of items of each group in every prefix; none for methods that promise none."""
    alpha: float | None
    failure: float | None
    """Probability that a ranking drawn by fair coins would have failed the test of `fa_ir`."""


class FairRerankReply(Struct):
    """The order, its measures before and after."""

    result: FairOrder
    certificate: FairCertificate
    before: FairFigures
    after: FairFigures
    method: str
    seed: int


async def aggregate(call: Call) -> Reply:
    """One order for all."""
    body = await call.read_aside(AggregateRequest)
    check_order(body)
    ballots, unknown = await ballots_of(call, body, ORDERED_BY)
    if body.queued:
        return await queue(call, body, ballots, try_order)
    left = time_left(body.time_limit)
    return ok(await decided(call, lambda: order_of(body, ballots, left, unknown), body))


async def choose_committee(call: Call) -> Reply:
    """`k` members, within bounds."""
    body = await call.read_aside(CommitteeRequest)
    check_committee_of(body)
    ballots, unknown = await ballots_of(call, body, CHOSEN_BY)
    if body.queued:
        return await queue(call, body, ballots, try_committee)
    left = time_left(body.time_limit)
    return ok(await decided(call, lambda: committee_of(body, ballots, left, unknown), body))


def check_committee_of(body: CommitteeRequest) -> None:
    """Refuse bounds on no groups.

    Raises:
        Problem: 422.
    """
    if body.groups is None and (body.lower or body.upper or body.policies):
        raise invalid("/groups", "bounds need the groups that they are about")


def try_committee(body: CommitteeRequest, ballots: Ballots) -> None:
    """Refuse what would fail however much time it had, as far as that is quick to see.

    Raises:
        InputError: the ballots or what is to be audited are wrong; `UnknownNameError` for the rule;
            `InfeasibleError` where no committee is within the bounds.
    """
    rule, known = _rule_of(body), {row.name for row in committee_rules()}
    if rule not in known:
        raise UnknownNameError.of("rule", rule, known)
    profile = ballots()
    _refuse_audit(body, profile)
    committee(profile, body.k, rule=_PLAINEST[type(profile)], **_bounds(body))


_PLAINEST: Final = {ApprovalProfile: "av", Profile: "k_borda", UtilityProfile: "sum"}
"""Rules that add up what members have, so that only bounds can leave them without a committee."""


def _bounds(body: CommitteeRequest) -> dict[str, Any]:
    """Bounds on groups as the library takes them."""
    if body.groups is None:
        return {}
    return {
        "groups": body.groups, "lower": _whole_or_share(body.lower),
        "upper": _whole_or_share(body.upper), "bounds": body.policies or None,
    }  # fmt: skip


def _rule_of(body: CommitteeRequest) -> str:
    return body.rule or ("pav" if body.approvals is not None else "cc")


def _refuse_audit(body: CommitteeRequest, profile: object) -> None:
    if body.audit and not isinstance(profile, ApprovalProfile):
        raise invalid("/audit", "axioms are checked on approvals")


def committee_of(
    body: CommitteeRequest, ballots: Ballots, left: Callable[[], float], unknown: list[str]
) -> CommitteeReply:
    """The reply to a request.

    Args:
        body: what is wanted, checked.
        ballots: makes them.
        left: seconds that are left, from the first question on.
        unknown: people of whom nothing is known.

    Raises:
        InputError: a wrong argument, named; `InfeasibleError` where no committee is within the bounds.
        Problem: 422 for an audit of other ballots than approvals.
    """
    left()  # the time begins
    profile, rule, given = ballots(), _rule_of(body), _bounds(body)

    def elect(**given: Any) -> Committee:
        return committee(
            profile, body.k, rule=rule, method=body.method, time_limit=left(), **given,
            **to_builtins(body.options),
        )  # fmt: skip

    found, price = elect(**given), None
    if given and found.value:
        with suppress(InfeasibleError):  # no time is left for it
            free = elect().value
            price = 1 - found.value / free if free else 0.0
    audit: dict[str, Audit] = {}
    if body.audit:
        _refuse_audit(body, profile)
        assert isinstance(profile, ApprovalProfile), "others were refused"
        audit = {name: _audit(profile, found, name, left()) for name in body.audit}
    names = profile.labels
    kind = (
        "approvals"
        if body.approvals is not None
        else ("rankings" if body.rankings is not None else "utilities")
    )
    row = next(r for r in committee_rules() if r.name == found.rule and r.ballots == kind)
    result = CommitteeResult(
        choices(found.labels),
        [CommitteeStep(choice(names[step.item]), float(step.gain)) for step in found.steps],
    )
    certificate = Certificate(
        found.optimal if found.value is not None else None, found.value, found.upper_bound,
        found.gap, list(row.laws),
    )  # fmt: skip
    return CommitteeReply(
        result, certificate, audit, price, found.rule, found.method, row.source, found.transform,
        unknown, None,
    )  # fmt: skip


async def fair_order(call: Call) -> Reply:
    """An order that is fair to groups."""
    body = await call.read_aside(FairRerankRequest)
    if (body.scores is None) == (body.candidates is None):
        raise invalid("/scores", "expected exactly one of scores and candidates")
    if body.scores is not None:
        scores: F64 = np.asarray(body.scores, np.float64)
        call.units += len(scores)
    else:
        scores = (await scores_of(call, body, body.candidates or [], [body.user]))[0][0]
    places = len(scores) if body.k is None else min(body.k, len(scores))
    refuse_cells(places * len(set(body.groups)), "places of groups")
    left = time_left(body.time_limit)

    def work() -> FairRerankReply:
        found = fair_rerank(
            scores, body.groups, body.k, method=body.method, shares=body.shares,
            protected=body.protected, alpha=body.alpha, seed=body.seed, time_limit=left(),
        )  # fmt: skip
        plain = np.argsort(-scores, kind="stable")[: len(found.order)]
        minimum = {
            str(name): found.lower[:, column].tolist()
            for column, name in enumerate(found.groups)
            if len(found.lower)
        }
        return FairRerankReply(
            FairOrder(found.order.tolist()),
            FairCertificate(minimum, found.alpha, found.failure),
            _figures(plain, body), _figures(found.order, body), found.method, body.seed,
        )  # fmt: skip

    return ok(await decided(call, work, body))


def _audit(profile: ApprovalProfile, found: Committee, axiom: str, limit: float) -> Audit:
    check = check_committee(profile, found.members, axioms=[axiom], time_limit=limit)[axiom]
    members: list[Choice] = [choice(profile.labels[i]) for i in check.items]
    return Audit(check.holds, list(check.voters), members, check.seats)


def _figures(order: Any, body: FairRerankRequest) -> FairFigures:
    found = fair_metrics(order, body.groups, shares=body.shares)
    return FairFigures(float(found.ndkl), float(found.exposure_ratio), int(found.infeasible_index))


def _whole_or_share(limits: dict[str, float]) -> dict[str, float | int] | None:
    """JSON has one kind of number: 1 and above are members, below 1 a share of the committee."""
    if not limits:
        return None
    return {n: v if 0 < v < 1 or not float(v).is_integer() else int(v) for n, v in limits.items()}


_PROBLEMS = (*PROBLEMS, "infeasible", "queue_full")
_QUEUED = (*_PROBLEMS, *STORE)
_TAG = "Groups"
ROUTES = (
    Route(
        "POST", "/v1/rank/aggregate", "aggregate", "rank", aggregate, _TAG,
        "One order for all, by any voting rule.",
        request=AggregateRequest, response=AggregateReply, problems=_QUEUED, body="scoring", patient=True,
        idempotent=True, queued=Job,
        example={"rankings": [["a", "b", "c"], ["b", ["a", "c"]]], "method": "schulze"},
    ),
    Route(
        "POST", "/v1/rank/committee", "choose_committee", "rank", choose_committee, _TAG,
        "A committee within bounds on groups, with a certificate.",
        request=CommitteeRequest, response=CommitteeReply, problems=_QUEUED, body="scoring", patient=True,
        idempotent=True, queued=Job,
        example={"approvals": [["a", "b"], ["b", "c"], ["d"]], "k": 2, "audit": ["jr"]},
    ),
    Route(
        "POST", "/v1/rank/rerank", "fair_rerank", "rank", fair_order, _TAG,
        "Scored items in an order that is fair to groups.",
        request=FairRerankRequest, response=FairRerankReply, problems=_PROBLEMS, body="scoring", patient=True,
        example={"scores": [3, 2, 1, 0], "groups": ["x", "x", "y", "y"], "k": 2},
    ),
)  # fmt: skip
