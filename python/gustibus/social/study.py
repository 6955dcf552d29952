"""What the best quota wins back from biased rankings: the published experiment, and beyond it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gustibus import _core
from gustibus.errors import InputError
from gustibus.social.arguments import real, reals, seed_of, threads_of, whole
from gustibus.social.bias import (
    Bias,
    Latent,
    Smoothness,
    Swapping,
    encode_latent,
    halves,
    ranked_groups,
    smoothness,
)

if TYPE_CHECKING:
    from gustibus.types import F64

CULTURES = ("impartial", "urn", "mallows", "norm_mallows", "conitzer")
"""The distributions of the published experiment."""


def study_rules() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Rules of `bias_study` and `smoothness`: name to source and laws.

    Examples:
        >>> sorted(study_rules())
        ['bloc', 'borda', 'borda_cc', 'dowdall', 'pav', 'sntv']
    """
    return {name: (source, tuple(laws)) for name, source, laws in _core.fairness_tables()["bias"]}


@dataclass(frozen=True, slots=True)
class BiasStudy:
    """Ratios of what committees under a quota are worth to what the best one is.

    Axes of the arrays: splits into groups, latent distributions, numbers of voters, rules, strengths of
    the bias, quotas.
    """

    latent: tuple[str, ...]
    voters: tuple[int, ...]
    rules: tuple[str, ...]
    strengths: F64
    quotas: tuple[int, ...]
    items: int
    seats: int
    elections: int
    bias: Bias
    sources: Mapping[str, Any]
    """Where unbiased ballots come from, by the names in `latent`."""
    ratios: F64
    """Mean latent score of the committee over that of the best committee."""
    deviations: F64
    """Standard deviation of that ratio over elections."""
    observed: F64
    """Mean biased score of the committee over the best: one minus the price of the quota as seen."""

    @property
    def ratio(self) -> F64:
        """`(latent, voters, rules, strengths, quotas)`, mean over splits."""
        mean: F64 = self.ratios.mean(0)
        return mean

    @property
    def best(self) -> F64:
        """`(latent, voters, rules, strengths)`, the ratio at the best quota, mean over splits."""
        mean: F64 = self.ratios.max(-1).mean(0)
        return mean

    @property
    def best_error(self) -> F64:
        """Standard error of `best`: `deviation / sqrt(elections)` at the best quota, over splits."""
        at = self.ratios.argmax(-1)[..., None]
        deviation = np.take_along_axis(self.deviations, at, -1)[..., 0]
        splits = len(self.ratios)
        error: F64 = np.sqrt((deviation**2).mean(0) / (self.elections * splits))
        return error

    @property
    def price(self) -> F64:
        """`(latent, voters, rules, strengths, quotas)`, price of the quota by biased scores."""
        price: F64 = 1 - self.observed.mean(0)
        return price

    def table(self) -> list[dict[str, Any]]:
        """One row per distribution, number of voters, rule, strength and quota."""
        ratio, observed = self.ratio, self.observed.mean(0)
        error = np.sqrt((self.deviations**2).mean(0) / (self.elections * len(self.ratios)))
        rows = []
        for at in np.ndindex(*ratio.shape):
            latent, voters, rule, strength, quota = at
            rows.append(
                {
                    "latent": self.latent[latent],
                    "voters": self.voters[voters],
                    "rule": self.rules[rule],
                    "strength": float(self.strengths[strength]),
                    "quota": self.quotas[quota],
                    "ratio": float(ratio[at]),
                    "error": float(error[at]),
                    "observed": float(observed[at]),
                }
            )
        return rows

    def series(self, latent: str, voters: int, rule: str) -> F64:
        """`(strengths,)`, `best` of one panel and rule.

        Raises:
            InputError: The study has no such panel or rule.
        """
        try:
            at = self.latent.index(latent), self.voters.index(voters), self.rules.index(rule)
        except ValueError:
            message = (
                f"latent: expected a panel of {self.latent} x {self.voters} and a rule of "
                f"{self.rules}, got {(latent, voters, rule)}"
            )
            raise InputError(message) from None
        row: F64 = self.best[at]
        return row

    def smoothness(
        self, *, voters: int = 10, elections: int = 500, seed: int = 0
    ) -> dict[tuple[str, str], Smoothness]:
        """Smoothness of every distribution and rule under the study's bias at its largest strength."""
        bias = self.bias.at(float(self.strengths.max()))
        return {
            (name, rule): smoothness(
                rule, latent=self.sources[name], bias=bias, items=self.items, voters=voters,
                seats=self.seats, elections=elections, seed=seed,
            )
            for name in self.latent for rule in self.rules
        }  # fmt: skip

    def plot(self, kind: str = "strength", **options: Any) -> Any:
        """A figure of the study, for `figure.savefig`.

        Args:
            kind: `strength`: the ratio at the best quota against the strength of the bias, a panel
                per distribution and number of voters. `quota`: the ratio against the quota.
                `voters`: the ratio against the number of voters. `smoothness`: curves of gamma with a
                table of alpha. `price`: the price of the quota, as seen and in truth.
            options: Of the kind: `strength` for `quota`, `voters` and `price`; those of
                `smoothness()` for `smoothness`.

        Raises:
            UnknownNameError: There is no such kind.
            MissingExtraError: matplotlib is not installed.
        """
        from gustibus.social.study_plots import plot

        return plot(self, kind, options)


def bias_study(
    *,
    latent: Sequence[str | Latent] | Mapping[str, Any] = CULTURES,
    voters: Sequence[int] = (25, 50, 100),
    items: int = 50,
    seats: int = 10,
    groups: Any = None,
    advantage: Any = None,
    splits: int = 1,
    rules: Sequence[str] = ("borda", "bloc", "sntv"),
    bias: Bias | None = None,
    strengths: Any = None,
    quotas: Sequence[int] | None = None,
    elections: int = 40,
    fresh: bool = True,
    ties: str = "random",
    seed: int = 0,
    threads: int | None = None,
) -> BiasStudy:
    """Simulates elections with biased ballots and measures committees under every quota.

    Ballots are drawn, biased, and a committee is chosen by biased scores with `quota` seats for the
    disadvantaged groups together (shared out in proportion to their sizes) and the rest for the most
    advantaged one. Its latent score over that of the best committee is the ratio. The defaults are the
    published grid; one panel of it takes a fraction of a second.

    Args:
        latent: Distributions, or name to one: a name, a `Latent`, or full rankings (an array or
            `Profile`) that ballots are drawn from with equal chances.
        voters: Numbers of ballots of an election.
        items: Number of items.
        seats: Seats of the committee.
        groups: `(m,)`, a label per item; random halves, drawn anew for every split and panel, by default.
        advantage: Labels of the groups from the most to the least advantaged; sorted by default.
        splits: Number of random splits that are averaged.
        rules: Names in `study_rules()`; those that are not separable choose greedily.
        bias: How ballots are biased; `Swapping(phi=0.5)` by default.
        strengths: Strengths of the bias; 0, 1/7, ..., 1 by default.
        quotas: Seats for the disadvantaged; 0, 2, ... by default.
        elections: Number of elections per strength, and per quota when `fresh`.
        fresh: Whether every quota gets elections of its own, as published; else all quotas are
            measured on the same ones, which takes less time and compares them better.
        ties: How items of equal score are ordered: `random`, drawn anew for every election, or `index`,
            lower ids first. Cultures with a centre put better items at lower ids, and an order by
            `index` gives them away: under Mallows, SNTV then looks up to 0.06 better than it is.
        seed: Same seed, same numbers, on any number of threads.
        threads: Number of threads; every core by default.

    Raises:
        InputError: A wrong argument; `InfeasibleError` when a group has too few items for a quota.

    Examples:
        >>> study = bias_study(latent=["impartial"], voters=[25], strengths=[0.0, 1.0], seed=1)
        >>> borda, bloc, sntv = study.best[0, 0, :, 1]
        >>> bool(borda > 0.98 and borda > bloc > sntv)
        True

    Source: Boehmer, Celis, Huang, Mehrotra and Vishnoi 2023, experiments with synthetic preferences.
    """
    m, k = whole("items", items), whole("seats", seats, most=items)
    sources = _sources(latent)
    sizes = tuple(whole("voters", n) for n in _several("voters", voters))
    names = tuple(_several("rules", rules))
    levels = np.linspace(0, 1, 8) if strengths is None else reals("strengths", strengths)
    seats_kept = range(0, k + 1, 2) if quotas is None else _several("quotas", quotas)
    kept = [whole("quotas", quota, least=0, most=k) for quota in seats_kept]
    model = Swapping(phi=0.5) if bias is None else bias
    biases = [model.at(real("strengths", level)).encode() for level in levels]
    count, drawn = whole("splits", splits), whole("elections", elections)
    seed, workers = seed_of(seed), threads_of(threads)
    if ties not in ("random", "index"):
        message = f"ties: expected 'random' or 'index', got {ties!r}"
        raise InputError(message)
    shuffled = ties == "random"
    fixed = None if groups is None else ranked_groups(groups, m, advantage)
    shape = (count, len(sources), len(sizes), len(names), len(levels), len(kept))
    out = np.empty((3, *shape))
    for split, d, v in np.ndindex(count, len(sources), len(sizes)):
        key, half = _seeds(seed, split, d, v)
        grouped = halves(m, half) if fixed is None else fixed
        source = encode_latent(list(sources.values())[d], m)
        out[:, split, d, v] = _core.study_bias(
            list(names), source, biases, grouped.codes, grouped.count, (sizes[v], k, drawn),
            kept, bool(fresh), shuffled, key, workers,
        )  # fmt: skip
    return BiasStudy(
        tuple(sources), sizes, names, levels, tuple(kept), m, k, drawn, model, sources, *out
    )


def _seeds(*key: int) -> tuple[int, int]:
    """Two seeds of a panel; the generator's spread of such keys is fixed for all versions."""
    first, second = np.random.SeedSequence(list(key)).generate_state(2, np.uint64).tolist()
    return int(first), int(second)


def _sources(latent: Any) -> dict[str, Any]:
    if isinstance(latent, Mapping):
        sources = {str(name): source for name, source in latent.items()}
    else:
        given = _several("latent", latent)
        if not all(isinstance(source, str | Latent) for source in given):
            message = "latent: expected names or Latent; give rankings as {name: rankings}"
            raise InputError(message)
        sources = {s if isinstance(s, str) else _title(s): s for s in given}
        if len(sources) != len(given):
            message = "latent: expected different distributions, got one twice"
            raise InputError(message)
    if not sources:
        message = "latent: expected at least one distribution, got none"
        raise InputError(message)
    return sources


def _title(latent: Latent) -> str:
    return latent.name if latent.parameter is None else f"{latent.name}({latent.parameter:g})"


def _several(name: str, values: Any) -> list[Any]:
    if isinstance(values, str | bytes) or not hasattr(values, "__iter__"):
        message = f"{name}: expected a sequence, got {values!r}"
        raise InputError(message)
    several = list(values)
    if not several:
        message = f"{name}: expected at least one, got none"
        raise InputError(message)
    return several
