"""The command line: results on standard output, one clear line for errors, exit codes."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import sys
import warnings
from contextlib import closing
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

import gustibus
from gustibus.cli.app import run
from gustibus.data import write_folder
from gustibus.data.synthetic import demo_world
from gustibus.store import Store, add_usage


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("cli")
    write_folder(demo_world(people=50, new=4, seed=0).dataset, root / "data")
    code = run([
        "train", str(root / "data"), "-o", str(root / "model"), "--encoder", "hashing",
        "--set", "equalise=[0.5]", "--set", "ridges=[10]", "--set", "folds=1", "--set", "rounds=3",
        "--questions", "40",
    ])  # fmt: skip
    assert code == 0
    return root


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    for name in ("GUSTIBUS_URL", "GUSTIBUS_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_every_command_has_help(capsys):
    for command in (
        "train", "encode", "eval", "score", "serve", "demo", "openapi", "db", "keys", "doctor",
        "import", "export", "users", "models", "onboard",
    ):  # fmt: skip
        assert run([command, "--help"]) == 0
        assert "Usage" in capsys.readouterr().out


def test_version_and_no_arguments(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("gustibus 0.")
    run([])
    assert "Commands" in capsys.readouterr().out


def test_train_says_what_it_made(trained, capsys):
    assert run(["train", str(trained / "data"), "-o", str(trained / "again"), "--model", "bt",
                "--encoder", "hashing", "--json"]) == 0  # fmt: skip
    card = json.loads(capsys.readouterr().out)
    assert card["family"] == "bt"
    assert len(card["digest"]) == 64
    data, output = str(trained / "data"), str(trained / "all of them")
    assert run(["train", data, "-o", output, "--model", "bt", "--encoder", "hashing"]) == 0
    told = capsys.readouterr().out
    held = f"{card['data']['comparisons']} of {card['data']['comparisons_given']} comparisons"
    assert f"bt: learned from {held}" in told
    assert "the rest is held out" in told
    assert f"next: gustibus eval {data} --model '{output}'" in told


def test_a_model_that_saw_everybody_is_not_sent_to_be_judged(trained, capsys):
    data, output = str(trained / "data"), str(trained / "all")
    assert run(["train", data, "-o", output, "--model", "bt", "--encoder", "hashing",
                "--split", "all"]) == 0  # fmt: skip
    told = capsys.readouterr().out
    assert f"next: gustibus serve --upgrade --model {output}\n" in told
    assert "held out" not in told


def test_score_ranks_lines(trained, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO('Done.\n"A longer\\nanswer."\n\n'))
    assert run(["score", str(trained / "model"), "--user", "person-001", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["text"] for row in rows} == {"Done.", "A longer\nanswer."}
    assert rows[0]["score"] >= rows[1]["score"]
    monkeypatch.setattr("sys.stdin", io.StringIO("Done.\n"))
    assert run(["score", str(trained / "model")]) == 0
    assert "±" in capsys.readouterr().out


def test_score_with_a_transform(trained, capsys, monkeypatch):
    def scored(*flags):
        monkeypatch.setattr("sys.stdin", io.StringIO("warm words\nshort\nplain\n"))
        code = run(["score", str(trained / "model"), "--user", "person-001", *flags, "--json"])
        out, error = capsys.readouterr()
        return json.loads(out) if code == 0 else error

    plain, shaped = scored(), scored("--transform", "par", "--set", "k=2")
    assert [row["text"] for row in shaped] == [row["text"] for row in plain]
    assert all(0 < row["score"] < 1 and row["stderr"] < old["stderr"]
               for row, old in zip(shaped, plain, strict=True))  # fmt: skip
    assert "no transform 'parr'" in scored("--transform", "parr")
    assert "saved without one" in scored("--transform", "model")
    assert "give --transform NAME too" in scored("--set", "k=2")


def test_score_chooses_among_answers(trained, capsys, monkeypatch):
    said = ["Yes, it is.", "No.", "It is so, yes.", "Perhaps it is."]
    answers = ["yes", "no", " Yes ", "perhaps"]
    lines = [json.dumps({"text": t, "answer": a}) for t, a in zip(said, answers, strict=True)]

    def chosen(*flags, given=lines):
        monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(given) + "\n"))
        code = run(["score", str(trained / "model"), "--user", "person-001", *flags])
        out, error = capsys.readouterr()
        return out if code == 0 else error

    worth = gustibus.load(str(trained / "model")).score("", said, user="person-001")
    found = json.loads(
        chosen("--method", "best_of_majority", "--alpha", "0.5", "--k", "4", "--json")
    )
    (one,) = found  # nothing else is as frequent
    assert (one["answer"], one["count"], one["text"]) == ("yes", 2, said[2 * (worth[2] > worth[0])])
    assert one["score"] == pytest.approx(worth[[0, 2]].mean(), rel=1e-5)
    best = json.loads(chosen("--method", "best_of_n", "--json"))
    assert best[0]["index"] == int(worth.argmax())
    assert "2 of 4  yes\n" in chosen("--method", "majority_vote")
    own = json.loads(chosen("--method", "best_of_n", "--k", "9", "--json", given=said))
    assert {one["answer"] for one in own} == set(said)
    assert "--alpha: expected with the method 'best_of_majority'" in chosen(
        "--method", "best_of_majority"
    )
    assert "--alpha: belongs to a method" in chosen("--alpha", "0.5")
    assert "no selection 'best_of_m'" in chosen("--method", "best_of_m")
    odd = chosen("--method", "best_of_n", given=['{"text": "x", "anser": "y"}'])
    assert (
        "candidates: line 1: expected an object with one of ['text', 'embedding', 'vector']" in odd
    )
    assert "got ['anser', 'text']" in odd


def test_score_reads_objects_as_candidates(trained, capsys, monkeypatch):
    def scored(*lines, flags=()):
        monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
        code = run(["score", str(trained / "model"), *flags, "--json"])
        out, error = capsys.readouterr()
        return json.loads(out) if code == 0 else error

    scorer = gustibus.load(str(trained / "model"))
    vector = json.dumps({"embedding": scorer.encoder.encode(["a"])[0].tolist()})
    plain, told, embedded = (scored(line)[0] for line in ("a", '{"text":"a"}', vector))
    assert plain["score"] == told["score"] == pytest.approx(embedded["score"], rel=1e-5)
    assert (plain["text"], told["text"], "text" in embedded) == ("a", "a", False)
    order = scored("b b", vector, '{"text": "some words"}')
    assert {row["index"]: row["score"] for row in order} == pytest.approx({
        0: scored("b b")[0]["score"], 1: told["score"], 2: scored("some words")[0]["score"],
    }, rel=1e-5)  # fmt: skip
    assert scored('{"text":"a"}', flags=["--text"])[0]["text"] == '{"text":"a"}'
    for line, reason in (
        ('{"id":"i1"}', "line 2: a model folder knows no ids"),
        (
            '{"id":"i1","text":"a"}',
            "line 2: expected an object with one of ['text', 'embedding', 'vector']",
        ),
        ('{"text":"a","more":1}', "got ['more', 'text']; --text reads every line as a text"),
        ('{"text":"a","answer":"b"}', "got ['answer', 'text']"),
        ("{}", "line 2: expected an object"),
        ('{"text":1}', "line 2: text: expected a text, got 1"),
        ('{"text":"a', "line 2: expected a JSON object, got something else"),
        ('{"embedding":[1,2]}', f"line 2: embedding: expected {scorer.model.item_dim} numbers"),
        ('{"embedding":"x"}', "line 2: embedding"),
    ):
        assert reason in scored("a", line), line


def test_score_without_a_model_says_where_else_it_could_be_asked(capsys):
    assert run(["score"]) == 2
    assert "expected a model folder, or a service: --url or GUSTIBUS_URL" in capsys.readouterr().err


def test_score_by_stated_weights(trained, capsys, monkeypatch):
    assert run([
        "train", str(trained / "data"), "-o", str(trained / "pro"), "--model", "pro", "--encoder",
        "hashing", "--set", "experts=2", "--set", "names=short,warm", "--set", "steps=20",
        "--set", "ridges=[10]", "--questions", "0",
    ]) == 0  # fmt: skip
    capsys.readouterr()

    def scored(*flags):
        monkeypatch.setattr("sys.stdin", io.StringIO("Done.\nWhat a lovely question!\n"))
        code = run(["score", str(trained / "pro"), "--prompt", "Well?", *flags, "--json"])
        out, error = capsys.readouterr()
        return {row["text"]: row["score"] for row in json.loads(out)} if code == 0 else error

    forth, back = scored("--weights", "short=2,warm=-1"), scored("--weights", "short=-4,warm=2")
    assert back == pytest.approx({text: -score for text, score in forth.items()})
    robust = scored("--weights", "short=2,warm=-1", "--robust", "25")
    assert all(robust[text] < forth[text] for text in forth)
    assert "no objective 'long'" in scored("--weights", "long=1")
    assert "expected NAME=NUMBER" in scored("--weights", "short")
    assert "give --weights too" in scored("--robust", "10")
    assert "leave --user out" in scored("--weights", "short=1", "--user", "person-001")


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["train", "nowhere.parquet", "-o", "x"], 3, "nowhere.parquet"),
        (["train", "nowhere.parquet"], 2, "--output is missing"),
        (["train", "x.parquet", "-o", "y", "--model", "palm"], 1, "pal"),
        (["train", "x.parquet", "-o", "y", "--set", "rank"], 2, "expected NAME=VALUE"),
        (["score", "nowhere"], 1, "candidates"),
        (["onboard", "--user", "x", "--model", "{tmp}/nowhere"], 3, "nowhere: no such folder"),
        (["train", "x.csv", "-o", "y", "--encoder", "transformers"], 3, "x.csv"),
        (
            ["train", "{tmp}/log.csv", "-o", "y", "--encoder", "transformers"],
            2,
            "needs the option 'model': --encoder-set model=VALUE",
        ),
        (["train", "{tmp}/log.csv", "-o", "{tmp}/log.csv"], 1, "is not an artifact"),
        (
            ["rank", "match", "simulate", "triangular", "--runs", "1", "--plot", "no/where.png"],
            1,
            "no/where.png: No such file or directory",
        ),
        (
            ["keys", "create", "x", "--scope", "admn", "--database", "sqlite:///{tmp}/k.db"],
            1,
            "no scope 'admn'; did you mean ['admin'",
        ),
        (
            ["keys", "list", "--database", "sqlite:///{tmp}/none.db"],
            3,
            "none.db: no such file; make it with: gustibus db upgrade --database sqlite:///",
        ),
        (
            ["users", "show", "x", "--database", "sqlite:///{tmp}/none.db"],
            3,
            "none.db: no such file",
        ),
        (["serve", "--database", "sqlite:///{tmp}/none.db"], 3, "none.db: no such file"),
        (["worker", "--database", "sqlite:///{tmp}/none.db"], 3, "none.db: no such file"),
        (["encode", "nope.txt", "-o", "x.npy"], 3, "nope.txt: no such file"),
        (["encode", "log.csv", "--column", "user", "-o", "/nope/x"], 3, "there is no folder /nope"),
        (["serve", "--workers", "0"], 2, "WORKERS"),
        (["serve", "--set", "burts=1"], 1, "no setting 'burts'; did you mean ['burst'"),
        (["worker", "--set", "burst"], 2, "--set: expected NAME=VALUE"),
        (["keys", "create", " ", "--database", "sqlite:///{tmp}/k.db"], 2, "name: expected 1 to"),
        (
            ["keys", "create", "x", "--expires", "soon", "--database", "sqlite:///{tmp}/k.db"],
            2,
            "--expires: expected days, such as 90, or an ISO time, got 'soon'",
        ),
        (
            [
                "keys",
                "create",
                "x",
                "--expires",
                "2001-01-01",
                "--database",
                "sqlite:///{tmp}/k.db",
            ],
            2,
            "--expires: expected a time to come",
        ),
        (["models", "register", "x"], 2, "--root: expected the service's folder of models, here"),
        (["demo", "--port", "{taken}"], 2, "--port 0 takes a free one"),
        (["train"], 2, "Missing argument"),
        (["nonsense"], 2, "No such command"),
        (["db", "current", "--database", "mysql://x"], 2, "sqlite:// or postgresql://"),
        (["keys", "revoke", "none", "--database", "sqlite:///{tmp}/k.db"], 3, "none"),
        (["serve", "--model", "nowhere"], 2, "GUSTIBUS_MODEL"),
    ],
)
def test_errors_are_one_line_and_an_exit_code(
    arguments, code, reason, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GUSTIBUS_MODELS", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    (tmp_path / "log.csv").write_text("user,prompt,chosen,rejected\nu,p,x,y\n")
    if any("k.db" in argument for argument in arguments):
        assert run(["db", "upgrade", "--database", f"sqlite:///{tmp_path}/k.db"]) == 0
    with socket.create_server(("127.0.0.1", 0)) as other:
        told = {"{tmp}": str(tmp_path), "{taken}": str(other.getsockname()[1])}
        for name, value in told.items():
            arguments = [argument.replace(name, value) for argument in arguments]
            reason = reason.replace(name, value)
        assert run(arguments) == code
    error = capsys.readouterr().err
    assert reason in error
    assert "Traceback" not in error
    assert not (tmp_path / "none.db").exists()
    assert not (tmp_path / "demo").exists()


def test_a_port_that_is_taken_is_told_in_one_line(tmp_path):
    database = f"sqlite:///{tmp_path}/k.db"
    assert run(["db", "upgrade", "--database", database]) == 0
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "gustibus", "serve", "--database", database, "--port", port],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert done.returncode == 2
    told = f"cannot listen on 127.0.0.1:{port}: Address already in use; --port or GUSTIBUS_PORT"
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_schema_that_is_not_there_is_one_line_of_the_service(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.db").touch()
    database = ["--database", f"sqlite:///{tmp_path}/empty.db"]
    assert run(["db", "current", *database]) == 0
    assert capsys.readouterr().out == "schema none\n"
    assert run(["serve", *database]) == 2
    error = capsys.readouterr().err
    assert error.count("gustibus db upgrade") == 1
    assert "listening" not in error


def test_a_warning_is_a_line_without_source(tmp_path, capsys):
    log = tmp_path / "games.csv"
    log.write_text("winner,loser\na,b\nb,c\n")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert run(["rank", "strengths", str(log)]) == 0
    error = capsys.readouterr().err
    assert error.startswith("gustibus: the comparisons fall into 3 components")
    assert error.count("\n") == 1


def test_scores_for_somebody_unknown_are_said_to_be_the_populations(trained, capsys, monkeypatch):
    def said(*flags):
        monkeypatch.setattr("sys.stdin", io.StringIO("Done.\n"))
        assert run(["score", str(trained / "model"), *flags]) == 0
        return capsys.readouterr().err

    assert "'person-1' is not among the people of this model" in said("--user", "person-1")
    assert said("--user", "person-001") == said() == ""


def test_keys_are_made_listed_and_revoked(tmp_path, capsys):
    database = ["--database", f"sqlite:///{tmp_path}/keys.db"]
    assert run(["db", "upgrade", *database]) == 0
    assert run(["db", "check", *database]) == 0
    capsys.readouterr()
    assert run(["keys", "create", "laptop", "--scope", "score", *database]) == 0
    key = capsys.readouterr().out.strip()
    assert run(["keys", "list", *database]) == 0
    listed = capsys.readouterr().out
    assert key[-43:] not in listed
    assert "laptop" in listed
    assert "never used" in listed
    with closing(Store(database[1])) as store, store.write() as conn:
        add_usage(conn, day="2026-10-01", used={listed.split()[0]: (1, 1)})
    run(["keys", "list", *database])
    assert "  used 2026-10-01" in capsys.readouterr().out
    assert run(["keys", "revoke", listed.split()[0], *database]) == 0
    run(["keys", "list", *database])
    assert "revoked" in capsys.readouterr().out


class Terminal(io.StringIO):
    """Standard input with somebody at it."""

    def isatty(self) -> bool:
        return True


def test_who_revokes_a_key_at_a_terminal_is_asked(tmp_path, capsys, monkeypatch):
    database = ["--database", f"sqlite:///{tmp_path}/keys.db"]
    run(["db", "upgrade", *database])
    run(["keys", "create", "laptop", "--scope", "score", *database])
    capsys.readouterr()
    run(["keys", "list", "--json", *database])
    (key,) = json.loads(capsys.readouterr().out)

    def state() -> str:
        run(["keys", "list", "--json", *database])
        return json.loads(capsys.readouterr().out)[0]["state"]

    for said in ("no\n", "\n"):
        monkeypatch.setattr("sys.stdin", Terminal(said))
        assert run(["keys", "revoke", key["id"], *database]) == 1
        told = capsys.readouterr().err
        assert f"Revoke the key {key['id']} of 'laptop'? [y/N]" in told
        assert "nothing was changed" in told
        assert state() == "live"
    monkeypatch.setattr("sys.stdin", Terminal(""))
    assert run(["keys", "revoke", key["id"], *database]) == 2
    assert "--yes" in capsys.readouterr().err
    assert run(["keys", "revoke", "none", *database]) == 3  # there is nothing to ask about
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert run(["keys", "revoke", key["id"], *database]) == 0
    assert state() == "revoked"
    monkeypatch.setattr("sys.stdin", Terminal("no\n"))
    assert run(["keys", "revoke", key["id"], "--yes", *database]) == 0


def test_the_schema_and_keys_as_json(tmp_path, capsys):
    database = ["--json", "--database", f"sqlite:///{tmp_path}/keys.db"]

    def told(*arguments):
        assert run([*arguments, *database]) == 0
        return json.loads(capsys.readouterr().out)

    assert told("db", "current")["schema"] is None
    upgraded = told("db", "upgrade")
    assert upgraded["schema"] == upgraded["newest"] == told("db", "current")["schema"]
    assert told("db", "check") == {"drift": False}
    key = told("keys", "create", "laptop", "--scope", "score")
    assert key["key"].startswith("gustibus_live_")
    (row,) = told("keys", "list")
    assert datetime.fromisoformat(row.pop("created_at")) <= datetime.now(UTC)
    assert row == {"id": key["id"], "state": "live", "name": "laptop", "scopes": ["score"],
                   "expires_at": None, "models": None, "cidrs": None, "trusted": False,
                   "last_used_day": None}  # fmt: skip
    assert told("keys", "revoke", key["id"]) == {"id": key["id"], "state": "revoked"}
    assert told("keys", "list")[0]["state"] == "revoked"


def test_a_key_is_rotated_by_its_name_where_that_is_clear(tmp_path, capsys):
    database = ["--database", f"sqlite:///{tmp_path}/keys.db"]
    run(["db", "upgrade", *database])
    run(["keys", "create", "app", "--scope", "score", "--model", "tastes", "--trusted", *database])
    capsys.readouterr()

    def listed():
        run(["keys", "list", "--json", *database])
        return json.loads(capsys.readouterr().out)

    (first,) = listed()
    assert run(["keys", "rotate", "app", "--grace", "48", *database]) == 0
    told = capsys.readouterr()
    old, fresh = listed()
    assert told.out.startswith(f"gustibus_live_{fresh['id']}_")
    assert f"{old['id']}, which it replaces, ends at {old['expires_at']}" in told.err
    left = datetime.fromisoformat(old["expires_at"]) - datetime.now(UTC)
    assert timedelta(hours=47) < left <= timedelta(hours=48)
    same = ("state", "name", "scopes", "models", "cidrs", "trusted", "expires_at")
    assert {name: fresh[name] for name in same} == {name: first[name] for name in same}
    assert run(["keys", "rotate", "app", *database]) == 1
    unclear = capsys.readouterr().err
    assert f"2 live keys are called 'app'; name one by its id: {old['id']} {fresh['id']}" in unclear
    assert run(["keys", "rotate", fresh["id"], "--grace", "0", "--json", *database]) == 0
    third = json.loads(capsys.readouterr().out)
    assert third["rotates"] == fresh["id"]
    assert [row["state"] for row in listed()] == ["live", "expired", "live"]
    assert run(["keys", "rotate", fresh["id"], *database]) == 1  # it has ended
    assert run(["keys", "rotate", "none", *database]) == 3
    assert "no live key with the id or name 'none'" in capsys.readouterr().err
    assert run(["keys", "rotate", third["id"], "--grace", "-1", *database]) == 2
    assert len(listed()) == 3


def test_a_key_expires(tmp_path, capsys):
    database = ["--database", f"sqlite:///{tmp_path}/keys.db"]
    assert run(["db", "upgrade", *database]) == 0
    capsys.readouterr()
    found = []
    for given in ("30", "2999-01-31T12:00:00+02:00"):
        assert run(["keys", "create", "x", "--expires", given, "--json", *database]) == 0
        found.append(datetime.fromisoformat(json.loads(capsys.readouterr().out)["expires_at"]))
    assert timedelta(days=29) < found[0] - datetime.now(UTC) < timedelta(days=30)
    assert found[1].isoformat() == "2999-01-31T10:00:00+00:00"
    assert run(["keys", "list", *database]) == 0
    assert "until 2999-01-31T10:00:00+00:00" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command", [["rank", "rules"], ["rank", "rules", "--committees"], ["rank", "match", "rules"]]
)
def test_rules_as_json(command, capsys):
    assert run([*command, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert all(row["name"] and row["source"] for row in rows)
    assert len(rows) > 5


def test_flags_are_settings_over_the_environment(monkeypatch, tmp_path):
    from gustibus.cli.operating import _settings

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GUSTIBUS_WORKERS", "3")
    monkeypatch.setenv("GUSTIBUS_PORT", "1")
    found = _settings(["burst=7", "port=2"], port=None, workers=2, model="")
    assert (found.burst, found.port, found.workers) == (7.0, 2, 2)


@pytest.mark.timeout(120)
def test_bench_measures_a_model_folder(trained, capsys):
    model = str(trained / "model")
    assert run(["bench", "place", model, "--people", "20", "--seconds", "0.1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert 0 < told["place_p50_us"] <= told["place_p99_us"]
    assert told["candidates_per_second"] > 1000
    assert run(["bench", "place", model, "--people", "20", "--seconds", "0.1"]) == 0
    assert "placing a person by 10 answers" in capsys.readouterr().out
    flags = ["--seconds", "0.5", "--connections", "2", "--user", "person-001"]
    assert run(["bench", "serve", model, *flags, "--workers", "2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["refused"], told["failed"], told["connections"]) == (0, 0, 2)
    assert told["answered"] == pytest.approx(told["requests_per_second"] * told["seconds"])
    assert 0 < told["p50_ms"] <= told["p99_ms"]
    assert run(["bench", "serve"]) == 2


def test_encode_writes_an_array(tmp_path, capsys):
    (tmp_path / "texts.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n')
    assert run(["encode", str(tmp_path / "texts.jsonl"), "-o", str(tmp_path / "x.npy"),
                "--encoder", "hashing", "--encoder-set", "dim=32", "--json"]) == 0  # fmt: skip
    told = json.loads(capsys.readouterr().out)
    assert (told["texts"], told["dim"], told["encoder"]) == (2, 32, "hashing")
    assert np.load(tmp_path / "x.npy").shape == (2, 32)
    assert run(["encode", str(tmp_path / "texts.jsonl"), "-o", "y", "--column", "words"]) == 1
    assert "'words'" in capsys.readouterr().err


def test_openapi_prints_the_document():
    run_module = [sys.executable, "-m", "gustibus", "openapi"]
    done = subprocess.run(run_module, capture_output=True, check=True)
    assert json.loads(done.stdout)["openapi"] == "3.1.0"
