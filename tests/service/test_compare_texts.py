"""Texts on the compare page: the Markdown they are written in, hostile ones, and very long ones."""

from __future__ import annotations

import re
import time

import pytest

from tests.service.browser import axe
from tests.service.test_compare_page import browser, ready, visit, watch  # noqa: F401
from tests.service.test_onboarding_over_http import begin

PHONE = {"viewport": {"width": 360, "height": 640}}
NAMES = {"BLOCKQUOTE", "BR", "CODE", "DIV", "EM", "HR", "LI", "OL", "P", "PRE", "S", "SPAN",
         "STRONG", "TABLE", "TBODY", "TD", "TH", "THEAD", "TR", "UL"}  # fmt: skip
"""Elements that a text may become, `INPUT` and whatever loads or leads somewhere not among them."""
ATTRIBUTES = {"aria-label", "class", "role", "scope", "start", "tabindex"}
MARKUP = """async text => {
  const { show } = await import("/onboard/markdown.js");
  const made = document.createElement("div");
  show(made, text);
  return made.innerHTML;
}"""
PLACE = "element => element.getBoundingClientRect().y + window.scrollY"
PARTS = """element => [...element.querySelectorAll("*")].map(
  one => [one.tagName, ...one.getAttributeNames()])"""

ANSWER = """# Asleep in minutes

**Three things** help *most* people, ~~two~~ of them `at_once`:

1. Light
   - no screens
   - no lamps

   ```python
   dim(0.2)
   ```
2. Cold

| Method | Minutes |
|:--|--:|
| **Dark** room | 12 |
| a \\| b | `x`<br>y |

---

> Sleep is
> - the best

[A guide](https://example.org/a_(b)) and ![a moon](https://example.org/i.png)."""


@pytest.fixture
def markup(http, visit):  # noqa: F811 - the fixtures
    """How the page builds a text."""
    page = visit(begin(http, "text-0"), start=False)
    return lambda text: page.evaluate(MARKUP, text)


@pytest.fixture
def told_of():
    """Change what the service says on its way to a page."""
    pages = []

    def go(page, path, tell):
        page.route(path, tell)
        pages.append(page)

    yield go
    for page in pages:  # what a page asks ahead may be on its way
        page.unroute_all(behavior="ignoreErrors")


@pytest.fixture
def read(http, visit, request, told_of):  # noqa: F811
    """A page on which the first question is of these texts."""

    def go(prompt, left, right, **options):
        name = re.sub(r"\W", "-", request.node.name)
        page = visit(begin(http, f"text-{name[-60:]}"), start=False, **options)

        def tell(route):
            reply = route.fetch()
            told = reply.json()
            told["question"]["prompt"] = prompt
            told["question"]["left"]["text"], told["question"]["right"]["text"] = left, right
            route.fulfill(response=reply, json={**told, "after": {}})

        told_of(page, "**/next?*", tell)
        page.reload()
        page.get_by_role("button", name="Start", exact=True).click()
        ready(page)
        return page

    return go


def test_what_models_write_is_shown_as_they_mean_it(read):
    page = read("What does `f` do?", ANSWER, "Nothing.")
    left = page.locator("#text-left")
    assert left.locator("p > strong").first.inner_text() == "Asleep in minutes"
    assert left.locator("em").inner_text() == "most"
    assert left.locator("s").inner_text() == "two"
    assert left.locator("p > code").inner_text() == "at_once"
    assert [item.inner_text() for item in left.locator("ol > li > ul > li").all()] == [
        "no screens", "no lamps",
    ]  # fmt: skip
    assert left.locator("ol").count() == 1  # the code of an item does not end the list
    assert left.locator("li pre").inner_text() == "dim(0.2)"
    table = left.get_by_role("group", name="Table")
    assert [cell.inner_text() for cell in table.get_by_role("columnheader").all()] == [
        "Method", "Minutes",
    ]  # fmt: skip
    assert [cell.inner_text() for cell in table.get_by_role("cell").all()] == [
        "Dark room", "12", "a | b", "x\ny",
    ]  # fmt: skip
    assert table.locator("td").nth(1).evaluate("td => getComputedStyle(td).textAlign") == "end"
    assert left.locator("hr").count() == 1
    assert left.locator("blockquote li").inner_text() == "the best"
    assert [one.inner_text() for one in left.locator(".address").all()] == ["A guide", "a moon"]
    assert left.locator("a, img, h1, h2").count() == 0
    assert not re.search(r"[|#~`]|\*\*", left.inner_text().replace("a | b", ""))
    assert page.locator("#prompt-text code").inner_text() == "f"
    assert axe(page) == []


@pytest.mark.parametrize("text", [
    "Plain words, and 2 * 3 * 4 = 24.", "snake_case_name and __dunder__x, 5_000", "a | b | c",
    "C:\\dir\\new \\(x^2\\) \\[y\\]", "# not", "#hashtag", "Ratio 1:2 -- and - so on", "~5 and ~6",
    "<b>bold</b> &amp; <3", "100 %\u2028next", "\U0001f469\u200d\U0001f52c e\u0301 \ud800",
])  # fmt: skip
def test_plain_texts_stay_as_they_are(markup, text):
    shown = text.removeprefix("# ") if text.startswith("# ") else text
    made = markup(text)
    made = made.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert made == (f"<p><strong>{shown}</strong></p>" if shown != text else f"<p>{text}</p>")


def test_lines_and_paragraphs_of_plain_texts_are_kept(markup):
    assert markup("Dear all,\nhello.\r\n\r\n\nBye") == "<p>Dear all,<br>hello.</p><p>Bye</p>"
    assert markup("1) one\n2) two") == '<ol start="1"><li>one</li><li>two</li></ol>'
    assert markup("- a\n\n- b\n  more\n\nend") == "<ul><li>a</li><li>b<br>more</li></ul><p>end</p>"
    assert markup("Title\n=====\nText") == "<p><strong>Title</strong></p><p>Text</p>"
    assert markup("```\n<b>\n\n  x\n") == "<pre><code>&lt;b&gt;\n\n  x\n</code></pre>"
    assert markup("***so***") == "<p><strong><em>so</em></strong></p>"
    assert markup("\\*not\\*") == "<p>*not*</p>"


HOSTILE = (
    "<script>window.ran = 1</script>", "<img src=x onerror='window.ran = 1'>",
    "[go](javascript:window.ran=1)", "![x](javascript:window.ran=1)",
    '[a](x" onmouseover="window.ran=1)', "[<img src=x onerror=window.ran=1>](https://example.org)",
    "```\"><script>window.ran=1</script>\nx\n```", "`<svg onload=window.ran=1>`",
    "| <iframe src=javascript:window.ran=1> | b |\n|--|--|\n| <style>*{display:none}</style> | </td> |",
    "<a href='javascript:window.ran=1'>x</a>", "**<b onclick=window.ran=1>**",
    "> <form action=//example.org><input autofocus onfocus=window.ran=1>",
    "1. <math><mtext></mtext><script>window.ran=1</script>", "&lt;script&gt;window.ran=1",
    "<https://example.org> <br onload=window.ran=1> <br/>", "\u202etxet \u2067desrever\u0000",
    "مرحبا **<u>بالعالم</u>** [رابط](javascript:window.ran=1)", "constructor __proto__ ${window.ran=1}",
)  # fmt: skip


def test_hostile_texts_run_nothing_load_nothing_and_lead_nowhere(read, watch, service):  # noqa: F811
    whole = "\n\n".join(HOSTILE)
    page = read(whole, whole, "\n".join(HOSTILE))
    for place in ("#prompt-text", "#text-left", "#text-right"):
        for name, *attributes in page.locator(place).evaluate(PARTS):
            assert name in NAMES
            assert set(attributes) <= ATTRIBUTES
    box = page.locator("#card-left").bounding_box()
    for down in range(10, int(box["height"]), 40):  # nothing under the pointer does anything either
        page.mouse.click(box["x"] + 20, box["y"] + down)
    assert page.evaluate("window.ran") is None
    assert "<script>window.ran = 1</script>" in page.locator("#text-left").inner_text()
    assert "onmouseover" in page.locator("#text-left").text_content()
    assert {url.split("/", 3)[2] for url in watch.requests} == {service.base.split("//")[1]}
    assert len(page.context.pages) == 1
    assert watch.complaints == []
    assert page.get_by_role("radio").count() == 5


def test_what_was_learned_shows_hostile_texts_as_texts(http, visit, watch, told_of):  # noqa: F811
    session = begin(http, "text-result", max_questions=8, min_questions=8, seed=1)
    for seq in range(8):
        path = f"/v1/onboarding/sessions/{session['id']}/answers/{seq}"
        http.put(path, json={"answer": "left"})
    page = visit(session, start=False)

    def tell(route):
        reply = route.fetch()
        told = reply.json()
        for one in told["tendencies"] + told["directions"]:
            for number, pair in enumerate(one["examples"]):
                text = HOSTILE[number % len(HOSTILE)]
                pair.update(
                    prompt=text, preferred="\n\n".join(HOSTILE[:4]), other="\n\n".join(HOSTILE[4:])
                )
        route.fulfill(response=reply, json=told)

    told_of(page, "**/result", tell)
    page.reload()
    page.get_by_role("heading", name="What your answers say").wait_for()
    assert page.locator(".examples .text").count() > 0
    for text in page.locator(".examples .text").all():
        assert {name for name, *_ in text.evaluate(PARTS)} <= NAMES
    assert page.evaluate("window.ran") is None
    assert watch.complaints == []


@pytest.mark.parametrize("text", [
    "[" * 100_000, "[a](" * 30_000, "**" * 50_000, "*a" * 50_000, "_a " * 40_000, "`" * 100_000,
    "` " * 50_000, "~~a" * 30_000, "- " * 50_000, "> " * 50_000, "|" * 100_000, "-" * 100_000 + "x",
    " " * 100_000 + "x", "a\n" * 50_000, "- a\n" * 30_000, "|a|b|\n|-|-|\n" + "|\n" * 40_000,
    "|a" * 20_000 + "\n" + "|-" * 20_000 + "\n" + "|x\n" * 20_000, "# " + "#" * 100_000 + "x",
    "".join(f"{' ' * (2 * n)}{'-' if n % 2 else '1.'} x\n" for n in range(400)),
    "\n".join(">" * n + " x" for n in range(300)), "```\n" * 30_000, "<br>" * 25_000,
    "*a" + " " * 100_000, "[a](b" + "(c)" * 30_000,
], ids=lambda text: re.sub(r"\W", lambda hit: f"{ord(hit[0]):x}.", text[:8]))  # fmt: skip
def test_no_text_holds_the_page_up(markup, text):
    """Half a second for the longest would be much; patterns that look back and forth take minutes."""
    begun = time.monotonic()
    made = markup(text)
    assert time.monotonic() - begun < 15
    assert len(made) < 40 * len(text) + 1000  # nothing is made much of


@pytest.mark.parametrize("size", [(360, 640), (360, 740), (640, 400), (1280, 800)])
def test_a_question_of_two_thousand_words_leaves_answers_and_choices_in_reach(read, http, size):
    width, height = size
    words = " ".join(f"word{n} and" for n in range(1000))
    page = read(f"Why?\n\n{words} so", f"First {words}", f"Second {words} end",
                viewport={"width": width, "height": height})  # fmt: skip
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    first = page.locator("#card-left").bounding_box()
    assert first["y"] < height  # the answers begin on the first screen
    assert axe(page) == []
    if width < 720:
        whole = page.get_by_role("button", name="Show the whole question")
        assert whole.get_attribute("aria-expanded") == "false"
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "whole"
        page.keyboard.press("Enter")
        assert page.locator("#card-left").bounding_box()["y"] > 2 * height
        page.get_by_role("button", name="Show less of the question").press("Enter")
        assert first["y"] == pytest.approx(page.locator("#card-left").evaluate(PLACE), abs=1)
        page.get_by_role("button", name="Second answer").click()
        assert page.evaluate("document.activeElement.id") == "card-right"
        assert 0 <= page.locator("#card-right").bounding_box()["y"] < height / 2
        page.mouse.wheel(0, height)
        page.wait_for_timeout(100)
        # Which answer one reads stays to be seen, and the way to the other.
        box = page.get_by_role("button", name="First answer").bounding_box()
        assert 0 <= box["y"] < height / 3
    else:
        assert page.locator("#whole").is_hidden()
        page.locator("#prompt").press("End")
        page.wait_for_function("() => document.getElementById('prompt').scrollTop > 0")
        right = page.locator("#card-right").bounding_box()
        assert right["y"] + right["height"] < height
    choice = page.get_by_role("radio", name=re.compile("(Second|Right) is better"))
    if height >= 480:  # where the screen is as low as 400, the choices are below the answers
        box = choice.bounding_box()
        assert box["y"] + box["height"] <= height
    choice.click()
    ready(page, 1)


def test_a_short_question_is_never_cut(read):
    page = read("Why?", "Because.", "So.", **PHONE)
    assert page.locator("#whole").is_hidden()
    assert page.get_by_role("button", name="Second answer").is_hidden()


def test_a_wide_table_scrolls_by_itself_and_arrows_in_it_answer_nothing(read):
    names = [f"Column{n}" for n in range(12)]
    table = "\n".join(("|".join(names), "|".join("-" * 3 for _ in names), "|".join(names)))
    page = read("Which?", f"|{table}|", "None.", **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    grid = page.get_by_role("group", name="Table")
    grid.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.querySelector('.grid').scrollLeft > 0")
    assert page.locator("#progress-text").inner_text().startswith("0 answered")
    assert page.locator("[aria-checked=true]").count() == 0
    assert axe(page) == []
