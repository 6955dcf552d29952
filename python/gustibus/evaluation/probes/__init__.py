"""Probes: what a model ranks right, how sure it is, what it knows, and what sways it.

from gustibus.evaluation.probes import run_probe

run_probe("pair_ece", {"margins": [2, -0.5, 0.3, 1.2], "user": ["ada", "ada", "bo", "bo"]})
"""

from gustibus.evaluation.probes import (
    calibration,
    drift,
    positions,
    properties,
    proxies,
    ranking,
    representation,
    rubric,
)
from gustibus.evaluation.probes.ablation import Ablation, ablate
from gustibus.evaluation.probes.benchmarks import BENCHMARKS, Item, benchmark_rows, judge_items
from gustibus.evaluation.probes.retrieval import synthetic_rag
from gustibus.evaluation.probes.running import Finding, ProbeReport, probe, run_probe
from gustibus.evaluation.probes.table import PROBES, arguments

__all__ = [
    "BENCHMARKS",
    "PROBES",
    "Ablation",
    "Finding",
    "Item",
    "ProbeReport",
    "ablate",
    "arguments",
    "benchmark_rows",
    "calibration",
    "drift",
    "judge_items",
    "positions",
    "probe",
    "properties",
    "proxies",
    "ranking",
    "representation",
    "rubric",
    "run_probe",
    "synthetic_rag",
]
