"""The README's examples run as they stand, in the order in which they stand."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.service.harness import Service, new_key

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"^```(python|sh|toml)\n(.*?)^```", README.read_text("utf-8"), re.S | re.M)


@pytest.mark.timeout(280)
def test_examples_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    names: dict[str, object] = {}
    service = None
    try:
        for kind, block in BLOCKS:
            if kind == "python":
                if "Client(" in block:
                    service = serve(tmp_path, monkeypatch)
                exec(compile(block, "README.md", "exec"), names)
            elif kind == "sh":
                done = subprocess.run(
                    ["bash", "-e", "-c", block], capture_output=True, text=True, check=False
                )
                assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    finally:
        if service is not None:
            service.kill()
    assert service is not None
    assert (tmp_path / "results" / "report.json").exists()


def serve(folder, monkeypatch) -> Service:
    """What `gustibus serve` starts: the model that was trained, over the database that was made."""
    url = f"sqlite:///{folder}/gustibus.db"
    service = Service(url, folder, {"GUSTIBUS_MODEL": str(folder / "runs" / "first")}).start()
    key = new_key(url)
    service.settle(key)
    monkeypatch.setenv("GUSTIBUS_URL", service.base)
    monkeypatch.setenv("GUSTIBUS_KEY", key)
    return service


def test_the_run_file_is_one_that_is_read(tmp_path):
    from gustibus.training import RunConfig

    (block,) = [block for kind, block in BLOCKS if kind == "toml"]
    (tmp_path / "run.toml").write_text(block)
    config = RunConfig.read(tmp_path / "run.toml")
    assert config.encoder_options == {"model": "path/to/any/backbone"}
    assert tomllib.loads(block)["model"]["name"] == config.model
