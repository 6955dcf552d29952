"""`gustibus rank`: orders, strengths, committees and fair orders from files of ballots."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gustibus.errors import ConfigError, InputError, NotFoundError

Option = typer.Option
_PREFLIB = (".soc", ".soi", ".toc", ".toi", ".cat")

BallotsArgument = Annotated[
    Path,
    typer.Argument(
        help="Ballots: PrefLib (.soc .soi .toc .toi), or JSON Lines, a ballot a line: "
        '["a", ["b", "c"]], best first, a list inside ties; or CSV, a ballot a row.'
    ),
]
SetOption = Annotated[
    list[str] | None, Option("--set", help="NAME=VALUE: an option of the rule; may be repeated.")
]
JsonOption = Annotated[bool, Option("--json", help="One JSON document.")]
LimitOption = Annotated[
    float | None, Option(help="Seconds after which a search returns the best that it has.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    rank = typer.Typer(
        help="Decide for groups: orders, strengths, committees, fair orders, matching.",
        no_args_is_help=True,
    )
    rank.command("aggregate")(aggregate_command)
    rank.command("committee")(committee_command)
    rank.command("strengths")(strengths_command)
    rank.command("rules")(rules_command)
    match = typer.Typer(help="Match arrivals to items with limited room.", no_args_is_help=True)
    match.command("simulate")(simulate_command)
    match.command("rules")(matching_rules_command)
    rank.add_typer(match, name="match")
    app.add_typer(rank, name="rank")


def aggregate_command(
    *,
    ballots: BallotsArgument,
    method: Annotated[str, Option(help="A rule of `gustibus rank rules`.")] = "schulze",
    settings: SetOption = None,
    time_limit: LimitOption = None,
    as_json: JsonOption = False,
) -> int:
    """One order for all voters.

    Example: gustibus rank aggregate election.soi --method kemeny
    """
    from gustibus.cli.common import emit, parse_options
    from gustibus.social import decide

    found = decide(
        read_ballots(ballots), method, options=parse_options(settings or []), time_limit=time_limit
    )
    if as_json:
        emit({
            "method": found.rule, "winners": list(found.winners), "order": list(found.order),
            "ranking": [list(bucket) for bucket in found.ranking],
            "scores": None if found.scores is None else found.scores.tolist(),
            "labels": list(found.labels), "value": found.value, "bound": found.lower_bound,
            "gap": found.gap, "optimal": found.optimal,
        })  # fmt: skip
        return 0
    scores = None if found.scores is None else dict(zip(found.labels, found.scores, strict=True))
    for place, bucket in enumerate(found.ranking, 1):
        for label in bucket:
            score = "" if scores is None else f"{scores[label]:14.6g}"
            sys.stdout.write(f"{place:4}{score}  {label}\n")
    if found.value is not None:
        proof = "optimal" if found.optimal else f"at most {found.gap:.2%} above the best"
        sys.stderr.write(f"distance {found.value:g}, {proof}\n")
    return 0


def committee_command(
    *,
    ballots: BallotsArgument,
    k: Annotated[int, Option("-k", "--seats", help="Members to choose.")],
    rule: Annotated[str, Option(help="A rule of `gustibus rank rules --committees`.")] = "",
    approvals: Annotated[bool, Option(help="Ballots are sets of approved items.")] = False,
    groups: Annotated[
        Path | None, Option(help='JSON: {"group": ["item", …], …}, or {"item": "group", …}.')
    ] = None,
    lower: Annotated[list[str] | None, Option(help="GROUP=N: at least N; may be repeated.")] = None,
    upper: Annotated[list[str] | None, Option(help="GROUP=N: at most N; may be repeated.")] = None,
    equal: Annotated[bool, Option(help="As many from each group as from any other.")] = False,
    proportional: Annotated[bool, Option(help="Each group by its share of the items.")] = False,
    method: Annotated[str, Option(help="auto, exact, greedy, swap or milp.")] = "auto",
    audit: Annotated[bool, Option(help="Check jr, pjr, ejr and ejr+; for approvals.")] = False,
    time_limit: LimitOption = None,
    as_json: JsonOption = False,
) -> int:
    """A committee within bounds on groups, with how good it is known to be.

    Example: gustibus rank committee ballots.jsonl -k 10 --rule cc --groups groups.json --equal
    """
    from gustibus.cli.common import emit
    from gustibus.social import ApprovalProfile, check_committee, committee, price_of_fairness

    profile: Any = read_approvals(ballots) if approvals else read_ballots(ballots)
    policies = [n for n, on in (("equal", equal), ("proportional", proportional)) if on]
    bounds: dict[str, Any] = {}
    if groups is not None:
        bounds = {
            "groups": _groups(groups), "lower": _amounts("--lower", lower),
            "upper": _amounts("--upper", upper), "bounds": policies or None,
        }  # fmt: skip
    elif lower or upper or policies:
        message = "--groups: expected a file of groups with bounds, got none"
        raise ConfigError(message, where="--groups")
    options: dict[str, Any] = {
        "rule": rule or ("pav" if approvals else "cc"), "method": method, "time_limit": time_limit,
    }  # fmt: skip
    found = committee(profile, k, **options, **bounds)
    price = price_of_fairness(profile, k, **options, **bounds) if bounds and found.value else None
    checks = {}
    if audit:
        if not isinstance(profile, ApprovalProfile):
            message = "--audit: expected ballots with --approvals"
            raise ConfigError(message, where="--audit")
        checks = {n: c.holds for n, c in check_committee(profile, found.members).items()}
    if as_json:
        emit({
            "rule": found.rule, "method": found.method, "members": list(found.labels),
            "value": found.value, "upper_bound": found.upper_bound, "gap": found.gap,
            "optimal": found.optimal, "price_of_fairness": price, "audit": checks,
        })  # fmt: skip
        return 0
    sys.stdout.write("".join(f"{label}\n" for label in found.labels))
    facts = [f"{found.rule} by {found.method}"]
    if found.value is not None:
        proof = "optimal" if found.optimal else f"within {found.gap or 0:.2%} of the best"
        facts.append(f"value {found.value:g}, {proof}")
    if price is not None:
        facts.append(f"bounds cost {price:.2%}")
    facts += [f"{name} {'holds' if holds else 'fails'}" for name, holds in checks.items()]
    sys.stderr.write("; ".join(facts) + "\n")
    return 0


def strengths_command(
    *,
    comparisons: Annotated[
        Path, typer.Argument(help="CSV or JSON Lines with columns winner and loser.")
    ],
    winner: Annotated[str, Option(help="Column of the winner.")] = "winner",
    loser: Annotated[str, Option(help="Column of the loser.")] = "loser",
    as_json: JsonOption = False,
) -> int:
    """Strengths of items from who beat whom, by Bradley and Terry, best first."""
    from gustibus.cli.common import emit
    from gustibus.data.files import read_table
    from gustibus.social import bradley_terry

    table = read_table(_existing(comparisons))
    columns = {name: list(table.columns[name]) for name in (winner, loser) if name in table.columns}
    for name in (winner, loser):
        if name not in columns:
            message = f"{comparisons}: expected a column {name!r}, got {sorted(table.columns)}"
            raise InputError(message, where=str(comparisons))
    found = bradley_terry(columns[winner], columns[loser])
    rows = sorted(zip(found.scores, found.labels, strict=True), key=lambda row: -row[0])
    if as_json:
        emit([{"item": str(label), "strength": float(score)} for score, label in rows])
        return 0
    for place, (score, label) in enumerate(rows, 1):
        sys.stdout.write(f"{place:4}{score:+10.4f}  {label}\n")
    return 0


def rules_command(
    *,
    committees: Annotated[bool, Option(help="Rules of committees instead of orders.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Every rule with its source."""
    from gustibus.cli.common import emit
    from gustibus.social import committee_rules, rules

    if as_json and committees:
        emit([
            {"name": r.name, "ballots": r.ballots, "source": r.source} for r in committee_rules()
        ])  # fmt: skip
        return 0
    if as_json:
        emit([{"name": r.name, "source": r.source} for r in rules().values()])
        return 0
    rows = (
        [(f"{r.name} ({r.ballots})", r.source) for r in committee_rules()]
        if committees
        else [(r.name, r.source) for r in rules().values()]
    )
    wide = max(len(name) for name, _ in rows)
    sys.stdout.write("".join(f"{name:{wide}}  {source}\n" for name, source in rows))
    return 0


def simulate_command(
    *,
    source: Annotated[
        str, typer.Argument(help="A named instance, or a file with a recorded stream (JSON Lines).")
    ],
    rule: Annotated[str, Option(help="A rule of `gustibus rank match rules`.")] = "balance",
    runs: Annotated[int, Option(help="How many.")] = 20,
    seed: Annotated[int, Option(help="Of the first run.")] = 0,
    sizes: Annotated[
        list[str] | None, Option("--size", help="NAME=VALUE: a size of a named instance.")
    ] = None,
    settings: SetOption = None,
    plot: Annotated[str, Option(help="Where to save load and regret curves.")] = "",
    as_json: JsonOption = False,
) -> int:
    """Run a rule, and compare it with the optimum in hindsight and the linear program's bound.

    Example: gustibus rank match simulate triangular --rule ranking --plot curves.png
    """
    from gustibus.cli.common import emit, parse_options
    from gustibus.matching.study import run

    study = run(
        rule, source, runs=runs, seed=seed, sizes=parse_options(sizes or []),
        options=parse_options(settings or []), plot=plot or None,
    )  # fmt: skip
    if as_json:
        emit({
            "rule": study.rule, "instance": study.instance, "value": study.value.tolist(),
            "optimum": study.optimum.tolist(), "bound": study.bound.tolist(),
        })  # fmt: skip
        return 0
    sys.stdout.write(study.table() + "\n")
    return 0


def matching_rules_command(*, as_json: JsonOption = False) -> int:
    """Every matching rule with its source."""
    from gustibus.cli.common import emit
    from gustibus.matching import RULES

    if as_json:
        emit([{"name": name, "source": entry.source} for name, entry in RULES.items()])
        return 0
    wide = max(map(len, RULES))
    rows = (f"{name:{wide}}  {entry.source}\n" for name, entry in RULES.items())
    sys.stdout.write("".join(rows))
    return 0


def read_ballots(path: Path) -> Any:
    """A profile from a file of rankings.

    Raises:
        InputError: a line is no ballot; the message names file and line.
        NotFoundError: there is no such file.
    """
    from gustibus.social import Profile

    if _existing(path).suffix in _PREFLIB:
        return Profile.read(path)
    return Profile(_lines(path))


def read_approvals(path: Path) -> Any:
    """A profile from a file of approved sets; in PrefLib's `.cat` the first category counts."""
    from gustibus.social import ApprovalProfile

    rows = _lines(_existing(path))
    labels = sorted({str(name) for row in rows for name in row})
    return ApprovalProfile([[str(name) for name in row] for row in rows], labels=labels)


def _existing(path: Path) -> Path:
    if not path.is_file():
        message = f"{path}: no such file"
        raise NotFoundError(message, where=str(path))
    return path


def _lines(path: Path) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if path.suffix in (".csv", ".tsv", ".txt"):
            parts = text.split("\t" if path.suffix == ".tsv" else ",")
            rows.append([part.strip() for part in parts if part.strip()])
            continue
        try:
            row = json.loads(text)
        except ValueError as error:
            message = (
                f"{path}:{number}: expected a ballot as a JSON list, got {text[:40]!r} ({error})"
            )
            raise InputError(message, where=f"{path}:{number}") from None
        if not isinstance(row, list):
            message = f"{path}:{number}: expected a ballot as a list, got {type(row).__name__}"
            raise InputError(message, where=f"{path}:{number}")
        rows.append(row)
    if not rows:
        message = f"{path}: expected at least one ballot, got none"
        raise InputError(message, where=str(path))
    return rows


def _groups(path: Path) -> Any:
    try:
        given = json.loads(_existing(path).read_text(encoding="utf-8"))
    except ValueError as error:
        message = f"{path}: expected JSON, got {error}"
        raise InputError(message, where=str(path)) from None
    if not isinstance(given, dict):
        message = f"{path}: expected an object of groups, got {type(given).__name__}"
        raise InputError(message, where=str(path))
    if all(isinstance(items, list) for items in given.values()):
        return given
    sets: dict[str, list[str]] = {}
    for item, group in given.items():
        sets.setdefault(str(group), []).append(item)
    return sets


def _amounts(flag: str, pairs: Sequence[str] | None) -> dict[str, float | int] | None:
    return dict(map(lambda pair: _amount(flag, pair), pairs)) if pairs else None


def _amount(flag: str, pair: str) -> tuple[str, float | int]:
    name, _, value = pair.rpartition("=")
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not name or number < 0:
        message = f"{flag}: expected GROUP=NUMBER, got {pair!r}"
        raise ConfigError(message, where=flag)
    return name, number if 0 < number < 1 else int(number)
