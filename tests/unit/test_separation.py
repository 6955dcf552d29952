"""What tells methods apart on a data set, from figures made by hand."""

from __future__ import annotations

from gustibus.evaluation.findings import separation
from gustibus.evaluation.intervals import Estimate
from gustibus.evaluation.judging import ALL
from gustibus.evaluation.report import Cell, Difference, Method, Swap

ZERO = Estimate(0.0, 0.0, 0.0, 0.0, 40)


def near(value: float, error: float = 0.035, people: int = 40) -> Estimate:
    return Estimate(value, value - 1.96 * error, value + 1.96 * error, error, people)


def method(
    name: str, accuracy: float, *, personal: bool = True, drop: float | None = None
) -> Method:
    figures = (near(accuracy), near(accuracy), ZERO, ZERO, ZERO, ZERO)
    swap = None
    if drop is not None:
        swap = Swap(near(accuracy), near(accuracy - drop), near(drop), personal=True,
                    within_prompts=False)  # fmt: skip
    return Method(
        name, name, "model", personal, 1.0, 1.0, 8, "", (Cell("query", 400, *figures, (), ()),), (),
        swap,
    )  # fmt: skip


def told(methods, gap: float, error: float = 0.035):
    names = [m.name for m in methods]
    differences = [
        Difference("query", ALL, one, other, near(gap, error), ZERO, ZERO, ZERO)
        for place, one in enumerate(names)
        for other in names[place + 1 :]
    ]
    return separation(methods, differences, parts=("query",), focus=5)


def many(accuracy: float, drop: float | None) -> list[Method]:
    """The pooled reward and eighteen personal methods."""
    pooled = method("bt", accuracy, personal=False)
    return [pooled, *(method(f"m{n}", accuracy, drop=drop) for n in range(18))]


def test_another_persons_answers_tell_apart_what_all_pairs_of_many_methods_do_not():
    # 0.093 / 0.035 = 2.7 errors: beyond 1.96, within the 4.2 of 171 pairs in one of three ways;
    # 0.131 / 0.035 = 3.7 errors: beyond the 3.3 of 18 methods in one of three ways
    found = told(many(0.7, 0.131), 0.093)
    assert found.separates
    assert "no two learned methods differ on `query` beyond chance" in found.reasons[0]
    assert "more held-out people would tell" in found.reasons[1]
    assert "none of 18 differences from the pooled reward `bt`" in found.reasons[2]
    assert "18 of 18 falls of accuracy with another person's answers" in found.reasons[3]
    assert not told(many(0.7, 0.093), 0.093).separates


def test_a_lead_over_the_pooled_reward_is_one_of_few():
    # 3.5 errors: beyond the 3.3 of 18 comparisons with the pooled reward, within the 4.2 of all
    found = told(many(0.7, None), 0.123)
    assert found.separates
    assert "18 of 18 differences from the pooled reward `bt` are beyond chance" in found.reasons[2]
    assert not told(many(0.7, None), 0.1).separates


def test_nothing_is_told_apart_where_nobody_is_better_than_a_coin():
    found = told(many(0.55, 0.131), 0.2)
    assert not found.separates
    assert "right more often than a coin beyond chance (19 figures" in found.reasons[0]
    assert "0.550 [0.481, 0.619], over 40 people" in found.reasons[0]


def test_a_saturated_part_does_not_count():
    assert not told(many(0.99, 0.131), 0.2).separates
    assert told(many(0.99, 0.131), 0.2).reasons == (
        "saturated: `bt`, which knows no people, is right on 0.990 of `query`",
    )
