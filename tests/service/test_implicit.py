"""What people said next, sent as comparisons: weak evidence, told apart, and nobody else's."""

from __future__ import annotations

import numpy as np
import pytest

from gustibus.rewards.implicit import WEIGHT, Turn, implicit_rows


def placed(http, user: str, source: str | None) -> np.ndarray:
    answer = {"user": user, "a": {"id": "item-20"}, "b": {"id": "item-21"}, "outcome": "a"}
    rows = [answer if source is None else {**answer, "source": source}]
    told = http.post("/v1/comparisons?wait=profile", json={"comparisons": rows})
    assert told.status_code == 201, told.text
    asked = {"user": user, "candidates": [{"id": f"item-{n}"} for n in range(10)]}
    return np.array([one["score"] for one in http.post("/v1/score", json=asked).json()["data"]])


@pytest.mark.parametrize(("source", "weight"), [("implicit", WEIGHT), ("survey", 1.0), (None, 1.0)])
def test_an_implicit_comparison_counts_for_less(http, vectors_model, features, source, weight):
    model = vectors_model.model
    reps = model.represent(features)
    state = model.place(reps[20:21], reps[21:22], np.ones(1), weight=np.array([weight]))[0]
    found = placed(http, f"next-turn-{source}", source)
    np.testing.assert_allclose(found, model.utility(state.mean, reps[:10]), rtol=1e-4, atol=1e-5)


def test_rows_of_turns_are_taken_and_can_be_listed_by_their_source(texts_http):
    turns = [
        Turn("nell", "Well?", "a clear short one", "thanks, exactly", consent=True),
        Turn("nell", "Well?", "a formal long one", "no", consent=True),
    ]
    rows = implicit_rows(turns, lambda said: [len(text) for text in said], min_gap=1.0)
    body = {"comparisons": [row.as_answer() for row in rows]}
    assert texts_http.post("/v1/comparisons", json=body).json()["accepted"] == 1
    kept = texts_http.get("/v1/comparisons?user=nell&source=implicit").json()["data"]
    assert [(one["a"]["text"], one["strength"]) for one in kept] == [("a clear short one", WEIGHT)]
