"""Texts as sentences and words, by rule alone."""

from __future__ import annotations

import re

_END = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+|\n+")
_MARK = re.compile(r"^(?:[-*•#>]|\d+[.)])\s+|\*\*|__")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_COMMON = frozenset(
    """
    a an and are as at be been but by can could did do does for from had has have how i if in into is
    it its me my no not of on or our should so than that the their them then there these they this
    those to was we were what when where which who why will with would you your
    """.split()  # noqa: SIM905 - a list of as many strings reads worse
)


def sentences(text: str) -> list[str]:
    """The sentences of a text, in order, without marks of lists and emphasis; a line break ends one."""
    found = (_MARK.sub("", part.strip()).strip() for part in _END.split(text))
    return [part for part in found if part]


def words(text: str) -> list[str]:
    """The words of a text in lower case."""
    return [word.lower() for word in _WORD.findall(text)]


def keywords(text: str, most: int = 5) -> list[str]:
    """The first `most` different words of a text that are not among the commonest of English."""
    found = dict.fromkeys(word for word in words(text) if word not in _COMMON and len(word) > 2)
    return list(found)[:most]
