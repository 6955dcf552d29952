"""One server for the tests that only read or write names of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gustibus.artifact import Artifact
from tests.service.harness import DIM, running, save_texts_model, save_vectors_model


@pytest.fixture(scope="session")
def vectors_folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("models") / "vectors"


@pytest.fixture(scope="session")
def vectors_model(vectors_folder) -> Artifact:
    return save_vectors_model(vectors_folder)


@pytest.fixture(scope="session")
def texts_folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("models") / "texts"


@pytest.fixture(scope="session")
def texts_model(texts_folder) -> Artifact:
    return save_texts_model(texts_folder)


@pytest.fixture(scope="session")
def features() -> np.ndarray:
    """Embeddings of the items `item-0` to `item-63`."""
    return np.random.default_rng(9).standard_normal((64, DIM)).astype(np.float32)


@pytest.fixture(scope="session")
def service(tmp_path_factory, vectors_folder, vectors_model):
    """A server of the model of embeddings, over SQLite."""
    folder = tmp_path_factory.mktemp("service")
    with running(
        f"sqlite:///{folder}/service.db", folder, gustibus_model=str(vectors_folder)
    ) as found:
        yield found


@pytest.fixture(scope="session")
def http(service, features):
    """A client with every scope; the items are there."""
    with service.client() as client:
        batch = [{"id": f"item-{n}", "embedding": row.tolist()} for n, row in enumerate(features)]
        assert client.post("/v1/items:batch", json={"items": batch}).status_code == 200
        yield client


@pytest.fixture(scope="session")
def texts(tmp_path_factory, texts_folder, texts_model):
    """A server of the model of texts, over SQLite."""
    folder = tmp_path_factory.mktemp("texts")
    with running(f"sqlite:///{folder}/texts.db", folder, gustibus_model=str(texts_folder)) as found:
        yield found


@pytest.fixture(scope="session")
def texts_http(texts):
    with texts.client() as client:
        yield client
