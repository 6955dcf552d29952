"""Answers as somebody writes them down in code, looked at before they are used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Real

from gustibus.errors import InputError


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
