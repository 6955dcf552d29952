"""Labels carried from labelled items to others by a coupling."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gustibus import ops
from gustibus.errors import InputError, MissingExtraError
from gustibus.rewards.transport import couple, distances, transfer_matrix

quick = settings(deadline=None)  # a busy machine takes its time

T = np.array([[0.3, 0.02, 0.01], [0.02, 0.28, 0.04], [0.01, 0.03, 0.29]])
UPPER = np.triu(np.ones((3, 3)), 1)
seeds = st.integers(0, 10_000)


def complementary(rng: np.random.Generator, n: int) -> np.ndarray:
    z = rng.random((n, n))
    return np.triu(z, 1) + np.tril(1 - z.T, -1)


def test_worked_number():
    assert ops.transfer_labels(T, UPPER, 0, 2) == pytest.approx(0.993365, abs=1e-6)


@quick
@given(seed=seeds)
def test_an_identity_coupling_returns_the_label(seed):
    z = complementary(np.random.default_rng(seed), 4)
    np.testing.assert_allclose(transfer_matrix(np.eye(4) / 4, z)[~np.eye(4, dtype=bool)],
                               z[~np.eye(4, dtype=bool)])  # fmt: skip


@quick
@given(seed=seeds)
def test_labels_are_probabilities_and_the_two_sides_sum_to_one(seed):
    rng = np.random.default_rng(seed)
    found = transfer_matrix(rng.random((5, 3)), complementary(rng, 5))
    assert ((found >= 0) & (found <= 1)).all()
    np.testing.assert_allclose(found + found.T, 1)


def test_a_uniform_coupling_gives_the_mean_label():
    z = np.random.default_rng(0).random((5, 5))
    mean = z[~np.eye(5, dtype=bool)].mean()
    np.testing.assert_allclose(transfer_matrix(np.full((5, 4), 1 / 20), z), mean)


@quick
@given(seed=seeds)
def test_the_matrix_equals_the_double_sum(seed):
    rng = np.random.default_rng(seed)
    t, z = rng.random((4, 3)), rng.random((4, 4))
    for j in range(3):
        for j2 in range(3):
            pairs = [(i, k) for i in range(4) for k in range(4) if i != k]
            weight = np.array([t[i, j] * t[k, j2] for i, k in pairs])
            label = np.array([z[i, k] for i, k in pairs])
            expected = weight @ label / weight.sum()
            assert ops.transfer_labels(t, z, j, j2) == pytest.approx(expected)


@settings(max_examples=5, deadline=None)
@given(seed=seeds)
def test_a_coupling_finds_items_again_in_another_space(seed):
    pytest.importorskip("ot")
    rng = np.random.default_rng(seed)
    source = rng.standard_normal((12, 3)) * [3.0, 2.0, 1.0]
    turn, _ = np.linalg.qr(rng.standard_normal((5, 5)))
    order = rng.permutation(12)
    target = (np.pad(source, ((0, 0), (0, 2))) @ turn)[order]  # five dimensions, another order
    coupling = couple(distances(source), distances(target))
    np.testing.assert_array_equal(coupling.argmax(0), order)
    z = (source[:, :1] > source[:, 0]).astype(float)
    labels = transfer_matrix(coupling, z)
    off = ~np.eye(12, dtype=bool)
    np.testing.assert_allclose(labels[off], z[np.ix_(order, order)][off], atol=1e-9)


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ot", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'gustibus\[transport\]'"):
        couple(np.zeros((2, 2)), np.zeros((2, 2)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.transfer_labels(T, UPPER[:2], 0, 1), "T, Z: expected shapes"),
        (lambda: ops.transfer_labels(-T, UPPER, 0, 1), "T: expected a coupling of at least 0"),
        (lambda: ops.transfer_labels(T, 2 * UPPER, 0, 1), "Z: expected probabilities"),
        (lambda: ops.transfer_labels(T, UPPER, 0, 3), "j2: expected a target item from 0 below 3"),
        (
            lambda: ops.transfer_labels(0 * T, UPPER, 0, 1),
            "T: expected items 0 and 1 to be coupled",
        ),
        (lambda: distances(np.ones((3, 2))), "vectors: expected different rows"),
        (lambda: distances(np.ones(3)), "vectors: expected shape"),
    ],
)
def test_what_makes_no_sense_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize(
    ("source", "weights", "message"),
    [
        (np.zeros((2, 3)), None, "source: expected a square matrix"),
        (np.array([[0.0, 1.0], [2.0, 0.0]]), None, "source: expected symmetric distances"),
        (np.zeros((2, 2)), [0.5, 0.9], "source_weights: expected 2 numbers that sum to 1"),
    ],
)
def test_what_are_no_distances_is_refused(source, weights, message):
    pytest.importorskip("ot")
    with pytest.raises(InputError, match=message):
        couple(source, np.zeros((2, 2)), source_weights=weights)
