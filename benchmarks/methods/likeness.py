"""Whether pairs that look alike to a small recurrent language model lose likelihood of the chosen one.

Run: python benchmarks/methods/likeness.py [--seeds 3]

A GRU is fitted on sequences that repeat themselves with errors. Then each pair is trained on alone, five
steps of DPO from the same start, and the change of the chosen response's log-probability is compared with
the pair's similarity. Asked for: a Spearman correlation of at most -0.3.
"""

from __future__ import annotations

import argparse
from copy import deepcopy
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from gustibus.curation import ches, response_states

VOCABULARY, WIDTH, PROMPT, LONGEST, STEPS, BETA = 24, 32, 4, 8, 5, 0.1


class Recurrent(nn.Module):
    """A GRU that is called as transformers' models are."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.inner = nn.GRU(WIDTH, WIDTH, batch_first=True)
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)

    def forward(self, input_ids, output_hidden_states=True):  # noqa: ARG002 - always given
        states, _ = self.inner(self.embed(input_ids))
        return SimpleNamespace(logits=self.head(states), hidden_states=(states,))

    def logp(self, prompt, response):
        tokens = torch.tensor([[*prompt, *response]])
        logits = self(tokens).logits[0, len(prompt) - 1 : -1]
        return torch.log_softmax(logits, -1)[range(len(response)), list(response)].sum()


def sequence(rng, start, length):
    """A walk that mostly goes on by the step between its first two tokens."""
    out = list(start)
    while len(out) < len(start) + length:
        step = (start[1] - start[0]) if rng.random() < 0.8 else int(rng.integers(VOCABULARY))
        out.append((out[-1] + step) % VOCABULARY)
    return out


def pretrained(rng, *, steps):
    model = Recurrent()
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(steps):
        batch = torch.tensor(
            [
                sequence(rng, rng.integers(VOCABULARY, size=PROMPT).tolist(), LONGEST)
                for _ in range(32)
            ]
        )
        logits = model(batch[:, :-1]).logits
        loss = nn.functional.cross_entropy(logits.reshape(-1, VOCABULARY), batch[:, 1:].reshape(-1))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model


def draw_pair(rng):
    """A prompt and two responses that share anything from none to all but one of their tokens."""
    prompt = rng.integers(VOCABULARY, size=PROMPT).tolist()
    chosen = sequence(rng, prompt, int(rng.integers(3, LONGEST + 1)))[PROMPT:]
    rejected = [t if rng.random() < 0.5 else int(rng.integers(VOCABULARY)) for t in chosen]
    rejected = rejected[: int(rng.integers(2, len(rejected) + 1))]
    return prompt, chosen, rejected


def change(model, prompt, chosen, rejected, *, rate=0.5):
    """Change of the chosen response's log-probability over the steps."""
    with torch.no_grad():
        ref_w, ref_l = model.logp(prompt, chosen), model.logp(prompt, rejected)
    policy = deepcopy(model)
    optimiser = torch.optim.SGD(policy.parameters(), rate)
    for _ in range(STEPS):
        h_w, h_l = policy.logp(prompt, chosen) - ref_w, policy.logp(prompt, rejected) - ref_l
        loss = nn.functional.softplus(-BETA * (h_w - h_l))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        return float(policy.logp(prompt, chosen) - ref_w)


def spearman(x, y):
    return np.corrcoef(np.argsort(np.argsort(x)), np.argsort(np.argsort(y)))[0, 1]


def measure(count=115, seed=0, steps=600):
    """Spearman of the change with similarity, plain and length-normalised; share pushed down."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = pretrained(rng, steps=steps)
    pairs = [draw_pair(rng) for _ in range(count)]
    changes = [change(model, *pair) for pair in pairs]
    states = [
        (response_states(model, prompt, w), response_states(model, prompt, low))
        for prompt, w, low in pairs
    ]
    w, low = zip(*states, strict=True)
    plain, mean = ches(w, low), ches(w, low, length_normalize=True)
    return spearman(plain, changes), spearman(mean, changes), np.mean(np.array(changes) < 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    print("| seed | Spearman | length-normalised | chosen pushed down |")
    print("| --- | ---: | ---: | ---: |")
    for seed in range(parser.parse_args().seeds):
        plain, mean, down = measure(seed=seed)
        print(f"| {seed} | {plain:.3f} | {mean:.3f} | {down:.3f} |")


if __name__ == "__main__":
    main()
