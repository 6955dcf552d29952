"""Every phase of schemathesis over the document: examples, edges of the schema, random cases, links.

A run is told by what it found, how often each operation answered what, and how many requests that took.
"""

from __future__ import annotations

import json
import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the package's own imports
    import schemathesis
    from schemathesis.checks import CHECKS, load_all_checks
    from schemathesis.config import SchemathesisConfig
    from schemathesis.core.failures import AcceptedNegativeData
    from schemathesis.engine import events, from_schema
    from schemathesis.generation.meta import TestPhase
    from schemathesis.hooks import GLOBAL_HOOK_DISPATCHER
    from schemathesis.openapi.checks import (
        AllowHeaderMismatch,
        RejectedPositiveData,
        UndefinedStatusCode,
        UseAfterFree,
    )

from gustibus.service.app import TABLE
from gustibus.service.gate import MAX_DEADLINE_MS
from gustibus.service.links import SOURCES
from gustibus.service.openapi import document

load_all_checks()


LINES = "application/x-ndjson"


@schemathesis.serializer(LINES)
def _lines(context: Any, value: Any) -> bytes:
    """JSON lines are sent as the text that they are."""
    del context
    return (
        value.encode("utf-8", "replace") if isinstance(value, str) else json.dumps(value).encode()
    )


PHASES = ("examples", "coverage", "fuzzing", "stateful")
CHECKED = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance",
    "response_headers_conformance", "response_schema_conformance", "negative_data_rejection",
    "positive_data_acceptance", "missing_required_header", "unsupported_method",
    "allow_header_conformance", "use_after_free", "ensure_resource_availability", "ignored_auth",
)  # fmt: skip
"""Checks that are made; how long a reply takes is one more."""
LEFT_OUT = {
    "object_level_authorization": "needs two identities that own things; here a key owns nothing, its scopes "
    "say what it may do, and which scope every route needs is tested in test_routes.py",
}
"""Checks that are not made, and why."""
SLOWEST = 5.0
"""Seconds that a reply may take."""
RULES = (
    # One of several fields or headers, and fields that go together.
    r"expected exactly one of ",
    r"query:user: expected one of object and user$",
    r"If-(None-)?Match: (send the ETag of what is to change|expected (an|\* or an) ETag )",
    r"query:: parameters belong to the binary form only",
    r"/robust: an angle around stated weights; send weights too",
    r": belongs to a method; send one too$",
    r": expected with the method '\w+', and with no other$",
    r"/turns/\d+/response: expected a text or an item, got (an embedding|a vector)$",
    r"/vector/model: is of ",
    r"/dtype: numbers of candidate \d+ do not fit into f16",
    r"/candidates: \d+ candidates as arrays, at most \d+ are allowed$",
    r": its length .* is above .*, twice that of nearly all of the training$",
    r"delta: expected a number with late outcomes that overbook, and None otherwise",
    r"/(groups|shares|lower|upper|k): bounds need the groups that they are about",
    r"/groups: the method 'fair_consensus' needs the groups ",
    r"/options: expected none for the method 'fair_consensus', got ",
    r"/time_limit: expected at most 30 without async, got ",
    r"groups: expected (every item in (one|a) group|an item's name or place), got ",
    r"lower: expected either shares or bounds, got both$",
    r"(lower|upper): expected the groups \(.*\), got \(.*\)$",
    r"(lower|upper): expected shape \(.*\), got \(.*\)",
    r"(lower|upper): expected \d+ numbers per group$",
    r"shares: expected numbers from 0 with a sum of at most 1, got ",
    r"/candidates: candidates go with users, not with ",
    r"/robust: an angle around a direction; a combination has none$",
    r"columns: expected name=column, each name once, got ",
    r"/answers: needed where a candidate is not a text",
    r"(capacity|budget): expected for this rule, and not its counterpart",
    r"values: expected no values for the rule ",
    r"horizon: expected a number of arrivals, got None$",
    r"/exclude: names pairs of the pool; send pairs instead$",
    r"/prompt: goes with a file; items have prompts of their own$",
    r"query:format: belongs to an evaluation$",
    r"/options(/.*)?: (.* has no option '.*'; known: |families: |minutes: |no model )",
    r"/min_questions: more than max_questions",
    r"/return_url: (GUSTIBUS_RETURN_ORIGINS names no origin|expected an address at one of the origins)",
    r"expected one of \['mnl', 'cascade'\] where prices are asked for",
    r"/(arrivals/\d+/)?candidates: (expected one for each of items, and no values|users decide )",
    # Numbers that must agree with each other, or with the model.
    r": dimension \d+, the model expects \d+$",
    r"expected shape \(.*\), got \(.*\)$",
    r"items: expected item numbers below \d+, got \d+$",
    r"groups: expected \d+ labels, got \d+$",
    r"rankings: expected items among the labels ",
    r"approvals: expected items among \(",
    r"rankings: expected full strict rankings, got partial or weak ballots$",
    r"shares: expected the groups \(.*\), got \(.*\)$",
    r"utilities: expected numbers, got list: rows of several lengths$",
    r"options: expected (no options|only .*) for the rule \w+, got ",
    r"k: expected a (whole )?number from \d+ to \d+, got \d+$",
    r"capacity: expected whole numbers from ",
    r"p: expected rows of one length, got rows of several$",
    r"p: expected chances below 1 for this model, got ",
    r"weights: expected numbers at or above 0, got ",  # a bound in the schema would break a promise
    r"/prompts: expected \d+, one for each of query, got \d+$",
    r": \d+ bytes are no whole number of ",
    r"/pairs/\d+: expected two different places below \d+, got \d+ and \d+$",
    r"utilities: expected numbers of at least 0, got .*; shift them or choose another transform",
    r"/direction: expected a number from 0 to \d+, got \d+$",
    r"/candidates: \d+ text candidates, at most \d+ are allowed$",
    r"(expected at least one( item| item with room)?, got (none|0)|with at least one of each, got .*)$",
    r"/items: an id occurs twice$",
    r"(rankings|approvals): expected each item at most once on a ballot, got ",
    r"items: expected every item once in a row, got ",  # an arrival that is known is told again as it is
    r"/pairs: pairs are places of candidates, and there are none",
    # What the model in service can do, and rows of tables with their options.
    r"a model of family '\w+' has ",
    r"no [\w ]+ ['\"].*['\"]; (known|did you mean)",
    r"/version: there is no version \d+ of '.*'$",
    r"/digest: there is no such folder in the folder of models$",
    r"is not at revision \d+; read it again$",
    r"has changed since the tag of If-Match was told; read it again$",
    r"is there, as If-None-Match says it must not be$",
    r"file: there is no file .* in the folder that may be imported$",
    r"/kind: GUSTIBUS_MODELS is not set, so that there is nowhere for a version$",
    r"/(version|golden): GUSTIBUS_MODELS is not set, so that there are no versions$",
    r"/golden: (GUSTIBUS_GOLDEN is not set, so that there is no golden set|is a file of its own; )",
    r"Content-Type: the import is of ",
    r"/expires_at: expected a time to come: ",
    r"/cidrs/\d+: (expected a range such as |'.*' is an address in )",
    r"The key '.*' was revoked, and stays as it is$",
    r"time_limit: .* s were over before there was a result$",
    # Numbers with a point, which are no integers here; texts and years that cannot be kept.
    r"Expected `int( \| null)?`, got `float`$",
    r"/b64: not base64$",
    r": holds a NUL character or a half of a surrogate pair$",
    r": expected a number of 64 bits$",
    r": expected a year from ",
    # What was said before.
    r"'.*' was deleted",
    r"Idempotency-Key: this key was used with another request before",
    r"query:after: expected the `next` of an earlier page of this list",
    r"attempt: expected one that waits for its outcome",
)
"""What is said of requests that break a rule which a schema does not hold."""
KNOWN = {
    "user": "trained-1",
    "item": "item-1",
    "model": "default",
    "alias": "champion",
    "version": "1",
}
"""Names that exist, so that some requests get past the look-up."""
EXAMPLES = ("u-831", "0")
"""People of the document's examples, and of the smallest requests that its schemas allow."""
NEEDED = (KNOWN["user"], "trained-2")
"""People of whom something has to be asked in a run."""
REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_NUMBERS = count()
UNKNOWN = "unknown-property"
"""In the name of a header that the document does not have: HTTP passes it over, and refuses nothing."""


@dataclass
class Names:
    """Names by what they are of, that requests may ask for.

    Attributes:
        live: the latest of each kind, or one that was made for the run.
        made: kinds of those.
        older: told before, or beside, which may be deleted: what comes later needs the others.
        chance: by which a request asks for what is there.
    """

    live: dict[str, str]
    made: frozenset[str] = frozenset()
    older: dict[str, str] = field(default_factory=dict)
    chance: Random = field(default_factory=Random)

    def add(self, found: Mapping[str, str]) -> None:
        """Take in names that a reply tells."""
        for kind, name in found.items():
            if kind in self.made:
                self.older[kind] = name
                continue
            if self.live.get(kind) not in {None, name, KNOWN.get(kind)}:
                self.older[kind] = self.live[kind]
            self.live[kind] = name


@dataclass
class Told:
    """What a run found.

    Attributes:
        faults: a text for each, told once.
        errors: of the tool itself.
        statuses: how often each operation answered what.
        requests: that were sent.
        slowest: seconds that a reply took.
        phases: that were run to their end, with what became of them.
    """

    faults: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    statuses: dict[str, Counter[int]] = field(default_factory=dict)
    requests: int = 0
    slowest: float = 0.0
    phases: dict[str, str] = field(default_factory=dict)


def explore(
    base: str, *, key: str = "", phases: Sequence[str] = PHASES, examples: int = 50, seed: int = 0,
    known: Mapping[str, str] = MappingProxyType({}),
) -> Told:  # fmt: skip
    """Send what the document leads to.

    Args:
        base: of the service.
        key: with every scope; empty for none.
        phases: of schemathesis.
        examples: random cases, and random sequences, of each operation.
        seed: of what is random.
        known: names that were made for the run, by what they are of, beside `KNOWN`.
    """
    told, names = Told(), Names({**KNOWN, **known}, frozenset(known), chance=Random(seed))
    config = _config(base, key, phases, examples, seed)
    schema = schemathesis.openapi.from_dict(document(), config=config)

    def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
        return counts(failure, case, response)

    def after_call(context: Any, case: Any, response: Any) -> None:
        told.requests += 1
        told.slowest = max(told.slowest, response.elapsed)
        told.statuses.setdefault(case.operation.label, Counter())[response.status_code] += 1
        if response.status_code in {200, 201, 202}:
            names.add(told_by(case, response))

    def before_call(context: Any, case: Any, kwargs: Any) -> None:
        spare(case, key, names)

    schema.hook(filter_failure)
    schema.hook(after_call)
    schemathesis.hook(before_call)
    try:
        for event in from_schema(schema).execute():
            _read(event, told)
    finally:
        GLOBAL_HOOK_DISPATCHER.unregister(before_call)
    return told


def _config(
    base: str, key: str, phases: Sequence[str], examples: int, seed: int
) -> SchemathesisConfig:
    chosen: dict[str, Any] = {name: {"enabled": name in phases} for name in PHASES}
    return SchemathesisConfig.from_dict({
        "seed": seed,
        "cache": {"enabled": False},  # nothing of an earlier run
        "base-url": base,
        "auth": {"openapi": {"key": {"bearer": key}}} if key else {},
        "request-timeout": 60.0,
        "continue-on-failure": True,
        "checks": {
            **{name: {"enabled": False} for name in LEFT_OUT},
            "max_response_time": SLOWEST,
            "positive_data_acceptance": {"expected-statuses": [
                "2xx", "401", "403", "404", "409", "5xx",
                "304",  # `*`, or what another reply had as its tag
            ]},
            "negative_data_rejection": {"expected-statuses": [
                "400", "401", "403", "404", "405", "409", "415", "422", "428",
                "413",  # a list longer than allowed may be longer than any body may be
            ]},
        },
        "generation": {"max-examples": examples, "database": "none", "no-shrink": True},
        "phases": chosen,
    })  # fmt: skip


def _read(event: Any, told: Told) -> None:
    """Take in what an engine tells."""
    if isinstance(event, events.ScenarioFinished):
        for case, checks in event.recorder.checks.items():
            for one in checks:
                if one.failure_info is not None:
                    failure = one.failure_info.failure
                    text = f"{event.phase.value}: {failure.operation}: {failure.title}\n{failure.message}"
                    response = event.recorder.find_response(case_id=failure.case_id or case)
                    body = "" if response is None else response.text
                    told.faults.append(f"{text}\n{one.failure_info.code_sample}\n{body[:500]}")
    elif isinstance(event, events.NonFatalError):
        told.errors.append(f"{event.label}: {event.info.title}: {event.info.message}")
    elif isinstance(event, events.FatalError):
        raise event.exception
    elif isinstance(event, events.PhaseFinished):
        told.phases[event.phase.name.value] = event.status.value


def known_checks() -> set[str]:
    """Names of every check that schemathesis has."""
    return set(CHECKS.get_all_names())


def told_by(case: Any, response: Any) -> dict[str, str]:
    """The names that a reply tells, as the links of the document say where they are."""
    found = {}
    for name, place in SOURCES.get(case.operation.definition.raw["operationId"], {}).items():
        if place.startswith("$response.body#/"):
            value = response.json()
            for step in place.removeprefix("$response.body#/").split("/"):
                value = _below(value, step)
            if value is not None:
                found[name] = str(value)
    return found


def _below(value: Any, step: str) -> Any:
    """What a JSON value holds under a step of a pointer, None where it holds nothing there."""
    if isinstance(value, list):
        return value[int(step)] if len(value) > int(step) else None
    return value.get(step) if isinstance(value, dict) else None


def spare(case: Any, key: str, known: Names) -> None:
    """Leave the run what it needs: its own key, time for replies, and requests that get somewhere.

    Every other request that a rule which no schema holds would stop at once is led past it, and random ones
    ask for what is there.
    """
    headers, names, query = case.headers or {}, case.path_parameters or {}, case.query or {}
    deadline = str(headers.get("X-Deadline-Ms", ""))
    if deadline.isdigit() and 0 < int(deadline) < MAX_DEADLINE_MS:
        headers["X-Deadline-Ms"] = str(MAX_DEADLINE_MS)  # a millisecond is honestly not enough
    if (
        key and names.get("key") == key.split("_")[2]
    ):  # which must not be revoked, changed or rotated
        names["key"] = "another"
    ends = case.method == "DELETE" or case.path.endswith(":restrict")
    if ends and names.get("user") in {*EXAMPLES, *NEEDED}:
        names["user"] = "somebody-else"  # a person who was deleted does not come back
    number, made = next(_NUMBERS), case.meta
    positive = made is not None and made.generation.mode.is_positive
    if positive and not REQUEST_ID.fullmatch(str(headers.get("X-Request-Id", "-"))):
        headers.pop("X-Request-Id")  # the tool takes it for the name of something that was made
    # By chance: the checks send some requests again, so that of an operation's own all may have even numbers.
    if not positive or known.chance.random() < 0.5:
        return
    if "Idempotency-Key" in headers:
        headers["Idempotency-Key"] = f"fresh {number}"
    if case.path == "/v1/score" and case.media_type == "application/json":
        query.clear()  # belongs to the binary form
    query.pop("after", None)
    if made.phase.name is TestPhase.FUZZING:
        there = known.older if ends else known.live
        names.update((kind, name) for kind, name in there.items() if kind in names)


def counts(failure: Any, case: Any, response: Any) -> bool:
    """Whether what a check has found is a fault, and not something that no schema can say."""
    if isinstance(failure, AcceptedNegativeData):
        if case.media_type == LINES and not isinstance(case.body, str):
            return False  # which is sent as its text, and a line that is no answer is told of in the reply
        return not any(UNKNOWN in name.lower() for name in case.headers or {})
    if isinstance(failure, RejectedPositiveData):
        detail = json.loads(response.content)["detail"]
        return not any(re.search(rule, detail) for rule in RULES)
    if isinstance(failure, UseAfterFree):
        return case.path != "/v1/keys/{key}"  # a key that was revoked stays on record
    if isinstance(failure, UndefinedStatusCode):
        # A name that is a dot is no part of a path to a client: what was asked for has no name.
        return not urlsplit(response.request.url).path.endswith("/")
    if isinstance(failure, AllowHeaderMismatch):
        # Names may hold colons: a path that ends in a verb is that of a person of this name, too.
        return failure.allow_header != ", ".join(TABLE.methods(urlsplit(response.request.url).path))
    return True
