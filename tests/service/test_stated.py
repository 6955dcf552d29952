"""Stated weights over HTTP: directions of the model's rewards, and the least of a cone around them."""

from __future__ import annotations

import time

import numpy as np
import pytest

from gustibus.artifact import Artifact, People
from gustibus.encoders import load_encoder
from gustibus.models.directions import direction, objectives, rewards, robust_scores, width
from gustibus.models.hybrid import fit_model
from gustibus.posterior import Posterior
from gustibus.scoring import Scorer
from tests.conftest import small_world
from tests.service.harness import responses, running

NAMES = ["polite", "short", "true"]
ITEMS, USER = 12, "trained-0"
GATES = {"constant": {"gate": "constant"}, "prompt": {"gate": "prompt"}}


def save(folder, gate: str) -> Artifact:
    """A small orchestrator over texts, with a person of its training."""
    encoder = load_encoder("hashing", dim=8)
    world = small_world(dim=8)
    model = fit_model(
        "pro", world, None, seed=0, known_items="never", columns=[0, 2, 5], names=NAMES, steps=30,
        ridges=[10.0], **GATES[gate],
    ).model  # fmt: skip
    spec = {"name": encoder.name, "options": dict(encoder.options),
            "fingerprint": encoder.fingerprint, "dim": encoder.dim}  # fmt: skip
    prompts = world.prompt_features[:1].repeat(50, 0) if model.prompt_dim else None
    people = People((USER,), np.array([[1.0, 0.5, 2.0]], np.float32),
                    0.1 * np.eye(3, dtype=np.float32)[None], np.array([9], np.int32))  # fmt: skip
    card = {"name": folder.name, "family": "pro", "version": "0", "encoder": spec,
            "created": "2026-01-01T00:00:00+00:00"}  # fmt: skip
    return Artifact(model, card, people, model.represent(world.item_features[:50], prompts)).save(
        folder
    )


@pytest.fixture(scope="module", params=GATES)
def served(request, tmp_path_factory):
    """The artifact, a client of its server, and the representations of `item-0` to `item-11`."""
    folder = tmp_path_factory.mktemp(f"stated-{request.param}")
    artifact = save(folder / "model", request.param)
    url = f"sqlite:///{folder}/service.db"
    encoder = load_encoder("hashing", dim=8)
    texts = responses(ITEMS, seed=1)
    prompts = encoder.encode(["Well?"]).repeat(ITEMS, 0) if artifact.model.prompt_dim else None
    vectors = artifact.model.represent(encoder.encode(texts), prompts)
    with (
        running(url, folder, gustibus_model=str(folder / "model")) as service,
        service.client() as client,
    ):
        batch = [
            {"id": f"item-{n}", "text": text, "prompt": "Well?"} for n, text in enumerate(texts)
        ]
        assert client.post("/v1/items:batch", json={"items": batch}).status_code in (200, 202)
        until_encoded(client)
        yield artifact, client, vectors, texts


def until_encoded(client) -> None:
    """Ask until the last item has its vector."""
    ask = {"candidates": [{"id": f"item-{n}"} for n in range(ITEMS)]}
    until = time.monotonic() + 60
    while time.monotonic() < until:
        reply = client.post("/v1/score", json=ask)
        if reply.status_code == 200:
            return
        assert reply.json()["code"] == "item_pending", reply.text
        time.sleep(0.02)
    raise AssertionError(reply.text)


def by_id(**more):
    return {"candidates": [{"id": f"item-{n}"} for n in range(ITEMS)], **more}


def scores(reply) -> np.ndarray:
    assert reply.status_code == 200, reply.text
    return np.array([one["score"] for one in reply.json()["data"]])


def test_scores_are_the_librarys_by_id_and_by_text(served):
    artifact, http, vectors, texts = served
    weights = {"polite": 2.0, "true": -1.0}
    v = direction(artifact.model, weights)
    wanted = rewards(artifact.model, vectors) @ v
    reply = http.post("/v1/score", json=by_id(weights=weights))
    np.testing.assert_allclose(scores(reply), wanted, atol=1e-5)
    said = reply.json()["stated"]
    assert said["degrees"] == 0
    assert said["direction"] == pytest.approx(dict(zip(NAMES, v, strict=True)))
    library = Scorer(artifact).score_stated("Well?", texts, weights)
    np.testing.assert_allclose(library, wanted, atol=1e-5)
    by_text = {"prompt": "Well?", "candidates": texts, "weights": weights}
    np.testing.assert_allclose(scores(http.post("/v1/score", json=by_text)), wanted, atol=1e-5)


def test_the_size_of_weights_is_nothing_and_the_opposite_reverses_the_ranking(served):
    _, http, _, _ = served
    one = http.post("/v1/score", json=by_id(weights={"short": 1, "true": 2}))
    same = http.post("/v1/score", json=by_id(weights={"short": 50, "true": 100}))
    back = http.post("/v1/score", json=by_id(weights={"short": -1, "true": -2}))
    np.testing.assert_allclose(scores(one), scores(same), rtol=1e-12)
    assert one.json()["ranking"] == back.json()["ranking"][::-1]


def test_robust_scores_are_the_least_of_the_cone(served):
    artifact, http, vectors, _ = served
    v = direction(artifact.model, {"polite": 1, "short": 1})
    for degrees in (0, 20, 90):
        reply = http.post(
            "/v1/score", json=by_id(weights={"polite": 1, "short": 1}, robust=degrees)
        )
        wanted = robust_scores(rewards(artifact.model, vectors), v, degrees=degrees)
        np.testing.assert_allclose(scores(reply), wanted, atol=1e-5)


def test_the_angle_may_be_that_of_the_persons_doubt(served):
    artifact, http, vectors, _ = served
    known = width(artifact.model, artifact.people.find(USER))
    anybody = width(artifact.model, Posterior.from_prior(artifact.model.prior))
    v = direction(artifact.model, {"polite": 1})
    for user, degrees in ((USER, known), (None, anybody)):
        ask = by_id(weights={"polite": 1}, robust="auto", user=user)
        reply = http.post("/v1/score", json=ask)
        assert reply.json()["stated"]["degrees"] == pytest.approx(degrees, rel=1e-5)
        wanted = robust_scores(rewards(artifact.model, vectors), v, degrees=degrees)
        np.testing.assert_allclose(scores(reply), wanted, atol=1e-4)
    assert known != pytest.approx(anybody, rel=1e-2)


def test_rerank_orders_by_stated_weights(served):
    artifact, http, vectors, texts = served
    wanted = rewards(artifact.model, vectors)[:, NAMES.index("short")]
    ask = {"query": "Well?", "documents": texts, "weights": {"short": 1}, "raw_scores": True}
    for path in ("/v1/rerank", "/v2/rerank", "/rerank"):
        results = http.post(path, json=ask).json()["results"]
        assert [one["index"] for one in results] == np.argsort(-wanted, kind="stable").tolist()
        raw = [one["relevance_score"] for one in results]
        np.testing.assert_allclose(raw, -np.sort(-wanted), atol=1e-5)
    tame = http.post("/v1/rerank", json={**ask, "raw_scores": False, "robust": 30.0}).json()
    assert all(0 < one["relevance_score"] < 1 for one in tame["results"])


def test_normal_scores_and_basis_are_of_the_rewards(served):
    artifact, http, vectors, _ = served
    v = direction(artifact.model, {"true": 1})
    there = rewards(artifact.model, artifact.reference) @ v
    reply = http.post(
        "/v1/score", json=by_id(weights={"true": 1}, normalize="user", **{"return": ["basis"]})
    )
    wanted = (rewards(artifact.model, vectors) @ v - there.mean()) / there.std()
    np.testing.assert_allclose(scores(reply), wanted, atol=1e-4)
    basis = [one["basis"] for one in reply.json()["data"]]
    np.testing.assert_allclose(basis, rewards(artifact.model, vectors), atol=1e-5)


def test_without_weights_nothing_is_stated_and_models_name_their_objectives(served):
    artifact, http, vectors, _ = served
    reply = http.post("/v1/score", json=by_id(user=USER))
    assert "stated" not in reply.json()
    mean = artifact.people.find(USER).mean
    np.testing.assert_allclose(scores(reply), artifact.model.utility(mean, vectors), atol=1e-4)
    assert http.get("/v1/models").json()["data"][0]["objectives"] == NAMES
    assert objectives(artifact.model) == tuple(NAMES)


@pytest.mark.parametrize(
    ("more", "pointer", "message"),
    [
        ({"weights": {"kind/er": 1}}, "/weights/kind~1er", "no objective 'kind/er'"),
        ({"weights": {"polite": 0}}, "/weights", "expected finite numbers, not all 0"),
        ({"weights": {}}, "/weights", "length"),
        ({"weights": {"polite": "much"}}, "/weights", "float"),
        ({"robust": 20}, "/robust", "send weights too"),
        ({"weights": {"polite": 1}, "robust": 91}, "/robust", "90"),
        ({"weights": {"polite": 1}, "robust": "wide"}, "/robust", "wide"),
        ({"weights": {"polite": 1}, "normalize": "population"}, "/normalize", "send 'user'"),
        ({"weights": {"polite": 1}, "return": ["basis", "stderr"]}, "/return/1", "robust score"),
    ],
)
def test_what_makes_no_sense_is_named(served, more, pointer, message):
    _, http, _, _ = served
    reply = http.post("/v1/score", json=by_id(**more))
    assert reply.status_code == 422, reply.text
    problem = reply.json()
    assert problem["errors"][0]["pointer"].startswith(pointer)
    assert message in str(problem)


def test_a_model_without_objectives_says_so(http):
    for path, body in (
        ("/v1/score", {"candidates": [{"id": "item-0"}]}),
        ("/v1/rerank", {"query": "", "documents": [{"id": "item-0"}]}),
    ):
        reply = http.post(path, json={**body, "weights": {"polite": 1}})
        assert reply.status_code == 422
        problem = reply.json()
        assert problem["errors"][0]["pointer"] == "/weights"
        assert "family 'hierarchical' has no objectives to weigh" in problem["detail"]
    assert http.get("/v1/models").json()["data"][0]["objectives"] == []
