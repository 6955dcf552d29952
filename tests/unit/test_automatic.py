"""`auto` finds the family that foretells people best, within its time, and says why."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from gustibus.errors import ConfigError, InputError, UnknownNameError
from gustibus.models import automatic
from gustibus.models.automatic import fit_any, fit_auto
from gustibus.models.automatic_options import auto_options
from gustibus.models.base import Fitted, TrainingSet
from gustibus.models.recent import once, remembered
from tests.conftest import small_world

QUICK = {
    "hierarchical": {"ridges": [10.0], "equalise": [0.5], "rounds": 3},
    "pal": {"epochs": 2, "prototypes": 2},
    "lore": {"ridges": [10.0], "steps": 15, "rank": 2},
}
FAST = {
    "families": ("bt", "hierarchical"),
    "settings": QUICK,
    "known_items": "never",
    "blends": False,
}


def alike(seed: int) -> TrainingSet:
    """Everybody wants the same."""
    world = small_world(seed, people=40)
    margin = (world.item_features[world.a] - world.item_features[world.b]) @ np.arange(6)
    return replace(world, target=(margin > 0).astype(np.float32))


def test_people_who_differ_get_a_personal_model():
    fitted = fit_auto(small_world(0), small_world(1, people=12), seed=0, **FAST)
    assert fitted.model.family == "hierarchical"
    found = fitted.report["auto"]
    assert found["chosen"]["family"] == "hierarchical"
    assert found["judged_by"] == 13
    assert {c["family"] for c in found["candidates"]} == {"bt", "hierarchical"}
    behind = {c["family"]: c["behind"] for c in found["candidates"]}
    assert behind["hierarchical"] == 0
    assert behind["bt"] > 0.05
    assert "bt" in found["why"]


def test_people_who_agree_lose_nothing_by_it():
    found = fit_auto(alike(0), alike(1), seed=0, **FAST).report["auto"]
    chosen, least = (
        next(c for c in found["candidates"] if c["family"] == found["chosen"]["family"]),
        min(found["candidates"], key=lambda c: c["loss"]),
    )
    assert chosen["loss"] <= least["loss"] + max(least["error"], chosen["error"])


def test_seconds_count_a_shared_fit_once_for_each_who_shares_it(monkeypatch):
    def pause() -> float:
        time.sleep(0.2)
        return 0.0

    monkeypatch.setattr(automatic, "fit_model", lambda *_, **__: Fitted(once(pause, "pause"), {}))
    with remembered():
        seconds = [fit_any("bt", alike(0), None, seed=0).report["seconds"] for _ in range(4)]
    assert seconds == pytest.approx([0.2] * 4, abs=0.1)


@pytest.fixture
def measured(monkeypatch):
    """Losses that are made to measure: a gap by model, and how far people are apart around it."""

    def arrange(gap_of, scatter_of=None):
        judged = []
        true_foretell, true_losses = automatic.foretell, automatic.losses_of

        def noted(model, judges, split):
            judged.append(model)
            return true_foretell(model, judges, split)

        def made(told, judges, split):
            found = true_losses(told, judges, split)
            gap = gap_of(judged[-1])
            scatter = 0.01 * (gap != 0) if scatter_of is None else scatter_of(judged[-1])
            apart = np.where(np.arange(len(found)) % 2, scatter, -scatter)
            return np.full_like(found, 0.6) + gap + apart

        monkeypatch.setattr(automatic, "foretell", noted)
        monkeypatch.setattr(automatic, "losses_of", made)

    return arrange


@pytest.mark.parametrize(("behind", "taken"), [(0.001, "hierarchical"), (0.3, "bt")])
def test_a_personal_family_that_cannot_be_told_from_the_pooled_one_is_taken(
    behind, taken, measured
):
    measured(lambda model: behind if model.family != "bt" else 0.0)
    found = fit_auto(small_world(0), None, seed=0, **FAST).report["auto"]
    assert found["chosen"]["family"] == taken
    if taken == "hierarchical":
        assert "can learn" in found["why"]


@pytest.mark.parametrize(("ahead", "taken"), [(0.001, {}), (0.3, {"prototypes": 16})])
def test_another_size_is_taken_where_it_is_clearly_ahead(ahead, taken, measured):
    measured(lambda model: -ahead if model.user_dim == 16 else 0.0)
    options = {**FAST, "families": ("pal",), "settings": {"pal": {"epochs": 1}}}
    found = fit_auto(small_world(0, people=24), None, seed=0, **options).report["auto"]
    assert found["chosen"]["options"] == taken
    if not taken:
        assert "pal (prototypes 16) has the least loss" in found["why"]
        assert "is the family as it comes" in found["why"]


@pytest.fixture
def no_gain_by_blends(monkeypatch):
    """No blend is a candidate, so that one is taken for other reasons than its loss."""
    monkeypatch.setattr(automatic, "blended", lambda *_: None)
    monkeypatch.setattr(automatic, "in_equal_parts", lambda *_: [])


@pytest.mark.usefixtures("no_gain_by_blends")
class TestFewPeopleWhoCannotTell:
    """Families within an error of each other; losses of people scatter by 0.01 or by a tenth."""

    OPTIONS: ClassVar = {**FAST, "families": ("bt", "hierarchical", "lore"), "blends": True}

    @pytest.fixture
    def arrange(self, measured):
        def arranged(scatter, behind=0.0):
            gaps = {"bt": 0.5, "hierarchical": 0.0, "lore": behind}
            measured(
                lambda model: gaps[model.family],
                lambda model: scatter if model.family == "lore" else 0.0,
            )

        return arranged

    def fitted(self):
        return fit_auto(small_world(0, people=24), None, seed=0, **self.OPTIONS)

    def test_are_served_equal_parts_of_both(self, arrange):
        arrange(0.1)
        fitted = self.fitted()
        found = fitted.report["auto"]
        assert fitted.model.family == "blend"
        assert {m["family"] for m in found["chosen"]["options"]["members"]} == {
            "hierarchical",
            "lore",
        }
        first, second = found["chosen"]["options"]["weights"]  # of a blend that may be scaled
        assert first == second
        assert "cannot tell" in found["why"]
        assert "lore" in found["why"]

    @pytest.mark.parametrize(("scatter", "behind"), [(0.001, 0.0), (0.1, 0.3)])
    def test_but_one_where_they_can(self, arrange, scatter, behind):
        arrange(scatter, behind)
        assert self.fitted().model.family in {"hierarchical", "lore"}

    def test_and_one_where_no_blend_is_wanted(self, arrange, monkeypatch):
        arrange(0.1)
        monkeypatch.setitem(self.OPTIONS, "blends", False)
        assert self.fitted().model.family in {"hierarchical", "lore"}

    def test_and_one_where_there_is_no_time_for_the_fits(self, arrange, monkeypatch):
        arrange(0.1)
        monkeypatch.setattr(automatic._Search, "_no_time", lambda *_: "no time")
        found = self.fitted()
        assert found.model.family in {"hierarchical", "lore"}
        assert all(c["family"] != "blend" for c in found.report["auto"]["candidates"])


@pytest.mark.usefixtures("no_gain_by_blends")
class TestItemsKnownByTheirNamesAlone:
    """`factors` foretell best, and say nothing of a new item."""

    OPTIONS: ClassVar = {**FAST, "families": ("bt", "hierarchical", "factors"), "blends": True}

    @pytest.fixture
    def arrange(self, measured, monkeypatch):
        gaps = {"bt": 0.5, "hierarchical": 0.1, "factors": 0.0}
        measured(lambda model: gaps[model.family], lambda _: 0.0)

        def blend_is(behind):
            def judged(number, one):
                best = next(m for m in one.members if m.family == "factors").draws[number]
                one.draws.append(best._replace(losses=best.losses + behind))

            monkeypatch.setattr(automatic._Search, "_judge_blend", lambda _, *given: judged(*given))

        return blend_is

    def fitted(self):
        return fit_auto(small_world(0, people=60), None, seed=0, **self.OPTIONS)

    def test_are_blended_with_what_reads_features(self, arrange):
        arrange(-0.01)
        fitted = self.fitted()
        found = fitted.report["auto"]
        members = [m["family"] for m in found["chosen"]["options"]["members"]]
        assert members == ["factors", "hierarchical"]
        assert "by their names alone" in found["why"]
        new = np.random.default_rng(0).standard_normal((2, 6)).astype(np.float32)
        user = np.ones((1, fitted.model.user_dim))
        assert np.ptp(fitted.model.utility(user, fitted.model.represent(new))) > 0

    def test_unless_that_costs_what_can_be_told(self, arrange):
        arrange(0.05)
        assert self.fitted().model.family == "factors"


def test_the_choice_is_the_same_for_the_same_seed():
    first, second = (
        fit_auto(small_world(0), small_world(1, people=12), seed=3, **FAST) for _ in range(2)
    )
    assert [c["loss"] for c in first.report["auto"]["candidates"]] == [
        c["loss"] for c in second.report["auto"]["candidates"]
    ]
    items = small_world(0).item_features[:5]
    np.testing.assert_array_equal(first.model.represent(items), second.model.represent(items))


def test_sizes_of_the_best_families_are_tried():
    options = {**FAST, "families": ("bt", "pal"), "settings": {"pal": {"epochs": 1}}}
    found = fit_auto(small_world(0, people=24), None, seed=0, **options).report["auto"]
    tried = [c["options"].get("prototypes") for c in found["candidates"] if c["family"] == "pal"]
    assert sorted(tried, key=str) == [16, 3, None]
    fixed = fit_auto(small_world(0, people=24), None, seed=0, **{**options, "settings": QUICK})
    assert len(fixed.report["auto"]["candidates"]) == 2, "a size that is given is left alone"


def test_without_time_only_the_first_is_fitted():
    found = fit_auto(small_world(0), None, seed=0, **FAST, minutes=0).report["auto"]
    fates = {c["family"]: c["fate"] for c in found["candidates"]}
    assert fates["bt"] == "judged"
    assert "time was up" in fates["hierarchical"]
    assert found["chosen"]["family"] == "bt"
    assert "hierarchical" in found["why"]


def test_a_fit_that_takes_too_long_is_ended():
    options = {**FAST, "settings": {"hierarchical": {}}, "families": ("bt", "hierarchical")}
    begin = time.monotonic()
    found = fit_auto(small_world(0, rows=100), None, seed=0, **options, minutes=0.02).report["auto"]
    assert time.monotonic() - begin < 60
    assert found["chosen"]["family"] in {"bt", "hierarchical"}


def test_a_draw_that_the_time_cuts_short_does_not_favour_quick_families(monkeypatch):
    true, fits = automatic.fit_model, {"hierarchical": 0, "bt": 0}

    def late(family, *args, **options):
        fits[family] += 1
        if family == "hierarchical" and fits[family] == 2:
            raise automatic._LateError
        return true(family, *args, **options)

    monkeypatch.setattr(automatic, "fit_model", late)
    monkeypatch.setattr(automatic._Search, "_close", lambda search, _: search.candidates)
    found = fit_auto(small_world(0), None, seed=0, **FAST).report["auto"]
    assert found["draws"] == 1
    assert found["chosen"]["family"] == "hierarchical"
    assert all(c["fate"] == "judged" for c in found["candidates"])


def test_too_few_people_are_not_held_out():
    fitted = fit_auto(small_world(0, people=5), None, seed=0, **FAST)
    assert fitted.model.family == "hierarchical"
    assert "too few" in fitted.report["auto"]["why"]


def test_a_family_that_cannot_be_fitted_is_left_out():
    world = replace(small_world(0), prompt_features=None)
    options = {
        **FAST, "families": ("bt", "pal"), "sizes": False,
        "settings": {"pal": {"variant": "b", "epochs": 1, "layers": 1, "prototypes": 2}},
    }  # fmt: skip
    found = fit_auto(world, None, seed=0, **options).report["auto"]
    assert found["chosen"]["family"] == "bt"
    assert "prompt" in next(c["fate"] for c in found["candidates"] if c["family"] == "pal")


def test_an_interrupted_search_goes_on_where_it_was(tmp_path, monkeypatch):
    whole = fit_auto(small_world(0), None, seed=0, **FAST).report["auto"]
    fitted: list[str] = []
    true = automatic.fit_model

    def counted(family, *args, **options):
        if len(fitted) == 1:
            raise KeyboardInterrupt
        fitted.append(family)
        return true(family, *args, **options)

    monkeypatch.setattr(automatic, "fit_model", counted)
    with pytest.raises(KeyboardInterrupt):
        fit_auto(small_world(0), None, seed=0, **FAST, checkpoint=tmp_path)
    monkeypatch.setattr(automatic, "fit_model", true)
    assert fitted == ["bt"]
    again = fit_auto(small_world(0), None, seed=0, **FAST, checkpoint=tmp_path).report["auto"]
    assert [c["loss"] for c in again["candidates"]] == [c["loss"] for c in whole["candidates"]]


def test_progress_names_the_candidate():
    told = []
    fit_auto(small_world(0), None, seed=0, **FAST, progress=lambda stage, *_: told.append(stage))
    assert any(stage.startswith("auto 1.2 hierarchical") for stage in told)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"minute": 3}, ConfigError, "minutes"),
        ({"minutes": -1}, ConfigError, "minutes"),
        ({"families": ()}, ConfigError, "families"),
        ({"families": "bt,hierarchica"}, UnknownNameError, "hierarchica"),
        ({"settings": {"pall": {}}}, UnknownNameError, "pall"),
    ],
)
def test_wrong_options_are_named(options, error, said):
    with pytest.raises(error, match=said):
        auto_options(options)


def test_nothing_to_fit_is_refused():
    world = small_world(0)
    empty = replace(world, **{n: getattr(world, n)[:0] for n in
                              ("user", "prompt", "a", "b", "target", "weight")})  # fmt: skip
    with pytest.raises(InputError, match="at least one comparison"):
        fit_any("auto", empty, None, seed=0)
