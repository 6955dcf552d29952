"""Rows of files one by one, and the answer that each of them is."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime

import pytest

from gustibus.data import to_comparisons
from gustibus.data.answers import answer_of
from gustibus.data.files import Table
from gustibus.data.origin import Origin
from gustibus.data.streaming import rows_of
from gustibus.errors import InputError, NotFoundError

TEXTS = {"user": "u", "prompt": "p", "response_a": "x", "response_b": "y"}


def read(values, **more):
    return answer_of(values, place="log.jsonl:7", **more)


@pytest.mark.parametrize(
    ("values", "a", "b", "outcome"),
    [
        ({**TEXTS, "outcome": "both_bad"}, "x", "y", "both_bad"),
        ({**TEXTS, "winner": "model_b"}, "x", "y", "b"),
        ({**TEXTS, "winner": "Tie (bothbad)"}, "x", "y", "both_bad"),
        ({**TEXTS, "label": "1"}, "x", "y", "a"),
        ({**TEXTS, "label": 0}, "x", "y", "b"),
        ({**TEXTS, "target": 0.5}, "x", "y", "tie"),
        ({"user": "u", "a": "x", "b": {"text": "y"}, "outcome": "skip"}, "x", "y", "skip"),
    ],
)
def test_layouts_of_texts(values, a, b, outcome):
    found = read(values)
    assert (found.a_text, found.b_text, found.outcome) == (a, b, outcome)
    assert (found.user, found.a_item, found.b_item) == ("u", None, None)


def test_a_side_may_be_the_id_of_an_item():
    both = {**TEXTS, "item_a": "i-1", "item_b": "i-2", "outcome": "a"}
    assert (read(both).a_text, read(both).a_item) == ("x", None)
    named = read(both, by_id=True)
    assert (named.a_item, named.a_text, named.b_item, named.b_text) == ("i-1", None, "i-2", None)
    wire = read({"user": "u", "a": {"id": "i-1"}, "b": {"id": "i-2"}, "outcome": "b"})
    assert (wire.a_item, wire.b_item, wire.outcome) == ("i-1", "i-2", "b")


def test_chosen_and_rejected_are_the_sides_that_training_reads():
    rows = [
        {"user": f"u{n}", "prompt": "p", "chosen": f"good {n}", "rejected": f"bad {n}"}
        for n in range(20)
    ]
    table = Table({name: [row[name] for row in rows] for name in rows[0]}, Origin("rows"))
    trained = to_comparisons(table)
    for n, row in enumerate(rows):
        one = read(row)
        assert one.a_text == trained.item_texts[trained.a[n]]
        assert (one.outcome == "a") == (trained.target[n] == 1.0)
    assert {read(row).outcome for row in rows} == {"a", "b"}


def test_conversations_lose_what_they_share():
    shared = {"role": "user", "content": "How?"}
    found = read({
        "user": "u", "chosen": [shared, {"role": "assistant", "content": "x"}],
        "rejected": [shared, {"role": "assistant", "content": "y"}],
    })  # fmt: skip
    assert found.prompt == "How?"
    assert {found.a_text, found.b_text} == {"x", "y"}


def test_columns_can_be_mapped():
    found = read(
        {"annotator": "u", "good": "x", "bad": "y"}, columns={"chosen": "good", "rejected": "bad"}
    )
    assert {found.a_text, found.b_text} == {"x", "y"}


def test_a_record_is_named_by_what_it_says_unless_it_has_a_name():
    one = {**TEXTS, "outcome": "a"}
    assert read(one).id == answer_of(dict(one), place="other:1").id
    changed = [{**one, k: v} for k, v in {"user": "v", "prompt": "q", "outcome": "b"}.items()]
    assert len({read(row).id for row in [one, *changed]}) == 4
    assert read({**one, "id": "c-1"}).id == "c-1"


def test_times_without_a_zone_are_utc():
    found = read({**TEXTS, "outcome": "a", "at": "2026-01-02T03:04:05", "strength": "2.5"})
    assert found.at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert found.strength == 2.5


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"user": "a b"}, "column 'user': expected 1 to 128 letters"),
        ({"user": None}, "missing column 'user'"),
        ({"outcome": "maybe"}, "column 'outcome': expected one of a"),
        ({"outcome": None}, "missing column 'outcome'"),
        ({"response_b": None}, "missing column 'response_b'"),
        ({"response_a": "x\0"}, "column 'a': expected no NUL"),
        ({"response_a": "x" * 33_000}, "at most 32768 bytes"),
        ({"id": "a/b"}, "column 'id'"),
        ({"at": "yesterday"}, "column 'at': expected a time"),
        ({"strength": -1}, "column 'strength'"),
        ({"outcome": None, "target": 0.7}, "1 for a, 0 for b or 0.5 for a tie"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(change, reason):
    with pytest.raises(InputError) as caught:
        read({**TEXTS, "outcome": "a", **change})
    assert reason in caught.value.message
    assert caught.value.message.startswith("log.jsonl:7: ")


def test_broken_lines_do_not_end_the_file(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\n\n{"a": \n[1]\n{"a": "\xff"}\n{"a": 2, "b": null}')
    rows = list(rows_of(path))
    assert [row.number for row in rows] == [1, 3, 4, 5, 6]
    assert rows[0].values == {"a": 1}
    assert rows[-1].values == {"a": 2}
    reasons = [str(row.values) for row in rows if isinstance(row.values, InputError)]
    assert ["not valid JSON" in reasons[0], "JSON object" in reasons[1], "UTF-8" in reasons[2]] == [
        True
    ] * 3
    assert rows[-1].position == rows[-1].size


def test_delimited_text_may_span_lines(tmp_path):
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress(b'user,text\nu,"one\ntwo"\nv\nw,\n'))
    rows = list(rows_of(path))
    assert [row.number for row in rows] == [2, 4, 5]
    assert rows[0].values == {"user": "u", "text": "one\ntwo"}
    assert "expected 2 fields, got 1" in str(rows[1].values)
    assert rows[2].values == {"user": "w"}


def test_parquet_is_read_in_parts(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"user": [f"u{n}" for n in range(2500)], "prompt": [None, "p"] * 1250})
    pq.write_table(table, tmp_path / "log.parquet")
    rows = list(rows_of(tmp_path / "log.parquet"))
    assert [row.number for row in rows] == list(range(1, 2501))
    assert rows[0].values == {"user": "u0"}
    assert (rows[-1].position, rows[-1].size) == (2500, 2500)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(NotFoundError):
        rows_of(tmp_path / "none.csv")
    (tmp_path / "log.txt").write_text("x")
    with pytest.raises(InputError, match="ending in"):
        rows_of(tmp_path / "log.txt")
    (tmp_path / "log.parquet").write_text("x")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        list(rows_of(tmp_path / "log.parquet"))
    (tmp_path / "log.jsonl.gz").write_bytes(gzip.compress(json.dumps({}).encode())[:-4])
    with pytest.raises(InputError, match="cannot be unpacked"):
        list(rows_of(tmp_path / "log.jsonl.gz"))
    (tmp_path / "log.csv").write_text('a,b\n"open,1\n')
    with pytest.raises(InputError, match=r"log.csv:2: not well-formed"):
        list(rows_of(tmp_path / "log.csv"))


CHOSEN = {"user": "u", "chosen": "good", "rejected": "bad"}


@pytest.mark.parametrize(
    "more",
    [
        {"outcome": "b"}, {"outcome": "zz"}, {"winner": "tie"}, {"outcome": 5}, {"label": 0},
        {"response_a": "bad", "response_b": "good", "winner": "a"},
    ],
)  # fmt: skip
def test_a_column_that_contradicts_what_was_chosen_is_refused_with_its_line(more):
    with pytest.raises(InputError, match=r"^log.jsonl:7: column '(outcome|winner|label)'"):
        read(CHOSEN | more)


@pytest.mark.parametrize(
    "more",
    [
        {"outcome": "a"}, {"winner": "Model_A"}, {"outcome": "chosen"}, {"label": "news"}, {"label": 1},
        {"response_a": "bad", "response_b": "good", "winner": "model_b"}, {"outcome": None},
    ],
)  # fmt: skip
def test_a_column_that_agrees_with_what_was_chosen_changes_nothing(more):
    assert read(CHOSEN | more)[2:8] == read(CHOSEN)[2:8]


def test_columns_that_contradict_each_other_are_refused():
    read({**TEXTS, "outcome": "a", "winner": "model_a", "label": 1, "target": 1.0})
    for more in ({"winner": "b"}, {"label": 0}, {"target": 0.5}):
        with pytest.raises(InputError, match="as the rest of the record says"):
            read({**TEXTS, "outcome": "a", **more})
