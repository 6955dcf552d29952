"""How low a pair's loss has to fall before the policy ranks the pair as its label does.

Source: Chen et al. 2024, "Preference Learning Algorithms Do Not Learn Preference Rankings",
arXiv 2405.19534, theorem on losses and rankings.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn.functional import softplus

from gustibus.data.arrays import number
from gustibus.methods import method
from gustibus.objectives.tensors import takes

_SOURCE = "Chen et al. 2024, arXiv 2405.19534"
_TESTS = "tests/unit/test_policy_pairs.py"


@method(
    "OPS",
    source=_SOURCE,
    purpose="DPO loss below which a policy ranks a pair rightly: how hard a pair is",
    check=f"{_TESTS}::test_a_pair_is_ranked_rightly_exactly_below_its_threshold",
    example="ops.flip_threshold(ref_w=[-29, -40], ref_l=[-28, -55], beta=0.1)",
)
@takes(ref_w="*b", ref_l="*b")
def flip_threshold(ref_w: Any, ref_l: Any, beta: float = 0.1) -> Any:
    """`sp(-beta c)` with `c = ref_l - ref_w`: by how many nats the reference is wrong.

    The policy finds the chosen response at least as likely if and only if the DPO loss of the pair
    is at most this.

    Args:
        ref_w: `(*b)` log-probabilities of the chosen responses under the reference.
        ref_l: `(*b)` of the rejected ones.
        beta: that of the loss, above 0.

    Returns:
        `(*b)`; the lower, the harder.
    """
    return softplus(-number("beta", beta, low=0, open_ends="(") * (ref_l - ref_w))


@method(
    "OPS",
    source=_SOURCE,
    purpose="IPO loss below which a policy surely ranks a pair rightly",
    check=f"{_TESTS}::test_an_ipo_loss_below_the_threshold_ranks_the_pair_rightly",
    example="ops.ipo_flip_threshold(ref_w=[-29, -40], ref_l=[-28, -55], tau=0.1)",
)
@takes(ref_w="*b", ref_l="*b")
def ipo_flip_threshold(ref_w: Any, ref_l: Any, tau: float = 0.1) -> Any:
    """`(c + 1 / (2 tau))^2` with `c = ref_w - ref_l`, where c is at least `-1 / (2 tau)`.

    Enough for the right order, and not necessary. A reference that is further wrong than that leaves
    the pair in the wrong order even at a loss of 0.

    Args:
        ref_w: `(*b)` log-probabilities of the chosen responses under the reference.
        ref_l: `(*b)` of the rejected ones.
        tau: that of the loss, above 0.

    Returns:
        `(*b)`; `-inf` where no loss is low enough.
    """
    room = (ref_w - ref_l) + 1 / (2 * number("tau", tau, low=0, open_ends="("))
    return torch.where(room >= 0, room**2, -math.inf)
