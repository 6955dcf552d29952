"""Vectors of many texts by the encoders of a Ray cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gustibus.bulk.parts import Told, require_within
from gustibus.bulk.session import cluster
from gustibus.data.files import require_pyarrow
from gustibus.encoders import load_encoder
from gustibus.encoders.base import checked_texts
from gustibus.errors import InputError

_BLOCK = 1024  # texts that are encoded together: enough to be sorted by length


class Encoded(NamedTuple):
    """What was written."""

    texts: int
    dim: int
    name: str
    """Of the encoder."""
    fingerprint: str
    """Of the encoder."""


def encode_on_ray(
    texts: Sequence[str], *, encoder: str, output: Path, options: Mapping[str, Any] | None = None,
    cache: str = "", workers: int = 1, gpus: float = 0.0, address: str = "",
    told: Told | None = None,
) -> Encoded:  # fmt: skip
    """Write `(n, dim)` float32 vectors of texts, each encoded by one of several workers.

    Every worker loads the encoder once, and so does this process, which tells of a mistake in the
    options before anything is begun. The file is written under another name and renamed. Vectors are
    those of `load_encoder(encoder).encode(texts)`; where a network makes them, within rounding, for
    other texts share a batch.

    Args:
        texts: `n`, at least one.
        encoder: row of `ENCODERS`.
        output: file (`.npy`).
        options: of the encoder; files that they name are seen by every machine.
        cache: folder that keeps vectors between runs, seen by every machine.
        workers: that encode at once.
        gpus: accelerators of each worker; less than 1 shares one.
        address: of the cluster; by default the one of this process, or one that is begun here.
        told: is called with how many texts are encoded.

    Raises:
        InputError: something is not a text, a number is out of range, or there is no cluster.
        ConfigError: the encoder has no such option, or it is out of range.
        MissingExtraError: a package is not installed.
    """
    require_within("workers", workers, 100_000)
    found = checked_texts(texts)
    if not found:
        message = "texts: expected at least one text, got none"
        raise InputError(message, where="texts")
    made: dict[str, Any] = {"name": encoder, "options": dict(options or {}), "cache": cache}
    one = _Encoding(**made).encoder  # a mistake in the options is told here, not by a worker
    scratch = output.with_name(f".{output.name}.part")
    with cluster(address) as ray:
        blocks = [ray.put(_block(found, start)) for start in range(0, len(found), _BLOCK)]
        encoded = ray.data.from_arrow_refs(blocks).map_batches(
            _Encoding, fn_constructor_kwargs=made, batch_size=_BLOCK, batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=min(workers, len(blocks))),
            num_cpus=1, num_gpus=gpus or None,
        )  # fmt: skip
        try:
            _gather(encoded, scratch, (len(found), one.dim), told)
            scratch.replace(output)
        finally:
            scratch.unlink(missing_ok=True)
    return Encoded(len(found), one.dim, one.name, one.fingerprint)


def _block(texts: Sequence[str], start: int) -> Any:
    """Some texts as a table, with their places."""
    pa = require_pyarrow()
    mine = texts[start : start + _BLOCK]
    places = np.arange(start, start + len(mine))
    return pa.table({"place": pa.array(places), "text": pa.array(mine, pa.string())})


class _Encoding:
    """A worker with an encoder of its own."""

    def __init__(self, name: str, options: Mapping[str, Any], cache: str) -> None:
        self.encoder = load_encoder(name, cache=cache or None, **options)

    def __call__(self, block: Any) -> dict[str, Any]:
        """Places and vectors of a block of texts."""
        vectors = self.encoder.encode(block["text"].to_pylist())
        return {"place": block["place"].to_numpy(), "vector": vectors}


def _gather(encoded: Any, scratch: Path, shape: tuple[int, int], told: Told | None) -> None:
    """Put vectors where they belong, in whatever order they come."""
    out = np.lib.format.open_memmap(scratch, "w+", np.float32, shape)
    done = 0
    for batch in encoded.iter_batches(batch_size=None, batch_format="numpy"):
        out[batch["place"]] = batch["vector"]
        done += len(batch["place"])
        if told is not None:
            told(done, len(out))
    assert done == len(out), "every text has a vector"
    out.flush()
