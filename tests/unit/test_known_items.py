"""Items recognised by their features, models over features and known items, items learned later."""

from dataclasses import replace

import numpy as np
import pytest

from gustibus.errors import ConfigError, InputError
from gustibus.models import MODELS
from gustibus.models.directions import rewards
from gustibus.models.fingerprint import fingerprint
from gustibus.models.hybrid import Hybrid, fit_model
from gustibus.models.hybrid_choice import Gain, gain_of_known
from gustibus.models.item_answers import ItemAnswers
from gustibus.models.known import KnownItems
from gustibus.models.validation import part
from tests.conftest import small_world

QUICK = {"ridges": [10.0], "equalise": [0.5], "rounds": 4, "folds": 1}


def known_of(world, **options):
    return KnownItems.of(world, **{"share": 3.0, "least": 1, "most": 1000, **options})


def with_secrets(seed, *, people, size=2.0, drop=None):
    """A world in which an item's reward is mostly what its features do not tell."""
    world = small_world(0, people=people, rows=40)
    rng = np.random.default_rng(seed)
    secret = np.random.default_rng(99).standard_normal(200) * size
    margin = secret[world.a] - secret[world.b]
    margin += np.where(world.user % 2, 1, -1) * world.item_features[world.a, 0] * 0.5
    target = (rng.random(len(world)) < 1 / (1 + np.exp(-margin))).astype(np.float32)
    world = replace(world, target=target)
    if drop is not None:
        keep = ~(np.isin(world.a, drop) | np.isin(world.b, drop))
        columns = {
            n: getattr(world, n)[keep] for n in ("user", "prompt", "a", "b", "target", "weight")
        }
        world = replace(world, **columns)
    return world, secret


def test_known_items_are_found_by_their_features_in_any_order():
    world = small_world()
    known = known_of(world)
    order = np.random.default_rng(0).permutation(200)
    found = known.find(world.item_features[order])
    assert sorted(found) == list(range(200))
    np.testing.assert_array_equal(found, known.find(world.item_features)[order])


def test_half_precision_is_the_same_item_and_a_small_step_is_another():
    x = small_world().item_features
    known = known_of(small_world())
    np.testing.assert_array_equal(
        known.find(x.astype(np.float16).astype(np.float32)), known.find(x)
    )
    step = np.random.default_rng(0).standard_normal(x.shape)
    step *= (
        0.03
        * np.linalg.norm(x, axis=1, keepdims=True)
        / np.linalg.norm(step, axis=1, keepdims=True)
    )
    assert (known.find((x + step).astype(np.float32)) == -1).mean() > 0.99
    assert (known.find(np.zeros((1, 6), np.float32)) == -1).all()


def test_equal_features_are_one_item_and_rare_items_are_not_known():
    world = small_world()
    x = world.item_features.copy()
    x[1] = x[0]
    assert len(known_of(replace(world, item_features=x))) == 199
    counts = np.bincount(np.concatenate([world.a, world.b]), minlength=200)
    assert len(known_of(world, least=12)) == (counts >= 12).sum()
    assert len(known_of(world, most=7)) == 7


def test_own_coordinates_set_known_items_apart_by_their_share():
    world = small_world()
    known = known_of(world, share=3.0)
    wide = known.augment(world.item_features)
    apart = ((wide[world.a] - wide[world.b]) ** 2).sum(1)
    features = ((world.item_features[world.a] - world.item_features[world.b]) ** 2).sum(1)
    assert (apart - features).mean() == pytest.approx(3.0 * features.mean(), rel=1e-4)
    new = known.augment(np.full((1, 6), 9.0, np.float32))
    assert not new[0, 6:].any()


@pytest.mark.parametrize("family", ["bt", "hierarchical"])
def test_what_features_do_not_tell_is_learned_of_known_items_alone(family):
    world, secret = with_secrets(1, people=60)
    valid, _ = with_secrets(2, people=20)
    options = QUICK if family == "hierarchical" else {}
    fitted = fit_model(family, world, valid, seed=0, **options)
    assert isinstance(fitted.model, Hybrid)
    assert fitted.report["known_items"] == 200
    users = fitted.model.prior.mean
    learned = fitted.model.utility(users, fitted.model.represent(world.item_features))
    plain = fit_model(family, world, valid, seed=0, known_items="never", **options).model
    blind = plain.utility(plain.prior.mean, plain.represent(world.item_features))
    assert np.corrcoef(learned, secret)[0, 1] > 0.9
    assert abs(np.corrcoef(blind, secret)[0, 1]) < 0.5


def test_known_items_are_left_out_where_features_tell_everything():
    fitted = fit_model("hierarchical", small_world(0), small_world(1, people=12), seed=0, **QUICK)
    losses = fitted.report["held_out_losses"]
    assert isinstance(fitted.model, Hybrid) == (losses["known items"] < losses["features"])
    assert not isinstance(
        fit_model("bt", small_world(0), None, seed=0).model, Hybrid
    )  # nobody was held out to choose


def fitted_with_a_gain_of(gain, monkeypatch):
    """The report of a fit whose short fits say so, and how many columns each of its fits was given."""
    world, _ = with_secrets(0, people=60)
    valid, _ = with_secrets(1, people=30)
    widths = []
    run = MODELS["hierarchical"].run

    def fit(train, valid, **options):
        widths.append(train.item_features.shape[1])
        return original(train, valid, **options)

    original = run.fit
    monkeypatch.setattr(run, "fit", fit)
    monkeypatch.setattr("gustibus.models.hybrid_choice.gain_of_known", lambda *_: gain)
    fitted = fit_model("hierarchical", world, valid, seed=0, **QUICK)
    return fitted.report, [width > world.item_features.shape[1] for width in widths]


@pytest.mark.parametrize(
    ("gain", "fits"),
    [
        (Gain(0.1, 0.01), [True]),
        (Gain(-0.1, 0.01), [False]),
        (Gain(0.01, 0.01), [False, True]),
        (Gain(0.0, None), [False, True]),
    ],
)
def test_a_family_is_fitted_twice_where_short_fits_leave_doubt(gain, fits, monkeypatch):
    report, known = fitted_with_a_gain_of(gain, monkeypatch)
    assert known == fits
    assert report["known_items_gain"] == gain._asdict()
    assert len(report["held_out_losses"]) == len(fits)


def test_a_family_of_quick_fits_is_fitted_twice_without_asking():
    world, _ = with_secrets(0, people=60)
    report = fit_model("bt", world, with_secrets(1, people=30)[0], seed=0).report
    assert report["known_items_gain"] is None
    assert set(report["held_out_losses"]) == {"features", "known items"}


def test_short_fits_tell_what_known_items_are_worth():
    secret, plain = with_secrets(0, people=300)[0], small_world(0, people=300, rows=40)
    gains = []
    for world in (secret, plain):
        known = known_of(world, least=8)
        own = replace(
            world, item_features=known.augment(world.item_features), own=known.columns
        )  # fmt: skip
        sets = [
            tuple(part(data, np.arange(start, stop)) for start, stop in ((0, 200), (200, 300)))
            for data in (world, own)
        ]
        gains.append(gain_of_known(*sets, "cpu"))
    assert gains[0].told is True
    assert gains[0].saved > 0.05
    assert gains[1].told is not True


def test_an_unknown_item_is_scored_by_its_features():
    world, _ = with_secrets(1, people=40)
    model = fit_model("hierarchical", world, None, seed=0, known_items="always", **QUICK).model
    moved = world.item_features * 1.05
    here = model.represent(moved.astype(np.float32))
    plain = np.zeros((200, 6 + model.known.columns), np.float32)
    plain[:, :6] = moved
    np.testing.assert_allclose(here, model.inner.represent(plain), atol=1e-6)


def test_answers_about_an_item_teach_its_residual_without_a_new_fit():
    hidden = np.arange(10)
    world, secret = with_secrets(1, people=60, drop=hidden)
    model = fit_model("hierarchical", world, None, seed=0, known_items="always", **QUICK).model
    full, _ = with_secrets(3, people=60)
    rows = np.flatnonzero(np.isin(full.a, hidden) & ~np.isin(full.b, hidden))
    users = np.repeat(model.prior.mean[None], len(rows), axis=0)
    answers = ItemAnswers(
        full.a[rows].astype(np.int64), model.represent(full.item_features[full.b[rows]]), users,
        full.target[rows].astype(np.float64),
    )  # fmt: skip
    taught = model.with_answers(full.item_features[hidden], answers)
    before = model.utility(model.prior.mean, model.represent(full.item_features[hidden]))
    after = taught.utility(model.prior.mean, taught.represent(full.item_features[hidden]))
    assert np.corrcoef(after, secret[hidden])[0, 1] > 0.8
    assert (
        np.corrcoef(after, secret[hidden])[0, 1] > np.corrcoef(before, secret[hidden])[0, 1] + 0.2
    )
    others = full.item_features[10:]
    np.testing.assert_array_equal(taught.represent(others), model.represent(others))
    assert fingerprint(taught) == fingerprint(model)  # states of people stay what they were
    again = taught.with_answers(
        full.item_features[hidden], answers
    )  # all answers, not the new ones
    np.testing.assert_allclose(
        again.represent(full.item_features), taught.represent(full.item_features), atol=1e-5
    )


def test_answers_about_an_item_leave_its_stated_rewards_alone():
    world = small_world()
    options = {"columns": [0, 1], "steps": 20, "ridges": [10.0], "gate": "constant"}
    model = fit_model("pro", world, None, seed=0, known_items="always", **options).model
    item, users = world.item_features[:1], np.repeat(model.prior.mean[None], 30, axis=0)
    answers = ItemAnswers(
        np.zeros(30, np.int64), model.represent(world.item_features[1:31]), users, np.ones(30)
    )
    taught = model.with_answers(item, answers)
    old, new = model.represent(item), taught.represent(item)
    assert taught.utility(model.prior.mean, new) > model.utility(model.prior.mean, old)
    np.testing.assert_array_equal(rewards(taught, new), rewards(model, old))


def test_items_without_answers_go_back_to_what_their_features_say():
    world, _ = with_secrets(1, people=40)
    model = fit_model("hierarchical", world, None, seed=0, known_items="always", **QUICK).model
    nothing = ItemAnswers(
        np.zeros(0, np.int64), np.zeros((0, model.representation_dim), np.float32),
        np.zeros((0, model.user_dim)), np.zeros(0),
    )  # fmt: skip
    x = world.item_features[:3]
    taught = model.with_answers(x, nothing)
    plain = np.zeros((3, 6 + model.known.columns), np.float32)
    plain[:, :6] = x
    np.testing.assert_allclose(taught.represent(x), model.inner.represent(plain), atol=1e-5)


def test_answers_that_do_not_fit_together_are_refused():
    world = small_world(people=20)
    model = fit_model("hierarchical", world, None, seed=0, known_items="always", **QUICK).model
    x, r, u = world.item_features[:2], model.representation_dim, model.user_dim
    good = ItemAnswers(
        np.array([0, 1, 1]), np.zeros((3, r), np.float32), np.zeros((3, u)), np.array([0.0, 1.0, 0.5])
    )  # fmt: skip
    model.with_answers(x, good)
    with pytest.raises(
        InputError, match="items: expected different items, row 2 is the same as row 0"
    ):
        model.with_answers(np.concatenate([x, x[:1]]), good)
    wrong = [
        ("item", np.array([0, 1, 2]), "expected rows 0 to 1, got 0 to 2"),
        ("item", np.array([0, 1]), r"expected the shape \(3,\), got \(2,\)"),
        ("user", np.zeros((3, u + 1)), r"expected the shape \(3, \d+\)"),
        ("other", np.full((3, r), np.nan, np.float32), "expected finite numbers"),
        ("target", np.array([0.0, 1.0, 1.5]), r"expected numbers in \[0, 1\], got 0.0 to 1.5"),
        ("weight", np.array([1.0, -1.0, 1.0]), "expected numbers from 0 on, got -1.0"),
    ]
    for name, value, message in wrong:
        with pytest.raises(InputError, match=f"answers.{name}: {message}"):
            model.with_answers(x, good._replace(**{name: value}))
    heavy = model.with_answers(x, good._replace(weight=np.array([1.0, 5.0, 5.0])))
    assert not np.array_equal(heavy.represent(x[1:]), model.with_answers(x, good).represent(x[1:]))


def test_what_cannot_be_done_is_said():
    world = small_world()
    with pytest.raises(ConfigError, match="known_items: expected one of"):
        fit_model("bt", world, None, seed=0, known_items="sometimes")
    bent = fit_model(
        "pal", world, None, seed=0, known_items="always", prototypes=2, epochs=1, form="dist"
    ).model
    nothing = ItemAnswers(np.zeros(0, np.int64), np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0))
    with pytest.raises(InputError, match="train again"):
        bent.with_answers(world.item_features[:1], nothing)
