"""From a table of comparisons to a saved model."""

from gustibus.training.config import RunConfig
from gustibus.training.run import train
from gustibus.training.sets import people_rows, training_set, valid_set

__all__ = ["RunConfig", "people_rows", "train", "training_set", "valid_set"]
