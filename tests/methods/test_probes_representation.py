"""Linear probes on planted attributes, centroids on planted clusters, a model that stays as it is."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from gustibus.errors import InputError
from gustibus.evaluation.probes.representation import (
    DIMENSIONS,
    centroid_distances,
    centroids,
    distance_threshold,
    distance_weights,
    last_token_states,
    linear_probe,
    probe_dimensions,
)

JUDGES = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "methods" / "judges.py"))


def test_a_planted_attribute_is_read_and_a_shuffled_one_is_not():
    planted, shuffled = JUDGES["attributes"](rows=12_000, dim=32, seed=0)
    assert planted > 0.95
    assert shuffled == pytest.approx(0.5, abs=0.03)


def test_three_classes_are_read_and_their_mean_is_reported():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((9000, 8))
    labels = {
        name: np.digitize(x[:, i % 8] + 0.05 * rng.standard_normal(len(x)), [-0.5, 0.5])
        for i, name in enumerate(DIMENSIONS)
    }
    found = probe_dimensions(x, labels, np.arange(len(x)) % 10 > 0)
    assert set(found) == {*DIMENSIONS, "mean"}
    assert found["mean"] == pytest.approx(np.mean([found[name] for name in DIMENSIONS]))
    assert min(found.values()) > 0.8


def test_a_rare_class_does_not_make_the_majority_right():
    x = np.zeros((1000, 2))  # says nothing
    y = (np.arange(1000) % 10 == 0).astype(int)
    assert linear_probe(x, y, np.arange(1000) % 20 < 10) == pytest.approx(0.5)


def test_a_threshold_keeps_what_is_in_a_cluster_and_rejects_what_is_far_away():
    kept, rejected = JUDGES["distances"](seed=3)
    assert kept == pytest.approx(0.95, abs=0.02)
    assert rejected > 0.95


def test_weights_are_1_within_the_threshold_and_fall_beyond_it():
    away = [0.0, 1.0, 1.0001, 4.0]
    assert distance_weights(away, 1.0).tolist() == [1, 1, 0, 0]
    np.testing.assert_allclose(
        distance_weights(away, 1.0, soft=True), [1, 1, 0.9999, 0.25], rtol=1e-4
    )
    with pytest.raises(InputError, match="threshold: expected a number in"):
        distance_weights(away, 0.0)
    with pytest.raises(InputError, match="distances: expected numbers in"):
        distance_weights([-1.0], 1.0)


def test_distances_are_those_of_brute_force():
    rng = np.random.default_rng(0)
    x, c = rng.standard_normal((20, 3)), rng.standard_normal((4, 3))
    slow = np.array([min(np.linalg.norm(v - m) for m in c) for v in x])
    np.testing.assert_allclose(centroid_distances(x, c), slow)
    assert distance_threshold([1.0, 2.0, 3.0], keep=0.5) == 2


def test_centroids_of_labels_are_class_means():
    found = centroids([[0.0, 0], [2, 0], [5, 5]], labels=["a", "a", "b"])
    np.testing.assert_allclose(found, [[1, 0], [5, 5]])


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_last_real_token_is_read_and_the_model_stays_bit_identical(side):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=20, hidden_size=16, intermediate_size=16, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    ids = torch.tensor([[3, 4, 5, 6]])
    alone = last_token_states(model, ids, torch.ones_like(ids))
    pad = torch.zeros(1, 2, dtype=torch.long)
    mask = [torch.ones_like(ids), torch.zeros_like(pad)]
    parts = [ids, pad]
    if side == "left":
        parts, mask = parts[::-1], mask[::-1]
    padded = last_token_states(model, torch.cat(parts, 1), torch.cat(mask, 1))
    np.testing.assert_allclose(padded, alone, atol=1e-5)
    assert alone.shape == (1, 16)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("labels", "train", "message"),
    [
        ([0, 0, 0, 0], [1, 1, 0, 0], "at least two classes"),
        ([0, 1, 0, 0], [1, 1, 0, 0], "every class among the rows that are held out"),
        ([0, 1, 0, 1], [1, 1, 1, 1], "every class among the rows that are held out"),
    ],
)
def test_parts_without_a_class_are_refused(labels, train, message):
    with pytest.raises(InputError, match=message):
        linear_probe(np.eye(4), labels, train)


def test_vectors_and_centroids_have_one_width():
    with pytest.raises(InputError, match="centroids: expected 2 columns, got 3"):
        centroid_distances([[0.0, 1]], [[0.0, 1, 2]])
