"""S5: 300 people of rank 6 with forty noisy answers each, and a hundred new ones from few answers."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from gustibus.models import MODELS
from gustibus.models.base import PreferenceModel, TrainingSet

PPD, BT = MODELS["ppd"].run, MODELS["bt"].run
DIM, RANK, SHOTS = 48, 6, (0, 2, 4, 8, 16, 32, 64)
RECIPE = {"decays": [0.01], "equalise": 0.0, "spreads": [1.5], "ranks": [8]}
"""Nothing chosen on held-out people."""
TABLE = (0.621, 0.682, 0.717, 0.777, 0.831, 0.876, 0.905)
"""Published accuracy of the posterior in the odd encoder's basis."""


class World:
    """Training people, and new people's support and query answers with the noise-free signs."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.shared = self.rng.standard_normal(DIM) / np.sqrt(DIM)
        self.apart = self.rng.standard_normal((DIM, RANK)) / np.sqrt(DIM)
        self.train = self.training(*self.answers(self.people(300), 40)[:2])
        new = self.people(100)
        self.support, self.label, _ = self.answers(new, max(SHOTS))
        self.query, _, self.truth = self.answers(new, 40)

    def people(self, count: int) -> np.ndarray:
        return self.shared + self.rng.standard_normal((count, RANK)) @ self.apart.T

    def answers(self, people, count):
        """Items `(2, p, n, d)`, noisy answers and noise-free signs `(p, n)`."""
        items = self.rng.standard_normal((2, len(people), count, DIM)).astype(np.float32)
        z = np.einsum("pnd,pd->pn", items[0] - items[1], people)
        label = self.rng.random(z.shape) < 1 / (1 + np.exp(-1.5 * z))
        return items, label.astype(float), z > 0

    def training(self, items, label) -> TrainingSet:
        people, count = label.shape
        n = people * count
        return TrainingSet(
            user=np.repeat(np.arange(people, dtype=np.int32), count),
            prompt=np.zeros(n, np.int32), a=np.arange(n, dtype=np.int32),
            b=np.arange(n, 2 * n, dtype=np.int32), target=label.ravel().astype(np.float32),
            weight=np.ones(n, np.float32), item_features=items.reshape(-1, DIM),
            prompt_features=None, people=people,
        )  # fmt: skip

    def curve(self, model: PreferenceModel, shots=SHOTS, *, draws=3, label=None) -> np.ndarray:
        """Accuracy on query answers after each number of support answers, the same queries each."""
        label = self.label if label is None else label
        people, most = label.shape
        sides = [model.represent(side.reshape(-1, DIM)) for side in self.support]
        a, b = (side.reshape(people, most, -1) for side in sides)
        query = [
            model.represent(side.reshape(-1, DIM)).reshape(people, 40, -1) for side in self.query
        ]
        total = np.zeros(len(shots))
        for draw in range(draws):
            order = np.random.default_rng(draw).permutation(most)
            for position, n in enumerate(shots):
                rows = order[:n]
                placed = model.place(
                    *(side[:, rows].reshape(people * n, side.shape[2]) for side in (a, b)),
                    label[:, rows].ravel(), starts=np.arange(people + 1) * n, covariance=False,
                )  # fmt: skip
                margin = model.margin(np.repeat(placed.mean[:, None], 40, 1), *query)
                total[position] += ((margin > 0) == self.truth).mean() / draws
        return total

    def shuffled(self) -> np.ndarray:
        """Answers of new people, each person's in random order: they say nothing."""
        return np.random.default_rng(7).permuted(self.label, axis=1)


FORMS = {
    "map": {},
    "odd": {"refine": "encoder"},
    "plain": {"refine": "encoder", "odd": False},
    "particles": {"refine": "particles"},
    "attention": {"head": "cross_attention", "decays": [1.0], "steps": 450},
}


def fitted(worlds, form, **options):
    recipe = {**RECIPE, **FORMS[form], **options}
    return [PPD.fit(world.train, None, seed=0, **recipe).model for world in worlds]


def mean_curve(worlds, models, **options):
    curves = [w.curve(m, **options) for w, m in zip(worlds, models, strict=True)]
    return np.mean(curves, axis=0)


@pytest.fixture(scope="module")
def worlds() -> list[World]:
    return [World(0), World(1)]


@pytest.fixture(scope="module")
def pooled(worlds) -> float:
    models = [BT.fit(world.train, None, seed=0).model for world in worlds]
    return float(mean_curve(worlds, models, shots=(0,), draws=1)[0])


@pytest.fixture(scope="module")
def curves(worlds):
    """Of a form, with half the episodes: accuracy, and accuracy after answers in random order."""

    @cache
    def of(form):
        models = fitted(worlds, form, steps=450)
        pairs = list(zip(worlds, models, strict=True))
        noise = [world.curve(model, label=world.shuffled()) for world, model in pairs]
        return mean_curve(worlds, models), np.mean(noise, axis=0)

    return of


def test_s5_an_odd_encoder_is_ahead_of_a_plain_one_after_every_number_of_answers(curves):
    odd, plain = curves("odd")[0], curves("plain")[0]
    assert (odd[1:] > plain[1:]).all(), (odd, plain)


def test_s5_the_posterior_in_the_learned_basis_is_as_published(curves):
    accuracy = curves("map")[0]
    assert accuracy[SHOTS.index(32)] >= 0.86
    np.testing.assert_allclose(accuracy, TABLE, atol=0.03)


def test_s5_the_posterior_takes_over_from_the_encoder_with_more_answers(curves):
    late = SHOTS.index(8)
    assert (curves("map")[0][late:] > curves("odd")[0][late:] + 0.01).all()


@pytest.mark.parametrize("form", ["map", "odd", "plain"])
def test_s5_without_answers_nobody_is_worse_off_than_with_the_pooled_reward(curves, pooled, form):
    assert curves(form)[0][0] > pooled - 0.01


def test_s5_answers_in_random_order_leave_the_pooled_reward(curves, pooled):
    noise = curves("map")[1]
    assert (np.abs(noise - pooled) <= 0.033).all(), (noise, pooled)  # 3 points, and 200 people
    assert abs(curves("odd")[1][-1] - pooled) <= 0.03  # few of them mislead an encoder more


@pytest.mark.slow
def test_s5_every_form_after_all_episodes(worlds, pooled):
    table = {form: mean_curve(worlds, fitted(worlds, form)) for form in FORMS}
    few, many = SHOTS.index(2), SHOTS.index(32)
    np.testing.assert_allclose(table["map"], TABLE, atol=0.03)
    assert (table["odd"][1:] > table["plain"][1:]).all()
    assert table["particles"][few] > pooled + 0.05
    assert table["particles"][many] > 0.82
    assert table["attention"][many] < table["odd"][many]  # the literal head learns least
