"""Words of a text and how much each says, by fixed rules.

Source: Salton and Buckley 1988, term weighting: frequency times inverse document frequency.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
FUNCTION_WORDS = frozenset(
    """
    a about after all also am an and any are as at be because been before being both but by can could
    did do does each either for from had has have having he her here him his how i if in into is it its
    just may me might more most must my no nor not of on one only or other our out over own same shall
    she should so some such than that the their them then there these they this those through to too
    under until up us very was we were what when where which while who whom why will with would you your
    """.split()  # noqa: SIM905 - a list of as many strings reads worse
)
"""Words that carry a sentence and not its content."""


def words(text: str) -> list[str]:
    """The words of a text in lower case, in order."""
    return [word.lower() for word in WORD.findall(text)]


def content_words(text: str) -> list[str]:
    """The different words of a text that are not function words, in order of appearance."""
    return list(dict.fromkeys(word for word in words(text) if word not in FUNCTION_WORDS))


class Rarity:
    """Inverse document frequencies `log((1 + n) / (1 + n_w)) + 1` of a collection of texts."""

    def __init__(self, texts: Iterable[str]) -> None:
        listed = list(texts)
        self.texts = len(listed)
        self.holding = Counter(word for text in listed for word in set(words(text)))

    def __call__(self, word: str) -> float:
        """The weight of a word; highest for one that no text has."""
        return math.log((1 + self.texts) / (1 + self.holding[word])) + 1

    def ranked(self, text: str) -> list[str]:
        """The content words of a text by falling frequency times rarity, ties by the alphabet."""
        times = Counter(words(text))
        return sorted(content_words(text), key=lambda word: (-times[word] * self(word), word))
