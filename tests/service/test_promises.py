"""The interface keeps what the last release promised: nothing that worked stops working."""

from __future__ import annotations

import copy
import json
import runpy
from pathlib import Path

import pytest

from gustibus.service.openapi import document

ROOT = Path(__file__).parents[2]
BASELINE = Path(__file__).parent / "openapi_baseline.json"
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "openapi_promises.py"))
breaks, promises, text = SCRIPT["breaks"], SCRIPT["promises"], SCRIPT["text"]


def test_nothing_that_the_last_release_promised_is_broken():
    old = json.loads(BASELINE.read_text(encoding="utf-8"))
    assert breaks(old, promises(document())) == []


def test_the_baseline_is_as_it_is_written():
    found = BASELINE.read_text(encoding="utf-8")
    assert text(json.loads(found)) == found


def small() -> dict:
    """A document of two operations."""
    schemas = {
        "Ask": {
            "type": "object", "additionalProperties": False, "required": ["user"],
            "properties": {
                "user": {"type": "string", "pattern": "^a", "maxLength": 9, "description": "Who."},
                "k": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 9}, {"type": "null"}],
                      "default": None},
                "share": {"type": "number", "minimum": 0, "maximum": 1},
                "kind": {"enum": ["x", "y"]},
                "inner": {"$ref": "#/components/schemas/Tree"},
                "rows": {"type": "array", "items": {"type": "number"}, "maxItems": 5},
                "free": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        },
        "Tree": {
            "type": "object", "required": [],
            "properties": {"name": {"type": "string"},
                           "below": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}},
        },
        "Told": {
            "type": "object", "required": ["id", "score"],
            "properties": {
                "id": {"type": "string"}, "score": {"type": "number"}, "count": {"type": "integer"},
                "state": {"enum": ["open", "done"]},
                "more": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "tree": {"$ref": "#/components/schemas/Tree"},
            },
        },
    }  # fmt: skip
    ask = {
        "operationId": "ask", "description": "Needs the scope `score`.", "summary": "Ask.",
        "security": [{"key": []}, {"session": []}],
        "parameters": [
            {"name": "n", "in": "query", "required": False, "schema": {"type": "integer", "minimum": 0}},
            {"$ref": "#/components/parameters/Id"},
        ],
        "requestBody": {"required": False, "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/Ask"}},
            "application/octet-stream": {"schema": {"type": "string"}},
        }},
        "responses": {
            "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Told"}}}},
            "404": {"description": "none"},
        },
    }  # fmt: skip
    look = {
        "operationId": "look", "security": [], "parameters": [],
        "responses": {"200": {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    }  # fmt: skip
    return {
        "paths": {"/ask": {"post": ask}, "/look": {"get": look}},
        "components": {
            "schemas": schemas,
            "parameters": {"Id": {"name": "X-Id", "in": "header", "required": False,
                                  "schema": {"type": "string", "maxLength": 4}}},
        },
    }  # fmt: skip


def told(change) -> list[str]:
    """What a change of the small document breaks."""
    new = copy.deepcopy(small())
    change(new, new["paths"]["/ask"]["post"], new["components"]["schemas"])
    return breaks(promises(small()), promises(new))


def put(where: dict, **values) -> None:
    where.update(values)


BREAKING = {
    "an operation is gone": (lambda d, ask, s: d["paths"].pop("/look"), "GET /look: is gone"),
    "a method is gone": (
        lambda d, ask, s: put(d["paths"]["/ask"], put=d["paths"]["/ask"].pop("post")),
        "POST /ask: is gone",
    ),
    "an operation has another name": (
        lambda d, ask, s: put(ask, operationId="asked"),
        "operationId was ask and is asked",
    ),
    "another scope": (
        lambda d, ask, s: put(ask, description="Needs the scope `admin`."),
        "needs ['Needs the scope `admin`.'",
    ),
    "a way to sign in is gone": (lambda d, ask, s: ask["security"].pop(), "and needs ["),
    "a parameter is gone": (lambda d, ask, s: ask["parameters"].pop(0), "query n is not known"),
    "a parameter has to be there": (
        lambda d, ask, s: put(ask["parameters"][0], required=True),
        "query n has to be there",
    ),
    "a new parameter has to be there": (
        lambda d, ask, s: ask["parameters"].append(
            {"name": "m", "in": "query", "required": True, "schema": {"type": "string"}}
        ),
        "query m has to be there",
    ),
    "a parameter is narrower": (
        lambda d, ask, s: put(ask["parameters"][0]["schema"], minimum=1),
        "query n: minimum was 0 and is 1",
    ),
    "a shared parameter is narrower": (
        lambda d, ask, s: put(d["components"]["parameters"]["Id"]["schema"], maxLength=3),
        "header X-Id: maxLength was 4 and is 3",
    ),
    "the body has to be there": (
        lambda d, ask, s: put(ask["requestBody"], required=True),
        "the body has to be there",
    ),
    "a kind of body is gone": (
        lambda d, ask, s: ask["requestBody"]["content"].pop("application/octet-stream"),
        "application/octet-stream is gone",
    ),
    "the body is gone": (lambda d, ask, s: ask.pop("requestBody"), "takes no body any more"),
    "a field has to be there": (
        lambda d, ask, s: s["Ask"]["required"].append("kind"),
        "body/kind: has to be there",
    ),
    "a new field has to be there": (
        lambda d, ask, s: (
            s["Ask"]["properties"].update(z={"type": "string"}),
            s["Ask"]["required"].append("z"),
        ),
        "body/z: has to be there",
    ),
    "a field is gone": (
        lambda d, ask, s: s["Ask"]["properties"].pop("share"),
        "body/share: is gone",
    ),
    "a field is of another type": (
        lambda d, ask, s: put(s["Ask"]["properties"], user={"type": "integer"}),
        "body/user: string is not taken",
    ),
    "a number is a whole number now": (
        lambda d, ask, s: put(s["Ask"]["properties"]["share"], type="integer"),
        "body/share: number is not taken",
    ),
    "null is no more": (
        lambda d, ask, s: put(s["Ask"]["properties"], k=s["Ask"]["properties"]["k"]["anyOf"][0]),
        "body/k: null is not taken",
    ),
    "a bound inside a choice is narrower": (
        lambda d, ask, s: put(s["Ask"]["properties"]["k"]["anyOf"][0], maximum=8),
        "body/k: maximum was 9 and is 8",
    ),
    "a bound is new": (
        lambda d, ask, s: put(s["Ask"]["properties"]["rows"], minItems=1),
        "body/rows: minItems was None and is 1",
    ),
    "items are narrower": (
        lambda d, ask, s: put(s["Ask"]["properties"]["rows"]["items"], minimum=0),
        "body/rows/*: minimum was None and is 0",
    ),
    "values of a table are narrower": (
        lambda d, ask, s: put(s["Ask"]["properties"]["free"], additionalProperties=False),
        "body/free/*: anything could stand here",
    ),
    "a pattern is another": (
        lambda d, ask, s: put(s["Ask"]["properties"]["user"], pattern="^b"),
        "body/user: pattern was ^a and is ^b",
    ),
    "a value is gone": (
        lambda d, ask, s: s["Ask"]["properties"]["kind"]["enum"].remove("y"),
        "body/kind: ['y'] is gone",
    ),
    "a free text is a choice now": (
        lambda d, ask, s: put(s["Tree"]["properties"], name={"enum": ["a", "b"]}),
        "body/inner/name: only ['a', 'b'] is taken",
    ),
    "a status is gone": (
        lambda d, ask, s: put(ask["responses"], **{"201": ask["responses"].pop("200")}),
        "it never replies 200",
    ),
    "a reply is of another kind": (
        lambda d, ask, s: put(
            d["paths"]["/look"]["get"]["responses"]["200"],
            content={"text/html": {"schema": {"type": "string"}}},
        ),
        "text/plain is gone",
    ),
    "a field of a reply is gone": (
        lambda d, ask, s: s["Told"]["properties"].pop("count"),
        "reply 200/count: is gone",
    ),
    "a field of a reply may be missing": (
        lambda d, ask, s: s["Told"]["required"].remove("score"),
        "reply 200/score: may be missing",
    ),
    "a reply may be null": (
        lambda d, ask, s: put(
            s["Told"]["properties"], id={"anyOf": [{"type": "string"}, {"type": "null"}]}
        ),
        "reply 200/id: null was never replied",
    ),
    "a whole number of a reply is any number now": (
        lambda d, ask, s: put(s["Told"]["properties"]["count"], type="number"),
        "reply 200/count: number was never replied",
    ),
    "a choice of a reply is a free text now": (
        lambda d, ask, s: put(s["Told"]["properties"], state={"type": "string"}),
        "reply 200/state: it was one of ['open', 'done']",
    ),
    "a field deep in a reply is of another type": (
        lambda d, ask, s: put(s["Tree"]["properties"]["below"], items={"type": "string"}),
        "reply 200/tree/below/*: string was never replied",
    ),
}
HARMLESS = {
    "nothing": lambda d, ask, s: None,
    "another operation": lambda d, ask, s: put(d["paths"], **{"/new": d["paths"]["/look"]}),
    "words": lambda d, ask, s: (put(ask, summary="!"), put(s["Ask"], description="!", title="!")),
    "one more way to sign in": lambda d, ask, s: ask["security"].append({"basic": []}),
    "one more parameter": lambda d, ask, s: ask["parameters"].append(
        {"name": "m", "in": "query", "required": False, "schema": {"type": "string"}}
    ),
    "one more field": lambda d, ask, s: put(s["Ask"]["properties"], z={"type": "string"}),
    "one more field of a reply": lambda d, ask, s: (
        put(s["Told"]["properties"], z={"type": "string"}),
        s["Told"]["required"].append("z"),
    ),
    "a field may be missing now": lambda d, ask, s: s["Ask"]["required"].remove("user"),
    "a field is always there now": lambda d, ask, s: s["Told"]["required"].append("count"),
    "wider bounds": lambda d, ask, s: (
        put(s["Ask"]["properties"]["share"], minimum=-1, maximum=2),
        s["Ask"]["properties"]["user"].pop("maxLength"),
        s["Ask"]["properties"]["user"].pop("pattern"),
    ),
    "one more value": lambda d, ask, s: s["Ask"]["properties"]["kind"]["enum"].append("z"),
    "one more value of a reply": lambda d, ask, s: s["Told"]["properties"]["state"]["enum"].append(
        "late"
    ),
    "one more type": lambda d, ask, s: put(
        s["Ask"]["properties"], user={"anyOf": [small_user(), {"type": "null"}]}
    ),
    "any number where whole ones were": lambda d, ask, s: put(
        s["Ask"]["properties"]["k"]["anyOf"][0], type="number"
    ),
    "whole numbers where any were": lambda d, ask, s: put(
        s["Told"]["properties"]["score"], type="integer"
    ),
    "a reply is never null": lambda d, ask, s: put(
        s["Told"]["properties"], more={"type": "string"}
    ),
    "a schema has another name": lambda d, ask, s: (
        put(s, Other=s.pop("Told")),
        put(
            ask["responses"]["200"]["content"]["application/json"],
            schema={"$ref": "#/components/schemas/Other"},
        ),
    ),
    "choices in another order": lambda d, ask, s: s["Ask"]["properties"]["k"]["anyOf"].reverse(),
    "one more status": lambda d, ask, s: put(ask["responses"], **{"202": {}, "422": {}}),
    "one more kind of body": lambda d, ask, s: put(
        ask["requestBody"]["content"], **{"text/csv": {"schema": {"type": "string"}}}
    ),
    "a body that may be left out": lambda d, ask, s: put(
        d["paths"]["/look"]["get"],
        requestBody={"required": False, "content": ask["requestBody"]["content"]},
    ),
}


def small_user() -> dict:
    return small()["components"]["schemas"]["Ask"]["properties"]["user"]


@pytest.mark.parametrize("name", BREAKING)
def test_a_change_that_breaks_clients_is_told(name):
    change, line = BREAKING[name]
    found = told(change)
    assert any(line in one for one in found), found


@pytest.mark.parametrize("name", HARMLESS)
def test_a_change_that_breaks_nobody_is_not(name):
    assert told(HARMLESS[name]) == []


def test_all_that_is_broken_is_told_at_once():
    def change(d, ask, s):
        s["Ask"]["properties"].pop("share")
        s["Ask"]["properties"]["kind"]["enum"].remove("y")
        d["paths"].pop("/look")

    assert told(change) == [
        "POST /ask: body/share: is gone", "POST /ask: body/kind: ['y'] is gone", "GET /look: is gone",
    ]  # fmt: skip
