"""Rows of one trial: which are kept, which are judged now, and the report of all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gustibus.artifact import Artifact
from gustibus.bench.keeping import earlier_model, fitted_on, kept_report, load_scores, save_scores
from gustibus.errors import InputError
from gustibus.evaluation import Modelled, Report, evaluate
from gustibus.evaluation.baselines import BASELINES
from gustibus.evaluation.judging import Outcome
from gustibus.evaluation.merging import Kept, merged, without
from gustibus.models.base import Progress
from gustibus.training.run import load_data, make_split

if TYPE_CHECKING:
    from gustibus.bench.league import LeagueConfig

Told = Callable[[str], None]
"""Called with a line when something is done, or failed."""


class Trial(NamedTuple):
    """One data set under one seed."""

    config: LeagueConfig
    source: str
    seed: int
    out: Path
    """Folder of its models and its report."""
    progress: Progress | None
    tell: Told

    @property
    def title(self) -> str:
        """For lines that are told."""
        return f"{Path(self.source).stem} {self.seed}"


def judged(trial: Trial, artifacts: Mapping[str, Artifact], failed: Sequence[str]) -> Report:
    """The report of these models and of all others that the folder knows, saved.

    A row is kept where its model and the settings are those of the folder's report, and made again
    otherwise, or when the league is to be fresh. Methods of that report that nobody asked for now
    keep their rows. They are judged again from their models where the settings are others, or where
    the figures of their people, by which they are compared with a new row, are not there: those of
    a version that kept none.

    Args:
        trial: the data set and the folder.
        artifacts: models that were asked for, by method.
        failed: methods that were asked for and could not be trained: they lose their rows.
    """
    last = kept_report(trial.out)
    before = {} if last is None else {m.name: m.kind for m in last.methods}
    names = [name for name, kind in before.items() if kind == "model"]
    kept = last if last is not None and _comparable(last, trial, artifacts) else None
    again = _again(kept, trial, artifacts)
    rest = None if kept is None else without(kept, {*again, *failed})
    if rest is not None and not again:
        if len(rest.methods) < len(before):  # one failed that had a row
            rest.save(trial.out)
        return rest
    scores = {} if rest is None else load_scores(trial.out, rest)
    others = [n for n in names if n not in {*artifacts, *failed} and n not in scores]
    for name, artifact in _others(trial, others, artifacts, rest).items():
        again[name] = artifact
    report, new = _evaluate(trial, again, scores)
    save_scores(trial.out, report, new)
    if rest is not None:
        everyone: dict[str, Kept] = {**new, **scores}
        report = merged(rest, report, everyone, order=[*before, *artifacts])
    report.save(trial.out)
    trial.tell(f"{trial.title}: judged")
    return report


def is_alike(report: Report, config: LeagueConfig, seed: int) -> bool:
    """Whether a report was made by the settings of a league, so that its rows can stand beside."""
    return (report.sizes, report.draws, report.seed, report.focus) == (
        config.sizes, config.draws, seed, config.focus
    )  # fmt: skip


def _comparable(report: Report, trial: Trial, artifacts: Mapping[str, Artifact]) -> bool:
    """Whether rows of a report are about the same people and answers as the models' would be."""
    here = report.digest, dict(report.split)
    return is_alike(report, trial.config, trial.seed) and all(
        fitted_on(one.card) == here for one in artifacts.values()
    )


def _again(
    kept: Report | None, trial: Trial, artifacts: Mapping[str, Artifact]
) -> dict[str, Artifact]:
    """Models that were asked for and have no row yet, or one of another fit."""
    if kept is None or trial.config.fresh:
        return dict(artifacts)
    rows = {m.name: m.digest for m in kept.methods if m.kind == "model"}
    return {name: one for name, one in artifacts.items() if rows.get(name) != one.digest}


def _others(
    trial: Trial, names: Sequence[str], artifacts: Mapping[str, Artifact], rest: Report | None
) -> dict[str, Artifact]:
    """Models of an earlier run that have to be judged again beside those that were asked for."""
    found = {}
    like = next(iter(artifacts.values())).card
    for name in names:
        model = earlier_model(trial.out, name, like)
        if model is not None:
            found[name] = model
        elif rest is None:
            trial.tell(f"{trial.title} {name}: no longer in the tables, its model is of other data")
        else:
            trial.tell(f"{trial.title} {name}: its row stays, its model is gone: not compared")
    return found


def _evaluate(
    trial: Trial, artifacts: Mapping[str, Artifact], scores: Mapping[str, Kept]
) -> tuple[Report, dict[str, Outcome]]:
    """Models, and baselines whose figures were not kept, on people that none of them has seen."""
    plain = trial.config.run(trial.source, seed=trial.seed)
    dataset, _ = load_data(plain)
    split = make_split(dataset, plain)
    for method, artifact in artifacts.items():
        _refuse_other_split(method, artifact, {name: len(rows) for name, rows in split.items()})
    new: dict[str, Outcome] = {}
    report = evaluate(
        dataset, split, {n: Modelled.of(n, a, dataset) for n, a in artifacts.items()},
        baselines=[name for name in BASELINES if name not in scores], sizes=trial.config.sizes,
        focus=trial.config.focus, draws=trial.config.draws, seed=trial.seed,
        progress=trial.progress, scored=new.__setitem__,
    )  # fmt: skip
    return report, new


def _refuse_other_split(method: str, artifact: Artifact, rows: Mapping[str, int]) -> None:
    if artifact.card["split"] != rows:
        message = (
            f"{method}: was trained on another split than the one to judge: expected {rows}, got "
            f"{artifact.card['split']}; run the league again with fresh"
        )
        raise InputError(message, where=method)
