"""Objectives in the trainers of TRL, with a tiny random model, and parity with TRL's own losses."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from gustibus.errors import ConfigError, UnknownNameError
from gustibus.objectives.pairwise import bt_pair
from gustibus.policy import PersonReward, pairs
from gustibus.policy.release import check_release

pytest.importorskip("trl", reason="trl is not installed")

from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    PreTrainedTokenizerFast,
)
from trl import DPOConfig, DPOTrainer, GRPOConfig, GRPOTrainer, RewardConfig, RewardTrainer

from gustibus.policy.trainers import PairCollator, PairTrainer

# TRL reads names that transformers has renamed
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing. is dep:FutureWarning")

WORDS = ["[PAD]", "[EOS]", "[UNK]", "say", "a", "word", "yes", "no", "maybe", "fine", "well"]
ROWS = {
    "prompt": ["say a", "say a word", "say"],
    "chosen": [" yes yes", " fine", " yes well maybe"],
    "rejected": [" no", " no no well", " no"],
}
SIZES = {
    "vocab_size": len(WORDS), "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
    "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 64,
    "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer():
    core = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split("[EOS]", "isolated")]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="[PAD]", eos_token="[EOS]", unk_token="[UNK]"
    )


def causal(seed):
    torch.manual_seed(seed)
    return LlamaForCausalLM(LlamaConfig(**SIZES))


def settings(folder, **changes):
    usual = {
        "output_dir": str(folder), "use_cpu": True, "bf16": False, "report_to": "none",
        "disable_tqdm": True, "activation_checkpointing": False, "save_strategy": "no",
        "per_device_train_batch_size": 3, "logging_steps": 1, "dataloader_pin_memory": False,
    }  # fmt: skip
    return DPOConfig(**{**usual, **changes})


def trainer_of(kind, tokenizer, folder, rows=ROWS, *, config=None, seeds=(0, 1), **kwargs):
    return kind(
        causal(seeds[0]),
        ref_model=causal(seeds[1]),
        args=settings(folder, **(config or {})),
        train_dataset=Dataset.from_dict(rows),
        processing_class=tokenizer,
        **kwargs,
    )


def batch_of(trainer, rows=3):
    return trainer.data_collator([trainer.train_dataset[i] for i in range(rows)])


def sequence_logps(model, batch, prefix=""):
    """`(2 b,)` log-probabilities and numbers of tokens, the plain way."""
    ids, mask = batch[f"{prefix}input_ids"], batch[f"{prefix}completion_mask"][:, 1:]
    plain = LlamaForCausalLM(model.config)
    plain.load_state_dict(model.state_dict())
    with torch.no_grad():
        logits = plain.eval()(ids, attention_mask=batch[f"{prefix}attention_mask"]).logits
    each = logits[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
    return (each * mask).sum(1), mask.sum(1)


@pytest.fixture(scope="module")
def theirs(tokenizer, tmp_path_factory):
    trainer = trainer_of(DPOTrainer, tokenizer, tmp_path_factory.mktemp("trl"))
    trainer.model.eval()
    return trainer


@pytest.fixture(scope="module")
def ours(tokenizer, tmp_path_factory):
    trainer = trainer_of(PairTrainer, tokenizer, tmp_path_factory.mktemp("ours"))
    trainer.model.eval()
    return trainer


PARITY = {
    "dpo": (["sigmoid"], None, {}, False),
    "rdpo": (["robust"], None, {"eps": 0.2}, False),
    "ipo": (["ipo"], None, {}, True),
    "hinge": (["hinge"], None, {}, False),
    "rpo": (["sigmoid", "sft"], [1.0, 0.3], {"sft_coef": 0.3, "nll": "mean"}, False),
}


@pytest.mark.parametrize("name", PARITY)
def test_losses_of_trl_are_ours_by_name(name, theirs, ours, monkeypatch):
    kinds, weights, options, per_token = PARITY[name]
    monkeypatch.setattr(theirs, "loss_types", kinds)
    monkeypatch.setattr(theirs, "loss_weights", weights or [1.0])
    monkeypatch.setattr(theirs, "label_smoothing", options.get("eps", 0.0))
    monkeypatch.setattr(ours, "_objective", name)
    monkeypatch.setattr(ours, "_options", options)
    monkeypatch.setattr(ours, "_per_token", per_token)
    rows = 1 if name == "rpo" else 3  # TRL averages the likelihood over the tokens of the batch
    batch = batch_of(ours, rows)
    expected = theirs.compute_loss(theirs.model, batch_of(theirs, rows))
    found = ours.compute_loss(ours.model, batch)
    if per_token:
        # TRL divides by the completion's tokens, which are those that are predicted too
        assert (batch["completion_mask"][:, 0] == 0).all()
    assert torch.allclose(found, expected, atol=1e-6)
    slopes = [
        torch.autograd.grad(loss, list(t.model.parameters()))
        for loss, t in ((found, ours), (expected, theirs))
    ]
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*slopes, strict=True))


def test_losses_are_those_of_the_plain_functions_on_the_same_log_probabilities(ours):
    batch = batch_of(ours)
    (pi, lengths), (ref, _) = (sequence_logps(m, batch) for m in (ours.model, ours.ref_model))
    loss = ours.compute_loss(ours.model, batch)
    expected = pairs.dpo(*pi.chunk(2), *ref.chunk(2), beta=0.1).mean()
    assert torch.allclose(loss, expected, atol=1e-5)
    assert lengths.tolist() == [3, 2, 4, 2, 4, 2]


def test_the_margin_of_the_reward_trainer_is_that_of_bt_pair(tokenizer, tmp_path):
    torch.manual_seed(0)
    model = LlamaForSequenceClassification(LlamaConfig(**SIZES, num_labels=1))
    config = RewardConfig(
        output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none",
        activation_checkpointing=False,
    )  # fmt: skip
    rows = {
        "chosen": [p + c for p, c in zip(ROWS["prompt"], ROWS["chosen"], strict=True)],
        "rejected": [p + c for p, c in zip(ROWS["prompt"], ROWS["rejected"], strict=True)],
        "margin": [0.5, 0.0, 1.0],
    }
    trainer = RewardTrainer(
        model, args=config, train_dataset=Dataset.from_dict(rows), processing_class=tokenizer
    )
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(3)])
    trainer.model.eval()
    with torch.no_grad():
        loss = trainer.compute_loss(trainer.model, batch)
        scores = trainer.model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    expected = bt_pair(*scores[:, 0].chunk(2), margin=batch["margin"]).mean()
    assert torch.allclose(loss, expected, atol=1e-6)


@pytest.mark.parametrize("objective", ["rdpo", "hinge"])
def test_training_learns_the_pairs_and_logs_the_change_of_the_chosen(
    tokenizer, tmp_path, objective
):
    config = {"learning_rate": 0.04, "num_train_epochs": 6, "beta": 0.5}
    trainer = trainer_of(
        PairTrainer, tokenizer, tmp_path, config=config, seeds=(0, 0), objective=objective
    )
    trainer.train()
    logs = [log for log in trainer.state.log_history if "loss" in log]
    assert logs[0]["logps/chosen_change"] == pytest.approx(0, abs=1e-4)
    assert logs[-1]["loss"] < 0.5 * logs[0]["loss"]
    assert logs[-1]["rewards/accuracies"] == 1
    trainer.model.eval()
    batch = batch_of(trainer)
    now, before = (sequence_logps(m, batch)[0][:3].mean() for m in (trainer.model, causal(0)))
    change = trainer.evaluate(Dataset.from_dict(ROWS))["eval_logps/chosen_change"]
    assert change == pytest.approx((now - before).item(), abs=1e-3)


def test_an_adapter_is_compared_with_its_base(tokenizer, tmp_path):
    peft = pytest.importorskip("peft", reason="peft is not installed")
    trainer = PairTrainer(
        causal(0),
        args=settings(tmp_path, learning_rate=0.05, num_train_epochs=3),
        train_dataset=Dataset.from_dict(ROWS),
        processing_class=tokenizer,
        peft_config=peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"]),
    )
    trainer.train()
    logs = [log for log in trainer.state.log_history if "loss" in log]
    assert logs[0]["rewards/margins"] == pytest.approx(0, abs=1e-5)
    assert logs[-1]["rewards/margins"] > 0
    trainer.model.zero_grad()
    trainer.compute_loss(trainer.model, batch_of(trainer)).backward()
    base = causal(0).state_dict()
    for name, p in trainer.model.named_parameters():
        assert p.requires_grad == ("lora_" in name), name
        if p.requires_grad:
            assert p.grad.any(), name
        else:
            assert p.grad is None, name
            plain = name.removeprefix("base_model.model.").replace(".base_layer", "")
            assert torch.equal(p, base[plain]), name


def test_targets_say_how_sure_a_pair_is(tokenizer, tmp_path):
    rows = {**ROWS, "target": [1.0, 0.5, 0.0]}
    trainer = trainer_of(PairTrainer, tokenizer, tmp_path, rows, objective="bt_pair")
    trainer.model.eval()
    batch = batch_of(trainer)
    assert batch["target"].tolist() == [1.0, 0.5, 0.0]
    (pi, _), (ref, _) = (sequence_logps(m, batch) for m in (trainer.model, trainer.ref_model))
    z = 0.1 * ((pi - ref)[:3] - (pi - ref)[3:])
    expected = torch.nn.functional.binary_cross_entropy_with_logits(z, batch["target"])
    assert torch.allclose(trainer.compute_loss(trainer.model, batch), expected, atol=1e-5)


@pytest.mark.parametrize("ahead", [False, True])
def test_pairs_across_prompts_read_each_answer_after_its_own(tokenizer, tmp_path, ahead):
    rows = {
        "prompt_w": ["say a", "say", "say"], "response_w": [" yes", " fine well", " yes"],
        "prompt_l": ["say a word", "say a word", "word " * 9], "response_l": [" no", " no maybe", " no"],
    }  # fmt: skip
    trainer = trainer_of(
        PairTrainer, tokenizer, tmp_path, rows, objective="dove",
        config={"precompute_ref_log_probs": ahead, "max_length": 8},
    )  # fmt: skip
    trainer.model.eval()
    assert len(trainer.train_dataset) == 2  # the third prompt leaves no room for an answer
    batch = batch_of(trainer, 2)
    texts = tokenizer.batch_decode(batch["input_ids"], skip_special_tokens=True)
    assert texts == ["say a yes", "say fine well", "say a word no", "say a word no maybe"]
    (pi, lengths), (ref, _) = (sequence_logps(m, batch) for m in (trainer.model, causal(1)))
    assert lengths.tolist() == [2, 3, 2, 3]
    expected = pairs.dove(*pi.chunk(2), *ref.chunk(2)).mean()
    assert torch.allclose(trainer.compute_loss(trainer.model, batch), expected, atol=1e-5)


def test_reasons_are_learned_after_both_answers(tokenizer, tmp_path):
    rows = {**ROWS, "reason": [" fine", " well well", " fine well"]}
    trainer = trainer_of(
        PairTrainer, tokenizer, tmp_path, rows, objective="rationale_dpo", options={"gamma": 0.7}
    )
    trainer.model.eval()
    batch = batch_of(trainer)
    (pi, _), (ref, _) = (sequence_logps(m, batch) for m in (trainer.model, trainer.ref_model))
    pi_r, len_r = sequence_logps(trainer.model, batch, "reason_")
    assert len_r.tolist() == [2, 3, 3]
    expected = pairs.rationale_dpo(
        *pi.chunk(2), *ref.chunk(2), pi_r=pi_r, gamma=0.7, len_r=len_r
    ).mean()
    assert torch.allclose(trainer.compute_loss(trainer.model, batch), expected, atol=1e-5)
    trainer.train()


def test_the_collator_pads_both_prompts_to_one_length():
    rows = [
        {
            "prompt_ids": [3],
            "chosen_ids": [4],
            "rejected_prompt_ids": [5, 6, 7],
            "rejected_ids": [8],
        }
    ]
    batch = PairCollator(0)(rows)
    assert batch["input_ids"].tolist() == [[3, 4, 0, 0], [5, 6, 7, 8]]
    assert batch["completion_mask"].tolist() == [[0, 1, 0, 0], [0, 0, 0, 1]]
    assert batch["attention_mask"].tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]


def test_settings_that_would_be_ignored_are_refused(tokenizer, tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean"):
        trainer_of(PairTrainer, tokenizer, tmp_path, objective="rdpoo")
    with pytest.raises(ConfigError, match=r"options: expected names among \['eps'\] for 'rdpo'"):
        trainer_of(PairTrainer, tokenizer, tmp_path, objective="rdpo", options={"epsilon": 0.2})
    for change in ({"loss_type": ["ipo"]}, {"label_smoothing": 0.1}, {"ld_alpha": 0.5}):
        with pytest.raises(ConfigError, match=f"{next(iter(change))}: read by TRL's own losses"):
            trainer_of(PairTrainer, tokenizer, tmp_path, config=change)
    with pytest.raises(ConfigError, match="compute_metrics: logits are not kept"):
        trainer_of(PairTrainer, tokenizer, tmp_path, compute_metrics=print)
    with pytest.raises(ConfigError, match=r"trl: expected a release of 1\.16, got 0\.9\.1"):
        check_release("0.9.1")


# Rewards


class Wordy:
    """A scorer in whose reward a word of the person counts."""

    def score(self, prompt, candidates, *, user=None):
        return np.array([float(c.split().count(user)) for c in candidates])


def test_a_group_relative_trainer_takes_a_persons_reward(tokenizer, tmp_path):
    config = GRPOConfig(
        output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none", disable_tqdm=True,
        activation_checkpointing=False, save_strategy="no", num_generations=4, max_steps=2,
        per_device_train_batch_size=4, max_completion_length=3, logging_steps=1, beta=0.0,
        learning_rate=1e-3, dataloader_pin_memory=False,
    )  # fmt: skip
    trainer = GRPOTrainer(
        causal(0),
        reward_funcs=PersonReward(Wordy(), column="who"),
        args=config,
        train_dataset=Dataset.from_dict({"prompt": ["say a", "say"], "who": ["yes", "no"]}),
        processing_class=copy.deepcopy(tokenizer),
    )
    trainer.train()
    assert any("rewards/gustibus_reward/mean" in log for log in trainer.state.log_history)
