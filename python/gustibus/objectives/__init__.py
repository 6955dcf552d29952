"""What training minimises: functions of margins, lists and representations, in torch."""

from gustibus.objectives.pairwise import PAIRWISE
from gustibus.objectives.tensors import takes

__all__ = ["PAIRWISE", "takes"]
