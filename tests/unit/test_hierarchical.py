"""How the distribution of people is estimated once the directions in which they differ are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from gustibus.errors import ConfigError
from gustibus.models import MODELS
from gustibus.models.automatic import fit_any
from gustibus.models.base import TrainingSet
from gustibus.models.hierarchical_learn import evidence_of, learn, population_reward, settle
from gustibus.models.hierarchical_objective import Objective, _Blocks
from gustibus.models.hierarchical_start import Frame
from gustibus.models.known import KnownItems
from gustibus.models.recent import remembered
from gustibus.models.validation import part
from gustibus.posterior import Answering, GaussianPrior, fit_population

HIERARCHICAL = MODELS["hierarchical"].run
QUICK = {
    "equalise": 0.5, "ridges": [3.0], "rounds": 4, "rank": 3, "residuals": 0.0,
    "ridge_population": 10.0,
}  # fmt: skip


def kinds(people: int, count: int, *, rows: int = 20, dim: int = 5, seed: int = 0) -> TrainingSet:
    """People of a few kinds, as many of each, who answer by their kind's reward with little doubt."""
    rng = np.random.default_rng(seed)
    items = rng.standard_normal((300, dim)).astype(np.float32)
    rewards = np.linalg.qr(rng.standard_normal((dim, dim)))[0][:count] * 4
    user = np.repeat(np.arange(people), rows).astype(np.int32)
    a, b = rng.integers(0, 300, (2, len(user)))
    margin = ((items[a] - items[b]) * rewards[user % count]).sum(1)
    target = (rng.random(len(user)) < 1 / (1 + np.exp(-margin))).astype(np.float32)
    return TrainingSet(
        user=user, prompt=np.zeros(len(user), np.int32), a=a.astype(np.int32),
        b=b.astype(np.int32), target=target, weight=np.ones(len(user), np.float32),
        item_features=items, prompt_features=None, people=people,
    )  # fmt: skip


@pytest.fixture(scope="module")
def learned():
    """A learned basis: frame, theta, V, and the people."""
    train = kinds(60, 3)
    frame = Frame.of(train, 0.5, 384)
    objective = Objective(train, frame, torch.device("cpu"))
    theta, pull = population_reward(objective, frame, (10.0,), None)
    ((_, wide, basis),) = learn(
        objective, train, frame, theta, pull=pull, ridges=(3.0,), rank=2, rounds=4
    )
    return frame, wide, basis, train


def test_one_gaussian_is_the_covariance_of_em_around_zero(learned):
    frame, theta, basis, train = learned
    found = {
        (g, r): p.prior for g, r, p in settle(frame, theta, basis, train, groups=[1], rounds=[3, 1])
    }
    assert list(found) == [(1, 1), (1, 3)]
    for (_, rounds), prior in found.items():
        expected = fit_population(
            evidence_of(train, frame, theta, basis), initial=GaussianPrior.standard(2),
            rounds=rounds, tolerance=0.0, answering=Answering(0.0),
        ).prior  # fmt: skip
        np.testing.assert_allclose(prior.covariance, expected.covariance, rtol=1e-6)
        np.testing.assert_array_equal(prior.mean, 0.0)


def test_several_gaussians_keep_the_mean_at_zero(learned):
    for count, _, population in settle(*learned, groups=[3], rounds=[1, 2, 4]):
        prior = population.prior
        assert len(prior.weights) == count == 3
        np.testing.assert_allclose(prior.mean, 0.0, atol=1e-12)
        assert prior.weights.sum() == pytest.approx(1)


def test_people_of_kinds_get_a_mixture_that_foretells_them_better():
    world = kinds(140, 4)
    train, valid = part(world, np.arange(100)), part(world, np.arange(100, 140))
    mixed = HIERARCHICAL.fit(train, valid, seed=0, groups=[1, 4], **QUICK)
    single = HIERARCHICAL.fit(train, valid, seed=0, groups=1, **QUICK)
    assert mixed.report["chosen"]["groups"] == 4
    assert single.report["chosen"]["groups"] == 1
    assert mixed.report["held_out_loss"] < single.report["held_out_loss"] - 0.01
    assert len(mixed.model.prior.weights) == 4
    np.testing.assert_allclose(mixed.model.prior.mean, 0.0, atol=1e-6)
    np.testing.assert_allclose(
        mixed.model.prior.covariance, np.eye(mixed.model.user_dim), atol=1e-4
    )


def test_a_mixture_needs_enough_people():
    world = kinds(38, 3)
    train, valid = part(world, np.arange(30)), part(world, np.arange(30, 38))
    found = HIERARCHICAL.fit(train, valid, seed=0, groups=[8], **QUICK)
    assert found.report["chosen"]["groups"] == 1


@pytest.mark.parametrize(
    ("option", "value"), [("groups", [0]), ("groups", []), ("settling", [1, 0]), ("rounds", 0)]
)
def test_counts_are_at_least_one(option, value):
    with pytest.raises(ConfigError, match=option):
        HIERARCHICAL.fit(kinds(10, 2), None, **{option: value})


def test_a_search_makes_a_fit_once_and_again_for_other_data_or_settings():
    made = []
    train = kinds(20, 2)

    def told(stage, done, total, figure):
        made.append(stage)

    def fits(data, **options):
        made.clear()
        HIERARCHICAL.fit(data, kinds(8, 2), seed=7, progress=told, **{**QUICK, **options})
        return bool(made)

    with remembered():
        assert fits(train)
        same = replace(train, item_features=train.item_features.copy())
        assert not fits(same), "equal content is the same data"
        assert fits(train, rank=2)
        assert fits(replace(train, target=1 - train.target))
        assert not fits(train)
    assert fits(train), "outside of a search every fit is made"


def test_a_fit_that_is_made_once_counts_its_seconds_every_time():
    train, valid = kinds(20, 2), kinds(8, 2)
    with remembered():
        first, again = (
            fit_any("hierarchical", train, valid, seed=7, known_items="never", **QUICK).report
            for _ in range(2)
        )
    assert again["seconds"] == pytest.approx(first["seconds"], rel=0.5)
    assert first["seconds"] > 0


def test_more_directions_are_taken_while_held_out_people_gain():
    """Each of 24 directions matters to as many people: 16 are too few, 64 no better than 32."""
    world = kinds(480, 24, rows=40, dim=24)
    train, valid = part(world, np.arange(400)), part(world, np.arange(400, 480))
    quick = {**QUICK, "ridges": [3.0], "settling": 1, "groups": 1, "folds": 1, "basis": "learned"}
    del quick["rank"]
    found = HIERARCHICAL.fit(train, valid, seed=0, **quick)
    few = HIERARCHICAL.fit(train, valid, seed=0, rank=16, **quick)
    assert few.report["chosen"]["rank"] == 16
    assert found.report["chosen"]["rank"] == 32
    assert found.report["held_out_loss"] < few.report["held_out_loss"]
    assert few.model.user_dim <= 16 < found.model.user_dim <= 24


def test_the_core_and_torch_average_the_same_loss_over_features_and_own_coordinates():
    """Loss and slopes of what a basis is learned by; torch computes them where there is a card."""
    train = kinds(30, 3, rows=25)
    known = KnownItems.of(train, share=3.0, least=3, most=40)
    train = replace(train, item_features=known.augment(train.item_features), own=known.columns)
    frame = Frame.of(train, 0.5, 384)
    objective = Objective(train, frame, torch.device("cpu"))
    rng = np.random.default_rng(1)
    roots, means = rng.standard_normal((30, 4, 4)), rng.standard_normal((30, 4))
    believed = means, roots @ roots.transpose(0, 2, 1)
    start = torch.as_tensor(rng.standard_normal((frame.items.shape[1], 5)), dtype=torch.float32)
    found = []
    for loss in (objective._expected(*believed), _Blocks(objective, *believed)):
        columns = start.clone().requires_grad_()
        value = loss(objective._rewards(columns))
        (slopes,) = torch.autograd.grad(value, columns)
        found.append((float(value.detach()), slopes))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-4, atol=1e-4)
    rewards = torch.as_tensor(frame.items, dtype=torch.float32) @ start
    torch.testing.assert_close(objective._rewards(start), rewards)


def test_the_ridge_on_the_shared_reward_is_asked_again_beside_personal_parts():
    """People differ much: averaged over them margins are small, and a strong ridge looks right."""
    rng = np.random.default_rng(4)
    items = rng.standard_normal((200, 24)).astype(np.float32)
    shared = rng.standard_normal(24) * 0.4
    own = np.linalg.qr(rng.standard_normal((24, 2)))[0].T * 8  # (2, d)
    user = np.repeat(np.arange(150), 24).astype(np.int32)
    a, b = rng.integers(0, 200, (2, len(user)))
    w = shared + rng.standard_normal((150, 2)) @ own
    margin = ((items[a] - items[b]) * w[user]).sum(1)
    world = TrainingSet(
        user=user, prompt=np.zeros(len(user), np.int32), a=a.astype(np.int32),
        b=b.astype(np.int32), weight=np.ones(len(user), np.float32), people=150,
        target=(rng.random(len(user)) < 1 / (1 + np.exp(-margin))).astype(np.float32),
        item_features=items, prompt_features=None,
    )  # fmt: skip
    train, valid = part(world, np.arange(110)), part(world, np.arange(110, 150))
    pulls = (300.0, 100.0, 30.0, 10.0, 3.0)
    frame = Frame.of(train, 0.5, 384)
    _, alone = population_reward(Objective(train, frame, torch.device("cpu")), frame, pulls, valid)
    quick = {**QUICK, "basis": "learned", "folds": 1, "settling": 1, "groups": 1, "lapse": 0.0}
    found = HIERARCHICAL.fit(train, valid, seed=0, **{**quick, "ridge_population": pulls})
    kept = HIERARCHICAL.fit(train, valid, seed=0, **{**quick, "ridge_population": alone})
    assert found.report["chosen"]["ridge_population"] < alone
    assert found.report["held_out_loss"] < kept.report["held_out_loss"]
    assert kept.report["chosen"]["ridge_population"] == alone
