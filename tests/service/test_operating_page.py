"""The pages on which operators change something, in a real browser."""

from __future__ import annotations

import pytest

from gustibus.service.smallgroups import SMALL
from tests.service.browser import Watch, axe, chromium
from tests.service.operated import DAY, SIZES, operated

HEADINGS = (
    "Overview", "People", "Groups", "Comparisons", "Models", "Jobs", "Usage", "Audit",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def world(browser, tmp_path_factory, features):  # without a browser there is no need of a server
    with operated(tmp_path_factory.mktemp("operated"), features) as found:
        yield found


@pytest.fixture
def visit(browser, world):
    """Open the pages in a profile of their own, with a key that may change things."""
    contexts = []

    def go(tab="Models", *, watch=None, key=None, **options):
        context = browser.new_context(base_url=world.service.base, **options)
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()
        (watch or Watch()).on(page)
        page.goto("/admin")
        page.get_by_label("Key").fill(key or world.changing)
        page.keyboard.press("Enter")
        open_tab(page, tab)
        return page

    yield go
    for context in contexts:
        context.close()


def open_tab(page, name):
    page.get_by_role("link", name=name, exact=True).click()
    page.get_by_role("heading", name=name, level=1).wait_for()
    page.wait_for_load_state("networkidle")


@pytest.fixture
def http(world):
    with world.service.client() as client:
        yield client


def champion(http) -> int:
    return http.get("/v1/models/default/aliases/champion").json()["version"]


def move(http, version) -> None:
    """What another operator does meanwhile."""
    seen = {"If-Match": http.get("/v1/models/default/aliases/champion").headers["etag"]}
    url = "/v1/models/default/aliases/champion"
    assert http.put(url, json={"version": version}, headers=seen).status_code == 200


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong_and_nothing_comes_from_elsewhere(visit, world, scheme):
    watch = Watch()
    page = visit("Overview", watch=watch, color_scheme=scheme)
    for name in HEADINGS:
        open_tab(page, name)
        assert axe(page) == [], name
    open_tab(page, "Models")
    page.get_by_role("button", name="Promote default@2").click()
    page.get_by_role("heading", name="Promote default@2?").wait_for()
    assert axe(page) == []
    assert watch.complaints == []
    assert {url.split("/", 3)[2] for url in watch.requests} == {world.service.base.split("//")[1]}
    assert not [url for url in watch.requests if "gustibus_live" in url]


def test_a_version_is_promoted_and_rolled_back_once_it_was_confirmed(visit, http):
    page = visit()
    promote = page.get_by_role("button", name="Promote default@2")
    promote.focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Promote default@2?").wait_for()
    page.keyboard.press("Escape")
    promote.click()
    page.get_by_role("button", name="Cancel").press("Enter")
    page.get_by_role("dialog").wait_for(state="hidden")
    assert champion(http) == 1
    promote.click()
    page.get_by_role("button", name="Promote", exact=True).click()
    page.get_by_text("default@2 is served.").wait_for()
    assert champion(http) == 2
    page.get_by_role("row", name="default@2 served champion").wait_for()
    page.get_by_role("button", name="Roll back to version 1").click()
    page.get_by_role("button", name="Roll back", exact=True).click()
    page.get_by_text("default@1 is served.").wait_for()
    assert champion(http) == 1
    open_tab(page, "Audit")
    log = page.locator("#audit-table tbody tr")
    assert "model.rollback" in log.nth(0).inner_text()
    assert "model.promote" in log.nth(1).inner_text()


def test_what_another_operator_changed_meanwhile_is_not_overwritten(visit, http):
    page = visit()
    page.get_by_role("button", name="Promote default@2").wait_for()
    move(http, 2)
    move(http, 1)
    page.get_by_role("button", name="Promote default@2").click()
    page.get_by_role("button", name="Promote", exact=True).click()
    page.get_by_text("read it again").wait_for()
    assert champion(http) == 1


def test_a_key_that_may_only_look_is_told_so_and_stays(visit, world, http):
    page = visit(key=world.looking)
    page.get_by_role("button", name="Promote default@2").click()
    page.get_by_role("button", name="Promote", exact=True).click()
    page.get_by_text("needs the scope 'models:write'").wait_for()
    assert champion(http) == 1
    assert page.get_by_role("heading", name="Models", level=1).is_visible()


def test_another_site_cannot_use_the_key_of_an_open_page(visit, world, http):
    """The key is in no cookie, so that a request which another site provokes goes without it."""
    page = visit()
    other = page.context.new_page()
    other.route("http://other.example/", lambda route: route.fulfill(
        body="<form id=f method=post></form>", content_type="text/html"))  # fmt: skip
    other.goto("http://other.example/")
    refused = []
    other.on("response", lambda reply: refused.append(reply.status))
    other.evaluate(
        """url => { const form = document.getElementById("f"); form.action = url; form.submit(); }""",
        f"{world.service.base}/v1/models/default:rollback",
    )
    other.wait_for_url("**/v1/models/default:rollback")
    assert refused == [401]
    assert champion(http) == 1


def test_jobs_are_counted_shown_filtered_and_stopped(visit, http):
    for number in range(2):
        reply = http.post("/v1/jobs", json={"kind": "refit_profiles" if number else "export"},
                          headers={"Idempotency-Key": f"page-{number}"})  # fmt: skip
        assert reply.status_code == 202, reply.text
    page = visit("Overview")
    page.locator("#tiles").get_by_text("0 running, 0 failed").wait_for()
    page.get_by_role("link", name="2 queued").press("Enter")
    page.wait_for_function("() => document.querySelectorAll('#job-table tbody tr').length === 2")
    rows = page.locator("#job-table tbody tr")
    assert rows.count() == 2
    page.get_by_label("Kind").select_option("export")
    page.get_by_role("button", name="Show").click()
    page.wait_for_function("() => document.querySelectorAll('#job-table tbody tr').length === 1")
    page.get_by_role("button", name="Stop export").click()
    page.get_by_role("button", name="Stop it").click()
    page.get_by_text("cancelled.").wait_for()
    rows.nth(0).get_by_role("cell", name="cancelled", exact=True).wait_for()
    states = {row["kind"]: row["state"] for row in http.get("/v1/jobs").json()["data"]}
    assert states == {"export": "cancelled", "refit_profiles": "queued"}


def test_usage_is_told_by_day_and_key(visit):
    page = visit("Usage")
    page.get_by_label("From", exact=True).fill(DAY)
    page.get_by_label("To", exact=True).fill(DAY)
    page.get_by_role("button", name="Show").click()
    page.wait_for_function("() => document.querySelectorAll('#usage-table tbody tr').length === 1")
    row = page.locator("#usage-table tbody tr")
    cells = [cell.inner_text() for cell in row.locator("td").all()]
    assert (cells[0], cells[1], cells[3:]) == (DAY, "test", ["10", "640", "64"])


def test_the_audit_log_finds_a_person_who_is_named_in_none_of_it(visit, http):
    assert http.put("/v1/users/leaver", json={}).status_code in {200, 201}
    assert http.delete("/v1/users/leaver").status_code in {200, 202}
    page = visit("Audit")
    page.get_by_label("About person").fill("leaver")
    page.get_by_role("button", name="Show").click()
    page.wait_for_function("() => document.querySelectorAll('#audit-table tbody tr').length === 1")
    text = page.locator("#audit-table tbody").inner_text()
    assert "user.delete" in text
    assert "leaver" not in text


def test_groups_have_a_row_and_a_curve(visit):
    page = visit("Groups")
    page.get_by_role("cell", name="The rest (2, 3)").wait_for()
    assert page.locator("#group-table tbody tr").count() == 2
    assert page.locator("#curves figure").count() == 2
    label = page.locator("#curves svg").first.get_attribute("aria-label")
    assert "% sure" in label
    assert "% right" in label
    assert page.locator("#curves circle > title").first.text_content() in label


def test_the_map_is_coloured_by_group_or_by_how_well_people_are_known(visit):
    page = visit("People")
    page.get_by_text(f"{sum(SIZES) - SMALL} of {sum(SIZES)} ").wait_for()
    legend = page.locator("#legend")
    assert "group 1" in legend.inner_text()
    assert "the rest" in legend.inner_text()
    assert "group 3" not in legend.inner_text()

    def colours():
        return page.evaluate("""() => {
          const canvas = document.getElementById("map");
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          const found = {};
          for (let at = 0; at < data.length; at += 4) {
            const key = `${data[at] >> 5},${data[at + 1] >> 5},${data[at + 2] >> 5}`;
            if (data[at + 3] > 120) found[key] = (found[key] ?? 0) + 1;
          }
          return Object.fromEntries(Object.entries(found).filter(([, pixels]) => pixels > 40));
        }""")

    by_group = colours()
    page.get_by_label("Colour").select_option("state")
    assert "well known" in legend.inner_text()
    by_state = colours()
    assert by_group.keys() - by_state.keys()  # the colour of the rest
    page.get_by_label("Find a person").fill("g1-00")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="g1-00").wait_for()


def test_a_link_to_the_page_that_is_shown_leaves_the_links_in_sight(visit):
    page = visit("Overview", viewport={"width": 390, "height": 500})
    page.get_by_role("row").nth(1).wait_for()
    page.get_by_role("link", name="Overview", exact=True).click()
    page.wait_for_url("**/admin#overview")
    page.wait_for_timeout(200)
    assert page.evaluate("scrollY") == 0
    assert page.get_by_role("link", name="Overview", exact=True).bounding_box()["y"] > 0


def test_nothing_is_wider_than_a_phone(visit):
    page = visit("Overview", viewport={"width": 390, "height": 780})
    for name in HEADINGS:
        open_tab(page, name)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
