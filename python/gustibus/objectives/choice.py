"""An objective chosen by name, with its options bound and checked before any work starts."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gustibus.errors import ConfigError, InputError, UnknownNameError
from gustibus.objectives.auxiliary import AUXILIARY
from gustibus.objectives.listwise import LISTWISE
from gustibus.objectives.pairwise import PAIRWISE
from gustibus.registry import Registry

_SOFT = "labels that are probabilities are the targets of 'bt_pair'"
_POLICY = "it reads log-probabilities of a language model, which gustibus.policy trains"
_TERM = "it is a term beside an objective, named in [objective.auxiliary]"
ELSEWHERE = {
    **dict.fromkeys(("soft_bt", "cream_pair"), _SOFT),
    **dict.fromkeys(("dpo", "dpo_gamma", "rpo", "dove", "rationale_dpo"), _POLICY),
    **dict.fromkeys(AUXILIARY, _TERM),
}
"""Names that are no rows of the two tables, and where what they stand for is found."""


@dataclass(frozen=True, slots=True)
class Objective:
    """A row of `PAIRWISE` or `LISTWISE` with its options.

    Attributes:
        name: of the row.
        options: as given.
        listwise: whether it takes lists; else it takes margins and targets.
        log_odds: whether the margins that it learns are log-odds, so that they need no scale.
    """

    name: str
    options: Mapping[str, Any]
    listwise: bool
    log_odds: bool

    def __call__(self, *values: Tensor) -> Tensor:
        """Losses: of `(margin, target)`, or of `(scores, labels, mask)`."""
        table: Registry[Any] = LISTWISE if self.listwise else PAIRWISE
        loss: Tensor = table[self.name].run(*values, **self.options)
        return loss


def choose(name: str, options: Mapping[str, Any] | None = None) -> Objective:
    """The objective of a name.

    Args:
        name: a row of `PAIRWISE` or `LISTWISE`.
        options: of the row, by keyword.

    Raises:
        ConfigError: there is no such objective or option, or the value of an option is wrong.
    """
    options = dict(options or {})
    if name in ELSEWHERE:
        message = f"objective: {name!r} trains no reward: {ELSEWHERE[name]}"
        raise ConfigError(message, where="objective.name")
    if name not in PAIRWISE and name not in LISTWISE:
        error = UnknownNameError.of("objective", name, [*PAIRWISE, *LISTWISE])
        raise ConfigError(error.message, where="objective.name")
    listwise = name in LISTWISE
    entry = LISTWISE[name] if listwise else PAIRWISE[name]
    known = [n for n, p in inspect.signature(entry.run).parameters.items()
             if p.kind is p.KEYWORD_ONLY]  # fmt: skip
    for option in options:
        if option not in known:
            message = f"objective {name!r} has no option {option!r}; known: {sorted(known)}"
            raise ConfigError(message, where=f"objective.{option}")
    two = torch.tensor([1.0, 0.0])
    run = partial(entry.run, two, two)
    try:  # a row checks its own options when it is called
        run(*((None,) if listwise else ()), **options)
    except InputError as error:
        where = f"objective.{error.where}" if error.where else "objective"
        raise ConfigError(f"objective {name!r}: {error.message}", where=where) from None
    return Objective(name, options, listwise, "log_odds" in entry.laws)
