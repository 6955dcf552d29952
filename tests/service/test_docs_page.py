"""The page of operations, made of the document by a script of our own, in a real browser."""

from __future__ import annotations

import httpx
import pytest

from gustibus.service.app import TABLE
from gustibus.service.routes.pages import DOCS
from tests.service.browser import Watch, axe, chromium
from tests.service.harness import running


@pytest.fixture(scope="module")
def served(tmp_path_factory, vectors_folder, vectors_model):
    folder = tmp_path_factory.mktemp("docs")
    url = f"sqlite:///{folder}/s.db"
    with running(url, folder, gustibus_model=str(vectors_folder), gustibus_docs="1") as found:
        yield found


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
def page(browser, served, watch):
    context = browser.new_context(base_url=served.base)
    context.set_default_timeout(20_000)
    found = context.new_page()
    watch.on(found)
    found.goto("/docs")
    found.get_by_text(f"{len(TABLE.routes)} operations").wait_for()
    yield found
    context.close()


def operation(page, name):
    return page.locator(
        "#list section > details", has=page.locator(f"summary code:text-is('{name}')")
    )


def test_without_the_setting_there_is_no_such_page(service):
    for path in DOCS:
        assert httpx.get(f"{service.base}{path}").status_code == 404


def test_every_operation_is_listed_and_found_by_its_words(page, watch, served):
    page.locator("#list section > details").nth(len(TABLE.routes) - 1).wait_for()
    assert page.locator("#list section > details").count() == len(TABLE.routes)
    page.get_by_label("Find").fill("best candidate")
    assert page.locator("#told").inner_text() == "1 operation"
    assert page.locator("#list summary code:visible").all_inner_texts() == ["POST /v1/best-of-n"]
    assert not watch.complaints
    assert all(url.startswith(served.base) for url in watch.requests)


def test_an_operation_is_tried_with_the_key_that_is_typed(page, served):
    with served.client() as http:
        http.put("/v1/items/resp-19", json={"embedding": [1.0] * 6})
        http.put("/v1/items/resp-20", json={"embedding": [-1.0] * 6})
        secret = http.headers["Authorization"].removeprefix("Bearer ")
    score = operation(page, "POST /v1/score")
    score.locator("summary").first.click()
    assert "resp-19" in score.get_by_label("Body", exact=True).input_value()
    score.get_by_role("button", name="Send").click()
    score.get_by_label("Reply").get_by_text("401", exact=False).wait_for()
    page.get_by_label("Key").fill(secret)
    score.get_by_role("button", name="Send").click()
    score.get_by_label("Reply").get_by_text("200", exact=False).wait_for()
    assert '"ranking"' in score.get_by_label("Reply").inner_text()
    item = operation(page, "GET /v1/items/{item}")
    item.locator("summary").first.click()
    item.get_by_label("item", exact=True).fill("resp-19")
    item.get_by_role("button", name="Send").click()
    item.get_by_label("Reply").get_by_text("200", exact=False).wait_for()
    assert '"id": "resp-19"' in item.get_by_label("Reply").inner_text()


def test_the_page_can_be_read_by_everybody(page):
    first = operation(page, "POST /v1/score")
    first.locator("summary").first.click()
    first.get_by_role("button", name="Send").wait_for()
    assert axe(page) == []
