"""Ballots that break ties."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np

from gustibus.errors import InputError
from gustibus.social.decisions import Subject
from gustibus.social.profile import Profile
from gustibus.social.values import check_seed


def tie_breaker(
    subject: Subject,
    tie: str,
    order: Iterable[Hashable] | None,
    ballot: int | None,
    seed: int,
) -> tuple[str, Iterable[Hashable] | None]:
    """The way to break ties and the order that does: `ballot` becomes the order of a ballot.

    Raises:
        InputError: There is no such ballot.
    """
    if tie != "ballot":
        return tie, order
    if not isinstance(subject, Profile):
        message = "tie: expected 'order' or 'all' for a matrix of support, got 'ballot'"
        raise InputError(message)
    if ballot is None:
        rng = np.random.Generator(np.random.Philox(check_seed(seed)))
        share = rng.random() * subject.total_weight
        ballot = int(np.searchsorted(np.cumsum(subject.weights), share, side="right"))
        ballot = min(ballot, subject.n_ballots - 1)
    if isinstance(ballot, bool) or not 0 <= ballot < subject.n_ballots:
        message = f"ballot: expected a number from 0 to {subject.n_ballots - 1}, got {ballot!r}"
        raise InputError(message)
    lists = subject.lists()
    ranked = lists.items[lists.starts[ballot] : lists.starts[ballot + 1]].tolist()
    rest = sorted(set(range(subject.n_items)) - set(ranked))
    return "order", [subject.labels[i] for i in ranked + rest]
