"""Every method of the objectives gives its worked numbers, whichever way it is called.

The table beside holds the calls; a method without one is found out by the first test.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from gustibus import ops
from gustibus.errors import InputError
from gustibus.methods import METHODS
from tests.laws.objective_cases import CASES, Case

OF_FUNCTIONS = {"metarm_step", "curriculum_stages"}  # takes functions; gives pairs: tested in units


def named(cases, keep=lambda case: True):
    """Cases with readable names."""
    seen: dict[str, int] = {}
    found = []
    for case in cases:
        seen[case.name] = seen.get(case.name, 0) + 1
        if keep(case):
            found.append(pytest.param(case, id=f"{case.name}-{seen[case.name]}"))
    return found


def leaves(result) -> list:
    """Arrays or tensors of a result, one where there is no tuple."""
    return list(result) if isinstance(result, tuple) else [result]


def call(case: Case, given):
    return leaves(getattr(ops, case.name)(**given, **case.options))


def is_float(value) -> bool:
    """Whether an argument is read as real numbers; masks and degrees are not."""
    return np.asarray(value).dtype.kind in "fi"


def tensors(case: Case, dtype) -> dict:
    whole = {"degree"}  # numbers of classes
    return {
        n: torch.tensor(v, dtype=dtype) if is_float(v) and n not in whole else torch.tensor(v)
        for n, v in case.given.items()
    }


def test_every_method_of_the_objectives_has_a_case():
    dir(ops)  # lists every method
    ours = {
        name for name, entry in METHODS.items()
        if entry.run.run.__module__.startswith(("gustibus.objectives", "gustibus.policy"))
    }  # fmt: skip
    assert ours - OF_FUNCTIONS == {case.name for case in CASES}


@pytest.mark.parametrize("case", named(CASES))
def test_numbers_are_right_to_six_digits(case):
    found = call(case, case.given)
    for value, expected in zip(found, leaves(case.expected), strict=True):
        assert np.asarray(value).dtype == np.float64
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("case", named(CASES, lambda c: c.tensors))
def test_numbers_are_right_to_four_digits_in_single_precision(case):
    found = call(case, tensors(case, torch.float32))
    for value, expected in zip(found, leaves(case.expected), strict=True):
        assert value.dtype == torch.float32
        np.testing.assert_allclose(value.numpy(), expected, rtol=0, atol=1e-4)


def variants(case: Case, count: int) -> list[dict]:
    """The arguments as they are, and turned round along their first axis, in turn."""
    turned = {n: v[::-1] if isinstance(v, list) and n not in case.alone else v
              for n, v in case.given.items()}  # fmt: skip
    return [turned if k % 3 == 1 else dict(case.given) for k in range(count)]


def stacked(case: Case, parts: list[dict]) -> dict:
    return {n: v if n in case.alone else np.stack([np.asarray(p[n]) for p in parts])
            for n, v in case.given.items()}  # fmt: skip


BATCHED = named(CASES, lambda c: bool(set(c.given) - set(c.alone)))


@pytest.mark.parametrize("case", BATCHED)
def test_a_batch_and_a_stream_are_their_rows(case):
    parts = variants(case, 7)
    each = [call(case, part) for part in parts]
    whole = call(case, stacked(case, parts))
    streamed = [call(case, stacked(case, parts[k : k + 3])) for k in range(0, 7, 3)]
    for leaf, found in enumerate(whole):
        np.testing.assert_allclose(found, [one[leaf] for one in each], rtol=1e-12, atol=1e-14)
        parted = np.concatenate([s[leaf] for s in streamed])
        np.testing.assert_allclose(parted, found, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("case", BATCHED)
def test_a_batch_may_have_several_axes(case):
    if case.name == "pseudo_huber":
        pytest.skip("means over all axes but the first")
    parts = variants(case, 6)
    deep = {n: v if n in case.alone else v.reshape(2, 3, *v.shape[1:])
            for n, v in stacked(case, parts).items()}  # fmt: skip
    for found, flat in zip(call(case, deep), call(case, stacked(case, parts)), strict=True):
        np.testing.assert_allclose(found, flat.reshape(2, 3, *flat.shape[1:]), rtol=1e-12)


@pytest.mark.parametrize("case", named(CASES, lambda c: c.rows))
def test_plain_numbers_give_what_the_row_gives(case):
    whole = np.atleast_1d(call(case, case.given)[0])
    for place, expected in enumerate(whole):
        one = {n: np.atleast_1d(v)[place].item() for n, v in case.given.items()}
        found = call(case, one)[0]
        assert np.shape(found) == ()
        assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("case", named(CASES, lambda c: bool(c.learned)))
def test_slopes_are_those_of_finite_differences(case):
    given = tensors(case, torch.float64)
    inputs = [given[name].requires_grad_() for name in case.learned]

    def run(*values):
        return tuple(call(case, {**given, **dict(zip(case.learned, values, strict=True))}))

    assert gradcheck(run, inputs)


def spoiled(value, wrong):
    """The same value with its last number replaced."""
    array = np.array(value, np.float64)
    array[(-1,) * array.ndim] = wrong
    return array if array.ndim else float(array)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
@pytest.mark.parametrize("case", named(CASES))
def test_what_is_not_a_number_is_refused_by_its_name(case, wrong):
    for name in case.given:
        ways = [np.asarray, torch.as_tensor] if case.tensors else [np.asarray]
        for kind in ways:
            bad = {**case.given, name: kind(spoiled(case.given[name], wrong))}
            with pytest.raises(InputError, match=rf"^{name}: expected .*got "):
                call(case, bad)
    for name, value in case.options.items():
        if isinstance(value, float):
            changed = replace(case, options={**case.options, name: wrong})
            with pytest.raises(InputError, match=rf"^{name}: expected .*got "):
                call(changed, changed.given)


@pytest.mark.parametrize("case", named(CASES, lambda c: c.tensors and bool(c.learned)))
def test_half_precision_is_computed_in_single(case):
    found = call(case, {n: v.bfloat16() if v.is_floating_point() else v
                        for n, v in tensors(case, torch.float32).items()})  # fmt: skip
    assert all(value.dtype == torch.float32 for value in found)
    assert all(value.isfinite().all() for value in found)
