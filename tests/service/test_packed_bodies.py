"""Bodies that come as zstd: taken like gzip, within the same bounds, and refused as clearly."""

from __future__ import annotations

import json
import sys

import pytest

from gustibus.service.problems import Problem
from gustibus.service.unpacking import Unpacking, packing_of
from tests.service.test_imports import NDJSON, begin, records

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

JSON = {"Content-Type": "application/json", "Content-Encoding": "zstd"}
LINES = {**NDJSON, "Content-Encoding": "zstd"}
SKIPPED = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"  # a frame that holds nothing (RFC 8878, 3.1.2)
_packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
FAR = _packer.compress(b"x" * 1000) + _packer.flush()
"""Wants to look back on 128 MiB, for how long the whole is was not known."""
SCORE = json.dumps({"candidates": [{"id": "item-1"}, {"id": "item-2"}]}).encode()


def unpacked(pieces: list[bytes]) -> bytes:
    packing = packing_of("zstd")
    assert packing is not None
    unpacking = Unpacking(packing)
    out = b"".join(part for piece in pieces for part in unpacking.feed(piece))
    unpacking.end()
    return out


def test_a_request_as_zstd_is_what_it_would_be_plain(http):
    plain = http.post("/v1/score", content=SCORE, headers={"Content-Type": "application/json"})
    for level in (1, 19):
        body = zstd.compress(SCORE, level)
        packed = http.post("/v1/score", content=body, headers=JSON)
        assert packed.status_code == 200, packed.text
        assert packed.json()["data"] == plain.json()["data"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"not zstd at all", 400, "bad_encoding"),
        (zstd.compress(SCORE)[:-3], 400, "bad_encoding"),
        (zstd.compress(SCORE) + b"x", 400, "bad_encoding"),
        (zstd.compress(SCORE[:9]) + zstd.compress(SCORE[9:]), 400, "bad_encoding"),
        (b"", 400, "bad_encoding"),
        (FAR, 400, "bad_encoding"),
        (zstd.compress(b" " * (64 << 20)), 413, "body_too_large"),
        (zstd.compress(SCORE + b" " * 21_000), 413, "body_too_large"),
    ],
    ids=["other", "cut", "rest", "frames", "empty", "window", "bomb", "ratio"],
)
def test_a_request_that_is_packed_wrongly_says_so(http, body, status, code):
    reply = http.post("/v1/score", content=body, headers=JSON)
    assert (reply.status_code, reply.json()["code"]) == (status, code), reply.text


def test_another_encoding_is_refused_and_those_that_are_known_are_named(http):
    for encoding in ("br", "zstd, gzip", "zst"):
        headers = {**JSON, "Content-Encoding": encoding}
        reply = http.post("/v1/score", content=SCORE, headers=headers)
        assert (reply.status_code, reply.json()["code"]) == (415, "unsupported_media_type")
        assert "gzip, zstd, identity" in reply.json()["detail"]


def test_a_log_of_several_frames_is_kept_and_taken_up_where_it_broke_off(http):
    found = begin(http, "zstd-log")
    data = b"".join(records(1500, user="zstd-log"))
    cut = http.put(found["upload"], content=zstd.compress(data)[:-20], headers=LINES)
    assert (cut.status_code, cut.json()["code"]) == (400, "bad_encoding")
    at = http.get(f"/v1/imports/{found['id']}").json()["resume_from"]
    rest = zstd.compress(data[at : at + 5000]) + SKIPPED + zstd.compress(data[at + 5000 :])
    done = http.put(found["upload"], params={"from": at}, content=rest, headers=LINES)
    assert done.status_code == 200, done.text
    assert (done.json()["state"], done.json()["accepted"]) == ("done", 1500)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (zstd.compress(b"\n" * (8 << 20)), 413, "body_too_large"),
        (zstd.compress(b"{}\n") + b"rest", 400, "bad_encoding"),
        (zstd.compress(b"{}\n") * 200, 400, "bad_encoding"),
        (FAR, 400, "bad_encoding"),
    ],
    ids=["bomb", "rest", "tiny frames", "window"],
)
def test_a_log_that_is_packed_wrongly_says_so(http, body, status, code):
    found = begin(http, f"zstd-{len(body)}")
    reply = http.put(found["upload"], content=body, headers=LINES)
    assert (reply.status_code, reply.json()["code"]) == (status, code), reply.text


def test_the_pieces_of_a_stream_may_end_anywhere():
    text = b"".join(b"%d\n" % number for number in range(4000))
    body = zstd.compress(text[:700]) + SKIPPED + zstd.compress(text[700:])
    for size in (1, 7, 1000, len(body)):
        assert unpacked([body[at : at + size] for at in range(0, len(body), size)]) == text
    assert unpacked([]) == b""
    for cut in (1, 300, len(body) - 1):
        with pytest.raises(Problem, match="ends too early"):
            unpacked([body[:cut]])


def test_no_piece_is_long_however_well_the_stream_is_packed():
    packing = packing_of("zstd")
    assert packing is not None
    unpacking = Unpacking(packing)
    made = [len(part) for part in unpacking.feed(zstd.compress(b"a" * 1_000_000))]
    assert sum(made) == 1_000_000
    assert max(made) <= 1 << 17
    with pytest.raises(Problem, match="20 times its size"):
        list(unpacking.feed(zstd.compress(b"a" * 1_000_000)))
