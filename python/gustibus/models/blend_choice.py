"""Which families to blend: those whose log-odds together foretell best whom none was fitted on.

Source: Wolpert 1992, "Stacked Generalization"; Breiman 1996, "Stacked Regressions", for weights that
are not negative; Guo et al. 2017, "On Calibration of Modern Neural Networks", for one scale of all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gustibus.models.blend import BLEND, mean_answering
from gustibus.models.candidates import Candidate, Judged
from gustibus.models.judges import Draw
from gustibus.models.validation import Foretold, HeldOut, losses_of
from gustibus.types import F64, I64, Bool

MOST = 3
"""Members at most: each costs a fit, and time at serving."""
_PARTS, _LARGEST = 8, 3.0
"""Weights are multiples of one over as many, up to the largest."""
_SAME = 1e-6
"""Log-odds by which two candidates differ at most that foretell the same."""
_SCALES = np.arange(_PARTS // 2, 2 * _PARTS + 1) / _PARTS
"""By which all weights of a blend may be multiplied."""


class Blended(Candidate):
    """A blend of candidates."""

    def __init__(
        self,
        members: Sequence[Candidate],
        weights: Sequence[float],
        settings: Mapping[str, Mapping[str, Any]],
    ) -> None:
        rows = [{"family": m.family, **settings.get(m.family, {}), **m.options} for m in members]
        super().__init__(BLEND, {"members": rows, "weights": list(weights)})
        self.members, self.weights = tuple(members), tuple(weights)

    @property
    def title(self) -> str:
        """The members' weights and titles."""
        pairs = zip(self.weights, self.members, strict=True)
        return f"{BLEND} of {' and '.join(f'{weight:g} {m.title}' for weight, m in pairs)}"


def blended(
    candidates: Sequence[Candidate],
    draw: Draw,
    split: HeldOut,
    settings: Mapping[str, Mapping[str, Any]],
) -> Blended | None:
    """The best blend of candidates that one draw of people has judged; None without a gain.

    Its losses are those of blends whose weights were found on the other half of the people: on those
    that they were found on they look better than they are.

    Args:
        candidates: that the draw, the first, has judged.
        draw: its people.
        split: of the judging people's answers.
        settings: options of a family that all its fits have.
    """
    able = different([c for c in candidates if np.isfinite(c.loss) and c.draws[0].transitive])
    if not able:
        return None
    everybody = np.ones(len(able[0].draws[0].losses), np.bool_)
    members, weights = _weighted(able, _best(able, draw, split, everybody))
    if len(members) < 2:
        return None
    one = Blended(members, weights, settings)
    whole = _judged(members, weights, draw, split, 0)
    losses = whole.losses.copy()
    half = np.arange(len(losses)) % 2 == 0
    for asked in (half, ~half):
        taken = _best(able, draw, split, ~asked)
        losses[asked] = _judged(*_weighted(able, taken), draw, split, 0).losses[asked]
    one.draws.append(whole._replace(losses=losses))
    return one


def in_equal_parts(
    candidates: Sequence[Candidate],
    draw: Draw,
    split: HeldOut,
    settings: Mapping[str, Mapping[str, Any]],
) -> list[Blended]:
    """Equal parts of the best two families, and of the best three: no weights, which people flatter.

    Args:
        candidates: that the draw, the first, has judged; families at other sizes are left out.
        draw: its people.
        split: of the judging people's answers.
        settings: options of a family that all its fits have.
    """
    plain = [c for c in candidates if not c.options and np.isfinite(c.loss)]
    able = different([c for c in plain if c.draws[0].transitive])
    found = []
    for count in range(2, min(MOST, len(able)) + 1):
        one = Blended(able[:count], [1 / count] * count, settings)
        one.draws.append(_judged(one.members, one.weights, draw, split, 0))
        found.append(one)
    return found


def rescaled(
    one: Blended,
    draws: Sequence[Draw],
    splits: Sequence[HeldOut],
    settings: Mapping[str, Mapping[str, Any]],
) -> Blended | None:
    """A blend with all its weights times what makes it neither too timid nor too sure.

    None where that does not foretell better beyond doubt. Its losses are those under the scale that the
    other half of the people found.

    Args:
        one: that was judged in the first draws.
        draws: of people.
        splits: of the judging people's answers in each.
        settings: options of a family that all its fits have.
    """
    judged = [
        [
            _judged(one.members, [scale * w for w in one.weights], draw, split, number)
            for scale in _SCALES
        ]
        for number, (draw, split) in enumerate(zip(draws, splits, strict=True))
        if number < len(one.draws)
    ]
    losses = [np.stack([each.losses for each in row]) for row in judged]  # (s, p) each
    whole = np.concatenate(losses, axis=1)
    half = np.concatenate([np.arange(row.shape[1]) % 2 == 0 for row in losses])
    best, even, odd = (_least(whole[:, who]) for who in (np.ones_like(half), half, ~half))
    if _SCALES[best] == 1:
        return None
    found = Blended(one.members, [float(_SCALES[best]) * w for w in one.weights], settings)
    for row, each in zip(judged, losses, strict=True):
        crossed = np.where(np.arange(each.shape[1]) % 2 == 0, each[odd], each[even])
        found.draws.append(row[best]._replace(losses=crossed))
    gap = one.against(found)
    return found if gap.behind is not None and gap.behind > 2 * (gap.error or 0.0) else None


def _least(losses: F64) -> int:
    """Row `(s, p)` of least mean over those who judged."""
    return int(np.argmin([_mean(row) for row in losses]))


def _best(able: list[Candidate], draw: Draw, split: HeldOut, who: Bool) -> I64:
    """The weights, in parts, of the blend with the least mean loss over some people.

    Starts from the best candidate alone, and adds an eighth to a weight, takes one away or moves one,
    whichever is best, as long as that lowers the loss, which is convex in the weights but for the
    variances.
    """
    alone = [_mean(c.draws[0].losses[who]) for c in able]
    start = int(np.argmin(alone))
    taken, best = _PARTS * np.eye(len(able), dtype=np.int64)[start], alone[start]
    while tried := _moves(taken):
        losses = [
            _mean(_judged(*_weighted(able, counts), draw, split, 0).losses[who]) for counts in tried
        ]
        if min(losses) >= best:
            break
        best, taken = min(losses), tried[int(np.argmin(losses))]
    return taken


def _mean(losses: F64) -> float:
    """Of those who judged; infinite where nobody did."""
    judged = losses[np.isfinite(losses)]
    return float(judged.mean()) if len(judged) else float("inf")


def _moves(taken: I64) -> list[I64]:
    """Every way to change one weight or two by a part, with no more than `MOST` members left."""
    each = np.eye(len(taken), dtype=np.int64)
    steps = [*each, *-each, *(up - down for up in each for down in each if up is not down)]
    moved = [taken + step for step in steps]
    return [
        counts
        for counts in moved
        if counts.any() and counts.min() >= 0 and counts.max() <= _LARGEST * _PARTS
        and (counts > 0).sum() <= MOST
    ]  # fmt: skip


def different(candidates: Sequence[Candidate], beside: Sequence[Candidate] = ()) -> list[Candidate]:
    """From the best on, without those that foretell the same as a better one.

    Such as a `gpm` that left its blocks out, which is the `hierarchical` that it started from.

    Args:
        candidates: that the first draw has judged.
        beside: what else they have to differ from.
    """
    kept: list[Candidate] = []
    for one in sorted(candidates, key=_first_loss):
        margin = one.draws[0].told.margin
        others = [*beside, *kept]
        if all(np.abs(margin - other.draws[0].told.margin).max() > _SAME for other in others):
            kept.append(one)
    return kept


def _weighted(able: list[Candidate], taken: I64) -> tuple[list[Candidate], list[float]]:
    """Those that were taken, and the weight of each."""
    used = np.flatnonzero(taken).tolist()
    return [able[i] for i in used], [float(x) / _PARTS for x in taken[used]]


def judge_blend(one: Blended, number: int, draw: Draw, split: HeldOut) -> Judged | None:
    """How a blend does in a draw that all its members were judged in; None otherwise."""
    if any(len(m.draws) <= number for m in one.members):
        return None
    return _judged(one.members, one.weights, draw, split, number)


def _judged(
    members: Sequence[Candidate],
    weights: Sequence[float],
    draw: Draw,
    split: HeldOut,
    number: int,
) -> Judged:
    each = [m.draws[number] for m in members]
    w = np.array(weights)
    told = Foretold(
        np.tensordot(w, [one.told.margin for one in each], 1),
        w.sum() * np.tensordot(w, [one.told.variance for one in each], 1),
        mean_answering([one.told.answering for one in each], weights),
    )
    seconds = sum(one.seconds for one in each)
    return Judged(told, losses_of(told, draw.judges, split), transitive=True, seconds=seconds)


def _first_loss(one: Candidate) -> float:
    return _mean(one.draws[0].losses)
