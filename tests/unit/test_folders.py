"""A folder is replaced in one step, and what killed processes left of others is removed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gustibus import folders
from gustibus.folders import put_in_place, scratch_folder


def written(target, text):
    with scratch_folder(target) as scratch:
        (scratch / "file").write_text(text)
        put_in_place(scratch, target)


@pytest.mark.parametrize("exchanges", [True, False])
def test_a_folder_replaces_another_and_leaves_nothing_beside_it(tmp_path, monkeypatch, exchanges):
    if not exchanges:
        monkeypatch.setattr(folders, "_exchange", lambda *_: False)
    target = tmp_path / "model"
    for text in ("old", "new"):
        written(target, text)
        assert (target / "file").read_text() == text
        assert list(tmp_path.iterdir()) == [target]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux exchanges folders")
def test_linux_exchanges_folders_in_one_step(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert folders._exchange(tmp_path / "a", tmp_path / "b")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]
    assert not folders._exchange(tmp_path / "a", tmp_path / "none")


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    target = tmp_path / "model"
    code = f"""
import sys
from pathlib import Path
from gustibus.folders import scratch_folder
with scratch_folder(Path({str(target)!r})) as scratch:
    print(scratch, flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        left = process.stdout.readline().strip()
        written(target, "one")
        assert Path(left).is_dir()
        process.send_signal(signal.SIGKILL)
    assert Path(left).is_dir()
    (tmp_path / ".model.partly").mkdir()  # somebody's own
    (tmp_path / ".models.part-1").mkdir()
    written(target, "two")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".model.partly", ".models.part-1", "model",
    ]  # fmt: skip


def test_a_link_at_the_target_is_replaced_and_what_it_leads_to_is_not(tmp_path):
    written(tmp_path / "real", "old")
    (tmp_path / "model").symlink_to(tmp_path / "real")
    written(tmp_path / "model", "new")
    assert (tmp_path / "real" / "file").read_text() == "old"
    assert (tmp_path / "model" / "file").read_text() == "new"
    assert {path.name for path in tmp_path.iterdir()} == {"real", "model"}


def test_a_failure_leaves_what_was_there(tmp_path):
    written(tmp_path / "model", "old")

    def fail():
        with scratch_folder(tmp_path / "model") as scratch:
            (scratch / "file").write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (tmp_path / "model" / "file").read_text() == "old"
    assert list(tmp_path.iterdir()) == [tmp_path / "model"]
