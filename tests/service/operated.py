"""A server with versions, groups of people, jobs that wait, and an operator's keys."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gustibus.artifact import Artifact, People
from gustibus.posterior import GaussianPrior
from gustibus.store import Store, add_usage
from tests.service.harness import DIM, TASTES, Service, model_of, new_key, running
from tests.service.test_versions import ready

SIZES = (14, 11, 3)
"""People in each group; the last is too small to be shown."""
ANSWERS = 12
DAY = "2026-01-31"


@dataclass
class Operated:
    """The server, and two keys: one that may look, and one that may change things too."""

    service: Service
    looking: str
    changing: str
    names: list[list[str]]
    """Of the people in each group."""


def prior() -> GaussianPrior:
    """Three groups that are far apart: the first two want opposite things."""
    means = np.zeros((3, TASTES))
    means[0, 0], means[1, 0], means[2, 1] = 4.0, -4.0, 4.0
    return GaussianPrior(
        np.array([0.5, 0.3, 0.2]), means, np.repeat(0.1 * np.eye(TASTES)[None], 3, 0)
    )


def save(root: Path, *, seed: int) -> Artifact:
    """A model with these groups, in the registry under its digest."""
    base = model_of(DIM, seed=1)
    rng = np.random.default_rng(seed)
    model = replace(base, population=rng.standard_normal(DIM).astype(np.float32), prior=prior())
    card = {"name": "m", "family": "hierarchical", "version": "0", "encoder": None,
            "created": "2026-01-01T00:00:00+00:00"}  # fmt: skip
    reference = model.represent(rng.standard_normal((20, DIM)).astype(np.float32))
    artifact = Artifact(model, card, People.empty(TASTES), reference).save(root / "new")
    (root / "new").rename(root / artifact.digest)
    return artifact


def answers(model, features, names) -> list[dict]:
    """What people of the groups answer, most of it by their taste."""
    rng = np.random.default_rng(7)
    vectors, sent = model.represent(features), []
    for group, people in enumerate(names):
        for person in people:
            taste = prior().means[group] + 0.3 * rng.standard_normal(TASTES)
            for number in range(ANSWERS):
                a, b = rng.choice(len(features), 2, replace=False)
                margin = model.margin(taste, vectors[a], vectors[b])
                left = rng.random() < 1 / (1 + np.exp(-margin))
                sent.append({
                    "id": f"{person}-{number}", "user": person, "outcome": "a" if left else "b",
                    "a": {"id": f"item-{a}"}, "b": {"id": f"item-{b}"}, "source": "test",
                })  # fmt: skip
    return sent


@contextlib.contextmanager
def operated(folder: Path, features: np.ndarray) -> Iterator[Operated]:
    """The server, with version 1 in service and version 2 validated."""
    root = folder / "registry"
    root.mkdir()
    made = [save(root, seed=seed) for seed in (50, 51)]
    names = [[f"g{g}-{n:02}" for n in range(size)] for g, size in enumerate(SIZES, start=1)]
    url = f"sqlite:///{folder}/s.db"
    with running(
        url, folder, gustibus_models=str(root), gustibus_files=str(folder),
        gustibus_worker="0", gustibus_refresh="0.05",
    ) as service:  # fmt: skip
        with service.client() as http:
            ready(http, made)
            rows = [
                {"id": f"item-{n}", "embedding": row.tolist()} for n, row in enumerate(features)
            ]
            assert http.post("/v1/items:batch", json={"items": rows}).status_code == 200
            told = answers(made[0].model, features, names)
            reply = http.post("/v1/comparisons?wait=profile", json={"comparisons": told})
            assert reply.json()["profiles"] == "ready", reply.text
        looking = new_key(url, "admin")
        changing = new_key(url, "admin", "models:write", "models:read", "jobs", "users:write")
        store = Store(url)
        with store.write() as conn:
            add_usage(conn, day=DAY, used={looking.split("_")[2]: (640, 10)})
        store.close()
        service.settle(looking)
        service.settle(changing)
        yield Operated(service, looking, changing, names)
