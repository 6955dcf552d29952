"""S5: 300 people of rank 6 with forty noisy answers each, and a hundred new ones from few answers."""

from __future__ import annotations

import numpy as np
import pytest

from gustibus.models import MODELS
from gustibus.models.base import PreferenceModel, TrainingSet

PPD, BT = MODELS["ppd"].run, MODELS["bt"].run
DIM, RANK, SHOTS = 48, 6, (0, 2, 4, 8, 16, 32, 64)
SPEC = {"decays": [0.01], "equalise": 0.0, "spreads": [1.5], "ranks": [8]}
"""The published recipe, nothing chosen on held-out people."""


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
