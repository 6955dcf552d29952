"""Scores over HTTP are the library's numbers, whichever way candidates are sent."""

from __future__ import annotations

import base64

import httpx
import numpy as np
import pytest

from gustibus.scoring import Scorer, best_of_n, compare, normalize, rank, stderr
from tests.service.harness import new_key

USER = "trained-1"


def person(model):
    return model.people.find(USER)


def ids(count):
    return [{"id": f"item-{n}"} for n in range(count)]


def scores(reply: httpx.Response) -> np.ndarray:
    assert reply.status_code == 200, reply.text
    return np.array([one["score"] for one in reply.json()["data"]])


@pytest.fixture(scope="module")
def expected(vectors_model, features):
    reps = vectors_model.model.represent(features)
    return vectors_model.model.utility(person(vectors_model).mean, reps)


def test_scores_by_id_are_the_librarys(http, expected):
    reply = http.post("/v1/score", json={"user": USER, "candidates": ids(64)})
    np.testing.assert_allclose(scores(reply), expected, rtol=1e-6)
    body = reply.json()
    assert body["ranking"] == rank(expected).tolist()
    assert body["user"] == {
        "id": USER, "state": "ready", "comparisons": 20, "profile_version": 0,
    }  # fmt: skip
    assert body["usage"] == {"candidates": 64, "encoded_tokens": 0, "cached": 0, "units": 64}


def test_equal_requests_give_equal_bits(http):
    body = {"user": USER, "candidates": ids(64)}
    first, second = (scores(http.post("/v1/score", json=body)) for _ in range(2))
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("dtype", ["f32", "f16"])
def test_binary_and_base64_and_arrays_and_ids_agree(http, features, expected, dtype):
    kind = {"f32": "<f4", "f16": "<f2"}[dtype]
    raw = features[:16].astype(kind)
    binary = http.post(
        f"/v1/score?user={USER}&dtype={dtype}&dim=6",
        content=raw.tobytes(),
        headers={"Content-Type": "application/octet-stream"},
    )
    packed = [
        {"embedding": {"b64": base64.b64encode(row.tobytes()).decode(), "dtype": dtype}}
        for row in raw
    ]
    arrays = [{"embedding": row.astype(float).tolist()} for row in raw]
    found = [binary] + [
        http.post("/v1/score", json={"user": USER, "candidates": c}) for c in (packed, arrays)
    ]
    for reply in found:
        tolerance = 1e-6 if dtype == "f32" else 2e-2
        np.testing.assert_allclose(scores(reply), expected[:16], rtol=tolerance, atol=tolerance)
    for reply in found[1:]:
        np.testing.assert_array_equal(scores(reply), scores(found[0]))


def test_kinds_may_be_mixed_in_one_request(http, features, expected):
    candidates = [{"id": "item-3"}, {"embedding": features[4].tolist()}, {"id": "item-5"}]
    reply = http.post("/v1/score", json={"user": USER, "candidates": candidates})
    np.testing.assert_allclose(scores(reply), expected[3:6], rtol=1e-6)


def test_texts_in_every_form_are_encoded_once_and_scored_as_the_library_does(
    texts_http, texts_model
):
    said = ["a short answer", "a rather long and winding answer", "no"]
    candidates = [
        said[0],
        {"text": said[1]},
        {"messages": [{"role": "assistant", "content": said[2]}]},
        {"messages": [{"role": "assistant", "content": [{"type": "text", "text": said[2]}]}]},
    ]
    body = {"user": USER, "prompt": "Well, in every form?", "candidates": candidates}
    first = texts_http.post("/v1/score", json=body)
    wanted = Scorer(texts_model).score("Well, in every form?", [*said, said[2]], user=USER)
    np.testing.assert_allclose(scores(first), wanted, rtol=1e-6)
    again = texts_http.post("/v1/score", json=body).json()["usage"]
    assert first.json()["usage"]["encoded_tokens"] > 0
    assert (again["cached"], again["encoded_tokens"], again["units"]) == (4, 0, 4)


def test_plain_texts_score_as_texts_in_objects_do(texts_http):
    """Short ones take a way of their own, which must be the same to the caller."""
    short = [f"answer {n}, {'très ' * n}long" for n in range(5)]
    long = "é" * 9_000  # characters that have to be counted as bytes
    told = []
    for texts in (short, [*short, long]):
        for form in (texts, [{"text": text} for text in texts]):
            reply = texts_http.post("/v1/score", json={"prompt": "Eh?", "candidates": form})
            assert reply.status_code == 200, reply.text
            usage = reply.json()["usage"]
            told.append((scores(reply)[:5], usage["candidates"], usage["cached"]))
    for values, _, _ in told[1:]:
        np.testing.assert_array_equal(values, told[0][0])
    assert [(count, cached) for _, count, cached in told] == [(5, 0), (5, 5), (6, 5), (6, 6)]
    too_long = texts_http.post("/v1/score", json={"candidates": ["a", "é" * 20_000]})
    assert (too_long.status_code, too_long.json()["code"]) == (413, "too_much_text")
    many = texts_http.post("/v1/score", json={"candidates": ["a"] * 257})
    assert (many.status_code, many.json()["code"]) == (413, "too_many_candidates")


def test_an_unknown_person_gets_the_population_and_the_reply_says_so(http, vectors_model, features):
    reply = http.post("/v1/score", json={"user": "nobody", "candidates": ids(5)})
    model = vectors_model.model
    wanted = model.utility(model.prior.mean, model.represent(features[:5]))
    np.testing.assert_allclose(scores(reply), wanted, rtol=1e-6)
    assert reply.json()["user"]["state"] == "population"
    assert http.get("/v1/users/nobody").status_code == 404


def test_an_unknown_person_can_be_made_by_scoring(http):
    body = {"user": "made-by-score", "on_unknown_user": "create", "candidates": ids(2)}
    assert http.post("/v1/score", json=body).status_code == 200
    assert http.get("/v1/users/made-by-score").json()["state"] == "population"


def test_standard_errors_and_basis_are_the_librarys(http, vectors_model, features):
    body = {"user": USER, "candidates": ids(6), "return": ["stderr", "basis"]}
    data = http.post("/v1/score", json=body).json()["data"]
    model, who = vectors_model.model, person(vectors_model)
    _, gradient = model.linearize(who.mean, model.represent(features[:6]))
    np.testing.assert_allclose([d["basis"] for d in data], gradient, rtol=1e-6)
    np.testing.assert_allclose(
        [d["stderr"] for d in data], stderr(who.covariance, gradient), rtol=1e-5
    )


@pytest.mark.parametrize("kind", ["user", "population"])
def test_normalised_scores_are_the_librarys(http, vectors_model, expected, kind):
    body = {"user": USER, "candidates": ids(8), "normalize": kind}
    model = vectors_model.model
    mean = person(vectors_model).mean if kind == "user" else model.prior.mean
    reference = model.utility(mean, vectors_model.reference)
    wanted = normalize(expected[:8], kind, reference)
    np.testing.assert_allclose(scores(http.post("/v1/score", json=body)), wanted, rtol=1e-5)


def test_compare_is_the_librarys_and_antisymmetric(http, vectors_model, features):
    body = {"user": USER, "a": {"id": "item-1"}, "b": {"id": "item-2"}}
    there = http.post("/v1/compare", json=body).json()
    back = http.post("/v1/compare", json={**body, "a": body["b"], "b": body["a"]}).json()
    model, who = vectors_model.model, person(vectors_model)
    value, gradient = model.linearize(who.mean, model.represent(features[1:3]))
    margin, slope = value[0] - value[1], gradient[0] - gradient[1]
    wanted = compare(who.covariance, margin, slope, answering=model.answering)
    assert there["p_a"] == pytest.approx(wanted.p_a, rel=1e-6)
    assert there["stderr"] == pytest.approx(wanted.stderr, rel=1e-5)
    assert there["p_a"] + back["p_a"] == pytest.approx(1.0)
    assert there["margin"] == pytest.approx(-back["margin"])


def test_best_of_n_is_the_librarys(http, vectors_model, features):
    body = {"user": USER, "candidates": ids(12)}
    found = http.post("/v1/best-of-n", json={**body, "seed": 5}).json()
    plain = http.post("/v1/score", json=body).json()
    assert (found["data"], found["ranking"]) == (plain["data"], plain["ranking"])
    assert found["created"] == pytest.approx(plain["created"], abs=60)
    model, who = vectors_model.model, person(vectors_model)
    value, gradient = model.linearize(who.mean, model.represent(features[:12]))
    wanted = best_of_n(who.mean, who.covariance, value, gradient, draws=256, seed=5)
    assert found["best"] == {"index": wanted.index, "score": pytest.approx(wanted.score, rel=1e-6)}
    assert found["p_best"] == pytest.approx(wanted.p_best, abs=1 / 256)
    assert found["runner_up"] == wanted.runner_up
    assert found["expected_regret"] == pytest.approx(wanted.expected_regret, rel=1e-3)


def test_a_model_can_be_named_by_digest(http, vectors_model):
    for name in ("default", f"default@{vectors_model.digest[:8]}"):
        reply = http.post("/v1/score", json={"model": name, "candidates": ids(1)})
        assert reply.json()["model"] == f"default@{vectors_model.digest[:12]}"


def test_a_compressed_body_is_read(http):
    import gzip
    import json

    body = gzip.compress(json.dumps({"candidates": ids(3)}).encode())
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert len(scores(http.post("/v1/score", content=body, headers=headers))) == 3


def test_the_timing_and_the_request_id_come_back(http):
    reply = http.post("/v1/score", json={"candidates": ids(1)}, headers={"X-Request-Id": "abc-123"})
    assert reply.headers["x-request-id"] == "abc-123"
    assert list(timing(reply)) == ["total"]


def timing(reply: httpx.Response) -> dict[str, float]:
    """Milliseconds by stage."""
    parts = (part.split(";dur=") for part in reply.headers["server-timing"].split(", "))
    return {name: float(ms) for name, ms in parts}


@pytest.mark.parametrize("path", ["/v1/score", "/v1/score:batch", "/v1/best-of-n", "/v1/encode"])
def test_the_stages_of_a_request_with_texts_are_told_and_make_up_the_whole(texts_http, path):
    body = {"prompt": "How long?", "candidates": [f"as long as {path} takes", "not long"]}
    reply = texts_http.post(path, json={"requests": [body] * 3} if "batch" in path else body)
    assert reply.status_code == 200, reply.text
    told = timing(reply)
    assert list(told) == ["auth", "queue", "encode", "head", "total"]
    assert min(told.values()) >= 0 < told["encode"]
    assert sum(told.values()) == pytest.approx(2 * told["total"], abs=0.01)


def test_several_requests_are_answered_as_each_by_itself(http):
    asked = [
        {"user": USER, "candidates": ids(3)},
        {"candidates": ids(2), "return": ["stderr"]},
        {"user": USER, "candidates": [{"id": "nothing"}]},
        {"user": USER, "candidates": ids(1), "colour": "red"},
        {"user": "nobody-1", "candidates": ids(1), "on_unknown_user": "error"},
        {},
    ]
    reply = http.post("/v1/score:batch", json={"requests": asked})
    assert reply.status_code == 200, reply.text
    told = reply.json()
    assert told["object"] == "list"
    assert [one["index"] for one in told["data"]] == list(range(len(asked)))
    for one, body in zip(told["data"], asked, strict=True):
        alone = http.post("/v1/score", json=body)
        assert one["status"] == alone.status_code, (one, alone.text)
        mine, theirs = one["reply"] or one["problem"], alone.json()
        assert (one["reply"] is None) == (one["status"] != 200)
        assert (one["problem"] is None) == (one["status"] == 200)
        for name in theirs.keys() - {"id", "created", "request_id"}:
            assert mine[name] == theirs[name], name
    assert {one["status"] for one in told["data"]} >= {200, 404, 422}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""), ({"requests": []}, "/requests"), ({"requests": {}}, "/requests"),
        ({"requests": [{"candidates": ["a"]}, 5]}, "/requests/1"),
        ({"requests": [[]]}, "/requests/0"), ({"requests": [{}] * 65}, "/requests"),
        ({"requests": [{}], "user": "ada"}, "/user"),
    ],
)  # fmt: skip
def test_a_list_of_requests_that_is_none_is_refused_whole(http, body, pointer):
    reply = http.post("/v1/score:batch", json=body)
    assert reply.status_code == 422, reply.text
    assert reply.json()["errors"][0]["pointer"] == pointer, reply.text


def test_a_key_that_may_not_send_embeddings_may_not_among_others(service, http):
    key = new_key(service.url, "score")
    service.settle(key)
    asked = [{"candidates": ids(1)}, {"candidates": [{"embedding": [0.0] * 6}]}]
    with service.client(key) as client:
        told = client.post("/v1/score:batch", json={"requests": asked}).json()["data"]
    assert [one["status"] for one in told] == [200, 403]
    assert told[1]["problem"]["code"] == "forbidden"
