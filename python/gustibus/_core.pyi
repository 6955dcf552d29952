# Types of the compiled core; the library reaches it through `gustibus.posterior` and `gustibus.social`.

from collections.abc import Callable
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

# Types of the compiled core; the library reaches it through `gustibus.posterior` and `gustibus.matching`.
from gustibus.types import F64, I32, I64, Bool

_Rows: TypeAlias = tuple[F64, F64, F64, F64]
_Mixture: TypeAlias = tuple[F64, F64, F64]
_Placement: TypeAlias = tuple[F64, F64, F64 | None, F64, F64, I64, Bool]

__all__ = [
    "Approvals",
    "Ballots",
    "Cells",
    "ExpectedLoss",
    "Matcher",
    "Prior",
    "Utilities",
    "acquire",
    "acquire_batch",
    "assignment",
    "attention_gap",
    "b_matching",
    "bias_ballots",
    "birkhoff",
    "break_rankings",
    "check_axiom",
    "closest_ranking",
    "committee_rules",
    "committee_score",
    "elect",
    "elo_ratings",
    "estimate_smoothness",
    "fail_probability",
    "fair_consensus",
    "fair_measures",
    "fair_rerank",
    "fair_table",
    "fairness_tables",
    "fit_covariates",
    "fit_population",
    "fit_rankings",
    "fit_strengths",
    "fit_tied_rankings",
    "fit_totals",
    "fuse_runs",
    "hindsight",
    "intern_strings",
    "ironed_virtual_values",
    "matching_rules",
    "pairwise_parity",
    "place",
    "place_creatives",
    "place_particles",
    "place_simplex",
    "position_auction",
    "predict",
    "ranking_bootstrap",
    "ranking_covariance",
    "reduce_comparisons",
    "repair_parity",
    "repeated_name",
    "required_rankings",
    "score_comparisons",
    "social_axis",
    "social_decide",
    "social_distances",
    "social_rules",
    "social_sample",
    "stationary_strengths",
    "strength_bootstrap",
    "strength_covariance",
    "study_bias",
    "target_gain",
    "tied_ranking_covariance",
]

@final
class Prior:
    def __new__(cls, weights: F64, means: F64, covariances: F64) -> Prior: ...
    def __getnewargs__(self) -> _Mixture: ...

@final
class ExpectedLoss:
    def __new__(
        cls,
        sides: I64,
        target: F64,
        weight: F64,
        starts: I64,
        means: F64,
        covariances: F64,
        rule: F64,
    ) -> ExpectedLoss: ...
    def at(self, table: F64, threads: int | None) -> tuple[float, F64]: ...

def place(
    rows: _Rows,
    starts: I64,
    prior: Prior,
    method: str,
    lapse: float,
    tie: float,
    max_iter: int,
    tolerance: float,
    covariance: bool,
    threads: int | None,
) -> _Placement: ...
def place_simplex(
    rows: _Rows,
    starts: I64,
    prior: Prior,
    lapse: float,
    tie: float,
    max_iter: int,
    tolerance: float,
    covariance: bool,
    threads: int | None,
) -> _Placement: ...
def place_particles(
    margins: F64,
    target: F64,
    weight: F64,
    starts: I64,
    log_weights: F64,
    lapse: float,
    tie: float,
    threads: int | None,
) -> tuple[F64, F64]: ...
def fit_population(
    rows: _Rows,
    starts: I64,
    prior: _Mixture,
    method: str,
    structure: str,
    fit_mean: bool,
    shrinkage: tuple[float, float],
    floor: float,
    cap: float,
    rounds: int,
    tolerance: float,
    lapse: float,
    tie: float,
    max_iter: int,
    threads: int | None,
    progress: Callable[[int, float], None] | None,
) -> tuple[F64, F64, F64, list[float], F64, bool]: ...
def predict(
    mean: F64, variance: F64, weights: F64, lapse: float, tie: float, of_tie: bool
) -> F64: ...
def acquire(
    rule: str,
    delta: F64,
    offset: F64,
    base: F64 | None,
    belief: _Mixture,
    lapse: float,
    tie: float,
    threads: int | None,
) -> F64: ...
def target_gain(
    delta: F64,
    offset: F64,
    moments: F64,
    belief: _Mixture,
    lapse: float,
    tie: float,
    threads: int | None,
) -> F64: ...
def acquire_batch(
    delta: F64, offset: F64, belief: _Mixture, count: int, lapse: float, tie: float
) -> I64: ...

# gustibus.social: ballots and rules.

_Cells: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]

@final
class Ballots:
    @staticmethod
    def full(
        rankings: NDArray[Any], weights: F64 | None, compact: str, threads: int | None
    ) -> Ballots: ...
    @staticmethod
    def lists(
        starts: I64,
        items: NDArray[Any],
        ends: Bool | None,
        n_items: int,
        weights: F64 | None,
        unranked: str,
        compact: str,
    ) -> Ballots: ...
    @property
    def n_items(self) -> int: ...
    @property
    def n_ballots(self) -> int: ...
    @property
    def is_full(self) -> bool: ...
    @property
    def is_strict(self) -> bool: ...
    @property
    def is_exact(self) -> bool: ...
    @property
    def unranked(self) -> str: ...
    @property
    def total(self) -> float: ...
    def weights(self) -> F64: ...
    def order(self) -> _Cells | None: ...
    def places(self) -> _Cells | None: ...
    def support(self, threads: int | None) -> F64: ...
    def histogram(self, threads: int | None) -> F64: ...
    def to_lists(self) -> tuple[I64, NDArray[np.uint32], Bool]: ...

def social_rules() -> list[tuple[str, str, list[str], list[str]]]: ...
def social_decide(
    rule: str,
    subject: Ballots | F64,
    options: dict[str, Any],
    time_limit: float | None,
    threads: int | None,
) -> tuple[I64, F64 | None, I64, dict[str, Any]]: ...
def social_sample(
    culture: str,
    n_ballots: int,
    n_items: int,
    parameter: float | None,
    vector: list[float] | None,
    dimensions: int,
    seed: int,
    threads: int | None,
) -> Ballots: ...
def social_axis(ballots: Ballots) -> list[int] | None: ...
def social_distances(
    ballots: Ballots, buckets: I64, metric: str, penalty: float, threads: int | None
) -> F64: ...

# gustibus.social: committees.

_Params: TypeAlias = tuple[F64 | None, int | None, float | None, str | None]
_Group: TypeAlias = tuple[str, list[int], int, int]
_Committee: TypeAlias = tuple[
    tuple[list[int], float | None, float | None, bool],
    tuple[list[tuple[int, float]], list[list[int]], bool, str],
]

@final
class Approvals:
    def __new__(
        cls, starts: I64, items: NDArray[np.uint32], n_items: int, weights: F64 | None
    ) -> Approvals: ...

@final
class Utilities:
    def __new__(cls, by_item: F64, weights: F64) -> Utilities: ...

def committee_rules() -> list[tuple[str, str, str, list[str]]]: ...
def elect(
    rule: str,
    profile: Ballots | Approvals | Utilities,
    k: int,
    groups: list[_Group],
    params: _Params,
    method: str,
    resolute: bool,
    cap: int,
    sampling: tuple[float, int],
    time_limit: float | None,
    threads: int | None,
) -> _Committee: ...
def committee_score(
    rule: str, profile: Ballots | Approvals | Utilities, params: _Params, members: list[int]
) -> float | None: ...
def check_axiom(
    axiom: str, approvals: Approvals, members: list[int], time_limit: float | None
) -> tuple[bool | None, tuple[list[int], list[int], int] | None]: ...

# gustibus.social: fair ranking, fusion and bias.

_Labels: TypeAlias = NDArray[np.uint32]
_Bias: TypeAlias = tuple[str, list[float], bool, bool]
_Latent: TypeAlias = tuple[str, float | None, _Labels | None]
_Bounds: TypeAlias = tuple[I64, I64]

def fairness_tables() -> dict[str, list[tuple[str, str, list[str]]]]: ...
def fair_table(
    k: int, p: float, alpha: float, adjust: bool, parity: bool
) -> tuple[I64, float, float]: ...
def fail_probability(minimum: I64, p: float, parity: bool) -> float: ...
def fair_rerank(
    method: str,
    scores: F64,
    labels: _Labels,
    shares: F64,
    k: int,
    table: _Bounds | None,
    alpha: float,
    adjust: bool,
    parity: bool,
    epsilon: float,
    seed: int,
    time_limit: float | None,
) -> tuple[I64, I64, float, float]: ...
def fair_measures(
    rankings: I64,
    labels: _Labels,
    shares: F64,
    patience: float,
    cutoffs: I64,
    threads: int | None,
) -> tuple[F64, F64, F64, F64, I64, I64]: ...
def attention_gap(rankings: I64, relevance: F64, attention: tuple[str, float]) -> float: ...
def closest_ranking(order: I64, labels: _Labels, groups: int, table: _Bounds) -> I64: ...
def fair_consensus(
    ballots: Ballots, labels: _Labels, groups: int, table: _Bounds, threads: int | None
) -> tuple[I64, float, float, int, float]: ...
def pairwise_parity(order: I64, labels: _Labels, groups: int) -> tuple[F64, float]: ...
def repair_parity(
    order: I64, attributes: _Labels, counts: list[int], delta: float
) -> tuple[I64, float, int, bool]: ...
def birkhoff(matrix: F64) -> tuple[I64, F64]: ...
def fuse_runs(
    method: str,
    norm: str,
    runs: list[tuple[I64, _Labels, F64]],
    weights: F64,
    params: tuple[float, float, float, float],
    sort: bool,
    threads: int | None,
) -> tuple[I64, _Labels, F64]: ...
def bias_ballots(
    rankings: _Labels, labels: _Labels, groups: int, bias: _Bias, seed: int
) -> _Labels: ...
def estimate_smoothness(
    rule: str,
    latent: _Latent,
    bias: _Bias,
    labels: _Labels,
    groups: int,
    sizes: tuple[int, int, int, int],
    tau: float | None,
    seed: int,
    threads: int | None,
) -> tuple[float, float, F64, F64, F64, F64]: ...
def required_rankings(
    smoothness: tuple[float, float, float], items: int, delta: float, accuracy: float | None
) -> tuple[float, float, float]: ...
def study_bias(
    rules: list[str],
    latent: _Latent,
    biases: list[_Bias],
    labels: _Labels,
    groups: int,
    sizes: tuple[int, int, int],
    quotas: list[int],
    fresh: bool,
    shuffled_ties: bool,
    seed: int,
    threads: int | None,
) -> tuple[F64, F64, F64]: ...

# Strengths of items; reached through `gustibus.social`.

_Column: TypeAlias = NDArray[np.integer[Any]]
_Prior: TypeAlias = tuple[float, float, float]
_Limits: TypeAlias = tuple[float, int]
_Fit: TypeAlias = tuple[
    F64, NDArray[np.uint32], NDArray[np.uint32], float, int, bool, float, float, F64
]
_Fitted: TypeAlias = tuple[F64, NDArray[np.uint32], float, _Prior]

@final
class Cells:
    def __new__(
        cls, starts: I64, other: NDArray[np.uint32], weights: F64, spread: F64, counts: bool
    ) -> Cells: ...
    def __getnewargs__(self) -> tuple[I64, NDArray[np.uint32], F64, F64, bool]: ...
    @property
    def items(self) -> int: ...
    @property
    def pairs(self) -> int: ...
    def totals(self) -> F64: ...
    def compact(self) -> tuple[I64, Cells] | None: ...
    def arrays(self) -> tuple[I64, NDArray[np.uint32], F64, F64, bool]: ...

def reduce_comparisons(
    a: _Column,
    b: _Column,
    outcomes: NDArray[np.uint8] | None,
    weights: F64 | None,
    items: int | None,
    threads: int | None,
) -> Cells: ...
def fit_strengths(
    cells: Cells,
    model: str,
    method: str,
    tie: float,
    prior: _Prior,
    disconnected: str,
    limits: _Limits,
    start: F64 | None,
    threads: int | None,
) -> _Fit: ...
def fit_covariates(
    a: _Column,
    b: _Column,
    items: int,
    target: F64,
    weight: F64,
    covariates: F64,
    prior: _Prior,
    ridge: float,
    disconnected: str,
    limits: _Limits,
    threads: int | None,
) -> _Fit: ...
def fit_totals(
    totals: F64,
    games: float,
    prior: _Prior,
    disconnected: str,
    limits: _Limits,
    threads: int | None,
) -> _Fit: ...
def fit_rankings(
    items: _Column,
    starts: I64,
    chosen: NDArray[np.uint32] | None,
    weights: F64 | None,
    count: int,
    method: str,
    prior: _Prior,
    disconnected: str,
    limits: _Limits,
    start: F64 | None,
    threads: int | None,
) -> _Fit: ...
def break_rankings(
    items: _Column,
    starts: I64,
    chosen: NDArray[np.uint32] | None,
    weights: F64 | None,
    count: int,
    adjacent: bool,
) -> Cells: ...
def stationary_strengths(
    cells: Cells,
    chain: str,
    alpha: float,
    tie: float,
    disconnected: str,
    limits: _Limits,
    threads: int | None,
) -> _Fit: ...
def score_comparisons(
    cells: Cells, rule: str, win: float, tie: float, damping: float, limits: _Limits
) -> tuple[F64, int, bool]: ...
def elo_ratings(
    a: _Column,
    b: _Column,
    outcomes: NDArray[np.uint8] | None,
    weights: F64 | None,
    items: int,
    start: F64 | None,
    constants: tuple[float, float, float, float, float],
) -> F64: ...
def fit_tied_rankings(
    items: _Column,
    starts: I64,
    ends: NDArray[np.bool_],
    weights: F64 | None,
    count: int,
    prior: _Prior,
    disconnected: str,
    limits: _Limits,
    start: F64 | None,
    threads: int | None,
) -> tuple[_Fit, list[tuple[int, float]]]: ...
def intern_strings(
    columns: list[list[Any]], known: list[Any] | None
) -> tuple[list[NDArray[np.uint32]], list[str]] | None: ...
def repeated_name(text: bytes) -> str | None: ...
def strength_covariance(
    cells: Cells,
    ties: tuple[str, float] | None,
    fitted: _Fitted,
    robust: bool,
    skewed: bool,
    seed: int,
    threads: int | None,
) -> tuple[F64 | None, F64, F64]: ...
def strength_bootstrap(
    cells: Cells,
    ties: tuple[str, float] | None,
    fitted: _Fitted,
    count: int,
    seed: int,
    threads: int | None,
) -> tuple[F64, I64]: ...
def ranking_covariance(
    items: _Column,
    starts: I64,
    chosen: NDArray[np.uint32] | None,
    weights: F64 | None,
    count: int,
    fitted: _Fitted,
    robust: bool,
    skewed: bool,
    threads: int | None,
) -> tuple[F64 | None, F64, F64]: ...
def ranking_bootstrap(
    items: _Column,
    starts: I64,
    chosen: NDArray[np.uint32] | None,
    weights: F64 | None,
    count: int,
    fitted: _Fitted,
    replicates: int,
    seed: int,
    threads: int | None,
) -> tuple[F64, I64]: ...
def tied_ranking_covariance(
    items: _Column,
    starts: I64,
    ends: NDArray[np.bool_],
    weights: F64 | None,
    count: int,
    fitted: _Fitted,
    prevalence: list[tuple[int, float]],
    robust: bool,
    threads: int | None,
) -> tuple[F64 | None, F64, F64]: ...

# Matching.

_Matched: TypeAlias = tuple[I32, float, F64, F64]
_Placed: TypeAlias = tuple[list[tuple[int, int]], F64, float]
_Law: TypeAlias = tuple[str, list[float], list[float]]
_Rule: TypeAlias = tuple[str, str, list[str], str, bool, bool, bool, list[str]]

def matching_rules() -> list[_Rule]: ...

@final
class Matcher:
    def __new__(
        cls,
        rule: str,
        limits: F64,
        weights: F64 | None,
        seed: int,
        seeds: str | None,
        range: tuple[float, float] | None,
        horizon: float | None,
        step: float | None,
        score: str | None,
        late: str | None,
        delta: float | None,
        remember: int,
    ) -> Matcher: ...
    @staticmethod
    def resume(snapshot: bytes) -> Matcher: ...
    def snapshot(self) -> bytes: ...
    def arrive(
        self,
        items: Any,
        values: Any = None,
        arrival_id: str | None = None,
        *,
        sizes: Any = None,
        deadline: float | None = None,
    ) -> tuple[int | None, int | None]: ...
    def decide(self, items: Any, values: Any = None, *, sizes: Any = None) -> int | None: ...
    def report(self, attempt_id: int, success: bool) -> None: ...
    def draw(self, attempt_id: int) -> bool: ...
    def arrive_many(
        self,
        indptr: I64,
        items: Any,
        values: Any = None,
        *,
        sizes: Any = None,
        coins: Bool | None = None,
    ) -> I32: ...
    def add_items(self, limits: F64, weights: F64 | None) -> int: ...
    def expire(self, now: float) -> int: ...
    def running_bound(self) -> float: ...
    def bound(self, indptr: I64, items: Any, values: Any, sizes: Any, steps: int) -> float: ...
    def stats(self) -> dict[str, Any]: ...
    def __len__(self) -> int: ...

def b_matching(
    method: str, indptr: I64, items: Any, values: Any, capacity: F64, weights: F64 | None
) -> _Matched: ...
def hindsight(indptr: I64, items: Any, values: Any, capacity: F64) -> tuple[F64, _Matched]: ...
def assignment(cost: Any) -> tuple[I64, float, F64, F64]: ...
def place_creatives(
    method: str, p: F64, phi: F64, most: int, time_limit: float | None
) -> _Placed: ...
def position_auction(
    model: str, p: F64, values: F64, most: int, laws: list[_Law] | None, time_limit: float | None
) -> tuple[_Placed, F64]: ...
def ironed_virtual_values(values: F64, probabilities: F64) -> F64: ...
