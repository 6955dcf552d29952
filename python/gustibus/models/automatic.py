"""`auto`: the family, and its size, that foretells best people whom no candidate was fitted on.

A family chooses its own ridge, rank and the like on validation people, so that its loss on them is
flattered. Families are therefore compared on other people: some are held out, every candidate is
fitted on the rest, and the one of least loss is fitted again on everybody. Where the pooled reward
has the least loss by no more than its error, a personal family is taken all the same: it is as good
for these people, and it can learn from those who come.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gustibus.errors import ConfigError, GustibusError, InputError
from gustibus.models.base import MODELS, Fitted, Progress, TrainingSet
from gustibus.models.hybrid import check_takes, fit_model
from gustibus.models.judges import Draw, draws_of
from gustibus.models.keywords import check_range
from gustibus.models.recent import remembered
from gustibus.models.validation import everybody, held_out_losses, hold_out
from gustibus.types import F64

AUTO = "auto"
POOLED = "bt"
FAMILIES = (POOLED, "hierarchical", "pal", "pro", "gpm")
"""Families that `auto` tries, the quickest first."""
SIZES: Mapping[str, tuple[str, tuple[int, ...]]] = {
    "pal": ("prototypes", (3, 16)),
    "lore": ("rank", (3, 16)),
    "pro": ("experts", (3, 16)),
}
"""The option that is a family's size, and what is tried beside its default."""


@dataclass(frozen=True, slots=True)
class AutoOptions:
    """Options of the choice.

    Attributes:
        minutes: time that choice and fit may take together, about; the pooled floor, or the first
            of `families`, is always fitted.
        families: names of `MODELS`, in the order in which they are tried.
        sizes: whether the two best families with a size, if they are not far behind, are tried at
            other sizes.
        settings: options of a family for all its fits.
        known_items: see `fit_model`.
    """

    minutes: float = 60.0
    families: tuple[str, ...] = FAMILIES
    sizes: bool = True
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    known_items: str = "auto"

    def of(self, family: str) -> dict[str, Any]:
        """What a fit of a family is called with, beside its size."""
        return {"known_items": self.known_items, **self.settings.get(family, {})}


@dataclass(slots=True)
class Candidate:
    """A family with options, and how it did.

    Attributes:
        family: name of `MODELS`.
        options: those beside the defaults.
        losses: of the judging people of each draw, `(p,)` each.
        seconds: of all its fits.
        fate: `judged`, or why not.
    """

    family: str
    options: dict[str, Any]
    losses: list[F64] = field(default_factory=list)
    seconds: float = 0.0
    fate: str = "judged"

    @property
    def loss(self) -> float:
        """Mean over the people who judged it; infinite without any."""
        found = np.concatenate([*self.losses, np.empty(0)])
        found = found[np.isfinite(found)]
        return float(found.mean()) if len(found) else float("inf")

    @property
    def title(self) -> str:
        """For people to read."""
        shown = ", ".join(f"{name} {value}" for name, value in self.options.items())
        return f"{self.family} ({shown})" if shown else self.family


class _LateError(Exception):
    """The time is up."""


def fit_any(
    family: str,
    train: TrainingSet,
    valid: TrainingSet | None,
    *,
    seed: int,
    device: str = "cpu",
    progress: Progress | None = None,
    checkpoint: Path | None = None,
    **options: Any,
) -> Fitted:
    """`fit_model`, where `auto` is a family as well.

    Args:
        family: a name of `MODELS`, or `auto`, whose options are those of `AutoOptions`.
        train: comparisons of the seen people.
        valid: comparisons of other people.
        seed: of the fits.
        device: `auto`, `cpu` or `cuda`.
        progress: called with the stage and how far it is.
        checkpoint: folder for the state of an interrupted fit.
        **options: of the family.

    Raises:
        ConfigError: an option is wrong.
        InputError: there are no comparisons.
        UnknownNameError: there is no such family.
    """
    shared: dict[str, Any] = {
        "seed": seed, "device": device, "progress": progress, "checkpoint": checkpoint,
    }  # fmt: skip
    if family == AUTO:
        if options.get("objective") is not None:
            check_takes(AUTO, options["objective"])
        return fit_auto(train, valid, **shared, **options)
    return fit_model(family, train, valid, **shared, **options)


def fit_auto(
    train: TrainingSet,
    valid: TrainingSet | None,
    *,
    seed: int,
    device: str = "cpu",
    progress: Progress | None = None,
    checkpoint: Path | None = None,
    **options: Any,
) -> Fitted:
    """Judge candidates on held-out people, then fit the best one on everybody.

    Args:
        train: comparisons of the seen people.
        valid: comparisons of other people; they take part in the choice like all others, and are
            the validation people of the last fit.
        seed: of the draws of people, and of the fits.
        device: `auto`, `cpu` or `cuda`.
        progress: called with the stage and how far it is.
        checkpoint: folder for the state of an interrupted fit.
        **options: those of `AutoOptions`.

    Returns:
        The model, and its family's report with `auto`: `chosen`, `why`, and every candidate with
        its loss, its distance from the chosen one and the error of that over people.

    Raises:
        ConfigError: an option is wrong.
        InputError: there are no comparisons.
    """
    chosen = auto_options(options)
    if len(train) == 0:
        message = "train: expected at least one comparison, got none"
        raise InputError(message, where="train")
    search = _Search(train, valid, chosen, seed, device, progress, checkpoint)
    with remembered():
        best, why = search.choose()
    last = None if checkpoint is None else checkpoint / "last"
    fitted = fit_model(
        best.family, train, valid, seed=seed, device=device,
        progress=_titled(progress, f"auto: {best.title}"), checkpoint=last,
        **chosen.of(best.family), **best.options,
    )  # fmt: skip
    report = fitted.report | {"auto": search.report(best, why)}
    return Fitted(fitted.model, report)


def auto_options(given: Mapping[str, Any]) -> AutoOptions:
    """Options from keywords.

    Raises:
        ConfigError: an unknown keyword, a value out of range, or no families.
        UnknownNameError: there is no family of a name.
    """
    known = AutoOptions.__dataclass_fields__
    for name in given:
        if name not in known:
            message = f"auto has no option {name!r}; known: {sorted(known)}"
            raise ConfigError(message, where=name)
    values = dict(given)
    if "families" in values:
        names = values["families"]
        values["families"] = tuple(names.split(",") if isinstance(names, str) else names)
    options = AutoOptions(**values)
    check_range("minutes", options.minutes, 0)
    if not options.families:
        message = "families: expected at least one name, got none"
        raise ConfigError(message, where="families")
    for name in (*options.families, *options.settings):
        MODELS[name]
    return options


class _Search:
    """Candidates, draws of people, and the time."""

    def __init__(
        self, train: TrainingSet, valid: TrainingSet | None, options: AutoOptions, seed: int,
        device: str, progress: Progress | None, checkpoint: Path | None,
    ) -> None:  # fmt: skip
        self.both = train if valid is None else everybody(train, valid)
        self.options, self.seed, self.device = options, seed, device
        self.progress = progress
        self.keeper = _Keeper(
            checkpoint,
            {"seed": seed, "rows": len(self.both), "items": train.item_features.shape,
             **{k: v for k, v in asdict(options).items() if k != "minutes"}},
        )  # fmt: skip
        self.candidates: list[Candidate] = []
        self.began = time.monotonic()
        self.draws = list(draws_of(self.both, seed))

    def choose(self) -> tuple[Candidate, str]:
        """The best candidate, and why it is."""
        first = [Candidate(name, {}) for name in self.options.families]
        if not self.draws:
            pick = next((c for c in first if c.family == "hierarchical"), first[0])
            return pick, (
                f"{self.both.people} people are too few to hold some out: {pick.family} leaves "
                "them where they are until their answers say otherwise"
            )
        self.candidates = first
        self._judge(self.draws[0], 0, first)
        if self.options.sizes:
            self._judge(self.draws[0], 0, self._other_sizes())
        for number, draw in enumerate(self.draws[1:], 1):
            self._judge(draw, number, self._among(number))
        best = self._best()
        chosen = self._personal(best)
        return chosen, self._why(chosen, best)

    def report(self, best: Candidate, why: str) -> dict[str, Any]:
        """JSON record of the choice."""
        rows = [
            {"family": c.family, "options": c.options, "loss": _finite(c.loss),
             **self._against(c, best), "seconds": c.seconds, "fate": c.fate}
            for c in sorted(self.candidates, key=lambda c: c.loss)
        ]  # fmt: skip
        judged = sum(int(np.isfinite(x).sum()) for x in best.losses)
        return {
            "chosen": {"family": best.family, "options": best.options}, "why": why,
            "judged_by": judged, "draws": len(best.losses), "candidates": rows,
            "seconds": time.monotonic() - self.began,
        }  # fmt: skip

    def _other_sizes(self) -> list[Candidate]:
        """The two best families that have a size and are not far behind, at other sizes."""
        able = [c for c in self._close(1) if c.family in SIZES]
        fixed = self.options.settings
        found = [
            Candidate(c.family, {SIZES[c.family][0]: size})
            for c in sorted(able, key=lambda c: c.loss)[:2]
            if SIZES[c.family][0] not in fixed.get(c.family, {})
            for size in SIZES[c.family][1]
        ]
        self.candidates.extend(found)
        return found

    def _among(self, done: int) -> list[Candidate]:
        """Those that another draw of people could still bring to the front, the best first."""
        close = self._close(done)
        return sorted(close, key=lambda c: c.loss) if len(close) > 1 else []

    def _close(self, done: int) -> list[Candidate]:
        """Candidates of so many draws that are less than two errors behind the best."""
        best, close = self._best(), []
        for one in [c for c in self.candidates if len(c.losses) == done]:
            behind, error = self._against(one, best).values()
            if behind is None or error is None or behind <= 2 * error:
                close.append(one)
        return close

    def _best(self) -> Candidate:
        """Least loss among those that the most people judged."""
        most = max(len(c.losses) for c in self.candidates)
        if most == 0:
            message = "; ".join(f"{c.title}: {c.fate}" for c in self.candidates)
            raise InputError(message, where="train")
        return min((c for c in self.candidates if len(c.losses) == most), key=lambda c: c.loss)

    def _personal(self, best: Candidate) -> Candidate:
        """The best candidate, or what cannot be told from it and learns from people's answers."""
        if best.family != POOLED:
            return best
        alike = []
        for one in self.candidates:
            behind, error = self._against(one, best).values()
            judged = one.family != POOLED and len(one.losses) == len(best.losses)
            if judged and behind is not None and behind <= (error or 0.0):
                alike.append(one)
        return min(alike, key=lambda c: c.loss, default=best)

    def _against(self, one: Candidate, best: Candidate) -> dict[str, float | None]:
        """Mean of the paired differences of losses over people, and its standard error."""
        shared = min(len(one.losses), len(best.losses))
        if shared == 0:
            return {"behind": None, "error": None}
        gaps = np.concatenate([one.losses[i] - best.losses[i] for i in range(shared)])
        gaps = gaps[np.isfinite(gaps)]
        if len(gaps) < 2:
            return {"behind": None, "error": None}
        return {"behind": float(gaps.mean()), "error": float(gaps.std() / np.sqrt(len(gaps)))}

    def _why(self, best: Candidate, least: Candidate) -> str:
        judged = sum(int(np.isfinite(x).sum()) for x in best.losses)
        said = f"least loss, {best.loss:.4f}, over {judged} people it was not fitted on"
        if best is not least:
            gap = self._against(best, least)
            said = (
                f"{least.title} has the least loss, {least.loss:.4f}, over {judged} people it was "
                f"not fitted on, but {best.title}, {_signed(gap)} behind, can learn from others"
            )
        others = [c for c in self.candidates if c not in (best, least) and c.losses]
        if others:
            second = min(others, key=lambda c: c.loss)
            gap = self._against(second, best)
            if gap["behind"] is not None:
                said += f"; {second.title} is {_signed(gap)} behind"
        late = [c.title for c in self.candidates if c.fate != "judged"]
        return said + (f"; not judged to the end: {', '.join(late)}" if late else "")

    def _judge(self, draw: Draw, number: int, candidates: list[Candidate]) -> None:
        split = hold_out(draw.judges)
        for place, one in enumerate(candidates):
            kept = self.keeper.get(one, number)
            if kept is not None:
                one.losses.append(kept[0])
                one.seconds += kept[1]
                continue
            began = time.monotonic()
            title = f"auto {number + 1}.{place + 1} {one.title}"
            try:
                model = fit_model(
                    one.family, draw.train, draw.valid, seed=self.seed, device=self.device,
                    progress=self._watched(title, began, draw, free=one is self.candidates[0]),
                    **self.options.of(one.family), **one.options,
                ).model  # fmt: skip
                losses = held_out_losses(model, draw.judges, split)
            except _LateError:
                one.fate = f"the time was up after {time.monotonic() - began:.0f} s"
                continue
            except ConfigError:
                raise
            except GustibusError as error:  # such as a family that needs prompts, on data without
                one.fate = error.message
                continue
            spent = time.monotonic() - began
            one.losses.append(losses)
            one.seconds += spent
            self.keeper.put(one, number, losses, spent)

    def _watched(self, title: str, began: float, draw: Draw, *, free: bool) -> Progress:
        """Passes progress on, and ends a fit that would leave no time to be made again on all rows.

        Args:
            title: of the stage.
            began: when the fit did.
            draw: what it is fitted on.
            free: never end it.
        """
        rows = len(draw.train) + (0 if draw.valid is None else len(draw.valid))
        again = 1 + len(self.both) / max(rows, 1)
        reached = began - self.began
        limit = 60 * self.options.minutes
        passed = _titled(self.progress, title)

        def progress(stage: str, done: int, total: int, figure: float) -> None:
            if not free and reached + again * (time.monotonic() - began) > limit:
                raise _LateError
            if passed is not None:
                passed(stage, done, total, figure)

        if not free and reached > limit:
            raise _LateError
        return progress


class _Keeper:
    """Losses of an interrupted search, so that it goes on where it was."""

    def __init__(self, folder: Path | None, key: dict[str, Any]) -> None:
        from gustibus.models.torch_network import Checkpoint

        self._file = Checkpoint(None if folder is None else folder / "auto", key=key)
        found = self._file.load()
        self._losses = {} if found is None else {n: t.numpy() for n, t in found[1].items()}
        self._seconds: dict[str, float] = {} if found is None else found[2]

    @staticmethod
    def _name(one: Candidate, draw: int) -> str:
        return f"{draw} {one.title}"

    def get(self, one: Candidate, draw: int) -> tuple[F64, float] | None:
        """Losses and seconds."""
        name = self._name(one, draw)
        return (self._losses[name], self._seconds[name]) if name in self._losses else None

    def put(self, one: Candidate, draw: int, losses: F64, seconds: float) -> None:
        """Keep them."""
        import torch

        name = self._name(one, draw)
        self._losses[name], self._seconds[name] = losses, seconds
        tensors = {n: torch.from_numpy(x) for n, x in self._losses.items()}
        self._file.save(len(tensors), tensors, self._seconds)


def _titled(progress: Progress | None, title: str) -> Progress | None:
    if progress is None:
        return None
    shown = progress

    def told(stage: str, done: int, total: int, figure: float) -> None:
        shown(f"{title}: {stage}" if stage not in title else title, done, total, figure)

    return told


def _signed(gap: Mapping[str, float | None]) -> str:
    """A gap and its error; what rounds to nothing has no sign."""
    behind, error = gap["behind"] or 0.0, gap["error"] or 0.0
    return f"{round(behind, 4) + 0.0:.4f} ± {error:.4f}"


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
