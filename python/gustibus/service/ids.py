"""Names: the pattern of those that clients choose, and ULIDs for those that the service makes."""

from __future__ import annotations

import re
from typing import Annotated, Final

from msgspec import Meta

from gustibus.store.ids import ulid

__all__ = ["CLIENT_ID", "LAST", "PATTERN", "UNIQUE", "Id", "PlainId", "ulid"]

LAST: Final = r"(?!\n)"
"""Behind the `$` of a pattern of bodies: in Python, though not in JSON Schema, a new line may follow on `$`.

The document of the API does without it, as not everything that reads patterns looks ahead.
"""
PATTERN = r"^[A-Za-z0-9._:@-]{1,128}$"
CLIENT_ID = re.compile(r"[A-Za-z0-9._:@-]{1,128}")

Id = Annotated[str, Meta(pattern=PATTERN + LAST, examples=["u-831"])]
"""A name that a client chose; anything else is refused, never cleaned."""

PlainId = Annotated[str, Meta(extra_json_schema={"pattern": PATTERN})]
"""The same where the pattern is checked by hand, because a pattern costs more than the rest."""

UNIQUE = Meta(extra_json_schema={"uniqueItems": True})
"""Of lists that may hold nothing twice, which the library looks after."""
