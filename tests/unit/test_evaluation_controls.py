"""Each control finds what it is for, and nothing where there is nothing."""

from dataclasses import replace

import numpy as np
import pytest

from gustibus.data import Split, given_split
from gustibus.data.comparisons import Comparisons
from gustibus.data.dataset import Dataset
from gustibus.data.synthetic import linear_mixture_world
from gustibus.evaluation import Modelled, Resamples, fit_linear
from gustibus.evaluation.controls import (
    always_first,
    duplicates,
    label_flip,
    plain,
    user_swap,
)
from gustibus.evaluation.findings import data_controls
from gustibus.evaluation.judging import Judge
from gustibus.evaluation.protocol import Trial, judge_curve
from gustibus.evaluation.rows import fitting_sets
from gustibus.evaluation.surface import MARKS, length_rule, surface_features


def trial_of(concentration, *, noise=0.0, seed=0, support=24):
    dataset, _ = linear_mixture_world(
        seen=30, new=60, train=30, test=30, support=support, query=60, seed=seed,
        concentration=concentration,
    )  # fmt: skip
    c = dataset.comparisons
    if noise:
        wrong = np.random.default_rng(seed).random(len(c)) < noise
        c = replace(c, target=np.where(wrong, 1 - c.target, c.target))
        dataset = replace(dataset, comparisons=c)
    split = given_split(dataset, seed=0, repeats="drop")
    trial = Trial(dataset, split, (0, 5), 5, seed)
    model = replace(fit_linear(*fitting_sets(dataset, split)), spread=0.3)
    return trial, Modelled("shrunk", model, dataset)


def judged(trial, one):
    return Judge(trial, 5, 1000).method(one)[0]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_swapping_people_costs_accuracy_where_they_differ(seed):
    trial, one = trial_of(0.1, seed=seed)
    swapped = user_swap(trial, one, "query")
    drop = Resamples(60).mean(swapped.own - swapped.other)
    assert drop.low > 0.05
    assert drop.people == 60


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_swapping_people_costs_nothing_where_all_are_alike(seed):
    trial, one = trial_of(1e6, noise=0.2, seed=seed)
    swapped = user_swap(trial, one, "query")
    drop = Resamples(60).mean(swapped.own - swapped.other)
    assert drop.low <= 0 <= drop.high
    assert abs(drop.value) < 0.02
    assert (swapped.own != swapped.other).any()  # answers were swapped all the same


def test_swaps_at_a_number_of_shots_use_the_draws_of_the_curve():
    trial, one = trial_of(0.1, support=24)
    swapped = user_swap(trial, one, "query", 5)
    drop = Resamples(60).mean(swapped.own - swapped.other)
    everything = user_swap(trial, one, "query")
    assert drop.low > 0
    assert drop.value < np.mean(everything.own - everything.other)  # five answers say less than 24
    curve = {shot.size: shot for shot in judge_curve(trial, one)}
    np.testing.assert_allclose(swapped.own, curve[5].scores["query"].accuracy)


def test_nobody_is_swapped_at_more_shots_than_people_have():
    trial, one = trial_of(0.1, support=4)
    assert np.isnan(user_swap(trial, one, "query", 5).own).all()


def test_people_are_swapped_within_what_they_were_asked_about():
    trial, one = trial_of(0.1)
    c = trial.dataset.comparisons
    half = (c.user % 2).astype(np.int32)
    two = replace(trial.dataset, comparisons=replace(c, prompt=half))
    trial, one = replace(trial, dataset=two), replace(one, dataset=two)
    assert user_swap(trial, one, "query").within_prompts
    alone = np.where(c.user == trial.new.people[0], 2, half).astype(np.int32)
    lone = replace(trial.dataset, comparisons=replace(c, prompt=alone))
    swapped = user_swap(replace(trial, dataset=lone), replace(one, dataset=lone), "query")
    assert np.isnan(swapped.own[0])
    assert np.isfinite(swapped.own[1:]).all()


def test_opposite_answers_turn_most_predictions_of_personal_data_and_few_of_pooled_data():
    personal = label_flip(*trial_of(0.1, support=64), "query")
    assert np.mean(personal.share) > 0.7
    assert np.mean(personal.scores.accuracy) < 0.5
    trial, one = trial_of(1e6, noise=0.2)
    weak = replace(one, model=replace(one.model, spread=0.02))
    assert np.mean(label_flip(trial, weak, "query").share) < 0.2


def test_whether_well_over_half_of_the_predictions_turn_is_said_by_the_whole_interval():
    personal = judged(*trial_of(0.1, support=64))
    assert personal.flip.turned
    assert personal.flip.share.low > 0.5
    trial, one = trial_of(0.1, support=64)
    timid = judged(trial, replace(one, model=replace(one.model, spread=0.05)))
    assert not timid.flip.turned


def test_always_a_is_right_half_of_the_time_where_sides_are_random_and_not_where_they_are_not():
    trial, _ = trial_of(0.1)
    right, rows = always_first(trial)
    assert right.sum() / rows.sum() == pytest.approx(0.5, abs=0.03)
    c = trial.dataset.comparisons
    sided = replace(c, a=np.where(c.target > 0.5, c.a, c.b), b=np.where(c.target > 0.5, c.b, c.a),
                    target=np.ones_like(c.target))  # fmt: skip
    trial = replace(trial, dataset=replace(trial.dataset, comparisons=sided))
    found = data_controls(Judge(trial, 5, 1000), fitting_sets(trial.dataset, trial.split)[0])
    assert {c.name: c.passed for c in found}["position"] is False


def texts_world(prefers):
    """People who choose by a property of the texts; `prefers(text)` is larger for the chosen."""
    rng = np.random.default_rng(0)
    texts = [
        " ".join("word" for _ in range(rng.integers(1, 40))) + ("!" if rng.random() < 0.5 else ".")
        for _ in range(300)
    ]
    ids = {f"i{k}": text for k, text in enumerate(texts)}
    names = list(ids)
    people, rows = 40, 30
    a = rng.integers(0, 300, people * rows)
    b = (a + rng.integers(1, 300, people * rows)) % 300
    target = [float(prefers(texts[i]) > prefers(texts[k])) for i, k in zip(a, b, strict=True)]
    user = np.repeat(np.arange(people), rows)
    part = np.where(user < 20, np.where(np.arange(len(user)) % 2, "train", "test"),
                    np.where(np.arange(len(user)) % 2, "support", "query"))  # fmt: skip
    c = Comparisons.build(
        user=[f"u{u}" for u in user], prompt=[""] * len(user), a=[names[i] for i in a],
        b=[names[i] for i in b], target=target, split=part.astype(object), item_texts=ids,
    )  # fmt: skip
    features = rng.standard_normal((300, 4)).astype(np.float32)
    dataset = Dataset(c, item_features=features, item_new=np.zeros(300, bool))
    split = given_split(dataset, seed=0, repeats="drop", valid_people=0)
    return Judge(Trial(dataset, split, (0, 5), 2, 0), 5, 1000), fitting_sets(dataset, split)[0]


def test_a_format_that_tells_more_than_length_fails_the_surface_control():
    judge, train = texts_world(lambda text: text.count("!") + len(text) / 1000)
    found = {c.name: c for c in data_controls(judge, train)}
    assert found["surface"].passed is False


def test_length_alone_passes_the_surface_control_and_is_what_the_length_rule_finds():
    judge, train = texts_world(lambda text: -len(text))
    found = {c.name: c for c in data_controls(judge, train)}
    assert found["surface"].passed is True
    c = judge.trial.dataset.comparisons
    rows = judge.trial.split["query"]
    margin = length_rule(judge.trial.dataset, train).margin[rows]
    differ = np.array([len(c.item_texts[a]) != len(c.item_texts[b])
                       for a, b in zip(c.a[rows], c.b[rows], strict=True)])  # fmt: skip
    assert ((margin > 0) == (c.target[rows] > 0.5))[differ].all()


def test_surface_features_count_marks():
    found = np.expm1(surface_features(('- a [b]\n2) "c"!', "")))
    assert found[1].tolist() == [0.0] * (1 + len(MARKS))
    by = dict(zip(("chars", *MARKS), np.round(found[0]).astype(int).tolist(), strict=True))
    assert by["chars"] == 15
    assert [by[m] for m in MARKS[:6]] == [4, 3, 2, 2, 1, 1]


def test_texts_that_differ_by_case_and_spaces_only_are_duplicates():
    assert plain("  Crème  BRÛLÉE ") == "creme brulee"
    texts = {"x": "One joke", "y": "another", "z": "one  JOKE", "w": "a third"}
    c = Comparisons.build(
        user=["s", "s"], prompt=["", ""], a=["x", "z"], b=["y", "w"], target=[1, 0],
        item_texts=texts,
    )  # fmt: skip
    split = Split({"train": np.array([0]), "test_new_items": np.array([1])}, "item")
    assert duplicates(Dataset(c), split) == 1
    same = Split({"train": np.array([0]), "test": np.array([1])}, "item")
    assert duplicates(Dataset(c), same) == 0
