"""Another model over the same store: people are fitted again from their answers, never carried over."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from gustibus.artifact import Artifact, People
from gustibus.posterior import GaussianPrior
from gustibus.scoring import Scorer
from tests.service.harness import responses, running, save_texts_model

PROMPT = "Well?"
SHOWN = ["warm and short", "a formal, long and dry answer", "plain", "rich sharp funny"]
ANSWERS = [
    (PROMPT, "warm and short", "plain", "a"),
    (PROMPT, "rich calm clear", "formal dry", "a"),
    ("Really?", "short sharp", "long plain rich", "b"),
    (PROMPT, "funny", "bright bright", "tie"),
    (PROMPT, "plain warm", "plain dry", "a"),
]


def other_model(folder, first: Artifact) -> Artifact:
    """A model of the same encoder with more directions than the first, and other people."""
    rng = np.random.default_rng(8)
    model = replace(
        first.model,
        basis=rng.standard_normal((64, 7)).astype(np.float32),
        population=rng.standard_normal(64).astype(np.float32),
        prior=GaussianPrior.standard(7),
    )
    return Artifact(model, first.card, People.empty(7), np.zeros((0, 8), np.float32)).save(folder)


def expected(artifact: Artifact) -> np.ndarray:
    """What the library says of somebody with these answers under a model."""
    scorer = Scorer(artifact)
    value = {"a": 1.0, "b": 0.0, "tie": 0.5}
    person = scorer.place([(prompt, a, b, value[outcome]) for prompt, a, b, outcome in ANSWERS])
    return scorer.score(PROMPT, SHOWN, user=person)


def scores(client) -> tuple[np.ndarray, dict]:
    body = {"user": "mover", "prompt": PROMPT, "candidates": SHOWN}
    reply = client.post("/v1/score", json=body)
    assert reply.status_code == 200, reply.text
    return np.array([one["score"] for one in reply.json()["data"]]), reply.json()


def settled(client, label: str) -> np.ndarray:
    """The person's scores once they are fitted; until then the population's, and nothing else."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        found, reply = scores(client)
        assert reply["model"] == label
        if reply["user"]["state"] != "population":
            assert reply["user"]["comparisons"] == len(ANSWERS)
            return found
        nobody = client.post("/v1/score", json={"prompt": PROMPT, "candidates": SHOWN}).json()
        np.testing.assert_array_equal(found, [one["score"] for one in nobody["data"]])
        time.sleep(0.02)
    raise AssertionError("the person was not fitted again")


def test_people_are_fitted_again_from_their_answers_when_the_model_changes(tmp_path):
    first = save_texts_model(tmp_path / "first")
    second = other_model(tmp_path / "second", first)
    rows = [
        {"user": "mover", "prompt": prompt, "a": {"text": a}, "b": {"text": b}, "outcome": outcome}
        for prompt, a, b, outcome in ANSWERS
    ]
    url, folder = f"sqlite:///{tmp_path}/s.db", tmp_path
    with running(url, folder, gustibus_model=str(tmp_path / "first")) as service:
        with service.client() as client:
            reply = client.post("/v1/comparisons?wait=profile", json={"comparisons": rows})
            assert reply.status_code == 201, reply.text
            before = settled(client, f"default@{first.digest[:12]}")
        np.testing.assert_allclose(before, expected(first), rtol=1e-4, atol=1e-4)
        for artifact, name in ((second, "second"), (first, "first")):
            assert service.stop() == 0
            service.environment["GUSTIBUS_MODEL"] = str(tmp_path / name)
            service.start()
            with service.client() as client:
                after = settled(client, f"default@{artifact.digest[:12]}")
                version = client.get("/v1/users/mover").json()
            np.testing.assert_allclose(after, expected(artifact), rtol=1e-4, atol=1e-4)
            assert version["fitted_comparisons"] == len(ANSWERS)
    assert np.abs(expected(first) - expected(second)).max() > 0.1


def test_answers_about_items_that_are_not_encoded_yet_count_once_they_are(tmp_path):
    first = save_texts_model(tmp_path / "first")
    second = other_model(tmp_path / "second", first)
    texts = responses(400, seed=3)
    items = [{"id": f"i-{n:03}", "text": text, "prompt": PROMPT} for n, text in enumerate(texts)]
    pairs = [(396, 397), (398, 399), (396, 399), (0, 398), (397, 1)]  # the last to be encoded
    rows = [
        {"user": "mover", "a": {"id": f"i-{a:03}"}, "b": {"id": f"i-{b:03}"}, "outcome": "a"}
        for a, b in pairs
    ]
    url, folder = f"sqlite:///{tmp_path}/s.db", tmp_path
    with running(url, folder, gustibus_model=str(tmp_path / "first")) as service:
        with service.client() as client:
            assert (
                client.post("/v1/items:batch?wait=true", json={"items": items}).status_code == 200
            )
            reply = client.post("/v1/comparisons?wait=profile", json={"comparisons": rows})
            assert reply.status_code == 201, reply.text
        assert service.stop() == 0
        service.environment["GUSTIBUS_MODEL"] = str(tmp_path / "second")
        service.start()
        with service.client() as client:
            until = time.monotonic() + 60
            while client.get("/v1/users/mover").json()["fitted_comparisons"] < len(pairs):
                assert time.monotonic() < until, "answers were left out for good"
                time.sleep(0.1)
            found, _ = scores(client)
    scorer = Scorer(second)
    person = scorer.place([(PROMPT, texts[a], texts[b], 1.0) for a, b in pairs])
    wanted = scorer.score(PROMPT, SHOWN, user=person)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
