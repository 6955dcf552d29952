"""Print what the interface promises: python scripts/openapi_promises.py > tests/service/openapi_baseline.json.

That is done once for every release. A test compares what the code promises now with what the last release
did, by `breaks`, and fails for a change after which a client that worked no longer does.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Schema = Mapping[str, Any]
Side = Literal["request", "reply"]
METHODS = ("get", "put", "post", "patch", "delete")
KEPT = frozenset({
    "type", "enum", "const", "format", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "uniqueItems",
    "required",
})  # fmt: skip
"""What is kept of a schema as it is."""
LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")


def promises(document: Mapping[str, Any]) -> dict[str, Any]:
    """What a document of OpenAPI promises: operations and schemas, without a word for people."""
    operations = {
        f"{method.upper()} {path}": _operation(one, document)
        for path, methods in document["paths"].items()
        for method, one in methods.items()
        if method in METHODS
    }
    schemas = {name: _bare(schema) for name, schema in document["components"]["schemas"].items()}
    used = _used(list(operations.values()), schemas)
    return {"operations": operations, "schemas": {name: schemas[name] for name in sorted(used)}}


def _operation(one: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    shared = document["components"].get("parameters", {})
    parameters = [
        shared[row["$ref"].rpartition("/")[2]] if "$ref" in row else row
        for row in one.get("parameters", [])
    ]
    body = one.get("requestBody")
    replies = {
        status: _content(reply)
        for status, reply in one["responses"].items()
        if status.startswith("2")
    }
    return {
        "id": one["operationId"],
        "needs": [one.get("description", ""), *sorted(name for row in one["security"] for name in row)],
        "parameters": {
            f"{row['in']} {row['name']}": {
                "required": row.get("required", False), "schema": _bare(row["schema"]),
            }
            for row in parameters
        },
        "body": None if body is None else {
            "required": body.get("required", False), "content": _content(body),
        },
        "replies": replies,
        "refusals": sorted(status for status in one["responses"] if not status.startswith("2")),
    }  # fmt: skip


def _content(part: Mapping[str, Any]) -> dict[str, Any]:
    return {kind: _bare(one["schema"]) for kind, one in part.get("content", {}).items()}


def _bare(schema: Any) -> Any:
    """A schema without what is for people."""
    if isinstance(schema, bool):
        return schema
    found = {name: value for name, value in schema.items() if name in KEPT or name == "$ref"}
    for name in ("items", "additionalProperties", "propertyNames"):
        if name in schema:
            found[name] = _bare(schema[name])
    for name in ("anyOf", "oneOf", "prefixItems"):
        if name in schema:
            found[name] = [_bare(one) for one in schema[name]]
    if "properties" in schema:
        found["properties"] = {name: _bare(one) for name, one in schema["properties"].items()}
    return found


def _used(value: Any, schemas: Mapping[str, Any]) -> set[str]:
    """Names of the schemas that are referred to, also by others."""
    found: set[str] = set()
    waiting = [value]
    while waiting:
        for name in _names(waiting.pop()):
            if name not in found:
                found.add(name)
                waiting.append(schemas[name])
    return found


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"].rpartition("/")[2]
        for one in value.values():
            yield from _names(one)
    elif isinstance(value, list):
        for one in value:
            yield from _names(one)


def breaks(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What a client that works with the old promises runs into with the new ones, a sentence each.

    What may be sent may only grow, and what is replied may only say more. New values of an enumeration in
    replies, new statuses and new operations break nothing.
    """
    told: list[str] = []
    for name, before in old["operations"].items():
        now = new["operations"].get(name)
        if now is None:
            told.append(f"{name}: is gone")
        else:
            told += [f"{name}: {line}" for line in _operation_breaks(before, now, old, new)]
    return told


def _operation_breaks(
    before: Mapping[str, Any],
    now: Mapping[str, Any],
    old: Mapping[str, Any],
    new: Mapping[str, Any],
) -> Iterator[str]:
    if before["id"] != now["id"]:
        yield f"its operationId was {before['id']} and is {now['id']}"
    if before["needs"][0] != now["needs"][0] or set(before["needs"]) - set(now["needs"]):
        yield f"it needed {before['needs']} and needs {now['needs']}"
    sent, told = _Sides("request", old, new), _Sides("reply", old, new)
    for name, row in now["parameters"].items():
        if row["required"] and not before["parameters"].get(name, {"required": False})["required"]:
            yield f"{name} has to be there"
    for name, row in before["parameters"].items():
        if name in now["parameters"]:
            yield from sent.schema(row["schema"], now["parameters"][name]["schema"], name)
        else:
            yield f"{name} is not known any more"
    yield from _body_breaks(before["body"], now["body"], sent)
    for status, content in before["replies"].items():
        if status not in now["replies"]:
            yield f"it never replies {status}"
            continue
        yield from _contents(content, now["replies"][status], told, f"reply {status}")


def _body_breaks(before: Any, now: Any, sent: _Sides) -> Iterator[str]:
    if before is None:
        if now is not None and now["required"]:
            yield "a body has to be there"
        return
    if now is None:
        yield "it takes no body any more"
        return
    if now["required"] and not before["required"]:
        yield "the body has to be there"
    yield from _contents(before["content"], now["content"], sent, "body")


def _contents(
    before: Mapping[str, Any], now: Mapping[str, Any], sides: _Sides, at: str
) -> Iterator[str]:
    for kind, schema in before.items():
        if kind in now:
            yield from sides.schema(schema, now[kind], at)
        else:
            yield f"{at}: {kind} is gone"


@dataclass
class _Sides:
    """Compares schemas of two documents."""

    side: Side
    old: Mapping[str, Any]
    new: Mapping[str, Any]
    seen: set[tuple[str, str]] = field(default_factory=set)

    def schema(self, before: Any, now: Any, at: str) -> list[str]:
        """What is broken between two schemas."""
        if isinstance(before, dict) and isinstance(now, dict):
            pair = (before.get("$ref", ""), now.get("$ref", ""))
            if all(pair):
                if pair in self.seen:  # a schema that holds itself, or was compared before
                    return []
                self.seen.add(pair)
        olds, news = list(_kinds(before, self.old)), list(_kinds(now, self.new))
        if self.side == "request":  # each of the old ways must still be one
            return [
                line
                for one in olds
                for line in self._nearest([(one, new) for new in news], one, at)
            ]
        return [
            line for one in news for line in self._nearest([(old, one) for old in olds], one, at)
        ]

    def _nearest(self, pairs: Sequence[tuple[Schema, Schema]], one: Schema, at: str) -> list[str]:
        """What is broken with the pair that fits best."""
        found = []
        for before, now in pairs:
            if self._same_type(before.get("type"), now.get("type")):
                seen = set(self.seen)
                found.append((list(self._pair(before, now, at)), self.seen))
                self.seen = seen
        if not found:
            verb = "is not taken" if self.side == "request" else "was never replied"
            return [f"{at}: {one.get('type', one)} {verb}"]
        lines, self.seen = min(found, key=lambda row: len(row[0]))
        return lines

    def _same_type(self, before: str | None, now: str | None) -> bool:
        if before == now:
            return True
        wide, narrow = (now, before) if self.side == "request" else (before, now)
        return wide is None or (wide, narrow) == ("number", "integer")

    def _pair(self, before: Schema, now: Schema, at: str) -> Iterator[str]:
        yield from self._values(before, now, at)
        if self.side == "request":
            yield from _bounds(before, now, at)
        for name in ("items", "additionalProperties", "propertyNames"):
            yield from self._inner(before.get(name, True), now.get(name, True), f"{at}/*")
        for place, (one, other) in enumerate(
            zip(before.get("prefixItems", []), now.get("prefixItems", []), strict=False)
        ):
            yield from self.schema(one, other, f"{at}/{place}")
        yield from self._fields(before, now, at)

    def _inner(self, before: Any, now: Any, at: str) -> Iterator[str]:
        if before is True or now is True or before is False or now is False:
            wide, narrow = (now, before) if self.side == "request" else (before, now)
            if wide is not True and narrow is not False and wide != narrow:
                yield f"{at}: anything could stand here"
            return
        yield from self.schema(before, now, at)

    def _values(self, before: Schema, now: Schema, at: str) -> Iterator[str]:
        olds, news = _allowed(before), _allowed(now)
        if olds is not None and news is not None:
            gone = [value for value in olds if value not in news]
            if gone:
                yield f"{at}: {gone} is gone"
        elif news is not None and self.side == "request":
            yield f"{at}: only {news} is taken"
        elif olds is not None and self.side == "reply":
            yield f"{at}: it was one of {olds}"

    def _fields(self, before: Schema, now: Schema, at: str) -> Iterator[str]:
        olds, news = before.get("properties", {}), now.get("properties", {})
        for name, schema in olds.items():
            if name in news:
                yield from self.schema(schema, news[name], f"{at}/{name}")
            elif self.side == "reply" or now.get("additionalProperties", True) is False:
                yield f"{at}/{name}: is gone"
        wants, wanted = set(now.get("required", [])), set(before.get("required", []))
        if self.side == "request":
            yield from (f"{at}/{name}: has to be there" for name in sorted(wants - wanted))
        else:
            left = (wanted - wants) & set(news)
            yield from (f"{at}/{name}: may be missing" for name in sorted(left))


def _allowed(schema: Schema) -> list[Any] | None:
    """The only values, None where there are others."""
    if "const" in schema:
        return [schema["const"]]
    found: list[Any] | None = schema.get("enum")
    return found


def _bounds(before: Schema, now: Schema, at: str) -> Iterator[str]:
    """Bounds of a request that are narrower than they were."""
    for name in (*LEAST, *MOST):
        old, new = before.get(name), now.get(name)
        if new is None or new == old:
            continue
        if old is None or (new > old if name in LEAST else new < old):
            yield f"{at}: {name} was {old} and is {new}"
    for name in ("pattern", "format", "uniqueItems"):
        old, new = before.get(name), now.get(name)
        if new and new != old:
            yield f"{at}: {name} was {old} and is {new}"


def _kinds(schema: Any, document: Mapping[str, Any]) -> Iterator[Schema]:
    """The ways in which a value may be meant, each of one type."""
    if schema is True:
        yield {}
        return
    if "$ref" in schema:
        yield from _kinds(document["schemas"][schema["$ref"].rpartition("/")[2]], document)
        return
    for name in ("anyOf", "oneOf"):
        if name in schema:
            for one in schema[name]:
                yield from _kinds(one, document)
            return
    types = schema.get("type")
    if isinstance(types, list):
        for one in types:
            yield {**schema, "type": one}
        return
    values = _allowed(schema)
    if types is None and values:  # types of plain values, null apart
        for kind in dict.fromkeys(_type_of(value) for value in values):
            yield {"type": kind, "enum": [v for v in values if _type_of(v) == kind]}
        return
    yield schema


def _type_of(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
    return names.get(type(value), "object")


def text(found: Mapping[str, Any]) -> str:
    """Promises as they are committed: a line for each operation and schema."""
    parts = []
    for part, rows in found.items():
        lines = [
            f"{json.dumps(name)}: {json.dumps(row, ensure_ascii=False, separators=(',', ':'))}"
            for name, row in rows.items()
        ]
        parts.append(f'"{part}": {{\n' + ",\n".join(lines) + "\n}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    from gustibus.service.openapi import document as current

    sys.stdout.write(text(promises(current())))
