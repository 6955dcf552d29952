"""What a trial leaves in its folder, so that one row of it can be made again alone."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gustibus.artifact import Artifact
from gustibus.errors import GustibusError
from gustibus.evaluation import Report
from gustibus.evaluation.judging import Outcome
from gustibus.evaluation.merging import Kept
from gustibus.types import F64

_FOLDER = ".scores"
"""No method has that name: those begin with no dot."""


class People(NamedTuple):
    """What differences are made of."""

    accuracy: F64
    """`(p,)`, NaN for people who were not judged."""
    log_loss: F64
    """`(p,)` in nats."""


def save_scores(out: Path, report: Report, scores: Mapping[str, Outcome]) -> None:
    """Keep the figures of every person under the methods that were judged for a report.

    About sixteen numbers of shots and parts, two figures each: 256 bytes a person and method.
    """
    folder = out / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name, outcome in scores.items():
        arrays = {
            f"{part}/{shots}": np.stack([s.accuracy, s.log_loss])
            for (part, shots), s in outcome.items()
        }
        scratch = folder / f"{name}.part.npz"
        np.savez_compressed(scratch, stamp=np.array(_stamp(report, name)), **arrays)  # type: ignore[arg-type]  # the stub takes the first keyword for a switch
        scratch.replace(folder / f"{name}.npz")


def load_scores(out: Path, report: Report) -> dict[str, Kept]:
    """The figures of every person under the methods of a report; those that are there."""
    found: dict[str, Kept] = {}
    for method in report.methods:
        try:
            with np.load(out / _FOLDER / f"{method.name}.npz", allow_pickle=False) as arrays:
                if str(arrays["stamp"]) != _stamp(report, method.name):
                    continue  # of another fit or other draws
                found[method.name] = {
                    _key(name): People(*arrays[name]) for name in arrays.files if name != "stamp"
                }
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # gone or cut off
            continue
    return found


def kept_report(out: Path) -> Report | None:
    """The report of the folder; None where there is none, or one of another version."""
    try:
        return Report.load(out)
    except GustibusError:
        return None


def earlier_model(out: Path, name: str, like: Mapping[str, Any]) -> Artifact | None:
    """A method's model from an earlier run, if it was fitted on the data and split of a card."""
    try:
        artifact = Artifact.load(out / name)
    except GustibusError:
        return None
    return artifact if fitted_on(artifact.card) == fitted_on(like) else None


def fitted_on(card: Mapping[str, Any]) -> tuple[str, dict[str, int]]:
    """Digest of the data, and rows of the parts of the split."""
    return card["data"]["digest"], dict(card["split"])


def choices(out: Path, names: Iterable[str]) -> dict[str, Any]:
    """What automatic methods chose, by the cards of their models."""
    found = {}
    for name in names:
        try:
            card = json.loads((out / name / "card.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):  # rules and baselines have no card
            continue
        if "auto" in card.get("fit", {}):
            found[name] = card["fit"]["auto"]
    return found


def _stamp(report: Report, name: str) -> str:
    """What decides the figures of a method: data, split, draws, and the model."""
    return json.dumps([
        report.method(name).digest, report.digest, dict(report.split), report.sizes, report.draws,
        report.seed, report.focus,
    ])  # fmt: skip


def _key(name: str) -> tuple[str, int]:
    part, _, shots = name.rpartition("/")
    return part, int(shots)
