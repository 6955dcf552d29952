"""Options of a PAL fit: the project's recipe, and the published one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from gustibus.errors import ConfigError
from gustibus.models.keywords import (
    Count,
    Dropout,
    Exponent,
    NotNegative,
    Span,
    Whole,
    check_choice,
    read_options,
)
from gustibus.models.network import ACTIVATIONS
from gustibus.models.pal import PalShape


@dataclass(frozen=True, slots=True)
class PalOptions:
    """Options of the fit; `recipe = "published"` sets those marked (p) as the paper's code does.

    Attributes:
        prototypes: K.
        variant: `a` or `b`; see `PalShape`.
        form: see `PalShape`; empty chooses `squared` for a and `angle` for b.
        point: see `PalShape`.
        layers: hidden layers of every projector; 0 is linear, -1 the identity.
        width: output dimension of the projectors; 0 keeps the input dimension.
        activation: `gelu` or `relu` (p).
        dropout: share of hidden units dropped.
        residual: add the input of a projector to its output (p).
        batch_norm: normalise hidden units.
        loss: `logistic` or `hinge` (p for the distance forms).
        mixing: `softmax`; `gumbel` adds noise while training; `partition` takes the largest weight
            when judged.
        epochs: passes over the data (p: 1).
        batch: comparisons in a step; 0 chooses by size of the data (p: 4).
        lr_projector: learning rate of f and g (p: 1e-4).
        lr_prototypes: of P (p: 5e-3).
        lr_users: of the logits of people (p: 5e-3).
        lr_scale: of the logarithm of the scale (p: 0.1).
        weight_decay: of f and g.
        ridge: squared length of the weights of f and g, weighed in units of comparisons.
        user_prior: precision of a Gaussian prior on each person's logits around their mean.
        equalise: exponent of the variance by which principal components of the features are
            divided first, 0 (as they are) to 1 (whitened); negative leaves the features alone (p).
        max_features: principal components kept.
        coupled: Adam with the decay inside the gradient instead of AdamW (p).
        user_noise: standard deviation of the initial logits (p: 1).
        unit_prototypes: start P on the unit sphere instead of N(0, I / d) (p).
        bound: weight of the penalty on points beyond `bound_radius`; 0 is off.
        bound_radius: beta of that penalty.
        population: `dirichlet`, `gaussian` (linear members only), or `auto`.
        particles: candidate weights of a Dirichlet population.
        patience: judgements without progress on held-out people before the fit stops.
        start: `em` begins with the low-rank model of `pal_start`, `random` (p) with random
            prototypes; `auto` is `em` for variant a, form `squared`, linear f of full width.
        ridges: of that model's directions, from weak to strong; held-out people choose.
        ridge_population: of its shared direction.
        recipe: `project` or `published`.
        mixed: on CUDA, items and prompts are projected in bfloat16; margins, losses, and what is
            trained stay in single precision.
        objective: a row of `PAIRWISE` instead of `loss`; empty for none. Margins of rows that ask
            for some are kept, and one factor makes rewards log-odds at the end.
        objective_options: of that row.
    """

    prototypes: Count = 8
    variant: str = "a"
    form: str = ""
    point: str = "Pw"
    layers: Annotated[int, Span(-1)] = 0
    width: Whole = 0
    activation: str = "gelu"
    dropout: Dropout = 0.0
    residual: bool = False
    batch_norm: bool = False
    loss: str = "logistic"
    mixing: str = "softmax"
    epochs: Count = 40
    batch: Whole = 0
    lr_projector: NotNegative = 2e-3
    lr_prototypes: NotNegative = 2e-2
    lr_users: NotNegative = 3e-2
    lr_scale: NotNegative = 1e-2
    weight_decay: NotNegative = 0.01
    ridge: NotNegative = 30.0
    user_prior: NotNegative = 1.0
    equalise: Exponent = 0.8
    max_features: Count = 384
    coupled: bool = False
    user_noise: NotNegative = 0.1
    unit_prototypes: bool = False
    bound: NotNegative = 0.0
    bound_radius: NotNegative = 4.0
    population: str = "auto"
    particles: Count = 400
    patience: Whole = 4
    start: str = "auto"
    ridges: tuple[NotNegative, ...] = (10.0, 30.0, 100.0, 300.0, 1000.0)
    ridge_population: tuple[NotNegative, ...] = (3.0, 10.0, 30.0, 100.0)
    recipe: str = "project"
    mixed: bool = True
    objective: str = ""
    objective_options: Mapping[str, Any] = field(default_factory=dict)


_PUBLISHED: dict[str, Any] = {
    "epochs": 1, "batch": 4, "lr_projector": 1e-4, "lr_prototypes": 5e-3, "lr_users": 5e-3,
    "lr_scale": 0.1, "coupled": True, "user_noise": 1.0, "unit_prototypes": True, "layers": 2,
    "ridge": 0.0, "user_prior": 0.0, "equalise": -1.0, "start": "random",
}  # fmt: skip


def pal_options(given: Mapping[str, Any]) -> PalOptions:
    """Options from keywords: defaults, then the recipe, then what is given.

    Raises:
        ConfigError: an unknown keyword, or values that do not go together.
    """
    base: dict[str, Any] = {}
    if given.get("recipe") == "published":
        base = dict(_PUBLISHED)
        if given.get("variant", "a") == "a":
            base |= {"form": "dist", "point": "f(Pw)", "loss": "hinge", "activation": "relu",
                     "residual": True}  # fmt: skip
    options = read_options(PalOptions, "pal", given, base=base)
    if not options.form:
        options = replace(options, form="squared" if options.variant == "a" else "angle")
    shape = PalShape(options.variant, options.form, options.point)
    for name, allowed in (
        ("loss", ("logistic", "hinge")),
        ("mixing", ("softmax", "gumbel", "partition")),
        ("population", ("auto", "dirichlet", "gaussian")),
        ("recipe", ("project", "published")),
        ("start", ("auto", "em", "random")),
        ("activation", ACTIVATIONS),
    ):
        check_choice(name, getattr(options, name), allowed)
    able = _can_start(options)
    if options.start == "em" and not able:
        message = "start: 'em' is for variant 'a', form 'squared', layers 0, width 0, equalise >= 0"
        raise ConfigError(message, where="start")
    if options.start == "auto":
        options = replace(options, start="em" if able else "random")
    if options.population == "gaussian" and not shape.is_linear:
        message = f"population: 'gaussian' needs a form linear in the user, got {options.form!r}"
        raise ConfigError(message, where="population")
    return options


def _can_start(options: PalOptions) -> bool:
    """Whether the low-rank model is a member of the family that the options choose."""
    return (
        (options.variant, options.form, options.point) == ("a", "squared", "Pw")
        and (options.layers, options.width, options.residual) == (0, 0, False)
        and options.equalise >= 0
    )
