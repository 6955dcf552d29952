"""New people by the key that brought them: many who are nearly the same person are hardly people."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

import numpy as np

from gustibus.types import F32, F64

CROWD = 20
"""Near-identical new people of one key from which each of them is a sign of the others."""
_ANSWERS = 8  # before which people who were asked the same are bound to look alike
_NEAR = 0.05  # of the population's standard deviation, on average over the directions
_MOST = 1000  # people of a key, and keys, that are kept; the oldest go first
_AGE = 86_400.0  # seconds for which somebody is new


class _Newcomer(NamedTuple):
    since: float
    place: F32 | None
    """`(u,)` where the population has unit variance; None until they have answered enough."""
    crowded: bool = False


class Newcomers:
    """Who came with which key, and where their answers put them; of this process alone, and bounded.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._by_key: OrderedDict[str, OrderedDict[str, _Newcomer]] = OrderedDict()
        self._key_of: dict[str, str] = {}

    def meet(self, key: str, user: str) -> None:
        """Note that a key has brought somebody whom nobody knew."""
        mine = self._by_key.setdefault(key, OrderedDict())
        self._by_key.move_to_end(key)
        mine[user] = _Newcomer(self._clock(), None)
        self._key_of[user] = key
        if len(mine) > _MOST:
            self._forget(next(iter(mine)))
        if len(self._by_key) > _MOST:
            for oldest in list(next(iter(self._by_key.values()))):
                self._forget(oldest)

    def knows(self, user: str) -> bool:
        """Whether somebody is new."""
        return user in self._key_of

    def place(self, user: str, place: F64, answers: int) -> tuple[bool, list[str]]:
        """Put somebody where their answers do, and say whether a crowd of their key is there.

        Args:
            user: who may be new.
            place: `(u,)` in the population's standard deviations.
            answers: that it rests on.

        Returns:
            Whether there is one, and who of it was placed before it was.
        """
        key = self._key_of.get(user)
        if key is None:
            return False, []
        mine = self._by_key[key]
        here = mine[user]
        if self._clock() - here.since > _AGE:
            self._forget(user)
            return False, []
        if answers < _ANSWERS or len(place) == 0:
            return False, []
        now = place.astype(np.float32)
        mine[user] = here._replace(place=now)
        young = self._clock() - _AGE
        others = [
            (name, one.place) for name, one in mine.items()
            if name != user and one.place is not None and one.since >= young
        ]  # fmt: skip
        if len(others) < CROWD - 1:
            return False, []
        away = np.stack([there for _, there in others]) - now
        near = np.sqrt((away**2).mean(axis=1)) <= _NEAR
        crowd = [name for (name, _), is_near in zip(others, near.tolist(), strict=True) if is_near]
        if len(crowd) < CROWD - 1:
            return False, []
        before = [name for name in crowd if not mine[name].crowded]
        for name in (*before, user):
            mine[name] = mine[name]._replace(crowded=True)
        return True, before

    def drop(self, user: str) -> None:
        """Forget somebody."""
        if user in self._key_of:
            self._forget(user)

    def _forget(self, user: str) -> None:
        key = self._key_of.pop(user)
        mine = self._by_key[key]
        del mine[user]
        if not mine:
            del self._by_key[key]
