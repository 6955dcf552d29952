"""Model families: each one file, each a row of `MODELS`."""

from gustibus.models import (  # one import a family fills its row
    blend,
    bt,
    factors,
    gpm,
    hierarchical,
    hyre,
    lore,
    mrm,
    nearest,
    pal,
    ppd,
    pro,
    ridge,
    vpl,
)
from gustibus.models.base import MODELS, Fitted, PreferenceModel, TrainingSet

__all__ = [
    "MODELS",
    "Fitted",
    "PreferenceModel",
    "TrainingSet",
    "blend",
    "bt",
    "factors",
    "gpm",
    "hierarchical",
    "hyre",
    "lore",
    "mrm",
    "nearest",
    "pal",
    "ppd",
    "pro",
    "ridge",
    "vpl",
]
