"""What an evaluation found, as data: to JSON and back without loss."""

from __future__ import annotations

import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from gustibus.errors import InputError
from gustibus.evaluation.intervals import Estimate
from gustibus.showing import shown

SCHEMA = 1
"""Raised when the meaning of a field changes; readers refuse other versions."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of like confidence."""

    confidence: float
    accuracy: float
    rows: int


@dataclass(frozen=True, slots=True)
class Cell:
    """One method on one judged part, people placed on all that may place them.

    Attributes:
        part: `test`, `test_new_items`, `query` or `query_new_items`.
        rows: judged answers.
        accuracy: mean over people of their accuracy.
        pooled_accuracy: over answers.
        log_loss: mean over people, in nats.
        brier: mean over people.
        calibration_error: over answers, in bins of equal mass.
        worst_decile: mean accuracy of the tenth of the people with the lowest.
        bins: of the calibration diagram.
        histogram: people by accuracy, in 20 equal bins of [0, 1]; the last includes 1.
    """

    part: str
    rows: int
    accuracy: Estimate
    pooled_accuracy: Estimate
    log_loss: Estimate
    brier: Estimate
    calibration_error: Estimate
    worst_decile: Estimate
    bins: tuple[Bin, ...]
    histogram: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """One method, new people placed on a number of shots; figures as in `Cell`.

    Attributes:
        part: `query` or `query_new_items`.
        shots: answers that placed each person.
        left_out: people with fewer answers than that.
        gain: accuracy minus that of the same people at 0 shots.
        harmed: share of people with lower accuracy than at 0 shots.
    """

    part: str
    shots: int
    left_out: int
    accuracy: Estimate
    pooled_accuracy: Estimate
    log_loss: Estimate
    brier: Estimate
    calibration_error: Estimate
    worst_decile: Estimate
    gain: Estimate
    harmed: Estimate


@dataclass(frozen=True, slots=True)
class Swap:
    """People placed on somebody else's answers.

    Attributes:
        own: accuracy on one's own answers.
        other: accuracy on another person's.
        drop: their difference, person by person.
        personal: whether the drop is above zero, allowing for the number of personal methods.
        within_prompts: whether swaps stayed among people who were asked about the same prompt.
    """

    own: Estimate
    other: Estimate
    drop: Estimate
    personal: bool
    within_prompts: bool


@dataclass(frozen=True, slots=True)
class Flip:
    """People placed on the opposite of their answers.

    Attributes:
        share: of predictions that change sides.
        accuracy: on what they did answer.
        turned: whether that is well over half, as it is where answers count: the whole interval is.
    """

    share: Estimate
    accuracy: Estimate
    turned: bool = False


@dataclass(frozen=True, slots=True)
class Method:
    """Everything about one contender.

    Attributes:
        name: as given.
        family: of the model.
        kind: `model`, `baseline` or `rule`.
        personal: whether it has a personal part.
        fit_seconds: NaN when not known.
        place_microseconds: to place one person on `focus` shots, or on the most below that anybody
            has, in a batch of all.
        bytes_per_person: kept of one person.
        digest: of the artifact, empty for other models.
        cells: of seen and new people.
        curve: few-shot curve.
        swap: user-swap control; None without a personal part or without people to swap.
        flip: label-flip control; likewise.
        few_swap: user-swap control of new people on known items, everybody placed on `focus` shots.
        unshuffled_gain: accuracy minus that of the same family fitted on answers given to people at
            random, people placed on their own; None where that was not fitted.
        cyclic_share: mean over people of the part, in `[0, 1]`, of their preferences among the items of
            the headline part that runs in circles; None for a method whose rewards rank everything.
    """

    name: str
    family: str
    kind: str
    personal: bool
    fit_seconds: float
    place_microseconds: float
    bytes_per_person: int
    digest: str
    cells: tuple[Cell, ...]
    curve: tuple[Point, ...]
    swap: Swap | None = None
    flip: Flip | None = None
    few_swap: Swap | None = None
    unshuffled_gain: Estimate | None = None
    cyclic_share: Estimate | None = None

    def cell(self, part: str) -> Cell | None:
        """The figures of one part, None where it was not judged."""
        return next((c for c in self.cells if c.part == part), None)

    def point(self, part: str, shots: int) -> Point | None:
        """The figures at one number of shots, None where there are none."""
        return next((p for p in self.curve if (p.part, p.shots) == (part, shots)), None)

    def area(self, part: str) -> float:
        """Mean accuracy along the few-shot curve, every doubling of the answers counting alike.

        The area under accuracy over `log2(1 + shots)`, by trapezes, divided by its width; NaN where the
        curve has fewer than two points. Many answers are answered by fewer people, whom the later
        points are of.
        """
        points = [p for p in self.curve if p.part == part]
        x = [math.log2(1 + p.shots) for p in points]
        if len(points) < 2:
            return math.nan
        y = [p.accuracy.value for p in points]
        sides = zip(pairwise(x), pairwise(y), strict=True)
        return sum((u - t) * (v + w) / 2 for (t, u), (v, w) in sides) / (x[-1] - x[0])


@dataclass(frozen=True, slots=True)
class Difference:
    """Two methods on the same people, the same rows and the same draws.

    Attributes:
        part: the judged part.
        shots: of the curve; -1 for people placed on all that may place them.
        first: name of a method.
        second: name of another.
        accuracy: of the first minus that of the second.
        log_loss: likewise; below 0 the first is better.
        harmed: share of people whom the first serves worse than the second.
        helped: share of people whom it serves better.
    """

    part: str
    shots: int
    first: str
    second: str
    accuracy: Estimate
    log_loss: Estimate
    harmed: Estimate
    helped: Estimate


@dataclass(frozen=True, slots=True)
class Control:
    """A check of the data; `passed` is None where it says nothing about this data."""

    name: str
    passed: bool | None
    found: str
    expected: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the data set can tell.

    Attributes:
        separates: whether it tells methods apart, see `findings.separation`.
        personal_signal: whether people's own answers matter; None where no personal method ran.
        reasons: sentences that say why.
    """

    separates: bool
    personal_signal: bool | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """One evaluation.

    Attributes:
        dataset: its name.
        digest: of its comparisons.
        split: rows of each part.
        dropped: rows in no part, by reason.
        people: judged people, seen and new.
        headline: the part that counts most.
        focus: shots at which methods are compared first.
        sizes: shots of the curve.
        draws: of shots and of swaps.
        seed: of draws and resamples.
        resamples: of people, for intervals.
        level: of the intervals.
        created: date and time, UTC.
        versions: of gustibus, Python and numpy.
        methods: in the order of the tables.
        differences: every pair of methods.
        controls: of the data.
        verdict: what it all says.
        schema: of this record.
    """

    dataset: str
    digest: str
    split: Mapping[str, int]
    dropped: Mapping[str, int]
    people: Mapping[str, int]
    headline: str
    focus: int
    sizes: tuple[int, ...]
    draws: int
    seed: int
    resamples: int
    level: float
    created: str
    versions: Mapping[str, str]
    methods: tuple[Method, ...]
    differences: tuple[Difference, ...]
    controls: tuple[Control, ...]
    verdict: Verdict
    schema: int = SCHEMA

    def __repr__(self) -> str:
        return shown(
            self, dataset=self.dataset, methods=[method.name for method in self.methods],
            people=dict(self.people), personal_signal=self.verdict.personal_signal,
        )  # fmt: skip

    def method(self, name: str) -> Method:
        """A method by name.

        Raises:
            InputError: there is none of that name.
        """
        for method in self.methods:
            if method.name == name:
                return method
        message = f"name: expected one of {[m.name for m in self.methods]}, got {name!r}"
        raise InputError(message, where="name")

    def difference(
        self, first: str, second: str, *, part: str | None = None, shots: int | None = None
    ) -> Difference | None:
        """The paired difference of two methods, whichever way round it is kept."""
        part, shots = part or self.headline, self.focus if shots is None else shots
        for found in self.differences:
            if (found.part, found.shots) == (part, shots):
                if (found.first, found.second) == (first, second):
                    return found
                if (found.first, found.second) == (second, first):
                    return _turned(found)
        return None

    def as_json(self) -> dict[str, Any]:
        """Plain data; NaN becomes None."""
        out: dict[str, Any] = encode(self)
        return out

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Report:
        """Inverse of `as_json`.

        Raises:
            InputError: the data is no report, or of another schema.
        """
        if not isinstance(data, Mapping) or data.get("schema") != SCHEMA:
            found = data.get("schema") if isinstance(data, Mapping) else type(data).__name__
            message = f"report: expected schema {SCHEMA}, got {found!r}"
            raise InputError(message, where="schema")
        try:
            report: Report = decode(cls, data)
        except (KeyError, TypeError, ValueError) as error:
            message = f"report: not complete ({type(error).__name__}: {error})"
            raise InputError(message, where="report") from None
        return report

    def markdown(self) -> str:
        """Tables with intervals."""
        from gustibus.evaluation.markdown import markdown

        return markdown(self)

    def _repr_markdown_(self) -> str:
        """Notebooks show the tables."""
        return self.markdown()

    def save(self, folder: str | Path, *, plots: bool = True) -> Path:
        """Write `report.json`, `report.md` and, unless told not to, the plots as PNG.

        Returns:
            The folder.
        """
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.as_json(), indent=1, ensure_ascii=False, allow_nan=False)
        names = []
        if plots:
            from gustibus.evaluation.plots import save_plots

            names = save_plots(self, target)
        figures = "".join(f"\n![{name}]({name})\n" for name in names)
        (target / "report.md").write_text(self.markdown() + figures, encoding="utf-8")
        scratch = target / ".report.json"
        scratch.write_text(text + "\n", encoding="utf-8")
        scratch.replace(target / "report.json")
        return target

    @classmethod
    def load(cls, path: str | Path) -> Report:
        """Read `report.json`, from the file or from its folder.

        Raises:
            InputError: there is none, or it is no report of this schema.
        """
        source = Path(path)
        source = source / "report.json" if source.is_dir() else source
        try:
            data = json.loads(source.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            message = f"{source}: not a report ({error})"
            raise InputError(message, where=str(source)) from None
        return cls.from_json(data)


def _turned(found: Difference) -> Difference:
    def minus(e: Estimate) -> Estimate:
        return Estimate(-e.value, -e.high, -e.low, e.error, e.people)

    return Difference(
        found.part, found.shots, found.second, found.first, minus(found.accuracy),
        minus(found.log_loss), harmed=found.helped, helped=found.harmed,
    )  # fmt: skip


def encode(value: Any) -> Any:
    """Dataclasses, tuples and numbers as JSON has them."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): encode(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [encode(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def decode(kind: Any, value: Any) -> Any:
    """Inverse of `encode` for an annotated type; what was not there yet has its default."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else decode(next(k for k in inner if k is not _NONE), value)
    if is_dataclass(kind) and isinstance(kind, type):
        hints = typing.get_type_hints(kind)
        held = [f for f in fields(kind) if f.name in value or f.default is MISSING]
        return kind(**{f.name: decode(hints[f.name], value[f.name]) for f in held})
    if origin is tuple:
        return tuple(decode(inner[0], v) for v in value)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {k: decode(inner[1], v) for k, v in value.items()}
    if kind is float:
        return float("nan") if value is None else float(value)
    if not isinstance(value, kind):
        message = f"expected {kind.__name__}, got {value!r}"
        raise TypeError(message)
    return value


_NONE = type(None)
