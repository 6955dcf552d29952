"""A clearer answer moves a person further, under a model that was trained with strengths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gustibus.data.strengths import Strengths
from tests.service.harness import running, save_texts_model, save_vectors_model

RULE = Strengths("strength", 1.0, 2.0)
TEXTS = ("short plain calm 1", "long warm bright 2")


def ruled(artifact, folder):
    """The same model, trained with strengths."""
    card = {**artifact.card, "strengths": {"column": "s", "exponent": 1.0, "typical": 2.0}}
    return replace(artifact, card=card).save(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return ruled(save_vectors_model(folder / "before"), folder / "graded"), folder / "graded"


@pytest.fixture(scope="module")
def graded(tmp_path_factory, model, features):
    folder = tmp_path_factory.mktemp("service")
    with (
        running(f"sqlite:///{folder}/service.db", folder, gustibus_model=str(model[1])) as found,
        found.client() as client,
    ):
        batch = [{"id": f"item-{n}", "embedding": row.tolist()} for n, row in enumerate(features)]
        assert client.post("/v1/items:batch", json={"items": batch}).status_code == 200
        yield client


def answer(http, user, strength, *, a=None, b=None):
    """Profile of a person after one answer."""
    row = {"user": user, "a": a or {"id": "item-0"}, "b": b or {"id": "item-1"}, "outcome": "a"}
    if strength is not None:
        row["strength"] = strength
    reply = http.post("/v1/comparisons?wait=profile", json={"comparisons": [row]})
    assert (reply.status_code, reply.json()["profiles"]) == (201, "ready"), reply.text
    return profile(http, user)


def profile(http, user):
    told = http.get(f"/v1/users/{user}/profile").json()["directions"]
    return np.array([one["mean"] for one in told])


def test_an_answer_counts_for_its_strength(graded, model, features):
    artifact, _ = model
    sides = artifact.model.represent(features[:2])
    found = {}
    for strength in (0.5, 2, 6, None):
        found[strength] = answer(graded, f"strength-{strength}", strength)
        weight = np.array([1.0 if strength is None else strength / 2])
        expected = artifact.model.place(sides[:1], sides[1:], np.ones(1), weight=weight)[0].mean
        np.testing.assert_allclose(found[strength], expected, atol=2e-4)
    far = {strength: np.linalg.norm(mean) for strength, mean in found.items()}
    assert far[0.5] < far[2] == pytest.approx(far[None], abs=1e-4)
    assert far[2] < far[6]


def test_a_model_without_the_rule_counts_all_alike(http):
    slight, strong = (answer(http, f"alike-{s}", s) for s in (1, 9))
    np.testing.assert_array_equal(slight, strong)


def test_a_session_begins_where_the_strengths_say(graded):
    questions = {}
    for strength in (0.2, 20):
        user = f"session-{strength}"
        answer(graded, user, strength)
        reply = graded.post("/v1/onboarding/sessions", json={"user": user, "seed": 3})
        assert reply.status_code == 201, reply.text
        questions[strength] = reply.json()["progress"]["confidence"]
    assert questions[0.2] != questions[20]


def test_texts_that_are_encoded_later_count_for_their_strength(tmp_path):
    artifact = ruled(save_texts_model(tmp_path / "before"), tmp_path / "graded")
    url = f"sqlite:///{tmp_path}/service.db"
    with (
        running(url, tmp_path, gustibus_model=str(tmp_path / "graded")) as found,
        found.client() as http,
    ):
        a, b = ({"text": text} for text in TEXTS)
        far = [np.linalg.norm(answer(http, f"u{s}", s, a=a, b=b)) for s in (1, 8)]
    assert artifact.strengths == replace(RULE, column="s")
    assert 0 < far[0] < far[1]
