"""Routes that take no body: one that is empty is as good as none, and one that says something is refused."""

from __future__ import annotations

import pytest

from gustibus.service.app import TABLE
from gustibus.service.routing import Nothing
from tests.service.test_onboarding_over_http import SESSIONS, begin

SILENT = [route for route in TABLE if route.request is Nothing]


def test_every_post_reads_its_body():
    assert {route.operation for route in SILENT} == {
        "cancel_job", "export_user", "finish_session", "renew_token", "reset_profile",
        "restart_session", "rollback_model", "validate_version",
    }  # fmt: skip
    assert all(route.optional for route in SILENT)
    writes = [route for route in TABLE if route.method in {"POST", "PUT", "PATCH"}]
    assert [route.operation for route in writes if route.request is None and not route.stream] == []


@pytest.mark.parametrize("route", SILENT, ids=lambda route: route.operation)
def test_a_body_that_says_something_is_refused(http, route):
    path = route.path
    for name in route.parameters:
        path = path.replace(f"{{{name}}}", "no-such")
    headers = {"If-Match": '"1"'}
    reply = http.post(path, json={"force": True}, headers=headers)
    assert reply.status_code == 422, reply.text
    assert reply.json()["errors"][0]["pointer"] == "/force"
    for body, status in ((b"{", 400), (b"[]", 422), (b"{}", None), (b"", None)):
        told = http.post(
            path, content=body, headers={**headers, "Content-Type": "application/json"}
        )
        if status is None:  # what is not there is looked for
            assert told.status_code in {404, 409, 422}, told.text
            assert not told.json()["detail"].startswith("the body"), told.text
        else:
            assert told.status_code == status, told.text


def test_what_is_refused_changes_nothing(http):
    session = begin(http, "silent-1")
    finish = f"{SESSIONS}/{session['id']}:finish"
    assert http.post(finish, json={"fit": False}).status_code == 422
    assert http.get(f"{SESSIONS}/{session['id']}/next").json()["state"] == "open"
    plain = http.post(finish, content=b"x", headers={"Content-Type": "text/plain"})
    assert (plain.status_code, plain.json()["code"]) == (415, "unsupported_media_type")
    assert http.post(finish, json={}).json()["state"] == "finished"
