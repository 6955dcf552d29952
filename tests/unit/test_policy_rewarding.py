"""A person's model as a reward callable for trainers that sample."""

from __future__ import annotations

import numpy as np
import pytest

import gustibus
from gustibus.data import write_folder
from gustibus.data.synthetic import demo_world
from gustibus.errors import InputError, NotFiniteError
from gustibus.evaluation.probes.representation import (
    centroid_distances,
    centroids,
    distance_weights,
)
from gustibus.policy import PersonReward
from gustibus.policy.groups import group_advantage
from gustibus.policy.rewarding import discarded, win_rates
from gustibus.training import RunConfig, train


class Wordy:
    """A scorer in whose reward a word of the person counts; the population likes `fine`."""

    def score(self, prompt, candidates, *, user=None):
        return np.array([float(c.split().count(user or "fine")) for c in candidates])


def test_rewards_are_the_persons_own_row_by_row():
    said = ["yes yes", "no", "fine"]
    reward = PersonReward(Wordy(), user="no", column="who")
    assert reward(["say"] * 3, said, who=["yes", None, "fine"]) == [2.0, 1.0, 1.0]
    assert PersonReward(Wordy())(["say"] * 3, said) == [0.0, 0.0, 1.0]
    talk = [[{"role": "assistant", "content": text}] for text in said]
    asked = [[{"role": "user", "content": "say"}]] * 3
    assert PersonReward(Wordy(), user="yes")(asked, talk) == [2.0, 0.0, 0.0]
    with pytest.raises(InputError, match="column: expected one of"):
        reward(["say"], ["no"], name=["x"])
    with pytest.raises(InputError, match="completions: expected 1"):
        reward(["say"], said)
    with pytest.raises(NotFiniteError, match="shape: expected finite"):
        PersonReward(Wordy(), shape=lambda r: r / 0 if len(r) < 0 else r * np.nan)(["say"], ["no"])


def test_completions_that_cannot_be_judged_move_the_policy_less():
    r = np.array([1.0, 3.0, 50.0])
    np.testing.assert_allclose(discarded(r, [1, 1, 0]), [1, 3, 2])
    np.testing.assert_allclose(discarded(r, [1, 1, 1]), r)
    np.testing.assert_allclose(discarded(r, [0, 0, 0]), r.mean())
    assert group_advantage(discarded(r, [1, 1, 0]))[2] == pytest.approx(0, abs=1e-9)
    half = discarded(r, [1, 1, 0.5])
    assert abs(half[2] - half.mean()) < abs(r[2] - r.mean())
    with pytest.raises(InputError, match="trust: expected numbers in"):
        discarded(r, [1, 1, 2])
    with pytest.raises(InputError, match="equal lengths"):
        discarded(r, [1, 1])


def test_far_responses_are_skipped_by_their_distance_from_what_the_model_knows():
    known = centroids(np.random.default_rng(0).standard_normal((200, 3)), k=4, seed=0)

    def trust(prompt, said):
        vectors = np.array([[len(text) - 8.0, 0.0, 0.0] for text in said])
        return distance_weights(centroid_distances(vectors, known), threshold=4.0)

    said = ["fine all", "not so x", "fine " * 30]  # the last is far from anything seen
    assert trust("say", said).tolist() == [1, 1, 0]
    assert PersonReward(Wordy())(["say"] * 3, said) == [1.0, 0.0, 30.0]
    assert PersonReward(Wordy(), trust=trust)(["say"] * 3, said) == [1.0, 0.0, 0.5]


def test_win_rates_are_taken_within_each_prompt():
    reward = PersonReward(Wordy(), user="yes", shape=win_rates)
    found = reward(["a", "b", "a", "b", "a"], ["yes", "no", "no", "no", "yes yes"])
    assert found == [0.5, 0.5, 0.0, 0.5, 1.0]
    assert win_rates(np.array([3.0])) == [0.5]


def test_a_saved_model_rewards_as_it_scores(tmp_path):
    options = {"equalise": [0.5], "ridges": [10.0], "rank": 4, "folds": 1, "rounds": 4}
    write_folder(demo_world(people=20, new=2, seed=1).dataset, tmp_path / "data")
    train(
        RunConfig(
            data=str(tmp_path / "data"), output=str(tmp_path / "model"), encoder="hashing",
            questions=20, model_options=options,
        )
    )  # fmt: skip
    scorer = gustibus.load(str(tmp_path / "model"))
    texts = ["Done.", "First, breathe. Then, try again. You can do this!", "No."]
    someone = scorer.artifact.people.ids[0]
    mixed = PersonReward(scorer, column="user")
    own = scorer.score("How?", texts, user=someone)
    assert mixed(["How?"] * 3, texts, user=[someone] * 3) == own.tolist()
    everybody = scorer.score("How?", texts[1:])
    found = mixed(["How?"] * 3, texts, user=[someone, None, None])
    assert np.allclose(found, [own[0], *everybody], atol=1e-6)
    placed = scorer.place([("How?", texts[0], texts[1], 1.0)] * 4)
    expected = scorer.score("How?", texts, user=placed)
    assert PersonReward(scorer, user=placed)(["How?"] * 3, texts) == expected.tolist()
