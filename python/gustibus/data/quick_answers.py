"""Answers as somebody writes them down in code, looked at before they are used."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from numbers import Real

import numpy as np

from gustibus.errors import InputError
from gustibus.types import F64


def checked_answers(
    answers: Sequence[tuple[str, str, str, float]],
) -> list[tuple[str, str, str, float]]:
    """Answers of one person as a list of `(prompt, a, b, target)`.

    Raises:
        InputError: one is something else.
    """
    if isinstance(answers, str) or not isinstance(answers, Iterable):
        message = f"answers: expected a sequence of answers, got {type(answers).__name__}"
        raise InputError(message, where="answers")
    found: list[tuple[str, str, str, float]] = []
    for place, answer in enumerate(answers):
        parts = answer if isinstance(answer, tuple | list) else (answer,)
        *texts, target = parts
        fits = len(texts) == 3 and all(isinstance(text, str) for text in texts)
        if not fits or not isinstance(target, Real) or not 0 <= target <= 1:
            kinds = ", ".join(repr(x) if isinstance(x, Real) else type(x).__name__ for x in parts)
            message = (
                f"answers[{place}]: expected (prompt, a, b, target), three texts and a number in [0, 1], "
                f"got ({kinds})"
            )
            raise InputError(message, where=f"answers[{place}]")
        found.append((texts[0], texts[1], texts[2], float(target)))
    return found


def checked_strengths(strengths: Sequence[float | None] | None, count: int) -> F64 | None:
    """Strengths of `count` answers as `(count,)`, NaN where none was said; None without any.

    Raises:
        InputError: there are more or fewer, or one is neither None nor a number above 0.
    """
    if strengths is None:
        return None
    if isinstance(strengths, str) or not isinstance(strengths, Iterable):
        message = f"strengths: expected a sequence of numbers, got {type(strengths).__name__}"
        raise InputError(message, where="strengths")
    found = list(strengths)
    if len(found) != count:
        message = f"strengths: expected one for each of the {count} answers, got {len(found)}"
        raise InputError(message, where="strengths")
    for place, value in enumerate(found):
        if value is not None and (not isinstance(value, Real) or not 0 < value < math.inf):
            message = f"strengths[{place}]: expected a number above 0 or None, got {value!r}"
            raise InputError(message, where=f"strengths[{place}]")
    return np.array(found, np.float64)  # None is NaN
