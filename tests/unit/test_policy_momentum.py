"""Momentum between iterations: distributions, their coefficients, and saved adapters."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.torch import load_file, save_file

from gustibus.errors import ArtifactError, InputError
from gustibus.policy import extrapolate_files, extrapolate_weights, stack_lora
from gustibus.policy.momentum import apo_coefficients, apo_extrapolate

quick = settings(max_examples=25, deadline=None)

logits = arrays(np.float64, 5, elements=st.floats(-5, 5))


def distribution(x):
    p = np.exp(x - x.max())
    return p / p.sum()


def test_worked_numbers():
    found = apo_extrapolate([0.5, 0.3, 0.2], [0.6, 0.3, 0.1], alpha=0.3)
    assert np.allclose(found, [0.624393, 0.295579, 0.080028], atol=1e-6)
    assert np.allclose(apo_coefficients(0.5, 5), [1, 2.5, 4.25, 6.125, 8.0625])


@quick
@given(logits, logits, st.floats(0, 3))
def test_the_next_reference_is_a_distribution_further_on(prev, new, alpha):
    prev, new = distribution(prev), distribution(new)
    found = apo_extrapolate(prev, new, alpha)
    assert found.sum() == pytest.approx(1)
    assert np.allclose(apo_extrapolate(prev, new, 0), new)
    assert np.allclose(apo_extrapolate(new, new, alpha), new)


@quick
@given(logits, st.floats(0, 0.9), st.integers(1, 6))
def test_momentum_reaches_its_coefficients(reward, alpha, rounds):
    policy = reference = np.full(5, 0.2)
    for c in apo_coefficients(alpha, rounds):
        solved = distribution(np.log(reference) + reward / 10)  # exact step, beta 10
        assert np.allclose(solved, distribution(c * reward / 10))
        policy, reference = solved, apo_extrapolate(policy, solved, alpha)


def test_coefficients_grow_by_one_without_momentum_and_by_more_with_it():
    assert np.allclose(apo_coefficients(0, 4), [1, 2, 3, 4])
    assert np.diff(apo_coefficients(0.8, 60))[-1] == pytest.approx(5, abs=1e-4)


def test_what_an_iteration_ruled_out_stays_ruled_out():
    assert np.allclose(apo_extrapolate([0.5, 0.5], [1.0, 0.0], alpha=1), [1, 0])
    assert np.allclose(apo_extrapolate([1.0, 0.0], [1.0, 0.0], alpha=1), [1, 0])
    with pytest.raises(InputError, match="p_prev: expected mass wherever"):
        apo_extrapolate([1.0, 0.0], [0.5, 0.5], alpha=1)


def test_extrapolation_can_be_differentiated():
    p = [torch.rand(2, 3, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    check = lambda a, b: apo_extrapolate(a.softmax(-1), b.softmax(-1), 0.4)  # noqa: E731
    assert torch.autograd.gradcheck(check, p)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: apo_extrapolate([0.5, 0.2], [0.5, 0.5], 1), "p_prev: expected probabilities"),
        (lambda: apo_extrapolate([0.5, 0.5], [1.5, -0.5], 1), "p_new: expected probabilities"),
        (lambda: apo_extrapolate([0.5, 0.5], [0.5, 0.5], -1), "alpha: expected"),
        (lambda: apo_coefficients(1.0, 3), "alpha: expected"),
        (lambda: apo_coefficients(0.5, 0), "rounds: expected a whole number of at least 1"),
    ],
)
def test_wrong_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


# Saved iterates


def weights(seed, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return {
        "head": torch.randn(3, 4, generator=generator).to(dtype),
        "steps": torch.tensor([seed]),
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_move_on_along_their_last_change(dtype):
    prev, new = weights(1, dtype), weights(2, dtype)
    moved = extrapolate_weights(prev, new, 0.5)
    expected = 1.5 * new["head"].float() - 0.5 * prev["head"].float()
    assert moved["head"].dtype == dtype
    assert torch.allclose(
        moved["head"].float(), expected, atol=0.05 if dtype != torch.float32 else 1e-6
    )
    assert moved["steps"] == 2
    assert torch.equal(extrapolate_weights(prev, new, 0)["head"], new["head"])
    with pytest.raises(InputError, match="difference in"):
        extrapolate_weights({"head": prev["head"]}, new, 1)
    with pytest.raises(InputError, match=r"head of shape \(3, 4\)"):
        extrapolate_weights({**prev, "head": torch.zeros(2)}, new, 1)


def test_a_log_linear_policy_is_extrapolated_exactly():
    features = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    prev, new = torch.ones(4, dtype=torch.float64), torch.arange(4, dtype=torch.float64)
    moved = extrapolate_weights({"w": prev}, {"w": new}, 0.7)["w"]
    p = [(features @ w).softmax(-1) for w in (prev, new, moved)]
    assert torch.allclose(apo_extrapolate(p[0], p[1], 0.7), p[2])


def test_files_of_weights_become_one(tmp_path):
    for seed in (1, 2):
        save_file(weights(seed), tmp_path / f"{seed}.safetensors")
    out = extrapolate_files(
        tmp_path / "1.safetensors",
        tmp_path / "2.safetensors",
        tmp_path / "3.safetensors",
        alpha=0.5,
    )
    expected = extrapolate_weights(weights(1), weights(2), 0.5)
    assert torch.equal(load_file(out)["head"], expected["head"])


def adapter(folder, seed, **changes):
    peft = pytest.importorskip("peft", reason="peft is not installed")
    torch.manual_seed(seed)
    base = torch.nn.Sequential(torch.nn.Linear(5, 4, bias=False))
    config = peft.LoraConfig(r=2, lora_alpha=3, target_modules=["0"], **changes)
    model = peft.get_peft_model(base, config)
    for name, value in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(value)
    model.save_pretrained(folder)
    return model


def update(folder, base):
    """What an adapter adds to the weight, as peft loads it."""
    import peft

    fresh = torch.nn.Sequential(torch.nn.Linear(5, 4, bias=False))
    fresh.load_state_dict(base)
    merged = peft.PeftModel.from_pretrained(fresh, folder).merge_and_unload()
    return merged[0].weight - base["0.weight"]


@pytest.mark.filterwarnings("ignore:.*:UserWarning:peft")
def test_adapters_are_extrapolated_exactly_at_twice_the_rank(tmp_path):
    adapter(tmp_path / "prev", 1)
    adapter(tmp_path / "new", 2)
    out = extrapolate_files(tmp_path / "prev", tmp_path / "new", tmp_path / "out", alpha=0.6)
    base = {"0.weight": torch.randn(4, 5)}
    prev, new, moved = (update(tmp_path / n, base) for n in ("prev", "new", "out"))
    assert torch.allclose(moved, new + 0.6 * (new - prev), atol=1e-4)
    config = json.loads((out / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"]) == (4, 6)


@pytest.mark.filterwarnings("ignore:.*:UserWarning:peft")
def test_adapters_of_other_kinds_are_refused(tmp_path):
    adapter(tmp_path / "plain", 1)
    adapter(tmp_path / "scaled", 1, use_rslora=True)
    with pytest.raises(ArtifactError, match="plain LoRA adapter of one rank, got use_rslora"):
        extrapolate_files(tmp_path / "plain", tmp_path / "scaled", tmp_path / "out", alpha=1)
    with pytest.raises(ArtifactError, match="the folder of an adapter"):
        extrapolate_files(tmp_path, tmp_path / "plain", tmp_path / "out", alpha=1)
    with pytest.raises(InputError, match="expected LoRA factors"):
        stack_lora({"x.bias": torch.zeros(1)}, {"x.bias": torch.zeros(1)}, 1)
    (tmp_path / "text.safetensors").write_text("no")
    with pytest.raises(ArtifactError, match="not readable as safetensors"):
        extrapolate_files(
            tmp_path / "text.safetensors", tmp_path / "text.safetensors", tmp_path / "x", alpha=1
        )
