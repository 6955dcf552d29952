"""A picture of neighbours: people who are alike are close, whatever else that costs.

t-SNE, in a process of its own: it takes minutes, and can be stopped. `python -m
gustibus.service.embedding` reads the vectors as an array from its input and writes the places to its
output.
"""

from __future__ import annotations

import asyncio
import io
import logging
import os
import sys
from importlib.util import find_spec
from typing import Any

import numpy as np

from gustibus.errors import GustibusError, MissingExtraError
from gustibus.types import F64

LEAST = 10
"""Fewest people of whom a picture is made."""
_PERPLEXITY = 30.0  # neighbours that count, about; fewer where there are few people
_SEED = 0
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_NICE = 10

log = logging.getLogger("gustibus.service")


class EmbeddingError(GustibusError):
    """The process that makes the picture failed; its reason is in the log."""

    code = "internal"


def embed(vectors: F64) -> F64:
    """Places `(n, 2)` of user vectors `(n, u)`, at least `LEAST` of them.

    The same vectors in the same order give the same picture, with one thread: sums of several come
    in an order of their own, and small differences grow.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.manifold import TSNE
    except ImportError:
        raise MissingExtraError.of("scikit-learn", "maps") from None
    if vectors.shape[1] < 2:
        vectors = np.hstack([vectors, np.zeros((len(vectors), 2 - vectors.shape[1]))])
    if not (vectors - vectors[0]).any():
        return np.zeros((len(vectors), 2))
    perplexity = min(_PERPLEXITY, (len(vectors) - 1) / 3)
    found: Any = TSNE(perplexity=perplexity, init="pca", random_state=_SEED, n_jobs=1)
    return np.asarray(found.fit_transform(vectors), np.float64)


async def embed_aside(vectors: F64) -> F64:
    """The same in a process of its own, which ends when this is cancelled.

    Raises:
        MissingExtraError: scikit-learn is not installed.
        EmbeddingError: the process failed.
    """
    if find_spec("sklearn") is None:
        raise MissingExtraError.of("scikit-learn", "maps")
    given = io.BytesIO()
    np.save(given, np.ascontiguousarray(vectors, np.float64))
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, env={**os.environ, **dict.fromkeys(_THREADS, "1")},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        made, said = await child.communicate(given.getvalue())
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0:
        log.error("the picture of neighbours failed: %s", said.decode("utf-8", "replace")[-2000:])
        message = "the picture could not be made; the log of the worker has the reason"
        raise EmbeddingError(message)
    points: F64 = np.load(io.BytesIO(made))
    return points


def main() -> None:
    """From standard input to standard output."""
    os.nice(_NICE)  # requests come first
    points = embed(np.load(io.BytesIO(sys.stdin.buffer.read())))
    np.save(sys.stdout.buffer, points)


if __name__ == "__main__":
    main()
