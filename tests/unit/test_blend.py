"""A blend is the mean of its members' log-odds, and is chosen where that foretells better."""

from __future__ import annotations

import numpy as np
import pytest

from gustibus.errors import ConfigError, InputError, UnknownNameError
from gustibus.models.automatic import fit_auto
from gustibus.models.base import MODELS, PreferenceModel, TrainingSet
from gustibus.models.blend import Blend
from gustibus.models.blend_choice import Blended, blended, in_equal_parts, judge_blend, rescaled
from gustibus.models.blend_fit import blend_options
from gustibus.models.candidates import Candidate, Judged
from gustibus.models.hybrid import fit_model
from gustibus.models.judges import Draw, draws_of
from gustibus.models.validation import Foretold, hold_out, losses_of
from gustibus.posterior import Answering
from tests.conftest import small_world

PAL = {"family": "pal", "epochs": 3, "prototypes": 3}
SOON = {"basis": "features", "folds": 1, "rounds": 3}
HIERARCHICAL = {"family": "hierarchical", **SOON}
GPM = {
    "family": "gpm", "steps": 5, "optional": False, "gate": "none", "ridges": [10.0],
    "transitive": SOON,
}  # fmt: skip


@pytest.fixture(scope="module")
def blend(world, valid_world) -> Blend:
    fitted = fit_model(
        "blend", world, valid_world, seed=0, members=[HIERARCHICAL, PAL], weights=[0.75, 0.5]
    )
    assert isinstance(fitted.model, Blend)
    assert [row["family"] for row in fitted.report["members"]] == ["hierarchical", "pal"]
    assert np.isfinite(fitted.report["held_out_loss"])
    return fitted.model


def answers(model: PreferenceModel, world: TrainingSet, rows: int):
    rep = model.represent(world.item_features)
    return rep[world.a[:rows]], rep[world.b[:rows]], world.target[:rows].astype(np.float64)


def test_rewards_are_the_mean_of_the_members(blend, world):
    items = world.item_features[:7]
    rng = np.random.default_rng(0)
    users = [rng.standard_normal((3, m.user_dim)) for m in blend.members]
    expected = sum(
        share * m.utility(user, m.represent(items))
        for share, m, user in zip((0.75, 0.5), blend.members, users, strict=True)
    )
    found = blend.utility(np.concatenate(users, axis=1), blend.represent(items))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_every_member_places_a_person_as_it_does_alone(blend, world):
    placed = blend.place(*answers(blend, world, 8))
    alone = [m.place(*answers(m, world, 8)) for m in blend.members]
    expected = np.concatenate([one.mean for one in alone], axis=1)
    np.testing.assert_allclose(placed.mean, expected, rtol=1e-12)
    assert placed[0].comparisons == 8


def test_what_members_do_not_know_they_do_not_know_together(blend, world):
    """The variance of a margin is the mean of the members' variances, times the squared weight."""
    placed = blend.place(*answers(blend, world, 8))
    a, b, _ = answers(blend, world, 5)
    _, slope = blend.contrast(placed.mean[0], a, b)
    found = np.einsum("nu,uv,nv->n", slope, placed.covariance[0], slope)
    expected = np.zeros(5)
    for weight, m in zip(blend.weights, blend.members, strict=True):
        one = m.place(*answers(m, world, 8))
        a, b, _ = answers(m, world, 5)
        _, slope = m.contrast(one.mean[0], a, b)
        expected += 1.25 * weight * np.einsum("nu,uv,nv->n", slope, one.covariance[0], slope)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"members": ["bt"]}, ConfigError, "at least two"),
        ({"members": ["bt", "blend"]}, ConfigError, "no blends"),
        ({"members": ["bt", {"rank": 3}]}, ConfigError, "members"),
        ({"members": ["bt", "no_such"]}, UnknownNameError, "no_such"),
        ({"members": "bt,pal", "weights": [1.0]}, ConfigError, "2 numbers above 0"),
        ({"members": "bt,pal", "weights": [1.0, 0.0]}, ConfigError, "weights"),
        ({"members": "bt,pal", "weights": [1.0, float("nan")]}, ConfigError, "weights"),
        ({"member": ["bt", "pal"]}, ConfigError, "no option 'member'"),
    ],
)
def test_wrong_options_are_named(options, error, said):
    with pytest.raises(error, match=said):
        blend_options(**options)


def test_tastes_that_run_in_circles_have_no_mean(world, valid_world):
    with pytest.raises(InputError, match=r"members: tastes of 'gpm' run in circles"):
        MODELS["blend"].run.fit(world, valid_world, seed=0, members=[GPM, "bt"])


def test_members_of_other_features_are_refused(blend, world):
    narrow = fit_model("bt", small_world(0, dim=4), None, seed=0).model
    with pytest.raises(InputError, match=r"item_dim, got \[4, 6\]"):
        Blend((blend.members[0], narrow), (0.5, 0.5))


def drawn() -> Draw:
    return next(draws_of(small_world(0), 0))


def candidate(name: str, draw: Draw, margin: np.ndarray, *, transitive: bool = True) -> Candidate:
    split = hold_out(draw.judges)
    told = Foretold(np.stack([margin, margin]), np.zeros((2, len(margin))), Answering(0.0, 0.0))
    return Candidate(name, {}, [Judged(told, losses_of(told, draw.judges, split), transitive, 1.0)])


def truth(draw: Draw) -> np.ndarray:
    target = draw.judges.target[hold_out(draw.judges).query]
    return 2.0 * (2.0 * target.astype(np.float64) - 1.0)


def test_members_that_err_in_different_places_are_blended():
    draw = drawn()
    split, right = hold_out(draw.judges), truth(draw)
    rng = np.random.default_rng(1)
    first, second, noise = (
        candidate(name, draw, share * right + 3 * rng.standard_normal(len(right)))
        for name, share in (("lore", 1), ("pal", 1), ("bt", 0))
    )
    circles = candidate("gpm", draw, right, transitive=False)
    found = blended([noise, first, circles, second], draw, split, {})
    assert found is not None
    assert {m.family for m in found.members} == {"lore", "pal"}
    judged = judge_blend(found, 0, draw, split)
    assert judged is not None
    assert np.nanmean(judged.losses) < min(first.loss, second.loss)
    weights = dict(zip((m.family for m in found.members), found.weights, strict=True))
    np.testing.assert_allclose(
        judged.told.margin,
        weights["lore"] * first.draws[0].told.margin + weights["pal"] * second.draws[0].told.margin,
    )


def test_the_better_member_has_the_larger_weight():
    draw = drawn()
    split, right = hold_out(draw.judges), truth(draw)
    rng = np.random.default_rng(2)
    good, poor = (
        candidate(name, draw, right + noise * rng.standard_normal(len(right)))
        for name, noise in (("lore", 2.0), ("pal", 4.0))
    )
    found = blended([poor, good], draw, split, {"lore": {"rank": 3}})
    assert found is not None
    assert [m.family for m in found.members] == ["lore", "pal"]
    assert found.weights[0] > found.weights[1]
    assert found.options["members"][0] == {"family": "lore", "rank": 3}
    assert found.options["weights"] == list(found.weights)


def test_a_timid_member_is_made_to_speak_up():
    """Its log-odds are a tenth of what they should be; the blend takes it all the same."""
    draw = drawn()
    split, right = hold_out(draw.judges), truth(draw)
    rng = np.random.default_rng(3)
    sure = right + 3 * rng.standard_normal(len(right))
    timid = (right + 3 * rng.standard_normal(len(right))) / 10
    found = blended([candidate("lore", draw, sure), candidate("pal", draw, timid)], draw, split, {})
    assert found is not None
    weights = dict(zip((m.family for m in found.members), found.weights, strict=True))
    assert weights["pal"] > 3 * weights["lore"]


def test_equal_parts_are_of_the_best_two_families_and_of_the_best_three():
    draw = drawn()
    split, right = hold_out(draw.judges), truth(draw)
    rng = np.random.default_rng(4)
    best, second, third, poor, circles, size = (
        candidate(name, draw, right + noise * rng.standard_normal(len(right)))
        for name, noise in (
            ("lore", 2), ("pal", 3), ("ppd", 4), ("bt", 9), ("gpm", 1), ("pro", 1),
        )
    )  # fmt: skip
    circles.draws[0] = circles.draws[0]._replace(transitive=False)
    size.options["experts"] = 3
    again = candidate("mrm", draw, best.draws[0].told.margin[0])
    among = [poor, third, circles, size, best, again, second]
    pair, three = in_equal_parts(among, draw, split, {})
    assert [m.family for m in pair.members] == ["lore", "pal"]
    assert [m.family for m in three.members] == ["lore", "pal", "ppd"]
    assert pair.weights == (0.5, 0.5)
    assert pair.loss < best.loss
    mean = sum(m.draws[0].told.margin for m in three.members) / 3
    np.testing.assert_allclose(three.draws[0].told.margin, mean)
    assert in_equal_parts([best, again], draw, split, {}) == []


def halves(draws: list[Draw], share: float, *, seed: int) -> Blended:
    """Equal parts of two candidates whose log-odds are a share of what they should be."""
    rng, members = np.random.default_rng(seed), []
    for name in ("lore", "pal"):
        one = Candidate(name, {})
        for draw in draws:
            sure = truth(draw) + 2 * rng.standard_normal(len(truth(draw)))
            one.draws += candidate(name, draw, share * sure).draws
        members.append(one)
    blend = Blended(members, [0.5, 0.5], {"lore": {"rank": 3}})
    for number, draw in enumerate(draws):
        judged = judge_blend(blend, number, draw, hold_out(draw.judges))
        assert judged is not None
        blend.draws.append(judged)
    return blend


def test_a_timid_blend_is_made_to_speak_up_and_a_sure_one_to_doubt():
    draws = list(draws_of(small_world(0, people=60, rows=16), 0))[:2]
    splits = [hold_out(draw.judges) for draw in draws]
    timid = rescaled(halves(draws, 0.25, seed=5), draws, splits, {"lore": {"rank": 3}})
    assert timid is not None
    assert timid.weights == (1.0, 1.0), "twice is the most"
    assert timid.options["members"][0] == {"family": "lore", "rank": 3}
    assert len(timid.draws) == 2
    sure = rescaled(halves(draws, 8.0, seed=5), draws, splits, {})
    assert sure is not None
    assert sure.weights == (0.25, 0.25), "half is the least"
    for share, found in ((0.25, timid), (8.0, sure)):
        again = judge_blend(found, 1, draws[1], splits[1])
        assert again is not None
        np.testing.assert_allclose(found.draws[1].told.margin, again.told.margin)
        assert found.loss < halves(draws, share, seed=5).loss


def test_a_blend_is_scaled_by_people_who_do_not_judge_that():
    """Of log-odds that know nothing, the least are best, whoever says so; those that are right stay."""
    draws = list(draws_of(small_world(0, people=60, rows=16), 0))[:2]
    splits = [hold_out(draw.judges) for draw in draws]
    fit = min(
        (halves(draws, share, seed=6) for share in np.arange(0.3, 3, 0.1)), key=lambda one: one.loss
    )
    assert rescaled(fit, draws, splits, {}) is None
    fit.draws[0].losses[:] = np.nan
    fit.draws[1].losses[:] = np.nan
    assert rescaled(fit, draws, splits, {}) is None, "nobody can tell"


def test_auto_says_by_how_much_it_scaled_its_blend(monkeypatch):
    from gustibus.models import automatic, choosing

    monkeypatch.setattr(choosing, "_single", lambda least, _: least)
    true = automatic.rescaled

    def scaled(one, *rest):
        found = true(one, *rest)
        return found or Blended(one.members, [1.5 * w for w in one.weights], {})

    monkeypatch.setattr(automatic, "rescaled", scaled)
    found = fit_auto(small_world(0, people=60, rows=16), None, seed=0, **FAST)
    assert "with all weights times" in found.report["auto"]["why"]
    assert isinstance(found.model, Blend)
    chosen = found.report["auto"]["chosen"]["options"]
    assert list(found.model.weights) == chosen["weights"]


def test_equal_candidates_are_not_blended():
    draw = drawn()
    margin = truth(draw) + np.random.default_rng(0).standard_normal(len(truth(draw)))
    same = [candidate(name, draw, margin) for name in ("lore", "pal")]
    assert blended(same, draw, hold_out(draw.judges), {}) is None


def test_people_with_one_answer_each_judge_no_blend():
    """None of their answers is left to foretell once they are placed."""
    world = small_world(0, people=40, rows=1)
    options = {**FAST, "families": ("bt", "hierarchical")}
    found = fit_auto(world, None, seed=0, **options).report["auto"]
    assert [c["family"] for c in found["candidates"]] == ["bt", "hierarchical"]
    assert found["judged_by"] == 0
    assert found["chosen"]["family"] == "hierarchical"
    assert "nobody has answers left" in found["why"]


def test_a_blend_is_judged_by_people_who_did_not_find_its_weights():
    """Weights of candidates that know nothing fit the people who found them, and nobody else."""
    gains: list[list[float]] = []
    for seed in range(12):
        draw = next(draws_of(small_world(seed), seed))
        split, rng = hold_out(draw.judges), np.random.default_rng(seed)
        rows = len(split.query)
        guesses = [candidate("lore", draw, rng.standard_normal(rows)) for _ in range(8)]
        found = blended(guesses, draw, split, {})
        if found is not None:
            flattered = judge_blend(found, 0, draw, split)
            assert flattered is not None
            best = min(c.loss for c in guesses)
            gains.append([best - float(np.nanmean(flattered.losses)), best - found.loss])
    told, honest = np.mean(gains, axis=0)
    assert told > 0.02
    assert honest < told / 2


def test_a_blend_waits_for_its_members():
    draw = drawn()
    rng = np.random.default_rng(0)
    right = truth(draw)
    pair = [
        candidate(name, draw, right + 3 * rng.standard_normal(len(right)))
        for name in ("lore", "pal")
    ]
    found = blended(pair, draw, hold_out(draw.judges), {})
    assert found is not None
    assert judge_blend(found, 1, draw, hold_out(draw.judges)) is None


FAST = {
    "families": ("hierarchical", "pal"),
    "settings": {
        "hierarchical": {"basis": "features", "folds": 1},
        "pal": {"epochs": 10, "prototypes": 3},
    },
    "known_items": "never",
    "sizes": False,
}


def test_auto_fits_the_blend_that_it_chose(monkeypatch):
    """Any gain counts here; whether a gain is noise has its own test."""
    from gustibus.models import choosing

    monkeypatch.setattr(choosing, "_single", lambda least, _: least)
    world = small_world(0, people=60, rows=16)
    found = fit_auto(world, None, seed=0, **FAST)
    rows = found.report["auto"]["candidates"]
    blend = next(row for row in rows if row["family"] == "blend")
    assert [m["family"] for m in blend["options"]["members"]] == ["hierarchical", "pal"]
    assert blend["loss"] < min(row["loss"] for row in rows if row["family"] != "blend")
    assert isinstance(found.model, Blend)
    assert found.report["auto"]["chosen"]["family"] == "blend"


def test_a_gain_that_may_be_noise_is_not_worth_a_blend(monkeypatch):
    from gustibus.models import automatic, candidates, choosing

    monkeypatch.setattr(candidates.Gap, "is_noise", property(lambda _: True))
    monkeypatch.setattr(choosing, "untold", lambda *_: [])  # has tests of its own
    world = small_world(0, people=60, rows=16)
    search = automatic._Search(
        world, None, automatic.auto_options(FAST), 0, "cpu", None, None
    )  # fmt: skip
    best, why = search.choose()
    assert "blend" in {c.family for c in search.candidates}
    assert best.family != "blend"
    assert "blend of" in why
    assert "needs one fit alone" in why


def test_without_time_to_fit_the_members_again_no_blend_is_taken(monkeypatch):
    from gustibus.models import automatic, choosing

    monkeypatch.setattr(choosing, "untold", lambda *_: [])  # asks for the time by itself
    monkeypatch.setattr(automatic, "in_equal_parts", lambda *_: [])
    true = automatic.blended

    def slow(*given):
        if (one := true(*given)) is not None:
            one.draws[0] = one.draws[0]._replace(seconds=1e9)
        return one

    monkeypatch.setattr(automatic, "blended", slow)
    world = small_world(0, people=60, rows=16)
    found = fit_auto(world, None, seed=0, **FAST).report["auto"]
    assert found["chosen"]["family"] != "blend"
    assert "no time" in next(c["fate"] for c in found["candidates"] if c["family"] == "blend")
