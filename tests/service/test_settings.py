"""Settings: flags over the environment over a file; what is wrong is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from gustibus.cli.app import run
from gustibus.errors import ConfigError
from gustibus.service.settings import Settings


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GUSTIBUS_DATABASE", raising=False)
    return tmp_path


def write(folder, text: str) -> None:
    (folder / "gustibus.toml").write_text(text)


def test_the_environment_wins_over_the_file_and_the_file_over_the_defaults(here):
    write(here, '[service]\nport = 8123\nrate = 7\nmodel_name = "first"\ndocs = true\n')
    found = Settings.from_env({"GUSTIBUS_PORT": "9000"})
    assert (found.port, found.rate, found.model_name, found.docs) == (9000, 7.0, "first", True)
    assert found.host == Settings().host
    assert isinstance(found.rate, float)


def test_other_tables_of_the_file_are_others_business(here):
    write(here, '[model]\nname = "pal"\n')
    assert Settings.from_env({}) == Settings()


def test_a_file_may_have_any_name(here):
    (here / "other.toml").write_text("[service]\nworkers = 3\n")
    assert Settings.from_env({"GUSTIBUS_CONFIG": str(here / "other.toml")}).workers == 3
    with pytest.raises(ConfigError, match="GUSTIBUS_CONFIG: expected a TOML file"):
        Settings.from_env({"GUSTIBUS_CONFIG": "none.toml"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[service]\nprot = 1\n", "service.prot: no such setting; did you mean 'port'"),
        ('[service]\nport = "8000"\n', "service.port: expected a whole number, got '8000'"),
        ("[service]\nport = true\n", "service.port: expected a whole number"),
        ("[service]\ndocs = 1\n", "service.docs: expected true or false"),
        ("[service]\nhost = 1\n", "service.host: expected a text"),
        ("[service]\nport = 70000\n", "PORT: expected a number from 0 to 65535"),
        ("service = 1\n", "service: expected a table"),
        ("[service\n", "not a TOML file"),
    ],
)
def test_a_wrong_entry_is_named(here, text, expected):
    write(here, text)
    with pytest.raises(ConfigError, match=expected.replace("'", ".")):
        Settings.from_env({})


def test_commands_read_the_file_and_doctor_says_where_from(here, capsys):
    write(here, '[service]\ndatabase = "sqlite:///named.db"\n')
    assert run(["db", "upgrade"]) == 0
    assert (here / "named.db").is_file()
    capsys.readouterr()
    run(["doctor", "--json"])
    told = json.loads(capsys.readouterr().out)["settings"]
    assert told["GUSTIBUS_DATABASE"] == {"value": "sqlite:///named.db", "from": "gustibus.toml"}
    assert told["GUSTIBUS_PORT"]["from"] == "default"


def test_doctor_says_what_is_read_by_nothing(here, capsys, monkeypatch):
    write(here, "[servce]\nport = 1\n[service]\nport = 8100\n")
    monkeypatch.setenv("GUSTIBUS_PROT", "9000")
    monkeypatch.setenv("GUSTIBUS_ZZZZZZZZ", "1")
    run(["doctor", "--json"])
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert [(one["status"], one["detail"]) for one in checks if one["name"] == "unread"] == [
        ("warn", "GUSTIBUS_PROT is read by nothing; did you mean GUSTIBUS_PORT?"),
        ("warn", "GUSTIBUS_ZZZZZZZZ is read by nothing"),
        ("warn", "gustibus.toml: servce is read by nothing; did you mean service?"),
    ]
    monkeypatch.delenv("GUSTIBUS_PROT")
    monkeypatch.delenv("GUSTIBUS_ZZZZZZZZ")
    monkeypatch.setenv("GUSTIBUS_URL", "http://localhost")
    write(here, "[service]\nport = 8100\n")
    run(["doctor", "--json"])
    assert "unread" not in capsys.readouterr().out


def test_help_does_not_wait_for_what_it_does_not_need():
    code = (
        "import sys; from gustibus.cli.app import run; assert run(['--help']) == 0; "
        "heavy = {'numpy', 'torch', 'pyarrow', 'sqlalchemy', 'msgspec', 'gustibus.data'}; "
        "sys.exit(','.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_is_told_how_to_complete(shell):
    code = "from gustibus.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "--show-completion", shell], capture_output=True, text=True,
        timeout=60, check=False,
        # What runs the tests need not be a shell.
        env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "COMPLETE" in done.stdout
