"""Objectives take lists, arrays and tensors, and refuse what they cannot use."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gustibus import ops
from gustibus.errors import DimensionError, InputError, NotFiniteError
from gustibus.methods import METHODS
from gustibus.objectives.tensors import takes


@takes(s="*b n", t="*b", k="int *b", mask="bool *b n")
def echo(s, t=None, k=None, mask=None):
    return s, t, k, mask


def test_plain_numbers_give_float64_arrays():
    found = ops.bt_pair([1, 2], np.array([0.5, 1.0], np.float32))
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float64
    assert isinstance(ops.bt_pair(1, 0), float)


def test_tensors_give_tensors_that_can_be_differentiated():
    r_w = torch.tensor([1.0, 2.0], requires_grad=True)
    loss = ops.bt_pair(r_w, [0.5, 1.0])
    assert isinstance(loss, torch.Tensor)
    assert loss.dtype == torch.float32
    loss.sum().backward()
    assert r_w.grad is not None


def test_half_precision_is_computed_in_single():
    assert ops.bt_pair(torch.ones(2, dtype=torch.bfloat16), 0).dtype == torch.float32


def test_the_wider_of_two_kinds_of_tensors_wins():
    loss = ops.bt_pair(torch.ones(2), torch.zeros(2, dtype=torch.float64))
    assert loss.dtype == torch.float64


def test_named_tuples_stay_what_they_are():
    s, t, k, mask = echo([[1, 2]], k=[3], mask=[[True, False]])
    assert s.dtype == np.float64
    assert t is None
    assert k.dtype == np.int64
    assert mask.dtype == np.bool_


def test_leading_axes_may_be_absent():
    s, t, _, _ = echo(torch.zeros(2, 3, 4), t=1.0)
    assert s.shape == (2, 3, 4)
    assert t.shape == ()


@pytest.mark.parametrize("value", [[1.0, float("nan")], [float("inf"), 0.0]])
@pytest.mark.parametrize("kind", [list, np.array, torch.tensor])
def test_what_is_not_finite_is_refused_with_its_place(value, kind):
    place = 1 if np.isnan(value[1]) else 0
    with pytest.raises(NotFiniteError, match=rf"r_w: expected finite .* at \({place},\)"):
        ops.bt_pair(kind(value), 0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"s": 1.0}, r"s: expected shape \(\*b, n\), got \(\)"),
        ({"s": [1, 2], "mask": [True]}, r"mask: .* with n = 2 as in s, got \(1,\)"),
        ({"s": [[1, 2]], "t": [1, 2]}, r"t: .* with \*b = \(1,\) as in s, got \(2,\)"),
        ({"s": [[1], [1]], "t": [[1, 2]]}, r"t: .* with \*b = \(2,\) as in s, got \(1, 2\)"),
    ],
)
def test_wrong_shapes_are_refused_by_name(given, message):
    with pytest.raises(DimensionError, match=message):
        echo(**given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"s": ["x"]}, "s: expected numbers"),
        ({"s": [[1], [1, 2]]}, "s: expected numbers in rows of equal length, got list"),
        ({"s": [1.0], "k": 1.5}, "k: expected whole numbers"),
        ({"s": [1.0], "mask": [2]}, "mask: expected true or false"),
        ({"s": None}, "s: expected numbers .* got NoneType"),
    ],
)
def test_wrong_values_are_refused_by_name(given, message):
    with pytest.raises(InputError, match=message):
        echo(**given)


def test_a_rank_without_leading_axes_is_exact():
    with pytest.raises(DimensionError, match=r"P: .* with n = 2"):
        ops.win_matrix_labels([[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]])


HOME = "tests/unit/test_objectives_"


@pytest.mark.parametrize("name", sorted(dir(ops)))
def test_the_example_of_every_objective_runs(name):
    row = METHODS[name].run
    if not row.check.startswith(HOME):
        pytest.skip("of another table")
    result = eval(row.example, {"ops": ops})
    if isinstance(result, (float, np.ndarray)):
        assert np.isfinite(result).all()
    else:
        assert result


@pytest.mark.parametrize("name", sorted(dir(ops)))
def test_the_check_of_every_objective_exists(name, request):
    row = METHODS[name].run
    if not row.check.startswith(HOME):
        pytest.skip("of another table")
    file, function = row.check.split("::")
    assert f"def {function}(" in (request.config.rootpath / file).read_text()
