"""Model families: each one file, each a row of `MODELS`."""

from gustibus.models import bt, hierarchical, pal  # one import a family fills its row
from gustibus.models.base import MODELS, Fitted, PreferenceModel, TrainingSet

__all__ = ["MODELS", "Fitted", "PreferenceModel", "TrainingSet", "bt", "hierarchical", "pal"]
