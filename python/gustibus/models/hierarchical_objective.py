"""What the M step of a learned basis minimises, and how: on the CPU by the compiled core, else by torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad, softplus

from gustibus.models.base import TrainingSet
from gustibus.models.hierarchical_start import Frame
from gustibus.posterior import ExpectedLoss
from gustibus.posterior.expected import NORMAL_RULE
from gustibus.types import F64

_BLOCK = 8
"""Rows of one person that are worked on together."""
_WIDE = 128


class Objective:
    """Expected log loss of a shared reward and a basis, as a function of both."""

    def __init__(self, train: TrainingSet, frame: Frame, device: torch.device) -> None:
        self.order = np.argsort(train.user, kind="stable")
        counts = np.bincount(train.user, minlength=train.people)
        self.starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self.train, self.device = train, device
        items = torch.as_tensor(frame.items, dtype=torch.float32, device=device)
        plain = items.shape[1] - frame.own
        self.plain = items[:, :plain].contiguous()
        self.own = items[:, plain:].max(1) if frame.own else None
        self.a, self.b = (self._moved(side, torch.int64) for side in (train.a, train.b))
        self.target, self.weight = (
            self._moved(values, torch.float32) for values in (train.target, train.weight)
        )

    def minimise(
        self, theta: Tensor, basis: Tensor, ridges: tuple[float, float],
        posterior: tuple[F64, F64] | None, steps: int,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """L-BFGS steps on `theta (q,)`, and on `basis (q, k)` where posteriors are given.

        Args:
            theta: where to start.
            basis: where to start.
            ridges: on theta, and on the basis.
            posterior: means `(people, k)` and covariances `(people, k, k)`.
            steps: at most.
        """
        theta = theta.detach().clone().requires_grad_()
        basis = basis.detach().clone().requires_grad_(posterior is not None)
        free = [theta] if posterior is None else [theta, basis]
        optimizer = torch.optim.LBFGS(free, max_iter=steps, line_search_fn="strong_wolfe")
        expected = None if posterior is None else self._expected(*posterior)

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = (
                self._sure(theta) if expected is None
                else expected(self._rewards(torch.cat([basis, theta[:, None]], 1)))
            )  # fmt: skip
            loss = loss + 0.5 * ridges[0] * theta.square().sum()
            if posterior is not None:
                loss = loss + 0.5 * ridges[1] * basis.square().sum()
            loss.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
            return loss

        optimizer.step(closure)  # type: ignore[arg-type]  # a closure may return a tensor
        return theta.detach(), basis.detach()

    def _sure(self, theta: Tensor) -> Tensor:
        margin = apart(self._rewards(theta[:, None])[:, 0], self.a, self.b)  # (n,)
        each = softplus(margin) - self.target * margin
        return (each * self.weight).sum()

    def _rewards(self, columns: Tensor) -> Tensor:
        """`(q, c)` columns of coefficients -> `(m, c)`; items have one own coordinate at most."""
        plain = self.plain.shape[1]
        out = self.plain @ columns[:plain]
        if self.own is None:
            return out
        value, place = self.own
        return out + value[:, None] * chosen(columns[plain:], place)

    def _expected(self, means: F64, covariances: F64) -> Callable[[Tensor], Tensor]:
        """The loss as a function of rewards `(m, k + 1)`, each item's personal ones and the shared."""
        if self.device.type == "cuda":
            return _Blocks(self, means, covariances)
        train, order = self.train, self.order
        loss = ExpectedLoss(
            np.column_stack([train.a, train.b]).astype(np.int64)[order],
            train.target.astype(np.float64)[order], train.weight.astype(np.float64)[order],
            self.starts, means, covariances,
        )  # fmt: skip
        return lambda rewards: _Averaged.apply(rewards, loss)

    def _moved(self, values: np.ndarray, kind: torch.dtype) -> Tensor:
        return torch.as_tensor(values[self.order], dtype=kind, device=self.device)


class _Averaged(torch.autograd.Function):
    """The loss and its slopes from the core."""

    @staticmethod
    def forward(ctx: Any, rewards: Tensor, of: ExpectedLoss) -> Tensor:
        loss, slopes = of.at(rewards.detach().double().numpy())
        ctx.save_for_backward(torch.from_numpy(slopes).to(rewards.dtype))
        return torch.tensor(loss, dtype=torch.float64)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None]:
        (slopes,) = ctx.saved_tensors
        return outer[0].to(slopes.dtype) * slopes, None


class _Blocks:
    """The same by torch, for devices that the core does not know.

    Rows lie in blocks of one person each, so that a block needs that person's posterior only once;
    the places left over weigh nothing.
    """

    def __init__(self, of: Objective, means: F64, covariances: F64) -> None:
        counts = np.diff(of.starts)
        blocks = -(-counts // _BLOCK)
        position = np.arange(len(of.order)) - np.repeat(of.starts[:-1], counts)
        slot = np.repeat(np.cumsum(blocks) - blocks, counts) * _BLOCK + position
        where = torch.as_tensor(slot, device=of.device)

        def laid_out(values: Tensor) -> Tensor:
            out = torch.zeros(int(blocks.sum()) * _BLOCK, dtype=values.dtype, device=of.device)
            return out.index_copy_(0, where, values)

        def moved(values: np.ndarray) -> Tensor:
            each = torch.as_tensor(values, dtype=torch.float32, device=of.device)
            return each.index_select(0, owner)

        owner = torch.as_tensor(np.repeat(np.arange(len(counts)), blocks), device=of.device)
        self.a, self.b = laid_out(of.a), laid_out(of.b)
        self.target, self.weight = laid_out(of.target), laid_out(of.weight)
        jitter = 1e-9 * np.eye(means.shape[1])
        self.means = moved(means)[:, None]  # (blocks, 1, k)
        self.roots = moved(np.linalg.cholesky(covariances + jitter))  # (blocks, k, k)
        rule = torch.as_tensor(NORMAL_RULE, dtype=torch.float32, device=of.device)
        self.nodes, self.shares = rule.T

    def __call__(self, rewards: Tensor) -> Tensor:
        told = apart(rewards, self.a, self.b)
        delta = told[:, :-1].unflatten(0, (len(self.means), _BLOCK))
        margin = told[:, -1] + (delta * self.means).sum(-1).flatten()
        spread = torch.bmm(delta, self.roots).square().sum(-1).flatten()
        z = margin[:, None] + (spread + 1e-12).sqrt()[:, None] * self.nodes  # (n, nodes)
        each = (softplus(z) - self.target[:, None] * z) @ self.shares
        return (each * self.weight).sum()


def apart(table: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Rows a of a table less rows b, `(n,)` or `(n, k)`."""
    return chosen(table, a) - chosen(table, b)


def chosen(table: Tensor, rows: Tensor) -> Tensor:
    """Some rows of a table, `(n,)` or `(n, k)`.

    Their slopes are added up several times as fast as those of `table[rows]`. On CUDA rows that are
    short and aligned are taken with an odd column beside them: without it each keeps a block of
    threads, and all together take ten times as long.
    """
    k = table.shape[-1]
    if table.is_cuda and table.dim() == 2 and k % 4 == 0 and k < _WIDE:
        return pad(table, (0, 1)).index_select(0, rows)[:, :k]
    return table.index_select(0, rows)
