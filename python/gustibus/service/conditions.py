"""Conditions on what is read or changed (RFC 9110, section 13): `ETag`, `If-Match`, `If-None-Match`.

A tag is `"written.shown"`: a digest of what clients write, and one of the reply. `If-Match` compares the
first part alone, so that a fit or another model in between does not refuse a change; `If-None-Match` of a
GET compares both, so that whoever is told 304 has everything that there is to see.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec

from gustibus.service.call import JSON, Call, Reply
from gustibus.service.problems import Problem

PATTERN: Final = r'^(\*|(W/)?"[!#-~]*"(, *(W/)?"[!#-~]*")*)$'
"""What either header holds: `*`, or tags as they were told."""

_HEADER = re.compile(PATTERN.encode())
_TAG = re.compile(r'(W/)?"([!#-~]*)"')
# Stores keep the names of an object in any order.
_sorted = msgspec.json.Encoder(order="sorted").encode


class Condition(NamedTuple):
    """What a request says of the state that it expects; tags without quotation marks."""

    match: tuple[str, ...] | None = None
    """Of `If-Match`; weak ones, which match nothing, are left out."""
    other: tuple[str, ...] | None = None
    """Of `If-None-Match`, weak ones as strong ones."""

    def refuse(self, written: str | None, what: str) -> None:
        """Refuse a change of something that is in another state.

        Args:
            written: the first part of its tag, None where it is not there.
            what: it is, for the message.

        Raises:
            Problem: 412.
        """
        if self.match is not None and not _among(written, self.match):
            detail = "has changed since the tag of If-Match was told; read it again"
            raise Problem("etag_mismatch", f"{what} {detail}")
        if self.other is not None and _among(written, self.other):
            raise Problem("etag_mismatch", f"{what} is there, as If-None-Match says it must not be")


NONE: Final = Condition()
"""No condition."""


def _among(written: str | None, tags: tuple[str, ...]) -> bool:
    if written is None:
        return False
    return any(tag == "*" or tag.partition(".")[0] == written for tag in tags)


def condition_of(headers: Mapping[bytes, bytes]) -> Condition:
    """The conditions of a request's headers.

    Raises:
        Problem: 400 for a header that holds no tags.
    """
    match, other = headers.get(b"if-match"), headers.get(b"if-none-match")
    if match is None and other is None:
        return NONE
    return Condition(
        None if match is None else _tags("If-Match", match, weak=False),
        None if other is None else _tags("If-None-Match", other, weak=True),
    )


def _tags(name: str, header: bytes, *, weak: bool) -> tuple[str, ...]:
    header = header.strip()
    if _HEADER.fullmatch(header) is None:
        detail = f'{name}: expected * or an ETag as it was told, such as "1f.a3"'
        raise Problem("bad_header", detail)
    if header == b"*":
        return ("*",)
    found = _TAG.findall(header.decode("ascii"))
    return tuple(text for mark, text in found if weak or not mark)


def digest(*values: Any) -> str:
    """A part of a tag: 64 bits in base 16 of values that JSON has, or of bytes."""
    made = blake2b(digest_size=8)
    for value in values:
        made.update(value if isinstance(value, bytes) else _sorted(value))
        made.update(b"\0")
    return made.hexdigest()


def tagged(call: Call, reply: Reply, written: str) -> Reply:
    """A reply with its tag; 304 without a body where a GET has it already."""
    tag = f"{written}.{digest(reply.body)}"
    header = (b"etag", f'"{tag}"'.encode())
    known = call.condition.other
    if call.route.method == "GET" and known is not None and (tag in known or "*" in known):
        return Reply(304, b"", JSON, (header,))
    return reply._replace(headers=(*reply.headers, header))
