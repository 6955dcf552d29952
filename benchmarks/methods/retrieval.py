"""A rule that reads passages on made-up rows of four scenarios, and the control without them.

Run: python benchmarks/methods/retrieval.py [--seeds 3] [--rows 100]

Rows are about invented places: facts in several passages, claims with a citation, questions that the
passages answer or do not, passages that agree or do not. Asked for: the rule is right on nearly all of
them, and drops when the references are left out. Rules that read nothing stand beside it.
"""

from __future__ import annotations

import argparse
import re

import numpy as np

from gustibus.evaluation.probes import judge_items, synthetic_rag
from gustibus.evaluation.probes.benchmarks import rag_subsets


def grounded(prompt, responses):
    """Prefers what the passages support: names and years that are in them, and right citations."""
    passages = re.findall(r"^\[\d+\] (.*)$", prompt, re.M)
    facts = [set(re.findall(r"[A-Z]\w+|\d{4}", text)) for text in passages]
    known = set().union(*facts)

    def value(text):
        said = set(re.findall(r"[A-Z]\w+|\d{4}", text)) - {"The", "In"}
        joined = [fact for fact in facts if fact & said]
        supported = len(said & known) - 3 * len(said - known)
        cited = [facts[int(i) - 1] for i in re.findall(r"\[(\d+)\]", text) if int(i) <= len(facts)]
        wrong = sum(len(said - own) for own in cited)
        apart = sum(len(fact - said) for fact in joined) if "disagree" not in text else 0
        silent = 1.0 if "do not say" in text else 0.0
        return supported - 2 * wrong - 0.1 * apart + silent

    return [value(text) for text in responses]


def longest(_prompt, responses):
    return [len(text) for text in responses]


def cautious(_prompt, responses):
    return [float("do not say" in text or "disagree" in text) for text in responses]


def measure(seed=0, rows=100):
    """Figures of every rule on the same rows."""
    items = synthetic_rag(per_scenario=rows, seed=seed)
    return {
        name: rag_subsets(**judge_items(items, score))
        for name, score in (
            ("reads passages", grounded),
            ("prefers the longer", longest),
            ("always doubts the passages", cautious),
        )
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=100)
    given = parser.parse_args()
    found = [measure(seed, given.rows) for seed in range(given.seeds)]
    names = ("multi-hop", "citation", "abstain", "conflict", "helpful", "harmless", "overall",
             "without_references")  # fmt: skip
    print("| rule | " + " | ".join(name.replace("_", " ") for name in names) + " |")
    print("| --- |" + " ---: |" * len(names))
    for rule in found[0]:
        cells = " | ".join(f"{np.mean([one[rule][name] for one in found]):.3f}" for name in names)
        print(f"| {rule} | {cells} |")


if __name__ == "__main__":
    main()
