"""The set encoder of PPD: order, masks, repetition, opposites, and one answer at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gustibus.models.ppd_encoder import SetEncoder

SHAPES = [(3, 4, 2), (16, 7, 5), (33, 1, 8)]
"""Width of the encoder, answers, length of the user vector."""


def made(width, dim, *, odd=True, shrink=4.0, seed=0):
    rng = np.random.default_rng(seed)
    return SetEncoder(
        rng.standard_normal(width), rng.standard_normal((width, dim)), odd, shrink
    )  # fmt: skip


def answers(encoder, n, seed=1):
    """Sides, targets and weights of one person."""
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((2, n, encoder.side_dim))
    return a, b, rng.integers(0, 2, n).astype(float), rng.random(n) + 0.5


def vector(encoder, a, b, target, weight):
    return encoder.encode(a, b, target, weight, np.array([0, len(a)]))[0]


@pytest.mark.parametrize("odd", [True, False])
@pytest.mark.parametrize(("width", "n", "dim"), SHAPES)
class TestEverySetEncoder:
    def test_the_order_of_answers_does_not_matter(self, odd, width, n, dim):
        encoder = made(width, dim, odd=odd)
        given, order = answers(encoder, n), np.random.default_rng(5).permutation(n)
        turned = vector(encoder, *(x[order] for x in given))
        np.testing.assert_allclose(turned, vector(encoder, *given), atol=1e-12)

    def test_answers_without_weight_are_as_if_they_were_not_there(self, odd, width, n, dim):
        encoder = made(width, dim, odd=odd)
        a, b, target, weight = answers(encoder, n)
        more = answers(encoder, 3, seed=8)
        padded = [np.concatenate([x, y]) for x, y in zip((a, b, target), more, strict=False)]
        got = vector(encoder, *padded, np.concatenate([weight, np.zeros(3)]))
        np.testing.assert_array_equal(got, vector(encoder, a, b, target, weight))

    def test_repeating_every_answer_moves_a_person_outwards_by_what_shrinking_gives_back(
        self, odd, width, n, dim
    ):
        encoder = made(width, dim, odd=odd, shrink=4.0)
        a, b, target, _ = answers(encoder, n)
        once = vector(encoder, a, b, target, np.ones(n))
        twice = vector(encoder, *(np.concatenate([x, x]) for x in (a, b, target)), np.ones(2 * n))
        np.testing.assert_allclose(twice, once * (n + 4) * 2 / (2 * n + 4), rtol=1e-10)
        plain = replace(encoder, shrink=0.0)
        again = vector(plain, *(np.concatenate([x, x]) for x in (a, b, target)), np.ones(2 * n))
        np.testing.assert_allclose(again, vector(plain, a, b, target, np.ones(n)), rtol=1e-10)

    def test_a_person_without_answers_is_zero(self, odd, width, n, dim):
        encoder = made(width, dim, odd=odd, shrink=0.0)
        nothing = np.zeros((0, encoder.side_dim))
        got = vector(encoder, nothing, nothing, np.zeros(0), np.zeros(0))
        np.testing.assert_array_equal(got, np.zeros(dim))

    def test_one_answer_at_a_time_ends_where_all_at_once_do(self, odd, width, n, dim):
        encoder = made(width, dim, odd=odd)
        a, b, target, weight = answers(encoder, n)
        pooled = encoder.empty()
        for row in range(n):
            pooled = encoder.add(pooled, a[row], b[row], target[row], weight=weight[row])
        np.testing.assert_allclose(
            encoder.read(pooled), vector(encoder, a, b, target, weight), atol=1e-10
        )
        for row in range(n - 1):
            pooled = encoder.remove(pooled, a[row], b[row], target[row], weight=weight[row])
        last = vector(encoder, a[-1:], b[-1:], target[-1:], weight[-1:])
        np.testing.assert_allclose(encoder.read(pooled), last, atol=1e-9)
        pooled = encoder.remove(pooled, a[-1], b[-1], target[-1], weight=weight[-1])
        np.testing.assert_array_equal(encoder.read(pooled), np.zeros(dim))
        assert pooled.count == 0

    def test_swapped_sides_with_flipped_answers_are_the_same_answers(self, odd, width, n, dim):
        encoder = made(width, dim, odd=odd)
        a, b, target, weight = answers(encoder, n)
        got = vector(encoder, b, a, 1 - target, weight)
        np.testing.assert_array_equal(got, vector(encoder, a, b, target, weight))


@pytest.mark.parametrize(("width", "n", "dim"), SHAPES)
def test_opposite_answers_are_the_mirror_point_of_an_odd_encoder_alone(width, n, dim):
    for odd in (True, False):
        encoder = made(width, dim, odd=odd)
        a, b, target, weight = answers(encoder, n)
        mirrored = vector(encoder, a, b, 1 - target, weight)
        assert np.array_equal(mirrored, -vector(encoder, a, b, target, weight)) == odd


def test_a_tie_pulls_an_odd_encoder_towards_nobody():
    encoder = made(16, 5)
    a, b, target, weight = answers(encoder, 6)
    tied = vector(encoder, a, b, np.r_[target[:-1], 0.5], np.ones(6))
    without = vector(encoder, a[:-1], b[:-1], target[:-1], np.ones(5))
    np.testing.assert_allclose(tied, without * (5 + 4) / (6 + 4), rtol=1e-10)
    del weight
