"""Work on everybody, or on every text: on the cores of one machine, or on a Ray cluster."""

from gustibus.bulk.best import Best, best_of
from gustibus.bulk.cluster import bulk_score_on_ray
from gustibus.bulk.encoding import encode_on_ray
from gustibus.bulk.local import bulk_score
from gustibus.bulk.parts import MANIFEST, Plan, Told

__all__ = [
    "MANIFEST",
    "Best",
    "Plan",
    "Told",
    "best_of",
    "bulk_score",
    "bulk_score_on_ray",
    "encode_on_ray",
]
