"""Worked numbers of the objectives and of the functions beside them, one table for common laws.

Numbers with six digits are published; the others are written out here from the formulas, with
nothing of the package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp, log, log1p, sqrt
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """One call of a method, and what it gives.

    Attributes:
        name: of the method.
        given: arguments that are numbers, lists or masks.
        expected: result; a tuple where there are several.
        options: further arguments.
        learned: arguments with respect to which there is a slope.
        alone: arguments without leading axes, or a batch of which is no batch of results.
        rows: whether the result of every row depends on that row alone, down to plain numbers.
        tensors: whether the method takes tensors.
    """

    name: str
    given: Mapping[str, Any]
    expected: Any
    options: Mapping[str, Any] = field(default_factory=dict)
    learned: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    rows: bool = False
    tensors: bool = True


def sp(z):
    """`log(1 + e^z)`."""
    return log1p(exp(z))


def sigma(z):
    return 1 / (1 + exp(-z))


def standard(values):
    """What a group's advantages are, by numpy."""
    return (np.array(values) - np.mean(values)) / (np.std(values, ddof=1) + 1e-6)


def row(name, given, expected, learned=None, **options):
    """A case whose arguments are all `(*b)`."""
    return Case(name, given, expected, options, tuple(learned or given), rows=True)


S1 = {"pi_w": [-20, -30], "pi_l": [-24, -28], "ref_w": [-21, -29], "ref_l": [-22, -29.5]}
REF = {"ref_w": [-29, -40], "ref_l": [-28, -55]}
PI = ("pi_w", "pi_l")

PAIRS = [
    row("bt_pair", {"r_w": [1.2, 0.3, -0.5], "r_l": [0.2, 0.9, -0.5]}, [0.313262, 1.037488, 0.693147]),
    row("bt_pair", {"r_w": [1.2, 0.3], "r_l": [0.2, 0.9], "margin": [0.5, 0.0]},
        [0.8 * sp(-0.5) + 0.2 * sp(0.5), 0.8 * sp(0.6) + 0.2 * sp(-0.6)], label_smoothing=0.2),
    row("soft_bt", {"r_w": [1.2, 0.3], "r_l": [0.2, 0.9], "p": [0.8, 0.5]},
        [0.8 * sp(-1) + 0.2 * sp(1), (sp(0.6) + sp(-0.6)) / 2]),
    row("dpo", S1, [0.554355, 0.825939], beta=0.1),
    row("dpo", S1, [0.8 * sp(-0.3) + 0.2 * sp(0.3), 0.8 * sp(0.25) + 0.2 * sp(-0.25)],
        beta=0.1, label_smoothing=0.2),
    row("dpo_gamma", S1, [0.533382, 0.811962], beta=0.1, gamma=0.5),
    row("flip_threshold", REF, [0.644397, 1.701413], beta=0.1),
    row("ipo_flip_threshold", REF, [16.0, 400.0], tau=0.1),  # (-1 + 5)^2, (15 + 5)^2
    row("ipo", S1, [4.0, 56.25], tau=0.1),
    row("rdpo", S1, [0.454355, 0.909273], beta=0.1, eps=0.2),
    row("rdpo_grad_logit", {"z": [0.3, -0.25]},
        [-(0.8 * sigma(-z) + 0.2 * sigma(z)) / 0.6 for z in (0.3, -0.25)], eps=0.2),
    row("rpo", S1, [0.654355, 0.975939], beta=0.1, sft_coef=0.005, nll="sum"),
    row("rpo", {**S1, "len_w": [10, 15]}, [sp(-0.3) + 0.5 * 2, sp(0.25) + 0.5 * 2],
        learned=S1, beta=0.1, sft_coef=0.5, nll="mean"),
    row("dove", {"pi_w": [-33.0], "ref_w": [-36.0], "pi_l": [-12.5], "ref_l": [-11.0]}, [0.493249],
        beta=0.1),
    row("rationale_dpo", {**S1, "pi_r": [-50, -12]}, [5.561071, 2.289222],
        beta=0.1, gamma=0.1, form="logsigmoid"),
    row("rationale_dpo", {**S1, "pi_r": [-50, -12], "len_r": [25, 6]},
        [sp(-0.3) + 0.1 * 2, sp(0.25) + 0.1 * 2], learned=(*S1, "pi_r"), beta=0.1, gamma=0.1),
    row("orpo_log_odds", {"mean_w": [-0.4, -1.2], "mean_l": [-0.9, -1.0]},
        [log(exp(w) / (1 - exp(w))) - log(exp(v) / (1 - exp(v))) for w, v in ((-0.4, -0.9), (-1.2, -1.0))]),
    row("cream_pair", {"logits": [0.8, -0.3, 2.0], "consistency": [1, 0.75, 0.5]},
        [0.371101, 0.779355, 1.126928], learned=("logits",)),
    row("smoothed_pair", {"margin": [4, -2], "p_w": [0.9, 0.5]}, [0.545893, 0.693147],
        gamma=1, beta=0.1),
    row("mapl_intra", {"r_matching_prompt": [1.1, 0.2], "r_other_prompt": [0.4, 0.5]},
        [0.403186, 0.854355]),
    row("mapl_inter", {"margin_strong": [1.5, 0.3], "margin_weak": [0.7, 0.6]}, [0.371101, 0.854355]),
    row("gpo_regression", {"logratio": [0.5, -0.1], "score": [0.4, -0.4]}, [0.09, 0.01], beta=2),
    row("spo_total", {"align": [0.5, 0.7], "ce_w": [1.0, 2.0], "ce_l": [3.0, 4.0]}, [1.3, 2.1],
        gamma=0.5, alpha=0.1),
]  # fmt: skip

FIRST = {"rewards": [1, -0.5, 0.2], "start_value": 3, "end_value": 2}
SEGMENTS = {
    "rewards_1": [1, -0.5, 0.2], "start_value_1": 3, "end_value_1": 2,
    "rewards_2": [0.3, 0.1], "start_value_2": 2, "end_value_2": 1.8,
}  # fmt: skip
STRUCTURED = [
    Case("regret", FIRST, 0.3, learned=tuple(FIRST)),
    Case("regret", {"rewards": [0.3, 0.1], "start_value": 2, "end_value": 1.8}, -0.2),
    Case("regret_prob", SEGMENTS, 0.377541, learned=tuple(SEGMENTS)),
    Case("partial_return_prob", {"rewards_1": [1, -0.5, 0.2], "rewards_2": [0.3, 0.1]}, 0.574443,
         learned=("rewards_1", "rewards_2")),
    Case("regret_stochastic", {"state_values": [3, 2.5], "action_values": [2.8, 2.4]}, 0.3,
         learned=("state_values", "action_values")),
    Case("tpo", {"step_r": [[0.5, 0.2], [0.1, -0.3], [0.4, -0.1]],
                 "emb": [[[1, 0], [0, 1]], [[1, 0], [1, 1]], [[0.8, 0.6], [0, 1]]],
                 "psi": [0.9, 0.1, 0.5]}, 0.562212, learned=("step_r", "emb")),
]  # fmt: skip

L1 = {"s": [0.4, 0.1, -0.3], "psi": [0.9, 0.5, 0.1]}
GAIN, DISCOUNT = [2**g for g in L1["psi"]], [1 / log(2), 1 / log(3), 1 / log(4)]
WINS = [[0, 1, 1, 0.5], [0, 0, 1, 0], [0, 0, 0, 0], [0.5, 1, 1, 0]]


def listed(name, expected):
    return Case(name, L1, expected, learned=("s",))


LISTS = [
    listed("pair_logistic", 1.470557),
    listed("pair_hinge", 1.6),
    listed("list_mle", 1.318331),
    listed("softmax_ce", 1.427974),
    listed("point_mse", 0.57),
    listed("point_sigmoid", 1.831767),
    listed("lipo_lambda", 0.397567),
    Case("lambda_weights", L1,
         [[abs(GAIN[i] - GAIN[j]) * abs(DISCOUNT[i] - DISCOUNT[j]) for j in range(3)] for i in range(3)]),
    Case("lipo_lambda", {"s": [0.7, -0.2], "psi": [1, 0]}, 0.532456 * sp(-0.9), learned=("s",)),
    Case("win_matrix_labels", {"P": [[0.2, 0.9, 0.6], [0.1, 0.9, 0.3], [0.4, 0.7, 0.1]]},
         [2 / 3, 0.3, 1.6 / 3], learned=("P",)),
    Case("pro_ranking", {"mean_logps": [-1.2, -1.5, -1.1]}, 1.958926, learned=("mean_logps",)),
    Case("pro_ranking", {"mean_logps": [-1.2, -1.5, -1.1], "rewards": [2, 1.2, -0.4]}, 3.096476,
         learned=("mean_logps", "rewards")),
    Case("pro_ranking", {"mean_logps": [0.7, -0.2], "sum_logp_best": -9.0},
         sp(-0.9) + 0.05 * 1 * 9, {"sft_coef": 0.05}, ("mean_logps", "sum_logp_best")),
    Case("ranklist", {"s": [1, 0.6, 0.7, -0.2]}, 0.995583, {"max_skip": 2}, ("s",)),
    Case("ranklist", {"s": [1, 0.6, 0.7, -0.2]},
         sum(log(sum(exp(x) for x in tail)) - tail[0]
             for tail in ([1, 0.6, 0.7, -0.2], [0.6, 0.7, -0.2], [0.7, -0.2])),
         {"form": "suffix_lse"}, ("s",)),
    Case("ranklist", {"s": [1, 0.6, 0.7, -0.2]}, log(1 + exp(-0.4) + exp(0.1) + exp(-0.9)),
         {"form": "adjacent_lse"}, ("s",)),
    Case("group_advantage", {"r": [1, 0, 0, 1]}, [0.866024, -0.866024, -0.866024, 0.866024],
         learned=("r",)),
    Case("group_win_rate", {"matrix": WINS}, [0.833333, 0.333333, 0, 0.833333]),
    Case("group_win_rate_advantage", {"matrix": WINS}, standard([5 / 6, 1 / 3, 0, 5 / 6])),
    Case("unlikeliness", {"rewards": [1, 0, 1, 1], "mean_logps": [-0.2, -0.5, -1.4, -0.9]},
         [0.8125, 0, 1, 0.9375], {"beta": 0.25}, ("rewards",)),
    Case("unlikeliness_advantage", {"rewards": [1, 0, 1, 1], "mean_logps": [-0.2, -0.5, -1.4, -0.9]},
         standard([0.8125, 0, 1, 0.9375]), {"beta": 0.25}),
]  # fmt: skip

TERMS = [
    Case("info_nce", {"h": [[1, 0], [0, 1]], "h_pos": [[0.8, 0.6], [0, 2]]}, [0.183901, 0.371101],
         {"tau": 0.5}, ("h", "h_pos"), alone=("h", "h_pos")),
    Case("metarm_spread", {"scores": [0.2, -0.1, 0.9]}, 0.438598, learned=("scores",)),
    Case("degree_ce", {"logits": [0.2, -0.1, 0.6, 0], "degree": 2}, 0.999056, learned=("logits",)),
    Case("tool_rm_total", {"lm": 1.25, "r_w": [0.4, 1], "r_l": [0.1, 1.2]}, 1.588124,
         learned=("lm", "r_w", "r_l"), alone=("lm", "r_w", "r_l")),
]  # fmt: skip

STUDENT, TEACHER, REFERENCE = (
    np.log(p).tolist()
    for p in (
        [[0.7, 0.2, 0.1], [0.1, 0.6, 0.3]],
        [[0.6, 0.3, 0.1], [0.2, 0.5, 0.3]],
        [[0.5, 0.3, 0.2], [0.3, 0.4, 0.3]],
    )
)
TREE = {"parent": [-1, 0, 0, 1], "value": [0.2, 0.6, 0.1, 0.7], "visits": [5, 3, 0, 2]}
POLICY = [
    Case("apo_extrapolate", {"p_prev": [0.5, 0.3, 0.2], "p_new": [0.6, 0.3, 0.1]},
         [0.624393, 0.295579, 0.080028], {"alpha": 0.3}),
    Case("apo_coefficients", {}, [1, 2.5, 4.25, 6.125, 8.0625], {"alpha": 0.5, "rounds": 5},
         tensors=False),
    Case("mcts_backup", TREE,  # the unvisited child counts once: V_0 = (3 * 0.5 - 0.1) / 4
         ([0.35, 0.5, -0.1, 0.1], [0.35, 0.1, 0, 0]), alone=tuple(TREE), tensors=False),
    Case("puct", {"q": 0.3, "sum_logp": -6, "tokens": 8, "n_parent": 9, "n": 2}, 0.940214,
         rows=True, tensors=False),
    Case("visit_label_smoothing", {"n_better": 12, "n_worse": 3}, 0.2, rows=True, tensors=False),
    Case("step_value", {}, 0.9, {"confidence": 0.8, "depth": 5, "correct": True}, tensors=False),
    Case("gae", {"rewards": [-0.01, 0.02, 0.5], "values": [0.1, 0.2, 0.15]},
         ([0.377375, 0.3025, 0.35], [0.477375, 0.5025, 0.5]), learned=("rewards", "values")),
    row("ppo_policy_terms", {"ratio": [1.5, 0.5, 1.1], "adv": [2.0, -2.0, 3.0]}, [-2.4, 1.6, -3.3]),
    row("ppo_value_terms",
        {"values": [0.5, 1.4], "old_values": [0.1, 1.0], "returns": [0.6, 0.9]}, [0.045, 0.125]),
    Case("whiten", {"x": [[0.3, -0.1], [0.8, 0.0]]},  # mean 1/4, variance 0.1225
         np.array([[0.05, -0.35], [0.55, -0.25]]) / sqrt(0.1225 + 1e-8), alone=("x",), learned=("x",)),
    Case("token_rewards", {"score": [1.2], "ended": [True], "logp": [[-1, -2]], "ref_logp": [[-1, -1]]},
         [[0, 0.1 + 1.2]], {"kl_coef": 0.1}, ("score", "logp", "ref_logp"),
         alone=("score", "ended", "logp", "ref_logp")),
    Case("adpa_term", {"student": STUDENT, "teacher": TEACHER, "reference": REFERENCE}, -0.075825,
         learned=("student",)),
    Case("forward_kl", {"teacher": TEACHER, "student": STUDENT},
         (0.6 * log(6 / 7) + 0.3 * log(3 / 2) + 0.2 * log(2) + 0.5 * log(5 / 6)) / 2,
         learned=("student",)),
    row("adpa", {"nll": [1.2], "term": [-0.1], "kl": [0.5]}, [1.05], weight=2, kl_weight=0.1),
    row("dckd", {"nll": [1.2], "kl_w": [0.3], "kl_l": [0.5]}, [1.6], weight=0.5),
]  # fmt: skip

ERRORS = {"err_w": [0.020], "err_l": [0.031], "ref_w": [0.022], "ref_l": [0.030]}
IMAGES = {"err": [0.30, 0.25, 0.40], "ref": [0.31, 0.24, 0.38], "phi": [0.9, 0.5, 0.1]}
WRONG = {**IMAGES, "err": [0.36, 0.25, 0.40]}  # whose model ranks the best image last


def ranked(tau):
    """`rank_diffusion` of the list above at beta 5, for the ranks that its weights take."""
    s, off = (0.05, 0.01, 0.02), [1 / log(1 + rank) for rank in tau]
    return sum(
        abs(GAIN[i] - GAIN[j]) * abs(off[i] - off[j]) * sp(5 * (s[i] - s[j]))
        for i in range(3) for j in range(i + 1, 3)
    )  # fmt: skip


DIFFUSION = [
    row("diffusion_dpo", ERRORS, [0.048587], beta=2000),
    row("smoothed_diffusion_dpo", {**ERRORS, "p": [0.6]}, [sp(-3 * 10 * 0.2)], beta=2000),
    row("smoothed_label", {"score_w": [0.2151], "score_l": [0.2042]}, [0.516353],
        low=0.115435, high=0.282016),
    Case("rank_diffusion", IMAGES, 0.554059, {"beta": 5}, ("err", "ref")),
    Case("rank_diffusion", WRONG, ranked((3, 1, 2)), {"beta": 5}, ("err", "ref")),
    Case("rank_diffusion", WRONG, ranked((1, 2, 3)), {"beta": 5, "rank_by": "label"}, ("err", "ref")),
    Case("rank_labels_from_rewards", {"rewards": [[0.9, 0.4, 0.6], [2, 2.5, -1], [0.1, 0.05, 0.07]]},
         [0.833333, 0.333333, 0.333333]),
    Case("npo_renoise", {"x_prev": [0.4, -0.1], "alpha_prev": 0.8, "sigma_prev": 0.6,
                         "alpha_s": 0.6, "sigma_s": 0.8, "noise": [0.2, 1.0]},
         [0.6 * (x / 0.8 + sqrt((4 / 3) ** 2 - (3 / 4) ** 2) * e) for x, e in ((0.4, 0.2), (-0.1, 1.0))],
         learned=("x_prev", "noise"), alone=("alpha_prev", "sigma_prev", "alpha_s", "sigma_s")),
    Case("pseudo_huber", {"a": [[0.1, 0.4]], "b": [[0.0, 0.7]]},
         [(sqrt(0.01 + 1e-6) + sqrt(0.09 + 1e-6)) / 2 - 1e-3], learned=("a", "b"), alone=("a", "b")),
    row("negative_guidance", {"pos": [0.2, 0.5], "neg": [-0.1, 0.3]}, [1.4, 1.3], w=5),
]  # fmt: skip

CASES = [*PAIRS, *STRUCTURED, *LISTS, *TERMS, *POLICY, *DIFFUSION]
