"""Objectives that are no rows of a table find a planted order of eight scores."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import kendalltau

from gustibus import ops

N = 8
BETTER, WORSE = torch.triu_indices(N, N, offset=1)  # 0 is the best
GRADE = torch.linspace(1, 0, N, dtype=torch.float64)
ONE = torch.ones(N, dtype=torch.float64)
SURE = torch.full((len(BETTER),), 0.9, dtype=torch.float64)
ZERO = torch.zeros(len(BETTER), dtype=torch.float64)


def pairs(s):
    return s[BETTER], s[WORSE]


def policy(s):
    """Log-probabilities of pairs under a softmax policy, and under the uniform one."""
    logp = s.log_softmax(-1)
    flat = torch.full_like(logp, -torch.tensor(float(N)).log())
    return {"pi_w": logp[BETTER], "pi_l": logp[WORSE], "ref_w": flat[BETTER], "ref_l": flat[WORSE]}


def errors(s):
    """Denoising errors that fall with the score, and those of a reference."""
    e = 1 - 0.1 * s
    return {"err_w": e[BETTER], "err_l": e[WORSE], "ref_w": ONE[BETTER], "ref_l": ONE[WORSE]}


def by_regret(s):
    """Chance that the better of two segments of two steps is preferred, as a loss."""
    r_w, r_l = (torch.stack([v, 0 * v], -1) for v in pairs(s))
    return -ops.regret_prob(r_w, 3.0, 1.0, r_l, 3.0, 1.0).log()


STEPS = torch.eye(N, dtype=torch.float64)[:, None].expand(N, 2, N)  # no step is like another
LOSSES = {
    "bt_pair": lambda s: ops.bt_pair(*pairs(s), label_smoothing=0.1),
    "soft_bt": lambda s: ops.soft_bt(*pairs(s), SURE),
    "cream_pair": lambda s: ops.cream_pair(s[BETTER] - s[WORSE], SURE),
    "smoothed_pair": lambda s: ops.smoothed_pair(s[BETTER] - s[WORSE], SURE),
    "mapl_intra": lambda s: ops.mapl_intra(*pairs(s)),
    "mapl_inter": lambda s: ops.mapl_inter(*pairs(s)),
    "gpo_regression": lambda s: ops.gpo_regression(s, GRADE - GRADE.mean(), beta=0.5),
    "regret_prob": by_regret,
    "pro_ranking": lambda s: ops.pro_ranking(s.log_softmax(-1), GRADE),
    "pro_ranking, in order": ops.pro_ranking,
    "ranklist": lambda s: ops.ranklist(s, max_skip=3),
    "ranklist, suffixes": lambda s: ops.ranklist(s, form="suffix_lse"),
    "ranklist, neighbours": lambda s: ops.ranklist(s, form="adjacent_lse"),
    "tpo": lambda s: ops.tpo(torch.stack([0.7 * s, 0.3 * s], -1), STEPS, GRADE),
    "rationale_dpo": lambda s: ops.rationale_dpo(**policy(s), pi_r=ZERO - 1),
    "diffusion_dpo": lambda s: ops.diffusion_dpo(**errors(s), beta=10),
    "smoothed_diffusion_dpo": lambda s: ops.smoothed_diffusion_dpo(**errors(s), p=SURE, beta=10),
    "rank_diffusion": lambda s: ops.rank_diffusion(1 - 0.1 * s, ONE, GRADE, beta=10),
}


@pytest.mark.parametrize("name", LOSSES)
def test_the_planted_order_is_found(name):
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(N, generator=generator, dtype=torch.float64).requires_grad_()
    step = torch.optim.Adam([scores], lr=0.2)
    first = LOSSES[name](scores).mean().item()
    for _ in range(200):
        step.zero_grad()
        loss = LOSSES[name](scores).mean()
        loss.backward()
        step.step()
    assert loss.item() < first
    assert kendalltau(scores.detach(), GRADE).statistic >= 0.9
