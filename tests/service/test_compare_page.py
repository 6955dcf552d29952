"""The compare page in a real browser: keys, undo, resuming, screen readers, and no word to others."""

from __future__ import annotations

import re

import pytest

from gustibus.service.routes.pages import FILES
from tests.service.browser import Watch, axe, chromium
from tests.service.test_onboarding_over_http import SESSIONS, begin

WEIGHT = 60_000
"""Most bytes of the whole page."""
GUARD = 0.4
"""Seconds in which a new pair takes no answer."""


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
def visit(browser, service, watch):
    """Open the page of a session in a profile of its own."""
    contexts = []

    def go(session, *, context=None, start=True, **options):
        if context is None:
            context = browser.new_context(base_url=service.base, **options)
            context.set_default_timeout(15_000)
            contexts.append(context)
        page = context.new_page()
        watch.on(page)
        page.goto(session["url"])
        if start:
            page.get_by_role("button", name="Start", exact=True).click()
            ready(page)
        return page

    yield go
    for context in contexts:
        context.close()


def ready(page, seq=None):
    """Wait until a pair takes answers."""
    if seq is not None:
        page.wait_for_function(
            "n => document.getElementById('progress-text').textContent.startsWith(`${n} answered`)",
            arg=seq,
        )
    page.wait_for_function("() => !document.getElementById('ask').classList.contains('held')")
    page.wait_for_timeout(1000 * GUARD + 50)


def waits(http, session):
    """Number of the question that the service waits for."""
    question = http.get(f"{SESSIONS}/{session['id']}/next").json()["question"]
    return None if question is None else question["seq"]


def kept(http, session):
    """Answers that the service has."""
    return http.get(f"{SESSIONS}/{session['id']}/next").json()["progress"]["answered"]


def test_a_whole_session_runs_by_keyboard_alone(http, visit, watch):
    session = begin(http, "page-1", max_questions=6, min_questions=6)
    page = visit(session, start=False)
    page.get_by_role("button", name="Start", exact=True).wait_for()
    page.keyboard.press("Enter")  # the button has the focus
    for seq, key in enumerate(("1", "ArrowRight", "t", "b", "s", "ArrowLeft")):
        ready(page, seq)
        assert page.evaluate("document.activeElement.id") == "prompt"
        page.keyboard.press(key)
    page.get_by_role("heading", name="What your answers say").wait_for()
    assert page.evaluate("document.activeElement.id") == "result-title"
    reply = http.get("/v1/comparisons", params={"user": "page-1"}).json()["data"]
    outcomes = [row["outcome"] for row in reply]
    assert outcomes[2:5] == ["tie", "both_bad", "skip"]
    assert {*outcomes[:2], outcomes[5]} <= {"a", "b"}
    assert watch.complaints == []


def test_what_is_pressed_is_what_is_kept(http, visit, vectors_model):
    session = begin(http, "page-2", max_questions=4, min_questions=4)
    page = visit(session)
    wanted = []
    for seq, key in enumerate("1221"):
        ready(page, seq)
        side = page.locator(f"#text-{'left' if key == '1' else 'right'}").inner_text()
        wanted.append(side)
        page.keyboard.press(key)
    page.get_by_role("heading", name="What your answers say").wait_for()
    rows = http.get("/v1/comparisons", params={"user": "page-2"}).json()["data"]
    assert [row[row["outcome"]]["text"] for row in rows] == wanted


@pytest.mark.flaky(reruns=2)
def test_no_key_acts_on_a_pair_that_has_just_appeared(http, visit):
    session = begin(http, "page-3", max_questions=8, min_questions=8)
    page = visit(session, start=False)
    page.get_by_role("button", name="Start", exact=True).click()
    # In one turn of the page's own clock, so that a slow machine cannot miss the interval.
    page.evaluate("""() => {
      const press = (key) => document.dispatchEvent(new KeyboardEvent("keydown", {key}));
      press("1"); press("2"); press("3");
      document.querySelector("[data-answer=left]").click();
    }""")
    assert kept(http, session) == 0
    ready(page, 0)
    page.keyboard.press("1")
    ready(page, 1)
    assert kept(http, session) == 1
    page.evaluate("""() => {
      const press = (key) => document.dispatchEvent(new KeyboardEvent("keydown", {key}));
      press("1"); press("2"); press("1"); press("2");
    }""")
    ready(page, 2)
    assert kept(http, session) == 2


def test_an_answer_is_undone_and_given_again(http, visit):
    session = begin(http, "page-4", max_questions=6, min_questions=6)
    page = visit(session)
    first = page.locator("#text-left").inner_text()
    assert page.get_by_role("button", name=re.compile("^Undo")).is_disabled()
    page.keyboard.press("1")
    ready(page, 1)
    page.keyboard.press("z")
    ready(page, 0)
    assert page.locator("#text-left").inner_text() == first
    assert kept(http, session) == 0
    page.keyboard.press("2")
    ready(page, 1)
    assert kept(http, session) == 1


def test_a_closed_page_is_taken_up_where_it_was(http, visit):
    session = begin(http, "page-5", max_questions=8, min_questions=8)
    page = visit(session)
    for seq in range(3):
        ready(page, seq)
        page.keyboard.press("1")
    ready(page, 3)
    before, address = page.locator("#text-left").inner_text(), page.url
    page.close()
    for link in (session, {"url": address}):
        again = visit(link, start=False)
        ready(again, 3)
        assert again.locator("#text-left").inner_text() == before
        assert "Welcome back" in again.locator("#status").inner_text()
    again.keyboard.press("z")
    ready(again, 2)
    assert kept(http, session) == 2


def test_an_answer_survives_a_service_that_cannot_be_reached(http, visit):
    session = begin(http, "page-6", max_questions=8, min_questions=8)
    page = visit(session)
    page.context.set_offline(True)
    page.keyboard.press("1")
    page.get_by_text("cannot be reached").wait_for()
    page.context.set_offline(False)
    ready(page, 1)
    assert kept(http, session) == 1
    assert page.locator("#status").inner_text() == ""


def test_the_person_stops_from_the_second_answer_on(http, visit):
    session = begin(http, "page-7", max_questions=12, min_questions=4)
    page = visit(session)
    stop = page.get_by_role("button", name="Stop here")
    for seq in range(2):
        ready(page, seq)
        assert not stop.is_visible()
        page.keyboard.press("2")
    ready(page, 2)
    stop.click()
    page.get_by_role("heading", name="What your answers say").wait_for()
    assert http.get(f"{SESSIONS}/{session['id']}/next").json()["stop"] == "person"


def test_the_bar_never_moves_backwards(http, visit):
    session = begin(http, "page-8", max_questions=10, min_questions=8)
    page = visit(session)
    seen = []
    for seq in range(8):
        ready(page, seq)
        assert re.fullmatch(
            rf"{seq} answered, (about \d+ to go|almost done)",
            page.locator("#progress-text").inner_text(),
        )
        seen.append(page.locator("progress").evaluate("bar => bar.value"))
        page.keyboard.press("12"[seq % 2])
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert seen[-1] > 0.5


def test_a_doubt_asks_one_more_pair_and_comes_back(http, visit):
    session = begin(http, "page-9", max_questions=8, min_questions=8)
    for seq in range(8):
        http.put(f"{SESSIONS}/{session['id']}/answers/{seq}", json={"answer": "left"})
    page = visit(session, start=False)
    page.get_by_role("heading", name="What your answers say").wait_for()
    page.get_by_role("button", name=re.compile("^This is wrong")).first.click()
    page.get_by_text("One more pair about that").wait_for()
    assert not page.get_by_role("button", name="Stop here").is_visible()
    ready(page)
    page.keyboard.press("2")
    page.get_by_role("heading", name="What your answers say").wait_for()
    assert kept(http, session) == 9


def test_the_person_starts_over_and_deletes(http, visit):
    session = begin(http, "page-10", max_questions=3, min_questions=3)
    page = visit(session)
    for seq in range(3):
        ready(page, seq)
        page.keyboard.press("1")
    page.get_by_role("heading", name="What your answers say").wait_for()
    page.get_by_role("button", name="Start over").click()
    page.get_by_role("button", name="Keep them").click()
    assert kept(http, session) == 3
    page.get_by_role("button", name="Start over").click()
    page.get_by_role("dialog").get_by_role("button", name="Start over").click()
    ready(page, 0)
    assert kept(http, session) == 0
    page.keyboard.press("1")
    ready(page, 1)
    page.get_by_role("button", name="Delete my answers").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("heading", name="Deleted").wait_for()
    assert http.get(f"{SESSIONS}/{session['id']}/next").status_code == 404


def test_links_that_lead_nowhere_say_so(http, visit, watch):
    session = begin(http, "page-11")
    forged = session["url"][:-4] + ("AAAA" if not session["url"].endswith("AAAA") else "BBBB")

    def says(target, words):
        heading = visit(target, start=False).get_by_role("heading", name=words)
        heading.wait_for()
        return heading.is_visible()

    assert says({"url": "/onboard"}, "nothing here")
    assert says({"url": forged}, "has expired")
    http.delete(f"{SESSIONS}/{session['id']}")
    assert says(session, "nothing here")


def test_the_page_tells_nobody_and_runs_nothing_else(http, visit, watch, service):
    session = begin(http, "page-12", max_questions=3, min_questions=3)
    page = visit(session)
    for seq in range(3):
        ready(page, seq)
        page.keyboard.press("1")
    page.get_by_role("heading", name="What your answers say").wait_for()
    assert watch.requests
    assert {url.split("/", 3)[2] for url in watch.requests} == {service.base.split("//")[1]}
    assert not [url for url in watch.requests if "gustibus_session" in url.partition("#")[0]]
    assert watch.complaints == []
    assert "gustibus_session" not in service.log_path.read_text()
    injected = page.evaluate("""() => {
      const script = document.createElement("script");
      try {
        script.text = "window.ran = true";
        document.body.append(script);
      } catch { return "refused"; }
      return window.ran ?? "blocked";
    }""")
    assert injected in {"refused", "blocked"}
    assert any("TrustedScript" in line for line in watch.complaints)  # violations are seen here


def test_texts_are_shown_as_texts(http, visit, watch):
    session = begin(http, "page-13")
    page = visit(session)
    shown = page.evaluate("""async () => {
      const { show } = await import("/onboard/markdown.js");
      const made = document.createElement("div");
      show(made, "<img src=x onerror=alert(1)> **bold** `a*b` [site](https://example.org/x)\\n\\n" +
        "1. one\\n2. two\\n\\n```\\n<b>\\n```\\n# Head\\n![dot](https://example.org/i.png)\\n2 * 3 * 4");
      return [made.querySelectorAll("img, a, script, b, h1").length, made.querySelector("strong").textContent,
        made.querySelectorAll("li").length, made.querySelector("pre").textContent, made.textContent];
    }""")
    assert shown[:4] == [0, "bold", 2, "<b>"]
    assert "<img src=x onerror=alert(1)>" in shown[4]
    assert "2 * 3 * 4" in shown[4]
    assert watch.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong_on_any_screen(http, visit, scheme):
    session = begin(http, f"page-14-{scheme}", max_questions=8, min_questions=8)
    page = visit(session, start=False, color_scheme=scheme, reduced_motion="reduce")
    page.get_by_role("button", name="Start", exact=True).wait_for()
    assert axe(page) == []
    page.keyboard.press("Enter")
    ready(page, 0)
    assert axe(page) == []
    page.keyboard.press("?")
    assert page.get_by_role("dialog").is_visible()
    assert axe(page) == []
    page.keyboard.press("1")  # acts on nothing while the help is open
    page.keyboard.press("Escape")
    assert kept(http, session) == 0
    for seq in range(8):
        ready(page, seq)
        page.keyboard.press("1")
    page.get_by_role("heading", name="What your answers say").wait_for()
    assert axe(page) == []


def test_a_screen_reader_finds_a_group_of_choices_after_both_answers(http, visit):
    page = visit(begin(http, "page-15"))
    group = page.get_by_role("radiogroup", name="Which answer do you prefer?")
    assert group.get_by_role("radio").count() == 5
    order = [page.evaluate("document.activeElement.id")]
    for _ in range(4):
        page.keyboard.press("Tab")
        order.append(
            page.evaluate("document.activeElement.dataset.answer ?? document.activeElement.id")
        )
    assert order == ["prompt", "card-left", "card-right", "left", "right"]
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.dataset.answer") == "tie"
    page.keyboard.press("Space")
    ready(page, 1)
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"


def test_keys_can_be_switched_off(http, visit):
    session = begin(http, "page-16")
    page = visit(session)
    page.get_by_role("button", name="Help").click()
    page.get_by_label("Use these keys").uncheck()
    page.get_by_role("button", name="Close").click()
    page.keyboard.press("1")
    page.get_by_role("radio", name="About the same").click()
    ready(page, 1)
    assert kept(http, session) == 1


@pytest.mark.parametrize("size", [(360, 740), (640, 400), (1280, 800)])
def test_nothing_is_cut_off_at_any_size(http, visit, size):
    width, height = size  # (640, 400) is 1280 by 800 at 200 % zoom
    session = begin(http, f"page-17-{width}", max_questions=4, min_questions=4)
    page = visit(session, viewport={"width": width, "height": height})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    left, right = (page.locator(f"#card-{side}").bounding_box() for side in ("left", "right"))
    if width < 720:
        assert right["y"] >= left["y"] + left["height"]
    else:
        assert abs(left["width"] - right["width"]) < 1
        assert left["y"] == right["y"]
    sizes = page.evaluate(
        "['left', 'right'].map(s => getComputedStyle(document.getElementById(`text-${s}`)).fontSize)"
    )
    assert sizes[0] == sizes[1]
    if (width, height) == (360, 740):
        button = page.get_by_role("radio", name="First is better")
        assert button.bounding_box()["y"] + button.bounding_box()["height"] <= height
        assert page.locator(".bar").evaluate("bar => getComputedStyle(bar).position") == "sticky"
    for choice in page.get_by_role("radio").all():
        box = choice.bounding_box()
        assert min(box["width"], box["height"]) >= 24
        choice.scroll_into_view_if_needed()
        assert choice.evaluate(
            "c => { const b = c.getBoundingClientRect(); return c.contains(document.elementFromPoint("
            "b.x + b.width / 2, b.y + b.height / 2)); }"
        )
    page.get_by_role("radio", name=re.compile("is better")).first.click()
    ready(page, 1)


@pytest.mark.parametrize("width", [360, 1280])
def test_lines_of_a_question_begin_below_each_other_on_the_side_of_its_script(http, visit, width):
    page = visit(begin(http, f"page-18-{width}"), viewport={"width": width, "height": 800})
    show = """async text => {
        const { show } = await import('/onboard/markdown.js');
        const shown = document.getElementById('prompt-text');
        show(shown, text);
        return [...shown.children].map(child => {
            const range = document.createRange();
            range.selectNodeContents(child);
            const box = range.getBoundingClientRect();
            return [box.left, box.right];
        });
    }"""
    code, after = page.evaluate(show, "One line that is longer than the other:\n\nshort")
    assert code[0] == pytest.approx(after[0], abs=1)
    first, second = page.evaluate(show, "كيف أنام بشكل أفضل كل ليلة؟\n\nشكرا")
    assert first[1] == pytest.approx(second[1], abs=1)
    (alone,) = page.evaluate(show, "Why?")
    middle = width / 2 if width > 720 else None
    assert middle is None or sum(alone) / 2 == pytest.approx(middle, abs=1)


def test_a_choice_that_was_tapped_does_not_look_chosen_under_the_next_pair(http, visit):
    session = begin(http, "page-19", max_questions=4, min_questions=4)
    page = visit(session, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page.get_by_role("radio", name="First is better").tap()
    ready(page, 1)
    looks = [
        choice.evaluate("c => getComputedStyle(c).backgroundColor")
        for choice in page.get_by_role("radio").all()
    ]
    assert len(set(looks)) == 1


def test_the_intro_says_how_many_pairs_there_are_once(http, visit):
    page = visit(begin(http, "page-20", max_questions=4, min_questions=4), start=False)
    page.get_by_role("button", name="Start", exact=True).wait_for()
    told = page.locator("#duration").inner_text()
    assert told == "4 pairs, about a minute. You can stop after two."


def test_the_page_is_light(service):
    import httpx

    total, languages = 0, []
    for path in FILES:
        if path.startswith("/onboard"):
            reply = httpx.get(service.base + path)
            assert reply.status_code == 200
            assert "default-src 'none'" in reply.headers["content-security-policy"]
            assert "unsafe" not in reply.headers["content-security-policy"]
            if "/words-" in path:  # of these a page takes one at most
                languages.append(len(reply.content))
            else:
                total += len(reply.content)
    assert total + max(languages) <= WEIGHT
