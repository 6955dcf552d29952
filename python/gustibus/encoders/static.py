"""The embedded default: mean word-piece embeddings that the package wordllama ships."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from gustibus.encoders.base import ENCODERS, checked_texts, digest_of, unit_length
from gustibus.errors import ConfigError, MissingExtraError
from gustibus.showing import shown
from gustibus.types import F32

_WEIGHTS = Path("weights/l2_supercat_256.safetensors")
_TOKENIZER = Path("tokenizers/l2_supercat_tokenizer_config.json")
_BATCH = 1024


@ENCODERS.add("static", source="wordllama l2_supercat; Shen et al. 2018, Baseline needs more love")
class StaticEncoder:
    """Mean of the embeddings of a text's word pieces; works offline.

    Only two files of the package are read, none of its code is run.

    Args:
        dim: leading dimensions kept, 16 to 256; the embeddings were trained to be cut.
        normalize: whether vectors have unit length.

    A text without a word piece, such as the empty one, is the zero vector.
    """

    name: ClassVar[str] = "static"

    def __init__(self, dim: int = 256, *, normalize: bool = True) -> None:
        if not isinstance(dim, int) or not 16 <= dim <= 256:
            message = f"dim: expected 16 to 256, got {dim!r}"
            raise ConfigError(message, where="dim")
        folder = _package_folder()
        self.dim = dim
        self.options: Mapping[str, Any] = {"dim": dim, "normalize": normalize}
        self.fingerprint = digest_of(
            "static", str(sorted(self.options.items())), folder / _WEIGHTS, folder / _TOKENIZER
        )
        self._normalize = normalize
        self._table = _table(folder / _WEIGHTS)[:, :dim]
        self._tokenizer = _tokenizer(folder / _TOKENIZER)

    def __repr__(self) -> str:
        return shown(self, dim=self.dim)

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> F32:
        """`(n, dim)`; see `Encoder.encode`."""
        del progress  # thousands of texts a second
        found = checked_texts(texts)
        out = np.zeros((len(found), self.dim), np.float32)
        for start in range(0, len(found), _BATCH):
            pieces = self._tokenizer.encode_batch_fast(
                found[start : start + _BATCH], add_special_tokens=False
            )
            for row, piece in enumerate(pieces, start):
                if piece.ids:
                    out[row] = self._table[piece.ids].mean(axis=0, dtype=np.float32)
        return unit_length(out) if self._normalize else out

    def fits(self, texts: Sequence[str], most: int) -> bool:
        """Whether texts have no more than `most` word pieces."""
        pieces = self._tokenizer.encode_batch_fast(checked_texts(texts), add_special_tokens=False)
        return sum(len(piece.ids) for piece in pieces) <= most


def _package_folder() -> Path:
    spec = find_spec("wordllama")
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    if not places or not (Path(places[0]) / _WEIGHTS).exists():
        raise MissingExtraError.of("wordllama", "serve")
    return Path(places[0])


def _table(path: Path) -> F32:
    try:
        from safetensors.numpy import load_file
    except ImportError:
        raise MissingExtraError.of("safetensors", "serve") from None
    return np.ascontiguousarray(load_file(str(path))["embedding.weight"], np.float32)


def _tokenizer(path: Path) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise MissingExtraError.of("tokenizers", "serve") from None
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
