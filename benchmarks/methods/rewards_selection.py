"""What combining by AND, Gaussian rewards and best-of-majority gain, on simulated worlds.

Run: python benchmarks/methods/rewards_selection.py [--seed 0] [--quick]
Prints a Markdown table per study, and exits with 1 where a bar is missed.

Studies: two rewards, N(0, 4) and N(0, 1), best of 16 by several combinations; a Gaussian head on
comparisons of which 45 % are flipped in one half-space; the right answer (share 0.08, reward 0.75)
among eight wrong ones of share 0.09 with rewards N(.35, .12) and 400 rare ones sharing 0.20 with
rewards N(.35, .35), by samples.
"""

from __future__ import annotations

import argparse
import sys
from time import perf_counter

import numpy as np

from gustibus.rewards import COMBINE
from gustibus.rewards.gaussian_head import fit_gaussian_rewards
from gustibus.selection import best_of_majority, best_of_n, majority_vote

SAMPLES = (25, 100, 400, 1600)


def combination(seed, prompts):
    """Mean of the worse reward and mean joint probability of the chosen response, by combination."""
    rng = np.random.default_rng(seed)
    rewards = rng.standard_normal((prompts, 16, 2)) * [2.0, 1.0]
    joint = (1 / (1 + np.exp(-rewards))).prod(-1)
    found = {}
    for name, row in COMBINE.items():
        chosen = row.run(rewards, np.zeros(2), None).argmax(1)
        at = np.arange(prompts), chosen
        found[name] = rewards[at].min(-1).mean(), joint[at].mean()
    return found


def noisy_half(seed, pairs, steps):
    """Mean predicted variance in the half-space with flipped labels, and in the other."""
    rng = np.random.default_rng(seed)
    weight = np.array([0.0, 1.5, -1.0, 0.5])
    a, b = rng.standard_normal((2, pairs, 4))
    side = rng.choice([-1.0, 1.0], pairs)
    a[:, 0], b[:, 0] = np.abs(a[:, 0]) * side, np.abs(b[:, 0]) * side
    flipped = (side > 0) & (rng.random(pairs) < 0.45)
    target = (((a - b) @ weight > 0) != flipped).astype(float)
    head = fit_gaussian_rewards(a, b, target, seed=seed, steps=steps)
    x = rng.standard_normal((4000, 4))
    mean, variance = head.predict(x)
    truth = x @ weight

    def best(scores):
        """Mean true reward of the best of 16 by some scores."""
        return truth.reshape(-1, 16)[np.arange(250), scores.reshape(-1, 16).argmax(1)].mean()

    return (
        variance[x[:, 0] > 0].mean(), variance[x[:, 0] < 0].mean(),
        best(mean), best(head.lower_bound(x, kappa=1.0)),
    )  # fmt: skip


def answers_of_a_prompt(rng, n):
    """Answers and rewards of `n` samples; answer 0 is right."""
    share = np.r_[0.08, np.full(8, 0.09), np.full(400, 0.20 / 400)]
    worth = np.r_[0.75, rng.normal(0.35, 0.12, 8), rng.normal(0.35, 0.35, 400)]
    drawn = rng.choice(len(share), n, p=share / share.sum())
    return [str(answer) for answer in drawn], worth[drawn]


def success(seed, trials, samples):
    """Share of prompts whose answer is right, by selection and number of samples."""
    found = {}
    for n in samples:
        rng = np.random.default_rng([seed, n])
        right = np.zeros(3)
        for _ in range(trials):
            answers, rewards = answers_of_a_prompt(rng, n)
            right += [
                best_of_majority(answers, rewards, 0.03) == ["0"],
                best_of_n(answers, rewards) == ["0"],
                majority_vote(answers) == ["0"],
            ]
        found[n] = right / trials
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    missed, started = [], perf_counter()

    print("\n## Best of 16 by two rewards\n\n| combination | worse reward | joint probability |")
    print("|---" * 3 + "|")
    found = combination(options.seed, 5_000 if options.quick else 100_000)
    for name, (worse, joint) in found.items():
        print(f"| `{name}` | {worse:.2f} | {joint:.2f} |")
    gain = found["and_combine"][0] - found["linear_sum"][0]
    if gain < 0.3 or found["and_combine"][1] - found["linear_sum"][1] < 0.04:
        missed.append("and_combine over linear_sum")

    print("\n## Gaussian rewards, 45 % flips in one half-space\n")
    print("| seed | variance there | elsewhere | ratio | best of 16 by mean | by lower bound |")
    print("|---" * 6 + "|")
    for seed in range(options.seed, options.seed + (1 if options.quick else 5)):
        there, elsewhere, by_mean, by_bound = noisy_half(seed, 600 if options.quick else 2000,
                                                         150 if options.quick else 400)  # fmt: skip
        cells = f"{there:.2f} | {elsewhere:.2f} | {there / elsewhere:.1f} | {by_mean:.2f}"
        print(f"| {seed} | {cells} | {by_bound:.2f} |")
        if there < 1.3 * elsewhere:
            missed.append(f"variance ratio of seed {seed}")

    print(
        "\n## Right answers by number of samples\n\n| samples | best of majority | best of n | majority |"
    )
    print("|---" * 4 + "|")
    table = success(
        options.seed, 40 if options.quick else 400, SAMPLES[: 3 if options.quick else 4]
    )
    for n, (bom, bon, vote) in table.items():
        print(f"| {n} | {bom:.2f} | {bon:.2f} | {vote:.2f} |")
    grows = np.array([row[0] for row in table.values()])
    if (np.diff(grows) < -0.02).any() or table[400][0] < 0.95:
        missed.append("best of majority by samples")

    print(f"\n{perf_counter() - started:.0f} s; missed: {', '.join(missed) or 'nothing'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
