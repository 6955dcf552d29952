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
from gustibus.showing import shown

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


def _line(model: PreferenceModel) -> str:
    """Sizes in the place of the weights that a dataclass would print."""
    width, user = model.representation_dim, model.prior.dim
    return shown(model, items=model.item_dim, representation=width, user=user)


for _entry in MODELS.values():
    _entry.run.__repr__ = _line
