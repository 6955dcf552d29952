"""What training minimises: functions of margins, lists and representations, in torch."""

from gustibus.objectives import structured
from gustibus.objectives.auxiliary import AUXILIARY
from gustibus.objectives.choice import Objective, choose
from gustibus.objectives.listwise import LISTWISE
from gustibus.objectives.pairwise import PAIRWISE
from gustibus.objectives.rankings import FORMS
from gustibus.objectives.reducers import REDUCERS
from gustibus.objectives.tensors import takes

__all__ = [
    "AUXILIARY",
    "FORMS",
    "LISTWISE",
    "PAIRWISE",
    "REDUCERS",
    "Objective",
    "choose",
    "structured",
    "takes",
]
