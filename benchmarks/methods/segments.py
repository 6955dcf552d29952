"""Whether people who judge segments by regret are foretold by the regret link, and others by theirs.

Run: python benchmarks/methods/segments.py [--seeds 3]

A field of 5 by 5 cells with a goal and some mud. A step costs 0.3, mud 1.5 more, and the goal, where
walks end, gives 4. Pairs of random walks of four steps are judged by regret or by partial return, as
made-up people do; the reward of cost, mud and goal, and the value of each cell, are learned from 1,500
pairs. Printed are the mean log-likelihood of held-out choices under both links, and the correlation of
the learned values with the true ones, except at the goal, for which the reward of reaching it stands.
Asked for: the link by which people judge is the better one.

A second table is of people who judge by regret, foretold without learning: by the true reward, and by
the best of n continuations of eight steps in the place of the true values. These are drawn from a policy
that takes the best step in so many cases of a hundred, and any step in the others.
"""

from __future__ import annotations

import argparse

import numpy as np

from gustibus.rewards.continuations import continued_segment, judged_by
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


HORIZON = 8
"""Steps of a continuation."""


def score(before, moves):
    """Rewards of moves after a cell and moves from it."""
    cell = int(before[0])
    for move in before[1:]:
        cell, _ = moved(cell, int(move))
    found = []
    for move in moves:
        cell, step = moved(cell, int(move))
        found.append(step @ REWARD)
    return found


def sampled(samples, skill, seed=0, count=300):
    """Log-likelihood of choices by regret: by true values, by continuations, by partial return.

    Args:
        samples: continuations from each state.
        skill: share of the steps of a continuation that are the best ones.
        seed: of everything.
        count: pairs.
    """
    rng = np.random.default_rng(seed)
    best = values()
    after = np.array([[moved(c, m)[0] for m in range(4)] for c in range(SIZE**2)])
    gain = np.array([[moved(c, m)[1] @ REWARD for m in range(4)] for c in range(SIZE**2)])
    right = (gain + best[after]).argmax(1)  # the best step from each cell

    def walk_on(before, wanted):
        cell = int(before[0])
        for move in before[1:]:
            cell = after[cell, int(move)]
        cells, moves = np.full(wanted, cell), []
        for _ in range(HORIZON):
            any_move = rng.integers(4, size=wanted)
            moves.append(np.where(rng.random(wanted) < skill, right[cells], any_move))
            cells = after[cells, moves[-1]]
        return np.array(moves).T.astype(str).tolist()

    def excerpt():
        start, moves = str(rng.integers(GOAL)), rng.integers(4, size=STEPS).astype(str).tolist()
        made = continued_segment([start], moves, sample=walk_on, score=score, samples=samples)
        cell = int(start)
        for move in moves:
            cell, _ = moved(cell, int(move))
        return made, made.steps.sum() + best[cell] - best[int(start)]

    first, second = ([excerpt() for _ in range(count)] for _ in range(2))
    margin = np.array([a[1] - b[1] for a, b in zip(first, second, strict=True)])
    chose = (rng.random(count) < 1 / (1 + np.exp(-margin))).astype(float)
    a, b = ([made for made, _ in side] for side in (first, second))
    by_truth = -np.mean(np.logaddexp(0, margin) - chose * margin)
    return (by_truth, *(judged_by(link).log_likelihood(a, b, chose) for link in LINKS))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    seeds = range(parser.parse_args().seeds)
    print("| people judge by | regret link | partial-return link | values |")
    print("| --- | ---: | ---: | ---: |")
    for people in LINKS:
        found = [measure(people, seed) for seed in seeds]
        means = [np.mean([links[link] for links, _ in found]) for link in LINKS]
        told = np.mean([known for _, known in found])
        print(f"| {people} | {means[0]:.4f} | {means[1]:.4f} | {told:.3f} |")
    print(
        "\n| policy's best steps | continuations | regret by them | partial return | true values |"
    )
    print("| ---: | ---: | ---: | ---: | ---: |")
    for skill in (0.0, 0.5):
        for samples in (1, 4, 16, 64):
            found = np.mean([sampled(samples, skill, seed) for seed in seeds], axis=0)
            cells = f"{found[1]:.4f} | {found[2]:.4f} | {found[0]:.4f}"
            print(f"| {100 * skill:.0f} % | {samples} | {cells} |")


if __name__ == "__main__":
    main()
