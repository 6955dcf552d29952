"""Similarity of hidden vectors, and the recurrent model on which it foretells displacement."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from gustibus.curation import Labels, build, ches, response_states
from gustibus.errors import DimensionError, InputError

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "methods" / "likeness.py"
W = [[0.5, 0.1], [0.2, -0.3]]
L = [[0.5, 0.1], [0.3, 0.4], [-0.1, 0.2]]


def test_the_worked_similarity():
    assert ches(W, L) == pytest.approx(-0.18, abs=1e-6)
    assert ches(W, L, length_normalize=True) == pytest.approx(-0.074167, abs=1e-6)


@pytest.mark.parametrize("mean", [False, True])
def test_identical_responses_give_0(mean):
    assert ches(L, L, length_normalize=mean) == pytest.approx(0, abs=1e-12)


def test_pairs_of_different_lengths_are_those_one_at_a_time():
    np.testing.assert_allclose(ches([W, L, W], [L, W, W]), [ches(W, L), ches(L, W), 0], atol=1e-12)


def test_the_most_alike_get_weight_0_and_the_others_stay():
    rows = [
        {"user": "u", "prompt": f"{i}", "response_a": "x", "response_b": "y", "ches": value}
        for i, value in enumerate([-3.0, 0.5, -1.0, 0.2])
    ]
    table = build("ches", Labels.of(rows, source="log"), source="m", drop=0.5)
    assert [row["prompt_a"] for row in table.counting()] == ["0", "2"]
    assert table.switch(off={"ches"})["weight"][:4].tolist() == [1, 1, 1, 1]


def test_similarity_is_computed_from_hidden_vectors_where_these_are_given():
    rows = [
        {
            "user": "u",
            "prompt": "p",
            "response_a": "x",
            "response_b": "y",
            "hidden_w": w,
            "hidden_l": lost,
        }
        for w, lost in [(W, L), (L, L)]
    ]
    table = build("ches", Labels.of(rows, source="log"), source="m", drop=0.5)
    assert table["weight"].tolist() == [1, 0, 0]  # identical responses are the most alike
    assert table["ches"][2] == pytest.approx(0)


def test_rows_without_either_are_refused():
    rows = [{"user": "u", "response_a": "x", "response_b": "y"}]
    with pytest.raises(InputError, match="expected a column 'ches'"):
        build("ches", Labels.of(rows, source="log"), source="m")


def test_vectors_of_different_widths_are_refused():
    with pytest.raises(DimensionError, match="h_l: expected 2 columns, got 1"):
        ches(W, [[1.0], [2.0]])
    with pytest.raises(DimensionError, match="h_l: expected 2 responses, got 1"):
        ches([W, W], [L])


def test_states_are_those_that_predict_the_response():
    torch = pytest.importorskip("torch")
    made = runpy.run_path(str(BENCHMARK))
    torch.manual_seed(0)
    model = made["Recurrent"]()
    states = response_states(model, [1, 2, 3], [4, 5])
    logits = model.head(torch.tensor(states, dtype=torch.float32))
    logp = torch.log_softmax(logits, -1)[[0, 1], [4, 5]].sum()
    with torch.no_grad():
        expected = float(model.logp([1, 2, 3], [4, 5]))
    assert float(logp.detach()) == pytest.approx(expected, abs=1e-5)
    with pytest.raises(InputError, match="expected tokens"):
        response_states(model, [], [4])


def test_alike_pairs_push_the_chosen_response_down():
    plain, _, _ = runpy.run_path(str(BENCHMARK))["measure"](count=40, seed=0, steps=150)
    assert plain <= -0.3
