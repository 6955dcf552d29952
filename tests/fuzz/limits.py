"""What cases may take: time, which a core under sanitizers needs more of, and address space."""

from __future__ import annotations

import os
import resource
from pathlib import Path

SLOWER = float(os.environ.get("GUSTIBUS_FUZZ_SLOWER", "1"))
"""Factor of every limit of time."""


def address_space() -> int:
    """Bytes that the process has taken; a sanitizer takes terabytes that it does not fill."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()
