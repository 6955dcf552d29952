"""A model learned from the answers that the store holds, put among the others under its digest."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gustibus.artifact import Artifact, Trained
from gustibus.data import Dataset, read
from gustibus.errors import InputError
from gustibus.folders import put_in_place, scratch_folder
from gustibus.models.automatic_options import AUTO
from gustibus.robustness import limit_influence
from gustibus.service.aside.answers import Answers, LeftOut, answers_of
from gustibus.service.aside.channel import Order, run
from gustibus.service.settings import Settings
from gustibus.store import Store, champion, hasher, hashing_key
from gustibus.training import RunConfig, train
from gustibus.training.run import make_split
from gustibus.types import I64

_DATA = "answers.jsonl"
_SHARE, _FIVE = 0.001, 5.0
"""No person weighs more than the larger of this share and five times the mean of all."""
_PLACED = ("train", "val", "valid_people")
"""Parts of a split that a model is fitted on, or its settings are chosen on."""


def learn(order: Order) -> dict[str, Any]:
    """Train, or go on with a training, and say what came of it.

    Raises:
        GustibusError: there are too few answers, or the options are wrong.
    """
    with order.folder() as folder, order.store() as store:
        os.chdir(folder)  # the card tells no folder of this machine
        left_out = _keep_answers(folder, store)
        config = _config(order, store)
        if not (folder / config.output / "MANIFEST.json").is_file():
            train(config, progress=lambda _stage, done, total, _figure: order.tell(done, total))
        artifact = Artifact.load(config.output)
        trained = _trained(store, read(_DATA, identical=config.identical), config)
        artifact = replace(artifact, trained=trained).save("whole")
        _put(Path("whole"), Path(order.settings.models).resolve() / artifact.digest)
        os.chdir("/")
    data = artifact.card["data"]
    return {
        "digest": artifact.digest, "family": artifact.model.family, "people": data["people"],
        "comparisons": data["comparisons"], "people_given": data["people_given"],
        "comparisons_given": data["comparisons_given"], "left_out": left_out,
        "metrics": artifact.card["metrics"],
    }  # fmt: skip


def _keep_answers(folder: Path, store: Store) -> dict[str, int]:
    """Write down the answers as of now, once for all processes of the job."""
    data, told = folder / _DATA, folder / "left_out.json"
    if not data.is_file():
        answers = answers_of(store)
        if not answers.rows:
            message = (
                f"there are no answers with texts on both sides ({_reasons(answers.left_out)})"
            )
            raise InputError(message, where="comparisons")
        told.write_text(json.dumps(answers.left_out._asdict()))
        scratch = folder / f".{_DATA}"
        with scratch.open("w", encoding="utf-8") as file:
            for row, weight in zip(answers.rows, _weights(answers), strict=True):
                file.write(json.dumps({**row, "weight": weight}) + "\n")
        scratch.replace(data)
    return dict(json.loads(told.read_text()))


def _reasons(left_out: LeftOut) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in left_out._asdict().items())


def _weights(answers: Answers) -> list[float]:
    """Of each answer, so that nobody outweighs the others."""
    users = [row["user"] for row in answers.rows]
    weights = [row["weight"] for row in answers.rows]
    share = min(1.0, max(_FIVE / len(set(users)), _SHARE))
    return [float(weight) for weight in limit_influence(users, weights, share)]


def _config(order: Order, store: Store) -> RunConfig:
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
    )  # fmt: skip


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
        hashed = hasher(hashing_key(conn))
    c = dataset.comparisons
    return Trained.of(
        (hashed(c.user_ids[code]) for code in np.unique(c.user[rows])),
        (hashed(str(name)) for name in dataset.row_table["comparison"][rows]),
    )


def _put(folder: Path, target: Path) -> None:
    """Copy a model to where it is whole or not at all."""
    if target.is_dir():
        return
    with scratch_folder(target) as scratch:
        shutil.copytree(folder, scratch, dirs_exist_ok=True)
        put_in_place(scratch, target)


if __name__ == "__main__":
    run(learn)
