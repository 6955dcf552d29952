"""One line that says what an object is: for a prompt, a log or a traceback, never its contents.

Arrays and tables of names and texts are told by their sizes: whole, they would fill the screen and carry
people and what they wrote into places where nobody looks for them.
"""

from __future__ import annotations

from typing import Any


def shown(thing: object, **facts: Any) -> str:
    """`Kind(fact=value, …)`; facts that are None are left out.

    Examples:
        >>> shown(object(), people=3, name="ada", split=None)
        "object(people=3, name='ada')"
    """
    told = ", ".join(f"{name}={value!r}" for name, value in facts.items() if value is not None)
    return f"{type(thing).__name__}({told})"
