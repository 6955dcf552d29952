"""Another version is promoted in the middle of a session: answers stay, and other questions follow."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from gustibus.artifact import Artifact, People
from gustibus.encoders import load_encoder
from gustibus.onboarding import build_pool, random_pairs
from gustibus.posterior import GaussianPrior
from gustibus.scoring import Scorer
from tests.service.harness import database, responses, running, save_texts_model
from tests.service.test_measures import shown
from tests.service.test_versions import promote, ready, serving

SESSIONS = "/v1/onboarding/sessions"
SHOWN = ["warm and short", "a formal, long and dry answer", "plain", "rich sharp funny"]
MOST = 6


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    """Two versions that ask about different texts, in a folder of models."""
    root = tmp_path_factory.mktemp("carried")
    first = save_texts_model(root / "new")
    (root / "new").rename(root / first.digest)
    rng, texts = np.random.default_rng(8), responses(60, seed=99)
    model = replace(
        first.model, basis=rng.standard_normal((64, 5)).astype(np.float32),
        prior=GaussianPrior.standard(5),
    )  # fmt: skip
    items = load_encoder("hashing", dim=64).encode(texts)
    pairs = random_pairs(np.zeros(60, np.int64), count=200, seed=1)
    pool = build_pool(model, items, pairs, texts=texts, prompts=["Another?"], size=100, seed=1)
    reference = model.represent(items[:50])
    second = Artifact(model, first.card, People.empty(5), reference, pool).save(root / "new")
    (root / "new").rename(root / second.digest)
    return root, [first, second]


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_session_outlives_a_promotion_and_loses_no_answer(tmp_path, versions, engine):
    root, made = versions
    settings = {"gustibus_models": str(root), "gustibus_refresh": "0.05"}
    said, answers = ["left", "right", "left", "right", "left", "right"], []

    def put(http, question, answer):
        body = {"answer": answer, "id": question["id"]}
        return http.put(f"{at}/answers/{question['seq']}", json=body)

    with (
        database(engine, tmp_path) as url,
        running(url, tmp_path, **settings) as service,
        service.client() as http,
    ):
        ready(http, made)
        session = http.post(SESSIONS, json={"user": "mover", "max_questions": MOST}).json()
        idle = http.post(SESSIONS, json={"user": "idle"}).json()
        at, question = f"{SESSIONS}/{session['id']}", session["question"]
        for number, answer in enumerate(said):
            if number == 3:
                promote(http, 2)
                serving(http, "default@2")
            answers.append((question, answer))
            reply = put(http, question, answer)
            assert reply.status_code == 200, reply.text
            told = reply.json()
            assert told["progress"]["answered"] == number + 1
            assert told["progress"]["max"] == MOST
            if told["question"] is None:
                break
            question = told["question"]
            assert question["seq"] == number + 1
            assert (question["prompt"] == "Another?") == (number >= 3)
        assert (told["state"], told["model"]) == ("finished", "default@2")
        assert len(answers) == MOST or told["stop"] != "max_questions"
        assert put(http, *answers[3]).status_code == 200  # sent again
        assert put(http, answers[3][0], "tie").status_code == 409
        assert http.get(f"{at}/result").status_code == 200

        until = time.monotonic() + 30
        while (person := http.get("/v1/users/mover").json())["fitted_comparisons"] < len(answers):
            assert time.monotonic() < until, person
            time.sleep(0.05)
        assert person["comparisons"] == len(answers)
        body = {"user": "mover", "prompt": "Well?", "candidates": SHOWN}
        found = [one["score"] for one in http.post("/v1/score", json=body).json()["data"]]
        scorer = Scorer(made[1])
        rows = [
            (q["prompt"], q["left"]["text"], q["right"]["text"], float(a == "left"))
            for q, a in answers
        ]
        expected = scorer.score("Well?", SHOWN, user=scorer.place(rows))
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)

        kept = http.get("/v1/comparisons", params={"user": "mover"}).json()["data"]
        keys = {row["key"] for row in kept}
        assert len(keys) == 1
        assert None not in keys  # all are of the one that began the session

        counted = [n for name, n in shown(http).items() if name[0] == "gustibus_comparisons_total"]
        assert sum(counted) == len(answers)  # that which came with the promotion, too

        gone = http.delete(at).json()
        assert (gone["questions"], gone["comparisons"]) == (len(answers), len(answers))
        assert http.get("/v1/users/mover").json()["comparisons"] == 0

        going = http.get(f"{SESSIONS}/{idle['id']}/next").json()  # nothing was answered
        assert (going["question"]["prompt"], going["question"]["seq"]) == ("Another?", 0)
        promote(http, 1)
        serving(http, "default@1")
        back = http.get(f"{SESSIONS}/{idle['id']}/next").json()
        assert (back["state"], back["question"]["id"]) == ("open", idle["question"]["id"])
