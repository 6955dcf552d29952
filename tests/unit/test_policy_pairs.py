"""Losses of pairs under a policy: worked numbers, limits, and what each promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import softplus

from gustibus import ops
from gustibus.errors import ConfigError, InputError, NotFiniteError, UnknownNameError
from gustibus.objectives import PAIRWISE
from gustibus.policy import POLICY, Pairs, pair_loss
from gustibus.policy.pairs import (
    dove,
    dpo,
    dpo_gamma,
    ipo,
    orpo_log_odds,
    rationale_dpo,
    rdpo,
    rpo,
)
from gustibus.policy.thresholds import flip_threshold, ipo_flip_threshold

quick = settings(max_examples=25, deadline=None)

S1 = {"pi_w": [-20, -30], "pi_l": [-24, -28], "ref_w": [-21, -29], "ref_l": [-22, -29.5]}
WORKED = {
    "dpo": (S1, {"beta": 0.1}, [0.554355, 0.825939]),
    "dpo_gamma": (S1, {"beta": 0.1, "gamma": 0.5}, [0.533382, 0.811962]),
    "ipo": (S1, {"tau": 0.1}, [4.0, 56.25]),
    "rdpo": (S1, {"beta": 0.1, "eps": 0.2}, [0.454355, 0.909273]),
    "rpo": (S1, {"beta": 0.1, "sft_coef": 0.005, "nll": "sum"}, [0.654355, 0.975939]),
    "dove": (
        {"pi_w": [-33.0], "ref_w": [-36.0], "pi_l": [-12.5], "ref_l": [-11.0]},
        {"beta": 0.1},
        [0.493249],
    ),
    "rationale_dpo": (
        {**S1, "pi_r": [-50, -12]},
        {"beta": 0.1, "gamma": 0.1, "form": "logsigmoid"},
        [5.561071, 2.289222],
    ),
    "flip_threshold": (
        {"ref_w": [-29, -40], "ref_l": [-28, -55]},
        {"beta": 0.1},
        [0.644397, 1.701413],
    ),
}
logp = st.floats(-200, 0)
four = st.tuples(logp, logp, logp, logp)


def tensor(value, **kwargs):
    return torch.tensor(value, dtype=torch.float64, **kwargs)


@pytest.mark.parametrize("name", WORKED)
def test_worked_numbers(name):
    columns, options, expected = WORKED[name]
    run = getattr(ops, name)
    assert np.allclose(run(**columns, **options), expected, rtol=0, atol=1e-6)
    single = {k: torch.tensor(v, dtype=torch.float32) for k, v in columns.items()}
    found = run(**single, **options)
    assert found.dtype == torch.float32
    assert torch.allclose(found, torch.tensor(expected, dtype=torch.float32), rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", [n for n in WORKED if n != "flip_threshold"])
def test_gradients_are_those_of_finite_differences(name):
    columns, options, _ = WORKED[name]
    inputs = [tensor(v, requires_grad=True) for v in columns.values()]
    names = list(columns)

    def run(*values):
        return getattr(ops, name)(**dict(zip(names, values, strict=True)), **options)

    assert torch.autograd.gradcheck(run, inputs)


@pytest.mark.parametrize("name", [n for n in WORKED if n != "flip_threshold"])
def test_logits_of_any_size_give_finite_losses_and_gradients(name):
    columns, options, _ = WORKED[name]
    huge = {k: tensor([-1e4, 0.0], requires_grad=True) for k in columns}
    huge["pi_l"] = tensor([0.0, -1e4], requires_grad=True)
    loss = getattr(ops, name)(**huge, **options)
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert all(v.grad is None or torch.isfinite(v.grad).all() for v in huge.values())


def test_gamma_goes_from_no_reference_to_dpo():
    assert np.allclose(dpo_gamma(**S1, beta=0.3, gamma=1), dpo(**S1, beta=0.3))
    without = softplus(-0.3 * tensor([4.0, -2.0]))
    assert np.allclose(dpo_gamma(**S1, beta=0.3, gamma=0), without)


@quick
@given(four, st.floats(0.01, 1))
def test_a_pair_is_ranked_rightly_exactly_below_its_threshold(logps, beta):
    pi_w, pi_l, ref_w, ref_l = logps
    room = 1e-9 * (1 + abs(beta * (ref_l - ref_w)))  # rounding
    loss, threshold = dpo(*logps, beta), flip_threshold(ref_w, ref_l, beta)
    if pi_w >= pi_l:
        assert loss <= threshold + room
    if loss <= threshold:
        # beta times a difference of less than an ulp of the loss is not seen in it
        assert beta * (pi_w - pi_l) >= -1e-6 or loss < 1e-6


@quick
@given(four, st.floats(0.01, 1))
def test_an_ipo_loss_below_the_threshold_ranks_the_pair_rightly(logps, tau):
    pi_w, pi_l, ref_w, ref_l = logps
    if ipo(*logps, tau) <= ipo_flip_threshold(ref_w, ref_l, tau):
        assert pi_w >= pi_l - 1e-9


def test_no_ipo_loss_is_low_enough_under_a_reference_too_far_wrong():
    assert ipo_flip_threshold(-29, -20, tau=0.1) == -math.inf
    best = {"pi_w": -24 - 2, "pi_l": -20 + 2, "ref_w": -29, "ref_l": -20}  # h_w - h_l = 1
    assert ipo(**best, tau=0.5) == 0
    assert best["pi_w"] < best["pi_l"]


@quick
@given(four, st.floats(0.01, 1), st.floats(0, 0.49))
def test_the_robust_loss_of_flipped_labels_is_dpo_of_clean_ones(logps, beta, eps):
    w, lo, ref_w, ref_l = logps
    mean = (1 - eps) * rdpo(w, lo, ref_w, ref_l, beta, eps) + eps * rdpo(
        lo, w, ref_l, ref_w, beta, eps
    )
    assert mean == pytest.approx(dpo(*logps, beta), abs=1e-9, rel=1e-9)
    assert rdpo(*logps, beta, 0.0) == pytest.approx(dpo(*logps, beta), abs=1e-12)


def test_the_robust_loss_may_be_negative():
    assert rdpo(0, -200, 0, 0, beta=0.1, eps=0.4) < 0


def test_imitation_moves_the_chosen_side_alone():
    assert np.array_equal(rpo(**S1, sft_coef=0), dpo(**S1))
    grads = {}
    for coef in (0.0, 0.7):
        columns = {k: tensor(v, requires_grad=True) for k, v in S1.items()}
        rpo(**columns, sft_coef=coef).sum().backward()
        grads[coef] = columns
    assert torch.equal(grads[0.0]["pi_l"].grad, grads[0.7]["pi_l"].grad)
    assert torch.allclose(grads[0.7]["pi_w"].grad, grads[0.0]["pi_w"].grad - 0.7)


def test_imitation_a_token_divides_by_the_length():
    found = rpo(**S1, sft_coef=2.0, nll="mean", len_w=[10, 15])
    assert np.allclose(found, dpo(**S1) + 2.0 * np.array([2.0, 2.0]))
    with pytest.raises(InputError, match="len_w: expected numbers of tokens"):
        rpo(**S1, nll="mean")
    with pytest.raises(InputError, match="len_w: expected at least 1"):
        rpo(**S1, nll="mean", len_w=[0, 3])


def test_a_pair_across_prompts_pins_the_level_between_them():
    # two prompts, two answers each; the reward is the policy's log-ratio
    def fit(pairs):
        h = torch.zeros(2, 2, dtype=torch.float64, requires_grad=True)
        step = torch.optim.SGD([h], lr=1.0)
        for _ in range(50):
            step.zero_grad()
            better = torch.stack([h[w] for w, _ in pairs])
            worse = torch.stack([h[lo] for _, lo in pairs])
            zero = torch.zeros_like(better)
            dove(better, worse, zero, zero, beta=1.0).mean().backward()
            step.step()
        return (h[0].mean() - h[1].mean()).item()

    same = [((0, 0), (0, 1)), ((1, 1), (1, 0))]
    assert fit(same) == pytest.approx(0, abs=1e-12)
    assert fit([*same, ((0, 1), (1, 1))]) > 0.5
    assert np.array_equal(dove(**S1), dpo(**S1))


@pytest.mark.parametrize(("form", "constant"), [("nll", 0.0), ("logsigmoid", math.log(2))])
def test_without_weight_reasons_add_a_constant(form, constant):
    found = rationale_dpo(**S1, pi_r=[-50, -12], gamma=0, form=form)
    assert np.allclose(found, dpo(**S1) + constant)


def test_both_forms_of_reasons_have_the_same_gradient_far_below_zero():
    grads = []
    for form in ("nll", "logsigmoid"):
        pi_r = tensor([-400.0], requires_grad=True)
        columns = {k: v[:1] for k, v in S1.items()}
        rationale_dpo(**columns, pi_r=pi_r, gamma=0.1, form=form).sum().backward()
        grads.append(pi_r.grad)
    assert torch.allclose(*grads, rtol=1e-12)


def test_the_mean_of_a_reason_does_not_grow_with_its_length():
    long = rationale_dpo(**S1, pi_r=[-50, -100], len_r=[25, 50], gamma=1)
    assert np.allclose(long - dpo(**S1), 2.0)


@quick
@given(st.floats(-30, -1e-6), st.floats(-30, -1e-6))
def test_log_odds_are_those_of_the_mean_token_probability(w, lo):
    def log_odds(logp):
        return logp - math.log(-math.expm1(logp))

    expected = log_odds(w) - log_odds(lo)
    assert orpo_log_odds(w, lo) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_log_odds_can_be_learned_from_at_both_ends():
    columns = [tensor([-1e-7, -0.69, -40.0], requires_grad=True) for _ in range(2)]
    orpo_log_odds(*columns).sum().backward()
    assert all(torch.isfinite(c.grad).all() for c in columns)
    with pytest.raises(InputError, match="mean_l: expected log-probabilities below 0"):
        orpo_log_odds([-0.1], [0.0])


@pytest.mark.parametrize("name", ["dpo", "dpo_gamma", "ipo", "rdpo", "rpo", "dove"])
def test_a_policy_learns_the_planted_order(name):
    logits = torch.zeros(8, dtype=torch.float64, requires_grad=True)
    step = torch.optim.Adam([logits], lr=0.1)
    better, worse = torch.triu_indices(8, 8, offset=1)  # 0 is the best
    for _ in range(100):
        step.zero_grad()
        logp = logits.log_softmax(-1)
        flat = torch.full_like(logp, -math.log(8))
        columns = Pairs(logp[better], logp[worse], flat[better], flat[worse])
        pair_loss(name, columns, beta=0.5).mean().backward()
        step.step()
    assert torch.equal(logits.argsort(descending=True), torch.arange(8))


def staged(stages, *, moving):
    """Log-probabilities of four responses after a stage of DPO on pairs each, from the uniform policy.

    With `moving`, every stage has the policy that it starts from as its reference.
    """
    logits = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    reference, starts = logits.detach().log_softmax(-1), []
    for stage in stages:
        better, worse = torch.tensor(stage).T
        step = torch.optim.SGD([logits], lr=0.5)
        for k in range(20):
            step.zero_grad()
            logp = logits.log_softmax(-1)
            loss = dpo(logp[better], logp[worse], reference[better], reference[worse], 0.5).mean()
            if k == 0:
                starts.append(loss.item())
            loss.backward()
            step.step()
        if moving:
            reference = logits.detach().log_softmax(-1)
    return logits.detach().log_softmax(-1), starts


def test_one_stage_of_all_pairs_is_dpo_on_them_and_stages_move_their_reference():
    stages = ops.curriculum_stages([9, 7, 4, 2])
    together = [pair for stage in stages for pair in stage]
    assert sorted(together) == [(0, 1), (0, 2), (0, 3)]
    found, _ = staged([together], moving=True)

    def ordinary(logits):  # a reference that is uniform and stays so cancels
        return softplus(-0.5 * (logits[0] - logits[1:])).mean()

    logits = torch.zeros(4, dtype=torch.float64)
    for _ in range(20):
        logits = logits - 0.5 * torch.func.grad(ordinary)(logits)
    assert torch.allclose(found, logits.log_softmax(-1), atol=1e-12)
    moved, starts = staged(stages, moving=True)
    assert starts == pytest.approx([math.log(2)] * 3)
    assert not torch.allclose(moved, staged(stages, moving=False)[0], atol=1e-3)


# Choosing by name


def batch(**more):
    return Pairs(**{k: tensor(v) for k, v in {**S1, **more}.items()})


def test_every_policy_objective_runs_by_its_name():
    whole = batch(len_w=[5, 6], len_l=[4, 4], pi_r=[-5, -2], len_r=[3, 2])
    for name in POLICY:
        loss = pair_loss(name, whole, beta=0.2)
        assert loss.shape == (2,)
    assert torch.equal(pair_loss("ipo", whole, beta=0.2), ipo(*whole[:4], tau=0.2))


@pytest.mark.parametrize("name", sorted(set(PAIRWISE) - set(POLICY)))
def test_a_pairwise_objective_reads_the_margin_of_the_policy_and_the_target(name):
    target = tensor([0.75, 0.5])
    found = pair_loss(name, batch()._replace(target=target), beta=0.1)
    assert torch.equal(found, PAIRWISE[name].run(tensor([0.3, -0.25]), target))
    certain = PAIRWISE[name].run(tensor([0.3, -0.25]), torch.ones(2, dtype=torch.float64))
    assert torch.allclose(pair_loss(name, batch(), beta=0.1), certain)


def test_what_an_objective_lacks_is_named():
    with pytest.raises(ConfigError, match="'rationale_dpo' needs pi_r"):
        pair_loss("rationale_dpo", batch())
    with pytest.raises(ConfigError, match="'dpo' reads no targets"):
        pair_loss("dpo", batch(target=[1, 1]))
    with pytest.raises(UnknownNameError, match="did you mean"):
        pair_loss("dpoo", batch())
    with pytest.raises(ConfigError, match=r"options: expected names among \['gap'\] for 'hinge'"):
        pair_loss("hinge", batch(), eps=1)
    with pytest.raises(InputError, match="target: expected probabilities"):
        pair_loss("hinge", batch(target=[2, 0]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dpo(**S1, beta=0), "beta: expected a number in"),
        (lambda: dpo(**S1, label_smoothing=2), "label_smoothing: expected"),
        (lambda: rdpo(**S1, eps=0.5), "eps: expected a number in"),
        (lambda: ipo(**S1, tau=0), "tau: expected"),
        (lambda: rpo(**S1, nll="total"), "nll: expected 'sum' or 'mean'"),
        (lambda: rpo(**S1, sft_coef=-1), "sft_coef: expected"),
        (lambda: rationale_dpo(**S1, pi_r=[-1, -2], form="x"), "form: expected"),
        (lambda: dpo(**{**S1, "pi_w": [1, 2, 3]}), "pi_l: expected shape"),
    ],
)
def test_wrong_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_what_is_not_a_number_is_refused():
    with pytest.raises(NotFiniteError, match="pi_w"):
        dpo(**{**S1, "pi_w": [math.nan, 0]})
