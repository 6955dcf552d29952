"""Transforms, combinations and selection over HTTP are the library's, and the saved ones are kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gustibus import ops
from gustibus.artifact import Artifact
from gustibus.errors import InputError
from gustibus.models.directions import rewards
from gustibus.rewards import COMBINE, TRANSFORMS, Statistics, Transform
from gustibus.scoring import Scorer, stderr
from tests.service.harness import responses, running
from tests.service.test_stated import NAMES
from tests.service.test_stated import USER as TRAINED
from tests.service.test_stated import save as save_orchestrator

USER = "trained-1"
COUNT = 12


def ids(count: int = COUNT):
    return [{"id": f"item-{n}"} for n in range(count)]


def scores(reply) -> np.ndarray:
    assert reply.status_code == 200, reply.text
    return np.array([one["score"] for one in reply.json()["data"]])


@pytest.fixture(scope="module")
def raw(vectors_model, features):
    """Rewards of the first items, and of the reference set, under `USER`."""
    model, mean = vectors_model.model, vectors_model.people.find(USER).mean
    reps = model.represent(features[:COUNT])
    return model.utility(mean, reps), model.utility(mean, vectors_model.reference)


OPTIONS = {"ceiling": {"c": 0.25}, "par": {"k": 2.0}, "lsc": {"q": 0.6, "method": "empirical"}}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_transform_is_the_librarys_with_the_reference_set_under_the_same_person(http, raw, name):
    options = OPTIONS.get(name, {})
    asked = {"name": name, "options": options}
    body = {"user": USER, "candidates": ids(), "transform": asked}
    reply = http.post("/v1/score", json=body)
    wanted = Transform(name, options)(*raw)
    np.testing.assert_allclose(scores(reply), wanted, rtol=1e-5, atol=1e-7)
    assert reply.json()["transform"] == {**asked, "references": "model"}
    if not options:
        by_name = http.post("/v1/score", json={**body, "transform": name})
        np.testing.assert_array_equal(scores(by_name), scores(reply))
    shown = http.post("/v1/rerank", json={"query": "", "documents": ids(), "user": USER,
                                          "transform": asked}).json()  # fmt: skip
    order = np.argsort(-wanted, kind="stable")
    found = [one["relevance_score"] for one in shown["results"]]
    np.testing.assert_allclose(found, wanted[order], rtol=1e-5, atol=1e-7)
    assert shown["meta"]["transform"]["name"] == name
    best = http.post("/v1/best-of-n", json=body).json()
    assert best["best"]["score"] == pytest.approx(wanted.max(), rel=1e-5, abs=1e-7)


def test_references_of_the_request_come_before_those_of_the_model(http, raw):
    asked = {"name": "par", "references": [{"id": "item-3"}, {"id": "item-4"}]}
    body = {"user": USER, "candidates": ids(), "transform": asked}
    reply = http.post("/v1/score", json=body)
    np.testing.assert_allclose(scores(reply), ops.par(raw[0], raw[0][3:5]), rtol=1e-5)
    assert reply.json()["transform"]["references"] == "request"
    usual = http.post("/v1/score", json={"user": USER, "candidates": ids()}).json()["ranking"]
    assert reply.json()["ranking"] == usual


def test_another_persons_answers_touch_nobody_elses_references(http, raw):
    mine = http.post("/v1/score", json={"user": USER, "candidates": ids(), "transform": "mean_std"})
    other = {"user": "somebody-new", "outcome": "a", "a": {"id": "item-1"}, "b": {"id": "item-2"}}
    told = http.post("/v1/comparisons?wait=profile", json={"comparisons": [other]})
    assert told.status_code == 201
    again = http.post(
        "/v1/score", json={"user": USER, "candidates": ids(), "transform": "mean_std"}
    )
    np.testing.assert_array_equal(scores(mine), scores(again))
    np.testing.assert_allclose(scores(mine), ops.mean_std(*raw), rtol=1e-5, atol=1e-6)


def test_standard_errors_shrink_with_the_slope_of_the_transform(http, vectors_model, features, raw):
    body = {"user": USER, "candidates": ids(), "transform": "par", "return": ["stderr", "basis"]}
    data = http.post("/v1/score", json=body).json()["data"]
    person, model = vectors_model.people.find(USER), vectors_model.model
    _, gradient = model.linearize(person.mean, model.represent(features[:COUNT]))
    p = 1 / (1 + np.exp(raw[1] - raw[0][:, None]))
    slope = (p * (1 - p)).mean(1)  # of the mean win probability
    wanted = slope * stderr(person.covariance, gradient)
    np.testing.assert_allclose([one["stderr"] for one in data], wanted, rtol=1e-4)
    np.testing.assert_allclose([one["basis"] for one in data], gradient, rtol=1e-5)


def test_what_asks_for_nothing_is_answered_as_before(http):
    for path in ("/v1/score", "/v1/best-of-n"):
        reply = http.post(path, json={"user": USER, "candidates": ids()}).json()
        assert not {"transform", "stated", "selection"} & set(reply)


ANSWERS = ["7", "7.0", " 8", "9", "8", "8", "10", "7", "11", "12", "13", "14"]


@pytest.mark.parametrize("method", ["best_of_n", "majority_vote", "best_of_majority"])
@pytest.mark.parametrize("transform", [None, "par"])
def test_selection_is_the_librarys_after_the_transform(http, raw, method, transform):
    body = {"user": USER, "candidates": ids(), "answers": ANSWERS, "method": method, "k": 3}
    value = raw[0] if transform is None else ops.par(*raw)
    if transform is not None:
        body["transform"] = transform
    wanted = {
        "best_of_n": lambda: ops.best_of_n(ANSWERS, value, 3),
        "majority_vote": lambda: ops.majority_vote(ANSWERS, 3),
        "best_of_majority": lambda: ops.best_of_majority(ANSWERS, value, 0.2, 3),
    }[method]()
    if method == "best_of_majority":
        body["alpha"] = 0.2
    reply = http.post("/v1/best-of-n", json=body).json()
    assert [one["answer"] for one in reply["selection"]] == wanted
    first = reply["selection"][0]
    assert reply["best"]["index"] == first["index"]
    assert reply["best"]["score"] == pytest.approx(value[first["index"]], rel=1e-5)
    best_there = int(raw[0].argmax())
    assert reply["runner_up"] == (best_there if first["index"] != best_there else
                                  int(np.argsort(-raw[0])[1]))  # fmt: skip
    assert (first["score"] is None) == (method == "majority_vote")


def test_the_answers_of_texts_are_the_texts(texts_http):
    said = ["Yes.", "no", "yes", "perhaps"]
    body = {"user": USER, "candidates": said, "method": "majority_vote", "k": 9}
    found = texts_http.post("/v1/best-of-n", json=body).json()["selection"]
    assert [(one["answer"], one["count"]) for one in found] == [
        ("Yes.", 2),
        ("no", 1),
        ("perhaps", 1),
    ]


WRONG = [
    ("/v1/score", {"transform": "parr"}, "/transform", "did you mean"),
    ("/v1/score", {"transform": {"name": "par", "options": {"kk": 1}}}, "/transform/options", "kk"),
    ("/v1/score", {"transform": {"name": "par", "options": {"k": -1}}}, "/transform", "k: expected"),
    ("/v1/score", {"transform": "ceiling"}, "/transform", "'ceiling' needs it"),
    ("/v1/score", {"transform": "model"}, "/transform", "saved without one"),
    ("/v1/score", {"transform": {"name": "model", "options": {"k": 1}}}, "/transform/options", "kept"),
    ("/v1/score", {"transform": "par", "normalize": "user"}, "/normalize", "one of the two"),
    ("/v1/score", {"transform": {"name": "par", "references": [{"id": "gone"}]}},
     "/transform/references/0/id", "no item"),
    ("/v1/score", {"combine": "and_combine"}, "/combine", "one reward, nothing to combine"),
    ("/v1/score", {"combine": "and"}, "/combine", "no combination 'and'"),
    ("/v1/best-of-n", {"k": 2}, "/k", "belongs to a method"),
    ("/v1/best-of-n", {"answers": ["a", "b"]}, "/answers", "belongs to a method"),
    ("/v1/best-of-n", {"method": "majority_vote"}, "/answers", "needed where a candidate"),
    ("/v1/best-of-n", {"method": "majority_vote", "answers": ["a"]}, "/answers", "expected 2"),
    ("/v1/best-of-n", {"method": "best_of_majority", "answers": ["a", "b"]}, "/alpha", "expected"),
    ("/v1/best-of-n", {"method": "best_of_n", "answers": ["a", "b"], "alpha": 0.5}, "/alpha", "no other"),
    ("/v1/best-of-n", {"method": "best_of_m", "answers": ["a", "b"]}, "/method", "best_of_m"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "more", "pointer", "message"), WRONG)
def test_what_makes_no_sense_is_named(http, path, more, pointer, message):
    reply = http.post(path, json={"candidates": ids(2), **more})
    assert reply.status_code in (404, 422), reply.text
    problem = reply.json()
    assert problem["errors"][0]["pointer"] == pointer
    assert message in problem["detail"]


SAVED = Transform("mean_std").freeze(Statistics.of([-1.0, 0.5, 3.0]))


@pytest.fixture(scope="module")
def orchestrated(tmp_path_factory):
    """A model of several rewards with a transform saved, its server, and its representations."""
    folder = tmp_path_factory.mktemp("shaping")
    artifact = replace(save_orchestrator(folder / "plain", "constant"), transform=SAVED)
    artifact = artifact.save(folder / "model")
    texts = responses(COUNT, seed=1)
    with (
        running(
            f"sqlite:///{folder}/service.db", folder, gustibus_model=str(folder / "model")
        ) as s,
        s.client() as client,
    ):
        yield Artifact.load(folder / "model"), client, texts


def test_the_transform_that_was_saved_is_the_same_in_the_library_and_over_http(orchestrated):
    artifact, client, texts = orchestrated
    assert artifact.transform == SAVED
    scorer = Scorer(artifact)
    plain = scorer.score("Well?", texts, user=TRAINED)
    body = {"user": TRAINED, "prompt": "Well?", "candidates": texts, "transform": "model"}
    reply = client.post("/v1/score", json=body)
    wanted = scorer.score("Well?", texts, user=TRAINED, transform="model")
    np.testing.assert_allclose(wanted, SAVED(plain))
    np.testing.assert_allclose(scores(reply), wanted, rtol=1e-5, atol=1e-6)
    told = {"name": "mean_std", "options": {}, "references": "frozen"}
    assert reply.json()["transform"] == told
    own = scorer.score(
        "Well?", texts, user=TRAINED, transform=Transform("par"), references=texts[:2]
    )
    np.testing.assert_allclose(own, ops.par(plain, plain[:2]))
    with pytest.raises(InputError, match="saved without one"):
        Scorer(replace(artifact, transform=None)).score("Well?", texts, transform="model")


@pytest.mark.parametrize("name", COMBINE)
def test_a_combination_is_the_librarys_over_the_named_objectives(orchestrated, name):
    artifact, client, texts = orchestrated
    weighted = name in ("weighted_log_sigmoid", "linear_sum")
    weights = {"true": 2.0 if weighted else 1.0, "polite": 1.0}
    columns = [NAMES.index(one) for one in weights]
    made = rewards(artifact.model, Scorer(artifact).represent("Well?", texts))[:, columns]
    refs = ops.ref_quantile(rewards(artifact.model, artifact.reference)[:, columns].T)
    wanted = COMBINE[name].run(made, refs, list(weights.values()))
    body = {"prompt": "Well?", "candidates": texts, "combine": name, "weights": weights}
    reply = client.post("/v1/score", json=body)
    np.testing.assert_allclose(scores(reply), wanted, rtol=1e-4, atol=1e-5)
    assert reply.json()["stated"] == {"direction": weights, "degrees": 0.0, "combine": name}
    best = client.post("/v1/best-of-n", json=body).json()
    assert (best["best"]["index"], best["p_best"]) == (int(wanted.argmax()), 1.0)
    ranked = client.post("/v1/rerank", json={"query": "Well?", "documents": texts, "combine": name,
                                             "weights": weights}).json()  # fmt: skip
    order = np.argsort(-wanted, kind="stable").tolist()
    assert [one["index"] for one in ranked["results"]] == order


def test_a_combination_can_be_transformed_against_the_same_combination(orchestrated):
    artifact, client, texts = orchestrated
    every = rewards(artifact.model, Scorer(artifact).represent("Well?", texts))
    there = rewards(artifact.model, artifact.reference)
    refs = ops.ref_quantile(there.T)
    body = {"prompt": "Well?", "candidates": texts, "combine": "and_combine", "transform": "par"}
    wanted = ops.par(ops.and_combine(every, refs), ops.and_combine(there, refs))
    np.testing.assert_allclose(scores(client.post("/v1/score", json=body)), wanted, rtol=1e-4)


@pytest.mark.parametrize(
    ("more", "pointer", "message"),
    [
        ({"combine": "and_combine", "robust": 10}, "/robust", "a combination has none"),
        (
            {"combine": "and_combine", "weights": {"rude": 1}},
            "/weights/rude",
            "no objective 'rude'",
        ),
        (
            {"combine": "and_combine", "weights": {"polite": 2}},
            "/weights",
            "counts all rewards alike",
        ),
        ({"combine": "linear_sum", "weights": {"polite": -1}}, "/weights", "at least 0"),
        ({"combine": "minimum", "return": ["stderr"]}, "/return/0", "certain"),
    ],
)
def test_a_combination_that_makes_no_sense_is_named(orchestrated, more, pointer, message):
    _, client, texts = orchestrated
    reply = client.post("/v1/score", json={"prompt": "Well?", "candidates": texts[:2], **more})
    assert reply.status_code == 422, reply.text
    assert reply.json()["errors"][0]["pointer"] == pointer
    assert message in reply.json()["detail"]
