"""Options of the fit of a general preference model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gustibus.errors import ConfigError
from gustibus.models.gpm_gate import GATES
from gustibus.models.hierarchical_options import inner_options
from gustibus.models.keywords import Count, NotNegative, Positive, check_choice, read_options

HEADS, LOSSES = ("hrc", "gpm"), ("soft", "hard", "margin", "regression")


@dataclass(frozen=True, slots=True)
class GpmOptions:
    """Options of the fit.

    Attributes:
        head: `hrc`, a scalar and blocks that start near zero, or `gpm`, blocks alone.
        blocks: k, pairs of coordinates; embeddings have twice as many.
        bias: constant coordinates of the blocks, without which they cannot hold a ranking of centred
            features; None has them where the head is `gpm` or there is a gate.
        gate: form of the gate, see `Gate`, or `auto`: on held-out people, none or `softmax`.
        unit_norm: scale the coordinates of an item to length 1.
        temperature: divides the skew score; None is 1, or learned below 1 where `unit_norm`.
        loss: `soft` cross-entropy with the targets as they are; `hard` with targets rounded, ties
            left; `margin`, hard with the preferred side short of its comparison's own margin, or of
            `least` log-odds where comparisons have none; `regression`, squared error to log-odds of
            the target, at most `least` in size.
        least: of the losses `margin` and `regression`.
        personal: a transitive part and sizes of blocks for each person; False is one model for all.
        transitive: options of the `hierarchical` family, which learns the transitive part where
            `personal`; without, the scalar is learned with the blocks.
        optional: leave the blocks out where held-out people do as well without.
        ridges: strengths, in comparisons, of the ridge on what is learned here; each is tried.
        steps: of stochastic gradients, for every candidate.
        batch: comparisons in a step.
        lr: learning rate at the start; it falls to 0 along a cosine.
        panel: training items against which a utility is measured.
    """

    head: str = "hrc"
    blocks: Count = 2
    bias: bool | None = None
    gate: str = "auto"
    unit_norm: bool = False
    temperature: Positive | None = None
    loss: str = "soft"
    least: Positive = 1.0
    personal: bool = True
    transitive: Mapping[str, Any] = field(default_factory=dict)
    optional: bool = True
    ridges: tuple[NotNegative, ...] = (3000.0, 300.0, 30.0, 3.0)
    steps: Count = 400
    batch: Count = 512
    lr: Positive = 1e-2
    panel: Count = 64

    def has_bias(self, gate: str) -> bool:
        """Whether the blocks have constant coordinates under a form of the gate."""
        return self.bias if self.bias is not None else self.head == "gpm" or gate != "none"


def gpm_options(given: Mapping[str, Any]) -> GpmOptions:
    """Options from keywords.

    Raises:
        ConfigError: an unknown keyword or a value out of range.
    """
    options = read_options(GpmOptions, "gpm", given)
    options = replace(options, ridges=tuple(sorted(options.ridges, reverse=True)))
    for name, allowed in (("head", HEADS), ("gate", ("auto", *GATES)), ("loss", LOSSES)):
        check_choice(name, getattr(options, name), allowed)
    inner_options("transitive", options.transitive)
    if options.unit_norm and options.temperature is not None and options.temperature >= 1:
        # scores of unit vectors reach 1 at most: probabilities would end at 0.73
        message = f"temperature: expected below 1 with unit_norm, got {options.temperature}"
        raise ConfigError(message, where="temperature")
    return options
