"""An encoder behind HTTP: any server that answers `POST /v1/embeddings`, as vLLM and others do.

Whatever it replies is checked before it is used, and a server that fails is left alone for a while, so
that items, embeddings and texts that are encoded already go on being scored.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from math import inf
from time import monotonic
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import numpy as np

from gustibus.encoders.base import checked_texts
from gustibus.service.breaker import Breaker
from gustibus.service.norms import too_long, why_too_long
from gustibus.service.problems import Problem
from gustibus.service.threads import DEADLINE
from gustibus.service.tracing import TRACE
from gustibus.types import F32

SEQUENCES: Final = 256
"""Most texts of a request."""
TOKENS: Final = 16_384
"""Most tokens of a request, at four characters each; one text may be longer."""

_CONNECT = 2.0  # seconds
_PATIENCE = 1.0  # seconds; a caller who waits for less says nothing of the server
_REFUSED = frozenset({400, 413, 422})  # the fault of the texts, not the server's
_PIECE = 1 << 16
_NUMBER = 32  # bytes that a number of a reply may take
_QUIET = 60.0  # seconds from one line of the log about lengths to the next

log = logging.getLogger("gustibus.service")


class _Vector(msgspec.Struct):
    index: int
    embedding: list[float]


class _Vectors(msgspec.Struct):
    data: list[_Vector]


class _FailedError(Exception):
    """The server did not do what was asked of it."""


class RemoteEncoder:
    """Vectors of texts from a pooling server; safe to share between threads, each with a connection.

    Args:
        url: of the server, without `/v1/embeddings`.
        model: name under which it serves the encoder.
        dim: length of a vector.
        fingerprint: of the encoder that the model was trained with.
        key: sent as a bearer token; empty for none.
        timeout: seconds that a request may take, less where the deadline of the caller's is nearer.
        breaker: opens when the server fails.
        tell: is told the tokens of each text of a request, roughly.
    """

    name: Final = "remote"

    def __init__(
        self, url: str, *, model: str, dim: int, fingerprint: str, key: str = "",
        timeout: float = 10.0, breaker: Breaker | None = None,
        tell: Callable[[Sequence[int]], None] | None = None,
    ) -> None:  # fmt: skip
        self.dim = dim
        self.fingerprint = fingerprint
        self.options: Mapping[str, Any] = {"url": url, "model": model}
        self.breaker = Breaker() if breaker is None else breaker
        self._tell = tell
        self._parts = urlsplit(url)
        self._url = url.rstrip("/") + "/v1/embeddings"
        self._model = model
        self._timeout = timeout
        self._headers = {"content-type": "application/json", "accept": "application/json"}
        if key:
            self._headers["authorization"] = f"Bearer {key}"
        self.longest = inf
        """Most that a vector may be long; whoever has tested the server lowers it, so that it is noticed when
        another model of the same dimension is served there later."""
        self._complained = -inf
        self._mine = threading.local()
        self._open: set[HTTPConnection] = set()

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> F32:
        """`(n, dim)`; see `Encoder.encode`.

        Raises:
            OpenError: the server failed too often and is left alone for now.
            Problem: 502 when it fails or sends vectors that are too long, 504 when the caller's deadline
                passes.
        """
        del progress
        found = checked_texts(texts)
        parts = [self._part(part) for part in _batches(found)]
        return np.concatenate(parts) if parts else np.zeros((0, self.dim), np.float32)

    def _part(self, texts: list[str]) -> F32:
        limit = monotonic() + self._timeout
        deadline = DEADLINE.get()
        until = limit if deadline is None else min(limit, deadline)
        if until <= monotonic():
            raise _late()
        body = json.dumps({"model": self._model, "input": texts, "encoding_format": "float"})
        hasty = until - monotonic() < min(_PATIENCE, self._timeout)
        try:
            with self.breaker.call(undecided=Problem):
                if self._tell is not None:
                    self._tell([_tokens(text) for text in texts])
                try:
                    reply = self._reply(body.encode(), until, len(texts))
                except TimeoutError as error:
                    if not hasty:
                        raise
                    self._drop()
                    raise _late() from error
                found = self._vectors(reply, len(texts))
                self._refuse_long(found)
                return found
        except _FailedError as error:
            detail = f"The encoder's server {error}"
            raise Problem("encoder_unavailable", detail, retry_after=1) from error
        except (OSError, HTTPException) as error:
            self._drop()
            if deadline is not None and monotonic() >= deadline:
                raise _late() from error
            detail = f"The encoder's server cannot be used ({type(error).__name__})"
            raise Problem("encoder_unavailable", detail, retry_after=1) from error

    def _reply(self, body: bytes, until: float, count: int) -> bytes:
        """The body of a success; sent again where a connection that was kept had been closed."""
        kept = getattr(self._mine, "connection", None) is not None
        try:
            return self._exchange(body, until, count)
        except (ConnectionError, HTTPException):
            self._drop()
            if not kept:
                raise
            return self._exchange(body, until, count)

    def _exchange(self, body: bytes, until: float, count: int) -> bytes:
        trace = TRACE.get()
        on = {} if trace is None else trace.headers
        if trace is None or trace.root is None:
            status, reply = self._sent(body, until, count, on)
        else:
            with trace.root.asking(self._url, {"gustibus.texts": count}) as asking:
                status, reply = self._sent(body, until, count, asking.headers)
                asking.answered(status)
        if status in _REFUSED:
            detail = f"The encoder's server refused the texts ({status})"
            raise Problem("encoder_unavailable", detail, retry_after=60)
        if status != 200:  # a redirect among them: only the operator names addresses
            message = f"replied {status}"
            raise _FailedError(message)
        return reply

    def _sent(
        self, body: bytes, until: float, count: int, on: Mapping[str, str]
    ) -> tuple[int, bytes]:
        """Status and body of one reply; `on` is sent beside the headers that are always there."""
        connection = self._connection(until)
        path = self._parts.path.rstrip("/") + "/v1/embeddings"
        connection.request("POST", path, body, {**self._headers, **on})
        self._wait_until(until)
        response = connection.getresponse()
        most = _PIECE + count * self.dim * _NUMBER
        pieces, size = [], 0
        while True:  # a server that sends a byte now and then never lets one wait run out
            self._wait_until(until)
            piece = response.read1(_PIECE)
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
            if size > most:
                self._drop()
                message = f"replied with more than {most} bytes"
                raise _FailedError(message)
        response.close()  # read to its end, so that the connection can be used again
        return response.status, b"".join(pieces)

    def _connection(self, until: float) -> HTTPConnection:
        found: HTTPConnection | None = getattr(self._mine, "connection", None)
        if found is None:
            kind = HTTPSConnection if self._parts.scheme == "https" else HTTPConnection
            wait = max(min(_CONNECT, until - monotonic()), 0.001)
            found = kind(self._parts.hostname or "", self._parts.port, timeout=wait)
            found.connect()
            self._mine.connection = found
            self._open.add(found)
        self._wait_until(until)
        return found

    def _wait_until(self, until: float) -> None:
        left = until - monotonic()
        if left <= 0:
            raise TimeoutError
        connection: HTTPConnection = self._mine.connection
        if connection.sock is not None:
            connection.sock.settimeout(left)

    def _drop(self) -> None:
        found: HTTPConnection | None = getattr(self._mine, "connection", None)
        self._mine.connection = None
        if found is not None:
            self._open.discard(found)
            found.close()

    def close(self) -> None:
        """Close the connections; what waits for a reply fails."""
        while self._open:
            self._open.pop().close()

    def _vectors(self, body: bytes, count: int) -> F32:
        """Vectors in the order of the texts.

        Raises:
            _FailedError: another number of them, another length, or a number that is not finite.
        """
        try:
            rows = _read(body).data
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            message = f"replied something else than embeddings: {error}"
            raise _FailedError(message) from None
        if sorted(row.index for row in rows) != list(range(count)):
            message = f"was asked for {count} vectors and sent {len(rows)}"
            raise _FailedError(message)
        lengths = {len(row.embedding) for row in rows}
        if lengths != {self.dim}:
            message = f"sent vectors of {sorted(lengths)} numbers, the model expects {self.dim}"
            raise _FailedError(message)
        out = np.empty((count, self.dim), np.float32)
        with np.errstate(over="ignore"):
            for row in rows:
                out[row.index] = row.embedding
        if not np.isfinite(out).all():
            message = "sent numbers that are not finite"
            raise _FailedError(message)
        return out

    def _refuse_long(self, vectors: F32) -> None:
        """Refuse vectors of which most are longer than those of the training came near.

        One odd text among others would hold them up for ever where they are encoded in the background. As it
        may be one that comes alone, too, the server goes on being asked for others.

        Raises:
            Problem: 502.
        """
        rows = too_long(vectors, self.longest)
        if 2 * len(rows) <= len(vectors):
            return
        why = why_too_long(vectors[rows[0]], self.longest)
        if monotonic() >= self._complained + _QUIET:
            self._complained = monotonic()
            log.warning(
                "the encoder's server at %s sent %d vectors of which %d are too long, the first because %s: "
                "is another model served there, or with other pooling?",
                self._url, len(vectors), len(rows), why,
            )  # fmt: skip
        detail = f"The encoder's server sent vectors that are too long: {why}"
        raise Problem("encoder_unavailable", detail, retry_after=60)


def _late() -> Problem:
    return Problem("deadline_exceeded", "The deadline passed before the texts were encoded")


_read = msgspec.json.Decoder(_Vectors).decode


def _tokens(text: str) -> int:
    return len(text) // 4 + 1


def _batches(texts: list[str]) -> Iterator[list[str]]:
    """Texts in their order, in parts of bounded size."""
    part: list[str] = []
    size = 0
    for text in texts:
        tokens = _tokens(text)
        if part and (len(part) == SEQUENCES or size + tokens > TOKENS):
            yield part
            part, size = [], 0
        part.append(text)
        size += tokens
    if part:
        yield part
