"""What fuzzing found: each of these once was an internal error, a crash, or took all memory."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import tracemalloc
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from gustibus.artifact import Artifact
from gustibus.data import read_table
from gustibus.data.answers import answer_of
from gustibus.data.streaming import rows_of
from gustibus.errors import ArtifactError, InputError
from gustibus.service.intake import BATCH, _cut
from gustibus.service.loading import open_model
from gustibus.service.sessions import SessionTokens
from gustibus.social.preflib import read_preflib
from tests.fuzz.parsers.served import Served
from tests.service.harness import DIM, save_texts_model

ANSWER = {"user": "u", "item_a": "item-0", "item_b": "item-1", "outcome": "a"}
LINES = "application/x-ndjson"


@pytest.fixture(scope="module")
def to():
    served = Served()
    yield served
    served.close()


def uploaded(to: Served, data: bytes, key: str) -> dict:
    body = to.ask("POST", "/v1/imports", b"{}", headers={"idempotency-key": key.encode()}).body
    answer = to.ask("PUT", json.loads(body)["upload"], data, kind=LINES)
    assert answer.status == 200, answer
    return json.loads(answer.body)


def test_embeddings_that_no_posterior_takes_are_refused(to):
    far = [3e38] + [0.0] * (DIM - 1)
    row = {"user": "far", "a": {"embedding": far}, "b": {"id": "item-0"}, "outcome": "a"}
    for path, body in (
        ("/v1/comparisons", {"comparisons": [row]}),
        ("/v1/score", {"candidates": [{"embedding": far}]}),
        ("/v1/compare", {"a": {"embedding": far}, "b": {"id": "item-0"}}),
    ):
        answer = to.ask("POST", path, json.dumps(body).encode())
        assert (answer.status, answer.code) == (422, "invalid_field"), answer
        assert b"too large" in answer.body
    octets = np.array([[0.0] * DIM, far], "<f4").tobytes()
    answer = to.ask("POST", "/v1/score", octets, kind="application/octet-stream")
    assert json.loads(answer.body)["errors"][0]["pointer"] == "/1"


@pytest.mark.parametrize("header", ["x-deadline-ms", "content-length"])
def test_numbers_of_thousands_of_digits_in_headers(to, header):
    body = b'{"candidates":[{"id":"item-0"}]}'
    answer = to.ask("POST", "/v1/score", body, headers={header: b"9" * 5000})
    assert answer.code in {"bad_header", ""}


def test_uploads_that_are_not_gzip_end_as_documented(to):
    body = to.ask("POST", "/v1/imports", b"{}", headers={"idempotency-key": b"gzip"}).body
    headers = {"content-encoding": b"gzip"}
    answer = to.ask("PUT", json.loads(body)["upload"], b"{}", kind=LINES, headers=headers)
    assert answer.code == "bad_encoding"


@pytest.mark.parametrize(
    "cell",
    ['"at":"0001-01-01T00:00:00+23:59"', '"source":"a\\u0000b"', f'"strength":1{"0" * 400}'],
)
def test_one_wrong_record_stops_no_import(to, cell):
    good = json.dumps(ANSWER).encode()
    bad = good[:-1] + b"," + cell.encode() + b"}"
    found = uploaded(to, good + b"\n" + bad + b"\n", f"cell-{cell[:8]}")
    assert (found["state"], found["rows"], found["rejected"]) == ("done", 2, 1)


def test_numbers_that_are_no_floats_are_wrong_values():
    with pytest.raises(InputError, match="strength"):
        answer_of({**ANSWER, "strength": 10**400}, place="row 1")
    with pytest.raises(InputError):
        answer_of({"user": "u", "item_a": "x", "item_b": "y", "target": 10**400}, place="row 1")


def test_messages_about_long_values_are_short():
    with pytest.raises(InputError) as caught:
        answer_of({**ANSWER, "user": "x" * 100_000}, place="row 1")
    assert len(str(caught.value)) < 300


def test_batches_of_long_records_are_bounded_by_their_bytes():
    line = b"x" * (1 << 19) + b"\n"

    async def stream():
        for _ in range(100):
            yield line

    async def sizes():
        return [batch.bytes async for batch in _cut(stream(), 0, final=True, longest=1 << 20)]

    found = asyncio.run(sizes())
    assert sum(found) == 100 * len(line)
    assert max(found) <= BATCH + len(line)


@pytest.mark.parametrize("place", range(10, 60, 3))
def test_broken_gzip_is_an_error_wherever_it_breaks(tmp_path, place):
    packed = bytearray(gzip.compress(b"\n".join([json.dumps(ANSWER).encode()] * 40), mtime=0))
    packed[place % len(packed)] ^= 0xFF
    path = tmp_path / "log.jsonl.gz"
    path.write_bytes(packed)
    for count in (lambda: len(read_table(path).origin.rows), lambda: len(list(rows_of(path)))):
        try:
            found = count()
        except InputError:
            continue
        assert found == 40  # some bytes of the head may be anything: then nothing is lost


@pytest.mark.parametrize(
    "column",
    [
        pa.array([b"\xff\xfe"]).view(pa.string()),
        pa.array([600_000_000_000_000_000], pa.timestamp("us")),
    ],
    ids=["not UTF-8", "the year 20982"],
)
def test_parquet_values_that_python_does_not_have(tmp_path, column):
    path = tmp_path / "log.parquet"
    parquet.write_table(pa.table({"user": ["u"], "at": column}), path)
    for read in (read_table, lambda path: list(rows_of(path))):
        with pytest.raises(InputError, match="cannot be read as Parquet"):
            read(path)


def test_a_short_parquet_file_of_very_long_texts_takes_little_memory(tmp_path):
    path, rows = tmp_path / "log.parquet", 1000
    long = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), ["x" * (8 << 20)])
    table = pa.table({"user": ["u"] * rows, "prompt": long})
    parquet.write_table(table, path, compression="zstd")
    assert path.stat().st_size < 10_000
    tracemalloc.start()
    for row in rows_of(path):
        assert isinstance(row.values, InputError)
        assert "longer than" in str(row.values)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 << 20


def test_parquet_texts_are_read_as_they_are(tmp_path):
    path = tmp_path / "log.parquet"
    at = datetime(2026, 1, 2, tzinfo=UTC)
    rows = [
        {"user": f"u{n % 3}", "prompt": None if n % 4 == 0 else f"p{n}", "w": n / 2, "at": at,
         "tags": ["a", "b"]}
        for n in range(2500)
    ]  # fmt: skip
    parquet.write_table(pa.Table.from_pylist(rows), path)
    found = [row.values for row in rows_of(path)]
    assert found == [{k: v for k, v in row.items() if v is not None} for row in rows]


@pytest.mark.parametrize(
    "line",
    [
        "# NUMBER ALTERNATIVES: 99999999999999", f"# NUMBER ALTERNATIVES: {'9' * 5000}",
        f"# NUMBER ALTERNATIVES: 2\n{'9' * 5000}: 1,2", f"# NUMBER ALTERNATIVES: 2\n1: {'9' * 5000}",
    ],
)  # fmt: skip
def test_vast_numbers_in_preflib_files(tmp_path, line):
    path = tmp_path / "case.soc"
    path.write_text(f"{line}\n")
    with pytest.raises(InputError, match=r"case\.soc"):
        read_preflib(path)


def test_names_of_alternatives_that_do_not_exist_are_passed_over(tmp_path):
    path = tmp_path / "case.soc"
    vast = "9" * 5000
    path.write_text(f"# NUMBER ALTERNATIVES: 2\n# ALTERNATIVE NAME {vast}: x\n1: 2,1\n")
    coded, counts = read_preflib(path)
    assert (coded.labels, counts) == (("1", "2"), [1.0])


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("models") / "texts"
    save_texts_model(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def written(folder, files, **changed: bytes):
    files = dict(files) | {name.replace("__", "."): data for name, data in changed.items()}
    named = {n: hashlib.sha256(d).hexdigest() for n, d in files.items() if n != "MANIFEST.json"}
    if "MANIFEST__json" not in changed:
        files["MANIFEST.json"] = json.dumps({"files": named}).encode()
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize(
    "changed",
    [
        {"card__json": b"{}"}, {"card__json": b"[]"}, {"card__json": b"\xff"},
        {"card__json": b'{"params":{},"family":"hierarchical"}'}, {"people__json": b"7"},
        {"card__json": b"[" * 100_000}, {"pool__json": b"[1]"}, {"people__json": b"{"},
        {"MANIFEST__json": b"[]"}, {"MANIFEST__json": b'{"files":{"card.json":1}}'},
        {"MANIFEST__json": b'{"files":[]}'}, {"MANIFEST__json": b"[" * 100_000},
        {"model__safetensors": b"\xff" * 8}, {"model__safetensors": b"\x02" + b"\0" * 7 + b"{}"},
    ],
)  # fmt: skip
def test_a_folder_that_holds_something_else_is_no_artifact(tmp_path, saved, changed):
    with pytest.raises(ArtifactError):
        Artifact.load(written(tmp_path / "case", saved, **changed))


def test_a_model_whose_encoder_has_no_name_is_not_served(tmp_path, saved, to):
    card = json.loads(saved["card.json"]) | {"encoder": 0.5}
    folder = written(tmp_path / "case", saved, card__json=json.dumps(card).encode())
    with pytest.raises(ArtifactError, match="cannot be served"):
        open_model(to.gate.state, folder, None)


def test_a_token_has_one_form():
    tokens = SessionTokens("s" * 40)
    token = tokens.issue("one").text
    head, expires, mac = token.rsplit(".", 2)
    assert tokens.find(f"Bearer {token}".encode(), "one") is not None
    for other in (f"+{expires}", f"0{expires}", f" {expires}", f"{expires[:3]}_{expires[3:]}"):
        assert tokens.find(f"Bearer {head}.{other}.{mac}".encode(), "one") is None
