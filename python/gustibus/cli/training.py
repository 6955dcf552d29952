"""`gustibus train`."""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gustibus.cli.common import ColumnsOption, IdenticalOption, LayoutOption, parse_options
from gustibus.errors import ConfigError

if TYPE_CHECKING:
    from gustibus.training import RunConfig

Option = typer.Option


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("train")(train_command)


def train_command(
    *,
    source: Annotated[
        str,
        typer.Argument(
            help="Comparisons (Parquet, JSONL, CSV, a data folder) or a run file (.toml)."
        ),
    ],
    output: Annotated[str, Option("--output", "-o", help="Folder of the trained model.")] = "",
    model: Annotated[
        str,
        Option(help="A family, such as bt or pal, or auto to choose one (default hierarchical)."),
    ] = "",
    option: Annotated[
        list[str] | None, Option("--set", help="An option of the model, NAME=VALUE; repeatable.")
    ] = None,
    objective: Annotated[
        str, Option(help="What to minimise, such as rdpo or lipo_lambda (--model bt or pal).")
    ] = "",
    objective_option: Annotated[
        list[str] | None, Option("--objective-set", help="An option of the objective, NAME=VALUE.")
    ] = None,
    auxiliary: Annotated[
        list[str] | None,
        Option(help="A term beside the objective, NAME=WEIGHT or NAME.OPTION=VALUE; repeatable."),
    ] = None,
    encoder: Annotated[
        str,
        Option(
            help="static, hashing or transformers (default auto: vectors that come with the data, "
            "else static)."
        ),
    ] = "",
    encoder_option: Annotated[
        list[str] | None, Option("--encoder-set", help="An option of the encoder, NAME=VALUE.")
    ] = None,
    layout: LayoutOption = "",
    columns: ColumnsOption = "",
    identical: IdenticalOption = "",
    split: Annotated[
        str, Option(help="given, four_cells or all (default auto: given where the data has parts).")
    ] = "",
    groups: Annotated[
        str, Option(help="Column that names each row's data set (--set reducer=more).")
    ] = "",
    margins: Annotated[
        str,
        Option(
            help="Column of margins that the objective is to keep (--objective, or --set loss=margin of gpm)."
        ),
    ] = "",
    languages: Annotated[
        str, Option(help="Column of language tags, such as de-AT, that questions keep.")
    ] = "",
    keys: Annotated[
        str,
        Option(
            help="Column that names the sender of each row; none has more than 20 % of the loss."
        ),
    ] = "",
    strengths: Annotated[
        str,
        Option(help="Column by how much the one was preferred; stronger answers count for more."),
    ] = "",
    strength_exponent: Annotated[
        float | None,
        Option(
            help="What they count for: strength to this power (default: held-out people choose)."
        ),
    ] = None,
    rewards: Annotated[
        str,
        Option(
            help="File of what reward models gave each item (--model pro): a column item_id or text, "
            "and a column of numbers a model; --set names=A,B picks some."
        ),
    ] = "",
    ratings: Annotated[
        str,
        Option(help="File of ratings of items (--model pro), as --rewards; cells may be empty."),
    ] = "",
    questions: Annotated[
        int | None, Option(help="Size of the onboarding pool (default 500).")
    ] = None,
    flags: Annotated[
        str, Option(help="Column that is true where a pair must not be asked about, as unsafe.")
    ] = "",
    terms: Annotated[
        str, Option(help="File of words and phrases, one a line, that no question may hold.")
    ] = "",
    max_lix: Annotated[
        float | None, Option(help="How hard a question may read: 40 newspapers, 60 very hard.")
    ] = None,
    seed: Annotated[
        int | None, Option(help="Seed of splits, starts and orders (default 0).")
    ] = None,
    device: Annotated[str, Option(help="cpu or cuda (default auto).")] = "",
    fresh: Annotated[bool, Option("--fresh", help="Start over instead of resuming.")] = False,
    as_json: Annotated[bool, Option("--json", help="Print the card as JSON.")] = False,
) -> int:
    """Learn a model from comparisons and save it.

    An interrupted run of the same configuration goes on where it was, and says so.

    Example: gustibus train logs.parquet -o runs/first --model hierarchical
    """
    from gustibus.cli.progress import Bars, remarks
    from gustibus.data import parse_columns
    from gustibus.training import RunConfig, train

    given: dict[str, Any] = {
        "output": output, "model": model, "encoder": encoder, "layout": layout, "split": split,
        "identical": identical,
        "groups": groups, "margins": margins, "languages": languages, "keys": keys, "objective": objective,
        "device": device, "questions": questions, "seed": seed, "strengths": strengths,
        "strength_exponent": strength_exponent, "flags": flags, "terms": terms, "max_lix": max_lix,
        "rewards": rewards, "ratings": ratings,
    }  # fmt: skip
    given = {name: value for name, value in given.items() if value not in ("", None)}
    if columns:
        given["columns"] = parse_columns(columns)
    if option:
        given["model_options"] = parse_options(option)
    if objective_option:
        given["objective_options"] = parse_options(objective_option)
    if auxiliary:
        given["auxiliary"] = _terms(auxiliary)
    if encoder_option:
        given["encoder_options"] = parse_options(encoder_option)
    if source.endswith(".toml"):
        config = RunConfig.read(source, **given)
    else:
        if not output:
            message = "--output is missing: say where the model goes"
            raise ConfigError(message, where="--output")
        config = RunConfig(data=source, **given)
    with Bars() as bars, remarks("gustibus.training"):
        artifact = train(config, progress=bars.update, resume=not fresh)
    card = dict(artifact.card)
    if as_json:
        from gustibus.cli.common import emit

        emit({**card, "digest": artifact.digest})
        return 0
    data, fit = card["data"], card["fit"]
    chosen = fit.get("auto")
    if chosen is not None:
        sys.stdout.write(f"chosen: {chosen['chosen']['title']}; {chosen['why']}\n")
    if isinstance(fit.get("objective"), dict):
        sys.stdout.write(f"objective: {_objective(fit['objective'])}\n")
    if fit.get("foretold"):
        sys.stdout.write(f"rewards, and how well features foretell them: {_foretold(fit)}\n")
    sys.stdout.write(
        f"{artifact.model.family}: learned from {data['comparisons']} of "
        f"{data['comparisons_given']} comparisons, {data['people']} of {data['people_given']} "
        f"people, {data['items']} items, in {fit['seconds']:.1f} s{_held_out(config, data)}\n"
        f"personal directions: {artifact.model.user_dim}; questions for onboarding: "
        f"{0 if artifact.pool is None else len(artifact.pool)}\n"
        f"saved {Path(config.output)} (digest {artifact.digest[:12]})\n"
        f"next: {_next(config, source)}\n"
    )
    return 0


def _held_out(config: RunConfig, data: dict[str, Any]) -> str:
    """What became of the rest."""
    rest = "" if config.split == "all" else "; the rest is held out"
    dropped = data["identical_dropped"]
    return f"{rest}; {dropped} with the same response twice left out" if dropped else rest


def _next(config: RunConfig, source: str) -> str:
    """The command that a model of this run is for: one that saw everybody cannot be judged here."""
    if config.split == "all":
        return f"gustibus serve --upgrade --model {quote(config.output)}"
    data = source if source.endswith(".toml") else config.data
    return f"gustibus eval {quote(data)} --model {quote(config.output)}"


def _foretold(fit: dict[str, Any]) -> str:
    """Each reward's share of the variance that is explained for items that were held out."""
    return ", ".join(
        f"{name} {'unknown' if share is None else f'{share:.2f}'}"
        for name, share in fit["foretold"].items()
    )


def _objective(found: dict[str, Any]) -> str:
    """What a model was trained to minimise, in words."""
    options = ", ".join(f"{name} {value}" for name, value in found["options"].items())
    lists = f", {found['lists']} lists" if "lists" in found else ""
    terms = "".join(
        f", {name} x {term['weight']:g}" for name, term in found.get("auxiliary", {}).items()
    )
    return f"{found['name']}{f' ({options})' if options else ''}{lists}{terms}"


def _terms(pairs: list[str]) -> dict[str, dict[str, Any]]:
    """Weights and options of auxiliary terms by name."""
    found: dict[str, dict[str, Any]] = {}
    for key, value in parse_options(pairs).items():
        name, _, option = key.partition(".")
        found.setdefault(name, {})[option or "weight"] = value
    return found
