"""Folders of tables and embeddings, and what a data set checks."""

import json

import numpy as np
import pytest

from gustibus.data import Comparisons, Dataset, read, read_folder, write_folder
from gustibus.errors import DimensionError, InputError, NotFiniteError, NotFoundError

ROWS = [
    {"user_id": "u", "prompt": "p", "item_a": 1, "item_b": 2, "label": 1, "split": "train",
     "user_split": "seen", "order": 0, "margin": 2},
    {"user_id": "u", "prompt": "p", "item_a": 3, "item_b": 2, "label": 0, "split": "test",
     "user_split": "seen", "order": 1, "margin": 1},
    {"user_id": "v", "prompt": "q", "item_a": 4, "item_b": 3, "label": 1, "split": "support",
     "user_split": "unseen", "order": 0, "margin": 1},
]  # fmt: skip
ITEMS = [
    {"item_id": i, "text": f"text {i}", "new_item": i == 5, "topic": "t"} for i in range(5, 0, -1)
]
USERS = [
    {"user_id": "v", "group": "g"},
    {"user_id": "silent", "group": "g"},
    {"user_id": "u", "group": "h"},
]
PROMPTS = [{"prompt": "q"}, {"prompt": "p"}]


def folder(path, **tables):
    given = {"comparisons": ROWS, "items": ITEMS, "users": USERS, "prompts": PROMPTS} | tables
    for name, rows in given.items():
        if rows is not None:
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            (path / f"{name}.jsonl").write_text(lines)
    np.save(path / "embeddings.npy", np.arange(10, dtype=np.float16).reshape(5, 2))
    np.save(path / "prompt_embeddings.npy", np.arange(6, dtype=np.float16).reshape(2, 3))
    return path


def test_tables_and_features_are_in_the_order_of_the_files(tmp_path):
    data = read(folder(tmp_path))
    c = data.comparisons
    assert c.user_ids == ("v", "u")  # the silent person has no row
    assert c.prompts == ("q", "p")
    assert c.item_ids == ("5", "4", "3", "2", "1")
    assert c.item_texts[0] == "text 5"
    assert data.item_features.dtype == np.float32
    assert data.item_features[c.a].tolist() == [[8, 9], [4, 5], [2, 3]]
    assert data.prompt_features[c.prompt[0]].tolist() == [3, 4, 5]
    assert data.item_new.tolist() == [True, False, False, False, False]
    assert data.user_table["group"].tolist() == ["g", "h"]
    assert data.item_table["topic"].tolist() == ["t"] * 5
    assert data.row_table["margin"].tolist() == [2, 1, 1]
    assert c.split.tolist() == ["train", "test", "support"]
    assert c.order.tolist() == [0, 1, 0]
    assert data.name == tmp_path.name


def test_only_comparisons_and_items_are_needed(tmp_path):
    folder(tmp_path, users=None, prompts=None)
    (tmp_path / "embeddings.npy").unlink()
    (tmp_path / "prompt_embeddings.npy").unlink()
    data = read(tmp_path)
    assert data.item_features is None
    assert data.comparisons.user_ids == ("u", "v")
    assert data.user_table == {}


def test_ties_are_appended_without_a_part(tmp_path):
    ties = [
        {"user_id": "u", "item_a": 1, "item_b": 3, "note": "no prompt"},
        {"user_id": "stranger", "item_a": 1, "item_b": 2},
        {"user_id": "v", "item_a": 1, "item_b": 4},
    ]
    data = read(folder(tmp_path, ties=ties))
    c = data.comparisons
    assert len(c) == 3  # u's items 1 and 3 have two prompts between them, as have v's
    assert c.tally["tie_without_prompt"] == 2
    assert c.tally["tie_without_person"] == 1
    folder(tmp_path, ties=[{"user_id": "v", "item_a": 1, "item_b": 2}])
    c = read(tmp_path).comparisons
    assert c.target.tolist() == [1, 0, 1, 0.5]
    assert c.split[-1] == ""
    assert c.prompts[c.prompt[-1]] == "p"
    assert c.tally["tie"] == 1
    assert read_folder(tmp_path, ties="train").comparisons.split[-1] == "train"
    assert np.isnan(read(tmp_path).row_table["margin"][-1])
    assert len(read_folder(tmp_path, ties=None).comparisons) == 3


def test_skipped_rows_take_their_further_columns_with_them(tmp_path):
    rows = [{**row, "outcome": o} for row, o in zip(ROWS, ("a", "skip", "b"), strict=True)]
    rows = [{k: v for k, v in row.items() if k != "label"} for row in rows]
    assert read(folder(tmp_path, comparisons=rows)).row_table["margin"].tolist() == [2, 1]
    assert read(tmp_path).comparisons.tally["skip"] == 1


def test_columns_a_and_b_hold_ids_in_a_folder(tmp_path):
    rows = [{"user": "u", "prompt": "p", "a": 1, "b": 2, "target": 0.5}]
    data = read(folder(tmp_path, comparisons=rows))
    assert data.comparisons.a.tolist() == [4]


def changed(rows, row, **values):
    return [{**r, **values} if i == row else r for i, r in enumerate(rows)]


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (
            {"comparisons": changed(ROWS, 1, item_b=77)},
            "isons.jsonl:2: column 'item_b': expected an id of the item table, got '77'",
        ),
        ({"comparisons": changed(ROWS, 1, label=7)}, "comparisons.jsonl:2: column 'label'"),
        ({"comparisons": changed(ROWS, 2, split="tets")}, "comparisons.jsonl:3: column 'split'"),
        (
            {"comparisons": changed(ROWS, 2, user_id="w")},
            "users.jsonl: no row for 1 people, such as 'w'",
        ),
        ({"comparisons": changed(ROWS, 2, prompt="r")}, "prompts.jsonl: lacks 1 prompts"),
        (
            {"items": changed(ITEMS, 1, item_id=5)},
            "items.jsonl:2: column 'item_id': expected an id that no earlier row has",
        ),
        (
            {"items": changed(ITEMS, 1, item_id=" ")},
            "items.jsonl:2: column 'item_id': expected a non-empty",
        ),
        (
            {"items": changed(ITEMS, 1, new_item="maybe")},
            "items.jsonl:2: column 'new_item': expected true or false",
        ),
        (
            {"items": [{"id": 1, "text": "x"}]},
            r"items.jsonl: missing column 'item_id'.*found \['id', 'text'\]",
        ),
        (
            {"items": [*ITEMS, {"item_id": 6, "text": "t", "new_item": False}]},
            "embeddings.npy: expected numbers of shape",
        ),
        ({"prompts": None}, "prompt_embeddings.npy: needs a table prompts"),
        (
            {"users": [{"user_id": "v"}, {"user_id": "v"}]},
            "users.jsonl:2: column 'user_id': expected an id that no",
        ),
    ],
)
def test_a_folder_that_does_not_fit_together_is_refused(tmp_path, tables, message):
    with pytest.raises(InputError, match=message):
        read(folder(tmp_path, **tables))


def test_a_folder_without_tables_is_not_found(tmp_path):
    with pytest.raises(NotFoundError, match="expected a file comparisons"):
        read(tmp_path)
    folder(tmp_path, items=None)
    with pytest.raises(NotFoundError, match="expected a file items"):
        read(tmp_path)


def test_two_files_for_one_table_are_refused(tmp_path):
    folder(tmp_path)
    (tmp_path / "items.csv").write_text("item_id,text\n1,x\n")
    with pytest.raises(InputError, match="expected one file for items"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([[np.nan, 0.0]] * 5), "expected finite numbers, got NaN or infinity in row 0"),
        (np.zeros((5, 2, 1)), "expected numbers of shape"),
        (np.array([["x"]] * 5), "expected numbers of shape"),
    ],
)
def test_embeddings_must_be_a_finite_matrix(tmp_path, array, message):
    np.save(folder(tmp_path) / "embeddings.npy", array)
    with pytest.raises(InputError, match=message):
        read(tmp_path)


def test_embeddings_of_python_objects_or_cut_short_are_refused(tmp_path):
    path = folder(tmp_path) / "embeddings.npy"
    np.save(path, np.array([{}] * 5, dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"embeddings.npy: cannot be read"):
        read(tmp_path)
    np.save(path, np.zeros((5, 2)))
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputError, match=r"embeddings.npy: cannot be read"):
        read(tmp_path)


def test_a_written_folder_is_read_back(tmp_path):
    one = read(folder(tmp_path))
    write_folder(one, tmp_path / "copy")
    two = read(tmp_path / "copy")
    for name in ("user_ids", "prompts", "item_ids", "item_texts"):
        assert getattr(one.comparisons, name) == getattr(two.comparisons, name)
    for name in ("user", "prompt", "a", "b", "target", "weight", "split", "order"):
        assert getattr(one.comparisons, name).tolist() == getattr(two.comparisons, name).tolist()
    np.testing.assert_array_equal(one.item_features, two.item_features)
    np.testing.assert_array_equal(one.prompt_features, two.prompt_features)
    assert two.item_new.tolist() == one.item_new.tolist()
    assert two.user_table["group"].tolist() == ["g", "h"]
    assert two.row_table["margin"].tolist() == [2, 1, 1]


def plain():
    return Comparisons.build(
        ["u", "u"], ["p", ""], ["x", "x"], ["y", "z"], [1, 0],
        item_texts={"x": "ex", "y": "why", "z": "zed"},
    )  # fmt: skip


class Lengths:
    """An encoder whose only feature is the length of the text."""

    dim = 1

    def encode(self, texts):
        return np.array([[len(t)] for t in texts], dtype=np.float32)


def test_features_come_from_the_data_or_from_an_encoder():
    data = Dataset(plain())
    assert data.features(Lengths()).tolist() == [[2], [3], [3]]
    assert data.features_of_prompts(Lengths()).tolist() == [[1], [0]]
    with pytest.raises(InputError, match="items have no features; pass an encoder"):
        data.features()
    given = np.ones((3, 2), dtype=np.float32)
    assert Dataset(plain(), item_features=given).features() is given


def test_an_encoder_that_returns_another_shape_or_nan_is_refused():
    class Wrong(Lengths):
        dim = 2

    class Nan(Lengths):
        def encode(self, texts):
            return np.full((len(texts), 1), np.nan, dtype=np.float32)

    with pytest.raises(DimensionError, match=r"encoder: expected shape \(3, 2\), got \(3, 1\)"):
        Dataset(plain()).features(Wrong())
    with pytest.raises(NotFiniteError):
        Dataset(plain()).features(Nan())


def test_arrays_of_another_length_are_refused():
    with pytest.raises(DimensionError, match="item_features: expected 3 rows, got 2"):
        Dataset(plain(), item_features=np.ones((2, 1), dtype=np.float32))
    with pytest.raises(DimensionError, match=r"user_table\['age'\]: expected 1 rows"):
        Dataset(plain(), user_table={"age": np.arange(2)})
    with pytest.raises(DimensionError, match="expected a matrix"):
        Dataset(plain(), item_features=np.ones(3, dtype=np.float32))


def test_joint_items_are_pairs_of_prompt_and_response():
    data = Dataset(plain(), item_new=np.array([True, False, False])).joint()
    c = data.comparisons
    texts = [[c.item_texts[i] for i in side] for side in (c.a, c.b)]
    assert texts == [["p\n\nex", "ex"], ["p\n\nwhy", "zed"]]
    assert data.item_new[c.a].tolist() == [True, True]
    assert len(c.item_ids) == 4


def test_taking_rows_of_a_data_set_takes_their_further_columns():
    data = Dataset(plain(), row_table={"margin": np.array([5, 6])}).take(np.array([1]))
    assert data.row_table["margin"].tolist() == [6]
    assert len(data.comparisons) == 1
