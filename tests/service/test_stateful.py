"""Whatever is done to a service, in whatever order, it holds what a plain reference holds."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from gustibus.artifact import Artifact
from tests.service.harness import Service, database, running
from tests.service.reference import ITEMS, TRAINED, Library, save_version
from tests.service.steps import STEPS
from tests.service.test_versions import ready
from tests.service.world import World

ENGINES = ("sqlite", "postgresql")
EXAMPLES, LENGTH = 5, 50
SEEDS = int(os.environ.get("GUSTIBUS_STATEFUL_SEEDS", "20"))
FIRST = int(os.environ.get("GUSTIBUS_STATEFUL_FIRST", "0"))
LONG = int(os.environ.get("GUSTIBUS_STATEFUL_STEPS", "2000"))


@pytest.fixture(scope="module")
def versions(tmp_path_factory) -> tuple[Path, list[Artifact]]:
    root = tmp_path_factory.mktemp("registry")
    return root, [
        save_version(root, seed=80, tastes=4, trained=TRAINED),
        save_version(root, seed=81, tastes=3, trained=0),
    ]


class Worlds:
    """Makes one world after another over one service."""

    def __init__(self, service: Service, versions: list[Artifact]) -> None:
        self.service = service
        self.libraries = [Library(artifact) for artifact in versions]
        self.http = service.client(timeout=60)
        items = [{"id": name, "text": text} for name, text in ITEMS.items()]
        ready(self.http, versions)
        reply = self.http.post("/v1/items:batch?wait=true", json={"items": items})
        assert reply.status_code == 200, reply.text
        self._numbers = count()

    def new(self) -> World:
        number = next(self._numbers)
        trained = [f"t-{n % TRAINED}" for n in (2 * number, 2 * number + 1)]
        return World(
            self.service, self.http, self.libraries, tag=f"w{number}", trained=trained
        )  # fmt: skip


@pytest.fixture(params=ENGINES)
def worlds(request, tmp_path, versions) -> Iterator[Worlds]:
    with (
        database(request.param, tmp_path) as url,
        running(
            url, tmp_path, gustibus_models=str(versions[0]), gustibus_refresh="0.05",
            gustibus_rate="0",
        ) as service,
    ):  # fmt: skip
        found = Worlds(service, versions[1])
        yield found
        found.http.close()


def machine(worlds: Worlds) -> type[RuleBasedStateMachine]:
    """A rule for each step; a machine is a world.

    A step draws from a `Random` that Hypothesis only seeds: what it chooses among depends on what
    the service holds, and that differs from one machine to the next, which share a service.
    """

    class Machine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.world = worlds.new()

        def teardown(self) -> None:
            self.world.check_everything()

    for step in STEPS:

        def taken(self, pick, step=step):
            self.world.do(step, pick)

        taken.__name__ = step.__name__
        setattr(Machine, step.__name__, rule(pick=st.randoms(use_true_random=True))(taken))
    return Machine


@pytest.mark.timeout(900)  # a failure is made shorter first
def test_the_service_agrees_with_a_plain_reference(worlds):
    run_state_machine_as_test(
        machine(worlds),
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=LENGTH, derandomize=True, deadline=None,
            database=None, suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(36_000)
def test_the_service_agrees_with_a_plain_reference_for_thousands_of_steps(worlds):
    """Longer runs than Hypothesis makes: it ends one after some hundred steps."""
    steps, weights = list(STEPS), list(STEPS.values())
    for seed in range(FIRST, FIRST + SEEDS):
        pick, world, began = Random(seed), worlds.new(), time.monotonic()
        for _ in range(LONG):
            world.do(pick.choices(steps, weights)[0], pick)
        world.check_everything()
        told = {"seed": seed, "steps": LONG, "seconds": round(time.monotonic() - began, 1)}
        print(json.dumps({**told, "answers": len(world.ref.answers), **world.counts}))
