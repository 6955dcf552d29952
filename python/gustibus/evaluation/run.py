"""`evaluate`: several methods on one split, with baselines, controls and a verdict."""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any, TypeAlias

import numpy as np

from gustibus.artifact import Artifact
from gustibus.data import Dataset, Split, four_cells, given_split
from gustibus.data.leaks import NEW
from gustibus.errors import InputError
from gustibus.evaluation.baselines import BASELINES, fit_baselines
from gustibus.evaluation.contenders import Contender, Fixed, Modelled
from gustibus.evaluation.findings import data_controls, verdict
from gustibus.evaluation.intervals import LEAST
from gustibus.evaluation.judging import ALL, Judge, Outcome, correct_swaps
from gustibus.evaluation.protocol import SIZES, Step, Trial, judge_cells
from gustibus.evaluation.report import Method, Report
from gustibus.evaluation.rows import fitting_sets, people_with, shuffle_users
from gustibus.evaluation.surface import length_rule
from gustibus.models.automatic import fit_any
from gustibus.models.base import PreferenceModel, Progress, TrainingSet

Judged: TypeAlias = PreferenceModel | Artifact | Modelled | Fixed
Options: TypeAlias = Mapping[str, Any]
Scored: TypeAlias = Callable[[str, Outcome], None]


def evaluate(
    dataset: Dataset,
    split: Split | None = None,
    models: Mapping[str, Judged] | None = None,
    *,
    families: Sequence[str] | Mapping[str, Options] = (),
    baselines: Sequence[str] = BASELINES,
    sizes: Sequence[int] = SIZES,
    draws: int = 10,
    focus: int = 5,
    resamples: int = 1000,
    seed: int = 0,
    shuffled: bool = False,
    device: str = "cpu",
    digest: str = "",
    progress: Progress | None = None,
    scored: Scored | None = None,
) -> Report:
    """Judge methods by the protocol: four cells, few-shot curve, controls, intervals over people.

    Examples:
        >>> from gustibus.data.synthetic import linear_mixture_world
        >>> from gustibus.evaluation import evaluate
        >>> dataset, _ = linear_mixture_world(seen=20, new=12, test=20, query=20, seed=0)
        >>> report = evaluate(dataset, sizes=(0, 5, 20))
        >>> report.method("shrunk").personal
        True

    Args:
        dataset: with item features.
        split: by default the data's own, or four cells where it has none.
        models: fitted ones by the name that tables give them; a `Modelled` brings features of its
            own. The people of an artifact must not be among the split's new people.
        families: fitted here on the split's `train`: names of `MODELS`, or names with options.
        baselines: of `linear`, `shrunk`, `item_mean`; `linear` and the length rule always run.
        sizes: shots of the curve; 0 is always among them.
        draws: of every person's shots, and of swaps; at least 1, and 10 for figures to report.
        focus: shots at which methods are compared first; the next lower one of `sizes` is taken.
        resamples: of people, at least 1000.
        seed: of draws, resamples and fits.
        shuffled: fit every personal family a second time, on answers given to people at random.
        device: of the fits.
        digest: identity of the data; by default it is computed.
        progress: called with a stage and how far it is.
        scored: called with the name of every method and the scores of its people, which another
            report of the same people can be joined by, see `merged`.

    Raises:
        InputError: the split leaks or holds nothing out, an artifact knows people that the split
            holds out, or two methods have one name.
        UnknownNameError: there is no family or baseline of a name.
    """
    _check_kinds(
        dataset=(dataset, Dataset, "what read gives"),
        split=(split, Split | None, "a Split, as four_cells gives"),
        families=(() if isinstance(families, Mapping) else families, list | tuple, "names of models"),
        sizes=(sizes, list | tuple | range, "numbers of shots"),
        **{
            name: (value, int | np.integer, "a whole number")
            for name, value in (
                *((f"sizes[{place}]", size) for place, size in enumerate(sizes or ())),
                ("draws", draws), ("focus", focus), ("resamples", resamples), ("seed", seed),
            )
        },
    )  # fmt: skip
    for name, value, least in (
        *(("sizes", size, 0) for size in sizes), ("draws", draws, 1), ("resamples", resamples, LEAST),
        ("focus", focus, 0), ("seed", seed, 0),
    ):  # fmt: skip
        if value < least:
            message = f"{name}: expected at least {least}, got {value}"
            raise InputError(message, where=name)
    split = _own_split(dataset, seed) if split is None else split
    trial = Trial(dataset, split, tuple(sorted({0, *sizes})), draws, seed)
    judge = Judge(trial, max(s for s in trial.sizes if s <= max(focus, 0)), resamples)
    train, valid = fitting_sets(dataset, split)
    wanted = families if isinstance(families, Mapping) else {name: {} for name in families}
    fitting = _Fitting(dataset, train, valid, seed, device, progress)
    contenders: list[Contender] = [
        *_given(trial, models or {}),
        *(fitting.fit(name, options) for name, options in wanted.items()),
        *fit_baselines(tuple(dict.fromkeys(("linear", *baselines))), dataset, split),
        length_rule(dataset, train),
    ]
    _refuse_equal_names([one.name for one in contenders])
    methods: list[Method] = []
    outcomes: list[tuple[str, Outcome]] = []
    for one in contenders:
        method, outcome = judge.method(one, step=_steps(one.name, trial, progress))
        if shuffled and method.personal and one.name in wanted:
            method = _against_shuffled(judge, method, outcome, fitting, wanted[one.name])
        methods.append(method)
        outcomes.append((one.name, outcome))
        if scored is not None:
            scored(one.name, outcome)
    methods = correct_swaps(methods)
    differences = judge.differences(outcomes)
    controls = data_controls(judge, train)
    return Report(
        dataset=dataset.name,
        digest=digest or data_digest(dataset),
        split={name: len(rows) for name, rows in split.items()},
        dropped={name: int(count) for name, count in split.dropped.items()},
        people={"seen": judge.seen.people, "new": judge.new.people},
        headline=trial.headline,
        focus=judge.focus,
        sizes=trial.sizes,
        draws=draws,
        seed=seed,
        resamples=resamples,
        level=judge.new.level,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=_versions(),
        methods=tuple(methods),
        differences=tuple(differences),
        controls=tuple(controls),
        verdict=verdict(methods, differences, controls, headline=trial.headline, focus=judge.focus),
    )


@dataclass(frozen=True)
class _Fitting:
    """What families are fitted on in place."""

    dataset: Dataset
    train: TrainingSet
    valid: TrainingSet | None
    seed: int
    device: str
    progress: Progress | None

    def fit(self, name: str, options: Options) -> Modelled:
        """One family, as a contender."""
        started = time.perf_counter()
        model = fit_any(
            name, self.train, self.valid, seed=self.seed, device=self.device,
            progress=self.progress, **options,
        ).model  # fmt: skip
        return Modelled(name, model, self.dataset, fit_seconds=time.perf_counter() - started)

    def shuffled(self) -> _Fitting:
        """The same answers, given to people at random."""
        valid = None if self.valid is None else shuffle_users(self.valid, seed=self.seed)
        return replace(self, train=shuffle_users(self.train, seed=self.seed), valid=valid)


def _against_shuffled(
    judge: Judge, method: Method, outcome: Outcome, fitting: _Fitting, options: Options
) -> Method:
    """The method with the accuracy that it owes to knowing who answered what in training."""
    part = judge.trial.headline
    blind = fitting.shuffled().fit(method.name, options)
    other = judge_cells(judge.trial, blind)[part][0]
    found = judge.difference((part, ALL), ("", outcome[part, ALL]), ("", other))
    return replace(method, unshuffled_gain=found.accuracy)


def _given(trial: Trial, models: Mapping[str, Judged]) -> list[Contender]:
    """Fitted models as contenders."""
    found: list[Contender] = []
    for name, one in models.items():
        if isinstance(one, Modelled | Fixed):
            found.append(replace(one, name=name))
        elif isinstance(one, Artifact):
            refuse_known_people(trial.dataset, trial.split, name, one)
            found.append(Modelled.of(name, one, trial.dataset))
        else:
            found.append(Modelled(name, one, trial.dataset))
    return found


def refuse_known_people(dataset: Dataset, split: Split, name: str, artifact: Artifact) -> None:
    """Refuse an artifact that was fitted on people whom the split holds out.

    Raises:
        InputError: with their number and one of them.
    """
    rows = np.concatenate([np.empty(0, np.int64), *(split[n] for n in NEW if n in split)])
    ids = dataset.comparisons.user_ids
    new = [ids[p] for p in people_with(dataset, rows).tolist()]
    known = [person for person in new if person in artifact.people.rows]
    if known:
        message = (
            f"{name}: was fitted on {len(known)} of the people that the split holds out, such as "
            f"{known[0]!r}"
        )
        raise InputError(message, where=name)


def _check_kinds(**given: tuple[Any, Any, str]) -> None:
    """Refuse values of another kind than is said, by the name of their argument."""
    for name, (value, kind, expected) in given.items():
        if not isinstance(value, kind):
            message = f"{name}: expected {expected}, got {value!r:.60}"
            raise InputError(message, where=name)


def _own_split(dataset: Dataset, seed: int) -> Split:
    if dataset.comparisons.split is not None:
        return given_split(dataset, seed=seed, repeats="drop")
    return four_cells(dataset.comparisons, seed=seed)


def _steps(name: str, trial: Trial, progress: Progress | None) -> Step | None:
    """Progress of one method as one stage of all its draws and sizes."""
    if progress is None:
        return None
    done = count()
    total = trial.draws * sum(s > 0 for s in trial.sizes)

    def step(_draw: int, _of: int) -> None:
        progress(f"judge {name}", next(done) + 1, total, float("nan"))

    return step


def _refuse_equal_names(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            message = f"models: expected different names, got {name!r} twice"
            raise InputError(message, where="models")


def data_digest(dataset: Dataset) -> str:
    """Identity of the comparisons, the same as in the card of an artifact."""
    c = dataset.comparisons
    state = hashlib.blake2b(digest_size=16)
    for column in (c.user, c.prompt, c.a, c.b, c.target, c.weight):
        state.update(np.ascontiguousarray(column).tobytes())
    for names in (c.user_ids, c.item_ids, c.prompts):
        state.update("\0".join(names).encode("utf-8", "surrogatepass"))
    return state.hexdigest()


def _versions() -> dict[str, str]:
    from gustibus import __version__

    return {
        "gustibus": __version__, "python": platform.python_version(), "numpy": np.__version__,
    }  # fmt: skip
