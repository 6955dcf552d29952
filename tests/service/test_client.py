"""Both clients against a real server."""

from __future__ import annotations

import numpy as np
import pytest

from gustibus.client import (
    ApiConflictError,
    ApiNotFoundError,
    AuthenticationError,
    GoneError,
    InvalidRequestError,
    PermissionDeniedError,
    TooLargeError,
)
from tests.client.both import Both
from tests.service.harness import DIM, new_key

IDS = [{"id": f"item-{n}"} for n in range(5)]


@pytest.fixture(params=["sync", "async"])
def make(request):
    made = Both(request.param)
    yield made
    made.close()


@pytest.fixture
def client(make, http, service):
    return make(service.base, service.key)


@pytest.fixture
def name(make, request):
    """A name of this test's own."""
    return f"{request.node.originalname[5:40]}-{make.kind}"


def row(user, number, outcome="a"):
    sides = {"a": {"id": "item-0"}, "b": {"id": "item-1"}}
    return {"id": f"{user}-{number}", "user": user, **sides, "outcome": outcome}


def test_scores_of_items_are_those_of_the_wire(client, http):
    body = {"user": "trained-0", "candidates": IDS, "return": ["stderr", "basis"]}
    wanted = http.post("/v1/score", json=body).json()
    found = client.score(IDS, user="trained-0", stderr=True, basis=True)
    assert found.scores == [one["score"] for one in wanted["data"]]
    assert list(found.ranking) == wanted["ranking"]
    assert found.data[2].stderr == wanted["data"][2]["stderr"]
    assert list(found.data[2].basis) == wanted["data"][2]["basis"]
    assert (found.user.id, found.user.comparisons) == ("trained-0", 12)
    assert found.model == wanted["model"]
    assert found.usage.candidates == 5


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_an_array_of_embeddings_goes_as_bytes(client, features, dtype):
    rows = features[:5].astype(dtype)
    raw = client.score.with_raw_response(rows, user="trained-1")
    wanted = client.score(IDS, user="trained-1").scores
    np.testing.assert_allclose(raw.parse().scores, wanted, atol=2e-2 if dtype == np.float16 else 0)
    with_errors = client.score(rows, user="trained-1", stderr=True)  # as base64: the binary form
    np.testing.assert_allclose(with_errors.scores, raw.parse().scores)  # has no standard errors
    assert with_errors.data[0].stderr > 0


def test_one_embedding_may_stand_beside_items(client, features):
    found = client.score([IDS[0], features[0], {"embedding": features[1]}], user="trained-0")
    wanted = client.score(IDS[:2], user="trained-0").scores
    np.testing.assert_allclose(found.scores, [wanted[0], *wanted], rtol=1e-5, atol=1e-6)
    assert client.compare(features[0], IDS[1], user="trained-0").margin == pytest.approx(
        wanted[0] - wanted[1], abs=1e-5
    )
    best = client.best_of_n(features[:5], user="trained-0", seed=3)
    scored = client.score(IDS, user="trained-0")
    assert best.best.index == best.ranking[0] == scored.ranking[0]
    assert best.scores == pytest.approx(scored.scores, rel=1e-6)
    assert 0 <= best.created - scored.created + 1 <= 60
    assert 0 < best.p_best <= 1


def test_transforms_and_selection_are_those_of_the_wire(client, http, features):
    shape = {"name": "par", "options": {"k": 0.5}, "references": [IDS[4], features[3]]}
    wire = {**shape, "references": [IDS[4], IDS[3]]}
    body = {"user": "trained-0", "candidates": IDS, "transform": wire}
    wanted = http.post("/v1/score", json=body).json()
    found = client.score(IDS, user="trained-0", transform=shape)
    np.testing.assert_allclose(found.scores, [one["score"] for one in wanted["data"]], rtol=1e-6)
    assert (found.transform.name, found.transform.references) == ("par", "request")
    by_name = client.score(features[:5], user="trained-0", transform="tanh")
    assert by_name.transform.references == "model"
    ranked = client.rerank("what?", IDS, user="trained-0", transform="tanh")
    assert ranked.results[0].relevance_score == pytest.approx(max(by_name.scores), rel=1e-5)
    best = client.best_of_n(IDS, user="trained-0", method="best_of_majority", alpha=0.3, k=2,
                            answers=["1", "2", "1.0", "2", "3"], transform="tanh")  # fmt: skip
    assert {one.answer for one in best.selection} == {"1", "2"}
    assert best.best.index == best.selection[0].index
    with pytest.raises(InvalidRequestError, match="nothing to combine"):
        client.score(IDS, combine="and_combine")


def test_documents_in_a_persons_order(client):
    found = client.rerank("what?", IDS, user="trained-0", top_n=2)
    order = client.score(IDS, user="trained-0").ranking
    assert [one.index for one in found.results] == list(order[:2])
    assert 0 < found.results[0].relevance_score < 1


def test_comparisons_are_sent_listed_and_removed(client, name):
    rows = [row(name, n) for n in range(7)]
    first = client.comparisons.create(rows, wait=True)
    assert (first.accepted, first.duplicates, first.profiles) == (7, 0, "ready")
    assert first.profile_versions == {name: 1}
    again = client.comparisons.create([*rows[:2], {**row(name, 99), "a": {"id": "nothing"}}])
    assert (again.accepted, again.duplicates) == (0, 2)
    assert [(one.index, one.problem.code) for one in again.rejected] == [(2, "not_found")]
    page = client.comparisons.list(user=name, limit=3)
    assert (len(page.data), page.has_more) == (3, True)
    kept = list(client.comparisons.iterate(user=name, limit=3))
    assert [one.client_id for one in kept] == [f"{name}-{n}" for n in range(7)]
    assert kept[0].a.id == "item-0"
    assert kept[0].created_at.tzinfo is not None
    gone = client.comparisons.delete(kept[0].id)
    assert (gone.id, gone.user) == (kept[0].id, name)
    assert len(list(client.comparisons.iterate(user=name))) == 6


def test_a_lost_reply_to_comparisons_has_one_effect(client, name):
    anonymous = [{k: v for k, v in row(name, 1).items() if k != "id"}]
    first = client.comparisons.create.with_raw_response(anonymous, idempotency_key=f"key-{name}")
    second = client.comparisons.create.with_raw_response(anonymous, idempotency_key=f"key-{name}")
    assert second.headers["idempotency-replayed"] == "true"
    assert first.parse() == second.parse()
    assert len(list(client.comparisons.iterate(user=name))) == 1


def test_people(client, name):
    made = client.users.put(name, attributes={"locale": "en", "age": 7})
    assert (made.id, made.state, made.attributes) == (
        name,
        "population",
        {"locale": "en", "age": 7},
    )
    assert client.users.get(name) == made
    client.comparisons.create([row(name, n) for n in range(3)], wait=True)
    profile = client.users.profile(name)
    assert profile.user.comparisons == 3
    assert len(profile.directions) == 4
    assert profile.information > 0
    assert {one["kind"] for one in client.users.export(name)} >= {"user", "comparison", "profile"}
    assert name in {one.id for one in client.users.iterate(limit=2)}
    assert client.users.reset_profile(name).fitted_comparisons == 0
    pair = client.users.next_pair(name, candidates=IDS)
    assert pair.a.index != pair.b.index
    assert client.users.delete(name).removed["comparisons"] == 3
    with pytest.raises(ApiNotFoundError):
        client.users.get(name)
    with pytest.raises(GoneError) as caught:
        client.comparisons.create([row(name, 9)])
    assert caught.value.pointer == "/comparisons/0/user"


def test_items(client, name, features):
    put = client.items.put(f"{name}-0", embedding=features[0], tags=["short"])
    assert (put.state, put.tags) == ("ready", ("short",))
    many = client.items.put_many([
        {"id": f"{name}-{n}", "embedding": features[n]} for n in range(1, 4)
    ])  # fmt: skip
    assert (many.ready, many.pending) == (3, 0)
    assert client.items.get(f"{name}-0") == put
    mine = [one.id for one in client.items.iterate(limit=50) if one.id.startswith(name)]
    assert mine == [f"{name}-{n}" for n in range(4)]
    same = client.score([{"id": f"{name}-2"}, {"id": "item-2"}]).scores
    assert same[0] == pytest.approx(same[1], abs=1e-5)
    assert client.items.delete(f"{name}-0").id == f"{name}-0"
    with pytest.raises(ApiNotFoundError):
        client.items.get(f"{name}-0")


def test_an_onboarding_session(client, make, service, name):
    begun = client.onboarding.create(name, max_questions=5, seed=3)
    assert begun.question.seq == 0
    page = make(service.base, "")  # a page has the token alone
    ahead = page.onboarding.next(begun.id, prefetch=2, token=begun.token)
    assert set(ahead.after) == {"left", "right"}
    now = page.onboarding.answer(
        begun.id, 0, "left", ms=900, pair=begun.question.id, token=begun.token
    )
    assert now.progress.answered == 1
    undone = page.onboarding.undo(begun.id, 0, token=begun.token)
    assert undone.progress.confidence < now.progress.confidence
    now = client.onboarding.answer(begun.id, 0, "right")
    while now.question is not None and now.question.seq < 3:
        now = client.onboarding.answer(begun.id, now.question.seq, "left")
    done = client.onboarding.finish(begun.id)
    assert (done.state, done.stop) == ("finished", "person")
    result = client.onboarding.result(begun.id)
    assert result.answers == 3
    assert result.words
    assert all(len(one.examples) == 2 for one in result.directions)


def test_groups(client):
    order = client.rank.aggregate([["a", "b", "c"], ["b", ["a", "c"]]], method="borda")
    assert order.result.winners[0] == "b"
    people = client.rank.aggregate(users=["trained-0", "nobody-x"], candidates=IDS)
    assert people.unknown_users == ("nobody-x",)
    chosen = client.rank.committee(2, approvals=[["a", "b"], ["b"], ["d"]], audit=["jr"])
    assert chosen.audit["jr"].holds
    assert chosen.certificate.optimal
    fair = client.rank.rerank(["x", "x", "y", "y"], scores=np.array([3.0, 2, 1, 0]), k=2)
    assert set(fair.result.order) == {0, 2}
    placed = client.rank.positions(np.array([[0.5], [0.4]]), [2.0, 1.0])
    assert placed.pairs == ((0, 0),)


def test_matchings(client, name):
    made = client.rank.matchings.create(name, "balance", capacity=[1, 1])
    assert (made.items, made.sequence) == (2, 0)
    arrivals = [{"id": f"v-{n}", "items": [0, 1]} for n in range(3)]
    first = client.rank.matchings.arrive(name, arrivals)
    assert [one.item for one in first.data] == [0, 1, None]
    again = client.rank.matchings.arrive(name, arrivals[:1])
    assert again.data[0].replayed
    client.rank.matchings.create(f"{name}-people", "stochastic_balance", capacity=[2])
    person = {"id": "v-9", "items": [0], "user": "trained-0", "candidates": [IDS[0]]}
    (decided,) = client.rank.matchings.arrive(f"{name}-people", [person]).data
    client.rank.matchings.report(f"{name}-people", {decided.attempt: True})
    assert client.rank.matchings.add_items(name, [2]).first == 2
    assert client.rank.matchings.get(name).items == 3
    events = list(client.rank.matchings.iterate_events(name, limit=2))
    assert [one.sequence for one in events] == list(range(1, len(events) + 1))
    assert len(events) == 4
    assert name in {one.id for one in client.rank.matchings.iterate(limit=1)}
    assert client.rank.matchings.delete(name) is None
    with pytest.raises(ApiNotFoundError):
        client.rank.matchings.get(name)


def test_what_runs_there(client, vectors_model):
    assert client.livez().status == "ok"
    assert client.readyz().details is None
    assert client.readyz(verbose=True).details["items"] >= 64
    (model,) = client.models().data
    assert (model.digest, model.embedding_dim) == (vectors_model.digest, DIM)
    assert client.version().model == model.id
    assert client.limits().comparisons == 1000


def test_problems_are_exceptions_with_their_place(client):
    with pytest.raises(InvalidRequestError) as caught:
        client.score([{"id": "item-0"}, {"embedding": [1.0]}])
    error = caught.value
    assert (error.status, error.code) == (422, "dimension_mismatch")
    assert error.pointer == "/candidates/1/embedding"
    assert "the model expects 6" in error.detail
    assert len(error.request_id) == 26
    client.rank.matchings.create("other-kind", "balance", capacity=[1])
    with pytest.raises(ApiConflictError):
        client.rank.matchings.create("other-kind", "balance", capacity=[2])
    with pytest.raises(TooLargeError):
        client.comparisons.create([{**row("u", 1), "prompt": "x" * (2 << 20)}])


def test_values_that_cannot_be_sent(client):
    with pytest.raises(ValueError, match=r"shape \(n, d\)"):
        client.score(np.zeros(4))
    with pytest.raises(ValueError, match=r"shape \(d,\)"):
        client.score([np.zeros((2, 2))])
    with pytest.raises(ValueError, match="JSON"):
        client.score([{"embedding": [float("nan")]}])
    with pytest.raises(ValueError, match="expected an id"):
        client.users.get("")


def test_keys(make, http, service):
    with pytest.raises(AuthenticationError):
        make(service.base, "wrong").version()
    key = new_key(service.url, "score")
    service.settle(key)
    with pytest.raises(PermissionDeniedError):
        make(service.base, key).users.list()


def test_texts_are_scored(make, texts, texts_http):
    client = make(texts.base, texts.key)
    found = client.score(["short plain", {"messages": [{"role": "assistant", "content": "long"}]}])
    assert len(found.scores) == 2
    assert (found.usage.candidates, found.scores[0] != found.scores[1]) == (2, True)
    assert client.rerank("q", ["short", "long"], return_documents=True).results[0].document.text
