"""Clients of Cohere and Jina work against the service unchanged."""

from __future__ import annotations

import warnings

import httpx
import numpy as np
import pytest

from gustibus.scoring import Scorer

DOCUMENTS = ["warm and short", "a formal, long and dry answer", "plain", "rich sharp funny"]


@pytest.fixture(scope="module")
def expected(texts_model):
    return Scorer(texts_model).score("Well?", DOCUMENTS)


def test_the_client_of_cohere(texts, texts_http, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the client's own imports
        import cohere

    with httpx.Client() as inner:
        client = cohere.ClientV2(api_key=texts.key, base_url=texts.base, httpx_client=inner)
        reply = client.rerank(model="default", query="Well?", documents=DOCUMENTS, top_n=3)
    assert [one.index for one in reply.results] == np.argsort(-expected)[:3].tolist()
    assert all(0 < one.relevance_score < 1 for one in reply.results)
    assert reply.meta.api_version.version == "2"


def test_the_older_client_of_cohere(texts, texts_http, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import cohere

    with httpx.Client() as inner:
        client = cohere.Client(api_key=texts.key, base_url=texts.base, httpx_client=inner)
        reply = client.rerank(
            model="default", query="Well?", documents=[{"text": text} for text in DOCUMENTS],
            return_documents=True,
        )  # fmt: skip
    order = np.argsort(-expected)
    assert [one.index for one in reply.results] == order.tolist()
    assert [one.document.text for one in reply.results] == [DOCUMENTS[row] for row in order]


def test_a_client_in_the_shape_of_jina(texts_http, expected):
    body = {
        "model": "default", "query": "Well?", "documents": DOCUMENTS, "top_n": 2,
        "return_documents": True,
    }  # fmt: skip
    reply = texts_http.post("/v1/rerank", json=body).json()
    order = np.argsort(-expected)[:2]
    assert [one["index"] for one in reply["results"]] == order.tolist()
    assert [one["document"]["text"] for one in reply["results"]] == [DOCUMENTS[r] for r in order]
    assert reply["results"][0]["relevance_score"] > reply["results"][1]["relevance_score"]
    assert reply["usage"]["total_tokens"] >= 0
    assert reply["model"].startswith("default@")


def test_the_order_is_the_persons(texts_http, texts_model):
    body = {"query": "Well?", "documents": DOCUMENTS, "user": "trained-0", "raw_scores": True}
    reply = texts_http.post("/rerank", json=body).json()
    wanted = Scorer(texts_model).score("Well?", DOCUMENTS, user="trained-0")
    assert [one["index"] for one in reply["results"]] == np.argsort(-wanted).tolist()
    raw = [one["relevance_score"] for one in reply["results"]]
    np.testing.assert_allclose(raw, -np.sort(-wanted), rtol=1e-6)
    assert reply["meta"]["user_state"] == "ready"
