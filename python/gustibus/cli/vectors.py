"""Vectors of candidates, made by a model folder or a service, and written to files that can be read again."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from gustibus.cli.candidates import Candidate, represented
from gustibus.errors import GustibusError

if TYPE_CHECKING:
    import numpy as np

    from gustibus.types import F32

Dtype = Literal["f32", "f16"]
Kind = Literal["embedding", "vector"]

_PART = 1024  # candidates that a model folder encodes together
_TEXTS = 256  # that a service takes together
_BYTES = 256 << 10  # of their texts, far below what a body may have however they are escaped
_DEADLINE = 60.0  # seconds, the most that a service takes


class Made(NamedTuple):
    """Vectors, and by what they were made."""

    vectors: F32
    """`(n, dim)`."""
    kind: Kind
    """What they are sent as: an encoder makes embeddings, a model vectors."""
    model: str
    """Name that a vector carries; empty for embeddings."""
    told: dict[str, Any]
    """More for those who ask for JSON."""


def by_folder(model: str, candidates: list[Candidate], *, cache: str = "") -> Made:
    """Vectors by a trained model, its encoder loaded here.

    Raises:
        InputError: a candidate is none of the model's.
        ConfigError: there are texts, and the model has no encoder.
    """
    import numpy as np

    import gustibus
    from gustibus.cli.progress import Bars
    from gustibus.encoders.cache import CachedEncoder
    from gustibus.scoring import Scorer

    scorer = gustibus.load(model)
    if cache and any(one.kind == "text" for one in candidates):
        scorer = Scorer(scorer.artifact, encoder=CachedEncoder(scorer.encoder, cache))
    reads = scorer.model.prompt_dim > 0
    out = np.empty((len(candidates), scorer.model.representation_dim), np.float32)
    done = 0
    with Bars() as bars:
        for prompt, places in _groups(candidates, reads=reads):
            for start in range(0, len(places), _PART):
                part = places[start : start + _PART]
                out[part] = represented(scorer, prompt or "", [candidates[at] for at in part])
                done += len(part)
                bars.show("encoding", done, len(candidates), "")
    return Made(out, "vector", scorer.artifact.pin, {"model": scorer.artifact.pin})


def by_service(url: str, model: str, candidates: list[Candidate]) -> Made:
    """Vectors by a service, some hundred at a time.

    Raises:
        ApiError: it refuses a candidate.
        GustibusError: it began to serve another model meanwhile.
    """
    import numpy as np

    from gustibus.cli.progress import Bars
    from gustibus.client import Client

    rows: list[Any] = [None] * len(candidates)
    names: set[str] = set()
    tokens = cached = done = 0
    with Client(url, timeout=_DEADLINE, deadline=_DEADLINE) as client, Bars() as bars:
        for prompt, places in _groups(candidates, reads=True):
            for part in _parts(candidates, places):
                sent = [_sent(candidates[at]) for at in part]
                made = client.encode(sent, prompt=prompt, model=model)
                for at, one in zip(part, made.data, strict=True):
                    rows[at] = one.vector.array
                    names.add(one.vector.model)
                tokens, cached = tokens + made.usage.encoded_tokens, cached + made.usage.cached
                done += len(part)
                bars.show("encoding", done, len(candidates), "")
                if len(names) > 1:
                    message = f"{url}: began to serve another model ({' and '.join(sorted(names))})"
                    raise GustibusError(message, where="model")
    (name,) = names
    told = {"model": name, "encoded_tokens": tokens, "cached": cached}
    return Made(np.stack(rows), "vector", name, told)


def _groups(
    candidates: list[Candidate], *, reads: bool
) -> Iterator[tuple[str | None, list[int]]]:  # fmt: skip
    """Places of the candidates of each prompt; of all where prompts are not read."""
    groups: dict[str | None, list[int]] = {}
    for place, one in enumerate(candidates):
        groups.setdefault(one.prompt if reads else None, []).append(place)
    yield from groups.items()


def _parts(candidates: list[Candidate], places: list[int]) -> Iterator[list[int]]:
    """Places in the parts in which they are sent."""
    part: list[int] = []
    size = 0
    for place in places:
        value = candidates[place].value
        length = len(value) if isinstance(value, str) else len(json.dumps(value))
        if part and (len(part) == _TEXTS or size + length > _BYTES):
            yield part
            part, size = [], 0
        part.append(place)
        size += length
    yield part


def _sent(one: Candidate) -> Any:
    """As the service takes it: few arrays of numbers, and any number of them as base64."""
    import numpy as np

    if one.kind == "embedding" and isinstance(one.value, list):
        return np.asarray(one.value, np.float32)
    if one.kind == "vector" and isinstance(one.value, dict) and "numbers" in one.value:
        return {"vector": {**one.value, "numbers": np.asarray(one.value["numbers"], np.float32)}}
    return one.sent


def save(made: Made, target: Path, *, dtype: Dtype, arrays: bool) -> None:
    """Write a file as its name ends: `.safetensors`, `.jsonl` or `.ndjson`, and any other as `.npy`."""
    import numpy as np

    rows = _as(made, dtype)
    scratch = target.with_name(f".{target.name}.part")
    if target.suffix == ".safetensors":
        from safetensors.numpy import save_file

        named = {"kind": made.kind, **({"model": made.model} if made.model else {})}
        scratch.touch()  # with the mode of other files; save_file leaves its own to their owner alone
        mode = scratch.stat().st_mode
        save_file({"vectors": rows}, str(scratch), metadata=named)
        scratch.chmod(mode)
    elif target.suffix in {".jsonl", ".ndjson"}:
        with scratch.open("w", encoding="utf-8") as out:
            out.writelines(
                f"{json.dumps(one)}\n" for one in lines(made, dtype=dtype, arrays=arrays)
            )
    else:
        with scratch.open("wb") as handle:
            np.save(handle, rows)
    scratch.replace(target)


def show(made: Made, *, dtype: Dtype, arrays: bool) -> None:
    """Write a candidate a line to standard output."""
    for one in lines(made, dtype=dtype, arrays=arrays):
        sys.stdout.write(f"{json.dumps(one)}\n")


def lines(made: Made, *, dtype: Dtype, arrays: bool) -> Iterable[dict[str, Any]]:
    """Each vector as a candidate that can be scored."""
    for row in _as(made, dtype):
        if arrays:
            value: Any = row.tolist() if made.kind == "embedding" else {"numbers": row.tolist()}
        else:
            value = {"dtype": dtype, "b64": base64.b64encode(row.tobytes()).decode()}
        named = {"model": made.model} if made.kind == "vector" else {}
        yield {made.kind: {**named, **value} if isinstance(value, dict) else value}


def _as(made: Made, dtype: Dtype) -> np.ndarray[Any, Any]:
    """The vectors with numbers of a type.

    Raises:
        GustibusError: one does not fit.
    """
    import numpy as np

    with np.errstate(over="ignore"):
        rows = np.ascontiguousarray(made.vectors, "<f4" if dtype == "f32" else "<f2")
    if not np.isfinite(rows).all():
        message = "--dtype: a number does not fit into f16; take f32"
        raise GustibusError(message, where="--dtype")
    return rows
