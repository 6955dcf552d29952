"""The tutorials run as they stand; the pages that the site names are there."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.service.harness import Service

SERVICE = "http://127.0.0.1:8000"
ROOT = Path(__file__).parents[1]
TUTORIALS = [ROOT / "docs" / "quickstart.md", *sorted((ROOT / "docs" / "tutorials").glob("*.md"))]


@pytest.mark.timeout(280)
@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_tutorial_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    names: dict[str, object] = {}
    blocks = re.findall(r"^```(python|sh)\n(.*?)^```", page.read_text("utf-8"), re.S | re.M)
    assert blocks
    with ExitStack() as stack:
        base = None
        for kind, block in blocks:
            if SERVICE in block:
                base = base or stack.enter_context(served(tmp_path))
                block = block.replace(SERVICE, base)
            if kind == "python":
                exec(compile(block, page.name, "exec"), names)
                continue
            done = subprocess.run(
                ["bash", "-e", "-o", "pipefail", "-c", block],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"


@contextmanager
def served(folder):
    """What `gustibus serve` starts on the pages: the first model, over the database made there."""
    model = {"GUSTIBUS_MODEL": str(folder / "runs" / "first")}
    service = Service(f"sqlite:///{folder}/gustibus.db", folder, model).start(seconds=120)
    try:
        yield service.base
    finally:
        service.kill()


@pytest.mark.parametrize(
    ("script", "page"),
    [("cli_reference", "reference/cli.md"), ("http_reference", "reference/http.md")],
)
def test_a_page_is_what_its_script_writes(script, page):
    made = runpy.run_path(str(ROOT / "scripts" / f"{script}.py"))["page"]()
    assert (ROOT / "docs" / page).read_text("utf-8") == made, (
        f"docs/{page} has drifted: python scripts/{script}.py > docs/{page}"
    )


def test_the_pictures_are_what_their_script_draws():
    for name, drawing in runpy.run_path(str(ROOT / "scripts" / "pictures.py"))[
        "pictures"
    ]().items():
        assert (ROOT / "docs" / "figures" / name).read_text("utf-8") == drawing, (
            f"docs/figures/{name} has drifted: python scripts/pictures.py"
        )


def test_every_page_of_the_site_is_there_and_every_link_leads_somewhere():
    named = re.findall(r": ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.M)
    pages = {str(p.relative_to(ROOT / "docs")) for p in (ROOT / "docs").rglob("*.md")}
    assert set(named) == pages
    for page in pages:
        text = (ROOT / "docs" / page).read_text("utf-8")
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", text):
            assert (ROOT / "docs" / page).parent.joinpath(link).resolve().exists(), (page, link)


def test_what_the_reference_names_can_be_imported():
    for page in sorted((ROOT / "docs" / "reference").glob("*.md")):
        for name in re.findall(r"^::: ([\w.]+)$", page.read_text("utf-8"), re.M):
            module, _, thing = name.rpartition(".")
            code = f"import {module}; getattr({module}, {thing!r})"
            try:
                exec(code)
            except AttributeError:
                exec(f"import {name}")
