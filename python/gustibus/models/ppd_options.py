"""Options of the fit of personal preference from few pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from gustibus.errors import ConfigError
from gustibus.models.keywords import (
    Count,
    Exponent,
    NotNegative,
    Positive,
    Share,
    Span,
    check_choice,
    read_options,
)

REFINES = ("map", "encoder", "particles")
HEADS = ("bilinear", "cross_attention")
SAMPLINGS = ("uniform", "root")


@dataclass(frozen=True, slots=True)
class PpdOptions:
    """Options of the fit; of several values to try, the second where nobody is held out to choose.

    Attributes:
        refine: how a person is placed by the served model: `map`, the posterior in the basis that
            the encoder found; `encoder`, one forward pass over the answers; `particles`, weights
            over the people of the training set.
        head: `bilinear`, or `cross_attention`, the published form, which is not linear in the
            person and therefore not for `map`.
        odd: whether the token of an answer changes its sign with the answer.
        dim: length of the encoder's user vector.
        width: hidden units of the encoder.
        shrink: answers that pull the pooled tokens towards nobody.
        most_support: pairs in a support set of an episode at most.
        people: in an episode.
        dropout: share of an episode's people whose user vector is set to 0.
        sampling: people are drawn `uniform`, or by the `root` of their number of answers.
        steps: episodes, for every weight decay.
        lr: of AdamW, falling as a cosine.
        decays: weight decays of AdamW; each is tried on held-out people.
        leash: price of the squared personal margin.
        equalise: exponent of the variance by which principal components are divided first.
        max_features: principal components kept.
        ridge_population: of the pooled reward at which training starts; held-out people choose.
        ranks: directions of the learned basis; each is tried.
        spreads: what multiplies the covariance of the training people; each is tried.
        tokens: of a person under `cross_attention`.
        refit: whether the chosen settings are trained once more with the people who chose.
    """

    refine: str = "map"
    head: str = "bilinear"
    odd: bool = True
    dim: Count = 32
    width: Count = 128
    shrink: NotNegative = 4.0
    most_support: Count = 24
    people: Count = 32
    dropout: Share = 0.1
    sampling: str = "root"
    steps: Count = 900
    lr: Positive = 3e-3
    decays: tuple[NotNegative, ...] = (0.01, 1.0)
    leash: NotNegative = 1e-3
    equalise: Exponent = 0.5
    max_features: Count = 384
    ridge_population: tuple[NotNegative, ...] = (100.0, 30.0, 10.0, 3.0)
    ranks: tuple[Count, ...] = (4, 8, 16)
    spreads: tuple[Annotated[float, Span(1e-6)], ...] = (0.75, 1.5, 3.0, 6.0, 12.0)
    tokens: Count = 4
    refit: bool = True


def ppd_options(given: Mapping[str, Any]) -> PpdOptions:
    """Options from keywords; with `cross_attention` people are placed by the encoder by default.

    Raises:
        ConfigError: an unknown keyword, a value out of range, or values that do not go together.
    """
    attends = given.get("head") == "cross_attention"
    options = read_options(PpdOptions, "ppd", given, base={"refine": "encoder"} if attends else {})
    check_choice("refine", options.refine, REFINES)
    check_choice("head", options.head, HEADS)
    check_choice("sampling", options.sampling, SAMPLINGS)
    if attends and options.refine == "map":
        message = (
            "refine: expected 'encoder' or 'particles' with head 'cross_attention', got 'map': "
            "the reward is not linear in the person"
        )
        raise ConfigError(message, where="refine")
    if attends and options.dim % options.tokens:
        message = f"dim: expected a multiple of tokens={options.tokens}, got {options.dim}"
        raise ConfigError(message, where="dim")
    return options
