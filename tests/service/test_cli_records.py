"""`gustibus import`, `export`, `users`, `models` and `onboard` against services and databases."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from gustibus.cli.app import run
from gustibus.store import Store, list_comparisons, list_users, upgrade
from tests.service.harness import running

TEXT = {"prompt": "Well?", "response_a": "warm and short", "response_b": "dry and long"}


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    for name in ("GUSTIBUS_URL", "GUSTIBUS_DATABASE", "GUSTIBUS_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def database(tmp_path):
    url = f"sqlite:///{tmp_path}/own.db"
    upgrade(url)
    return url


@pytest.fixture(params=["service", "database"])
def target(request, monkeypatch):
    """Flags that name a service, or a database."""
    if request.param == "database":
        return ["--database", request.getfixturevalue("database")]
    texts, _ = request.getfixturevalue("texts"), request.getfixturevalue("texts_http")
    monkeypatch.setenv("GUSTIBUS_KEY", texts.key)
    return ["--url", texts.base]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def exported(capsys, target, user):
    assert run(["export", "--user", user, *target]) == 0
    return lines(capsys.readouterr().out)


def kept(url):
    store = Store(url)
    try:
        with store.read() as conn:
            return list_comparisons(conn, limit=100_000)
    finally:
        store.close()


def test_a_file_is_imported_once_however_often(target, tmp_path, capsys, request):
    user = f"im-{request.node.callspec.id}"
    rows = [{**TEXT, "user": user, "winner": w, "prompt": f"Well {n}?"}
            for n, w in enumerate(["model_a", "model_b", "tie", "both_bad"])]  # fmt: skip
    path = write(tmp_path / "log.jsonl", [*rows, rows[0]])
    assert run(["import", path, "--json", *target]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["read"], told["accepted"], told["duplicates"], told["rejected"]) == (5, 4, 1, 0)
    assert run(["import", path, *target]) == 0
    assert capsys.readouterr().out == "0 accepted, 5 duplicates, 0 rejected\n"
    found = exported(capsys, target, user)
    assert [row["outcome"] for row in found] == ["a", "b", "tie", "both_bad"]
    assert found[0]["response_a"] == "warm and short"
    assert {row["source"] for row in found} == {"import"}


def test_a_packed_file_is_imported_as_it_is(target, tmp_path, capsys, request, monkeypatch):
    monkeypatch.setattr("gustibus.cli.streaming._PART", 1000)  # lines cross from part to part
    user = f"gz-{request.node.callspec.id}"
    rows = [{**TEXT, "user": user, "outcome": "a", "prompt": f"Well {n}?"} for n in range(40)]
    rows.append({"user": user})
    path = tmp_path / "log.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(json.dumps(row) for row in rows).encode()))
    assert run(["import", str(path), "--json", *target]) == 4
    told = json.loads(capsys.readouterr().out)
    assert (told["read"], told["accepted"], told["rejected"]) == (41, 40, 1)
    (refused,) = lines((tmp_path / "log.jsonl.gz.rejects.jsonl").read_text())
    assert (refused["row"], refused["record"]) == (41, {"user": user})
    path.write_bytes(path.read_bytes()[:-30])
    assert run(["import", str(path), *target]) == 1
    assert "cannot be unpacked" in capsys.readouterr().err


def test_a_file_of_which_nothing_can_be_read_is_no_run_to_go_on_with(database, tmp_path, capsys):
    (tmp_path / "bad.parquet").write_bytes(b"no Parquet at all")
    assert run(["import", str(tmp_path / "bad.parquet"), "--database", database]) == 1
    error = capsys.readouterr().err
    assert "bad.parquet: cannot be read as Parquet (truncated or not Parquet)" in error
    assert "--skip" not in error
    assert "run the command again" not in error


@pytest.mark.parametrize("layout", ["ndjson", "csv"])
def test_a_pipe_is_imported(target, layout, tmp_path, capsys, request):
    user = f"pipe-{request.node.callspec.id}"
    rows = [{**TEXT, "user": user, "outcome": o} for o in ("a", "b")]
    if layout == "csv":
        text = "\n".join([",".join(rows[0]), *(",".join(row.values()) for row in rows)])
        broken = "only,two"
    else:
        text, broken = "\n".join(json.dumps(row) for row in rows), "{broken"

    def piped(text, *flags):
        return subprocess.run(
            [sys.executable, "-m", "gustibus", "import", "-", "--format", layout, *target, *flags],
            input=text.encode(), capture_output=True, check=False, cwd=tmp_path,
        )  # fmt: skip

    done = piped(text, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["accepted"] == 2
    done = piped(f"{text}\n{broken}\n")
    assert done.returncode == 4, done.stderr
    assert done.stdout.decode() == "0 accepted, 2 duplicates, 1 rejected, see stdin.rejects.jsonl\n"
    (refused,) = lines((tmp_path / "stdin.rejects.jsonl").read_text())
    assert "gustibus-" not in refused["problem"]
    assert len(exported(capsys, target, user)) == 2


def test_bad_records_are_written_down_and_the_rest_is_taken(target, tmp_path, capsys, request):
    user = f"bad-{request.node.callspec.id}"
    good = {**TEXT, "user": user, "outcome": "a"}
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join([
        json.dumps(good), "{broken", json.dumps({**good, "outcome": "perhaps"}),
        json.dumps({**good, "item_a": "nothing", "response_a": None, "id": "x-1"}),
        json.dumps({**good, "outcome": "b", "id": f"{user}-1"}),
        json.dumps({**good, "outcome": "a", "id": f"{user}-1"}),
        json.dumps({**good, "user": "white space"}),
    ]))  # fmt: skip
    assert run(["import", str(path), *target]) == 4
    said = capsys.readouterr().out
    assert said.startswith("2 accepted, 0 duplicates, 5 rejected, see ")
    refused = lines((tmp_path / "log.jsonl.rejects.jsonl").read_text())
    assert {row["row"]: row["code"] for row in refused} == {
        2: "invalid_field", 3: "invalid_field", 4: "not_found", 6: "conflict", 7: "invalid_field",
    }  # fmt: skip
    assert next(row for row in refused if row["row"] == 3)["record"]["outcome"] == "perhaps"
    assert "nothing" in next(row for row in refused if row["row"] == 4)["problem"]
    assert len(exported(capsys, target, user)) == 2


def test_a_file_of_nothing_good(target, tmp_path, capsys):
    path = write(tmp_path / "log.jsonl", [{"user": "u"}] * 3)
    assert run(["import", path, "--rejects", str(tmp_path / "bad"), *target]) == 1
    assert len(lines((tmp_path / "bad").read_text())) == 3


def test_a_deleted_person_is_refused(target, tmp_path, capsys, request):
    user = f"gone-{request.node.callspec.id}"
    path = write(tmp_path / "one.jsonl", [{**TEXT, "user": user, "outcome": "a"}])
    assert run(["import", path, *target]) == 0
    assert run(["users", "delete", user, "--yes", *target]) == 0
    assert run(["users", "show", user, *target]) == 3
    assert run(["import", path, *target]) == 1
    assert "user_deleted" in (tmp_path / "one.jsonl.rejects.jsonl").read_text()
    assert run(["export", "--user", user, *target]) == 3


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_old_files_do_not_bring_back_what_somebody_had_removed(
    texts, texts_http, tmp_path, monkeypatch, capsys, suffix
):
    monkeypatch.setenv("GUSTIBUS_KEY", texts.key)
    user, target = f"anew-{suffix}", ["--url", texts.base]
    rows = [{**TEXT, "user": user, "outcome": outcome} for outcome in "ab"]
    path = tmp_path / f"log.{suffix}"
    if suffix == "csv":
        told = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
        path.write_text("\n".join(told))
    else:
        write(path, rows)
    assert run(["import", str(path), *target]) == 0
    assert run(["users", "delete", user, "--yes", *target]) == 0
    assert texts_http.put(f"/v1/users/{user}").status_code == 201
    capsys.readouterr()
    assert run(["import", str(path), *target]) == 1
    assert capsys.readouterr().out.startswith("0 accepted, 0 duplicates, 2 rejected")
    sides = {"a": "warm", "b": "dry"}
    answers = [{**sides, "user": user, "outcome": "a"}]
    assert texts_http.post("/v1/comparisons", json={"comparisons": answers}).status_code == 201
    old = {"comparisons": [{**answers[0], "at": "2020-01-01T00:00:00Z"}]}
    refused = texts_http.post("/v1/comparisons", json=old)
    assert (refused.status_code, refused.json()["code"]) == (410, "user_deleted")
    assert len(exported(capsys, target, user)) == 1
    actions = [one["action"] for one in texts_http.get("/v1/audit").json()["data"]]
    assert "user.return" in actions


def test_people_are_shown_exported_and_removed(target, tmp_path, capsys, request, monkeypatch):
    user = f"who-{request.node.callspec.id}"
    rows = [{**TEXT, "user": user, "outcome": "a", "prompt": f"{n}?"} for n in range(3)]
    assert run(["import", write(tmp_path / "log.jsonl", rows), *target]) == 0
    capsys.readouterr()
    assert run(["users", "show", user, "--json", *target]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["id"], shown["comparisons"]) == (user, 3)
    assert run(["users", "show", user, *target]) == 0
    assert user in capsys.readouterr().out
    assert run(["users", "export", user, *target]) == 0
    held = lines(capsys.readouterr().out)
    assert sum(row["kind"] == "comparison" for row in held) == 3
    assert run(["users", "export", user, "-o", str(tmp_path / "me.jsonl"), *target]) == 0
    again = lines((tmp_path / "me.jsonl").read_text())
    kept = [[row["kind"] for row in one if row["kind"] != "audit"] for one in (held, again)]
    assert kept[0] == kept[1]  # each export is in the audit log as well
    for answer, code in (("no\n", 1), ("", 2)):
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        assert run(["users", "delete", user, *target]) == code
    assert run(["users", "show", user, *target]) == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    capsys.readouterr()
    assert run(["users", "delete", user, "--json", *target]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["removed"]["comparisons"] == 3
    assert "with 3 comparisons, for ever?" in said.err
    assert run(["users", "show", user, *target]) == 3


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_an_export_can_be_imported_elsewhere(database, tmp_path, capsys, suffix):
    rows = [
        {**TEXT, "user": f"u{n % 3}", "outcome": "a", "prompt": f"{n}?", "at": "2026-01-02T00:00:00Z",
         "strength": 2} for n in range(7)
    ]  # fmt: skip
    assert run(["import", write(tmp_path / "log.jsonl", rows), "--database", database]) == 0
    output = tmp_path / f"out.{suffix}"
    capsys.readouterr()
    assert run(["export", "-o", str(output), "--json", "--database", database]) == 0
    assert json.loads(capsys.readouterr().out) == {"output": str(output), "comparisons": 7}
    assert run(["import", str(output), "--database", database]) == 0
    assert capsys.readouterr().out == "0 accepted, 7 duplicates, 0 rejected\n"
    other = f"sqlite:///{tmp_path}/other.db"
    upgrade(other)
    assert run(["import", str(output), "--database", other]) == 0
    mine, theirs = kept(database), kept(other)
    fields = ("client_id", "user", "prompt", "a_text", "b_text", "outcome", "strength", "at")
    for one, two in zip(mine, theirs, strict=True):
        assert [getattr(one, f) for f in fields] == [getattr(two, f) for f in fields]
    from gustibus.data import read_table, to_comparisons

    assert len(to_comparisons(read_table(output))) == 7
    assert list(tmp_path.glob(".out*")) == []


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_an_export_of_a_service_is_there_already(
    http, service, tmp_path, monkeypatch, capsys, suffix
):
    monkeypatch.setenv("GUSTIBUS_KEY", service.key)
    user, target = f"back-{suffix}", ["--url", service.base]
    sides = {"a": {"id": "item-1"}, "b": {"id": "item-2"}}
    rows = [{**sides, "user": user, "outcome": "a", "prompt": ""}] * 2
    rows.append({**sides, "user": user, "outcome": "b", "id": f"{user}-1", "strength": 0.5})
    assert http.post("/v1/comparisons", json={"comparisons": rows}).status_code == 201
    path = tmp_path / f"out.{suffix}"
    assert run(["export", "--user", user, "-o", str(path), *target]) == 0
    capsys.readouterr()
    before = exported(capsys, target, user)
    for _ in range(2):
        assert run(["import", str(path), *target]) == 0
        assert capsys.readouterr().out == "0 accepted, 3 duplicates, 0 rejected\n"
        assert exported(capsys, target, user) == before
    vector = {"embedding": [0.5] * 6}
    rows = [{"user": user, "a": vector, "b": {"id": "item-2"}, "outcome": "tie"}]
    assert http.post("/v1/comparisons", json={"comparisons": rows}).status_code == 201
    assert run(["export", "--user", user, "-o", str(path), *target]) == 0
    assert run(["import", str(path), "--json", *target]) == (0 if suffix == "jsonl" else 4)
    said = capsys.readouterr().out
    told = json.loads(said[said.index("{") :])
    assert (told["accepted"], told["duplicates"]) == (0, 4 if suffix == "jsonl" else 3)
    if suffix == "parquet":  # goes through requests, which need both sides
        assert "embeddings" in path.with_name("out.parquet.rejects.jsonl").read_text()


def test_more_than_a_request_holds_is_sent_in_parts(
    texts, texts_http, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("GUSTIBUS_KEY", texts.key)
    monkeypatch.setenv("GUSTIBUS_URL", texts.base)
    long = "word " * 5000
    rows = [{"user": "long", "prompt": f"{n}", "response_a": long, "response_b": "b", "label": 1}
            for n in range(90)]  # fmt: skip
    rows[50]["user"] = "x" * 200  # one that spoils the request it is in
    assert run(["import", write(tmp_path / "log.jsonl", rows), "--json"]) == 4
    told = json.loads(capsys.readouterr().out)
    assert (told["accepted"], told["rejected"]) == (89, 1)
    assert texts_http.get("/v1/users/long").json()["comparisons"] == 89


def test_a_row_that_the_service_refuses_does_not_spoil_the_others(
    http, service, tmp_path, monkeypatch
):
    monkeypatch.setenv("GUSTIBUS_KEY", service.key)
    rows = [{"user": "spoilt", "item_a": f"item-{n}", "item_b": "item-1", "outcome": "a"}
            for n in (0, 2, 3, 900, 4)]  # fmt: skip
    rows.append({**TEXT, "user": "spoilt", "outcome": "a"})  # a text, which this model cannot read
    path = write(tmp_path / "log.jsonl", rows)
    assert run(["import", path, "--url", service.base]) == 4
    refused = lines((tmp_path / "log.jsonl.rejects.jsonl").read_text())
    assert [(row["row"], row["code"]) for row in refused] == [
        (4, "not_found"),
        (6, "invalid_field"),
    ]
    assert http.get("/v1/users/spoilt").json()["comparisons"] == 4


STOPPED = """
import os, signal
from gustibus.cli import main
from gustibus.cli.records import Stored
add, calls = Stored.add, []
def counted(self, answers):
    calls.append(answers)
    if len(calls) == 4:
        os.kill(os.getpid(), signal.{signal})
    return add(self, answers)
Stored.add = counted
main()
"""
"""A real process that gets a signal when twelve thousand rows are in."""


@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_an_import_that_was_stopped_goes_on_where_it_was(database, tmp_path, name):
    rows = ({**TEXT, "user": f"u{n % 50}", "prompt": f"{n}", "label": 1} for n in range(32_000))
    command = ["import", write(tmp_path / "log.jsonl", rows), "--database", database]
    first = subprocess.run(
        [sys.executable, "-c", STOPPED.format(signal=name), *command],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    some, skip = len(kept(database)), 0
    assert some in {12_000, 16_000}
    if name == "SIGINT":
        assert first.returncode == 130, first.stderr
        skip = int(first.stderr.partition("--skip ")[2].split()[0])
        assert skip == 12_000
    else:
        assert first.returncode == -signal.SIGKILL
    code = "from gustibus.cli import main; main()"
    again = subprocess.run(
        [sys.executable, "-c", code, *command, "--skip", str(skip), "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    told = json.loads(again.stdout)
    assert (told["accepted"], told["duplicates"]) == (32_000 - some, some - skip)
    assert len(kept(database)) == 32_000


def test_answers_written_to_the_database_reach_a_running_service(
    tmp_path, texts_folder, texts_model, capsys
):
    url = f"sqlite:///{tmp_path}/live.db"
    with running(url, tmp_path, gustibus_model=str(texts_folder)) as service:
        rows = [{**TEXT, "user": "late", "outcome": "a", "prompt": f"{n}"} for n in range(5)]
        assert run(["import", write(tmp_path / "log.jsonl", rows), "--database", url]) == 0
        service.stop()
        service.start()
        with service.client() as client:
            until = time.monotonic() + 90
            while time.monotonic() < until:
                shown = client.get("/v1/users/late").json()
                if shown["fitted_comparisons"] == 5:
                    break
                time.sleep(0.05)
            assert shown["fitted_comparisons"] == 5


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["import", "none.jsonl", "--database", "{db}"], 3, "no such file"),
        (["import", "log.jsonl", "--database", "{db}", "--url", "http://x"], 2, "got both"),
        (["import", "log.jsonl", "--rejects", "log.jsonl", "--database", "{db}"], 2, "--rejects"),
        (["import", "log.jsonl", "--map", "good", "--database", "{db}"], 1, "name=column"),
        (["import", "log.jsonl", "--database", "sqlite:///{tmp}/none.db"], 3, "db upgrade"),
        (["import", "log.jsonl", "--url", "http://127.0.0.1:9"], 1, "no connection"),
        (
            ["models", "list", "--url", "http://ada:secret@127.0.0.1:9"],
            1,
            "GET /v1/models: no connection to http://127.0.0.1:9 ([Errno 111] Connection refused); "
            "GUSTIBUS_URL says where the service is",
        ),
        (["import", "log.jsonl", "--format", "csv", "--database", "{db}"], 2, "--format: belongs"),
        (["export", "-o", "x.csv", "--database", "{db}"], 2, "--output"),
        (
            ["export", "-o", "/nope/o.jsonl", "--database", "{db}"],
            3,
            "--output: /nope/o.jsonl: there is no folder /nope",
        ),
        (["export", "-o", "{tmp}/d.jsonl", "--database", "{db}"], 1, "d.jsonl: it is a folder"),
        (["users", "export", "u", "-o", "/nope/u", "--database", "{db}"], 3, "no folder /nope"),
        (["export", "--json", "--database", "{db}"], 2, "--output"),
        (["users", "show", "nobody", "--database", "{db}"], 3, "nobody"),
        (["users", "delete", "nobody", "--yes", "--database", "{db}"], 3, "nobody"),
        (["onboard"], 2, "Missing option"),
        (["onboard", "--user", "me", "--model", "none"], 3, "none"),
    ],
)
def test_errors_are_one_line_and_an_exit_code(
    arguments, code, reason, database, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gustibus.client.attempts.Options.delay", lambda *a: 0.0)
    write(tmp_path / "log.jsonl", [{**TEXT, "user": "u", "outcome": "a"}])
    (tmp_path / "d.jsonl").mkdir()
    given = [a.replace("{db}", database).replace("{tmp}", str(tmp_path)) for a in arguments]
    assert run(given) == code
    error = capsys.readouterr().err
    assert reason in error
    assert "Traceback" not in error


def test_models_of_a_service(http, service, vectors_model, monkeypatch, capsys):
    monkeypatch.setenv("GUSTIBUS_KEY", service.key)
    assert run(["models", "list", "--url", service.base, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["digest"] == vectors_model.digest
    assert run(["models", "show", row["id"], "--url", service.base, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == row
    assert run(["models", "show", "other", "--url", service.base]) == 3


def test_a_model_is_not_copied_for_a_service_that_does_not_take_it(
    texts, texts_folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("gustibus.client.attempts.Options.delay", lambda *a: 0.0)
    monkeypatch.delenv("GUSTIBUS_MODELS", raising=False)
    monkeypatch.chdir(tmp_path)
    command = ["models", "register", str(texts_folder)]
    assert run([*command, "--url", texts.base]) == 2
    assert "--root: expected the service's folder of models" in capsys.readouterr().err
    root = ["--root", str(tmp_path)]
    assert run([*command, *root, "--url", "http://127.0.0.1:9"]) == 1
    assert run([*command, *root, "--url", texts.base]) == 1  # without a key
    assert "no key was sent: set GUSTIBUS_KEY" in capsys.readouterr().err
    monkeypatch.setenv("GUSTIBUS_KEY", texts.key)
    assert run([*command, *root, "--url", texts.base]) != 0  # the service has another folder
    assert list(tmp_path.iterdir()) == []


def test_score_asks_a_service_for_its_people_and_items(texts, texts_http, monkeypatch, capsys):
    def scored(*lines, flags=()):
        monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
        code = run(["score", *flags, "--json"])
        said = capsys.readouterr()
        return (json.loads(said.out) if code == 0 else code), said.err

    monkeypatch.setenv("GUSTIBUS_KEY", texts.key)
    monkeypatch.setenv("GUSTIBUS_URL", texts.base)
    texts_http.put("/v1/items/scored-one", json={"text": "warm and short"}).raise_for_status()
    rows, said = scored(
        '{"id": "scored-one"}', "warm and short", '{"text": "dry and long"}',
        flags=["--user", "trained-0", "--prompt", "Well?"],
    )  # fmt: skip
    assert said == ""
    by_index = {row["index"]: row for row in rows}
    assert (by_index[0]["id"], by_index[2]["text"]) == ("scored-one", "dry and long")
    assert by_index[0]["score"] == pytest.approx(by_index[1]["score"], abs=1e-5)
    assert by_index[0]["stderr"] > 0.0
    sent = {"user": "trained-0", "prompt": "Well?", "candidates": ["dry and long"]}
    reply = texts_http.post("/v1/score", json=sent).json()
    assert by_index[2]["score"] == pytest.approx(reply["data"][0]["score"], abs=1e-5)
    best, _ = scored(
        "warm", "warm", "dry", flags=["--method", "majority_vote", "--url", texts.base]
    )
    assert (best[0]["answer"], best[0]["count"]) == ("warm", 2)
    assert (
        "'nobody-here' is not known to the service"
        in scored("a", flags=["--user", "nobody-here"])[1]
    )
    assert scored('{"id": "never-kept"}')[0] == 3
    monkeypatch.delenv("GUSTIBUS_KEY")
    code, said = scored("a")
    assert (code, said.count("no key was sent: set GUSTIBUS_KEY")) == (1, 1)


def answers(monkeypatch, text):
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{key}\n" for key in text)))


def test_onboarding_against_a_model_folder(
    texts_folder, texts_model, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    command = ["onboard", "--user", "me", "--model", str(texts_folder), "--json", "--seed", "5"]
    answers(monkeypatch, "1x2zts" + "q")
    assert run(command) == 0
    said = capsys.readouterr()
    first = json.loads(said.out)
    kept_turns = json.loads((tmp_path / "me.answers.json").read_text())["turns"]
    assert [turn["answer"] for turn in kept_turns] == ["left", "tie", "skip"]
    assert (first["answers"], first["user"]) == (2, "me")
    assert "Question 1" in said.err
    answers(monkeypatch, "2q")  # goes on
    assert run(command) == 0
    assert json.loads(capsys.readouterr().out)["answers"] == 3
    answers(monkeypatch, "1" * 40)
    assert run([*command, "--max-questions", "6"]) == 0  # until the session ends by itself
    assert 3 <= json.loads(capsys.readouterr().out)["answers"] <= 6
    answers(monkeypatch, "q")
    assert run(["onboard", "--user", "you", "--model", str(texts_folder), "--answers",
                "me.answers.json"]) == 2  # fmt: skip
    assert "holds answers of 'me'" in capsys.readouterr().err


def test_onboarding_against_a_service(http, service, monkeypatch, capsys):
    monkeypatch.setenv("GUSTIBUS_KEY", service.key)
    monkeypatch.setenv("GUSTIBUS_URL", service.base)
    answers(monkeypatch, "z12zbq")
    assert run(["onboard", "--user", "terminal", "--json"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert (found["answers"], found["profile_version"]) == (2, 1)
    assert "This is the first question." in said.err
    rows = http.get("/v1/comparisons", params={"user": "terminal"}).json()["data"]
    assert sorted(row["outcome"] for row in rows)[-1] == "both_bad"
    assert rows[1]["outcome"] == "both_bad"  # the second answer, after going back
    assert rows[0]["outcome"] in {"a", "b"}


def test_an_interrupted_session_of_a_service_can_be_gone_on_with(
    http, service, monkeypatch, capsys
):
    monkeypatch.setenv("GUSTIBUS_KEY", service.key)
    monkeypatch.setenv("GUSTIBUS_URL", service.base)
    said = iter(["1", "1"])

    def read():
        try:
            return next(said)
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr("gustibus.cli.asking._first_of_line", read)
    assert run(["onboard", "--user", "later"]) == 130
    hint = capsys.readouterr().err
    session = hint.partition("--session ")[2].split()[0]
    monkeypatch.undo()
    monkeypatch.setenv("GUSTIBUS_KEY", service.key)
    answers(monkeypatch, "2q")
    command = ["onboard", "--user", "later", "--session", session, "--url", service.base, "--json"]
    assert run(command) == 0
    assert json.loads(capsys.readouterr().out)["answers"] == 3


def test_a_terminal_needs_no_enter(texts_folder, texts_model, tmp_path):
    """In a real terminal: keys one by one, and the terminal as it was afterwards."""
    import pty
    import termios

    mine, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    code = "import sys; from gustibus.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "onboard", "--user", "me", "--model", str(texts_folder),
         "--json"],
        stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path,
    )  # fmt: skip
    for key in b"12q":
        shown = b""
        while not shown.endswith(b"\n> "):  # each question, before it is answered
            more = process.stderr.read(1)
            assert more, shown
            shown += more
        os.write(mine, bytes([key]))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert json.loads(out)["answers"] == 2
    assert termios.tcgetattr(theirs)[3] == before[3]
    os.close(mine)
    os.close(theirs)


def test_people_of_an_import_are_there(database, tmp_path):
    rows = [{**TEXT, "user": f"u{n}", "outcome": "a"} for n in range(3)]
    assert run(["import", write(tmp_path / "log.jsonl", rows), "--database", database]) == 0
    store = Store(database)
    with store.read() as conn:
        assert [one.id for one in list_users(conn)] == ["u0", "u1", "u2"]
    store.close()
