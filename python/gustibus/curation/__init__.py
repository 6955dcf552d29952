"""Tools on tables of comparisons, which annotate and never overwrite.

from gustibus.curation import build, read_labels

labels = build("strength", read_labels("pairs.parquet"), source="ten models", flip=0.2)
labels.switch(off={"strength"}).write("as_recorded.parquet")
"""

from gustibus.curation import (
    crossing,
    curriculum,
    degrading,
    ensembles,
    instructions,
    rationales,
    trees,
)
from gustibus.curation.builders import BUILDERS, build
from gustibus.curation.consistency import rank_consistency
from gustibus.curation.constraints import CONSTRAINTS
from gustibus.curation.labels import Labels, read_labels
from gustibus.curation.likeness import ches, response_states
from gustibus.curation.strength import Strength, preference_strength

__all__ = [
    "BUILDERS",
    "CONSTRAINTS",
    "Labels",
    "Strength",
    "build",
    "ches",
    "crossing",
    "curriculum",
    "degrading",
    "ensembles",
    "instructions",
    "preference_strength",
    "rank_consistency",
    "rationales",
    "read_labels",
    "response_states",
    "trees",
]
