"""Files into columns: formats, line numbers, and files that are broken."""

import gzip
import json
import time
from collections import Counter

import numpy as np
import pytest

from gustibus.data import read, read_table
from gustibus.data.streaming import rows_of
from gustibus.errors import InputError, NotFoundError

ROWS = [
    {"user": "u", "prompt": "p", "response_a": "x", "response_b": "y", "outcome": "a"},
    {"user": "ü", "prompt": "π?", "response_a": "naïve 🙂", "response_b": "y", "outcome": "tie"},
]


def jsonl(path, rows):
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return path


def test_json_lines_keep_line_numbers_over_blank_lines(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps(ROWS[0]) + "\n\n" + json.dumps(ROWS[1]) + "\n", encoding="utf-8")
    table = read_table(path)
    assert table.origin.rows.tolist() == [1, 3]
    assert table.columns["user"] == ["u", "ü"]


def test_a_key_that_a_line_lacks_is_none(tmp_path):
    table = read_table(jsonl(tmp_path / "x.ndjson", [{"a": 1}, {"b": 2}]))
    assert table.columns == {"a": [1, None], "b": [None, 2]}


@pytest.mark.parametrize("ending", [".jsonl", ".ndjson"])
def test_packed_json_lines_are_read(tmp_path, ending):
    path = tmp_path / f"logs{ending}.gz"
    path.write_bytes(gzip.compress(json.dumps(ROWS[1]).encode()))
    assert read(path).comparisons.item_texts == ("naïve 🙂", "y")
    assert read(path).name == "logs"


@pytest.mark.parametrize(("ending", "mark"), [("csv", ","), ("tsv", "\t")])
def test_delimited_text_is_read_with_quotes_and_line_breaks(tmp_path, ending, mark):
    path = tmp_path / f"logs.{ending}"
    head = mark.join(["user", "prompt", "response_a", "response_b", "winner"])
    rows = [mark.join(["u", '"two\nlines"', f'"a{mark}b"', "y", "model_a"]), mark.join("vpxyb")]
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    table = read_table(path)
    assert table.origin.rows.tolist() == [2, 4]
    c = read(path).comparisons
    assert c.prompts == ("two\nlines", "p")
    assert c.item_texts[0] == f"a{mark}b"
    assert c.target.tolist() == [1, 0]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes("\ufeffuser,v\nu,1\n".encode())
    assert list(read_table(path).columns) == ["user", "v"]


def test_long_cells_are_read_and_the_limit_of_the_process_is_left_alone(tmp_path):
    import csv

    before = csv.field_size_limit()
    path = tmp_path / "x.csv"
    path.write_text(f"user,text\nu,{'x' * 300_000}\n")
    assert len(read_table(path).columns["text"][0]) == 300_000
    assert csv.field_size_limit() == before


def test_parquet_gives_shared_strings_numbers_and_missing_values(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"s": ["a", None, "a"], "n": [1, None, 3], "f": [0.5, 1.5, 2.5]}), path)
    table = read_table(path)
    assert list(table.columns["s"]) == ["a", None, "a"]
    assert list(table.columns["n"]) == [1, None, 3]
    assert table.columns["f"].tolist() == [0.5, 1.5, 2.5]
    assert table.origin.rows.tolist() == [1, 2, 3]


def test_parquet_of_several_row_groups_is_one_table(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"s": [f"t{i % 7}" for i in range(100)]}), path, row_group_size=9)
    assert list(read_table(path).columns["s"]) == [f"t{i % 7}" for i in range(100)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jsonl", b"", "x.jsonl: the file has no rows"),
        ("x.csv", b"", "x.csv: the file has no rows"),
        ("x.csv", b"user,prompt\n", "x.csv: the file has no rows"),
        ("x.jsonl", b'{"a": 1}\n{"a": \n', "x.jsonl:2: not valid JSON"),
        ("x.jsonl", b'{"a": 1}\n[1, 2]\n', r"x.jsonl:2: expected a JSON object per line"),
        ("x.jsonl", b'{"a": 1}\n{"a": "\xff"}\n', "x.jsonl:2: not UTF-8: invalid start"),
        ("x.jsonl", b"[" * 100_000, "x.jsonl:1: (JSON is nested|not valid)"),
        ("x.csv", b"user,v\nu,\xe9\n", "x.csv:2: not UTF-8"),
        ("x.csv", b"user,v\nu,1\nu,1,2\n", "x.csv:3: expected 2 fields, got 3"),
        ("x.csv", b'user,v\nu,"open\n', "x.csv:2: not well-formed"),
        ("x.csv", b"user,user\nu,1\n", "x.csv:1: a column name occurs twice"),
        ("x.parquet", b"PAR1 and then nothing", "x.parquet: cannot be read as Parquet"),
        ("x.parquet", b"", "x.parquet: cannot be read as Parquet"),
        ("x.jsonl.gz", b"no gzip", "x.jsonl.gz: cannot be unpacked"),
        ("x.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 99, mtime=0)[:-12], "x.jsonl.gz: cannot be unpacked"),
        ("x.xlsx", b"", "x.xlsx: expected a file ending in one of"),
        ("x.parquet.gz", b"", "x.parquet.gz: expected a file ending in one of"),
        ("x", b"", "x: expected a file ending in one of"),
    ],
)  # fmt: skip
def test_a_broken_file_is_refused_by_name_and_line(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read(path)


def test_a_truncated_parquet_file_is_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"user": ["u"] * 1000}), path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"x.parquet: cannot be read as Parquet"):
        read(path)


def test_a_parquet_file_with_a_wrong_byte_is_read_or_refused(tmp_path):
    """Pages may name texts that the file does not have, before or behind those that it has."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "x.parquet"
    table = pa.table({"s": [f"t{i % 3}" for i in range(40)]})
    pq.write_table(table, path, compression="none", store_schema=False)
    whole, said = path.read_bytes(), Counter[str]()
    for place in range(4, len(whole) - 8):
        for wrong in (0xFF, 0x04):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ wrong]) + whole[place + 1 :])
            try:
                said["read"] += sum(1 for _ in rows_of(path)) > 0
            except InputError as error:
                said["refused"] += 1
                said["indices"] += "indices" in str(error)
    assert said["read"] > 50, said
    assert said["indices"] > 3, said


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(NotFoundError, match="no such file"):
        read(tmp_path / "nothing.jsonl")


# a busy machine may miss a deadline once
@pytest.mark.flaky(reruns=3)
def test_ten_thousand_lines_take_well_below_a_second(tmp_path):
    rng = np.random.default_rng(0)
    rows = [
        {"user": f"u{u}", "prompt": "p", "item_a": f"i{a}", "item_b": f"j{b}", "label": int(y)}
        for u, a, b, y in rng.integers(0, [50, 99, 99, 2], (10_000, 4))
    ]
    path = jsonl(tmp_path / "x.jsonl", rows)
    start = time.perf_counter()
    assert len(read(path).comparisons) == 10_000
    assert time.perf_counter() - start < 1
