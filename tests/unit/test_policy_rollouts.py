"""Advantages of tokens and the clipped losses of PPO."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gustibus.errors import InputError
from gustibus.policy.rollouts import gae, ppo_policy_terms, ppo_value_terms, token_rewards, whiten

quick = settings(max_examples=25, deadline=None)

few = arrays(np.float64, 6, elements=st.floats(-3, 3))
unit = st.floats(0, 1)


def test_worked_numbers():
    found = gae([-0.01, 0.02, 0.5], [0.1, 0.2, 0.15])
    assert np.allclose(found.advantages, [0.377375, 0.3025, 0.35], atol=1e-12)
    assert np.allclose(found.returns, [0.477375, 0.5025, 0.5], atol=1e-12)


@quick
@given(few, few, unit, unit)
def test_advantages_are_the_discounted_sum_of_surprises(rewards, values, gamma, lam):
    after = np.append(values[1:], 0)
    delta = rewards + gamma * after - values
    slow = [sum((gamma * lam) ** (s - t) * delta[s] for s in range(t, 6)) for t in range(6)]
    assert np.allclose(gae(rewards, values, gamma, lam).advantages, slow, atol=1e-9)


@quick
@given(few, few)
def test_lambda_goes_from_trust_in_values_to_trust_in_rewards(rewards, values):
    told = gae(rewards, values, lam=1).returns
    assert np.allclose(told, rewards[::-1].cumsum()[::-1], atol=1e-9)
    one_step = gae(rewards, values, lam=0).advantages
    assert np.allclose(one_step, rewards + np.append(values[1:], 0) - values)


@quick
@given(few, few)
def test_padding_changes_nothing(rewards, values):
    padded = [np.append(x, [9.0, -9.0]) for x in (rewards, values)]
    mask = [True] * 6 + [False] * 2
    found = gae(*padded, mask=mask)
    assert np.allclose(found.advantages[:6], gae(rewards, values).advantages)
    assert (found.advantages[6:] == 0).all()


def test_gains_beyond_the_clip_have_no_gradient():
    ratio = torch.tensor([1.5, 1.5, 0.5, 0.5, 1.1], dtype=torch.float64, requires_grad=True)
    adv = torch.tensor([2.0, -2.0, 2.0, -2.0, 3.0], dtype=torch.float64)
    loss = ppo_policy_terms(ratio, adv)
    assert torch.allclose(loss, torch.tensor([-2.4, 3.0, -1.0, 1.6, -3.3], dtype=torch.float64))
    loss.sum().backward()
    assert ratio.grad.tolist() == [0, 2, -2, 0, -3]


@quick
@given(
    arrays(np.float64, 5, elements=st.floats(0, 3)),
    arrays(np.float64, 5, elements=st.floats(-3, 3)),
)
def test_the_policy_loss_is_never_below_the_plain_one(ratio, adv):
    loss = ppo_policy_terms(ratio, adv)
    assert (loss >= -adv * ratio).all()
    inside = np.abs(ratio - 1) <= 0.2
    assert np.allclose(loss[inside], (-adv * ratio)[inside])


def test_the_value_loss_is_the_worse_of_two():
    found = ppo_value_terms([0.5, 1.4, 1.1], [0.1, 1.0, 1.0], [0.6, 0.9, 0.9])
    assert np.allclose(found, [0.5 * 0.3**2, 0.5 * 0.5**2, 0.5 * 0.2**2])


def test_gradients_are_those_of_finite_differences():
    x = [torch.rand(2, 4, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    assert torch.autograd.gradcheck(lambda a, b: gae(a, b), x[:2])
    assert torch.autograd.gradcheck(ppo_policy_terms, x[:2])
    assert torch.autograd.gradcheck(ppo_value_terms, x)
    assert torch.autograd.gradcheck(whiten, x[:1])


def test_whitening_leaves_padding_alone():
    x = torch.tensor([[1.0, 2.0, 50.0], [3.0, 4.0, 6.0]], dtype=torch.float64)
    mask = torch.tensor([[True, True, False], [True, True, True]])
    found = whiten(x, mask)
    kept = found[mask]
    assert abs(kept.mean()) < 1e-12
    assert kept.var(correction=0) == pytest.approx(1)
    assert found[0, 2] == 0
    assert (whiten([[0.1, 0.1, 0.1]]).round(6) == 0).all()


def test_a_response_without_an_end_gets_the_penalty_for_it():
    logp, ref = [[-1.0, -2.0, 0.0]] * 2, [[-1.0, -1.0, 0.0]] * 2
    mask = [[True, True, False]] * 2
    found = token_rewards([1.2, 1.2], [True, False], logp, ref, mask, kl_coef=0.1)
    assert np.allclose(found, [[0, 0.1 + 1.2, 0], [0, 0.1 - 10, 0]])
    whole = token_rewards([1.2], [True], [[-1.0, -2.0]], [[-1.0, -1.0]], kl_coef=0.0)
    assert np.allclose(whole, [[0, 1.2]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gae([1.0], [1.0], lam=1.5), "lam: expected"),
        (lambda: gae([1.0], [1.0, 2.0]), "values: expected shape"),
        (lambda: ppo_policy_terms([-0.1], [1.0]), "ratio: expected"),
        (lambda: ppo_policy_terms([1.0], [1.0], clip=1), "clip: expected"),
        (lambda: ppo_value_terms([1.0], [1.0], [1.0], clip=0), "clip: expected"),
        (lambda: token_rewards([1.0], [1], [[1.0]], [[1.0]], kl_coef=-1), "kl_coef: expected"),
    ],
)
def test_wrong_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
