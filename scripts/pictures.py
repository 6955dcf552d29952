"""Draw the pictures of the concepts: python scripts/pictures.py writes docs/figures/concept-*.svg.

A test compares the files with what this draws. Numbers are rounded to whole pixels, so that no machine's
last digit shows.
"""

from __future__ import annotations

from math import atan2, degrees
from pathlib import Path

import numpy as np

from gustibus.posterior import Evidence, GaussianPrior, place

FOLDER = Path(__file__).parents[1] / "docs" / "figures"
STYLE = """\
<style>
.card { fill: #ffffff; stroke: #c9ced6 }
.line, .dash { fill: none; stroke: #5b6472; stroke-width: 1.5 }
.dash { stroke-dasharray: 5 4; stroke-width: 1 }
.item { fill: #5b6472 }
.one { fill: #5e35b1; stroke: #5e35b1 }
.two { fill: #b2541a; stroke: #b2541a }
.area { fill-opacity: 0.16; stroke-width: 2 }
text { font: 15px sans-serif; fill: #1f2530; stroke: #ffffff; stroke-width: 4; paint-order: stroke }
.small { font-size: 13px; fill: #4a5261 }
@media (prefers-color-scheme: dark) {
.card { fill: #20242d; stroke: #4a5261 }
.line, .dash { stroke: #aab3c2 }
.item { fill: #aab3c2 }
.one { fill: #b39ddb; stroke: #b39ddb }
.two { fill: #f0a36b; stroke: #f0a36b }
text { fill: #eef1f6; stroke: #20242d }
.small { fill: #c3cad6 }
}
</style>
"""


def pictures() -> dict[str, str]:
    """File names and drawings."""
    return {"concept-points.svg": points(), "concept-posterior.svg": posterior()}


def points() -> str:
    """Two people and five items on a plane: the nearer an item, the better it is liked."""
    items = {"a": (300, 120), "b": (420, 235), "c": (205, 265), "d": (520, 105), "e": (110, 150)}
    ada, ben = (240, 165), (470, 175)
    parts = [f'<circle class="dash" cx="{ada[0]}" cy="{ada[1]}" r="{r}"/>' for r in (75, 106, 131)]
    for name, (x, y) in items.items():
        parts += [
            f'<circle class="item" cx="{x}" cy="{y}" r="6"/>',
            _text(x + 11, y + 5, f"answer {name}"),
        ]
    parts += [_star(ada, "one"), _text(ada[0] - 44, ada[1] + 5, "Ada")]
    parts += [_star(ben, "two"), _text(ben[0] + 14, ben[1] + 5, "Ben")]
    parts.append(
        _text(
            24,
            336,
            "Each dashed ring is equal reward to Ada: she likes a best, then c, then e; "
            "Ben likes b best, then d.",
            "small",
        )
    )
    return _svg(
        680, 356, "People and answers as points on a plane", [*parts, *_frame(24, 24, 632, 290)]
    )


def posterior() -> str:
    """Where a person may be: before any answer, after 2 and after 12."""
    rng, truth = np.random.default_rng(7), np.array([1.1, 0.7])
    pairs = rng.normal(size=(12, 2)) * 1.4
    said = (rng.random(12) < 1 / (1 + np.exp(-pairs @ truth))).astype(float)
    parts: list[str] = []
    for panel, count in enumerate((0, 2, 12)):
        left, top, side, scale = 24 + 216 * panel, 24, 200, 32.0
        state = place(Evidence.build(pairs[:count], said[:count]), GaussianPrior.standard(2))[0]
        x, y = left + side / 2, top + side / 2
        values, axes = np.linalg.eigh(state.covariance)
        middle = (x + scale * state.mean[0], y - scale * state.mean[1])
        turned = degrees(atan2(-axes[1, 1], axes[0, 1]))
        wide, high = (2 * scale * np.sqrt(values[i]) for i in (1, 0))  # two standard deviations
        told = "before any answer" if not count else f"after {count} answers"
        parts += [
            *_frame(left, top, side, side),
            f'<ellipse class="one area" rx="{wide:.0f}" ry="{high:.0f}" transform="translate('
            f'{middle[0]:.0f} {middle[1]:.0f}) rotate({turned:.0f})"/>',
            f'<circle class="one" cx="{middle[0]:.0f}" cy="{middle[1]:.0f}" r="4"/>',
            _star((round(x + scale * truth[0]), round(y - scale * truth[1])), "two"),
            _text(left, top + side + 24, told),
        ]
    parts.append(
        _text(
            24,
            282,
            "Dot and ellipse: what is believed of the person, and within two standard "
            "deviations. Star: the person.",
            "small",
        )
    )
    return _svg(680, 302, "From the population to a person's posterior", parts)


def _svg(width: int, height: int, title: str, parts: list[str]) -> str:
    card = f'<rect class="card" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'width="{width}" height="{height}">\n<title>{title}</title>\n{STYLE}{card}\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _frame(x: int, y: int, width: int, height: int) -> list[str]:
    return [f'<rect class="line" x="{x}" y="{y}" width="{width}" height="{height}" rx="4"/>']


def _text(x: int, y: int, words: str, kind: str = "") -> str:
    told = f' class="{kind}"' if kind else ""
    return f'<text x="{x}" y="{y}"{told}>{words}</text>'


def _star(middle: tuple[int, int], kind: str) -> str:
    """A star of five points."""
    turn = np.pi / 5
    corners = [
        (middle[0] + r * np.sin(n * turn), middle[1] - r * np.cos(n * turn))
        for n, r in enumerate([11, 5] * 5)
    ]
    told = " ".join(f"{x:.0f},{y:.0f}" for x, y in corners)
    return f'<polygon class="{kind}" points="{told}"/>'


if __name__ == "__main__":
    for name, drawing in pictures().items():
        (FOLDER / name).write_text(drawing, encoding="utf-8")
