"""Pairs alone, and pairs with losses over prompts that vary; prints a Markdown table.

Run: python benchmarks/methods/constraint_swaps.py [--seeds 3]
Responses are sentences of a small grammar, written in lower case or not, as a list or not, short or
long; in a pair the response with more words on the subject is preferred. Instructions are those that
code can check. The reward reads the outer product of features of the prompt and of the response.
Judged on responses that were not fitted: whether a response gets more under an instruction that it
obeys than under the opposite (swaps), and whether the preferred response gets more (pairs).
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from gustibus import ops
from gustibus.curation.constraints import CONSTRAINTS
from gustibus.encoders.hashing import HashingEncoder
from gustibus.evaluation.surface import surface_features

SUBJECT = ["river", "stone", "bridge", "water", "bank", "flow", "flood", "current"]
OTHER = ["table", "paper", "window", "pencil", "drawer", "corner", "shelf", "carpet"]
KINDS = ("case", "length", "list")
PROMPT = "Describe the river."


def response(rng):
    """A text, and how many of its words are on the subject."""
    words = [
        str(rng.choice(SUBJECT if rng.random() < 0.5 else OTHER))
        for _ in range(rng.integers(4, 24))
    ]
    on_subject = sum(word in SUBJECT for word in words)
    lines = [" ".join(words[i : i + 6]) for i in range(0, len(words), 6)]
    if rng.random() < 0.5:
        lines = [line.capitalize() + "." for line in lines]
    text = "\n".join(f"- {line}" for line in lines) if rng.random() < 0.5 else " ".join(lines)
    return text, on_subject / len(words)


def instructed(better, worse, rng):
    """`(prompt met, prompt broken)` for the better response, and a prompt that only it meets, or None."""
    c = CONSTRAINTS[str(rng.choice(KINDS))].run
    value = c.value(better, worse, rng)
    met, broken = c.ask(value), c.ask_not(value)
    if not c.holds(better, value):
        met, broken = broken, met
    apart = met if c.holds(better, value) != c.holds(worse, value) else None
    return f"{PROMPT} {met}", f"{PROMPT} {broken}", None if apart is None else f"{PROMPT} {apart}"


def rows(count, seed):
    """Pairs of responses, better first, each with an instruction."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        (x, p), (y, q) = response(rng), response(rng)
        better, worse = (x, y) if p >= q else (y, x)
        found.append((better, worse, *instructed(better, worse, rng)))
    return found


class Features:
    """Outer product of hashed prompts, with their numbers, and of hashed texts with their looks."""

    def __init__(self):
        self.prompts, self.texts = HashingEncoder(dim=64), HashingEncoder(dim=64, characters=(2, 3))

    def __call__(self, prompts, texts):
        numbers = [
            [float(w.strip(".")) / 20 for w in p.split() if w.strip(".").isdigit()] for p in prompts
        ]
        bound = np.array([[1.0, n[0] if n else 0.0, float(bool(n))] for n in numbers])
        told = np.concatenate([bound, self.prompts.encode(list(prompts))], 1)
        seen = surface_features(tuple(texts))
        lower = np.array([[float(t == t.lower()), len(t.split()) / 20] for t in texts])
        said = np.concatenate(
            [np.ones((len(texts), 1)), lower, seen / 5, self.texts.encode(list(texts))], 1
        )
        outer = np.einsum("np,nt->npt", told, said).reshape(len(texts), -1)
        return torch.as_tensor(outer, dtype=torch.float32)


def study(weights, *, seed=0, count=300, steps=120):
    """`(swaps, pairs)` accuracy on held-out responses, after training with the weights of the losses.

    Args:
        weights: of the losses within a sample and between samples.
        seed: of data and order.
        count: pairs to fit, and half as many to judge.
        steps: of Adam on all of them.
    """
    features, fitted, judged = Features(), rows(count, seed), rows(count // 2, seed + 1000)
    met, broken = (features([r[k] for r in fitted], [r[0] for r in fitted]) for k in (2, 3))
    plain = [features([PROMPT] * count, [r[side] for r in fitted]) for side in (0, 1)]
    apart = [i for i, r in enumerate(fitted) if r[4] is not None]
    strong = [
        features([fitted[i][4] for i in apart], [fitted[i][side] for i in apart]) for side in (0, 1)
    ]
    w = torch.zeros(met.shape[1], requires_grad=True)
    optimizer = torch.optim.Adam([w], lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = ops.bt_pair(plain[0] @ w, plain[1] @ w).mean() + 1e-3 * (w @ w)
        if weights[0]:
            loss = loss + weights[0] * ops.mapl_intra(met @ w, broken @ w).mean()
        if weights[1]:
            weak = ((plain[0] - plain[1]) @ w)[apart]
            loss = loss + weights[1] * ops.mapl_inter((strong[0] - strong[1]) @ w, weak).mean()
        loss.backward()
        optimizer.step()
    w = w.detach()

    def right(first, second):
        return float(((first - second) @ w > 0).float().mean())

    swaps = [features([r[k] for r in judged], [r[0] for r in judged]) for k in (2, 3)]
    sides = [features([PROMPT] * len(judged), [r[side] for r in judged]) for side in (0, 1)]
    return right(*swaps), right(*sides)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    seeds = range(parser.parse_args().seeds)
    print("| losses | swaps | pairs |")
    print("| --- | ---: | ---: |")
    for name, weights in (
        ("pairs", (0, 0)),
        ("and within samples", (1, 0)),
        ("and between them", (1, 1)),
    ):
        swaps, pairs = np.mean([study(weights, seed=s) for s in seeds], axis=0)
        print(f"| {name} | {swaps:.3f} | {pairs:.3f} |")


if __name__ == "__main__":
    main()
