"""What an encoder is, and the table in which encoders are found by name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from gustibus.errors import InputError
from gustibus.registry import Registry
from gustibus.types import F32


@runtime_checkable
class Encoder(Protocol):
    """Turns texts into vectors; the same text always gives the same vector."""

    @property
    def name(self) -> str:
        """Row of `ENCODERS`."""

    @property
    def options(self) -> Mapping[str, Any]:
        """JSON options with which `load_encoder` makes an equal encoder."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 over everything that decides the vectors: weights, tokenizer, options."""

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> F32:
        """`(n, dim)` vectors of `n` texts, finite; no text depends on the others.

        Args:
            texts: any Unicode without lone surrogates; the empty text is allowed.
            progress: show a bar on standard error where that is a terminal.

        Raises:
            InputError: something is not a text; the message says which.
        """


ENCODERS: Registry[Any] = Registry("encoder")
"""Every encoder by name; rows are classes whose keyword arguments are the options."""


def checked_texts(texts: Sequence[str], name: str = "texts") -> list[str]:
    """The texts as a list.

    Args:
        texts: to be looked at.
        name: of the argument, for the message.

    Raises:
        InputError: one is no string, or holds a lone surrogate.
    """
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        got = "one text" if isinstance(texts, str) else type(texts).__name__
        message = f"{name}: expected a sequence of texts, got {got}"
        raise InputError(message, where=name)
    found = list(texts)
    for place, text in enumerate(found):
        if not isinstance(text, str):
            message = f"{name}[{place}]: expected a text, got {type(text).__name__}"
            raise InputError(message, where=f"{name}[{place}]")
        try:
            text.encode()
        except UnicodeEncodeError:
            message = f"{name}[{place}]: expected valid Unicode, got a lone surrogate"
            raise InputError(message, where=f"{name}[{place}]") from None
    return found


def digest_of(*parts: str | bytes | Path) -> str:
    """SHA-256 over texts, bytes and the contents of files, each with its length."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            with part.open("rb") as handle:
                value = hashlib.file_digest(handle, "sha256").digest()
        else:
            value = part.encode() if isinstance(part, str) else part
        total.update(len(value).to_bytes(8, "little"))
        total.update(value)
    return total.hexdigest()


def unit_length(vectors: F32) -> F32:
    """Rows divided by their length; rows of zeros stay."""
    length = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    return np.asarray(vectors / np.where(length > 0, length, 1.0)[:, None], np.float32)
