"""A version that does not fit into memory is refused; the one in service goes on."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gustibus.artifact import People
from gustibus.errors import GustibusError
from gustibus.posterior import GaussianPrior
from gustibus.service.memory import check_fits, left, needed
from gustibus.service.settings import Settings
from tests.service.harness import running, save_texts_model, save_vectors_model

MIB = 1 << 20


def system(
    root: Path, *, available: int | None = None, group: str = "/a/b", **limits: tuple
) -> Path:
    """What a kernel tells: memory in MiB, and of groups `a` and `a/b` limit, use and files of it."""
    (root / "proc" / "self").mkdir(parents=True)
    if available is not None:
        text = f"MemTotal: 99999999 kB\nMemAvailable:   {available * 1024} kB\n"
        (root / "proc" / "meminfo").write_text(text)
    (root / "proc" / "self" / "cgroup").write_text(f"4:memory:/old\n0::{group}\n")
    for name, (most, used, files) in limits.items():
        folder = root / "groups" / name.replace("_", "/")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "memory.max").write_text(f"{most if most == 'max' else most * MIB}\n")
        (folder / "memory.current").write_text(f"{used * MIB}\n")
        stat = f"anon 5\ninactive_file {files * MIB // 2}\nactive_file {files * MIB // 2}\n"
        (folder / "memory.stat").write_text(stat)
    return root


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"available": 700}, 700),
        ({"available": 700, "a_b": (500, 300, 100)}, 300),  # files can be given back
        ({"available": 700, "a": (500, 450, 0), "a_b": ("max", 300, 0)}, 50),  # of all of a group
        ({"available": 20, "a_b": (500, 300, 100)}, 20),
        ({"a_b": (100, 120, 0)}, 0),
        ({"a_b": ("max", 120, 0)}, None),
        ({}, None),
        ({"available": 700, "group": "/elsewhere"}, 700),
    ],
)
def test_what_is_left_is_the_least_of_the_machine_and_every_group(tmp_path, told, expected):
    root = system(tmp_path, **told)
    found = left(root / "proc", root / "groups")
    assert found == (None if expected is None else expected * MIB)


def test_what_a_model_needs_grows_with_its_people_and_their_uncertainty(tmp_path):
    """About what was measured: 300,000 people in 32 dimensions took 143 MiB, with covariances 1,300."""
    model = save_vectors_model(tmp_path / "few")
    wide = replace(model.model, basis=np.zeros((model.model.item_dim, 32), np.float32),
                   prior=GaussianPrior.standard(32))  # fmt: skip
    count = 20_000
    people = People(tuple(f"user-{n:08}" for n in range(count)), np.zeros((count, 32), np.float32),
                    np.zeros((0, 32, 32), np.float32), np.ones(count, np.int32))  # fmt: skip
    replace(
        model, model=wide, people=people, pool=None, reference=np.zeros((0, 33), np.float32)
    ).save(tmp_path / "many")
    each = needed(tmp_path / "many", people=0, encodes=False) / count
    assert 0.9 < each * 300_000 / (143 * MIB) < 1.3
    stored = needed(tmp_path / "many", people=2 * count, encodes=False) / count - each
    assert 4 * 32 < stored < 4 * 32 + 200


def test_the_weights_of_an_encoder_on_this_machine_count_where_it_is_loaded(tmp_path):
    weights = tmp_path / "weights"
    weights.mkdir()
    with (weights / "model.safetensors").open("wb") as file:
        file.truncate(50 * MIB)
    model = save_texts_model(tmp_path / "model")
    spec = {**model.card["encoder"], "options": {"model": str(weights)}}
    replace(model, card={**model.card, "encoder": spec}).save(tmp_path / "model")
    sizes = [needed(tmp_path / "model", people=0, encodes=encodes) for encodes in (True, False)]
    assert sizes[0] - sizes[1] == 50 * MIB


def test_both_figures_are_told_and_what_is_not_known_refuses_nothing(tmp_path):
    save_texts_model(tmp_path / "model")
    for name, told in (("little", {"available": 0}), ("much", {"available": 900}), ("none", {})):
        system(tmp_path / name, **told)

    def check(name: str, folder: str = "model") -> None:
        check_fits(tmp_path / folder, people=3 << 20, encodes=False,
                   proc=tmp_path / name / "proc", cgroups=tmp_path / name / "groups")  # fmt: skip

    with pytest.raises(
        GustibusError, match=r"takes about 0\.\d\d GiB of memory, and 0\.00 GiB are left"
    ):
        check("little")
    check("much")
    check("none")
    check("little", "no-such-model")  # whoever reads it says what is wrong


def test_a_version_that_does_not_fit_is_refused_and_the_old_one_goes_on(tmp_path):
    """A file of 4 TiB, nearly all of it a hole, after its version was validated."""
    root = tmp_path / "models"
    first = save_texts_model(root / "one")
    second = replace(first, reference=first.reference[:-1]).save(root / "two")
    for name, one in (("one", first), ("two", second)):
        shutil.move(root / name, root / one.digest)
    versions, alias = "/v1/models/default/versions", "/v1/models/default/aliases/champion"
    with (
        running(
            f"sqlite:///{tmp_path}/s.db", tmp_path, gustibus_models=str(root),
            gustibus_refresh="0.05",
        ) as service,
        service.client() as http,
    ):  # fmt: skip
        for number, one in enumerate((first, second), start=1):
            assert http.post(versions, json={"digest": one.digest}).status_code == 201
            told = http.post(f"{versions}/{number}:validate").json()
            assert told["state"] == "validated", told
        reply = http.put(alias, json={"version": 1}, headers={"If-None-Match": "*"})
        assert reply.status_code == 200, reply.text
        until = time.monotonic() + 60
        while http.get("/v1/models/default").json()["serving"] != "default@1":
            assert time.monotonic() < until
            time.sleep(0.02)
        os.truncate(root / second.digest / "people.safetensors", 1 << 42)
        refused = http.post(f"{versions}/2:validate")
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
        assert "takes about 4096.00 GiB of memory" in refused.json()["detail"]
        reply = http.put(alias, json={"version": 2}, headers={"If-Match": reply.headers["etag"]})
        assert reply.status_code == 200, reply.text
        while not (found := http.get("/v1/models/default").json())["problem"]:
            assert time.monotonic() < until
            time.sleep(0.02)
        assert "GiB are left" in found["problem"]
        assert found["serving"] == "default@1"
        assert http.post("/v1/score", json={"candidates": ["a text"]}).status_code == 200


def test_the_check_can_be_switched_off(tmp_path, texts_folder, texts_model, monkeypatch):
    from gustibus.service.loading import open_model
    from gustibus.service.state import State

    monkeypatch.setattr("gustibus.service.memory.left", lambda proc, cgroups: 10)
    with pytest.raises(GustibusError, match="GUSTIBUS_CHECK_MEMORY=0"):
        open_model(State(Settings()), texts_folder, None, beside=0)
    for settings, beside in ((Settings(check_memory=False), 0), (Settings(), None)):
        open_model(State(settings), texts_folder, None, beside=beside).close()
