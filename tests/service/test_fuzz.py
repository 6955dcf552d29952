"""Requests made up from the document: every check that the tool has, with a key and without one.

| Phase | What it sends |
|---|---|
| examples | what the document gives as examples |
| coverage | the edges of every schema, and what lies just beyond: the same cases every time |
| fuzzing | random requests, valid and not |
| stateful | sequences along the links of the document, with names that replies told |

`make test` sends a share of them, `make test-openapi` 500 random requests of every operation.
"""

from __future__ import annotations

import os
import shutil

import httpx
import pytest

from gustibus.service.app import TABLE
from gustibus.service.openapi import document
from gustibus.service.problems import CODES
from gustibus.service.routing import OPEN
from tests.service.exploring import CHECKED, LEFT_OUT, Told, explore, known_checks
from tests.service.harness import Service, running
from tests.service.test_versions import ready

EXAMPLES = int(os.environ.get("GUSTIBUS_EXAMPLES", "500"))
REFUSED = {400, 401, 404, 405}
"""What a request without a key gets where one is needed: beyond the door only 401."""


@pytest.fixture(scope="module")
def server(tmp_path_factory, texts_folder, texts_model):
    folder = tmp_path_factory.mktemp("fuzz")
    for name in ("files", "logs"):
        (folder / name).mkdir()
    shutil.copytree(texts_folder, folder / "models" / texts_model.digest)
    with running(
        f"sqlite:///{folder}/s.db", folder, gustibus_models=str(folder / "models"),
        gustibus_rate="0", gustibus_sessions="0", gustibus_answers="0",
        gustibus_refresh="0.05", gustibus_files=str(folder / "files"),
        gustibus_import_folder=str(folder / "logs"),
    ) as found:  # fmt: skip
        with found.client() as client:
            ready(client, [texts_model])
            for name in ("item-1", "resp-19", "resp-20", "resp-21"):  # of the examples
                client.put(f"/v1/items/{name}?wait=true", json={"text": f"plain {name}"})
        yield found


def begun(server: Service) -> dict[str, str]:
    """A session that waits for answers: operations on one come before the one that begins it."""
    with server.client() as client:
        session = client.post("/v1/onboarding/sessions", json={"user": "trained-2"}).json()
    return {"session": session["id"], "question": str(session["question"]["seq"])}


def judge(told: Told, *phases: str) -> None:
    """Nothing was found, and what was to be done was done."""
    print(f"{told.requests} requests, slowest {told.slowest:.2f} s, {told.phases}")
    assert not told.errors, "\n\n".join(told.errors[:20])
    assert not told.faults, f"{len(told.faults)} faults\n\n" + "\n\n".join(told.faults[:20])
    assert {name: told.phases[name] for name in phases} == dict.fromkeys(phases, "success")


def check_the_key(server: Service) -> None:
    """It has lasted through the run: else the rest of that was answered by 401, and found no fault."""
    headers = {"Authorization": f"Bearer {server.key}"}
    assert httpx.get(f"{server.base}/v1/keys", headers=headers).status_code == 200


def reached(told: Told) -> set[str]:
    """Operations that have done what they are for."""
    return {name for name, seen in told.statuses.items() if any(200 <= one < 300 for one in seen)}


def names() -> set[str]:
    return {f"{route.method} {route.path}" for route in TABLE}


def check_the_door(told: Told) -> None:
    """Without a key nothing is answered but what is open."""
    shut = {f"{route.method} {route.path}" for route in TABLE if route.scope != OPEN}
    for name in shut:
        seen = set(told.statuses[name])
        assert seen <= REFUSED, (name, seen)
        assert 401 in seen, name


def test_the_edges_of_every_schema_find_no_fault(server):
    told = explore(server.base, key=server.key, phases=("examples", "coverage"))
    judge(told, "examples", "coverage")
    assert set(told.statuses) == names()
    assert len(reached(told)) > 0.6 * len(names())
    check_the_key(server)


def test_random_requests_and_sequences_find_no_fault(server):
    told = explore(server.base, key=server.key, phases=("fuzzing", "stateful"), examples=4)
    judge(told, "fuzzing", "stateful")
    assert set(told.statuses) == names()
    check_the_key(server)


def test_no_request_without_a_key_gets_past_the_door(server):
    told = explore(server.base, phases=("examples", "fuzzing"), examples=2)
    judge(told, "fuzzing")
    check_the_door(told)


@pytest.mark.slow
@pytest.mark.timeout(36_000)
def test_very_many_requests_find_no_fault(server):
    told = explore(server.base, key=server.key, examples=EXAMPLES, known=begun(server))
    judge(told, "examples", "coverage", "fuzzing", "stateful")
    assert set(told.statuses) == names()
    check_the_key(server)
    assert reached(told) >= names() - UNREACHED, names() - UNREACHED - reached(told)
    assert httpx.get(f"{server.base}/livez").status_code == 200


@pytest.mark.slow
@pytest.mark.timeout(36_000)
def test_very_many_requests_without_a_key_find_no_fault(server):
    told = explore(server.base, examples=EXAMPLES)
    judge(told, "examples", "coverage", "fuzzing", "stateful")
    check_the_door(told)


UNREACHED = {
    "POST /v1/models/{model}/versions",  # wants the digest of a folder that is there
    "PUT /v1/models/{model}/aliases/{alias}",  # wants the ETag as it is
    "DELETE /v1/models/{model}/aliases/{alias}",  # wants it too, and another alias than the one served
    "POST /v1/models/{model}:rollback",  # wants it too, and an earlier version
    "DELETE /v1/models/{model}/versions/{version}",  # the only one is in service
    "POST /v1/onboarding/sessions/{session}:doubt",  # wants an answer that the session has
    "GET /v1/jobs/{job}/result",  # wants an export that has ended
    "GET /v1/admin/map/moves",  # wants two versions
    "POST /v1/rank/matchings/{matching}/outcomes",  # wants an attempt that waits
}
"""Operations that made-up requests do not get to the end of."""


def test_every_check_of_the_tool_is_made_or_left_out_for_a_reason():
    assert set(CHECKED) | set(LEFT_OUT) == known_checks()
    assert not set(CHECKED) & set(LEFT_OUT)


def test_every_status_of_the_document_is_one_that_a_problem_has():
    problems = {str(kind.status) for kind in CODES.values()}
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            statuses = {status for status in operation["responses"] if status >= "400"}
            assert statuses <= problems, (method, path)
