"""Figures of a bias study. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from gustibus.errors import InputError, MissingExtraError, UnknownNameError

if TYPE_CHECKING:
    from gustibus.social.study import BiasStudy

_MARKS = "osD^vP*X<>"


def plot(study: BiasStudy, kind: str, options: dict[str, Any]) -> Any:
    """The figure of a kind.

    Raises:
        UnknownNameError: There is no such kind.
        InputError: An option that the kind does not have.
        MissingExtraError: matplotlib is not installed.
    """
    kinds: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
        "price": (_price, ("strength",)),
        "quota": (_quota, ("strength",)),
        "smoothness": (_smoothness, ("voters", "elections", "seed")),
        "strength": (_strength, ()),
        "voters": (_voters, ("strength",)),
    }
    if kind not in kinds:
        raise UnknownNameError.of("kind of plot", kind, kinds)
    draw, known = kinds[kind]
    unknown = set(options) - set(known)
    if unknown:
        message = f"options: expected {list(known)} for kind {kind!r}, got {sorted(unknown)}"
        raise InputError(message)
    return draw(study, **options)


def _figure(rows: int, columns: int, *, width: float = 3.0, height: float = 2.4) -> Any:
    """A grid of axes without a window and without the state of pyplot."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError.of("matplotlib", "social") from None
    size = (max(4.5, width * columns), height * rows + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)


def _panels(study: BiasStudy) -> Any:
    figure, axes = _figure(len(study.voters), len(study.latent))
    for v, n in enumerate(study.voters):
        for d, name in enumerate(study.latent):
            axes[v, d].set_title(f"{name}, n = {n}", fontsize=9)
            axes[v, d].grid(alpha=0.3)
    return figure, axes


def _finish(figure: Any, axes: Any, x: str, y: str) -> Any:
    for ax in axes[-1]:
        ax.set_xlabel(x)
    for row in axes:
        row[0].set_ylabel(y)
    axes[0, 0].legend(fontsize=8)
    return figure


def _level(study: BiasStudy, strength: float | None) -> int:
    """The strength that is nearest to the wanted one; the largest by default."""
    wanted = float(study.strengths.max()) if strength is None else float(strength)
    return int(np.abs(study.strengths - wanted).argmin())


def _strength(study: BiasStudy) -> Any:
    figure, axes = _panels(study)
    best, error = study.best, study.best_error
    for d, v, r in np.ndindex(*best.shape[:3]):
        axes[v, d].errorbar(
            study.strengths, best[d, v, r], error[d, v, r], marker=_MARKS[r % len(_MARKS)],
            markersize=4, capsize=2, label=study.rules[r],
        )  # fmt: skip
    return _finish(figure, axes, "strength of the bias", "ratio, best quota")


def _quota(study: BiasStudy, strength: float | None = None) -> Any:
    figure, axes = _panels(study)
    at, ratio = _level(study, strength), study.ratio
    for d, v, r in np.ndindex(*ratio.shape[:3]):
        mark = _MARKS[r % len(_MARKS)]
        axes[v, d].plot(study.quotas, ratio[d, v, r, at], marker=mark, ms=4, label=study.rules[r])
    label = f"seats kept, strength {study.strengths[at]:.2g}"
    return _finish(figure, axes, label, "ratio")


def _voters(study: BiasStudy, strength: float | None = None) -> Any:
    figure, axes = _figure(1, len(study.latent))
    at, best, error = _level(study, strength), study.best, study.best_error
    for d, name in enumerate(study.latent):
        axes[0, d].set_title(name, fontsize=9)
        axes[0, d].grid(alpha=0.3)
        for r, rule in enumerate(study.rules):
            axes[0, d].errorbar(
                study.voters, best[d, :, r, at], error[d, :, r, at],
                marker=_MARKS[r % len(_MARKS)], markersize=4, capsize=2, label=rule,
            )  # fmt: skip
    label = f"voters, strength {study.strengths[at]:.2g}"
    return _finish(figure, axes, label, "ratio, best quota")


def _price(study: BiasStudy, strength: float | None = None) -> Any:
    figure, axes = _panels(study)
    at, price, ratio = _level(study, strength), study.price, study.ratio
    for d, v, r in np.ndindex(*price.shape[:3]):
        mark, color = _MARKS[r % len(_MARKS)], f"C{r}"
        rule = study.rules[r]
        seen, truth = price[d, v, r, at], 1 - ratio[d, v, r, at]
        axes[v, d].plot(study.quotas, seen, color=color, marker=mark, ms=4, label=f"{rule}, seen")
        axes[v, d].plot(study.quotas, truth, color=color, ls="--", label=f"{rule}, true")
    label = f"seats kept, strength {study.strengths[at]:.2g}"
    return _finish(figure, axes, label, "price of the quota")


def _smoothness(study: BiasStudy, **options: Any) -> Any:
    figure, axes = _figure(1, len(study.latent), height=3.2)
    found = study.smoothness(**options)
    for d, name in enumerate(study.latent):
        ax = axes[0, d]
        ax.set_title(name, fontsize=9)
        ax.grid(alpha=0.3)
        lines = []
        for r, rule in enumerate(study.rules):
            smooth = found[name, rule]
            beta, gamma = smooth.curve()
            shown = np.minimum(gamma, 2.0)  # a biased score of 0 makes gamma infinite
            ax.step(beta, shown, where="post", color=f"C{r}", label=rule)
            lines.append(f"{rule}: α = {smooth.alpha:.3f} ± {smooth.error:.3f}")
        ax.text(0.03, 0.97, "\n".join(lines), transform=ax.transAxes, va="top", fontsize=7)
    return _finish(figure, axes, "β", "γ(β), cut at 2")
