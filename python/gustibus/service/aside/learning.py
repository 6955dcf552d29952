"""A model learned from the answers that the store holds, put among the others under its digest."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gustibus.artifact import Artifact, Trained
from gustibus.data import Dataset, read
from gustibus.errors import InputError
from gustibus.models.automatic_options import AUTO
from gustibus.service.aside.answers import LeftOut, answers_of
from gustibus.service.aside.channel import Order, run
from gustibus.service.aside.weighing import weighed
from gustibus.service.settings import Settings
from gustibus.service.work.placing import place
from gustibus.store import Store, champion, hasher, hashing_key, key_name, trusted_keys
from gustibus.training import RunConfig, train
from gustibus.training.run import make_split
from gustibus.types import I64

_DATA = "answers.jsonl"
_PLACED = ("train", "val", "valid_people")
"""Parts of a split that a model is fitted on, or its settings are chosen on."""


def learn(order: Order) -> dict[str, Any]:
    """Train, or go on with a training, and say what came of it.

    Raises:
        GustibusError: there are too few answers, or the options are wrong.
    """
    with order.folder() as folder, order.store() as store:
        os.chdir(folder)  # the card tells no folder of this machine
        told = _keep_answers(folder, store)
        config = _config(order, store, told["trusted"])
        if not (folder / config.output / "MANIFEST.json").is_file():
            train(config, progress=lambda _stage, done, total, _figure: order.tell(done, total))
        artifact = Artifact.load(config.output)
        trained = _trained(store, read(_DATA, identical=config.identical), config)
        artifact = replace(artifact, trained=trained).save("whole")
        place(order.settings, order.job, Path("whole"), artifact.digest)
        os.chdir("/")
    data, limits = artifact.card["data"], artifact.card["limits"]
    return {
        "digest": artifact.digest, "family": artifact.model.family, "people": data["people"],
        "comparisons": data["comparisons"], "people_given": data["people_given"],
        "comparisons_given": data["comparisons_given"], "metrics": artifact.card["metrics"],
        "left_out": told["left_out"], "key_share": limits["share"], "limited_keys": limits["limited"],
    }  # fmt: skip


def _keep_answers(folder: Path, store: Store) -> dict[str, Any]:
    """Write down the answers as of now, once for all processes of the job, and what is told of them."""
    data, told = folder / _DATA, folder / "told.json"
    if not data.is_file():
        answers = answers_of(store)
        if not answers.rows:
            message = (
                f"there are no answers with texts on both sides ({_reasons(answers.left_out)})"
            )
            raise InputError(message, where="comparisons")
        with store.read() as conn:
            trusted = sorted(trusted_keys(conn))
        found = {"left_out": answers.left_out._asdict(), "trusted": trusted}
        told.write_text(json.dumps(found))
        scratch = folder / f".{_DATA}"
        with scratch.open("w", encoding="utf-8") as file:
            for row, weight in zip(answers.rows, weighed(answers.rows), strict=True):
                file.write(json.dumps({**row, "weight": weight}) + "\n")
        scratch.replace(data)
    return dict(json.loads(told.read_text()))


def _reasons(left_out: LeftOut) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in left_out._asdict().items())


def _config(order: Order, store: Store, trusted: Sequence[str]) -> RunConfig:
    params, settings = order.params, order.settings
    options = dict(params["options"])
    if params["family"] == AUTO:
        options.setdefault("minutes", params["minutes"])
    encoder = _encoder(settings, store)
    return RunConfig(
        data=_DATA, output=settings.model_name, layout="gustibus", identical="drop",
        split=params["split"], model=params["family"], model_options=options,
        objective=params["objective"], objective_options=params["objective_options"],
        questions=params["questions"], seed=params["seed"],
        encoder=encoder.get("name", "auto"), encoder_options=encoder.get("options", {}),
        strengths="strength" if _is_told("strength") else "",
        keys="key" if _is_told("key") else "", trusted_keys=tuple(trusted), limit_people=True,
    )  # fmt: skip


def _is_told(column: str) -> bool:
    """Whether any answer that was written down has something in a column."""
    with Path(_DATA).open(encoding="utf-8") as file:
        return any(json.loads(line).get(column) is not None for line in file)


def _encoder(settings: Settings, store: Store) -> dict[str, Any]:
    """That of the version in service, so that texts are encoded as they are now; empty for the default."""
    with store.read() as conn:
        row = champion(conn, model=settings.model_name)
    card = None if row is None else Path(settings.models).resolve() / row.digest / "card.json"
    if card is None or not card.is_file():
        return {}
    return json.loads(card.read_text(encoding="utf-8")).get("encoder") or {}


def _trained(store: Store, dataset: Dataset, config: RunConfig) -> Trained:
    """Keyed hashes of the people and the answers that were used."""
    split = make_split(dataset, config)
    rows: I64 = np.unique(np.concatenate([split[name] for name in _PLACED if name in split]))
    with store.write() as conn:  # the key may have to be made
        key = hashing_key(conn)
    hashed = hasher(key)
    c = dataset.comparisons
    return Trained.of(
        (hashed(c.user_ids[code]) for code in np.unique(c.user[rows])),
        (hashed(str(name)) for name in dataset.row_table["comparison"][rows]),
        key=key_name(key),
    )


if __name__ == "__main__":
    run(learn)
