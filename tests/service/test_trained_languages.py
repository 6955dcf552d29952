"""From a column of languages to questions in somebody's language."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from gustibus.artifact import Artifact
from gustibus.cli.app import run
from gustibus.errors import ConfigError, InputError
from gustibus.training import RunConfig, train
from tests.service.harness import running
from tests.service.test_onboarding_over_http import begin, put

WORDS = {
    tag: words.split()
    for tag, words in (
        ("de", "kurz lang warm schlicht lustig klar reich ruhig scharf hell trocken rund"),
        ("fr", "court long chaud simple drôle clair riche calme vif pâle sec rond"),
        ("", "short long warm plain funny clear rich calm sharp bright dry round"),
    )
}
PROMPTS = ("", "OK?")
"""Of every language."""


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Answers of people of different tastes, who are shown texts of one language at a time."""
    path, rng = tmp_path_factory.mktemp("languages") / "log.jsonl", np.random.default_rng(3)
    with path.open("w") as file:
        for row in range(720):
            tag = list(WORDS)[row % 3]
            a, b = rng.choice(12, 2, replace=False)
            user = row // 3 % 20
            first = (a - b) * (1 if user % 2 else -1) > 0
            texts = [f"{WORDS[tag][at]} {WORDS[tag][(at + 5) % 12]}" for at in (a, b)]
            file.write(json.dumps({
                "user": f"u{user}", "prompt": PROMPTS[row % 2], "response_a": texts[0],
                "response_b": texts[1], "label": int(first), "tongue": tag or None,
            }) + "\n")  # fmt: skip
    return path


@pytest.fixture(scope="module")
def folder(log):
    """The model that the command makes of them."""
    made = log.parent / "model"
    status = run([
        "train", str(log), "-o", str(made), "--languages", "tongue", "--encoder", "hashing",
        "--encoder-set", "dim=24", "--split", "all", "--questions", "60", "--model", "hierarchical",
    ])  # fmt: skip
    assert status == 0
    return made


def spoken(*texts: str) -> set[str]:
    """Languages of texts, by their words."""
    return {
        tag for tag, words in WORDS.items() for text in texts if set(text.split()) <= set(words)
    }


def test_questions_keep_the_language_of_what_was_shown(folder):
    pool = Artifact.load(folder).pool
    assert set(pool.locales) == {"de", "fr", ""}
    assert set(pool.prompts) == set(PROMPTS)
    for tag, a, b in zip(pool.locales, pool.texts_a, pool.texts_b, strict=True):
        assert spoken(a) & spoken(b) >= {tag}


def test_a_session_is_asked_in_its_language(folder, tmp_path):
    with running(
        f"sqlite:///{tmp_path}/s.db", tmp_path, gustibus_model=str(folder)
    ) as service, service.client() as http:  # fmt: skip
        for locale, found in (("de-AT", "de"), ("fr", "fr"), ("it", "*")):
            session = begin(http, f"p-{locale}", locale=locale, max_questions=6, min_questions=6)
            assert session["pool_locale"] == found
            question, texts = session["question"], []
            for seq in range(6):
                texts += [question["left"]["text"], question["right"]["text"]]
                question = put(http, session["id"], seq, "left").json().get("question")
            if found != "*":
                assert set.intersection(*(spoken(text) for text in texts)) == {found}


@pytest.mark.parametrize(
    ("cell", "got"),
    [
        ("de_AT", "'de_AT' in comparison 1"),
        ("German language", "'German language'"),
        ("de\n", r"'de\n'"),
    ],
)
def test_what_is_no_language_is_refused_before_anything_is_fitted(log, tmp_path, cell, got):
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    rows[1]["tongue"] = cell
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = RunConfig(
        str(tmp_path / "log.jsonl"), str(tmp_path / "model"), languages="tongue", encoder="hashing"
    )
    message = "languages: expected language tags such as de-AT in column 'tongue', got "
    with pytest.raises(InputError, match=re.escape(message) + ".*" + re.escape(got)) as refused:
        train(config)
    assert refused.value.where == "data.languages"


def test_a_column_that_is_not_there_is_named(log, tmp_path):
    config = RunConfig(str(log), str(tmp_path / "m"), languages="speech", encoder="hashing")
    with pytest.raises(InputError, match="no further column 'speech'; there are"):
        train(config)


def test_a_run_file_names_the_column(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text('output = "m"\n[data]\npath = "log.jsonl"\nlanguages = "tongue"\n')
    assert RunConfig.read(file).languages == "tongue"
    file.write_text('output = "m"\n[data]\npath = "log.jsonl"\nlanguage = "tongue"\n')
    with pytest.raises(ConfigError, match=r"did you mean 'data\.languages'"):
        RunConfig.read(file)
