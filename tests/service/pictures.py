"""Pictures of the operator pages for the documentation: `python -m tests.service.pictures docs/figures`.

A server with groups of people, two versions and a map of neighbours, in a real browser. With `--every`
also in the dark and on a phone, to be looked at.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from tests.service.browser import axe, chromium
from tests.service.peopled import peopled

SIZES = (170, 120, 70, 45, 4)
"""People in each group; the last is too small to be told."""
TOLD = (8, 30)
"""Fewest and most answers of each."""
DESK = {"width": 1280, "height": 1040}
PHONE = {"width": 390, "height": 800}


def mapped(http, seconds: float = 300.0) -> None:
    """Wait until the map of neighbours is made."""
    http.post("/v1/jobs", json={"kind": "map_neighbours"}, headers={"Idempotency-Key": "m"})
    until = time.monotonic() + seconds
    while (found := http.get("/v1/admin/map/neighbours").json())["state"] != "ready":
        assert found["state"] != "failed", found
        assert time.monotonic() < until, found
        time.sleep(0.2)


VARIANTS = {
    "": {"viewport": DESK},
    "-dark": {"viewport": DESK, "color_scheme": "dark"},
    "-phone": {"viewport": PHONE, "device_scale_factor": 2},
}


def shoot(context, key: str, folder: Path, suffix: str) -> list[str]:
    """Every picture, and what axe finds wrong in one of them."""
    page, wrong = context.new_page(), []

    def keep(name: str) -> None:
        page.wait_for_load_state("networkidle")
        wrong.extend(axe(page))
        page.screenshot(path=folder / f"page-{name}{suffix}.png", full_page=suffix == "-phone")

    page.goto("/admin")
    page.get_by_label("Key").fill(key)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Overview", level=1).wait_for()
    keep("overview")
    page.get_by_role("link", name="People", exact=True).click()
    page.get_by_text("on the two directions").wait_for()
    page.get_by_label("Find a person").fill("u-140")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="u-140").wait_for()
    keep("people")
    for view, text in (("moves", "Procrustes"), ("neighbours", "t-SNE")):
        page.get_by_role("combobox", name="View").select_option(view)
        page.get_by_text(text).wait_for()
        keep(view)
    for name in ("Groups", "Comparisons"):
        page.get_by_role("link", name=name, exact=True).click()
        page.get_by_role("heading", name=name, level=1).wait_for()
        keep(name.lower())
    return wrong


def main() -> None:
    """Make them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", action="store_true", help="dark and on a phone too")
    chosen = parser.parse_args()
    variants = list(VARIANTS) if chosen.every else [""]
    wrong = []
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        url = f"sqlite:///{name}/s.db"
        with peopled(url, Path(name), SIZES, told=TOLD) as world:
            with world.service.client(world.key) as http:
                mapped(http)
            for suffix in variants:
                context = browser.new_context(base_url=world.service.base, **VARIANTS[suffix])
                wrong += shoot(context, world.key, chosen.folder, suffix)
                context.close()
    if wrong:
        raise SystemExit("\n".join(wrong))


if __name__ == "__main__":
    main()
