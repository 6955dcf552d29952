"""Matching of arrivals to items with limited room, and auctions for positions.

Online rules decide one arrival at a time; offline solvers give the optimum in hindsight with a
certificate; `simulate` compares the two. The numerics are compiled.
"""

from __future__ import annotations

from gustibus.matching.arrays import Arrivals
from gustibus.matching.instances import INSTANCES, Instance
from gustibus.matching.offline import (
    Assignment,
    Matching,
    assignment,
    hindsight,
    max_matching,
    max_weight_b_matching,
    stochastic_lp_bound,
)
from gustibus.matching.online import RULES, Matcher
from gustibus.matching.positions import (
    METHODS,
    Discrete,
    Exponential,
    Slate,
    Uniform,
    ironed_virtual_values,
    place_creatives,
    position_auction,
)
from gustibus.matching.streams import read_stream
from gustibus.matching.study import Study, play_adversary, simulate

__all__ = [
    "INSTANCES",
    "METHODS",
    "RULES",
    "Arrivals",
    "Assignment",
    "Discrete",
    "Exponential",
    "Instance",
    "Matcher",
    "Matching",
    "Slate",
    "Study",
    "Uniform",
    "assignment",
    "hindsight",
    "ironed_virtual_values",
    "max_matching",
    "max_weight_b_matching",
    "place_creatives",
    "play_adversary",
    "position_auction",
    "read_stream",
    "simulate",
    "stochastic_lp_bound",
]
