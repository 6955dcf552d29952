"""The same test for both clients: an awaited client behind the face of one that waits."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import replace
from typing import Any

from gustibus import AsyncClient, Client


class Blocking:
    """Runs what an `AsyncClient` awaits; iterators become lists."""

    def __init__(self, inner: Any, runner: asyncio.Runner) -> None:
        self._inner = inner
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        plain = isinstance(found, str | int | float | bool | None | tuple | list | dict)
        return found if plain else Blocking(found, self._runner)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        made = self._inner(*args, **kwargs)
        if inspect.isawaitable(made):
            return self._runner.run(_awaited(made))
        if inspect.isasyncgen(made):
            return self._runner.run(_listed(made))
        return Blocking(made, self._runner) if isinstance(made, AsyncClient) else made


async def _awaited(made: Any) -> Any:
    return await made


async def _listed(made: Any) -> list[Any]:
    return [one async for one in made]


class Both:
    """Makes clients of one kind and closes them."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._runner = asyncio.Runner() if kind == "async" else None
        self._made: list[Any] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        inner: Any = (Client if self._runner is None else AsyncClient)(*args, **kwargs)
        inner.options = replace(inner.options, pause=0.01)  # tests wait for nothing
        made = inner if self._runner is None else Blocking(inner, self._runner)
        self._made.append(made)
        return made

    def close(self) -> None:
        for one in self._made:
            one.close()
        if self._runner is not None:
            self._runner.close()
