"""Ballots from arrays, lists, frames and files, and what is wrong with bad ones."""

from __future__ import annotations

import numpy as np
import pytest

from gustibus.errors import InputError
from gustibus.social import Profile

RNG = np.random.default_rng(0)
FULL = np.argsort(RNG.random((200, 7)), axis=1)


def same(a: Profile, b: Profile) -> bool:
    return (
        a.labels == b.labels
        and np.array_equal(a.weights, b.weights)
        and all(np.array_equal(x, y) for x, y in zip(a.lists(), b.lists(), strict=True))
    )


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16,
                                   np.uint32, np.uint64, ">i4"])  # fmt: skip
def test_every_integer_dtype_gives_the_same_profile(dtype):
    assert same(Profile(FULL.astype(dtype)), Profile(FULL))


def test_layouts_lists_and_frames_give_the_same_profile():
    pa, pd, pl = (pytest.importorskip(name) for name in ("pyarrow", "pandas", "polars"))
    expected = Profile(FULL)
    columns = {f"place {i}": FULL[:, i] for i in range(7)}
    for other in (
        np.asfortranarray(FULL), FULL.tolist(), [tuple(row) for row in FULL.tolist()],
        list(FULL), pd.DataFrame(columns), pl.DataFrame(columns), pa.table(columns),
        pa.array(FULL.tolist()), pl.Series(FULL.tolist()), pd.Series(FULL.tolist()),
        FULL.astype(float), FULL.astype(object),
    ):  # fmt: skip
        assert same(Profile(other), expected)


def test_categories_and_dictionaries_are_used_as_they_are():
    pa, pd = pytest.importorskip("pyarrow"), pytest.importorskip("pandas")
    words = [["tea", "rum"], ["rum", None], ["ale", "tea"]]
    kind = pd.CategoricalDtype(["tea", "ale", "rum", "unused"])
    frame = pd.DataFrame(words).astype(kind)
    table = pa.table([pa.array(list(c)).dictionary_encode() for c in zip(*words, strict=True)],
                     names=["1", "2"])  # fmt: skip
    expected = Profile([[w for w in ballot if w] for ballot in words])
    assert expected.labels == ("ale", "rum", "tea")
    assert same(Profile(frame), expected)
    assert same(Profile(table), expected)


def test_places_are_item_major_and_invert_the_rankings():
    profile = Profile(FULL, compact=False)
    places, rankings = profile.places(), profile.rankings
    assert places.dtype == np.uint8
    assert places.flags.c_contiguous
    assert np.array_equal(rankings, FULL)
    assert np.array_equal(places.T, np.argsort(FULL, axis=1))
    wide = np.argsort(RNG.random((3000, 300)), axis=1)
    profile = Profile(wide, threads=3)
    assert profile.places().dtype == np.uint16
    assert np.array_equal(profile.places().T, np.argsort(wide, axis=1))


def test_equal_ballots_are_merged_when_asked_and_in_order_of_appearance():
    rows = np.array([[0, 1, 2], [2, 1, 0], [0, 1, 2], [1, 0, 2]])
    merged = Profile(rows, weights=[1, 2, 3, 4], compact=True)
    assert merged.rankings.tolist() == [[0, 1, 2], [2, 1, 0], [1, 0, 2]]
    assert merged.weights.tolist() == [4, 2, 4]
    assert merged.total_weight == 10
    assert Profile(rows, compact=False).n_ballots == 4
    assert Profile(rows).n_ballots == 3  # a quarter is duplicated
    weak = Profile([["a", ["b", "c"]], ["a", ["c", "b"]], [["a", "b"], "c"]], compact=True)
    assert weak.weights.tolist() == [2, 1]


def test_ties_and_unranked_items_are_kept():
    profile = Profile([["b", ["c", "a"]], [], [{"a", "b"}]], labels=["a", "b", "c"])
    lists = profile.lists()
    assert lists.starts.tolist() == [0, 3, 3, 5]
    assert lists.items.tolist() == [1, 0, 2, 0, 1]
    assert lists.ends.tolist() == [True, False, True, False, True]
    assert not profile.is_full
    assert not profile.is_strict
    padded = Profile(np.array([[1, 0, 2], [2, -1, -1]]))
    assert padded.lists().items.tolist() == [1, 0, 2, 2]
    assert padded.is_strict
    assert not padded.is_full


def test_scores_and_places_become_weak_ballots():
    scores = [[3.0, 1.0, 3.0], [np.nan, 2.0, 5.0]]
    profile = Profile.from_scores(scores)
    assert profile.lists().items.tolist() == [0, 2, 1, 2, 1]
    assert profile.lists().ends.tolist() == [False, True, True, True, True]
    assert same(Profile.from_places([[1, 2, 1], [-1, 9, 2]]), profile)


def test_labels_name_the_items_of_arrays():
    letters = tuple("gfedcba")
    assert Profile(FULL, labels=letters).labels == letters
    assert same(Profile(FULL.tolist(), labels=letters), Profile(FULL, labels=letters))
    names = np.array(letters)[FULL]
    assert same(Profile(names, labels=letters), Profile(FULL, labels=letters))
    assert Profile(names).labels == tuple("abcdefg")
    assert Profile(FULL + 1).labels == (1, 2, 3, 4, 5, 6, 7)
    assert Profile(np.array([[0, 1]]), labels="ab雪").n_items == 3
    assert Profile([["雪", 3, ("x",)]]).labels == ("雪", 3, "x")


@pytest.mark.parametrize(
    ("rankings", "options", "message"),
    [
        ([], {}, "rankings: expected at least one ballot"),
        (np.empty((0, 3), int), {}, "rankings: expected at least one ballot and one item"),
        ([[]], {}, "rankings: expected at least one item"),
        (3, {}, "rankings: expected ballots, got int"),
        ("abc", {}, "rankings: expected ballots, got str"),
        (["abc"], {}, "rankings: expected a sequence of items per ballot, got 'abc'"),
        ([1, 2], {}, "rankings: expected a sequence of items per ballot, got 1"),
        (np.arange(3), {}, r"rankings: expected shape \(n, m\), got \(3,\)"),
        ([["a", "a"]], {}, "each item at most once on a ballot, got 'a' twice on ballot 0"),
        (np.array([[0, 1], [1, 1]]), {}, "got item 1 twice on ballot 1"),
        (np.array([[0, -1], [-1, 1]]), {}, "no gap before a ranked item, got one on ballot 1"),
        (np.array([[0.5, 1.0]]), {}, "expected names or whole numbers, got 0.5"),
        (np.array([[True, False]]), {}, "expected integers or names, got an array of bool"),
        ([["a"], ["b"]], {"labels": ["a", "c"]}, "labels 'a', 'c'; got 'b' on ballot 1"),
        (np.array([[0, 7]]), {"labels": "ab"}, "rankings: expected"),
        ([["a"]], {"labels": []}, "labels: expected at least one"),
        ([["a"]], {"labels": ["a", "a"]}, "labels: expected different ones, got 'a' twice"),
        ([["a"]], {"labels": [["a"]]}, "labels: expected a sequence of hashable names"),
        ([["a"]], {"weights": [1, 2]}, r"weights: expected shape \(1,\), got \(2,\)"),
        ([["a"]], {"weights": 1.0}, r"weights: expected shape \(n,\), got \(\)"),
        ([["a"]], {"weights": ["x"]}, "weights: expected numbers, got list"),
        ([["a"]], {"weights": np.array([1j])}, "weights: expected numbers, got ndarray: complex"),
        ([["a"]], {"weights": [-1]}, "weights: expected numbers of at least 0, got -1"),
        ([["a"]], {"weights": [np.nan]}, "weights: expected finite numbers"),
        ([["a"]], {"weights": [0]}, "weights: expected a positive, finite sum, got 0"),
        ([["a"]], {"unranked": "first"}, "unranked: expected 'last', 'ignore' or 'average'"),
        ([["a"]], {"compact": "yes"}, "compact: expected True, False or 'auto'"),
        (np.array([[0, 1]]), {"threads": 0}, "threads: expected a number of at least 1"),
    ],
)
def test_bad_ballots_are_named(rankings, options, message):
    with pytest.raises(InputError, match=message):
        Profile(rankings, **options)


FILE = """# FILE NAME: x.toi
# NUMBER ALTERNATIVES: 3
# ALTERNATIVE NAME 1: Ärger
# ALTERNATIVE NAME 2: Write-in
# ALTERNATIVE NAME 3: Write-in
5: 1,{2,3}
2: 3
"""


def test_preflib_files_are_read(tmp_path):
    path = tmp_path / "x.toi"
    path.write_text(FILE, encoding="utf-8")
    profile = Profile.read(path)
    assert profile.labels == ("Ärger", "Write-in (2)", "Write-in (3)")
    assert profile.weights.tolist() == [5, 2]
    assert profile.lists().items.tolist() == [0, 1, 2, 2]
    assert profile.lists().ends.tolist() == [True, False, True, True]
    path = tmp_path / "x.cat"
    path.write_text("# NUMBER ALTERNATIVES: 3\n1: {2,1},{},3\n", encoding="utf-8")
    assert Profile.read(path).lists().ends.tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.txt", FILE, "path: expected a file ending in .soc"),
        ("x.toi", FILE + "x: 1\n", r"x.toi:8: expected 'count: order', got 'x: 1'"),
        ("x.toi", FILE + "1 2 3\n", r"x.toi:8: expected 'count: order'"),
        ("x.toi", FILE + "1: 1,4\n", r"x.toi:8: expected alternatives from 1 to 3, got '4'"),
        ("x.toi", FILE + "1: 1,1\n", r"x.toi:8: expected each alternative once"),
        ("x.toi", FILE + "1: 1,{2\n", r"x.toi:8: expected numbers and \{groups\}"),
        ("x.toi", "1: 1\n", r"x.toi:1: expected alternatives from 1 to 0, got '1'"),
        ("x.toi", "# NUMBER ALTERNATIVES: x\n", r"x.toi:1: expected the number of alternatives"),
        ("x.toi", "", r"expected a line '# NUMBER ALTERNATIVES: m'"),
        ("x.toi", "# NUMBER ALTERNATIVES: 3\n", "rankings: expected at least one ballot"),
    ],
)
def test_wrong_preflib_lines_are_named(tmp_path, name, text, message):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        Profile.read(path)


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        Profile.read(tmp_path / "none.soc")
