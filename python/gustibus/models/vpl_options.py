"""Options of a VPL fit: the project's recipe, and the published one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from gustibus.models.keywords import (
    Count,
    Exponent,
    NotNegative,
    Span,
    Whole,
    check_choice,
    check_range,
    read_options,
)
from gustibus.models.network import ACTIVATIONS
from gustibus.models.vpl import RESCALE


@dataclass(frozen=True, slots=True)
class VplOptions:
    """Options of the fit; `recipe = "published"` sets those marked (p) as the public code does.

    Attributes:
        latent: length L of a person's vector (p: 512).
        hidden: width H of the hidden layers (p: 512).
        beta: weights of the divergence; held-out people choose, the first is taken without any
            (p: 0).
        rescale: bring latent vectors to length `sqrt(L)`: `never`, `always`, or `training` (p),
            which leaves them as they are when a person is placed.
        activation: `gelu`, smooth, or `leaky_relu` (p).
        low: smallest log variance (p: -1); the search starts half way from it to -1.
        context: comparisons in a context at most (p: 8).
        least_context: at least (p: 2).
        empty: share of episodes without a context, which teach what to think of a new person (p: 0).
        queries: comparisons to foretell in an episode (p: 1).
        steps: of the optimiser; 0 is 8 passes over the comparisons (p).
        batch: episodes a step.
        lr: peak learning rate, warmed up over 3 % of the steps, then cosine (p: 1e-4).
        weight_decay: of AdamW (p: 1e-3).
        ramp: steps of a cycle in which the weight of the divergence rises from a tenth; 0 is none
            (p: 10000).
        swap: weight of the swap loss of SPL; 0 is off.
        swap_eta: weight of its part about variances.
        equalise: exponent of the variance by which principal components of the features are
            divided first; negative leaves the features alone (p).
        max_features: principal components kept.
        head_scale: factor of the decoder's last layer at the start (p: 0.01).
        judgements: times that held-out people are asked during the fit; the state that serves them
            best is kept. 0 keeps the last (p).
        recipe: `project` or `published`.
    """

    latent: Count = 16
    hidden: Count = 64
    beta: tuple[NotNegative, ...] = (0.0,)
    rescale: str = "never"
    activation: str = "gelu"
    low: Annotated[float, Span(-20, 0)] = -9.0
    context: Count = 24
    least_context: Count = 1
    empty: Annotated[float, Span(0, 0.9)] = 0.1
    queries: Count = 16
    steps: Whole = 1500
    batch: Count = 32
    lr: Annotated[float, Span(1e-9, 1)] = 5e-3
    weight_decay: NotNegative = 1e-2
    ramp: Whole = 0
    swap: NotNegative = 0.0
    swap_eta: NotNegative = 0.1
    equalise: Exponent = 0.5
    max_features: Count = 64
    head_scale: NotNegative = 1.0
    judgements: Whole = 15
    recipe: str = "project"


_PUBLISHED: dict[str, Any] = {
    "latent": 512, "hidden": 512, "beta": (0.0,), "rescale": "training", "empty": 0.0,
    "activation": "leaky_relu", "low": -1.0, "context": 8, "least_context": 2, "queries": 1,
    "steps": 0, "lr": 1e-4, "weight_decay": 1e-3, "ramp": 10_000, "equalise": -1.0,
    "head_scale": 0.01, "judgements": 0,
}  # fmt: skip


def vpl_options(given: Mapping[str, Any]) -> VplOptions:
    """Options from keywords.

    Raises:
        ConfigError: an unknown keyword or a value out of range.
    """
    base = _PUBLISHED if given.get("recipe") == "published" else {}
    options = read_options(VplOptions, "vpl", given, base=base)
    check_choice("recipe", options.recipe, ("project", "published"))
    check_choice("rescale", options.rescale, RESCALE)
    check_choice("activation", options.activation, ACTIVATIONS)
    check_range("least_context", options.least_context, 1, options.context)
    return options
