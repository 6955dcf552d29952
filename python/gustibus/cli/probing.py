"""`gustibus eval --probe`: probes of a table of judgements, or of what a model says."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gustibus.errors import ConfigError

if TYPE_CHECKING:
    from gustibus.data import Dataset, Split
    from gustibus.evaluation import Modelled

OF_BENCHMARKS = {"rewardbench": "rewardbench", "rag_subsets": "rag_rewardbench"}
"""Probes of public benchmarks, and the layout that their rows have unless another is named."""


def run_probes(
    data: str,
    columns: Mapping[str, Any],
    probes: Sequence[str],
    *,
    options: Sequence[str],
    by: str,
    output: str,
    as_json: bool,
) -> int:
    """Run probes on columns, print what they find, and save it where a folder is named."""
    from gustibus.cli.common import emit
    from gustibus.evaluation.probes import probe

    report = probe(data, columns, probes, by=_listed(by), options=_options(probes, options))
    if output:
        report.save(output)
    if as_json:
        emit(report.as_json())
        return 0
    sys.stdout.write(report.markdown())
    if output:
        sys.stdout.write(f"\nsaved {Path(output)}\n")
    return 0


def check_probes(probes: Sequence[str]) -> None:
    """Bring all probes, and refuse a name that none has."""
    import gustibus.robustness  # noqa: F401 - its probes are listed on import
    from gustibus.evaluation.probes import PROBES

    for name in probes:
        PROBES[name]  # raises for a name that is not there


def columns_of_file(path: str) -> Mapping[str, Any]:
    """The columns of a table as they stand."""
    from gustibus.data import read_table

    return read_table(path).columns


def columns_of_benchmark(path: str, layout: str, model: str) -> Mapping[str, Any]:
    """A benchmark's rows scored by a trained model, for nobody in particular."""
    import gustibus
    from gustibus.data import read_table
    from gustibus.evaluation.probes import benchmark_rows, judge_items

    items = benchmark_rows(read_table(path), layout)
    return judge_items(items, gustibus.load(model).score)


def columns_of_models(
    dataset: Dataset, split: Split, models: Mapping[str, Modelled], *, seed: int
) -> Mapping[str, Any]:
    """What one model says about the answers that its training held out."""
    from gustibus.evaluation.probes.predictions import predicted_columns
    from gustibus.evaluation.protocol import Trial

    (model,) = models.values()
    return predicted_columns(Trial(dataset, split, seed=seed), model)


def benchmark_layout(probes: Sequence[str], layout: str) -> str:
    """The layout in which rows of a benchmark are to be scored; empty where none is asked for.

    Raises:
        ConfigError: probes of benchmarks are mixed with others.
    """
    layouts = {OF_BENCHMARKS.get(name, "") for name in probes}
    if len(layouts) > 1:
        message = f"--probe: expected probes that read one kind of row, got {list(probes)}"
        raise ConfigError(message, where="--probe")
    (usual,) = layouts
    return (layout or usual) if usual else ""


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _options(probes: Sequence[str], pairs: Sequence[str]) -> dict[str, dict[str, Any]]:
    from gustibus.cli.common import parse_options

    found: dict[str, dict[str, Any]] = {name: {} for name in probes}
    for key, value in parse_options(list(pairs)).items():
        name, dot, option = key.partition(".")
        if not dot or name not in found:
            message = f"--set: expected PROBE.NAME=VALUE with PROBE of {list(probes)}, got {key!r}"
            raise ConfigError(message, where="--set")
        found[name][option] = value
    return found
