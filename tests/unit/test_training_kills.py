"""A run that is killed at any moment, and started again by the same command, ends as it would have."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import pytest

from gustibus.artifact import Artifact
from gustibus.cli.app import run
from gustibus.data import write_folder
from gustibus.data.synthetic import linear_mixture_world
from gustibus.errors import ArtifactError
from gustibus.training import RunConfig, train

ROOT = Path(__file__).parents[2]
FAMILIES = {
    "hierarchical": {
        "basis": "learned", "equalise": [0.0, 0.5, 1.0], "ridges": [10.0], "rank": 4, "folds": 1,
        "rounds": 2, "known_items": "never",
    },
    "pal": {"prototypes": 2, "epochs": 20, "known_items": "never", "ridges": [10.0]},
    "ppd": {"steps": 40, "known_items": "never"},
    "auto": {
        "families": ["bt", "pal"], "sizes": False, "known_items": "never",
        "settings": {"pal": {"prototypes": 2, "epochs": 10, "ridges": [10.0]}},
    },
}  # fmt: skip
KEEPING = ("hierarchical", "pal", "auto")
"""Families that have a checkpoint; fits of the others take minutes at most, and start over."""
LINE = "going on after"


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample") / "data"
    write_folder(linear_mixture_world(seed=0, seen=40, new=10, train=20, test=20)[0], folder)
    return folder


@pytest.fixture(scope="module")
def older(sample):
    """A model that is there before."""
    config = RunConfig(str(sample), str(sample.parent / "older"), model="bt", seed=1, questions=0)
    train(config)
    return Path(config.output)


class Runs:
    """Processes of one command, of which all but the last are killed."""

    def __init__(self, folder: Path, data: Path, family: str) -> None:
        self.folder, self.output = folder, folder / "model"
        self.checkpoint = folder / "model.checkpoint"
        folder.mkdir()
        self.command = ["train", str(data), "-o", str(self.output), "--model", family,
                        "--device", "cpu", "--questions", "0"]  # fmt: skip
        for name, value in FAMILIES[family].items():
            self.command += ["--set", f"{name}={json.dumps(value)}"]
        self.said = ""

    def whole(self) -> Artifact:
        """One that nobody kills, in this process."""
        with redirect_stderr(StringIO()) as said, redirect_stdout(StringIO()):
            assert run(self.command) == 0, said.getvalue()
        self.said += said.getvalue()
        return Artifact.load(self.output)

    def kill(self, moment: Callable[[], bool], delay: float) -> bool:
        """Start, and kill a while after a moment; whether it was still running then."""
        with TemporaryFile("w+") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "gustibus", *self.command],
                cwd=ROOT, stdout=said, stderr=said,
            )  # fmt: skip
            try:
                while process.poll() is None and not moment():
                    time.sleep(0.0005)
                time.sleep(delay)
            finally:
                process.kill()
            code = process.wait()
            said.seek(0)
            self.said += said.read()
        assert code in {0, -signal.SIGKILL}, self.said
        return code != 0

    def moment(self, name: str, rng: random.Random) -> tuple[Callable[[], bool], float]:
        """What is to be seen on the disk before the kill, and how long to wait after it."""
        if name == "at any time":
            return (lambda: True), rng.uniform(0.0, 6.0)
        if name == "between checkpoints":
            return self.changes(rng.randint(1, 2)), rng.uniform(0.0, 0.2)
        if name == "while a checkpoint is written":
            return self.writes, 0.0
        left = set(self.folder.glob(".model.part-*"))
        return (lambda: bool(set(self.folder.glob(".model.part-*")) - left)), rng.uniform(0.0, 0.05)

    def changes(self, count: int) -> Callable[[], bool]:
        """Whether checkpoints have been written so many times since now."""
        seen = self.stamps()

        def enough() -> bool:
            seen.update(self.stamps())
            return len(seen) >= count + before

        before = len(seen)
        return enough

    def stamps(self) -> set[tuple[str, int]]:
        found = set()
        with suppress(FileNotFoundError):  # removed at the end of a run
            for path in self.checkpoint.rglob("fit.safetensors"):
                found.add((str(path), path.stat().st_mtime_ns))
        return found

    def writes(self) -> bool:
        """Whether a checkpoint is being written, where another one lies."""
        with suppress(FileNotFoundError):
            parts = self.checkpoint.rglob("*.part")
            return any((part.parent / "fit.safetensors").exists() for part in parts)
        return False


MOMENTS = ("between checkpoints", "while a checkpoint is written", "while it is saved")


def survive(runs: Runs, older: Path, moments: Sequence[str], seed: int) -> Artifact:
    """Kill the run at these moments, over a model that is there already; what comes in the end."""
    shutil.copytree(older, runs.output)
    before = Artifact.load(older).digest
    rng = random.Random(seed)
    for name in moments:
        for _ in range(5):
            killed = runs.kill(*runs.moment(name, rng))
            if name == MOMENTS[0]:  # a process that is leaving has nothing to go on from
                killed = killed and bool(runs.stamps())
            there = Artifact.load(
                runs.output
            )  # the older one, or the new one: never a part, or none
            new = there.card["run"]["seed"] == 0
            assert new or there.digest == before
            for left in runs.folder.glob(".model.part-*"):
                with suppress(ArtifactError):  # unless it was killed after the last file
                    assert Artifact.load(left).card["run"]["seed"] in {0, 1}
            if killed:
                break
        assert killed, f"every run ended before a kill {name}: {runs.said}"
    return runs.whole()


def assert_alike(one: Artifact, other: Artifact) -> None:
    assert one.model.family == other.model.family
    pairs = zip(one.model.save()[1].items(), other.model.save()[1].values(), strict=True)
    for (name, mine), yours in pairs:
        np.testing.assert_array_equal(mine, yours, err_msg=name)
    np.testing.assert_array_equal(one.people.means, other.people.means)


@pytest.mark.timeout(900)  # torch is imported thrice, which takes a busy machine a minute each
@pytest.mark.parametrize(
    ("family", "moments"), [("hierarchical", MOMENTS[::2]), ("pal", MOMENTS[1:])]
)
def test_a_run_that_is_killed_twice_ends_as_one_that_is_not(
    sample, older, tmp_path, family, moments
):
    killed, straight = (Runs(tmp_path / name, sample, family) for name in ("killed", "straight"))
    assert_alike(survive(killed, older, moments, seed=0), straight.whole())
    assert LINE in killed.said
    assert LINE not in straight.said
    assert list(killed.folder.iterdir()) == [killed.output]


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_run_that_is_killed_twenty_times_ends_as_one_that_is_not(sample, older, tmp_path, family):
    killed, straight = (Runs(tmp_path / name, sample, family) for name in ("killed", "straight"))
    usual = ("at any time", *(MOMENTS if family in KEEPING else MOMENTS[2:]))
    moments = [usual[k % len(usual)] for k in range(20)]
    random.Random(1).shuffle(moments)
    assert_alike(survive(killed, older, moments, seed=2), straight.whole())
    went_on = killed.said.count(LINE)
    print({"family": family, "kills": len(moments), "went on": went_on})
    assert (went_on > 0) == (family in KEEPING)
    assert list(killed.folder.iterdir()) == [killed.output]
