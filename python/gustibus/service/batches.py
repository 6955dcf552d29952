"""What an encoder does: how large its batches are, and how long texts wait for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import perf_counter

from prometheus_client.core import Metric

from gustibus.service.instruments import BOUNDS, Histogram

_SIZES = [2.0**i for i in range(9)]
_TOKENS = [2.0**i for i in range(4, 16)]
_SHARES = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


class Batches:
    """Batches of encoders, by backend: the name of an encoder of this process, or `remote`."""

    def __init__(self) -> None:
        def of(name: str, text: str, bounds: Sequence[float]) -> Histogram:
            return Histogram(f"encoder_{name}", text, bounds, labels=["backend"])

        self._sizes = of("batch_size", "Texts of a batch.", _SIZES)
        self._tokens = of(
            "batch_tokens", "Tokens of a batch; of a remote one, characters by four.", _TOKENS
        )
        self._padding = of("padding_ratio", "Share of a batch that is padding.", _SHARES)
        self._waits = of("queue_wait_seconds", "Until texts are in their first batch.", BOUNDS)

    def begun(self, backend: str, tokens: Sequence[int], *, padded: int = 0) -> None:
        """One batch.

        Args:
            backend: what encodes it.
            tokens: of each text.
            padded: tokens that are computed, padding included; 0 where nobody knows.
        """
        self._sizes.observe(len(tokens), backend)
        self._tokens.observe(sum(tokens), backend)
        if padded:
            self._padding.observe(1 - sum(tokens) / padded, backend)

    def waited(self, backend: str, since: float) -> None:
        """Texts that came at `since`, on the clock of `perf_counter`, are being encoded now."""
        self._waits.observe(perf_counter() - since, backend)

    def families(self) -> Iterator[Metric]:
        """What there is to show."""
        for one in (self._sizes, self._tokens, self._padding, self._waits):
            yield one.family()
