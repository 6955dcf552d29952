"""Requests made up from the document: no internal error, and no status that it does not name."""

from __future__ import annotations

import warnings
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.service.harness import running

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the package's own imports
    import schemathesis
    from schemathesis.checks import CHECKS as KNOWN
    from schemathesis.checks import load_all_checks

from gustibus.service.app import TABLE
from gustibus.service.gate import MAX_DEADLINE_MS
from gustibus.service.openapi import document
from gustibus.service.routing import OPEN

load_all_checks()
EXAMPLES = 12
SCHEMA = schemathesis.openapi.from_dict(document())
SCHEMA.config.checks.negative_data_rejection.expected_statuses = [
    *SCHEMA.config.checks.negative_data_rejection.expected_statuses,
    "413",  # a list longer than allowed may be longer than any body may be
]
CHECKS = [
    KNOWN.get_one(name)
    for name in (
        "not_a_server_error", "status_code_conformance", "content_type_conformance",
        "response_schema_conformance", "response_headers_conformance", "negative_data_rejection",
    )
]  # fmt: skip
UNKNOWN = "unknown-property"
"""In the name of a header that the document does not have: HTTP passes it over, and refuses nothing."""
NAMES = {"user": "trained-1", "item": "item-1"}
"""Names that exist, so that some requests get past the look-up."""


@pytest.fixture(scope="module")
def server(tmp_path_factory, texts_folder, texts_model):
    folder = tmp_path_factory.mktemp("fuzz")
    with running(
        f"sqlite:///{folder}/s.db", folder, gustibus_model=str(texts_folder), gustibus_rate="0"
    ) as found:
        with found.client() as client:
            client.put("/v1/items/item-1?wait=true", json={"text": "plain"})
        yield found


def fuzzed(examples: int):
    """A test over every operation with so many made-up requests each."""
    skipped = "ignore:Skipped test cases with unsupported payload media types"
    chosen = settings(
        max_examples=examples, deadline=None, derandomize=True, database=None,
        phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    return lambda test: pytest.mark.filterwarnings(skipped)(SCHEMA.parametrize()(chosen(test)))


@fuzzed(EXAMPLES)
def test_no_request_finds_an_error_that_is_not_documented(case, server):
    judge(case, server)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@fuzzed(500)
def test_no_request_of_many_finds_an_error_that_is_not_documented(case, server):
    judge(case, server)


def judge(case, server) -> None:
    """Send a request with a key, and compare its reply with the document."""
    headers = {"Authorization": f"Bearer {server.key}"}
    if case.meta.generation.mode.is_positive:
        for name, given in (case.path_parameters or {}).items():
            if name in NAMES and len(given) % 2:
                case.path_parameters[name] = NAMES[name]
    allow_time(case)
    reply = case.call(base_url=server.base, headers=headers, timeout=20)
    passed_over = any(UNKNOWN in name.lower() for name in case.headers or {})
    checks = [c for c in CHECKS if not passed_over or c.__name__ != "negative_data_rejection"]
    case.validate_response(reply, checks=checks)
    assert reply.elapsed < 5


def allow_time(case) -> None:
    """Wait as long as possible: a millisecond is honestly not enough."""
    deadline = (case.headers or {}).get("X-Deadline-Ms", "")
    if deadline.isdigit() and 0 < int(deadline) < MAX_DEADLINE_MS:
        case.headers["X-Deadline-Ms"] = str(MAX_DEADLINE_MS)


@fuzzed(4)
def test_no_request_without_a_key_gets_past_the_door(case, server):
    for name in [name for name in case.headers or {} if name.lower() == "authorization"]:
        del case.headers[name]
    allow_time(case)
    reply = case.call(base_url=server.base, timeout=20)
    checks = [c for c in CHECKS if c.__name__ != "negative_data_rejection"]
    case.validate_response(reply, checks=checks)
    route, _ = TABLE.find(case.method, urlsplit(case.formatted_path).path) or (None, None)
    if route is None or route.scope != OPEN:
        assert reply.status_code in {400, 401, 404, 405}, reply.status_code
    assert reply.elapsed < 5


def test_every_operation_was_tried():
    assert {o.ok().definition.raw["operationId"] for o in SCHEMA.get_all_operations()} == {
        route.operation for route in TABLE
    }
