"""Which answers place held-out people, and which judge the placing."""

from itertools import combinations

import numpy as np
import pytest

from gustibus.models.base import TrainingSet
from gustibus.models.validation import Foretold, HeldOut, hold_out, losses_of
from gustibus.posterior import Answering


def answers(pairs, *, items, people=1, is_support=None):
    """The same pairs of every person."""
    a, b = (np.tile(np.array(side, np.int32), people) for side in zip(*pairs, strict=True))
    return TrainingSet(
        user=np.repeat(np.arange(people, dtype=np.int32), len(pairs)),
        prompt=np.zeros(len(a), np.int32), a=a, b=b,
        target=np.ones(len(a), np.float32), weight=np.ones(len(a), np.float32),
        item_features=np.eye(items, 3, dtype=np.float32), prompt_features=None, people=people,
        is_support=is_support,
    )  # fmt: skip


def met(data: TrainingSet, split: HeldOut, person: int) -> tuple[set[int], list[int]]:
    """A person's support items, and for each of their query rows how many of its items are among them."""
    begin, end = split.support_starts[person : person + 2]
    told = split.support[begin:end]
    seen = {int(x) for side in (data.a, data.b) for x in side[told]}
    rows = split.query[split.query_person == person]
    return seen, [(int(data.a[r]) in seen) + (int(data.b[r]) in seen) for r in rows]


WEB = list(combinations(range(6), 2))


class TestRowsAcross:
    def test_every_answer_places_or_judges_and_none_that_judges_is_given_away(self):
        data = answers(WEB, items=6, people=4)
        split = hold_out(data)
        assert sorted([*split.support, *split.query]) == list(range(len(data)))
        for person in range(4):
            seen, again = met(data, split, person)
            assert len(seen) == 3
            assert sorted(again) == [0] * 3 + [1] * 9

    @pytest.mark.parametrize("items", [6, 11, 60, 6000])
    def test_they_count_by_the_chance_of_meeting_an_item_again(self, items):
        data = answers(WEB, items=items, people=2)
        split = hold_out(data)
        _, again = met(data, split, 1)
        share = split.share[split.query_person == 1]
        across = np.array(again) == 1
        f = 3 / items
        assert (share[~across] == 1).all()
        assert share[across].sum() / share.sum() == pytest.approx(2 * f / (1 + f))

    @pytest.mark.timeout(30)
    def test_one_person_with_very_many_answers_takes_no_longer_than_many_people(self):
        count = 20_000
        data = answers([(2 * i, 2 * i + 1) for i in range(count)], items=2 * count)
        split = hold_out(data, most=count)
        assert len(split.support) == len(split.query) == count // 2

    def test_items_beyond_the_support_that_is_kept_are_new(self):
        data = answers(WEB, items=6)
        split = hold_out(data, most=1)
        seen, again = met(data, split, 0)
        assert len(seen) == 2
        f = 2 / 6
        share, old = split.share, np.array(again) == 1
        assert old.sum() == 6
        assert (share[~old] == 1).all()
        assert share[old].sum() / share.sum() == pytest.approx(2 * f / (1 + f))

    def test_losses_are_weighed_by_it(self):
        data = answers(WEB, items=11)
        split = hold_out(data)
        _, again = met(data, split, 0)
        margin = np.where(np.array(again) == 1, -1.0, 2.0)
        told = Foretold(np.stack([margin, margin]), np.zeros((2, 12)), Answering(lapse=0.0))
        (loss,) = losses_of(told, data, split)
        f = 2 * (3 / 11) / (1 + 3 / 11)
        assert loss == pytest.approx(f * np.log1p(np.exp(1)) + (1 - f) * np.log1p(np.exp(-2)))

    def test_there_are_none_where_no_item_comes_twice(self):
        data = answers([(0, 1), (2, 3), (4, 5), (6, 7)], items=8)
        split = hold_out(data)
        assert len(split.support) == len(split.query) == 2
        assert (split.share == 1).all()

    def test_somebody_with_nothing_else_is_judged_by_them(self):
        data = answers([(0, 1), (0, 2), (0, 3)], items=4, people=20)
        split = hold_out(data)
        found = [(p, *met(data, split, p)) for p in range(20)]
        alone = [(p, again) for p, seen, again in found if 0 in seen]
        assert alone
        for person, again in alone:
            assert again == [1, 1]
            assert (split.share[split.query_person == person] == 1).all()

    def test_marked_answers_are_taken_as_they_are(self):
        marks = np.array([True, True, False, False])
        data = answers([(0, 1), (0, 2), (0, 3), (1, 2)], items=4, is_support=marks)
        split = hold_out(data)
        assert split.support.tolist() == [0, 1]
        assert split.query.tolist() == [2, 3]
        assert (split.share == 1).all()
