"""Studies: how a rule does on a stream, against the optimum in hindsight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from gustibus.errors import InputError, MissingExtraError, UnknownNameError
from gustibus.matching.instances import INSTANCES, Instance
from gustibus.matching.offline import hindsight, max_weight_b_matching, stochastic_lp_bound
from gustibus.matching.online import RULES, Matcher
from gustibus.matching.streams import read_stream
from gustibus.types import F64, I64

QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of items whose used share of capacity the load curves show."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over runs with its interval."""

    value: float
    low: float
    high: float
    error: float
    runs: int

    @classmethod
    def of(cls, values: F64, level: float = 0.95) -> Interval:
        """Normal interval of a mean; a single run has no width."""
        mean = float(values.mean())
        error = float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else 0.0
        reach = NormalDist().inv_cdf((1 + level) / 2) * error
        return cls(mean, mean - reach, mean + reach, error, len(values))

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


@dataclass(frozen=True, slots=True)
class Curves:
    """One run along its stream, at `k` numbers of arrivals."""

    arrivals: I64  # (k,)
    value: F64  # (k,), earned so far
    best: F64  # (k,), optimum in hindsight so far, or a bound on it
    load: F64  # (k, 5), quantiles over items of the used share of capacity

    @property
    def regret(self) -> F64:
        """What hindsight would have earned more, `(k,)`."""
        return self.best - self.value


@dataclass(frozen=True, slots=True)
class Study:
    """What a rule earned in many runs.

    Attributes:
        rule: Its name.
        instance: Name of the instance or stream.
        value: `(runs,)` earned.
        optimum: `(runs,)` optimum in hindsight; for stochastic rewards and budgets, where there is no
            such thing or it is hard to find, the linear program's bound.
        bound: `(runs,)` the linear program's bound.
        curves: The first run along its stream.
    """

    rule: str
    instance: str
    value: F64
    optimum: F64
    bound: F64
    curves: Curves

    @property
    def ratio(self) -> Interval:
        """Share of the optimum in hindsight."""
        return Interval.of(_share(self.value, self.optimum))

    @property
    def bound_ratio(self) -> Interval:
        """Share of the linear program's bound."""
        return Interval.of(_share(self.value, self.bound))

    def table(self) -> str:
        """The figures as a Markdown table."""
        rows = [
            ("value", Interval.of(self.value)),
            ("share of the optimum in hindsight", self.ratio),
            ("share of the linear program", self.bound_ratio),
        ]
        head = f"{self.rule} on {self.instance}, {len(self.value)} runs\n\n"
        lines = [f"| {name} | {x} |" for name, x in rows]
        return head + "\n".join(["| what | mean [95 % interval] |", "|---|---|", *lines])

    def plot(self, path: str | Path | None = None) -> Any:
        """Load and regret along the first run's stream.

        Args:
            path: Where to save the picture; its ending decides the format.

        Returns:
            The matplotlib figure.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise MissingExtraError.of("matplotlib", "train") from None
        figure = Figure(figsize=(10, 4), layout="constrained")
        load, regret = figure.subplots(1, 2)
        x = self.curves.arrivals
        for place, quantile in enumerate(QUANTILES):
            load.plot(
                x, self.curves.load[:, place], label=f"{quantile:.0%} of items", linewidth=1.2
            )
        load.set(xlabel="arrivals", ylabel="used share of capacity", title=f"{self.rule}: load")
        load.legend(fontsize=8)
        regret.plot(x, self.curves.best, label="in hindsight", color="0.5")
        regret.plot(x, self.curves.value, label=self.rule)
        regret.fill_between(x, self.curves.value, self.curves.best, alpha=0.15, label="regret")
        regret.set(xlabel="arrivals", ylabel="value", title=f"{self.instance}: regret")
        regret.legend(fontsize=8)
        for axes in (load, regret):
            axes.grid(alpha=0.3)
        if path is not None:
            figure.savefig(path, dpi=150)
        return figure


def simulate(
    rule: str,
    instance: str | Instance,
    *,
    runs: int = 20,
    seed: int = 0,
    sizes: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    points: int = 50,
) -> Study:
    """Run a rule many times, each with a seed of its own and, for named instances, new labels.

    Args:
        rule: One of `RULES`.
        instance: A name in `INSTANCES`, or a stream.
        runs: How many.
        seed: Of the first run; the others follow.
        sizes: Sizes of a named instance, such as `{"n": 100}`.
        options: Options of the rule, as for `Matcher`.
        points: Points of the curves.

    Raises:
        UnknownNameError: no such rule or instance.
        InputError: the instance does not suit the rule, or a number is wrong.

    Examples:
        >>> simulate("balance", "triangular", runs=3, sizes={"n": 20, "capacity": 5}).ratio.runs
        3
    """
    if rule not in RULES:
        raise UnknownNameError.of("matching rule", rule, RULES)
    for name, number in (("runs", runs), ("points", points)):
        if number < 1:
            message = f"{name}: expected a whole number above 0, got {number}"
            raise InputError(message, where=name)
    given, chosen = dict(sizes or {}), dict(options or {})
    values, optima, bounds, curves = [], [], [], None
    known: tuple[float, float] | None = None
    for run in range(runs):
        stream = _instance(instance, given, np.random.default_rng([seed, run]))
        matcher = _matcher(rule, stream, seed + run, chosen)
        if known is None or isinstance(instance, str):
            known = _best(rule, stream, matcher)
        if curves is None:
            curves = _curves(rule, stream, matcher, points)
        else:
            matcher.arrive_many(*_rows(rule, stream))
        values.append(matcher.stats()["value"])
        optima.append(known[0])
        bounds.append(known[1])
    name = instance if isinstance(instance, str) else instance.name
    assert curves is not None, "there is at least one run"
    return Study(rule, name, np.array(values), np.array(optima), np.array(bounds), curves)


def run(
    rule: str,
    source: str,
    *,
    runs: int = 20,
    seed: int = 0,
    sizes: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    plot: str | Path | None = None,
) -> Study:
    """What the command runs: a rule on a named instance, or on a stream recorded in a file.

    Args:
        rule: One of `RULES`.
        source: A name in `INSTANCES`, or the path of a file that `read_stream` reads.
        runs: How many.
        seed: Of the first run.
        sizes: Sizes of a named instance.
        options: Options of the rule.
        plot: Where to save load and regret curves.

    Raises:
        UnknownNameError: neither an instance nor a file.
        InputError: the file is wrong, or does not suit the rule.
        MissingExtraError: curves were asked for, and matplotlib is not installed.
    """
    instance: str | Instance = source
    if source not in set(INSTANCES):
        if not Path(source).is_file():
            raise UnknownNameError.of("matching instance or file", source, INSTANCES)
        instance = read_stream(source)
    study = simulate(rule, instance, runs=runs, seed=seed, sizes=sizes, options=options)
    if plot is not None:
        study.plot(plot)
    return study


def play_adversary(rule: str, capacity: int) -> float:
    """Share of the optimum that a rule earns against the adversary of Kalyanasundaram and Pruhs.

    `(b + 1)^b` items of capacity `b`. In each of `b` rounds, a share `b / (b + 1)` of the active items
    arrivals come for them; the items used become the active ones. Then `b` arrivals per active item
    come. Deterministic rules that balance earn exactly `1 - (1 + 1/b)^-b`.

    Source: Kalyanasundaram and Pruhs 2000.
    """
    b = capacity
    n = (b + 1) ** b
    matcher = Matcher(rule, n, b)
    active = np.arange(n)
    for _ in range(b):
        many = len(active) * b // (b + 1)
        indptr = np.arange(many + 1) * len(active)
        active = np.unique(matcher.arrive_many(indptr, np.tile(active, many)))
        active = active[active >= 0]
    many = b * len(active)
    matcher.arrive_many(np.arange(many + 1) * len(active), np.tile(active, many))
    value: float = matcher.stats()["value"]
    return value / (b * n)


def _share(value: F64, best: F64) -> F64:
    return np.divide(value, best, out=np.ones_like(value), where=best > 0)


def _instance(
    instance: str | Instance, sizes: dict[str, Any], rng: np.random.Generator
) -> Instance:
    if isinstance(instance, str):
        make = INSTANCES[instance].run
        try:
            return make(rng, **sizes)
        except TypeError as error:
            message = f"sizes: expected sizes that the instance {instance!r} takes: {error}"
            raise InputError(message, where="sizes") from None
    if sizes:
        message = f"sizes: expected none for a recorded stream, got {sorted(sizes)}"
        raise InputError(message, where="sizes")
    return instance


def _matcher(rule: str, stream: Instance, seed: int, options: dict[str, Any]) -> Matcher:
    entry = RULES[rule].run
    limits: dict[str, Any] = {"budget" if entry["budget"] else "capacity": stream.limit}
    weight = stream.weight if entry["weight"] else None
    if rule == "dual_prices":
        options = {"horizon": max(len(stream.arrivals), 1), **options}
    try:
        return Matcher(rule, weight=weight, seed=seed, **limits, **options)
    except TypeError as error:
        message = f"options: expected options of a matcher: {error}"
        raise InputError(message, where="options") from None


def _rows(rule: str, stream: Instance) -> tuple[I64, Any, F64 | None]:
    """Rows as the rule reads them: rules that read no values get none."""
    arrivals = stream.arrivals
    reads = RULES[rule].run["reads"]
    return arrivals.indptr, arrivals.items, None if reads == "nothing" else arrivals.values


def _best(rule: str, stream: Instance, matcher: Matcher) -> tuple[float, float]:
    """Optimum in hindsight and the linear program's bound; the same where the program is integral."""
    if stream.optimum is not None:
        return stream.optimum, stream.optimum
    entry = RULES[rule].run
    if entry["stochastic"]:
        bound = stochastic_lp_bound(stream.arrivals, stream.limit, weight=stream.weight)
        return bound, bound
    if entry["budget"]:
        bound = matcher.bound(*_rows(rule, stream), steps=1000)
        return bound, bound
    best = max_weight_b_matching(_weighted(rule, stream), stream.limit).value
    return best, best


def _weighted(rule: str, stream: Instance) -> Any:
    """Arrivals whose values are what a match is worth to the rule."""
    indptr, items, values = _rows(rule, stream)
    worth = np.ones(len(items)) if values is None else np.asarray(values, dtype=np.float64)
    if stream.weight is not None and RULES[rule].run["weight"]:
        worth = worth * stream.weight[np.asarray(items, dtype=np.int64)]
    return type(stream.arrivals)(indptr, items, worth)


def _curves(rule: str, stream: Instance, matcher: Matcher, points: int) -> Curves:
    """The whole stream through a matcher, with looks at it on the way."""
    m = len(stream.arrivals)
    ends = np.unique(np.linspace(0, m, min(points, max(m, 1)) + 1).astype(np.int64))
    ends = ends[ends > 0] if m else ends
    entry = RULES[rule].run
    exact = not (entry["stochastic"] or entry["budget"])
    along = hindsight(_weighted(rule, stream), stream.limit)[0] if exact and m else None
    value, best, load, first = [], [], [], 0
    indptr, items, values = _rows(rule, stream)
    for end in ends:
        lo, hi = int(indptr[first]), int(indptr[end])
        part = None if values is None else values[lo:hi]
        matcher.arrive_many(indptr[first : end + 1] - lo, items[lo:hi], part)
        stats = matcher.stats()
        value.append(stats["value"])
        if along is not None:
            best.append(along[end - 1])
        else:
            upto = None if values is None else values[:hi]
            best.append(matcher.bound(indptr[: end + 1], items[:hi], upto, steps=100))
        used = np.divide(
            stats["used"], stats["limit"], out=np.ones_like(stats["used"]), where=stats["limit"] > 0
        )
        load.append(np.quantile(used, QUANTILES))
        first = end
    return Curves(ends, np.array(value), np.array(best), np.array(load).reshape(-1, len(QUANTILES)))
