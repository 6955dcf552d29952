"""Tools, the process in which programs run, and the reward that listens to them."""

from __future__ import annotations

import json
import threading
import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gustibus import ops
from gustibus.errors import InputError
from gustibus.rewards.sandbox import run_python
from gustibus.rewards.tooled import Claim, agrees, find_claims
from gustibus.rewards.tools import MAX_OUTPUT, Tool, calculator, calendar, lookup, unit_tests

quick = settings(max_examples=25, deadline=None)

CALCULATOR, CALENDAR = calculator(), calendar()
PATIENCE = 120.0  # seconds on the clock of a machine that may be busy
TOOLS = {"calculator": CALCULATOR, "calendar": CALENDAR}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", "7"), ("(3 + 4) * 2.5", "17.5"), ("0.1 + 0.2", "0.3"), ("2 ^ 10", "1024"),
        ("7 // 2", "3"), ("-7 % 3", "2"), ("1,000 × 3 ÷ 2", "1500"), ("1 / 3", "0.333333333333"),
        ("2 ** -2", "0.25"), ("9 ** 0.5", "3"), ("-(2 - 5)", "3"),
    ],
)  # fmt: skip
def test_the_calculator_computes(text, expected):
    assert CALCULATOR(text) == expected


@quick
@given(st.integers(-999, 999), st.integers(-999, 999), st.integers(1, 99))
def test_the_calculator_is_exact(a, b, c):
    assert Fraction(CALCULATOR(f"({a} + {b}) * {c}")) == (a + b) * c


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')", "open('/etc/passwd')", "x + 1", "[1, 2]", "1 +", "", "'a' * 3",
        "9 ** 9 ** 9", "2 ** 99999", "1 / 0", "1 and 2", "1 < 2", "(lambda: 1)()", "10 ** 5000",
        "1+" * 500 + "1", "True + 1", "1j * 2", "(0 - 4) ** 0.5", "(" * 300 + "1" + ")" * 300,
    ],
)  # fmt: skip
def test_the_calculator_refuses_what_is_no_arithmetic_and_does_so_at_once(text):
    started = time.process_time()
    with pytest.raises(InputError, match="calculator"):
        CALCULATOR(text)
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("weekday 2004-05-03", "Monday"), ("days 2024-02-28 -> 2024-03-01", "2"),
        ("days 2024-03-01 2024-02-28", "-2"), ("add 2024-02-28 2", "2024-03-01"),
    ],
)  # fmt: skip
def test_the_calendar_knows_days(text, expected):
    assert CALENDAR(text) == expected


@pytest.mark.parametrize("text", ["weekday 2024-02-30", "moon 2024-01-01", "add 2024-01-01 x", ""])
def test_the_calendar_refuses_what_is_no_day(text):
    with pytest.raises(InputError, match="calendar"):
        CALENDAR(text)


def test_look_up_finds_the_sentence_about_the_question():
    find = lookup({
        "returns": "Parcels go out on Monday. You may return a kettle within 30 days.",
        "shops": "The shop in Graz opens at nine.\nAll shops close on Sunday.",
    })  # fmt: skip
    assert (
        find("How long may I return a kettle?")
        == "returns: You may return a kettle within 30 days."
    )
    with pytest.raises(InputError, match="nothing in the documents is about"):
        find("xylophone")
    with pytest.raises(InputError, match="documents: expected at least one sentence"):
        lookup({"empty": ""})


def test_a_tool_is_limited_in_what_it_takes_and_gives():
    assert len(Tool("loud", lambda _: "a" * 99_999)("")) == MAX_OUTPUT
    with pytest.raises(InputError, match="calculator: expected at most 20000 characters"):
        CALCULATOR("1" * 20_001)


def test_unit_tests_say_whether_a_program_is_right():
    tests = unit_tests("assert double(4) == 8, 'four doubled is eight'", clock=PATIENCE)
    assert tests("def double(x):\n    return 2 * x") == "passed"
    assert "four doubled is eight" in tests("def double(x):\n    return x")
    assert tests("def double(:").startswith("failed: SyntaxError")


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("while True: pass", "stopped after 1 s of work"),
        ("x = 'a' * (1 << 30)", "MemoryError"),
        ("while True: print('a' * 1000)", "bytes of output"),
        ("import socket; socket.socket()", "closed to programs under test"),
        ("import subprocess; subprocess.run(['true'])", "closed to programs under test"),
        ("import os; os.fork()", "closed to programs under test"),
        ("import numpy", "No module named 'numpy'"),
        ("import sys; sys.exit(3)", "^$"),
    ],
)
def test_a_program_that_goes_too_far_is_stopped(program, reason):
    import re

    done = run_python(program, seconds=1, clock=PATIENCE, megabytes=128)
    assert not done.passed
    assert re.search(reason, done.reason or done.output[-300:].strip())
    assert len(done.output) <= 64 << 10


def test_a_program_that_only_waits_says_nothing_of_itself():
    asleep = "import time; time.sleep(1000)"
    done = run_python(asleep, clock=0.5)
    assert (done.passed, done.unfinished) == (False, True)
    tools = {"unit_tests": unit_tests("", clock=0.5)}
    found = ops.tool_reward("?", f"```python\n{asleep}\n```", 0.3, tools=tools)
    assert (found.reward, found.steps[0].verdict) == (0.3, "failed")


def test_a_program_sees_neither_the_environment_nor_files_beside_it(monkeypatch):
    monkeypatch.setenv("GUSTIBUS_SECRET", "hush")
    done = run_python(
        "import os; print(sorted(os.environ), sorted(os.listdir('.')))", clock=PATIENCE
    )
    assert done.passed
    assert "GUSTIBUS_SECRET" not in done.output
    assert "['output', 'program.py']" in done.output


def test_programs_may_run_from_several_threads():
    passed: list[bool] = []
    threads = [
        threading.Thread(
            target=lambda: passed.append(run_python("print(1)", clock=PATIENCE).passed)
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert passed == [True] * 3


def reward(response: str, base: float = 0.3, **more) -> float:
    return ops.tool_reward("?", response, base, **{"tools": TOOLS, **more}).reward


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("12 * 7 = 84, so you need 84.", "12 * 7 = 82, so you need 82."),
        ("2004-05-03 was a Monday.", "2004-05-03 was a Tuesday."),
        ("There are 2 days between 2024-02-28 and 2024-03-01.",
         "There are 1 days between 2024-02-28 and 2024-03-01."),
        ("That is 10 / 3 = 3.33.", "That is 10 / 3 = 3.34."),
    ],
)  # fmt: skip
def test_an_answer_that_contradicts_loses_to_one_that_agrees(right, wrong):
    assert reward(right) > 0.3 > reward(wrong)
    assert reward(right, base=-2.0) > reward(wrong, base=2.0)


def test_code_is_run_against_its_tests():
    tools = {"unit_tests": unit_tests("assert half(4) == 2", clock=PATIENCE)}
    good, bad = (f"```python\ndef half(x): return x / {n}\n```" for n in (2, 3))
    assert reward(good, tools=tools) > 0.3 > reward(bad, tools=tools)


@quick
@given(st.text(max_size=80), st.floats(-5, 5))
def test_without_tools_the_plain_reward_comes_back_exactly(response, base):
    assert ops.tool_reward("?", response, base, tools={}).reward == base


def test_a_tool_that_is_missing_or_fails_leaves_the_plain_reward():
    def broken(text: str) -> str:
        raise RuntimeError("no power")

    response = "12 * 7 = 84 and 2004-05-03 was a Monday."
    found = ops.tool_reward("?", response, 0.3, tools={"calculator": Tool("calculator", broken)})
    assert found.reward == found.base == 0.3
    assert [step.verdict for step in found.steps] == ["failed", "failed"]
    assert found.steps[0].observation == "RuntimeError: no power"
    assert found.steps[1].observation == "there is no tool 'calendar'"
    assert reward("1 / 0 = 7") == 0.3


def test_the_trace_tells_every_step_and_is_json():
    response = "12 * 7 = 82. 2004-05-03 was a Monday."
    trace = json.loads(json.dumps(ops.tool_reward("?", response, 0.3, tools=TOOLS).as_json()))
    assert trace["base"] == trace["reward"] == 0.3  # one for, one against
    assert [(step["action"], step["observation"], step["verdict"]) for step in trace["steps"]] == [
        ("calculator", "84", "contradicts"), ("calendar", "Monday", "agrees"),
    ]  # fmt: skip
    assert "'84'" in trace["rationale"]


def test_a_plan_may_come_from_elsewhere():
    find = lookup({"prices": "A kettle costs 20 euros."})
    claim = Claim(
        "what a kettle costs", "lookup", "kettle costs", "prices: A kettle costs 20 euros."
    )
    plan = lambda prompt, response: [claim]  # noqa: E731
    assert reward("Twenty.", tools={"lookup": find}, plan=plan) == pytest.approx(4.3)


@pytest.mark.parametrize(
    ("observation", "stated", "same"),
    [
        ("3.33333", "3.33", True), ("3.335", "3.33", True), ("3.34", "3.33", False), ("84", "84.0", True),
        ("1000", "1,000", True), ("84", "85", False), ("Monday", " monday ", True), ("84", "many", False),
    ],
)  # fmt: skip
def test_numbers_agree_at_the_decimals_that_were_stated(observation, stated, same):
    assert agrees(observation, stated) is same


@pytest.mark.parametrize(
    "text", ["1+" * 9000, "1 " * 9000, " " * 20_000, "1 + 1" + " " * 9000, "1," * 9000]
)
def test_no_text_takes_long_to_search(text):
    started = time.process_time()
    find_claims("", text)
    assert time.process_time() - started < 5.0


def test_claims_are_read_off_by_their_form():
    said = "We have 3 + 4 * 2 = 11, and x = 7; version 2.1 is out. 5 - 3 equals 2."
    assert [(c.input, c.stated) for c in find_claims("", said)] == [
        ("3 + 4 * 2", "11"),
        ("5 - 3", "2"),
    ]
    assert find_claims("", "nothing to see") == []


@pytest.mark.parametrize(
    "said",
    [
        "y * 2 + 3 = 7", "3 + 4 = 2 + 5", "(3 + 4) * 2 = 14", "10-12 is 3 items", "x2 + 3 = 7",
        "2024-12-28 = 2 days before", "5 + 5 = 10%",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_sum_counts_against_nobody(said):
    assert reward(said) == 0.3
