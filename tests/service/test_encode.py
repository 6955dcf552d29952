"""`POST /v1/encode`: what it returns can be kept, sent back, and scores as the candidate did."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import replace

import httpx
import numpy as np
import pytest

from gustibus import AsyncClient, Client
from gustibus.scoring import Scorer
from tests.service.harness import TASTES, new_key

USER = "trained-1"
PROMPT = "Well?"
TEXTS = ["a short answer", "a rather long and winding answer", "no", ""]


def encoded(http: httpx.Client, candidates, **more) -> dict:
    reply = http.post("/v1/encode", json={"candidates": candidates, **more})
    assert reply.status_code == 200, reply.text
    return reply.json()


def vectors(told: dict) -> list[dict]:
    """As candidates, after they were kept as text."""
    assert [one["index"] for one in told["data"]] == list(range(len(told["data"])))
    return [{"vector": json.loads(json.dumps(one["vector"]))} for one in told["data"]]


def numbers(vector: dict) -> np.ndarray:
    if "numbers" in vector:
        return np.array(vector["numbers"], np.float32)
    kind = {"f32": "<f4", "f16": "<f2"}[vector["dtype"]]
    return np.frombuffer(base64.b64decode(vector["b64"]), kind).astype(np.float32)


def scores(http: httpx.Client, candidates, **more) -> list[float]:
    body = {"user": USER, "prompt": PROMPT, "candidates": candidates, **more}
    reply = http.post("/v1/score", json=body)
    assert reply.status_code == 200, reply.text
    return [one["score"] for one in reply.json()["data"]]


def refused(http: httpx.Client, path: str, body: dict) -> tuple[int, str, str]:
    told = http.post(path, json=body).json()
    return told["status"], told["code"], told["errors"][0]["pointer"]


def test_vectors_of_texts_score_to_the_bit_as_the_texts_do(texts_http, texts_model):
    told = encoded(texts_http, TEXTS, prompt=PROMPT)
    assert told["model"] == f"default@{texts_model.digest[:12]}"
    assert told["dim"] == texts_model.model.representation_dim == 1 + TASTES
    wanted = Scorer(texts_model).represent(PROMPT, TEXTS)
    found = np.stack([numbers(one["vector"]) for one in vectors(told)])
    np.testing.assert_allclose(found, wanted, rtol=1e-6)  # texts are encoded in other batches there
    assert scores(texts_http, vectors(told)) == scores(texts_http, TEXTS)
    mixed = [vectors(told)[1], TEXTS[0], vectors(told)[3], vectors(told)[2]]
    order = [1, 0, 3, 2]
    assert scores(texts_http, mixed) == pytest.approx(
        [scores(texts_http, TEXTS)[i] for i in order], rel=1e-6
    )


def test_usage_is_that_of_a_text_and_the_second_time_of_one_that_is_known(texts_http):
    texts = ["never said before " * 9, "nor this"]
    first = encoded(texts_http, texts)["usage"]
    assert (first["candidates"], first["cached"]) == (2, 0)
    assert first["encoded_tokens"] >= sum(map(len, texts)) // 4
    assert first["units"] == 2 + -(-first["encoded_tokens"] // 32)
    again = encoded(texts_http, texts)["usage"]
    assert again == {"candidates": 2, "encoded_tokens": 0, "cached": 2, "units": 2}


@pytest.mark.parametrize(("form", "dtype"), [("float", "f32"), ("float", "f16"), ("base64", "f16")])
def test_forms_hold_the_same_numbers(texts_http, form, dtype):
    plain = vectors(encoded(texts_http, TEXTS))
    told = vectors(encoded(texts_http, TEXTS, encoding_format=form, dtype=dtype))
    for one, other in zip(told, plain, strict=True):
        assert ("numbers" in one["vector"], "b64" in one["vector"]) == (
            form == "float",
            form != "float",
        )
        wanted = numbers(other["vector"])
        kind = np.float16 if dtype == "f16" else np.float32
        np.testing.assert_array_equal(numbers(one["vector"]), wanted.astype(kind))
    assert scores(texts_http, told) == pytest.approx(scores(texts_http, TEXTS), abs=1e-2)


def test_candidates_of_every_kind_become_vectors(http, features, vectors_model):
    row = {"b64": base64.b64encode(features[2].tobytes()).decode()}
    mixed = [{"id": "item-1"}, {"embedding": row}, {"embedding": features[3].tolist()}]
    told = encoded(http, mixed)
    found = np.stack([numbers(one["vector"]) for one in vectors(told)])
    np.testing.assert_allclose(found, vectors_model.model.represent(features[1:4]), rtol=1e-6)
    assert told["usage"] == {"candidates": 3, "encoded_tokens": 0, "cached": 0, "units": 3}
    again = vectors(encoded(http, vectors(told)))
    assert again == vectors(told)
    assert scores(http, vectors(told)) == scores(http, mixed)


def test_messages_are_encoded_as_their_text(texts_http):
    told = [{"messages": [{"role": "assistant", "content": TEXTS[0]}]}, {"text": TEXTS[0]}]
    first, second = vectors(encoded(texts_http, told))
    assert first == second == vectors(encoded(texts_http, TEXTS[:1]))[0]


def test_vectors_are_taken_wherever_candidates_are(http, features):
    a, b = vectors(encoded(http, [{"id": "item-4"}, {"id": "item-5"}]))
    named = [{"id": "item-4"}, {"id": "item-5"}]
    for path, body in (
        ("/v1/compare", lambda c: {"user": USER, "a": c[0], "b": c[1]}),
        ("/v1/rerank", lambda c: {"user": USER, "query": "", "documents": c}),
        ("/v1/best-of-n", lambda c: {"user": USER, "candidates": c}),
        ("/v1/rank/aggregate", lambda c: {"users": [USER, "trained-2"], "candidates": c}),
        ("/v1/users/trained-1:next-pair", lambda c: {"candidates": c}),
    ):
        told = [http.post(path, json=body(form)) for form in ([a, b], named)]
        assert [one.status_code for one in told] == [200, 200], told[0].text
        first, second = (one.json() for one in told)
        for name in first.keys() - {"id", "created", "request_id", "seconds"}:
            assert first[name] == second[name], (path, name)


def test_answers_about_vectors_teach_as_those_about_what_they_are_of(http, features):
    a, b = vectors(encoded(http, [{"id": "item-6"}, {"id": "item-7"}]))
    sides = {"vectors": (a, b), "named": ({"id": "item-6"}, {"id": "item-7"})}
    found = {}
    for name, (left, right) in sides.items():
        rows = [{"user": f"taught-{name}", "a": left, "b": right, "outcome": "a"}] * 3
        body = {"comparisons": [{**row, "id": f"v-{name}-{n}"} for n, row in enumerate(rows)]}
        reply = http.post("/v1/comparisons?wait=profile", json=body)
        assert reply.status_code == 201, reply.text
        assert (reply.json()["accepted"], reply.json()["rejected"]) == (3, [])
        scored = http.post(
            "/v1/score", json={"user": f"taught-{name}", "candidates": [{"id": "item-6"}]}
        ).json()
        assert scored["user"]["comparisons"] == 3
        found[name] = scored["data"][0]["score"]
    assert found["vectors"] == pytest.approx(found["named"], rel=1e-5)
    turn = {"user": "u", "prompt": "p", "response": a, "valence": 0.5}
    http.put("/v1/users/u/consent", json={"follow_ups": True})
    reply = refused(http, "/v1/follow-ups", {"turns": [turn]})
    assert reply == (422, "invalid_field", "/turns/0/response")


def test_vectors_of_another_model_are_refused(http, texts_http, vectors_model):
    (mine,), (other,) = (vectors(encoded(h, c)) for h, c in (
        (http, [{"id": "item-1"}]), (texts_http, ["a"]),
    ))  # fmt: skip
    pin = f"default@{vectors_model.digest[:12]}"
    assert mine["vector"]["model"] == pin
    assert refused(http, "/v1/score", {"candidates": [{"id": "item-1"}, other]}) == (
        422, "invalid_field", "/candidates/1/vector/model",
    )  # fmt: skip
    for name in ("default", "default@7", "default@champion", "", pin[:-1], "other"):
        changed = {"vector": {**mine["vector"], "model": name}}
        assert refused(http, "/v1/score", {"candidates": [changed]})[2] == (
            "/candidates/0/vector/model"
        ), name
    longer = {"vector": {**mine["vector"], "model": f"another-name@{vectors_model.digest}"}}
    assert scores(http, [longer]) == scores(http, [mine])


@pytest.mark.parametrize(
    ("change", "code", "pointer"),
    [
        ({"b64": "!"}, "invalid_field", "/candidates/0/vector/b64"),
        ({"b64": "AAAA"}, "dimension_mismatch", "/candidates/0/vector"),
        ({"b64": base64.b64encode(bytes(8)).decode()}, "dimension_mismatch", "/candidates/0/vector"),
        ({"numbers": [0.0] * (1 + TASTES)}, "invalid_field", "/candidates/0/vector"),
        ({"b64": None}, "invalid_field", "/candidates/0/vector"),
        ({"b64": None, "numbers": [0.0]}, "dimension_mismatch", "/candidates/0/vector"),
        ({"b64": None, "numbers": [1e300] * 5}, "not_finite", "/candidates/0/vector"),
        ({"b64": None, "numbers": [1e30] * 5}, "invalid_field", "/candidates/0/vector"),
        ({"b64": base64.b64encode(np.full(5, np.nan, "<f4").tobytes()).decode()}, "not_finite",
         "/candidates/0/vector"),
        ({"dtype": "f64"}, "invalid_field", "/candidates/0/vector/dtype"),
        ({"colour": "red"}, "invalid_field", "/candidates/0/vector/colour"),
    ],
)  # fmt: skip
def test_what_is_no_vector_is_refused_with_its_place(http, change, code, pointer):
    (one,) = vectors(encoded(http, [{"id": "item-1"}]))
    body = {"candidates": [{"vector": {**one["vector"], **change}}]}
    for path in ("/v1/score", "/v1/encode"):
        assert refused(http, path, body) == (422, code, pointer)


def test_vectors_need_their_scope_and_texts_do_not(texts, texts_http):
    kept = vectors(encoded(texts_http, ["a text"]))
    key = new_key(texts.url, "score")
    texts.settle(key)
    with texts.client(key) as client:
        assert encoded(client, ["a text"])["usage"]["cached"] == 1
        for path in ("/v1/score", "/v1/encode"):
            reply = client.post(path, json={"candidates": kept})
            assert (reply.status_code, reply.json()["code"]) == (403, "forbidden")
            assert "score:raw" in reply.json()["detail"]
    with texts.client(new_key(texts.url, "models:read")) as client:
        texts.settle(client.headers["authorization"].removeprefix("Bearer "))
        assert client.post("/v1/encode", json={"candidates": ["a"]}).status_code == 403


def test_without_an_encoder_there_is_one_clear_problem(http):
    for candidates, pointer in ((["a", "b"], "0"), ([{"id": "item-1"}, {"text": "a"}, "b"], "1")):
        for path in ("/v1/encode", "/v1/score"):
            told = http.post(path, json={"candidates": candidates}).json()
            assert (told["status"], told["code"]) == (422, "invalid_field")
            (error,) = told["errors"]
            assert error["pointer"] == f"/candidates/{pointer}"
            assert error["detail"] == (
                "the model has no text encoder; send ids, embeddings or vectors"
            )


def test_limits_and_deadlines_are_those_of_scoring(texts_http):
    for body, code in (
        ({"candidates": ["a"] * 257}, "too_many_candidates"),
        ({"candidates": ["é" * 20_000]}, "too_much_text"),
    ):
        assert refused(texts_http, "/v1/encode", body)[:2] == (413, code)
    reply = texts_http.post(
        "/v1/encode",
        json={"candidates": ["late " * 6_000 + str(n) for n in range(20)]},
        headers={"X-Deadline-Ms": "1"},
    )
    assert (reply.status_code, reply.json()["code"]) in {
        (504, "deadline_exceeded"), (503, "queue_full"),
    }  # fmt: skip
    assert texts_http.get("/v1/limits").json()["texts"] == 256


def test_arrays_are_for_debugging(http):
    many = {"candidates": [{"id": "item-1"}] * 257}
    assert len(encoded(http, **many)["data"]) == 257
    assert refused(http, "/v1/encode", {**many, "encoding_format": "float"}) == (
        413, "too_many_candidates", "/candidates",
    )  # fmt: skip


def test_numbers_that_half_precision_does_not_have_are_refused(http):
    large = [{"id": "item-1"}, {"embedding": [1e6] * 6}]
    assert refused(http, "/v1/encode", {"candidates": large, "dtype": "f16"}) == (
        422, "invalid_field", "/dtype",
    )  # fmt: skip
    assert len(encoded(http, large)["data"]) == 2


def test_a_client_keeps_vectors_and_sends_them(texts, texts_http):
    key = texts_http.headers["authorization"].removeprefix("Bearer ")
    with Client(texts.base, key) as client:
        made = client.encode(TEXTS, prompt=PROMPT)
        kept = json.loads(json.dumps(made.candidates))
        wanted = client.score(TEXTS, user=USER, prompt=PROMPT).scores
        assert client.score(kept, user=USER).scores == wanted
        pin = made.data[0].vector.model
        rows = [{"vector": {"model": pin, "numbers": row}} for row in made.array]
        assert client.score(rows, user=USER).scores == wanted
        assert (made.array.shape, made.array.dtype) == ((4, made.dim), np.float32)
        half = client.encode(TEXTS, prompt=PROMPT, dtype="f16")
        assert half.array.dtype == np.float16
        np.testing.assert_array_equal(half.array, made.array.astype(np.float16))
        assert replace(half.usage, cached=0) == replace(made.usage, cached=0, encoded_tokens=0,
                                                        units=4)  # fmt: skip

    async def same() -> list[float]:
        async with AsyncClient(texts.base, key) as client:
            made = await client.encode(TEXTS, prompt=PROMPT)
            return (await client.score(made.candidates, user=USER)).scores

    assert asyncio.run(same()) == wanted
