"""Bulk work on a real Ray cluster: the files of one machine, though a worker is killed half-way."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from gustibus.bulk import MANIFEST, bulk_score, bulk_score_on_ray, encode_on_ray
from gustibus.cli.app import run
from gustibus.encoders import load_encoder
from gustibus.errors import ConfigError, InputError, MissingExtraError
from tests.bulk.test_bulk import trained, world  # noqa: F401 - a fixture

pytest.importorskip("pyarrow.parquet")
# Ray's own code uses what Ray deprecates.
pytestmark = pytest.mark.filterwarnings(r"ignore::DeprecationWarning:ray\..*")
PARTS = 12


@pytest.fixture(scope="module")
def cluster():
    """Three workers on this machine, for every test of this file."""
    ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'gustibus[ray]'")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False, address="local")
        yield ray
        ray.shutdown()


def job(people: int = 60_000, candidates: int = 200):
    model, users, means, items, features = world(people, candidates)
    return model, {
        "digest": "d", "users": users, "means": means, "items": items, "top": 7, "parts": PARTS,
        "representations": model.represent(features),
    }  # fmt: skip


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9", "127.0.0.1:port"])
def test_an_address_where_nobody_listens_is_refused_at_once(tmp_path, address):
    ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'gustibus[ray]'")
    assert not ray.is_initialized()
    model, arguments = job(5, 20)
    with pytest.raises(InputError, match=f"no Ray cluster at {address}"):
        bulk_score_on_ray(model, output=tmp_path / "out", address=address, **arguments)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def kill(pid: int) -> None:
    """SIGKILL a worker of the cluster, and wait until it is gone."""
    name = Path(f"/proc/{pid}/cmdline").read_bytes()
    assert name.startswith(b"ray::"), name
    os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        if state in "ZX":
            return
        time.sleep(0.01)


def halt_a_writer(folder: Path) -> tuple[int, Path]:
    """Stop a worker that is in the middle of a part: its number, and what it has written."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for scratch in folder.glob(".part-*"):
            pid = int(scratch.name.split(".")[2])
            os.kill(pid, signal.SIGSTOP)
            if scratch.exists():
                return pid, scratch
            os.kill(pid, signal.SIGCONT)
        time.sleep(0.002)
    raise AssertionError("nobody writes")


@pytest.mark.usefixtures("cluster")
def test_a_worker_killed_half_way_leaves_the_same_files(tmp_path):
    model, arguments = job()
    out = tmp_path / "ray"

    def murder() -> tuple[Path, Path]:
        until = time.monotonic() + 60
        while len(list(out.glob("part-*"))) < PARTS / 3 and time.monotonic() < until:
            time.sleep(0.005)
        pid, scratch = halt_a_writer(out)
        target = out / f"{scratch.name.split('.')[1]}.parquet"
        assert not target.exists()
        kill(pid)
        assert scratch.exists()
        return scratch, target

    with ThreadPoolExecutor(1) as pool:
        killing = pool.submit(murder)
        assert bulk_score_on_ray(model, output=out, **arguments) == 60_000
        scratch, target = killing.result()
    assert target.exists()
    assert not scratch.exists()
    bulk_score(model, output=tmp_path / "here", **arguments)
    assert contents(out) == contents(tmp_path / "here")
    assert json.loads((out / MANIFEST).read_text())["complete"]
    assert bulk_score_on_ray(model, output=out, **arguments) == 0


class StopHereError(Exception):
    pass


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("first", ["ray", "threads"])
def test_what_one_engine_began_the_other_finishes(tmp_path, first):
    model, arguments = job(5000, 40)
    engines = [bulk_score_on_ray, bulk_score][:: 1 if first == "ray" else -1]

    def told(done: int, people: int) -> None:
        if done > people / 3:
            raise StopHereError

    with pytest.raises(StopHereError):
        engines[0](model, output=tmp_path / "out", told=told, **arguments)
    left = engines[1](model, output=tmp_path / "out", **arguments)
    assert 0 < left < 5000
    bulk_score(model, output=tmp_path / "whole", **arguments)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


@pytest.mark.usefixtures("cluster")
def test_nobody_in_a_part_and_double_precision_change_nothing(tmp_path):
    model, arguments = job(3, 20)
    arguments["means"] = arguments["means"].astype(np.float64)
    assert bulk_score_on_ray(model, output=tmp_path / "ray", **arguments) == 3
    bulk_score(model, output=tmp_path / "here", **arguments)
    assert contents(tmp_path / "ray") == contents(tmp_path / "here")


@pytest.mark.usefixtures("cluster")
def test_the_command_takes_either_engine(trained, capsys):  # noqa: F811 - the fixture
    command = ["bulk-score", str(trained / "model"), "--candidates", str(trained / "c.jsonl"),
               "--top", "3", "--parts", "6", "--json"]  # fmt: skip
    assert run([*command, "-o", str(trained / "ray"), "--engine", "ray"]) == 0
    assert json.loads(capsys.readouterr().out)["scored"] == 60_000
    assert run([*command, "-o", str(trained / "here")]) == 0
    assert contents(trained / "ray") == contents(trained / "here")
    (trained / "texts.txt").write_text("\n".join(f"text {n}" for n in range(50)))
    encode = ["encode", str(trained / "texts.txt"), "--encoder", "hashing"]
    assert run([*encode, "-o", str(trained / "ray.npy"), "--engine", "ray"]) == 0
    assert run([*encode, "-o", str(trained / "here.npy")]) == 0
    assert (trained / "ray.npy").read_bytes() == (trained / "here.npy").read_bytes()


@pytest.mark.usefixtures("cluster")
def test_a_killed_encoder_leaves_the_same_vectors(tmp_path):
    texts = [f"text {n}: " + " ".join(f"word{n * k % 997}" for k in range(40)) for n in range(9000)]
    killed = []

    def told(done: int, of: int) -> None:
        if killed or done >= of:
            return
        workers = [
            int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline")
            if path.read_bytes().startswith(b"ray::MapWorker")
        ]  # fmt: skip
        killed.extend(workers[:1])
        kill(killed[0])

    made = encode_on_ray(
        texts, encoder="hashing", options={"dim": 64}, output=tmp_path / "v.npy", workers=2,
        told=told,
    )  # fmt: skip
    assert killed
    assert (made.texts, made.dim, made.name) == (9000, 64, "hashing")
    expected = load_encoder("hashing", dim=64)
    assert made.fingerprint == expected.fingerprint
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), expected.encode(texts))
    assert [path.name for path in tmp_path.iterdir()] == ["v.npy"]


@pytest.mark.parametrize(
    ("changed", "error", "expected"),
    [({"texts": []}, InputError, "at least one text"), ({"workers": 0}, InputError, "workers"),
     ({"texts": ["a", 1]}, InputError, r"texts\[1\]"),
     ({"options": {"dmi": 3}}, ConfigError, "did you mean 'dim'")],
)  # fmt: skip
def test_mistakes_are_told_before_a_cluster_is_sought(tmp_path, changed, error, expected):
    arguments = {"texts": ["a"], "encoder": "hashing", "output": tmp_path / "v.npy", **changed}
    with pytest.raises(error, match=expected):
        encode_on_ray(**arguments)


def test_without_ray_it_is_said_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    model, arguments = job(5, 20)
    with pytest.raises(MissingExtraError, match=r"gustibus\[ray\]"):
        bulk_score_on_ray(model, output=tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()
