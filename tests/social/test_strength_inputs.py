"""What goes in: labels, dtypes, outcomes, and every kind of mistake."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from gustibus.errors import InputError, NotFiniteError, UnknownNameError
from gustibus.social import bootstrap, bradley_terry, counting, elo, pagerank, plackett_luce
from gustibus.social.strength_labels import intern
from tests.social.strength_reference import random_comparisons

W, L, T, C = random_comparisons(np.random.default_rng(0), items=5, ties=True, weights=True)
NAMES = np.array(["añ", "b", "ç", "d", "😀"])


@pytest.mark.parametrize(
    "dtype", ["int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "int8"]
)
def test_integer_types_give_the_same_bits(dtype):
    expected = bradley_terry(W, L, ties=T, weights=C)
    fit = bradley_terry(W.astype(dtype), L.astype(dtype), ties=T, weights=C)
    np.testing.assert_array_equal(fit.scores, expected.scores)
    assert fit.labels == range(5)
    strided = np.repeat(W, 2).astype(dtype)[::2]
    np.testing.assert_array_equal(
        bradley_terry(strided, L, ties=T, weights=C).scores, expected.scores
    )


def test_labels_in_lists_arrays_pandas_and_arrow_give_the_same():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    expected = dict(zip(NAMES.tolist(), bradley_terry(W, L).scores.tolist(), strict=True))
    xs, ys = NAMES[W], NAMES[L]
    kinds = pandas.CategoricalDtype(NAMES[::-1])
    for a, b in [
        (xs.tolist(), ys.tolist()),
        (tuple(xs.tolist()), ys),
        (xs, ys.astype(object)),
        (pandas.Series(xs), pandas.Series(ys)),
        (pandas.Series(xs, dtype="category"), pandas.Series(ys, dtype=kinds)),
        (pandas.Categorical(xs), pandas.Index(ys)),
        (arrow.array(xs.tolist()), arrow.array(ys.tolist()).dictionary_encode()),
        (arrow.chunked_array([xs[:9].tolist(), xs[9:].tolist()]), ys.tolist()),
    ]:
        got = bradley_terry(a, b).as_dict()
        assert set(got) == set(expected)
        for label, score in expected.items():
            assert got[label] == pytest.approx(score, abs=1e-9)
    ids = bradley_terry(pandas.Series(W), arrow.array(L))
    np.testing.assert_array_equal(ids.scores, bradley_terry(W, L).scores)


def test_numbers_that_leave_gaps_are_labels():
    fit = bradley_terry(W * 3 + 2, L * 3 + 2)
    assert list(fit.labels) == [2, 5, 8, 11, 14]
    np.testing.assert_array_equal(fit.scores, bradley_terry(W, L).scores)
    far = bradley_terry(W * 10**9 - 7, L * 10**9 - 7)
    assert sorted(far.labels) == [-7 + k * 10**9 for k in range(5)]
    assert plackett_luce([[7, 3], [3, 7]]).labels == (3, 7)


def test_items_that_are_declared_are_kept_and_others_refused():
    with pytest.warns(UserWarning, match="components"):
        fit = bradley_terry(W, L, items=7)
    assert len(fit.scores) == 7
    named = bradley_terry(NAMES[W].tolist(), NAMES[L].tolist(), items=NAMES.tolist())
    np.testing.assert_array_equal(named.scores, bradley_terry(W, L).scores)
    coded = bradley_terry(W, L, items=NAMES.tolist())
    assert coded.as_dict() == named.as_dict()
    with pytest.raises(InputError, match="winners: expected labels among items, got 'ç'"):
        bradley_terry(["ç"], ["b"], items=["b", "d"])
    with pytest.raises(InputError, match="item numbers from 0 to 3"):
        bradley_terry(W, L, items=4)
    with pytest.raises(InputError, match="items: expected every label once"):
        bradley_terry(["b"], ["d"], items=["b", "d", "b"])
    with pytest.raises(InputError, match="items: expected a number of at least 0"):
        bradley_terry(W, L, items=-1)


def test_outcomes_have_many_names():
    ended = ["tie" if t else "a" for t in T]
    expected = bradley_terry(W, L, ties=T)
    for outcomes in (
        ended,
        np.array(ended),
        np.array(ended, object),
        ["both_bad" if t else "model_a" for t in T],
        np.where(T, 0.5, 1.0),
        [0.5 if t else True for t in T],
    ):
        np.testing.assert_array_equal(bradley_terry(W, L, outcomes).scores, expected.scores)
    swapped = bradley_terry(L, W, ["tie" if t else "b" for t in T])
    np.testing.assert_array_equal(swapped.scores, expected.scores)
    skipped = bradley_terry(np.append(W, 0), np.append(L, 1), [*ended, "skip"])
    np.testing.assert_array_equal(skipped.scores, expected.scores)
    np.testing.assert_array_equal(
        bradley_terry(W, L, ~T).scores, bradley_terry(np.where(T, L, W), np.where(T, W, L)).scores
    )


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([], []), {}, "winners: expected at least one comparison"),
        (([0, 1], [1]), {}, "losers: expected shape"),
        (([0], [0]), {}, "item 0 against itself"),
        ((["x"], ["x"]), {}, "item 0 against itself"),
        (([0.5], [1.0]), {"items": 2}, "items: expected labels, or integer columns"),
        (("ab", "cd"), {}, "winners: expected a column of labels, got str"),
        ((3, 4), {}, "winners: expected a column of labels, got int"),
        (([[0, 1]], [[1, 0]]), {}, "hashable"),
        ((np.zeros((2, 2), int), [0, 1]), {}, "winners: expected one dimension"),
        (([None], ["x"]), {}, "expected a label in every row"),
        (([float("nan")], ["x"]), {}, "expected a label in every row"),
        (([0, 1], [1, 0], ["a"]), {}, "outcomes: expected shape"),
        (([0, 1], [1, 0], ["a", "won"]), {}, "outcomes: expected one of"),
        (([0, 1], [1, 0], [1, 2]), {}, "outcomes: expected 1"),
        (([0, 1], [1, 0], [0.3, 1]), {}, "outcomes: expected 1"),
        (([0, 1], [1, 0], ["a", "b"]), {"ties": [0, 0]}, "ties: expected either"),
        (([0, 1], [1, 0]), {"ties": [True]}, "ties: expected shape"),
        (([0, 1], [1, 0]), {"weights": [1.0]}, "weights: expected shape"),
        (([0, 1], [1, 0]), {"weights": [1.0, -1.0]}, "weights: expected numbers of at least 0"),
        (([0, 1], [1, 0]), {"weights": ["x", "y"]}, "weights: expected numbers"),
        (([0, 1], [1, 0]), {"weights": np.array([1j, 1])}, "weights: expected numbers"),
        (([0, 1], [1, 0], np.array([1j, 0.5])), {}, "outcomes: expected names or numbers"),
        (([0, 1], [1, 0]), {"start": np.array([1j, 1])}, "start: expected numbers"),
        (([0, 1], [1, 0]), {"covariates": np.array([1j, 1])}, "covariates: expected numbers"),
        (([0, 1], [1, 0]), {"covariates": ["x", "y"]}, "covariates: expected numbers"),
        (([0, 1], [1, 0]), {"tolerance": 0.0}, "tolerance: expected a number above 0"),
        (([0, 1], [1, 0]), {"max_iter": -1}, "max_iter"),
        (([0, 1], [1, 0]), {"threads": 0}, "threads"),
        (([0, 1], [1, 0]), {"tie_weight": -0.5}, "tie_weight"),
        (([0, 1], [1, 0]), {"l2": -1.0}, "l2: expected a finite number"),
        (([0, 1], [1, 0]), {"start": [0.0]}, "start: expected shape"),
        (([0, 1], [1, 0]), {"start": [0.0, np.nan]}, "start: expected finite"),
        (([0, 1], [1, 0]), {"covariates": [1.0]}, "covariates: expected shape"),
        (([0, 1], [1, 0]), {"covariates": [1.0, np.inf]}, "covariates: expected finite"),
        (([0, 1], [1, 0]), {"position": True, "ridge": -1.0}, "ridge"),
    ],
)
def test_mistakes_in_comparisons_are_named(arguments, options, message):
    with pytest.raises(InputError, match=message):
        bradley_terry(*arguments, **options)


def test_other_mistakes_have_their_own_errors():
    with pytest.raises(NotFiniteError, match="weights"):
        bradley_terry([0, 1], [1, 0], weights=[1.0, np.inf])
    with pytest.raises(UnknownNameError, match="method"):
        bradley_terry([0, 1], [1, 0], method="lbfgs")
    with pytest.raises(UnknownNameError, match="on_disconnected"):
        bradley_terry([0, 1], [1, 2], on_disconnected="ignore")
    with pytest.raises(InputError, match="damping"):
        pagerank([0], [1], damping=1.5)
    assert counting([0], [1]).converged


@pytest.mark.parametrize(
    ("rankings", "options", "message"),
    [
        ([], {}, "rankings: expected at least one item"),
        ([[0, 0]], {}, "item 0 twice in ranking 0"),
        ([["x", "y", "x"]], {}, "twice in ranking 0"),
        ("xyz", {}, "rankings: expected rankings, got str"),
        ([1, 2], {}, "rankings: expected a list of items"),
        ([[0, 1]], {"chosen": [3]}, "chosen: expected at most the length"),
        ([[0, 1]], {"chosen": [-1]}, "chosen: expected numbers of at least 0"),
        ([[0, 1]], {"weights": [-1.0]}, "weights: expected numbers of at least 0"),
        ([[0, 1]], {"weights": [1.0, 1.0]}, "weights: expected shape"),
        ([[0, 1]], {"items": 1}, "rankings: expected item numbers from 0 to 0"),
        ([[0, 1]], {"unranked": "first"}, "unranked: expected 'ignore' or 'last'"),
        (np.array([[0, -1, 1]]), {}, "negative numbers at the end"),
        ([0, 1], {"starts": [0, 3]}, "starts: expected numbers rising"),
        ([0, 1], {"starts": [0, -1, 2]}, "starts"),
    ],
)
def test_mistakes_in_rankings_are_named(rankings, options, message):
    with pytest.raises(InputError, match=message):
        plackett_luce(rankings, **options)


def test_one_item_and_no_choices_are_fits_of_nothing():
    alone = plackett_luce([[0]])
    assert alone.scores.tolist() == [0]
    with pytest.warns(UserWarning, match="2 components"):
        silent = bradley_terry([0, 1], [1, 0], weights=[0.0, 0.0], items=2)
    assert silent.scores.tolist() == [0, 0]
    assert elo([], [], items=3).scores.tolist() == [1000] * 3


def test_results_can_be_pickled_and_go_on_living():
    for options in ({}, {"ties": T}, {"weights": C}, {"ties": T, "weights": C}):
        fit = bradley_terry(W, L, **options)
        again = pickle.loads(pickle.dumps(fit))
        np.testing.assert_array_equal(again.scores, fit.scores)
        np.testing.assert_array_equal(
            bootstrap(again, replicates=20).replicates, bootstrap(fit, replicates=20).replicates
        )


def test_codes_of_columns_share_one_numbering():
    (a, b), labels = intern({"winners": ["x", "y"], "losers": ["z", "x"]})
    assert labels == ("x", "y", "z")
    assert (a.tolist(), b.tolist()) == ([0, 1], [2, 0])
    column = np.arange(10, dtype=np.int32)
    (same,), _ = intern({"winners": column})
    assert same is column or same.base is column or np.shares_memory(same, column)
