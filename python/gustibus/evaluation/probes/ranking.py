"""Whether a policy ranks pairs as people do, and how far it could be by the way it was trained.

Source: Chen et al. 2024, "Preference Learning Algorithms Do Not Learn Preference Rankings", arXiv
2405.19534.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gustibus.data.arrays import above, dims_of, finite, flags, same_length
from gustibus.methods import method
from gustibus.types import F64

CLIP = 1e-3
"""Shares of annotators are kept this far from 0 and 1: their log-odds are finite."""
TIED = 0.01
"""Probabilities closer than this are a tie."""
_PAPER = "Chen et al. 2024, Preference Learning Algorithms Do Not Learn Preference Rankings"


@method(
    "PROBES",
    source=f"{_PAPER}, definition 2.1",
    purpose="Share of pairs whose chosen response the policy finds at least as likely",
    check="tests/methods/test_probes_ranking.py::"
    "test_a_pair_is_ranked_right_when_the_chosen_response_is_at_least_as_likely",
    example="ops.ranking_accuracy(pi_w=[-20, -30], pi_l=[-24, -28])",
    laws=("user_renaming", "row_order", "perfect"),
)
def ranking_accuracy(
    pi_w: Any, pi_l: Any, len_w: Any = None, len_l: Any = None, tie: Any = None
) -> float:
    """Share of pairs with `log pi(y_w) >= log pi(y_l)`; 1 for a perfect policy.

    Not the reward accuracy of DPO, which subtracts the reference, see `reward_accuracy`.

    Args:
        pi_w: `(n,)` log-probability of the chosen response, summed over its tokens.
        pi_l: `(n,)` likewise of the rejected one.
        len_w: `(n,)` tokens of the chosen response: with both lengths, means per token are compared.
        len_l: `(n,)` tokens of the rejected one.
        tie: `(n,)` pairs that people found equal; right when the probabilities differ by less than
            0.01.
    """
    w, low = finite("pi_w", pi_w), finite("pi_l", pi_l)
    same_length(pi_w=w, pi_l=low, len_w=len_w, len_l=len_l, tie=tie)
    if len_w is not None or len_l is not None:
        w = w / finite("len_w", len_w, low=1)
        low = low / finite("len_l", len_l, low=1)
    right = w >= low
    if tie is not None:
        close = np.abs(np.exp(np.minimum(w, 0)) - np.exp(np.minimum(low, 0))) < TIED
        right = np.where(flags("tie", tie), close, right)
    return float(right.mean())


@method(
    "PROBES",
    source="Rafailov et al. 2023, Direct Preference Optimization, implicit reward",
    purpose="Share of pairs that the implicit reward of a policy ranks right",
    check="tests/methods/test_probes_ranking.py::"
    "test_reward_accuracy_subtracts_the_reference_and_ranking_accuracy_does_not",
    example="ops.reward_accuracy(pi_w=[-20], pi_l=[-24], ref_w=[-21], ref_l=[-22])",
    laws=("user_renaming", "row_order", "perfect"),
)
def reward_accuracy(pi_w: Any, pi_l: Any, ref_w: Any, ref_l: Any) -> float:
    """Share of pairs with `h_w > h_l`, `h = log pi - log pi_ref`; 1 for a perfect policy."""
    w, low, rw, rl = _four(pi_w, pi_l, ref_w, ref_l)
    return float((w - rw > low - rl).mean())


@method(
    "OPS",
    source=f"{_PAPER}, equation for the idealised policy",
    purpose="Log-ratio of chosen and rejected under the policy that minimises DPO exactly",
    check="tests/methods/test_probes_ranking.py::test_the_worked_log_ratio",
    example="ops.idealized_log_ratio(ref_w=-29, ref_l=-27, alpha=0.8, beta=0.5)",
)
def idealized_log_ratio(ref_w: Any, ref_l: Any, alpha: Any, beta: float) -> F64:
    """`(ref_w - ref_l) + logit(alpha) / beta`, in nats; any shape that broadcasts.

    Args:
        ref_w: log-probability of the chosen response under the reference.
        ref_l: likewise of the rejected one.
        alpha: share of annotators in [0, 1] who prefer the chosen response; 1/2 changes nothing.
        beta: strength of the tie to the reference, above 0.
    """
    share = finite("alpha", alpha, dims=dims_of("alpha", alpha), low=0, high=1)
    share = np.clip(share, CLIP, 1 - CLIP)
    w = finite("ref_w", ref_w, dims=dims_of("ref_w", ref_w))
    low = finite("ref_l", ref_l, dims=dims_of("ref_l", ref_l))
    return np.asarray((w - low) + np.log(share / (1 - share)) / above("beta", beta), np.float64)


@method(
    "PROBES",
    source=f"{_PAPER}, idealised ranking accuracy",
    purpose="Ranking accuracy of the policy that minimises DPO exactly",
    check="tests/methods/test_probes_ranking.py::"
    "test_a_small_beta_follows_the_annotators_and_a_large_one_the_reference",
    example="ops.idealized_accuracy(ref_w=[-29], ref_l=[-27], alpha=[0.8], beta=0.5)",
    laws=("user_renaming", "row_order", "perfect"),
)
def idealized_accuracy(ref_w: Any, ref_l: Any, alpha: Any, *, beta: float = 0.1) -> float:
    """Share of pairs with an idealised log-ratio above 0; 1 where the reference ranks all right."""
    share = finite("alpha", alpha, low=0, high=1)
    same_length(ref_w=ref_w, ref_l=ref_l, alpha=share)
    return float((idealized_log_ratio(ref_w, ref_l, share, beta) > 0).mean())


@method(
    "PROBES",
    source=f"{_PAPER}, alignment gap",
    purpose="How far the ranking accuracy of a policy is from what its objective allows",
    check="tests/methods/test_probes_ranking.py::"
    "test_the_gap_is_the_idealised_less_the_observed_accuracy",
    example="ops.alignment_gap(pi_w=[-20], pi_l=[-24], ref_w=[-21], ref_l=[-22], alpha=[0.9])",
    laws=("user_renaming", "row_order", "perfect"),
)
def alignment_gap(
    pi_w: Any, pi_l: Any, ref_w: Any, ref_l: Any, alpha: Any, *, beta: float = 0.1
) -> dict[str, float]:
    """Idealised, observed, and their difference `alignment_gap`; 0 for a perfect policy."""
    ideal = idealized_accuracy(ref_w, ref_l, alpha, beta=beta)
    observed = ranking_accuracy(pi_w, pi_l)
    return {"idealized": ideal, "observed": observed, "alignment_gap": ideal - observed}


@method(
    "PROBES",
    source=f"{_PAPER}, theorem on the loss below which a pair is ranked right",
    purpose="How low the DPO loss has to get before pairs are ranked right",
    check="tests/methods/test_probes_ranking.py::"
    "test_a_pair_is_right_exactly_when_its_loss_is_below_the_threshold",
    example="ops.pair_difficulty(ref_w=[-29, -40], ref_l=[-28, -55], beta=0.1)",
    laws=("user_renaming", "row_order"),
)
def pair_difficulty(ref_w: Any, ref_l: Any, *, beta: float = 0.1) -> dict[str, float]:
    """Quantiles of the DPO loss at which each pair turns right, and the share that is wrong at first.

    A pair is ranked right when its loss is at most `log(1 + exp(-beta (ref_l - ref_w)))`: above
    log 2 it starts right, and the lower it is, the harder is the pair.
    """
    losses = difficulties(ref_w, ref_l, beta=beta)
    low, middle, high = np.quantile(losses, (0.1, 0.5, 0.9))
    return {
        "hardest_tenth": float(low), "median": float(middle), "easiest_tenth": float(high),
        "wrong_at_first": float((losses < np.log(2)).mean()),
    }  # fmt: skip


def difficulties(ref_w: Any, ref_l: Any, *, beta: float = 0.1) -> F64:
    """`(n,)` DPO loss of each pair at which its order turns right."""
    w, low = finite("ref_w", ref_w), finite("ref_l", ref_l)
    same_length(ref_w=w, ref_l=low)
    return np.asarray(np.logaddexp(0, -above("beta", beta) * (low - w)), np.float64)


@method(
    "PROBES",
    source=f"{_PAPER}, ranking accuracy of lists",
    purpose="Share of lists that a policy ranks exactly as people do",
    check="tests/methods/test_probes_ranking.py::test_a_list_counts_only_as_a_whole",
    example="ops.list_accuracy(scores=[[3, 2, 1], [1, 2, 0]])",
    laws=("user_renaming", "row_order", "perfect"),
)
def list_accuracy(scores: Any) -> float:
    """Share of lists `(n, k)`, written best first, whose scores nowhere rise; 1 when perfect."""
    s = finite("scores", scores, dims=2)
    return float((np.diff(s, axis=1) <= 0).all(axis=1).mean())


def _four(pi_w: Any, pi_l: Any, ref_w: Any, ref_l: Any) -> tuple[F64, F64, F64, F64]:
    given = {"pi_w": pi_w, "pi_l": pi_l, "ref_w": ref_w, "ref_l": ref_l}
    found = {name: finite(name, values) for name, values in given.items()}
    same_length(**found)
    return found["pi_w"], found["pi_l"], found["ref_w"], found["ref_l"]
