"""Auxiliary terms of the pooled reward: losses beside the objective, on what its network shares."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from gustibus.data.arrays import number, one_of
from gustibus.errors import ConfigError, InputError, UnknownNameError
from gustibus.models.base import TrainingSet
from gustibus.models.bt_rows import Rows, draw
from gustibus.models.lists import LONGEST
from gustibus.objectives.auxiliary import AUXILIARY
from gustibus.types import F32

if TYPE_CHECKING:
    from gustibus.models.bt_fit import Reward

_BATCH = 256


@dataclass(frozen=True, slots=True)
class Term:
    """A row of `AUXILIARY` with its weight.

    Attributes:
        name: of the row.
        weight: that it has beside the mean loss of a comparison, above 0.
        options: of the row, and of how a fit feeds it.
    """

    name: str
    weight: float
    options: Mapping[str, Any]


def choose_terms(given: Mapping[str, Any] | None) -> tuple[Term, ...]:
    """Terms by name.

    Args:
        given: for each name its weight, or a mapping with `weight` and the term's options:
            `info_nce` takes `tau`, `dropout` (share of the hidden units that a view lacks) and
            `of` (`difference` of the sides of a comparison, or each `response`).

    Raises:
        ConfigError: there is no such term or option, or a value is wrong.
    """
    found = []
    for name, value in (given or {}).items():
        if name not in AUXILIARY:
            error = UnknownNameError.of("auxiliary term", name, list(AUXILIARY))
            raise ConfigError(error.message, where="objective.auxiliary")
        options = dict(value) if isinstance(value, Mapping) else {"weight": value}
        if "weight" not in options:
            message = f"auxiliary: {name!r} needs a weight, got {sorted(options)}"
            raise ConfigError(message, where=f"objective.auxiliary.{name}")
        known = [n for n, p in inspect.signature(_FEEDS[name]).parameters.items()
                 if p.kind is p.KEYWORD_ONLY]  # fmt: skip
        for option in options:
            if option not in (*known, "weight"):
                message = f"auxiliary: {name!r} has no option {option!r}; known: {sorted(known)}"
                raise ConfigError(message, where=f"objective.auxiliary.{name}.{option}")
        try:
            weight = number("weight", options.pop("weight"), low=0, open_ends="(")
            _check(options)
        except InputError as error:
            where = f"objective.auxiliary.{name}.{error.where}"
            message = f"auxiliary: {name!r}: {error.message}"
            raise ConfigError(message, where=where) from None
        found.append(Term(name, weight, options))
    return tuple(found)


def _check(options: Mapping[str, Any]) -> None:
    if "tau" in options:
        number("tau", options["tau"], low=0, open_ends="(")
    if "dropout" in options:
        number("dropout", options["dropout"], low=0, high=1, open_ends="()")
    if "of" in options:
        one_of("of", options["of"], ("difference", "response"))


class Terms(torch.nn.Module):
    """What the terms of one fit need: rows on the device, and a head for degrees.

    Args:
        chosen: the terms.
        data: comparisons; those without weight count here, as responses that nobody has judged.
        center: `(d,)` taken from the features.
        scale: that they are divided by.
        device: where the rows go.
        width: of the reward's last hidden layer; 0 for a linear reward.

    Raises:
        ConfigError: a term shapes hidden layers, and there are none.
        InputError: the rows do not have what a term needs.
    """

    def __init__(
        self,
        chosen: tuple[Term, ...],
        data: TrainingSet,
        center: F32,
        scale: float,
        device: torch.device,
        *,
        width: int,
    ) -> None:
        super().__init__()
        self.chosen = chosen
        self.rows = Rows(data, center, scale, device)
        names = [term.name for term in chosen]
        for name in ("info_nce", "degree_ce"):
            if name in names and width == 0:
                message = (
                    f"auxiliary: {name!r} shapes hidden layers, a linear reward has none; "
                    "set hidden to 1 or more"
                )
                raise ConfigError(message, where="hidden")
        self.lists = _by_prompt(data, self.rows, device) if "metarm_spread" in names else []
        if "metarm_spread" in names and not self.lists:
            message = "auxiliary: 'metarm_spread' needs prompts with two responses, got none"
            raise InputError(message, where="auxiliary")
        self.variant = self.degree = torch.zeros(0, dtype=torch.int64, device=device)
        if "degree_ce" in names:
            self.variant, self.degree = _degrees(data, self.rows, device)
            self.head = torch.nn.Linear(width, int(self.degree.max()) + 1).to(device)

    def forward(self, module: Reward, generator: torch.Generator) -> Tensor:
        """The weighted sum of the terms, each on rows drawn at random."""
        return torch.stack([
            term.weight * _FEEDS[term.name](self, module, generator, **term.options)
            for term in self.chosen
        ]).sum()  # fmt: skip

    def record(self, module: Reward, seed: int) -> dict[str, Any]:
        """Weight, options and loss of each term, as the report of a fit has them."""
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            return {
                term.name: {
                    "weight": term.weight, "options": dict(term.options),
                    "loss": float(_FEEDS[term.name](self, module, generator, **term.options)),
                }
                for term in self.chosen
            }  # fmt: skip


def _contrast(
    terms: Terms, module: Reward, generator: torch.Generator, *,
    tau: float = 0.1, dropout: float = 0.1, of: str = "difference",
) -> Tensor:  # fmt: skip
    rows = terms.rows
    pick = draw(len(rows.a), _BATCH, generator, rows.a.device)
    a, b = module.hidden(rows.items[torch.cat([rows.a[pick], rows.b[pick]])]).chunk(2)
    hidden = a - b if of == "difference" else torch.cat([a, b])  # (n, width)
    views = []
    for _ in range(2):
        kept = torch.rand(hidden.shape, generator=generator) >= dropout
        views.append(hidden * kept.to(hidden) / (1 - dropout))
    return AUXILIARY["info_nce"].run(*views, tau=tau)


def _spread(terms: Terms, module: Reward, generator: torch.Generator) -> Tensor:
    total, count = [], 0
    for items in terms.lists:
        pick = draw(len(items), max(_BATCH // items.shape[1], 1), generator, items.device)
        places = items[pick]  # (l, k)
        scores = module(terms.rows.items[places.flatten()])[:, 0].reshape(places.shape)
        total.append(len(places) * AUXILIARY["metarm_spread"].run(scores, None))
        count += len(places)
    return torch.stack(total).sum() / count


def _degree(terms: Terms, module: Reward, generator: torch.Generator) -> Tensor:
    pick = draw(len(terms.variant), _BATCH, generator, terms.variant.device)
    hidden = module.hidden(terms.rows.items[terms.variant[pick]])
    return AUXILIARY["degree_ce"].run(terms.head(hidden), terms.degree[pick])


_FEEDS: dict[str, Callable[..., Tensor]] = {
    "info_nce": _contrast,
    "metarm_spread": _spread,
    "degree_ce": _degree,
}
"""`(terms, module, generator, **options)` to one number, by the name of the row."""


def _by_prompt(data: TrainingSet, rows: Rows, device: torch.device) -> list[Tensor]:
    """Items of the prompts that have several, one tensor `(l, k)` for each number k of them."""
    m = len(rows.items)
    sides = torch.cat([rows.a, rows.b]).cpu().numpy()
    keys = np.unique(np.concatenate([data.prompt, data.prompt]).astype(np.int64) * m + sides)
    order = np.random.default_rng(0).permutation(len(keys))  # which members a long list keeps
    prompt, item = np.divmod(keys[order], m)
    order = np.argsort(prompt, kind="stable")
    prompt, item = prompt[order], item[order]
    _, first, size = np.unique(prompt, return_index=True, return_counts=True)
    size = np.minimum(size, LONGEST)
    return [
        torch.as_tensor(item[first[size == k][:, None] + np.arange(k)], device=device)
        for k in np.unique(size[size > 1])
    ]


def _degrees(data: TrainingSet, rows: Rows, device: torch.device) -> tuple[Tensor, Tensor]:
    """Items with a degree, and their degrees: of rows with one, a has degree 0."""
    degree = np.zeros(len(data), np.int32) if data.degree is None else data.degree
    told = np.flatnonzero(degree > 0)
    if len(told) == 0:
        message = (
            "auxiliary: 'degree_ce' needs comparisons of responses with their degraded variants "
            "and a column 'degree', got none"
        )
        raise InputError(message, where="auxiliary")
    at = torch.as_tensor(told, device=device)
    both = torch.cat([rows.a[at], rows.b[at]])
    labels = np.concatenate([np.zeros(len(told), np.int64), degree[told]])
    return both, torch.as_tensor(labels, dtype=torch.int64, device=device)
