"""From rated responses to pairs in stages, easy ones first.

Source: Pattnaik et al. 2024, "Curry-DPO: Enhancing Alignment using Curriculum Learning and Ranked
Preferences", arXiv 2403.07230.
"""

from __future__ import annotations

from collections.abc import Iterator

from gustibus.curation.builders import Row, Rows, builder, by_prompt
from gustibus.data.arrays import number


@builder(
    "curriculum",
    source="Pattnaik et al. 2024, Curry-DPO",
    columns=("response", "rating"),
    reads="items",
)
def curriculum(rows: Rows) -> Iterator[Row]:
    """The best response of each prompt against every other one, the widest gap at stage 0.

    Responses that are rated like the best give no pair. Each stage is a run of training whose
    reference is the result of the stage before.

    Args:
        rows: of single responses: `prompt`, `response`, `rating`, and `user` where there are several.
    """
    for (user, prompt), group in by_prompt(rows).items():
        rated = [(number("rating", row["rating"]), row["response"]) for row in group]
        best, chosen = max(rated, key=lambda pair: pair[0])
        others = sorted(((best - r, text) for r, text in rated if r < best), key=lambda o: -o[0])
        for stage, (gap, text) in enumerate(others):
            yield {
                "user": user, "prompt": prompt, "response_a": chosen, "response_b": text,
                "target": 1.0, "stage": stage, "gap": gap,
            }  # fmt: skip
