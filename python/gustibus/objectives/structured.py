"""Pairs and lists with more structure than two scores: prompts that vary, segments, trees, stages."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn.functional import cosine_similarity, softplus

from gustibus.data.arrays import number
from gustibus.errors import DimensionError, InputError, NotFiniteError
from gustibus.methods import method
from gustibus.objectives.listwise import lambda_weights, ordered
from gustibus.objectives.tensors import takes

TESTS = "tests/unit/test_objectives_structured.py"
_MAPL = "after Sun et al. 2025, MAPL, arXiv 2505.12845; the formula is the project's own"
_REGRET = (
    "Knox et al. 2022, Models of human preference for learning reward functions, arXiv 2206.02231"
)


@method(
    "PAIRWISE",
    source=_MAPL,
    purpose="one response under two prompts: it should fit the one whose constraints it meets",
    check=f"{TESTS}::test_prompts_that_vary_have_the_worked_numbers",
    example="ops.mapl_intra(r_matching_prompt=[1.1, 0.2], r_other_prompt=[0.4, 0.5])",
)
@takes(r_matching_prompt="*b", r_other_prompt="*b")
def mapl_intra(r_matching_prompt: Any, r_other_prompt: Any) -> Any:
    """`sp(-(r(x+, y) - r(x-, y)))`.

    Args:
        r_matching_prompt: `(*b)` rewards under a prompt whose constraints the response meets.
        r_other_prompt: `(*b)` rewards of the same responses under a prompt that they violate.

    Returns:
        `(*b)`.
    """
    return softplus(r_other_prompt - r_matching_prompt)


@method(
    "PAIRWISE",
    source=_MAPL,
    purpose="a pair under two prompts: it should lie further apart where more is asked",
    check=f"{TESTS}::test_prompts_that_vary_have_the_worked_numbers",
    example="ops.mapl_inter(margin_strong=[1.5, 0.3], margin_weak=[0.7, 0.6])",
)
@takes(margin_strong="*b", margin_weak="*b")
def mapl_inter(margin_strong: Any, margin_weak: Any) -> Any:
    """`sp(-(margin_strong - margin_weak))`.

    Args:
        margin_strong: `(*b)` margins under prompts with constraints that widen the gap.
        margin_weak: `(*b)` margins of the same pairs under the original prompts.

    Returns:
        `(*b)`.
    """
    return softplus(margin_weak - margin_strong)


@method(
    "PAIRWISE",
    source=_REGRET,
    purpose="chance that one segment is preferred, judged by the sum of its rewards",
    check=f"{TESTS}::test_segments_are_judged_by_regret_or_by_return",
    example="ops.partial_return_prob(rewards_1=[1, -0.5, 0.2], rewards_2=[0.3, 0.1])",
)
@takes(rewards_1="*b t", rewards_2="*b u")
def partial_return_prob(rewards_1: Any, rewards_2: Any) -> Any:
    """`sigma(sum r_1 - sum r_2)`.

    Args:
        rewards_1: `(*b, t)` rewards of the steps of the first segment.
        rewards_2: `(*b, u)` of the second.

    Returns:
        `(*b)` probability that the first is preferred.
    """
    return torch.sigmoid(rewards_1.sum(-1) - rewards_2.sum(-1))


@method(
    "PAIRWISE",
    source=_REGRET,
    purpose="what a segment lost against the best that could be done from its start",
    check=f"{TESTS}::test_segments_are_judged_by_regret_or_by_return",
    example="ops.regret(rewards=[1, -0.5, 0.2], start_value=3, end_value=2)",
)
@takes(rewards="*b t", start_value="*b", end_value="*b")
def regret(rewards: Any, start_value: Any, end_value: Any) -> Any:
    """`V*(s_0) - (sum r + V*(s_T))`, for transitions without chance.

    Args:
        rewards: `(*b, t)` rewards of the steps.
        start_value: `(*b)` best return that can be had from the first state.
        end_value: `(*b)` from the last.

    Returns:
        `(*b)`, 0 for an optimal segment.
    """
    return start_value - rewards.sum(-1) - end_value


@method(
    "PAIRWISE",
    source=_REGRET,
    purpose="chance that one segment is preferred, judged by what was missed",
    check=f"{TESTS}::test_segments_are_judged_by_regret_or_by_return",
    example=(
        "ops.regret_prob(rewards_1=[1, -0.5, 0.2], start_value_1=3, end_value_1=2, "
        "rewards_2=[0.3, 0.1], start_value_2=2, end_value_2=1.8)"
    ),
)
@takes(
    rewards_1="*b t", start_value_1="*b", end_value_1="*b",
    rewards_2="*b u", start_value_2="*b", end_value_2="*b",
)  # fmt: skip
def regret_prob(
    rewards_1: Any,
    start_value_1: Any,
    end_value_1: Any,
    rewards_2: Any,
    start_value_2: Any,
    end_value_2: Any,
) -> Any:
    """`sigma(regret_2 - regret_1)`; arguments as for `regret`, of both segments.

    Returns:
        `(*b)` probability that the first is preferred.
    """
    lost_1 = regret(rewards_1, start_value_1, end_value_1)
    return torch.sigmoid(regret(rewards_2, start_value_2, end_value_2) - lost_1)


@method(
    "PAIRWISE",
    source=_REGRET,
    purpose="regret of a segment where transitions are left to chance",
    check=f"{TESTS}::test_regret_by_advantages_agrees_where_nothing_is_left_to_chance",
    example="ops.regret_stochastic(state_values=[3, 2.5], action_values=[2.8, 2.5])",
)
@takes(state_values="*b t", action_values="*b t")
def regret_stochastic(state_values: Any, action_values: Any) -> Any:
    """`sum_t [V*(s_t) - Q*(s_t, a_t)]`, the summed optimal advantage with its sign changed.

    Args:
        state_values: `(*b, t)` best return from each state.
        action_values: `(*b, t)` best return after the action that was taken there.

    Returns:
        `(*b)`, at or above 0 for values that fit together.
    """
    return (state_values - action_values).sum(-1)


@method(
    "LISTWISE",
    source="Liao et al. 2025, Tree Preference Optimization, arXiv 2410.12854; not its released code",
    purpose="a tree of responses as one ranked list, step by step",
    check=f"{TESTS}::test_trees_have_the_worked_number",
    example=(
        "ops.tpo(step_r=[[0.5, 0.2], [0.1, -0.3]], emb=[[[1, 0], [0, 1]], [[1, 0], [1, 1]]], "
        "psi=[0.9, 0.1])"
    ),
)
@takes(step_r="*b n m", emb="*b n m e", psi="*b n", mask="bool *b n")
def tpo(step_r: Any, emb: Any, psi: Any, a: float = 1.0, b: float = -1.0, mask: Any = None) -> Any:
    """`sum_{psi_i > psi_j} Delta_ij sp(-sum_m w_ijm (R_im - R_jm))`, `w_ijm = a + b cos(e_im, e_jm)`.

    Delta is that of `lambda_weights` on the summed steps. The released loss is another: it falls as
    the ranking gets worse.

    Args:
        step_r: `(*b, n, m)` rewards of the steps, `beta (log pi - log pi_ref)` summed over a step.
        emb: `(*b, n, m, e)` embeddings of the steps; a step of length 0 counts as orthogonal to all.
        psi: `(*b, n)` labels of the responses, higher for better.
        a: weight of every step.
        b: what likeness adds to it; -1 stresses the steps in which two responses differ.
        mask: `(*b, n)` which responses there are; all when None.

    Returns:
        `(*b)`.
    """
    a, b = number("a", a), number("b", b)
    like = cosine_similarity(emb[..., :, None, :, :], emb[..., None, :, :, :], dim=-1)
    apart = step_r[..., :, None, :] - step_r[..., None, :, :]  # (*b, n, n, m)
    margin = ((a + b * like) * apart).sum(-1)
    weight = lambda_weights(step_r.sum(-1), psi, mask) * ordered(psi, mask)
    return (softplus(-margin) * weight).sum((-2, -1))


@method(
    "LISTWISE",
    source="Pattnaik et al. 2024, Curry-DPO, arXiv 2403.07230",
    purpose="pairs of rated responses in stages, from the widest gap to the narrowest",
    check=f"{TESTS}::test_stages_go_from_easy_to_hard",
    example="ops.curriculum_stages(ratings=[9, 7, 4, 2])",
)
def curriculum_stages(ratings: Any) -> list[list[tuple[int, int]]]:
    """The best response against every other one, one stage a gap, the largest gap first.

    Train one stage after the other, each with the result of the one before as its reference.

    Args:
        ratings: `(n,)` ratings, rewards or log-probabilities of the responses to one prompt; of
            several that are best, the first.

    Returns:
        Stages of pairs (better, worse) as places in `ratings`; responses as good as the best one
        are in none.

    Raises:
        DimensionError: not one list.
        NotFiniteError: a rating is NaN or infinite.
    """
    try:
        values = np.asarray(ratings, np.float64)
    except (TypeError, ValueError) as error:
        message = f"ratings: expected one list of numbers, got {ratings!r:.80}"
        raise InputError(message, where="ratings") from error
    if values.ndim != 1:
        message = f"ratings: expected shape (n,), got {values.shape}"
        raise DimensionError(message, where="ratings")
    if not np.isfinite(values).all():
        place = int(np.flatnonzero(~np.isfinite(values))[0])
        message = f"ratings: expected finite numbers, got {values[place]} at {place}"
        raise NotFiniteError(message, where="ratings")
    if len(values) == 0:
        return []
    gaps = values.max() - values
    best = int(values.argmax())
    rising = np.unique(gaps[gaps > 0])
    return [[(best, int(i)) for i in np.flatnonzero(gaps == gap)] for gap in rising[::-1]]
