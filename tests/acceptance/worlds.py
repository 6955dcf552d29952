"""What the acceptance tests share: training rows of a world, and accuracy of placed people."""

from __future__ import annotations

import numpy as np

from gustibus.data import Dataset, nested_shots
from gustibus.models.base import PreferenceModel, TrainingSet
from gustibus.training.sets import people_rows, training_set


def rows_of(dataset: Dataset, *parts: str) -> np.ndarray:
    return np.flatnonzero(np.isin(dataset.comparisons.split, parts))


def fitting(dataset: Dataset) -> TrainingSet:
    return training_set(dataset, rows_of(dataset, "train"))[0]


class Judge:
    """Accuracy on the rows of a part, for people placed by rows of another."""

    def __init__(self, dataset: Dataset, model: PreferenceModel) -> None:
        self.dataset, self.model = dataset, model

    def representations(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        c, items = self.dataset.comparisons, self.dataset.item_features
        prompts = None
        if self.model.prompt_dim:
            prompts = self.dataset.prompt_features[c.prompt[rows]]
        return (
            self.model.represent(items[c.a[rows]], prompts),
            self.model.represent(items[c.b[rows]], prompts),
        )

    def accuracy(self, users: np.ndarray, rows: np.ndarray) -> float:
        """Of `(p, u)` user vectors, one for every person of the data."""
        c = self.dataset.comparisons
        margin = self.model.margin(users[c.user[rows]], *self.representations(rows))
        return float(((margin > 0) == (c.target[rows] > 0.5)).mean())

    def placed(self, rows: np.ndarray, starts: np.ndarray) -> np.ndarray:
        a, b = self.representations(rows)
        target = self.dataset.comparisons.target[rows].astype(float)
        return self.model.place(a, b, target, starts=starts, covariance=False).mean

    def seen(self, *parts: str) -> float:
        """Of seen people placed by their training rows."""
        view, people, starts = people_rows(self.dataset, rows_of(self.dataset, "train"))
        del view
        rows = rows_of(self.dataset, "train")
        rows = rows[np.argsort(self.dataset.comparisons.user[rows], kind="stable")]
        users = np.zeros((len(self.dataset.comparisons.user_ids), self.model.user_dim))
        users[people] = self.placed(rows, starts)
        return self.accuracy(users, rows_of(self.dataset, *(parts or ("test",))))

    def new(self, shots: list[int], *, draws: int = 3, place=None) -> list[float]:
        """Of new people after each number of shots, on all that they answered otherwise."""
        c = self.dataset.comparisons
        order, starts = c.rows_of_people(rows_of(self.dataset, "support"))
        drawn = nested_shots(order, starts, sizes=shots, draws=draws, seed=1)
        query = rows_of(self.dataset, "query")
        return [
            float(np.mean([
                self.accuracy((place or self.placed)(*drawn.take(draw, size)), query)
                for draw in range(draws)
            ]))
            for size in shots
        ]  # fmt: skip
