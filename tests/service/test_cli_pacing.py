"""`gustibus bench encode` and `bench acquire`: figures that agree with each other, and clear mistakes."""

from __future__ import annotations

import json

import pytest

from gustibus.cli.app import run
from tests.service.harness import TASTES

SHORT = ("--seconds", "0.1")


def told(capsys, *arguments) -> dict:
    assert run(["bench", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_texts_are_encoded_and_looked_up(texts_folder, texts_model, capsys):
    found = told(capsys, "encode", texts_folder, "--texts", "16", "--words", "20", *SHORT)
    assert found["encoder"] == "hashing"
    assert min(found["texts_per_second"], found["cached_texts_per_second"]) > 0
    assert found["encoded"] % 16 == 0
    for name in ("", "cached_"):
        tokens = found["tokens_a_text"] * found[f"{name}texts_per_second"]
        assert found[f"{name}tokens_per_second"] == pytest.approx(tokens)
    assert not found["tokens_counted"]  # this encoder has none
    assert 20 < found["tokens_a_text"] < 80
    assert run(["bench", "encode", str(texts_folder), *SHORT]) == 0
    assert "texts encoded a second, 64 at once" in capsys.readouterr().out


def test_texts_of_a_file_are_never_sent_twice(texts_folder, texts_model, tmp_path, capsys):
    (tmp_path / "own.txt").write_text("one text of my own\n\nanother\nanother\n")
    found = told(
        capsys, "encode", texts_folder, "--file", tmp_path / "own.txt", "--callers", "3", *SHORT
    )
    assert found["encoded"] >= 64
    assert 2 < found["tokens_a_text"] < 6
    assert found["callers"] == 3


def test_a_question_is_chosen_from_pools_of_any_size(vectors_folder, vectors_model, capsys):
    found = told(capsys, "acquire", vectors_folder, "--people", "2", "--answers", "3")
    assert (found["user_dim"], found["strategy"]) == (TASTES, "d_opt")
    assert [pool["pairs"] for pool in found["pools"]] == [2_000, 20_000]
    for pool in found["pools"]:
        assert pool["questions"] == 6
        assert 0 < pool["choose_p50_ms"] <= pool["choose_p99_ms"]
        assert 0 < pool["step_p50_ms"] <= pool["step_p99_ms"]
    command = ["bench", "acquire", str(vectors_folder), "--pairs", "50", "--people", "1"]
    assert run([*command, "--strategy", "information"]) == 0
    assert "50 pairs, 4 tastes, to choose" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["encode", "{vectors}"], 2, "was trained on ready-made embeddings, and has no encoder"),
        (["encode", "nowhere"], 3, "nowhere: no such folder"),
        (["encode", "{texts}", "--file", "nothing"], 3, "nothing: no such file"),
        (["acquire", "{vectors}", "--strategy", "guess"], 1, "no question rule 'guess'"),
        (["acquire", "{vectors}", "--pairs", "1"], 2, "--pairs"),
    ],
)
def test_what_is_wrong_is_said(
    vectors_folder, vectors_model, texts_folder, texts_model, capsys, arguments, code, said
):
    given = [one.format(vectors=vectors_folder, texts=texts_folder) for one in arguments]
    assert run(["bench", *given]) == code
    out, error = capsys.readouterr()
    assert out == ""
    assert said in error
