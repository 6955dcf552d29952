"""The route table, and the document that is made from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gustibus.data.answers import answer_of
from gustibus.service.app import TABLE
from gustibus.service.links import SOURCES
from gustibus.service.openapi import document, text
from gustibus.service.problems import CODES
from gustibus.service.routes.pages import FILES
from gustibus.service.routing import ANY, OPEN, SCOPES, Route

COMMITTED = Path(__file__).parents[2] / "docs" / "openapi.json"


def test_every_route_has_a_scope_and_only_health_and_the_files_of_pages_are_open():
    health = {"/", "/livez", "/readyz"}
    assert {route.path for route in TABLE if route.scope == OPEN} == health | {*FILES}
    for route in TABLE:
        assert route.scope in {*SCOPES, OPEN, ANY}, route.path


def test_only_one_sessions_own_routes_take_a_token():
    for route in TABLE:
        assert route.session == ("session" in route.parameters), route.path
        assert not route.session or route.scope == "onboard"


def test_a_route_without_a_known_scope_or_code_cannot_be_made():
    async def run(call):
        raise AssertionError

    with pytest.raises(ValueError, match="scope"):
        Route("GET", "/x", "x", "root", run, "Operations", "x")
    with pytest.raises(ValueError, match="codes"):
        Route("GET", "/x", "x", OPEN, run, "Operations", "x", problems=("oops",))


def test_operations_have_names_of_their_own():
    names = [route.operation for route in TABLE]
    assert len(set(names)) == len(names)
    places = [(route.method, route.path) for route in TABLE]
    assert len(set(places)) == len(places)


def test_every_route_is_found_by_its_own_path():
    for route in TABLE:
        path = route.path
        for name in route.parameters:
            path = path.replace(f"{{{name}}}", "some.name@x-1")
        found = TABLE.find(route.method, path)
        assert found is not None
        assert found[0] is route
        assert set(found[1].values()) <= {"some.name@x-1"}


def test_a_request_without_a_key_is_refused_on_every_route_but_the_open_ones(service):
    import httpx

    with httpx.Client(base_url=service.base) as client:
        for route in TABLE:
            path = route.path
            for name in route.parameters:
                path = path.replace(f"{{{name}}}", "x")
            reply = client.request(route.method, path)
            if route.scope == OPEN:
                assert reply.status_code == 200
            else:
                assert reply.status_code == 401, route.path
                assert reply.json()["code"] == "unauthenticated"


def test_the_committed_document_is_that_of_the_table():
    assert COMMITTED.read_text() == text(), (
        "run: python -m gustibus.service.openapi > docs/openapi.json"
    )


def test_the_document_names_every_status_and_every_scope():
    made = document()
    assert made["openapi"].startswith("3.1")
    for route in TABLE:
        operation = made["paths"][route.path][route.method.lower()]
        assert [int(status) for status in sorted(operation["responses"])] == route.statuses
        if route.scope in SCOPES:
            assert route.scope in operation["description"]
        assert bool(operation["security"]) == (route.scope != OPEN)
        if route.request is not None or route.stream:
            bodies = operation["requestBody"]["content"]
            assert any("example" in body for body in bodies.values()), route.path


def test_every_operation_may_miss_its_deadline():
    for route in TABLE:
        assert {400, 500, 504} <= set(route.statuses), route.path


def test_links_of_the_document_lead_to_operations_with_every_name_that_they_need():
    operations = {route.operation: route for route in TABLE}
    assert set(SOURCES) <= set(operations)
    linked = set()
    for path in document()["paths"].values():
        for operation in path.values():
            for reply in operation["responses"].values():
                for link in reply.get("links", {}).values():
                    linked.add(link["operationId"])
                    target = operations[link["operationId"]]
                    assert set(link["parameters"]) == set(target.parameters)
    named = {route.operation for route in TABLE if route.parameters}
    aliases = {"get_alias", "put_alias", "delete_alias"}
    assert named - linked == aliases, "nothing lists the names of aliases alone"


def test_examples_of_the_document_are_requests_that_decode():
    from gustibus.service.decoding import read_json

    made = document()
    for route in TABLE:
        body = made["paths"][route.path][route.method.lower()].get("requestBody")
        if body is not None and not route.stream:
            example = body["content"]["application/json"]["example"]
            read_json(json.dumps(example).encode(), route.request)


def test_examples_of_data_are_records_of_an_import():
    (route,) = (route for route in TABLE if route.stream)
    assert route.stream[0] == "application/x-ndjson"
    told = document()["paths"][route.path]["put"]["requestBody"]["content"][route.stream[0]]
    rows = [json.loads(line) for line in told["example"].splitlines()]
    answers = [answer_of(row, place="row 1") for row in rows]
    assert [one.user for one in answers] == ["u-831", "u-832"]


def test_every_code_of_an_error_can_be_answered_by_a_route():
    told = {code for route in TABLE for code in route.codes} | {"method_not_allowed"}
    assert told == set(CODES)


def test_the_document_is_served_to_keys(http, service):
    import httpx

    assert http.get("/openapi.json").json() == json.loads(text())
    assert httpx.get(f"{service.base}/openapi.json").status_code == 401
