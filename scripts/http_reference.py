"""Print the page of routes: python scripts/http_reference.py > docs/reference/http.md.

It reads `docs/openapi.json`. A test compares the page with what this prints.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).parents[1] / "docs" / "openapi.json"
HEAD = """\
# HTTP API

Every route, with the scope that a key needs for it. A key goes in `Authorization: Bearer gustibus_live_…`;
[Operations](../operations.md) says how to make one. Bodies, parameters and replies are in the
[OpenAPI document](../openapi.json), which a running service also gives at `/openapi.json`.

{description}

This page is written by `python scripts/http_reference.py`; it is not edited by hand.
"""
_METHODS = ("get", "post", "put", "patch", "delete")


def page() -> str:
    """The whole page; routes by tag, in the order of the document."""
    document = json.loads(DOCUMENT.read_text("utf-8"))
    parts = [HEAD.format(description=document["info"]["description"])]
    for tag in document["tags"]:
        rows = [
            (method.upper(), path, operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
            if method in _METHODS and tag["name"] in operation["tags"]
        ]
        lines = [f"## {tag['name']}", "", tag.get("description", ""), ""]
        lines += ["| route | what it does | scope |", "| --- | --- | --- |"]
        lines += [
            f"| `{method} {path}` | {_cell(one['summary'])} | {_scope(one)} |"
            for method, path, one in rows
        ]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _scope(operation: dict[str, Any]) -> str:
    """What the document says of who may call it."""
    found = re.findall(r"the scope (`[\w:]+`)", operation.get("description", ""))
    if found:
        return ", ".join(dict.fromkeys(found))
    return "any key" if operation.get("security") else "none"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.stdout.write(page())
