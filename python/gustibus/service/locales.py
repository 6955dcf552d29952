"""Languages of people and of questions."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

from msgspec import Meta

from gustibus.onboarding import QuestionPool
from gustibus.service.ids import LAST
from gustibus.store import tagged_texts

if TYPE_CHECKING:
    from gustibus.service.serving import Serving
    from gustibus.service.state import State

_PATTERN: Final = (
    "^(?:[A-Za-z]{2,3}(?:-[A-Za-z]{3}){0,3}|[A-Za-z]{4,8})(?:-[A-Za-z]{4})?"
    "(?:-(?:[A-Za-z]{2}|[0-9]{3}))?(?:-(?:[A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))*"
    "(?:-[0-9A-WY-Za-wy-z](?:-[A-Za-z0-9]{2,8})+)*(?:-[xX](?:-[A-Za-z0-9]{1,8})+)?$"
)
Locale = Annotated[str, Meta(max_length=64, pattern=_PATTERN + LAST, examples=["de-AT"])]
"""A language tag, well formed by BCP 47 (RFC 5646, section 2.1)."""
EVERY: Final = "*"
"""Questions of every language."""
TAG: Final = "locale:"
"""What the tag of an item begins with that names its language."""

_FRESH = 60.0  # seconds for which the tags of items are as they were


class Languages(NamedTuple):
    """The pool of a model with the languages of its pairs."""

    digest: str
    read_at: float
    pool: QuestionPool


async def with_locales(state: State, serving: Serving, pool: QuestionPool) -> QuestionPool:
    """A pool with its languages: its own, else those of the items whose texts its pairs show.

    A pair has a language when items with both of its texts carry the same tag, such as `locale:de`.
    """
    if pool.locales:
        return pool
    known = state.languages
    if known is None or known.digest != serving.digest or monotonic() - known.read_at > _FRESH:
        rows = await state.threads.read(lambda conn: tagged_texts(conn, prefix=TAG))
        found = await state.threads.compute(lambda: _with_tags(pool, rows))
        known = state.languages = Languages(serving.digest, monotonic(), found)
    return known.pool


def _with_tags(pool: QuestionPool, rows: list[tuple[str, list[str]]]) -> QuestionPool:
    locales: dict[str, set[str]] = {}
    for text, tags in rows:
        locales.setdefault(text, set()).update(tag.removeprefix(TAG) for tag in tags)
    none = frozenset[str]()
    found = tuple(
        min(locales.get(a, none) & locales.get(b, none), default="")
        for a, b in zip(pool.texts_a, pool.texts_b, strict=True)
    )
    return replace(pool, locales=found) if any(found) else pool
