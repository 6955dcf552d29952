"""VPL: a person read from a set of comparisons, and the watch on collapse."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from gustibus.data.synthetic import ideal_point_world
from gustibus.errors import ConfigError, InputError
from gustibus.models import MODELS
from gustibus.models.hybrid import load_model
from gustibus.models.validation import part
from gustibus.models.vpl_fit import monitor
from gustibus.models.vpl_module import Drawer, Machine, Rows, episode_loss
from gustibus.models.vpl_options import vpl_options
from gustibus.training.sets import training_set
from tests.conftest import small_world

VPL = MODELS["vpl"].run
QUICK = {"latent": 4, "hidden": 16, "steps": 200, "lr": 1e-2, "judgements": 0}


@pytest.fixture(scope="module")
def fitted():
    return VPL.fit(small_world(0, people=60), None, seed=0, **QUICK)


@pytest.fixture(scope="module")
def person(fitted):
    world = small_world(0, people=61)
    reps, rows = fitted.model.represent(world.item_features), world.user == 60
    return reps[world.a[rows]], reps[world.b[rows]], world.target[rows].astype(float)


def test_the_order_of_comparisons_does_not_matter(fitted, person):
    order = np.random.default_rng(0).permutation(len(person[2]))
    one = fitted.model.place(*person)[0]
    other = fitted.model.place(*(x[order] for x in person))[0]
    np.testing.assert_allclose(one.mean, other.mean, atol=1e-12)
    np.testing.assert_allclose(one.covariance, other.covariance, atol=1e-12)


def test_a_repeated_context_says_the_same_and_weight_is_repetition(fitted, person):
    a, b, target = person
    once = fitted.model.place(a, b, target).mean
    twice = fitted.model.place(*(np.concatenate([x, x]) for x in person)).mean
    np.testing.assert_allclose(once, twice, atol=1e-10)
    weight = np.ones(len(target))
    weight[0] = 3.0
    again = np.r_[0, 0, np.arange(len(target))]
    np.testing.assert_allclose(
        fitted.model.place(a, b, target, weight=weight).mean,
        fitted.model.place(a[again], b[again], target[again]).mean, atol=1e-10,
    )  # fmt: skip
    nothing = fitted.model.place(a, b, target, weight=np.zeros(len(target))).mean[0]
    np.testing.assert_array_equal(nothing, 0.0)


@pytest.mark.parametrize("activation", ["gelu", "leaky_relu", "relu"])
def test_numpy_reads_and_scores_as_torch_does(activation):
    options = vpl_options({"latent": 5, "hidden": 7, "activation": activation})
    torch.manual_seed(0)
    machine = Machine(3, options)
    encoder, decoder = machine.export()
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 6, 3))
    target, weight = np.array([1, 0, 1, 0.5, 0.2, 1]), np.array([1, 2, 1, 0.5, 1, 1.0])
    share = np.concatenate([target * weight, (1 - target) * weight, [0.0]])  # a place left over
    one, other = np.concatenate([a, b, a[:1]]), np.concatenate([b, a, b[:1]])
    with torch.no_grad():
        mean, spread = machine.encode(
            *(torch.as_tensor(x[None], dtype=torch.float32) for x in (one, other, share))
        )
        items, z = (torch.as_tensor(x, dtype=torch.float32) for x in (a[None], mean.numpy()))
        reward = machine.reward(items, z)
    found = encoder(a, b, target, weight)
    np.testing.assert_allclose(found[0], mean[0].numpy(), atol=1e-5)
    np.testing.assert_allclose(found[1], spread[0].numpy(), atol=1e-5)
    world = small_world(0, people=2, dim=3)
    model = VPL.fit(world, None, seed=0, **{**QUICK, "steps": 1}).model
    model = replace(model, encoder=encoder, decoder=decoder, scatter=np.eye(5))
    np.testing.assert_allclose(
        model.utility(mean[0].numpy(), a.astype(np.float32)), reward[0].numpy(), atol=1e-5
    )


def test_always_rescaled_vectors_have_one_length_and_published_ones_do_not(person, fitted):
    always = replace(fitted.model, rescale="always").place(*person).mean[0]
    assert np.linalg.norm(always) == pytest.approx(2.0)  # sqrt(L) with L = 4
    training = replace(fitted.model, rescale="training").place(*person).mean[0]
    np.testing.assert_array_equal(training, fitted.model.place(*person).mean[0])
    np.testing.assert_allclose(always / 2, training / np.linalg.norm(training), atol=1e-12)


def loss_of(swap, eta, beta):
    """The loss of one batch, and what encoded it."""
    world = small_world(0)
    options = vpl_options(
        {"latent": 4, "hidden": 8, "empty": 0.0, "swap": swap, "swap_eta": eta, "low": -3.0}
    )
    torch.manual_seed(0)
    machine = Machine(6, options)
    rows = Rows.of(world, torch.as_tensor(world.item_features))
    episodes = Drawer(world, options, 0).draw(torch.device("cpu"))
    loss = episode_loss(machine, rows, episodes, beta, torch.Generator().manual_seed(0))
    return float(loss.detach()), machine, rows, episodes


def test_the_divergence_pulls_to_the_population():
    assert loss_of(0.0, 0.0, 1.0)[0] > loss_of(0.0, 0.0, 0.0)[0]


@pytest.mark.parametrize(("swap", "eta"), [(1.0, 0.0), (1.0, 0.5), (0.3, 2.0)])
def test_the_swap_loss_is_that_of_its_formula(swap, eta):
    """`(1 + cos(mu, mu')) / 2 + eta (1 - cos(v, v')) / 2`, primes of exchanged answers."""
    found, machine, rows, episodes = loss_of(swap, eta, 0.0)
    context, told = episodes.context, episodes.told
    a, b = rows.items[rows.a[context]], rows.items[rows.b[context]]
    each = []
    for target in (rows.target[context], 1 - rows.target[context]):
        share = torch.cat([told * target, told * (1 - target)], 1)
        with torch.no_grad():
            encoded = machine.encode(torch.cat([a, b], 1), torch.cat([b, a], 1), share)
        each.append([part.numpy().astype(np.float64) for part in encoded])
    (mu, v), (mu_back, v_back) = each

    def cosine(x, y):
        return (x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)

    turned, kept = (1 + cosine(mu, mu_back)) / 2, (1 - cosine(v, v_back)) / 2
    assert kept.max() > 1e-4
    expected = swap * (turned + eta * kept).mean()
    assert found - loss_of(0.0, eta, 0.0)[0] == pytest.approx(expected, abs=1e-6)


def test_no_query_shares_an_item_with_its_context():
    world, options = small_world(0), vpl_options({"context": 12})
    drawer = Drawer(world, options, 0)
    for _ in range(5):
        e = drawer.draw(torch.device("cpu"))
        for context, told, query, asked in zip(*(x.numpy() for x in e), strict=True):
            known = np.concatenate([side[context[told > 0]] for side in (world.a, world.b)])
            judged = np.concatenate([side[query[asked > 0]] for side in (world.a, world.b)])
            assert not np.isin(judged, known).any()
            assert len(np.unique(world.user[query[asked > 0]])) <= 1


@pytest.fixture(scope="module")
def ideal_points():
    dataset, _ = ideal_point_world(seed=0, seen=45, new=1, test=1, support=1, query=1)
    rows = np.flatnonzero(dataset.comparisons.split == "train")
    return training_set(dataset, rows)[0]


def test_the_swap_loss_drives_opposite_contexts_apart(ideal_points):
    """Of ideal points the opposite answers are nobody's: without the loss they are not the mirror."""
    found = {}
    for swap in (0.0, 0.1):
        model = VPL.fit(ideal_points, None, seed=0, beta=0.0, swap=swap, **QUICK).model
        reps, cosines = model.represent(ideal_points.item_features), []
        for who in range(ideal_points.people):
            rows = np.flatnonzero(ideal_points.user == who)[:12]
            sides = reps[ideal_points.a[rows]], reps[ideal_points.b[rows]]
            target = ideal_points.target[rows].astype(float)
            one, other = (model.place(*sides, said).mean[0] for said in (target, 1 - target))
            cosines.append(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
        found[swap] = np.mean(cosines)
    assert found[0.1] < found[0.0] - 0.3, found


def test_the_monitor_fires_under_a_heavy_divergence_alone(ideal_points):
    options = {**QUICK, "latent": 8, "hidden": 32, "steps": 300, "lr": 5e-3}
    free = VPL.fit(ideal_points, None, seed=0, beta=0.0, **options).report
    heavy = VPL.fit(ideal_points, None, seed=0, beta=0.5, **options).report
    assert free["warning"] is None
    assert free["collapse"]["active_units"] > 0.2
    assert free["collapse"]["swap_drop"] > 0.03
    assert heavy["collapse"]["active_units"] == 0.0
    assert abs(heavy["collapse"]["swap_drop"]) < 0.01
    assert "latent vectors have collapsed: 0% of the dimensions" in heavy["warning"]


def test_the_monitor_sees_what_a_swap_costs(fitted):
    watch = monitor(fitted.model, small_world(0, people=60))
    assert (watch.collapsed, watch.warning) == (False, None)
    assert watch.swap_drop > 0.1
    deaf = replace(fitted.model.decoder, weights=(
        np.vstack([fitted.model.decoder.weights[0][:6], np.zeros((4, 16), np.float32)]),
        *fitted.model.decoder.weights[1:],
    ))  # fmt: skip
    watch = monitor(replace(fitted.model, decoder=deaf), small_world(0, people=60))
    assert watch.active_units > 0.2
    assert (watch.collapsed, watch.swap_drop) == (True, 0.0)


def test_held_out_people_choose_the_state_and_the_divergence():
    everyone = small_world(0, people=60)
    train, valid = part(everyone, np.arange(45)), part(everyone, np.arange(45, 60))
    options = {**QUICK, "judgements": 4, "beta": [0.0, 3.0]}
    _, report = VPL.fit(train, valid, seed=0, **options)
    losses = [h["valid_loss"] for h in report["history"]]
    assert len(losses) == 8
    assert report["held_out_loss"] == min(losses) < 0.6
    best = report["history"][int(np.argmin(losses))]
    assert report["beta"] == best["beta"] == 0.0


def test_saved_and_loaded_it_reads_a_person_alike_to_the_last_bit(fitted, person):
    again = load_model("vpl", *fitted.model.save())
    one, other = fitted.model.place(*person)[0], again.place(*person)[0]
    np.testing.assert_array_equal(one.mean, other.mean)
    np.testing.assert_array_equal(one.covariance, other.covariance)
    np.testing.assert_array_equal(again.prior.covariance, fitted.model.prior.covariance)


def test_serving_needs_no_torch():
    code = "import sys, gustibus.models; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_published_recipe_sets_the_published_sizes():
    options = vpl_options({"recipe": "published"})
    assert (options.latent, options.hidden, options.rescale) == (512, 512, "training")
    assert (options.activation, options.ramp, options.judgements) == ("leaky_relu", 10_000, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rescale": "sometimes"}, "rescale: expected one of"),
        ({"latent": 0}, "latent: expected a whole number of at least 1"),
        ({"least_context": 30}, "least_context: expected a number from 1 to 24"),
        ({"beta": [-1.0]}, r"beta: expected a number in \[0, inf\)"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        VPL.fit(small_world(0), None, seed=0, **options)


def test_people_who_answered_once_teach_nothing():
    world = small_world(0, people=40, rows=1)
    with pytest.raises(InputError, match="people with two comparisons or more"):
        VPL.fit(world, None, seed=0)
