"""A process that is killed while it writes loses nothing that it has acknowledged."""

from __future__ import annotations

import signal
import subprocess
import sys

import numpy as np

from gustibus.store import list_comparisons, list_users

WRITER = """
import sys
import numpy as np
from gustibus.store import NewComparison, Side, Store, add_comparisons, ensure_users
store, start = Store(sys.argv[1]), int(sys.argv[2])
side = Side(None, "text", np.zeros(4, np.float32))
for number in range(start, start + 100_000):
    with store.write() as conn:
        ensure_users(conn, users=[f"u{number}"])
        rows = [NewComparison(f"u{number}", side, side, "a", client_id=f"{number}-{n}") for n in (0, 1)]
        add_comparisons(conn, rows=rows, model="m")
    print(number, flush=True)
"""


def test_every_acknowledged_write_is_there_once_and_no_half_of_another(url, store):
    rng = np.random.default_rng(5)
    acknowledged = []
    for turn in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, url, str(turn * 1_000_000)],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        acknowledged += [int(process.stdout.readline()) for _ in range(int(rng.integers(5, 60)))]
        process.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in process.communicate()[0].split()]
    with store.read() as conn:
        kept = [row.client_id for row in list_comparisons(conn, limit=100_000)]
        people = [row.id for row in list_users(conn, limit=100_000)]
    assert len(kept) == len(set(kept))
    numbers = {int(str(name).split("-")[0]) for name in kept}
    assert set(acknowledged) <= numbers
    assert len(numbers) <= len(acknowledged) + 3  # committed, and killed before it could say so
    assert sorted(kept) == sorted(f"{number}-{n}" for number in numbers for n in (0, 1))
    assert sorted(people) == sorted(f"u{number}" for number in numbers)
