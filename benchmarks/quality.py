"""How well families foretell people on preference data, beside baselines, with intervals.

    python benchmarks/quality.py FOLDER                              # every data set below FOLDER
    python benchmarks/quality.py FOLDER --data jester ccai --families bt hierarchical
    python benchmarks/quality.py FOLDER --families pal --set pal.prototypes=6

Every family is trained on the same split of a data set and judged by `gustibus.evaluation`: the same
draws of shots, intervals over people, differences paired by person. Under OUT there is a folder a
data set with the trained models and `report.json`, and `quality.md` with one table of all reports.
A run that was cut off goes on where it was: models of the same configuration are not trained again,
and a report of the same models and settings is not made again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from gustibus.artifact import Artifact
from gustibus.cli.common import parse_options
from gustibus.data.leaks import Split
from gustibus.errors import GustibusError
from gustibus.evaluation import Modelled, Report, evaluate
from gustibus.evaluation.findings import show
from gustibus.evaluation.judging import ALL
from gustibus.evaluation.markdown import table, yes
from gustibus.training import RunConfig, train
from gustibus.training.run import load_data, make_split

SIZES = (0, 1, 2, 5, 10, 20)
FOCUS = 5
BASELINES = ("linear", "shrunk", "item_mean", "length")


def main() -> int:
    options = arguments()
    names = options.data or sorted(p.parent.name for p in options.folder.glob("*/embeddings.npy"))
    failed = 0
    for name in names:
        failed += not run(options.folder / name, options)
    reports = [Report.load(p) for p in sorted(options.out.glob("*/report.json"))]
    text = "\n\n".join([summary(reports), figures(reports)]) + "\n"
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "quality.md").write_text(text, encoding="utf-8")
    print(text)
    return 4 if failed else 0


def run(folder: Path, options: argparse.Namespace) -> bool:
    """Train and judge the families on one data set; whether all went well."""
    out, whole = options.out / folder.name, True
    configs = {
        family: RunConfig(
            data=str(folder), output=str(out / family), model=family, questions=0,
            model_options=options.set.get(family, {}), seed=options.seed, device=options.device,
        )
        for family in options.families
    }  # fmt: skip
    artifacts: dict[str, Artifact] = {}
    for family, config in configs.items():
        try:
            artifacts[family] = trained(config, fresh=options.fresh)
        except GustibusError as error:
            print(f"{folder.name} {family}: {error.message}", file=sys.stderr, flush=True)
            whole = False
    if is_made(out, artifacts, options):
        print(f"{folder.name}: report kept", flush=True)
        return whole
    started = time.perf_counter()
    config = RunConfig(data=str(folder), output="", seed=options.seed)
    dataset, _ = load_data(config)
    split = make_split(dataset, config)
    for family, artifact in artifacts.items():
        same_split(family, artifact, split)
    report = evaluate(
        dataset, split, {n: Modelled.of(n, a, dataset) for n, a in artifacts.items()},
        sizes=SIZES, focus=FOCUS, draws=options.draws, seed=options.seed,
    )  # fmt: skip
    report.save(out)
    print(f"{folder.name}: judged in {time.perf_counter() - started:.0f} s", flush=True)
    return whole


def trained(config: RunConfig, *, fresh: bool) -> Artifact:
    """The model of a run, trained unless it lies there already."""
    if not fresh and (Path(config.output) / "MANIFEST.json").is_file():
        artifact = Artifact.load(config.output)
        if artifact.card.get("run") == json.loads(json.dumps(config.as_json())):
            return artifact
    started = time.perf_counter()
    artifact = train(config)
    print(f"{config.output}: trained in {time.perf_counter() - started:.0f} s", flush=True)
    return artifact


def is_made(out: Path, artifacts: dict[str, Artifact], options: argparse.Namespace) -> bool:
    """Whether the report of these models and settings is there."""
    try:
        report = Report.load(out)
    except GustibusError:
        return False
    found = {m.name: m.digest for m in report.methods if m.kind == "model"}
    settings = (report.sizes, report.draws, report.seed, report.focus)
    wanted = (SIZES, options.draws, options.seed, FOCUS)
    return not options.fresh and settings == wanted and found == {
        name: artifact.digest for name, artifact in artifacts.items()
    }  # fmt: skip


def same_split(family: str, artifact: Artifact, split: Split) -> None:
    """Stop where a kept model was trained on another split than the one that is judged."""
    rows = {name: len(index) for name, index in split.items()}
    if artifact.card["split"] != rows:
        message = f"{family}: was trained on another split; run again with --fresh"
        raise SystemExit(message)


def figures(reports: list[Report]) -> str:
    """One table of all data sets and methods."""
    head = [
        "data", "method", "query, 0 shots", f"{FOCUS} shots", "20 shots", "all answers",
        "seen people, test", f"− linear, {FOCUS} shots", f"− shrunk, {FOCUS} shots",
        f"− bt, {FOCUS} shots", f"user-swap drop, {FOCUS} shots", "personal",
        "user-swap drop, all answers", "personal",
    ]  # fmt: skip
    rows = []
    for report in reports:
        for m in report.methods:
            points = [m.point("query", size) for size in (0, FOCUS, 20)]
            cells = [m.cell(part) for part in ("query", "test")]
            rows.append([
                report.dataset, f"`{m.name}`",
                *("–" if p is None else show(p.accuracy) for p in (*points, *cells)),
                *(difference(report, m.name, other) for other in ("linear", "shrunk", "bt")),
                *(text for swap in (m.few_swap, m.swap) for text in (
                    ("–", "–") if swap is None else (show(swap.drop, sign=True), yes(swap.personal))
                )),
            ])  # fmt: skip
    note = (
        "Accuracy, mean over new people on `query` (mean over draws), with 95 % intervals over "
        f"people; differences are paired by person at {FOCUS} shots, or, marked with *, on all "
        "answers where nobody has as many. The user-swap at "
        f"{FOCUS} shots is on `query`, that on all answers on the headline part."
    )
    return note + "\n\n" + table(head, rows)


def difference(report: Report, name: str, other: str) -> str:
    if name == other:
        return "–"
    found = report.difference(name, other, part="query", shots=FOCUS)
    if found is not None:
        return show(found.accuracy, sign=True)
    found = report.difference(name, other, part="query", shots=ALL)
    return "–" if found is None else show(found.accuracy, sign=True) + "*"


def summary(reports: list[Report]) -> str:
    """What each data set can tell."""
    head = ["data", "new people", "headline", "tells methods apart", "personal signal",
            "failed controls"]  # fmt: skip
    rows = [
        [
            r.dataset, str(r.people["new"]), f"`{r.headline}`", yes(r.verdict.separates),
            yes(r.verdict.personal_signal),
            ", ".join(c.name for c in r.controls if c.passed is False) or "none",
        ]
        for r in reports
    ]  # fmt: skip
    return table(head, rows)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of data folders")
    parser.add_argument("--data", nargs="+", help="names of data folders; default all")
    parser.add_argument("--families", nargs="*", default=["bt", "pal", "hierarchical"])
    parser.add_argument("--set", nargs="*", default=[], metavar="FAMILY.NAME=VALUE")
    parser.add_argument("--out", type=Path, default=Path("quality"))
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--fresh", action="store_true", help="train and judge everything again")
    options = parser.parse_args()
    by_family: dict[str, dict[str, Any]] = {}
    for key, value in parse_options(options.set).items():
        family, _, name = key.partition(".")
        by_family.setdefault(family, {})[name] = value
    options.set = by_family
    return options


if __name__ == "__main__":
    sys.exit(main())
