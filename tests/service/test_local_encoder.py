"""An encoder of the service's own process: tested and warm before it is ready, its memory bounded."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from gustibus import selftest
from gustibus.artifact import People
from gustibus.encoders import load_encoder
from gustibus.encoders.hashing import HashingEncoder
from gustibus.errors import ArtifactError, ConfigError
from gustibus.service.allowance import Allowance
from gustibus.service.metrics import Meter
from gustibus.service.problems import Problem
from gustibus.service.serving import Serving
from gustibus.service.settings import Settings
from gustibus.training.run import with_self_test
from tests.service.harness import running
from tests.unit.test_gpm import made

VERSIONS = "/v1/models/default/versions"


@pytest.fixture
def seen(monkeypatch) -> list[str]:
    """Every text that the encoder is asked for."""
    found: list[str] = []
    plain = HashingEncoder.encode

    def encode(self, texts, *, progress=False):
        found.extend(texts)
        return plain(self, texts, progress=progress)

    monkeypatch.setattr(HashingEncoder, "encode", encode)
    return found


def changed(artifact, *, scale=1.0, **encoder):
    """The model with another encoder in its card, or with a pool of longer vectors."""
    pool = artifact.pool
    pool = replace(pool, a=pool.a * np.float32(scale), b=pool.b * np.float32(scale))
    card = {**artifact.card, "encoder": {**artifact.card["encoder"], **encoder}}
    return replace(artifact, card=card, pool=pool)


def serving(artifact, *, texts=100, **options) -> Serving:
    return Serving(artifact, name="m", texts=texts, meter=Meter(), **options)


def test_the_encoder_is_tested_before_it_serves_and_meets_long_and_short_texts(texts_model, seen):
    found = serving(texts_model)
    assert not found.tested
    found.check()
    assert found.tested
    asked = {*texts_model.pool.texts_a, *texts_model.pool.texts_b}
    assert len(asked & set(seen)) >= 8  # eight pairs of it
    assert min(map(len, seen)) == 1
    assert max(map(len, seen)) > 32_000
    found.close()


def test_texts_encoded_in_another_way_stop_the_model(texts_model):
    found = serving(changed(texts_model, scale=1.03))
    with pytest.raises(ArtifactError, match=r"2\.9% away from when the model was made"):
        found.check()
    near = serving(changed(texts_model, scale=1.01))  # as rounding may be
    near.check()
    for one in (found, near):
        one.close()


def without_questions(artifact, *, off=0.0):
    """The model as `--questions 0` trains it: pairs in its card, their scores off by so much."""
    found = with_self_test(replace(artifact, pool=None), load_encoder("hashing", dim=64))
    rows = [{**row, "scores": [s + off for s in row["scores"]]} for row in found.card["self_test"]]
    return replace(found, card={**found.card, "self_test": rows})


def test_a_model_without_questions_is_tested_by_the_scores_of_its_card(texts_model, seen, caplog):
    model = without_questions(texts_model, off=0.015)
    found = serving(model)
    found.check()
    assert found.tested
    assert {text for row in model.card["self_test"] for text in row["texts"]} <= set(seen)
    assert len(model.card["self_test"]) == 8
    assert "not tested" not in caplog.text
    wrong = serving(without_questions(texts_model, off=0.025))
    with pytest.raises(ArtifactError, match=r"scores .*, more than 0\.02 away"):
        wrong.check()
    assert not wrong.tested
    for one in (found, wrong):
        one.close()


def test_another_template_is_found_by_the_scores_alone(texts_model, monkeypatch):
    found = serving(without_questions(texts_model))
    plain = HashingEncoder.encode

    def with_template(self, texts, *, progress=False):
        return plain(self, [f"assistant: {text}" for text in texts], progress=progress)

    monkeypatch.setattr(HashingEncoder, "encode", with_template)
    with pytest.raises(ArtifactError, match="another encoder, template, pooling or padding"):
        found.check()
    found.close()


@pytest.mark.parametrize("flat", [False, True])
def test_a_model_with_nothing_to_test_by_says_that_it_is_not_tested(texts_model, caplog, flat):
    """Neither pairs nor questions, or pairs that any encoder would score alike."""
    bare = replace(texts_model, pool=None)
    if flat:
        level = [{**row, "scores": [0.0, 0.0]} for row in without_questions(bare).card["self_test"]]
        model = replace(bare.model, population=np.zeros_like(bare.model.population))
        bare = replace(bare, model=model, people=People.empty(model.user_dim))
        bare = replace(bare, card={**bare.card, "self_test": level})
    assert not selftest.tells(bare.card)
    found = serving(bare)
    found.check()
    assert not found.tested
    assert "is not tested" in caplog.text
    found.close()


def test_a_version_that_fails_its_own_test_is_not_validated(tmp_path, texts_model):
    digests = []
    for off, name in ((0.0, "right"), (0.1, "wrong")):
        saved = without_questions(texts_model, off=off).save(tmp_path / name)
        (tmp_path / name).rename(tmp_path / saved.digest)
        digests.append(saved.digest)
    with (
        running(f"sqlite:///{tmp_path}/s.db", tmp_path, gustibus_models=str(tmp_path)) as service,
        service.client() as http,
    ):
        for digest in digests:
            assert http.post(VERSIONS, json={"digest": digest}).status_code == 201
        assert http.post(f"{VERSIONS}/1:validate").json()["state"] == "validated"
        reply = http.post(f"{VERSIONS}/2:validate")
        assert (reply.status_code, reply.json()["code"]) == (409, "conflict")
        assert "more than 0.02 away" in reply.json()["detail"]
        alias = "/v1/models/default/aliases/champion"
        reply = http.put(alias, json={"version": 1}, headers={"If-None-Match": "*"})
        assert reply.status_code == 200, reply.text
        until = time.monotonic() + 60
        while not (details := http.get("/readyz?verbose=1").json().get("details", {})).get(
            "encoder"
        ):
            assert time.monotonic() < until, details
            time.sleep(0.05)
        assert details["encoder"] == {"tested": True}


def test_another_encoder_stops_the_model(texts_model):
    found = serving(changed(texts_model, fingerprint="0" * 64))
    with pytest.raises(ArtifactError, match="its scores would mean something else"):
        found.check()
    found.close()


def test_an_encoder_that_is_not_here_is_missed_by_texts_alone(texts_model, caplog):
    options = {"model": "/nowhere"}
    found = serving(changed(texts_model, name="transformers", options=options))
    found.check()
    assert "texts cannot be encoded here" in caplog.text
    assert not found.tested
    with pytest.raises(Problem) as caught:
        asyncio.run(found.represent("", ["a text"]))
    assert caught.value.code == "encoder_unavailable"
    found.close()


def test_a_cold_start_leaves_it_to_the_first_text(texts_model, seen):
    found = serving(texts_model, warm=False)
    found.check()
    assert seen == []
    asyncio.run(found.represent("", ["first"]))
    assert seen == ["first"]
    found.close()


def reading(artifact):
    """The same with a model that reads prompts."""
    model = made(gate="softmax", d=64, h=64)
    nothing = np.zeros((0, model.representation_dim), np.float32)
    return replace(artifact, model=model, reference=nothing, people=People.empty(0), pool=None)


def test_texts_of_many_prompts_share_batches_and_are_represented_as_each_by_itself(
    texts_model, seen
):
    both = [serving(reading(texts_model), texts=1000, bound=False) for _ in range(2)]
    asked = [(f"prompt {n % 3}", f"text {n % 20}") for n in range(90)]
    vectors, cached, tokens = asyncio.run(both[0].represent_each(asked))
    assert sorted(seen) == sorted({word for pair in asked for word in pair})
    pairs = set(asked)
    assert (cached, tokens) == (30, sum(-(-len(text) // 4) for _, text in pairs))
    alone = [asyncio.run(both[1].represent(prompt, [text]))[0][0] for prompt, text in asked]
    np.testing.assert_allclose(vectors, alone, rtol=1e-6)
    again, cached, tokens = asyncio.run(both[0].represent_each(asked[::-1]))
    np.testing.assert_array_equal(again, vectors[::-1])
    assert (cached, tokens) == (90, 0)
    seen.clear()
    prompts = asyncio.run(both[0].encode_prompts(["one", "other", "one"]))
    assert seen == ["one", "other"]
    np.testing.assert_array_equal(
        prompts, load_encoder("hashing", dim=64).encode(["one", "other", "one"])
    )
    for one in both:
        one.close()


def test_all_texts_of_a_request_are_held_to_one_limit(texts_model):
    """The encoder counts no tokens: 100 of them are at most 1,600 bytes."""
    found = serving(reading(texts_model), bound=False)

    def ask(most, *asked):
        return asyncio.run(found.represent_each(asked, most=most))

    most = Allowance(100)
    ask(most, ("p", "a" * 800), ("q", "b" * 700))
    ask(most, ("p", "a" * 800), ("q", "b" * 700))  # what is known does not count again
    for more in (lambda: ask(most, ("r", "c" * 100)), lambda: asyncio.run(
        found.encode_prompts(["d" * 100], most=most)
    )):  # fmt: skip
        with pytest.raises(Problem) as caught:
            more()
        assert caught.value.code == "too_many_tokens"
    ask(most, ("q", "e" * 90))  # what was refused was not counted
    with pytest.raises(Problem):
        ask(Allowance(100), *((f"prompt {n}", f"{n} {'f' * 300}") for n in range(6)))
    found.close()


def test_texts_are_kept_up_to_a_number_of_bytes(texts_model):
    each = 4 * texts_model.model.representation_dim + 320
    found = serving(texts_model, texts_bytes=3 * each + 1)

    def known(*texts: str) -> int:
        return asyncio.run(found.represent("", texts))[1]

    assert known("a", "b", "c", "d") == 0
    assert known("d", "c", "b") == 3
    assert found._meter.encoded_bytes == 3 * each
    assert known("a") == 0  # was not used for longest
    assert known("d") == 0  # and made room for it
    few = serving(texts_model, texts=1)
    asyncio.run(few.represent("", ["a", "b"]))
    assert asyncio.run(few.represent("", ["a", "b"]))[1] == 1
    for one in (found, few):
        one.close()
    with pytest.raises(ConfigError, match="GUSTIBUS_TEXTS_BYTES"):
        Settings(texts_bytes=-1).check()
    with pytest.raises(ConfigError, match="GUSTIBUS_ENCODER_MAX_DELAY_MS"):
        Settings(encoder_max_delay_ms=3.0).check()


def test_kept_texts_do_not_keep_their_batch(texts_model):
    found = serving(texts_model)
    asyncio.run(found.represent("", [f"text {n}" for n in range(50)]))
    kept = [found._texts.get(key) for key in list(found._texts._values)]
    assert len(kept) == 50
    assert all(vector.base is None for vector in kept)
    found.close()


def test_a_service_does_not_start_with_a_wrong_encoder(tmp_path, texts_model):
    changed(texts_model, scale=2.0).save(tmp_path / "model")
    with (
        pytest.raises(AssertionError, match="away from when the model was made"),
        running(f"sqlite:///{tmp_path}/s.db", tmp_path, gustibus_model=str(tmp_path / "model")),
    ):
        pass
    environment = {"gustibus_model": str(tmp_path / "model"), "gustibus_warm": "0"}
    with (
        running(f"sqlite:///{tmp_path}/s.db", tmp_path, **environment) as service,
        service.client() as http,
    ):
        reply = http.post("/v1/score", json={"candidates": ["a text"]})
        assert reply.status_code == 200, json.dumps(reply.json())


def test_requests_share_the_batches_of_an_encoder_that_has_steps(texts_model, monkeypatch):
    """One at a time they would leave a device half empty, and wait for each other."""
    batches, entered = [], threading.Semaphore(0)
    hold = threading.Event()

    def compute(self, rows):
        entered.release()
        assert hold.wait(10)
        batches.append(len(rows))
        return HashingEncoder.encode(self, [text for (text,) in rows])

    pairs = [[f"{n}", f"{n} too"] for n in range(6)]
    alone = serving(texts_model)
    expected = [asyncio.run(alone.represent("", pair))[0] for pair in pairs]
    for name, step in (
        ("prepare", lambda _, texts: [[text] for text in texts]),
        ("compute", compute),
        ("finish", lambda _, begun: begun),
    ):
        monkeypatch.setattr(HashingEncoder, name, step, raising=False)
    found = serving(texts_model)

    def all_wait() -> None:
        with found._shared._changed:
            assert found._shared._changed.wait_for(lambda: len(found._shared._rows) == 12, 10)

    async def ask() -> list[np.ndarray]:
        loop = asyncio.get_running_loop()
        first = asyncio.ensure_future(found.represent("", ["first"]))
        await loop.run_in_executor(None, entered.acquire)
        rest = [asyncio.ensure_future(found.represent("", pair)) for pair in pairs]
        await loop.run_in_executor(None, all_wait)
        hold.set()
        return [(await one)[0] for one in (first, *rest)]

    vectors = asyncio.run(ask())
    assert batches == [1, 12]
    np.testing.assert_array_equal(vectors[1:], expected)
    assert found.encoded == 7
    for one in (found, alone):
        one.close()


def test_kept_texts_are_found_by_salted_digests_of_prompt_and_text(texts_model):
    """Two processes keep nothing that could be compared, and no prompt runs into a text."""
    here, there = serving(texts_model), serving(texts_model)
    pairs = [("a", "\x00b"), ("a\x00", "b"), ("", "a\x00b"), ("a", "b"), ("b", "a"), ("\ud800", "")]
    keys = [here._digests(prompt, [text])[0] for prompt, text in pairs]
    assert len(set(keys)) == len(pairs)
    assert here._digests("a", ["x", "b"]) == [here._digests("a", ["x"])[0], keys[3]]
    assert there._digests("a", ["b"])[0] not in keys
    for one in (here, there):
        one.close()
