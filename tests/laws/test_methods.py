"""Laws of every published method: NaN is refused by name, and one call is the batch of single calls."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
import torch

from gustibus import ops
from gustibus.errors import GustibusError
from gustibus.methods import METHODS

NAMES = sorted(dir(ops))  # imports every package that lists methods


class _Caught:
    """`ops` with one method that notes what its example passes."""

    def __init__(self, name):
        self.name, self.given = name, []

    def __getattr__(self, name):
        run = METHODS[name].run.run
        if name != self.name:
            return run

        def noted(*args, **kwargs):
            self.given.append(inspect.signature(run).bind(*args, **kwargs).arguments)
            return run(*args, **kwargs)

        return noted


def arguments_of(name):
    """The arguments of a method's own example, by name."""
    caught = _Caught(name)
    exec(METHODS[name].run.example, {"ops": caught, "np": np})
    return caught.given[0]


def spoilt(value):
    """The value with NaN for its first number; None where it holds no number."""
    if isinstance(value, bool | str) or value is None:
        return None
    if isinstance(value, int | float):
        return math.nan
    if isinstance(value, np.ndarray):
        return None if value.dtype.kind not in "fi" else spoilt(value.tolist())
    if isinstance(value, list | tuple):
        for at, part in enumerate(value):
            bad = spoilt(part)
            if bad is not None:
                return [*value[:at], bad, *value[at + 1 :]]
    return None


@pytest.mark.parametrize("name", NAMES)
def test_nan_in_any_argument_is_refused_by_name(name):
    run, given = METHODS[name].run.run, arguments_of(name)
    for argument, value in given.items():
        bad = spoilt(value)
        if bad is None:
            continue
        with pytest.raises(GustibusError) as raised:
            run(**{**given, argument: bad})
        said = str(raised.value)
        assert argument in said or "nan" in said.lower(), (argument, said)


def lists_of(given):
    """Names of the arguments that are lists."""
    return [name for name, value in given.items() if isinstance(value, list | tuple | np.ndarray)]


def finite_or_refused(run, given):
    """Whether a call gives finite numbers, or says in an error of gustibus what is wrong."""
    try:
        found = run(**given)
    except GustibusError:
        return True
    if found is None:
        return True
    try:
        return bool(np.isfinite(np.asarray(found, float)).all())
    except (TypeError, ValueError):  # not numbers
        return True


@pytest.mark.parametrize("name", NAMES)
def test_empty_lists_give_numbers_or_a_clear_error(name):
    run, given = METHODS[name].run.run, arguments_of(name)
    lists = lists_of(given)
    for emptied in ([lists] if len(lists) > 1 else []) + [[one] for one in lists]:
        assert finite_or_refused(run, {**given, **{one: [] for one in emptied}}), emptied


@pytest.mark.parametrize("name", NAMES)
def test_lists_of_other_lengths_and_of_other_things_give_a_clear_error(name):
    run, given = METHODS[name].run.run, arguments_of(name)
    for argument in lists_of(given):
        value = list(given[argument])
        for other in (value[:-1], [[1.0], [1.0, 2.0]], "x", [None], [object()]):
            assert finite_or_refused(run, {**given, argument: other}), (argument, other)


@pytest.mark.parametrize("name", NAMES)
def test_rows_that_are_all_alike_give_numbers(name):
    run, given = METHODS[name].run.run, arguments_of(name)
    tied = {
        argument: [value[0]] * len(value) if isinstance(value, list) and value else value
        for argument, value in given.items()
    }
    assert finite_or_refused(run, tied)


NAMED = {  # of rewards, selection, evaluation and data tools: the names by which inputs are given
    "lsc": "r ref", "ref_quantile": "refs q method", "par": "r refs k",
    "centred": "r refs", "mean_std": "r refs", "min_max": "r refs", "clip": "r refs",
    "tanh": "r refs", "arctan": "r refs", "shifted_sigmoid": "r refs", "ceiling": "r c",
    "length_penalty": "r length limit rate", "unlikeliness": "rewards mean_logps beta",
    "relevance_reward": "relevance n_words unique_trigrams total_trigrams open_ended",
    "group_win_rate": "matrix", "and_combine": "rewards refs", "or_combine": "rewards refs",
    "weighted_log_sigmoid": "rewards refs weights", "linear_sum": "rewards refs weights",
    "minimum": "rewards refs", "gaussian_preference": "m1 v1 m2 v2 link",
    "gaussian_preference_approx": "m1 v1 m2 v2", "entropy_hinge": "v eta",
    "transfer_labels": "T Z j j2", "follow_up_reward": "pos neg", "mine_pair": "rewards min_gap",
    "sift": "pairs winners scores", "best_of_n": "answers rewards k",
    "majority_vote": "answers k", "best_of_majority": "answers rewards alpha k",
    "pass_at_k": "n c k", "ranking_accuracy": "pi_w pi_l len_w len_l tie",
    "idealized_log_ratio": "ref_w ref_l alpha beta",
    "idealized_accuracy": "ref_w ref_l alpha beta",
    "alignment_gap": "pi_w pi_l ref_w ref_l alpha beta", "flip_threshold": "ref_w ref_l beta",
    "pair_ece": "margins bins", "pair_brier": "margins", "position_entropy": "pairs",
    "position_calibrated_scores": "pairs", "conflict_rate": "verdict swapped",
    "property_effect_percent": "alpha", "laplace_log_posterior": "x y alpha scale",
    "drift_time": "shares", "rubric_scores": "points verdicts",
    "preference_strength": "scores_w scores_l", "ches": "h_w h_l length_normalize",
    "rank_consistency": "a b kind", "rank_labels_from_rewards": "rewards",
    "stance_shift": "before after target k",
}  # fmt: skip


@pytest.mark.parametrize("name", NAMED)
def test_inputs_are_given_by_the_names_of_the_field(name):
    parameters = list(inspect.signature(getattr(ops, name)).parameters)
    wanted = NAMED[name].split()
    assert parameters[: len(wanted)] == wanted


SHARES = np.array([[0.5, 0.9, 0.2], [0.1, 0.5, 0.7], [0.8, 0.3, 0.5]])
BATCHED = {  # what is stacked, and what stays as it is
    "lsc": ({"r": [-1.0, 0.5, 4.0]}, {"ref": 0.5}),
    "ref_quantile": ({"refs": [0.1, -0.4, 0.9]}, {}),
    "length_penalty": ({"r": [1.0, 2.0], "length": [50.0, 150.0]}, {"limit": 100.0}),
    "unlikeliness": ({"rewards": [1.0, 0.0, 1.0], "mean_logps": [-0.2, -0.5, -1.4]}, {}),
    "group_win_rate": ({"matrix": SHARES}, {}),
    "and_combine": ({"rewards": [1.2, -0.3]}, {"refs": [0.4, 0.1]}),
    "or_combine": ({"rewards": [1.2, -0.3]}, {"refs": [0.4, 0.1]}),
    "weighted_log_sigmoid": ({"rewards": [1.2, -0.3]}, {"refs": [0.4, 0.1], "weights": [2.0, 1.0]}),
    "linear_sum": ({"rewards": [1.2, -0.3]}, {"refs": [0.4, 0.1], "weights": [2.0, 1.0]}),
    "minimum": ({"rewards": [1.2, -0.3]}, {"refs": [0.4, 0.1]}),
    "gaussian_preference": ({"m1": 1.0, "v1": 0.5, "m2": 0.2, "v2": 0.4}, {"link": "logit"}),
    "gaussian_preference_approx": ({"m1": 1.0, "v1": 0.5, "m2": 0.2, "v2": 0.4}, {}),
    "idealized_log_ratio": ({"ref_w": -29.0, "ref_l": -27.0, "alpha": 0.8}, {"beta": 0.5}),
    "flip_threshold": ({"ref_w": -29.0, "ref_l": -27.0}, {}),
    "position_entropy": ({"pairs": [[8.0, 7.98], [7.0, 7.0], [6.0, 8.0], [7.0, 7.01]]}, {}),
    "position_calibrated_scores": ({"pairs": [[8.0, 7.0], [7.0, 7.0], [6.0, 8.0]]}, {}),
    "property_effect_percent": ({"alpha": [0.0, 0.25, -0.6]}, {}),
    "rank_consistency": ({"a": [0.3, 0.34, 0.32, 0.31], "b": [0.2, 0.24, 0.22, 0.23]}, {}),
    "ches": ({"h_w": [[0.5, 0.1], [0.2, -0.3]], "h_l": [[0.5, 0.1], [0.3, 0.4]]}, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", BATCHED)
def test_a_batch_gives_what_its_rows_give_one_by_one_and_in_two_parts(name):
    run, (single, rest) = getattr(ops, name), BATCHED[name]
    rng = np.random.default_rng(0)
    rows = [
        {n: np.asarray(v) + 0.04 * row * rng.uniform(-1, 1, np.shape(v)) for n, v in single.items()}
        for row in range(3)
    ]
    alone = np.array([run(**row, **rest) for row in rows])
    assert len({tuple(np.ravel(one).round(9)) for one in alone}) == 3  # rows that can be told apart
    whole = {n: np.stack([row[n] for row in rows]) for n in single}
    np.testing.assert_allclose(run(**whole, **rest), alone, rtol=1e-12, atol=1e-14)
    parts = [
        run(**{n: v[part] for n, v in whole.items()}, **rest) for part in (np.s_[:1], np.s_[1:])
    ]
    np.testing.assert_allclose(np.concatenate(parts), alone, rtol=1e-12, atol=1e-14)


TENSORS = ("lsc", "ref_quantile", "and_combine", "or_combine", "linear_sum", "unlikeliness")


@pytest.mark.parametrize("name", TENSORS)
def test_tensors_give_the_same_in_double_precision(name):
    run, (single, rest) = getattr(ops, name), BATCHED[name]
    found = run(**{n: torch.tensor(v, dtype=torch.float64) for n, v in single.items()}, **rest)
    np.testing.assert_allclose(found.numpy(), run(**single, **rest), rtol=1e-12)
