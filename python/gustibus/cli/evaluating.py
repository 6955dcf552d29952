"""`gustibus eval`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from gustibus.errors import ConfigError, InputError

if TYPE_CHECKING:
    from gustibus.artifact import Artifact
    from gustibus.data import Dataset, Split
    from gustibus.evaluation import Modelled, Report
    from gustibus.training import RunConfig

Option = typer.Option
_SPLITTING = (
    "split", "valid_people", "new_users", "new_prompts", "seed", "layout", "columns", "identical",
)  # fmt: skip
"""Settings of a run that decide its split."""


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("eval")(eval_command)


def eval_command(
    *,
    source: Annotated[
        str,
        typer.Argument(
            help="Comparisons (Parquet, JSONL, CSV, a data folder) or a run file (.toml); "
            "with --probe also a table of judgements."
        ),
    ],
    probe: Annotated[
        list[str] | None,
        Option(help="Run this probe instead, on the table or on one --model; repeatable."),
    ] = None,
    by: Annotated[
        str, Option(help="With --probe: columns whose values get figures of their own.")
    ] = "user,group",
    model: Annotated[
        list[str] | None, Option(help="Folder of a trained model; repeatable.")
    ] = None,
    family: Annotated[
        list[str] | None,
        Option("--train", help="A family to fit here on the split's training part; repeatable."),
    ] = None,
    option: Annotated[
        list[str] | None,
        Option("--set", help="An option of such a family, FAMILY.NAME=VALUE; repeatable."),
    ] = None,
    baseline: Annotated[
        list[str] | None,
        Option(help="linear, shrunk or item_mean; repeatable; default all of them."),
    ] = None,
    output: Annotated[
        str, Option("--output", "-o", help="Folder for report.json, report.md and plots.")
    ] = "",
    draws: Annotated[int, Option(help="Draws of every person's shots.")] = 10,
    shots: Annotated[str, Option(help="Sizes of the few-shot curve.")] = "0,1,2,5,10,20,50",
    focus: Annotated[int, Option(help="Shots at which methods are compared first.")] = 5,
    resamples: Annotated[int, Option(help="Draws of people for the intervals.")] = 1000,
    seed: Annotated[int, Option(help="Seed of the draws and of what is fitted here.")] = 0,
    encoder: Annotated[
        str, Option(help="Without --model: auto, static, hashing, transformers.")
    ] = "",
    layout: Annotated[str, Option(help="Without --model: layout of the file.")] = "",
    columns: Annotated[
        str, Option("--map", help="Without --model: column names, such as chosen=good.")
    ] = "",
    identical: Annotated[
        str, Option(help="Without --model: refuse or drop rows with the same response twice.")
    ] = "",
    shuffled: Annotated[
        bool, Option("--shuffled", help="Fit --train families again on shuffled people.")
    ] = False,
    force: Annotated[
        bool, Option("--force", help="Go on with other data than a model was trained on.")
    ] = False,
    device: Annotated[str, Option(help="auto, cpu or cuda, for --train.")] = "auto",
    as_json: Annotated[bool, Option("--json", help="Print the report as JSON.")] = False,
) -> int:
    """Judge models on people and items that they have not seen, beside baselines and controls.

    The split is the one that the models were trained with. A benchmark that cannot tell methods
    apart says so.

    Example: gustibus eval logs.parquet --model runs/first --train bt -o results

    Example: gustibus eval logs.parquet --model runs/first --probe pair_ece
    """
    from gustibus.cli.probing import run_probes
    from gustibus.cli.progress import Bars
    from gustibus.evaluation import BASELINES, evaluate
    from gustibus.evaluation.run import data_digest

    if probe:
        judged = _columns(source, probe, model or [], layout=layout, seed=seed, force=force)
        return run_probes(
            source, judged, probe, options=option or [], by=by, output=output, as_json=as_json
        )
    sizes, options = _sizes(shots), _options(family or [], option or [])
    config, folders = _config(
        source, model or [], family or [],
        encoder=encoder, layout=layout, columns=columns, identical=identical,
    )  # fmt: skip
    bench = _prepare(config, folders, force=force)
    with Bars() as bars:
        report = evaluate(
            bench.dataset, bench.split, bench.models, families=options, sizes=sizes, draws=draws,
            baselines=baseline or BASELINES, focus=focus, resamples=resamples, seed=seed,
            shuffled=shuffled, device=device, digest=data_digest(bench.dataset),
            progress=bars.update,
        )  # fmt: skip
    if output:
        report.save(output)
    if as_json:
        from gustibus.cli.common import emit

        emit(report.as_json())
        return 0
    _print(report)
    if output:
        sys.stdout.write(f"saved {Path(output)}\n")
    return 0


def _columns(
    source: str, probes: list[str], models: list[str], *, layout: str, seed: int, force: bool
) -> Mapping[str, Any]:
    """What probes read: a table as it stands, or what one model says."""
    from gustibus.cli import probing

    probing.check_probes(probes)
    if not models:
        return probing.columns_of_file(source)
    if len(models) > 1:
        message = f"--model: expected one model beside --probe, got {len(models)}"
        raise ConfigError(message, where="--model")
    benchmark = probing.benchmark_layout(probes, layout)
    if benchmark:
        return probing.columns_of_benchmark(source, benchmark, models[0])
    config, folders = _config(source, models, [], encoder="", layout=layout, columns="")
    bench = _prepare(config, folders, force=force)
    return probing.columns_of_models(bench.dataset, bench.split, bench.models, seed=seed)


class _Bench(NamedTuple):
    dataset: Dataset
    split: Split
    models: dict[str, Modelled]


def _prepare(config: RunConfig, folders: Sequence[str], *, force: bool) -> _Bench:
    """The data, the split that every model was trained with, and the models."""
    from gustibus.artifact import Artifact
    from gustibus.evaluation import Modelled
    from gustibus.evaluation.run import refuse_known_people
    from gustibus.training.run import load_data, make_split

    artifacts = {name: Artifact.load(path) for name, path in _names(folders).items()}
    runs = {name: _run_of(name, a, config.data) for name, a in artifacts.items()}
    splitting = _one_split(runs) or config
    if splitting.split == "all" and not force:
        message = (
            "split: the models were trained on every person ('all'): nothing is held out; on data "
            "of other people --force makes a split of its own"
        )
        raise InputError(message, where="data.split")
    if splitting.split == "all":
        splitting = replace(splitting, split="auto")
    dataset, _ = load_data(config if not runs else splitting)
    split = make_split(dataset, splitting)
    views = {_encoding(splitting): dataset}
    models: dict[str, Modelled] = {}
    for name, artifact in artifacts.items():
        key = _encoding(runs[name])
        if key not in views:
            views[key] = load_data(runs[name])[0]
        refuse_known_people(dataset, split, name, artifact)
        _check(name, artifact, views[key], split, force=force)
        models[name] = Modelled.of(name, artifact, views[key])
    return _Bench(dataset, split, models)


def _config(
    source: str,
    models: list[str],
    families: list[str],
    *,
    encoder: str,
    layout: str,
    columns: str,
    identical: str = "",
) -> tuple[RunConfig, list[str]]:
    """The run that says where the data is, and the folders of the models."""
    from gustibus.data import parse_columns
    from gustibus.training import RunConfig

    given: dict[str, Any] = {"encoder": encoder, "layout": layout, "identical": identical}
    given = {name: value for name, value in given.items() if value}
    if columns:
        given["columns"] = parse_columns(columns)
    if models and given:
        message = f"{sorted(given)}: come with the models; leave them out beside --model"
        raise ConfigError(message, where="--model")
    if not source.endswith(".toml"):
        return RunConfig(data=source, output="", **given), models
    config = RunConfig.read(source, **given)
    trained = (Path(config.output) / "MANIFEST.json").is_file()
    return config, models or ([config.output] if trained and not families else [])


def _names(folders: Sequence[str]) -> dict[str, str]:
    """Folders by the shortest names that differ."""
    short = [Path(folder).resolve().name for folder in folders]
    unique = len(set(short)) == len(short)
    return dict(zip(short if unique else folders, folders, strict=True))


def _run_of(name: str, artifact: Artifact, data: str) -> RunConfig:
    """The configuration that a model was trained with, on the data that was given now."""
    from gustibus.training import RunConfig

    return RunConfig.of_card(artifact.card, data, name=name)


def _one_split(runs: Mapping[str, RunConfig]) -> RunConfig | None:
    """The run that all others share their split with, None without any."""
    if not runs:
        return None
    first, *others = runs
    for other in others:
        for key in _SPLITTING:
            one, two = getattr(runs[first], key), getattr(runs[other], key)
            if one != two:
                message = (
                    f"{first} and {other} were trained on different splits: {key} is {one!r} and "
                    f"{two!r}; evaluate them one at a time"
                )
                raise InputError(message, where=key)
    return runs[first]


def _encoding(config: RunConfig) -> str:
    return repr((config.encoder, sorted(config.encoder_options.items())))


def _check(name: str, artifact: Artifact, dataset: Dataset, split: Split, *, force: bool) -> None:
    """Refuse a model that was trained on other data, or whose split cannot be made again."""
    from gustibus.evaluation.run import data_digest

    card = artifact.card
    digest, found = card.get("data", {}).get("digest"), data_digest(dataset)
    if digest != found:
        if force:
            return
        message = (
            f"{name}: was trained on other data: its digest is {str(digest)[:12]}…, that of the "
            f"data given is {found[:12]}…; --force goes on all the same"
        )
        raise InputError(message, where=name)
    rows = {part: len(index) for part, index in split.items()}
    if card.get("split") != rows:
        message = f"{name}: its split cannot be made again: {card.get('split')} became {rows}"
        raise InputError(message, where=name)


def _sizes(shots: str) -> tuple[int, ...]:
    try:
        return tuple(int(size) for size in shots.split(","))
    except ValueError:
        message = f"--shots: expected numbers such as 0,5,20, got {shots!r}"
        raise ConfigError(message, where="--shots") from None


def _options(families: list[str], pairs: list[str]) -> dict[str, dict[str, Any]]:
    """Options of each family."""
    from gustibus.cli.common import parse_options

    found: dict[str, dict[str, Any]] = {name: {} for name in families}
    for key, value in parse_options(pairs).items():
        name, dot, option = key.partition(".")
        if not dot or name not in found:
            message = f"--set: expected FAMILY.NAME=VALUE with FAMILY of {families}, got {key!r}"
            raise ConfigError(message, where="--set")
        found[name][option] = value
    return found


def _print(report: Report) -> None:
    """The verdict, the curve of the headline part, and the cells."""
    from rich.console import Console
    from rich.table import Table

    from gustibus.evaluation.findings import show
    from gustibus.evaluation.markdown import PARTS, yes

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    verdict = report.verdict
    console.print(
        f"tells methods apart: {yes(verdict.separates)}; personal signal: "
        f"{yes(verdict.personal_signal)}", markup=False,
    )  # fmt: skip
    for reason in verdict.reasons:
        console.print(f"  {reason}", markup=False)
    if not verdict.separates:
        console.print("  this benchmark cannot separate the methods", markup=False)
    part = report.headline
    sizes = [s for s in report.sizes if any(m.point(part, s) for m in report.methods)]
    if sizes:
        table = Table(title=f"accuracy after n answers, {PARTS[part]}")
        for head in ("method", *map(str, sizes)):
            table.add_column(head)
        for m in report.methods:
            points = [m.point(part, s) for s in sizes]
            table.add_row(m.name, *("–" if p is None else show(p.accuracy) for p in points))
        console.print(table)
    parts = [name for name in PARTS if any(m.cell(name) for m in report.methods)]
    table = Table(title="accuracy, people placed on all their answers")
    for head in ("method", *(PARTS[name] for name in parts)):
        table.add_column(head)
    for m in report.methods:
        cells = [m.cell(name) for name in parts]
        table.add_row(m.name, *("–" if c is None else show(c.accuracy) for c in cells))
    console.print(table)
