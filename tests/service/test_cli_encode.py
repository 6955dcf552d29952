"""`gustibus encode`: embeddings of an encoder, vectors of a model folder or a service, in files and pipes."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from safetensors import safe_open

from gustibus.cli.app import run
from gustibus.encoders import load_encoder
from gustibus.scoring import Scorer

TEXTS = ["a short answer", "a rather long and winding answer", "no"]
USER = "trained-1"


@pytest.fixture
def cli(monkeypatch, capsys, texts, texts_http):
    """Runs a command line on lines of standard input; its code, what it wrote and what it said."""
    monkeypatch.setenv("GUSTIBUS_KEY", texts_http.headers["authorization"].removeprefix("Bearer "))
    monkeypatch.delenv("GUSTIBUS_URL", raising=False)

    def call(*arguments, lines=()):
        monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
        code = run(list(map(str, arguments)))
        return code, *capsys.readouterr()

    return call


@pytest.fixture(params=["folder", "service"])
def by(request, texts, texts_folder) -> tuple[str, ...]:
    return ("--model", str(texts_folder)) if request.param == "folder" else ("--url", texts.base)


def test_vectors_go_through_a_pipe_and_score_as_their_texts(cli, by, texts, texts_folder):
    code, lines, _ = cli("encode", *by, lines=TEXTS)
    assert code == 0
    kept = lines.splitlines()
    assert len(kept) == 3
    wanted = {row["index"]: row["score"] for row in json.loads(
        cli("score", texts_folder, "--user", USER, "--json", lines=TEXTS)[1]
    )}  # fmt: skip
    for where in ((str(texts_folder),), ("--url", texts.base)):
        code, out, _ = cli("score", *where, "--user", USER, "--json", lines=kept)
        assert code == 0
        rows = json.loads(out)
        assert {row["index"]: row["score"] for row in rows} == pytest.approx(wanted, rel=1e-6)
        assert "vector" not in rows[0]
    again = cli("encode", *by, "--text", lines=['{"text": "it is no object"}'])[1]
    assert again != cli("encode", *by, lines=['{"text": "it is no object"}'])[1]


@pytest.mark.parametrize("dtype", ["f32", "f16"])
def test_files_hold_the_same_numbers(cli, by, tmp_path, texts_model, dtype):
    source = tmp_path / "texts.txt"
    source.write_text("".join(f"{text}\n" for text in TEXTS))
    kind = {"f32": np.float32, "f16": np.float16}[dtype]
    wanted = Scorer(texts_model).represent("", TEXTS).astype(kind)
    for name in ("v.npy", "v.safetensors", "v.jsonl"):
        command = ["encode", source, *by, "-o", tmp_path / name, "--dtype", dtype]
        code, out, _ = cli(*command, "--json")
        assert code == 0
        told = json.loads(out)
        assert (told["texts"], told["dim"], told["model"]) == (3, 5, texts_model.pin)
        assert told["output"] == str(tmp_path / name)
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), wanted)
    with safe_open(tmp_path / "v.safetensors", "np") as found:
        np.testing.assert_array_equal(found.get_tensor("vectors"), wanted)
        assert found.metadata() == {"kind": "vector", "model": texts_model.pin}
    rows = [json.loads(line)["vector"] for line in (tmp_path / "v.jsonl").read_text().splitlines()]
    assert [(row["model"], row["dtype"]) for row in rows] == [(texts_model.pin, dtype)] * 3
    assert not list(tmp_path.glob(".*"))


def test_a_summary_a_document_and_plain_numbers(cli, by, tmp_path, texts_model):
    code, out, _ = cli("encode", *by, "-o", tmp_path / "v.npy", lines=TEXTS)
    assert out == f"3 texts, 5 dimensions, {texts_model.pin}: {tmp_path / 'v.npy'}\n"
    code, out, _ = cli("encode", *by, "--arrays", "--json", lines=TEXTS)
    told = json.loads(out)
    assert (code, told["texts"], told["model"]) == (0, 3, texts_model.pin)
    found = [one["vector"]["numbers"] for one in told["data"]]
    np.testing.assert_allclose(found, Scorer(texts_model).represent("", TEXTS), rtol=1e-6)
    kept = [json.dumps(one) for one in told["data"]]
    assert cli("encode", *by, "--arrays", lines=kept)[1].splitlines() == kept


def test_columns_and_prompts_of_a_table(cli, by, tmp_path, texts_model):
    table = tmp_path / "answers.jsonl"
    rows = [{"answer": text, "asked": f"p{n % 2}?", "id": n} for n, text in enumerate(TEXTS)]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, out, _ = cli("encode", table, *by, "--column", "answer", "--prompt-column", "asked",
                       "--arrays")  # fmt: skip
    assert code == 0
    found = [json.loads(line)["vector"]["numbers"] for line in out.splitlines()]
    np.testing.assert_allclose(found, Scorer(texts_model).represent("", TEXTS), rtol=1e-6)
    lines = [json.dumps({"text": row["answer"], "prompt": row["asked"]}) for row in rows]
    assert cli("encode", *by, "--arrays", lines=lines)[1] == out


def test_more_than_a_service_takes_at_once_goes_in_parts(cli, texts, tmp_path, texts_model):
    many = [f"answer {n} {'x' * (n % 7)}" for n in range(600)]
    code, _, _ = cli("encode", "--url", texts.base, "-o", tmp_path / "v.npy", lines=many)
    assert code == 0
    wanted = Scorer(texts_model).represent("", many)
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), wanted)


def test_embeddings_of_an_encoder_are_candidates_too(cli, texts, texts_folder, tmp_path):
    encoder = ("--encoder", "hashing", "--encoder-set", "dim=64")
    kept = cli("encode", *encoder, lines=TEXTS)[1].splitlines()
    plain = cli("encode", *encoder, "--arrays", lines=TEXTS)[1].splitlines()
    np.testing.assert_allclose(
        [json.loads(line)["embedding"] for line in plain], load_encoder("hashing", dim=64).encode(TEXTS)
    )  # fmt: skip
    scored = [
        [row["score"] for row in json.loads(cli("score", *where, "--json", lines=lines)[1])]
        for where in ((str(texts_folder),), ("--url", texts.base)) for lines in (TEXTS, kept, plain)
    ]  # fmt: skip
    for one in scored[1:]:
        assert one == pytest.approx(scored[0], rel=1e-5)
    code, out, _ = cli("encode", *encoder, "-o", tmp_path / "v.safetensors", lines=TEXTS)
    assert (code, out.startswith("3 texts, 64 dimensions, hashing ")) == (0, True)
    with safe_open(tmp_path / "v.safetensors", "np") as found:
        assert found.metadata() == {"kind": "embedding"}
    cached = ("--model", str(texts_folder), "--cache", str(tmp_path / "cache"))
    assert cli("encode", *cached, lines=TEXTS) == cli("encode", *cached, lines=TEXTS)
    assert list((tmp_path / "cache").glob("*.sqlite"))


@pytest.mark.parametrize(
    ("arguments", "lines", "code", "said"),
    [
        (["--model", "{model}"], [], 1, "expected at least one line"),
        (["nothing.txt", "--model", "{model}"], [], 3, "nothing.txt: no such file"),
        (["--model", "nowhere"], ["a"], 3, "nowhere: no such folder"),
        (["--model", "{model}"], ['{"id": "x"}'], 1, "line 1: a model folder knows no ids"),
        (["--model", "{model}"], ["a", '{"embedding": [1]}'], 1, "line 2: embedding: expected 64"),
        (["--model", "{model}"], ['{"text": "a", "prompt": 1}'], 1, "line 1: prompt: expected a text"),
        (["--url", "{url}"], ['{"id": "x"}'], 3, "there is no item 'x'"),
        (["--url", "{url}"], ["x" * 40_000], 1, "too_much_text"),
        (["--url", "{url}", "--model", "other"], ["a"], 3, "there is no model 'other'"),
        (["--url", "{url}", "--cache", "c"], ["a"], 2, "--cache"),
        (["--model", "{model}", "--encoder", "hashing"], ["a"], 2, "--encoder"),
        (["--prompt", "p?"], ["a"], 2, "--prompt: an encoder alone reads none"),
        (["--model", "{model}", "--prompt-column", "p"], ["a"], 2, "--prompt-column"),
        (["--model", "{model}", "--engine", "ray", "-o", "x.npy"], ["a"], 2, "--engine"),
        (["--encoder", "hashing"], ['{"text": "a", "prompt": "p?"}'], 1, "got ['prompt', 'text']"),
        (["--model", "{model}", "-o", "/nowhere/x.npy"], ["a"], 3, "there is no folder /nowhere"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(cli, texts, texts_folder, arguments, lines, code, said):
    given = [one.format(model=texts_folder, url=texts.base) for one in arguments]
    found, out, error = cli("encode", *given, lines=lines)
    assert (found, out) == (code, ""), error
    assert said in error
    assert error.count("\n") == 1


def test_vectors_of_another_model_are_not_scored(cli, vectors_folder, vectors_model, texts_folder):
    (line,) = cli("encode", "--model", texts_folder, lines=["a"])[1].splitlines()
    code, _, error = cli("score", vectors_folder, lines=[line])
    assert code == 1
    assert f"line 1: vector: expected one of {vectors_model.pin}, got one of" in error
