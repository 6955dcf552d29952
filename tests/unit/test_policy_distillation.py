"""A small policy learns from the difference of two large ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gustibus.errors import InputError
from gustibus.policy.distillation import adpa, adpa_term, dckd, forward_kl

quick = settings(max_examples=25, deadline=None)

STUDENT = np.log([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3]])
TEACHER = np.log([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3]])
REFERENCE = np.log([[0.5, 0.3, 0.2], [0.3, 0.4, 0.3]])
logits = arrays(np.float64, (2, 3, 4), elements=st.floats(-8, 8))


def test_worked_numbers():
    assert adpa_term(STUDENT, TEACHER, REFERENCE) == pytest.approx(-0.075825, abs=1e-6)


@quick
@given(logits, logits)
def test_two_teachers_that_agree_teach_nothing(student, teacher):
    assert np.allclose(adpa_term(student, teacher, teacher + 3), 0, atol=1e-9)


@quick
@given(logits, logits, logits)
def test_the_gradient_is_towards_tokens_that_training_made_likelier(student, teacher, reference):
    now = torch.tensor(student, requires_grad=True)
    before = adpa_term(now, teacher, reference)
    before.sum().backward()
    after = adpa_term(now.detach() - 1e-3 * now.grad, teacher, reference)
    assert (after <= before + 1e-9).all()
    # pi (A - mean A), up to the mean over positions
    probability = torch.tensor(student).softmax(-1)
    a = torch.tensor(teacher).log_softmax(-1) - torch.tensor(reference).log_softmax(-1)
    slope = -probability * (a - (probability * a).sum(-1, keepdim=True)) / 3
    assert torch.allclose(now.grad, slope, atol=1e-9)


def test_a_student_with_more_mass_where_the_advantage_is_larger_loses_less():
    more = STUDENT.copy()
    more[0] = np.log([0.9, 0.05, 0.05])
    assert adpa_term(more, TEACHER, REFERENCE) < adpa_term(STUDENT, TEACHER, REFERENCE)


def test_the_top_of_the_vocabulary_alone_may_be_read():
    everything = adpa_term(STUDENT, TEACHER, REFERENCE)
    assert adpa_term(STUDENT, TEACHER, REFERENCE, top=3) == pytest.approx(everything)
    first = -(0.7 * math.log(0.6 / 0.5) + 0.6 * math.log(0.5 / 0.4)) / 2
    assert adpa_term(STUDENT, TEACHER, REFERENCE, top=1) == pytest.approx(first)
    with pytest.raises(InputError, match="top: expected 1 to 3"):
        adpa_term(STUDENT, TEACHER, REFERENCE, top=4)


def test_padding_changes_neither_value_nor_gradient():
    padded = [np.concatenate([x, [[5.0, -5.0, 1.0]]]) for x in (STUDENT, TEACHER, REFERENCE)]
    mask = [True, True, False]
    assert adpa_term(*padded, mask=mask) == pytest.approx(adpa_term(STUDENT, TEACHER, REFERENCE))
    assert forward_kl(*padded[:2], mask=mask) == pytest.approx(forward_kl(STUDENT, TEACHER))
    student = torch.tensor(padded[0], requires_grad=True)
    adpa_term(student, *padded[1:], mask=mask).backward()
    assert (student.grad[2] == 0).all()
    with pytest.raises(InputError, match="mask: expected a position"):
        forward_kl(*padded[:2], mask=[False] * 3)


@quick
@given(logits, logits)
def test_a_student_like_its_teacher_is_at_no_distance(teacher, student):
    assert np.allclose(forward_kl(teacher, teacher + 1), 0, atol=1e-9)
    assert (forward_kl(teacher, student) >= -1e-12).all()
    p, q = (torch.tensor(x).log_softmax(-1) for x in (teacher, student))
    slow = torch.nn.functional.kl_div(q, p, log_target=True, reduction="none").sum(-1).mean(-1)
    assert np.allclose(forward_kl(teacher, student), slow)


def test_gradients_are_those_of_finite_differences():
    generator = torch.Generator().manual_seed(0)
    student, teacher, reference = (
        torch.randn(2, 3, 4, dtype=torch.float64, generator=generator) for _ in range(3)
    )
    student.requires_grad_()
    assert torch.autograd.gradcheck(lambda s: adpa_term(s, teacher, reference), [student])
    assert torch.autograd.gradcheck(lambda s: forward_kl(teacher, s), [student])
    teacher.requires_grad_()
    adpa_term(student, teacher, reference).sum().backward()
    assert teacher.grad is None


def test_logits_of_any_size_are_finite():
    huge = torch.tensor([[[1e4, -1e4, 0.0]]], requires_grad=True)
    loss = adpa_term(huge, -huge.detach(), huge.detach()) + forward_kl(-huge.detach(), huge)
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert torch.isfinite(huge.grad).all()


def test_totals_are_the_sums_that_they_are_said_to_be():
    assert adpa([1.2], [-0.1], weight=2) == pytest.approx(1.0)
    assert adpa([1.2], [-0.1], kl=[0.5], kl_weight=0.1) == pytest.approx(1.15)
    assert dckd([1.2], [0.3], [0.5], weight=0.5) == pytest.approx(1.6)
    with pytest.raises(InputError, match="kl: expected distances"):
        adpa([1.2], [-0.1], kl_weight=0.1)


def test_a_student_learns_the_planted_preference():
    # the teacher learned to prefer low numbers; the student never sees the teacher's ranking
    teacher = torch.linspace(2, -2, 8).expand(5, 8)
    reference = torch.zeros(5, 8)
    student = torch.zeros(5, 8, requires_grad=True)
    step = torch.optim.Adam([student], lr=0.1)
    for _ in range(60):
        step.zero_grad()
        term = adpa_term(student, teacher, reference)
        adpa(torch.zeros(()), term, forward_kl(reference, student), kl_weight=1.0).backward()
        step.step()
    assert torch.equal(student.detach().argsort(-1, descending=True), torch.arange(8).expand(5, 8))
