"""Claims that the figures of a league bear out, or do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from gustibus.evaluation.findings import show
from gustibus.evaluation.intervals import Estimate
from gustibus.evaluation.judging import ALL
from gustibus.evaluation.protocol import NEW_CELLS
from gustibus.evaluation.rows import CELLS
from gustibus.models.automatic_options import AUTO

if TYPE_CHECKING:
    from gustibus.bench.standings import League, Standing

Claim: TypeAlias = tuple[str, bool, str]
"""What is claimed, whether it holds, and what was found."""
POOLED = "bt"
"""The method without people that personal ones are measured against."""
_OWN = ("hierarchical", "pal", "pro", "gpm", "ppd")
"""Personal families of this project, which are held to the pooled one as the choice is."""
_RIVALS = ("pal-published", "lore", "vpl", "factors")
"""What the choice has to be ahead of."""
_WITHIN = 0.01
_KNOWN, _FRESH = NEW_CELLS
_SEEN_FRESH = CELLS[1]


def claims(league: League) -> list[Claim]:
    """Claims over the data sets that tell methods apart; none where no data set has the figures."""
    found: list[Claim] = []
    if AUTO in league.methods:
        for rival in _RIVALS:
            for shots in league.shots:
                found += _ahead(league, rival, shots)
        found += _hindsight(league)
    for name in (n for n in (AUTO, *_OWN) if {n, POOLED} <= set(league.methods)):
        found += _never_behind(league, name)
    return found


def _ahead(league: League, rival: str, shots: int) -> list[Claim]:
    """That the automatic choice is ahead of a rival, by each measure."""
    found: list[Claim] = []
    personal = [s for s in league.judged if s.is_personal]
    for measure in ("accuracy", "log loss"):
        leads = [
            (s.heading(_KNOWN, shots), gap) for s in personal
            if (gap := (s.lead if measure == "accuracy" else s.saving)(AUTO, rival, _KNOWN, shots))
            is not None
        ]  # fmt: skip
        found += _claim(
            f"`{AUTO}` is ahead of `{rival}` in {measure} after {shots} answers on every "
            "data set with personal signal", leads, lambda e: e.value > 0,
        )  # fmt: skip
    return found


def _hindsight(league: League) -> list[Claim]:
    """That no single family would have been a much better choice."""
    gaps = [
        (f"{s.title}, {s.answers(_KNOWN, shots)}, `{best}`", lead)
        for s in league.judged for shots in league.shots
        if (best := s.best(_KNOWN, shots)) is not None
        and (lead := s.lead(AUTO, best, _KNOWN, shots)) is not None
    ]  # fmt: skip
    return _claim(
        f"`{AUTO}` is within a point of the best single family in hindsight",
        gaps, lambda e: e.value >= -_WITHIN,
    )  # fmt: skip


def _never_behind(league: League, name: str) -> list[Claim]:
    """That personal answers cost nothing, on known items and on new ones.

    On items that nobody has answered about the people are new ones where a data set has such
    answers, and seen ones elsewhere.
    """
    known = [gap for s in league.judged for gap in _gaps(s, name, _KNOWN)]
    fresh = [gap for s in league.judged for gap in _gaps(s, name, new_items(s))]
    said = f"`{name}` is never behind `{POOLED}` beyond its interval"
    return [
        *_claim(said, known, lambda e: e.high >= 0),
        *_claim(f"{said} on new items", fresh, lambda e: e.high >= 0),
    ]


def new_items(standing: Standing) -> str:
    """The cell that tells about new items: of new people where it has rows, else of seen ones."""
    return _FRESH if standing.has_cell(_FRESH) else _SEEN_FRESH


def _gaps(standing: Standing, name: str, part: str) -> list[tuple[str, Estimate]]:
    """Leads over the pooled method at every number of shots and with all answers."""
    who = ", seen people" if part == _SEEN_FRESH else ""
    return [
        (f"{standing.title}{who}, {'all' if shots == ALL else shots} answers", gap.accuracy)
        for shots in (*standing.report.sizes, ALL)
        if (gap := standing.report.difference(name, POOLED, part=part, shots=shots)) is not None
    ]


def _claim(
    claim: str, leads: Sequence[tuple[str, Estimate]], test: Callable[[Estimate], bool]
) -> list[Claim]:
    """A claim over data sets, with its exceptions, or its closest call; none without figures."""
    if not leads:
        return []
    against = [(title, lead) for title, lead in leads if not test(lead)]
    shown = against or [min(leads, key=lambda pair: pair[1].value)]
    said = "; ".join(f"{title} {show(lead, sign=True)}" for title, lead in shown)
    return [(claim, not against, f"{'Not' if against else 'Closest'}: {said}.")]
