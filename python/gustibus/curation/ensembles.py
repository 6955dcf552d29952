"""Labels from the votes of several reward models, and labels that come from elsewhere.

Source: Karthik et al. 2024, "Scalable Ranked Preference Optimization for Text-to-Image Generation"
(RankDPO), arXiv 2410.18013.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np

from gustibus.curation.builders import Row, Rows, builder, by_prompt
from gustibus.data.arrays import finite, number
from gustibus.errors import DimensionError
from gustibus.types import F64


def vote_shares(rewards: Any) -> F64:
    """`(k, k)` share of models that prefer response i to j, a tie half a vote; 1/2 on the diagonal.

    Args:
        rewards: `(m, k)` of m models for k >= 2 responses; their scales need not agree.
    """
    r = finite("rewards", rewards, dims=2)
    if r.shape[1] < 2:
        message = f"rewards: expected at least two responses, got shape {r.shape}"
        raise DimensionError(message, where="rewards")
    return np.asarray((np.sign(r[:, :, None] - r[:, None, :]).mean(0) + 1) / 2, np.float64)


def vote_labels(shares: F64) -> F64:
    """`(k,)` share of its comparisons that each response wins, `wins_i / (m (k - 1))`."""
    return np.asarray((shares.sum(1) - 0.5) / (len(shares) - 1), np.float64)


@builder(
    "rank_labels",
    source="Karthik et al. 2024, RankDPO, labels from several reward models",
    columns=("response", "rewards"),
    reads="items",
)
def rank_labels(rows: Rows) -> Iterator[Row]:
    """Every pair of a prompt's responses, with the share of models that prefer a as its target.

    Args:
        rows: of single responses: `prompt`, `response`, and `rewards`, a list with one of each model.
    """
    for (user, prompt), group in by_prompt(rows).items():
        if len(group) < 2:
            continue
        rewards = finite("rewards", [row["rewards"] for row in group], dims=2).T  # (m, k)
        shares = vote_shares(rewards)
        labels = vote_labels(shares)
        for i, j in combinations(range(len(group)), 2):
            yield {
                "user": user, "prompt": prompt, "response_a": group[i]["response"],
                "response_b": group[j]["response"], "target": float(shares[i, j]),
                "label_a": float(labels[i]), "label_b": float(labels[j]),
            }  # fmt: skip


@builder("given", source="Labels made elsewhere: win matrices, follow-ups, transfers", columns=())
def given(rows: Rows, *, column: str, weight: float = 1.0, beside: bool = False) -> Iterator[Row]:
    """A column of probabilities that a is preferred, as soft labels.

    Args:
        rows: some of which have a number in the column.
        column: its name.
        weight: of each label.
        beside: whether they count beside the label that is there, not in its place.
    """
    heavy = number("weight", weight, low=0)
    for row in rows:
        if row.get(column) is None:
            continue
        told = {"target": number(column, row[column], low=0, high=1), "weight": heavy}
        if beside:
            kept = ("user", "prompt_a", "response_a", "prompt_b", "response_b")
            yield {**{name: row[name] for name in kept}, **told}
        else:
            yield {"row": row["row"], **told}
