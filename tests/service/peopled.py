"""A server of texts with groups of people, whose answers two versions of a model read."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import numpy as np

from gustibus.artifact import Artifact, People
from gustibus.encoders import load_encoder
from gustibus.posterior import GaussianPrior
from tests.service.harness import TASTES, Service, model_of, new_key, responses, running
from tests.service.test_versions import promote, ready, serving

WIDTH = 64
"""Of an embedding."""
TEXTS = responses(90, seed=5)
PROMPTS = ("Explain it to a child.", "Write to my landlord.", "Sum this up.", "Tell me a joke.")


@dataclass
class Peopled:
    """The server, with version 1 behind it and version 2 in service.

    Attributes:
        service: to talk to.
        groups: names of the people that each group was made of.
        made: both versions.
        key: of an operator who may run jobs.
    """

    service: Service
    groups: list[list[str]]
    made: list[Artifact]
    key: str


def prior(sizes: Sequence[int], turned: float) -> GaussianPrior:
    """Groups around a circle and the last one off its plane; turned a little in another version."""
    means = np.zeros((len(sizes), TASTES))
    for group, angle in enumerate(np.linspace(0.2, 5.2, max(1, len(sizes) - 1)) + turned):
        means[group, :2] = 3.2 * np.cos(angle), 2.4 * np.sin(angle)
    means[-1] = [0, 0, 5.0, 0]
    spread = np.repeat(np.diag([0.6, 0.4, 0.25, 0.15])[None], len(sizes), 0)
    share = np.maximum(np.array(sizes) / sum(sizes), 0.1)
    return GaussianPrior(share / share.sum(), means, spread)


def save(root: Path, sizes: Sequence[int], *, version: int) -> Artifact:
    """A version in the registry; the second reads texts a little differently."""
    encoder = load_encoder("hashing", dim=WIDTH)
    base, rng = model_of(WIDTH, seed=1), np.random.default_rng(11)
    basis = base.basis + 0.3 * (version - 1) * rng.standard_normal(base.basis.shape)
    model = replace(base, basis=basis.astype(np.float32), prior=prior(sizes, 0.2 * (version - 1)))
    spec = {"name": encoder.name, "options": dict(encoder.options),
            "fingerprint": encoder.fingerprint, "dim": encoder.dim}  # fmt: skip
    card = {"name": "tastes", "family": "hierarchical", "version": str(version), "encoder": spec,
            "created": "2026-01-01T00:00:00+00:00"}  # fmt: skip
    reference = model.represent(encoder.encode(TEXTS[:20]))
    artifact = Artifact(model, card, People.empty(TASTES), reference).save(root / "new")
    (root / "new").rename(root / artifact.digest)
    return artifact


def names_of(sizes: Sequence[int]) -> list[list[str]]:
    """Names of people, those of a group scattered among the others."""
    group = np.random.default_rng(6).permutation(np.repeat(np.arange(len(sizes)), sizes))
    return [[f"u-{100 + n}" for n in np.flatnonzero(group == of)] for of in range(len(sizes))]


def fill(
    http: httpx.Client, artifact: Artifact, groups: list[list[str]], told: tuple[int, int]
) -> None:
    """What everybody says about texts, which each version encodes by itself."""
    rng = np.random.default_rng(5)
    vectors = artifact.model.represent(load_encoder("hashing", dim=WIDTH).encode(TEXTS))
    known, sent = artifact.model.prior, []
    for of, people in enumerate(groups):
        for person in people:
            taste = rng.multivariate_normal(known.means[of], known.covariances[of])
            for number in range(rng.integers(told[0], told[1] + 1)):
                a, b = rng.choice(len(TEXTS), 2, replace=False)
                margin = artifact.model.margin(taste, vectors[a], vectors[b])
                left = rng.random() < 1 / (1 + np.exp(-margin))
                sent.append({
                    "id": f"{person}-{number}", "user": person, "outcome": "a" if left else "b",
                    "a": TEXTS[a], "b": TEXTS[b],
                    "prompt": PROMPTS[rng.integers(len(PROMPTS))], "source": "app",
                })  # fmt: skip
    for start in range(0, len(sent), 1000):
        rows = sent[start : start + 1000]
        assert http.post("/v1/comparisons", json={"comparisons": rows}).status_code == 201


def settled(http: httpx.Client, people: int, *, seconds: float = 120.0) -> None:
    """Wait until everybody is placed."""
    until = time.monotonic() + seconds
    while True:
        found = http.get("/v1/admin/overview").json()
        if found["people_answered"] == people and not found["refits_waiting"]:
            return
        assert time.monotonic() < until, found
        time.sleep(0.1)


@contextlib.contextmanager
def peopled(
    url: str, folder: Path, sizes: Sequence[int], *, told: tuple[int, int] = (8, 12), **more: str
) -> Iterator[Peopled]:
    """The server; people have answered between `told` questions each."""
    root = folder / "registry"
    root.mkdir()
    made = [save(root, sizes, version=version) for version in (1, 2)]
    groups = names_of(sizes)
    with running(
        url, folder, gustibus_models=str(root), gustibus_refresh="0.05", **more
    ) as service:
        with service.client(timeout=60) as http:
            ready(http, made)
            fill(http, made[0], groups, told)
            settled(http, sum(sizes))
            promote(http, 2)
            serving(http, "default@2")
            settled(http, sum(sizes))
        key = new_key(url, "admin", "jobs")
        service.settle(key)
        yield Peopled(service, groups, made, key)
