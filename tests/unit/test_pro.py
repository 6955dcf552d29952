"""Weights of rewards from prompts, statements and people, and how they are learned."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gustibus.errors import ConfigError, DimensionError, InputError
from gustibus.models import MODELS
from gustibus.models.base import TrainingSet
from gustibus.models.network import Network
from gustibus.models.pro import Orchestrator, softmax
from gustibus.models.pro_heads import column_heads, rating_heads
from gustibus.models.pro_module import Adapter, Batch, objective_losses
from gustibus.models.pro_options import pro_options
from gustibus.posterior import Answering, GaussianPrior
from tests.conftest import small_world

FIT = MODELS["pro"].run.fit
QUICK = {"steps": 30, "ridges": [10.0]}


def made(m=3, d=5, h=4, *, personal=True, seed=0):
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    adapter = Network((draw(h, 8), draw(8, m)), (draw(8), draw(m)), "relu")
    u = m if personal else 0
    return Orchestrator(
        heads=draw(d, m), center=draw(d), mean=rng.standard_normal(m),
        spread=rng.random(m) + 0.5, adapter=adapter, prompt_center=draw(h),
        prompt_spread=np.abs(draw(h)) + np.float32(0.5), logits=rng.standard_normal(m), scale=2.0,
        stated=np.full(m, 1 / m), trust=0.0,
        prior=GaussianPrior.single(np.ones(u), np.eye(u)), answering=Answering(lapse=0.0),
    )  # fmt: skip


def features(model, n=6, seed=1):
    rng = np.random.default_rng(seed)
    items = rng.standard_normal((n, model.item_dim)).astype(np.float32)
    return items, rng.standard_normal((n, model.prompt_dim)).astype(np.float32)


def is_simplex(weights):
    return bool((weights >= 0).all() and np.allclose(weights.sum(1), 1, rtol=0, atol=1e-6))


# Weights


@pytest.mark.parametrize("m", [1, 2, 7])
@pytest.mark.parametrize("trust", [0.0, 0.3, 1.0])
def test_weights_are_on_the_simplex_for_every_prompt_person_and_mix(m, trust):
    rng = np.random.default_rng(0)
    model = made(m).with_stated(rng.random(m) + 0.01, trust=trust)
    _, prompts = features(model, 30)
    assert is_simplex(model.weights(prompts))
    for user in (np.ones(m), rng.standard_normal(m), -np.ones(m)):
        assert is_simplex(model.personal_weights(user, prompts))
    far = replace(model, logits=rng.standard_normal(m) * 1e4)
    assert is_simplex(far.weights(prompts))


def test_permuting_objectives_permutes_weights_and_changes_no_reward():
    model = made(3)
    order = [2, 0, 1]
    last = model.adapter.weights[-1][:, order], model.adapter.biases[-1][order]
    moved = replace(
        model, heads=model.heads[:, order], mean=model.mean[order], spread=model.spread[order],
        logits=model.logits[order],
        adapter=replace(
            model.adapter, weights=(model.adapter.weights[0], last[0]),
            biases=(model.adapter.biases[0], last[1]),
        ),
    )  # fmt: skip
    items, prompts = features(model)
    np.testing.assert_allclose(moved.weights(prompts), model.weights(prompts)[:, order], atol=1e-7)
    user = np.array([0.5, 2.0, 1.0])
    np.testing.assert_allclose(
        moved.utility(user[order], moved.represent(items, prompts)),
        model.utility(user, model.represent(items, prompts)), atol=1e-5,
    )  # fmt: skip


def test_a_constant_added_to_all_logits_changes_nothing():
    model = made()
    _, prompts = features(model)
    higher = replace(model, logits=model.logits + 3.0)
    np.testing.assert_allclose(higher.weights(prompts), model.weights(prompts), atol=1e-12)


def test_stated_weights_are_mixed_geometrically_with_exact_ends():
    model, stated = made(), np.array([0.5, 0.25, 0.25])
    _, prompts = features(model)
    alone = model.weights(prompts)
    np.testing.assert_array_equal(model.with_stated(stated, trust=0.0).weights(prompts), alone)
    told = model.with_stated(stated, trust=1.0).weights(prompts)
    np.testing.assert_array_equal(told, np.repeat(stated[None], len(prompts), 0))
    half = alone**0.5 * stated**0.5
    mixed = model.with_stated(stated * 8, trust=0.5).weights(prompts)
    np.testing.assert_allclose(mixed, half / half.sum(1, keepdims=True), atol=1e-9)
    without = model.with_stated(np.array([1.0, 0.0, 1.0]), trust=0.4).weights(prompts)
    assert is_simplex(without)
    assert not without[:, 1].any()


@pytest.mark.parametrize(
    ("weights", "trust", "error", "message"),
    [
        ([1.0, 1.0], 0.5, DimensionError, r"weights: expected shape \(3,\), got \(2,\)"),
        ([1.0, -1.0, 1.0], 0.5, InputError, "at or above 0"),
        ([0.0, 0.0, 0.0], 0.5, InputError, "not all 0"),
        ([1.0, np.nan, 1.0], 0.5, InputError, "at or above 0"),
        ([1.0, 1.0, 1.0], 1.5, InputError, r"trust: expected a number in \[0, 1\], got 1.5"),
    ],
)
def test_statements_that_are_none_are_refused(weights, trust, error, message):
    with pytest.raises(error, match=message):
        made().with_stated(np.array(weights), trust=trust)


def test_one_objective_has_all_the_weight_and_nothing_to_learn():
    model = made(1)
    _, prompts = features(model)
    np.testing.assert_array_equal(model.weights(prompts), 1.0)
    adapter = make_adapter(1)
    batch = make_batch(1)
    log_weights = adapter.log_weights(batch.prompt, len(batch.target))
    for objective in ("likelihood", "target", "margin"):
        adapter.zero_grad()
        objective_losses(adapter, batch, log_weights, objective, 0.1).mean().backward(
            retain_graph=True
        )
        for parameter in (*adapter.linears.parameters(), adapter.logits):
            assert (parameter.grad == 0).all()


def test_multipliers_of_one_leave_the_weights_alone():
    model = made()
    _, prompts = features(model)
    np.testing.assert_allclose(
        model.personal_weights(np.ones(3), prompts), model.weights(prompts), atol=1e-12
    )
    one = model.personal_weights(np.array([0.0, 1.0, 0.0]), prompts)
    np.testing.assert_allclose(one, np.repeat([[0.0, 1.0, 0.0]], len(prompts), 0), atol=1e-12)


@pytest.mark.parametrize(
    "user", [[0.5, 2.0, 1.0], [1.5, -0.7, 0.4], [-1.0, -2.0, -0.1]], ids=["above", "mixed", "below"]
)
@pytest.mark.parametrize("trust", [0.0, 0.5])
def test_weights_that_score_give_the_utility_also_where_multipliers_are_negative(user, trust):
    model = made().with_stated(np.array([0.2, 0.3, 0.5]), trust=trust)
    items, prompts = features(model)
    user = np.array(user)
    scored = model.scored_weights(user, prompts)
    utility = model.utility(user, model.represent(items, prompts))
    np.testing.assert_allclose((scored * model.rewards(items)).sum(1), utility, atol=1e-5)
    np.testing.assert_array_equal(scored < 0, np.repeat([user < 0], len(items), 0))
    shares = model.personal_weights(user, prompts)
    assert is_simplex(shares)
    if (user >= 0).all():  # the same but for a common factor
        np.testing.assert_allclose(shares, scored / scored.sum(1, keepdims=True), atol=1e-12)
    elif (user > 0).any():  # what is disliked is left out of the shares alone
        assert not shares[:, user < 0].any()
        assert (np.abs(scored[:, user < 0]) > 0).all()


def test_weights_that_score_are_everybodys_where_nobody_differs():
    model = made(personal=False)
    _, prompts = features(model)
    scored = model.scored_weights(np.zeros(0), prompts)
    np.testing.assert_array_equal(scored, model.scale * model.weights(prompts))
    with pytest.raises(InputError, match="prompts: this model weighs its rewards by the prompt"):
        model.scored_weights(np.zeros(0), None)


def test_who_wants_less_of_a_reward_is_scored_by_a_weight_below_zero():
    world = small_world(0, people=40)
    apart = world.item_features[world.a] - world.item_features[world.b]
    z = 2 * apart[:, 0] + np.where(world.user % 4 == 0, -2, 2) * apart[:, 1]
    world = replace(world, target=(z > 0).astype(np.float32))
    model = FIT(world, None, seed=0, columns=[0, 1], steps=60, ridges=[1.0], gate="constant").model
    reps, rows = model.represent(world.item_features), world.user == 4
    placed = model.place(reps[world.a[rows]], reps[world.b[rows]], world.target[rows].astype(float))
    scored = model.scored_weights(placed.mean[0], None)[0]
    assert scored[0] > 0.5
    assert scored[1] < -0.5
    assert model.personal_weights(placed.mean[0], None)[0, 1] == 0
    found = model.rewards(world.item_features[world.a[rows]]) @ scored
    np.testing.assert_allclose(found, model.utility(placed.mean[0], reps[world.a[rows]]), atol=1e-4)


def test_the_reward_is_the_weighted_sum():
    for personal in (True, False):
        model = made(personal=personal)
        items, prompts = features(model)
        expected = model.scale * (model.weights(prompts) * model.rewards(items)).sum(1)
        user = np.ones(model.user_dim)
        found = model.utility(user, model.represent(items, prompts))
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_model_that_reads_prompts_says_so():
    model = made()
    items, prompts = features(model)
    with pytest.raises(InputError, match="prompts: this model weighs its rewards by the prompt"):
        model.represent(items)
    with pytest.raises(InputError, match="prompts: expected 6 rows"):
        model.represent(items, prompts[:2])


# Objectives


def make_adapter(m, people=1, **options):
    given = pro_options({"columns": range(m), **options})
    return Adapter(m, 4, 0, people, given, torch.Generator().manual_seed(0))


def make_batch(m, seed=0, n=8):
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.randn(2, n, m, generator=generator)
    target = torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0])[:n]
    prompt = torch.randn(n, 4, generator=generator)
    return Batch(a, b, prompt, torch.zeros(n, dtype=torch.int64), target, torch.ones(n))


def loss_of(adapter, batch, objective):
    log_weights = adapter.log_weights(batch.prompt, len(batch.target))
    return objective_losses(adapter, batch, log_weights, objective, 0.5)


def test_what_a_prompt_adds_to_an_objective_changes_the_published_target_alone():
    adapter, batch = make_adapter(3), make_batch(3)
    lifted = batch._replace(
        a=batch.a + torch.tensor([2.0, 0, 0]), b=batch.b + torch.tensor([2.0, 0, 0])
    )
    for objective in ("likelihood", "margin"):
        torch.testing.assert_close(
            loss_of(adapter, lifted, objective), loss_of(adapter, batch, objective)
        )
    change = (loss_of(adapter, lifted, "target") - loss_of(adapter, batch, "target")).abs()
    assert change.max() > 0.05


@pytest.mark.parametrize("objective", ["likelihood", "target", "margin"])
def test_objectives_are_alike_for_swapped_sides(objective):
    adapter, batch = make_adapter(3), make_batch(3)
    swapped = batch._replace(a=batch.b, b=batch.a, target=1 - batch.target)
    torch.testing.assert_close(
        loss_of(adapter, batch, objective), loss_of(adapter, swapped, objective)
    )


def test_the_published_target_is_the_divergence_from_the_softmax_of_the_winner():
    adapter, batch = make_adapter(3), make_batch(3)
    winner = torch.where(batch.target[:, None] > 0.5, batch.a, batch.b)
    wanted = torch.softmax(winner / 0.5, -1)
    log_weights = adapter.log_weights(batch.prompt, 8)
    divergence = (wanted * (wanted.log() - log_weights)).sum(-1)
    entropy = -(wanted * wanted.log()).sum(-1)
    torch.testing.assert_close(loss_of(adapter, batch, "target"), divergence + entropy)


def test_the_gate_of_armorm_is_normalised_over_the_rewards_and_learns():
    adapter = make_adapter(3, gate="armorm", width=16, dropout=0.0)
    batch = make_batch(3)
    log_weights = adapter.log_weights(batch.prompt, 8)
    torch.testing.assert_close(log_weights.exp().sum(-1), torch.ones(8))
    loss_of(adapter, batch, "likelihood").mean().backward()
    assert adapter.linears[-1].weight.grad.abs().max() > 1e-5
    exported = adapter.export()
    with torch.inference_mode():
        mine = softmax(exported(batch.prompt.numpy().astype(float)))
        np.testing.assert_allclose(mine, log_weights.exp().numpy(), atol=1e-5)


# Rewards


def test_columns_are_standardised_over_both_responses_of_the_comparisons():
    world = small_world()
    heads = column_heads(world, (4, 0))
    both = np.concatenate([world.item_features[world.a], world.item_features[world.b]])
    found = heads.rewards(both)
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(found.std(0), 1, atol=1e-5)
    assert np.corrcoef(found[:, 0], both[:, 4])[0, 1] == pytest.approx(1)
    for columns in ((6,), (1, 1), (-7,)):
        with pytest.raises(InputError, match="columns: expected distinct numbers below 6"):
            column_heads(world, columns)


def test_heads_for_ratings_find_the_direction_and_skip_what_is_not_rated():
    world = small_world()
    truth = np.random.default_rng(0).standard_normal((6, 2))
    ratings = world.item_features @ truth + 0.1 * np.random.default_rng(1).standard_normal((200, 2))
    ratings[:60, 0], ratings[150:, 1] = np.nan, np.nan
    heads = rating_heads(world, ratings, seed=0)
    for k in range(2):
        cosine = heads.weight[:, k] @ truth[:, k]
        cosine /= np.linalg.norm(heads.weight[:, k]) * np.linalg.norm(truth[:, k])
        assert cosine > 0.99
    with pytest.raises(DimensionError, match=r"ratings: expected shape \(200, k\), got \(3, 2\)"):
        rating_heads(world, ratings[:3], seed=0)
    ratings[:, 1] = np.nan
    with pytest.raises(InputError, match="column 1 has fewer than two"):
        rating_heads(world, ratings, seed=0)


# The fit


@pytest.mark.parametrize(
    "options",
    [
        {"columns": [0, 1, 2]},
        {"ratings": small_world().item_features[:, :2] * 2.0},
        {"experts": 3},
        {"columns": [0, 1], "objective": "target", "gate": "constant"},
        {"columns": [0, 1], "gate": "armorm", "width": 8, "steps": 10, "batch": 64},
    ],
    ids=["columns", "ratings", "experts", "target", "armorm"],
)
def test_every_source_of_rewards_is_fitted_and_reported(options):
    model, report = FIT(small_world(), small_world(1, people=8), seed=0, **{**QUICK, **options})
    assert np.isfinite(report["held_out_loss"])
    assert 0 <= report["entropy"] <= 1 + 1e-9
    assert 0 <= report["dominance"] <= 1
    assert sum(report["weights"]) == pytest.approx(1)
    assert model.user_dim == model.objectives == len(report["weights"])
    assert isinstance(report["options"]["ratings"], bool)


def test_people_who_weigh_rewards_differently_are_told_apart():
    world = small_world(0, people=40)
    rng = np.random.default_rng(5)
    favourite = np.where(world.user % 2, 1, 0)
    apart = world.item_features[world.a] - world.item_features[world.b]
    z = 3 * apart[np.arange(len(world)), favourite]
    world = replace(world, target=(rng.random(len(z)) < 1 / (1 + np.exp(-z))).astype(np.float32))
    model = FIT(world, None, seed=0, columns=[0, 1], steps=100, ridges=[1.0], gate="constant").model
    reps = model.represent(world.item_features)
    for who in (0, 1):
        rows = world.user == who
        placed = model.place(
            reps[world.a[rows]], reps[world.b[rows]], world.target[rows].astype(float)
        )
        weights = model.personal_weights(placed.mean[0], None)
        assert weights[0, who] > 0.75


def gated_world(rows=600, seed=0):
    """Three rewards of which the prompt says the one that matters, one of them more often."""
    rng = np.random.default_rng(seed)
    prompts = rng.standard_normal((rows, 4)).astype(np.float32)
    weight = softmax(3.0 * prompts[:, :3] + np.array([1.0, 0.0, 0.0]))
    items = rng.standard_normal((2 * rows, 3)).astype(np.float32)
    z = 6 * (weight * (items[:rows] - items[rows:])).sum(1)
    code = np.arange(rows, dtype=np.int32)
    return TrainingSet(
        user=np.zeros(rows, np.int32), prompt=code, a=code, b=code + np.int32(rows),
        target=(rng.random(rows) < 1 / (1 + np.exp(-z))).astype(np.float32),
        weight=np.ones(rows, np.float32), item_features=items, prompt_features=prompts, people=1,
    )  # fmt: skip


GATED = {
    "columns": [0, 1, 2], "personal": False, "ridges": [0.0], "steps": 150, "batch": 256, "lr": 1e-2
}  # fmt: skip


def test_rho_keeps_the_weights_from_collapsing():
    world = gated_world()
    reports = [
        FIT(world, None, seed=0, gate="prompt", rho=rho, **GATED).report for rho in (0.0, 0.1, 1.0)
    ]
    entropy = [report["entropy"] for report in reports]
    dominance = [report["dominance"] for report in reports]
    assert entropy[0] + 0.05 < entropy[1] < entropy[2] - 0.1
    assert dominance[0] > dominance[1] + 0.05
    assert dominance[1] > dominance[2]


def test_rho_draws_weights_to_their_mean_and_not_to_equal_ones():
    world = gated_world()
    free, held = (
        FIT(world, None, seed=0, gate="constant", rho=rho, **GATED).model.weights(None)
        for rho in (0.0, 1.0)
    )
    assert free.max() > 0.4  # they are not equal
    np.testing.assert_allclose(held, free, atol=1e-3)
    gated = FIT(world, None, seed=0, gate="prompt", rho=10.0, **GATED).model
    assert gated.weights(world.prompt_features).mean(0)[0] > 0.4


def test_a_warm_start_is_the_published_target_before_the_likelihood():
    world = gated_world()
    given = {**GATED, "gate": "prompt", "rho": 0.0}
    shown = world.prompt_features

    def weights(**options):
        return FIT(world, None, seed=0, **{**given, **options}).model.weights(shown)

    published = weights(objective="target", steps=100)

    def away(**options):
        return float(np.abs(weights(**options) - published).mean())

    cold = away(steps=1)
    assert away(warm_start=100, steps=1) < 0.6 * cold
    assert away(warm_start=100, steps=100) > 2 * away(warm_start=100, steps=1)
    np.testing.assert_array_equal(weights(warm_start=0, steps=20), weights(steps=20))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "hinge"}, "objective: expected one of"),
        ({"rewards": "columns"}, "columns: expected numbers of columns"),
        ({"rewards": "ratings"}, "ratings: expected an array"),
        ({"objective": "target"}, "experts are learned by 'likelihood'"),
        ({"gate": "hard"}, "gate: expected one of"),
        ({"temperature": 0.0}, r"temperature: expected a number in \(0, inf\)"),
        ({"dropout": 1.0}, "dropout"),
        ({"steps": 0}, "steps: expected a whole number of at least 1"),
        (
            {"warm_start": -1, "columns": [0]},
            "warm_start: expected a whole number of at least 0, got -1",
        ),
        ({"warm_start": True, "columns": [0]}, "warm_start: expected a whole number"),
        ({"warm_start": 9}, "warm_start: comes before 'likelihood', with rewards that are given"),
        ({"warm_start": 9, "columns": [0], "objective": "margin"}, "comes before 'likelihood'"),
        ({"expert": 3}, "pro has no option 'expert'"),
    ],
)
def test_options_that_make_no_sense_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        FIT(small_world(), None, seed=0, **options)


def test_a_gate_needs_prompts():
    world = replace(small_world(), prompt_features=None)
    with pytest.raises(InputError, match="gate: 'prompt' needs prompt features"):
        FIT(world, None, seed=0, gate="prompt")
