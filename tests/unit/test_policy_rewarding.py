"""A person's model as a reward callable for trainers that sample."""

from __future__ import annotations

import numpy as np
import pytest

import gustibus
from gustibus.data import write_folder
from gustibus.data.synthetic import demo_world
from gustibus.errors import InputError, NotFiniteError
from gustibus.policy import PersonReward
from gustibus.policy.rewarding import win_rates
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
