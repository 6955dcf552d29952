"""Which candidate is taken, given how all of them did, and which are as good for all that is known."""

from __future__ import annotations

from collections.abc import Sequence

from gustibus.models.base import MODELS
from gustibus.models.blend_choice import MOST, Blended, different
from gustibus.models.candidates import Candidate

_UNSEEN = 0.005
"""Error in nats, about half a point of accuracy, from which what cannot be told apart is blended."""


def preferred(least: Candidate, among: Sequence[Candidate], pooled: str) -> Candidate:
    """The candidate of least loss, or one that is to be preferred to it and cannot be told from it.

    Args:
        least: of least loss.
        among: all candidates.
        pooled: the family without a personal part.
    """
    return _personal(_plain(_single(least, among), among), among, pooled)


def untold(best: Candidate, among: Sequence[Candidate], pooled: str) -> list[Candidate]:
    """Other families that few people cannot tell from the best one, the best first.

    None where they could tell if one were behind by what matters: a blend is then not worth its fits.

    Args:
        best: what would be taken alone.
        among: all candidates.
        pooled: the family without a personal part.
    """
    if isinstance(best, Blended) or not _blendable(best):
        return []
    near = [
        c for c in _as_judged_as(best, among)
        if c is not best and not c.options and c.family != pooled and _blendable(c)
        and c.against(best).is_noise
    ]  # fmt: skip
    found = different(near, beside=[best])[: MOST - 1]
    errors = [c.against(best).error or 0.0 for c in found]
    return found if errors and max(errors) >= _UNSEEN else []


def readers(best: Candidate, among: Sequence[Candidate], pooled: str) -> list[Candidate]:
    """The best other family that reads features, where the best one knows items by their names alone.

    Args:
        best: what would be taken alone.
        among: all candidates.
        pooled: the family without a personal part.
    """
    if isinstance(best, Blended) or reads_features(best) or not _blendable(best):
        return []
    able = [
        c for c in _as_judged_as(best, among)
        if not isinstance(c, Blended) and not c.options and c.family != pooled and reads_features(c)
        and _blendable(c)
    ]  # fmt: skip
    return sorted(able, key=_loss)[:1]


def reads_features(one: Candidate) -> bool:
    """Whether it can say anything of an item that it was not fitted on."""
    return isinstance(one, Blended) or getattr(MODELS[one.family].run, "reads_features", True)


def _single(least: Candidate, among: Sequence[Candidate]) -> Candidate:
    """The best candidate; no blend whose gain over the best of the others may be noise."""
    if not isinstance(least, Blended):
        return least
    judged = _as_judged_as(least, among)
    blends = [c for c in judged if isinstance(c, Blended)]
    rival = min((c for c in judged if c not in blends), key=_loss, default=least)
    return min((c for c in blends if not rival.against(c).is_noise), key=_loss, default=rival)


def _plain(best: Candidate, among: Sequence[Candidate]) -> Candidate:
    """The best candidate; a family at another size only where it is clearly ahead.

    Several sizes are tried, and the luckiest of them is within two errors of what it comes from.
    """
    if not best.options or isinstance(best, Blended):
        return best
    others = [c for c in _as_judged_as(best, among) if not c.options]
    rival = min(others, key=_loss, default=best)
    gap = rival.against(best)
    alike = gap.behind is not None and gap.behind <= 2 * (gap.error or 0.0)
    return rival if alike else best


def _personal(best: Candidate, among: Sequence[Candidate], pooled: str) -> Candidate:
    """The best candidate, or what cannot be told from it and learns from people's answers."""
    if best.family != pooled:
        return best
    alike = [
        c for c in _as_judged_as(best, among) if c.family != pooled and c.against(best).is_noise
    ]
    plain = [c for c in alike if not c.options]
    return min(plain or alike, key=_loss, default=best)


def _as_judged_as(best: Candidate, among: Sequence[Candidate]) -> list[Candidate]:
    """Candidates of as many draws as the best."""
    return [c for c in among if len(c.draws) == len(best.draws)]


def _blendable(one: Candidate) -> bool:
    """Whether tastes never ran in circles in any of its fits."""
    return all(draw.transitive for draw in one.draws)


def _loss(one: Candidate) -> float:
    return one.loss
