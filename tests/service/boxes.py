"""A font whose every letter is the same box, so that pages look alike on machines with different fonts."""

from __future__ import annotations

import base64
import contextlib
import io
from collections.abc import Iterator
from functools import cache

import pytest

EM = 1000
WIDE = 520
"""Of a letter; about the mean of a text."""
LETTERING = "font-family: Boxes !important; text-rendering: geometricPrecision !important;"
"""Of everything; machines differ too in whether letters begin on whole pixels, and here none does."""
LETTERS = [
    *range(0x20, 0x180),
    *range(0x2010, 0x2040),
    0x2026,
    *range(0x2190, 0x21A0),
    0x2212,
    0x2264,
]


@cache
def font() -> str:
    """The font as a `data:` address.

    What a page measures of a text (where lines break, how high they are) comes from the font alone,
    and the fonts of machines differ; with this one a page has the same boxes everywhere.
    """
    pytest.importorskip("fontTools", reason="fontTools is not installed")
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    pen = TTGlyphPen(None)
    for place, corner in enumerate([(60, 0), (60, 480), (WIDE - 60, 480), (WIDE - 60, 0)]):
        (pen.lineTo if place else pen.moveTo)(corner)
    pen.closePath()
    box, nothing = pen.glyph(), TTGlyphPen(None).glyph()
    made = FontBuilder(EM, isTTF=True)
    made.setupGlyphOrder([".notdef", "box", "space"])
    spaces = {0x20, 0xA0, 0x2028, 0x2029, 0x202F}
    made.setupCharacterMap({code: "space" if code in spaces else "box" for code in LETTERS})
    made.setupGlyf({".notdef": box, "box": box, "space": nothing})
    made.setupHorizontalMetrics(dict.fromkeys((".notdef", "box", "space"), (WIDE, 60)))
    made.setupHorizontalHeader(ascent=800, descent=-200)
    made.setupNameTable({"familyName": "Boxes", "styleName": "Regular"})
    made.setupOS2(sTypoAscender=800, sTypoDescender=-200, usWinAscent=800, usWinDescent=200)
    made.setupPost()
    whole = io.BytesIO()
    made.save(whole)
    return f"data:font/ttf;base64,{base64.b64encode(whole.getvalue()).decode()}"


@contextlib.contextmanager
def worn(page, more: str = "") -> Iterator[None]:
    """A page that uses the font for everything, and more style; it must be let off its policy."""
    face = f"@font-face {{ font-family: Boxes; src: url({font()}); }}"
    style = page.add_style_tag(content=f"{face} * {{ {LETTERING} }} {more}")
    page.evaluate(
        "document.fonts.load('16px Boxes').then(() => document.fonts.ready).then(() => 0)"
    )
    page.evaluate("window.dispatchEvent(new Event('resize'))")  # what is measured is measured again
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    yield
    style.evaluate("style => style.remove()")
    page.evaluate("window.dispatchEvent(new Event('resize'))")
