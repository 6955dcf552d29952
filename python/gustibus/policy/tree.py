"""Search over the steps of a response, and the pairs of steps that it teaches.

Steps are nodes of a tree: a value from self-evaluation, a verifier or a reward model; `Q`, what the
node and all below it are worth; the visits of the search. Trees are of the current policy: build
them anew each round.

Source: Xie et al. 2024, "Monte Carlo Tree Search Boosts Reasoning via Iterative Preference
Learning", arXiv 2405.00451.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from gustibus.data.arrays import number
from gustibus.errors import DimensionError, InputError, NotFiniteError
from gustibus.methods import method
from gustibus.types import F64

_SOURCE = "Xie et al. 2024, arXiv 2405.00451"
_TESTS = "tests/unit/test_policy_tree.py"


class Backup(NamedTuple):
    """What `mcts_backup` gives, both `(n,)`."""

    q: F64
    """Worth of taking the step: its reward and what follows."""
    v: F64
    """Worth of what follows: the mean of the children's Q, by visits; 0 without children."""


@method(
    "OPS",
    source=_SOURCE,
    purpose="carry the values of steps up a search tree",
    check=f"{_TESTS}::test_worth_is_carried_up_by_visits",
    example="ops.mcts_backup(parent=[-1, 0, 0], value=[0.2, 0.6, 0.1], visits=[3, 2, 1])",
)
def mcts_backup(parent: Any, value: Any, visits: Any, gamma: float = 1.0) -> Backup:
    """`Q = r + gamma V` with `r = value - value(parent)`, and V the children's mean Q by visits.

    A child counts `max(1, visits)` times. The root has reward 0.

    Args:
        parent: `(n,)` index of each node's parent, -1 for the root, which comes first; parents come
            before their children.
        value: `(n,)`.
        visits: `(n,)` at least 0.
        gamma: discount in `[0, 1]`.

    Returns:
        Q and V of every node.

    Raises:
        InputError: it is no such tree.
    """
    gamma = number("gamma", gamma, low=0, high=1)
    worth, count = _numbers("value", value), _numbers("visits", visits)
    above = _numbers("parent", parent).astype(np.int64)
    n = len(worth)
    if above.shape != (n,) or count.shape != (n,) or n == 0:
        message = f"parent: expected {n} nodes as in value, got {above.shape} and {count.shape}"
        raise DimensionError(message, where="parent")
    order = np.arange(n)
    if above[0] != -1 or not ((above[1:] >= 0) & (above[1:] < order[1:])).all():
        message = (
            f"parent: expected -1 for the root and earlier nodes for others, got {above.tolist()}"
        )
        raise InputError(message, where="parent")
    if (count < 0).any():
        message = f"visits: expected numbers of at least 0, got {count.min():g}"
        raise InputError(message, where="visits")
    total, weight, v, q = (np.zeros(n) for _ in range(4))
    for node in order[::-1]:
        v[node] = total[node] / weight[node] if weight[node] else 0.0
        reward = worth[node] - worth[above[node]] if node else 0.0
        q[node] = reward + gamma * v[node]
        if node:
            counted = max(1.0, count[node])
            total[above[node]] += counted * q[node]
            weight[above[node]] += counted
    return Backup(q, v)


@method(
    "OPS",
    source=_SOURCE,
    purpose="which step a search should look at next",
    check=f"{_TESTS}::test_worked_numbers",
    example="ops.puct(q=0.3, sum_logp=-6, tokens=8, n_parent=9, n=2)",
)
def puct(q: Any, sum_logp: Any, tokens: Any, n_parent: Any, n: Any, w: float = 1.0) -> Any:
    """`Q + w p sqrt(N_parent) / (1 + N)` with the prior `p = exp(sum log pi / tokens^1.25)`.

    Args:
        q: `(*b)` worth of the step.
        sum_logp: `(*b)` log-probability of its tokens, summed.
        tokens: `(*b)` how many, at least 1.
        n_parent: `(*b)` visits of the parent, at least 0.
        n: `(*b)` visits of the step, at least 0.
        w: weight of exploring, at least 0.

    Returns:
        `(*b)`; the step with the largest is next.
    """
    numbers = [
        _numbers(name, x)
        for name, x in zip(
            ("q", "sum_logp", "tokens", "n_parent", "n"),
            (q, sum_logp, tokens, n_parent, n),
            strict=True,
        )
    ]
    worth, logp, length, above, own = np.broadcast_arrays(*numbers)
    if (length < 1).any() or (above < 0).any() or (own < 0).any():
        message = "tokens: expected at least 1, and visits of at least 0"
        raise InputError(message, where="tokens")
    prior = np.exp(logp / length**1.25)
    return (worth + number("w", w, low=0) * prior * np.sqrt(above) / (1 + own))[()]


@method(
    "OPS",
    source=_SOURCE,
    purpose="how sure a search is of a pair, from how often it went either way",
    check=f"{_TESTS}::test_worked_numbers",
    example="ops.visit_label_smoothing(n_better=12, n_worse=3)",
)
def visit_label_smoothing(n_better: Any, n_worse: Any) -> Any:
    """`min(1 - 1 / (1 + n_worse / max(1, n_better)), 1/2)`, for `label_smoothing` of `dpo`.

    Args:
        n_better: `(*b)` visits of the chosen step, at least 0.
        n_worse: `(*b)` visits of the rejected one, at least 0.

    Returns:
        `(*b)` in `[0, 1/2]`: 0 where the rejected step was never tried, 1/2, which teaches nothing,
        where it was tried as often.
    """
    better, worse = _numbers("n_better", n_better), _numbers("n_worse", n_worse)
    if (better < 0).any() or (worse < 0).any():
        message = "n_better: expected visits of at least 0"
        raise InputError(message, where="n_better")
    return np.minimum(1 - 1 / (1 + worse / np.maximum(1, better)), 0.5)[()]


@method(
    "OPS",
    source=_SOURCE,
    purpose="value of a step from confidence in it and, at the end, the verdict",
    check=f"{_TESTS}::test_a_verdict_moves_the_value_of_an_end",
    example="ops.step_value(confidence=0.8, depth=5, correct=True)",
)
def step_value(confidence: float, depth: int, correct: bool | None = None) -> float:  # noqa: FBT001
    """`(confidence + 1 or -1 at a verified end) / max(depth - 3, 1)`.

    Args:
        confidence: in the step, in `[0, 1]`: self-evaluation, or sigma of a reward.
        depth: of the step, 1 for the first.
        correct: verdict on the response that ends here; None where none was passed.
    """
    verdict = 0 if correct is None else 2 * bool(correct) - 1
    steps = max(number("depth", depth, low=1) - 3, 1)
    return (number("confidence", confidence, low=0, high=1) + verdict) / steps


class Proposal(NamedTuple):
    """A step that the policy may take."""

    text: str
    sum_logp: float
    """Log-probability of its tokens, summed."""
    tokens: int
    ends: bool = False
    """Whether the response is complete with it."""


class StepPair(NamedTuple):
    """Two ways on from the same beginning."""

    prefix: tuple[str, ...]
    """Steps that both share."""
    chosen: str
    rejected: str
    label_smoothing: float
    """In `[0, 1/2]`, for `dpo`."""
    gap: float
    """Difference of their Q, above 0."""


class Tree:
    """A search tree that grows by one expansion a simulation.

    Args:
        propose: steps from the policy after a beginning, at least one unless it is complete.
        value: of a beginning, such as `step_value` gives.
        w: weight of exploring in `puct`.
        gamma: discount in `[0, 1]`.
    """

    def __init__(
        self,
        propose: Callable[[tuple[str, ...]], Sequence[Proposal]],
        value: Callable[[tuple[str, ...]], float],
        *,
        w: float = 1.0,
        gamma: float = 1.0,
    ) -> None:
        self._propose, self._value = propose, value
        self._w, self._gamma = w, gamma
        self._steps = [Proposal("", 0.0, 1)]
        self._children: list[list[int]] = [[]]
        self.parent = [-1]
        self.value = [float(value(()))]
        self.visits = [0]

    def prefix(self, node: int) -> tuple[str, ...]:
        """The steps from the beginning up to and with a node."""
        path = []
        while node > 0:
            path.append(self._steps[node].text)
            node = self.parent[node]
        return tuple(reversed(path))

    def search(self, simulations: int) -> None:
        """Descend by `puct` to a leaf, expand it, and count the visit, again and again."""
        for _ in range(simulations):
            q = mcts_backup(self.parent, self.value, self.visits, self._gamma).q
            node, path = 0, [0]
            while self._children[node]:
                node = self._next(node, q)
                path.append(node)
            if not self._steps[node].ends:
                self._expand(node)
            for passed in path:
                self.visits[passed] += 1

    def pairs(self, against: Literal["second", "worst"] = "second") -> list[StepPair]:
        """The best step after every beginning against another, by Q and then by visits.

        Beginnings whose steps are worth the same, or have been searched in vain, give no pair.

        Args:
            against: the `second` best sibling, or the `worst`.
        """
        if against not in ("second", "worst"):
            message = f"against: expected 'second' or 'worst', got {against!r}"
            raise InputError(message, where="against")
        q = mcts_backup(self.parent, self.value, self.visits, self._gamma).q
        found = []
        for node, children in enumerate(self._children):
            ranked = sorted(children, key=lambda c: (-q[c], -self.visits[c]))
            if len(ranked) < 2:
                continue
            better, worse = ranked[0], ranked[1 if against == "second" else -1]
            smoothing = float(visit_label_smoothing(self.visits[better], self.visits[worse]))
            if q[better] > q[worse] and smoothing < 0.5:
                texts = (self._steps[better].text, self._steps[worse].text)
                gap = float(q[better] - q[worse])
                found.append(StepPair(self.prefix(node), *texts, smoothing, gap))
        return found

    def _next(self, node: int, q: F64) -> int:
        children = self._children[node]
        steps = [self._steps[c] for c in children]
        score = puct(
            q[children],
            [s.sum_logp for s in steps],
            [s.tokens for s in steps],
            self.visits[node],
            [self.visits[c] for c in children],
            self._w,
        )
        return children[int(np.argmax(score))]

    def _expand(self, node: int) -> None:
        beginning = self.prefix(node)
        proposals = self._propose(beginning)
        if not proposals:
            message = f"propose: expected a step after {beginning!r}, got none"
            raise InputError(message, where="propose")
        for step in proposals:
            self._children[node].append(len(self._steps))
            self._steps.append(step)
            self._children.append([])
            self.parent.append(node)
            self.value.append(number("value", self._value((*beginning, step.text))))
            self.visits.append(0)


def first_difference(chosen: Sequence[int], rejected: Sequence[int]) -> int:
    """Number of tokens that two steps share at their start, which the loss of a pair leaves out."""
    for place, (one, other) in enumerate(zip(chosen, rejected, strict=False)):
        if one != other:
            return place
    return min(len(chosen), len(rejected))


def _numbers(name: str, value: Any) -> F64:
    try:
        numbers = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        message = f"{name}: expected numbers, got {type(value).__name__}"
        raise InputError(message, where=name) from None
    if not np.isfinite(numbers).all():
        message = f"{name}: expected finite numbers, got {numbers[~np.isfinite(numbers)][0]}"
        raise NotFiniteError(message, where=name)
    return numbers
