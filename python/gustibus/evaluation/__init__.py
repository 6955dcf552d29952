"""Honest figures for methods on held-out people, and whether a data set can tell them apart.

from gustibus.data import read
from gustibus.evaluation import evaluate

report = evaluate(read("folder"), families=["bt", "hierarchical"])
report.save("results")
"""

from gustibus.evaluation import probes
from gustibus.evaluation.baselines import BASELINES, LinearReward, fit_linear, fit_shrunk
from gustibus.evaluation.contenders import Fixed, Modelled
from gustibus.evaluation.intervals import Estimate, Resamples
from gustibus.evaluation.report import Report
from gustibus.evaluation.run import evaluate

__all__ = [
    "BASELINES",
    "Estimate",
    "Fixed",
    "LinearReward",
    "Modelled",
    "Report",
    "Resamples",
    "evaluate",
    "fit_linear",
    "fit_shrunk",
    "probes",
]
