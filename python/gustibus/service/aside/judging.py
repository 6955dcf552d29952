"""A version of the model, judged by the protocol of `gustibus eval` on what it was not trained on."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gustibus.artifact import Artifact
from gustibus.data import Dataset, Split, Table, read, to_comparisons
from gustibus.data.folder import further_columns
from gustibus.data.origin import Origin
from gustibus.data.splits import fitted_split
from gustibus.errors import InputError
from gustibus.evaluation import Modelled, Report
from gustibus.evaluation import evaluate as evaluate_by_protocol
from gustibus.evaluation.report import encode
from gustibus.service.aside.answers import answers_of
from gustibus.service.aside.channel import Order, run
from gustibus.service.work.imports import source_of
from gustibus.store import Store, hasher, hashing_key
from gustibus.types import I64, Bool

LEAST = 10
"""Fewest people of a kind that are judged."""
_KINDS = {"test": "trained_on", "query": "new"}
_NAME = "version"


def judge(order: Order) -> dict[str, Any]:
    """Judge the version, and keep the report.

    Raises:
        InputError: there are too few people, or the version has no encoder of texts.
    """
    artifact = order.model()
    with order.store() as store:
        data = _data(order, store)
        split = _split(artifact, data, _fitted(artifact, data, store), int(order.params["seed"]))
    dataset = _encoded(order, artifact, data.dataset)
    report = evaluate_by_protocol(
        dataset, split, {_NAME: Modelled.of(_NAME, artifact, dataset)},
        draws=int(order.params["draws"]), seed=int(order.params["seed"]),
        progress=lambda _stage, done, total, _figure: order.tell(done, total),
    )  # fmt: skip
    _keep(order.file(".md"), report.markdown())
    _keep(order.file(".json"), json.dumps(report.as_json(), indent=1, allow_nan=False) + "\n")
    return _told(artifact, report)


class _Data(NamedTuple):
    dataset: Dataset
    stored: bool
    """Whether the answers are the store's, which tells when each came."""


def _data(order: Order, store: Store) -> _Data:
    """The answers of the store, or of a file of the operator's folder."""
    if "file" in order.params:
        path = source_of(order.settings.import_folder, order.params["file"])
        return _Data(read(path, identical="drop"), stored=False)
    rows = answers_of(store).rows
    if not rows:
        raise _too_few({})
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    table = Table(columns, Origin("the store", np.arange(1, len(rows) + 1)))
    comparisons = to_comparisons(table, layout="gustibus", identical="drop")
    further = further_columns(table, comparisons.source_row)
    return _Data(Dataset(comparisons, row_table=further, name="store"), stored=True)


def _fitted(artifact: Artifact, data: _Data, store: Store) -> Bool:
    """`(n,)` answers that the version was trained on, by what it kept of them, else by their time.

    A file is taken to hold none.
    """
    count = len(data.dataset.comparisons)
    if not data.stored:
        return np.zeros(count, np.bool_)
    table = data.dataset.row_table
    if artifact.trained is not None:
        with store.write() as conn:
            hashed = hasher(hashing_key(conn))
        known = artifact.trained.known
        return np.array([hashed(str(name)) in known for name in table["comparison"]], np.bool_)
    made = datetime.fromisoformat(str(artifact.card["created"]))
    made = made if made.tzinfo else made.replace(tzinfo=UTC)
    return np.array([datetime.fromisoformat(at) <= made for at in table["created_at"]], np.bool_)


def _split(artifact: Artifact, data: _Data, fitted: Bool, seed: int) -> Split:
    """People whom the version knows and people whom it does not, as far as there are enough of a kind.

    Baselines learn from the answers that the version was trained on. Where the data holds none of
    them, they learn from half of the new people, who are then not judged.

    Raises:
        InputError: there are too few people of either kind.
    """
    c = data.dataset.comparisons
    seen = np.array([user in artifact.people.rows for user in c.user_ids], np.bool_)
    found = fitted_split(c, seen=seen, fitted=fitted, seed=seed)
    parts, dropped = dict(found.parts), dict(found.dropped)
    if not len(parts["train"]):
        learners = np.random.default_rng(seed).permutation(np.unique(c.user[parts["query"]]))
        mine = np.isin(c.user, learners[: len(learners) // 2])
        both = np.concatenate([parts[name][mine[parts[name]]] for name in ("support", "query")])
        parts["train"] = np.sort(both)
        parts |= {name: parts[name][~mine[parts[name]]] for name in ("support", "query")}
    judged = {part: _people(c.user, parts[part]) for part in _KINDS}
    if all(count < LEAST for count in judged.values()) or not len(parts["train"]):
        raise _too_few(judged)
    for part, count in judged.items():
        if count < LEAST:
            dropped[f"few_people_{_KINDS[part]}"] = len(parts.pop(part))
    return Split(parts, found.unit, dropped)


def _people(user: Any, rows: I64) -> int:
    return len(np.unique(user[rows]))


def _too_few(judged: dict[str, int]) -> InputError:
    message = (
        f"an evaluation needs {LEAST} people of one kind: people whom the version was trained on, with "
        "answers that it was not trained on, or new people with two different pairs each (and "
        f"as many again where none of the others has answered); there are {judged.get('test', 0)} and "
        f"{judged.get('query', 0)}"
    )
    return InputError(message, where="comparisons")


def _encoded(order: Order, artifact: Artifact, dataset: Dataset) -> Dataset:
    """The data with vectors by the version's encoder."""
    encoder = order.scorer(artifact).encoder
    c = dataset.comparisons
    return Dataset(
        c, item_features=encoder.encode(list(c.item_texts)),
        prompt_features=encoder.encode(list(c.prompts)), row_table=dataset.row_table,
        name=dataset.name,
    )  # fmt: skip


def _keep(path: Path, text: str) -> None:
    scratch = path.with_name(f".{path.name}")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)


def _told(artifact: Artifact, report: Report) -> dict[str, Any]:
    """The figures of the version for each kind of people, with intervals."""
    found = report.method(_NAME)
    figures = {
        kind: {name: encode(getattr(cell, name)) for name in ("rows", "accuracy", "log_loss")}
        for part, kind in _KINDS.items()
        if (cell := found.cell(part)) is not None
    }
    return {"model": artifact.digest, "figures": figures, "separates": report.verdict.separates}


if __name__ == "__main__":
    run(judge)
