"""The operator pages in a real browser: the door, the tables, the map, and who gets the key."""

from __future__ import annotations

import re

import pytest

from gustibus.store import upgrade
from tests.service.browser import Watch, axe, chromium
from tests.service.harness import Service, new_key
from tests.service.test_admin import PEOPLE, full  # noqa: F401 - a fixture

HEADINGS = (
    "Overview", "People", "Groups", "Questions", "Comparisons", "Models", "Jobs", "Usage", "Audit",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture
def visit(browser, full):  # noqa: F811 - the fixture
    """Open the pages in a profile of their own, and enter the key there."""
    contexts = []

    def go(watch=None, *, key=None, **options):
        context = browser.new_context(base_url=full.base, **options)
        context.set_default_timeout(15_000)
        contexts.append(context)
        page = context.new_page()
        (watch or Watch()).on(page)
        page.goto("/admin")
        if key is None:
            key = new_key(full.url, "admin")
            full.settle(key)
        page.get_by_label("Key").fill(key)
        page.keyboard.press("Enter")
        return page

    yield go
    for context in contexts:
        context.close()


def open_tab(page, name):
    page.get_by_role("link", name=name).click()
    page.get_by_role("heading", name=name, level=1).wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_shows_its_numbers_and_axe_finds_nothing_wrong(visit, full, scheme):  # noqa: F811
    watch = Watch()
    page = visit(watch, color_scheme=scheme)
    page.get_by_role("cell", name="POST /v1/comparisons").wait_for()
    for name in HEADINGS:
        open_tab(page, name)
        page.wait_for_load_state("networkidle")
        assert axe(page) == []
    assert watch.complaints == []
    assert {url.split("/", 3)[2] for url in watch.requests} == {full.base.split("//")[1]}
    assert not [url for url in watch.requests if "gustibus_live" in url]


def test_a_wrong_key_opens_nothing_and_is_forgotten(visit):
    page = visit(key="gustibus_live_wrong_" + "x" * 43)
    page.get_by_text("unknown, wrong, expired or revoked").wait_for()
    assert page.get_by_role("heading", name="Operators").is_visible()
    assert page.evaluate("sessionStorage.length") == 0


def test_a_key_without_the_scope_opens_nothing(visit, full):  # noqa: F811
    key = new_key(full.url, "score")
    full.settle(key)
    page = visit(key=key)
    page.get_by_text("needs the scope 'admin'").wait_for()
    assert page.get_by_role("heading", name="Operators").is_visible()


def test_the_key_is_in_the_tab_alone_and_gone_after_signing_out(visit):
    page = visit()
    page.get_by_role("cell", name="POST /v1/comparisons").wait_for()
    page.reload()
    page.get_by_role("cell", name="POST /v1/comparisons").wait_for()
    assert page.evaluate("[document.cookie, localStorage.length]") == ["", 0]
    other = page.context.new_page()
    other.goto("/admin")
    other.get_by_role("heading", name="Operators").wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Operators").wait_for()
    assert page.evaluate("sessionStorage.length") == 0


def test_a_click_on_the_map_tells_about_a_person(visit):
    page = visit()
    open_tab(page, "People")
    page.get_by_text(f"{PEOPLE + 5} of {PEOPLE + 5} people").wait_for()
    page.get_by_label("Find a person").fill("person-4")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="person-4").wait_for()
    assert "6 answers" in page.locator("#person").inner_text()
    page.get_by_label("Find a person").fill("nobody")
    page.keyboard.press("Enter")
    page.get_by_text("nobody called").wait_for()
    places = page.evaluate("""async () => {
      const canvas = document.getElementById("map");
      const box = canvas.getBoundingClientRect();
      const pen = canvas.getContext("2d");
      const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
      const seen = new Map();
      for (let at = 0; at < data.length; at += 4) {
        const key = `${data[at]},${data[at + 1]},${data[at + 2]}`;
        if (data[at + 3] > 0) seen.set(key, (seen.get(key) ?? 0) + 1);
      }
      return seen.size;
    }""")
    assert places > 2  # axes and points of different certainty
    box = page.locator("#map").bounding_box()
    for x in range(20, int(box["width"]), 12):  # points are within reach of a grid this fine
        page.mouse.click(box["x"] + x, box["y"] + box["height"] / 2)
        if page.locator("#person-title").inner_text() not in {"Nobody chosen", "person-4"}:
            break
    assert re.fullmatch(r"(person|trained)-\d+", page.locator("#person-title").inner_text())


def lines(page, condition):
    """Wait for a number of rows; as a function, for the policy refuses to evaluate a text."""
    table = "document.querySelectorAll('#comparison-table tbody tr')"
    page.wait_for_function(f"() => {table}.length {condition}")


def test_comparisons_are_filtered_and_paged(visit):
    page = visit()
    open_tab(page, "Comparisons")
    rows = page.locator("#comparison-table tbody tr")
    lines(page, "=== 50")
    page.get_by_role("button", name="More").click()
    lines(page, "> 50")
    page.get_by_label("Person", exact=True).fill("person-2")
    page.get_by_role("button", name="Show").click()
    lines(page, "=== 6")
    assert {row.locator("td").nth(1).inner_text() for row in rows.all()} == {"person-2"}
    page.get_by_label("Outcome").select_option("both_bad")
    page.get_by_role("button", name="Show").click()
    page.get_by_text("Nothing here yet").wait_for()


def test_the_page_of_models_says_what_to_do_where_none_is_served(browser, tmp_path):
    url = f"sqlite:///{tmp_path}/none.db"
    upgrade(url)
    service = Service(url, tmp_path, {}).start()
    try:
        key = new_key(url, "admin")
        service.settle(key)
        page = browser.new_page(base_url=service.base)
        page.goto("/admin")
        page.get_by_label("Key").fill(key)
        page.keyboard.press("Enter")
        open_tab(page, "Models")
        told = page.get_by_text("No model is served: people and answers are kept")
        told.wait_for()
        assert "--model FOLDER" in told.inner_text()
    finally:
        service.kill()


def test_nothing_is_wider_than_a_phone(visit):
    page = visit(viewport={"width": 390, "height": 780})
    page.get_by_role("cell", name="POST /v1/comparisons").wait_for()
    for name in HEADINGS:
        open_tab(page, name)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
