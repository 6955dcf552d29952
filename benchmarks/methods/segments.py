"""Whether people who judge segments by regret are foretold by the regret link, and others by theirs.

Run: python benchmarks/methods/segments.py [--seeds 3]

A field of 5 by 5 cells with a goal and some mud. A step costs 0.3, mud 1.5 more, and the goal, where
walks end, gives 4. Pairs of random walks of four steps are judged by regret or by partial return, as
made-up people do; the reward of cost, mud and goal, and the value of each cell, are learned from 1,500
pairs. Printed are the mean log-likelihood of held-out choices under both links, and the correlation of
the learned values with the true ones, except at the goal, for which the reward of reaching it stands.
Asked for: the link by which people judge is the better one.
"""

from __future__ import annotations

import argparse

import numpy as np

from gustibus.rewards.segments import LINKS, Segment, compare_links, fit_segments

SIZE, GOAL, STEPS = 5, 24, 4
REWARD = np.array([-0.3, -1.5, 4.0])
"""Of a step, of mud, of the goal."""
MUD = (7, 8, 12, 16, 17)


def moved(cell, move):
    """The next cell, and the features of the step; nothing happens at the goal."""
    if cell == GOAL:
        return cell, np.zeros(3)
    row, column = divmod(cell, SIZE)
    row = min(max(row + (move == 0) - (move == 1), 0), SIZE - 1)
    column = min(max(column + (move == 2) - (move == 3), 0), SIZE - 1)
    after = row * SIZE + column
    return after, np.array([1.0, after in MUD, after == GOAL])


def values():
    """The best return from every cell."""
    best = np.zeros(SIZE**2)
    for _ in range(100):
        best = np.array([
            max(best[after] + step @ REWARD for after, step in (moved(c, m) for m in range(4)))
            for c in range(SIZE**2)
        ])  # fmt: skip
    return best


def walk(rng):
    start = cell = int(rng.integers(SIZE**2 - 1))
    steps = []
    for _ in range(STEPS):
        cell, step = moved(cell, int(rng.integers(4)))
        steps.append(step)
    return Segment(np.array(steps), np.eye(SIZE**2)[start], np.eye(SIZE**2)[cell])


def world(judged_by, seed, count=1500):
    """Pairs of walks, and what people chose."""
    rng = np.random.default_rng(seed)
    first, second = ([walk(rng) for _ in range(count)] for _ in range(2))
    best = values() if judged_by == "regret" else np.zeros(SIZE**2)

    def worth(segment):
        return segment.steps.sum(0) @ REWARD + (segment.end - segment.start) @ best

    margin = np.array([worth(a) - worth(b) for a, b in zip(first, second, strict=True)])
    return first, second, (rng.random(count) < 1 / (1 + np.exp(-margin))).astype(float)


def measure(judged_by, seed=0, count=1500):
    """Held-out log-likelihood by link, and the correlation of learned and true values."""
    pairs = world(judged_by, seed, count)
    learned = fit_segments(*pairs, link="regret")
    return compare_links(*pairs, seed=seed), np.corrcoef(learned.value[:GOAL], values()[:GOAL])[
        0, 1
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    seeds = range(parser.parse_args().seeds)
    print("| people judge by | regret link | partial-return link | values |")
    print("| --- | ---: | ---: | ---: |")
    for judged_by in LINKS:
        found = [measure(judged_by, seed) for seed in seeds]
        means = [np.mean([links[link] for links, _ in found]) for link in LINKS]
        told = np.mean([known for _, known in found])
        print(f"| {judged_by} | {means[0]:.4f} | {means[1]:.4f} | {told:.3f} |")


if __name__ == "__main__":
    main()
