"""Whether a designed reward and a learnt one rise and fall together along training.

Source: Kim & Seo 2024, "Rethinking the Role of Proxy Rewards in Language Model Alignment", arXiv
2402.03469, section on the monotonic relation of the two.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gustibus.data.arrays import finite, names, same_length
from gustibus.errors import InputError
from gustibus.methods import method
from gustibus.types import F64

HEALTHY = 0.8
"""Correlation from which a designed reward may stand for the learnt one."""


@method(
    "PROBES",
    source="Kim & Seo 2024, arXiv 2402.03469, monotonic relation of proxy and gold reward",
    purpose="Whether a reward without labels and a learnt one order checkpoints alike",
    check="tests/methods/test_probes_proxies.py::test_checkpoints_are_compared_by_their_mean_rewards",
    example="ops.proxy_agreement(checkpoint=[0, 1, 2], proxy=[0.1, 0.4, 0.6], learnt=[1.0, 1.5, 1.4])",
    laws=("user_renaming", "row_order", "perfect"),
)
def proxy_agreement(checkpoint: Any, proxy: Any, learnt: Any) -> dict[str, float]:
    """Spearman correlation of mean rewards over checkpoints; 1 for a perfect stand-in.

    Args:
        checkpoint: `(n,)` when each response was sampled; any names.
        proxy: `(n,)` designed reward of the response, such as `relevance_reward`.
        learnt: `(n,)` reward of the model.

    Returns:
        `proxy_agreement` in [-1, 1], 0 where either never moves, and `healthy`, 1 from 0.8 on.

    Raises:
        InputError: there are fewer than three checkpoints.
    """
    at = names("checkpoint", checkpoint).astype(str)
    rewards = [finite("proxy", proxy), finite("learnt", learnt)]
    same_length(checkpoint=at, proxy=rewards[0], learnt=rewards[1])
    known, code = np.unique(at, return_inverse=True)
    if len(known) < 3:
        message = f"checkpoint: expected at least three of them, got {len(known)}"
        raise InputError(message, where="checkpoint")
    means = [np.bincount(code, values) / np.bincount(code) for values in rewards]
    rho = _spearman(*means)
    return {"proxy_agreement": rho, "healthy": float(rho >= HEALTHY)}


def _spearman(x: F64, y: F64) -> float:
    """Correlation of mean ranks; 0 where either is constant."""
    x, y = (np.sign(v[:, None] - v).sum(-1) for v in (x, y))  # twice the centred mean ranks
    size = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / size) if size > 0 else 0.0
