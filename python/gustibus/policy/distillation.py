"""A small policy learns preferences from a large one that was trained on them.

Source: Gao et al. 2025, "Advantage-Guided Distillation for Preference Alignment in Small Language
Models", arXiv 2502.17927 (ADPA and DCKD).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gustibus.data.arrays import number
from gustibus.errors import InputError
from gustibus.methods import method
from gustibus.objectives.tensors import takes

_SOURCE = "Gao et al. 2025, arXiv 2502.17927"
_TESTS = "tests/unit/test_policy_distillation.py"


@method(
    "OPS",
    source=_SOURCE,
    purpose="move a small policy to the tokens that training made likelier in a large one",
    check=f"{_TESTS}::test_worked_numbers",
    example="ops.adpa_term(student=[[[0.2, 0.1]]], teacher=[[[0.9, 0]]], reference=[[[0.1, 0]]])",
)
@takes(student="*b t v", teacher="*b t v", reference="*b t v", mask="bool *b t")
def adpa_term(
    student: Any, teacher: Any, reference: Any, mask: Any = None, top: int | None = None
) -> Any:
    """`-mean_t sum_a pi_student(a) A(a)` with `A = log pi_teacher - log pi_reference`.

    Responses are sampled from the student before training; see `adpa` for the whole loss.

    Args:
        student: `(*b, t, v)` logits, or log-probabilities, at each position.
        teacher: `(*b, t, v)` those of the teacher after preference training.
        reference: `(*b, t, v)` those of the teacher before it.
        mask: `(*b, t)` whether a position counts; all when None.
        top: sum over the student's likeliest tokens alone, this many; all when None.

    Returns:
        `(*b)`.

    Raises:
        InputError: no position of a response counts, or `top` is out of range.
    """
    probability = student.softmax(-1)
    advantage = (teacher.log_softmax(-1) - reference.log_softmax(-1)).detach()
    if top is not None:
        if not 1 <= top <= student.shape[-1]:
            message = f"top: expected 1 to {student.shape[-1]}, got {top}"
            raise InputError(message, where="top")
        probability, kept = probability.topk(top, dim=-1)
        advantage = advantage.gather(-1, kept)
    return -_mean_position((probability * advantage).sum(-1), mask)


@method(
    "OPS",
    source="Hinton et al. 2015, arXiv 1503.02531",
    purpose="distance of a small model's next-token distribution from a large one's",
    check=f"{_TESTS}::test_a_student_like_its_teacher_is_at_no_distance",
    example="ops.forward_kl(teacher=[[[0.9, 0.0]]], student=[[[0.2, 0.1]]])",
)
@takes(teacher="*b t v", student="*b t v", mask="bool *b t")
def forward_kl(teacher: Any, student: Any, mask: Any = None) -> Any:
    """`mean_t KL(teacher || student)`: the student has to cover all that the teacher does.

    Args:
        teacher: `(*b, t, v)` logits, or log-probabilities; not trained.
        student: `(*b, t, v)`.
        mask: `(*b, t)` whether a position counts; all when None.

    Returns:
        `(*b)` in nats, at least 0.
    """
    goal = teacher.log_softmax(-1).detach()
    return _mean_position((goal.exp() * (goal - student.log_softmax(-1))).sum(-1), mask)


@method(
    "OPS",
    source=_SOURCE,
    purpose="imitate the chosen responses and follow the teacher's advantages",
    check=f"{_TESTS}::test_totals_are_the_sums_that_they_are_said_to_be",
    example="ops.adpa(nll=[1.2], term=[-0.08], weight=2.0)",
)
@takes(nll="*b", term="*b", kl="*b")
def adpa(nll: Any, term: Any, kl: Any = None, weight: float = 1.0, kl_weight: float = 0.0) -> Any:
    """`nll + weight term + kl_weight kl`.

    Args:
        nll: `(*b)` negative log-likelihood of the chosen response under the student.
        term: `(*b)` of `adpa_term`.
        kl: `(*b)` distance of the student from where it started, such as `forward_kl`; needed where
            it has a weight.
        weight: of the advantages, at least 0.
        kl_weight: at least 0.

    Returns:
        `(*b)`.
    """
    total = nll + number("weight", weight, low=0) * term
    if number("kl_weight", kl_weight, low=0) == 0:
        return total
    if kl is None:
        message = f"kl: expected distances for kl_weight={kl_weight:g}, got none"
        raise InputError(message, where="kl")
    return total + kl_weight * kl


@method(
    "OPS",
    source=_SOURCE,
    purpose="teach a small policy both what a large one prefers and what it does not",
    check=f"{_TESTS}::test_totals_are_the_sums_that_they_are_said_to_be",
    example="ops.dckd(nll=[1.2], kl_w=[0.3], kl_l=[0.5])",
)
@takes(nll="*b", kl_w="*b", kl_l="*b")
def dckd(nll: Any, kl_w: Any, kl_l: Any, weight: float = 1.0) -> Any:
    """`nll + weight (kl_w + kl_l)`.

    Args:
        nll: `(*b)` negative log-likelihood of the chosen response under the student.
        kl_w: `(*b)` `forward_kl` on the chosen response.
        kl_l: `(*b)` on the rejected one.
        weight: of both distances, at least 0.

    Returns:
        `(*b)`.
    """
    return nll + number("weight", weight, low=0) * (kl_w + kl_l)


def _mean_position(values: Tensor, mask: Tensor | None) -> Tensor:
    """`(*b, t)` -> `(*b)` mean over the positions that count."""
    if mask is None:
        return values.mean(-1)
    counted = mask.sum(-1)
    if (counted == 0).any():
        message = "mask: expected a position that counts in every response, got one without"
        raise InputError(message, where="mask")
    return torch.where(mask, values, 0.0).sum(-1) / counted
