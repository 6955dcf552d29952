"""A real Chromium for tests of pages, where there is one; every test gets a profile of its own."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)


@contextlib.contextmanager
def chromium() -> Iterator[object]:
    """The browser; skips where it or its driver is not installed."""
    if CHROMIUM is None:
        pytest.skip(f"no Chromium on the PATH (looked for {', '.join(NAMES)})")
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@dataclass
class Watch:
    """What a page did beside what it shows."""

    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    """Errors of scripts, and everything on the console, violations of the policy among it."""

    def on(self, page) -> None:
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda line: self.complaints.append(f"{line.type}: {line.text}"))
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))


def axe(page) -> list[str]:
    """What axe-core finds wrong by WCAG 2.2 AA: rule, weight and the elements."""
    package = pytest.importorskip("axe_core_python", reason="axe-core-python is not installed")
    from pathlib import Path

    source = (Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    page.evaluate(source)
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = page.evaluate("tags => axe.run(document, {runOnly: tags})", tags)
    return [
        f"{one['impact']} {one['id']}: {[node['html'][:120] for node in one['nodes']]}"
        for one in found["violations"]
    ]


PHONE = {
    "viewport": {"width": 360, "height": 640},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
SLOWER = 4
"""How many times slower the processor of a slow phone is."""
LATENCY, DOWN, UP = 150, 1.6e6 / 8, 0.75e6 / 8
"""Milliseconds before a reply begins and bytes a second on a slow mobile network."""


@dataclass
class Transfer:
    """What went over the network: bytes with their headers, and requests that were answered."""

    bytes: float = 0.0
    replies: int = 0

    def add(self, event) -> None:
        self.bytes += event["encodedDataLength"]
        self.replies += 1


def crowding(seconds: float = 0.05) -> float:
    """How many times longer work takes here than it would on processors of its own, 1 or more."""
    wall, used = time.perf_counter(), time.process_time()
    while time.process_time() - used < seconds:
        pass
    return max(1.0, (time.perf_counter() - wall) / (time.process_time() - used))


def slow_phone(page) -> Transfer:
    """Slow a page down to a cheap phone on a slow network, and count what it transfers.

    Where other programs already slow the browser down, the rest is added: together it is as much.
    """
    transfer, tools = Transfer(), page.context.new_cdp_session(page)
    tools.on("Network.loadingFinished", transfer.add)
    tools.send("Network.enable")
    conditions = {"latency": LATENCY, "downloadThroughput": DOWN, "uploadThroughput": UP}
    tools.send("Network.emulateNetworkConditions", {"offline": False, **conditions})
    tools.send("Emulation.setCPUThrottlingRate", {"rate": max(1.0, SLOWER / crowding())})
    return transfer
