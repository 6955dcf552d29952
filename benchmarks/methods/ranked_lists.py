"""Listwise losses side by side on lists with graded labels; prints a Markdown table.

Run: python benchmarks/methods/ranked_lists.py [--seeds 5] [--steps 800]
A linear reward over 10 features, 400 lists of 8 whose grades come from the true reward with noise,
800 steps of Adam at 0.05 on all of them: `lipo_lambda`, whose pairs weigh less than 1, has not come to
rest after 200. Judged on 400 other lists without noise: Kendall's tau, share
of pairs in the right order, and normalised discounted cumulative gain.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from gustibus.objectives import LISTWISE

ROWS = {
    "pair_logistic": {}, "pair_hinge": {}, "list_mle": {}, "softmax_ce": {}, "point_mse": {},
    "lipo_lambda": {}, "pro_ranking": {}, "ranklist": {"max_skip": 3},
}  # fmt: skip


def lists(count, truth, noise, generator):
    """Features `(l, 8, d)` and grades `(l, 8)` in [0, 1]."""
    x = torch.randn(count, 8, len(truth), generator=generator)
    disturbed = x @ truth + noise * torch.randn(count, 8, generator=generator)
    return x, torch.sigmoid(disturbed)


def judge(s, psi):
    """`(tau, pairs, ndcg)` of scores under labels, means over lists."""
    right = ((s[:, :, None] - s[:, None]) * (psi[:, :, None] - psi[:, None]) > 0).float()
    pairs = right.sum((1, 2)) / (8 * 7)
    discount = 1 / torch.log(2 + torch.arange(8.0))
    gain = 2**psi - 1
    dcg = (gain.gather(1, s.argsort(dim=1, descending=True)) * discount).sum(1)
    best = (gain.sort(dim=1, descending=True).values * discount).sum(1)
    return [float(v.mean()) for v in (2 * pairs - 1, pairs, dcg / best)]


def study(name, *, seed=0, noise=1.0, steps=800):
    """How a row of `LISTWISE` does; arguments: its name, seed, noise of grades, steps of Adam."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randn(10, generator=generator)
    x, psi = lists(400, truth, noise, generator)
    w = torch.zeros(10, requires_grad=True)
    optimizer = torch.optim.Adam([w], lr=0.05)
    for _ in range(steps):
        optimizer.zero_grad()
        LISTWISE[name].run(x @ w, psi, None, **ROWS[name]).mean().backward()
        optimizer.step()
    x, psi = lists(400, truth, 0.0, generator)
    return judge((x @ w).detach(), psi)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=800)
    asked = parser.parse_args()
    print("| loss | Kendall's tau | pairs | NDCG |")
    print("| --- | ---: | ---: | ---: |")
    for name in ROWS:
        found = np.mean(
            [study(name, seed=s, steps=asked.steps) for s in range(asked.seeds)], axis=0
        )
        print(f"| `{name}` | {found[0]:.3f} | {found[1]:.3f} | {found[2]:.5f} |")


if __name__ == "__main__":
    main()
