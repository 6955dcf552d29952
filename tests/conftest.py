"""What every test may use: small worlds with known people, and one fitted model of each family."""

from __future__ import annotations

import os

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # workers share few cores
    os.environ.setdefault(_threads, "1")
os.environ.setdefault("NUMBA_DISABLE_JIT", "1")  # peers would compile for longer than they run
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np
import pytest

from gustibus.models.base import TrainingSet


def small_world(seed: int = 0, *, people: int = 40, rows: int = 30, dim: int = 6) -> TrainingSet:
    """People with linear rewards of two opposite kinds over random items and prompts."""
    rng = np.random.default_rng(seed)
    items = rng.standard_normal((200, dim)).astype(np.float32)
    prompts = rng.standard_normal((20, dim)).astype(np.float32)
    kinds = rng.standard_normal((2, dim)) * 1.5
    user = np.repeat(np.arange(people), rows).astype(np.int32)
    a = rng.integers(0, 200, len(user)).astype(np.int32)
    b = (a + rng.integers(1, 200, len(user))).astype(np.int32) % 200
    margin = ((items[a] - items[b]) * kinds[user % 2]).sum(1)
    target = (rng.random(len(user)) < 1 / (1 + np.exp(-margin))).astype(np.float32)
    return TrainingSet(
        user=user, prompt=rng.integers(0, 20, len(user)).astype(np.int32), a=a, b=b,
        target=target, weight=np.ones(len(user), np.float32), item_features=items,
        prompt_features=prompts, people=people,
    )  # fmt: skip


@pytest.fixture(scope="session")
def world() -> TrainingSet:
    return small_world(0)


@pytest.fixture(scope="session")
def valid_world() -> TrainingSet:
    return small_world(1, people=12)
