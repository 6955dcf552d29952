"""How easily a ranking is pushed, and what holds it in place.

from gustibus.robustness import Defended, perturbation_audit

perturbation_audit(Defended.on(score, clean_responses), rows).flip_rate
"""

from gustibus.robustness.audit import Audit, Effect, Row, Score, gaming_audit, perturbation_audit
from gustibus.robustness.defences import Defended, drop_one_median, without_strange_sentences
from gustibus.robustness.fluency import (
    WordPairs,
    flagged_prefix,
    likelihood_ratios,
    ratio_threshold,
)
from gustibus.robustness.perturbations import PERTURBATIONS
from gustibus.robustness.rankers import Influence, leave_one_source_out, median_rank
from gustibus.robustness.stances import Shift, rank_boost, stance_shift, stance_shifts
from gustibus.robustness.submissions import Duplicate, bursts, limit_influence, near_duplicates

__all__ = [
    "PERTURBATIONS",
    "Audit",
    "Defended",
    "Duplicate",
    "Effect",
    "Influence",
    "Row",
    "Score",
    "Shift",
    "WordPairs",
    "bursts",
    "drop_one_median",
    "flagged_prefix",
    "gaming_audit",
    "leave_one_source_out",
    "likelihood_ratios",
    "limit_influence",
    "median_rank",
    "near_duplicates",
    "perturbation_audit",
    "rank_boost",
    "ratio_threshold",
    "stance_shift",
    "stance_shifts",
    "without_strange_sentences",
]
