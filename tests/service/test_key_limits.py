"""Keys with limits, their changes, lists page by page, and what is too much within a minute."""

from __future__ import annotations

import json
import time
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest

from gustibus.cli.app import run
from gustibus.client import Client
from gustibus.client.calls.keys import Key
from gustibus.client.decoding import decoder
from gustibus.client.errors import ApiError
from gustibus.store import Store, create_key
from tests.service.harness import database, running

SESSIONS = "/v1/onboarding/sessions"
EVERY = ["score", "rank", "onboard", "models:read", "users:read", "users:write", "ingest"]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def served(request, tmp_path_factory, vectors_folder, vectors_model):
    """A server behind a proxy at 127.0.0.1, where little is too much."""
    folder = tmp_path_factory.mktemp("limits")
    settings = {
        "gustibus_model": str(vectors_folder), "gustibus_model_name": "tastes",
        "gustibus_trusted_proxies": "127.0.0.1", "gustibus_failed_keys": "3",
        "gustibus_sessions": "6", "gustibus_answers": "5",
    }  # fmt: skip
    with database(request.param, folder) as url, running(url, folder, **settings) as found:
        yield found


@pytest.fixture(scope="module")
def admin(served):
    with served.client() as found:
        yield found


@pytest.fixture(scope="module")
def keys(served, admin):
    """Secrets of keys with limits, by what they are."""
    wanted = {
        "here": {"cidrs": ["192.0.2.0/24", "2001:db8::/32"]},
        "tastes": {"models": ["tastes"]},
        "other": {"models": ["other"]},
        "onboarding": {},
    }
    store = Store(served.url)
    with store.write() as conn:
        made = {
            name: create_key(conn, name=name, scopes=EVERY, **limits)
            for name, limits in wanted.items()
        }
        narrow = create_key(
            conn, name="narrow", scopes=["admin", "score"], models=["tastes"],
            cidrs=["127.0.0.0/8"],
        )  # fmt: skip
    store.close()
    served.settle(narrow.secret_text)  # the last of them
    return {name: row.secret_text for name, row in (made | {"narrow": narrow}).items()}


def ask(served, key, *, at=None, method="GET", path="/v1/users", **more):
    headers = {"Authorization": f"Bearer {key}", **({"X-Forwarded-For": at} if at else {})}
    return httpx.request(method, served.base + path, headers=headers, **more)


def problem(reply, status, code, pointer=None):
    body = reply.json()
    assert (reply.status_code, body["code"]) == (status, code), body
    if pointer is not None:
        assert [one["pointer"] for one in body["errors"]] == [pointer]
    return body["detail"]


def test_a_key_for_ranges_is_good_there_alone(served, keys):
    key = keys["here"]
    assert ask(served, key, at="192.0.2.77").status_code == 200
    assert ask(served, key, at="203.0.113.9, 192.0.2.77, 127.0.0.1").status_code == 200
    assert ask(served, key, at="2001:db8:1::5").status_code == 200
    for at in ("203.0.113.9", "192.0.2.77, 203.0.113.9"):
        assert "from 203.0.113.9" in problem(ask(served, key, at=at), 403, "forbidden")
    assert "from 127.0.0.1" in problem(ask(served, key), 403, "forbidden")
    assert "unknown" in problem(ask(served, key, at="192.0.2.7, -"), 403, "forbidden")
    assert "version" not in ask(served, key, path="/").json()
    assert "version" in ask(served, key, path="/", at="192.0.2.77").json()


def test_who_is_no_proxy_is_not_believed(served, keys):
    elsewhere = httpx.HTTPTransport(local_address="127.0.0.2")
    headers = {"Authorization": f"Bearer {keys['here']}", "X-Forwarded-For": "192.0.2.77"}
    with httpx.Client(base_url=served.base, transport=elsewhere, headers=headers) as client:
        assert "from 127.0.0.2" in problem(client.get("/v1/users"), 403, "forbidden")


def test_a_key_for_models_names_no_others(served, keys):
    def score(**more):
        body = {"candidates": [{"id": "none"}], **more}
        return ask(served, keys["tastes"], method="POST", path="/v1/score", json=body)

    assert ask(served, keys["tastes"]).status_code == 200
    missing = problem(score(), 404, "not_found")
    for name in ("default", "tastes", "tastes@champion"):
        assert score(model=name).status_code == 404
    assert "'other@3'" in problem(score(model="other@3"), 403, "forbidden", "/model")
    assert "none" in missing
    get = "/v1/models/other/versions"
    problem(ask(served, keys["tastes"], path=get), 403, "forbidden", "path:model")
    assert ask(served, keys["tastes"], path="/v1/models/default/versions").status_code == 200
    batch = {"requests": [{"candidates": [{"id": "x"}], "model": "other"}]}
    told = ask(served, keys["tastes"], method="POST", path="/v1/score:batch", json=batch)
    assert [one["status"] for one in told.json()["data"]] == [403]
    octets = {"Content-Type": "application/octet-stream"}
    with served.client(keys["tastes"]) as http:
        told = http.post("/v1/score?model=other", content=bytes(24), headers=octets)
        problem(told, 403, "forbidden", "query:model")
    classify = {"input": ["a"], "model": "other"}
    told = ask(
        served, keys["tastes"], method="POST", path="/v1/compat/vllm/classify", json=classify
    )
    problem(told, 403, "forbidden", "/model")
    told = ask(
        served, keys["tastes"], method="POST", path=SESSIONS, json={"user": "u", "model": "other"}
    )
    problem(told, 403, "forbidden", "/model")


def test_a_key_for_another_model_is_of_no_use_where_it_is_not_served(served, keys):
    assert ask(served, keys["other"], path="/v1/version").status_code == 200
    assert ask(served, keys["other"], path="/v1/limits").status_code == 200
    for method, path in (("GET", "/v1/users"), ("POST", "/v1/score"), ("POST", SESSIONS)):
        told = ask(served, keys["other"], method=method, path=path, json={})
        assert "'tastes', which is the one" in problem(told, 403, "forbidden")


def made(admin, name, **more):
    reply = admin.post("/v1/keys", json={"name": name, "scopes": ["users:read"], **more})
    assert reply.status_code == 201, reply.text
    assert reply.headers["etag"] == f'"{reply.json()["revision"]}"'
    return reply.json()


def test_limits_are_checked_and_kept_in_one_form(admin):
    cidrs = ["2001:DB8::/32", "::ffff:10.0.0.0/104", "192.0.2.7", "10.0.0.0/8"]
    key = made(admin, "normal", cidrs=cidrs, models=["b", "a", "b"])
    assert key["cidrs"] == ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"]
    assert key["models"] == ["a", "b"]
    got = admin.get(f"/v1/keys/{key['id']}")
    assert got.headers["etag"] == '"1"'
    assert got.json() == {name: value for name, value in key.items() if name != "secret"}
    for field, value, pointer in (
        ("cidrs", ["10.0.0.0/8", "10.1.2.3/8"], "/cidrs/1"),
        ("cidrs", ["everywhere"], "/cidrs/0"),
        ("cidrs", [], "/cidrs"),
        ("cidrs", ["10.0.0.0/8"] * 65, "/cidrs"),
        ("models", ["a@3"], "/models/0"),
        ("models", [], "/models"),
    ):
        body = {"name": "wrong", "scopes": ["score"], field: value}
        problem(admin.post("/v1/keys", json=body), 422, "invalid_field", pointer)
    assert admin.get("/v1/keys/nobody").status_code == 404


def change(admin, key, body, seen=None):
    headers = {} if seen is None else {"If-Match": seen}
    return admin.patch(f"/v1/keys/{key['id']}", json=body, headers=headers)


def test_a_change_names_what_it_is_based_on_and_is_noted_with_what_was_before(served, admin):
    key = made(admin, "before", cidrs=["192.0.2.0/24"])
    problem(change(admin, key, {"name": "x"}), 428, "etag_required")
    fresh = admin.patch(f"/v1/keys/{key['id']}", json={}, headers={"If-None-Match": "*"})
    problem(fresh, 428, "etag_required")
    problem(change(admin, key, {"name": "x"}, '"7"'), 412, "etag_mismatch")
    problem(change(admin, key, {"name": "x"}, "7"), 400, "bad_header")
    problem(change(admin, key, {"surname": "x"}, '"1"'), 422, "invalid_field", "/surname")
    problem(change(admin, key, {"cidrs": ["x"]}, '"1"'), 422, "invalid_field", "/cidrs/0")
    problem(change(admin, key, {"scopes": ["root"]}, '"1"'), 422, "invalid_field", "/scopes/0")
    problem(change(admin, key, {"expires_at": "2001-01-01T00:00:00Z"}, '"1"'), 422,
            "invalid_field", "/expires_at")  # fmt: skip
    body = {"name": "after", "cidrs": ["127.0.0.1"], "expires_at": "2100-01-01T00:00:00Z"}
    reply = change(admin, key, body, '"1"')
    assert reply.status_code == 200, reply.text
    assert reply.headers["etag"] == '"2"'
    now = reply.json()
    assert (now["name"], now["cidrs"], now["scopes"]) == ("after", ["127.0.0.1/32"], ["users:read"])
    problem(change(admin, key, {"name": "late"}, '"1"'), 412, "etag_mismatch")
    same = change(admin, key, {**body, "scopes": ["users:read"]}, '"2"')
    assert (same.status_code, same.json()["revision"]) == (200, 2)
    until = time.monotonic() + 60
    while ask(served, key["secret"]).status_code != 200:  # known to the process within seconds
        assert time.monotonic() < until
        time.sleep(0.05)
    lifted = change(admin, key, {"cidrs": None, "expires_at": None}, '"2"').json()
    assert (lifted["cidrs"], lifted["expires_at"], lifted["revision"]) == (None, None, 3)
    noted = admin.get("/v1/audit", params={"object": key["id"]}).json()["data"]
    assert [one["action"] for one in noted] == ["key.change", "key.change", "key.create"]
    assert noted[2]["detail"] == {"scopes": ["users:read"], "cidrs": ["192.0.2.0/24"]}
    assert noted[1]["detail"] == {
        "name": "after", "name_before": "before", "cidrs": ["127.0.0.1/32"],
        "cidrs_before": ["192.0.2.0/24"], "expires_at": "2100-01-01T00:00:00+00:00",
        "expires_at_before": None,
    }  # fmt: skip


def test_a_key_is_revoked_with_or_without_its_revision(admin):
    first, second = made(admin, "first"), made(admin, "second")
    path = f"/v1/keys/{first['id']}"
    problem(admin.delete(path, headers={"If-Match": '"9"'}), 412, "etag_mismatch")
    assert admin.get(path).json()["live"] is True
    assert admin.delete(path, headers={"If-Match": '"1"'}).json()["live"] is False
    gone = admin.delete(f"/v1/keys/{second['id']}")
    assert (gone.status_code, gone.json()["live"], gone.headers["etag"]) == (200, False, '"2"')
    problem(change(admin, first, {"name": "again"}, '"2"'), 409, "conflict")
    problem(admin.delete("/v1/keys/nobody"), 404, "not_found")


def test_a_key_is_rotated_and_the_old_one_goes_on_for_the_grace(served, admin):
    old = made(admin, "rotated", cidrs=["127.0.0.0/8"], models=["tastes"], trusted=True)
    path = f"/v1/keys/{old['id']}"
    problem(admin.post(f"{path}:rotate", headers={"If-Match": '"9"'}), 412, "etag_mismatch")
    for hours in (-1, 24 * 366 + 1):
        body = {"grace_hours": hours}
        problem(admin.post(f"{path}:rotate", json=body), 422, "invalid_field", "/grace_hours")
    problem(admin.post("/v1/keys/nobody:rotate"), 404, "not_found")
    assert admin.get(path).json()["revision"] == 1
    again = {"If-Match": '"1"', "Idempotency-Key": "rotate-once"}
    reply = admin.post(f"{path}:rotate", json={"grace_hours": 48}, headers=again)
    assert reply.status_code == 201, reply.text
    fresh = reply.json()
    assert reply.headers["etag"] == f'"{fresh["revision"]}"'
    repeated = admin.post(f"{path}:rotate", json={"grace_hours": 48}, headers=again)
    assert fresh["id"] in problem(repeated, 409, "conflict")
    for field in ("name", "scopes", "models", "cidrs", "trusted", "expires_at"):
        assert fresh[field] == old[field]
    served.settle(fresh["secret"])
    assert ask(served, fresh["secret"]).status_code == 200
    assert ask(served, old["secret"]).status_code == 200
    now = admin.get(path).json()
    left = datetime.fromisoformat(now["expires_at"]) - datetime.now(UTC)
    assert timedelta(hours=47) < left <= timedelta(hours=48)
    ended = admin.post(f"{path}:rotate", json={"grace_hours": 0})
    assert ended.status_code == 201
    until = time.monotonic() + 60
    while ask(served, old["secret"]).status_code not in {
        401,
        429,
    }:  # 429 after wrong keys of others
        assert time.monotonic() < until
        time.sleep(0.05)
    problem(admin.post(f"{path}:rotate"), 409, "conflict")
    noted = [
        one["action"] for one in admin.get("/v1/audit", params={"object": old["id"]}).json()["data"]
    ]
    assert noted == ["key.change", "key.change", "key.create"]
    (told,) = admin.get("/v1/audit", params={"object": fresh["id"]}).json()["data"]
    assert told["detail"]["rotates"] == old["id"]


def test_nobody_rotates_a_key_that_may_do_more(served, admin, keys):
    limits = {"models": ["tastes"], "cidrs": ["127.3.0.0/16"]}

    def rotate(**more):
        key = made(admin, "more", **{"scopes": ["score"], **limits, **more})
        with served.client(keys["narrow"]) as client:
            return client.post(f"/v1/keys/{key['id']}:rotate")

    problem(rotate(scopes=["score", "rank"]), 403, "forbidden")
    problem(rotate(models=None), 403, "forbidden", "/models")
    problem(rotate(cidrs=None), 403, "forbidden", "/cidrs")
    assert rotate().status_code == 201


def test_a_key_gives_no_more_than_it_has(served, admin, keys):
    def post(**more):
        body = {"name": "mine", "scopes": ["score"], **more}
        return ask(served, keys["narrow"], method="POST", path="/v1/keys", json=body)

    problem(post(), 403, "forbidden", "/models")
    problem(post(models=["tastes", "other"]), 403, "forbidden", "/models")
    problem(post(models=["tastes"]), 403, "forbidden", "/cidrs")
    problem(post(models=["tastes"], cidrs=["0.0.0.0/0"]), 403, "forbidden", "/cidrs")
    limits = {"models": ["tastes"], "cidrs": ["127.3.0.0/16"]}
    problem(post(**limits, scopes=["score", "rank"]), 403, "forbidden")
    key = post(**limits)
    assert key.status_code == 201, key.text
    path = f"/v1/keys/{key.json()['id']}"
    for wider, pointer in (({"cidrs": None}, "/cidrs"), ({"models": None}, "/models")):
        with served.client(keys["narrow"]) as client:
            told = client.patch(path, json=wider, headers={"If-Match": '"1"'})
            problem(told, 403, "forbidden", pointer)
    with served.client(keys["narrow"]) as client:
        named = client.patch(path, json={"name": "renamed"}, headers={"If-Match": '"1"'})
        assert named.json()["cidrs"] == limits["cidrs"]


def test_lists_come_page_by_page(admin, keys):
    for n in range(3):
        spec = {"rule": "balance", "capacity": [5]}
        assert admin.put(f"/v1/rank/matchings/page-{n}", json=spec).status_code == 201
        rows = {"arrivals": [{"id": f"a-{n}", "items": [0]}]}
        assert admin.post("/v1/rank/matchings/page-0/arrivals", json=rows).status_code == 200
    for path, name in (
        ("/v1/keys", "id"), ("/v1/rank/matchings", "id"),
        ("/v1/rank/matchings/page-0/events", "sequence"),
    ):  # fmt: skip
        whole = admin.get(path, params={"limit": 1000}).json()
        assert (whole["has_more"], whole["next"]) == (False, None)
        seen, place = [], {}
        while True:
            page = admin.get(path, params={"limit": 2, **place}).json()
            assert len(page["data"]) <= 2
            seen += [row[name] for row in page["data"]]
            assert page["has_more"] is (page["next"] is not None)
            if not page["has_more"]:
                break
            place = {"after": page["next"]}
        assert seen == [row[name] for row in whole["data"]]
        assert seen == sorted(seen)
        assert len(seen) >= 3
    cursor = admin.get("/v1/keys", params={"limit": 1}).json()["next"]
    for given in (cursor, "page-0", ""):
        reply = admin.get("/v1/rank/matchings", params={"after": given})
        problem(reply, 422, "invalid_field", "query:after")


def wrong(served, at, key="gustibus_live_0_" + "A" * 43, **more):
    return ask(served, key, at=at, **more)


def test_an_address_may_be_wrong_only_so_often_and_right_ones_go_on(served, admin, keys):
    def refused():
        told = admin.get("/metrics").text.splitlines()
        line = next(one for one in told if one.startswith('gustibus_rejected_total{reason="auth"}'))
        return float(line.split()[1])

    assert wrong(served, "198.51.100.7").status_code == 401
    before = refused()
    for _ in range(2):
        problem(wrong(served, "198.51.100.7"), 401, "unauthenticated")
    over = wrong(served, "198.51.100.7")
    assert "unknown, wrong" in problem(over, 429, "too_many_failures")
    assert 1 <= int(over.headers["retry-after"]) <= 72
    assert over.headers["retry-after"] == str(over.json()["retry_after"])
    assert refused() == before + 3
    assert ask(served, keys["onboarding"], at="198.51.100.7").status_code == 200
    assert wrong(served, "198.51.100.8").status_code == 401
    bare = httpx.get(f"{served.base}/v1/users", headers={"X-Forwarded-For": "198.51.100.7"})
    problem(bare, 401, "unauthenticated")  # without a key, nothing is tried
    for n in range(3):
        assert wrong(served, f"2001:db8:0:7::{n + 1}").status_code == 401
    assert wrong(served, "2001:db8:0:7:ffff::9").status_code == 429  # one household
    assert wrong(served, "2001:db8:0:8::1").status_code == 401


@pytest.mark.parametrize(
    ("path", "before"), [("/", 200), ("/readyz?verbose=1", 401), ("/readyz?verbose=true", 401)]
)
def test_open_routes_count_wrong_keys_where_they_tell_right_ones_apart(
    served, admin, keys, path, before
):
    at = f"2001:db8:{sum(path.encode()):x}::1"
    for _ in range(3):
        assert wrong(served, at, path=path).status_code == before
    over = wrong(served, at, path=path)
    problem(over, 429, "too_many_failures")
    assert 1 <= int(over.headers["retry-after"]) <= 72
    assert wrong(served, at).status_code == 429  # one count for all routes
    bare = httpx.get(served.base + path, headers={"X-Forwarded-For": at})
    assert bare.status_code == before
    assert ask(served, keys["onboarding"], at=at, path="/").json()["version"]
    for free in ("/livez", "/readyz", "/onboard"):  # which tell nobody more
        assert wrong(served, at, path=free).status_code == 200
    basic = {"X-Forwarded-For": at, "Authorization": "Basic b3RoZXI6cHJveHk="}
    for _ in range(4):  # of a proxy, to which no key ever comes so
        assert httpx.get(served.base + path, headers=basic).status_code == before


def test_sessions_and_answers_have_a_pace(served, admin, keys):
    told = admin.get("/v1/limits").json()
    names = ("sessions_per_minute", "answers_per_minute", "failed_keys_per_minute", "json_depth")
    assert [told[name] for name in names] == [6, 5, 3, 16]
    assert (told["key_models"], told["key_cidrs"]) == (32, 64)
    with served.client(keys["onboarding"]) as http:
        begun = [http.post(SESSIONS, json={"user": f"u-{n}"}) for n in range(7)]
        assert [one.status_code for one in begun] == [201] * 6 + [429]
        assert "6 a minute" in problem(begun[-1], 429, "rate_limited")
        assert 1 <= int(begun[-1].headers["retry-after"]) <= 72
        first, second = begun[0].json(), begun[1].json()
        page = {"Authorization": f"Bearer {first['token']}"}
        path = f"{SESSIONS}/{first['id']}"
        for _ in range(4):  # the same again, as when a reply is lost
            reply = http.put(f"{path}/answers/0", json={"answer": "left"}, headers=page)
            assert reply.status_code == 200, reply.text
        assert http.post(f"{path}:undo", json={"seq": 0}, headers=page).status_code == 200
        for method, rest, body in (
            ("PUT", "/answers/0", {"answer": "left"}), ("POST", ":undo", {"seq": 0}),
            ("POST", ":restart", None),
        ):  # fmt: skip
            over = http.request(method, path + rest, json=body, headers=page)
            assert "5 a minute" in problem(over, 429, "rate_limited")
        assert http.get(f"{path}/next?prefetch=2", headers=page).status_code == 200
        other = f"{SESSIONS}/{second['id']}/answers/0"
        assert http.put(other, json={"answer": "left"}).status_code == 200
    assert admin.post(SESSIONS, json={"user": "u-9"}).status_code == 201  # another key
    metrics = admin.get("/metrics").text
    assert 'gustibus_rejected_total{reason="sessions"} 1.0' in metrics
    assert 'gustibus_rejected_total{reason="answers"} 3.0' in metrics


def test_the_client_has_keys(served, admin):
    with Client(served.base, served.key) as client:
        key = client.keys.create("typed", ["score"], models=["tastes"], cidrs=["10.0.0.0/8"])
        assert key.secret is not None
        assert key.secret not in repr(key)
        assert (key.models, key.cidrs) == (("tastes",), ("10.0.0.0/8",))
        assert key.created_at is not None
        assert abs(key.created_at - datetime.now(UTC)) < timedelta(minutes=1)
        assert key.last_used_day is None
        key = client.keys.update(key.id, {"models": None}, revision=key.revision)
        assert (key.models, key.cidrs, key.revision) == (None, ("10.0.0.0/8",), 2)
        assert client.keys.get(key.id) == key
        assert key in list(client.keys.iterate(limit=2))
        with pytest.raises(ApiError) as found:
            client.keys.revoke(key.id, revision=1)
        assert found.value.status == 412
        assert client.keys.revoke(key.id).live is False
        assert client.limits().answers_per_minute == 5


def test_the_client_reads_keys_of_a_service_that_does_not_tell_their_use():
    told = {"id": "k", "name": "n", "scopes": ["score"], "live": True, "expires_at": None,
            "models": None, "cidrs": None, "revision": 1}  # fmt: skip
    key = decoder(Key)(json.dumps(told).encode())
    assert (key.created_at, key.last_used_day) == (None, None)
    now = {**told, "created_at": "2026-01-31T10:00:00Z", "last_used_day": "2026-02-01"}
    key = decoder(Key)(json.dumps(now).encode())
    assert key.created_at == datetime(2026, 1, 31, 10, tzinfo=UTC)
    assert key.last_used_day == date(2026, 2, 1)


def test_the_command_line_makes_and_lists_keys_with_limits(tmp_path, capsys):
    place = ["--database", f"sqlite:///{tmp_path}/keys.db"]
    assert run(["db", "upgrade", *place]) == 0
    limits = ["--model", "tastes", "--cidr", "2001:db8::/32", "--cidr", "192.0.2.7"]
    assert run(["keys", "create", "app", *limits, *place]) == 0
    assert run(["keys", "create", "free", *place]) == 0
    capsys.readouterr()
    assert run(["keys", "list", *place]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert "  for tastes  from 192.0.2.7/32 2001:db8::/32" in first
    assert " from " not in second
    for flag, value in (("--cidr", "10.1.2.3/8"), ("--model", "tastes@3")):
        assert run(["keys", "create", "app", flag, value, *place]) == 2
        assert flag in capsys.readouterr().err
