"""Reward clients of trainers and of pooling servers, who send what they send and add no key."""

from __future__ import annotations

import httpx
import numpy as np
import pytest

from gustibus.artifact import Artifact, People
from gustibus.encoders import load_encoder
from gustibus.models.network import Network
from gustibus.models.pro import Orchestrator
from gustibus.posterior import Answering, GaussianPrior
from gustibus.scoring import Scorer
from tests.service.harness import new_key, running

PROMPTS = ["Say something, please: ", "And now: ", "Say something, please: "]
RESPONSES = ["warm and short", "a formal, long and dry answer", "plain"]
LABELS = [None, "x", 3]


def remote_reward(url, queries, prompts, labels):
    """What a trainer's remote reward hook does: post, raise for status, read `rewards`."""
    data = {"query": queries, "prompts": prompts, "labels": labels}
    reply = httpx.post(url, json=data, headers={"Content-Type": "application/json"}, timeout=20)
    reply.raise_for_status()
    found = reply.json()
    return found["rewards"], found.get("scores", found["rewards"]), found.get("extra_logs", {})


@pytest.fixture
def address(texts, texts_http):
    """The service with a key as the password, as such clients are told where it is."""
    return texts.base.replace("http://", f"http://anybody:{texts.key}@")


def expected(texts_model, user=None):
    scorer = Scorer(texts_model)
    return [
        float(scorer.score(p, [r], user=user)[0]) for p, r in zip(PROMPTS, RESPONSES, strict=True)
    ]


@pytest.mark.parametrize("user", [None, "trained-0"])
def test_the_remote_reward_hook_of_a_trainer(address, texts_model, user):
    url = f"{address}/v1/compat/openrlhf/get_reward" + (f"?user={user}" if user else "")
    queries = [p + r for p, r in zip(PROMPTS, RESPONSES, strict=True)]
    rewards, scores, logs = remote_reward(url, queries, PROMPTS, LABELS)
    np.testing.assert_allclose(rewards, expected(texts_model, user), rtol=1e-5)
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-np.array(rewards))), rtol=1e-9)
    assert logs == {}


def test_a_model_that_reads_prompts_gets_each_response_its_own(tmp_path):
    rng, encoder = np.random.default_rng(0), load_encoder("hashing", dim=16)

    def draw(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    model = Orchestrator(
        heads=draw(16, 3), center=draw(16), mean=np.zeros(3), spread=np.ones(3),
        adapter=Network((draw(16, 8), draw(8, 3)), (draw(8), draw(3)), "relu"),
        prompt_center=np.zeros(16, np.float32), prompt_spread=np.ones(16, np.float32),
        logits=np.zeros(3), scale=2.0, stated=np.full(3, 1 / 3), trust=0.0,
        prior=GaussianPrior.single(np.ones(3), np.eye(3)), answering=Answering(lapse=0.0),
    )  # fmt: skip
    spec = {"name": encoder.name, "options": dict(encoder.options),
            "fingerprint": encoder.fingerprint, "dim": encoder.dim}  # fmt: skip
    card = {"name": "pro", "family": "pro", "version": "0", "encoder": spec, "created": ""}
    reference = np.zeros((2, model.representation_dim), np.float32)
    saved = Artifact(model, card, People.empty(3), reference).save(tmp_path / "model")
    url = f"sqlite:///{tmp_path}/s.db"
    with running(url, tmp_path, gustibus_model=str(tmp_path / "model")) as service:
        with service.client():
            pass
        address = service.base.replace("http://", f"http://x:{service.key}@")
        queries = [p + r for p, r in zip(PROMPTS, RESPONSES, strict=True)]
        path = "/v1/compat/openrlhf/get_reward"
        rewards, _, _ = remote_reward(address + path, queries, PROMPTS, LABELS)
    wanted = expected(saved)
    np.testing.assert_allclose(rewards, wanted, rtol=1e-4)
    assert wanted[0] != pytest.approx(float(Scorer(saved).score("", RESPONSES[:1])[0]))


def test_a_hook_that_sends_queries_alone(address, texts_model):
    url = f"{address}/v1/compat/openrlhf/get_reward"
    found = httpx.post(url, json={"query": RESPONSES, "rollout": {"unknown": "fields"}}).json()
    np.testing.assert_allclose(
        found["rewards"], Scorer(texts_model).score("", RESPONSES), rtol=1e-5
    )


def test_more_texts_than_one_request_encodes_elsewhere(address, texts_model):
    texts = [f"plain answer {n}" for n in range(600)]
    url = f"{address}/v1/compat/openrlhf/get_reward"
    found = httpx.post(url, json={"query": texts}, timeout=60).json()["rewards"]
    np.testing.assert_allclose(found, Scorer(texts_model).score("", texts), rtol=1e-4, atol=1e-5)


def test_the_classify_client_of_a_pooling_server(texts, texts_http, texts_model):
    base = f"{texts.base}/v1/compat/vllm"
    headers = {"Authorization": f"Bearer {texts.key}"}
    body = {"model": "default", "input": RESPONSES, "use_activation": False, "priority": 0}
    reply = httpx.post(f"{base}/classify", json=body, headers=headers).json()
    raw = [one["probs"][-1] for one in reply["data"]]  # as such clients read it
    np.testing.assert_allclose(raw, Scorer(texts_model).score("", RESPONSES), rtol=1e-5)
    assert [(one["index"], one["num_classes"]) for one in reply["data"]] == [(0, 1), (1, 1), (2, 1)]
    assert reply["model"].startswith("default@")
    one = httpx.post(f"{base}/classify", json={"input": RESPONSES[0]}, headers=headers).json()
    assert one["data"][0]["probs"] == pytest.approx(raw[:1])
    body |= {"use_activation": True, "user": "trained-0"}
    reply = httpx.post(f"{base}/classify", json=body, headers=headers).json()
    personal = Scorer(texts_model).score("", RESPONSES, user="trained-0")
    found = [one["probs"][-1] for one in reply["data"]]
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-personal)), rtol=1e-5)


def test_a_key_in_the_address_is_checked_like_any_other(texts, texts_http):
    path = "/v1/compat/vllm/classify"
    body = {"input": "x"}
    for wrong in ("anybody:wrong", f"{texts.key}:", f"anybody:{texts.key[:-1]}_"):
        url = texts.base.replace("http://", f"http://{wrong}@")
        assert httpx.post(url + path, json=body).status_code == 401
    for header in ("Basic", "Basic %%%", "Basic YWJj"):
        reply = httpx.post(texts.base + path, json=body, headers={"Authorization": header})
        assert reply.status_code == 401
    key = new_key(texts.url, "onboard")
    texts.settle(key)
    url = texts.base.replace("http://", f"http://anybody:{key}@")
    assert httpx.post(url + path, json=body).status_code == 403


def test_a_password_is_no_key_elsewhere(address):
    assert httpx.get(f"{address}/v1/version").status_code == 401


def test_what_is_wrong_is_said(address):
    url = f"{address}/v1/compat/openrlhf/get_reward"
    short = httpx.post(url, json={"query": ["a", "b"], "prompts": ["a"]})
    assert (short.status_code, short.json()["errors"][0]["pointer"]) == (422, "/prompts")
    long = httpx.post(url, json={"query": ["a", "x" * 40_000]})
    assert (long.status_code, long.json()["errors"][0]["pointer"]) == (413, "/query/1")
    nobody = httpx.post(f"{url}?user=stranger&on_unknown_user=error", json={"query": ["a"]})
    assert nobody.status_code == 404
