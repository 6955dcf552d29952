"""Preference losses of diffusion models, and the noise that they are made from."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gustibus.errors import DimensionError, InputError
from gustibus.policy.diffusion import (
    diffusion_dpo,
    negative_guidance,
    npo_renoise,
    pseudo_huber,
    rank_diffusion,
    rank_labels_from_rewards,
    smoothed_diffusion_dpo,
    smoothed_label,
)
from gustibus.policy.noising import (
    add_noise,
    clean,
    ddim_invert,
    ddim_step,
    denoise,
    implied_noise,
    pair_errors,
    predictor,
)

quick = settings(max_examples=25, deadline=None)

ERRORS = {"err_w": [0.020], "err_l": [0.031], "ref_w": [0.022], "ref_l": [0.030]}
LIST = {"err": [0.30, 0.25, 0.40], "ref": [0.31, 0.24, 0.38], "phi": [0.9, 0.5, 0.1]}
error = st.floats(0, 1)
four = st.tuples(error, error, error, error)


def test_worked_numbers():
    assert np.allclose(diffusion_dpo(**ERRORS, beta=2000), 0.048587, atol=1e-6)
    found = smoothed_label(0.2151, 0.2042, low=0.115435, high=0.282016)
    assert found == pytest.approx(0.516353, abs=1e-6)
    assert rank_diffusion(**LIST, beta=5) == pytest.approx(0.554059, abs=1e-6)
    rewards = [[0.9, 0.4, 0.6], [2, 2.5, -1], [0.1, 0.05, 0.07]]
    expected = [0.833333, 0.333333, 0.333333]
    assert np.allclose(rank_labels_from_rewards(rewards), expected, atol=1e-6)
    assert np.allclose(negative_guidance([0.2, 0.5], [-0.1, 0.3], 5), [1.4, 1.3])


@quick
@given(four, st.floats(1, 5000))
def test_a_model_like_its_reference_loses_log_2_and_swapped_images_turn_the_logit(errors, beta):
    w, lo, ref_w, ref_l = errors
    assert diffusion_dpo(w, lo, w, lo, beta) == pytest.approx(math.log(2))
    there, back = diffusion_dpo(*errors, beta), diffusion_dpo(lo, w, ref_l, ref_w, beta)
    inside = beta / 2 * ((w - lo) - (ref_w - ref_l))
    assert there - back == pytest.approx(inside, rel=1e-9, abs=1e-9)  # sp(x) - sp(-x) = x


@quick
@given(four)
def test_certain_labels_are_plain_ones_and_doubtful_ones_reverse_them(errors):
    plain = diffusion_dpo(*errors, beta=100)
    assert smoothed_diffusion_dpo(*errors, p=1.0, beta=100, gamma=1) == pytest.approx(plain)
    w, lo, ref_w, ref_l = errors
    swapped = diffusion_dpo(lo, w, ref_l, ref_w, beta=100)
    assert smoothed_diffusion_dpo(*errors, p=0.0, beta=100, gamma=1) == pytest.approx(swapped)


def test_a_coin_flip_teaches_nothing():
    err = torch.tensor([0.02, 0.9], dtype=torch.float64, requires_grad=True)
    loss = smoothed_diffusion_dpo(err, err.flip(0), err * 2, err, p=[0.5, 0.9])
    loss[0].backward(retain_graph=True)
    assert loss[0].item() == pytest.approx(math.log(2))
    assert (err.grad == 0).all()


@quick
@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0.01, 5))
def test_labels_are_softmax_of_scores_from_0_to_1(a, b, spread):
    low = min(a, b)
    scaled = [(x - low) / spread for x in (a, b)]
    softmax = math.exp(scaled[0]) / sum(map(math.exp, scaled))
    assert smoothed_label(a, b, low, low + spread) == pytest.approx(softmax, rel=1e-6)


@pytest.mark.parametrize("rank_by", ["model", "label"])
def test_lists_of_images_may_come_in_any_order_and_padded(rank_by):
    base = rank_diffusion(**LIST, beta=5, rank_by=rank_by)
    order = [2, 0, 1]
    turned = {k: np.array(v)[order] for k, v in LIST.items()}
    assert rank_diffusion(**turned, beta=5, rank_by=rank_by) == pytest.approx(base)
    padded = {k: torch.tensor([*v, 0.7], requires_grad=True) for k, v in LIST.items()}
    loss = rank_diffusion(**padded, beta=5, rank_by=rank_by, mask=[True] * 3 + [False])
    assert loss.item() == pytest.approx(base, abs=1e-6)
    loss.backward()
    assert padded["err"].grad[3] == 0
    with pytest.raises(InputError, match="rank_by: expected"):
        rank_diffusion(**LIST, rank_by="judge")


def test_a_list_of_two_is_a_pair_times_what_the_ranks_decide():
    pair = diffusion_dpo(0.3, 0.2, 0.25, 0.25, beta=2 * 7)
    weight = (2**1 - 2**0) * (1 / math.log(2) - 1 / math.log(3))
    found = rank_diffusion([0.3, 0.2], [0.25, 0.25], [1, 0], beta=7)
    assert found == pytest.approx(weight * pair)


@quick
@given(arrays(np.float64, (3, 4), elements=st.integers(-9, 9).map(float)), st.floats(0.1, 10))
def test_labels_read_only_the_order_within_each_reward_model(rewards, scale):
    labels = rank_labels_from_rewards(rewards)
    assert labels.mean() == pytest.approx(0.5)
    assert np.allclose(rank_labels_from_rewards(np.exp(scale * rewards / 10)), labels)


def test_gradients_are_those_of_finite_differences():
    rng = torch.Generator().manual_seed(0)
    e = [torch.rand(3, dtype=torch.float64, generator=rng, requires_grad=True) for _ in range(4)]
    assert torch.autograd.gradcheck(lambda *x: diffusion_dpo(*x, beta=3), e)
    assert torch.autograd.gradcheck(lambda *x: smoothed_diffusion_dpo(*x, [0.9, 0.2, 0.6], 3), e)
    phi = torch.tensor([0.9, 0.1, 0.5])
    assert torch.autograd.gradcheck(lambda a, b: rank_diffusion(a, b, phi, beta=3), e[:2])
    assert torch.autograd.gradcheck(lambda a, b: pseudo_huber(a, b, c=0.5), e[:2])
    huge = [torch.tensor([1e4, 0.0], requires_grad=True) for _ in range(4)]
    loss = diffusion_dpo(huge[0], huge[1].flip(0), *huge[2:])
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert torch.isfinite(huge[0].grad).all()


def test_the_huber_loss_is_square_near_and_linear_far():
    assert pseudo_huber([1e-5], [0.0]) == pytest.approx(1e-10 / 2e-3, rel=1e-3)
    assert pseudo_huber([4.0], [0.0]) == pytest.approx(4, rel=1e-3)
    assert pseudo_huber([0.5], [0.5]) == 0
    a, b = np.zeros((2, 3, 4)), np.ones((2, 3, 4))
    assert np.allclose(pseudo_huber(a, b), math.hypot(1, 1e-3) - 1e-3)
    assert pseudo_huber(a, b).shape == (2,)


def test_noising_again_reaches_the_level():
    rng = torch.Generator().manual_seed(0)
    x0 = torch.full((200_000,), 1.3, dtype=torch.float64)
    first, second = (torch.randn(len(x0), generator=rng, dtype=torch.float64) for _ in range(2))
    here, there = math.sqrt(0.9), math.sqrt(0.4)
    x = here * x0 + math.sqrt(0.1) * first
    moved = npo_renoise(x, here, math.sqrt(0.1), there, math.sqrt(0.6), second)
    assert moved.mean().item() == pytest.approx(there * 1.3, abs=0.01)
    assert moved.var().item() == pytest.approx(0.6, abs=0.01)
    same = npo_renoise(x, here, math.sqrt(0.1), here, math.sqrt(0.1), second)
    assert torch.allclose(same, x)
    with pytest.raises(InputError, match="sigma_s: expected at least as much noise"):
        npo_renoise(x, there, 0.8, here, 0.1, second)
    with pytest.raises(InputError, match="alpha_s: expected a number above 0"):
        npo_renoise(x, there, 0.8, 0, 0.1, second)


@pytest.mark.parametrize("w", [1.0, 0.0])
def test_guidance_of_one_is_the_good_model_and_of_none_the_bad_one(w):
    pos, neg = np.array([0.2, 0.5]), np.array([-0.1, 0.3])
    assert np.allclose(negative_guidance(pos, neg, w), pos if w else neg)


# Noise and inversion

ABAR = torch.linspace(0.9999, 0.02, 50, dtype=torch.float64)


def bend(x, step):
    """A smooth stand-in for a model."""
    return torch.tanh(x + 0.01 * step)


def test_noise_is_what_it_was_made_with():
    x0, noise = torch.randn(2, 2, 3, 4, 4, dtype=torch.float64)
    x = add_noise(x0, noise, ABAR[20])
    assert torch.allclose(implied_noise(x, x0, ABAR[20]), noise)
    assert torch.allclose(ddim_step(x, noise, ABAR[20], ABAR[5]), add_noise(x0, noise, ABAR[5]))
    assert torch.allclose(clean(lambda *_: noise, x, abar=ABAR, step=20), x0)


@pytest.mark.parametrize("correct", [False, True])
def test_inversion_leads_back_to_the_image_and_correction_nearer(correct):
    x0 = torch.randn(2, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def back(count, correct):
        x = ddim_invert(bend, x0, abar=ABAR, step=30, count=count, correct=correct)
        path = [round(i * 30 / count) for i in range(count + 1)]
        return (denoise(bend, x, abar=ABAR, steps=path[::-1]) - x0).abs().max()

    assert back(30, correct) < back(5, correct)
    assert back(30, True) < back(30, False) < 0.2


def test_inversion_takes_no_more_moves_than_steps_and_noise_when_asked():
    seen = []

    def watch(x, step):
        seen.append(step)
        return bend(x, step)

    x0 = torch.zeros(1, 4, dtype=torch.float64)
    plain = ddim_invert(watch, x0, abar=ABAR, step=3)
    assert seen == [0, 1, 2]
    generator = torch.Generator().manual_seed(0)
    shaken = ddim_invert(bend, x0, abar=ABAR, step=3, eta=0.1, generator=generator)
    assert 0 < (shaken - plain).abs().max() < 1
    with pytest.raises(InputError, match="step: expected 1 to 49"):
        ddim_invert(bend, x0, abar=ABAR, step=50)
    with pytest.raises(InputError, match="a generator"):
        ddim_invert(bend, x0, abar=ABAR, step=3, eta=0.1)
    with pytest.raises(InputError, match="steps: expected falling ones"):
        denoise(bend, x0, abar=ABAR, steps=[1, 2])


def test_pairs_share_their_noise_and_step():
    x_w, x_l, noise = torch.randn(3, 4, 2, 3, 3, dtype=torch.float64)
    step = torch.tensor([1, 10, 20, 49])
    found = pair_errors(
        lambda x, _: x, lambda x, _: 0 * x, x_w, x_l, step=step, abar=ABAR, noise=noise
    )
    for b in range(4):
        x = add_noise(x_w[b], noise[b], ABAR[step[b]])
        assert found.err_w[b] == pytest.approx(((x - noise[b]) ** 2).mean().item())
        assert found.ref_l[b] == pytest.approx((noise[b] ** 2).mean().item())
    same = pair_errors(bend_rows, bend_rows, x_w, x_l, step=step, abar=ABAR, noise=noise)
    assert torch.allclose(diffusion_dpo(*same), torch.tensor(math.log(2), dtype=torch.float64))
    with pytest.raises(DimensionError, match="latents and noise of one shape"):
        pair_errors(bend, bend, x_w, x_l[:2], step=1, abar=ABAR, noise=noise)
    with pytest.raises(InputError, match="step: expected 0 to 49"):
        pair_errors(bend, bend, x_w, x_l, step=50, abar=ABAR, noise=noise)


def bend_rows(x, step):
    return torch.tanh(x + step.reshape(-1, 1, 1, 1))


# With diffusers


@pytest.fixture(scope="module")
def unet():
    diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed")
    models = []
    for _ in range(2):
        torch.manual_seed(0)
        models.append(
            diffusers.UNet2DConditionModel(
                sample_size=8, in_channels=4, out_channels=4, layers_per_block=1,
                block_out_channels=(8, 16), norm_num_groups=4, cross_attention_dim=8,
                down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
                up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), attention_head_dim=4,
            )
        )  # fmt: skip
    return diffusers, *models


def images(seed):
    return torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_a_unet_of_diffusers_learns_a_pair(unet, kind):
    diffusers, _, frozen = unet
    scheduler = diffusers.DDPMScheduler(num_train_timesteps=50, prediction_type=kind)
    prompts = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(3)).double()
    model, frozen = copy.deepcopy(frozen).double(), copy.deepcopy(frozen).double()
    policy, reference = (predictor(m, scheduler, prompts) for m in (model, frozen))
    step = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(6):
        errors = pair_errors(
            policy, reference, images(1).double(), images(2).double(),
            step=torch.tensor([10, 30]), abar=scheduler.alphas_cumprod, noise=images(4).double(),
        )  # fmt: skip
        loss = diffusion_dpo(*errors, beta=2000)
        losses.append(loss.mean().item())
        assert torch.isfinite(loss).all()
        step.zero_grad()
        loss.mean().backward()
        step.step()
    assert losses[0] == pytest.approx(math.log(2), abs=1e-6)
    assert losses[-1] < 0.5 * losses[0]


def test_only_adapters_receive_gradients_and_without_them_the_model_is_its_reference(unet):
    peft = pytest.importorskip("peft", reason="peft is not installed")
    diffusers, _, frozen = unet
    model = copy.deepcopy(frozen).double().requires_grad_(requires_grad=False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(0)
    model.add_adapter(peft.LoraConfig(r=2, target_modules=["to_k", "to_v"]))
    scheduler = diffusers.DDPMScheduler(num_train_timesteps=50)
    prompts = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(3)).double()
    policy = predictor(model, scheduler, prompts)

    def reference(x, at):
        model.disable_adapters()
        said = policy(x, at)
        model.enable_adapters()
        return said

    trained = {name: p for name, p in model.named_parameters() if "lora_" in name}
    others = {name: p for name, p in model.named_parameters() if "lora_" not in name}
    step = torch.optim.Adam(trained.values(), lr=1e-2)
    losses = []
    for taken in range(4):
        errors = pair_errors(
            policy, reference, images(1).double(), images(2).double(), step=torch.tensor([10, 30]),
            abar=scheduler.alphas_cumprod, noise=images(4).double(),
        )  # fmt: skip
        loss = diffusion_dpo(*errors, beta=2000).mean()
        losses.append(loss.item())
        step.zero_grad()
        loss.backward()
        assert all(p.grad is None and not p.requires_grad for p in others.values())
        for name, p in trained.items():  # the inner map waits for the outer one, which starts at 0
            assert bool(p.grad.any()) == ("lora_B" in name or taken > 0), name
        step.step()
    assert losses[0] == pytest.approx(math.log(2), abs=1e-6)
    assert losses[-1] < losses[0]
    after = {name.replace(".base_layer", ""): p for name, p in others.items()}
    assert after
    for name, p in after.items():
        assert torch.equal(p, before[name]), name


def test_inversion_takes_the_moves_of_the_scheduler_of_diffusers_backwards(unet):
    diffusers, model, _ = unet
    scheduler = diffusers.DDIMScheduler(
        num_train_timesteps=50, clip_sample=False, set_alpha_to_one=False
    )
    scheduler.set_timesteps(50)
    predict = predictor(model, scheduler, torch.zeros(2, 5, 8))
    x = images(5)
    with torch.no_grad():
        noise = predict(x, 20)
    ours = ddim_step(x, noise, scheduler.alphas_cumprod[20], scheduler.alphas_cumprod[19])
    assert torch.allclose(ours, scheduler.step(noise, 20, x).prev_sample, atol=1e-5)
    inverted = ddim_invert(predict, x, abar=scheduler.alphas_cumprod, step=20, count=20)
    target = implied_noise(inverted, x, scheduler.alphas_cumprod[20])
    assert torch.isfinite(target).all()
    assert target.shape == x.shape


def test_a_scheduler_that_predicts_something_else_is_refused(unet):
    diffusers, model, _ = unet
    with pytest.raises(InputError, match="scheduler: expected predictions of epsilon"):
        predictor(model, diffusers.DDPMScheduler(prediction_type="sample"))


def test_a_negative_model_is_made_without_data(unet):
    """One round of Self-NPO: denoise without guidance, noise again, regress to the clean latent."""
    diffusers, model, frozen = unet
    scheduler = diffusers.DDPMScheduler(num_train_timesteps=50)
    abar = scheduler.alphas_cumprod
    model.load_state_dict(frozen.state_dict())
    nothing = torch.zeros(2, 5, 8)
    predict = predictor(model, scheduler, nothing)
    x = denoise(predict, images(6), abar=abar, steps=[40, 36, 32, 28, 24, 20])
    with torch.no_grad():
        target = clean(predict, x, abar=abar, step=20)
    levels = [abar[20].sqrt(), (1 - abar[20]).sqrt(), abar[45].sqrt(), (1 - abar[45]).sqrt()]
    again = npo_renoise(x, *levels, images(7))
    loss = pseudo_huber(clean(predict, again, abar=abar, step=45), target)
    assert loss.shape == (2,)
    loss.mean().backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
