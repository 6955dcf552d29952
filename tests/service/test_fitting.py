"""What a fit makes of answers that are extreme, or of nobody with a taste."""

from __future__ import annotations

from timeit import repeat

import numpy as np
import pytest
from scipy.stats import chi2

from gustibus.models.hierarchical import Hierarchical
from gustibus.onboarding import CARELESS, carelessness, doubt
from gustibus.posterior import Answering, GaussianPrior, ParticlePrior, Posterior
from gustibus.service.clipping import chi_square_quantile, clipped
from gustibus.service.fitting import Answers, fit_person

DIM = 6


def model_with(prior: GaussianPrior, lapse: float = 0.05) -> Hierarchical:
    """Whose items are `(1 + u)` numbers: what everybody makes of them, and what people differ in."""
    dim = prior.dim
    return Hierarchical(
        center=np.zeros(dim, np.float32), population=np.zeros(dim, np.float32),
        basis=np.eye(dim, dtype=np.float32), prior=prior, answering=Answering(lapse),
    )  # fmt: skip


def mixed(seed: int = 3, groups: int = 3, dim: int = DIM) -> GaussianPrior:
    rng = np.random.default_rng(seed)
    roots = rng.standard_normal((groups, dim, dim)) / 3
    spread = roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(dim)
    return GaussianPrior(
        rng.dirichlet(np.full(groups, 4.0)), rng.standard_normal((groups, dim)), spread
    )


def reach(prior: GaussianPrior, mean) -> float:
    away = mean - prior.mean
    return float(away @ np.linalg.solve(prior.covariance, away))


def said(model, wanted, count: int, seed: int, size: float = 1.0, coin: bool = False) -> Answers:
    """Answers of somebody with a user vector, or of a coin."""
    rng = np.random.default_rng(seed)
    a, b = (
        model.represent(size * rng.standard_normal((count, model.user_dim)).astype(np.float32))
        for _ in range(2)
    )
    margin = model.margin(wanted, a, b)
    chance = np.full(count, 0.5) if coin else 1.0 / (1.0 + np.exp(-margin))
    target = (rng.random(count) < chance).astype(np.float64)
    return Answers(a, b, target, np.ones(count))


@pytest.mark.parametrize("degrees", [1, 2, 3, 8, 32, 64, 257, 1024])
def test_the_quantile_is_that_of_the_chi_square_distribution(degrees):
    assert chi_square_quantile(degrees) == pytest.approx(chi2.ppf(0.999, degrees), rel=1e-9)


@pytest.mark.parametrize("groups", [1, 3])
def test_a_mean_outside_is_drawn_onto_the_ellipsoid_and_one_inside_stays(groups):
    prior = mixed(groups=groups)
    rng, most = np.random.default_rng(0), chi2.ppf(0.999, DIM)
    half = np.linalg.cholesky(prior.covariance)
    for length, inside in ((0.0, True), (0.99, True), (1.01, False), (40.0, False)):
        way = rng.standard_normal(DIM)
        mean = prior.mean + half @ way * (length * np.sqrt(most) / np.linalg.norm(way))
        found = clipped(prior, mean)
        if inside:
            assert found is mean
            continue
        assert reach(prior, found) == pytest.approx(most, rel=1e-9)
        np.testing.assert_allclose(  # along the line to the mean
            (found - prior.mean) * np.linalg.norm(way), half @ way * np.sqrt(most), rtol=1e-9
        )
    for mean in prior.means:
        assert clipped(prior, mean) is mean, "a group's own people are not shut out"


def test_particles_stay_where_they_are_and_a_flat_prior_is_no_error():
    prior = ParticlePrior.dirichlet(np.full(3, 0.05), seed=1)
    corner = np.array([1.0, 0.0, 0.0])
    assert clipped(prior, corner) is corner
    flat = GaussianPrior.single(np.zeros(2), np.diag([1.0, 0.0]))
    np.testing.assert_allclose(clipped(flat, np.array([40.0, 0.0]))[0], np.sqrt(chi2.ppf(0.999, 2)))


def test_answers_cannot_carry_a_profile_out_of_where_people_are():
    """Hundreds of huge contrasts that agree on a person nobody is."""
    model = model_with(GaussianPrior.single(np.zeros(DIM), np.diag(np.linspace(0.05, 0.3, DIM))))
    answers = said(model, np.full(DIM, 60.0), 600, 2, size=0.7)
    raw = model.place(answers.a, answers.b, answers.target, weight=answers.weight)[0]
    assert reach(model.prior, raw.mean) > 1.5 * chi2.ppf(0.999, DIM)
    fit = fit_person(model, answers, None)
    assert reach(model.prior, fit.mean) == pytest.approx(chi2.ppf(0.999, DIM), rel=1e-9)
    np.testing.assert_array_equal(fit.covariance, raw.covariance)
    before = Posterior.from_prior(GaussianPrior.single(np.ones(DIM) / 9, 0.05 * np.eye(DIM)))
    assert reach(model.prior, fit_person(model, answers, before).mean) < 1.0001 * chi2.ppf(
        0.999, DIM
    )


def test_the_fit_of_somebody_with_a_taste_is_what_their_answers_say():
    model = model_with(mixed())
    person = model.prior.means[0] + 0.4
    answers = said(model, person, 30, 4)
    raw = model.place(answers.a, answers.b, answers.target, weight=answers.weight)[0]
    fit = fit_person(model, answers, None)
    np.testing.assert_array_equal(fit.mean, raw.mean)
    np.testing.assert_array_equal(fit.covariance, raw.covariance)
    assert fit.careless == carelessness(raw, model.answering) < CARELESS


def test_what_is_doubted_is_the_mixture_with_what_was_known_before():
    model = model_with(mixed())
    answers = said(model, np.zeros(DIM), 40, 5, coin=True)
    raw = model.place(answers.a, answers.b, answers.target, weight=answers.weight)[0]
    share = doubt(raw, model.answering, careless=0.9)
    fit = fit_person(model, answers, None, careless=0.9)
    assert 0.3 < share < 1.0
    np.testing.assert_allclose(fit.mean, (1 - share) * raw.mean + share * model.prior.mean)
    both = GaussianPrior(
        np.array([1 - share, share]), np.stack([raw.mean, model.prior.mean]),
        np.stack([raw.covariance, model.prior.covariance]),
    )  # fmt: skip
    np.testing.assert_allclose(fit.covariance, both.covariance, atol=1e-12)


def test_weighted_answers_are_held_against_a_coin_of_the_same_weight():
    model = model_with(mixed())
    some = said(model, model.prior.means[0] + 0.4, 30, 4)
    half = some._replace(weight=np.full(30, 0.25))
    assert fit_person(model, half, None).careless < CARELESS


def test_there_is_no_doubt_of_what_has_no_evidence():
    who = Posterior(np.ones(1), np.zeros((1, 2)), np.eye(2)[None], float("nan"), 0, True, 9)
    assert doubt(who, Answering()) == 0.0


def accuracy_of(user, held, truth) -> float:
    chance = 1.0 / (1.0 + np.exp(-held @ truth))
    return float(np.where(held @ user > 0, chance, 1 - chance).mean())


def test_a_coin_ends_near_the_population_once_something_else_tells_of_it():
    """Section 6.5: at most 1 point below the population; 150 people, each judged on 400 pairs."""
    rng = np.random.default_rng(7)
    prior = GaussianPrior.single(0.5 * rng.standard_normal(DIM), np.eye(DIM))
    model = model_with(prior)
    held = rng.standard_normal((400, DIM)) * 1.4
    blind, lost, shown, gained = [], [], [], []
    for person in range(150):
        truth = rng.multivariate_normal(prior.mean, np.eye(DIM))
        coin = said(model, truth, 12, 1000 + person, coin=True)
        people = accuracy_of(prior.mean, held, truth)
        plain = model.place(coin.a, coin.b, coin.target)[0]
        blind.append(accuracy_of(plain.mean, held, truth) - people)
        lost.append(accuracy_of(fit_person(model, coin, None).mean, held, truth) - people)
        seen = fit_person(model, coin, None, careless=0.9)
        shown.append(accuracy_of(seen.mean, held, truth) - people)
        honest = said(model, truth, 12, 2000 + person)
        plain = model.place(honest.a, honest.b, honest.target)[0]
        gained.append(
            accuracy_of(fit_person(model, honest, None).mean, held, truth)
            - accuracy_of(plain.mean, held, truth)
        )
    assert np.mean(blind) < -0.03
    np.testing.assert_allclose(lost, blind, atol=0.01, err_msg="answers alone are believed")
    assert np.mean(shown) > -0.01, "and what else tells of a coin"
    assert abs(np.mean(gained)) < 1e-3, "of people with a taste nothing is doubted"


def test_doubt_and_clip_add_little_to_a_fit_of_32_dimensions():
    model = model_with(mixed(groups=1, dim=32))
    answers = said(model, np.zeros(32), 20, 1, coin=True)

    def plain():
        placed = model.place(answers.a, answers.b, answers.target, weight=answers.weight)[0]
        return placed.mean, placed.covariance

    raw = min(repeat(plain, number=50, repeat=5)) / 50
    whole = (
        min(repeat(lambda: fit_person(model, answers, None, careless=0.9), number=50, repeat=5))
        / 50
    )
    assert whole < raw + 1e-3, f"{raw * 1e3:.3f} ms, {whole * 1e3:.3f} ms"
