"""Pairs whose responses look alike to the model: training on them pushes the chosen one down too.

Source: Razin et al. 2024, "Unintentional Unalignment: Likelihood Displacement in Direct Preference
Optimization", arXiv 2410.08847, the centred hidden embedding similarity.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gustibus.curation.builders import Row, Rows, builder
from gustibus.data.arrays import finite, number
from gustibus.errors import DimensionError, InputError
from gustibus.methods import method
from gustibus.types import F64

if TYPE_CHECKING:
    import torch

_PAPER = "Razin et al. 2024, Unintentional Unalignment, CHES"


@method(
    "OPS",
    source=f"{_PAPER}, definition 2",
    purpose="How alike the two responses of a pair look: high ones push the chosen response down",
    check="tests/methods/test_curation_likeness.py::test_the_worked_similarity",
    example="ops.ches(h_w=[[0.5, 0.1], [0.2, -0.3]], h_l=[[0.5, 0.1], [0.3, 0.4], [-0.1, 0.2]])",
)
def ches(h_w: Any, h_l: Any, *, length_normalize: bool = False) -> Any:
    """`S_w . S_l - |S_w|^2` with `S` the sum, or the mean, of a response's hidden vectors.

    0 for identical responses.

    Args:
        h_w: `(t, d)` last-layer vectors of the tokens that predict the chosen response, from the
            last prompt token to the last token but one; or a list of such, one a pair.
        h_l: likewise of the rejected response, of any other length.
        length_normalize: means in the place of sums, over the true lengths.

    Returns:
        One number, or `(n,)` of n pairs.
    """
    if _is_one(h_w):
        return float(_ches(h_w, h_l, mean=length_normalize))
    if len(h_w) != len(h_l):
        message = f"h_l: expected {len(h_w)} responses, got {len(h_l)}"
        raise DimensionError(message, where="h_l")
    return np.array([_ches(w, low, mean=length_normalize) for w, low in zip(h_w, h_l, strict=True)])


def _is_one(states: Any) -> bool:
    """Whether these are the vectors of one response, not a list of responses."""
    return np.ndim(states[0]) == 1 if len(states) else True


def _ches(h_w: Any, h_l: Any, *, mean: bool) -> float:
    w, low = finite("h_w", h_w, dims=2), finite("h_l", h_l, dims=2)
    if w.shape[1] != low.shape[1]:
        message = f"h_l: expected {w.shape[1]} columns, got {low.shape[1]}"
        raise DimensionError(message, where="h_l")
    one, two = w.sum(0), low.sum(0)
    if mean:
        one, two = one / len(w), two / len(low)
    return float(one @ two - one @ one)


@builder("ches", source=_PAPER)
def ches_filter(rows: Rows, *, drop: float = 0.05, length_normalize: bool = True) -> Iterator[Row]:
    """The pairs of highest similarity with weight 0.

    Args:
        rows: with a number `ches`, or with `hidden_w` and `hidden_l` to compute it from.
        drop: share of the pairs that is left out.
        length_normalize: whether to compare means over tokens.

    Raises:
        InputError: a row has neither.
    """
    share = number("drop", drop, low=0, high=1)
    if not rows:
        return
    value = np.array([_similarity(row, mean=length_normalize) for row in rows])
    out = np.argsort(-value, kind="stable")[: int(share * len(rows) + 1e-9)]
    for i in sorted(out.tolist()):
        yield {"row": rows[i]["row"], "weight": 0.0, "ches": float(value[i])}


def _similarity(row: Row, *, mean: bool) -> float:
    if row.get("ches") is not None:
        return number("ches", row["ches"])
    if row.get("hidden_w") is None or row.get("hidden_l") is None:
        message = "ches: expected a column 'ches', or 'hidden_w' and 'hidden_l', in every row"
        raise InputError(message, where="ches")
    return _ches(row["hidden_w"], row["hidden_l"], mean=mean)


def response_states(model: torch.nn.Module, prompt: Sequence[int], response: Sequence[int]) -> F64:
    """`(t, d)` last-layer vectors of the tokens that predict a response of t tokens.

    Args:
        model: a causal language model of transformers; it is not changed.
        prompt: token ids, at least one.
        response: token ids, at least one.
    """
    import torch

    if not prompt or not response:
        message = f"prompt, response: expected tokens, got {len(prompt)} and {len(response)}"
        raise InputError(message, where="prompt")
    device = next(model.parameters()).device
    tokens = torch.tensor([[*prompt, *response]], device=device)
    with torch.inference_mode():
        states = model(input_ids=tokens, output_hidden_states=True).hidden_states[-1][0]
    return np.asarray(states[len(prompt) - 1 : -1].float().cpu().numpy(), np.float64)
