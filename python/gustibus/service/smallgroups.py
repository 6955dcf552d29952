"""What is told of groups of people, so that nothing about a small one can be worked out from the rest.

A group of fewer than ten people is not told, and neither is anything that, taken from a total, would
leave it: a figure of ten people or more is about ten people or more, and so is every difference of
two of them. Groups without anybody are about nobody, and join the small ones.
"""

from __future__ import annotations

import numpy as np

from gustibus.service.peoplemap import lots
from gustibus.types import I64, Bool

SMALL = 10
"""Groups of fewer people are not told."""


def told_apart(sizes: I64) -> Bool:
    """Whether each of `(g,)` groups is told under its own name; the rest are told together.

    Those of fewer than ten people are put together. Where that is still fewer than ten, the smallest
    of the others joins them, the later of equal ones, until it is not: else what is missing from the
    total would be the one small group. With fewer than ten people in all, nothing may be told, and
    none is.
    """
    apart: Bool = np.asarray(sizes >= SMALL)
    while 0 < (together := int(sizes[~apart].sum())) < SMALL and apart.any():
        least = np.flatnonzero(apart & (sizes == sizes[apart].min()))[-1]
        apart[least] = False
        assert sizes[~apart].sum() > together, "a group that is told apart has people"
    return apart


def left_out(names: list[str], group: I64, apart: Bool) -> Bool:
    """Whether each of `(n,)` people is kept off pictures of single people and tables of them.

    That is everybody in a group of fewer than ten, whose place would give the group away. Where they
    are fewer than ten, people of the groups that are told together with theirs are left out with
    them, by lot, until they are ten: else the number of those missing would be the size of the group.

    Args:
        names: of the people.
        group: row of each one's group.
        apart: `(g,)` of `told_apart`.
    """
    sizes = np.bincount(group, minlength=len(apart))
    out: Bool = np.asarray(sizes[group] < SMALL)
    missing = SMALL - int(out.sum())
    if out.any() and missing > 0:
        rest = np.flatnonzero(~apart[group] & ~out)
        out[rest[lots([names[row] for row in rest])[:missing]]] = True
    return out
