"""Rewards and ratings of items from files, as options of the family that weighs them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gustibus.data import Dataset, Split
from gustibus.data.item_columns import ItemColumns, unknown_column
from gustibus.errors import ConfigError, InputError
from gustibus.training.config import RunConfig

_FITTED = ("train", "valid_people")
"""Parts of a split whose items heads may be fitted to."""


class _Sheet(NamedTuple):
    """One of a run's files, and the columns of it that are asked for."""

    file: ItemColumns
    names: tuple[str, ...]
    gaps: bool


class Attributes:
    """The files `rewards` and `ratings` of a run, read before anything slow begins.

    Args:
        config: the run.

    Raises:
        NotFoundError: there is no such file.
        InputError: its content is wrong, or a name in `model_options` is that of no column.
        ConfigError: both files have a column of one name, or the option `names` is no list of names.
    """

    def __init__(self, config: RunConfig) -> None:
        files = [
            (ItemColumns.read(path), gaps)
            for path, gaps in ((config.rewards, False), (config.ratings, True))
            if path
        ]
        wanted = config.model_options.get("names", ())
        if not isinstance(wanted, str | list | tuple):
            message = f"names: expected names of columns, got {wanted!r}"
            raise ConfigError(message, where="model.names")
        asked = wanted.split(",") if isinstance(wanted, str) else wanted
        self.names = tuple(str(name).strip() for name in asked if str(name).strip())
        every = [name for file, _ in files for name in file.names]
        if len(set(every)) < len(every):
            twice = sorted({name for name in every if every.count(name) > 1})
            message = f"ratings: expected other columns than those of rewards, got {twice} in both"
            raise ConfigError(message, where="data.ratings")
        for name in self.names:
            if name not in every:
                raise unknown_column(files[0][0].table.origin.name, name, every)
        self.names = self.names or tuple(every)
        self._sheets = [
            _Sheet(file, tuple(name for name in self.names if name in file.names), gaps)
            for file, gaps in files
        ]

    def options(self, dataset: Dataset, split: Split) -> dict[str, Any]:
        """Options of `pro`: a column of numbers a reward, and their names.

        What is known of an item that only people who are held out compared is left out: a model that
        is served has no such numbers of new items either.

        Args:
            dataset: with the items.
            split: of its comparisons.

        Raises:
            InputError: an item that was compared has no row, a cell is no finite number, or a column
                says the same of all items that may be fitted to.
        """
        c = dataset.comparisons
        columns = [sheet.file.of(c, sheet.names, gaps=sheet.gaps) for sheet in self._sheets]
        found = np.concatenate(columns, axis=1)  # (m, k)
        names = [name for sheet in self._sheets for name in sheet.names]
        found = found[:, [names.index(name) for name in self.names]]
        rows = np.concatenate([split[part] for part in _FITTED if part in split])
        fitted = np.isin(np.arange(len(found)), np.concatenate([c.a[rows], c.b[rows]]))
        found[~fitted] = np.nan
        for name, column in zip(self.names, found.T, strict=True):
            if len(np.unique(column[np.isfinite(column)])) < 2:
                message = (
                    f"ratings: column {name!r} says the same of all items that are fitted to; "
                    "leave it out (names of the model's options)"
                )
                raise InputError(message, where="data.ratings")
        return {"rewards": "ratings", "ratings": found, "names": self.names}
