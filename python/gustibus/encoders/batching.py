"""Texts of many callers encoded together: one queue, one owner of the device.

Three steps overlap: while the device computes a batch, the tokens of the next are made ready and the
vectors of the one before are handed out. Nothing waits for company, unless it is told to: what is there
when the device is free makes up its next batches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Condition, Thread
from time import perf_counter
from typing import Any, Final, Protocol

import numpy as np

from gustibus.encoders.base import Encoder, checked_texts
from gustibus.errors import ConfigError, OverloadedError
from gustibus.types import F32

MOST_DELAY_MS: Final = 2.0
"""Most that texts may wait for company; the service's setting has the same bound."""
_AHEAD = 4  # batches among which waiting texts are sorted by length

SINCE: ContextVar[float | None] = ContextVar("since", default=None)
"""When the texts at hand came, on the clock of `perf_counter`; None for when they are handed over."""

Tokens = list[int]


class StagedEncoder(Encoder, Protocol):
    """An encoder whose work comes in three steps, each for a thread of its own."""

    def prepare(self, texts: Sequence[str]) -> list[Tokens]:
        """Token ids of each text, at least one."""

    def compute(self, rows: Sequence[Tokens]) -> Any:
        """Begin with a batch, and come back without waiting for the device."""

    def finish(self, begun: Any) -> F32:
        """`(n, dim)` vectors of what was begun, once the device has them."""

    def fits(self, texts: Sequence[str], most: int) -> bool:
        """Whether no more than `most` tokens are read of texts."""


@dataclass(slots=True, eq=False)
class _Asked:
    """Texts of one caller."""

    texts: list[str]
    out: F32
    left: int
    since: float
    begun: bool = False
    done: Future[F32] = field(default_factory=Future)

    def give(self, row: int, vector: F32) -> None:
        self.out[row] = vector
        self.left -= 1
        if not self.left and not self.done.done():
            self.done.set_result(self.out)

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


_Row = tuple[Tokens, _Asked, int]


class BatchingEncoder:
    """An encoder shared by threads, which encodes together what waits together.

    Args:
        encoder: whose steps are run; `prepare` in one thread, the others in another.
        tokens: padded tokens of a batch; one longer text is a batch of its own.
        texts: most texts of a batch.
        tell: is told of each batch that begins, in the thread of the device: tokens of its texts, and
            for callers of whom these are the first, when they came, on the clock of `perf_counter`.
        max_delay_ms: milliseconds, 0 to 2, that a text may wait for others while the device has nothing to
            do; a full batch waits for nobody. Of use where the device takes as long for one text as for many.

    Raises:
        ConfigError: the delay is out of range.
    """

    def __init__(
        self, encoder: StagedEncoder, *, tokens: int = 16_384, texts: int = 256,
        tell: Callable[[Sequence[int], Sequence[float]], None] | None = None,
        max_delay_ms: float = 0.0,
    ) -> None:  # fmt: skip
        if not 0.0 <= max_delay_ms <= MOST_DELAY_MS:
            message = f"max_delay_ms: expected 0 to {MOST_DELAY_MS:g}, got {max_delay_ms!r}"
            raise ConfigError(message, where="max_delay_ms")
        self.encoder = encoder
        self._tell = tell
        self.name = encoder.name
        self.options: Mapping[str, Any] = encoder.options
        self.dim = encoder.dim
        self.fingerprint = encoder.fingerprint
        self._tokens, self._texts = tokens, texts
        self._delay = max_delay_ms / 1000.0
        self._changed = Condition()
        self._asked: deque[_Asked] = deque()
        self._rows: deque[_Row] = deque()
        self._cut: deque[list[_Row]] = deque()
        self._closed = False
        self._prepared = False  # whether nothing more will be made ready
        self._threads = [
            Thread(target=work, name=name, daemon=True)
            for name, work in (("tokens", self._prepare), ("device", self._compute))
        ]
        for thread in self._threads:
            thread.start()

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> F32:
        """`(n, dim)`; see `Encoder.encode`. Waits until the texts have had their turn.

        Raises:
            OverloadedError: it has been closed.
        """
        del progress
        found = checked_texts(texts)
        since = SINCE.get() or perf_counter()
        asked = _Asked(found, np.empty((len(found), self.dim), np.float32), len(found), since)
        if not found:
            return asked.out
        with self._changed:
            if self._closed:
                message = "the encoder has been closed"
                raise OverloadedError(message)
            self._asked.append(asked)
            self._changed.notify_all()
        return asked.done.result()

    def fits(self, texts: Sequence[str], most: int) -> bool:
        """Whether no more than `most` tokens are read of texts; answered at once, in the caller's thread."""
        return self.encoder.fits(texts, most)

    def close(self) -> None:
        """Take no more texts, and end when those that wait are encoded."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _prepare(self) -> None:
        """Tokens of what callers have brought, for the other thread."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._asked or self._closed)
                if not self._asked:
                    self._prepared = True
                    self._changed.notify_all()
                    return
                taken = [self._asked.popleft()]
                count = len(taken[0].texts)
                while self._asked and count + len(self._asked[0].texts) <= self._texts:
                    taken.append(self._asked.popleft())
                    count += len(taken[-1].texts)
            try:
                rows = self.encoder.prepare([text for asked in taken for text in asked.texts])
            except Exception as error:
                for asked in taken:
                    asked.fail(error)
                continue
            whose = [(asked, row) for asked in taken for row in range(len(asked.texts))]
            with self._changed:
                self._rows.extend((row, *who) for row, who in zip(rows, whose, strict=True))
                self._changed.notify_all()

    def _compute(self) -> None:
        """Batch after batch; the vectors of one are fetched when the next has begun."""
        before: tuple[list[_Row], Any] | None = None
        while True:
            batch = self._next(wait=before is None)
            begun = None
            if batch:
                self._note(batch)
                try:
                    begun = batch, self.encoder.compute([row for row, _, _ in batch])
                except Exception as error:
                    _fail(batch, error)
            elif before is None:
                return
            if before is not None:
                self._give(*before)
            before = begun

    def _note(self, batch: list[_Row]) -> None:
        if self._tell is None:
            return
        came = []
        for _, asked, _ in batch:
            if not asked.begun:
                asked.begun = True
                came.append(asked.since)
        self._tell([len(row) for row, _, _ in batch], came)

    def _next(self, *, wait: bool) -> list[_Row]:
        """The next batch; empty where there is none yet, or after the last."""
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._cut or self._rows or self._prepared)
                self._gather()
            if not self._cut:
                self._cut.extend(self._batches())
            return self._cut.popleft() if self._cut else []

    def _gather(self) -> None:
        """Wait for company, while the device has nothing to do: till there is a batch, or for the delay."""
        while self._delay and self._rows and not self._cut and not self._closed:
            left = self._rows[0][1].since + self._delay - perf_counter()
            full = len(self._rows) >= self._texts
            if left <= 0.0 or full or sum(len(row) for row, _, _ in self._rows) >= self._tokens:
                return
            self._changed.wait(left)

    def _batches(self) -> Iterator[list[_Row]]:
        """Those that have waited longest, sorted by length and cut."""
        taken: list[_Row] = []
        size = 0
        while self._rows and len(taken) < _AHEAD * self._texts:
            size += len(self._rows[0][0])
            if taken and size > _AHEAD * self._tokens:
                break
            taken.append(self._rows.popleft())
        lengths = [len(row) for row, _, _ in taken]
        for batch in batches(lengths, self._tokens, self._texts):
            yield [taken[place] for place in batch]

    def _give(self, batch: list[_Row], begun: Any) -> None:
        try:
            vectors = self.encoder.finish(begun)
        except Exception as error:
            _fail(batch, error)
            return
        for (_, asked, place), vector in zip(batch, vectors, strict=True):
            asked.give(place, vector)


def _fail(batch: list[_Row], error: Exception) -> None:
    for _, asked, _ in batch:
        asked.fail(error)


def batches(lengths: Sequence[int], tokens: int, texts: int | None = None) -> Iterator[list[int]]:
    """Rows from long to short, in batches of at most so many padded tokens and so many texts."""
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    batch: list[int] = []
    for row in order:
        full = len(batch) == texts or (batch and lengths[batch[0]] * (len(batch) + 1) > tokens)
        if full:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
