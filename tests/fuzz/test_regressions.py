"""What fuzzing found: each of these calls once panicked, ended the process or did not come back."""

from __future__ import annotations

import numpy as np
import pytest

from gustibus import _core
from gustibus.errors import InputError
from gustibus.matching import Matcher

VAST = (2**32, 2**40, 2**62)
SETS = (np.array([0, 2]), np.array([0, 1], np.uint32))
LABELS = np.array([0, 1, 0], np.uint32)
ORDER = np.array([2, 0, 1])
RISING = np.array([0, 3])


@pytest.mark.parametrize("size", VAST)
@pytest.mark.parametrize(
    "call",
    [
        lambda size: _core.Approvals(*SETS, size, None),
        lambda size: _core.Ballots.lists(RISING, ORDER, None, size, None, "last", "auto"),
        lambda size: _core.pairwise_parity(ORDER, LABELS, size),
        lambda size: _core.break_rankings(ORDER, RISING, None, None, size, True),
        lambda size: _core.elo_ratings(
            ORDER[:1], ORDER[1:2], None, None, size, None, (1000.0, 10.0, 400.0, 4.0, 0.5)
        ),
        lambda size: _core.reduce_comparisons(ORDER[:1], ORDER[1:2], None, None, size, None),
        lambda size: _core.social_sample("impartial", size, 3, None, None, 1, 0, None),
        lambda size: _core.social_sample("impartial", 3, size, None, None, 1, 0, None),
        lambda size: _core.social_sample("euclidean", 3, 3, None, None, size, 0, None),
        lambda size: _core.estimate_smoothness(
            "borda", ("impartial", None, None), ("swapping", [0.5, 0.5], True, True), LABELS, 2,
            (3, size, 1, 1), None, 0, 1,
        ),
        lambda size: _core.study_bias(
            ["borda"], ("impartial", None, None), [("swapping", [0.5, 0.5], True, True)], LABELS, 2,
            (3, 1, size), [0], True, True, 0, 1,
        ),
    ],
)  # fmt: skip
def test_a_size_that_no_memory_holds_is_an_error(call, size):
    with pytest.raises(InputError, match="expected"):
        call(size)


@pytest.mark.parametrize(
    "read",
    [
        lambda ballots: ballots.support(1),
        lambda ballots: ballots.histogram(1),
        lambda ballots: _core.social_decide("footrule", ballots, {}, None, 1),
    ],
)
def test_square_matrices_of_very_many_items_are_errors(read):
    ballots = _core.Ballots.full(np.arange(30_000)[None], None, "never", 1)
    with pytest.raises(InputError, match="at most 20000 items"):
        read(ballots)


def test_more_threads_than_any_machine_has_change_nothing():
    wins = np.array([2.0, 1.0, 3.0])
    limits = (1e-9, 100)
    few = _core.fit_totals(wins, 2.0, (0.0, 0.0, 0.0), "error", limits, 1)
    many = _core.fit_totals(wins, 2.0, (0.0, 0.0, 0.0), "error", limits, 2**53)
    assert few[0].tobytes() == many[0].tobytes()


@pytest.mark.parametrize(
    ("short", "name"), [(0, "losers"), (1, "outcomes"), (2, "weights")]
)  # fmt: skip
def test_columns_of_elo_have_one_length(short, name):
    columns = [np.array([1, 0]), np.zeros(2, np.uint8), np.ones(2)]
    columns[short] = columns[short][:1]
    constants = (1000.0, 10.0, 400.0, 4.0, 0.5)
    with pytest.raises(InputError, match=name):
        _core.elo_ratings(np.array([0, 1]), *columns, 2, None, constants)


def test_the_core_of_few_wanted_among_very_many_items_is_found_at_once():
    sets = [[0, 1, 2, 3, 4, 5, 6], [0, 1, 3, 4, 5, 6], [0, 1, 2, 3, 4, 5, 6]]
    starts = np.concatenate([[0], np.cumsum([len(s) for s in sets])])
    approvals = _core.Approvals(starts, np.concatenate(sets).astype(np.uint32), 65_535, None)
    holds, witness = _core.check_axiom("core", approvals, [4, 6, 5, 1, 0], None)
    assert holds
    assert witness is None


def test_more_replicates_than_memory_holds_are_refused():
    cells = _core.reduce_comparisons(np.array([0, 1]), np.array([1, 0]), None, None, 2, None)
    fitted = (np.zeros(2), np.zeros(2, np.uint32), 0.5, (0.0, 0.0, 0.0))
    with pytest.raises(InputError, match="replicates: expected at most"):
        _core.strength_bootstrap(cells, None, fitted, 2**63, 0, None)


def off(array):
    """The same numbers at an address that their type may not have."""
    bytes_ = np.zeros(array.nbytes + 1, np.uint8)[1:]
    bytes_[:] = np.frombuffer(array.tobytes(), np.uint8)
    found = np.frombuffer(bytes_, array.dtype).reshape(array.shape)
    assert not found.flags.aligned
    return found


@pytest.mark.parametrize(
    "call",
    [
        lambda move: _core.Ballots.full(move(np.array([[0, 1, 2], [2, 1, 0]])), None, "auto", 1)
        .support(1),
        lambda move: _core.Ballots.lists(
            move(RISING), move(ORDER.astype(np.uint16)), None, 3, move(np.ones(1)), "last", "auto"
        ).support(1),
        lambda move: _core.reduce_comparisons(
            move(np.array([0, 1, 2])), move(ORDER), None, move(np.array([1.0, 2.0, 3.0])), 3, None
        ).totals()[0],
        lambda move: _core.fit_totals(
            move(np.array([2.0, 1.0, 3.0])), 2.0, (0.0, 0.0, 0.0), "error", (1e-9, 100), 1
        )[0],
        lambda move: _core.assignment(move(np.array([[1.0, 5.0], [2.0, 1.0]])))[0],
        lambda move: _core.assignment(move(np.array([[1.0, 5.0], [2.0, 1.0]], np.float32)))[0],
        lambda move: _core.pairwise_parity(move(ORDER), move(LABELS), 2)[0],
    ],
)  # fmt: skip
def test_numbers_that_lie_off_their_alignment_are_read(call):
    np.testing.assert_array_equal(call(off), call(lambda array: array))


def test_a_flag_is_true_where_its_byte_is_not_zero():
    flags = np.array([2, 0, 255, 128, 0, 1], np.uint8).view(np.bool_)
    items, starts = np.array([0, 1, 2, 2, 1, 0]), np.array([0, 3, 6])
    plain = flags.view(np.uint8) != 0

    def ballots(ends):
        return _core.Ballots.lists(starts, items, ends, 3, None, "last", "auto").support(1)

    np.testing.assert_array_equal(ballots(flags), ballots(plain))
    usual = (None, 3, (0.0, 0.0, 0.1), "error", (1e-9, 100), None, 1)
    ends = [np.array([1, 0, n, 1, 0, n], np.uint8).view(np.bool_) for n in (1, 254)]
    one, other = (_core.fit_tied_rankings(items, starts, e, *usual) for e in ends)
    np.testing.assert_array_equal(one[0][0], other[0][0])
    assert one[1] == other[1]


@pytest.mark.parametrize("up", [1, 2, 254])
def test_a_coin_is_up_where_its_byte_is_not_zero(up):
    matcher = Matcher("stochastic_balance", 1, 5)
    coins = np.array([up, 0, up], np.uint8).view(np.bool_)
    matcher.arrive_many(np.arange(4), np.zeros(3, int), np.full(3, 0.5), coins=coins)
    assert matcher.stats()["successes"] == 2
