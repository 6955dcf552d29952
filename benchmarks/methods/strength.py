"""Where planted wrong labels end up when pairs are ordered by the strength of their labels.

Run: python benchmarks/methods/strength.py [--seeds 5]

Ten linear rewards are fitted on the same pairs, a fifth of which have their label turned, in ten
different orders, one pass of stochastic gradients each. Asked for: of the fifth of the pairs with the
lowest mean strength at least 80 % are turned ones.
"""

from __future__ import annotations

import argparse

import numpy as np

from gustibus.curation import preference_strength

MODELS, FEATURES, TURNED = 10, 10, 0.2


def ensemble(x, y, rng, *, rate=0.05):
    """`(m, d)` weights after one pass in m different orders; `y` is 1 where the label says first."""
    found = np.zeros((MODELS, x.shape[1]))
    for weight in found:
        for i in rng.permutation(len(x)):
            weight += rate * (y[i] - 0.5 * (1 + np.tanh(x[i] @ weight / 2))) * x[i]
    return found


def measure(count=2000, seed=0):
    """Share of turned labels in the lowest fifth, and share of all turned ones that it holds."""
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal(FEATURES)
    a, b = rng.standard_normal((2, count, FEATURES))
    right = (a - b) @ truth > 0
    turned = np.zeros(count, bool)
    turned[rng.permutation(count)[: int(TURNED * count)]] = True
    label = right != turned
    weights = ensemble(a - b, label.astype(float), rng)
    first, second = a @ weights.T, b @ weights.T  # (n, m)
    w = np.where(label[:, None], first, second)
    lost = np.where(label[:, None], second, first)
    lowest = np.argsort(preference_strength(w, lost).mean, kind="stable")[: count // 5]
    return turned[lowest].mean(), turned[lowest].sum() / turned.sum()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    rows = [measure(seed=seed) for seed in range(parser.parse_args().seeds)]
    print("| seed | turned labels in the lowest fifth | share of all turned |")
    print("| --- | ---: | ---: |")
    for seed, (precision, recall) in enumerate(rows):
        print(f"| {seed} | {precision:.3f} | {recall:.3f} |")


if __name__ == "__main__":
    main()
