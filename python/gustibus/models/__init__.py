"""Model families: each one file, each a row of `MODELS`."""

from gustibus.models import (  # one import a family fills its row
    bt,
    gpm,
    hierarchical,
    lore,
    pal,
    ppd,
    pro,
)
from gustibus.models.base import MODELS, Fitted, PreferenceModel, TrainingSet

__all__ = [
    "MODELS",
    "Fitted",
    "PreferenceModel",
    "TrainingSet",
    "bt",
    "gpm",
    "hierarchical",
    "lore",
    "pal",
    "ppd",
    "pro",
]
