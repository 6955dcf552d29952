"""Versions of the model, judged on the operator's golden set for the gate of promotions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gustibus.artifact import Artifact
from gustibus.data import Dataset, read
from gustibus.errors import GustibusError
from gustibus.evaluation.golden import golden_figures
from gustibus.service.aside.channel import Order, run
from gustibus.service.golden import golden_digest
from gustibus.store import Store, attributes_of


def judge(order: Order) -> dict[str, Any]:
    """Judge versions, and keep their figures.

    Raises:
        GustibusError: the golden set cannot be read, or a version is not here or has no encoder.
    """
    settings, models = order.settings, list(order.params["models"])
    digest = golden_digest(settings)
    dataset = read(settings.golden, identical="drop")
    with order.store() as store:
        groups = _groups(dataset, settings.golden_groups, store)
    judged = {}
    for done, model in enumerate(models):
        order.tell(done, len(models))
        artifact = replace(order, params={"model": model}).model()
        encoded = _encoded(order, artifact, dataset)
        judged[model] = {"digest": digest, **golden_figures(artifact, encoded, groups).as_json()}
    if golden_digest(settings) != digest:
        message = "the golden set was changed meanwhile; ask again"
        raise GustibusError(message)
    _keep(order.file(".json"), json.dumps(judged, indent=1) + "\n")
    return {"judged": judged}


def _encoded(order: Order, artifact: Artifact, dataset: Dataset) -> Dataset:
    """The golden set with vectors by the version's encoder, unless it has its own."""
    if dataset.item_features is not None:
        return dataset
    encoder, c = order.scorer(artifact).encoder, dataset.comparisons
    return replace(
        dataset, item_features=encoder.encode(list(c.item_texts)),
        prompt_features=encoder.encode(list(c.prompts)),
    )  # fmt: skip


def _groups(dataset: Dataset, name: str, store: Store) -> Mapping[str, str]:
    """The group of each person: of a further column of the golden set, else of the people's attributes."""
    if not name:
        return {}
    c = dataset.comparisons
    if name in dataset.row_table:
        people = [c.user_ids[code] for code in c.user.tolist()]
        each = list(zip(people, dataset.row_table[name].tolist(), strict=True))
    else:
        with store.read() as conn:
            known = attributes_of(conn, users=c.user_ids)
        each = [(user, found.get(name)) for user, found in known.items()]
    return {user: str(cell) for user, cell in each if cell not in (None, "") and cell == cell}


def _keep(path: Path, text: str) -> None:
    scratch = path.with_name(f".{path.name}")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)


if __name__ == "__main__":
    run(judge)
