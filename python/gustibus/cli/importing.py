"""`gustibus import`: comparisons from a file into a service or a database, each once."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Self, TextIO

import typer

from gustibus.cli.common import JsonOption
from gustibus.cli.records import DatabaseOption, Records, Sent, UrlOption
from gustibus.cli.streaming import Counts
from gustibus.errors import ConfigError, GustibusError, InputError

if TYPE_CHECKING:
    from gustibus.data.answers import Answer

Option = typer.Option
_STDIN = "standard input"
_ROWS = 4000
"""Rows that are sent, or committed, together."""


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("import")(import_command)


def import_command(
    *,
    file: Annotated[
        Path,
        typer.Argument(help="Parquet, JSON Lines or CSV; text also with .gz. - is standard input."),
    ],
    url: UrlOption = "",
    database: DatabaseOption = "",
    columns: Annotated[
        str, Option("--map", help="Column names, such as chosen=good,user=annotator.")
    ] = "",
    by_id: Annotated[bool, Option(help="Use the ids of items where there are texts too.")] = False,
    skip: Annotated[int, Option(min=0, help="Leave out the first records.")] = 0,
    rejects: Annotated[
        Path | None, Option(help="Where records that are refused go; default FILE.rejects.jsonl.")
    ] = None,
    layout: Annotated[
        Literal["ndjson", "csv", "tsv"] | None,
        Option("--format", help="Of standard input; default ndjson, a JSON object a line."),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Import comparisons; what is there already is left as it is, so a run may be repeated.

    A record's `id` names it; without one it is named by what it says, and the same record again is
    a duplicate. Exit code 4 says that some records were refused, and 1 that all were.

    Example: gustibus import logs.parquet --map chosen=good,user=annotator
    """
    from gustibus.cli.progress import Bars
    from gustibus.cli.records import Served, opened
    from gustibus.cli.streaming import can_stream, stream
    from gustibus.data import parse_columns
    from gustibus.data.streaming import rows_of

    names = parse_columns(columns) if columns else {}
    piped = str(file) == "-"
    if layout and not piped:
        message = f"--format: belongs to standard input; the name of {file} says what it is"
        raise ConfigError(message, where="--format")
    target = rejects or file.with_name(("stdin" if piped else file.name) + ".rejects.jsonl")
    if target.resolve() == file.resolve():
        message = "--rejects: expected another file than the one that is read"
        raise ConfigError(message, where="--rejects")
    with ExitStack() as stack:
        records = stack.enter_context(opened(url, database))
        if piped:
            file = stack.enter_context(_spooled(layout or "ndjson"))
        rows = rows_of(file)
        if isinstance(records, Served) and can_stream(file) and not skip:
            told = stream(records.client, file, names, target, by_id=by_id)
            return _report(told, target, as_json=as_json)
        run = stack.enter_context(Import(records, target, append=skip > 0))
        bars = stack.enter_context(Bars())
        try:
            for row in rows:
                run.read += 1
                if run.read <= skip:
                    run.done = run.read
                    continue
                values = row.values
                if piped and isinstance(values, InputError):
                    values = _renamed(values, file)
                place = f"{_STDIN if piped else file}:{row.number}"
                run.take(place, row.number, values, names, by_id=by_id)
                if len(run.waiting) >= _ROWS:
                    run.send()
                    bars.show("importing", row.position, row.size, run.words)
            run.send()
            run.settle()
        except (KeyboardInterrupt, GustibusError):
            if run.read > skip:  # a file of which nothing can be read is no run that was stopped
                there = f", or with --skip {run.done} to begin there" if run.done else ""
                sys.stderr.write(
                    f"stopped after {run.done} records: {run.words}; run the command again to go "
                    f"on{there}\n"
                )
            raise
    told = Counts(run.read, run.accepted, run.duplicates, run.rejected, min(skip, run.read))
    return _report(told, target, as_json=as_json)


@contextmanager
def _spooled(layout: str) -> Iterator[Path]:
    """Standard input as a file for as long as it is read; what is wrong with it goes by its own name."""
    if sys.stdin.isatty():
        sys.stderr.write(f"Records as {layout}; Ctrl-D ends them:\n")
    with TemporaryDirectory(prefix="gustibus-") as folder:
        path = Path(folder) / f"stdin.{layout}"
        with path.open("wb") as out:
            shutil.copyfileobj(sys.stdin.buffer, out)
        try:
            yield path
        except InputError as error:
            if str(path) in error.message:
                raise _renamed(error, path) from None
            raise


def _renamed(error: InputError, path: Path) -> InputError:
    return InputError(error.message.replace(str(path), _STDIN), where=_STDIN)


def _report(told: Counts, target: Path, *, as_json: bool) -> int:
    """Say what became of the records, and with which exit code."""
    from gustibus.cli.common import emit

    if as_json:
        emit({
            "read": told.read, "skipped": told.skipped, "accepted": told.accepted,
            "duplicates": told.duplicates, "rejected": told.rejected,
            "rejects": str(target) if told.rejected else None,
        })  # fmt: skip
    else:
        where = f", see {target}" if told.rejected else ""
        sys.stdout.write(f"{told.words}{where}\n")
    if not told.rejected:
        return 0
    return 4 if told.accepted or told.duplicates else 1


class _Sending(NamedTuple):
    """Records that are on their way."""

    batch: list[tuple[int, dict[str, Any], Answer]]
    read: int
    """Records of the file up to the last of them."""
    keeping: Future[Sent]


@dataclass(slots=True)
class Import:
    """One run: what waits to be sent, and what became of the rest."""

    records: Records
    target: Path
    append: bool = False
    read: int = 0
    done: int = 0
    """Records dealt with for good."""
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    waiting: list[tuple[int, dict[str, Any], Answer]] = field(default_factory=list)
    sent: _Sending | None = None
    file: TextIO | None = None
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))

    @property
    def words(self) -> str:
        """The counts."""
        return f"{self.accepted} accepted, {self.duplicates} duplicates, {self.rejected} rejected"

    def take(
        self, place: str, number: int, values: dict[str, Any] | InputError, names: dict[str, str],
        *, by_id: bool,
    ) -> None:  # fmt: skip
        """Read one record; one that says nothing is refused."""
        from gustibus.data.answers import answer_of

        if isinstance(values, InputError):
            self.refuse(number, values.code, values.message, None)
            return
        try:
            answer = answer_of(values, place=place, columns=names, by_id=by_id)
        except InputError as error:
            self.refuse(number, error.code, error.message, values)
        else:
            self.waiting.append((number, values, answer))

    def send(self) -> None:
        """Send what waits once what was sent before is kept; the next is read meanwhile."""
        self.settle()
        answers = [answer for _, _, answer in self.waiting]
        self.sent = _Sending(self.waiting, self.read, self.pool.submit(self.records.add, answers))
        self.waiting = []

    def settle(self) -> None:
        """Wait for what was sent, and count it."""
        if self.sent is None:
            return
        batch, read, keeping = self.sent
        found, self.sent = keeping.result(), None
        self.accepted += found.accepted
        self.duplicates += found.duplicates
        for place, code, detail in sorted(found.rejected):
            number, values, _ = batch[place]
            self.refuse(number, code, detail, values)
        self.done = read

    def refuse(self, number: int, code: str, problem: str, row: dict[str, Any] | None) -> None:
        """Write a record to the file of those that were refused."""
        self.rejected += 1
        if self.file is None:
            self.file = self.target.open("a" if self.append else "w", encoding="utf-8")
        told = {"row": number, "code": code, "problem": problem, "record": row}
        self.file.write(json.dumps(told, ensure_ascii=True, default=str) + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.pool.shutdown()
        if self.file is not None:
            self.file.close()
