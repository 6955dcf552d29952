"""`gustibus bulk-score`: the best candidates of everybody, as Parquet."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gustibus.cli.common import AddressOption, EngineOption, JsonOption, existing

if TYPE_CHECKING:
    from gustibus.artifact import Artifact
    from gustibus.types import F32, F64

Option = typer.Option


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("bulk-score")(bulk_score_command)


def bulk_score_command(
    *,
    model: Annotated[str, typer.Argument(help="Folder of a trained model.")],
    candidates: Annotated[
        Path, Option(help="Table with the columns id and text, or id and embedding.")
    ],
    output: Annotated[Path, Option("--output", "-o", help="Folder for the parts.")],
    prompt: Annotated[str, Option(help="The prompt that the candidates answer.")] = "",
    database: Annotated[
        str, Option(help="URL; people of a service beside those of the training.")
    ] = "",
    top: Annotated[int, Option(min=1, help="Candidates of each person.")] = 10,
    parts: Annotated[int, Option(min=1, help="Files.")] = 64,
    threads: Annotated[int, Option(min=0, help="That score; 0 takes one a core.")] = 0,
    engine: EngineOption = "threads",
    address: AddressOption = "",
    as_json: JsonOption = False,
) -> int:
    """Score every candidate for every person and keep the best of each, in parts of Parquet.

    The same command goes on where an earlier one was stopped, with either engine.

    Example: gustibus bulk-score runs/demo --candidates answers.parquet -o best --top 10
    """
    from gustibus.artifact import Artifact
    from gustibus.bulk import bulk_score, bulk_score_on_ray
    from gustibus.bulk.candidates import read_candidates
    from gustibus.cli.common import emit
    from gustibus.cli.progress import Bars
    from gustibus.scoring import Scorer

    artifact = Artifact.load(model)
    items, representations = read_candidates(Scorer(artifact), candidates, prompt=prompt)
    users, means = _people(artifact, database)
    with Bars() as bars:
        given: dict[str, Any] = {
            "digest": artifact.digest, "users": users, "means": means, "items": items,
            "representations": representations, "output": output, "top": min(top, len(items)),
            "parts": parts, "told": lambda here, of: bars.show("scoring", here, of, ""),
        }  # fmt: skip
        if engine == "ray":
            done = bulk_score_on_ray(artifact.model, address=address, **given)
        else:
            done = bulk_score(artifact.model, threads=threads or os.cpu_count() or 1, **given)
    if as_json:
        emit({"people": len(users), "scored": done, "candidates": len(items),
              "output": str(output)})  # fmt: skip
    else:
        sys.stdout.write(
            f"{done} of {len(users)} people scored, {len(items)} candidates: {output}\n"
        )
    return 0


def _people(artifact: Artifact, database: str) -> tuple[list[str], F32 | F64]:
    """Names and user vectors: of the training, and of a service, whose profiles win.

    People whose processing is restricted are left out.
    """
    import numpy as np

    if not database:
        return list(artifact.people.ids), artifact.people.means
    from gustibus.store import (
        Store,
        deleted_among,
        iter_profiles,
        restricted_among,
        training_forgotten,
    )

    found: dict[str, Any] = dict(zip(artifact.people.ids, artifact.people.means, strict=True))
    store = Store(existing(database))
    try:
        store.check_schema()
        with store.read() as conn:
            gone = training_forgotten(conn, users=list(found)) | deleted_among(conn, users=found)
            gone |= restricted_among(conn, users=found)
            found = {name: mean for name, mean in found.items() if name not in gone}
            for row in iter_profiles(conn, model=artifact.digest):
                found[row.user] = row.mean.astype(np.float32)
    finally:
        store.close()
    empty = np.zeros((0, artifact.model.user_dim), np.float32)
    return list(found), np.stack(list(found.values())) if found else empty
