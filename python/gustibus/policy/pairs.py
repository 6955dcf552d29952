"""Losses of pairs of responses under a policy: functions of log-probabilities, one number a pair.

A log-probability is summed over the tokens of a response; `h = log pi - log pi_ref` is the implicit
reward of the response, up to a factor beta and a constant of the prompt. Rows of `POLICY` name the
columns of `Pairs` that they read, and `pair_loss` runs any of them, or any row of
`gustibus.objectives.PAIRWISE` on the margin `beta (h_w - h_l)`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from gustibus.data.arrays import number
from gustibus.errors import ConfigError, InputError, UnknownNameError
from gustibus.methods import method
from gustibus.objectives.pairwise import PAIRWISE, logistic, probability, robust, squared
from gustibus.objectives.tensors import takes
from gustibus.registry import Registry

POLICY: Registry[Callable[..., Tensor]] = Registry("policy objective")
"""Losses by name, each a function of some columns of `Pairs` and of options. Their laws: `shift` (a
constant on both log-probabilities under the policy changes nothing), `ratio` (only the log-ratios to
the reference count), `monotone` (a likelier chosen response never costs more), `convex` (in the
log-probability of the chosen response)."""

_TESTS = "tests/unit/test_policy_pairs.py"
_S1 = "pi_w=[-20, -30], pi_l=[-24, -28], ref_w=[-21, -29], ref_l=[-22, -29.5]"


class Pairs(NamedTuple):
    """A batch of pairs as a policy sees it, all `(b,)`; what is None is not known."""

    pi_w: Tensor
    """Log-probabilities of the chosen responses under the policy, summed over tokens."""
    pi_l: Tensor
    """Those of the rejected responses."""
    ref_w: Tensor
    """Log-probabilities of the chosen responses under the reference."""
    ref_l: Tensor
    len_w: Tensor | None = None
    """Tokens of the chosen responses."""
    len_l: Tensor | None = None
    pi_r: Tensor | None = None
    """Log-probabilities of the reasons for the choice under the policy."""
    len_r: Tensor | None = None
    target: Tensor | None = None
    """Probability in `[0, 1]` that the chosen response is the better one; 1 where None."""


def pair_loss(objective: str, pairs: Pairs, *, beta: float = 0.1, **options: Any) -> Tensor:
    """`(b,)` losses of an objective by its name.

    Args:
        objective: a name in `POLICY`, or else in `PAIRWISE`, which reads the margin
            `beta (h_w - h_l)` and the target.
        pairs: the batch.
        beta: pull towards the reference, above 0; `tau` of an objective that has no beta.
        **options: further options of the objective.

    Raises:
        UnknownNameError: there is no such objective.
        ConfigError: it lacks a column that it needs, does not read the targets that are there, or
            has no such option.
    """
    check_objective(objective, options)
    if objective not in POLICY:
        change = (pairs.pi_w - pairs.ref_w) - (pairs.pi_l - pairs.ref_l)
        margin = _strength("beta", beta) * change
        given = pairs.target
        target = torch.ones_like(margin) if given is None else probability("target", given)
        return PAIRWISE[objective].run(margin, target, **options)
    run = POLICY[objective].run
    parameters = inspect.signature(run).parameters
    columns = {name: getattr(pairs, name) for name in Pairs._fields if name in parameters}
    absent = [n for n, v in columns.items() if v is None and parameters[n].default is not None]
    if absent:
        message = f"objective: {objective!r} needs {', '.join(absent)}, which the pairs lack"
        raise ConfigError(message, where="objective")
    if pairs.target is not None:
        message = f"objective: {objective!r} reads no targets; rows of PAIRWISE do"
        raise ConfigError(message, where="objective")
    strength = "beta" if "beta" in parameters else "tau"
    return run(**columns, **{strength: beta, **options})


def check_objective(name: str, options: Iterable[str] = ()) -> None:
    """Refuse a name that `pair_loss` does not know, and options that the objective does not have.

    Raises:
        UnknownNameError: the name is in neither table.
        ConfigError: names the options that there are.
    """
    if name not in POLICY and name not in PAIRWISE:
        raise UnknownNameError.of("objective", name, {*POLICY, *PAIRWISE})
    run = POLICY[name].run if name in POLICY else PAIRWISE[name].run
    known = set(inspect.signature(run).parameters) - {*Pairs._fields, "margin", "beta"}
    wrong = sorted(set(options) - known)
    if wrong:
        message = f"options: expected names among {sorted(known)} for {name!r}, got {wrong}"
        raise ConfigError(message, where="options")


@method(
    "POLICY",
    into=POLICY,
    laws=("shift", "ratio", "monotone", "convex"),
    source="Rafailov et al. 2023, arXiv 2305.18290, equation 7",
    purpose="train a policy on pairs without a reward model",
    check=f"{_TESTS}::test_worked_numbers",
    example=f"ops.dpo({_S1}, beta=0.1)",
)
@takes(pi_w="*b", pi_l="*b", ref_w="*b", ref_l="*b")
def dpo(
    pi_w: Any, pi_l: Any, ref_w: Any, ref_l: Any, beta: float = 0.1, label_smoothing: float = 0.0
) -> Any:
    """Log loss of `z = beta (h_w - h_l)`, with labels smoothed if asked (conservative DPO).

    Args:
        pi_w: `(*b)` log-probabilities of the chosen responses under the policy.
        pi_l: `(*b)` of the rejected ones.
        ref_w: `(*b)` of the chosen ones under the reference.
        ref_l: `(*b)` of the rejected ones.
        beta: pull towards the reference, above 0.
        label_smoothing: probability in `[0, 1]` that a label is taken to be wrong.

    Returns:
        `(*b)`.
    """
    z = _strength("beta", beta) * ((pi_w - ref_w) - (pi_l - ref_l))
    return logistic(z, torch.ones_like(z), label_smoothing=label_smoothing)


@method(
    "POLICY",
    into=POLICY,
    laws=("shift", "monotone", "convex"),
    source="Chen et al. 2024, Preference Learning Algorithms Do Not Learn Preference Rankings, "
    "arXiv 2405.19534",
    purpose="DPO that trusts the reference less, between DPO and no reference at all",
    check=f"{_TESTS}::test_gamma_goes_from_no_reference_to_dpo",
    example=f"ops.dpo_gamma({_S1}, beta=0.1, gamma=0.5)",
)
@takes(pi_w="*b", pi_l="*b", ref_w="*b", ref_l="*b")
def dpo_gamma(
    pi_w: Any, pi_l: Any, ref_w: Any, ref_l: Any, beta: float = 0.1, gamma: float = 1.0
) -> Any:
    """`sp(-beta [(pi_w - pi_l) - gamma (ref_w - ref_l)])`.

    Args:
        pi_w: `(*b)` log-probabilities of the chosen responses under the policy.
        pi_l: `(*b)` of the rejected ones.
        ref_w: `(*b)` of the chosen ones under the reference.
        ref_l: `(*b)` of the rejected ones.
        beta: scale, above 0.
        gamma: share of the reference's log-ratio; 1 is DPO, 0 does without a reference.

    Returns:
        `(*b)`.
    """
    share = number("gamma", gamma)
    return softplus(-_strength("beta", beta) * ((pi_w - pi_l) - share * (ref_w - ref_l)))


@method(
    "POLICY",
    into=POLICY,
    laws=("shift", "ratio", "convex"),
    source="Azar et al. 2023, arXiv 2310.12036, equation 17",
    purpose="pull the difference of log-ratios to one value instead of without end",
    check=f"{_TESTS}::test_worked_numbers",
    example=f"ops.ipo({_S1}, tau=0.1)",
)
@takes(pi_w="*b", pi_l="*b", ref_w="*b", ref_l="*b")
def ipo(pi_w: Any, pi_l: Any, ref_w: Any, ref_l: Any, tau: float = 0.1) -> Any:
    """`(h_w - h_l - 1 / (2 tau))^2`.

    Args:
        pi_w: `(*b)` log-probabilities of the chosen responses under the policy; TRL divides each
            side by its number of tokens first.
        pi_l: `(*b)` of the rejected ones.
        ref_w: `(*b)` of the chosen ones under the reference.
        ref_l: `(*b)` of the rejected ones.
        tau: pull towards the reference, above 0.

    Returns:
        `(*b)`.
    """
    difference = (pi_w - ref_w) - (pi_l - ref_l)
    return squared(difference, torch.ones_like(difference), tau=tau)


@method(
    "POLICY",
    into=POLICY,
    laws=("shift", "ratio", "monotone", "convex"),
    source="Chowdhury et al. 2024, Provably Robust DPO, arXiv 2403.00409",
    purpose="DPO whose mean under flipped labels is that of clean ones",
    check=f"{_TESTS}::test_the_robust_loss_of_flipped_labels_is_dpo_of_clean_ones",
    example=f"ops.rdpo({_S1}, beta=0.1, eps=0.2)",
)
@takes(pi_w="*b", pi_l="*b", ref_w="*b", ref_l="*b")
def rdpo(pi_w: Any, pi_l: Any, ref_w: Any, ref_l: Any, beta: float = 0.1, eps: float = 0.1) -> Any:
    """`[(1 - eps) sp(-z) - eps sp(z)] / (1 - 2 eps)` with `z = beta (h_w - h_l)`.

    It has no lower bound, so it needs weight decay or early stopping where pairs are separable.

    Args:
        pi_w: `(*b)` log-probabilities of the chosen responses under the policy.
        pi_l: `(*b)` of the rejected ones.
        ref_w: `(*b)` of the chosen ones under the reference.
        ref_l: `(*b)` of the rejected ones.
        beta: pull towards the reference, above 0.
        eps: probability that a label was flipped, in `[0, 1/2)`.

    Returns:
        `(*b)`.
    """
    z = _strength("beta", beta) * ((pi_w - ref_w) - (pi_l - ref_l))
    return robust(z, torch.ones_like(z), eps=eps)


@method(
    "POLICY",
    into=POLICY,
    laws=("monotone", "convex"),
    source="Liu et al. 2024, Provably Mitigating Overoptimization in RLHF, arXiv 2405.16436",
    purpose="DPO that keeps imitating the chosen responses, against over-optimisation",
    check=f"{_TESTS}::test_imitation_moves_the_chosen_side_alone",
    example=f"ops.rpo({_S1}, beta=0.1, sft_coef=0.005)",
)
@takes(pi_w="*b", pi_l="*b", ref_w="*b", ref_l="*b", len_w="*b")
def rpo(
    pi_w: Any,
    pi_l: Any,
    ref_w: Any,
    ref_l: Any,
    beta: float = 0.1,
    sft_coef: float = 0.005,
    nll: Literal["sum", "mean"] = "sum",
    len_w: Any = None,
) -> Any:
    """DPO plus `sft_coef` times the negative log-likelihood of the chosen response.

    Args:
        pi_w: `(*b)` log-probabilities of the chosen responses under the policy.
        pi_l: `(*b)` of the rejected ones.
        ref_w: `(*b)` of the chosen ones under the reference.
        ref_l: `(*b)` of the rejected ones.
        beta: pull towards the reference, above 0.
        sft_coef: weight of the imitation, at least 0; `eta beta` in the paper.
        nll: `sum` over the tokens, or their `mean`, which needs `len_w`.
        len_w: `(*b)` tokens of the chosen responses, at least 1.

    Returns:
        `(*b)`.
    """
    if nll not in ("sum", "mean"):
        message = f"nll: expected 'sum' or 'mean', got {nll!r}"
        raise InputError(message, where="nll")
    if nll == "mean" and len_w is None:
        message = "len_w: expected numbers of tokens for nll='mean', got none"
        raise InputError(message, where="len_w")
    imitated = pi_w if nll == "sum" else pi_w / _lengths("len_w", len_w)
    coef = number("sft_coef", sft_coef, low=0)
    return dpo(pi_w, pi_l, ref_w, ref_l, beta) - coef * imitated


@method(
    "POLICY",
    into=POLICY,
    laws=("shift", "ratio", "monotone", "convex"),
    source="Bansal et al. 2024, Bad Apples to Good Oranges, arXiv 2404.00530",
    purpose="DPO on pairs of instruction and response whose instructions may differ",
    check=f"{_TESTS}::test_a_pair_across_prompts_pins_the_level_between_them",
    example="ops.dove(pi_w=[-33.0], pi_l=[-12.5], ref_w=[-36.0], ref_l=[-11.0], beta=0.1)",
)
@takes(pi_w="*b", pi_l="*b", ref_w="*b", ref_l="*b")
def dove(pi_w: Any, pi_l: Any, ref_w: Any, ref_l: Any, beta: float = 0.1) -> Any:
    """DPO on two log-ratios, each of a response given its own prompt.

    What is new is the row, `prompt_w, response_w, prompt_l, response_l`: which instruction was
    answered better. It ties together the levels of different prompts, which other pairs leave open.

    Args:
        pi_w: `(*b)` log-probabilities of the better responses to their prompts under the policy.
        pi_l: `(*b)` of the others to theirs.
        ref_w: `(*b)` of the better ones under the reference.
        ref_l: `(*b)` of the others.
        beta: pull towards the reference, above 0.

    Returns:
        `(*b)`.
    """
    return dpo(pi_w, pi_l, ref_w, ref_l, beta)


@method(
    "POLICY",
    into=POLICY,
    laws=("shift", "ratio", "monotone", "convex"),
    source="Just et al. 2024, Data-Centric Human Preference with Rationales, arXiv 2407.14477; "
    "`logsigmoid` as in the code released with it",
    purpose="DPO that also learns to say why a response was chosen",
    check=f"{_TESTS}::test_without_weight_reasons_add_a_constant",
    example=f"ops.rationale_dpo({_S1}, pi_r=[-50, -12], gamma=0.1, len_r=[25, 6])",
)
@takes(pi_w="*b", pi_l="*b", ref_w="*b", ref_l="*b", pi_r="*b", len_r="*b")
def rationale_dpo(
    pi_w: Any,
    pi_l: Any,
    ref_w: Any,
    ref_l: Any,
    pi_r: Any,
    beta: float = 0.1,
    gamma: float = 0.1,
    form: Literal["nll", "logsigmoid"] = "nll",
    len_r: Any = None,
) -> Any:
    """DPO plus the loss of the reason: `-gamma log pi(r)`, or `sp(-gamma log pi(r))`.

    Args:
        pi_w: `(*b)` log-probabilities of the chosen responses under the policy.
        pi_l: `(*b)` of the rejected ones.
        ref_w: `(*b)` of the chosen ones under the reference.
        ref_l: `(*b)` of the rejected ones.
        pi_r: `(*b)` of the reasons, given prompt, chosen and rejected response.
        beta: pull towards the reference, above 0.
        gamma: weight of the reasons, at least 0.
        form: `nll` of the paper, or `logsigmoid` of its code.
        len_r: `(*b)` tokens of the reasons, by which `pi_r` is divided; without it long reasons
            outweigh the pair.

    Returns:
        `(*b)`.
    """
    if form not in ("nll", "logsigmoid"):
        message = f"form: expected 'nll' or 'logsigmoid', got {form!r}"
        raise InputError(message, where="form")
    told = pi_r if len_r is None else pi_r / _lengths("len_r", len_r)
    cost = -number("gamma", gamma, low=0) * told
    return dpo(pi_w, pi_l, ref_w, ref_l, beta) + (cost if form == "nll" else softplus(cost))


@method(
    "OPS",
    source="Hong et al. 2024, ORPO, arXiv 2403.07691",
    purpose="how much likelier the chosen response is than the rejected one, in log-odds",
    check=f"{_TESTS}::test_log_odds_are_those_of_the_mean_token_probability",
    example="ops.orpo_log_odds(mean_w=[-0.4, -1.2], mean_l=[-0.9, -1.0])",
)
@takes(mean_w="*b", mean_l="*b")
def orpo_log_odds(mean_w: Any, mean_l: Any) -> Any:
    """`log odds(w) - log odds(l)` with `odds = p / (1 - p)` and p the mean token probability.

    The pair term of ORPO is `beta sp(-orpo_log_odds)`.

    Args:
        mean_w: `(*b)` log-probabilities a token of the chosen responses, below 0.
        mean_l: `(*b)` of the rejected ones, below 0.

    Returns:
        `(*b)`.

    Raises:
        InputError: a mean is not below 0.
    """
    return (mean_w - mean_l) - (_log_rest("mean_w", mean_w) - _log_rest("mean_l", mean_l))


def _log_rest(name: str, logp: Tensor) -> Tensor:
    """`log(1 - e^logp)`, precise at both ends."""
    if (logp >= 0).any():
        message = f"{name}: expected log-probabilities below 0, got {logp[logp >= 0][0].item():g}"
        raise InputError(message, where=name)
    small = logp < -math.log(2)
    # each branch is kept away from where the other one holds, so that no gradient is 0 times inf
    far = torch.log1p(-torch.where(small, logp, -1.0).exp())
    near = torch.log(-torch.expm1(torch.where(small, -1.0, logp)))
    return torch.where(small, far, near)


def _strength(name: str, value: Any) -> float:
    return number(name, value, low=0, open_ends="(")


def _lengths(name: str, value: Tensor) -> Tensor:
    if (value < 1).any():
        message = f"{name}: expected at least 1 token each, got {value.min().item():g}"
        raise InputError(message, where=name)
    return value
