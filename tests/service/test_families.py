"""Every family is served by the same endpoints, with the numbers that the library gives."""

from __future__ import annotations

import json
from typing import NamedTuple

import httpx
import numpy as np
import pytest

from gustibus.artifact import Artifact
from gustibus.models import MODELS
from gustibus.posterior import Posterior
from gustibus.scoring import Scorer, best_of_n, compare, rank, stderr
from gustibus.training import RunConfig, train
from tests.laws.test_models import VARIANTS
from tests.service.harness import WORDS, running

HANDS = ("stone", "paper", "scissors")  # each beats the one before
TEXTS = [f"{hand} {word} {WORDS[at - 1]}" for hand in HANDS for at, word in enumerate(WORDS)]
PROMPTS = [f"What shall it be, number {number}?" for number in range(6)]
CANDIDATES = [*TEXTS[::4], "something else"]
"""Known and new, of every hand."""
SAID = [(TEXTS[at], TEXTS[(7 * at + 5) % len(TEXTS)], at % 3 != 0) for at in range(6)]
"""Comparisons of a new person: both sides, and whether the first was preferred."""
NEAR = {"rtol": 1e-5, "atol": 1e-5}
OPTIONS = {
    "gpm": {"steps": 150},  # enough of them for the circle
    "blend": {"members": [{"family": "hierarchical", "basis": "features"}, "bt"]},
}
SESSIONS = "/v1/onboarding/sessions"


def write_world(path) -> None:
    """People of two opposite tastes for words, for all of whom hands beat each other in a circle."""
    rng = np.random.default_rng(0)
    taste = rng.normal(0, 1.5, len(WORDS))
    worth = np.array([taste[WORDS.index(text.split()[1])] for text in TEXTS])
    hand = np.array([HANDS.index(text.split()[0]) for text in TEXTS])
    with path.open("w") as file:
        for row in range(24 * 24):
            a, b = rng.choice(len(TEXTS), 2, replace=False)
            circle = (0.0, 3.0, -3.0)[(hand[a] - hand[b]) % 3]
            margin = (1 if row % 2 else -1) * (worth[a] - worth[b]) + circle
            file.write(json.dumps({
                "user": f"u{row % 24}", "prompt": PROMPTS[row % 6], "response_a": TEXTS[a],
                "response_b": TEXTS[b], "label": int(rng.random() < 1 / (1 + np.exp(-margin))),
            }) + "\n")  # fmt: skip


class Served(NamedTuple):
    """A family behind HTTP and in the library."""

    artifact: Artifact
    scorer: Scorer
    http: httpx.Client


@pytest.fixture(scope="module", params=sorted(MODELS))
def served(request, tmp_path_factory):
    """A tiny model of a family, trained and saved, and a server of it."""
    name = request.param
    folder = tmp_path_factory.mktemp(name)
    write_world(folder / "log.jsonl")
    options = {"known_items": "never", **VARIANTS[name], **OPTIONS.get(name, {})}
    artifact = train(RunConfig(
        str(folder / "log.jsonl"), str(folder / "model"), model=name, model_options=options,
        encoder="hashing", encoder_options={"dim": 24}, split="all", valid_people=0.25,
        questions=30,
    ))  # fmt: skip
    url = f"sqlite:///{folder}/service.db"
    with (
        running(url, folder, gustibus_model=str(folder / "model")) as service,
        service.client() as client,
    ):
        yield Served(artifact, Scorer(artifact), client)


def told(reply: httpx.Response) -> dict:
    assert reply.status_code in {200, 201}, reply.text
    return reply.json()


@pytest.fixture(scope="module")
def people(served) -> dict[str, Posterior]:
    """Where the library places those whom the service knows: nobody, one of the training, a new one."""
    rows = [
        {"user": "new", "prompt": PROMPTS[0], "a": {"text": a}, "b": {"text": b},
         "outcome": "a" if first else "b"} for a, b, first in SAID
    ]  # fmt: skip
    told(served.http.post("/v1/comparisons?wait=profile", json={"comparisons": rows}))
    answers = [(PROMPTS[0], a, b, float(first)) for a, b, first in SAID]
    scorer = served.scorer
    return {
        "nobody": scorer.posterior(None), "u3": scorer.posterior("u3"), "new": scorer.place(answers),
    }  # fmt: skip


def asking(user: str) -> dict[str, str]:
    return {"prompt": PROMPTS[1]} | ({} if user == "nobody" else {"user": user})


WHO = pytest.mark.parametrize("user", ["nobody", "u3", "new"])


@WHO
def test_scores_and_their_errors_are_the_librarys(served, people, user):
    model, person = served.artifact.model, people[user]
    body = asking(user) | {"candidates": CANDIDATES, "return": ["stderr", "basis"]}
    reply = told(served.http.post("/v1/score", json=body))
    expected = served.scorer.score(PROMPTS[1], CANDIDATES, user=person)
    np.testing.assert_allclose([one["score"] for one in reply["data"]], expected, **NEAR)
    vectors = served.scorer.represent(PROMPTS[1], CANDIDATES)
    _, gradient = model.linearize(person.mean, vectors)
    errors = np.array([one["stderr"] for one in reply["data"]])
    assert np.isfinite(errors).all()
    np.testing.assert_allclose(errors, stderr(person.covariance, gradient), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose([one["basis"] for one in reply["data"]], gradient, **NEAR)
    assert reply["ranking"] == rank(np.array([one["score"] for one in reply["data"]])).tolist()
    share = model.cyclic_share(person.mean, vectors)
    assert reply["cyclic_share"] == pytest.approx(share, abs=1e-5)
    assert (reply["cyclic_share"] > 0.01) == (not model.transitive)


def test_embeddings_score_as_their_texts(served, people):
    vectors = served.scorer.encoder.encode(CANDIDATES)
    sent = [{"embedding": row.tolist()} for row in vectors]
    by_text, by_vector = (
        told(served.http.post("/v1/score", json=asking("new") | {"candidates": given}))
        for given in (CANDIDATES, sent)
    )
    scores = [[one["score"] for one in reply["data"]] for reply in (by_text, by_vector)]
    np.testing.assert_allclose(*scores, **NEAR)


def test_comparisons_move_the_scores_of_whoever_made_them_alone(served, people):
    scores = {}
    for user in people:
        reply = told(served.http.post("/v1/score", json=asking(user) | {"candidates": CANDIDATES}))
        scores[user] = np.array([one["score"] for one in reply["data"]])
    moved = np.abs(scores["new"] - scores["nobody"]).max()
    assert (moved > 1e-3) == (served.artifact.model.user_dim > 0)
    expected = served.scorer.score(PROMPTS[1], CANDIDATES)
    np.testing.assert_allclose(scores["nobody"], expected, **NEAR)


@WHO
def test_documents_come_in_the_librarys_order(served, people, user):
    body = {
        "query": PROMPTS[1], "documents": CANDIDATES, "raw_scores": True,
    } | ({} if user == "nobody" else {"user": user})  # fmt: skip
    reply = told(served.http.post("/v1/rerank", json=body))
    results, model = reply["results"], served.artifact.model
    expected = served.scorer.score(PROMPTS[1], CANDIDATES, user=people[user], among=True)
    order = [one["index"] for one in results]
    assert sorted(order) == list(range(len(CANDIDATES)))
    np.testing.assert_allclose([one["relevance_score"] for one in results], expected[order], **NEAR)
    assert (np.diff(expected[order]) <= 1e-5).all()
    if model.transitive:
        assert reply["cyclic_share"] is None
    else:
        vectors = served.scorer.represent(PROMPTS[1], CANDIDATES)
        share = model.cyclic_share(people[user].mean, vectors)
        assert reply["cyclic_share"] == pytest.approx(share, abs=1e-5)


@WHO
def test_candidates_are_ordered_by_how_they_fare_against_each_other(served, people, user):
    """Mean margins over HTTP order what is reranked and chosen from, in circles as well."""
    some = [CANDIDATES[at] for at in (0, 3, 5, 8)]
    margins = np.zeros((4, 4))
    for i, j in zip(*np.triu_indices(4, 1), strict=True):
        body = asking(user) | {"a": some[i], "b": some[j]}
        margins[i, j] = told(served.http.post("/v1/compare", json=body))["margin"]
    margins -= margins.T
    sets = [(0, 1, 2, 3), *zip(*np.triu_indices(4, 1), strict=True), (2,)]
    for rows in sets:
        mean = margins[np.ix_(rows, rows)].mean(1)
        sent = {"candidates": [some[row] for row in rows], "prompt": PROMPTS[1]}
        best = told(served.http.post("/v1/best-of-n", json=asking(user) | sent))
        who = {} if user == "nobody" else {"user": user}
        body = {"query": PROMPTS[1], "documents": sent["candidates"], "raw_scores": True} | who
        found = told(served.http.post("/v1/rerank", json=body))["results"]
        for order in (best["ranking"], [one["index"] for one in found]):
            assert (np.diff(mean[order]) <= 1e-4).all()
        assert mean[best["best"]["index"]] >= mean.max() - 1e-4
        scores = np.array([one["score"] for one in best["data"]])
        np.testing.assert_allclose(scores - scores.mean(), mean, **NEAR)


@WHO
def test_a_score_does_not_depend_on_the_other_candidates(served, people, user):
    body = asking(user) | {"candidates": CANDIDATES}
    together = told(served.http.post("/v1/score", json=body))["data"]
    for at in (0, 4):
        body = asking(user) | {"candidates": CANDIDATES[at : at + 1]}
        alone = told(served.http.post("/v1/score", json=body))["data"]
        assert alone[0]["score"] == pytest.approx(together[at]["score"], rel=1e-5, abs=1e-5)


@WHO
def test_the_best_of_n_and_its_chances_are_the_librarys(served, people, user):
    model, person = served.artifact.model, people[user]
    body = asking(user) | {"candidates": CANDIDATES}
    reply = told(served.http.post("/v1/best-of-n", json=body))
    vectors = served.scorer.represent(PROMPTS[1], CANDIDATES)
    value, gradient = model.linearize_among(person.mean, vectors)
    expected = best_of_n(person.mean, person.covariance, value, gradient)
    assert reply["best"]["index"] == expected.index
    assert reply["best"]["score"] == pytest.approx(expected.score, rel=1e-5, abs=1e-5)
    assert reply["p_best"] == pytest.approx(expected.p_best, abs=1 / 256)
    assert reply["expected_regret"] == pytest.approx(expected.expected_regret, rel=1e-3, abs=1e-4)
    share = model.cyclic_share(person.mean, vectors)
    assert reply["cyclic_share"] == pytest.approx(share, abs=1e-5)


@WHO
def test_comparisons_are_foretold_as_the_library_does(served, people, user):
    model, person = served.artifact.model, people[user]
    body = asking(user) | {"a": CANDIDATES[0], "b": CANDIDATES[5]}
    reply = told(served.http.post("/v1/compare", json=body))
    a, b = (served.scorer.represent(PROMPTS[1], [CANDIDATES[at]]) for at in (0, 5))
    margin, slope = model.contrast(person.mean, a, b)
    expected = compare(person.covariance, float(margin[0]), slope[0], answering=model.answering)
    assert reply["margin"] == pytest.approx(expected.margin, rel=1e-5, abs=1e-5)
    assert reply["p_a"] == pytest.approx(expected.p_a, abs=1e-5)
    assert np.isfinite(reply["stderr"])
    assert reply["stderr"] == pytest.approx(expected.stderr, rel=1e-4, abs=1e-4)


def test_two_questions_place_a_person_where_the_library_does(served):
    model, pool, http = served.artifact.model, served.artifact.pool, served.http
    if pool is None:
        assert model.user_dim == 0
        reply = http.post(SESSIONS, json={"user": "asked"})
        assert (reply.status_code, reply.json()["code"]) == (409, "conflict")
        return
    body = {"user": "asked", "min_questions": 2, "max_questions": 2}
    reply = told(http.post(SESSIONS, json=body))
    session, rows, target = reply["id"], [], []
    for seq in range(2):
        question = reply["question"]
        row = pool.ids.index(question["id"])
        rows.append(row)
        target.append(float(question["left"]["text"] == pool.texts_a[row]))
        reply = told(http.put(f"{SESSIONS}/{session}/answers/{seq}", json={"answer": "left"}))
    assert (reply["state"], reply["progress"]["answered"]) == ("finished", 2)
    assert 0.5 <= reply["progress"]["confidence"] <= 1.0
    person = model.place(pool.a[rows], pool.b[rows], np.array(target))[0]
    reply = told(http.post("/v1/score", json=asking("asked") | {"candidates": CANDIDATES}))
    expected = model.utility(person.mean, served.scorer.represent(PROMPTS[1], CANDIDATES))
    np.testing.assert_allclose([one["score"] for one in reply["data"]], expected, **NEAR)
    assert np.isfinite(told(http.get(f"{SESSIONS}/{session}/result"))["confidence"])
