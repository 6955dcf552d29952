"""A small language model of clean texts, and the flag on spans that it finds unlikely.

Source: Alon and Kamfonas 2023, "Detecting Language Model Attacks with Perplexity", arXiv 2308.14132,
with a model of word pairs in the place of a large one; any function of the same form will do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gustibus.data.arrays import number
from gustibus.errors import InputError
from gustibus.methods import method
from gustibus.robustness.sentences import sentences, words
from gustibus.types import F64

LogProb = Callable[[str], float]
"""Mean log-probability per word of a text, in nats."""
_START, _RARE = "\0", "\1"


@dataclass(frozen=True, slots=True)
class WordPairs:
    """Interpolated Witten-Bell model of words given the word before.

    Words that few texts have are one word to it, so that what is strange is how a sentence is built
    and not what it is about.
    """

    common: frozenset[str]
    single: Counter[str]
    pairs: Counter[tuple[str, str]]
    before: Counter[str]
    """How often a word is followed by another."""
    kinds: Counter[str]
    """By how many different words it is followed."""

    @classmethod
    def fit(cls, texts: Iterable[str], *, common: float = 0.05) -> WordPairs:
        """Count the words of clean texts, sentence by sentence.

        Args:
            texts: that nobody tampered with.
            common: share of the texts from which on a word has a place of its own.

        Raises:
            InputError: there are no words.
        """
        listed = [[words(part) for part in sentences(text)] for text in texts]
        holding = Counter(w for text in listed for w in {w for part in text for w in part})
        if not holding:
            message = "texts: expected at least one word, got none"
            raise InputError(message, where="texts")
        least = number("common", common, low=0, high=1) * len(listed)
        known = frozenset(word for word, times in holding.items() if times >= least)
        single: Counter[str] = Counter()
        pairs: Counter[tuple[str, str]] = Counter()
        for text in listed:
            for part in text:
                said = [word if word in known else _RARE for word in part]
                single.update(said)
                pairs.update(pairwise([_START, *said]))
        before: Counter[str] = Counter()
        kinds: Counter[str] = Counter()
        for (first, _), times in pairs.items():
            before[first] += times
            kinds[first] += 1
        return cls(known, single, pairs, before, kinds)

    def __call__(self, text: str) -> float:
        """Mean log-probability per word; that of a word never seen for a text without any."""
        floor = 1 / (self.single.total() + len(self.single) + 1)
        found = []
        for part in sentences(text):
            said = [word if word in self.common else _RARE for word in words(part)]
            for first, word in pairwise([_START, *said]):
                alone = (self.single[word] + 1) * floor
                seen, kinds = self.before[first], self.kinds[first]
                p = (self.pairs[first, word] + kinds * alone) / (seen + kinds) if seen else alone
                found.append(np.log(p))
        return float(np.mean(found)) if found else float(np.log(floor))


@method(
    "OPS",
    source="Alon and Kamfonas 2023, Detecting Language Model Attacks with Perplexity; ratio as defined here",
    purpose="How much less likely than its surroundings each sentence of a text is",
    check="tests/methods/test_robustness_defences.py::test_a_strange_sentence_stands_out",
    example="ops.likelihood_ratios(text='It rained. Xq zv. We left.', "
    "logp=lambda t: -9.0 if 'Xq' in t else -2.0)",
)
def likelihood_ratios(text: str, logp: LogProb) -> F64:
    """`(s,)` mean log-probability per word of the other sentences, less that of each sentence.

    Above 0 a sentence is stranger than the rest; the first is the prefix. A text of one sentence has
    nothing to be compared with and gives 0.
    """
    parts = sentences(text)
    if len(parts) < 2:
        return np.zeros(len(parts))
    own = np.array([logp(part) for part in parts])
    size = np.array([max(len(words(part)), 1) for part in parts])
    total = own * size
    return np.asarray((total.sum() - total) / (size.sum() - size) - own, np.float64)


def ratio_threshold(texts: Sequence[str], logp: LogProb, *, keep: float = 0.99) -> float:
    """The ratio that a share `keep` of the sentences of clean texts does not exceed."""
    ratios = [likelihood_ratios(text, logp) for text in texts]
    found = np.concatenate(ratios) if ratios else np.zeros(0)
    if not len(found):
        message = "texts: expected at least one sentence, got none"
        raise InputError(message, where="texts")
    return float(np.quantile(found, number("keep", keep, low=0, high=1)))


def flagged_prefix(text: str, logp: LogProb, threshold: float) -> bool:
    """Whether the first sentence is stranger, by more than `threshold` nats a word, than the rest."""
    ratios = likelihood_ratios(text, logp)
    return bool(len(ratios) and ratios[0] > threshold)
