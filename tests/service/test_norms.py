"""Embeddings of clients may be twice as long as nearly all of the training, and no longer."""

from __future__ import annotations

import base64
import math
from dataclasses import replace

import httpx
import numpy as np
import pytest

from gustibus.artifact import Artifact
from gustibus.data import write_folder
from gustibus.data.synthetic import demo_world
from gustibus.service.loading import open_model
from gustibus.service.metrics import Meter
from gustibus.service.norms import longest_of, too_long
from gustibus.service.serving import Serving
from gustibus.service.settings import Settings
from gustibus.service.state import State
from gustibus.training import RunConfig, train
from gustibus.training.run import embedding_norm
from tests.service.harness import DIM, running

NORM = 1.5
OCTETS = {"Content-Type": "application/octet-stream"}


def bounded(artifact: Artifact, norm: float | None = NORM) -> Artifact:
    return replace(artifact, card={**artifact.card, "data": {"embedding_norm": norm}})


@pytest.fixture(scope="module")
def served(tmp_path_factory, vectors_model):
    """A server of a model whose card tells how long embeddings were."""
    folder = tmp_path_factory.mktemp("bounded")
    bounded(vectors_model).save(folder / "model")
    with running(
        f"sqlite:///{folder}/s.db", folder, gustibus_model=str(folder / "model")
    ) as service, service.client() as client:  # fmt: skip
        yield client


def row(length: float) -> np.ndarray:
    """An embedding so long, in no direction of its own."""
    return np.full(DIM, length / math.sqrt(DIM), np.float32)


def packed(length: float, dtype: str = "<f4") -> dict:
    data = base64.b64encode(row(length).astype(dtype).tobytes()).decode()
    return {"embedding": {"b64": data, "dtype": "f16" if dtype == "<f2" else "f32"}}


def listed(length: float) -> dict:
    return {"embedding": row(length).tolist()}


def problem(reply: httpx.Response) -> tuple[int, str, str]:
    told = reply.json()
    assert "is above 3, twice that of nearly all of the training" in told["detail"]
    return reply.status_code, told["code"], told["errors"][0]["pointer"]


@pytest.mark.parametrize(
    "form", [packed, listed, lambda length: packed(length, "<f2")], ids=["b64", "array", "f16"]
)
@pytest.mark.parametrize("path", ["/v1/score", "/v1/encode", "/v1/best-of-n"])
def test_the_first_that_is_too_long_is_named(served, form, path):
    fine = [form(2.99), form(0.0), form(NORM)]
    assert served.post(path, json={"candidates": fine}).status_code == 200
    reply = served.post(path, json={"candidates": [*fine, form(3.01), form(9.0)]})
    assert problem(reply) == (422, "invalid_field", "/candidates/3/embedding")


@pytest.mark.parametrize("dtype", ["f32", "f16"])
def test_rows_of_the_binary_form_are_bounded_too(served, dtype):
    kind = {"f32": "<f4", "f16": "<f2"}[dtype]
    rows = np.stack([row(2.99)] * 40 + [row(3.01)])
    path = f"/v1/score?dtype={dtype}"
    fine = served.post(path, content=rows[:40].astype(kind).tobytes(), headers=OCTETS)
    assert len(fine.json()["data"]) == 40
    reply = served.post(path, content=rows.astype(kind).tobytes(), headers=OCTETS)
    assert problem(reply) == (422, "invalid_field", "/40")


def test_items_and_answers_are_bounded_too(served):
    reply = served.put("/v1/items/long", json=packed(3.01))
    assert problem(reply) == (422, "invalid_field", "/embedding")
    items = [{"id": "fine", **listed(2.9)}, {"id": "long", **listed(30.0)}]
    reply = served.post("/v1/items:batch", json={"items": items})
    assert problem(reply) == (422, "invalid_field", "/items/1/embedding")
    assert served.get("/v1/items/fine").status_code == 404
    assert served.put("/v1/items/fine", json=packed(2.9)).status_code == 201
    rows = [
        {"user": "u", "a": packed(1.0), "b": other, "outcome": "a", "id": f"n-{n}"}
        for n, other in enumerate([packed(2.0), packed(4.0)])
    ]
    told = served.post("/v1/comparisons", json={"comparisons": rows}).json()
    assert told["accepted"] == 1
    (rejected,) = told["rejected"]
    assert "is above 3" in str(rejected)
    assert rejected["index"] == 1


def test_numbers_that_have_no_length_are_refused_as_before(served):
    for value, code in (
        (math.inf, "not_finite"),
        (math.nan, "not_finite"),
        (1e30, "invalid_field"),
    ):
        data = np.full(DIM, value, "<f4").tobytes()
        told = served.post("/v1/score", content=data, headers=OCTETS).json()
        assert (told["status"], told["code"], told["errors"][0]["pointer"]) == (422, code, "/0")


def test_the_bound_is_told(served, http):
    (model,) = served.get("/v1/models").json()["data"]
    assert model["longest_embedding"] == 2 * NORM
    (model,) = http.get("/v1/models").json()["data"]
    assert model["longest_embedding"] is None


def test_vectors_that_were_encoded_are_not_embeddings(served):
    kept = served.post("/v1/encode", json={"candidates": [listed(2.9)]}).json()["data"][0]
    reply = served.post("/v1/score", json={"candidates": [{"vector": kept["vector"]}]})
    assert reply.status_code == 200
    larger = {"vector": {"model": kept["vector"]["model"], "numbers": [100.0] * 5}}
    assert served.post("/v1/score", json={"candidates": [larger]}).status_code == 200


def test_an_old_model_and_one_of_empty_texts_bound_nothing(vectors_model):
    assert "data" not in vectors_model.card
    for artifact in (vectors_model, bounded(vectors_model, 0.0), bounded(vectors_model, None)):
        assert longest_of(artifact) == math.inf
        assert too_long(np.full((2, DIM), 1e9, np.float32), math.inf) == []


def test_a_setting_switches_it_off(tmp_path, vectors_model):
    saved = bounded(vectors_model).save(tmp_path / "model")
    for on, wanted in ((True, 2 * NORM), (False, math.inf)):
        state = State(Settings(model=str(tmp_path / "model"), bound_embeddings=on))
        serving = open_model(state, tmp_path / "model", None)
        assert serving.longest == wanted
        serving.close()
    found = Settings.from_env({"GUSTIBUS_BOUND_EMBEDDINGS": "0"})
    assert not found.bound_embeddings
    plain = Serving(saved, name="m", texts=1, meter=Meter())
    assert plain.longest == 2 * NORM
    plain.close()


def test_rows_are_compared_exactly_whatever_single_precision_makes_of_them():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((200, 50)).astype(np.float32)
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
    for longest in np.concatenate([lengths[:20], lengths[:20] * (1 - 1e-9), [lengths.max()]]):
        assert too_long(rows, float(longest)) == np.flatnonzero(lengths > longest).tolist()
    huge = np.full((1, 50), 3e38, np.float32)  # whose square single precision does not have
    assert too_long(huge, 1e20) == [0]
    assert too_long(rows[:0], 1.0) == []


def test_training_keeps_how_long_nearly_all_embeddings_were(tmp_path):
    dataset = demo_world(people=8, new=1, seed=0).dataset
    c, rows = dataset.comparisons, np.arange(30)
    used = np.unique(np.concatenate([c.a[rows], c.b[rows]]))
    lengths = np.full(len(c.item_ids), 100.0)  # of what only others were asked about
    lengths[used] = np.linspace(0.5, 1.5, len(used))
    vectors = np.random.default_rng(1).standard_normal((len(lengths), 6))
    vectors *= (lengths / np.linalg.norm(vectors, axis=1))[:, None]
    found = embedding_norm(replace(dataset, item_features=vectors.astype(np.float32)), rows)
    assert found == pytest.approx(np.quantile(lengths[used], 0.999), rel=1e-6)
    assert found < 1.5
    write_folder(dataset, tmp_path / "data")
    made = train(RunConfig(
        data=str(tmp_path / "data"), output=str(tmp_path / "model"), model="bt", encoder="hashing",
        model_options={"ridge": 10.0}, questions=0,
    ))  # fmt: skip
    assert made.embedding_norm == pytest.approx(1.0)  # the encoder's vectors are of unit length
    assert longest_of(Artifact.load(tmp_path / "model")) == pytest.approx(2.0)
    assert "| embedding_norm |" in (tmp_path / "model" / "README.md").read_text()
