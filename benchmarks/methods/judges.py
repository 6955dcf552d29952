"""Probes against planted truth: judges swayed by order, properties that are paid for, attributes, distances.

Run: python benchmarks/methods/judges.py [--items 4000] [--seed 0]

Judges: gaps N(0, 1), the first place is worth 0.8, noise 0.7, three judgements in each order. Published in
like settings: one order .73 right, both .91; with the fifth of largest entropy left to people .94, against
.92 with a fifth drawn at random.
"""

from __future__ import annotations

import argparse

import numpy as np

from gustibus.evaluation.logistic import Pairs, fit_logistic
from gustibus.evaluation.probes.calibration import pair_ece
from gustibus.evaluation.probes.positions import (
    for_people,
    position_calibrated_scores,
    position_entropy,
)
from gustibus.evaluation.probes.properties import property_effects
from gustibus.evaluation.probes.representation import (
    centroid_distances,
    centroids,
    distance_threshold,
    linear_probe,
)
from gustibus.rewards.judging import sign_agreement

BIAS, NOISE, ROUNDS = 0.8, 0.7, 3


def judged(items, rng):
    """True gaps `(n,)`, and aligned score pairs `(n, 6, 2)` of three judgements in each order."""
    gap = rng.standard_normal(items)
    place = np.repeat([BIAS, -BIAS], ROUNDS)  # what side a gains by where it stands
    seen = gap[:, None] + place + NOISE * rng.standard_normal((items, 2 * ROUNDS))
    return gap, np.stack([seen / 2, -seen / 2], axis=-1)


def order(items=4000, seed=0):
    """Accuracy of one judgement, of the calibrated one, and with people for a fifth of the items."""
    rng = np.random.default_rng(seed)
    gap, pairs = judged(items, rng)
    right = np.sign(pairs[:, 0, 0] - pairs[:, 0, 1]) == np.sign(gap)
    mean = position_calibrated_scores(pairs)
    both = np.sign(mean[:, 0] - mean[:, 1]) == np.sign(gap)
    people = for_people(position_entropy(pairs), share=0.2)
    drawn = rng.permutation(items) < items // 5
    return {
        "one order": right.mean(), "both orders": both.mean(),
        "people where the entropy is largest": (both | people).mean(),
        "people drawn at random": (both | drawn).mean(),
    }  # fmt: skip


PLANTED = {"polite": 0.6, "long": 0.3, "clear": 0.0, "funny": -0.5}


def properties(items=4000, seed=0):
    """Effects in per cent of planted weights."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-1, 2, (items, len(PLANTED)))
    y = rng.random(items) < 1 / (1 + np.exp(-x @ np.array([*PLANTED.values()])))
    return property_effects(x, y, properties=list(PLANTED))


def attributes(rows=12_000, dim=64, seed=0):
    """Accuracy of the linear probe on a planted attribute, and on shuffled labels."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, dim))
    y = (x @ rng.standard_normal(dim) > 0).astype(int)
    train = np.arange(rows) < rows * 5 // 6
    return linear_probe(x, y, train, seed=seed), linear_probe(
        x, rng.permutation(y), train, seed=seed
    )


def distances(rows=2000, dim=16, seed=0):
    """Share of in-cluster points that a 95 % threshold keeps, and of far ones that it rejects."""
    rng = np.random.default_rng(seed)
    middle = 5 * rng.standard_normal((4, dim))
    near, fresh = (
        middle[rng.integers(4, size=rows)] + rng.standard_normal((rows, dim)) for _ in "ab"
    )
    found = centroids(near, k=4, seed=seed)
    limit = distance_threshold(centroid_distances(near, found))
    far = centroid_distances(20 * rng.standard_normal((rows, dim)), found)
    return (centroid_distances(fresh, found) <= limit).mean(), (far > limit).mean()


def calibrated(rows, seed=0):
    """Calibration error of a model whose probabilities are exact."""
    rng = np.random.default_rng(seed)
    z = 2 * rng.standard_normal(rows)
    right = rng.random(rows) < 1 / (1 + np.exp(-z))
    return pair_ece(np.where(right, z, -z))


def two_ways(items=4000, dim=16, seed=0):
    """How often a pair head and a point head on one representation agree.

    The one learns from which of two is preferred, the other from noisy grades, in whole points from 1
    to 10; both are judged on pairs that neither has met.
    """
    rng = np.random.default_rng(seed)
    x, taste = rng.standard_normal((2 * items, dim)), rng.standard_normal(dim) / np.sqrt(dim)
    worth = 2 * x @ taste
    a, b = np.arange(items), items + np.arange(items)
    won = (rng.random(items) < 1 / (1 + np.exp(worth[b] - worth[a]))).astype(float)
    grade = np.clip(np.round(5.5 + worth + rng.standard_normal(2 * items)), 1, 10)
    fitted = slice(0, items // 2)
    pair = fit_logistic(x, Pairs(a[fitted], b[fitted], won[fitted], np.ones(items // 2)), ridge=1.0)
    met = np.concatenate([a[fitted], b[fitted]])
    point = np.linalg.lstsq(x[met], grade[met] - grade[met].mean(), rcond=None)[0]
    held = np.arange(items // 2, items)
    margin = (x[a[held]] - x[b[held]]) @ pair
    score = np.round(5.5 + x @ point, 1)  # one decimal, so that some are tied
    return sign_agreement(margin, score[a[held]] - score[b[held]])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--items", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print("| what | figure |\n| --- | ---: |")
    for name, value in order(given.items, given.seed).items():
        print(f"| judge, {name} | {value:.3f} |")
    for name, value in properties(given.items, given.seed).items():
        planted = 100 / (1 + np.exp(-PLANTED[name]))
        print(f"| effect of {name}, planted {planted:.1f} % | {value:.1f} % |")
    print(f"| pair and point heads agree | {two_ways(given.items, seed=given.seed):.3f} |")
    planted, shuffled = attributes(seed=given.seed)
    print(f"| linear probe, planted attribute | {planted:.3f} |")
    print(f"| linear probe, shuffled labels | {shuffled:.3f} |")
    kept, rejected = distances(seed=given.seed)
    print(f"| in-cluster points kept | {kept:.3f} |\n| far points rejected | {rejected:.3f} |")
    for rows in (100, 10_000, 1_000_000):
        print(f"| calibration error of exact probabilities, {rows:,} | {calibrated(rows):.4f} |")


if __name__ == "__main__":
    main()
