import json
from dataclasses import replace

import numpy as np
import pytest

from gustibus.errors import ConflictError, InputError, UnknownNameError
from gustibus.models.bt import BradleyTerry
from gustibus.models.network import Network
from gustibus.onboarding import (
    ANSWERS,
    Exposure,
    Question,
    QuestionPool,
    Session,
    Settings,
    Stopping,
    Turn,
    advance,
    evidence,
    next_question,
    place_person,
    replay,
)
from gustibus.onboarding.session import slot
from tests.unit.test_onboarding_pool import model_of, pool_of

MODEL = model_of(3)
POOL = pool_of(MODEL, 120, held_out=20)
LONG = Stopping(min_questions=40, max_questions=40)


def run(answers, settings=None, **options):
    return replay(MODEL, POOL, settings or Settings(seed=7, stopping=LONG), answers, **options)


def some_answers(count, seed=0):
    return [str(a) for a in np.random.default_rng(seed).choice(ANSWERS[:4], count)]


def test_a_session_never_repeats_a_pair_except_on_purpose():
    for seed in range(5):
        turns = run(some_answers(40, seed), Settings(seed=seed, stopping=LONG)).turns
        fresh = [t.question.row for t in turns if t.question.reason != "repeat"]
        again = [t.question.row for t in turns if t.question.reason == "repeat"]
        assert len(set(fresh)) == len(fresh)
        assert len(set(again)) == len(again) == 4
        assert set(again) <= set(fresh)


def test_of_every_ten_questions_one_is_random_and_one_is_a_repeat_with_sides_swapped():
    turns = run(some_answers(40)).turns
    for start in range(0, 40, 10):
        reasons = [t.question.reason for t in turns[start : start + 10]]
        assert reasons.count("random") == 1
        assert reasons.count("repeat") == 1
    first = {}
    for turn in turns:
        question = turn.question
        if question.reason == "repeat":
            assert question.swapped is not first[question.row].swapped
            assert question.seq - first[question.row].seq >= 3
        else:
            first[question.row] = question


def test_repeats_begin_at_eight_questions_and_the_first_question_is_never_random():
    for seed in range(200):
        reasons = [slot(seq, seed) for seq in range(10)]
        assert reasons[0] == "info"
        assert reasons.index("repeat") in (8, 9)


def test_skipped_pairs_do_not_come_back_as_repeats():
    turns = run(["skip"] * 20).turns
    assert all(t.question.reason != "repeat" for t in turns)
    assert len({t.question.row for t in turns}) == 20


def test_first_question_is_the_same_for_everybody_and_later_ones_are_not():
    firsts, seconds, sides = set(), set(), set()
    for seed in range(30):
        session = Session(Settings(seed=seed, stopping=LONG))
        worn = Exposure(np.full(120, 10), 20)
        first = next_question(MODEL, POOL, session, exposure=worn if seed % 2 else None)
        firsts.add(first)
        second = next_question(MODEL, POOL, session.answered(first, "left"))
        seconds.add(second.row)
        sides.add(second.swapped)
    assert len(firsts) == 1
    assert len(seconds) > 1
    assert sides == {True, False}


def test_another_process_asks_the_same_questions():
    answers = some_answers(15)
    session = run(answers)
    fresh_pool = QuestionPool.load(*POOL.save())
    stored = json.loads(json.dumps([turn.save() for turn in session.turns]))
    again = Session(session.settings, tuple(Turn.load(value) for value in stored))
    assert again == session
    assert next_question(model_of(3), fresh_pool, again) == next_question(MODEL, POOL, session)
    assert replay(model_of(3), fresh_pool, session.settings, answers) == session


def test_undoing_an_answer_equals_never_having_given_it():
    settings = Settings(seed=3, stopping=LONG)
    before = run(some_answers(6), settings)
    step = advance(MODEL, POOL, before)
    undone = before.answered(step.question, "left").ended().undone()
    assert undone == before
    assert advance(MODEL, POOL, undone).question == step.question
    np.testing.assert_array_equal(advance(MODEL, POOL, undone).posterior.mean, step.posterior.mean)


def test_an_earlier_answer_can_be_changed_in_place():
    session = run(["left"] * 4)
    question = session.turns[1].question
    changed = session.answered(question, "skip")
    assert [t.answer for t in changed.turns] == ["left", "skip", "left", "left"]
    stranger = replace(question, row=question.row + 1)
    with pytest.raises(ConflictError, match="number 4 or one asked before"):
        session.answered(stranger, "left")


def test_skipping_says_nothing_and_ties_and_both_bad_say_one_half():
    questions = [Question(i, i, swapped=False, reason="info") for i in range(5)]
    turns = [Turn(q, answer) for q, answer in zip(questions, ANSWERS, strict=True)]
    rows = evidence(POOL, turns)
    assert rows.target.tolist() == [1.0, 0.0, 0.5, 0.5]
    np.testing.assert_array_equal(rows.a, POOL.a[:4])
    skipped = place_person(MODEL, POOL, [turns[4]])
    np.testing.assert_array_equal(skipped.mean, MODEL.prior.mean)
    np.testing.assert_array_equal(skipped.covariance, MODEL.prior.covariance)


def test_what_counts_is_the_pair_and_not_the_side_it_was_shown_on():
    shown = Turn(Question(0, 5, swapped=False, reason="info"), "left")
    turned = Turn(Question(0, 5, swapped=True, reason="info"), "right")
    assert shown.target == turned.target == 1.0
    view = turned.question.show(POOL)
    assert view == {
        "id": "p5", "seq": 0, "prompt": "which?", "left": {"text": "right 5"},
        "right": {"text": "left 5"}, "reason": "info",
    }  # fmt: skip


def test_earlier_answers_of_a_person_count_as_if_given_here():
    turns = run(["left", "right", "left"]).turns
    earlier = evidence(POOL, turns[:2])
    np.testing.assert_allclose(
        place_person(MODEL, POOL, turns[2:], earlier=earlier).mean,
        place_person(MODEL, POOL, turns).mean,
        atol=1e-9,
    )


def test_session_ends_at_the_most_questions_and_says_why():
    settings = Settings(seed=0, stopping=Stopping(3, 3))
    step = advance(MODEL, POOL, run(["left"] * 3, settings))
    assert (step.question, step.stop) == (None, "max_questions")
    assert (step.progress.answered, step.progress.expected_remaining) == (3, 0)
    with pytest.raises(ConflictError, match="max_questions"):
        run(["left"] * 4, settings)


def test_session_ends_when_the_person_says_so_or_nothing_is_left():
    session = run(["left"] * 3)
    assert advance(MODEL, POOL, session.ended()).stop == "person"
    tiny = pool_of(MODEL, 2)
    done = replay(MODEL, tiny, Settings(seed=0, stopping=LONG), ["left", "right"])
    assert advance(MODEL, tiny, done).stop == "exhausted"


def test_session_does_not_end_before_the_least_questions():
    sure = replace(MODEL, prior=replace(MODEL.prior, covariances=1e-6 * MODEL.prior.covariances))
    settings = Settings(seed=0, stopping=Stopping(2, 12))
    session = Session(settings)
    for _ in range(2):
        step = advance(sure, POOL, session)
        assert step.stop is None
        session = session.answered(step.question, "left")
    assert advance(sure, POOL, session).stop == "information"


def test_progress_counts_down_to_the_end():
    session, seen = Session(Settings(seed=1)), []
    while (step := advance(MODEL, POOL, session)).question is not None:
        assert step.progress.answered + step.progress.expected_remaining <= 12
        assert step.progress.expected_remaining >= 1
        assert 0.5 <= step.progress.confidence <= 1.0
        seen.append(step.progress.confidence)
        session = session.answered(step.question, "left")
    assert step.progress.expected_remaining == 0
    assert seen[-1] > seen[0]


def test_a_model_without_people_has_nothing_to_ask_after_the_least_questions():
    network = Network((np.ones((3, 1), np.float32),), (np.zeros(1, np.float32),))
    shared = BradleyTerry(network, np.zeros(3, np.float32), MODEL.answering)
    rng = np.random.default_rng(0)
    a, b = (shared.represent(rng.standard_normal((9, 3)).astype(np.float32)) for _ in range(2))
    names = tuple("abcdefghi")
    pool = QuestionPool(a, b, names, names, names, names)
    session = replay(shared, pool, Settings(seed=0), ["left", "right"])
    step = advance(shared, pool, session)
    assert step.question is None
    assert 0.5 < step.progress.confidence < 1.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Settings(seed=-1), "seed"),
        (lambda: Turn(Question(0, 0, swapped=False, reason="info"), "up"), "answer: expected"),
        (lambda: Turn(Question(0, 0, swapped=False, reason="info"), "left", -5), "ms"),
        (lambda: Stopping(5, 4), "min_questions"),
        (lambda: Stopping(ahead=0), "ahead"),
    ],
)
def test_bad_values_are_refused_by_name(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_unknown_strategies_and_rows_of_another_pool_are_refused():
    with pytest.raises(UnknownNameError, match="d_opt"):
        Settings(seed=0, strategy="d-opt")
    stray = Session(
        Settings(seed=0), (Turn(Question(0, 500, swapped=False, reason="info"), "left"),)
    )
    with pytest.raises(InputError, match="rows from 0 to 119"):
        advance(MODEL, POOL, stray)
    with pytest.raises(InputError, match="exposure"):
        advance(MODEL, POOL, Session(Settings(seed=0)), exposure=Exposure(np.zeros(2), 1))
