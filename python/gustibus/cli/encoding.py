"""`gustibus encode`: vectors of texts, by an encoder alone, by a trained model or by a service."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gustibus.cli.common import AddressOption, EngineOption, JsonOption, emit, writable
from gustibus.errors import ConfigError, InputError, NotFoundError

if TYPE_CHECKING:
    from gustibus.cli.candidates import Candidate
    from gustibus.cli.vectors import Made

Option = typer.Option
_PIPE = "-"
_OTHERS = (".safetensors", ".jsonl", ".ndjson")


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("encode")(encode_command)


def encode_command(
    *,
    source: Annotated[
        str,
        typer.Argument(
            help="Texts: a line each (.txt), or a column (.jsonl, .csv, .parquet); without, or as -, "
            "standard input."
        ),
    ] = _PIPE,
    output: Annotated[
        str,
        Option(
            "--output",
            "-o",
            help="File for the vectors: .npy, .safetensors, or .jsonl with a candidate a line, which "
            "standard output has otherwise.",
        ),
    ] = "",
    model: Annotated[
        str, Option(help="Folder of a trained model; with --url the name of the model there.")
    ] = "",
    url: Annotated[str, Option(help="A running service, with the key GUSTIBUS_KEY.")] = "",
    prompt: Annotated[str, Option(help="The prompt that the texts answer.")] = "",
    prompt_column: Annotated[str, Option(help="Column of a prompt for each text.")] = "",
    encoder: Annotated[
        str,
        Option(help="Without a model: static, hashing, transformers, embeddings (default static)."),
    ] = "",
    encoder_option: Annotated[
        list[str] | None, Option("--encoder-set", help="An option of the encoder, NAME=VALUE.")
    ] = None,
    column: Annotated[str, Option(help="Column of the texts.")] = "text",
    plain: Annotated[
        bool, Option("--text", help="Every line of standard input is a text.")
    ] = False,
    dtype: Annotated[
        Literal["f32", "f16"], Option(help="Of the numbers: single or half precision.")
    ] = "f32",
    arrays: Annotated[
        bool, Option("--arrays", help="Candidates hold plain numbers in place of base64.")
    ] = False,
    cache: Annotated[
        str, Option(help="Folder that keeps vectors of the encoder between runs.")
    ] = "",
    engine: EngineOption = "threads",
    workers: Annotated[int, Option(min=1, help="That encode at once, on Ray.")] = 1,
    gpus: Annotated[float, Option(min=0, help="Accelerators of each worker, on Ray.")] = 0.0,
    address: AddressOption = "",
    as_json: JsonOption = False,
) -> int:
    """Encode texts, a vector each.

    An encoder alone makes embeddings, as models are trained on. A model, in a folder or behind a service,
    makes the short vectors that it scores by itself; they are of that model alone, and `gustibus score`
    and the service take them in place of the texts. A line of standard input is a text, a JSON string,
    or an object as `gustibus score` takes it, which may tell its own `prompt`.

    Example: gustibus encode answers.jsonl -o answers.npy --encoder transformers --encoder-set model=bert

    Example: gustibus encode --model runs/first < answers.txt | gustibus score runs/first --user ada
    """  # fmt: skip
    from gustibus.cli.vectors import save, show

    by_model = bool(model or url)
    text = source == _PIPE or source.endswith(".txt")
    _refuse({
        "--encoder: a model has its own; leave --model and --url out":
            by_model and bool(encoder or encoder_option),
        "--cache: a service keeps what it encoded by itself": bool(url and cache),
        "--prompt: an encoder alone reads none; give --model or --url":
            not by_model and bool(prompt or prompt_column),
        "--prompt-column: a text a line has no columns": text and bool(prompt_column),
        "--engine: Ray encodes by an encoder alone, to a file (.npy) of f32":
            engine == "ray" and (by_model or dtype != "f32" or not output or output.endswith(_OTHERS)),
    })  # fmt: skip
    found = _read(source, column, prompt, prompt_column, plain=plain, by_model=by_model, url=url)
    target = writable(Path(output), "--output") if output else None
    if engine == "ray" and target is not None:
        made = None
        told = _on_ray(found, encoder, encoder_option, cache, target, workers, gpus, address)
    else:
        made = _made(found, model, url, encoder, encoder_option, cache)
        shape = {"texts": len(made.vectors), "dim": made.vectors.shape[1]}
        told = {**shape, **made.told}
        if target is not None:
            save(made, target, dtype=dtype, arrays=arrays)
    if target is None and made is not None:
        if as_json:
            from gustibus.cli.vectors import lines

            emit({**told, "data": list(lines(made, dtype=dtype, arrays=arrays))})
        else:
            show(made, dtype=dtype, arrays=arrays)
    elif as_json:
        emit({"output": output, **told})
    else:
        sys.stdout.write(
            f"{told['texts']} texts, {told['dim']} dimensions, {_by(told)}: {target}\n"
        )
    return 0


def _refuse(wrong: dict[str, bool]) -> None:
    """Tell the first of several mistakes that was made, before anything is read."""
    for message, is_so in wrong.items():
        if is_so:
            raise ConfigError(message, where=message.partition(":")[0])


def _read(
    source: str, column: str, prompt: str, prompt_column: str, *, plain: bool, by_model: bool, url: str
) -> list[Candidate]:  # fmt: skip
    """What is to be encoded, each with the prompt that it answers."""
    from gustibus.cli.candidates import LOCAL, SERVED, Candidate, read_candidates

    if source == _PIPE:
        if sys.stdin.isatty():
            sys.stderr.write("Texts, one a line; Ctrl-D ends them:\n")
        kinds = ("text",) if not by_model else SERVED if url else LOCAL
        found = read_candidates(
            sys.stdin, kinds=kinds, choosing=False, plain=plain, prompted=by_model
        )
    else:
        texts = list(_texts(Path(source), column))
        prompts = (
            list(_texts(Path(source), prompt_column)) if prompt_column else [None] * len(texts)
        )
        both = zip(texts, prompts, strict=True)
        found = [Candidate(n, "text", text, None, said) for n, (text, said) in enumerate(both, 1)]
    if not found:
        message = f"{source}: expected at least one text, got none"
        raise InputError(message, where=source)
    return [one if one.prompt is not None else one._replace(prompt=prompt or None) for one in found]


def _made(
    found: list[Candidate], model: str, url: str, encoder: str, options: list[str] | None, cache: str
) -> Made:  # fmt: skip
    from gustibus.cli.common import parse_options
    from gustibus.cli.vectors import Made, by_folder, by_service
    from gustibus.encoders import load_encoder

    if url:
        return by_service(url, model or "default", found)
    if model:
        return by_folder(model, found, cache=cache)
    chosen = load_encoder(encoder or "static", cache=cache or None, **parse_options(options or []))
    vectors = chosen.encode([one.value for one in found], progress=True)
    told = {"encoder": chosen.name, "fingerprint": chosen.fingerprint}
    return Made(vectors, "embedding", "", told)


def _on_ray(
    found: list[Candidate], encoder: str, options: list[str] | None, cache: str, target: Path,
    workers: int, gpus: float, address: str,
) -> dict[str, Any]:  # fmt: skip
    from gustibus.bulk import encode_on_ray
    from gustibus.cli.common import parse_options
    from gustibus.cli.progress import Bars

    with Bars() as bars:
        made = encode_on_ray(
            [one.value for one in found], encoder=encoder or "static", output=target,
            options=parse_options(options or []), cache=cache, workers=workers, gpus=gpus,
            address=address, told=lambda here, of: bars.show("encoding", here, of, ""),
        )  # fmt: skip
    return {
        "texts": made.texts, "dim": made.dim, "encoder": made.name, "fingerprint": made.fingerprint,
    }  # fmt: skip


def _by(told: dict[str, Any]) -> str:
    """What made the vectors."""
    if "encoder" in told:
        return f"{told['encoder']} {told['fingerprint'][:12]}"
    return str(told["model"])


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
