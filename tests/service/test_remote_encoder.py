"""Texts encoded by a server that may fail: what is scored without it, and when it is asked again."""

from __future__ import annotations

import base64
import subprocess
import sys
import time
from dataclasses import replace
from math import inf
from pathlib import Path

import httpx
import numpy as np
import pytest

from gustibus.errors import ConfigError
from gustibus.service.breaker import Breaker, OpenError
from gustibus.service.pooling import SEQUENCES, TOKENS, RemoteEncoder, _batches
from gustibus.service.problems import Problem
from gustibus.service.settings import Settings
from tests.service.harness import running

PAUSE = 0.4


class Pooling:
    """A pooling server in a process."""

    def __init__(self, port: int = 0) -> None:
        script = Path(__file__).with_name("pooling_server.py")
        self.process = subprocess.Popen(
            [sys.executable, str(script), str(port)], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}"

    def tell(self, mode) -> None:
        httpx.post(f"{self.url}/control", json={"mode": mode})

    def told(self) -> dict:
        return httpx.get(f"{self.url}/control").json()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(60)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def pooling():
    found = Pooling()
    yield found
    found.kill()


@pytest.fixture(scope="module")
def served(tmp_path_factory, texts_folder, texts_model, pooling):
    folder = tmp_path_factory.mktemp("remote")
    with running(
        f"sqlite:///{folder}/own.db", folder, gustibus_model=str(texts_folder),
        gustibus_encoder_url=pooling.url, gustibus_encoder_key="s3cret",
        gustibus_encoder_pause=str(PAUSE), gustibus_encoder_timeout="1.5",
    ) as service:  # fmt: skip
        yield service


@pytest.fixture
def http(served, pooling):
    pooling.tell("ok")
    with served.client() as client:
        until = time.monotonic() + 60
        while encoder(client)["breaker"] != "closed":
            assert time.monotonic() < until
            score(client, f"closing {time.monotonic()}")
            time.sleep(0.05)
        yield client


def score(client, *texts, **headers):
    body = {"prompt": "Well?", "candidates": list(texts)}
    return client.post("/v1/score", json=body, headers=headers)


def encoder(client) -> dict:
    return client.get("/readyz", params={"verbose": "1"}).json()["details"]["encoder"]


def test_scores_are_those_of_the_encoder_in_process(http, texts_http, pooling):
    texts = [f"warm and short {n}" for n in range(SEQUENCES)]
    before = pooling.told()["requests"]
    far, near = score(http, *texts).json(), score(texts_http, *texts).json()
    assert [row["score"] for row in far["data"]] == pytest.approx(
        [row["score"] for row in near["data"]], abs=1e-5
    )
    told = pooling.told()
    assert (told["requests"] - before, told["key"]) == (1, "Bearer s3cret")
    assert told["largest"] == SEQUENCES
    assert encoder(http) == {"breaker": "closed", "tested": True}


def test_texts_of_answers_that_cannot_wait_are_encoded_together(http, pooling):
    packed = base64.b64encode(np.ones(64, "<f4").tobytes()).decode()
    rows = [
        {"user": f"beside-{n % 7}", "a": f"beside an embedding {n % 150}", "prompt": f"prompt {n}",
         "b": {"embedding": {"b64": packed}}, "outcome": "a"}
        for n in range(200)
    ]  # fmt: skip
    before = pooling.told()["requests"]
    reply = http.post("/v1/comparisons", json={"comparisons": rows})
    assert reply.json()["accepted"] == 200, reply.text
    assert pooling.told()["requests"] == before + 1


def test_answers_without_their_texts_are_encoded_together_within_one_limit_and_charged(
    tmp_path, texts_folder, texts_model, pooling, texts_http
):
    pooling.tell("ok")
    settings = {"store_text": "false", "request_tokens": "500", "encoder_url": pooling.url}
    environment = {f"gustibus_{name}": value for name, value in settings.items()}
    with (
        running(
            f"sqlite:///{tmp_path}/s.db", tmp_path, gustibus_model=str(texts_folder), **environment
        ) as service,
        service.client() as client,
    ):

        def said(user, number, more=""):
            a, b = f"warm {number % 5}{more}", f"formal {number % 7}{more}"
            return {"user": user, "a": a, "b": b, "prompt": f"prompt {number}", "outcome": "a"}

        score(client, "the encoder is tested before its first text")
        before = pooling.told()["requests"]
        rows = [said("unwritten", n) for n in range(30)]
        query = {"params": {"wait": "profile"}}
        reply = client.post("/v1/comparisons", json={"comparisons": rows}, **query).json()
        assert (reply["accepted"], reply["profiles"]) == (30, "ready")
        assert pooling.told()["requests"] == before + 1
        assert texts_http.post("/v1/comparisons", json={"comparisons": rows}, **query).is_success
        both = [
            one.post("/v1/score", json={"user": "unwritten", "candidates": ["warm", "formal"]})
            for one in (client, texts_http)
        ]
        far, near = ([row["score"] for row in one.json()["data"]] for one in both)
        assert far == pytest.approx(near, abs=1e-4)
        kept = client.get("/v1/comparisons", params={"user": "unwritten"}).json()["data"]
        assert {(row["prompt"], *row["a"], *row["b"]) for row in kept} == {(None,)}

        long = [said("unbounded", n, " " + "x" * 1000) for n in range(5)]
        refused = client.post("/v1/comparisons", json={"comparisons": long})
        assert (refused.status_code, refused.json()["code"]) == (413, "too_many_tokens")
        assert client.get("/v1/users/unbounded").status_code == 404

        items = [
            {"id": f"unwritten-{n}", "text": f"{n} {'y' * 1500}", "prompt": f"prompt {n}"}
            for n in range(6)
        ]
        before = pooling.told()["requests"]
        for path in ("/v1/items:batch", "/v1/items:batch?wait=true"):
            refused = client.post(path, json={"items": items})
            assert (refused.status_code, refused.json()["code"]) == (413, "too_many_tokens"), path
        assert client.post("/v1/items:batch", json={"items": items[:5]}).json()["ready"] == 5
        assert pooling.told()["requests"] == before + 1
        one = {"text": "one more", "prompt": "prompt 9"}
        assert client.put("/v1/items/unwritten-9", json=one).json()["state"] == "ready"
        path = "/v1/rank/matchings/unwritten"
        assert client.put(path, json={"rule": "greedy", "capacity": [9]}).is_success
        before = pooling.told()["requests"]
        for more, status in ("z" * 1500, 413), ("", 200):
            arrivals = [
                {"id": f"v-{n}", "items": [0], "prompt": f"prompt {n}", "candidates": [f"to {n}{more}"]}
                for n in range(6)
            ]  # fmt: skip
            reply = client.post(f"{path}/arrivals", json={"arrivals": arrivals})
            assert reply.status_code == status, reply.text
        assert client.get(path).json()["sequence"] == 6
        assert pooling.told()["requests"] == before + 1
        service.stop()  # which writes what is left of the log
        lines = service.lines()

    charged = {
        line["route"]: line["units"]
        for line in lines
        if line.get("units") and line["route"] != "/v1/score"
    }
    texts = {text for row in rows for text in (row["a"], row["b"])}
    assert charged == {
        "/v1/comparisons": 60 + -(-sum(-(-len(text) // 4) for text in texts) // 32),
        "/v1/items:batch": 5 + -(-5 * -(-1502 // 4) // 32),
        "/v1/items/{item}": 1 + 1,
        "/v1/rank/matchings/{matching}/arrivals": 6 + 6 + 1,
    }


def test_a_server_that_fails_is_left_alone_and_then_tried_once(http, pooling):
    mode, known = 500, "known"
    assert score(http, known).status_code == 200
    pooling.tell(mode)
    before = pooling.told()["requests"]
    for n in range(5):
        reply = score(http, f"{mode} {n}")
        assert (reply.status_code, reply.json()["code"]) == (502, "encoder_unavailable")
        assert "retry-after" in reply.headers
    assert encoder(http)["breaker"] == "open"
    assert "gustibus_encoder_breaker_open 1.0" in http.get("/metrics").text
    for n in range(20):
        assert score(http, f"{mode} again {n}").json()["code"] == "encoder_unavailable"
    assert pooling.told()["requests"] - before <= 6  # a slow machine may be past the pause once
    assert score(http, known).status_code == 200  # what is encoded already is scored
    assert http.get("/readyz").status_code == 200
    time.sleep(1.2 * PAUSE)
    assert encoder(http)["breaker"] == "half_open"
    assert score(http, f"{mode} half open").status_code == 502
    pooling.tell("ok")
    time.sleep(1.2 * PAUSE)
    assert score(http, f"{mode} closed").status_code == 200
    assert encoder(http)["breaker"] == "closed"


@pytest.mark.parametrize("mode", ["hang", "drip"])
def test_a_server_that_does_not_answer_keeps_nobody_past_the_deadline(http, pooling, mode):
    pooling.tell(mode)
    for n in range(6):  # callers who cannot wait say nothing of the server
        reply = score(http, f"{mode} hasty {n}", **{"X-Deadline-Ms": "100"})
        assert (reply.status_code, reply.json()["code"]) == (504, "deadline_exceeded")
    assert encoder(http)["breaker"] == "closed"
    reply = score(http, f"{mode} patient", **{"X-Deadline-Ms": "20000"})
    assert (reply.status_code, reply.json()["code"]) == (502, "encoder_unavailable")
    assert "TimeoutError" in reply.json()["detail"]


def test_texts_that_are_refused_do_not_stop_others(http, pooling):
    status = 413
    pooling.tell(status)
    for n in range(8):
        reply = score(http, f"refused {status} {n}")
        assert (reply.status_code, reply.json()["code"]) == (502, "encoder_unavailable")
        assert str(status) in reply.json()["detail"]
    assert encoder(http)["breaker"] == "closed"


def remote(url: str) -> RemoteEncoder:
    return RemoteEncoder(url, model="m", dim=64, fingerprint="", timeout=5.0)


@pytest.mark.parametrize("mode", [302, 401, 429, "garbage", "short", "nan", "long"])
def test_a_reply_that_is_not_what_was_asked_for_is_a_failure(pooling, mode):
    pooling.tell(mode)
    encoder = remote(pooling.url)
    for _ in range(5):
        with pytest.raises(Problem, match="The encoder's server"):
            encoder.encode(["one", "two"])
    assert encoder.breaker.state == "open"
    encoder.close()


def test_vectors_that_are_too_long_are_refused_and_told_of_once(pooling, caplog):
    pooling.tell("ok")
    encoder = remote(pooling.url)
    encoder.longest = 2.0  # the encoder's are of unit length
    fine = encoder.encode(["one", "two"])
    pooling.tell("scaled")
    for _ in range(8):
        with pytest.raises(Problem, match=r"its length 3 is above 2, twice") as caught:
            encoder.encode(["one", "two"])
        assert (caught.value.code, caught.value.kind.status) == ("encoder_unavailable", 502)
    assert encoder.breaker.state == "closed"  # one odd text stops nobody else's
    (line,) = [one.message for one in caplog.records if "too long" in one.message]
    assert f"{pooling.url}/v1/embeddings sent 2 vectors of which 2 are too long" in line
    assert "is another model served there" in line
    pooling.tell("first scaled")  # an odd text holds up no others
    assert encoder.encode(["one", "two"]) == pytest.approx(fine * [[3.0], [1.0]])
    with pytest.raises(Problem, match="above 2"):
        encoder.encode(["one"])
    pooling.tell("ok")
    assert (encoder.encode(["one", "two"]) == fine).all()
    encoder.longest = inf
    pooling.tell("scaled")
    assert encoder.encode(["one"]) == pytest.approx(3.0 * fine[:1])
    encoder.close()


def test_a_server_whose_model_is_changed_while_it_serves_is_noticed(
    tmp_path, texts_folder, texts_model, pooling
):
    pooling.tell("ok")
    card = {**texts_model.card, "data": {"embedding_norm": 1.0}}
    replace(texts_model, card=card).save(tmp_path / "model")
    with running(
        f"sqlite:///{tmp_path}/own.db", tmp_path, gustibus_model=str(tmp_path / "model"),
        gustibus_encoder_url=pooling.url,
    ) as service, service.client() as client:  # fmt: skip
        assert score(client, "known").status_code == 200
        pooling.tell("scaled")
        reply = score(client, "new")
        assert (reply.status_code, reply.json()["code"]) == (502, "encoder_unavailable")
        assert "above 2, twice that of nearly all of the training" in reply.json()["detail"]
        assert score(client, "known").status_code == 200
        assert encoder(client) == {"breaker": "closed", "tested": True}
        assert "is another model served there" in service.log_path.read_text()
        pooling.tell("ok")
        assert score(client, "new").status_code == 200


def test_a_connection_is_kept_and_made_again_when_it_is_lost():
    server = Pooling()
    try:
        encoder, before = remote(server.url), server.told()["connections"]
        first = encoder.encode(["one", "two"])
        for _ in range(4):
            assert (encoder.encode(["one", "two"]) == first).all()
        assert (
            server.told()["connections"] - before == 2
        )  # one of the encoder, one of this question
        port = int(server.url.rpartition(":")[2])
        server.kill()
        server = Pooling(port)
        assert (encoder.encode(["one", "two"]) == first).all()
        assert encoder.encode([]).shape == (0, 64)
        assert encoder.breaker.state == "closed"
        encoder.close()
    finally:
        server.kill()


def test_another_encoder_is_not_taken_into_service(pooling, tmp_path, texts_folder, texts_model):
    pooling.tell("other")
    with (
        pytest.raises(AssertionError, match="away from when the model was made"),
        running(
            f"sqlite:///{tmp_path}/own.db", tmp_path, gustibus_model=str(texts_folder),
            gustibus_encoder_url=pooling.url,
        ),
    ):  # fmt: skip
        pass


def test_a_service_starts_without_its_encoder_and_tests_it_later(
    tmp_path, texts_folder, texts_model
):
    server = Pooling()
    port = int(server.url.rpartition(":")[2])
    server.kill()
    with running(
        f"sqlite:///{tmp_path}/own.db", tmp_path, gustibus_model=str(texts_folder),
        gustibus_encoder_url=server.url, gustibus_encoder_pause=str(PAUSE),
    ) as service, service.client() as client:  # fmt: skip
        assert encoder(client)["tested"] is False
        reply = score(client, "not yet")
        assert (reply.status_code, reply.json()["code"]) == (502, "encoder_unavailable")
        server = Pooling(port)
        try:
            server.tell("other")
            reply = score(client, "of another")
            assert "away from when the model was made" in reply.json()["detail"]
            server.tell("ok")
            assert score(client, "now").status_code == 200
            assert encoder(client)["tested"] is True
            service.stop()
        finally:
            server.kill()


def test_a_breaker_opens_lets_one_through_and_closes():
    now = [0.0]
    breaker = Breaker(failures=2, pause=5.0, clock=lambda: now[0])

    def call(error: Exception | None = None) -> None:
        with breaker.call(undecided=KeyError):
            if error is not None:
                raise error

    for error in (ValueError(), KeyError(), ValueError()):
        assert breaker.state == "closed"
        with pytest.raises(type(error)):
            call(error)
    assert breaker.state == "open"
    now[0] = 4.0
    with pytest.raises(OpenError) as caught:
        call()
    assert caught.value.retry_after == pytest.approx(1.0)
    now[0] = 5.0
    with breaker.call(undecided=KeyError), pytest.raises(OpenError):  # one alone is let through
        call()
    assert breaker.state == "closed"
    for _ in range(2):
        with pytest.raises(ValueError):
            call(ValueError())
    now[0] = 10.0
    with pytest.raises(KeyError):
        call(KeyError())
    assert breaker.state == "half_open"
    with pytest.raises(ValueError):
        call(ValueError())
    assert breaker.state == "open"


def test_texts_go_in_parts_of_bounded_size_and_in_order():
    texts = ["x" * 40_000, "y", "z" * 40_000, *("w" for _ in range(600))]
    parts = list(_batches(texts))
    assert [text for part in parts for text in part] == texts
    assert max(len(part) for part in parts) <= SEQUENCES
    assert all(sum(len(t) // 4 + 1 for t in part) <= TOKENS for part in parts)
    assert [len(part) for part in _batches(["x" * 100_000, "y"])] == [1, 1]


@pytest.mark.parametrize(
    "url", ["ftp://host", "host:8001", "http://", "http://u:p@host", "http://host/?q"]
)
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(ConfigError, match="GUSTIBUS_ENCODER_URL"):
        Settings(encoder_url=url).check()
