"""Outcomes, retries, snapshots, and input that must change nothing."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from gustibus.errors import InputError, NotFiniteError, UnknownNameError
from gustibus.matching import Arrivals, Matcher
from tests.matching.streams import EVERY, STOCHASTIC, make, stream_for

ROW = np.array([0, 1])
CHANCES = np.array([0.5, 0.4])


def late(**options):
    return Matcher("stochastic_balance", capacity=[2, 1], **options)


@pytest.mark.parametrize("rule", STOCHASTIC)
def test_snapshots_at_random_moments_with_late_outcomes(rule):
    rng = np.random.default_rng(0)
    for trial in range(30):
        options = {"late": "reserve"} if trial % 2 else {"late": "overbook", "delta": 0.3}
        _n, arrivals, given = stream_for(rule, rng, most_arrivals=40)
        runs = [make(rule, {**given, **options}, trial) for _ in range(2)]
        waiting: list[int] = []
        for v in range(len(arrivals)):
            if rng.random() < 0.3:
                runs[1] = Matcher.resume(runs[1].snapshot())
            made = [run.arrive(*arrivals.row(v), f"a{v}", deadline=float(v + 3)) for run in runs]
            assert made[0] == made[1]
            if made[0][1] is not None:
                waiting.append(made[0][1])
            if waiting and rng.random() < 0.5:
                attempt = waiting.pop(int(rng.integers(len(waiting))))
                outcome = bool(rng.random() < 0.5)
                try:
                    runs[0].report(attempt, outcome)
                except InputError:
                    with pytest.raises(InputError, match="expired"):
                        runs[1].report(attempt, outcome)
                else:
                    runs[1].report(attempt, outcome)
            if rng.random() < 0.2:
                assert runs[0].expire(float(v)) == runs[1].expire(float(v))
            assert runs[0].snapshot() == runs[1].snapshot()


def test_a_name_seen_again_gets_its_first_decision():
    matcher = Matcher("balance", capacity=[1, 1], remember=2)
    first = matcher.arrive(ROW, None, "a")
    state = matcher.snapshot()
    assert matcher.arrive(np.array([1]), None, "a") == first == (0, None)
    assert matcher.snapshot() == state
    assert Matcher.resume(state).arrive(ROW, None, "a") == first
    assert matcher.arrive(ROW, None, "b") == (1, None)
    matcher.arrive(ROW, None, "c")
    assert matcher.arrive(ROW, None, "a") == (None, None)  # forgotten: only two are remembered


def test_deciding_changes_nothing():
    for rule in EVERY:
        _, arrivals, options = stream_for(rule, np.random.default_rng(3), most_arrivals=20)
        matcher = make(rule, options)
        for v in range(len(arrivals)):
            state = matcher.snapshot()
            expected = matcher.decide(*arrivals.row(v))
            assert matcher.snapshot() == state
            item, attempt = matcher.arrive(*arrivals.row(v))
            assert item == expected
            if attempt is not None:
                matcher.draw(attempt)


def test_instant_outcomes_come_before_the_next_arrival():
    matcher = late()
    _, attempt = matcher.arrive(ROW, CHANCES)
    for call in (matcher.arrive, matcher.decide):
        with pytest.raises(InputError, match=r"every outcome before the next arrival.*attempt 0"):
            call(ROW, CHANCES)
    matcher.report(attempt, success=True)
    assert matcher.stats()["used"].tolist() == [1, 0]
    assert matcher.stats()["value"] == 1.0


def test_a_reserved_unit_is_free_again_when_the_attempt_expires():
    matcher = Matcher("stochastic_balance", capacity=[1], late="reserve")
    _, attempt = matcher.arrive([0], [0.5], deadline=10.0)
    assert matcher.arrive([0], [0.5]) == (None, None)
    assert matcher.expire(10.0) == 0
    assert matcher.expire(10.5) == 1
    with pytest.raises(InputError, match=r"attempt: expected one that waits.*outcome or expired"):
        matcher.report(attempt, success=True)
    assert matcher.arrive([0], [0.5]) == (0, 1)
    stats = matcher.stats()
    assert (stats["expired"], stats["pending"], stats["load"][0]) == (1, 1, 1.0)


def test_overbooking_keeps_the_chance_of_too_many_successes_small():
    matcher = Matcher("stochastic_balance", capacity=[1], late="overbook", delta=0.1)
    # two of chance 0.2 exceed one unit with chance 0.04, three with 0.104
    attempts = [matcher.arrive([0], [0.2])[1] for _ in range(3)]
    assert attempts == [0, 1, None]
    matcher.report(0, success=True)
    matcher.report(1, success=True)
    stats = matcher.stats()
    assert (stats["value"], stats["successes"], stats["overflow"]) == (1.0, 1, 1)


def test_bulk_with_given_and_with_late_outcomes():
    coins = np.array([True, False, True])
    rows = np.array([0, 1, 2, 3]), np.zeros(3, int), np.full(3, 0.5)
    known = Matcher("stochastic_balance", 1, 5)
    known.arrive_many(*rows, coins=coins)
    assert known.stats()["successes"] == 2
    assert known.stats()["coins_drawn"] == 0
    waiting = Matcher("stochastic_balance", 1, 2, late="reserve")
    assert waiting.arrive_many(*rows).tolist() == [0, 0, -1]
    waiting.report(0, success=False)
    assert waiting.arrive([0], [0.5]) == (0, 2)


def test_items_added_late_are_items_that_had_no_edges():
    for rule in EVERY:
        rng = np.random.default_rng(5)
        n, arrivals, options = stream_for(rule, rng, most_arrivals=20)
        limit = "budget" if "budget" in options else "capacity"
        grown, whole = make(rule, options, 9), None
        weight = options.get("weight")
        extra = {limit: np.append(options[limit], 2.0)}
        if weight is not None:
            extra["weight"] = np.append(weight, 1.5)
        whole = make(rule, {**options, **extra}, 9)
        for matcher in (grown, whole):
            matcher.arrive_many(arrivals.indptr, arrivals.items, arrivals.values)
        assert grown.add_items([2.0], None if weight is None else [1.5]) == n == len(grown) - 1
        value = None if arrivals.values is None else [1.0]
        assert grown.arrive([n], value)[0] == whole.arrive([n], value)[0]


GOOD = {"items": ROW, "values": CHANCES}
BAD_ROWS = [
    ({"items": np.array([0, 0])}, "every item once in a row, got item 0 twice"),
    ({"items": np.array([1, 0, 1]), "values": np.ones(3)}, "item 1 twice"),
    ({"items": np.array([0, 2])}, "items: expected item numbers below 2, got 2"),
    ({"items": np.array([-1, 0])}, "items: expected item numbers from 0 to 2.32, got -1"),
    ({"items": np.array([0.0, 1.0])}, "items: expected one dimension of whole numbers"),
    ({"items": np.array([[0, 1]])}, "items: expected one dimension of whole numbers"),
    ({"values": np.array([0.5, np.nan])}, "values: expected finite numbers"),
    ({"values": np.array([0.5, 0.0])}, r"values: expected probabilities in \(0, 1\], got 0"),
    ({"values": np.array([0.5, 1.5])}, r"probabilities in \(0, 1\], got 1.5"),
    ({"values": np.array([0.5])}, r"values: expected shape \(2,\), got \(1,\)"),
    ({"values": np.array(["a", "b"])}, "values: expected one dimension of numbers"),
    ({"sizes": np.array([1.0, 1.0])}, "sizes: expected no sizes for the rule"),
    ({"deadline": float("nan")}, "deadline: expected a number"),
]


@pytest.mark.parametrize(("change", "message"), BAD_ROWS)
def test_a_bad_arrival_says_why_and_changes_nothing(change, message):
    matcher = late(late="reserve")
    matcher.arrive(ROW, CHANCES, "first")
    state = matcher.snapshot()
    with pytest.raises(InputError, match=message):
        matcher.arrive(**{**GOOD, "arrival_id": "second", **change})
    if not set(change) & {"deadline"}:
        row = {**GOOD, **change}
        with pytest.raises(InputError, match=message):
            matcher.arrive_many([0, len(row["items"])], row.pop("items"), **row)
    assert matcher.snapshot() == state


def test_a_bad_row_far_down_a_bulk_call_changes_nothing():
    rows = 40_000
    items = np.tile(np.arange(4), rows)
    items[-1] = items[-2]
    matcher = Matcher("balance", 4, 10 * rows)
    matcher.arrive([2])
    state = matcher.snapshot()
    with pytest.raises(InputError, match="item 2 twice"):
        matcher.arrive_many(np.arange(rows + 1) * 4, items)
    assert matcher.snapshot() == state


@pytest.mark.parametrize(
    ("indptr", "message"),
    [
        ([], "indptr"),
        ([1, 2], "1 at position 0"),
        ([0, 2, 1, 2], "1 after 2"),
        ([0, 1], "at the end"),
    ],
)
def test_bad_boundaries(indptr, message):
    matcher = Matcher("balance", 2, 1)
    with pytest.raises(InputError, match=message):
        matcher.arrive_many(indptr, ROW)


def test_outcomes_of_no_attempt_and_outcomes_reported_twice():
    matcher = late(late="reserve")
    matcher.arrive(ROW, CHANCES)
    matcher.report(0, success=False)
    state = matcher.snapshot()
    with pytest.raises(InputError, match="0, which has its outcome or expired"):
        matcher.report(0, success=True)
    with pytest.raises(InputError, match="7, which was never made"):
        matcher.report(7, success=True)
    with pytest.raises(InputError, match="never made"):
        matcher.draw(7)
    for number in (-1, 2**64, 10**300, np.int64(-1)):
        for ask in (matcher.draw, lambda n: matcher.report(n, success=True)):
            with pytest.raises(InputError, match="attempt_id: expected a whole number from 0 to"):
                ask(number)
    with pytest.raises(InputError, match="now"):
        matcher.expire(float("nan"))
    assert matcher.snapshot() == state


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("rank", 2, 1), UnknownNameError, "no matching rule"),
        (("balance", 2, 0), InputError, "capacity: expected at least one item with room"),
        (("balance", 0, 1), InputError, "n: expected at least one item"),
        (("balance", None, []), InputError, "at least one item with room"),
        (("balance", None, 1), InputError, "n: expected the number of items"),
        (("balance", 2, 1.5), InputError, "whole numbers"),
        (("balance", 2, -1), InputError, "whole numbers"),
        (("balance", 2, [np.nan, 1]), NotFiniteError, "capacity"),
        (("balance", 3, [1, 2]), InputError, r"capacity: expected shape \(3,\)"),
        (("balance", 2, "many"), InputError, "capacity"),
        (("perturbed_greedy", 1, 2**25), InputError, "seeds of one per item"),
    ],
)
def test_bad_matchers(arguments, error, message):
    with pytest.raises(error, match=message):
        Matcher(*arguments)


@pytest.mark.parametrize(
    ("rule", "options", "message"),
    [
        ("balance", {"weight": [1.0, -1.0]}, "weight: expected numbers at or above 0"),
        ("balance", {"weight": [1.0, np.inf]}, "weight: expected finite"),
        ("ranking", {"weight": [1.0, 1.0]}, "no weights for the rule ranking"),
        ("balance", {"seed": -1}, "seed"),
        ("balance", {"seed": 2**64}, "seed"),
        (
            "balance",
            {"seeds": "unit"},
            "options: expected no options for the rule balance, got seeds",
        ),
        ("ranking", {"seeds": "both"}, "seeds: expected item, unit, got both"),
        ("threshold", {}, "range: expected least and largest weight"),
        ("threshold", {"range": (2.0, 1.0)}, "range"),
        ("stochastic_balance", {"late": "overbook"}, "delta"),
        ("stochastic_balance", {"delta": 0.1}, "delta"),
        ("stochastic_balance", {"late": "overbook", "delta": 1.5}, "delta"),
        ("stochastic_balance", {"score": "gompertz", "capacity": 2}, "at most 1"),
        ("balance", {"capacity": None, "budget": 1.0}, "capacity: expected for this rule"),
        ("budget_balance", {}, "budget: expected for this rule"),
    ],
)
def test_bad_options(rule, options, message):
    with pytest.raises(InputError, match=message):
        Matcher(rule, 2, **{"capacity": 1, **options})


def test_rules_without_values_refuse_them_and_others_their_wrong_ones():
    with pytest.raises(InputError, match="values: expected no values for the rule balance"):
        Matcher("balance", 2, 1).arrive(ROW, CHANCES)
    with pytest.raises(InputError, match="weights inside the range"):
        Matcher("threshold", 2, 1, range=(1.0, 2.0)).arrive(ROW, CHANCES)
    with pytest.raises(InputError, match="numbers at or above 0"):
        Matcher("budget_balance", budget=[1.0, 1.0]).arrive(ROW, -CHANCES)
    with pytest.raises(InputError, match="horizon"):
        Matcher("dual_prices", budget=[1.0])
    with pytest.raises(InputError, match="no running bound"):
        Matcher("ranking", 2, 1).bound()
    with pytest.raises(InputError, match="coins: expected no coins"):
        Matcher("balance", 2, 1).arrive_many([0, 2], ROW, coins=[True])
    with pytest.raises(InputError, match="coins"):
        late().arrive_many([0, 2], ROW, CHANCES, coins=np.array([1]))


def test_altered_snapshots_are_refused():
    state = late().snapshot()
    for wrong in (b"", b"x" * 100, state[:-1], state[:50] + b"?" + state[51:]):
        with pytest.raises(InputError, match="snapshot"):
            Matcher.resume(wrong)


def test_lists_and_empty_rows_are_fine():
    matcher = Matcher("balance", 3, 1)
    assert matcher.arrive([2, 1])[0] == 1
    assert matcher.arrive([]) == (None, None)
    assert matcher.arrive(np.zeros(0, int)) == (None, None)
    assert matcher.arrive_many([0], []).tolist() == []
    assert matcher.arrive_many([0, 0, 1], np.array([2], np.int16)).tolist() == [-1, 2]
    assert matcher.arrive(np.array([2, 0], np.int16))[0] == 0
    assert matcher.arrive(np.array([])) == (None, None)
    strided = np.arange(12)[::2]
    assert Matcher("greedy", 11, 1).arrive(strided, strided.astype(np.float32))[0] == 10


def test_writers_of_several_threads_wait_for_each_other():
    matcher = Matcher("balance", 50, 10**6)
    indptr, items = np.arange(2001) * 20, np.tile(np.arange(20), 2000)

    def work():
        for _ in range(20):
            matcher.arrive_many(indptr, items)
            matcher.arrive(np.arange(5))
            matcher.snapshot()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert matcher.stats()["arrivals"] == 4 * 20 * 2001


@pytest.mark.parametrize("row", [np.array([1j, 2.0]), [1j, 2.0], ["x", "y"]])
def test_values_that_are_no_real_numbers_are_refused(row):
    with pytest.raises(InputError, match="values: expected numbers in every row"):
        Arrivals.of([[0, 1]], [row])
