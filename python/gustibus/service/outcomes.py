"""What comes out of onboarding sessions: how many questions they take, and what those tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.core import Metric

from gustibus.service.instruments import Histogram

_QUESTIONS = [1, 2, 3, 4, 6, 8, 10, 12, 15, 20, 30, 50, 100]
_NATS = [0.1, 0.25, 0.5, 1, 1.5, 2, 3, 4, 6, 8, 12]
_CONFIDENCE = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
_SECONDS = [0.3, 0.6, 1, 2, 3, 5, 8, 13, 20, 30, 60, 120, 300]


class Outcomes:
    """Sessions that ended here and answers that were taken here, by strategy."""

    def __init__(self) -> None:
        def of(name: str, text: str, bounds: Sequence[float]) -> Histogram:
            return Histogram(f"onboarding_{name}", text, bounds, labels=["strategy"])

        self._questions = of("questions", "Answers of a session that ended.", _QUESTIONS)
        self._nats = of("info_nats", "Known of a person when a session ended.", _NATS)
        self._confidence = of("confidence", "Expected accuracy then.", _CONFIDENCE)
        self._seconds = of("answer_seconds", "Time for an answer, as the page tells it.", _SECONDS)

    def answered(self, strategy: str, milliseconds: int | None) -> None:
        """One answer; None where nobody says how long it took."""
        if milliseconds is not None:
            self._seconds.observe(milliseconds / 1e3, strategy)

    def ended(self, strategy: str, *, answers: int, nats: float, confidence: float) -> None:
        """One session."""
        self._questions.observe(answers, strategy)
        self._nats.observe(nats, strategy)
        self._confidence.observe(confidence, strategy)

    def families(self) -> Iterator[Metric]:
        """What there is to show."""
        for one in (self._questions, self._nats, self._confidence, self._seconds):
            yield one.family()
