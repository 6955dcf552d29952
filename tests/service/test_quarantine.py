"""People whose answers look like nobody's: served, kept out of trainings, and given back by an operator."""

from __future__ import annotations

import json

import httpx
import numpy as np
import pytest

from gustibus.cli.app import run as cli
from gustibus.client import Client
from tests.service.browser import chromium
from tests.service.harness import database, new_key, running
from tests.service.test_merged_metrics import free_ports
from tests.service.test_onboarding_over_http import begin, put
from tests.service.test_restrictions import actions, change, learn, refusal, scored, until


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def served(request, tmp_path_factory, vectors_folder, vectors_model):
    folder = tmp_path_factory.mktemp("quarantine")
    with (
        database(request.param, folder) as url,
        running(
            url,
            folder,
            gustibus_model=str(vectors_folder),
            gustibus_refresh="0.1",
            gustibus_metrics_port=str(free_ports()),
        ) as found,
    ):
        yield found


@pytest.fixture(scope="module")
def http(served, features):
    with served.client() as client:
        batch = [{"id": f"item-{n}", "embedding": row.tolist()} for n, row in enumerate(features)]
        assert client.post("/v1/items:batch", json={"items": batch}).status_code == 200
        yield client


def click(http, user, *, ms, said=("left",), questions=10):
    """A session of somebody who answers the same again and again; what they were asked."""
    session = begin(http, user, min_questions=questions, max_questions=questions)
    question, asked = session["question"], []
    while question is not None:
        asked.append(question)
        answer = said[len(asked) % len(said)]
        reply = put(http, session["id"], question["seq"], answer, ms=ms)
        assert reply.status_code == 200, reply.text
        question = reply.json()["question"]
    return asked


def person(http, user):
    return http.get(f"/v1/users/{user}").json()


def counted(served):
    """`profiles_quarantined_total` by reason."""
    port, found = served.environment["GUSTIBUS_METRICS_PORT"], {}
    for line in httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=20).text.splitlines():
        if line.startswith("gustibus_profiles_quarantined_total{"):
            label, value = line.rsplit(" ", 1)
            found[label.split('"')[1]] = float(value)
    return found


def test_two_signals_put_somebody_into_quarantine_and_they_are_served_as_before(http, served):
    before = counted(served)
    click(http, "qu-fast", ms=200)
    for reason in ("fast", "side"):
        assert counted(served)[reason] == before[reason] + 1
    found = person(http, "qu-fast")
    assert (found["state"], found["fitted_comparisons"]) == ("quarantined", 10)
    assert {"fast", "side"} <= set(found["signals"])
    who, scores = scored(http, "qu-fast")
    assert (who["state"], who["comparisons"]) == ("quarantined", 10)
    assert scores != scored(http, None)[1], "served by their own profile"
    assert actions(http, "qu-fast") == ["user.quarantine"]
    again = http.post("/v1/comparisons?wait=profile", json={
        "comparisons": [{"user": "qu-fast", "a": {"id": "item-3"}, "b": {"id": "item-4"},
                         "outcome": "a"}],
    })  # fmt: skip
    assert (again.status_code, again.json()["profiles"]) == (201, "ready")
    assert actions(http, "qu-fast") == ["user.quarantine"], "once is enough"


@pytest.mark.parametrize(
    ("user", "ms", "said"),
    [
        ("qu-one-sided", 2500, ("left",)),
        ("qu-hasty", 200, ("left", "right", "right")),
        ("qu-calm", 2500, ("left", "right", "right")),
    ],
)
def test_one_signal_is_not_enough(http, user, ms, said):
    click(http, user, ms=ms, said=said, questions=9)
    found = person(http, user)
    assert (found["state"], found["signals"]) == ("ready", [])
    assert actions(http, user) == []


def test_what_is_for_training_leaves_them_out_and_lists_and_exports_tell_of_them(http, served):
    click(http, "qu-trained", ms=100)
    learn(http, "qu-honest")
    taken = http.get("/v1/comparisons?limit=1000&restricted=0").json()["data"]
    assert "qu-trained" not in {one["user"] for one in taken}
    assert "qu-honest" in {one["user"] for one in taken}
    assert "qu-trained" not in http.get("/v1/admin/comparisons.ndjson").text
    listed = http.get("/v1/users?state=quarantined").json()["data"]
    assert {"qu-trained"} <= {one["id"] for one in listed}
    assert {one["state"] for one in listed} == {"quarantined"}
    assert all(len(one["signals"]) >= 2 for one in listed)
    first = http.get("/v1/users?state=quarantined&limit=1").json()
    if first["has_more"]:
        other = http.get("/v1/users", params={"after": first["next"]})
        assert refusal(other) == (422, "invalid_field"), "a place in another list"
    assert refusal(http.get("/v1/users?state=ready")) == (422, "invalid_field")
    lines = http.post("/v1/users/qu-trained:export").text
    assert '"kind":"quarantine"' in lines


def test_an_operator_gives_them_back_and_the_same_evidence_does_not_count_again(http, served):
    user = "qu-back"
    click(http, user, ms=150)
    asked = new_key(served.url, "users:read", "users:write", "onboard", "ingest")
    served.settle(asked)
    with served.client(asked) as less:
        assert refusal(less.post(f"/v1/users/{user}:release")) == (403, "forbidden")
    assert refusal(http.post("/v1/users/qu-never:release")) == (404, "not_found")
    suspected = scored(http, user)[1]
    found = change(http, user, "release")
    assert (found["state"], found["signals"]) == ("ready", [])
    assert actions(http, user) == ["user.release", "user.quarantine"]
    believed = scored(http, user)[1]
    anybody = np.array(scored(http, None)[1])
    assert np.abs(believed - anybody).sum() > np.abs(suspected - anybody).sum()
    assert change(http, user, "release")["profile_version"] == person(http, user)["profile_version"]
    learn(http, user)  # which fits them again
    assert person(http, user)["state"] == "ready"
    click(http, user, ms=100)  # and now they do it again
    assert {"fast", "side"} <= set(person(http, user)["signals"])
    assert actions(http, user) == ["user.quarantine", "user.release", "user.quarantine"]


def test_both_states_at_once_end_in_either_order(http, served):
    click(http, "qu-both", ms=150)
    assert change(http, "qu-both", "restrict")["state"] == "restricted"
    assert change(http, "qu-both", "unrestrict")["state"] == "quarantined"
    change(http, "qu-both", "restrict")
    assert change(http, "qu-both", "release")["state"] == "restricted"
    assert change(http, "qu-both", "unrestrict")["state"] == "ready"


def test_who_is_deleted_begins_anew_without_it(http):
    click(http, "qu-gone", ms=150)
    assert person(http, "qu-gone")["state"] == "quarantined"
    assert http.delete("/v1/users/qu-gone").json()["removed"]["quarantines"] == 1
    assert http.put("/v1/users/qu-gone").json()["state"] == "population"


def test_another_process_learns_of_both(http, served, tmp_path, vectors_folder):
    click(http, "qu-other", ms=150)
    environment = {"gustibus_model": str(vectors_folder), "gustibus_refresh": "0.1"}
    with running(served.url, tmp_path, **environment) as two, two.client(served.key) as other:
        assert scored(other, "qu-other")[0]["state"] == "quarantined"
        change(http, "qu-other", "release")
        until(lambda: scored(other, "qu-other")[0]["state"], "ready")
        click(http, "qu-later", ms=150)
        until(lambda: scored(other, "qu-later")[0]["state"], "quarantined")


def test_the_client_lists_and_releases(http, served):
    click(http, "qu-client", ms=150)
    with Client(served.base, served.key) as client:
        names = [one.id for one in client.users.iterate(state="quarantined")]
        assert "qu-client" in names
        assert set(client.users.get("qu-client").signals) >= {"fast", "side"}
        assert client.users.release("qu-client").signals == ()


@pytest.mark.parametrize("target", ["service", "database"])
def test_the_command_line_lists_and_releases(target, http, served, capsys):
    user = f"qu-cli-{target}"
    click(http, user, ms=150)
    where = ["--database", served.url]
    if target == "service":
        where = ["--url", served.base]

    def told(*words):
        assert cli([*words, *where]) == 0
        return capsys.readouterr().out

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GUSTIBUS_KEY", served.key)
        lines = told("users", "list", "--state", "quarantined").splitlines()
        (mine,) = [line for line in lines if line.startswith(f"{user}  ")]
        assert "quarantined  10 comparisons  fast, side" in mine
        (row,) = [one for one in json.loads(told("users", "list", "--json")) if one["id"] == user]
        assert set(row["signals"]) >= {"fast", "side"}
        assert "quarantined" not in told("users", "release", user)
        assert json.loads(told("users", "show", user, "--json"))["signals"] == []
        assert cli(["users", "list", "--state", "tired", *where]) != 0
        assert "--state: expected restricted or quarantined" in capsys.readouterr().err
        assert cli(["users", "release", "qu-nobody", *where]) != 0
    until(lambda: scored(http, user)[0]["state"], "ready")
    assert actions(http, user) == ["user.release", "user.quarantine"]


def test_the_operator_page_shows_them_and_gives_them_back(http, served):
    click(http, "qu-page", ms=150)
    key = new_key(served.url, "admin")
    served.settle(key)
    with chromium() as browser:
        page = browser.new_page(base_url=served.base)
        page.goto("/admin")
        page.get_by_label("Key").fill(key)
        page.get_by_role("button", name="Open").click()
        page.get_by_role("link", name="People").click()
        page.get_by_role("heading", name="In quarantine").wait_for()
        row = page.locator("#held-table tr", has=page.get_by_label("Show qu-page"))
        assert "too fast to have read; always the same side" in row.inner_text()
        page.get_by_label("Release qu-page").click()
        page.get_by_text("qu-page is no longer in quarantine").wait_for()
        page.wait_for_function(
            "!document.querySelector('#held-table').innerText.includes('qu-page')"
        )
    assert person(http, "qu-page")["state"] == "ready"


def torn(user):
    """Somebody who prefers each side of twelve pairs, once the one and once the other."""
    return [
        {"user": user, "a": {"id": f"item-{n}"}, "b": {"id": f"item-{n + 1}"}, "outcome": outcome}
        for n in range(0, 24, 2) for outcome in "ab"
    ]  # fmt: skip


def test_a_crowd_of_one_person_from_one_key_is_a_signal_against_each_of_them(http, served):
    """Those too who were fitted before it was one."""
    before = counted(served)["crowd"]
    alone = {"comparisons": torn("qu-torn")}
    assert http.post("/v1/comparisons?wait=profile", json=alone).json()["profiles"] == "ready"
    names = [f"qu-crowd-{n}" for n in range(25)]
    for some in (names[:12], names[12:]):
        rows = [row for name in some for row in torn(name)]
        reply = http.post("/v1/comparisons?wait=profile", json={"comparisons": rows})
        assert reply.json()["profiles"] == "ready"
        if some[0] == names[0]:
            assert {person(http, name)["state"] for name in some} == {"ready"}
    until(lambda: {person(http, name)["state"] for name in names}, {"quarantined"})
    assert person(http, names[3])["signals"] == ["information", "crowd"]
    assert person(http, "qu-torn")["state"] == "quarantined", "who is one of them after all"
    until(lambda: counted(served)["crowd"] - before, 26)  # which is told just after


def test_the_profile_tells_of_the_group_the_worth_of_the_answers_and_consistency(http):
    calm = click(http, "qu-profile", ms=2000, said=("left", "right", "right"), questions=12)
    profile = http.get("/v1/users/qu-profile/profile").json()
    assert (profile["group"], profile["group_share"]) == (0, 1.0)
    assert 0 < profile["effective_answers"] <= 12
    assert profile["fitted_model"] == profile["model"]
    repeats = sum(one["reason"] == "repeat" for one in calm)
    assert profile["repeated"] == repeats
    if repeats:
        assert profile["consistency"] == profile["consistent"] / repeats
    http.put("/v1/users/qu-nothing")
    nothing = http.get("/v1/users/qu-nothing/profile").json()
    assert (nothing["effective_answers"], nothing["repeated"]) == (0, 0)
    assert nothing["consistency"] is nothing["fitted_model"] is None
