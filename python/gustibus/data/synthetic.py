"""Worlds whose people are known: for tests, examples and benchmarks.

Each returns a `Dataset` with a split and the `Truth` behind it; `demo_world` names some people.
"""

from gustibus.data.demo import NAMED, DemoWorld, NamedPerson, demo_world
from gustibus.data.personas import persona_world
from gustibus.data.worlds import Truth, bilinear_world, ideal_point_world, linear_mixture_world

__all__ = [
    "NAMED",
    "DemoWorld",
    "NamedPerson",
    "Truth",
    "bilinear_world",
    "demo_world",
    "ideal_point_world",
    "linear_mixture_world",
    "persona_world",
]
