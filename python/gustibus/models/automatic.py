"""`auto`: the family, its size, or the blend that foretells best whom no candidate was fitted on.

A family chooses its own ridge, rank and the like on validation people, so that its loss on them is
flattered. Families are therefore compared on other people: some are held out, every candidate is
fitted on the rest, and the one of least loss is fitted again on everybody. Where the pooled reward
has the least loss by no more than its error, a personal family is taken all the same: it is as good
for these people, and it can learn from those who come. Where a blend of families has the least
loss by no more than its error, the best single one is taken: it needs one fit, and one to serve. But
where so few people judge that a family could be far behind another and nobody would see it, those
that they cannot tell apart are blended in equal parts: log loss is convex, so that the blend is no
worse than they are on average, and which of them is best need not be guessed. A family that knows items
by their names alone is blended with the best one that reads features, where that costs nothing that
can be told: alone it has nothing to say of a new item. A blend's weights are multiplied by what makes
it neither too timid nor too sure, where that foretells better beyond doubt.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from gustibus.errors import ConfigError, GustibusError, InputError
from gustibus.models import choosing
from gustibus.models.automatic_options import (
    AUTO,
    POOLED,
    SIZES,
    AutoOptions,
    auto_options,
)
from gustibus.models.base import Fitted, Progress, TrainingSet
from gustibus.models.blend_choice import Blended, blended, in_equal_parts, judge_blend, rescaled
from gustibus.models.candidates import Candidate, Judged, Keeper
from gustibus.models.checking import checked
from gustibus.models.hybrid import check_takes, fit_model
from gustibus.models.judges import Draw, draws_of
from gustibus.models.recent import remembered, spared
from gustibus.models.validation import everybody, foretell, hold_out, losses_of


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

    Returns:
        The model, and its family's report; `seconds` is what all of it takes, with known items and
        without, and with what `remembered` has spared.

    Raises:
        ConfigError: an option is wrong.
        InputError: there are no comparisons, or a column of theirs is not as `TrainingSet` says.
        UnknownNameError: there is no such family.
    """
    shared: dict[str, Any] = {
        "seed": seed, "device": device, "progress": progress, "checkpoint": checkpoint,
    }  # fmt: skip
    if family == AUTO and options.get("objective") is not None:
        check_takes(AUTO, options["objective"])
    began, before = time.perf_counter(), spared()
    model, report = (
        fit_auto(train, valid, **shared, **options)
        if family == AUTO
        else fit_model(family, train, valid, **shared, **options)
    )
    seconds = time.perf_counter() - began + spared() - before
    return Fitted(model, report | {"seconds": seconds})


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
        InputError: there are no comparisons, or a column of theirs is not as `TrainingSet` says.
    """
    chosen = auto_options(options)
    train, valid = checked(train, valid)
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


class _Search:
    """Candidates, draws of people, and the time."""

    def __init__(
        self, train: TrainingSet, valid: TrainingSet | None, options: AutoOptions, seed: int,
        device: str, progress: Progress | None, checkpoint: Path | None,
    ) -> None:  # fmt: skip
        self.both = train if valid is None else everybody(train, valid)
        self.options, self.seed, self.device = options, seed, device
        self.progress, self.checkpoint = progress, checkpoint
        self.keeper = Keeper(
            checkpoint,
            {"seed": seed, "device": device,
             **{k: v for k, v in asdict(options).items() if k != "minutes"}},
            self.both,
        )  # fmt: skip
        self.candidates: list[Candidate] = []
        self.began = time.monotonic()
        self.draws = list(draws_of(self.both, seed))
        self.splits = [hold_out(draw.judges) for draw in self.draws]

    def choose(self) -> tuple[Candidate, str]:
        """The best candidate, and why it is."""
        first = [Candidate(name, {}) for name in self.options.families]
        if not self.draws:
            return self._unjudged(first, f"{self.both.people} people are too few to hold some out")
        self.candidates = first
        self._judge(0, first)
        if self.options.sizes:
            self._judge(0, self._other_sizes())
        if self.options.blends:
            self._blend()
        for number in range(1, len(self.draws)):
            if not self._judge(number, self._among(number)):
                self._forget(number)
                break
        least = self._least()
        if not np.isfinite(least.loss):
            able = [c for c in first if c.draws]
            return self._unjudged(able, "nobody has answers left to be judged by once placed")
        chosen = choosing.preferred(least, self.candidates, POOLED)
        together = self._together(chosen)
        if together is not None:
            return self._scaled(together, self._why_together(together, chosen))
        return self._scaled(chosen, self._why(chosen, least))

    def _unjudged(self, able: list[Candidate], why: str) -> tuple[Candidate, str]:
        """What to take where the people cannot tell, and why."""
        pick = next((c for c in able if c.family == "hierarchical"), able[0])
        return (
            pick,
            f"{why}: {pick.family} leaves them where they are until their answers say otherwise",
        )

    def report(self, best: Candidate, why: str) -> dict[str, Any]:
        """JSON record of the choice."""
        rows = []
        for one in sorted(self.candidates, key=lambda c: c.loss):
            gap = one.against(best)
            rows.append({
                "title": one.title, "family": one.family, "options": one.options,
                "loss": _finite(one.loss), "behind": gap.behind, "error": gap.error,
                "seconds": one.seconds, "fate": one.fate,
            })  # fmt: skip
        return {
            "chosen": {"title": best.title, "family": best.family, "options": best.options},
            "why": why,
            "judged_by": len(best.losses), "draws": len(best.draws), "candidates": rows,
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

    def _blend(self) -> None:
        """The best blend, and equal parts, where there is time to fit their members once more."""
        people = self.draws[0], self.splits[0], self._settings()
        weighted, equal = (
            blended(self.candidates, *people),
            in_equal_parts(self.candidates, *people),
        )
        for one in equal if weighted is None else [weighted, *equal]:
            self.candidates.append(one)
            if late := self._no_time(one):
                one.fate = late
                one.draws.clear()

    def _settings(self) -> dict[str, dict[str, Any]]:
        """Options of each family that all its fits have."""
        return {c.family: self.options.of(c.family) for c in self.candidates}

    def _no_time(self, one: Blended) -> str:
        """Why a blend cannot be fitted any more; empty where its members can be fitted once more."""
        again = len(self.both) / max(_rows(self.draws[0]), 1) * one.seconds / len(one.draws)
        if time.monotonic() - self.began + again > 60 * self.options.minutes:
            return f"no time to fit its members again, {again:.0f} s"
        return ""

    def _together(self, best: Candidate) -> Blended | None:
        """Equal parts of the best family and what it needs beside it; None mostly."""
        if not self.options.blends:
            return None
        others = choosing.untold(best, self.candidates, POOLED)
        others = others or choosing.readers(best, self.candidates, POOLED)
        if not others:
            return None
        members = [best, *others]
        one = Blended(members, [1 / len(members)] * len(members), self._settings())
        for number in range(len(best.draws)):
            self._judge_blend(number, one)
        if self._no_time(one) or not one.against(best).is_noise:
            return None
        # Equal parts of the best two or three were tried before, on fewer draws perhaps.
        self.candidates = [*(c for c in self.candidates if c.title != one.title), one]
        return one

    def _scaled(self, best: Candidate, why: str) -> tuple[Candidate, str]:
        """What was chosen and why; a blend is made as sure as people find it right."""
        if not isinstance(best, Blended):
            return best, why
        found = rescaled(best, self.draws, self.splits, self._settings())
        if found is None:
            return best, why
        self.candidates.append(found)
        times = found.weights[0] / best.weights[0]
        return (
            found,
            f"{why}; with all weights times {times:g} it is {best.against(found)} ahead of itself",
        )

    def _among(self, done: int) -> list[Candidate]:
        """Those that another draw of people could still bring to the front, the best first.

        A blend needs its members, and comes behind them.
        """
        close = sorted(self._close(done), key=lambda c: c.loss)
        blends = [c for c in close if isinstance(c, Blended)]
        single = [c for c in close if not isinstance(c, Blended)]
        members = [m for one in blends for m in one.members]  # blends share some
        return [*dict.fromkeys([*single, *members]), *blends] if len(close) > 1 else []

    def _close(self, done: int) -> list[Candidate]:
        """Candidates of so many draws that are less than two errors behind the best."""
        best, close = self._least(), []
        for one in [c for c in self.candidates if len(c.draws) == done]:
            gap = one.against(best)
            if gap.behind is None or gap.error is None or gap.behind <= 2 * gap.error:
                close.append(one)
        return close

    def _least(self) -> Candidate:
        """Least loss among those that the most people judged."""
        most = max(len(c.draws) for c in self.candidates)
        if most == 0:
            message = "; ".join(f"{c.title}: {c.fate}" for c in self.candidates)
            raise InputError(message, where="train")
        return min((c for c in self.candidates if len(c.draws) == most), key=lambda c: c.loss)

    def _why_together(self, one: Blended, best: Candidate) -> str:
        others = [m for m in one.members if m is not best]
        gaps = ", ".join(f"{m.title} ({m.against(best)} behind)" for m in others)
        if not choosing.reads_features(best):
            return (
                f"{best.title} has the least loss, {best.loss:.4f}, over {len(best.losses)} people that "
                f"it was not fitted on, but knows items by their names alone; equal parts of it and "
                f"{gaps} are {one.against(best)} behind, and score new ones too" + self._late()
            )
        return (
            f"{len(best.losses)} people that they were not fitted on cannot tell {best.title}, loss "
            f"{best.loss:.4f}, from {gaps}: equal parts of them are no worse than they are on average"
            + self._late()
        )

    def _why(self, best: Candidate, least: Candidate) -> str:
        judged = len(best.losses)
        said = f"least loss, {best.loss:.4f}, over {judged} people it was not fitted on"
        if best is not least:
            gain = (
                "can learn from others" if least.family == POOLED
                else "needs one fit alone" if isinstance(least, Blended)
                else "is the family as it comes"
            )  # fmt: skip
            said = (
                f"{least.title} has the least loss, {least.loss:.4f}, over {judged} people it was "
                f"not fitted on, but {best.title}, {best.against(least)} behind, {gain}"
            )
        others = [c for c in self.candidates if c not in (best, least) and c.draws]
        if others:
            second = min(others, key=lambda c: c.loss)
            gap = second.against(best)
            if gap.behind is not None:
                said += f"; {second.title} is {gap} behind"
        return said + self._late()

    def _late(self) -> str:
        late = [c.title for c in self.candidates if c.fate != "judged"]
        return f"; not judged to the end: {', '.join(late)}" if late else ""

    def _judge(self, number: int, candidates: list[Candidate]) -> bool:
        """Fit candidates on the people of a draw and let the others judge; whether all were.

        The first draw goes on where one cannot be judged, as others may be quicker.
        """
        for place, one in enumerate(candidates):
            if isinstance(one, Blended):
                self._judge_blend(number, one)
                continue
            kept = self.keeper.get(one, number)
            if kept is None:
                kept = self._fitted(number, place, one)
                if kept is None and number:
                    return False
                if kept is None:
                    continue
                self.keeper.put(one, number, kept)
                self._clear(number, one)
            one.draws.append(kept)
        return True

    def _forget(self, number: int) -> None:
        """Drop a draw that ended before its time: it would favour whatever is fitted quickly."""
        for one in self.candidates:
            del one.draws[number:]

    def _judge_blend(self, number: int, one: Blended) -> None:
        found = judge_blend(one, number, self.draws[number], self.splits[number])
        if found is not None:
            one.draws.append(found)

    def _fitted(self, number: int, place: int, one: Candidate) -> Judged | None:
        """How a candidate does in a draw; None where it cannot be told, which is its fate."""
        draw, split = self.draws[number], self.splits[number]
        began = time.monotonic()
        title = f"auto {number + 1}.{place + 1} {one.title}"
        try:
            model = fit_model(
                one.family, draw.train, draw.valid, seed=self.seed, device=self.device,
                progress=self._watched(title, began, draw, free=one is self.candidates[0]),
                checkpoint=self._beside(number, one),
                **self.options.of(one.family), **one.options,
            ).model  # fmt: skip
            told = foretell(model, draw.judges, split)
        except _LateError:
            fate = f"the time was up after {time.monotonic() - began:.0f} s"
        except ConfigError:
            raise
        except GustibusError as error:  # such as a family that needs prompts, on data without
            fate = error.message
        else:
            losses = losses_of(told, draw.judges, split)
            return Judged(told, losses, model.transitive, time.monotonic() - began)
        if not one.draws:
            one.fate = fate
        return None

    def _beside(self, number: int, one: Candidate) -> Path | None:
        """Where the fit of a candidate in a draw keeps its state until it is judged."""
        return None if self.checkpoint is None else self.checkpoint / f"{number} {one.title}"

    def _clear(self, number: int, one: Candidate) -> None:
        beside = self._beside(number, one)
        if beside is not None and beside.is_dir():
            shutil.rmtree(beside)

    def _watched(self, title: str, began: float, draw: Draw, *, free: bool) -> Progress:
        """Passes progress on, and ends a fit that would leave no time to be made again on all rows.

        Args:
            title: of the stage.
            began: when the fit did.
            draw: what it is fitted on.
            free: never end it.
        """
        again = 1 + len(self.both) / max(_rows(draw), 1)
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


def _titled(progress: Progress | None, title: str) -> Progress | None:
    if progress is None:
        return None
    shown = progress

    def told(stage: str, done: int, total: int, figure: float) -> None:
        shown(f"{title}: {stage}" if stage not in title else title, done, total, figure)

    return told


def _rows(draw: Draw) -> int:
    """Comparisons that a candidate is fitted on."""
    return len(draw.train) + (0 if draw.valid is None else len(draw.valid))


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
