"""Degree losses beside a pairwise loss; prints a Markdown table.

Run: python benchmarks/methods/degrees.py [--seeds 3]
Responses are sentences with key words of their own among common ones; in a pair the one that kept
more of its key words is preferred. Degree k of 4 lacks the top k / 3 of the key words. One network
has a reward and a degree for every text. Judged on responses that were not fitted: how often the
degree is told, the rank correlation of reward and degree of one response, and the pairs.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from scipy.stats import spearmanr

from gustibus import ops
from gustibus.curation.degrading import degraded_variants
from gustibus.curation.keywords import Rarity
from gustibus.encoders.hashing import HashingEncoder
from gustibus.evaluation.surface import surface_features

COMMON = ["the", "of", "and", "with", "near", "under", "a", "then", "some", "very"]
KEYS = [
    f"{a}{b}"
    for a in ("gran", "vol", "crys", "sedi")
    for b in ("ite", "canic", "tal", "ment", "oid", "lith")
]
DEGREES = 4


def sentence(rng):
    """Twelve key words among common ones."""
    keys = rng.choice(KEYS, 12, replace=False)
    words = [str(w) for key in keys for w in (rng.choice(COMMON), key)]
    return " ".join(words).capitalize() + "."


def variants(count, seed):
    """`(count * 4)` texts, the degrees of one response after another."""
    rng = np.random.default_rng(seed)
    texts = [sentence(rng) for _ in range(count)]
    rarity = Rarity(texts)
    return [text for whole in texts for text in degraded_variants(whole, DEGREES, rarity)]


def features(texts):
    """Hashed words and the looks of texts."""
    seen = np.concatenate(
        [surface_features(tuple(texts)) / 3, HashingEncoder(dim=64).encode(texts)], 1
    )
    return torch.as_tensor(seen, dtype=torch.float32)


def study(gamma, *, seed=0, count=150, steps=150):
    """`(degree accuracy, Spearman of reward and degree, pair accuracy)` on held-out responses.

    Args:
        gamma: weight of the degree losses of both sides.
        seed: of data and network.
        count: responses to fit, and as many to judge.
        steps: of Adam on all of them.
    """
    torch.manual_seed(seed)
    fitted, judged = (features(variants(count, s)) for s in (seed, seed + 1000))
    degree = torch.arange(DEGREES).repeat(count)
    rng = np.random.default_rng(seed)
    body = torch.nn.Sequential(torch.nn.Linear(fitted.shape[1], 32), torch.nn.ReLU())
    reward, degrees = torch.nn.Linear(32, 1), torch.nn.Linear(32, DEGREES)
    parameters = [*body.parameters(), *reward.parameters(), *degrees.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.01)
    better = np.arange(count) * DEGREES + rng.integers(0, 2, count)  # degree 0 or 1
    worse = rng.permutation(count) * DEGREES + rng.integers(2, DEGREES, count)
    for _ in range(steps):
        optimizer.zero_grad()
        hidden = body(fitted)
        r = reward(hidden)[:, 0]
        align = ops.bt_pair(r[better], r[worse]).mean()
        ce = ops.degree_ce(degrees(hidden), degree).reshape(count, DEGREES).mean(1)
        of_w, of_l = ce[better // DEGREES].mean(), ce[worse // DEGREES].mean()
        ops.spo_total(align, of_w, of_l, gamma=gamma, alpha=gamma).backward()
        optimizer.step()
    with torch.inference_mode():
        hidden = body(judged)
        r = reward(hidden)[:, 0].reshape(count, DEGREES)
        told = (degrees(hidden).argmax(1) == degree).float().mean()
    falls = np.mean([spearmanr(row, np.arange(DEGREES)).statistic for row in r.numpy()])
    return float(told), float(falls), float((r[:, :1] > r[:, 2:]).float().mean())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    seeds = range(parser.parse_args().seeds)
    print("| weight of the degrees | degree told | Spearman of reward and degree | pairs |")
    print("| ---: | ---: | ---: | ---: |")
    for gamma in (0.0, 0.1, 1.0):
        found = np.mean([study(gamma, seed=s) for s in seeds], axis=0)
        print(f"| {gamma:g} | " + " | ".join(f"{v:.3f}" for v in found) + " |")


if __name__ == "__main__":
    main()
