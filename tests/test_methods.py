"""The page of methods says what the table says; every example runs, and every check is there."""

from __future__ import annotations

import ast
import re
import runpy
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from gustibus import ops
from gustibus.methods import METHODS

ROOT = Path(__file__).parents[1]
NAMES = sorted(dir(ops))  # imports every package that lists methods


def test_the_page_is_what_the_script_writes():
    page = runpy.run_path(str(ROOT / "scripts" / "methods.py"))["page"]()
    written = (ROOT / "docs" / "methods.md").read_text("utf-8")
    assert written == page, (
        "docs/methods.md has drifted: python scripts/methods.py > docs/methods.md"
    )


@pytest.mark.parametrize("name", NAMES)
def test_an_example_runs_and_calls_its_method(name):
    example = METHODS[name].run.example
    assert f"ops.{name}" in example
    found: dict[str, object] = {"ops": ops, "np": np}
    exec(compile(example, name, "exec"), found)


@pytest.mark.parametrize("name", NAMES)
def test_a_row_says_where_the_method_is_from_and_what_for(name):
    entry = METHODS[name]
    assert len(entry.source) > 3
    assert len(entry.run.purpose) > 10
    assert callable(getattr(ops, name))


@cache
def defined_in(path):
    """Names of the functions and classes of a file."""
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if hasattr(node, "name")}


@pytest.mark.parametrize("name", NAMES)
def test_a_check_names_a_test_or_a_benchmark_that_exists(name):
    file, _, test = METHODS[name].run.check.partition("::")
    path = ROOT / file
    assert path.is_file(), file
    if test:
        assert test.split("[")[0].split("::")[-1] in defined_in(path), test


def test_the_examples_of_the_page_on_probes_run():
    text = (ROOT / "docs" / "probes.md").read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.S | re.M)
    assert len(blocks) == 3
    for block in blocks:
        exec(compile(block, "probes.md", "exec"), {})
