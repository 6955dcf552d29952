"""PPD: how it is trained, the heads behind its encoder, and the three ways to place a person."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from gustibus.errors import ConfigError, DimensionError, InputError, NotFiniteError
from gustibus.models import MODELS
from gustibus.models.base import TrainingSet
from gustibus.models.hybrid import load_model
from gustibus.models.interpolation import mixed_user, mixed_utility
from gustibus.models.ppd_encoder import Pooled
from gustibus.models.ppd_episodes import Episodes, everybody_at_once
from gustibus.models.ppd_module import Episode, PpdModule, Side, double
from gustibus.models.ppd_options import ppd_options
from gustibus.posterior import Evidence, ParticlePrior, particle_weights
from tests.conftest import small_world

FIT = MODELS["ppd"].run.fit
QUICK = {"steps": 40, "decays": [0.01], "width": 16, "dim": 8, "ranks": [4], "spreads": [1.5]}
# Training


def side(rng, people, n, items):
    a, b = (torch.as_tensor(rng.integers(0, items, (people, n))) for _ in range(2))
    target = torch.as_tensor(rng.integers(0, 2, (people, n)).astype(np.float32))
    return Side(a, b, target, torch.ones(people, n))


def module(dim=6, **options):
    theta = torch.as_tensor(np.random.default_rng(3).standard_normal(dim).astype(np.float32))
    chosen = ppd_options({"width": 12, "dim": 8, **options})
    return PpdModule(dim, theta, chosen, seed=0)


def stirred(net, seed=0):
    """Away from the start, where every part matters."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return net


HEADS = [{}, {"odd": False}, {"head": "cross_attention"}]


@pytest.mark.parametrize("options", HEADS)
def test_the_first_episode_costs_what_the_population_costs(options):
    rng, net = np.random.default_rng(0), module(**options)
    items = torch.as_tensor(rng.standard_normal((30, 6)).astype(np.float32))
    support, query = side(rng, 4, 5, 30), side(rng, 4, 7, 30)
    shown = net.loss(items, Episode(support, query, torch.ones(4)))
    dropped = net.loss(items, Episode(support, query, torch.zeros(4)))
    assert float(shown.detach()) == pytest.approx(float(dropped.detach()), abs=1e-6)


def test_keys_move_from_the_second_step_as_values_start_at_zero():
    rng, net = np.random.default_rng(0), module(head="cross_attention")
    items = torch.as_tensor(rng.standard_normal((30, 6)).astype(np.float32))
    episode = Episode(side(rng, 4, 5, 30), side(rng, 4, 7, 30), torch.ones(4))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    moved = []
    for _ in range(2):
        optimizer.zero_grad()
        net.loss(items, episode).backward()
        moved.append(float(net.key.grad.abs().max()))
        optimizer.step()
    assert moved[0] == 0.0 < moved[1]


@pytest.mark.parametrize("options", HEADS)
def test_training_and_serving_compute_the_same(options):
    rng, net = np.random.default_rng(0), stirred(module(**options))
    items = rng.standard_normal((30, 6)).astype(np.float32)
    table = torch.as_tensor(items)
    support, query = side(rng, 3, 5, 30), side(rng, 3, 7, 30)
    support.weight[1, 2:] = 0.0
    with torch.no_grad():
        users = net.encode(table, support)
        margins = sum(net.parts(table, query, users)).numpy()
    sides = items.astype(np.float64) @ double(net.first)
    flat = [x.numpy().ravel() for x in support]
    encoded = net.encoder().encode(
        sides[flat[0]], sides[flat[1]], flat[2], flat[3], np.array([0, 5, 10, 15])
    )
    np.testing.assert_allclose(users.numpy(), encoded, rtol=1e-4, atol=1e-4)
    head, theta = net.attention(), items @ double(net.theta)
    for person in range(3):
        a, b = query.a[person].numpy(), query.b[person].numpy()
        if head is None:
            personal = items @ double(net.personal) @ encoded[person]
        else:
            personal = head(encoded[person][None], items @ double(net.lift))
        got = (theta + personal)[a] - (theta + personal)[b]
        np.testing.assert_allclose(got, margins[person], rtol=1e-3, atol=1e-3)


def test_support_and_query_of_an_episode_share_no_item_where_that_is_possible():
    world = small_world(0, people=20, rows=12)
    world = replace(world, a=world.a % 15, b=(world.a % 15 + 1 + world.b % 14) % 15)  # few items
    episodes = Episodes(
        world, ppd_options({"most_support": 3, "people": 8}), 0, torch.device("cpu")
    )
    assert episodes.shares
    clean = 0
    for episode in episodes.draw(20):
        for person in range(8):
            seen = [set(), set()]
            for met, part in zip(seen, (episode.support, episode.query), strict=True):
                rows = part.weight[person] > 0
                met |= set(part.a[person][rows].tolist()) | set(part.b[person][rows].tolist())
            assert seen[0]
            assert seen[1]
            clean += not seen[0] & seen[1]
    assert clean > 140  # of 160; the rest have no answer about other items


def test_people_are_drawn_as_numpy_draws_without_replacement(world):
    episodes = Episodes(world, ppd_options({}), 5, torch.device("cpu"))
    for count in (1, 10, len(episodes.able)):
        for seed in range(20):
            episodes.rng = np.random.default_rng(seed)
            expected = np.random.default_rng(seed).choice(
                len(episodes.able), count, replace=False, p=episodes.chance
            )
            np.testing.assert_array_equal(episodes._people(count), expected)


def test_an_episode_leaves_queries_and_counts_no_row_twice():
    world = small_world(0, people=6, rows=3)
    own = np.arange(18, dtype=np.int32)
    world = replace(
        world,
        a=own,
        b=own + 18,
        weight=np.where(world.user == 0, 0, world.weight).astype(np.float32),
    )
    for episode in Episodes(world, ppd_options({}), 0, torch.device("cpu")).draw(10):
        assert episode.support.a.shape[0] == 5  # nobody whose answers weigh nothing
        total = episode.support.weight.sum(1) + episode.query.weight.sum(1)
        np.testing.assert_array_equal(total.numpy(), np.full(5, 3.0))
        assert (episode.query.weight.sum(1) >= 1).all()


def test_nobody_with_two_answers_leaves_the_population(world):
    lonely = small_world(0, people=30, rows=1)
    model = FIT(lonely, None, seed=0, **QUICK).model
    reps = model.represent(lonely.item_features)
    placed = model.place(reps[:3], reps[3:6], np.ones(3))
    np.testing.assert_allclose(
        model.utility(placed.mean[0], reps), model.utility(model.prior.mean, reps), atol=0.05
    )


def test_people_in_order_come_with_their_edges():
    world = small_world(0, people=4, rows=3)
    shuffled = np.random.default_rng(0).permutation(12)
    turned = replace(
        world, **{n: getattr(world, n)[shuffled] for n in ("user", "a", "b", "target", "weight")}
    )
    *_, starts = everybody_at_once(turned)
    assert starts.tolist() == [0, 3, 6, 9, 12]


# The served model


@pytest.fixture(scope="module")
def fitted() -> dict[str, object]:
    world, valid = small_world(0), small_world(0, people=12)
    kinds = {
        "map": {}, "encoder": {"refine": "encoder"}, "particles": {"refine": "particles"},
        "attention": {"head": "cross_attention"}, "plain": {"refine": "encoder", "odd": False},
    }  # fmt: skip
    return {name: FIT(world, valid, seed=0, **QUICK, **o) for name, o in kinds.items()}


KINDS = ["map", "encoder", "particles", "attention", "plain"]


def some(model, n=9, seed=0):
    rng = np.random.default_rng(seed)
    return model.represent(rng.standard_normal((n, model.item_dim)).astype(np.float32))


@pytest.mark.parametrize("kind", KINDS)
def test_swapping_a_question_negates_its_margin(fitted, kind):
    model = fitted[kind].model
    a, b = some(model), some(model, seed=1)
    users = np.random.default_rng(2).standard_normal((9, model.user_dim))
    np.testing.assert_array_equal(model.margin(users, a, b), -model.margin(users, b, a))


@pytest.mark.parametrize("kind", KINDS)
def test_shares_of_nobody_and_of_one_are_the_population_and_that_person(fitted, kind):
    model = fitted[kind].model
    reps, users = some(model), np.random.default_rng(2).standard_normal((2, model.user_dim))
    for mode in ("embedding", "reward"):
        for shares, person in (([0, 0], model.prior.mean), ([1, 0], users[0]), ([0, 1], users[1])):
            got = mixed_utility(model, users, np.array(shares, float), reps, mode=mode)
            np.testing.assert_array_equal(got, model.utility(person, reps))
    for shares, person in (([0, 0], model.prior.mean), ([1, 0], users[0])):
        np.testing.assert_array_equal(mixed_user(model, users, np.array(shares, float)), person)


@pytest.mark.parametrize("kind", ["map", "encoder", "particles", "plain"])
def test_halfway_between_two_people_is_the_mean_of_their_rewards(fitted, kind):
    model = fitted[kind].model
    reps, users = some(model), np.random.default_rng(2).standard_normal((2, model.user_dim))
    half = np.array([0.5, 0.5])
    mean = model.utility(users, reps).mean(0)
    for mode in ("embedding", "reward"):
        got = mixed_utility(model, users, half, reps, mode=mode)
        np.testing.assert_allclose(got, mean, atol=1e-6)


def test_under_attention_mixing_vectors_is_not_mixing_rewards(fitted):
    model = fitted["attention"].model
    stir = np.random.default_rng(0).standard_normal(model.attention.value.shape)
    model = replace(model, attention=replace(model.attention, value=stir))
    reps, users = some(model), np.random.default_rng(2).standard_normal((2, model.user_dim))
    by_vector, by_reward = (
        mixed_utility(model, users, np.array([0.5, 0.5]), reps, mode=mode)
        for mode in ("embedding", "reward")
    )
    assert np.abs(by_vector - by_reward).max() > 1e-4


@pytest.mark.parametrize(
    ("users", "shares", "mode", "error", "message"),
    [
        (2, [1.0], "embedding", DimensionError, r"shares: expected shape \(2,\)"),
        (2, [1.0, np.nan], "reward", NotFiniteError, "shares: expected finite"),
        (2, [1.0, 0.0], "mean", ConfigError, "mode: expected one of"),
    ],
)
def test_wrong_mixtures_are_named(fitted, users, shares, mode, error, message):
    model = fitted["map"].model
    with pytest.raises(error, match=message):
        mixed_utility(
            model, np.zeros((users, model.user_dim)), np.array(shares), some(model), mode=mode
        )
    with pytest.raises(DimensionError, match="users: expected shape"):
        mixed_user(model, np.zeros((2, model.user_dim + 1)), np.ones(2))


@pytest.mark.parametrize("kind", KINDS)
def test_a_person_without_answers_gets_the_population_reward(fitted, kind):
    model = fitted[kind].model
    nothing = some(model, 0)
    placed = model.place(nothing, nothing, np.zeros(0))[0]
    reps = some(model)
    np.testing.assert_array_equal(
        model.utility(placed.mean, reps), model.utility(model.prior.mean, reps)
    )
    np.testing.assert_array_equal(placed.covariance, model.prior.covariance)
    if kind != "particles":
        np.testing.assert_array_equal(placed.mean, np.zeros(model.user_dim))


@pytest.mark.parametrize("kind", ["encoder", "attention", "plain"])
def test_adding_and_removing_answers_of_a_served_model(fitted, kind):
    model = fitted[kind].model
    a, b, target = some(model, 6, 1), some(model, 6, 2), np.array([1.0, 0, 1, 0.5, 0, 1])
    pooled = model.reads.empty()
    for row in range(6):
        pooled = model.add(pooled, a[row], b[row], target[row])
    whole = model.place(a, b, target).mean[0]
    np.testing.assert_allclose(model.reads.read(pooled), whole, atol=1e-5)
    fewer = model.reads.read(model.remove(pooled, a[2], b[2], target[2]))
    kept = [0, 1, 3, 4, 5]
    np.testing.assert_allclose(
        fewer, model.place(a[kept], b[kept], target[kept]).mean[0], atol=1e-5
    )


@pytest.mark.parametrize("kind", ["map", "encoder", "plain"])
def test_more_answers_leave_less_doubt(fitted, kind):
    model = fitted[kind].model
    a, b = some(model, 20, 1), some(model, 20, 2)
    target = (np.arange(20) % 3 == 0).astype(float)
    doubt = [
        np.linalg.slogdet(model.place(a[:n], b[:n], target[:n])[0].covariance)[1]
        for n in (0, 2, 20)
    ]
    assert doubt[0] > doubt[1] > doubt[2]


def test_weights_of_particles_are_a_mean_of_people_and_repeated_answers_leave_fewer(fitted):
    model = fitted["particles"].model
    assert isinstance(model.prior, ParticlePrior)
    a, b, target = some(model, 5, 1), some(model, 5, 2), np.array([1.0, 0, 1, 0, 1])
    evidence = Evidence.build(np.zeros((5, 0)), target)
    margins = model.utility(model.prior.particles, a) - model.utility(model.prior.particles, b)
    weights, _ = particle_weights(margins.T, evidence, model.prior, answering=model.answering)
    assert weights.sum() == pytest.approx(1.0)
    reps = some(model)
    every = weights[0] @ model.utility(model.prior.particles, reps)
    person = model.place(a, b, target).mean[0]
    np.testing.assert_allclose(model.utility(person, reps), every, atol=1e-9)
    nothing = some(model, 0)
    few = [
        model.effective_particles(*(np.concatenate([x] * n) for x in (a, b, target)))
        for n in (1, 3)
    ]
    everybody = model.effective_particles(nothing, nothing, np.zeros(0))
    assert everybody == pytest.approx(len(model.prior.particles))
    assert everybody > few[0] > few[1] >= 1


def test_what_a_model_cannot_do_is_said(fitted):
    model = fitted["map"].model
    with pytest.raises(InputError, match="expected a model with an encoder, got 'map'"):
        model.add(Pooled(np.zeros(3), 0.0), some(model, 1)[0], some(model, 1)[0], 1.0)
    with pytest.raises(InputError, match="expected a model with particles, got 'map'"):
        model.effective_particles(some(model, 1), some(model, 1), np.ones(1))


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_model_places_people_alike(fitted, kind):
    model = fitted[kind].model
    again = load_model("ppd", *model.save())
    assert again.refine == model.refine
    a, b, target = some(model, 6, 1), some(model, 6, 2), np.array([1.0, 0, 1, 0.5, 0, 1])
    np.testing.assert_array_equal(
        again.place(a, b, target).covariance, model.place(a, b, target).covariance
    )
    np.testing.assert_array_equal(again.place(a, b, target).mean, model.place(a, b, target).mean)


@pytest.mark.parametrize("kind", KINDS)
def test_held_out_people_choose_and_the_report_says_how_they_fared(fitted, kind):
    report = fitted[kind].report
    assert 0 < report["held_out_loss"] < np.log(2) + 0.02
    assert report["held_out_loss"] == min(row["valid_loss"] for row in report["history"])


def test_the_same_seed_gives_the_same_model(world):
    one, other = (FIT(world, None, seed=4, **QUICK).model for _ in range(2))
    np.testing.assert_array_equal(one.projection, other.projection)
    np.testing.assert_array_equal(one.prior.covariances, other.prior.covariances)


def test_without_people_to_choose_there_is_no_held_out_loss(world):
    report = FIT(world, None, seed=0, **QUICK).report
    assert report["held_out_loss"] is None
    assert report["history"] == []


def test_more_people_than_particles_are_thinned(monkeypatch, world):
    monkeypatch.setattr("gustibus.models.ppd_fit._MOST_PARTICLES", 7)
    model = FIT(world, None, seed=0, refine="particles", **QUICK).model
    assert len(model.prior.particles) == 7


def test_steps_are_told(world):
    told = []
    FIT(world, None, seed=0, progress=lambda *what: told.append(what), **QUICK)
    assert [(stage, done, total) for stage, done, total, _ in told][-1] == ("ppd", 40, 40)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"refine": "newton"}, "refine: expected one of"),
        ({"head": "mlp"}, "head: expected one of"),
        ({"sampling": "rows"}, "sampling: expected one of"),
        ({"head": "cross_attention", "refine": "map"}, "not linear in the person"),
        ({"head": "cross_attention", "dim": 10, "tokens": 4}, "dim: expected a multiple of"),
        ({"dropout": 1.5}, r"dropout: expected a number in \[0, 1\]"),
        ({"steps": 0}, "steps: expected a whole number of at least 1"),
        ({"ranks": []}, "ranks: expected at least one number"),
        ({"spreads": [0.0]}, "spreads: expected a number"),
        ({"token": 3}, "no option 'token'"),
    ],
)
def test_wrong_options_are_named(world: TrainingSet, options, message):
    with pytest.raises(ConfigError, match=message):
        FIT(world, None, seed=0, **options)
