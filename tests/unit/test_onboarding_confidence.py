from dataclasses import replace

import numpy as np
import pytest

from gustibus.errors import InputError
from gustibus.onboarding import (
    Question,
    Settings,
    Stopping,
    Turn,
    carelessness,
    confidence,
    consistency,
    doubted,
    explain,
    place_person,
    replay,
)
from gustibus.onboarding.confidence import (
    Outlook,
    best_information,
    expected_remaining,
    outlook,
    preference,
    stop_reason,
)
from gustibus.onboarding.questions import QUESTIONS
from gustibus.onboarding.simulation import calibration_error, paired_difference
from gustibus.posterior import Answering, GaussianPrior, Posterior
from tests.unit.test_onboarding_pool import model_of, pool_of

MODEL = model_of(3, lapse=0.1)
POOL = pool_of(MODEL, 300, held_out=100)
RULES = Stopping(min_questions=2, max_questions=12)


def mixture():
    rng = np.random.default_rng(0)
    roots = rng.standard_normal((2, 3, 3)) / 2
    return Posterior.from_prior(
        GaussianPrior(
            np.array([0.3, 0.7]), rng.standard_normal((2, 3)),
            roots @ roots.transpose(0, 2, 1) + 0.05 * np.eye(3),
        )
    )  # fmt: skip


def draws_of(posterior, count, seed=1):
    rng = np.random.default_rng(seed)
    groups = rng.choice(len(posterior.weights), count, p=posterior.weights)
    out = np.empty((count, posterior.means.shape[1]))
    for g, (mean, covariance) in enumerate(
        zip(posterior.means, posterior.covariances, strict=True)
    ):
        mine = groups == g
        out[mine] = rng.multivariate_normal(mean, covariance, mine.sum())
    return out


def test_confidence_is_the_mean_of_the_likelier_side_by_brute_force():
    who = mixture()
    rows = POOL.sample()
    line = POOL.line(MODEL, who.mean)
    z = draws_of(who, 40_000) @ line.delta[rows].T + line.offset[rows]
    p = (0.05 + 0.9 / (1 + np.exp(-z))).mean(0)
    np.testing.assert_allclose(preference(MODEL, who, POOL, rows), p, atol=0.01)
    assert confidence(MODEL, who, POOL) == pytest.approx(np.maximum(p, 1 - p).mean(), abs=0.003)


def test_with_ties_confidence_is_about_people_who_take_a_side():
    model = model_of(3, lapse=0.0)
    tied = type(model)(*(getattr(model, n) for n in ("center", "population", "basis", "prior")),
                       Answering(0.0, 1.0))  # fmt: skip
    who, rows = mixture(), POOL.sample()[:20]
    line = POOL.line(tied, who.mean)
    z = draws_of(who, 60_000) @ line.delta[rows].T + line.offset[rows]
    a, b = (1 / (1 + np.exp(1.0 - s * z)) for s in (1, -1))
    np.testing.assert_allclose(
        preference(tied, who, POOL, rows), a.mean(0) / (a.mean(0) + b.mean(0)), atol=0.01
    )


def test_confidence_of_nobody_in_particular_is_a_coin_and_rises_with_answers():
    nobody = Posterior.from_prior(MODEL.prior)
    assert confidence(MODEL, nobody, POOL) == pytest.approx(0.5)
    who = place_person(MODEL, POOL, replay(MODEL, POOL, Settings(seed=0), ["left"] * 6).turns)
    assert confidence(MODEL, who, POOL) > 0.6


def test_expected_gain_agrees_with_simulated_answers():
    """Greedy questions, answers drawn from the model, refitted: the accuracy that the outlook expects."""
    gentle = model_of(3, lapse=0.0)
    pool = pool_of(gentle, 300, seed=2, held_out=150)
    start = Posterior.from_prior(gentle.prior)
    look = outlook(gentle, start, pool, questions=3)
    rng, found = np.random.default_rng(0), []
    delta = pool.delta(gentle, start.mean)
    for user in rng.standard_normal((150, 3)):
        turns = []
        for seq in range(3):
            who = place_person(gentle, pool, turns)
            value = QUESTIONS["d_opt"].run(gentle, who, pool, rng)
            value[[*np.flatnonzero(pool.held_out), *(t.question.row for t in turns)]] = -1
            row = int(np.argmax(value))
            is_a = rng.random() < 1 / (1 + np.exp(-delta[row] @ user))
            question = Question(seq, row, swapped=False, reason="info")
            turns.append(Turn(question, "left" if is_a else "right"))
        sides = delta[pool.sample()]
        named = sides @ place_person(gentle, pool, turns).mean > 0
        chance = 1 / (1 + np.exp(-(sides @ user)))  # that the person takes side a
        found.append(np.where(named, chance, 1 - chance).mean())
    assert look.confidence[0] == pytest.approx(0.5, abs=1e-9)
    assert look.gain(0, 3) == pytest.approx(np.mean(found) - 0.5, abs=0.03)
    assert (np.diff(look.confidence) >= 0).all()


def test_outlook_starts_with_the_information_of_the_best_open_question():
    who = mixture()
    value = QUESTIONS["information"].run(MODEL, who, POOL, np.random.default_rng(0))[:200]
    order = np.argsort(-value)
    assert outlook(MODEL, who, POOL, questions=1).information[0] == pytest.approx(value[order[0]])
    asked = order[:3].tolist()
    assert best_information(MODEL, who, POOL, asked=asked) == pytest.approx(value[order[3]])


@pytest.mark.parametrize(
    ("asked", "information", "gain", "reason"),
    [
        (12, (1.0, 1.0), 1.0, "max_questions"),
        (11, (1.0, 1.0), 1.0, None),
        (1, (0.0, 0.0), 0.0, None),
        (2, (0.0199, 0.0199), 1.0, "information"),
        (2, (0.0199, 0.02), 1.0, None),
        (2, (0.02, 0.0199), 1.0, None),
        (2, (0.0, None), 1.0, None),
        (2, (1.0, 1.0), 0.00499, "gain"),
        (2, (1.0, 1.0), 0.005, None),
    ],
)
def test_stopping_rule_at_its_boundaries(asked, information, gain, reason):
    assert stop_reason(asked=asked, rules=RULES, information=information, gain=gain) == reason


def test_an_empty_pool_ends_a_session_even_before_the_least_questions():
    end = stop_reason(asked=0, rules=RULES, information=(1.0, None), gain=1.0, exhausted=True)
    assert end == "exhausted"


def test_expected_remaining_is_where_the_outlook_makes_the_rule_fire():
    rising = np.array([0.5, 0.55, 0.6, 0.65, 0.7, 0.702, 0.703, 0.704, *[0.704] * 8])
    plenty = Outlook(np.full(16, 1.0), rising)
    assert expected_remaining(plenty, asked=0, rules=RULES) == 4
    assert expected_remaining(Outlook(np.full(16, 1.0), np.linspace(0.5, 0.9, 16)), asked=5,
                              rules=RULES) == 7  # fmt: skip
    fading = Outlook(np.where(np.arange(16) < 3, 1.0, 0.001), np.linspace(0.5, 0.9, 16))
    assert expected_remaining(fading, asked=0, rules=RULES) == 4
    assert expected_remaining(plenty, asked=12, rules=RULES) == 0


def turn(seq, row, answer, *, swapped=False, reason="info"):
    return Turn(Question(seq, row, swapped, reason), answer)


def test_consistency_compares_repeats_with_the_first_answer_to_the_same_pair():
    turns = [
        turn(0, 4, "left"), turn(1, 5, "left"), turn(2, 6, "skip"), turn(3, 7, "tie"),
        turn(4, 4, "right", swapped=True, reason="repeat"),
        turn(5, 5, "left", swapped=True, reason="repeat"),
        turn(6, 7, "skip", swapped=True, reason="repeat"),
    ]  # fmt: skip
    assert consistency(turns) == (1, 2)


def test_carelessness_is_bayes_rule_on_the_evidence():
    who = Posterior(np.ones(1), np.zeros((1, 3)), np.eye(3)[None], np.log(0.5) * 4 + 2, 0, True, 4)
    expected = 0.1 / (0.1 + 0.9 * np.exp(2))
    assert carelessness(who, Answering(0.05), careless=0.1) == pytest.approx(expected)
    blend = doubted(who, GaussianPrior.single(np.full(3, 5.0), np.eye(3)), Answering(0.05))
    np.testing.assert_allclose(blend.mean, expected * 5.0)
    assert doubted(who, MODEL.prior, Answering(), careless=0.0) is who
    with pytest.raises(InputError, match="careless"):
        carelessness(who, Answering(), careless=1.0)


def test_somebody_who_contradicts_themselves_looks_more_careless_than_somebody_who_does_not():
    steady = [turn(i, i, "left") for i in range(4)] + [turn(4 + i, i, "left") for i in range(4)]
    torn = [turn(i, i, "left") for i in range(4)] + [turn(4 + i, i, "right") for i in range(4)]
    one, two = (
        carelessness(place_person(MODEL, POOL, turns), MODEL.answering) for turns in (steady, torn)
    )
    assert one < 0.1 < two


def test_explanation_names_the_direction_that_the_answers_point_to():
    delta = POOL.delta(MODEL, np.zeros(3))
    rows = np.argsort(-np.abs(delta[:200, 1]))[:8]
    turns = [turn(i, int(r), "left" if delta[r, 1] > 0 else "right") for i, r in enumerate(rows)]
    who = place_person(MODEL, POOL, turns)
    told = explain(MODEL, who, POOL, turns=turns)
    first = told.directions[0]
    assert first.index == 1
    assert first.certainty > 0.9
    assert first.beyond > 0.8
    assert len(first.examples) == 2
    for example in first.examples:
        assert example.p > example.population_p
        number = example.preferred.split()[1]
        side = 1 if example.preferred.startswith("left") else -1
        assert side * delta[int(number), 1] > 0
        assert example.p == pytest.approx(
            preference(MODEL, who, POOL, np.array([example.row]))[0]
            if side > 0
            else 1 - preference(MODEL, who, POOL, np.array([example.row]))[0]
        )
    assert told.answers == 8
    assert 0 < told.effective_answers <= 8
    assert told.information > 0.5
    assert "direction 2" in told.words


def test_examples_of_a_direction_are_of_different_prompts_where_others_tell_as_much():
    delta = POOL.delta(MODEL, np.zeros(3))
    rows = np.argsort(-np.abs(delta[:200, 1]))[:8]
    turns = [turn(i, int(r), "left" if delta[r, 1] > 0 else "right") for i, r in enumerate(rows)]
    who = place_person(MODEL, POOL, turns)
    best, second = (e.row for e in explain(MODEL, who, POOL, turns=turns).directions[0].examples)
    names = ["this"] * len(POOL)
    names[best] = names[second] = "that"
    told = explain(MODEL, who, replace(POOL, prompts=tuple(names)), turns=turns)
    one, two = told.directions[0].examples
    assert (one.row, one.prompt, two.prompt) == (best, "that", "this")
    assert two.row != second


def test_without_answers_there_is_nothing_to_explain():
    told = explain(MODEL, Posterior.from_prior(MODEL.prior), POOL)
    assert told.directions == ()
    assert told.information == pytest.approx(0.0)
    assert told.effective_answers == 0
    assert "Nothing yet" in told.words


def test_calibration_error_is_the_mean_gap_of_equal_bins():
    predicted, happened = np.array([0.11, 0.13, 0.91, 1.0]), np.array([0.0, 1.0, 1.0, 1.0])
    assert calibration_error(predicted, happened) == pytest.approx((0.76 + 0.09) / 4)


def test_paired_difference_brackets_its_mean():
    rng = np.random.default_rng(0)
    second = rng.random(200)
    mean, low, high = paired_difference(second + 0.1 + 0.01 * rng.random(200), second, seed=1)
    assert low < mean < high
    assert low > 0.1
    assert high - low < 0.002
