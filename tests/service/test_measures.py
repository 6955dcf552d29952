"""What a service measures of itself: each figure is there, and moves by what should move it."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gustibus.service.stages import SAMPLED
from gustibus.store import Store, audit
from tests.service.harness import DIM, Service, running
from tests.service.test_remote_encoder import Pooling

SESSIONS = "/v1/onboarding/sessions"
NDJSON = {"Content-Type": "application/x-ndjson"}
PATIENCE = 30.0  # seconds

Shown = dict[tuple[str, ...], float]


def shown(http: httpx.Client) -> Shown:
    """Every sample by its name and labels."""
    reply = http.get("/metrics")
    assert reply.status_code == 200, reply.text
    return {
        (
            sample.name,
            *(text for pair in sorted(sample.labels.items()) for text in pair),
        ): sample.value
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
    }


def of(found: Shown, name: str, **labels: str) -> float:
    """One sample; 0 where it is not shown."""
    key = (f"gustibus_{name}", *(text for pair in sorted(labels.items()) for text in pair))
    return found.get(key, 0.0)


@dataclass
class Moved:
    """What has changed between two looks."""

    before: Shown
    after: Shown

    def __call__(self, name: str, **labels: str) -> float:
        return of(self.after, name, **labels) - of(self.before, name, **labels)


def moved(http: httpx.Client, work: Callable[[], object]) -> Moved:
    before = shown(http)
    work()
    return Moved(before, shown(http))


def awaited(http: httpx.Client, right: Callable[[Shown], bool]) -> Shown:
    until = time.monotonic() + PATIENCE
    while not right(found := shown(http)):
        assert time.monotonic() < until, found
        time.sleep(0.05)
    return found


@pytest.fixture(scope="module")
def served(tmp_path_factory, texts_folder, texts_model) -> Iterator[Service]:
    """A service of texts in one process, whose jobs nobody works off."""
    folder = tmp_path_factory.mktemp("measures")
    with running(
        f"sqlite:///{folder}/s.db", folder, gustibus_model=str(texts_folder), gustibus_worker="0",
        gustibus_files=str(folder),
    ) as service:  # fmt: skip
        yield service


@pytest.fixture
def http(served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


def score(http: httpx.Client, times: int, **body) -> None:
    for _ in range(times):
        reply = http.post("/v1/score", json=body)
        assert reply.status_code == 200, reply.text


def test_stages_are_timed_of_one_request_in_so_many(http):
    assert http.put("/v1/items/known", json={"text": "rich and calm"}).status_code in (201, 202)
    awaited(http, lambda found: of(found, "rows_in_memory", table="items") >= 1)
    ids = {"candidates": [{"id": "known"}]}
    texts = {"candidates": ["one text", "and another"]}
    for body, others in ((ids, set()), (texts, {"encode"})):
        now = moved(http, lambda body=body: score(http, 3 * SAMPLED, **body))
        for stage in {"auth", "queue", "parse", "lookup", "head", "serialise"} | others:
            assert now("score_stage_duration_seconds_count", stage=stage) == 3, stage
            assert 0 < now("score_stage_duration_seconds_sum", stage=stage) < 3, stage
        assert now("score_stage_duration_seconds_count", stage="encode") == 3 * len(others)
    refused = moved(http, lambda: [http.post("/v1/score", json={}) for _ in range(2 * SAMPLED)])
    assert refused("score_stage_duration_seconds_count", stage="auth") == 0


def test_no_stage_is_longer_than_the_request(http):
    now = moved(http, lambda: score(http, 4 * SAMPLED, candidates=["short", "warm"]))
    stages = sum(
        value - now.before.get(key, 0.0)
        for key, value in now.after.items()
        if key[0] == "gustibus_score_stage_duration_seconds_sum"
    )
    assert 0 < stages < now("http_request_duration_seconds_sum", route="/v1/score", method="POST")


def test_candidates_are_of_a_version(http, texts_model):
    labels = {"model": "default", "version": texts_model.digest[:12]}
    now = moved(http, lambda: score(http, 2, candidates=["a", "b", "c"]))
    assert now("score_candidates_total", source="text", **labels) == 6
    assert now("score_candidates_total", source="id", **labels) == 0


def test_batches_of_texts_are_counted_with_their_size_and_wait(http):
    backend = {"backend": "hashing"}
    texts = [f"a text of its own, number {n}" for n in range(40)]
    now = moved(http, lambda: score(http, 1, candidates=texts))
    assert now("encoder_batch_size_count", **backend) == 1
    assert now("encoder_batch_size_sum", **backend) == 40
    assert now("encoder_batch_size_bucket", le="32.0", **backend) == 0
    assert now("encoder_batch_size_bucket", le="64.0", **backend) == 1
    assert now("encoder_batch_tokens_sum", **backend) == sum(-(-len(text) // 4) for text in texts)
    assert now("encoder_queue_wait_seconds_count", **backend) == 1
    assert 0 < now("encoder_queue_wait_seconds_sum", **backend) < 1
    again = moved(http, lambda: score(http, 1, candidates=texts))
    assert again("encoder_batch_size_count", **backend) == 0
    assert ("gustibus_encoder_queue_depth", "backend", "hashing") in again.after


def test_requests_that_wait_for_a_pooling_server_are_the_depth_of_its_queue(
    tmp_path, texts_folder, texts_model
):
    pooling, backend = Pooling(), {"backend": "remote"}
    try:
        with running(
            f"sqlite:///{tmp_path}/s.db", tmp_path, gustibus_model=str(texts_folder),
            gustibus_encoder_url=pooling.url, gustibus_encoder_connections="1",
            gustibus_encoder_timeout="3",
        ) as service, service.client() as http, ThreadPoolExecutor(3) as pool:  # fmt: skip
            score(http, 1, candidates=["first"])
            assert of(shown(http), "encoder_queue_depth", **backend) == 0
            before = shown(http)
            pooling.tell("hang")
            patient = {"X-Deadline-Ms": "20000"}  # the first hangs for longer than usual ones
            for n in range(3):
                body = {"candidates": [f"text {n}"]}
                pool.submit(http.post, "/v1/score", json=body, headers=patient)
            awaited(http, lambda found: of(found, "encoder_queue_depth", **backend) == 3)
            pooling.tell("ok")
            after = awaited(http, lambda found: of(found, "encoder_queue_depth", **backend) == 0)
            now = Moved(before, after)
            assert now("encoder_queue_wait_seconds_count", **backend) == 3
            assert now("encoder_queue_wait_seconds_sum", **backend) > 0.05  # behind the first
            assert now("encoder_batch_size_sum", **backend) == 3
    finally:
        pooling.kill()


def session(http: httpx.Client, user: str, **more) -> dict:
    reply = http.post(SESSIONS, json={"user": user, **more})
    assert reply.status_code == 201, reply.text
    return reply.json()


def put(http: httpx.Client, name: str, seq: int, said: str = "left", **more) -> httpx.Response:
    return http.put(f"{SESSIONS}/{name}/answers/{seq}", json={"answer": said, **more})


def test_a_session_that_ends_is_measured_once(http):
    strategy = {"strategy": "random"}
    begun = session(http, "measured", strategy="random", min_questions=3, max_questions=3)
    last: dict = {}

    def answer() -> None:
        for seq in range(3):
            reply = put(http, begun["id"], seq, ms=2500)
            assert reply.status_code == 200, reply.text
            last.update(reply.json())

    now = moved(http, answer)
    assert last["state"] == "finished"
    assert now("onboarding_questions_count", **strategy) == 1
    assert now("onboarding_questions_sum", **strategy) == 3
    told = http.get(f"{SESSIONS}/{begun['id']}/result").json()
    assert now("onboarding_info_nats_sum", **strategy) == pytest.approx(
        told["information"], rel=1e-3
    )
    assert now("onboarding_confidence_sum", **strategy) == pytest.approx(
        last["progress"]["confidence"]
    )
    assert now("onboarding_answer_seconds_count", **strategy) == 3
    assert now("onboarding_answer_seconds_sum", **strategy) == pytest.approx(7.5)
    again = moved(http, lambda: [put(http, begun["id"], 2, ms=2500),
                                 http.post(f"{SESSIONS}/{begun['id']}:finish")])  # fmt: skip
    for name in ("questions", "info_nats", "confidence", "answer_seconds"):
        assert again(f"onboarding_{name}_count", **strategy) == 0, name


def test_a_session_that_a_person_ends_is_measured_too(http):
    begun = session(http, "leaves", strategy="random")
    assert put(http, begun["id"], 0).status_code == 200
    now = moved(http, lambda: http.post(f"{SESSIONS}/{begun['id']}:finish"))
    assert now("onboarding_questions_sum", strategy="random") == 1
    assert now("onboarding_info_nats_count", strategy="random") == 1
    assert now("onboarding_answer_seconds_count", strategy="random") == 0  # nobody said


def test_an_answer_that_another_one_overtakes_is_worked_out_again(http):
    until, now = time.monotonic() + PATIENCE, None
    with ThreadPoolExecutor(4) as pool:
        for number in range(1000):
            begun = session(http, f"hasty-{number}")
            said = ("left", "right", "tie", "skip")
            now = moved(
                http,
                lambda: list(pool.map(lambda one: put(http, begun["id"], 0, one), said)),
            )
            if now("db_retries_total", op="session"):
                break
            assert time.monotonic() < until


def test_answers_that_contradict_each_other_are_no_consistent_profile(http):
    def say(user: str, outcomes: str) -> None:
        rows = [
            {"user": user, "a": {"text": "short and plain"}, "b": {"text": "rich and long"},
             "outcome": outcome}
            for outcome in outcomes
        ]  # fmt: skip
        reply = http.post("/v1/comparisons?wait=profile", json={"comparisons": rows})
        assert reply.json()["profiles"] == "ready", reply.text

    agreeing = moved(http, lambda: say("steady", "aaaa"))
    assert agreeing("profile_consistency_count") == 1
    assert agreeing("profile_consistency_sum") == 1.0
    torn = moved(http, lambda: say("torn", "aaab"))
    assert torn("profile_consistency_sum") == 0.75
    none = moved(http, lambda: say("undecided", ["tie", "tie"]))
    assert none("profile_consistency_count") == 0


def came_in(now: Moved) -> dict[tuple[str, str], float]:
    """Comparisons that were counted, by source and outcome."""
    found = {}
    for name, *labels in now.after:
        if name == "gustibus_comparisons_total":
            told = dict(zip(labels[::2], labels[1::2], strict=True))
            if count := now("comparisons_total", **told):
                found[told["source"], told["outcome"]] = count
    return found


def test_comparisons_are_counted_once_by_how_they_came_in(http):
    def row(name: str, outcome: str, **more: object) -> dict[str, object]:
        sides = {"a": {"text": "warm"}, "b": {"text": "dry"}}
        return {"id": name, "user": "counted", **sides, "outcome": outcome, **more}

    def send(*rows: dict, **more: object) -> None:
        reply = http.post(
            "/v1/comparisons", json={"comparisons": rows, **more},
            headers={"Idempotency-Key": " ".join(one["id"] for one in rows)},
        )  # fmt: skip
        assert reply.status_code == 201, reply.text

    rows = row("counted-1", "a", source="what a client says"), row("counted-2", "tie")
    other = row("counted-1", "b")  # is refused: it was another one before
    assert came_in(moved(http, lambda: send(*rows))) == {("api", "a"): 1, ("api", "tie"): 1}
    assert came_in(moved(http, lambda: send(*rows))) == {}  # under the same key
    assert came_in(moved(http, lambda: send(rows[0], other, row("counted-3", "a")))) == {
        ("api", "a"): 1
    }
    logged = row("counted-4", "both_bad")
    assert came_in(moved(http, lambda: send(logged, replayed=True))) == {("import", "both_bad"): 1}
    turns = [
        {"user": "counted", "prompt": "Well?", "consent": True, "response": one, "valence": valence}
        for one, valence in (("warm", 0.9), ("dry", -0.9))
    ]
    now = moved(
        http, lambda: [http.post("/v1/follow-ups", json={"turns": turns}) for _ in range(2)]
    )
    assert came_in(now) == {("follow_up", "a"): 1}


def test_an_answer_of_a_session_is_counted_when_it_is_first_given_and_not_when_it_ends(http):
    begun = session(http, "counted-on", max_questions=4)
    said = ("left", "left", "skip")
    now = moved(http, lambda: [put(http, begun["id"], seq, one) for seq, one in enumerate(said)])
    told = came_in(now)
    assert told.pop(("onboarding", "skip")) == 1
    assert sum(told.values()) == 2
    assert told.keys() <= {("onboarding", "a"), ("onboarding", "b")}
    ended = moved(http, lambda: (put(http, begun["id"], 0, "tie"), put(http, begun["id"], 0, "tie"),
                                 http.post(f"{SESSIONS}/{begun['id']}:finish")))  # fmt: skip
    assert came_in(ended) == {}
    kept = http.get("/v1/comparisons", params={"user": "counted-on"}).json()["data"]
    assert len(kept) == 3
    assert kept[1]["outcome"] in {outcome for _, outcome in told}


def test_rows_of_an_import_are_counted_by_what_became_of_them(http):
    one, two = (
        json.dumps({"id": f"row-{n}", "user": "imported", "response_a": "warm", "response_b": "dry",
                    "outcome": "a"}).encode()
        for n in range(2)
    )  # fmt: skip
    key = {"Idempotency-Key": "import"}
    begun = http.post("/v1/imports", json={}, headers=key).json()
    data = b"\n".join([one, two, b"{broken", one])
    now = moved(http, lambda: http.put(begun["upload"], content=data, headers=NDJSON))
    done = http.get(f"/v1/imports/{begun['id']}").json()
    for result, told in (
        ("accepted", "accepted"), ("duplicate", "duplicates"), ("rejected", "rejected"),
    ):  # fmt: skip
        assert now("import_rows_total", result=result) == done[told] >= 1, done
    assert came_in(now) == {("import", "a"): done["accepted"]}


def test_whatever_is_too_large_is_counted_wherever_that_is_found(http):
    limits = http.get("/v1/limits").json()
    begun = http.post("/v1/imports", json={}, headers={"Idempotency-Key": "large"}).json()
    few = {"candidates": ["a text"]}
    many = {"candidates": ["a text"] * (limits["texts"] + 1)}
    long = b" " * (limits["scoring_body_bytes"] + 1)
    line = b" " * (limits["import_line_bytes"] + 1)

    def counted(method: str, path: str, status: int, **body: object) -> float:
        def send() -> None:
            reply = http.request(method, path, **body)
            assert reply.status_code == status, reply.text

        return moved(http, send)("rejected_total", reason="too_large")

    as_json = {"Content-Type": "application/json"}
    assert counted("POST", "/v1/score", 413, content=long, headers=as_json) == 1
    assert counted("POST", "/v1/score", 413, json=many) == 1
    assert counted("PUT", begun["upload"], 413, content=line, headers=NDJSON) == 1
    assert counted("POST", "/v1/score:batch", 200, json={"requests": [many, few, many]}) == 2
    assert counted("POST", "/v1/score", 200, json=few) == 0


def test_jobs_that_wait_are_counted_and_grow_older(http):
    def make() -> None:
        for key in "ab":
            reply = http.post(
                "/v1/jobs", json={"kind": "export"}, headers={"Idempotency-Key": f"export-{key}"}
            )
            assert reply.status_code == 202, reply.text

    before = shown(http)
    assert of(before, "jobs", kind="export", state="queued") == 0
    assert of(before, "job_oldest_queued_seconds", kind="export") == 0
    make()
    first = awaited(http, lambda found: of(found, "jobs", kind="export", state="queued") == 2)
    then = of(first, "job_oldest_queued_seconds", kind="export")
    assert 0 < then < PATIENCE
    time.sleep(0.5)
    assert then < of(shown(http), "job_oldest_queued_seconds", kind="export") < then + PATIENCE
    assert Moved(before, first)("audit_events_total", action="job.create") == 2
    for job in http.get("/v1/jobs", params={"kind": "export"}).json()["data"]:
        assert http.post(f"/v1/jobs/{job['id']}:cancel").status_code in (200, 202)
    gone = awaited(http, lambda found: of(found, "jobs", kind="export", state="queued") == 0)
    assert of(gone, "job_oldest_queued_seconds", kind="export") == 0


def test_what_is_undone_is_not_counted_among_the_entries_of_the_audit_log(served):
    store = Store(served.url)

    def fail() -> None:
        with store.write() as conn:
            audit(conn, actor="cli", action="key.revoke", what="k")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert store.audited() == {}
    for action in ("key.create", "key.create", "key.revoke"):
        with store.write() as conn:
            audit(conn, actor="cli", action=action, what="k")
            assert store.in_use() == {"read": 0, "write": 1}
    assert store.audited() == {"key.create": 2, "key.revoke": 1}
    assert store.in_use() == {"read": 0, "write": 0}
    store.close()


def test_transactions_are_timed_and_connections_are_in_use_while_they_last(http, served):
    now = moved(http, lambda: http.put("/v1/users/anew", json={}))
    assert now("db_tx_duration_seconds_count", op="write") >= 1
    assert now("db_tx_duration_seconds_sum", op="write") > 0
    assert of(now.after, "db_pool_in_use", op="write") == 0
    lock = sqlite3.connect(served.url.removeprefix("sqlite:///"), isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as pool:
        writes = pool.submit(http.put, "/v1/users/waits", json={})
        awaited(http, lambda found: of(found, "db_pool_in_use", op="write") == 1)
        time.sleep(0.5)
        lock.execute("ROLLBACK")
        assert writes.result(PATIENCE).is_success
    lock.close()
    late = Moved(
        now.after, awaited(http, lambda found: of(found, "db_pool_in_use", op="write") == 0)
    )
    assert late("db_tx_duration_seconds_sum", op="write") > 0.5


def test_what_the_store_cannot_do_now_is_done_again_and_counted(
    tmp_path, vectors_folder, vectors_model
):
    path = tmp_path / "s.db"
    with running(
        f"sqlite:///{path}", tmp_path, gustibus_model=str(vectors_folder)
    ) as service, service.client() as http:  # fmt: skip
        assert http.put("/v1/items/x", json={"embedding": [1.0] * DIM}).is_success
        found = shown(http)
        assert 0 < of(found, "model_load_seconds", model="default") < PATIENCE
        assert [of(found, "db_retries_total", op=op) for op in ("fit", "job", "changes")] == [0] * 3
        with sqlite3.connect(path) as store:
            store.execute("ALTER TABLE jobs RENAME TO elsewhere")
        awaited(http, lambda found: of(found, "db_retries_total", op="job") > 0)
        awaited(http, lambda found: of(found, "db_retries_total", op="changes") > 0)
        with sqlite3.connect(path) as store:
            store.execute("ALTER TABLE elsewhere RENAME TO jobs")
        store.close()
