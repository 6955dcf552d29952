"""Print the page of commands: python scripts/cli_reference.py > docs/reference/cli.md.

A test compares the page with what this prints.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import typer
import typer.models

from gustibus.cli.app import app

HEAD = """\
# Command line

Results go to standard output, progress and questions to standard error. Exit codes: 0 done, 1 failed,
2 usage, 3 not found, 4 partial (some rows refused), 130 interrupted. Flags win over `GUSTIBUS_*` of the
environment, and these over `gustibus.toml`. `gustibus --install-completion` adds completion to the shell.

This page is written by `python scripts/cli_reference.py`; it is not edited by hand.
"""


def page() -> str:
    """The whole page: commands in the order in which they are registered, groups after them."""
    return "\n".join([HEAD, *_commands(app, ["gustibus"])])


def _commands(group: typer.Typer, names: list[str]) -> Iterator[str]:
    for command in group.registered_commands:
        assert command.callback is not None, f"{command.name}: every command has a function"
        yield _section(command.callback, [*names, command.name or ""])
    for inner in group.registered_groups:
        assert inner.typer_instance is not None, f"{inner.name}: every group has commands"
        yield from _commands(inner.typer_instance, [*names, inner.name or ""])


class _Parameter(NamedTuple):
    """An argument or an option, as its function declares it."""

    name: str
    kind: Any
    told: Any
    """What typer is told of it."""
    default: Any

    @property
    def required(self) -> bool:
        """Whether there is no default."""
        return self.default is inspect.Parameter.empty

    @property
    def choices(self) -> list[str]:
        """Of a `Literal`, also one that may be left out."""
        kinds = [self.kind, *get_args(self.kind)]
        return [str(c) for k in kinds if get_origin(k) is Literal for c in get_args(k)]

    @property
    def flag(self) -> bool:
        """Whether it takes no value."""
        return bool in (self.kind, *get_args(self.kind))


def _parameters(function: Any) -> list[_Parameter]:
    kinds = get_type_hints(function, include_extras=True)
    found = []
    for name, one in inspect.signature(function).parameters.items():
        kind, told = get_args(kinds[name])[:2]
        found.append(_Parameter(name, kind, told, one.default))
    return [one for one in found if not one.told.hidden]


def _section(function: Any, path: list[str]) -> str:
    """A command: what it does, how it is called, what it takes."""
    shown = _parameters(function)
    arguments = [one for one in shown if isinstance(one.told, typer.models.ArgumentInfo)]
    options = [one for one in shown if one not in arguments]
    names = [f"{a.name.upper()}{'...' if get_origin(a.kind) is list else ''}" for a in arguments]
    usage = [n if a.required else f"[{n}]" for n, a in zip(names, arguments, strict=True)]
    call = " ".join([*path, *usage, *(["[OPTIONS]"] if options else [])])
    lines = [f"## {' '.join(path)}", "", *_help(function), "", "```", call, "```"]
    rows = [(f"`{n}`", _words(a)) for n, a in zip(names, arguments, strict=True)]
    rows += [(_flags(one), _words(one)) for one in options]
    if rows:
        lines += ["", "| | |", "| --- | --- |", *(f"| {name} | {words} |" for name, words in rows)]
    return "\n".join(lines) + "\n"


def _help(function: Any) -> list[str]:
    """Paragraphs of what it says of itself, with an example as code."""
    lines: list[str] = []
    for paragraph in (inspect.getdoc(function) or "").split("\n\n"):
        lines += [""] if lines else []
        example = re.match(r"Example: (.*)", paragraph, re.S)
        words = " ".join((example[1] if example else paragraph).split())
        lines += ["```", words, "```"] if example else [words]
    return lines


def _flags(option: _Parameter) -> str:
    """Its names, the negative one too, and what it takes."""
    plain = f"--{option.name.replace('_', '-')}"
    first = option.told.default  # where typer keeps the first name of an annotated option
    names = [*([first] if isinstance(first, str) else []), *(option.told.param_decls or ())]
    if not names:
        names = [f"{plain}/--no-{plain[2:]}"] if option.flag else [plain]
    taken = "" if option.flag else f" {'|'.join(option.choices) or _metavar(option.kind)}"
    return f"`{', '.join(names).replace('/', ', ')}{taken}`".replace("|", "\\|")


def _metavar(kind: Any) -> str:
    kinds = {kind, *get_args(kind)}
    return "INTEGER" if int in kinds else "NUMBER" if float in kinds else (
        "PATH" if Path in kinds else "TEXT"
    )  # fmt: skip


def _words(one: _Parameter) -> str:
    """What it is, and its default where that says something."""
    words = " ".join((one.told.help or "").split())
    told = isinstance(one.default, int | float | str) and not isinstance(one.default, bool)
    if told and one.default != "" and "default" not in words:
        words = f"{words} Default `{one.default}`."
    if one.required and isinstance(one.told, typer.models.OptionInfo):
        words = f"{words} Required."
    return words.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page())
