"""A run from data to artifact: its configuration, its interruption, its repetition."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from gustibus.artifact import Artifact
from gustibus.data import read, write_folder
from gustibus.data.synthetic import demo_world, linear_mixture_world
from gustibus.encoders.hashing import HashingEncoder
from gustibus.errors import ConfigError, InputError, UnknownNameError
from gustibus.models import MODELS
from gustibus.rewards import Transform
from gustibus.scoring import Scorer
from gustibus.training import RunConfig, train, training_set
from gustibus.training.run import load_data, make_split

SMALL = {"equalise": [0.5], "ridges": [10.0, 100.0], "rank": 4, "folds": 1, "rounds": 4}


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample") / "data"
    write_folder(linear_mixture_world(seed=0, seen=40, new=10, train=20, test=30)[0], folder)
    return folder


def run(sample, output, **more):
    return RunConfig(
        **{
            "data": str(sample),
            "output": str(output),
            "model_options": SMALL,
            "questions": 50,
            **more,
        }
    )


def test_the_same_run_gives_the_same_model(sample, tmp_path):
    first = train(run(sample, tmp_path / "a"))
    second = train(run(sample, tmp_path / "b"))
    for name, array in first.model.save()[1].items():
        np.testing.assert_array_equal(array, second.model.save()[1][name])
    assert first.card["data"] == second.card["data"]
    assert not (tmp_path / "a.checkpoint").exists()


def test_a_transform_of_the_run_is_saved_with_the_model(sample, tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(
        f'output = "{tmp_path / "a"}"\n[data]\npath = "{sample}"\n[model]\nname = "bt"\n'
        '[transform]\nname = "par"\nk = 0.5\n'
    )
    artifact = train(RunConfig.read(path, questions=0))
    assert (
        Artifact.load(tmp_path / "a").transform
        == artifact.transform
        == Transform("par", {"k": 0.5})
    )
    assert train(run(sample, tmp_path / "b", model="bt", model_options={})).transform is None
    with pytest.raises(UnknownNameError, match="no transform 'parr'"):
        run(sample, tmp_path, transform="parr")


def test_new_people_are_in_no_part_that_is_fitted(sample, tmp_path):
    artifact = train(run(sample, tmp_path / "a"))
    assert not any(name.startswith("new") for name in artifact.people.ids)
    dataset, _ = load_data(run(sample, tmp_path))
    split = make_split(dataset, run(sample, tmp_path))
    fitted = set(dataset.comparisons.user[split["train"]])
    assert not fitted & set(dataset.comparisons.user[split["query"]])
    assert not fitted & set(dataset.comparisons.user[split["valid_people"]])


def test_a_killed_run_goes_on_where_it_was(sample, tmp_path):
    code = f"""
import os, time
from gustibus.training import RunConfig, train
def progress(stage, done, total, figure):
    if done == 3:  # of the second path, when the first is kept
        time.sleep(60)
train(RunConfig(data={str(sample)!r}, output={str(tmp_path / "a")!r}, questions=50,
                model_options={SMALL | {"equalise": [0.0, 0.5]}!r}), progress=progress)
"""
    process = subprocess.Popen([sys.executable, "-c", code])
    checkpoint = tmp_path / "a.checkpoint" / "fit.safetensors"
    deadline = time.monotonic() + 60
    while not checkpoint.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    seen = []
    process.kill()
    process.wait()
    options = SMALL | {"equalise": [0.0, 0.5]}
    assert checkpoint.exists()
    resumed = train(
        run(sample, tmp_path / "a", model_options=options),
        progress=lambda stage, done, total, figure: seen.append(done),
    )
    assert seen[0] == 3
    whole = train(run(sample, tmp_path / "b", model_options=options))
    np.testing.assert_array_equal(resumed.model.basis, whole.model.basis)
    assert not checkpoint.exists()


def test_texts_without_vectors_are_encoded(tmp_path):
    world = demo_world(people=50, new=4, seed=0)
    world.dataset.comparisons.write(tmp_path / "logs.parquet")
    config = run(tmp_path / "logs.parquet", tmp_path / "a", encoder="hashing", split="four_cells")
    artifact = train(config)
    assert artifact.card["encoder"]["name"] == "hashing"
    assert artifact.pool.texts_a[0]
    kept = Artifact.load(tmp_path / "a")
    assert len(kept.card["self_test"]) == 8
    for row in kept.card["self_test"]:  # by which a service tests its encoder
        scores = Scorer(kept).score(row["prompt"], row["texts"])
        np.testing.assert_allclose(scores, row["scores"], atol=1e-5)
    assert "8 pairs of texts" in (tmp_path / "a" / "README.md").read_text()


def test_ready_made_embeddings_have_no_texts_to_be_tested_by(sample, tmp_path):
    assert "self_test" not in train(run(sample, tmp_path / "a")).card


@pytest.mark.parametrize("split", ["all", "four_cells"])
def test_splits_that_the_data_does_not_bring(sample, tmp_path, split):
    dataset = read(str(sample))
    found = make_split(dataset, run(sample, tmp_path, split=split))
    assert len(found["train"]) > 0
    assert not set(dataset.comparisons.user[found["train"]]) & set(
        dataset.comparisons.user[found["valid_people"]]
    )


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"model": "palm"}, "pal"),
        ({"split": "halves"}, "split: expected auto"),
        ({"valid_people": 1.5}, "valid_people: expected a share"),
        ({"questions": -1}, "questions: expected 0 to 20000"),
    ],
)
def test_wrong_configurations_are_refused_before_any_work(tmp_path, given, reason):
    with pytest.raises((ConfigError, UnknownNameError), match=reason):
        RunConfig(data="nowhere", output=str(tmp_path / "a"), **given)


def test_run_files_name_what_is_wrong(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('output = "x"\n[data]\npath = "y"\n[model]\nname = "pal"\nprototypes = 3\n')
    config = RunConfig.read(path, seed=4)
    assert (config.model, config.model_options, config.seed) == ("pal", {"prototypes": 3}, 4)
    path.write_text('outputs = "x"\n')
    with pytest.raises(ConfigError, match="did you mean 'output'"):
        RunConfig.read(path)
    path.write_text('[data]\npath = "y"\n')
    with pytest.raises(ConfigError, match="output is missing"):
        RunConfig.read(path)
    path.write_text("[")
    with pytest.raises(ConfigError, match="not a TOML file"):
        RunConfig.read(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        RunConfig.read(tmp_path / "none.toml")


def test_unknown_model_options_and_broken_data_are_named(sample, tmp_path):
    with pytest.raises(ConfigError, match="no option 'prototype'"):
        train(run(sample, tmp_path / "a", model="pal", model_options={"prototype": 3}))
    broken = tmp_path / "broken.parquet"
    world = demo_world(people=50, new=4, seed=0)
    world.dataset.comparisons.write(broken)
    broken.write_bytes(broken.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"broken\.parquet"):
        train(run(broken, tmp_path / "b"))
    assert not (tmp_path / "b").exists()


def uneven_log(path, *, people=12, same=0):
    """Half of the people take what is short, and every pair is of a short and a long text."""
    rows = [
        {"user": f"u{person}", "prompt": f"How do I {task}?",
         "chosen": f"{task} later." if person % 2 else f"Begin to {task} with care. " * 3,
         "rejected": f"Begin to {task} with care. " * 3 if person % 2 else f"{task} later."}
        for person in range(people) for task in ("paint", "sell", "mend", "clean", "lend", "fold")
    ]  # fmt: skip
    rows += [{**rows[0], "chosen": "Both.", "rejected": "Both."}] * same
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def test_a_log_of_uneven_pairs_alone_still_has_questions(tmp_path):
    options = {"equalise": [0.5], "ridges": [10.0], "rank": 2, "folds": 1, "rounds": 2}
    artifact = train(
        RunConfig(
            data=str(uneven_log(tmp_path / "log.jsonl")), output=str(tmp_path / "model"),
            encoder="hashing", model_options=options,
        )
    )  # fmt: skip
    assert artifact.pool is not None
    words = {len(text.split()) for text in (*artifact.pool.texts_a, *artifact.pool.texts_b)}
    assert words == {2, 15}


def test_rows_with_the_same_response_twice_are_refused_or_dropped_and_counted(tmp_path):
    log, output = str(uneven_log(tmp_path / "log.jsonl", same=3)), str(tmp_path / "model")
    with pytest.raises(InputError, match=r"log.jsonl:73: column 'rejected': .* got 'Both.'"):
        train(RunConfig(data=log, output=output, model="bt", encoder="hashing"))
    kept = train(RunConfig(data=log, output=output, model="bt", encoder="hashing",
                           identical="drop"))  # fmt: skip
    assert kept.card["data"]["identical_dropped"] == 3
    assert kept.card["data"]["comparisons_given"] == 72
    with pytest.raises(ConfigError, match="identical: expected refuse or drop, got 'keep'"):
        RunConfig(data=log, output=output, identical="keep")


def test_a_checkpoint_of_other_answers_is_not_gone_on_from(tmp_path, caplog):
    data, _ = linear_mixture_world(seed=0, seen=30, new=4, train=10, test=10)
    fitting, _ = training_set(data, np.arange(200))
    other = replace(fitting, target=1 - fitting.target)
    options = {"prototypes": 2, "epochs": 2, "start": "random"}
    pal = MODELS["pal"].run
    with caplog.at_level("INFO", "gustibus.training"):
        pal.fit(fitting, None, seed=0, checkpoint=tmp_path, **options)
        assert not caplog.messages
        turned = pal.fit(other, None, seed=0, checkpoint=tmp_path, **options).model
        assert "of other data or settings; starting over" in caplog.messages[-1]
        again = pal.fit(other, None, seed=0, checkpoint=tmp_path, **options).model
        assert "going on after 2 steps" in caplog.messages[-1]
    straight = pal.fit(other, None, seed=0, **options).model
    for name, array in straight.save()[1].items():
        np.testing.assert_array_equal(turned.save()[1][name], array)
        np.testing.assert_array_equal(again.save()[1][name], array)


def test_a_fit_that_had_stopped_does_not_train_on(tmp_path):
    data, _ = linear_mixture_world(seed=0, seen=30, new=4, train=10, test=10)
    fitting, valid = (
        training_set(data, np.arange(200))[0],
        training_set(data, np.arange(200, 300))[0],
    )
    options = {"prototypes": 2, "epochs": 60, "start": "random", "patience": 1} | {
        f"lr_{name}": 1e-9 for name in ("projector", "prototypes", "users", "scale")
    }
    first, second = (
        MODELS["pal"].run.fit(fitting, valid, seed=0, checkpoint=tmp_path, **options).report
        for _ in range(2)
    )
    assert len(first["history"]) < 60
    assert str(second["history"]) == str(first["history"])  # as NaN is no NaN


def test_a_damaged_checkpoint_is_started_over_from(tmp_path, caplog):
    data, _ = linear_mixture_world(seed=0, seen=30, new=4, train=10, test=10)
    fitting, _ = training_set(data, np.arange(200))
    options = {"prototypes": 2, "epochs": 2, "start": "random"}
    whole = MODELS["pal"].run.fit(fitting, None, seed=0, checkpoint=tmp_path, **options)
    path = tmp_path / "fit.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    again = MODELS["pal"].run.fit(fitting, None, seed=0, checkpoint=tmp_path, **options)
    assert "damaged" in caplog.text
    assert [row["train_loss"] for row in again.report["history"]] == [
        row["train_loss"] for row in whole.report["history"]
    ]


def test_a_killed_run_has_the_vectors_that_it_made(tmp_path, monkeypatch):
    monkeypatch.setattr("gustibus.training.run._SLOW", ("hashing",))
    monkeypatch.setattr("gustibus.encoders.cache._PIECE", 8)
    world = demo_world(people=50, new=4, seed=0)
    world.dataset.comparisons.write(tmp_path / "logs.parquet")
    config = run(tmp_path / "logs.parquet", tmp_path / "a", encoder="hashing", split="four_cells")
    asked, true = [], HashingEncoder.encode

    def interrupted(self, texts, **more):
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(list(texts))
        return true(self, texts, **more)

    monkeypatch.setattr(HashingEncoder, "encode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(config)
    done, asked = asked, asked.copy()

    def counted(self, texts, **more):
        asked.append(list(texts))
        return true(self, texts, **more)

    monkeypatch.setattr(HashingEncoder, "encode", counted)
    load_data(config, vectors=tmp_path / "a.checkpoint" / "vectors")
    texts = [text for part in asked for text in part]
    assert len(texts) == len(set(texts)), "a text was encoded twice"
    assert [len(part) for part in done] == [8, 8]
