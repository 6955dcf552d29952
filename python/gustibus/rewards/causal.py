"""Log-probabilities of what is said next under a causal language model; needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gustibus.errors import InputError


def continuation_log_probs(
    model: Any,
    tokenizer: Any,
    context: str,
    continuations: Sequence[str],
    *,
    batch: int = 16,
) -> list[np.ndarray]:
    """Log-probability of every token of each continuation, given a context.

    The logits at one place are about the token after it, so that they are shifted by one; tokens of
    the context and of the padding have no part.

    Args:
        model: of transformers, with a head for language; in evaluation mode.
        tokenizer: whose call gives `input_ids` without padding.
        context: what was said before, chat template applied; at least one token.
        continuations: texts, each of at least one token.
        batch: texts that go through the model at once.

    Returns:
        One array `(t,)` a continuation, each number at most 0.

    Raises:
        InputError: the context or a continuation has no token, or they are too long together.
    """
    import torch

    before = _tokens(tokenizer, context, special=True)
    if not before:
        message = "context: expected at least one token, got none"
        raise InputError(message, where="context")
    after = [_tokens(tokenizer, text, special=False) for text in continuations]
    room = getattr(model.config, "max_position_embeddings", None)
    for text, tokens in zip(continuations, after, strict=True):
        if not tokens:
            message = f"continuations: expected at least one token, got none for {text!r}"
            raise InputError(message, where="continuations")
        if room is not None and len(before) + len(tokens) > room:
            message = f"context: expected at most {room} tokens with a continuation, got more"
            raise InputError(message, where="context")
    found: list[np.ndarray] = []
    for start in range(0, len(after), batch):
        part = after[start : start + batch]
        longest = max(map(len, part))
        ids = torch.zeros(len(part), len(before) + longest, dtype=torch.long, device=model.device)
        mask = torch.zeros_like(ids)
        for row, tokens in enumerate(part):
            ids[row, : len(before) + len(tokens)] = torch.tensor(before + tokens)
            mask[row, : len(before) + len(tokens)] = 1
        with torch.inference_mode():
            logits = model(input_ids=ids, attention_mask=mask).logits
        told = logits[:, len(before) - 1 : -1].float().log_softmax(-1)  # (n, t, vocabulary)
        each = told.gather(-1, ids[:, len(before) :, None])[..., 0].cpu().numpy()  # (n, t)
        found += [
            row[: len(tokens)].astype(np.float64) for row, tokens in zip(each, part, strict=True)
        ]
    return found


def _tokens(tokenizer: Any, text: str, *, special: bool) -> list[int]:
    return list(tokenizer(text, add_special_tokens=special)["input_ids"])
