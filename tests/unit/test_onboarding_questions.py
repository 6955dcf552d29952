from dataclasses import replace

import numpy as np
import pytest

from gustibus.errors import InputError, UnknownNameError
from gustibus.onboarding import QUESTIONS, Exposure, QuestionPool, choose, choose_batch
from gustibus.onboarding.information import (
    after_answers,
    answer_information,
    effective_answers,
    information_gained,
)
from gustibus.onboarding.pool import Linear
from gustibus.onboarding.questions import expected_after
from gustibus.posterior import Answering, GaussianPrior, Posterior
from tests.unit.test_onboarding_pool import model_of, pool_of

MODEL = model_of(3)
POOL = pool_of(MODEL, 60)


def person(seed=0, dim=3):
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((dim, dim)) / 2
    prior = GaussianPrior.single(rng.standard_normal(dim), root @ root.T + 0.1 * np.eye(dim))
    return Posterior.from_prior(prior)


def scores(rule, pool=POOL, who=None, seed=0):
    who = person() if who is None else who
    return QUESTIONS[rule].run(MODEL, who, pool, np.random.default_rng(seed))


def permuted(pool, order):
    texts = [tuple(getattr(pool, n)[i] for i in order) for n in ("texts_a", "texts_b", "prompts")]
    return QuestionPool(pool.a[order], pool.b[order], *texts, tuple(pool.ids[i] for i in order))


def with_law(law):
    return [name for name, entry in QUESTIONS.items() if law in entry.laws]


def test_rules_are_those_of_the_specification_and_all_differ():
    assert set(QUESTIONS) == {"d_opt", "information", "eubo", "v_opt", "random"}
    orders = {rule: tuple(np.argsort(scores(rule))) for rule in QUESTIONS}
    assert len(set(orders.values())) == 5


@pytest.mark.parametrize("rule", with_law("order_free"))
def test_a_pairs_score_does_not_depend_on_the_others(rule):
    order = np.random.default_rng(1).permutation(60)[:30]
    np.testing.assert_allclose(scores(rule, permuted(POOL, order)), scores(rule)[order], atol=1e-12)


@pytest.mark.parametrize("rule", with_law("side_free"))
def test_swapping_sides_changes_no_score(rule):
    swapped = QuestionPool(POOL.b, POOL.a, POOL.texts_b, POOL.texts_a, POOL.prompts, POOL.ids)
    np.testing.assert_allclose(scores(rule, swapped), scores(rule), atol=1e-9)


@pytest.mark.parametrize("rule", with_law("reads_answers"))
def test_scores_depend_on_what_is_known(rule):
    assert not np.allclose(scores(rule, who=person(0)), scores(rule, who=person(1)))


def test_d_opt_is_the_gain_in_log_determinant():
    who, found = person(), scores("d_opt")
    delta, offset = POOL.line(MODEL, who.mean)
    a = answer_information(offset + delta @ who.mean, MODEL.answering)
    precision = np.linalg.inv(who.covariance)
    for row in (0, 17, 59):
        after = precision + a[row] * np.outer(delta[row], delta[row])
        gain = 0.5 * (np.linalg.slogdet(after)[1] - np.linalg.slogdet(precision)[1])
        assert found[row] == pytest.approx(gain, rel=1e-9)


def test_information_is_the_mutual_information_of_a_brute_force_integral():
    who, found = person(), scores("information")
    delta, offset = POOL.line(MODEL, who.mean)
    nodes = np.linspace(-9, 9, 20_001)
    weight = np.exp(-0.5 * nodes**2)
    weight /= weight.sum()
    entropy = lambda p: -p * np.log(p) - (1 - p) * np.log1p(-p)  # noqa: E731
    for row in (3, 30):
        m, v = offset[row] + delta[row] @ who.mean, delta[row] @ who.covariance @ delta[row]
        p = 0.025 + 0.95 / (1 + np.exp(-(m + np.sqrt(v) * nodes)))
        assert found[row] == pytest.approx(entropy(p @ weight) - entropy(p) @ weight, abs=1e-6)


def test_eubo_is_the_expected_utility_of_the_better_side():
    who, found = person(), scores("eubo")
    draws = np.random.default_rng(0).multivariate_normal(who.mean, who.covariance, 200_000)
    best = np.maximum(draws @ POOL.a[5, 1:], draws @ POOL.b[5, 1:]).mean()
    assert found[5] == pytest.approx(best, abs=0.02)


def mixed():
    """Somebody who may be of either of two groups."""
    one, other = person(1), person(2)
    return replace(
        one, weights=np.array([0.3, 0.7]), means=np.concatenate([one.means, other.means]),
        covariances=np.concatenate([one.covariances, other.covariances]),
    )  # fmt: skip


@pytest.mark.parametrize("who", [person(), mixed()], ids=["one group", "two groups"])
def test_v_opt_is_what_an_answer_takes_from_the_variance_of_the_pairs_kept_aside(who):
    pool = pool_of(MODEL, 60, held_out=20)
    found = scores("v_opt", pool, who)
    delta, offset = pool.line(MODEL, who.mean)
    for row in (0, 17, 39):
        gains = []
        for mean, covariance in zip(who.means, who.covariances, strict=True):
            a = answer_information(offset[row] + delta[row] @ mean, MODEL.answering)
            after = np.linalg.inv(np.linalg.inv(covariance) + a * np.outer(delta[row], delta[row]))
            gains.append(np.mean([d @ (covariance - after) @ d for d in delta[40:]]))
        assert found[row] == pytest.approx(who.weights @ gains, rel=1e-8)


def test_v_opt_asks_about_what_will_be_ranked():
    """Pairs kept aside that differ in the first direction alone: the others need not be learned."""
    model = model_of(8)
    plain = pool_of(model, 200, seed=3, held_out=40)
    b = plain.b.copy()
    b[160:, 2:] = plain.a[160:, 2:]
    pool = replace(plain, b=b)
    who = person(dim=8)
    left = {}
    for rule in ("v_opt", "d_opt"):
        after = who
        for row in choose_batch(model, who, pool, size=5, rule=rule, rng=np.random.default_rng(0)):
            after = expected_after(model, after, pool, row)
        targets = pool.delta(model, who.mean)[160:]
        left[rule] = np.einsum("ti,ij,tj->t", targets, after.covariance, targets).mean()
    assert left["v_opt"] < 0.8 * left["d_opt"]


def test_unknown_rule_is_refused_with_the_closest_name():
    with pytest.raises(UnknownNameError, match="d_opt"):
        choose(MODEL, person(), POOL, rule="d_optimal", asked=(), rng=np.random.default_rng(0))


@pytest.mark.parametrize("rule", sorted(QUESTIONS))
def test_every_pair_is_asked_once_and_then_there_is_none(rule):
    rng, asked = np.random.default_rng(4), []
    while (row := choose(MODEL, person(), POOL, rule=rule, asked=asked, rng=rng)) is not None:
        asked.append(row)
    assert sorted(asked) == list(range(60))


def test_held_out_pairs_are_never_asked():
    pool = pool_of(MODEL, 20, held_out=15)
    batch = choose_batch(MODEL, person(), pool, size=9, rng=np.random.default_rng(0))
    assert sorted(batch) == [0, 1, 2, 3, 4]


def test_draws_come_from_the_top_share_and_follow_the_temperature():
    rng = np.random.default_rng(0)
    pool = pool_of(MODEL, 400, seed=9)
    best = np.argsort(-scores("d_opt", pool))
    draw = lambda heat: [  # noqa: E731
        choose(MODEL, person(), pool, rule="d_opt", asked=(), rng=rng, temperature=heat)
        for _ in range(300)
    ]
    assert set(draw(100.0)) == set(best[:4].tolist())
    assert set(draw(0.0)) == {best[0]}
    shares = np.bincount(draw(0.05), minlength=400)[best[:4]] / 300
    value = scores("d_opt", pool)[best[:4]] / 0.05
    np.testing.assert_allclose(shares, np.exp(value) / np.exp(value).sum(), atol=0.1)


def test_of_equal_pairs_the_first_are_among_the_best():
    same, ids = POOL.a[[0] * 300], tuple(str(i) for i in range(300))
    pool, rng = QuestionPool(same, same, ids, ids, ids, ids), np.random.default_rng(0)
    drawn = {choose(MODEL, person(), pool, rule="d_opt", asked=(1,), rng=rng) for _ in range(100)}
    assert drawn == {0, 2, 3}


def test_no_pair_is_shown_to_more_than_the_cap():
    shown, people, rng = np.zeros(60, np.int64), 100, np.random.default_rng(0)
    for _ in range(people):
        row = choose(
            MODEL, person(), POOL, rule="d_opt", asked=(), rng=rng,
            exposure=Exposure(shown, people),
        )  # fmt: skip
        shown[row] += 1
    assert shown.max() == 5
    assert (shown > 0).sum() == 20


def test_cap_lets_one_person_see_a_pair_however_few_people_there_are():
    assert Exposure(np.array([0, 1]), 3).open(0.05).tolist() == [True, False]
    assert Exposure(np.array([1, 2]), 39).open(0.05).tolist() == [True, False]
    assert Exposure(np.array([1]), 38).open(0.05).tolist() == [False]


def test_when_every_pair_is_worn_out_the_question_is_asked_anyway():
    worn = Exposure(np.full(60, 99), 100)
    row = choose(
        MODEL, person(), POOL, rule="d_opt", asked=(), rng=np.random.default_rng(0), exposure=worn
    )
    assert row is not None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"asked": [60]}, "asked: expected rows from 0 to 59"),
        ({"top": 0.0}, "top"),
        ({"temperature": -1.0}, "temperature"),
        ({"cap": 1.5}, "cap"),
        ({"exposure": Exposure(np.zeros(3, np.int64), 1)}, r"counts: expected shape \(60,\)"),
        ({"exposure": Exposure(np.full(60, -1), 1)}, "negative"),
    ],
)
def test_bad_arguments_are_named(change, message):
    arguments = {"rule": "d_opt", "asked": (), "rng": np.random.default_rng(0)} | change
    with pytest.raises(InputError, match=message):
        choose(MODEL, person(), POOL, **arguments)


def test_batch_is_greedy_in_the_determinant_and_has_no_pair_twice():
    who = person()
    batch = choose_batch(MODEL, who, POOL, size=5, rng=np.random.default_rng(0))
    delta, offset = POOL.line(MODEL, who.mean)
    a = answer_information(offset + delta @ who.mean, MODEL.answering)
    precision, expected = np.linalg.inv(who.covariance), []
    for _ in range(5):
        value = a * np.einsum("mi,ij,mj->m", delta, np.linalg.inv(precision), delta)
        value[expected] = -1
        expected.append(int(np.argmax(value)))
        precision += a[expected[-1]] * np.outer(delta[expected[-1]], delta[expected[-1]])
    assert batch == expected


def test_expected_covariance_after_a_question_is_that_of_the_updated_precision():
    who, row = person(), 8
    after = expected_after(MODEL, who, POOL, row)
    delta, offset = POOL.line(MODEL, who.mean)
    a = answer_information(offset[row] + delta[row] @ who.mean, MODEL.answering)
    precision = np.linalg.inv(who.covariance) + a * np.outer(delta[row], delta[row])
    np.testing.assert_allclose(after.covariance, np.linalg.inv(precision), atol=1e-10)
    np.testing.assert_array_equal(after.mean, who.mean)


@pytest.mark.parametrize(("lapse", "tie"), [(0.0, 0.0), (0.05, 0.0), (0.0, 0.7), (0.1, 1.3)])
def test_answer_information_is_the_expected_square_of_the_score(lapse, tie):
    def outcomes(z):
        left = lapse / 2 + (1 - lapse) / (1 + np.exp(tie - z))
        right = lapse / 2 + (1 - lapse) / (1 + np.exp(tie + z))
        return np.array([left, right, np.maximum(1 - left - right, 1e-300)])

    z, step = np.linspace(-6, 6, 25), 1e-5
    slope = (outcomes(z + step) - outcomes(z - step)) / (2 * step)
    expected = (slope**2 / outcomes(z))[: 3 if tie else 2].sum(0)
    np.testing.assert_allclose(answer_information(z, Answering(lapse, tie)), expected, rtol=1e-4)


def test_extreme_margins_carry_no_information_and_no_warning():
    assert answer_information(np.array([-1e4, 1e4]), Answering(0.05, 0.5)).tolist() == [0.0, 0.0]


def test_information_gained_is_half_the_log_ratio_of_determinants():
    prior = GaussianPrior.standard(2)
    after = after_answers(Posterior.from_prior(prior), np.array([2.0, 0.0]), np.array([0.25]))
    assert information_gained(prior, after) == pytest.approx(0.5 * np.log(2.0))
    assert information_gained(prior, Posterior.from_prior(prior)) == pytest.approx(0.0)


def test_information_gained_ignores_directions_in_which_nobody_differs():
    flat = np.array([[0.5, -0.5], [-0.5, 0.5]])
    prior = GaussianPrior(np.ones(1), np.full((1, 2), 0.5), flat[None])
    after = Posterior(np.ones(1), np.full((1, 2), 0.5), flat[None] / 4, 0.0, 0, True, 3)
    assert information_gained(prior, after) == pytest.approx(0.5 * np.log(4.0))


def test_an_answer_known_in_advance_is_worth_nothing():
    who = Posterior.from_prior(GaussianPrior.single(np.array([30.0]), np.eye(1)))
    line = Linear(np.array([[1.0], [0.0]]), np.zeros(2))
    assert effective_answers(line, who, Answering(0.05)) == pytest.approx(1.0, abs=1e-6)
