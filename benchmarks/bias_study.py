"""The published study of quotas under biased rankings, measured beside the published figures.

Run: python benchmarks/bias_study.py [FOLDER] [--splits 20] [--seed 0]
Prints a Markdown table per rule, and with a folder writes five figures into it as PNG.

Published: ratios at the best quota for strengths 0, 1/7, ..., 1, read off the curves to 0.005, with 40
elections a point and one random split into groups per panel. Measured: the same with elections of their
own for every point, averaged over random splits. The last column counts the published points that no
single one of these splits reaches.
"""

from __future__ import annotations

import argparse
from io import BytesIO
from pathlib import Path
from time import perf_counter

import numpy as np

from gustibus.social import bias_study

PUBLISHED = """
25 impartial | .987 .956 .952 .940 .928 .941 .923 .918 | .998 .844 .835 .777 .746 .742 .753 .728
25 urn | .947 .939 .924 .933 .909 .914 .913 .913 | .994 .916 .861 .911 .871 .859 .847 .840
25 mallows | 1.00 .989 .980 .971 .971 .976 .963 .963 | .994 .959 .947 .930 .895 .937 .913 .918
25 norm_mallows | .977 .970 .973 .959 .954 .965 .954 .952 | .988 .894 .905 .867 .827 .855 .858 .837
25 conitzer | .99 .957 .944 .925 .923 .928 .926 .913 | .994 .803 .742 .753 .776 .730 .776 .724
50 impartial | .991 .967 .963 .953 .951 .944 .942 .941 | .977 .805 .770 .762 .762 .755 .732 .735
50 urn | .956 .935 .952 .927 .920 .917 .915 .908 | .993 .954 .931 .896 .889 .870 .894 .868
50 mallows | .974 .971 .973 .956 .962 .965 .954 .953 | .998 .978 .962 .963 .967 .943 .967 .968
50 norm_mallows | .996 .990 .986 .983 .979 .977 .973 .982 | .979 .910 .862 .895 .860 .843 .869 .847
50 conitzer | .997 .958 .941 .939 .931 .919 .919 .908 | .986 .822 .799 .767 .742 .764 .720 .717
100 impartial | .997 .976 .971 .965 .958 .960 .950 .949 | .986 .844 .822 .809 .794 .789 .805 .796
100 urn | .958 .941 .935 .929 .927 .925 .930 .932 | .995 .958 .923 .919 .909 .911 .923 .878
100 mallows | .959 .951 .950 .951 .955 .956 .947 .947 | .995 .980 .984 .975 .972 .969 .987 .984
100 norm_mallows | 1.00 .996 .992 .994 .986 .988 .994 .990 | .995 .948 .931 .903 .896 .876 .900 .883
100 conitzer | .997 .950 .939 .931 .919 .919 .915 .912 | .984 .809 .814 .786 .781 .774 .787 .770
"""
"""Voters, distribution | 10-Bloc | SNTV."""

MALLOWS = ("mallows", "norm_mallows")
BORDA_LEAST = 0.987
READ_OFF = 0.005  # how exactly the published curves were read


def tolerance(latent, rule):
    """Expected agreement of a re-run; the Mallows families depend on the one published split."""
    if latent in MALLOWS:
        return 0.05
    return 0.06 if rule == "sntv" else 0.025


def report(study, rule, column):
    print(f"\n## {rule}: measured / published, largest deviation\n")
    strengths = " | ".join(f"{s:.2f}" for s in study.strengths)
    print(f"| panel | {strengths} | deviation | tolerance | points outside | outside the splits |")
    print("|---" * (len(study.strengths) + 5) + "|")
    outside = points = 0
    for row in PUBLISHED.split("\n")[1:-1]:
        panel, *texts = row.split(" | ")
        voters, latent = int(panel.split()[0]), panel.split()[1]
        expected = np.array(texts[column].split(), float)
        measured = study.series(latent, voters, rule)
        off, allowed = np.abs(measured - expected), tolerance(latent, rule)
        wrong = int((off > allowed).sum())
        outside, points = outside + wrong, points + len(off)
        cells = " | ".join(f"{m:.3f}/{e:.3f}" for m, e in zip(measured, expected, strict=True))
        at = study.latent.index(latent), study.voters.index(voters), study.rules.index(rule)
        alone = study.ratios.max(-1)[(slice(None), *at)]  # (splits, strengths)
        low, high = alone.min(0) - READ_OFF, alone.max(0) + READ_OFF
        beyond = int(((expected < low) | (expected > high)).sum())
        print(
            f"| n={voters} {latent} | {cells} | {off.max():.3f} | {allowed} | {wrong} | {beyond} |"
        )
    print(f"\n{points - outside} of {points} points within the tolerance.")


def borda(study):
    least = study.best[:, :, study.rules.index("borda")]
    print(f"\n## borda: at least {BORDA_LEAST} everywhere, as published\n")
    print("| n | " + " | ".join(study.latent) + " |\n|---" + "|---" * len(study.latent) + "|")
    for v, voters in enumerate(study.voters):
        print(f"| {voters} | " + " | ".join(f"{x:.3f}" for x in least[:, v].min(-1)) + " |")
    print(f"\nLeast: {least.min():.4f}.")


def alphas(study):
    print("\n## alpha, 10 items, 10 voters, tau1 = 10\n")
    from gustibus.social import smoothness

    print("| rule | " + " | ".join(study.latent) + " |\n|---" + "|---" * len(study.latent) + "|")
    for rule in ("borda", "bloc", "sntv", "borda_cc", "pav"):
        found = [smoothness(rule, latent=latent, tau1=10) for latent in study.latent]
        print(f"| {rule} | " + " | ".join(f"{s.alpha:.3f} ± {s.error:.3f}" for s in found) + " |")
    print("\nPublished: borda 0.42, 0.42, 0.13, 0.20, 0.29; sntv 0.01, 0.01, 0.00, 0.00, 0.00.")


def figures(study, folder):
    """Five figures in 48 colours, which keeps each below 100 kB."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    for kind in ("strength", "quota", "voters", "smoothness", "price"):
        options = {"strength": 6 / 7} if kind in ("quota", "price") else {}
        path, drawn = folder / f"bias-{kind}.png", BytesIO()
        study.plot(kind, **options).savefig(drawn, dpi=60)
        Image.open(drawn).convert("RGB").quantize(48).save(path, optimize=True)
        print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")


def beyond(seed, splits):
    """The same with greedy rules that nobody has published."""
    study = bias_study(
        voters=(25,), rules=("borda_cc", "pav"), splits=splits, seed=seed, fresh=False,
        strengths=np.linspace(0, 1, 3),
    )  # fmt: skip
    print("\n## greedy rules, n = 25: ratio at the best quota for strengths 0, 1/2, 1\n")
    print("| rule | " + " | ".join(study.latent) + " |\n|---" + "|---" * len(study.latent) + "|")
    for r, rule in enumerate(study.rules):
        cells = (" ".join(f"{x:.3f}" for x in study.best[d, 0, r]) for d in range(5))
        print(f"| {rule} | " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start = perf_counter()
    study = bias_study(splits=options.splits, seed=options.seed)
    taken = perf_counter() - start
    print(f"{options.splits} splits of all fifteen panels in {taken:.1f} s, ties in random order")
    report(study, "bloc", 0)
    report(study, "sntv", 1)
    borda(study)
    alphas(study)
    beyond(options.seed, 2)
    if options.folder:
        figures(study, options.folder)


if __name__ == "__main__":
    main()
