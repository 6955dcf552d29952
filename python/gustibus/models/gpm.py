"""GPM: pairwise preference from vectors through a skew operator; tastes may run in a circle.

`margin(a, b) = r_a - r_b + z . (phi_a - phi_b) + sum_l w_l g_l (p_al q_bl - q_al p_bl)`: a scalar, a
low-rank personal shift, and k blocks of two coordinates whose sizes `w` are personal and whose gate
`g` may depend on the prompt. The scalar with blocks is the hybrid of arXiv 2605.17342; blocks alone
are the model of arXiv 2410.02197. The user vector is `[w, z]`, in which the margin is linear.

Source: Zhang et al. 2024, "General Preference Modeling with Preference Representations for Aligning
Language Models", arXiv 2410.02197; "Transitivity Meets Cyclicity", arXiv 2605.17342.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from gustibus.errors import InputError
from gustibus.models.base import (
    MODELS,
    Fitted,
    Progress,
    TrainingSet,
    check_features,
    place_lines,
)
from gustibus.models.gpm_gate import Gate
from gustibus.models.gpm_rank import Split, Winner, cyclic_norm, share, skew_scores
from gustibus.models.gpm_rank import hodge_split as split_table
from gustibus.models.gpm_rank import von_neumann_winner as win_table
from gustibus.posterior import Answering, GaussianPrior, Posteriors
from gustibus.types import F32, F64, I64


@MODELS.add(
    "gpm", source="Zhang et al. 2024, arXiv 2410.02197; arXiv 2605.17342", laws=("antisymmetric",)
)
@dataclass(frozen=True)
class GeneralPreference:
    """A fitted model; representations are `[r, phi, p, q]`, then the gate where there is one."""

    center: F32
    """`(d,)` mean feature of the training items."""
    spread: F32
    """`(d,)` by which centred features are divided before the blocks."""
    scalar: F32
    """`(d,)` of the transitive part that everybody shares, on centred features."""
    shift: F32
    """`(d, s)` directions of the transitive part in which people differ, on centred features."""
    blocks: F32
    """`(d, 2 k)`: even coordinates of the k blocks, then odd ones, on divided features."""
    bias: F32
    """`(2 k,)`; zeros for a head without one."""
    gate: Gate
    unit_norm: bool
    """Whether the coordinates of an item have length 1 together."""
    temperature: float
    """By which the skew score is divided to be log-odds."""
    panel: F32
    """`(c, r)` representations, gate 0, of the opponents over which a utility is the mean margin."""
    prior: GaussianPrior
    """Of `[w, z]`; empty where everybody gets the same reward."""
    answering: Answering

    family: ClassVar[str] = "gpm"
    keeps_margins: ClassVar[tuple[str, str]] = ("loss", "margin")  # the option that has it do so

    @property
    def transitive(self) -> bool:
        """Only without blocks."""
        return self.size == 0

    @property
    def size(self) -> int:
        """Number k of blocks."""
        return self.blocks.shape[1] // 2

    @property
    def item_dim(self) -> int:
        """Length of an item's feature vector."""
        return len(self.center)

    @property
    def prompt_dim(self) -> int:
        """Length of a prompt's feature vector; 0 without a gate."""
        return self.gate.prompt_dim

    @property
    def representation_dim(self) -> int:
        """The scalar, the shift, two numbers a block, and one more with a gate."""
        each = 3 if self.prompt_dim else 2
        return 1 + self.shift.shape[1] + each * self.size

    @property
    def user_dim(self) -> int:
        """Blocks and directions of the shift, or 0."""
        return self.prior.dim

    def represent(self, items: F32, prompts: F32 | None = None) -> F32:
        """`(n, d)`, and `(n, dp)` with a gate, -> `(n, r)`.

        Raises:
            InputError: a model with a gate got no prompts, or shapes do not fit.
        """
        along, v = self._project(items)
        parts = [along, v / np.sqrt(self.temperature)]
        if self.prompt_dim:
            parts.append(self._gates(prompts, len(v)))
        return np.concatenate(parts, axis=1).astype(np.float32)

    def _project(self, items: F32) -> tuple[F64, F64]:
        """Scalar and shift `(n, 1 + s)`, and coordinates `(n, 2 k)`, of `(n, d)`.

        In double precision: in single precision a product is summed in another order in another
        batch, and a margin is a small difference of large numbers.
        """
        x = check_features("items", items, self.item_dim) - self.center
        out = x.astype(np.float64) @ self._columns
        along, v = np.split(out, [1 + self.shift.shape[1]], axis=1)
        v = v + self.bias
        if self.unit_norm:
            v = v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-12)
        return along, v

    @cached_property
    def _columns(self) -> F64:
        """`(d, 1 + s + 2 k)` of centred features: scalar, shift, blocks."""
        blocks = self.blocks / self.spread[:, None].astype(np.float64)
        return np.column_stack([self.scalar, self.shift, blocks])

    def _gates(self, prompts: F32 | None, rows: int) -> F32:
        if prompts is None:
            message = "prompts: this model's blocks depend on the prompt; got none"
            raise InputError(message, where="prompts")
        e = check_features("prompts", prompts, self.prompt_dim)
        if len(e) != rows:
            message = f"prompts: expected {rows} rows, one an item, got {len(e)}"
            raise InputError(message, where="prompts")
        return self.gate(e)

    def margin(self, users: F64, a: F32, b: F32) -> F64:
        """`(*b, u)`, `(*b, r)`, `(*b, r)` -> `(*b)`; exactly antisymmetric."""
        offset, slope = self._lines(a, b)
        users = np.asarray(users, np.float64)
        return np.asarray(offset + (slope * users).sum(-1)) if self.user_dim else offset

    def contrast(self, user: F64, a: F32, b: F32) -> tuple[F64, F64]:
        """`(u,)`, `(n, r)` twice -> margin `(n,)` and its gradient `(n, u)`."""
        offset, slope = self._lines(a, b)
        return offset + slope @ np.asarray(user, np.float64), slope

    def _lines(self, a: F32 | F64, b: F32 | F64) -> tuple[F64, F64]:
        """Margin `(*b)` of the zero user, and its gradient `(*b, u)`."""
        first, second = (np.asarray(side, np.float64) for side in (a, b))
        s, k = self.shift.shape[1], self.size
        along = first[..., : 1 + s] - second[..., : 1 + s]  # (*b, 1 + s)
        p, q = slice(1 + s, 1 + s + k), slice(1 + s + k, 1 + s + 2 * k)
        # each product commutes, so swapping sides flips the sign to the last bit
        about = first[..., p] * second[..., q] - first[..., q] * second[..., p]  # (*b, k)
        if self.prompt_dim:  # both sides answer one prompt; the panel has none, and gate 0
            about = about * np.maximum(first[..., 1 + s + 2 * k :], second[..., 1 + s + 2 * k :])
        if self.user_dim == 0:
            return along[..., 0] + about.sum(-1), np.zeros((*along.shape[:-1], 0))
        return along[..., 0], np.concatenate([about, along[..., 1:]], axis=-1)

    def utility(self, users: F64, representations: F32) -> F64:
        """`(*b, u)`, `(n, r)` -> `(*b, n)` mean margins over the panel."""
        offset, slope = self._lines(representations, self._opponent)
        return np.asarray(np.asarray(users, np.float64) @ slope.T + offset)

    def linearize(self, user: F64, representations: F32) -> tuple[F64, F64]:
        """Utility `(n,)` and its gradient `(n, u)`."""
        offset, slope = self._lines(representations, self._opponent)
        return offset + slope @ np.asarray(user, np.float64), slope

    def utility_among(self, users: F64, representations: F32) -> F64:
        """`(*b, u)`, `(n, r)` of one prompt -> `(*b, n)` mean margins over these candidates, in `O(n k)`.

        The ranking of Borda, at the level of the candidates' mean utility: candidates that hold no
        circle, and one alone, have their utility.
        """
        offset, slope = self._lines_among(representations)
        return np.asarray(np.asarray(users, np.float64) @ slope.T + offset)

    def linearize_among(self, user: F64, representations: F32) -> tuple[F64, F64]:
        """`utility_among` `(n,)` and its gradient `(n, u)`."""
        offset, slope = self._lines_among(representations)
        return offset + slope @ np.asarray(user, np.float64), slope

    def _lines_among(self, representations: F32) -> tuple[F64, F64]:
        """Lines `(n)`, `(n, u)` against the mean candidate, and of that one against the panel."""
        rep = np.asarray(representations, np.float64)
        if len(rep) == 0:
            return self._lines(rep, self._opponent)
        mean = rep.mean(0, keepdims=True)
        gates = slice(self.representation_dim - self.size, None) if self.prompt_dim else slice(0)
        # a margin takes the larger gate; where all see one, pairs are ordered as in their margins
        mean[:, gates] = rep[:, gates].max(0)
        offset, slope = self._lines(rep, mean)
        level, tilt = self._lines(mean, self._opponent)
        return offset + level, slope + tilt

    @cached_property
    def _opponent(self) -> F64:
        """`(1, r)`: a margin is linear in the opponent, so the mean one stands for the panel."""
        return np.asarray(self.panel.mean(0, dtype=np.float64, keepdims=True))

    def coordinates(self, user: F64, representations: F32) -> tuple[F64, F64, F64, F64]:
        """A person's view of the candidates of one prompt.

        Returns:
            `(n,)` transitive rewards; even and odd coordinates `(n, k)` each, the gate folded in as
            its square root; `(k,)` the person's factor of each block.
        """
        rep, user = np.asarray(representations, np.float64), np.asarray(user, np.float64)
        s, k = self.shift.shape[1], self.size
        reward, factor = rep[:, 0], np.ones(k)
        if self.user_dim:
            factor = user[:k]
            reward = reward + rep[:, 1 : 1 + s] @ user[k:]
        p, q = rep[:, 1 + s : 1 + s + k], rep[:, 1 + s + k : 1 + s + 2 * k]
        if self.prompt_dim:
            root = np.sqrt(rep[:, 1 + s + 2 * k :])
            p, q = p * root, q * root
        return reward, p, q, factor

    def margins(self, user: F64, representations: F32) -> F64:
        """`(u,)`, `(n, r)` of one prompt -> the table `(n, n)` of margins, exactly skew."""
        reward, p, q, factor = self.coordinates(user, representations)
        return np.asarray(skew_scores(p * factor, q) + (reward[:, None] - reward))

    def cyclic_share(self, user: F64, representations: F32) -> float:
        """Share of a person's squared margins that no ranking explains, in `O(n k^2)`."""
        reward, p, q, factor = self.coordinates(user, representations)
        if len(reward) < 3 or self.size == 0:
            return 0.0
        potential = reward - reward.mean()
        potential = potential + (p * factor * q.mean(0) - q * factor * p.mean(0)).sum(1)
        along = np.sqrt(2 * len(potential) * np.square(potential).sum())
        return share(np.asarray(cyclic_norm(p, q, factor)), np.asarray(along))

    def hodge_split(self, user: F64, representations: F32) -> Split:
        """A person's margins among candidates of one prompt as a ranking plus circles."""
        return split_table(self.margins(user, representations))

    def von_neumann_winner(self, user: F64, representations: F32, *, rounds: int = 2000) -> Winner:
        """The mixture of candidates that none of them beats on average for a person."""
        return win_table(self.margins(user, representations), rounds=rounds)

    def place(
        self,
        a: F32,
        b: F32,
        target: F64,
        *,
        weight: F64 | None = None,
        starts: I64 | None = None,
        covariance: bool = True,
    ) -> Posteriors:
        """Damped Newton and Laplace in the compiled engine, batched over people."""
        offset, slope = self._lines(a, b)
        return place_lines(
            self.prior, self.answering, slope, offset, target,
            weight=weight, starts=starts, covariance=covariance,
        )  # fmt: skip

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON parameters and arrays."""
        gate, arrays = self.gate.save()
        for name in ("center", "spread", "scalar", "shift", "blocks", "bias", "panel"):
            arrays[name] = getattr(self, name)
        for name in ("weights", "means", "covariances"):
            arrays[f"prior.{name}"] = getattr(self.prior, name)
        params = {
            "gate": gate, "unit_norm": self.unit_norm, "temperature": self.temperature,
            "lapse": self.answering.lapse, "tie": self.answering.tie,
        }  # fmt: skip
        return params, arrays

    @classmethod
    def load(cls, params: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> GeneralPreference:
        """Inverse of `save`."""
        names = ("center", "spread", "scalar", "shift", "blocks", "bias", "panel")
        prior = (arrays[f"prior.{name}"] for name in ("weights", "means", "covariances"))
        return cls(
            **{name: arrays[name] for name in names},
            gate=Gate.load(params["gate"], arrays),
            unit_norm=params["unit_norm"],
            temperature=params["temperature"],
            prior=GaussianPrior(*prior),
            answering=Answering(params["lapse"], params["tie"]),
        )

    @classmethod
    def fit(
        cls,
        train: TrainingSet,
        valid: TrainingSet | None = None,
        *,
        seed: int = 0,
        device: str = "cpu",
        progress: Progress | None = None,
        checkpoint: Path | None = None,
        **options: Any,
    ) -> Fitted:
        """Learn blocks over a transitive part; options are those of `GpmOptions`."""
        from gustibus.models.gpm_fit import fit_gpm
        from gustibus.models.gpm_options import gpm_options

        return fit_gpm(
            train, valid, options=gpm_options(options),
            seed=seed, device=device, progress=progress, checkpoint=checkpoint,
        )  # fmt: skip
