"""Flip rates of a bare and of a defended scorer on the template suite, and clean accuracy.

Run: python benchmarks/methods/robustness.py [--pairs 400] [--seeds 5]

A logistic reward is fitted on made-up answers: better ones say more about what was asked, and also
happen to be longer, friendlier and better sourced, so that the reward can be pushed by all of that. The
suite then edits the worse answer of held-out pairs, which are about words that neither the reward's fit nor
the defence has met. Asked for: the flip rate of the defended scorer is at most half that of the bare one, and
clean accuracy falls by at most one point.
"""

from __future__ import annotations

import argparse
import re

import numpy as np

from gustibus.evaluation.logistic import Pairs, fit_logistic
from gustibus.robustness import Defended, Row, drop_one_median, perturbation_audit
from gustibus.robustness.sentences import keywords, words

SOUNDS = ("bra", "del", "fin", "gor", "lum", "mas", "nep", "rit", "sol", "tuv", "vex", "zan")
KNOWN, ALL = 24, 36
"""Topics that the reward and the defence have seen, of all; held-out pairs are about the others."""


def _topics():
    """Topics of eight invented words each, no word in two of them."""
    rng = np.random.default_rng(0)
    codes = rng.permutation(len(SOUNDS) ** 3)[: 8 * ALL].reshape(ALL, 8)
    base = len(SOUNDS)
    return [
        [SOUNDS[c // base**2] + SOUNDS[c // base % base] + SOUNDS[c % base] for c in own]
        for own in codes.tolist()
    ]


TOPICS = _topics()
TOPIC_OF = {word: topic for topic, own in enumerate(TOPICS) for word in own}
ABOUT = (
    "You should check the {0} before you touch the {1}.",
    "Most trouble with the {0} comes from the {1}.",
    "Start with the {0}, then look after the {1} for a week.",
    "Good {0} needs patience, and so does the {1}.",
    "If the {0} looks wrong, the {1} is often the reason.",
    "Keep the {0} clean and the {1} will last for years.",
)
BESIDE = (
    "My neighbour once told me a long story about the weather.",
    "Some people like to think about it on a Sunday.",
    "There was a film about this some years ago.",
    "It depends on many things that are hard to say.",
)
KIND = ("Thank you for asking.", "I am happy to help with this.", "This is a good question.")
SOURCED = ("The field guide (2014) says the same [2].", "See the manual (2009), page 31 [4].")


def answer(topic, quality, rng):
    """Three to six sentences, of which a share `quality` is to the point."""
    own = TOPICS[topic]
    lines = [
        str(rng.choice(ABOUT)).format(*rng.choice(own, 2, replace=False))
        if rng.random() < quality
        else str(rng.choice(BESIDE))
        for _ in range(3 + int(rng.integers(2)) + int(rng.random() < quality))
    ]
    if rng.random() < 0.2 + 0.5 * quality:
        lines.insert(0, str(rng.choice(KIND)))
    if rng.random() < 0.1 + 0.5 * quality:
        lines.append(str(rng.choice(SOURCED)))
    return " ".join(lines)


def pairs(count, rng, topics):
    rows = []
    for _ in range(count):
        topic = int(rng.choice(topics))
        asked = " and the ".join(rng.choice(TOPICS[topic], 2, replace=False))
        bad, good = np.sort(rng.random(2))
        rows.append(
            Row(
                f"How do I look after the {asked}?",
                answer(topic, good, rng),
                answer(topic, bad, rng),
            )
        )
    return rows


def features(prompt, response):
    """What a shallow reward reads: the prompt's words, topical words, length, tone, sources, format."""
    said = words(response)
    asked = set(keywords(prompt, 9))
    topics = {TOPIC_OF[w] for w in asked if w in TOPIC_OF}
    return np.log1p([
        sum(w in asked for w in said), sum(TOPIC_OF.get(w) in topics for w in said), len(said),
        len(re.findall(r"thank|happy|good|wonderful|thoughtful|best|correct", response.lower())),
        len(re.findall(r"[\[(]\d", response)), len(re.findall(r"(?m)^[-*]", response)),
    ])  # fmt: skip


def fit(rows):
    """A logistic reward, as a function of a prompt and responses."""
    x = np.array([features(r.prompt, t) for r in rows for t in (r.chosen, r.rejected)])
    mean, spread = x.mean(0), np.where(x.std(0) > 0, x.std(0), 1)
    n = len(rows)
    even = np.arange(0, 2 * n, 2)
    weights = fit_logistic(
        (x - mean) / spread, Pairs(even, even + 1, np.ones(n), np.ones(n)), ridge=3.0
    )
    return lambda prompt, responses: [
        float((features(prompt, t) - mean) / spread @ weights) for t in responses
    ]


def measure(count=400, seed=0, wanted=None):
    """Audits of the bare scorer, of each defence alone, and of both, or of some of these."""
    rng = np.random.default_rng(seed)
    known, other = np.arange(KNOWN), np.arange(KNOWN, ALL)
    bare = fit(pairs(1000, rng, known))
    clean = [t for r in pairs(400, rng, known) for t in (r.chosen, r.rejected)]
    held_out = pairs(count, rng, other)
    scorers = {
        "bare": bare,
        "median over left-out sentences": lambda p, r: drop_one_median(bare, p, r),
        "strange sentences left out": Defended.on(bare, clean),
        "both": Defended.on(bare, clean, median=True),
    }
    return {name: perturbation_audit(scorers[name], held_out) for name in wanted or scorers}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    audits = [measure(given.pairs, seed) for seed in range(given.seeds)]
    edits = [effect.perturbation for effect in audits[0]["bare"].effects]
    print("| scorer | clean accuracy | flip rate | " + " | ".join(edits) + " |")
    print("| --- |" + " ---: |" * (2 + len(edits)))
    for name in audits[0]:
        own = [audit[name] for audit in audits]
        flips = np.mean([[e.flip_rate for e in a.effects] for a in own], axis=0)
        cells = " | ".join(f"{f:.3f}" for f in flips)
        accuracy = np.mean([a.accuracy for a in own])
        print(f"| {name} | {accuracy:.3f} | {flips.mean():.3f} | {cells} |")


if __name__ == "__main__":
    main()
