"""The compare page in the language of a session, and its way back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gustibus.onboarding import TRAITS
from gustibus.service.routes.pages import FILES
from tests.service.browser import Watch, axe, chromium
from tests.service.harness import running
from tests.service.test_compare_page import kept, ready
from tests.service.test_onboarding_over_http import begin

PAGES = Path(__file__).parents[2] / "python" / "gustibus" / "service" / "pages"
BACK = "https://app.example.org/done?user=1"
SAID = {
    "de-AT": {"title": "Was gefällt Ihnen besser?", "start": "Beginnen", "left": "Links ist besser",
              "result": "Was Ihre Antworten zeigen", "back": "Weiter", "wrong": "Das stimmt nicht",
              "first": "Die erste ist besser"},
    "fr": {"title": "Que préférez-vous ?", "start": "Commencer", "left": "La gauche est meilleure",
           "result": "Ce que disent vos réponses", "back": "Continuer", "wrong": "Ce n’est pas vrai",
           "first": "La première est meilleure"},
}  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def served(tmp_path_factory, vectors_folder, vectors_model):
    folder = tmp_path_factory.mktemp("languages")
    with running(
        f"sqlite:///{folder}/s.db", folder, gustibus_model=str(vectors_folder),
        gustibus_return_origins="https://app.example.org",
    ) as service:  # fmt: skip
        yield service


@pytest.fixture(scope="module")
def client(served):
    with served.client() as found:
        yield found


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
def visit(browser, served, watch):
    """The page of a session, in a profile of its own."""
    contexts = []

    def go(session, **options):
        context = browser.new_context(base_url=served.base, **options)
        context.set_default_timeout(15_000)
        contexts.append(context)
        page = context.new_page()
        watch.on(page)
        page.goto(session["url"])
        return page

    yield go
    for context in contexts:
        context.close()


def entries(text: str) -> set[str]:
    """Names of the entries of a table of words."""
    return set(re.findall(r"(?m)^  (\w+): ", text))


@pytest.mark.parametrize("language", ["de", "fr"])
def test_a_translation_has_every_word(language):
    script = (PAGES / "page.js").read_text(encoding="utf-8")
    table = script[script.index("const ENGLISH = {") : script.index("const TRANSLATED")]
    assert f'"{language}"' in script[script.index("const TRANSLATED") :].partition("\n")[0]
    page = (PAGES / "onboard.html").read_text(encoding="utf-8")
    shown = set(re.findall(r'data-(?:word|label)="(\w+)"', page))
    traits, words = (
        (PAGES / f"words-{language}.js").read_text(encoding="utf-8").split("export default")
    )
    assert entries(words) == entries(table) | shown
    assert entries(traits) == {one.name for one in TRAITS}
    assert f"/onboard/words-{language}.js" in FILES


@pytest.mark.parametrize("locale", SAID)
def test_a_whole_session_runs_by_keyboard_in_another_language(client, visit, watch, locale):
    said = SAID[locale]
    session = begin(
        client, f"lang-{locale}", locale=locale, return_url=BACK, max_questions=8, min_questions=8
    )
    page = visit(session, reduced_motion="reduce")
    page.get_by_role("button", name=said["start"], exact=True).wait_for()
    assert page.locator("html").get_attribute("lang") == locale
    assert page.title() == said["title"]
    assert axe(page) == []
    page.keyboard.press("Enter")
    ready(page)
    assert axe(page) == []
    assert page.get_by_role("radio", name=said["left"]).count() == 1
    page.keyboard.press("?")
    assert page.get_by_role("dialog").is_visible()
    assert axe(page) == []
    page.keyboard.press("Escape")
    for seq in range(8):
        page.wait_for_function(
            "n => document.getElementById('progress-text').textContent.startsWith(`${n} `)", arg=seq
        )
        ready(page)
        left, right = (
            sum(map(str.isalpha, page.locator(f"#text-{side}").inner_text()))
            for side in ("left", "right")
        )
        page.keyboard.press("1" if left > right else "2")  # a taste that the result can tell of
    page.get_by_role("heading", name=said["result"]).wait_for()
    assert axe(page) == []
    assert kept(client, session) == 8
    assert page.get_by_role("button", name=re.compile(f"^{said['wrong']}: ")).count() > 0
    link = page.get_by_role("link", name=said["back"], exact=True)
    assert link.get_attribute("href") == BACK
    page.keyboard.press("Tab")
    while page.evaluate("document.activeElement.id") != "continue":  # the link is on the way
        assert page.evaluate("document.activeElement !== document.body")
        page.keyboard.press("Tab")
    lines = set(page.locator("main").inner_text().splitlines())
    assert not lines & set(english())
    assert watch.complaints == []
    assert not [
        url for url in watch.requests if "example.org" in url
    ]  # nobody is sent there unasked


def english() -> list[str]:
    """Longer texts that the page has in English."""
    page = (PAGES / "onboard.html").read_text(encoding="utf-8")
    found = re.findall(r'data-word="\w+"[^>]*>([^<]{8,})<', page)
    return [" ".join(text.split()) for text in found]


def test_a_language_without_words_leaves_the_page_in_english(client, visit):
    page = visit(begin(client, "lang-it", locale="it", max_questions=3))
    page.get_by_role("button", name="Start", exact=True).wait_for()
    assert page.locator("html").get_attribute("lang") == "en"
    page.keyboard.press("Enter")
    ready(page)
    assert page.locator("#text-left").get_attribute("lang") == ""  # not known
    british = visit(begin(client, "lang-gb", locale="en-GB", max_questions=3))
    british.get_by_role("button", name="Start", exact=True).wait_for()
    assert british.locator("html").get_attribute("lang") == "en-GB"


def test_the_way_back_is_a_link_and_nothing_else(client, visit, watch):
    session = begin(client, "lang-back", return_url=BACK, max_questions=2, min_questions=2)
    page = visit(session)
    page.get_by_role("button", name="Start", exact=True).click()
    for seq in range(2):
        ready(page, seq)
        page.keyboard.press("1")
    page.get_by_role("heading", name="What your answers say").wait_for()
    link = page.get_by_role("link", name="Continue", exact=True)
    assert (link.get_attribute("href"), link.get_attribute("target")) == (BACK, None)
    assert page.url.startswith(page.evaluate("location.origin"))
    page.reload()  # it is kept with the session
    link.wait_for()
    seen = []
    page.context.route(
        "https://app.example.org/**",
        lambda route: (seen.append(route.request), route.fulfill(body="hello")),
    )
    link.click()
    page.wait_for_url(BACK)
    assert "referer" not in {name.lower() for name in seen[0].headers}
    assert "gustibus_session" not in seen[0].url


def test_without_an_address_there_is_no_link(client, visit):
    page = visit(begin(client, "lang-none", max_questions=2, min_questions=2))
    page.get_by_role("button", name="Start", exact=True).click()
    for seq in range(2):
        ready(page, seq)
        page.keyboard.press("1")
    page.get_by_role("heading", name="What your answers say").wait_for()
    assert not page.locator("#continue").is_visible()
    assert page.get_by_role("link").count() == 0


def test_the_page_itself_makes_no_link_of_a_script(client, visit):
    """Should a service ever send one: the page looks too."""
    page = visit(begin(client, "lang-script", return_url=BACK, max_questions=2, min_questions=2))
    page.get_by_role("button", name="Start", exact=True).wait_for()
    page.route(
        "**/next?*",
        lambda route: route.fulfill(
            json={**route.fetch().json(), "return_url": "javascript:document.title='ran'"}
        ),
    )
    page.reload()
    page.get_by_role("button", name="Start", exact=True).click()
    for seq in range(2):
        ready(page, seq)
        page.keyboard.press("1")
    page.get_by_role("heading", name="What your answers say").wait_for()
    assert page.locator("#continue").get_attribute("href") is None
