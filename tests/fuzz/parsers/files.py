"""What lies on a disk: models, ballots, logs."""

from __future__ import annotations

import atexit
import contextlib
import gzip
import hashlib
import json
import random
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from gustibus.data import read_table, to_comparisons
from gustibus.data.answers import answer_of
from gustibus.data.streaming import rows_of
from gustibus.errors import GustibusError, InputError
from gustibus.service.loading import open_model
from gustibus.social.preflib import read_preflib
from tests.fuzz.parsers import requests, spoil
from tests.fuzz.parsers.served import Served
from tests.service.harness import save_vectors_model

PREFLIB = """# FILE NAME: 00001-00000001.toc
# NUMBER ALTERNATIVES: 4
# NUMBER VOTERS: 6
# ALTERNATIVE NAME 1: Ann
# ALTERNATIVE NAME 2: Bo
# ALTERNATIVE NAME 3: Ann
3: 1,{2,3},4
2: 4,1
1: {1,2,3,4}
"""


@cache
def _scratch() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="gustibus-fuzz-files-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def _model() -> dict[str, bytes]:
    folder = _scratch() / "model"
    save_vectors_model(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def prepare() -> None:
    """Make what cases start from."""
    _model()


def artifacts(rng: random.Random, to: Served) -> str:
    """A folder of a model, of which a file is another, opened as the service opens it."""
    files = dict(_model())
    name = rng.choice(sorted(files))
    sealed = rng.random() < 0.9
    if rng.random() < 0.9:
        files[name] = _other(rng, name, files[name])
    if sealed and name != "MANIFEST.json":
        named = {n: hashlib.sha256(d).hexdigest() for n, d in files.items() if n != "MANIFEST.json"}
        files["MANIFEST.json"] = json.dumps({"files": named, "digest": ""}).encode()
    folder = _scratch() / "case"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for one, data in files.items():
        (folder / one).write_bytes(data)
    try:
        open_model(to.gate.state, folder, None).close()
    except GustibusError as error:
        return error.code
    return "read"


def _other(rng: random.Random, name: str, data: bytes) -> bytes:
    if name.endswith(".json"):
        return spoil.json_of(rng, json.loads(data))
    if not name.endswith(".safetensors") or rng.random() < 0.4:
        return spoil.bytes_of(rng, data)
    size = int.from_bytes(data[:8], "little")
    head: Any = json.loads(data[8 : 8 + size])
    if rng.random() < 0.5:
        tensor = head[rng.choice(sorted(head.keys() - {"__metadata__"}))]
        what = rng.randrange(4)
        if what == 0:
            tensor["shape"] = rng.choice(
                ([], [0], [1 << 62, 4], [2**63], [-1], [1] * 70, [3, 3, 3])
            )
        elif what == 1:
            tensor["dtype"] = rng.choice(
                ("F64", "BF16", "F8_E4M3", "U8", "BOOL", "I64", "x", "C64")
            )
        elif what == 2:
            tensor["data_offsets"] = rng.choice(([0, 1 << 60], [8, 0], [-1, 4], [0, 0], [0.5, 1]))
        else:
            head["other"] = dict(tensor)
        told = json.dumps(head).encode()
    else:
        told = spoil.json_of(rng, head)
    length = len(told) if rng.random() < 0.8 else rng.choice((0, 1, 1 << 31, 1 << 40, 1 << 63))
    return length.to_bytes(8, "little") + told + data[8 + size :]


def ballots(rng: random.Random) -> str:
    """A PrefLib file."""
    data = PREFLIB.encode()
    if rng.random() < 0.9:
        data = spoil.bytes_of(rng, data)
    path = _scratch() / f"case{rng.choice(('.soc', '.soi', '.toc', '.toi', '.cat'))}"
    path.write_bytes(data)
    read_preflib(path)
    return "read"


def logs(rng: random.Random) -> str:
    """A log of comparisons in any format, read at once and row by row."""
    rows = requests._rows(rng, rng.choice((1, 4, 20)))
    ending = rng.choice((".jsonl", ".csv", ".tsv", ".parquet"))
    if ending == ".jsonl":
        lines = [
            spoil.json_of(rng, r) if rng.random() < 0.2 else json.dumps(r).encode() for r in rows
        ]
        data = b"\n".join(lines)
    elif ending == ".parquet":
        data = requests.parquet_bytes(rng)
    else:
        sign = "," if ending == ".csv" else "\t"
        cells = [
            list(rows[0]),
            *([("" if v is None else str(v)) for v in r.values()] for r in rows),
        ]
        data = "\n".join(sign.join(line) for line in cells).encode()
    if rng.random() < 0.6:
        data = spoil.bytes_of(rng, data)
    if ending != ".parquet" and rng.random() < 0.4:
        data, ending = gzip.compress(data, 1), f"{ending}.gz"
        if rng.random() < 0.5:
            data = spoil.bytes_of(rng, data)
    path = _scratch() / f"log{ending}"
    path.write_bytes(data)
    ends = set()
    for read in (_row_by_row, lambda path: to_comparisons(read_table(path))):
        try:
            read(path)
        except InputError:
            ends.add("refused")
        else:
            ends.add("read")
    return " and ".join(sorted(ends))


def _row_by_row(path: Path) -> None:
    for row in rows_of(path):
        if not isinstance(row.values, InputError):
            with contextlib.suppress(InputError):
                answer_of(row.values, place="row", columns={}, by_id=False)


TARGETS = {"ballots": ballots, "logs": logs}
