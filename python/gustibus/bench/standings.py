"""What a league found: tables of all data sets, claims that the figures bear out, a picture."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gustibus.bench.picture import draw
from gustibus.bench.trials import together
from gustibus.evaluation import Report
from gustibus.evaluation.findings import show
from gustibus.evaluation.intervals import Estimate
from gustibus.evaluation.judging import ALL
from gustibus.evaluation.markdown import PARTS, table, yes
from gustibus.evaluation.protocol import NEW_CELLS
from gustibus.evaluation.report import Difference, encode
from gustibus.models.automatic_options import AUTO

POOLED = "bt"
"""The method without people that personal ones are measured against."""
_AMONG = ("bt", "hierarchical", "pal", "pro", "gpm", "ppd")
"""Families of this project, the best of which in hindsight is what the choice is held to."""
_RIVALS = ("pal-published", "lore", "vpl", "factors")
"""What the choice has to be ahead of."""


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

    @property
    def is_personal(self) -> bool:
        """Whether any method does worse on new people who were given someone else's few answers."""
        swaps = [m.few_swap for m in self.report.methods if m.few_swap is not None]
        if not swaps:  # nobody has that many answers: ask all of them
            swaps = [m.swap for m in self.report.methods if m.swap is not None]
        return any(swap.personal for swap in swaps)

    def accuracy(self, method: str, part: str, shots: int) -> Estimate | None:
        """Of new people after that many answers, or after all where nobody gave as many."""
        found = next((m for m in self.report.methods if m.name == method), None)
        if found is None:
            return None
        if shots != ALL and (point := found.point(part, shots)) is not None:
            return point.accuracy
        if shots != ALL and self._has(part, shots):
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
        """The project's family that did best, which only hindsight knows."""
        found = {
            name: estimate.value for name in _AMONG
            if (estimate := self.accuracy(name, part, shots)) is not None
        }  # fmt: skip
        return max(found, key=lambda name: found[name]) if found else None

    def _paired(self, first: str, second: str, part: str, shots: int) -> Difference | None:
        where = shots if self._has(part, shots) else ALL
        return self.report.difference(first, second, part=part, shots=where)

    def _has(self, part: str, shots: int) -> bool:
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

    @property
    def methods(self) -> list[str]:
        """Names of all methods, in the order of the tables."""
        return list(dict.fromkeys(m.name for s in self.standings for m in s.report.methods))

    @property
    def shots(self) -> tuple[int, int]:
        """Numbers of answers at which methods are compared."""
        return self.focus, 2 * self.focus

    def markdown(self) -> str:
        """Tables of everything."""
        parts = [self._data()]
        for part in NEW_CELLS:
            for shots in self.shots:
                title = f"### {PARTS[part]}, {shots} answers"
                if any(
                    s.report.method(s.report.methods[0].name).cell(part) for s in self.standings
                ):
                    parts += [title, self._accuracy(part, shots)]
        for shots in self.shots:
            found = together(self.standings, self.methods, NEW_CELLS[0], shots)
            if found is not None:
                parts += [f"### Over seeds: {PARTS[NEW_CELLS[0]]}, {shots} answers", found]
        if AUTO in self.methods:
            parts += ["### What was chosen", self._choices()]
            for shots in self.shots:
                parts += [
                    f"### Lead of `{AUTO}` after {shots} answers, new people on known items",
                    self._leads(NEW_CELLS[0], shots),
                    f"### Log loss that `{AUTO}` saves after {shots} answers, new people on known items",
                    self._savings(NEW_CELLS[0], shots),
                ]
        parts += ["### Cost", self._costs(), "### Claims", self._claims()]
        failed = [
            f"- {s.title}, `{n}`: {why}" for s in self.standings for n, why in s.failed.items()
        ]
        if failed:
            parts += ["### Left out", "\n".join(failed)]
        return "\n\n".join(parts) + "\n"

    def save(self, folder: str | Path) -> None:
        """Write `league.md`, `league.json` and, where matplotlib is there, `league.png`."""
        where = Path(folder)
        where.mkdir(parents=True, exist_ok=True)
        record = [
            {"data": s.data, "seed": s.seed, "chosen": dict(s.chosen), "failed": dict(s.failed),
             "report": encode(s.report)}
            for s in self.standings
        ]  # fmt: skip
        for name, text in (
            ("league.json", json.dumps(record, indent=1)), ("league.md", self.markdown()),
        ):  # fmt: skip
            scratch = where / f"{name}.part"
            scratch.write_text(text, encoding="utf-8")
            scratch.replace(where / name)
        draw(self.standings, where / "league.png", part=NEW_CELLS[0])

    def claims(self) -> list[tuple[str, bool, str]]:
        """`(claim, whether it holds, what was found)`; those that the league's methods allow."""
        found = []
        part = NEW_CELLS[0]
        if AUTO in self.methods:
            for rival in _RIVALS:
                for shots in self.shots:
                    found += self._ahead(rival, part, shots)
            gaps = [
                (f"{s.title}, {shots} answers", lead)
                for s in self.standings for shots in self.shots
                if (best := s.best(part, shots)) is not None
                and (lead := s.lead(AUTO, best, part, shots)) is not None
            ]  # fmt: skip
            if gaps:
                found.append(_claim(
                    f"`{AUTO}` is within a point of the best single family in hindsight",
                    gaps, lambda e: e.value >= -0.01,
                ))  # fmt: skip
        for name in (
            n for n in (AUTO, *_AMONG[1:]) if n in self.methods and POOLED in self.methods
        ):
            worst = [
                (f"{s.title}, {shots} answers", gap.accuracy)
                for s in self.standings
                for shots in s.report.sizes
                if (gap := s.report.difference(name, POOLED, part=part, shots=shots)) is not None
            ]
            found.append(_claim(
                f"`{name}` is never behind `{POOLED}` beyond its interval",
                worst, lambda e: e.high >= 0,
            ))  # fmt: skip
        return found

    def _ahead(self, rival: str, part: str, shots: int) -> list[tuple[str, bool, str]]:
        """Claims that the automatic choice is ahead of a rival, one for each measure."""
        found = []
        for measure, lead in (("accuracy", Standing.lead), ("log loss", Standing.saving)):
            leads = [
                (s.title, gap) for s in self.standings
                if s.is_personal and (gap := lead(s, AUTO, rival, part, shots)) is not None
            ]  # fmt: skip
            if leads:
                found.append(_claim(
                    f"`{AUTO}` is ahead of `{rival}` in {measure} after {shots} answers on every "
                    "data set with personal signal", leads, lambda e: e.value > 0,
                ))  # fmt: skip
        return found

    def _data(self) -> str:
        head = ["data", "people seen", "new", "answers to fit on", "tells methods apart",
                f"personal at {self.focus} answers", "failed controls"]  # fmt: skip
        rows = [
            [s.title, str(s.report.people["seen"]), str(s.report.people["new"]),
             f"{s.report.split.get('train', 0):,}", yes(s.report.verdict.separates),
             yes(s.is_personal),
             ", ".join(c.name for c in s.report.controls if c.passed is False) or "none"]
            for s in self.standings
        ]  # fmt: skip
        return table(head, rows)

    def _accuracy(self, part: str, shots: int) -> str:
        head = ["method", *(s.title for s in self.standings)]
        return table(head, [
            [f"`{name}`", *(_cell(s.accuracy(name, part, shots)) for s in self.standings)]
            for name in self.methods
        ])  # fmt: skip

    def _choices(self) -> str:
        rows = []
        for s in self.standings:
            for name, record in s.chosen.items():
                chosen = record["chosen"]
                title = chosen.get("title", chosen["family"])  # cards of former versions have none
                rows.append([s.title, f"`{name}`", title, record["why"]])
        return table(["data", "method", "chosen", "why"], rows)

    def _savings(self, part: str, shots: int) -> str:
        return table(
            ["over", *(s.title for s in self.standings)],
            self._against(lambda s, name: s.saving(AUTO, name, part, shots)),
        )

    def _against(self, found: Callable[[Standing, str], Estimate | None]) -> list[list[str]]:
        """A row for each other method than the automatic choice."""
        return [
            [f"`{name}`", *(_cell(found(s, name), sign=True) for s in self.standings)]
            for name in self.methods
            if name != AUTO
        ]

    def _leads(self, part: str, shots: int) -> str:
        rows = self._against(lambda s, name: s.lead(AUTO, name, part, shots))
        best = []
        for s in self.standings:
            name = s.best(part, shots)
            lead = None if name is None else s.lead(AUTO, name, part, shots)
            best.append("–" if name is None else f"{_cell(lead, sign=True)} (`{name}`)")
        return table(
            ["over", *(s.title for s in self.standings)], [*rows, ["the best in hindsight", *best]]
        )

    def _costs(self) -> str:
        """Seconds to fit and microseconds to place a person, by data set."""
        rows = []
        for name in self.methods:
            cells = []
            for s in self.standings:
                found = next((m for m in s.report.methods if m.name == name), None)
                times = [] if found is None else [
                    (found.fit_seconds, "s"), (found.place_microseconds, "us"),
                ]  # fmt: skip
                said = [f"{time:.0f} {unit}" for time, unit in times if time == time]
                cells.append(", ".join(said) or "–")
            rows.append([f"`{name}`", *cells])
        return table(["to fit, to place a person", *(s.title for s in self.standings)], rows)

    def _claims(self) -> str:
        return "\n".join(
            f"- {'holds' if holds else '**does not hold**'}: {claim}. {found}"
            for claim, holds, found in self.claims()
        )


def _claim(
    claim: str, leads: Sequence[tuple[str, Estimate]], test: Callable[[Estimate], bool]
) -> tuple[str, bool, str]:
    """A claim over data sets, with its exceptions, or its closest call."""
    against = [(title, lead) for title, lead in leads if not test(lead)]
    shown = against or [min(leads, key=lambda pair: pair[1].value)]
    said = "; ".join(f"{title} {show(lead, sign=True)}" for title, lead in shown)
    return claim, not against, f"{'Not' if against else 'Closest'}: {said}."


def _cell(estimate: Estimate | None, *, sign: bool = False) -> str:
    return "–" if estimate is None else show(estimate, sign=sign)
