"""What replies lead to: links of the document, from names that are told to the operations that take them."""

from __future__ import annotations

from typing import Any, Final

from gustibus.service.routing import Route, Table

_ID: Final = "$response.body#/id"
_FIRST: Final = "$response.body#/data/0/id"
_NAMED: Final = "$response.body#/data/0/name"
_ASKED: Final = {
    "session": "$request.path.session", "question": "$response.body#/question/seq",
}  # fmt: skip
_VERSION: Final = {
    "model": "$request.path.model", "version": "$response.body#/data/0/version",
}  # fmt: skip

SOURCES: Final[dict[str, dict[str, str]]] = {
    "put_user": {"user": _ID},
    "list_users": {"user": _FIRST},
    "delete_user": {"user": "$request.path.user"},
    "put_item": {"item": _ID},
    "list_items": {"item": _FIRST},
    "delete_item": {"item": "$request.path.item"},
    "post_comparisons": {"comparison": "$response.body#/ids/0"},
    "list_comparisons": {"comparison": _FIRST, "user": "$response.body#/data/0/user"},
    "post_import": {"import": _ID},
    "create_session": {**_ASKED, "session": _ID, "user": "$response.body#/user"},
    "next_question": _ASKED,
    "put_answer": _ASKED,
    "finish_session": {"session": "$request.path.session", "user": "$response.body#/user"},
    "restart_session": _ASKED,
    "create_matching": {"matching": _ID},
    "list_matchings": {"matching": _FIRST},
    "post_job": {"job": _ID},
    "list_jobs": {"job": _FIRST},
    "list_versions": _VERSION,
    "list_models": {"model": _NAMED},
    "admin_models": {"model": _NAMED},
    "admin_versions": _VERSION,
    "post_key": {"key": _ID},
    "patch_key": {"key": _ID},
}
"""By operation, where its reply or its request holds the path parameters of others."""


def links_of(route: Route, table: Table) -> dict[str, Any]:
    """The links of an operation's reply, by the operation that they lead to.

    What a name leads to is every path that is made of it, or of it and others that are told with it.
    """
    told = SOURCES.get(route.operation, {})
    found = {}
    for other in table:
        needed = other.parameters
        if needed and set(needed) <= set(told) and other is not route:
            parameters = {name: told[name] for name in needed}
            found[other.operation] = {"operationId": other.operation, "parameters": parameters}
    return found
