"""Tools that are deterministic, local and limited: calculator, calendar, look-up, unit tests.

A tool maps a short text to a short text and raises `InputError` for what it cannot do. None of them
evaluates text as code in this process.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

from gustibus.errors import InputError
from gustibus.rewards.sandbox import run_python

MAX_INPUT = 20_000
"""Most characters that a tool is given."""
MAX_OUTPUT = 2_000
"""Most characters that a tool gives back."""
_NODES, _DIGITS, _POWER = 200, 400, 1_000


@dataclass(frozen=True, slots=True)
class Tool:
    """A named function from text to text."""

    name: str
    run: Callable[[str], str]

    def __call__(self, text: str) -> str:
        """What the tool says, cut to `MAX_OUTPUT` characters.

        Raises:
            InputError: the input is too long, or the tool cannot do it.
        """
        if len(text) > MAX_INPUT:
            message = f"{self.name}: expected at most {MAX_INPUT} characters, got {len(text)}"
            raise InputError(message, where=self.name)
        return self.run(text)[:MAX_OUTPUT]


def calculator() -> Tool:
    """Arithmetic with `+ - * / // % **` and brackets, exact as far as numbers are rational.

    Examples:
        >>> calculator()("(3 + 4) * 2.5")
        '17.5'
    """
    return Tool("calculator", _calculate)


def calendar() -> Tool:
    """`weekday DATE`, `days DATE DATE` and `add DATE DAYS`, dates as 2024-02-28.

    Examples:
        >>> calendar()("weekday 2004-05-03"), calendar()("days 2024-02-28 2024-03-01")
        ('Monday', '2')
    """
    return Tool("calendar", _ask_calendar)


def lookup(documents: Mapping[str, str]) -> Tool:
    """The sentence of some documents that shares most words with a question, rare words first.

    Args:
        documents: from name to text.

    Raises:
        InputError: there is no sentence.
    """
    sentences = [
        (name, sentence.strip())
        for name, text in documents.items()
        for sentence in re.split(r"(?<=[.!?])\s+|\n+", text)
        if sentence.strip()
    ]
    if not sentences:
        message = "documents: expected at least one sentence, got none"
        raise InputError(message, where="documents")
    words = [set(_words(sentence)) for _, sentence in sentences]
    seen = Counter(word for found in words for word in found)
    rare = {word: math.log1p(len(words) / count) for word, count in seen.items()}

    def run(question: str) -> str:
        asked = set(_words(question))
        shared = [math.fsum(rare[word] for word in asked & found) for found in words]
        best = max(range(len(shared)), key=lambda i: (shared[i], -i))
        if not shared[best]:
            message = f"lookup: nothing in the documents is about {question[:60]!r}"
            raise InputError(message, where="lookup")
        name, sentence = sentences[best]
        return f"{name}: {sentence}"

    return Tool("lookup", run)


def unit_tests(tests: str, *, seconds: int = 5, clock: float = 30.0, megabytes: int = 256) -> Tool:
    """Runs the input as a Python program followed by `tests`, in a process of its own.

    Args:
        tests: statements that fail where the program is wrong, such as asserts.
        seconds: of work after which a program counts as wrong.
        clock: seconds on the clock after which the tool gives up, which says nothing of the program.
        megabytes: of memory.

    Returns:
        A tool that says `passed`, or `failed` with the last line of what was printed.
    """

    def run(program: str) -> str:
        whole = f"{program}\n\n{tests}\n"
        done = run_python(whole, seconds=seconds, clock=clock, megabytes=megabytes)
        if done.unfinished:
            message = f"unit_tests: {done.reason}"
            raise InputError(message, where="unit_tests")
        if done.passed:
            return "passed"
        lines = done.output.strip().splitlines()
        return f"failed: {done.reason or (lines[-1] if lines else 'no message')}"

    return Tool("unit_tests", run)


def _calculate(text: str) -> str:
    plain = text.translate(str.maketrans("×·÷−", "**/-", ","))
    try:
        tree = ast.parse(plain.replace("^", "**").strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        message = f"calculator: expected arithmetic, got {text[:60]!r}"
        raise InputError(message, where="calculator") from None
    if sum(1 for _ in ast.walk(tree)) > _NODES:
        message = f"calculator: expected at most {_NODES} numbers and signs, got more"
        raise InputError(message, where="calculator")
    try:
        return _shown(_value(tree.body))
    except ZeroDivisionError:
        message = "calculator: division by 0"
        raise InputError(message, where="calculator") from None
    except (OverflowError, RecursionError):
        message = "calculator: the number is too large"
        raise InputError(message, where="calculator") from None


_SIGNS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.Mod: operator.mod,
    ast.FloorDiv: lambda a, b: Fraction(a // b),
}  # fmt: skip


def _value(node: ast.expr) -> Fraction:
    """The value of a tree of numbers and signs."""
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        value = Fraction(repr(node.value))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd | ast.USub):
        value = _value(node.operand) * (-1 if isinstance(node.op, ast.USub) else 1)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        value = _power(_value(node.left), _value(node.right))
    elif isinstance(node, ast.BinOp) and type(node.op) in _SIGNS:
        value = _SIGNS[type(node.op)](_value(node.left), _value(node.right))
    else:
        message = (
            f"calculator: expected numbers and + - * / // % **, got {ast.unparse(node)[:40]!r}"
        )
        raise InputError(message, where="calculator")
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > 4 * _DIGITS:
        raise OverflowError
    return value


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    """A power, refused before it is computed where it would be huge."""
    size = max(base.numerator.bit_length(), base.denominator.bit_length())
    if abs(exponent) > _POWER or size * abs(exponent) > 4 * _DIGITS:
        raise OverflowError
    if exponent.denominator == 1:
        return base**exponent.numerator
    if base < 0:
        message = "calculator: expected no root of a number below 0"
        raise InputError(message, where="calculator")
    return Fraction(float(base) ** float(exponent))


def _shown(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else f"{float(value):.12g}"


def _ask_calendar(text: str) -> str:
    parts = text.replace("->", " ").replace("→", " ").split()
    try:
        match parts:
            case ["weekday", day]:
                return date.fromisoformat(day).strftime("%A")
            case ["days", first, last]:
                return str((date.fromisoformat(last) - date.fromisoformat(first)).days)
            case ["add", day, days]:
                return (date.fromisoformat(day) + timedelta(int(days))).isoformat()
    except (ValueError, OverflowError) as error:
        message = f"calendar: {error}"
        raise InputError(message, where="calendar") from None
    message = (
        f"calendar: expected 'weekday DATE', 'days DATE DATE' or 'add DATE DAYS', got {text[:60]!r}"
    )
    raise InputError(message, where="calendar")


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
