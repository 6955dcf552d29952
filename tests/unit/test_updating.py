"""Items that are learned from new answers, from a table to a model that is served."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from gustibus.artifact import Artifact
from gustibus.cli.app import run as main
from gustibus.data import Comparisons, Dataset, read, write_folder
from gustibus.errors import InputError
from gustibus.models.fingerprint import fingerprint
from gustibus.scoring import Scorer
from gustibus.training import RunConfig, train
from gustibus.training.updating import CARD, learn_items, update_items

ITEMS, NEW, DIM = 60, 12, 5
QUICK = {"ridges": [10.0], "equalise": [0.5], "rounds": 4, "folds": 1, "known_items": "always"}
SECRET = np.random.default_rng(5).standard_normal(ITEMS) * 2
FEATURES = np.random.default_rng(6).standard_normal((ITEMS, DIM)).astype(np.float32)
"""What items are worth is not to be seen from them."""


def answers(people, rows, *, new, seed, prefix="p"):
    """Comparisons of the first items alone, or of one of the last beside one of the first."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(people), rows)
    a = (
        rng.integers(ITEMS - NEW, ITEMS, len(user))
        if new
        else rng.integers(0, ITEMS - NEW, len(user))
    )
    b = (a + rng.integers(1, ITEMS - NEW, len(user))) % (ITEMS - NEW)
    b = np.where(a == b, (b + 1) % (ITEMS - NEW), b)
    left = rng.random(len(user)) < 0.5
    a, b = np.where(left, a, b), np.where(left, b, a)
    margin = SECRET[a] - SECRET[b] + np.where(user % 2, 1, -1) * (FEATURES[a, 0] - FEATURES[b, 0])
    target = (rng.random(len(user)) < 1 / (1 + np.exp(-margin))).astype(float)
    names = {f"i{n}": f"text {n}" for n in range(ITEMS)}
    c = Comparisons.build(
        user=[f"{prefix}{one}" for one in user], prompt=[""] * len(user), a=[f"i{n}" for n in a],
        b=[f"i{n}" for n in b], target=target, item_texts=names,
    )  # fmt: skip
    return Dataset(c, item_features=FEATURES)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("updating")
    write_folder(answers(40, 40, new=False, seed=0), root / "data")
    write_folder(answers(40, 12, new=True, seed=1), root / "new")
    train(
        RunConfig(
            data=str(root / "data"), output=str(root / "model"), model="hierarchical", split="all",
            model_options=QUICK, questions=40, valid_people=0.2,
        )
    )  # fmt: skip
    return root


def rewards(artifact, users=("p0", "p1")):
    scorer = Scorer(artifact)
    return np.mean([scorer.score("", FEATURES, user=user) for user in users], 0)


def test_new_items_are_learned_and_nothing_else_changes(folders, tmp_path):
    old = Artifact.load(folders / "model")
    found, learned = update_items(folders / "model", folders / "new", tmp_path / "out")
    before, after = rewards(old), rewards(found)
    new = slice(ITEMS - NEW, ITEMS)
    assert np.corrcoef(after[new], SECRET[new])[0, 1] > 0.9
    assert abs(np.corrcoef(before[new], SECRET[new])[0, 1]) < 0.7
    np.testing.assert_array_equal(after[: ITEMS - NEW], before[: ITEMS - NEW])
    assert (learned.items, learned.given, learned.answers, learned.people) == (NEW, ITEMS, 480, 0)
    assert learned.after < learned.before - 0.1
    assert found.people.ids == old.people.ids
    np.testing.assert_array_equal(found.people.means, old.people.means)
    again = Artifact.load(tmp_path / "out")
    assert again.digest == found.digest != old.digest
    np.testing.assert_array_equal(rewards(again), after)
    (record,) = again.card[CARD]
    assert (record["items"], record["answers"]) == (NEW, 480)
    assert Artifact.load(folders / "model").digest == old.digest


def test_the_loss_that_is_told_is_of_answers_that_were_left_out(folders):
    """On answers that are coins there is nothing to learn, and it must not look as if there were."""
    old, data = Artifact.load(folders / "model"), read(folders / "new")
    coins = np.random.default_rng(3).integers(0, 2, len(data.comparisons)).astype(np.float32)
    noise = replace(data, comparisons=replace(data.comparisons, target=coins))
    _, learned = learn_items(old, noise)
    assert learned.after > np.log(2) - 0.02


def test_answers_that_count_for_nothing_teach_nothing(folders):
    old, data = Artifact.load(folders / "model"), read(folders / "new")
    nothing = np.zeros(len(data.comparisons), np.float32)
    empty = replace(data, comparisons=replace(data.comparisons, weight=nothing))
    with pytest.raises(InputError, match="data: expected at least 8 answers about some item"):
        learn_items(old, empty)


def test_people_whom_the_model_does_not_know_are_placed_and_kept(folders):
    old = Artifact.load(folders / "model")
    found, learned = learn_items(old, answers(20, 30, new=True, seed=2, prefix="fresh"))
    assert learned.people == 20
    assert found.people.ids == (*old.people.ids, *(f"fresh{n}" for n in range(20)))
    assert found.people.counts[-20:].tolist() == [30] * 20
    assert "fresh3" in found.people


def test_a_part_of_the_answers_teaches_as_a_table_of_that_part_does(folders):
    """Also where those who gave the others are unknown to the model."""
    old, more = Artifact.load(folders / "model"), answers(20, 30, new=True, seed=2, prefix="fresh")
    c = more.comparisons
    kept = np.flatnonzero(c.user < 15)
    part, _ = learn_items(old, more.take(kept))
    assert part.people.ids[-15:] == tuple(f"fresh{n}" for n in range(15))
    write_folder(more.take(kept), folders / "part")
    whole, _ = learn_items(old, read(folders / "part"))
    np.testing.assert_allclose(rewards(part), rewards(whole), rtol=1e-5, atol=1e-6)


def test_questions_about_a_learned_item_are_as_the_model_sees_it_now(folders):
    old = Artifact.load(folders / "model")
    every = replace(answers(40, 40, new=False, seed=0))
    found, _ = learn_items(old, every, again=True)
    assert not np.array_equal(found.pool.a, old.pool.a)
    reps = found.model.represent(FEATURES)
    for side in (found.pool.a, found.pool.b, found.reference):
        apart = np.abs(side[:, None] - reps[None]).max(2).min(1)
        assert apart.max() < 1e-4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"least": 0}, "least: expected a whole number from 1 on, got 0"),
        (
            {"least": 1000},
            "data: expected at least 1000 answers about some item that the model does not",
        ),
        ({"least": True}, "least: expected a whole number"),
    ],
)
def test_what_cannot_be_learned_is_said(folders, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        update_items(folders / "model", folders / "new", tmp_path / "out", **change)
    assert not (tmp_path / "out").exists()


def test_a_model_that_knows_no_items_is_refused(folders, tmp_path):
    run = RunConfig(
        data=str(folders / "data"), output=str(tmp_path / "bt"), model="bt", split="all",
        model_options={"known_items": "never"}, questions=0,
    )  # fmt: skip
    train(run)
    with pytest.raises(InputError, match=r"model: items are learned .* \('bt'\) knows no items"):
        update_items(tmp_path / "bt", folders / "new", tmp_path / "out")


def test_the_command_says_what_was_learned(folders, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["update", str(folders / "model"), str(folders / "new"), "-o", str(out)]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"learned {NEW} of {ITEMS} items from 480 answers; log loss")
    assert f"next: gustibus models register {out}" in told
    command = [
        "update",
        str(out),
        str(folders / "new"),
        "-o",
        str(tmp_path / "b"),
        "--json",
        "--again",
    ]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["items"] > NEW
    assert main(["update", str(out), str(folders / "new"), "-o", str(tmp_path / "c")]) == 1
    assert "that the model does not know yet" in capsys.readouterr().err


def test_members_of_a_blend_learn_each_for_itself(folders, tmp_path):
    quick = {name: value for name, value in QUICK.items() if name != "known_items"}
    members = [{"family": "hierarchical", **quick}, "bt"]
    train(
        RunConfig(
            data=str(folders / "data"), output=str(tmp_path / "blend"), model="blend", split="all",
            model_options={"members": members, "weights": [0.6, 0.5]}, questions=0, valid_people=0.2,
        )
    )  # fmt: skip
    old = Artifact.load(tmp_path / "blend")
    assert len(old.model.teachable) == 2
    found, learned = update_items(tmp_path / "blend", folders / "new", tmp_path / "out")
    new = slice(ITEMS - NEW, ITEMS)
    assert np.corrcoef(rewards(found)[new], SECRET[new])[0, 1] > 0.9
    assert learned.after < learned.before - 0.1
    np.testing.assert_array_equal(rewards(found)[: ITEMS - NEW], rewards(old)[: ITEMS - NEW])
    assert fingerprint(old.model.untaught) == fingerprint(old.model) == fingerprint(found.model)
    np.testing.assert_array_equal(
        found.model.untaught.represent(FEATURES), old.model.represent(FEATURES)
    )
