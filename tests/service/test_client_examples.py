"""The examples in the docstrings of the client, run as they stand against a server."""

from __future__ import annotations

import inspect
import textwrap
import time
from collections.abc import Callable
from typing import Any

import pytest

from gustibus.client import Client
from gustibus.client.calls import (
    answers,
    encoding,
    groups,
    imports,
    items,
    jobs,
    keys,
    matching,
    onboarding,
    operations,
    people,
    scoring,
    versions,
)
from gustibus.client.doors import Iteration, Operation, Space, SyncDoor
from gustibus.client.operations import Operations
from gustibus.client.wire import Raw
from tests.service.harness import running

PARTS = (
    scoring, encoding, people, items, answers, onboarding, groups, matching, imports, jobs, keys,
    operations,
)  # fmt: skip
"""Those that a server answers without a registry of models."""


def operations_of(part: Any) -> list[Callable[..., Any]]:
    """Functions that build requests, as they stand in the file."""
    found = [one for _, one in inspect.getmembers(part, inspect.isfunction)]
    mine = [one for one in found if one.__module__ == part.__name__ and one.__name__[0] != "_"]
    return sorted(mine, key=lambda one: one.__code__.co_firstlineno)


def example(operation: Callable[..., Any]) -> str:
    """The code of an operation's example; nothing where it has none."""
    _, _, code = inspect.getdoc(operation).partition("\nExample:\n")  # type: ignore[union-attr]  # is one
    return textwrap.dedent(code)


@pytest.fixture(scope="module")
def server(tmp_path_factory, texts_folder, texts_model):
    """A server of a model of texts that has a place for results."""
    folder = tmp_path_factory.mktemp("examples")
    places = {"gustibus_model": str(texts_folder), "gustibus_files": str(folder)}
    with running(f"sqlite:///{folder}/s.db", folder, **places) as found, found.client():
        yield found


@pytest.fixture
def client(server):
    with Client(server.base, server.key) as found:
        for name in ("ada", "somebody"):
            found.users.put(name)
        yield found


def test_every_operation_has_an_example_that_calls_it():
    called = {}
    for part in (*PARTS, versions):
        for operation in operations_of(part):
            assert "client." in example(operation), operation.__name__
            called[operation] = example(operation)
    spaces = [Operations, *(kind for kind in Space.__subclasses__())]
    for space in spaces:
        for name, entry in vars(space).items():
            if isinstance(entry, Operation | Iteration):
                assert f".{name}(" in called[entry.__wrapped__], f"{space.__name__}.{name}"


def ended(client: Client, job: str) -> None:
    """Wait until a job has a result, which its examples ask for."""
    until = time.monotonic() + 30
    while client.jobs.get(job).finished_at is None:
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__.rpartition(".")[2])
def test_examples_run(part, client):
    known: dict[str, Any] = {"client": client}
    for operation in operations_of(part):
        try:
            exec(example(operation), known)
        except Exception as error:
            pytest.fail(f"{operation.__name__}: {type(error).__name__}: {error}")
        if operation is jobs.create_job:
            ended(client, known["job"].id)


class Noting(SyncDoor, Operations):
    """Takes requests down; whatever is asked of a reply is there."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def send(self, request: Any) -> Raw[Any]:
        self.asked.append(f"{request.method} {request.path}")
        return Raw(200, {}, b"", 0, lambda _: Anything())


class Anything:
    next = None

    def __getattr__(self, name: str) -> Any:
        return Anything()

    def __iter__(self) -> Any:
        return iter(())

    def __call__(self) -> int:
        return 3


def test_examples_of_versions_are_requests():
    door = Noting()
    for operation in operations_of(versions):
        exec(example(operation), {"client": door})
    assert [one for one in door.asked if one != "GET /v1/models/default"] == [
        "GET /v1/models/default/versions",
        "GET /v1/models/default/versions",
        "GET /v1/models/default/versions/7",
        "POST /v1/models/default/versions",
        "POST /v1/models/default/versions/7:validate",
        "PUT /v1/models/default/aliases/champion",
        "DELETE /v1/models/default/aliases/spare",
        "POST /v1/models/default:rollback",
        "DELETE /v1/models/default/versions/6",
    ]
