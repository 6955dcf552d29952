"""Iterated preference training with and without momentum: regret of exact steps on five arms.

Run: python benchmarks/methods/momentum.py [--rounds 10] [--beta 1.0]
Prints a Markdown table: regret of the policy after each round, by momentum.

Nothing is random: each round solves its problem exactly, `pihat = pi e^(r / beta)`, and the next
reference is extrapolated. The last column is the multiple of `r / beta` that the policy reached.
"""

from __future__ import annotations

import argparse

import numpy as np

from gustibus import ops

REWARDS = np.array([1.0, 0.8, 0.5, 0.2, 0.0])
SHOWN = (1, 2, 3, 5, 7, 10)


def regrets(alpha, rounds, beta):
    """`(rounds,)` best reward less that of the policy."""
    policy = reference = np.full(len(REWARDS), 1 / len(REWARDS))
    found = []
    for _ in range(rounds):
        solved = reference * np.exp(REWARDS / beta)
        solved /= solved.sum()
        policy, reference = solved, ops.apo_extrapolate(policy, solved, alpha)
        found.append(REWARDS.max() - policy @ REWARDS)
    return np.array(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--beta", type=float, default=1.0)
    asked = parser.parse_args()
    shown = [n for n in SHOWN if n < asked.rounds] + [asked.rounds]
    print(f"| momentum | {' | '.join(f'round {n}' for n in shown)} | multiple |")
    print("| --- " * (len(shown) + 2) + "|")
    for alpha in (0.0, 0.3, 0.5, 0.8):
        found = regrets(alpha, asked.rounds, asked.beta)
        reached = ops.apo_coefficients(alpha, asked.rounds)[-1]
        cells = " | ".join(f"{found[n - 1]:.4f}" for n in shown)
        print(f"| {alpha:.1f} | {cells} | {reached:.2f} |")


if __name__ == "__main__":
    main()
