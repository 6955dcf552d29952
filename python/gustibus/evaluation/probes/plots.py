"""Ranking accuracy and win rate against the distance from the reference: they part ways far from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gustibus.data.arrays import finite, same_length
from gustibus.errors import MissingExtraError


def plot_against_kl(kl: Any, ranking_accuracy: Any, win_rate: Any, path: str | Path) -> Path:
    """Draw both figures of checkpoints over their divergence from the reference.

    Args:
        kl: `(t,)` divergence of each checkpoint from the reference, in nats.
        ranking_accuracy: `(t,)` in [0, 1].
        win_rate: `(t,)` in [0, 1].
        path: of the picture; its ending says which kind.

    Raises:
        MissingExtraError: matplotlib is not installed.

    Source: Chen et al. 2024, "Preference Learning Algorithms Do Not Learn Preference Rankings".
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError.of("matplotlib", "train") from None

    x = finite("kl", kl)
    curves = {
        "ranking accuracy": finite("ranking_accuracy", ranking_accuracy, low=0, high=1),
        "win rate": finite("win_rate", win_rate, low=0, high=1),
    }
    same_length(kl=x, **curves)
    figure = Figure(figsize=(5, 3.2), layout="constrained")
    axes = figure.subplots()
    for label, values in curves.items():
        axes.plot(x, values, marker="o", label=label)
    axes.set_xlabel("divergence from the reference (nats)")
    axes.set_ylim(0, 1)
    axes.legend()
    target = Path(path)
    figure.savefig(target)
    return target
