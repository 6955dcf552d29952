"""The table of comparisons: what it accepts, refuses and gives back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gustibus.data import Comparisons, read
from gustibus.data.origin import Origin
from gustibus.errors import DimensionError, InputError, NotFiniteError

GOOD = {
    "user": ["u", "v", "u"],
    "prompt": ["p", "p", "q"],
    "a": ["x", "y", "x"],
    "b": ["y", "x", "z"],
    "target": [1.0, 0.5, 0.0],
}


def build(**changed):
    return Comparisons.build(**{**GOOD, **changed})


def contents(c):
    """Rows as plain tuples, whatever their codes are."""
    columns = c.decoded()
    texts = dict(zip(c.item_ids, c.item_texts, strict=True))
    sides = [[texts[i] for i in columns[s]] for s in "ab"]
    return list(zip(*(columns[n].tolist() for n in columns), *sides, strict=True))


def test_strings_are_coded_in_order_of_appearance():
    c = build()
    assert c.user_ids == ("u", "v")
    assert c.item_ids == ("x", "y", "z")
    assert c.user.tolist() == [0, 1, 0]
    assert c.a.tolist() == [0, 1, 0]
    assert c.b.tolist() == [1, 0, 2]
    assert c.target.dtype == np.float32
    assert c.weight.tolist() == [1, 1, 1]
    assert c.counts.tolist() == [2, 1]
    assert c.tally["tie"] == 1


def test_given_tables_keep_their_order_and_their_unused_rows():
    c = build(user_ids=["w", "v"], item_texts={"z": "zed", "y": "why", "x": "ex"}, prompts=["q"])
    assert c.user_ids == ("w", "v", "u")
    assert c.prompts == ("q", "p")
    assert c.item_texts == ("zed", "why", "ex")
    assert c.counts.tolist() == [0, 1, 2]


def test_integers_and_their_digits_are_the_same_id():
    c = build(user=[7, "7", np.int64(7)])
    assert c.user_ids == ("7",)


def test_columns_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        build().target[0] = 0.3


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("user", ["u", "", "u"], r"comparisons\[1\]: column 'user': expected a non-empty string"),
        ("user", ["u", "  ", "u"], "column 'user': expected a non-empty string"),
        ("user", ["u", None, "u"], "column 'user': expected a non-empty string, got None"),
        ("user", ["u", ["v"], "u"], "column 'user': expected a non-empty string"),
        ("user", ["u", True, "u"], "column 'user': expected a non-empty string, got True"),
        ("user", ["u", 1.5, "u"], "column 'user': expected a non-empty string, got 1.5"),
        ("a", ["x", "", "x"], "column 'a': expected a non-empty string"),
        ("a", ["x", "x", "x"], "expected another item than on side a .*--identical drop.*, got 'x'"),
        ("prompt", ["p", 3.5, "q"], "column 'prompt': expected a string, got 3.5"),
        ("prompt", ["p", "\ud800", "q"], "expected valid Unicode"),
        ("target", [1, 1.5, 0], r"\[1\]: column 'target': expected a probability in .* got 1.5"),
        ("target", [1, -0.1, 0], "column 'target': expected a probability"),
        ("target", [1, None, 0], "column 'target': expected a probability in .* got None"),
        ("target", [1, "yes", 0], "column 'target': expected a probability in .* got 'yes'"),
        ("weight", [1, -2, 1], "column 'weight': expected a finite number at or above 0, got -2"),
        ("weight", [1, np.inf, 1], "column 'weight': expected a finite number"),
        ("split", ["train", "trian", ""], "column 'split': expected one of .* got 'trian'"),
        ("order", [1, 2.5, 3], "column 'order': expected an integer, got 2.5"),
        ("event", ["e", {"id": 1}, None], "column 'event': expected a string or nothing"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_by_row_and_column(column, values, message):
    with pytest.raises(InputError, match=message):
        build(**{column: values})


@pytest.mark.parametrize("column", ["target", "weight"])
def test_nan_is_refused_as_not_finite(column):
    with pytest.raises(NotFiniteError, match=f"column '{column}'.*got nan"):
        build(**{column: [0.5, np.nan, 1.0]})


def test_errors_use_the_names_and_numbers_of_the_file():
    origin = Origin("logs.csv", np.array([2, 5, 9]), {"target": "p_left"})
    with pytest.raises(InputError) as caught:
        build(target=[0, 0, 7], origin=origin)
    assert str(caught.value).startswith("logs.csv:9: column 'p_left': expected a probability")
    assert caught.value.where == "logs.csv:9:p_left"


def test_columns_of_different_length_are_refused():
    with pytest.raises(DimensionError, match="one length"):
        build(user=["u"])


def test_an_item_that_the_table_lacks_is_refused():
    with pytest.raises(InputError, match=r"\[2\]: column 'b': expected an id of the item table"):
        build(item_texts={"x": "", "y": ""})


def test_missing_weights_and_orders_have_defaults():
    c = build(weight=[2, None, ""], order=[3, None, 1], split=["train", None, ""])
    assert c.weight.tolist() == [2, 1, 1]
    assert c.order.tolist() == [3, -1, 1]
    assert c.split.tolist() == ["train", "", ""]


def test_exact_repeats_of_an_event_are_dropped_and_counted():
    c = Comparisons.build(
        user=["u", "v", "u", "u"],
        prompt=["p"] * 4,
        a=["x"] * 4,
        b=["y"] * 4,
        target=[1, 1, 1, 0],
        event=["e1", None, "e1", None],
    )
    assert len(c) == 3
    assert c.tally["repeated"] == 1
    assert c.source_row.tolist() == [0, 1, 3]


def test_an_event_with_two_contents_is_refused():
    with pytest.raises(
        InputError, match=r"\[2\]: column 'event': expected the same answer as comparisons\[0\]"
    ):
        build(event=["e", "f", "e"])  # fmt: skip


def test_identical_sides_can_be_dropped_and_are_counted():
    c = build(a=["x", "x", "x"], identical="drop")
    assert len(c) == 2
    assert c.tally["identical"] == 1


def test_taking_rows_keeps_the_tables():
    c = build(split=["train", "test", ""], event=["e", None, "f"])
    part = c.take(np.array([2, 0]))
    assert part.user_ids == c.user_ids
    assert contents(part) == [contents(c)[2], contents(c)[0]]
    assert contents(c.take(np.array([False, True, False]))) == [contents(c)[1]]
    assert len(c.take(np.array([], dtype=int))) == 0


def test_rows_of_people_are_grouped_and_stay_in_order():
    c = build(user_ids=["nobody"])
    order, starts = c.rows_of_people()
    assert starts.tolist() == [0, 0, 2, 3]
    assert order.tolist() == [0, 2, 1]
    order, starts = c.rows_of_people(np.array([2, 1]))
    assert starts.tolist() == [0, 0, 1, 2]
    assert order.tolist() == [2, 1]


def test_concatenation_joins_tables_and_fills_missing_columns():
    one = build(split=["train"] * 3, item_texts={"x": "ex", "y": "why", "z": "zed"})
    two = Comparisons.build(["w"], ["p"], ["x"], ["n"], [1], item_texts={"x": "ex", "n": "en"})
    both = Comparisons.concat([one, two])
    assert both.user_ids == ("u", "v", "w")
    assert both.item_texts == ("ex", "why", "zed", "en")
    assert both.split.tolist() == ["train"] * 3 + [""]
    assert both.tally["rows"] == 4


def test_concatenation_refuses_one_id_for_two_texts():
    one = Comparisons.build(["u"], ["p"], ["x"], ["y"], [1], item_texts={"x": "ex", "y": "why"})
    two = Comparisons.build(["u"], ["p"], ["x"], ["y"], [1], item_texts={"x": "other", "y": "why"})
    with pytest.raises(InputError, match="item 'x' stands for two different texts"):
        Comparisons.concat([one, two])
    with pytest.raises(InputError, match="at least one"):
        Comparisons.concat([])


def test_writing_refuses_other_endings_and_leaves_nothing_behind(tmp_path):
    with pytest.raises(InputError, match=r"ending in .parquet or .jsonl"):
        build().write(tmp_path / "c.xlsx")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "c.jsonl"
    build().write(path)
    before = path.read_bytes()
    broken = build(event=["e", None, "f"])
    object.__setattr__(broken, "event", np.array(["e", {1, 2}, "f"], dtype=object))
    with pytest.raises(TypeError):
        broken.write(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["c.jsonl"]


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ID = TEXT.filter(lambda s: s.strip())


@st.composite
def tables(draw):
    items = draw(st.dictionaries(ID, TEXT, min_size=2, max_size=6))
    n = draw(st.integers(1, 8))
    sides = [
        draw(st.lists(st.sampled_from(sorted(items)), min_size=2, max_size=2, unique=True))
        for _ in range(n)
    ]

    def column(values):
        return draw(st.lists(values, min_size=n, max_size=n))

    unit = st.floats(0, 1, width=32)
    return Comparisons.build(
        user=column(ID),
        prompt=column(TEXT),
        a=[s[0] for s in sides],
        b=[s[1] for s in sides],
        target=column(unit),
        weight=column(st.floats(0, 1e6, width=32)) if draw(st.booleans()) else None,
        event=draw(
            st.none() | st.lists(ID, min_size=n, max_size=n, unique=True)
        ),
        split=column(st.sampled_from(["train", "query", ""])) if draw(st.booleans()) else None,
        order=column(st.integers(-1, 2**31 - 1)) if draw(st.booleans()) else None,
        item_texts=items if draw(st.booleans()) else None,
    )  # fmt: skip


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
@settings(deadline=None)
@given(c=tables())
def test_what_is_written_is_read_back(tmp_path_factory, ending, c):
    path = tmp_path_factory.mktemp("c") / f"c.{ending}"
    c.write(path)
    assert contents(read(path).comparisons) == contents(c)


@settings(deadline=None)
@given(c=tables())
def test_swapping_sides_twice_changes_nothing(c):
    swapped = c.swap_sides()
    assert swapped.a.tolist() == c.b.tolist()
    np.testing.assert_allclose(swapped.target + c.target, 1, atol=1e-7)
    again = swapped.swap_sides()
    assert again.a.tolist() == c.a.tolist()
    np.testing.assert_allclose(again.target, c.target, atol=1e-7)


@settings(deadline=None)
@given(c=tables(), data=st.data())
def test_rows_of_people_cover_every_row_once(c, data):
    index = np.array(data.draw(st.lists(st.integers(0, len(c) - 1), unique=True)), dtype=np.int64)
    order, starts = c.rows_of_people(index)
    assert sorted(order.tolist()) == sorted(index.tolist())
    for person in range(len(c.user_ids)):
        assert set(c.user[order[starts[person] : starts[person + 1]]].tolist()) <= {person}
