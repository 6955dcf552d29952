"""`gustibus encode`: vectors of texts in a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gustibus.cli.common import AddressOption, EngineOption, JsonOption, emit, writable
from gustibus.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from gustibus.bulk.encoding import Encoded

Option = typer.Option


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("encode")(encode_command)


def encode_command(
    *,
    source: Annotated[
        str, typer.Argument(help="Texts: a line each (.txt), or a column (.jsonl, .csv, .parquet).")
    ],
    output: Annotated[str, Option("--output", "-o", help="File for the vectors (.npy).")],
    encoder: Annotated[str, Option(help="static, hashing, transformers, embeddings.")] = "static",
    encoder_option: Annotated[
        list[str] | None, Option("--encoder-set", help="An option of the encoder, NAME=VALUE.")
    ] = None,
    column: Annotated[str, Option(help="Column of the texts.")] = "text",
    cache: Annotated[str, Option(help="Folder that keeps vectors between runs.")] = "",
    engine: EngineOption = "threads",
    workers: Annotated[int, Option(min=1, help="That encode at once, on Ray.")] = 1,
    gpus: Annotated[float, Option(min=0, help="Accelerators of each worker, on Ray.")] = 0.0,
    address: AddressOption = "",
    as_json: JsonOption = False,
) -> int:
    """Encode texts to a float32 array, one row a text.

    Example: gustibus encode answers.jsonl -o answers.npy --encoder transformers --encoder-set model=bert
    """
    from gustibus.cli.common import parse_options

    texts = list(_texts(Path(source), column))
    options, target = parse_options(encoder_option or []), writable(Path(output), "--output")
    if engine == "ray":
        from gustibus.bulk import encode_on_ray
        from gustibus.cli.progress import Bars

        with Bars() as bars:
            made = encode_on_ray(
                texts, encoder=encoder, output=target, options=options, cache=cache,
                workers=workers, gpus=gpus, address=address,
                told=lambda here, of: bars.show("encoding", here, of, ""),
            )  # fmt: skip
    else:
        made = _encode_here(texts, encoder, options, cache, target)
    if as_json:
        emit({
            "output": output, "texts": made.texts, "dim": made.dim, "encoder": made.name,
            "fingerprint": made.fingerprint,
        })  # fmt: skip
        return 0
    sys.stdout.write(
        f"{made.texts} texts, {made.dim} dimensions, {made.name} {made.fingerprint[:12]}: {target}\n"
    )
    return 0


def _encode_here(
    texts: list[str], encoder: str, options: dict[str, Any], cache: str, target: Path
) -> Encoded:
    import numpy as np

    from gustibus.bulk.encoding import Encoded
    from gustibus.encoders import load_encoder

    chosen = load_encoder(encoder, cache=cache or None, **options)
    vectors = chosen.encode(texts, progress=True)
    scratch = target.with_name(f".{target.name}.part")
    with scratch.open("wb") as handle:
        np.save(handle, vectors)
    scratch.replace(target)
    return Encoded(len(vectors), chosen.dim, chosen.name, chosen.fingerprint)


def _texts(path: Path, column: str) -> Iterator[str]:
    if not path.is_file():
        message = f"{path}: no such file"
        raise NotFoundError(message, where=str(path))
    try:
        if path.suffix == ".txt":
            yield from path.read_text(encoding="utf-8").splitlines()
            return
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path}: cannot be read as text ({error})"
        raise InputError(message, where=str(path)) from None
    from gustibus.data import read_table

    table = read_table(path)
    if column not in table.columns:
        message = f"{path}: expected a column {column!r}, got {sorted(table.columns)}"
        raise InputError(message, where=f"{path}:{column}")
    for row, value in enumerate(table.columns[column]):
        yield value if isinstance(value, str) else _one(path, row, column, value)


def _one(path: Path, row: int, column: str, value: Any) -> str:
    message = (
        f"{path}: row {row}, column {column}: expected a text, got {json.dumps(value, default=str)}"
    )
    raise InputError(message, where=f"{path}:{row}:{column}")
