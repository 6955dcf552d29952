"""Which comparisons of a run may become questions of its onboarding pool."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gustibus.errors import ConfigError, InputError
from gustibus.onboarding import Pairs
from gustibus.onboarding.suitability import suitable, suiting
from gustibus.training.sets import column_of

if TYPE_CHECKING:
    from gustibus.data import Dataset
    from gustibus.training.config import RunConfig
    from gustibus.types import I64, Bool

_NO = frozenset({"", "0", "false", "no", "none"})
_YES = frozenset({"1", "true", "yes"})


def askable(dataset: Dataset, rows: I64, config: RunConfig) -> I64:
    """Those of some comparisons that nothing speaks against asking about.

    A pair that is flagged once is left out wherever it was shown.

    Args:
        dataset: the data.
        rows: `(n,)` comparisons.
        config: with `flags`, `terms` and `max_lix`.

    Raises:
        ConfigError: the file of terms cannot be read.
        InputError: there is no such column, a cell is neither true nor false, or nothing is left.
    """
    if not config.questions or not (config.flags or config.terms or config.max_lix is not None):
        return rows
    c = dataset.comparisons
    kept = rows
    if config.flags:
        kept = rows[~_flagged(dataset, config.flags)[rows]]
    limit = math.inf if config.max_lix is None else config.max_lix
    suits = suiting(terms=_terms(config.terms) if config.terms else (), max_lix=limit)
    pairs = Pairs(*(np.asarray(codes[kept], np.int64) for codes in (c.prompt, c.a, c.b)))
    kept = kept[suitable(pairs, suits, texts=c.item_texts, prompts=c.prompts)]
    if len(rows) and not len(kept):
        message = "flags, terms, max_lix: expected to leave pairs to ask about, none are left"
        raise InputError(message, where="onboarding")
    return kept


def _flagged(dataset: Dataset, column: str) -> Bool:
    """`(n,)`, whether the pair of a comparison is flagged in any comparison."""
    c = dataset.comparisons
    mine = []
    for row, cell in enumerate(column_of(dataset, column, "flags")):
        if cell is None or cell != cell or str(cell).strip().lower() in _NO:
            mine.append(False)
        elif cell == 1 or str(cell).strip().lower() in _YES:
            mine.append(True)
        else:
            message = (
                f"flags: expected true, false or nothing in column {column!r}, got {cell!r} in "
                f"comparison {row}"
            )
            raise InputError(message, where="data.flags")
    low, high = np.minimum(c.a, c.b).astype(np.int64), np.maximum(c.a, c.b).astype(np.int64)
    pair = low * (int(high.max(initial=0)) + 1) + high
    return np.asarray(np.isin(pair, pair[np.array(mine, np.bool_)]))


def _terms(path: str) -> list[str]:
    """Terms of a file, one a line; empty lines and those that begin with `#` are passed over."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        message = f"terms: {path}: cannot be read ({error})"
        raise ConfigError(message, where="onboarding.terms") from None
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
