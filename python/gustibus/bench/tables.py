"""A league as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gustibus.bench.trials import together
from gustibus.evaluation.findings import show
from gustibus.evaluation.intervals import Estimate
from gustibus.evaluation.judging import ALL
from gustibus.evaluation.markdown import PARTS, table, yes
from gustibus.evaluation.protocol import NEW_CELLS
from gustibus.evaluation.report import Method
from gustibus.evaluation.rows import CELLS
from gustibus.models.automatic_options import AUTO

if TYPE_CHECKING:
    from gustibus.bench.standings import League, Standing

_KNOWN = NEW_CELLS[0]


def markdown(league: League) -> str:
    """All tables: data sets, the four cells, choices, leads, costs, claims, and what is missing."""
    parts = [_data(league)]
    if league.refused:
        parts += ["### Refused", _refused(league)]
    if league.judged:
        parts += _cells(league)
        for shots in league.shots:
            found = together(league.judged, league.methods, _KNOWN, shots)
            if found is not None:
                after = _after(league, _KNOWN, shots)
                parts += [f"### Over seeds: {PARTS[_KNOWN]}, {after}", found]
        if AUTO in league.methods:
            parts += ["### What was chosen", _choices(league), *_leads(league)]
        parts += ["### Cost", _costs(league), "### Claims", _claims(league)]
    failed = [f"- {s.title}, `{n}`: {why}" for s in league.standings for n, why in s.failed.items()]
    if failed:
        parts += ["### Left out", "\n".join(failed)]
    return "\n\n".join(parts) + "\n"


def _data(league: League) -> str:
    head = ["data", "people seen", "new", "answers to fit on", "tells methods apart",
            f"personal at {league.focus} answers", "failed controls"]  # fmt: skip
    rows = [
        [s.title, str(s.report.people["seen"]), str(s.report.people["new"]),
         f"{s.report.split.get('train', 0):,}", yes(s.separation.separates), _personal(s),
         ", ".join(c.name for c in s.report.controls if c.passed is False) or "none"]
        for s in league.standings
    ]  # fmt: skip
    return table(head, rows)


def _personal(standing: Standing) -> str:
    """Whether answers of someone else cost anything, and of how many where not of the focus."""
    said = yes(standing.is_personal)
    if any(m.few_swap is not None for m in standing.report.methods):
        return said
    asked = any(m.swap is not None for m in standing.report.methods)
    return f"{said} (all answers)" if asked else said


def _refused(league: League) -> str:
    """Why a data set is in no table, no claim and no picture."""
    lines = ["Nothing can be told apart there; no table, claim or picture counts them.", ""]
    for s in league.refused:
        lines += [f"- {s.title}:", *(f"  - {reason}" for reason in s.separation.reasons)]
    return "\n".join(lines)


def _cells(league: League) -> list[str]:
    """The four cells, always: new people by answers, seen people with all that they gave."""
    parts = []
    for part in (*NEW_CELLS, *CELLS[:2]):
        if not any(s.has_cell(part) for s in league.judged):
            parts += [f"### {PARTS[part]}", f"No data set has answers in this cell (`{part}`)."]
            continue
        for shots in league.shots if part in NEW_CELLS else (ALL,):
            after = _after(league, part, shots)
            parts += [f"### {PARTS[part]}, {after}", _accuracy(league, part, shots)]
    return parts


def _after(league: League, part: str, shots: int) -> str:
    """How many answers place people, for a heading; says so where nobody gave as many."""
    if shots == ALL:
        return "all their answers"
    if any(s.has_shots(part, shots) for s in league.judged):
        return f"{shots} answers"
    return f"all their answers (nobody gave {shots})"


def _headings(league: League, part: str, shots: int) -> list[str]:
    return [s.heading(part, shots) for s in league.judged]


def _accuracy(league: League, part: str, shots: int) -> str:
    return table(["method", *_headings(league, part, shots)], [
        [f"`{name}`", *(_cell(s.accuracy(name, part, shots)) for s in league.judged)]
        for name in league.methods
    ])  # fmt: skip


def _choices(league: League) -> str:
    rows = []
    for s in league.judged:
        for name, record in s.chosen.items():
            chosen = record["chosen"]
            title = chosen.get("title", chosen["family"])  # cards of former versions have none
            rows.append([s.title, f"`{name}`", title, record["why"]])
    return table(["data", "method", "chosen", "why"], rows)


def _leads(league: League) -> list[str]:
    """Of the automatic choice over the others, in accuracy and in log loss."""
    parts = []
    for shots in league.shots:
        head = ["over", *_headings(league, _KNOWN, shots)]
        best = []
        for s in league.judged:
            name = s.best(_KNOWN, shots)
            lead = None if name is None else s.lead(AUTO, name, _KNOWN, shots)
            best.append("–" if name is None else f"{_cell(lead, sign=True)} (`{name}`)")
        leads = _against(league, measure="lead", shots=shots)
        saved = _against(league, measure="saving", shots=shots)
        where = f"after {_after(league, _KNOWN, shots)}, {PARTS[_KNOWN].replace(',', ' on')}"
        parts += [
            f"### Lead of `{AUTO}` {where}",
            table(head, [*leads, ["the best in hindsight", *best]]),
            f"### Log loss that `{AUTO}` saves {where}",
            table(head, saved),
        ]
    return parts


def _against(league: League, *, measure: str, shots: int) -> list[list[str]]:
    """A row for each other method than the automatic choice, by a method of `Standing`."""
    return [
        [f"`{name}`", *(
            _cell(getattr(s, measure)(AUTO, name, _KNOWN, shots), sign=True) for s in league.judged
        )]
        for name in league.methods
        if name != AUTO
    ]  # fmt: skip


def _costs(league: League) -> str:
    """Seconds to fit, microseconds to place a person, and bytes kept of one, by data set."""
    rows = []
    for name in league.methods:
        found = [next((m for m in s.report.methods if m.name == name), None) for s in league.judged]
        rows.append([f"`{name}`", *("–" if m is None else _cost(m) for m in found)])
    head = ["to fit, to place a person, kept of a person", *(s.title for s in league.judged)]
    return table(head, rows)


def _cost(method: Method) -> str:
    times = ((method.fit_seconds, "s"), (method.place_microseconds, "us"))
    said = [f"{time:.{0 if time >= 10 else 1}f} {unit}" for time, unit in times if time == time]
    return ", ".join([*said, f"{method.bytes_per_person:,} B"])


def _claims(league: League) -> str:
    return "\n".join(
        f"- {'holds' if holds else '**does not hold**'}: {claim}. {found}"
        for claim, holds, found in league.claims()
    )


def _cell(estimate: Estimate | None, *, sign: bool = False) -> str:
    return "–" if estimate is None else show(estimate, sign=sign)
