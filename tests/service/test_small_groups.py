"""Nothing about a group of fewer than ten people is told, nor can it be worked out from the rest."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from gustibus.service.peoplemap import draw_by_group
from gustibus.service.smallgroups import SMALL, left_out, told_apart

SIZES = (0, 1, 3, 9, 10, 12, 40)
CASES = [np.array(case) for g in (1, 2, 3, 4) for case in itertools.product(SIZES, repeat=g)]


def people(sizes):
    group = np.repeat(np.arange(len(sizes)), sizes)
    return [f"p-{n}" for n in range(len(group))], group


@pytest.mark.parametrize(
    ("sizes", "apart"),
    [
        ([14, 11, 3], [True, False, False]),  # 3 alone would be what is missing from the total
        ([14, 11, 6, 4], [True, True, False, False]),
        ([14, 11, 11, 1], [True, True, False, False]),  # the later of equal ones
        ([12, 12, 0], [True, True, False]),
        ([10], [True]),
        ([9], [False]),
        ([4, 3, 2], [False, False, False]),
        ([10, 1], [False, False]),
        ([6, 5], [False, False]),
    ],
)
def test_a_small_group_is_told_with_the_smallest_of_the_others(sizes, apart):
    assert told_apart(np.array(sizes)).tolist() == apart


def test_the_total_without_what_is_told_is_never_about_a_few_or_about_one_group():
    for sizes in CASES:
        apart = told_apart(sizes)
        assert (sizes[apart] >= SMALL).all()
        rest = sizes[~apart]
        if sizes.sum() >= SMALL:
            assert rest.sum() == 0 or rest.sum() >= SMALL, sizes
            assert (rest > 0).sum() != 1, sizes
        else:
            assert not apart.any()


def test_who_is_missing_from_a_picture_is_never_a_few_or_one_group():
    for sizes in CASES:
        names, group = people(sizes)
        apart = told_apart(sizes)
        out = left_out(names, group, apart)
        small = sizes[group] < SMALL
        assert (out | ~small).all()  # nobody of a small group is drawn
        if sizes.sum() >= SMALL:
            assert out.sum() == 0 or out.sum() >= SMALL, sizes
        else:
            assert out.all()
        assert not out[apart[group]].any()  # a group that is told is drawn in full
        if 0 < small.sum() < SMALL <= sizes.sum():
            assert out.sum() == SMALL  # whatever the size of the small one


def test_the_same_people_are_left_out_however_they_are_listed():
    names, group = people([30, 12, 3])
    apart = told_apart(np.array([30, 12, 3]))
    missing = {names[row] for row in np.flatnonzero(left_out(names, group, apart))}
    order = np.random.default_rng(0).permutation(len(names))
    turned = [names[row] for row in order]
    again = left_out(turned, group[order], apart)
    assert {turned[row] for row in np.flatnonzero(again)} == missing


def test_of_very_many_people_the_same_share_of_every_group_is_drawn():
    names, group = people([6000, 3000, 900, 12])
    drawn = np.bincount(group[draw_by_group(names, group, 1000)], minlength=4)
    assert drawn.sum() <= 1000
    assert drawn[3] == 10  # too few for their share
    np.testing.assert_allclose(drawn[:3] / 1000, [0.6, 0.3, 0.09], atol=0.02)
    rows = draw_by_group(names, group, 1000)
    assert [names[row] for row in rows] == sorted(names[row] for row in rows)
    assert len(draw_by_group(names[:50], group[:50], 1000)) == 50
    assert len(draw_by_group([], np.zeros(0, np.int64), 10)) == 0
