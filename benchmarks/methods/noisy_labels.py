"""Plain and robust losses of flipped labels; prints a Markdown table.

Run: python benchmarks/methods/noisy_labels.py [--seeds 5]
A linear reward over 10 features whose true weights have length 2, 4,000 pairs whose labels follow the
Bradley-Terry model and are then flipped, 400 steps of Adam at 0.1. Judged on 20,000 other pairs with
labels as they are before flips. The scale is the length of the learned weights over the true one.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np
import torch

from gustibus.objectives import PAIRWISE


class Found(NamedTuple):
    """How one loss did."""

    ece: float
    scale: float
    accuracy: float


def pairs(count, truth, generator):
    """Differences of features `(count, d)`, and whether the first of a pair is preferred."""
    x = torch.randn(count, len(truth), generator=generator, dtype=torch.float64)
    draws = torch.rand(count, generator=generator, dtype=torch.float64)
    return x, (draws < torch.sigmoid(x @ truth)).double()


def calibration_error(p, y, bins=15):
    """Expected calibration error of the chosen side's probability, over equal bins."""
    confidence, right = torch.maximum(p, 1 - p), ((p > 0.5) == (y > 0.5)).double()
    place = ((confidence - 0.5) * 2 * bins).long().clamp(max=bins - 1)
    gap = torch.zeros(bins, dtype=torch.float64).index_add(0, place, confidence - right)
    return float(gap.abs().sum() / len(p))


def study(loss, flips, *, seed=0, ridge=0.0, pairs_fitted=4000, pairs_judged=20_000):
    """Fit under flipped labels and judge under clean ones.

    Args:
        loss: `(margin, target)` to losses.
        flips: share of the fitting labels that are flipped.
        seed: of truth, data and flips.
        ridge: penalty of half the squared weights, in units of pairs.
        pairs_fitted: pairs with flipped labels.
        pairs_judged: pairs with clean labels.
    """
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randn(10, generator=generator, dtype=torch.float64)
    truth = 2 * truth / truth.norm()
    x, y = pairs(pairs_fitted, truth, generator)
    flipped = torch.rand(pairs_fitted, generator=generator, dtype=torch.float64) < flips
    y = torch.where(flipped, 1 - y, y)
    w = torch.zeros(10, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([w], lr=0.1)
    for _ in range(400):
        optimizer.zero_grad()
        (loss(x @ w, y).mean() + ridge / 2 * (w @ w) / pairs_fitted).backward()
        optimizer.step()
    found = w.detach()
    x, y = pairs(pairs_judged, truth, generator)
    p = torch.sigmoid(x @ found)
    right = ((p > 0.5) == (y > 0.5)).double().mean()
    return Found(calibration_error(p, y), float(found.norm() / truth.norm()), float(right))


def robust(eps):
    """The robust loss for a flip rate."""
    return lambda m, t: PAIRWISE["rdpo"].run(m, t, eps=eps)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    seeds = range(parser.parse_args().seeds)
    print("| labels flipped | loss | ridge | ECE | scale | accuracy |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    for flips in (0.1, 0.2, 0.3, 0.4):
        for name, loss in (("log loss", PAIRWISE["bt_pair"].run), ("robust", robust(flips))):
            for ridge in (0.0, 30.0):
                found = np.mean([study(loss, flips, seed=s, ridge=ridge) for s in seeds], axis=0)
                print(
                    f"| {flips:.0%} | {name} | {ridge:g} | "
                    + " | ".join(f"{v:.3f}" for v in found)
                    + " |"
                )


if __name__ == "__main__":
    main()
