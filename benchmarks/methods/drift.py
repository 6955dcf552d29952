"""How stances move along training, in small: supervised tuning first, then preferences.

Run: python benchmarks/methods/drift.py [--seeds 3]

A softmax policy over twelve answers to one topic, four of each stance, begins with the three alike. It
is tuned on answers of which 60 % support, then on pairs of its own answers, labelled by quality and, where
the set has a value gap, for support as well. DPO is compared with IPO, which pulls margins to one value.
Printed for each phase: change of the share of support, and when 95 % of it was reached, as a share of the
phase; and for the preference sets the value gap. Asked for: tuning moves stances early, preferences only
where the set has a gap, and DPO further than IPO.
"""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np
import torch

from gustibus import ops
from gustibus.evaluation.probes.drift import STANCES, drift_time, value_gap

ANSWERS, CHECKPOINTS = 12, 11
STANCE = np.repeat(np.arange(3), ANSWERS // 3)
QUALITY = np.tile([-1.0, -0.3, 0.3, 1.0], 3)


def support(logits):
    """Share of support under the policy."""
    return float(logits.detach().softmax(0).numpy()[STANCE == 0].sum())


def trained(logits, loss, *, steps, rate):
    """Support at evenly spread checkpoints while logits are trained in place."""
    optimizer = torch.optim.SGD([logits], rate)
    shares = [support(logits)]
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        loss(logits.log_softmax(0)).backward()
        optimizer.step()
        if step % (steps // (CHECKPOINTS - 1)) == 0:
            shares.append(support(logits))
    return shares


def pairs(logits, gap, rng, count=20_000):
    """`(winner, loser)` codes of pairs of the policy's answers, labelled as people do."""
    p = logits.detach().softmax(0).double().numpy()
    a, b = (rng.choice(ANSWERS, count, p=p / p.sum()) for _ in range(2))
    worth = QUALITY + gap * (STANCE == 0)
    first = rng.random(count) < 1 / (1 + np.exp(worth[b] - worth[a]))
    kept = a != b
    return np.where(first, a, b)[kept], np.where(first, b, a)[kept]


def mean_loss(run, options, w, l_, share, ref, logp):
    """Of pairs `w` over `l_` that have these shares of a set."""
    return (share * run(logp[w], logp[l_], ref[w], ref[l_], **options)).sum()


def study(seed=0):
    """`{phase: (change, drift time, value gap)}`."""
    rng = np.random.default_rng(seed)
    start = torch.tensor(0.3 * rng.standard_normal(ANSWERS), requires_grad=True)
    wanted = torch.tensor(np.repeat([0.6, 0.2, 0.2], ANSWERS // 3) / (ANSWERS // 3))
    shares = trained(start, lambda logp: -(wanted * logp).sum(), steps=200, rate=1.0)
    found = {"supervised": (shares[-1] - shares[0], drift_time(shares), float("nan"))}
    ref = start.detach().log_softmax(0)
    for name, gap in (("without a gap", 0.0), ("with a gap", 2.0)):
        won, lost = pairs(start, gap, rng)
        words = np.array(STANCES, object)
        known = value_gap(words[STANCE[won]], words[STANCE[lost]])["value_gap"]
        kinds, times = np.unique(won * ANSWERS + lost, return_counts=True)  # few, and often
        w, l_ = torch.tensor(np.stack(np.divmod(kinds, ANSWERS)))
        share = torch.tensor(times / times.sum())
        for objective, options in (("dpo", {"beta": 0.3}), ("ipo", {"tau": 0.5})):
            logits = start.detach().clone().requires_grad_()
            loss = partial(mean_loss, getattr(ops, objective), options, w, l_, share, ref)
            # steps of the two losses are of like size: the slope of DPO at 0 is beta / 2
            rate = 1.0 / (0.15 if objective == "dpo" else 2.0)
            shares = trained(logits, loss, steps=200, rate=rate)
            found[f"{objective}, {name}"] = (shares[-1] - shares[0], drift_time(shares), known)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    studies = [study(seed) for seed in range(parser.parse_args().seeds)]
    print("| phase | change of support | drift time | value gap of the set |")
    print("| --- | ---: | ---: | ---: |")
    for phase in studies[0]:
        change, when, gap = np.mean([found[phase] for found in studies], axis=0)
        print(f"| {phase} | {change:+.3f} | {when:.2f} | {'' if np.isnan(gap) else f'{gap:.3f}'} |")


if __name__ == "__main__":
    main()
