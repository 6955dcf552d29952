"""Calibration curves: a panel a data set, of a few methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gustibus.bench.pictures.canvas import known, looks, panels, titled

if TYPE_CHECKING:
    from gustibus.bench.standings import League

_FEW = 4
"""Methods of a panel."""


def draw_calibration(league: League) -> Any:
    """How often answers of like confidence were right; None where nothing was judged."""
    look = dict(list(looks(league).items())[:_FEW])
    shown = [
        s for s in league.judged
        if any((c := m.cell(known(s))) and c.bins for m in s.report.methods if m.name in look)
    ]  # fmt: skip
    if not shown:
        return None
    figure, every = panels(len(shown), width=3.9, height=3.5, columns=3)
    for axes, standing in zip(every, shown, strict=True):
        axes.plot([50, 100], [50, 100], color="0.6", linewidth=1)
        for name, (colour, mark) in look.items():
            method = next((m for m in standing.report.methods if m.name == name), None)
            cell = None if method is None else method.cell(known(standing))
            if cell is None or not cell.bins:
                continue
            axes.plot(
                [100 * b.confidence for b in cell.bins], [100 * b.accuracy for b in cell.bins],
                color=colour, marker=mark, markersize=4, linewidth=1.2,
                label=f"{name} ({cell.calibration_error.value:.3f})",
            )  # fmt: skip
        low, high = axes.get_ylim()
        axes.set_yticks([share for share in range(0, 101, 10) if share >= low])
        axes.set_ylim(low, high + 0.35 * (high - low))  # room for the legend
        titled(axes, standing)
        axes.legend(
            fontsize=7.5, frameon=False, loc="upper left", title="calibration error",
            title_fontsize=7.5, alignment="left",
        )  # fmt: skip
    figure.supxlabel(
        "probability of the side thought likelier, in %;\npeople placed on all their answers",
        fontsize=9,
    )
    figure.supylabel("answers that were right, in %", fontsize=9)
    return figure
