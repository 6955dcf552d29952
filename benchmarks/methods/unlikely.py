"""Rewards for unlikely right answers: does training keep more than one of them?

Run: python benchmarks/methods/unlikely.py [--seeds 20] [--steps 300] [--rate 0.4]
Prints a Markdown table: entropy over the right arms and their mass after training, by beta.

A softmax bandit of twelve arms, four of them right, at logits 2.5, 1, 0.2 and -0.5, and eight wrong
ones at 1. Each step draws a group of 16, and moves along the gradient of its mean advantage times the
log-probability. Intervals are two standard errors over seeds.
"""

from __future__ import annotations

import argparse

import numpy as np

from gustibus import ops

RIGHT = np.array([2.5, 1.0, 0.2, -0.5])
START = np.concatenate([RIGHT, np.ones(8)])
GROUP = 16


def train(beta, *, seeds, steps, rate):
    """`(seeds, arms)` probabilities after training."""
    rng = np.random.default_rng(0)
    logits = np.repeat(START[None], seeds, axis=0)
    for _ in range(steps):
        p = softmax(logits)
        u = rng.random((seeds, GROUP, 1))
        arm = np.minimum((u > p.cumsum(1)[:, None]).sum(-1), len(START) - 1)  # (seeds, group)
        reward = (arm < len(RIGHT)).astype(float)
        logp = np.log(np.take_along_axis(p, arm, 1))
        advantage = ops.unlikeliness_advantage(reward, logp, beta)
        drawn = np.zeros_like(p)
        for column in range(GROUP):
            np.add.at(drawn, (np.arange(seeds), arm[:, column]), advantage[:, column])
        logits += rate / GROUP * (drawn - advantage.sum(1, keepdims=True) * p)
    return softmax(logits)


def judge(p):
    """`(seeds,)` entropy over the right arms, their mass, and how many of them have above 1 % of it."""
    right = p[:, : len(RIGHT)]
    mass = right.sum(1)
    share = right / mass[:, None]
    entropy = -(share * np.log(np.maximum(share, 1e-300))).sum(1)
    return entropy, mass, (share > 0.01).sum(1)


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rate", type=float, default=0.4)
    asked = parser.parse_args()
    print("| beta | entropy over the right arms | mass of the right arms | seeds with 0.985 or more | "
          "right arms above 1 % |")  # fmt: skip
    print("| --- | --- | --- | --- | --- |")
    for beta in (0.0, 0.25, 0.5):
        p = train(beta, seeds=asked.seeds, steps=asked.steps, rate=asked.rate)
        entropy, mass, several = judge(p)
        doubt = 2 * entropy.std(ddof=1) / np.sqrt(asked.seeds)
        print(f"| {beta:.2f} | {entropy.mean():.3f} ± {doubt:.3f} | {mass.mean():.4f} "
              f"(least {mass.min():.4f}) | {(mass >= 0.985).mean():.0%} | {several.mean():.1f} |")  # fmt: skip


if __name__ == "__main__":
    main()
