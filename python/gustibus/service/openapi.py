"""The OpenAPI 3.1 document of the route table; `python -m gustibus.service.openapi` prints it."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from typing import Any

import msgspec

from gustibus.service.conditions import PATTERN as TAGS
from gustibus.service.ids import LAST, PATTERN
from gustibus.service.links import links_of
from gustibus.service.problems import CODES, MEDIA_TYPE, WAITS, ProblemBody
from gustibus.service.routing import ANY, OPEN, SCOPES, Nothing, Route, Table

API_VERSION = "1"
_REF = "#/components/schemas/{name}"
_TAGS = {
    "Scoring": "Numbers for one person.",
    "People": "People, what is known of them, and their rights.",
    "Items": "Responses that are scored by name.",
    "Comparisons": "What people preferred.",
    "Imports": "Logs of comparisons, however long.",
    "Models": "Versions of models, and which one is served.",
    "Jobs": "Work that takes longer than a request.",
    "Onboarding": "Placing a new person with a few questions.",
    "Groups": "Orders, committees and fair rankings for many people.",
    "Matching": "Arrivals matched to items with limited room, one by one.",
    "Operations": "What is served, and how it is doing.",
    "Operators": "What the operator pages show.",
    "Pages": "For people, in a browser.",
}
_INTRO = """Personalised reward models over HTTP.

Every error is `application/problem+json` (RFC 9457) with a stable `code`. Unknown fields of
requests are refused; unknown fields of replies must be ignored. Scores are log-odds; probabilities
are named as such. Send ids, then binary, then base64; arrays of numbers are for debugging.
Where there is GET there is HEAD: the same reply without its body."""


def document() -> dict[str, Any]:
    """The document as JSON values."""
    from gustibus.service.app import TABLE

    schemas = _Schemas(TABLE)
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for route in TABLE:
        paths[route.path][route.method.lower()] = _operation(route, schemas, links_of(route, TABLE))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "gustibus", "version": API_VERSION, "description": _INTRO,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": dict(paths),
        "components": {
            "schemas": schemas.components,
            "parameters": {
                "RequestId": _REQUEST_ID, "IdempotencyKey": _IDEMPOTENCY_KEY,
                "Deadline": _DEADLINE,
            },
            "headers": _HEADERS,
            "securitySchemes": {
                "key": {
                    "type": "http", "scheme": "bearer",
                    "description": "A key; scopes: "
                    + "; ".join(f"`{name}`: {text}" for name, text in SCOPES.items()),
                },
                "basic": {
                    "type": "http", "scheme": "basic",
                    "description": "A key as the password, under any name.",
                },
                "session": {
                    "type": "http", "scheme": "bearer",
                    "description": "The token of one onboarding session, good for 30 minutes.",
                },
            },
        },
    }  # fmt: skip


_REQUEST_ID = {
    "name": "X-Request-Id", "in": "header", "required": False,
    "description": "Comes back with the reply and is in the log; made where it is missing.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9-]{1,64}$"},
}  # fmt: skip
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key", "in": "header", "required": False,
    "description": "The same key and body give the stored reply for 24 hours.",
    "schema": {"type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$"},
}  # fmt: skip
_DEADLINE = {
    "name": "X-Deadline-Ms", "in": "header", "required": False,
    "description": "Milliseconds after which a reply is of no use; then it is 504, or 503 at once.",
    "schema": {"type": "integer", "minimum": 1, "maximum": 60_000},
}  # fmt: skip
_CONDITIONS = [
    {
        "name": "If-Match", "in": "header", "required": False,
        "description": "The `ETag` of what is to change.",
        "schema": {"type": "string", "pattern": '^"[1-9][0-9]{0,8}"$'},
    },
    {
        "name": "If-None-Match", "in": "header", "required": False,
        "description": "`*` for something that must not be there yet.",
        "schema": {"const": "*"},
    },
]  # fmt: skip
_TAGGED = {
    "If-Match": {
        "name": "If-Match", "in": "header", "required": False,
        "description": "The `ETag` of what is to change, as it was last told; 412 where it has changed.",
        "schema": {"type": "string", "pattern": TAGS},
    },
    "If-None-Match": {
        "name": "If-None-Match", "in": "header", "required": False,
        "description": "For GET the `ETag` that is known: 304 where it is still right. For a change `*`: "
        "412 where it is there already.",
        "schema": {"type": "string", "pattern": TAGS},
    },
}  # fmt: skip
"""Conditions that nobody has to send."""
EVENTS = "text/event-stream"
_EVENT = {
    "type": "object", "required": ["event", "data"],
    "properties": {
        "event": {"const": "job"},
        "data": {
            "type": "string", "contentMediaType": "application/json",
            "contentSchema": {"$ref": _REF.format(name="Job")},
        },
    },
}  # fmt: skip
"""Each event of a job, as tools read the schema of a stream before OpenAPI 3.2."""
_NUMBER = "^[0-9]{1,5}$"
_TEXT = {"type": "string"}
_HEADERS: dict[str, Any] = {
    "RetryAfter": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
    "RequestId": {"description": "Finds the log line.", "schema": _TEXT},
    "ServerTiming": {
        "description": "Milliseconds that the reply took here; of some requests with their stages.",
        "schema": _TEXT,
    },
    "ETag": {
        "description": "Of what is written and of the reply; for `If-Match` and `If-None-Match`.",
        "schema": _TEXT,
    },
    "Revision": {"description": "Of this; a change names it in `If-Match`.", "schema": _TEXT},
    "IdempotencyReplayed": {
        "description": "There where this is the stored reply of an earlier request under the key.",
        "schema": {"const": "true"},
    },
    "RateLimit": {
        "description": "Units that the key has left, `r`, of the seconds `t`.", "schema": _TEXT,
    },
    "RateLimitPolicy": {
        "description": "Units, `q`, that the key may use in a window of `w` seconds.", "schema": _TEXT,
    },
    "Authenticate": {"description": "How a key is sent.", "schema": _TEXT},
}  # fmt: skip
"""What replies say of themselves."""


class _Schemas:
    """Schemas of every type of the table, each once."""

    def __init__(self, table: Table) -> None:
        kinds: list[Any] = [ProblemBody]
        for route in table:
            kinds += [
                kind for kind in (route.request, route.response, route.queued)
                if kind and kind not in kinds
                and not isinstance(kind, str | tuple)
            ]  # fmt: skip
        found, self.components = _as_shown(msgspec.json.schema_components(kinds, ref_template=_REF))
        self._of = list(zip(kinds, found, strict=True))

    def of(self, kind: Any) -> dict[str, Any]:
        """Reference to a type's schema."""
        return next(schema for known, schema in self._of if known is kind)


def _operation(route: Route, schemas: _Schemas, links: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.operation,
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": [
            *_parameters(route),
            {"$ref": "#/components/parameters/RequestId"},
            {"$ref": "#/components/parameters/Deadline"},
        ],
        "responses": _responses(route, schemas, links),
        "security": _security(route),
    }
    if route.scope not in {OPEN, ANY}:
        operation["description"] = f"Needs the scope `{route.scope}`."
    if route.idempotent:
        operation["parameters"].append(
            {**_IDEMPOTENCY_KEY, "required": True}
            if route.keyed
            else {"$ref": "#/components/parameters/IdempotencyKey"}
        )
    if route.conditional or route.matched:
        operation["parameters"] += _CONDITIONS[:1] if route.matched else _CONDITIONS
    if route.tagged:
        names = {"GET": ("If-None-Match",), "DELETE": ("If-Match",)}
        operation["parameters"] += [_TAGGED[name] for name in names.get(route.method, _TAGGED)]
    if route.stream:
        parts: dict[str, Any] = {kind: {"schema": {"type": "string"}} for kind in route.stream}
        if route.example is not None:
            parts[route.stream[0]]["example"] = route.example
        operation["requestBody"] = {"required": True, "content": parts}
    if route.request is not None:
        content: dict[str, Any] = {"application/json": {"schema": schemas.of(route.request)}}
        example = {} if route.request is Nothing else route.example
        if example is not None:
            content["application/json"]["example"] = example
        if route.binary:
            content["application/octet-stream"] = {
                "schema": {"type": "string", "contentMediaType": "application/octet-stream"}
            }
        operation["requestBody"] = {"required": not route.optional, "content": content}
    return operation


def _security(route: Route) -> list[dict[str, list[str]]]:
    if route.scope == OPEN:
        return []
    more = [name for name, on in (("session", route.session), ("basic", route.basic)) if on]
    return [{name: []} for name in ("key", *more)]


def _parameters(route: Route) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {
            "name": name, "in": "path", "required": True,
            "schema": {"type": "string", "pattern": _NUMBER if name == "question" else PATTERN},
        }
        for name in route.parameters
    ]  # fmt: skip
    if route.query is None:
        return rows
    (_,), components = msgspec.json.schema_components([route.query], ref_template=_REF)
    schema = components[route.query.__name__]
    required = schema.get("required", [])
    for name, kind in schema["properties"].items():
        shown = _as_shown(_not_null(kind))
        rows.append({"name": name, "in": "query", "required": name in required, "schema": shown})
    return rows


def _as_shown(schema: Any) -> Any:
    """A schema with its patterns as JSON Schema understands them, where nothing follows on `$`."""
    if isinstance(schema, list | tuple):
        return [_as_shown(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    shown = {name: _as_shown(one) for name, one in schema.items()}
    if isinstance(pattern := shown.get("pattern"), str):
        shown["pattern"] = pattern.removesuffix(LAST)
    return shown


def _not_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A query parameter is left out, never null."""
    choices = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    if len(choices) == 1:
        return dict(choices[0])
    rest = {name: value for name, value in schema.items() if value is not None}
    if isinstance(rest.get("enum"), list):
        rest["enum"] = [value for value in rest["enum"] if value is not None]
    return rest


def _responses(route: Route, schemas: _Schemas, links: dict[str, Any]) -> dict[str, Any]:
    shared = {"X-Request-Id": _header("RequestId")}
    done = {**shared, "Server-Timing": _header("ServerTiming")}
    if route.body == "scoring":  # those that use up the units of a key
        done |= {"RateLimit": _header("RateLimit"), "RateLimit-Policy": _header("RateLimitPolicy")}
    if route.idempotent:
        done["Idempotency-Replayed"] = _header("IdempotencyReplayed")
    if route.revised:
        done["ETag"] = _header("Revision")
    elif route.tagged and route.method != "DELETE":
        done["ETag"] = _header("ETag")
    responses: dict[str, Any] = {}
    for status in (route.status, *route.also):
        reply: dict[str, Any] = {"description": "Done.", "headers": dict(done)}
        if isinstance(route.response, str):
            shape = _EVENT if route.response == EVENTS else {"type": "string"}
            reply["content"] = {route.response: {"schema": shape}}
        elif isinstance(route.response, tuple):
            reply["content"] = {
                media: {"schema": {} if media == "application/json" else {"type": "string"}}
                for media in route.response
            }
        elif route.response is not None:
            reply["content"] = {"application/json": {"schema": schemas.of(route.response)}}
        if route.listed:
            reply["content"][route.listed] = {"schema": {"type": "string"}}
        if links:
            reply["links"] = links
        responses[str(status)] = reply
    if 304 in route.statuses:
        unchanged = {
            "description": "It is what `If-None-Match` says.",
            "headers": {**shared, "ETag": _header("ETag")},
        }
        responses["304"] = unchanged
    if route.queued is not None:
        responses["202"] = {
            "description": "It is a job.", "headers": dict(done),
            "content": {"application/json": {"schema": schemas.of(route.queued)}},
        }  # fmt: skip
    codes: dict[int, list[str]] = defaultdict(list)
    for code in sorted(route.codes):
        codes[CODES[code].status].append(code)
    problem = {MEDIA_TYPE: {"schema": schemas.of(ProblemBody)}}
    for status, names in sorted(codes.items()):
        headers = dict(shared)
        if status in WAITS:
            headers["Retry-After"] = _header("RetryAfter")
        if status == 401:
            headers["WWW-Authenticate"] = _header("Authenticate")
        text = "; ".join(f"`{name}`: {CODES[name].title}" for name in names)
        responses[str(status)] = {"description": text, "headers": headers, "content": problem}
    return responses


def _header(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/headers/{name}"}


def text() -> str:
    """The document as it is committed."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
