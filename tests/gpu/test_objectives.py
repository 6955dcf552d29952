"""Objectives give on a graphics card what they give on the processor."""

from __future__ import annotations

import pytest
import torch

from gustibus import ops
from gustibus.objectives import AUXILIARY, LISTWISE, PAIRWISE, REDUCERS
from tests.laws.objective_cases import CASES
from tests.laws.test_objective_cases import call, leaves, named, tensors

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]


def agree(run, *values):
    """Values and slopes of the first argument, to 1e-5."""
    found = []
    for device in ("cpu", "cuda"):
        first, *rest = (v.to(device) for v in values)
        first = first.clone().requires_grad_()
        loss = run(first, *rest)
        assert loss.device.type == device
        (slope,) = torch.autograd.grad(loss.sum(), first)
        found.append((loss.detach().cpu(), slope.cpu()))
    torch.testing.assert_close(found[0], found[1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", list(PAIRWISE))
def test_pairs(name):
    agree(PAIRWISE[name].run, torch.linspace(-3, 3, 7), torch.linspace(0, 1, 7))


@pytest.mark.parametrize("name", list(LISTWISE))
def test_lists(name):
    generator = torch.Generator().manual_seed(0)
    s, psi = torch.randn(5, 6, generator=generator), torch.rand(5, 6, generator=generator)
    agree(LISTWISE[name].run, s, psi, torch.arange(6) < torch.tensor([[6], [5], [4], [3], [2]]))


@pytest.mark.parametrize("name", list(AUXILIARY))
def test_terms(name):
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 5, 4, generator=generator)
    agree(AUXILIARY[name].run, x, torch.arange(5) % 4 if name == "degree_ce" else y)


@pytest.mark.parametrize("name", list(REDUCERS))
def test_reducers(name):
    loss, weight = torch.linspace(0, 2, 6), torch.tensor([1.0, 2, 0, 1, 1, 3])
    agree(REDUCERS[name].run, loss, torch.tensor([0, 0, 1, 1, 2, 2]), weight)


def test_plain_numbers_beside_a_tensor_go_to_its_device():
    found = ops.lipo_lambda(torch.tensor([0.4, 0.1, -0.3], device="cuda"), [0.9, 0.5, 0.1])
    assert found.device.type == "cuda"
    assert found.item() == pytest.approx(0.397567, abs=1e-4)


@pytest.mark.parametrize("case", named(CASES, lambda c: c.tensors))
def test_worked_numbers(case):
    given = {name: value.to("cuda") for name, value in tensors(case, torch.float32).items()}
    for value, expected in zip(call(case, given), leaves(case.expected), strict=True):
        assert value.device.type == "cuda"
        torch.testing.assert_close(
            value.cpu(), torch.as_tensor(expected, dtype=torch.float32), atol=1e-4, rtol=0
        )
