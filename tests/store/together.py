"""Work that is begun at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable


def at_once(*works: Callable[[], object]) -> list[Exception]:
    """What went wrong in threads that were let go together, when all have ended."""
    gate, faults = threading.Barrier(len(works)), list[Exception]()

    def run(work: Callable[[], object]) -> None:
        gate.wait()
        try:
            work()
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return faults
