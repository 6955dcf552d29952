"""Names: the pattern of those that clients choose, and ULIDs for those that the service makes."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta

from gustibus.store.ids import ulid

__all__ = ["CLIENT_ID", "PATTERN", "UNIQUE", "Id", "PlainId", "ulid"]

PATTERN = r"^[A-Za-z0-9._:@-]{1,128}$"
CLIENT_ID = re.compile(r"[A-Za-z0-9._:@-]{1,128}")

Id = Annotated[str, Meta(pattern=PATTERN, examples=["u-831"])]
"""A name that a client chose; anything else is refused, never cleaned."""

PlainId = Annotated[str, Meta(extra_json_schema={"pattern": PATTERN})]
"""The same where the pattern is checked by hand, because a pattern costs more than the rest."""

UNIQUE = Meta(extra_json_schema={"uniqueItems": True})
"""Of lists that may hold nothing twice, which the library looks after."""
