import numpy as np
import pytest

from gustibus.errors import InputError
from gustibus.onboarding import QuestionPool, Settings
from gustibus.onboarding.pool import Linear
from gustibus.onboarding.simulation import People, paired_difference, place_everybody, simulate
from tests.unit.test_onboarding_pool import model_of

DIM, SCALE = 6, 2.0 * np.arange(1, 7.0) ** -0.5


def world(people, lapse, seed=0):
    rng = np.random.default_rng(seed)
    model = model_of(DIM)
    a, b = (rng.standard_normal((400, DIM)).astype(np.float32) * SCALE.astype(np.float32)
            for _ in range(2))  # fmt: skip
    names = tuple(str(i) for i in range(400))
    pool = QuestionPool(
        model.represent(a / np.float32(1.4)), model.represent(b / np.float32(1.4)),
        names, names, names, names,
    )  # fmt: skip
    judged = Linear(rng.standard_normal((200, DIM)) * SCALE, np.zeros(200))
    users = rng.standard_normal((people, DIM))
    truth = People(
        users @ pool.delta(model, np.zeros(DIM)).T, users @ judged.delta.T, lapse, seed + 1
    )
    return model, pool, judged, truth


def curve(rule, people=80, lapse=0.05, **options):
    model, pool, judged, truth = world(people, lapse)
    settings = Settings(seed=5, strategy=rule, controls=options.pop("controls", False))
    return simulate(
        model, pool, judged, truth, settings=settings, lengths=(0, 5, 10, 20), **options
    )


def test_d_optimal_questions_beat_random_ones_at_every_length():
    best, control = curve("d_opt"), curve("random")
    for length in (1, 2, 3):
        _, low, _ = paired_difference(best.accuracy[:, length], control.accuracy[:, length], seed=0)
        assert low > 0
    assert best.accuracy[:, 2].mean() > control.accuracy[:, 2].mean() + 0.02
    assert best.calibration[2:].max() < 0.05


def test_with_many_slips_chosen_questions_are_still_no_worse_than_random_ones():
    control = curve("random", lapse=0.1)
    for rule in ("d_opt", "information"):
        gap = (curve(rule, lapse=0.1).accuracy - control.accuracy).mean(0)
        assert (gap >= 0).all()


def test_without_answers_everybody_is_the_population():
    first = curve("d_opt", people=10).accuracy[:, 0]
    np.testing.assert_allclose(first, 0.5, atol=1e-12)


def test_the_exposure_cap_holds_over_a_whole_population():
    shown = curve("d_opt", people=60, capped=True, controls=True).shown
    assert shown.max() <= 3
    assert curve("d_opt", people=60).shown.max() > 3


def test_simulation_is_the_same_for_the_same_seeds():
    one, two = curve("information", people=10), curve("information", people=10)
    np.testing.assert_array_equal(one.accuracy, two.accuracy)


def test_people_are_placed_together_as_they_would_be_alone():
    model, pool, _, _ = world(2, 0.0)
    from gustibus.onboarding import Session, place_person, replay

    sessions = [
        replay(model, pool, Settings(seed=1), ["left", "skip", "right"]),
        Session(Settings(seed=2)),
        replay(model, pool, Settings(seed=3), ["tie", "left"]),
    ]
    for session, posterior in zip(sessions, place_everybody(model, pool, sessions), strict=True):
        alone = place_person(model, pool, session.turns)
        np.testing.assert_allclose(posterior.mean, alone.mean, atol=1e-12)
        assert posterior.comparisons == alone.comparisons


def test_bad_lengths_and_strangers_are_refused():
    model, pool, judged, truth = world(2, 0.0)
    settings = Settings(seed=0)
    with pytest.raises(InputError, match="lengths"):
        simulate(model, pool, judged, truth, settings=settings, lengths=(5, 2))
    other = People(truth.pool[:, :7], truth.judged, 0.0, 0)
    with pytest.raises(InputError, match="people: expected 400 pool"):
        simulate(model, pool, judged, other, settings=settings, lengths=(2,))
