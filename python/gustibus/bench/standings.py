"""What a league found: all data sets, and the folder with tables, claims and pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gustibus.bench.claims import Claim, claims
from gustibus.bench.pictures import draw
from gustibus.bench.tables import markdown
from gustibus.errors import InputError
from gustibus.evaluation import Report
from gustibus.evaluation.findings import Separation, separation
from gustibus.evaluation.intervals import Estimate
from gustibus.evaluation.judging import ALL
from gustibus.evaluation.protocol import NEW_CELLS
from gustibus.evaluation.report import Difference, encode
from gustibus.models.automatic_options import AUTO

_BLEND = "blend"
_PUBLISHED = "-published"


@dataclass(frozen=True)
class Standing:
    """One data set under one seed.

    Attributes:
        data: name of the data set.
        seed: of the trial.
        report: of all methods.
        chosen: what automatic methods chose, by method; see `fit_auto`.
        failed: methods that could not be trained, and why.
    """

    data: str
    seed: int
    report: Report
    chosen: Mapping[str, Mapping[str, Any]]
    failed: Mapping[str, str]

    @property
    def title(self) -> str:
        """For tables."""
        return self.data if self.seed == 0 else f"{self.data}, seed {self.seed}"

    @cached_property
    def separation(self) -> Separation:
        """Whether anything is told apart on what the tables show: the cells of new people.

        On the headline part where nobody is new. Asked of the figures, not of the report's verdict,
        which another version may have reached in another way.
        """
        parts = [part for part in NEW_CELLS if self.has_cell(part)] or [self.report.headline]
        return separation(
            self.report.methods, self.report.differences, parts=parts, focus=self.report.focus
        )

    @property
    def is_personal(self) -> bool:
        """Whether any method does worse on new people who were given someone else's few answers."""
        swaps = [m.few_swap for m in self.report.methods if m.few_swap is not None]
        if not swaps:  # nobody has that many answers: ask all of them
            swaps = [m.swap for m in self.report.methods if m.swap is not None]
        return any(swap.personal for swap in swaps)

    @property
    def singles(self) -> list[str]:
        """Single families as they come: neither chosen nor blended, no published recipe."""
        return [
            m.name for m in self.report.methods
            if m.kind == "model" and m.name not in {AUTO, *self.chosen}
            and _BLEND not in (m.name, m.family) and not m.name.endswith(_PUBLISHED)
        ]  # fmt: skip

    def answers(self, part: str, shots: int) -> str:
        """What figures after so many answers are of, in words: of all where nobody gave as many."""
        if shots == ALL:
            return "all answers"
        if self.has_shots(part, shots):
            return f"{shots} answers"
        return f"all answers, nobody gave {shots}"

    def heading(self, part: str, shots: int) -> str:
        """The title, with what its figures are of where they are not of so many answers."""
        if shots == ALL or self.has_shots(part, shots) or not self.has_cell(part):
            return self.title
        return f"{self.title} ({self.answers(part, shots)})"

    def accuracy(self, method: str, part: str, shots: int) -> Estimate | None:
        """Of people after that many answers, or after all where nobody gave as many."""
        found = next((m for m in self.report.methods if m.name == method), None)
        if found is None:
            return None
        if shots != ALL and (point := found.point(part, shots)) is not None:
            return point.accuracy
        if shots != ALL and self.has_shots(part, shots):
            return None
        cell = found.cell(part)
        return None if cell is None else cell.accuracy

    def lead(self, first: str, second: str, part: str, shots: int) -> Estimate | None:
        """Accuracy of one method minus that of another, paired by person."""
        found = self._paired(first, second, part, shots)
        return None if found is None else found.accuracy

    def saving(self, first: str, second: str, part: str, shots: int) -> Estimate | None:
        """Log loss of one method less than that of another, in nats, paired by person."""
        found = self._paired(second, first, part, shots)
        return None if found is None else found.log_loss

    def best(self, part: str, shots: int) -> str | None:
        """The single family that did best, which only hindsight knows."""
        found = {
            name: estimate.value for name in self.singles
            if (estimate := self.accuracy(name, part, shots)) is not None
        }  # fmt: skip
        return max(found, key=lambda name: found[name]) if found else None

    def has_cell(self, part: str) -> bool:
        """Whether anybody answered in a part."""
        return any(m.cell(part) is not None for m in self.report.methods)

    def _paired(self, first: str, second: str, part: str, shots: int) -> Difference | None:
        where = shots if self.has_shots(part, shots) else ALL
        return self.report.difference(first, second, part=part, shots=where)

    def has_shots(self, part: str, shots: int) -> bool:
        """Whether anybody in a part gave so many answers."""
        return any(m.point(part, shots) is not None for m in self.report.methods)


@dataclass(frozen=True)
class League:
    """The standings of all data sets.

    Attributes:
        standings: one a data set and seed.
        focus: the fewer shots at which methods are compared; the more are twice as many.
    """

    standings: tuple[Standing, ...]
    focus: int = 5

    @cached_property
    def judged(self) -> tuple[Standing, ...]:
        """Data sets that tell methods apart: those of tables, claims and pictures."""
        return tuple(s for s in self.standings if s.separation.separates)

    @cached_property
    def refused(self) -> tuple[Standing, ...]:
        """Data sets on which nothing can be told apart, named with the reason and left out."""
        return tuple(s for s in self.standings if not s.separation.separates)

    @property
    def methods(self) -> list[str]:
        """Names of the methods on judged data sets, in the order of the tables."""
        return list(dict.fromkeys(m.name for s in self.judged for m in s.report.methods))

    @property
    def shots(self) -> tuple[int, int]:
        """Numbers of answers at which methods are compared."""
        return self.focus, 2 * self.focus

    def markdown(self) -> str:
        """Tables of everything."""
        return markdown(self)

    def claims(self) -> list[Claim]:
        """Those that the league's methods allow, over the data sets that tell methods apart."""
        return claims(self)

    def save(self, folder: str | Path) -> list[str]:
        """Write `league.md`, `league.json` and, where matplotlib is there, the pictures.

        Returns:
            File names of the pictures.
        """
        where = Path(folder)
        where.mkdir(parents=True, exist_ok=True)
        record = [
            {"data": s.data, "seed": s.seed, "chosen": dict(s.chosen), "failed": dict(s.failed),
             "report": encode(s.report)}
            for s in self.standings
        ]  # fmt: skip
        names = draw(self, where)
        figures = "".join(f"\n![{name}]({name})\n" for name in names)
        for name, text in (
            ("league.json", json.dumps(record, indent=1)), ("league.md", self.markdown() + figures),
        ):  # fmt: skip
            scratch = where / f"{name}.part"
            scratch.write_text(text, encoding="utf-8")
            scratch.replace(where / name)
        return names

    @classmethod
    def load(cls, folder: str | Path, *, focus: int = 5) -> League:
        """Read `league.json` of a folder.

        Raises:
            InputError: there is none, or it holds something else.
        """
        path = Path(folder) / "league.json"
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            standings = tuple(
                Standing(one["data"], int(one["seed"]), Report.from_json(one["report"]),
                         dict(one["chosen"]), dict(one["failed"]))
                for one in record
            )  # fmt: skip
        except (OSError, ValueError, KeyError, TypeError) as error:
            message = f"{path}: not the record of a league ({type(error).__name__}: {error})"
            raise InputError(message, where=str(path)) from None
        return cls(standings, focus=focus)
