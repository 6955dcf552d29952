"""Pairs of sibling steps from a search tree, with the certainty that their visits give.

Source: Xie et al. 2024, "Monte Carlo Tree Search Boosts Reasoning via Iterative Preference Learning",
arXiv 2405.00451; smoothing of labels by visits as in the released code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gustibus.curation.builders import Row, Rows, builder
from gustibus.curation.labels import EVERYONE
from gustibus.data.arrays import number, one_of
from gustibus.errors import InputError


@builder(
    "tree", source="Xie et al. 2024, MCTS-DPO", columns=("node", "text", "value"), reads="items"
)
def tree(rows: Rows, *, against: str = "second") -> Iterator[Row]:
    """The best child of each node against its second best or its worst one.

    The prompt of a pair is that of the tree followed by the steps down to the parent. Children are
    ordered by value, then visits; equal ones give no pair.

    Args:
        rows: nodes: `node`, `parent` (absent for roots), `text`, `value`, and `visits`, 1 where
            nothing is said; a root's text is the prompt.
        against: `second` or `worst`.

    Raises:
        InputError: a node occurs twice, a parent does not exist, or nodes go round in a circle.
    """
    place = -1 if one_of("against", against, ("second", "worst")) == "worst" else 1
    nodes: dict[Any, Row] = {}
    for row in rows:
        if row["node"] in nodes:
            message = f"node: expected each once, got {row['node']!r:.60} twice"
            raise InputError(message, where="node")
        nodes[row["node"]] = row
    children: dict[Any, list[Row]] = {}
    for row in rows:
        if row.get("parent") is not None:
            children.setdefault(row["parent"], []).append(row)
    for parent, steps in children.items():
        path = _path(nodes, parent)
        ordered = sorted(steps, key=lambda row: (-row["value"], -_visits(row)))
        best, other = ordered[0], ordered[place] if len(ordered) > 1 else ordered[0]
        if (best["value"], _visits(best)) != (other["value"], _visits(other)):
            yield {
                "user": path[0].get("user") or EVERYONE, "prompt": "\n".join(p["text"] for p in path),
                "response_a": best["text"], "response_b": other["text"],
                "target": 1 - _smoothing(_visits(best), _visits(other)), "depth": len(path),
            }  # fmt: skip


def _path(nodes: Mapping[Any, Row], node: Any) -> list[Row]:
    """The nodes from the root to `node`."""
    path: list[Row] = []
    while node is not None:
        if node not in nodes or len(path) > len(nodes):
            problem = "a parent among the nodes" if node not in nodes else "a tree without circles"
            message = f"parent: expected {problem}, got {node!r:.60}"
            raise InputError(message, where="parent")
        path.append(nodes[node])
        node = nodes[node].get("parent")
    return path[::-1]


def _visits(row: Row) -> float:
    found = row.get("visits")
    return 1.0 if found is None else number("visits", found, low=0)


def _smoothing(better: float, worse: float) -> float:
    """0 where the other step was never visited, 1/2 where it was visited as often or more."""
    return min(1 - 1 / (1 + worse / max(1.0, better)), 0.5)
