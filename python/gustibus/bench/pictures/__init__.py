"""A league in pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gustibus.bench.pictures.calibration import draw_calibration
from gustibus.bench.pictures.cost import draw_cost
from gustibus.bench.pictures.curves import draw_curves
from gustibus.bench.pictures.forest import draw_forest

if TYPE_CHECKING:
    from gustibus.bench.standings import League

_DRAWN = {
    "league.png": draw_curves, "forest.png": draw_forest, "calibration.png": draw_calibration,
    "cost.png": draw_cost,
}  # fmt: skip


def draw(league: League, folder: Path) -> list[str]:
    """Write the pictures that the league has figures for; none where matplotlib is missing.

    A picture of an earlier league that this one has no figures for is taken away.

    Returns:
        Their file names.
    """
    try:
        import matplotlib.figure  # noqa: F401 - whether it is there
    except ImportError:
        return []
    names = []
    for name, draw_one in _DRAWN.items():
        figure = draw_one(league)
        if figure is None:
            (folder / name).unlink(missing_ok=True)
            continue
        figure.savefig(folder / name, dpi=130)
        names.append(name)
    return names


__all__ = ["draw"]
