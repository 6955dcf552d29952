"""Who is placed on what and judged on what; fast paths equal the slow ones."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from gustibus.data import four_cells, given_split
from gustibus.data.synthetic import bilinear_world, linear_mixture_world
from gustibus.errors import InputError, UnknownNameError
from gustibus.evaluation import Modelled, fit_linear, fit_shrunk
from gustibus.evaluation.baselines import LinearReward, fit_baselines, item_margins
from gustibus.evaluation.contenders import Fixed
from gustibus.evaluation.logistic import Pairs, Span, fit_logistic
from gustibus.evaluation.protocol import Trial, judge_cells, judge_curve
from gustibus.evaluation.rows import Rows, fitting_sets, rows_of, shuffle_users, strata
from gustibus.models import MODELS
from gustibus.models.validation import predictive
from gustibus.posterior import GaussianPrior
from tests.conftest import small_world


def personal_world(seed=0, **options):
    sizes = {"seen": 30, "new": 20, "train": 30, "test": 30, "support": 24, "query": 40}
    dataset, truth = linear_mixture_world(**{**sizes, **options}, seed=seed)
    return dataset, given_split(dataset, seed=0, repeats="drop"), truth


def shrunk(dataset, split, spread=0.3):
    train, valid = fitting_sets(dataset, split)
    return Modelled("shrunk", replace(fit_linear(train, valid), spread=spread), dataset)


# Logistic regression


def test_the_pooled_reward_is_that_of_scikit_learn():
    data = small_world(3, people=20)
    pairs = Pairs.of(data)
    x = data.item_features[pairs.a] - data.item_features[pairs.b]
    both = np.concatenate([x, x])
    label = np.repeat([1, 0], len(x))
    weight = np.concatenate([pairs.weight * pairs.target, pairs.weight * (1 - pairs.target)])
    keep = weight > 0
    theirs = LogisticRegression(C=1 / 5.0, fit_intercept=False, tol=1e-10, max_iter=1000)
    theirs.fit(both[keep], label[keep], sample_weight=weight[keep])
    ours = fit_logistic(data.item_features.astype(float), pairs, ridge=5.0)
    np.testing.assert_allclose(ours, theirs.coef_[0], atol=2e-5)


def test_many_pairs_of_few_items_and_few_pairs_of_many_items_give_equal_fits():
    data = small_world(4, people=4, rows=20)  # 80 pairs of 200 items: no graph of items
    wide = np.zeros((20_000, 6), np.float32)
    wide[:200] = data.item_features
    pairs = Pairs.of(data)
    one = fit_logistic(data.item_features.astype(float), pairs, ridge=2.0)
    two = fit_logistic(wide.astype(float), pairs, ridge=2.0)
    np.testing.assert_allclose(one, two, atol=1e-6)


def test_separable_answers_do_not_break_the_fit():
    data = small_world(5)
    sure = replace(data, target=(data.item_features[data.a] > data.item_features[data.b])[:, 0]
                   .astype(np.float32))  # fmt: skip
    w = fit_logistic(data.item_features.astype(float), Pairs.of(sure), ridge=1e-6)
    assert np.isfinite(w).all()
    assert w[0] > 10 * np.abs(w[1:]).max()


def test_a_span_keeps_distances_up_to_one_factor():
    rng = np.random.default_rng(0)
    items = rng.standard_normal((10, 40)).astype(np.float32)
    span = Span.of(items)
    assert span.turn.shape == (40, 9)
    before = np.linalg.norm(items[:, None] - items, axis=-1)
    after = np.linalg.norm(span(items)[:, None] - span(items), axis=-1)
    factor = after[0, 1] / before[0, 1]
    np.testing.assert_allclose(after, factor * before, rtol=1e-4, atol=1e-4)


# Baselines


def test_shrunk_reward_learns_people_where_they_differ_and_leaves_them_where_they_do_not():
    dataset, split, _ = personal_world()
    train, valid = fitting_sets(dataset, split)
    alike, same, _ = personal_world(concentration=1e6)
    spread = fit_shrunk(train, valid).spread
    assert spread > 2 * fit_shrunk(*fitting_sets(alike, same)).spread
    trial = Trial(dataset, split, (0, 20), 2, 0)
    start, end = judge_curve(trial, shrunk(dataset, split, spread))
    assert np.mean(end.scores["query"].accuracy - start.scores["query"].accuracy) > 0.05


def test_item_means_know_items_by_their_wins_and_new_items_not_at_all():
    dataset, split, _ = personal_world(prompts=5, train=60, test=30, support=20, query=40)
    train, valid = fitting_sets(dataset, split)
    margin = item_margins(dataset, train, valid)
    c, rows = dataset.comparisons, split["test"]
    right = (margin[rows] > 0) == (c.target[rows] > 0.5)
    assert right.mean() > 0.6
    unknown = ~np.isin(c.a, np.concatenate([train.a, train.b]))
    unknown &= ~np.isin(c.b, np.concatenate([train.a, train.b]))
    assert not margin[unknown].any()


def test_an_unknown_baseline_is_refused_with_the_known_ones():
    dataset, split, _ = personal_world()
    with pytest.raises(UnknownNameError, match="shrunk"):
        fit_baselines(("shrink",), dataset, split)


def test_the_baselines_are_saved_and_loaded_like_models():
    dataset, split, _ = personal_world()
    model = shrunk(dataset, split).model
    copy = LinearReward.load(*model.save())
    items = dataset.item_features[:5]
    np.testing.assert_array_equal(copy.represent(items), model.represent(items))


# Predictions


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("name", ["shrunk", "long", "wide-prior", "pal"])
def test_predictions_equal_the_slow_ones_person_by_person(name, flip):
    dataset, split, _ = personal_world(seen=12, new=6)
    one = shrunk(dataset, split)
    if name == "long":
        one = _long(one)
    if name == "wide-prior":
        one = _long(one, scale=1.7)
    if name == "pal":
        data = fitting_sets(dataset, split)[0]
        fitted = MODELS["pal"].run.fit(data, None, seed=0, prototypes=3, epochs=2, form="dist",
                                       loss="hinge")  # fmt: skip
        one = Modelled(name, fitted.model, dataset)
        assert not one.is_linear
    group = Trial(dataset, split).new
    found = one.predict(group.evidence, group.judged, flip=flip)
    c, model = dataset.comparisons, one.model
    for person in range(len(group.people)):
        support, judged = (
            r.row[r.starts[person] : r.starts[person + 1]] for r in (group.evidence, group.judged)
        )
        a, b = (model.represent(dataset.item_features[side[support]]) for side in (c.a, c.b))
        target = c.target[support].astype(float)
        placed = model.place(a, b, 1 - target if flip else target)
        x, y = (model.represent(dataset.item_features[side[judged]]) for side in (c.a, c.b))
        margin, p = predictive(model, placed, np.zeros(len(judged), int), x, y)
        rows = slice(group.judged.starts[person], group.judged.starts[person + 1])
        np.testing.assert_allclose(found.margin[rows], margin, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found.p[rows], p, rtol=1e-5, atol=1e-6)


def _long(one, scale=1.0):
    """The same model in more dimensions than `_LONG`, so that variances take the short way."""
    model = one.model
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.standard_normal((80, 80)))[0][: len(model.weights)]
    wide = LinearReward(
        Span(model.span.center, (model.span.turn @ turn).astype(np.float32)),
        model.weights @ turn, model.spread,
    )  # fmt: skip
    if scale != 1:
        root = np.tril(rng.standard_normal((80, 80)) / 20 + scale * np.eye(80))
        wide.__dict__["prior"] = GaussianPrior.single(rng.standard_normal(80) / 9, root @ root.T)
    assert replace(one, model=wide)._is_long
    return replace(one, model=wide)


def test_blocks_of_people_do_not_change_predictions(monkeypatch):
    dataset, split, _ = personal_world()
    one, group = shrunk(dataset, split), Trial(dataset, split).new
    whole = one.predict(group.evidence, group.judged)
    monkeypatch.setattr("gustibus.evaluation.contenders._BLOCK", 5000)
    assert len(list(one._blocks(group.evidence, group.judged))) > 3
    parts = one.predict(group.evidence, group.judged)
    np.testing.assert_allclose(parts.margin, whole.margin, atol=1e-12)
    np.testing.assert_allclose(parts.p, whole.p, atol=1e-12)


def test_a_model_that_reads_prompts_is_given_them():
    dataset, _ = bilinear_world(seen=10, new=5, train=20, test=10, support=10, query=10, seed=0)
    split = given_split(dataset, seed=0, repeats="drop")
    train, valid = fitting_sets(dataset, split)
    model = (
        MODELS["pal"]
        .run.fit(train, valid, seed=0, variant="b", prototypes=2, epochs=2, form="bilinear")
        .model
    )
    group = Trial(dataset, split).new
    found = Modelled("b", model, dataset).predict(group.evidence, group.judged)
    c, row = dataset.comparisons, group.judged.row[0]
    first = slice(0, group.evidence.starts[1])
    sides = [
        model.represent(dataset.item_features[side[r]], dataset.prompt_features[c.prompt[r]])
        for r in (group.evidence.row[first], np.array([row]))
        for side in (c.a, c.b)
    ]
    placed = model.place(sides[0], sides[1], c.target[group.evidence.row[first]].astype(float))
    margin = model.margin(placed.mean[0], sides[2][0], sides[3][0])
    assert found.margin[0] == pytest.approx(float(margin), rel=1e-5)
    without = Modelled("b", model, replace(dataset, prompt_features=None))
    with pytest.raises(InputError, match="prompt features"):
        without.predict(group.evidence, group.judged)


# The trial


def test_seen_people_are_placed_on_their_fitting_rows_and_new_ones_on_their_support():
    dataset, _ = linear_mixture_world(seen=30, new=20, prompts=60, seed=0)
    c = dataset.comparisons
    split = four_cells(replace(c, split=None), seed=0)
    trial = Trial(dataset, split)
    assert set(trial.seen.cells) == {"test", "test_new_items"}
    assert set(trial.new.cells) == {"query", "query_new_items"}
    assert trial.headline == "query_new_items"
    for group, placing in ((trial.seen, ("train", "val")), (trial.new, ("support",))):
        allowed = np.concatenate([split[n] for n in placing])
        assert np.isin(group.evidence.row, allowed).all()
        assert not np.isin(group.evidence.row, group.judged.row).any()
        for rows in (group.evidence, group.judged):
            np.testing.assert_array_equal(c.user[rows.row], group.people[rows.person])


def test_the_curve_averages_what_single_draws_give_on_the_same_shots():
    dataset, split, _ = personal_world()
    trial, one = Trial(dataset, split, (0, 2, 5), 3, 7), shrunk(dataset, split)
    curve = judge_curve(trial, one)
    group = trial.new
    slow = []
    for draw in range(3):
        rows, starts = trial.shots.take(draw, 5)
        said = one.predict(Rows(rows, starts), group.judged)
        slow.append(group.score(said, "query").accuracy)
    np.testing.assert_allclose(curve[2].scores["query"].accuracy, np.mean(slow, 0))
    assert [shot.size for shot in curve] == [0, 2, 5]
    again = judge_curve(Trial(dataset, split, (0, 2, 5), 3, 7), one)
    np.testing.assert_array_equal(
        again[1].scores["query"].accuracy, curve[1].scores["query"].accuracy
    )


def test_people_with_fewer_answers_than_a_size_are_left_out_of_it_and_counted():
    dataset, split, _ = personal_world(support=10)
    support, user = split["support"], dataset.comparisons.user
    poor = np.unique(user[support])[:4]
    kept = support[~np.isin(user[support], poor) | (np.arange(len(support)) % 2 == 0)]
    split = replace(split, parts={**split.parts, "support": kept})
    curve = {s.size: s for s in judge_curve(Trial(dataset, split, (0, 5, 8, 10, 50), 2, 0),
                                            shrunk(dataset, split))}  # fmt: skip
    assert curve[5].left_out == 0
    assert curve[8].left_out == curve[10].left_out == 4
    assert np.isnan(curve[8].scores["query"].accuracy).sum() == 4
    assert 50 not in curve  # nobody has as many


def test_a_rule_without_people_is_the_same_at_every_size_for_the_people_of_that_size():
    dataset, split, _ = personal_world()
    rule = Fixed("coin", np.random.default_rng(0).standard_normal(len(dataset.comparisons)))
    curve = judge_curve(Trial(dataset, split, (0, 5), 2, 0), rule)
    for one, two in pairwise(curve):
        np.testing.assert_array_equal(one.scores["query"].accuracy, two.scores["query"].accuracy)


def test_rows_of_weight_zero_neither_place_nor_judge():
    dataset, split, _ = personal_world()
    weight = np.ones(len(dataset.comparisons), np.float32)
    out = np.concatenate([split["query"][:50], split["support"][::3]])
    weight[out] = 0
    dataset = replace(dataset, comparisons=replace(dataset.comparisons, weight=weight))
    group = Trial(dataset, split).new
    assert not np.isin(np.concatenate([group.judged.row, group.evidence.row]), out).any()


def test_cells_report_calibration_of_the_rows_that_were_judged():
    dataset, split, _ = personal_world()
    cells = judge_cells(Trial(dataset, split), shrunk(dataset, split))
    for name, (scores, bins) in cells.items():
        assert bins.rows.sum() == scores.rows.sum() == len(split[name])


def test_a_split_that_leaks_or_holds_nothing_out_is_refused():
    dataset, split, _ = personal_world()
    leaking = replace(split, parts={**split.parts, "support": split["query"]})
    with pytest.raises(InputError, match="more than one part"):
        Trial(dataset, leaking)
    with pytest.raises(InputError, match="at least one of"):
        Trial(dataset, replace(split, parts={"train": split["train"]}))


# Rows


def test_rows_are_grouped_by_person_and_taken_in_any_order():
    dataset, split, _ = personal_world()
    people = np.unique(dataset.comparisons.user[split["query"]]).astype(np.int64)
    rows = rows_of(dataset, np.random.default_rng(0).permutation(split["query"]), people)
    turned = rows.of(np.arange(len(people))[::-1])
    np.testing.assert_array_equal(
        turned.row[: turned.starts[1]], rows.row[rows.starts[-2] : rows.starts[-1]]
    )
    assert rows.none().people == rows.people
    assert rows.none().counts.sum() == 0


def test_shuffled_people_keep_their_number_of_rows_and_lose_their_own():
    data = small_world(0)
    marks = np.arange(len(data)) % 3 == 0
    data = replace(data, is_support=marks)
    blind = shuffle_users(data, seed=1)
    for part in (marks, ~marks):
        np.testing.assert_array_equal(
            np.bincount(blind.user[part], minlength=40), np.bincount(data.user[part], minlength=40)
        )
    assert (blind.user != data.user).mean() > 0.9


def test_people_are_alike_where_they_were_asked_about_the_same_prompt():
    dataset, _ = bilinear_world(seen=4, new=6, train=5, test=5, support=5, query=5, seed=0)
    c = dataset.comparisons
    everybody = np.arange(len(c.user_ids))
    rows = rows_of(dataset, np.arange(len(c)), everybody)
    assert len(np.unique(strata(dataset, rows))) == 1  # every row has a prompt of its own
    halves = (c.user % 2).astype(np.int32)
    two = replace(dataset, comparisons=replace(c, prompt=halves))
    np.testing.assert_array_equal(strata(two, rows), everybody % 2)
