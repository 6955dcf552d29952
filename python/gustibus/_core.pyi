# Types of the compiled core; the library reaches it through `gustibus.posterior` alone.

from collections.abc import Callable
from typing import TypeAlias

from gustibus.types import F64, I64, Bool

_Rows: TypeAlias = tuple[F64, F64, F64, F64]
_Mixture: TypeAlias = tuple[F64, F64, F64]
_Placement: TypeAlias = tuple[F64, F64, F64 | None, F64, F64, I64, Bool]

__all__ = [
    "acquire",
    "acquire_batch",
    "fit_population",
    "place",
    "place_particles",
    "place_simplex",
    "predict",
]

def place(
    rows: _Rows,
    starts: I64,
    prior: _Mixture,
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
    prior: _Mixture,
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
def acquire_batch(
    delta: F64, offset: F64, belief: _Mixture, count: int, lapse: float, tie: float
) -> I64: ...
