"""A saved model is whole and unaltered, or is refused with the reason."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import gustibus
from gustibus.artifact import Artifact, Trained, find_trained
from gustibus.data import write_folder
from gustibus.data.synthetic import demo_world
from gustibus.errors import (
    ArtifactError,
    ConfigError,
    InputError,
    NotFoundError,
    UnknownUserWarning,
)
from gustibus.posterior import Posterior
from gustibus.training import RunConfig, train

OPTIONS = {"equalise": [0.5], "ridges": [10.0], "rank": 4, "folds": 1, "rounds": 4}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    world = demo_world(people=60, new=4, seed=1)
    write_folder(world.dataset, root / "data")
    config = RunConfig(
        data=str(root / "data"), output=str(root / "model"), encoder="hashing", questions=60,
        model_options=OPTIONS,
    )  # fmt: skip
    train(config)
    return root / "model"


def copied(folder, tmp_path):
    import shutil

    return shutil.copytree(folder, tmp_path / "copy")


def test_loading_gives_back_what_was_saved(folder):
    artifact = Artifact.load(folder)
    assert artifact.digest == Artifact.load(folder).digest
    assert len(artifact.people.ids) == 60
    assert artifact.people.means.shape == (60, artifact.model.user_dim)
    assert (artifact.people.counts > 0).all()
    assert artifact.card["encoder"]["name"] == "hashing"
    assert 40 <= len(artifact.pool) <= 120
    card = (folder / "README.md").read_text()
    assert "Intended use" in card
    assert "Limits" in card
    assert f"{artifact.card['metrics']['log_loss_of_validation_people']:.4g}" in card


def test_files_are_json_whatever_the_figures_of_the_card_are(folder, tmp_path):
    base = Artifact.load(folder)
    fit = {"held_out_loss": np.nan, "history": [{"loss": np.inf}, {"loss": 0.5}]}
    replace(base, card={**base.card, "fit": fit}).save(tmp_path / "model")

    def refuse(word):
        pytest.fail(f"{word} is no JSON")

    text = (tmp_path / "model" / "card.json").read_text()
    card = json.loads(text, parse_constant=refuse)
    assert card["fit"] == {"held_out_loss": None, "history": [{"loss": None}, {"loss": 0.5}]}
    Artifact.load(tmp_path / "model")

    class Broken:
        def __getattr__(self, name):
            return getattr(base.model, name)

        def save(self):
            params, arrays = base.model.save()
            return {**params, "lapse": np.nan}, arrays

    broken = replace(base)
    object.__setattr__(broken, "model", Broken())
    with pytest.raises(ArtifactError, match=r"card.json: cannot be written as JSON"):
        broken.save(tmp_path / "broken")
    assert not (tmp_path / "broken").exists()


def test_who_was_trained_on_is_found_without_the_rest_of_the_folder(folder, tmp_path):
    base = Artifact.load(folder)
    hashes = [bytes([n, *range(31)]) for n in range(250)]
    known = base.people.ids[0]

    def ask(name, hashed, *, user="x", key="k"):
        return find_trained(tmp_path / name, user=user, hashed=hashed, key=key)

    for name, people, key in (
        ("kept", hashes[::2], "k"),
        ("older", hashes[::2], ""),
        ("empty", [], "k"),
    ):
        trained = Trained.of(people, [], key=key)
        replace(base, trained=trained).save(tmp_path / name)
        assert Artifact.load(tmp_path / name).trained.key == key
        (tmp_path / name / "model.safetensors").unlink()
    for name in ("kept", "older"):
        assert [ask(name, one) for one in hashes] == [n % 2 == 0 for n in range(250)]
    assert ask("empty", hashes[0], user=known) is False
    assert ask("kept", hashes[0], key="other") is None
    assert ask("kept", hashes[1], user=known, key="other") is True  # by name
    (tmp_path / "older" / "training.safetensors").unlink()
    assert [ask("older", hashes[0], user=user) for user in (known, "x")] == [True, None]
    assert ask("nowhere", hashes[0]) is None
    (tmp_path / "kept" / "training.safetensors").write_bytes(b"torn")
    with pytest.raises(ArtifactError, match="not readable"):
        ask("kept", hashes[0])


@pytest.mark.skipif(os.name != "posix", reason="files have no such modes")
def test_whoever_may_read_one_file_of_a_model_may_read_all(folder, tmp_path):
    """A service that runs as another user than the training can be given the folder."""
    script = (
        "import os, sys; os.umask(int(sys.argv[1], 8)); from gustibus.artifact import Artifact; "
        "Artifact.load(sys.argv[2]).save(sys.argv[3])"
    )
    for umask, mode in (("022", 0o644), ("027", 0o640)):
        target = tmp_path / umask
        subprocess.run([sys.executable, "-c", script, umask, str(folder), str(target)], check=True)
        assert {path.stat().st_mode & 0o777 for path in target.iterdir()} == {mode}


def test_a_card_without_figures_has_no_empty_table(folder, tmp_path):
    artifact = Artifact.load(folder)
    replace(artifact, card={**artifact.card, "metrics": {}}).save(tmp_path / "bare")
    assert "Figures" not in (tmp_path / "bare" / "README.md").read_text()


def test_the_same_model_has_the_same_digest_wherever_it_lies(folder, tmp_path):
    assert Artifact.load(folder).save(tmp_path / "again").digest == Artifact.load(folder).digest


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda d: (d / "model.safetensors").write_bytes(b""), "model.safetensors: altered"),
        (lambda d: os.truncate(d / "people.safetensors", 100), "people.safetensors: altered"),
        (lambda d: (d / "card.json").unlink(), "card.json: missing"),
        (lambda d: (d / "extra.pkl").write_bytes(b"x"), "extra.pkl: not listed"),
        (lambda d: (d / "MANIFEST.json").unlink(), "no MANIFEST.json"),
        (lambda d: (d / "MANIFEST.json").write_text("{"), "not a manifest"),
        (lambda d: [p.unlink() for p in d.iterdir()], "no MANIFEST.json"),
    ],
)
def test_a_half_written_or_altered_folder_is_refused_by_name(folder, tmp_path, harm, reason):
    copy = copied(folder, tmp_path)
    harm(copy)
    with pytest.raises(ArtifactError, match=reason):
        Artifact.load(copy)


def test_a_newer_format_is_refused(folder, tmp_path):
    artifact = Artifact.load(folder)
    saved = artifact.save(tmp_path / "next")
    card = json.loads((tmp_path / "next" / "card.json").read_text())
    (tmp_path / "next" / "card.json").write_text(json.dumps({**card, "format": 999}))
    from gustibus.artifact import _manifest, _write_json

    (tmp_path / "next" / "MANIFEST.json").unlink()
    _write_json(tmp_path / "next" / "MANIFEST.json", _manifest(tmp_path / "next"))
    with pytest.raises(ArtifactError, match="newer than this version"):
        Artifact.load(tmp_path / "next")
    assert saved.digest


def test_a_folder_of_something_else_is_not_replaced(folder, tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("do not lose me")
    with pytest.raises(InputError, match="refusing to replace"):
        Artifact.load(folder).save(tmp_path / "letters")
    assert (tmp_path / "letters" / "dear.txt").read_text() == "do not lose me"


def test_a_save_that_is_killed_leaves_the_old_model(folder, tmp_path):
    copy = copied(folder, tmp_path)
    before = Artifact.load(copy).digest
    code = f"""
import os
from gustibus import artifact as module
from gustibus.artifact import Artifact
found = Artifact.load({str(copy)!r})
module.put_in_place = lambda *a: os.kill(os.getpid(), 9)
found.save({str(copy)!r})
"""
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -9
    assert Artifact.load(copy).digest == before


def test_scores_are_of_the_person_asked_for(folder):
    scorer = gustibus.load(str(folder))
    texts = ["Done.", "What a lovely question! First, breathe. Then, try again. You can do this!"]
    someone = scorer.artifact.people.ids[0]
    nobody = scorer.score("How?", texts)
    assert nobody.shape == (2,)
    with pytest.warns(UnknownUserWarning, match="'who-is-this' is not among the 60 people"):
        unknown = scorer.score("How?", texts, user="who-is-this")
    np.testing.assert_array_equal(unknown, nobody)
    quiet = scorer.score("How?", texts, user="who-is-this", on_unknown_user="population")
    np.testing.assert_array_equal(quiet, nobody)  # warnings are errors here
    with pytest.raises(NotFoundError, match="who-is-this"):
        scorer.score("How?", texts, user="who-is-this", on_unknown_user="error")
    assert scorer.knows(someone)
    assert not scorer.knows("who-is-this")
    assert (scorer.posterior(someone).comparisons > 0, scorer.posterior(None).comparisons) == (
        True,
        0,
    )
    assert not np.array_equal(scorer.score("How?", texts, user=someone), nobody)
    with pytest.raises(NotFoundError, match="who-is-this"):
        scorer.posterior("who-is-this", on_unknown_user="error")


def test_a_new_person_is_placed_by_answers_and_nobody_by_none(folder):
    scorer = gustibus.load(str(folder))
    prior = Posterior.from_prior(scorer.model.prior)
    np.testing.assert_array_equal(scorer.place([]).mean, prior.mean)
    long, short = "First, plan. Then, list it. Finally, buy it. " * 3, "Buy it."
    fond = scorer.place([("How?", short, long, 1.0)] * 6)
    other = scorer.place([("How?", short, long, 0.0)] * 6)
    gap = [np.diff(scorer.score("How?", [long, short], user=p))[0] for p in (fond, other)]
    assert gap[0] > gap[1]


def test_another_encoder_than_the_models_is_refused(folder, tmp_path):
    found = Artifact.load(folder)
    card = {**found.card, "encoder": {**found.card["encoder"], "fingerprint": "0" * 64}}
    Artifact(found.model, card, found.people, found.reference, found.pool).save(tmp_path / "odd")
    with pytest.raises(ConfigError, match="fingerprint"):
        gustibus.load(str(tmp_path / "odd")).score("", ["x"])
