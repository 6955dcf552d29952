"""Every family on every data set, judged alike, in one run that goes on where it was cut off."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from gustibus.artifact import Artifact
from gustibus.bench.keeping import choices
from gustibus.bench.rows import Told, Trial, is_alike, judged
from gustibus.bench.standings import League, Standing
from gustibus.data import read
from gustibus.data.arrays import count
from gustibus.data.comparisons import Identical
from gustibus.errors import ConfigError, GustibusError, InputError, NotFoundError
from gustibus.evaluation.protocol import SIZES
from gustibus.models import MODELS
from gustibus.models.automatic_options import AUTO
from gustibus.models.base import Progress
from gustibus.models.recent import remembered
from gustibus.training import RunConfig, train
from gustibus.training.run import make_split


class Entry(NamedTuple):
    """A method of the league: a family with options."""

    family: str
    options: Mapping[str, Any]
    graded: bool = False
    """Whether answers count by the strengths that the league names a column of."""


PUBLISHED = ("pal", "lore", "vpl", "mrm", "hyre")
"""Families with a recipe of the published code beside the project's own."""


def _entries() -> dict[str, Entry]:
    """Every family as it is, published recipes where they differ, and the automatic choice."""
    published = {name: Entry(name, {"recipe": "published"}) for name in PUBLISHED}
    plain = {name: Entry(name, {}) for name in MODELS}
    return plain | {f"{n}-published": e for n, e in published.items()} | {AUTO: Entry(AUTO, {})}


METHODS: Mapping[str, Entry] = _entries()
"""What a league compares by default."""

GRADED: Mapping[str, Entry] = {
    f"{name}-graded": Entry(name, {}, graded=True) for name in (*MODELS, AUTO)
}
"""The same families, for whom stronger answers count for more."""


@dataclass(frozen=True)
class LeagueConfig:
    """One league.

    Attributes:
        data: folders or files of comparisons; the name of each is its last part.
        output: folder for models, reports and tables.
        methods: by the name that tables give them.
        seeds: one trial of every data set each: of splits, fits and draws.
        draws: of every person's shots.
        focus: shots at which methods are compared, and twice as many; also those of the user-swap
            control.
        device: of the fits.
        layout: of the files; `auto` looks at their columns.
        strengths: further column of every data set by which answers count for methods that are `graded`;
            all answers count alike for the others.
        columns: the files' names for the columns, such as `{"chosen": "good"}`; those of every data set.
        identical: `refuse` or `drop` comparisons of a response with itself.
        fresh: train and judge everything again.
    """

    data: tuple[str, ...]
    output: str
    methods: Mapping[str, Entry] = field(default_factory=lambda: METHODS)
    seeds: tuple[int, ...] = (0,)
    draws: int = 10
    focus: int = 5
    device: str = "auto"
    layout: str = "auto"
    columns: Mapping[str, str] = field(default_factory=dict)
    identical: Identical = "refuse"
    fresh: bool = False
    strengths: str = ""

    def __post_init__(self) -> None:
        """Refuse what can be refused before any work starts."""
        names = [Path(one).stem for one in self.data]
        for where, values, expected in (
            ("data", names, "at least one data set, each of a name of its own"),
            ("seeds", list(self.seeds), "at least one seed, each once"),
        ):
            if not values or len(set(values)) < len(values):
                message = f"{where}: expected {expected}, got {values}"
                raise ConfigError(message, where=where)
        try:
            count("focus", self.focus, low=1)
        except InputError as error:
            raise ConfigError(error.message, where="focus") from None
        if not self.methods:
            message = "methods: expected at least one, got none"
            raise ConfigError(message, where="methods")
        self.run(self.data[0], seed=self.seeds[0])  # refuses what no run takes
        for name, entry in self.methods.items():
            if entry.family != AUTO:
                MODELS[entry.family]
            if entry.graded and not self.strengths:
                message = f"strengths: {name} needs a column of strengths, got none"
                raise ConfigError(message, where="strengths")
            if not name or "/" in name or name.startswith("."):
                message = f"methods: expected a name that can be a folder, got {name!r}"
                raise ConfigError(message, where="methods")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Shots of the curve, among which are those at which methods are compared."""
        return tuple(sorted({*SIZES, self.focus, 2 * self.focus}))

    def run(self, source: str, *, seed: int, output: str = "", **options: Any) -> RunConfig:
        """A run on one of the data sets, read as the league says."""
        return RunConfig(
            data=source, output=output, layout=self.layout, columns=dict(self.columns),
            identical=self.identical, seed=seed, device=self.device, **options,
        )  # fmt: skip


def run_league(
    config: LeagueConfig, *, progress: Progress | None = None, told: Told | None = None
) -> League:
    """Train, judge, and put the tables and plots into the output folder.

    Models of the same configuration and reports of the same models are kept, so that a league that
    was cut off goes on where it was, and one with another method trains that one alone. Whatever
    else the folder holds stays in the tables: other methods with their rows as they were, other
    data sets that were judged alike. One row is made again by its data set and method alone, with
    `fresh` where nothing else is changed; differences, tables and claims are then made again. A new
    folder begins from nothing. A method that cannot be trained on a data set is left out there and
    named in the tables, and so is a data set on which nothing can be told apart.

    Args:
        config: the league.
        progress: called with the stage and how far it is.
        told: called with a line whenever a model or a report is done.

    Returns:
        The standings, already saved.

    Raises:
        InputError: a data set cannot be read or split, which is found before anything is trained,
            or nothing can be trained on it.
    """
    tell = told or (lambda _: None)
    _refuse_unreadable(config)
    before = _before(config, tell)
    found = [
        _one(config, source, seed, before.get((Path(source).stem, seed)), progress, tell)
        for source in config.data
        for seed in config.seeds
    ]
    standings = before | {(s.data, s.seed): s for s in found}
    league = League(tuple(standings.values()), focus=config.focus)
    for refused in (s for s in league.refused if s in found):
        tell(f"{refused.data} {refused.seed}: refused, nothing can be told apart")
    league.save(config.output)
    return league


def _refuse_unreadable(config: LeagueConfig) -> None:
    """Read and split every data set once, before hours go into those that come before a bad one.

    Raises:
        InputError: some cannot; the message names each of them with the reason.
    """
    found = []
    for source in config.data:
        run = config.run(source, seed=config.seeds[0])
        try:
            dataset = read(
                source, layout=run.layout, columns=run.columns or None, identical=run.identical
            )
            for seed in config.seeds:
                make_split(dataset, config.run(source, seed=seed))
        except (InputError, NotFoundError) as error:
            named = source in error.message
            found.append(error.message if named else f"{source}: {error.message}")
    if found:
        message = "; ".join(found)
        raise InputError(message, where="data")


def _before(config: LeagueConfig, tell: Told) -> dict[tuple[str, int], Standing]:
    """What the folder's league holds that was judged alike."""
    try:
        league = League.load(config.output)
    except InputError:  # none yet, or of another version
        return {}
    found = {}
    asked = {(Path(source).stem, seed) for source in config.data for seed in config.seeds}
    for s in league.standings:
        if is_alike(s.report, config, s.seed):
            found[s.data, s.seed] = s
        elif (s.data, s.seed) not in asked:
            tell(f"{s.data} {s.seed}: was judged by other draws or shots, no longer in the tables")
    return found


def _one(
    config: LeagueConfig, source: str, seed: int, before: Standing | None,
    progress: Progress | None, tell: Told,
) -> Standing:  # fmt: skip
    """All methods on one data set under one seed."""
    name = Path(source).stem
    out = Path(config.output) / name / str(seed)
    artifacts: dict[str, Artifact] = {}
    failed: dict[str, str] = {}
    with remembered():  # several families begin with the same fit
        for method, entry in config.methods.items():
            run = config.run(
                source, seed=seed, output=str(out / method), model=entry.family, questions=0,
                model_options=dict(entry.options), strengths=config.strengths if entry.graded else "",
            )  # fmt: skip
            title = f"{name} {seed} {method}"
            try:
                artifacts[method], made = _trained(run, title, config, progress)
                if made:
                    tell(f"{title}: trained in {artifacts[method].card['fit']['seconds']:.0f} s")
            except ConfigError:
                raise
            except GustibusError as error:
                failed[method] = error.message
                tell(f"{title}: left out, {error.message}")
    if not artifacts:
        message = f"{source}: no method could be trained: {'; '.join(failed.values())}"
        raise InputError(message, where="data")
    report = judged(Trial(config, source, seed, out, progress, tell), artifacts, [*failed])
    models = [m.name for m in report.methods if m.kind == "model"]
    if before is not None:  # failures of methods that nobody asked for now
        failed = {n: w for n, w in before.failed.items() if n not in config.methods} | failed
    return Standing(
        name, seed, report, choices(out, models),
        {n: why for n, why in failed.items() if n not in models},
    )  # fmt: skip


def _trained(
    run: RunConfig, title: str, config: LeagueConfig, progress: Progress | None
) -> tuple[Artifact, bool]:
    """The model of a run, and whether it was trained now; a run that failed before fails again."""
    if not config.fresh and (Path(run.output) / "MANIFEST.json").is_file():
        artifact = Artifact.load(run.output)
        saved = _settings(artifact.card.get("run"))
        if saved is not None and saved == _settings(run.as_json()):
            return artifact, False

    def titled(stage: str, done: int, total: int, figure: float) -> None:
        assert progress is not None
        progress(f"{title}: {stage}", done, total, figure)

    return train(run, progress=None if progress is None else titled), True


def _settings(run: Any) -> Any:
    """What decides the result of a run; None for one that this version does not know.

    Folders may have moved, and a run that was saved before there was a setting had its default.
    """
    try:
        whole = RunConfig(**run).as_json()
    except (TypeError, GustibusError):
        return None
    return json.loads(json.dumps({k: v for k, v in whole.items() if k not in ("data", "output")}))
