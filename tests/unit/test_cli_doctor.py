"""`gustibus doctor` and `gustibus models` over folders."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from gustibus.cli.app import run
from gustibus.cli.comparing import as_table, differences
from gustibus.store import Store, move_alias, register_version, upgrade
from tests.service.harness import save_texts_model


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    save_texts_model(root / "good")
    return root


@pytest.fixture
def database(tmp_path):
    url = f"sqlite:///{tmp_path}/d.db"
    upgrade(url)
    return url


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    for name in ("URL", "DATABASE", "MODEL", "MODELS", "KEY"):
        monkeypatch.delenv(f"GUSTIBUS_{name}", raising=False)


def doctor(capsys, *arguments):
    code = run(["doctor", "--json", *arguments])
    found = json.loads(capsys.readouterr().out)
    return code, found, {one["name"]: one for one in found["checks"]}


def test_a_sound_installation(models, database, capsys):
    code, found, checks = doctor(capsys, "--database", database, "--model", str(models / "good"))
    assert (code, found["healthy"]) == (0, True)
    assert list(checks) == [
        "settings", "database", "model", "device", "clock", "disk", "open files",
    ]  # fmt: skip
    assert checks["database"]["detail"].startswith("sqlite answers in")
    assert "hierarchical" in checks["model"]["detail"]
    assert "hashing" in checks["model"]["detail"]
    assert found["settings"]["GUSTIBUS_PORT"] == {"value": 8000, "from": "default"}
    assert found["settings"]["GUSTIBUS_DATABASE"]["from"] == "given"
    assert run(["doctor", "--database", database]) == 0
    text = capsys.readouterr().out
    assert "GUSTIBUS_PORT" in text
    assert "warn  model" in text


def test_a_database_that_is_not_there_is_not_made(tmp_path, capsys):
    code, _, checks = doctor(capsys, "--database", f"sqlite:///{tmp_path}/none.db")
    assert code == 1
    assert "gustibus db upgrade" in checks["database"]["detail"]
    assert not (tmp_path / "none.db").exists()


def test_a_database_without_tables(tmp_path, capsys):
    (tmp_path / "empty.db").touch()
    code, _, checks = doctor(capsys, "--database", f"sqlite:///{tmp_path}/empty.db")
    assert (code, checks["database"]["status"]) == (1, "fail")
    assert "gustibus db upgrade" in checks["database"]["detail"]


def test_a_model_whose_encoder_nothing_tests_is_told_of(tmp_path, database, capsys):
    whole = save_texts_model(tmp_path / "whole")
    replace(whole, pool=None).save(tmp_path / "bare")
    arguments = ("--database", database, "--model", str(tmp_path / "bare"))
    code, _, checks = doctor(capsys, *arguments)
    assert (code, checks["model"]["status"]) == (0, "warn")
    assert "nothing by which another encoder would be noticed" in checks["model"]["detail"]


def test_a_damaged_model(models, database, tmp_path, capsys):
    import shutil

    shutil.copytree(models / "good", tmp_path / "bad")
    (tmp_path / "bad" / "people.json").write_text("[]")
    code, _, checks = doctor(capsys, "--database", database, "--model", str(tmp_path / "bad"))
    assert (code, checks["model"]["status"]) == (1, "fail")
    assert checks["database"]["status"] == "ok"


def test_the_version_that_is_promoted(models, database, tmp_path, monkeypatch, capsys):
    import shutil

    from gustibus.artifact import Artifact

    digest = Artifact.load(models / "good").digest
    monkeypatch.setenv("GUSTIBUS_MODELS", str(tmp_path))
    _, _, checks = doctor(capsys, "--database", database)
    assert checks["model"]["status"] == "warn"
    assert "promoted" in checks["model"]["detail"]
    store = Store(database)
    with store.write() as conn:
        register_version(conn, model="default", digest=digest)
        move_alias(conn, model="default", alias="champion", version=1, seen=0)
    store.close()
    code, _, checks = doctor(capsys, "--database", database)
    assert (code, checks["model"]["status"]) == (1, "fail")  # it is promoted, and nowhere
    shutil.copytree(models / "good", tmp_path / digest)
    code, _, checks = doctor(capsys, "--database", database)
    assert (code, checks["model"]["status"]) == (0, "ok")
    assert digest[:12] in checks["model"]["detail"]
    _, _, checks = doctor(capsys, "--database", f"sqlite:///{tmp_path}/none.db")
    assert (checks["database"]["status"], checks["model"]["status"]) == ("fail", "warn")


def test_secrets_are_not_shown(monkeypatch, capsys):
    secret = "s" * 40
    monkeypatch.setenv("GUSTIBUS_SECRET", secret)
    monkeypatch.setenv("GUSTIBUS_DATABASE", "postgresql://ann:hidden-word@127.0.0.1:1/x")
    code = run(["doctor", "--json"])
    said = capsys.readouterr()
    assert code == 1  # nobody answers there
    assert "hidden-word" not in said.out + said.err
    assert secret not in said.out + said.err
    assert json.loads(said.out)["settings"]["GUSTIBUS_ENCODER_KEY"]["value"] == ""
    assert "ann:***@127.0.0.1" in said.out


def test_a_setting_that_is_wrong(monkeypatch, capsys):
    monkeypatch.setenv("GUSTIBUS_PORT", "many")
    code, _, checks = doctor(capsys)
    assert code == 1
    assert "GUSTIBUS_PORT" in checks["settings"]["detail"]


@pytest.mark.parametrize(("free", "status", "code"), [(1 << 20, "fail", 1), (1 << 30, "warn", 0)])
def test_little_room_on_the_disk(database, monkeypatch, capsys, free, status, code):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=free))
    got, _, checks = doctor(capsys, "--database", database)
    assert (got, checks["disk"]["status"]) == (code, status)


def test_few_open_files_and_a_clock_that_is_behind(database, monkeypatch, capsys):
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda what: (64, 64))
    monkeypatch.setattr("gustibus.cli.doctoring.time.time", lambda: 1e9)
    code, _, checks = doctor(capsys, "--database", database)
    assert code == 1
    assert [checks[name]["status"] for name in ("open files", "clock")] == ["fail", "fail"]


def test_models_in_folders(models, tmp_path, capsys):
    import shutil

    assert run(["models", "list", str(models), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["family"], row["encoder"]) == ("hierarchical", "hashing")
    assert run(["models", "show", str(models / "good"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["digest"] == row["digest"]
    assert run(["models", "show", str(models / "good")]) == 0
    assert "hierarchical" in capsys.readouterr().out
    shutil.copytree(models / "good", tmp_path / "all" / "bad")
    (tmp_path / "all" / "bad" / "people.json").write_text("[]")
    assert run(["models", "list", str(tmp_path / "all")]) == 1
    assert "bad" in capsys.readouterr().out
    assert run(["models", "list", str(tmp_path / "none")]) == 3


def test_what_two_cards_say_differently(models, tmp_path, capsys):
    good = str(models / "good")
    assert run(["models", "diff", good, good]) == 0
    assert capsys.readouterr().out == "no differences\n"
    found = differences(
        {"family": "bt", "data": {"people": 3, "rows": [1]}, "loss": 0.5},
        {"family": "bt", "data": {"people": 4, "rows": [1]}, "note": "x " * 40},
    )
    assert found == {"data.people": (3, 4), "loss": (0.5, None), "note": (None, "x " * 40)}
    *lines, note = as_table(found, ("old", "new")).splitlines()
    assert [line.split() for line in lines] == [
        ["old", "new"], ["data.people", "3", "4"], ["loss", "0.5", "–"],
    ]  # fmt: skip
    assert note.endswith("…")
    assert run(["models", "diff", good, "nothing"]) == 3
    assert "second: expected a model folder or the number" in capsys.readouterr().err
