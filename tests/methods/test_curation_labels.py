"""One table of labels: origins that can be switched, files that are never overwritten."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gustibus.curation import Labels, build, read_labels
from gustibus.data import read
from gustibus.errors import ConflictError, InputError

few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def log(count=4):
    return Labels.of(
        [
            {"user": f"u{i % 2}", "prompt": "p", "response_a": f"a{i}", "response_b": f"b{i}",
             "target": float(i % 2), "weight": 1.0 + i, "soft": 0.1 * (i + 1)} for i in range(count)
        ],
        source="log",
    )  # fmt: skip


def add(table, name, rows):
    return table.add(rows, builder=name, source="test", version="1", seed=-1)


def weights(table):
    return table["weight"].tolist()


def test_the_last_builder_that_is_on_counts():
    table = add(log(2), "one", [{"row": 0, "target": 0.4}])
    table = add(table, "two", [{"row": 0, "target": 0.3, "weight": 5.0}])
    assert weights(table) == [0, 2, 0, 5]
    assert weights(table.switch({"two"})) == [0, 2, 1, 0]
    assert weights(table.switch({"one", "two"})) == [1, 2, 0, 0]
    assert weights(table.switch({"one"}).switch(set())) == weights(table)


def test_a_builder_stays_off_when_another_one_is_added():
    table = add(log(2), "one", [{"row": 0, "target": 0.4}]).switch({"one"})
    table = add(table, "two", [{"row": 1, "target": 0.6}])
    assert table.off == {"one"}
    assert weights(table) == [1, 0, 0, 2]


def test_a_builder_reads_what_counts_and_keeps_what_it_does_not_change():
    table = build("given", log(2), source="m", column="soft", weight=0.5)
    assert [row["target"] for row in table.counting()] == pytest.approx([0.1, 0.2])
    assert weights(table) == [0, 0, 0.5, 0.5]
    assert table["response_a"].tolist() == ["a0", "a1"] * 2
    again = add(table, "more", [{"row": 1, "margin": 2.0}])
    assert again.counting()[-1]["target"] == pytest.approx(0.2)


@few
@given(st.data())
def test_switching_everything_off_gives_the_recorded_rows(data):
    table = log(3)
    for name in ("one", "two", "three"):
        rows = data.draw(st.lists(st.integers(0, 2), unique=True))
        table = add(table, name, [{"row": r, "target": 0.5, "weight": 0.0} for r in rows])
    used = set(table.uses()) - {"recorded"}
    back = table.switch(used)
    assert weights(back)[:3] == [1, 2, 3]
    assert sum(weights(back)[3:]) == 0
    assert weights(back.switch(set())) == weights(table)


def test_a_label_beside_the_recorded_one_leaves_it():
    table = build("given", log(2), source="follow-ups", column="soft", weight=0.1, beside=True)
    assert weights(table) == [1, 2, 0.1, 0.1]
    assert table["source"].tolist() == ["log", "log", "follow-ups", "follow-ups"]
    assert table["row"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_a_file_gives_the_same_table_back_and_is_never_overwritten(tmp_path, ending):
    table = build("given", log(), source="m", column="soft").switch({"given"})
    path = tmp_path / f"labels.{ending}"
    table.write(path)
    back = read_labels(path)
    assert back.off == {"given"}
    assert set(back.columns) == set(table.columns)
    for name, column in table.columns.items():
        np.testing.assert_array_equal(back[name], column)
    before = path.read_bytes()
    with pytest.raises(ConflictError, match="never overwritten"):
        table.write(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_training_reads_what_counts(tmp_path):
    build("given", log(2), source="m", column="soft").write(tmp_path / "x.parquet")
    c = read(tmp_path / "x.parquet").comparisons
    np.testing.assert_allclose(c.weight, [0, 0, 1, 1])
    np.testing.assert_allclose(c.target, [0, 1, 0.1, 0.2], atol=1e-6)


def test_pairs_across_prompts_are_read_as_items_of_prompt_and_response(tmp_path):
    rows = [
        {"prompt": "q1", "response": "r1", "rating": 5}, {"prompt": "q2", "response": "r2", "rating": 1},
    ]  # fmt: skip
    build("cross_prompt", rows, source="ratings", per_item=4).write(tmp_path / "x.jsonl")
    c = read(tmp_path / "x.jsonl").comparisons
    assert c.prompts == ("",)
    assert c.item_texts[c.a[0]] == "q1\n\nr1"
    assert c.item_texts[c.b[0]] == "q2\n\nr2"


def test_comparisons_of_any_layout_are_recorded_with_their_further_columns(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(
        '{"annotator": "u", "prompt": "p", "chosen": "good", "rejected": "bad", "event": "e1",'
        ' "split": "test", "why": "because"}\n'
    )
    table = read_labels(path)
    row = table.counting()[0]
    assert row["response_a" if row["target"] == 1 else "response_b"] == "good"
    assert (row["why"], row["split"], row["event"]) == ("because", "test", "e1")
    with_reason = build("rationale", table, source="log", column="why")
    assert with_reason.counting()[0]["rationale"] == "because"
    assert with_reason["event"].tolist() == ["e1", None]


def test_new_pairs_stay_in_the_part_of_the_split_that_they_come_from():
    rows = [{"user": "u", "prompt": "p", "response_a": "A long enough answer.", "response_b": "no",
             "split": "test"}]  # fmt: skip
    for name in ("degraded", "instructions"):
        table = build(name, Labels.of(rows, source="log"), source="log")
        assert len(table) > 1
        assert set(table["split"]) == {"test"}
        assert set(table["user"]) == {"u"}


def test_one_builder_is_added_once_and_needs_its_columns():
    table = build("given", log(), source="m", column="soft")
    with pytest.raises(ConflictError, match="rows of 'given' already"):
        build("given", table, source="m", column="soft")
    with pytest.raises(InputError, match="strength: expected the columns"):
        build("strength", log(), source="m")
    with pytest.raises(InputError, match="expected the first row of a pair, got row 4"):
        add(table, "more", [{"row": 4, "target": 0.5}])
    with pytest.raises(InputError, match="off: expected builders among"):
        log().switch({"nobody"})
    with pytest.raises(InputError, match="data: expected items for the builder 'tree'"):
        build("tree", log(), source="m")
    with pytest.raises(InputError, match="target: expected numbers in"):
        Labels.of([{"response_a": "x", "response_b": "y", "target": 2}], source="log")
    with pytest.raises(InputError, match="expected a text 'response_b'"):
        Labels.of([{"response_a": "x"}], source="log")
