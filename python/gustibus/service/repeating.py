"""Names that stand twice in an object of JSON, of which decoders keep the last."""

from __future__ import annotations

from gustibus import _core
from gustibus.service.problems import Problem

_SPACE = b" \t\r\n"


def has_repeated(text: bytes) -> bool:
    """Whether an object of a JSON text has a name twice."""
    return _core.repeated_name(text) is not None


def refuse_repeated(body: bytes) -> None:
    """One pass over the quotation marks and braces of a body; hundreds of kilobytes take microseconds.

    Args:
        body: JSON in UTF-8, of which is known that it is.

    Raises:
        Problem: 400 where an object has a name twice.
    """
    name = _core.repeated_name(body)
    if name is not None:
        detail = f"The body is not acceptable: the name {name!r} occurs twice in one object"
        raise Problem("malformed_json", detail)


def refuse_repeated_outside(body: bytes, last: bytes) -> None:
    """The same for an object but for its last value, which is read by itself.

    Args:
        body: JSON in UTF-8, an object with a value.
        last: that value, as it is written.

    Raises:
        Problem: 400 where the object has a name twice.
    """
    inside = body.rstrip(_SPACE).removesuffix(b"}").rstrip(_SPACE)
    refuse_repeated(inside.removesuffix(last) + b"0}")
