"""Any pairwise objective by its name in the DPO trainer of TRL, and the collator of its rows.

The losses of that trainer live inside one private method, and there is no hook for another. So
`PairTrainer` replaces the method, and is written for the releases that `release.SUPPORTED` names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gustibus.errors import ConfigError
from gustibus.policy.pairs import Pairs, check_objective, pair_loss
from gustibus.policy.release import require_trl
from gustibus.policy.rewarding import plain_text

require_trl()

from trl import DPOTrainer  # noqa: E402  # after the check, which says what is wrong
from trl.trainer.dpo_trainer import DataCollatorForPreference  # noqa: E402

COLUMNS = ("target", "rejected_prompt_ids", "reason_prompt_ids", "reason_ids")
"""What a row may have beyond TRL's own columns."""

REASON = "{prompt}\n\nPreferred answer: {chosen}\n\nOther answer: {rejected}\n\nReason: "
"""What a policy reads before it says why the first answer was preferred."""

_UNREAD = {
    "loss_type": ["sigmoid"],
    "loss_weights": None,
    "label_smoothing": 0.0,
    "ld_alpha": None,
    "f_divergence_type": "reverse_kl",
    "use_weighting": False,
}
"""Settings of TRL's own losses, and what they are when nobody has set them."""


@dataclass
class PairCollator(DataCollatorForPreference):  # type: ignore[misc]  # TRL has no types
    """TRL's collator, for rows with targets, with reasons, or with two different prompts.

    Rows have `prompt_ids`, `chosen_ids`, `rejected_ids`, and may have `target` (probability that
    the chosen answer is the better one), `rejected_prompt_ids` (where the rejected answer is to
    another prompt), and `reason_prompt_ids` with `reason_ids`.
    """

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """Tensors of a batch: those of TRL, and `target`, `(b,)`, `reason_*`, `(b, t)`."""
        batch: dict[str, Any] = super().torch_call(examples)
        if "rejected_prompt_ids" in examples[0]:
            there = [{**row, "prompt_ids": row["rejected_prompt_ids"]} for row in examples]
            other = super().torch_call(there)
            for name in ("input_ids", "attention_mask", "completion_mask"):
                fill = self.pad_token_id if name == "input_ids" else 0
                batch[name] = _stack(batch[name].chunk(2)[0], other[name].chunk(2)[1], fill)
        if "target" in examples[0]:
            batch["target"] = torch.tensor([float(row["target"]) for row in examples])
        if "reason_ids" in examples[0]:
            told = [
                {"prompt_ids": row["reason_prompt_ids"], "chosen_ids": row["reason_ids"],
                 "rejected_ids": []}
                for row in examples
            ]  # fmt: skip
            for name, value in super().torch_call(told).items():
                batch[f"reason_{name}"] = value.chunk(2)[0]
        return batch


class PairTrainer(DPOTrainer):  # type: ignore[misc]  # TRL has no types
    """TRL's DPO trainer with an objective of gustibus.

    Rows of the data set are as for TRL (`prompt`, `chosen`, `rejected`, texts or conversations), and
    may have `target`, or a `reason` in plain text. Rows with `prompt_w`, `response_w`, `prompt_l`,
    `response_l` compare answers to different prompts.

    Beside TRL's metrics of rewards and log-probabilities it logs `logps/chosen_change`, the mean
    change of log pi(chosen) since the reference: below 0, training makes the chosen answers less
    likely.

    Args:
        model: a causal language model, or the path of one.
        args: `DPOConfig`; settings that only TRL's own losses read are refused.
        processing_class: the tokenizer.
        objective: a name in `gustibus.policy.POLICY` or `gustibus.objectives.PAIRWISE`.
        options: of the objective, beside beta, which is that of the configuration (`tau` of an
            objective that has no beta).
        per_token: whether log-probabilities are divided by the number of tokens first, as TRL does
            for `ipo`.
        data_collator: `PairCollator` when None.
        **kwargs: further ones of `DPOTrainer`: `ref_model`, `train_dataset`, `peft_config`, ...

    Raises:
        ConfigError: a setting is one that only TRL's own losses read, or the objective has no such
            option.
        UnknownNameError: there is no such objective.

    Examples:
        trainer = PairTrainer(model, args=DPOConfig("out", beta=0.1), train_dataset=pairs,
                              processing_class=tokenizer, objective="rdpo", options={"eps": 0.2})
        trainer.train()
    """

    _signature_columns: list[str] | None

    def __init__(
        self,
        model: Any,
        *,
        args: Any,
        processing_class: Any,
        objective: str = "dpo",
        options: Mapping[str, Any] | None = None,
        per_token: bool = False,
        data_collator: Any = None,
        **kwargs: Any,
    ) -> None:
        check_objective(objective, options or ())
        _refuse_unread(args)
        if kwargs.get("compute_metrics") is not None:
            message = "compute_metrics: logits are not kept; use the metrics that are logged"
            raise ConfigError(message, where="compute_metrics")
        self._objective, self._options = objective, dict(options or {})
        self._per_token = per_token
        if processing_class.pad_token is None:
            processing_class.pad_token = processing_class.eos_token
        super().__init__(
            model,
            args=args,
            processing_class=processing_class,
            data_collator=data_collator
            or PairCollator(
                processing_class.pad_token_id,
                args.max_length,
                args.truncation_mode,
                args.pad_to_multiple_of,
            ),
            **kwargs,
        )
        if self.aux_loss_enabled:
            message = "model: the loss of its router is not added here; set router_aux_loss_coef=0"
            raise ConfigError(message, where="model")

    def compute_ref_log_probs(self, model: Any, inputs: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """Log-probabilities `(b,)` of both answers under the reference, adapters included."""
        found: tuple[Tensor, Tensor] = super().compute_ref_log_probs(model, _of_trl(inputs))
        return found

    def _compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool) -> Tensor:  # noqa: FBT001
        assert not return_outputs, "only compute_metrics asks for outputs, and that is refused"
        pi_w, pi_l = _log_probs(model, _of_trl(inputs)).chunk(2)
        if self.precompute_ref_logps:
            ref_w, ref_l = inputs["ref_chosen_logps"], inputs["ref_rejected_logps"]
        else:
            ref_w, ref_l = self.compute_ref_log_probs(self.ref_model or self.model, inputs)
        len_w, len_l = inputs["completion_mask"][:, 1:].sum(1).clamp(min=1).chunk(2)
        pairs = Pairs(pi_w, pi_l, ref_w, ref_l, len_w, len_l, target=inputs.get("target"))
        self._log(pairs)
        if self._per_token:
            pairs = pairs._replace(
                pi_w=pi_w / len_w, pi_l=pi_l / len_l, ref_w=ref_w / len_w, ref_l=ref_l / len_l
            )
        if "reason_input_ids" in inputs:
            reasons = {
                n: inputs[f"reason_{n}"] for n in ("input_ids", "attention_mask", "completion_mask")
            }
            pairs = pairs._replace(
                pi_r=_log_probs(model, reasons),
                len_r=reasons["completion_mask"][:, 1:].sum(1).clamp(min=1),
            )
        return pair_loss(self._objective, pairs, beta=self.beta, **self._options).mean()

    def _log(self, pairs: Pairs) -> None:
        """Means over all processes, once a step, under the names that TRL uses."""
        change_w = (pairs.pi_w - pairs.ref_w).detach()
        change_l = (pairs.pi_l - pairs.ref_l).detach()
        rows = {
            "rewards/chosen": self.beta * change_w,
            "rewards/rejected": self.beta * change_l,
            "rewards/accuracies": (change_w > change_l).float(),
            "rewards/margins": self.beta * (change_w - change_l),
            "logps/chosen": pairs.pi_w.detach(),
            "logps/rejected": pairs.pi_l.detach(),
            "logps/chosen_change": change_w,
        }
        gathered = self.accelerator.gather_for_metrics(torch.stack(list(rows.values()), 1))
        mode = "train" if self.model.training else "eval"
        for name, mean in zip(rows, gathered.mean(0).tolist(), strict=True):  # syncs the device
            self._metrics[mode][name].append(mean)

    def _prepare_dataset(
        self, dataset: Any, processing_class: Any, args: Any, dataset_name: str
    ) -> Any:
        first = next(iter(dataset))
        if "prompt_w" in first:
            joint = dataset.map(_joint(processing_class))
            most = args.max_length
            return joint if most is None else joint.filter(lambda row: _longest_prompt(row) < most)
        if "reason" in first:
            dataset = dataset.map(_reasoned(processing_class))
        return super()._prepare_dataset(dataset, processing_class, args, dataset_name)

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        known = self._signature_columns or ()
        self._signature_columns = list(dict.fromkeys([*known, *COLUMNS]))


def _refuse_unread(args: Any) -> None:
    for name, usual in _UNREAD.items():
        got = getattr(args, name)
        if got != usual:
            message = f"{name}: read by TRL's own losses alone, got {got!r}; use options"
            raise ConfigError(message, where=name)


def _log_probs(model: Any, inputs: Mapping[str, Tensor]) -> Tensor:
    """`(b,)` log-probabilities of the completions, summed, through TRL's fused head."""
    rest = {k: v for k, v in inputs.items() if k in ("input_ids", "attention_mask")}
    labels = inputs["input_ids"].masked_fill(inputs["completion_mask"] == 0, -100)
    outputs = model(**rest, labels=labels, use_cache=False, fused_lm_head=True)
    # virtual tokens of prompt tuning come first, and have no labels
    return outputs.log_probs[:, -(labels.shape[1] - 1) :].sum(1)


def _of_trl(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs that TRL's own methods pass on to the model."""
    return {k: v for k, v in inputs.items() if k != "target" and not k.startswith("reason_")}


def _stack(chosen: Tensor, rejected: Tensor, fill: int) -> Tensor:
    """Both halves of a batch, padded on the right to one length."""
    longest = max(chosen.shape[1], rejected.shape[1])
    pad = torch.nn.functional.pad
    return torch.cat([pad(x, (0, longest - x.shape[1]), value=fill) for x in (chosen, rejected)])


def _joint(tokenizer: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Tokens of a row that compares answers to two prompts."""

    def tokens(row: dict[str, Any]) -> dict[str, Any]:
        prompt_w, chosen = _split(tokenizer, row["prompt_w"], row["response_w"])
        prompt_l, rejected = _split(tokenizer, row["prompt_l"], row["response_l"])
        return {"prompt_ids": prompt_w, "chosen_ids": chosen,
                "rejected_prompt_ids": prompt_l, "rejected_ids": rejected}  # fmt: skip

    return tokens


def _longest_prompt(row: dict[str, Any]) -> int:
    """Tokens before the answers begin; where they fill the sequence nothing is left to learn."""
    return max(len(row["prompt_ids"]), len(row["rejected_prompt_ids"]))


def _reasoned(tokenizer: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Tokens of the reason of a row in plain text."""

    def tokens(row: dict[str, Any]) -> dict[str, Any]:
        texts = {name: plain_text(row[name]) for name in ("prompt", "chosen", "rejected")}
        asked, said = _split(tokenizer, REASON.format(**texts), row["reason"])
        return {"reason_prompt_ids": asked, "reason_ids": said}

    return tokens


def _split(tokenizer: Any, prompt: str, response: str) -> tuple[Sequence[int], Sequence[int]]:
    """Tokens of a prompt and of what follows it, up to the end of the text."""
    begin: list[int] = tokenizer(prompt)["input_ids"]
    whole: list[int] = tokenizer(prompt + response + tokenizer.eos_token)["input_ids"]
    shared = next((i for i, (a, b) in enumerate(zip(begin, whole, strict=False)) if a != b), None)
    start = min(len(begin), len(whole)) if shared is None else shared
    return whole[:start], whole[start:]
