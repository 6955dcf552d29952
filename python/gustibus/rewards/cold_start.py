"""Rewards for tenants without a single label: relevance, length and variety, prompt by prompt.

`relevance_reward` says what a response is worth once it is known how relevant it is and whether its
prompt is open-ended. Here both come from an encoder: relevance from the vectors of tokens, the type of
the prompt from a small classifier.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gustibus.data.arrays import flags, number, same_length
from gustibus.errors import InputError
from gustibus.rewards.arrays import arrays
from gustibus.rewards.logistic import fit_weights
from gustibus.rewards.relevance import count_words, relevance_of, relevance_reward
from gustibus.types import F64

Encode = Callable[[list[str]], Any]
"""From texts to vectors `(n, d)`."""
Tokens = Callable[[str], Any]
"""From a text to the vectors of its tokens, `(t, d)`."""


@dataclass(frozen=True, slots=True)
class PromptTypes:
    """Which prompts are open-ended: many different answers are right."""

    encode: Encode
    weights: F64
    """`(d + 1,)`, the last one for every prompt alike."""

    def probability(self, prompts: Sequence[str]) -> F64:
        """`(n,)` chance that each prompt is open-ended."""
        return np.asarray(1 / (1 + np.exp(-_features(self.encode, prompts) @ self.weights)))

    def __call__(self, prompt: str) -> bool:
        """Whether a prompt is rather open-ended than not."""
        return bool(self.probability([prompt])[0] > 0.5)


def fit_prompt_types(
    encode: Encode, prompts: Sequence[str], open_ended: Any, *, ridge: float = 0.1
) -> PromptTypes:
    """A classifier of prompts, learned from some whose type is known; the two types count alike.

    Args:
        encode: texts to vectors, such as the `encode` of an encoder.
        prompts: `n` texts, of both types.
        open_ended: `(n,)` whether each is.
        ridge: on the weights, above 0.

    Raises:
        InputError: lengths differ, or there is one type alone.
    """
    pull = number("ridge", ridge, low=0, open_ends="(")
    told = flags("open_ended", open_ended)
    same_length(prompts=prompts, open_ended=told)
    if told.all() or not told.any():
        message = "open_ended: expected prompts of both types, got one type alone"
        raise InputError(message, where="open_ended")
    x, rows = _features(encode, prompts), len(told)
    weight = np.where(told, rows / told.sum(), rows / (~told).sum()) / 2
    return PromptTypes(encode, fit_weights(x, told.astype(np.float64), pull, weight))


@dataclass(frozen=True, slots=True)
class RelevanceReward:
    """Rewards of responses to a prompt, called as other scorers are: `(prompt, responses)`.

    Attributes:
        tokens: vectors of the tokens of a text; an inner product of their means is the relevance.
        open_ended: whether a prompt is; `PromptTypes`, or any rule.
        references: right answers to closed prompts, by prompt.
        max_tokens: most tokens that the policy may generate.
    """

    tokens: Tokens
    open_ended: Callable[[str], bool]
    references: Mapping[str, str]
    max_tokens: int = 512

    def __call__(self, prompt: str, responses: Sequence[str]) -> list[float]:
        """One reward a response.

        A closed prompt without a reference answer is compared with itself, as an open-ended one is.
        A response without a token is worth nothing.
        """
        answer = None if self.open_ended(prompt) else self.references.get(prompt)
        compared = self.tokens(prompt if answer is None else answer)
        found = []
        for response in responses:
            vectors = self.tokens(response)
            if not len(vectors):
                found.append(0.0)
                continue
            found.append(relevance_reward(
                relevance_of(compared, vectors), *count_words(response, prompt),
                open_ended=answer is None, max_tokens=self.max_tokens,
            ))  # fmt: skip
        return found


def _features(encode: Encode, prompts: Sequence[str]) -> F64:
    """`(n, d + 1)` vectors of length 1 and a constant."""
    _, vectors = arrays(vectors=encode(list(prompts)))
    size = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return np.concatenate([vectors / size, np.ones((len(vectors), 1))], axis=1)
