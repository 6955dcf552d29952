"""Ranked lists become comparisons of every pair, and keep their grades beside them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gustibus.data import Table, read, to_comparisons
from gustibus.data.origin import Origin
from gustibus.errors import InputError, NotFiniteError


def table(rows):
    columns = {key: [row.get(key) for row in rows] for row in rows for key in row}
    return Table(columns, Origin("lists.jsonl", np.arange(1, len(rows) + 1)))


def written(tmp_path, rows):
    path = tmp_path / "lists.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return read(path)


def preferences(data):
    """For every pair of texts the target of the first, in alphabetical order."""
    c = data.comparisons if hasattr(data, "comparisons") else data
    found = {}
    for a, b, target in zip(c.a, c.b, c.target, strict=True):
        x, y = c.item_texts[a], c.item_texts[b]
        found[min(x, y), max(x, y)] = float(target if x < y else 1 - target)
    return found


LIST = {"user": "u", "prompt": "p", "responses": ["x", "y", "z"], "grades": [1, 5, 3]}


def test_every_pair_of_a_list_is_a_comparison():
    assert preferences(to_comparisons(table([LIST]))) == {
        ("x", "y"): 0.0, ("x", "z"): 0.0, ("y", "z"): 1.0,
    }  # fmt: skip


def test_equal_grades_are_ties():
    one = {**LIST, "responses": ["x", "y"], "grades": [2, 2]}
    assert preferences(to_comparisons(table([one]))) == {("x", "y"): 0.5}


def test_a_list_of_k_weighs_as_k_less_one():
    many = {**LIST, "responses": list("abcde"), "grades": [1, 2, 3, 4, 5], "weight": 3.0}
    c = to_comparisons(table([many]))
    assert len(c) == 10
    assert c.weight.sum() == pytest.approx(3.0 * 4)


def test_grades_stay_beside_the_comparisons_on_a_common_scale(tmp_path):
    other = {**LIST, "user": "v", "responses": ["x", "y"], "grades": [2, 4]}
    data = written(tmp_path, [LIST, other])
    c = data.comparisons
    sides = np.concatenate([c.a, c.b])
    grades = np.concatenate([data.row_table["grade_a"], data.row_table["grade_b"]])
    users = np.concatenate([c.user, c.user])
    graded = {
        (c.user_ids[u], c.item_texts[i]): float(g)
        for u, i, g in zip(users, sides, grades, strict=True)
    }
    assert graded == {
        ("u", "x"): 0.0, ("u", "y"): 1.0, ("u", "z"): 0.5, ("v", "x"): 0.25, ("v", "y"): 0.75,
    }  # fmt: skip


def test_grades_between_zero_and_one_stay_as_they_are(tmp_path):
    data = written(tmp_path, [{**LIST, "grades": [0.2, 0.7, 0.6]}])
    assert sorted({*data.row_table["grade_a"], *data.row_table["grade_b"]}) == [0.2, 0.6, 0.7]


def test_ranks_count_from_the_best(tmp_path):
    ranked = {"user": "u", "responses": ["x", "y", "z"], "ranks": [3, 1, 2]}
    data = written(tmp_path, [ranked])
    assert preferences(data) == {("x", "y"): 0.0, ("x", "z"): 0.0, ("y", "z"): 1.0}
    assert sorted({*data.row_table["grade_a"], *data.row_table["grade_b"]}) == [0.0, 0.5, 1.0]


def test_one_response_a_row_is_gathered_by_person_and_prompt(tmp_path):
    rows = [
        {"user": u, "prompt": q, "response": t, "grade": g}
        for u, q, t, g in [
            ("u", "p", "x", 1), ("v", "p", "x", 5), ("u", "p", "y", 5), ("u", "q", "z", 3),
            ("v", "p", "y", 1),
        ]
    ]  # fmt: skip
    c = written(tmp_path, rows).comparisons
    assert [c.user_ids[u] for u in c.user] == ["u", "v"]
    assert c.weight.tolist() == [1.0, 1.0]
    said = [t if c.item_texts[a] == "x" else 1 - t for a, t in zip(c.a, c.target, strict=True)]
    assert said == [0.0, 1.0]


def test_the_side_says_nothing_about_the_grade():
    rows = [
        {"user": f"u{i}", "responses": [f"good {i}", f"bad {i}"], "grades": [1, 0]}
        for i in range(1000)
    ]
    assert abs(to_comparisons(table(rows)).target.mean() - 0.5) < 0.06


def test_splits_are_carried_to_every_pair():
    c = to_comparisons(table([{**LIST, "split": "val"}, {**LIST, "user": "v", "split": "train"}]))
    assert c.split.tolist() == ["val"] * 3 + ["train"] * 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"responses": "x"}, r"lists.jsonl:1: column 'responses': expected a list of at least two"),
        ({"responses": ["x"]}, "expected a list of at least two texts"),
        ({"grades": [1, 2]}, r"column 'grades': expected a list of 3 numbers, one a response"),
        ({"grades": None}, r"column 'grades': expected a list of 3 numbers"),
        ({"grades": [1, 2, "x"]}, r"column 'grades': expected a list of finite numbers"),
        ({"grades": [1, 2, float("nan")]}, r"column 'grades': expected a list of finite numbers"),
        ({"weight": float("inf")}, r"column 'weight': expected a finite number"),
    ],
)
def test_broken_lists_are_refused_with_their_row(change, message):
    with pytest.raises(InputError, match=message):
        to_comparisons(table([{**LIST, **change}]), layout="lists")


def test_ranks_out_of_range_are_refused():
    with pytest.raises(InputError, match="ranks from 1 for the best to 2, got"):
        to_comparisons(table([{"user": "u", "responses": ["x", "y"], "ranks": [0, 1]}]))


def test_grades_must_be_finite_and_lists_have_two_responses():
    one = {"user": "u", "response": "x", "grade": 1.0}
    with pytest.raises(InputError, match="at least two responses of one person to one prompt"):
        to_comparisons(table([one, {**one, "user": "v"}]))
    with pytest.raises(NotFiniteError, match="column 'grade': expected a finite number"):
        to_comparisons(table([one, {**one, "grade": float("nan")}]))


def test_further_columns_of_a_file_are_kept(tmp_path):
    path = tmp_path / "rows.jsonl"
    row = {
        "user": "u",
        "prompt": "p",
        "response_a": "x",
        "response_b": "y",
        "target": 1,
        "strength": 2.5,
    }
    path.write_text("\n".join(map(json.dumps, [row, {**row, "user": "v", "strength": None}])))
    assert read(path).row_table["strength"].tolist() == [2.5, None]
