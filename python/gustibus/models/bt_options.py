"""Options of the fit of the pooled reward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from gustibus.models.keywords import Count, NotNegative, Span, Whole, read_options


@dataclass(frozen=True, slots=True)
class BtOptions:
    """Options of the fit.

    Attributes:
        hidden: hidden layers of the reward, each as wide as `min(d, 256)`; 0 is linear.
        ridge: penalty in units of comparisons; None tries a range on validation people.
        reducer: `mean` of all comparisons; `more`, which weighs the data sets of `train.group` so
            that each step serves all of them, however small they are; or a name of `REDUCERS`, over
            these data sets or, without them, people.
        objective: a row of `PAIRWISE` or `LISTWISE`; the log loss when None. A listwise one takes
            what one person said of the responses to one prompt as a list. Where the margins that it
            learns are no log-odds, one factor makes them so at the end.
        objective_options: of the row.
        auxiliary: rows of `AUXILIARY` that stand beside the objective: for each name its weight, or
            a mapping with `weight` and options; see `bt_auxiliary.choose_terms`.
        tail: share of the largest losses that the reducer `cvar` averages, in `(0, 1]`; 0.2 when
            None.
        steps: of stochastic gradients, where lists, groups or terms leave no smooth loss for an
            exact solver.
    """

    hidden: Whole = 0
    ridge: NotNegative | None = None
    reducer: str = "mean"
    objective: str | None = None
    objective_options: Mapping[str, Any] | None = None
    auxiliary: Mapping[str, Any] | None = None
    tail: Annotated[float, Span(0, 1, "(")] | None = None
    steps: Count = 400


def bt_options(given: Mapping[str, Any]) -> BtOptions:
    """Options from keywords.

    Raises:
        ConfigError: an unknown keyword, or a value of another kind or out of range.
    """
    return read_options(BtOptions, "bt", given)
