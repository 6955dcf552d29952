"""How pages look: small grey pictures of them, compared with those that were looked at.

A picture is taken in a font of boxes (`boxes.py`), reduced to cells of eight pixels and to sixteen
greys, so that a machine's fonts and the smoothing of edges do not matter, and what is moved, missing or
of another brightness does. `make looks` makes new ones, with `GUSTIBUS_RENEW_LOOKS=1` in the environment.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest

from tests.service import boxes

RENEW = os.environ.get("GUSTIBUS_RENEW_LOOKS") == "1"
FOLDER = Path(__file__).parent / "looks"
CELL = 8
"""Pixels of a side of a cell."""
GREYS = 17
"""Between two of the sixteen greys."""
FAR = 14.0
"""Greys, of 255, by which the mean of three by three cells may differ."""
SHARE = 0.004
"""Most cells that may differ more."""


def picture(page) -> np.ndarray:
    """What a page shows, as cells of grey."""
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    page.mouse.move(0, 0)
    whole = image.open(
        io.BytesIO(page.screenshot(scale="css", animations="disabled", caret="hide"))
    )
    cells = whole.convert("L").reduce(CELL)
    return np.rint(np.asarray(cells) / GREYS).astype(np.uint8) * GREYS


def keep(path: Path, cells: np.ndarray) -> None:
    """Write a picture, four bits a cell."""
    from PIL import Image

    made = Image.fromarray(cells // GREYS)
    made.putpalette([value for grey in range(16) for value in 3 * [GREYS * grey]])
    path.parent.mkdir(exist_ok=True)
    made.save(path, bits=4, optimize=True)


def kept(path: Path) -> np.ndarray:
    """Read it."""
    from PIL import Image

    return np.asarray(Image.open(path).convert("L"))


def blurred(cells: np.ndarray) -> np.ndarray:
    """Mean of three by three cells."""
    wide = np.pad(cells.astype(float), 1, mode="edge")
    rows, columns = cells.shape
    shifts = [wide[y : y + rows, x : x + columns] for y in range(3) for x in range(3)]
    return np.mean(shifts, axis=0)


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Share of the cells in which two pictures differ; all of them where their sizes do."""
    if one.shape != other.shape:
        return 1.0
    return float(np.mean(np.abs(blurred(one) - blurred(other)) > FAR))


def compare(page, name: str, *, failed: Path, hide: str = "") -> None:
    """Hold a page against its picture, or make a new one; what differs is kept in a folder.

    Args:
        page: of a context that passes over the page's policy.
        name: of the picture.
        failed: where to leave a page that looks unlike it.
        hide: style that hides what is another each time, such as a time.
    """
    path = FOLDER / f"{name}.png"
    with boxes.worn(page, hide):
        found = picture(page)
    if RENEW:
        keep(path, found)
        return
    assert path.exists(), f"there is no picture {path.name}; make looks makes it"
    share = difference(found, kept(path))
    if share > SHARE:
        keep(failed / path.name, found)
        page.screenshot(path=failed / f"{name}-whole.png", scale="css")  # in the machine's fonts
    assert share <= SHARE, (
        f"{name}: {100 * share:.1f} % of the page look unlike {path.name}; see {failed}. If that is "
        "meant, look at it and make new pictures with make looks"
    )
