"""Scores that a planted sentence cannot lift: strange sentences left out, and a median."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gustibus.data.arrays import finite, texts
from gustibus.methods import method
from gustibus.robustness.audit import Score
from gustibus.robustness.fluency import LogProb, WordPairs, likelihood_ratios, ratio_threshold
from gustibus.robustness.sentences import sentences
from gustibus.types import F64


@method(
    "OPS",
    source="This project's, after ablation defences such as Robey et al. 2023, SmoothLLM",
    purpose="Median score of a response with each of its sentences left out in turn",
    check="tests/methods/test_robustness_defences.py::"
    "test_the_median_over_left_out_sentences_worked_by_hand",
    example="ops.drop_one_median(score=lambda p, r: [len(t) for t in r], prompt='', "
    "responses=['One. Three words here. Two.'])",
)
def drop_one_median(score: Score, prompt: str, responses: Sequence[str]) -> F64:
    """`(n,)` median over sentences of the score without that sentence; of one sentence, its score.

    All shortened responses of a prompt are scored in one call.
    """
    variants: list[str] = []
    starts = [0]
    for response in texts("responses", responses):
        parts = sentences(response)
        shorter = [" ".join(parts[:i] + parts[i + 1 :]) for i in range(len(parts))]
        variants += shorter if len(parts) > 1 else [response]
        starts.append(len(variants))
    scores = finite("score", score(prompt, variants))
    return np.array([np.median(scores[a:b]) for a, b in pairwise(starts)])


def without_strange_sentences(text: str, logp: LogProb, threshold: float) -> str:
    """The text less the sentences whose ratio exceeds the threshold; unchanged where none does.

    One sentence always stays: the least strange.
    """
    ratios = likelihood_ratios(text, logp)
    strange = ratios > threshold
    if not strange.any():
        return text
    strange[int(np.argmin(ratios))] = False
    return " ".join(part for part, out in zip(sentences(text), strange, strict=True) if not out)


@dataclass(frozen=True, slots=True)
class Defended:
    """A scorer that does not see strange sentences; called like the one it wraps.

    Attributes:
        score: the bare scorer.
        logp: mean log-probability per word of a text.
        threshold: from which a sentence is left out, in nats a word.
        median: whether to take `drop_one_median` of what is left, too. That costs accuracy and holds
            back a single sentence only where few others raise the score.
    """

    score: Score
    logp: LogProb
    threshold: float
    median: bool = False

    @classmethod
    def on(
        cls, score: Score, clean: Sequence[str], *, keep: float = 0.99, median: bool = False
    ) -> Defended:
        """Fit the model of word pairs and the threshold on clean responses.

        Args:
            score: the bare scorer.
            clean: responses that nobody tampered with.
            keep: share of their sentences that stay.
            median: as above.
        """
        logp = WordPairs.fit(clean)
        return cls(score, logp, ratio_threshold(clean, logp, keep=keep), median)

    def __call__(self, prompt: str, responses: Sequence[str]) -> F64:
        """`(n,)` rewards."""
        kept = [without_strange_sentences(r, self.logp, self.threshold) for r in responses]
        if self.median:
            return drop_one_median(self.score, prompt, kept)
        return finite("score", self.score(prompt, kept))
