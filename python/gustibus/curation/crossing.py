"""Pairs across prompts: the better of two instruction-response pairs that answer different things.

Source: Bansal et al. 2024, "Comparing Bad Apples to Good Oranges", arXiv 2404.00530 (DOVE).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gustibus.curation.builders import Row, Rows, builder, by_prompt
from gustibus.data.arrays import count, number

_TRIES = 4
"""Draws for each partner, some of which answer the same prompt."""


@builder(
    "cross_prompt", source="Bansal et al. 2024, DOVE", columns=("response", "rating"), reads="items"
)
def cross_prompt(rows: Rows, *, per_item: int = 1, seed: int = 0) -> Iterator[Row]:
    """Each rated response against responses to other prompts, drawn at random; equal ratings drop out.

    Ratings have to be of one person and on one scale: these rows are what pins the level of a reward
    across prompts.

    Args:
        rows: of single responses: `prompt`, `response`, `rating`, and `user` where there are several.
        per_item: most partners that are drawn for each response.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    partners = count("per_item", per_item)
    people: dict[str, list[Row]] = {}
    for (user, _), group in by_prompt(rows).items():
        people.setdefault(user, []).extend(group)
    for user, own in people.items():
        rated = [number("rating", row["rating"]) for row in own]
        prompt = [str(row.get("prompt") or "") for row in own]
        for i, j in _drawn(prompt, partners, rng):
            if rated[i] == rated[j]:
                continue
            best, worst = (i, j) if rated[i] > rated[j] else (j, i)
            yield {
                "user": user, "target": 1.0, "gap": rated[best] - rated[worst],
                "prompt_a": prompt[best], "response_a": own[best]["response"],
                "prompt_b": prompt[worst], "response_b": own[worst]["response"],
            }  # fmt: skip


def _drawn(
    prompts: Sequence[str], partners: int, rng: np.random.Generator
) -> Iterator[tuple[int, int]]:
    """Each response with up to so many others that answer other prompts, no pair twice."""
    seen: set[tuple[int, int]] = set()
    for i, prompt in enumerate(prompts):
        drawn = rng.integers(len(prompts), size=_TRIES * partners).tolist()
        others = dict.fromkeys(j for j in drawn if prompts[j] != prompt)
        for j in list(others)[:partners]:
            pair = (min(i, j), max(i, j))
            if pair not in seen:
                seen.add(pair)
                yield pair
