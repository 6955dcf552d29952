"""A personal family, PAL, with a pairwise objective in the place of its own loss."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from gustibus.errors import ConfigError
from gustibus.models.hybrid import fit_model
from gustibus.models.validation import part
from gustibus.training import RunConfig
from tests.unit.test_objectives_training import TASTE, planted


class TestPersonalFamily:
    """PAL with an objective in the place of its own loss."""

    FIT: ClassVar = {
        "seed": 0, "prototypes": 1, "epochs": 8, "known_items": "never", "ridge": 1.0,
        "equalise": 0.0,
    }  # fmt: skip

    def size(self, world, **given):
        """Slope of the rewards that everybody gets over the planted ones."""
        model, report = fit_model("pal", world, None, **self.FIT, **given)
        planted_ = world.item_features @ TASTE
        found = model.utility(np.ones(1), model.represent(world.item_features))
        return np.polyfit(planted_, found, 1)[0], report

    def test_flipped_labels_do_not_shrink_rewards_under_the_robust_loss(self):
        noisy = planted(lists=150, noise=1.0, flips=0.3)
        plain, _ = self.size(noisy)
        robust, report = self.size(noisy, objective="rdpo", objective_options={"eps": 0.3})
        assert plain < 0.5
        assert 0.7 < robust < 1.4
        assert report["objective"] == {"name": "rdpo", "options": {"eps": 0.3}}

    @pytest.mark.parametrize("objective", ["bt_pair", "hinge", "ipo"])
    def test_margins_are_log_odds_whatever_the_objective(self, objective):
        world = planted(lists=150, noise=1.0)
        plain, _ = self.size(world)
        named, _ = self.size(world, objective=objective)
        assert named == pytest.approx(plain, rel=0.12)

    def test_margins_that_are_asked_for_are_kept_and_put_right(self):
        world = planted(lists=150, noise=1.0)
        strong = replace(world, margin=np.full(len(world), 2.0, np.float32))
        assert self.size(strong, objective="bt_pair")[0] == pytest.approx(
            self.size(world)[0], rel=0.15
        )

    def test_validation_people_judge_by_an_objective_whose_margins_are_log_odds(self):
        world = planted(lists=60, noise=1.0, flips=0.3)
        people = np.arange(10)
        halves = part(world, people[:7]), part(world, people[7:])
        losses = [
            fit_model("pal", *halves, **self.FIT, **given).report["held_out_loss"]
            for given in ({}, {"objective": "rdpo", "objective_options": {"eps": 0.3}})
        ]
        assert losses[1] < losses[0] - 0.05  # of clean labels, not of those with flips

    def test_lists_are_refused(self):
        with pytest.raises(ConfigError, match="'pal' takes pairwise objectives, 'list_mle' takes"):
            fit_model("pal", planted(), None, seed=0, objective="list_mle")
        with pytest.raises(ConfigError, match="'pal' takes pairwise objectives, 'list_mle' takes"):
            RunConfig(data="x", output="y", model="pal", objective="list_mle")
