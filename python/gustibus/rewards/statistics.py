"""Count, mean, variance and range of rewards, gathered in pieces and merged in any order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gustibus.errors import InputError
from gustibus.rewards.arrays import arrays, is_tensor


@dataclass(frozen=True, slots=True)
class Statistics:
    """What is kept of rewards that have gone by.

    Examples:
        >>> seen = Statistics.of([1.0, 2.0]).merge(Statistics.of([6.0]))
        >>> seen.count, seen.mean, seen.low, seen.high
        (3, 3.0, 1.0, 6.0)
    """

    count: int
    mean: float
    squares: float
    """Sum of squared distances from the mean."""
    low: float
    high: float

    @classmethod
    def of(cls, rewards: Any) -> Statistics:
        """Of an array or tensor of any shape.

        Raises:
            InputError: it is empty.
            NotFiniteError: it holds NaN or infinity.
        """
        if is_tensor(rewards):
            rewards = rewards.detach().cpu().double().numpy()
        _, values = arrays(rewards=rewards)
        if not values.size:
            message = "rewards: expected at least one, got none"
            raise InputError(message, where="rewards")
        mean = float(values.mean())
        squares = float(((values - mean) ** 2).sum())
        return cls(values.size, mean, squares, float(values.min()), float(values.max()))

    def merge(self, other: Statistics) -> Statistics:
        """Of both together.

        Source: Chan, Golub and LeVeque 1983, the pairwise update of mean and squares.
        """
        count = self.count + other.count
        apart = other.mean - self.mean
        share = other.count / count
        return Statistics(
            count,
            self.mean + apart * share,
            self.squares + other.squares + apart**2 * share * self.count,
            min(self.low, other.low),
            max(self.high, other.high),
        )

    @property
    def std(self) -> float:
        """Standard deviation of the population of rewards seen."""
        return float(np.sqrt(self.squares / self.count))

    def save(self) -> dict[str, float]:
        """JSON values that `load` reads."""
        return asdict(self)

    @classmethod
    def load(cls, saved: Mapping[str, Any]) -> Statistics:
        """What `save` gave.

        Raises:
            InputError: a number is missing or impossible.
        """
        try:
            found = cls(int(saved["count"]), *(float(saved[name]) for name in cls.__slots__[1:]))
        except (KeyError, TypeError, ValueError) as error:
            message = f"statistics: expected {', '.join(cls.__slots__)}, got {error!r}"
            raise InputError(message, where="statistics") from None
        numbers = np.array([found.mean, found.squares, found.low, found.high])
        sound = found.count > 0 and np.isfinite(numbers).all() and found.squares >= 0
        if not sound or not found.low <= found.high:
            message = f"statistics: expected those of at least one finite reward, got {found}"
            raise InputError(message, where="statistics")
        return found
