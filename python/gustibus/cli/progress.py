"""A progress bar for stages of unknown number; silent where standard error is not a terminal."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class Bars:
    """Context manager whose `update` has the signature of `gustibus.models.base.Progress`."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[figure]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def update(self, stage: str, done: int, total: int, figure: float) -> None:
        """Show how much of a stage is done, and its figure, the loss on held-out people."""
        self.show(stage, done, total, "" if math.isnan(figure) else f"held-out loss {figure:.4f}")

    def show(self, stage: str, done: int, total: int, shown: str) -> None:
        """The same with words in place of the figure."""
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total, figure=shown)
        self._progress.update(self._tasks[stage], completed=done, total=total, figure=shown)


@contextmanager
def remarks(name: str) -> Iterator[None]:
    """What a logger remarks goes to standard error meanwhile, a line each, above any bars."""
    log, handler = logging.getLogger(name), logging.StreamHandler(sys.stderr)
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
