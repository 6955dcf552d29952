"""A person's reward model as a reward for trainers that sample: a plain callable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np

from gustibus.data.arrays import finite, same_length
from gustibus.data.messages import as_messages, render
from gustibus.errors import InputError, NotFiniteError
from gustibus.policy.groups import group_win_rate
from gustibus.types import F64

Text: TypeAlias = str | Sequence[dict[str, Any]]
"""A text, or a conversation: messages with `role` and `content`."""


class Scores(Protocol):
    """What scores texts for a person: `gustibus.load(folder)`, which is a `Scorer`."""

    def score(self, prompt: str, candidates: Sequence[str], *, user: Any = None) -> F64:
        """Rewards `(n,)` of candidates."""


class PersonReward:
    """Reward callable for the group-relative trainers of TRL, one of their `reward_funcs`.

    Args:
        scorer: a loaded model, `gustibus.load(folder)`.
        user: whose reward: an id, a posterior from `scorer.place`, or None for the population.
        column: of the data set that names the person of each row; then `user` is for rows in which
            it is None.
        shape: `(g,)` rewards of the completions of one prompt to the `(g,)` that the trainer is
            given, such as `win_rates`; the rewards themselves when None.
        trust: a prompt and the completions to it to `(g,)` weights in [0, 1], such as the
            `distance_weights` of their representations: completions that the reward model cannot judge
            move the policy by so much less, see `discarded`. Everything is trusted when None.

    Examples:
        reward = PersonReward(gustibus.load("runs/demo"), user="ada")
        GRPOTrainer(model, reward_funcs=reward, args=args, train_dataset=prompts)
    """

    def __init__(
        self,
        scorer: Scores,
        user: Any = None,
        *,
        column: str | None = None,
        shape: Callable[[F64], F64] | None = None,
        trust: Callable[[str, Sequence[str]], Any] | None = None,
    ) -> None:
        self._scorer, self._user = scorer, user
        self._column, self._shape, self._trust = column, shape, trust
        self.__name__ = "gustibus_reward"  # what TRL logs it as

    def __call__(
        self, prompts: Sequence[Text], completions: Sequence[Text], **columns: Any
    ) -> list[float]:
        """One reward for each completion.

        Args:
            prompts: `(n,)` texts or conversations.
            completions: `(n,)` texts, or conversations whose last message is the answer.
            **columns: further columns of the rows; only that of the person is read.

        Raises:
            InputError: the column of the person is missing, or lengths differ.
            NotFiniteError: `shape` gave a number that is not finite.
        """
        if len(prompts) != len(completions):
            message = f"completions: expected {len(prompts)} as in prompts, got {len(completions)}"
            raise InputError(message, where="completions")
        users = self._users(len(prompts), columns)
        groups: dict[tuple[str, Any], list[int]] = {}
        asked = [plain_text(prompt) for prompt in prompts]
        for row, group in enumerate(zip(asked, users, strict=True)):
            groups.setdefault(group, []).append(row)
        rewards = np.zeros(len(prompts))
        for (prompt, user), rows in groups.items():
            who = self._user if user is None else user
            said = [_last(completions[r]) for r in rows]
            value = self._scorer.score(prompt, said, user=who)
            value = value if self._shape is None else self._shape(value)
            rewards[rows] = (
                value if self._trust is None else discarded(value, self._trust(prompt, said))
            )
        if not np.isfinite(rewards).all():
            message = "shape: expected finite rewards, got others"
            raise NotFiniteError(message, where="shape")
        return rewards.tolist()

    def _users(self, rows: int, columns: dict[str, Any]) -> Sequence[Any]:
        if self._column is None:
            return [None] * rows
        if self._column not in columns:
            known = sorted(name for name, value in columns.items() if isinstance(value, list))
            message = f"column: expected one of {known}, got {self._column!r}"
            raise InputError(message, where="column")
        found: Sequence[Any] = columns[self._column]
        return found


def discarded(rewards: F64, trust: Any) -> F64:
    """Rewards of a group in which those that are not trusted are drawn to the mean of the others.

    `level + trust (r - level)` with the trust-weighted mean as level: what is not trusted at all gets
    the mean, and with it no advantage over its group. Where nothing is trusted all get the mean.

    Args:
        rewards: `(g,)` finite rewards of the completions of one prompt.
        trust: `(g,)` in [0, 1].

    Raises:
        InputError: lengths differ, or a weight is out of range.
    """
    r, weight = finite("rewards", rewards), finite("trust", trust, low=0, high=1)
    same_length(rewards=r, trust=weight)
    total = weight.sum()
    level = (weight @ r) / total if total > 0 else r.mean()
    moved: F64 = level + weight * (r - level)
    return moved


def win_rates(rewards: F64) -> F64:
    """`(g,)` share of the other completions that each beats, ties counting half."""
    if len(rewards) < 2:
        return np.full(len(rewards), 0.5)
    ahead = np.sign(rewards[:, None] - rewards[None, :])  # (g, g)
    rates: F64 = group_win_rate((ahead + 1) / 2)
    return rates


def plain_text(prompt: Text) -> str:
    """A text, or a conversation as one text, rendered as in training data."""
    messages = as_messages(prompt)
    return str(prompt) if messages is None else render(messages)


def _last(completion: Text) -> str:
    """The answer of a completion: the content of its last message."""
    return completion if isinstance(completion, str) else str(completion[-1]["content"])
