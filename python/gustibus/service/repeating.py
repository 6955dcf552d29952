"""Names that stand twice in an object of JSON, of which decoders keep the last."""

from __future__ import annotations

from gustibus import _core
from gustibus.service.problems import Problem


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
