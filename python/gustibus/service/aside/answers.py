"""Comparisons of the store as learning and judging read them: texts on both sides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from gustibus.store import (
    TARGET,
    ComparisonRow,
    Store,
    inactive_users,
    list_comparisons,
    texts_of,
    weight_of,
)

_PAGE = 2000


class LeftOut(NamedTuple):
    """How many comparisons are not among the answers, by reason."""

    skipped: int = 0
    """They say nothing."""
    without_text: int = 0
    """A side is an embedding, or texts are not kept."""
    of_others: int = 0
    """Of people who are not to be learned from."""


class Answers(NamedTuple):
    """Answers with texts on both sides, the oldest first, and what was left out."""

    rows: list[dict[str, Any]]
    """As `gustibus train` reads them."""
    left_out: LeftOut


def answers_of(store: Store) -> Answers:
    """Everybody's answers, but those of people who are set apart: their state is not `active`."""
    rows: list[dict[str, Any]] = []
    skipped, textless, others = 0, 0, 0
    with store.read() as conn:
        apart = inactive_users(conn)
    for page, texts in _pages(store):
        for row in page:
            answer = _answer(row, texts)
            if row.user in apart:
                others += 1
            elif TARGET[row.outcome] is None:
                skipped += 1
            elif answer is None:
                textless += 1
            else:
                rows.append(answer)
    return Answers(rows, LeftOut(skipped, textless, others))


_Texts = Mapping[str, tuple[str, str | None]]


def _pages(store: Store) -> Iterator[tuple[list[ComparisonRow], _Texts]]:
    """All comparisons, with the texts and prompts of the items in them."""
    after: str | None = None
    while True:
        with store.read() as conn:
            page = list_comparisons(conn, after=after, limit=_PAGE)
            named = {item for row in page for item in (row.a_item, row.b_item) if item is not None}
            texts = texts_of(conn, names=sorted(named))
        yield page, texts
        if len(page) < _PAGE:
            return
        after = page[-1].id


def _answer(row: ComparisonRow, texts: _Texts) -> dict[str, Any] | None:
    """One comparison; None where a side has no text."""
    sides = [
        (text, None) if text is not None else texts.get(item or "", (None, None))
        for item, text in ((row.a_item, row.a_text), (row.b_item, row.b_text))
    ]
    if any(text is None for text, _ in sides):
        return None
    prompts = (row.prompt, *(prompt for _, prompt in sides))
    return {
        "comparison": row.id, "user": row.user,
        "prompt": next((prompt for prompt in prompts if prompt is not None), ""),
        "response_a": sides[0][0], "response_b": sides[1][0], "outcome": row.outcome,
        "weight": weight_of(row.source), "strength": row.strength,
        "created_at": row.created_at.isoformat(), "key": row.key,
    }  # fmt: skip
