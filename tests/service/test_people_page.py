"""The page of people in a real browser: moves between versions, neighbours, and files to take away."""

from __future__ import annotations

import io
import json
import os

import pyarrow.parquet as pq
import pytest

from gustibus.service.routes.pages import FILES
from tests.service.browser import Watch, axe, chromium
from tests.service.harness import new_key
from tests.service.peopled import peopled
from tests.service.test_admin import PEOPLE, full  # noqa: F401 - a fixture

SIZES = (26, 18, 12, 3)
WEIGHT = 75_000
"""Most bytes of the operator pages, all of their files together."""
WITHOUT = "import sys\nsys.modules['sklearn'] = None\n"


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def world(browser, tmp_path_factory):  # without a browser there is no need of a server
    folder = tmp_path_factory.mktemp("people")
    with peopled(f"sqlite:///{folder}/s.db", folder, SIZES) as found:
        yield found


@pytest.fixture
def visit(browser):
    """Open the page of a service in a profile of its own."""
    contexts = []

    def go(service, key, *, watch=None, **options):
        context = browser.new_context(base_url=service.base, **options)
        context.set_default_timeout(30_000)
        contexts.append(context)
        page = context.new_page()
        (watch or Watch()).on(page)
        page.goto("/admin#people")
        page.get_by_label("Key").fill(key)
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="People", level=1).wait_for()
        page.wait_for_load_state("networkidle")
        return page

    yield go
    for context in contexts:
        context.close()


def view(page, name):
    page.get_by_role("combobox", name="View").select_option(name)


def pixels(page) -> str:
    return page.evaluate("document.getElementById('map').toDataURL()")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_draws_people_and_axe_finds_nothing_wrong(visit, world, scheme):
    watch = Watch()
    page = visit(world.service, world.key, watch=watch, color_scheme=scheme)
    page.get_by_text("on the two directions").wait_for()
    assert axe(page) == []
    plane = pixels(page)
    view(page, "moves")
    page.get_by_text("Procrustes").wait_for()
    assert pixels(page) != plane
    assert page.locator("#move-table tbody tr").count() == 12
    assert axe(page) == []
    view(page, "neighbours")
    page.get_by_text("t-SNE").wait_for()
    assert axe(page) == []
    view(page, "plane")
    page.get_by_text("on the two directions").wait_for()
    assert pixels(page) == plane
    assert watch.complaints == []
    assert {url.split("/", 3)[2] for url in watch.requests} == {world.service.base.split("//")[1]}


def test_moves_are_reached_and_read_with_the_keyboard_alone(visit, world):
    page = visit(world.service, world.key)
    page.get_by_role("combobox", name="View").focus()
    page.keyboard.press("m")
    page.get_by_text("Procrustes").wait_for()
    note = page.locator("#map-note").inner_text()
    assert "from where default@1 has them to where default@2 has them" in note
    with world.service.client(world.key) as http:
        told = http.get("/v1/admin/map/moves?before=1").json()
    assert f"less than {told['median'] / told['spread']:.2f} of the map's spread" in note
    assert f"nobody more than {told['largest'] / told['spread']:.2f}" in note
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "before"
    order = sorted(zip(told["distance"], told["users"], strict=True), reverse=True)
    first = page.locator("#move-table tbody tr").first
    assert first.locator("td").nth(1).inner_text() == f"{order[0][0] / told['spread']:.2f}"
    before = pixels(page)
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('#move-table') !== null"):
            break
    who = page.evaluate("document.activeElement.textContent")
    assert who == first.locator("td").first.inner_text()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name=who, level=2).wait_for()
    assert pixels(page) != before  # a ring around them


def test_a_service_of_one_version_says_that_there_is_nothing_to_compare(visit, full):  # noqa: F811
    key = new_key(full.url, "admin")
    full.settle(key)
    page = visit(full, key)
    page.get_by_text(f"{PEOPLE + 5} of {PEOPLE + 5} people").wait_for()
    assert page.locator("#colour").is_hidden()  # one group, and too few people with few answers
    view(page, "moves")
    page.get_by_text("Only one version is registered").wait_for()
    assert page.locator("#map").is_hidden()
    assert page.locator("#before").is_hidden()
    assert axe(page) == []


def test_neighbours_are_asked_for_followed_and_shown(visit, world):
    page = visit(world.service, world.key)
    view(page, "neighbours")
    page.get_by_text("It has not been made for this version yet").wait_for()
    assert "gustibus[maps]" in page.locator("#made-state").inner_text()
    assert page.locator("#map").is_hidden()
    page.get_by_role("button", name="Make this map").press("Enter")
    page.get_by_text("Ready for default@2").wait_for(timeout=90_000)  # compiles, on a busy machine
    page.get_by_role("button", name="Make it again").wait_for()
    assert page.locator("#map").is_visible()
    hidden = page.locator("#map-note").inner_text()
    assert f"{sum(SIZES) - 10} people are placed" in hidden
    view(page, "plane")
    page.get_by_text("on the two directions").wait_for()
    flat = pixels(page)
    page.reload()
    page.get_by_text("on the two directions").wait_for()
    view(page, "neighbours")
    page.get_by_text("Ready for default@2").wait_for()  # it was kept
    assert pixels(page) != flat


def test_a_key_that_may_not_run_jobs_is_told_so(visit, world):
    key = new_key(world.service.url, "admin")
    world.service.settle(key)
    page = visit(world.service, key)
    view(page, "neighbours")
    page.locator("#make").click()
    page.get_by_text("needs the scope 'jobs'").wait_for()


def test_a_worker_without_the_library_says_how_to_get_it(browser, visit, tmp_path):
    (tmp_path / "less").mkdir()
    (tmp_path / "less" / "sitecustomize.py").write_text(WITHOUT)
    path = os.pathsep.join(filter(None, [str(tmp_path / "less"), os.environ.get("PYTHONPATH")]))
    with peopled(f"sqlite:///{tmp_path}/s.db", tmp_path, (14, 12), pythonpath=path) as less:
        page = visit(less.service, less.key)
        view(page, "neighbours")
        page.get_by_role("button", name="Make this map").click()
        page.get_by_text("It failed:").wait_for()
        assert "pip install 'gustibus[maps]'" in page.locator("#made-state").inner_text()
        assert axe(page) == []
        page.get_by_role("button", name="Make this map").wait_for()


def taken(page, press):
    with page.expect_download() as found:
        press()
    path = found.value.path()
    return found.value.suggested_filename, path.read_bytes()


def test_the_map_and_the_comparisons_are_saved_as_files(visit, world):
    page = visit(world.service, world.key)
    name, data = taken(
        page, lambda: page.get_by_role("button", name="Save as Parquet").press("Enter")
    )
    table = pq.read_table(io.BytesIO(data))
    assert name == "people.parquet"
    assert table.column_names == ["x", "y", "group", "n", "accuracy"]
    assert table.num_rows == sum(SIZES) - 10
    page.get_by_text("people.parquet is saved").wait_for()
    page.get_by_role("link", name="Comparisons").click()
    page.get_by_role("heading", name="Comparisons", level=1).wait_for()
    who = world.groups[0][0]
    page.get_by_label("Person", exact=True).fill(who)
    page.get_by_label("Outcome").select_option("a")
    name, data = taken(page, page.get_by_role("button", name="Save as NDJSON").click)
    rows = [json.loads(line) for line in data.decode().splitlines()]
    assert name == "comparisons.ndjson"
    assert {(row["user"], row["outcome"]) for row in rows} == {(who, "a")}
    name, data = taken(page, page.get_by_role("button", name="Save as Parquet").click)
    assert pq.read_table(io.BytesIO(data)).num_rows == len(rows)
    with world.service.client(world.key) as http:
        done = [row["action"] for row in http.get("/v1/admin/audit").json()["data"][:3]]
    assert done == ["comparisons.export", "comparisons.export", "map.export"]


def test_no_view_is_wider_than_a_phone(visit, world):
    page = visit(world.service, world.key, viewport={"width": 390, "height": 780})
    for name, text in (("plane", "on the two"), ("moves", "Procrustes"), ("neighbours", "t-SNE")):
        view(page, name)
        page.get_by_text(text).wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name


def test_the_operator_pages_weigh_little(world):
    shared = {"/onboard/page.css", "/onboard/icon.svg"}
    with world.service.client("") as http:
        paths = [path for path in FILES if path.startswith("/admin") or path in shared]
        total = sum(len(http.get(path).content) for path in paths)
    assert total <= WEIGHT
