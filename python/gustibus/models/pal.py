"""PAL: a person is a mixture of K prototype ideal points (A), which may depend on the prompt (B).

Source: Chen, Chen, Rege, Vinayak 2024, "PAL: Pluralistic Alignment Framework for Learning from
Heterogeneous Preferences", arXiv 2406.08469. The published code scores the right item; here a
margin
above 0 prefers a, as everywhere in gustibus.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gustibus.errors import InputError
from gustibus.models.base import (
    MODELS,
    Fitted,
    LinearInUser,
    Progress,
    TrainingSet,
    check_features,
)
from gustibus.models.network import Network
from gustibus.posterior import (
    Answering,
    Evidence,
    GaussianPrior,
    ParticlePrior,
    Posteriors,
    Prior,
    place_particles,
)
from gustibus.types import F32, F64, I64

VARIANTS = ("a", "b")
POINTS = ("Pw", "f(P)w", "f(Pw)", "|f(P)|w")
FORMS = ("squared", "dist", "dist_normalization", "angle", "norm", "dist_logistic", "bilinear")
_LINEAR_POINTS = ("Pw", "f(P)w", "|f(P)|w")


@dataclass(frozen=True, slots=True)
class PalShape:
    """Which member of the family: variant A or B.

    Attributes:
        variant: `a`, fixed ideal points, or `b`, ideal points computed from the prompt.
        form: reward of an item h for a point z: `squared` -|h - z|^2, `dist` -|h - z|,
            `dist_normalization` the same after scaling both to unit length, `angle` s cos(h, z),
            `norm` -|f(e - z)|, `dist_logistic` -s |h - z|, `bilinear` s (h / |h|) . z.
        point: how a mixture w becomes a point in variant A.
    """

    variant: str = "a"
    form: str = "squared"
    point: str = "Pw"

    def __post_init__(self) -> None:
        """Refuse unknown names and combinations without a meaning."""
        for name, known in (("variant", VARIANTS), ("form", FORMS), ("point", POINTS)):
            value = getattr(self, name)
            if value not in known:
                message = f"{name}: expected one of {known}, got {value!r}"
                raise InputError(message, where=name)
        if self.variant == "b" and self.form not in ("angle", "bilinear"):
            message = f"form: variant 'b' knows 'angle' and 'bilinear', got {self.form!r}"
            raise InputError(message, where="form")
        if self.form == "norm" and self.point != "Pw":
            message = (
                f"point: form 'norm' takes its point in feature space, 'Pw', got {self.point!r}"
            )
            raise InputError(message, where="point")

    @property
    def is_linear(self) -> bool:
        """Whether the reward is linear in w, so that placing a person is a concave problem."""
        if self.variant == "b":
            return self.form == "bilinear"
        return self.form in ("squared", "bilinear") and self.point in _LINEAR_POINTS


@MODELS.add(
    "pal", source="Chen et al. 2024, arXiv 2406.08469", laws=("antisymmetric", "transitive")
)
@dataclass(frozen=True)
class Pal(LinearInUser):
    """A fitted PAL model; the user vector is w, the weights over the K prototypes.

    Linear members keep representations as [offset, phi]; the others keep the projected item (A) or
    the projections on the prototypes with their Gram matrix (B).
    """

    shape: PalShape
    projector: Network
    """f: item features -> ideal-point space."""
    prompt_projectors: tuple[Network, ...]
    """g_1 .. g_K of variant B."""
    prototypes: F32
    """`(K, d)`: P of variant A; `(K, 0)` in variant B."""
    scale: float
    """s of the angle forms, and the factor that turns any form's reward into log-odds."""
    center: F32
    """`(d,)` subtracted from item features."""
    turn: F32 | None
    """`(d, q)` applied to centred features before f, or None."""
    prior_: Prior
    answering: Answering

    family: ClassVar[str] = "pal"
    takes_objective: ClassVar[bool] = True
    most_known: ClassVar[int] = 256
    """Known items with coordinates of their own: the projector is as wide as it is high."""

    @property
    def item_dim(self) -> int:
        """Length of an item's feature vector."""
        return len(self.center)

    @property
    def prompt_dim(self) -> int:
        """Length of a prompt's feature vector; 0 in variant A."""
        return self.prompt_projectors[0].weights[0].shape[0] if self.prompt_projectors else 0

    @property
    def user_dim(self) -> int:
        """K."""
        return len(self.prototypes)

    @property
    def representation_dim(self) -> int:
        """1 + K for linear members; see `represent`."""
        k = self.user_dim
        if self.shape.is_linear:
            return 1 + k
        if self.shape.variant == "b":
            return k + k * k
        if self.shape.form == "norm" or not self.projector.weights:
            return self.item_dim if self.turn is None else self.turn.shape[1]
        return self.projector.weights[-1].shape[1]

    @property
    def prior(self) -> Prior:
        """Distribution of w over the population."""
        return self.prior_

    @cached_property
    def _points(self) -> F64:
        """`(K, d)` prototypes in ideal-point space, for the points that are linear in w."""
        rows = self.prototypes.astype(np.float64)
        if self.shape.point in ("f(P)w", "|f(P)|w"):
            rows = self.projector(rows)
        if self.shape.point == "|f(P)|w":
            rows = _unit(rows)
        return rows

    def _point(self, users: F64) -> F64:
        """`(*b, K)` weights -> `(*b, d)` ideal points of variant A."""
        if self.shape.point == "f(Pw)":
            return self.projector(users @ self.prototypes.astype(np.float64))
        return np.asarray(users @ self._points)

    def represent(self, items: F32, prompts: F32 | None = None) -> F32:
        """`(n, d)`, and `(n, dp)` in variant B, -> `(n, r)`.

        Raises:
            InputError: variant B without prompts, or shapes that do not fit.
        """
        x = check_features("items", items, self.item_dim) - self.center
        if self.turn is not None:
            x = x @ self.turn
        if self.shape.variant == "a":
            return self._represent_fixed(x)
        if prompts is None:
            message = "prompts: this model's ideal points depend on the prompt; got none"
            raise InputError(message, where="prompts")
        e = check_features("prompts", prompts, self.prompt_dim)
        if len(e) != len(x):
            message = f"prompts: expected {len(x)} rows, one an item, got {len(e)}"
            raise InputError(message, where="prompts")
        return self._represent_prompted(x, e)

    def _represent_fixed(self, x: F32) -> F32:
        if self.shape.form == "norm":
            return x
        h = self.projector(x)
        if not self.shape.is_linear:
            return h
        wide = h.astype(np.float64)
        points = self._points
        if self.shape.form == "bilinear":
            phi, offset = _unit(wide) @ points.T, np.zeros(len(wide))
        else:  # -|h - u|^2 = 2 h.u - |h|^2 - |u|^2, and |u|^2 does not depend on the item
            phi, offset = 2 * wide @ points.T, -(wide**2).sum(1)
        return (self.scale * np.column_stack([offset, phi])).astype(np.float32)

    def _represent_prompted(self, x: F32, e: F32) -> F32:
        h = _unit(self.projector(x).astype(np.float64))  # (n, d)
        g = np.stack([net(e) for net in self.prompt_projectors], axis=1).astype(
            np.float64
        )  # (n, K, d)
        phi = self.scale * np.einsum("nd,nkd->nk", h, g)
        if self.shape.is_linear:
            return np.column_stack([np.zeros(len(phi)), phi]).astype(np.float32)
        gram = np.einsum("nkd,nld->nkl", g, g).reshape(len(g), self.user_dim**2)
        return np.column_stack([phi, gram]).astype(np.float32)

    def utility(self, users: F64, representations: F32) -> F64:
        """`(*b, K)`, `(n, r)` -> `(*b, n)` rewards in log-odds."""
        users = np.asarray(users, np.float64)
        if self.shape.is_linear:
            return super().utility(users, representations)
        rep = np.asarray(representations, np.float64)
        if self.shape.variant == "b":
            return self._reward(users[..., None, :], rep)
        if self.shape.form == "norm":  # a network of every difference: person by person, to fit
            each = [self._reward(user, rep) for user in users.reshape(-1, self.user_dim)]
            return np.reshape(each, (*users.shape[:-1], len(rep)))
        return self._table(self._point(users), rep)

    def _table(self, z: F64, rep: F64) -> F64:
        """Points `(*b, d)`, `(n, d)` -> `(*b, n)` by one product: no row of d numbers for each pair."""
        form = self.shape.form
        if form in ("angle", "dist_normalization", "bilinear"):
            rep = _unit(rep)
        if form in ("angle", "dist_normalization"):
            z = _unit(z)
        along = z @ rep.T  # (*b, n)
        if form in ("angle", "bilinear"):
            return np.asarray(self.scale * along)
        squared = np.square(z).sum(-1)[..., None] + np.square(rep).sum(-1) - 2 * along
        if form == "squared":
            return -self.scale * squared
        return -self.scale * np.sqrt(np.maximum(squared, 0) + 1e-12)

    def margin(self, users: F64, a: F32, b: F32) -> F64:
        """`(*b, K)`, `(*b, r)`, `(*b, r)` -> `(*b)`."""
        if self.shape.is_linear:
            return super().margin(users, a, b)
        users = np.asarray(users, np.float64)
        wide_a, wide_b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        return self._reward(users, wide_a) - self._reward(users, wide_b)

    def _reward(self, users: F64, rep: F64) -> F64:
        """Broadcast `(*b, K)` against `(*b, r)` -> `(*b)`, for the members that are not linear."""
        k = self.user_dim
        if self.shape.variant == "b":
            phi = (rep[..., :k] * users).sum(-1)
            gram = rep[..., k:].reshape(*rep.shape[:-1], k, k)
            norm = np.einsum("...k,...kl,...l->...", users, gram, users)
            return np.asarray(phi / np.maximum(np.sqrt(np.maximum(norm, 0)), 1e-8))
        z = self._point(users)
        if self.shape.form == "norm":
            return -self.scale * np.linalg.norm(self.projector(rep - z), axis=-1)
        if self.shape.form in ("angle", "dist_normalization"):
            rep, z = _unit(rep), _unit(z)
        if self.shape.form == "angle":
            return self.scale * (rep * z).sum(-1)
        if self.shape.form == "bilinear":
            return self.scale * (_unit(rep) * z).sum(-1)
        squared = ((rep - z) ** 2).sum(-1)
        return -self.scale * (squared if self.shape.form == "squared" else np.sqrt(squared + 1e-12))

    def linearize(self, user: F64, representations: F32) -> tuple[F64, F64]:
        """`(K,)`, `(n, r)` -> utility `(n,)`, gradient `(n, K)`, by differences if need be."""
        if self.shape.is_linear:
            return super().linearize(user, representations)
        step = 1e-4
        moves = np.concatenate([np.eye(self.user_dim), -np.eye(self.user_dim)]) * step
        around = self.utility(user + moves, representations)  # (2 K, n)
        up, down = np.split(around, 2)
        return self.utility(user, representations), (up - down).T / (2 * step)

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
        """Posterior over w: exact on candidate weights, or Newton when the prior is Gaussian."""
        target = np.asarray(target, np.float64)
        if isinstance(self.prior_, GaussianPrior):
            return super().place(a, b, target, weight=weight, starts=starts, covariance=covariance)
        rows = len(target)
        evidence = Evidence(
            delta=np.zeros((rows, 0)),
            offset=np.zeros(rows),
            target=target,
            weight=np.ones(rows) if weight is None else np.asarray(weight, np.float64),
            starts=np.array([0, rows], np.int64)
            if starts is None
            else np.asarray(starts, np.int64),
        )
        margins = self.particle_margins(self.prior_, a, b)
        return place_particles(margins, evidence, self.prior_, answering=self.answering)

    def particle_margins(self, prior: ParticlePrior, a: F32, b: F32) -> F64:
        """Margin of every row under every candidate: `(s, r)` twice -> `(s, c)`."""
        both = np.concatenate([a, b])
        if self.shape.is_linear:
            values = self.utility(prior.particles, both).T  # (2 s, c)
        else:  # row by row: in one product the last bits of a row would depend on the others
            distinct, place = _distinct(both)
            wide, particles = distinct.astype(np.float64), prior.particles
            values = np.empty((len(wide), len(particles)))
            if self.shape.variant == "b" or self.shape.form == "norm":
                for row, one in enumerate(wide):
                    values[row] = self._reward(particles, one)
            else:
                points = self._point(particles)
                for row, one in enumerate(wide):
                    values[row] = self._table(points, one[None])[:, 0]
            values = values[place]
        return np.ascontiguousarray(values[: len(a)] - values[len(a) :])

    def with_prior(self, prior: Prior) -> Pal:
        """The same model over another population.

        Raises:
            InputError: a Gaussian prior for a member that is not linear in w.
        """
        if isinstance(prior, GaussianPrior) and not self.shape.is_linear:
            message = f"prior: {self.shape.form!r} is not linear in the user; use a ParticlePrior"
            raise InputError(message, where="prior")
        return replace(self, prior_=prior)

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON parameters and arrays."""
        f, arrays = self.projector.save("f")
        prompt_params = []
        for k, network in enumerate(self.prompt_projectors):
            params, extra = network.save(f"g{k}")
            prompt_params.append(params)
            arrays |= extra
        arrays |= {"prototypes": self.prototypes, "center": self.center}
        arrays |= prior_arrays(self.prior_)
        if self.turn is not None:
            arrays["turn"] = self.turn
        params = {"shape": asdict(self.shape), "f": f, "g": prompt_params, "scale": self.scale}
        return params | {"lapse": self.answering.lapse, "tie": self.answering.tie}, arrays

    @classmethod
    def load(cls, params: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Pal:
        """Inverse of `save`."""
        return cls(
            shape=PalShape(**params["shape"]),
            projector=Network.load(params["f"], arrays, "f"),
            prompt_projectors=tuple(
                Network.load(g, arrays, f"g{k}") for k, g in enumerate(params["g"])
            ),
            prototypes=arrays["prototypes"],
            scale=params["scale"],
            center=arrays["center"],
            turn=arrays.get("turn"),
            prior_=load_prior(arrays),
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
        """Learn f, the prototypes and the population; options are those of `PalOptions`."""
        from gustibus.models.pal_fit import fit_pal
        from gustibus.models.pal_options import pal_options

        return fit_pal(
            train, valid, options=pal_options(options),
            seed=seed, device=device, progress=progress, checkpoint=checkpoint,
        )  # fmt: skip


def _distinct(rows: F32) -> tuple[F32, I64]:
    """Rows that differ in a byte, each once, and where each row is among them."""
    whole = np.dtype((np.void, rows.itemsize * rows.shape[1]))
    packed = np.ascontiguousarray(rows).view(whole)[:, 0]
    _, first, place = np.unique(packed, return_index=True, return_inverse=True)
    return rows[first], place


def _unit(rows: F64) -> F64:
    """`(*b, d)` scaled to length 1."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-8))


def prior_arrays(prior: Prior) -> dict[str, NDArray[Any]]:
    """A prior as named arrays for an artifact."""
    if isinstance(prior, ParticlePrior):
        return {"prior.particles": prior.particles, "prior.log_weights": prior.log_weights}
    return {
        "prior.weights": prior.weights,
        "prior.means": prior.means,
        "prior.covariances": prior.covariances,
    }


def load_prior(arrays: Mapping[str, NDArray[Any]]) -> Prior:
    """Inverse of `prior_arrays`."""
    if "prior.particles" in arrays:
        return ParticlePrior(arrays["prior.particles"], arrays["prior.log_weights"])
    return GaussianPrior(
        arrays["prior.weights"], arrays["prior.means"], arrays["prior.covariances"]
    )
