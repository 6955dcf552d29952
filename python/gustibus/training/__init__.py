"""From a table of comparisons to a saved model."""

from gustibus.training.config import RunConfig
from gustibus.training.run import train
from gustibus.training.sets import people_rows, training_set, valid_set
from gustibus.training.updating import Learned, learn_items, update_items

__all__ = [
    "Learned", "RunConfig", "learn_items", "people_rows", "train", "training_set", "update_items", "valid_set",
]  # fmt: skip
