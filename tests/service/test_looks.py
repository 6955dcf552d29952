"""How the pages look on a phone, a tablet and a desk, and at twice the size: boxes, contrast, pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.service import boxes
from tests.service.browser import chromium
from tests.service.looks import SHARE, compare, difference, picture
from tests.service.operated import operated
from tests.service.test_compare_page import ready
from tests.service.test_compare_texts import ANSWER
from tests.service.test_onboarding_over_http import SESSIONS, begin

LAYOUT = (Path(__file__).parent / "layout.js").read_text(encoding="utf-8")
SIZES = {
    "phone": {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True},
    "tablet": {"viewport": {"width": 768, "height": 1024}},
    "desk": {"viewport": {"width": 1280, "height": 800}},
    # What a browser makes of the desk at 200 % zoom.
    "twice": {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2},
}
LOOKS = [(size, scheme) for size in SIZES for scheme in ("light", "dark")]
PLAIN = (
    "Go to bed at the same time every day, keep the room cool and dark, and put the phone away.\n\n"
    "If you still lie awake after twenty minutes, get up and read something dull."
)
WORDS = " ".join(f"word{n} and" for n in range(1000))
TEXTS = {
    "short": ("How do I fall asleep faster?", PLAIN, "Read a dull book."),
    "marked": ("What does `dim` do?\n\n```python\ndim(0.2)\n```", ANSWER, PLAIN),
    "long": (f"Why?\n\n{WORDS}", f"First {WORDS}", f"Second {WORDS}"),
}
PAIR = {"prompt": "How do I fall asleep faster?", "preferred": PLAIN, "other": ANSWER}
LEARNED = {
    "answers": 9, "confidence": 0.8, "repeated": 2, "consistent": 1, "words": [],
    "tendencies": [
        {"trait": "length", "words": "You tend to prefer short answers: 8 of 9", "examples": [PAIR]},
    ],
    "directions": [{"index": 0, "certainty": 0.97, "examples": [{**PAIR, "p": 0.8, "population_p": 0.6}]}],
}  # fmt: skip
TABS = {
    "Overview": "#traffic tbody tr", "People": "#legend .named", "Groups": "#curves figure",
    "Comparisons": "#comparison-table tbody tr", "Models": "#version-table tbody tr",
    "Jobs": "#job-table tbody tr", "Usage": "#usage-table tbody tr", "Audit": "#audit-table tbody tr",
}  # fmt: skip
"""Pages of operators, and what is on each once it is whole."""
CHANGING = ".tiles dd { visibility: hidden } #traffic tbody, #usage-table tbody { display: none }"
"""Hidden in pictures: numbers that differ from run to run, and rows, whose order and height do."""


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def world(browser, tmp_path_factory, features):
    with operated(tmp_path_factory.mktemp("looks"), features) as found:
        yield found


@pytest.fixture
def opened(browser):
    """A page of a service, with a font and style of the test's own allowed."""
    pages = []

    def go(service, size, scheme):
        context = browser.new_context(
            base_url=service.base, bypass_csp=True, color_scheme=scheme, reduced_motion="reduce",
            **SIZES[size],
        )  # fmt: skip
        context.set_default_timeout(20_000)
        pages.append(context.new_page())
        return pages[-1]

    yield go
    for page in pages:
        page.unroute_all(behavior="ignoreErrors")
        page.context.close()


@pytest.fixture
def told(http, opened, service):
    """A compare page whose question is of known texts."""

    def go(size, scheme):
        page = opened(service, size, scheme)
        session = begin(http, f"looks-{size}-{scheme}-{id(page)}", max_questions=8, min_questions=8)

        def ask(kind):
            prompt, left, right = TEXTS[kind]

            def tell(route):
                reply = route.fetch()
                said = reply.json()
                said["question"] |= {
                    "prompt": prompt,
                    "left": {"text": left},
                    "right": {"text": right},
                }
                route.fulfill(response=reply, json={**said, "after": {}})

            page.unroute_all(behavior="wait")
            page.route("**/next?*", tell)
            page.goto("about:blank")
            page.goto(session["url"])
            page.get_by_role("button", name="Start", exact=True).press("Enter")
            ready(page)

        return page, session, ask

    return go


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_the_compare_page_is_in_order_and_looks_as_it_did(http, told, tmp_path, size, scheme):
    page, session, ask = told(size, scheme)

    def look(name):
        assert page.evaluate(LAYOUT) == [], name
        compare(page, f"compare-{name}-{size}-{scheme}", failed=tmp_path)

    page.goto(session["url"])
    page.get_by_role("button", name="Start", exact=True).wait_for()
    look("intro")
    for kind in TEXTS:
        ask(kind)
        look(kind)
    page.keyboard.press("?")
    look("help")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Delete my answers").press("Enter")
    look("confirm")
    page.keyboard.press("Escape")
    for seq in range(8):
        http.put(f"{SESSIONS}/{session['id']}/answers/{seq}", json={"answer": "left"})
    page.unroute_all(behavior="wait")
    page.route("**/result", lambda route: route.fulfill(json=LEARNED))
    page.reload()
    page.get_by_role("heading", name="What your answers say").wait_for()
    look("result")
    page.goto("/onboard")
    page.get_by_role("heading", name="nothing here").wait_for()
    look("nothing")


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_the_operator_pages_are_in_order_and_look_as_they_did(
    opened, world, tmp_path, size, scheme
):
    page = opened(world.service, size, scheme)

    def look(name):
        assert page.evaluate(LAYOUT) == [], name
        compare(page, f"admin-{name}-{size}-{scheme}", failed=tmp_path, hide=CHANGING)

    page.goto("/admin")
    page.get_by_role("heading", name="Operators").wait_for()
    look("door")
    page.get_by_label("Key").fill(world.changing)
    page.keyboard.press("Enter")
    for tab, last in TABS.items():
        page.get_by_role("link", name=tab, exact=True).press("Enter")
        page.get_by_role("heading", name=tab, level=1).wait_for()
        page.locator(last).first.wait_for()
        page.wait_for_function("() => document.getElementById('status').textContent === ''")
        page.evaluate("scrollTo(0, 0)")
        look(tab.lower())


def test_a_page_that_is_taken_up_again_looks_as_before(http, opened, service):
    page = opened(service, "desk", "light")
    session = begin(http, "looks-again", max_questions=8, min_questions=8)
    page.goto(session["url"])
    page.get_by_role("button", name="Start", exact=True).press("Enter")
    ready(page, 0)
    page.keyboard.press("1")
    ready(page, 1)
    page.wait_for_load_state("networkidle")
    with boxes.worn(page):
        before = picture(page)
    page.reload()
    ready(page, 1)
    with boxes.worn(page, "#status { visibility: hidden }"):  # which says that they are back
        assert difference(before, picture(page)) == 0.0


BROKEN = {
    ".card { width: 150vw }": "wide",
    ".card { height: 4rem; overflow: hidden }": "cut",
    "#card-right { margin-left: -20rem }": "covered",
    ".choices { margin-top: -6rem }": "overlap",
    ".card .text { color: #999 }": "faint",
    ".more { opacity: .4 }": "faint",
    ".choices button { font-size: 9px }": "small",
    ".choices button { min-height: 0 !important; height: 18px; padding: 0 }": "narrow",
    ".choices button { width: 4rem }": "cut",
}
"""Style that breaks the pair, and what is said of it."""
UNLIKE = (
    ".card { padding: 0 }", ".pair { grid-template-columns: 1fr }", ".choices { display: block }",
    ".bar { display: none }", ":root { --surface: #222; --ink: #fff }", "h2 { display: none }",
    ".card .text { font-size: 1.4rem }", ".choices button { background: #7b2d43; color: #fff }",
    "header { flex-direction: column }", ".text pre { display: none }",
)  # fmt: skip
"""Style that a picture must show, whether or not anything is out of order."""


@pytest.mark.parametrize("style", BROKEN)
def test_what_is_out_of_order_is_said(told, style):
    page, _, ask = told("desk", "light")
    ask("marked")
    assert page.evaluate(LAYOUT) == []
    page.add_style_tag(content=style)
    assert BROKEN[style] in {line.split(":")[0] for line in page.evaluate(LAYOUT)}


def test_a_picture_shows_every_change_of_style_and_none_of_the_fonts(told):
    page, _, ask = told("desk", "light")
    ask("marked")
    with boxes.worn(page):
        whole = picture(page)
    assert len(set(whole.ravel().tolist())) > 4  # there is something on it
    with boxes.worn(page, "h1, h2, p { font-family: serif } .card { border-radius: 1rem }"):
        assert difference(whole, picture(page)) == 0.0
    for style in UNLIKE:
        with boxes.worn(page, style):
            assert difference(whole, picture(page)) > 2 * SHARE, style
