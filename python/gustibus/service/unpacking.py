"""Bodies that come packed, as gzip or as zstd: how they are unpacked within bounds."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, Protocol

from gustibus.service.problems import Problem

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_RATIO: Final = 20
"""Most bytes that a byte of a compressed body may become."""

_PIECE: Final = 1 << 17
"""Most bytes that are unpacked at once."""
_SMALL: Final = 1 << 16
"""Bytes below which a stream may grow as if it had so many: a few lines pack very well."""
_WINDOW: Final = 23
"""Binary logarithm of the bytes that a frame of zstd may look back on (RFC 9659, section 3)."""
_FRAME: Final = 1024
"""Bytes of a zstd stream for each of its frames; to begin one takes longer than to read so many."""
_FRAMES: Final = 16
"""Frames that any zstd stream may have."""


class Unpacker(Protocol):
    """Of one file or frame, as `zlib` and `zstd` have it."""

    @property
    def eof(self) -> bool:
        """Whether it has come to its end."""

    @property
    def unused_data(self) -> bytes:
        """What came after its end."""

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """What comes out next, of so many bytes at most."""


class Packing(NamedTuple):
    """A way of packing."""

    name: str
    begin: Callable[[], Unpacker]
    error: type[Exception]


def _zstd() -> Unpacker:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW})


_GZIP: Final = Packing("gzip", lambda: zlib.decompressobj(wbits=31), zlib.error)
_PACKINGS: Final = {
    "gzip": _GZIP, "x-gzip": _GZIP, "zstd": Packing("zstd", _zstd, zstd.ZstdError),
}  # fmt: skip


def packing_of(encoding: str) -> Packing | None:
    """How a body is packed, by its header `Content-Encoding`; None when it is not.

    Raises:
        Problem: 415 for another encoding.
    """
    if encoding in {"", "identity"}:
        return None
    found = _PACKINGS.get(encoding)
    if found is None:
        detail = f"Content-Encoding {encoding!r} is not known; known: gzip, zstd, identity"
        raise Problem("unsupported_media_type", detail)
    return found


def inflate(body: bytes, encoding: str, *, most: int) -> bytes:
    """A compressed body, which is one file or frame.

    Args:
        body: as sent.
        encoding: of the header `Content-Encoding`.
        most: bytes that it may become.

    Raises:
        Problem: 415 for another encoding, 400 when it is broken, 413 when it grows too much.
    """
    packing = packing_of(encoding)
    if packing is None:
        return body
    limit = min(most, MAX_RATIO * max(len(body), 1024))
    unpacker = packing.begin()
    try:
        out = unpacker.decompress(body, limit + 1)
    except packing.error as error:
        raise _broken(packing, error) from None
    if len(out) > limit:
        raise Problem("body_too_large", f"The body unpacks to more than {limit} bytes")
    if not unpacker.eof or unpacker.unused_data:
        detail = f"The {packing.name} body ends too early or has something after it"
        raise Problem("bad_encoding", detail)
    return out


class Unpacking:
    """What a packed stream holds, while it comes; files that were joined are one of several parts.

    Args:
        packing: of the stream.
    """

    def __init__(self, packing: Packing) -> None:
        self._packing = packing
        self._unpacker = packing.begin()
        self._begun = False  # whether the unpacker has taken in anything
        self._sent = self._made = self._frames = 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """What comes out of the next bytes, in pieces that are small however well they are packed.

        Raises:
            Problem: 400 for what is packed otherwise, 413 when it grows too much.
        """
        self._sent += len(piece)
        rest, full = piece, False
        while rest or full:
            self._begun = True
            try:
                out = self._unpacker.decompress(rest, _PIECE)
            except self._packing.error as error:
                raise _broken(self._packing, error) from None
            self._made += len(out)
            if self._made > MAX_RATIO * max(self._sent, _SMALL):
                detail = f"The body unpacks to more than {MAX_RATIO} times its size"
                raise Problem("body_too_large", detail)
            if out:
                yield out
            rest, full = getattr(self._unpacker, "unconsumed_tail", b""), len(out) == _PIECE
            if self._unpacker.eof:
                rest, full = self._unpacker.unused_data, False
                self._begin_part()

    def end(self) -> None:
        """No more bytes come.

        Raises:
            Problem: 400 when a part is not at its end.
        """
        if self._begun:
            raise Problem("bad_encoding", f"The {self._packing.name} body ends too early")

    def _begin_part(self) -> None:
        self._unpacker, self._begun = self._packing.begin(), False
        self._frames += 1
        if self._packing is not _GZIP and self._frames > _FRAMES + self._sent // _FRAME:
            detail = f"The body has more than a {self._packing.name} frame for each {_FRAME} bytes"
            raise Problem("bad_encoding", detail)


def _broken(packing: Packing, error: Exception) -> Problem:
    return Problem("bad_encoding", f"The body is not {packing.name}: {error}")
