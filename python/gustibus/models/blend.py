"""A blend: several fitted families that foretell together, their log-odds weighted and added up.

Families err in different places, so that a mean of their log-odds often foretells better than the
best of them; weights whose sum is not 1 also mend members that are too timid or too sure. Every
member places a person on its own; a user vector is the members' user vectors one behind the other,
and so is a representation. With weights `w` of sum `W` the variance of a blended margin is `W^2` times
the mean of the members' variances, `W sum_m w_m v_m`: what members do not know of a person they do
not know together, so that, unlike errors that are independent, it does not shrink with their number.

Source: Bates and Granger 1969, "The Combination of Forecasts"; Breiman 1996, "Stacked Regressions".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from gustibus.errors import InputError
from gustibus.models.base import MODELS, Fitted, PreferenceModel, Progress, TrainingSet, Transitive
from gustibus.models.hybrid import Hybrid, load_model
from gustibus.models.item_answers import ItemAnswers
from gustibus.posterior import Answering, GaussianPrior, Posteriors
from gustibus.types import F32, F64, I64

BLEND = "blend"


@MODELS.add(
    BLEND,
    source="Bates and Granger 1969; Breiman 1996",
    laws=("antisymmetric", "transitive"),
)
@dataclass(frozen=True)
class Blend(Transitive):
    """The weighted sum of the log-odds of several models.

    Attributes:
        members: transitive models over the same item features, and prompt features of one length
            where they read the prompt.
        weights: `(m,)` above 0; with a sum of 1 the blend is a mean.
    """

    members: tuple[PreferenceModel, ...]
    weights: tuple[float, ...]

    family: ClassVar[str] = BLEND
    most_known: ClassVar[int] = 0  # members know items, each for itself

    def __post_init__(self) -> None:
        """Refuse what cannot be blended."""
        _check(self.members, self.weights)

    @property
    def item_dim(self) -> int:
        """Length of an item's feature vector."""
        return self.members[0].item_dim

    @property
    def prompt_dim(self) -> int:
        """Length of a prompt's feature vector; 0 when no member reads the prompt."""
        return max(member.prompt_dim for member in self.members)

    @property
    def representation_dim(self) -> int:
        """Those of the members together."""
        return sum(member.representation_dim for member in self.members)

    @property
    def user_dim(self) -> int:
        """Those of the members together."""
        return sum(member.user_dim for member in self.members)

    @cached_property
    def prior(self) -> GaussianPrior:
        """The members' moments, one behind the other; see `place` for the covariance."""
        means, spreads = (
            [m.prior.mean for m in self.members],
            [m.prior.covariance for m in self.members],
        )
        covariance = _beside([one[None] for one in spreads], self.weights)[0]
        return GaussianPrior.single(np.concatenate(means), covariance)

    @cached_property
    def answering(self) -> Answering:
        """Weighted means of the members' lapse rates and tie thresholds."""
        return mean_answering([m.answering for m in self.members], self.weights)

    def represent(self, items: F32, prompts: F32 | None = None) -> F32:
        """`(n, d)`, and `(n, dp)` where a member reads prompts, -> `(n, r)`."""
        return np.concatenate([m.represent(items, prompts) for m in self.members], axis=1)

    def utility(self, users: F64, representations: F32) -> F64:
        """`(*b, u)`, `(n, r)` -> `(*b, n)` weighted sums of rewards."""
        users = np.asarray(users, np.float64)
        parts = (
            weight * m.utility(users[..., u], representations[:, r])
            for weight, m, u, r in self._parts
        )
        return np.asarray(sum(parts))

    def margin(self, users: F64, a: F32, b: F32) -> F64:
        """`(*b, u)`, `(*b, r)`, `(*b, r)` -> `(*b)`."""
        users = np.asarray(users, np.float64)
        parts = (
            weight * m.margin(users[..., u], a[..., r], b[..., r])
            for weight, m, u, r in self._parts
        )
        return np.asarray(sum(parts))

    def linearize(self, user: F64, representations: F32) -> tuple[F64, F64]:
        """Utility `(n,)` and its gradient `(n, u)`."""
        value, slopes = np.zeros(len(representations)), []
        for weight, m, u, r in self._parts:
            part, slope = m.linearize(user[u], representations[:, r])
            value += weight * part
            slopes.append(weight * slope)
        return value, np.concatenate(slopes, axis=1)

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
        """Every member's posterior, by its moments; people without rows have exactly the prior.

        A member's covariance is multiplied by `W / w_m`, so that the blended margin has the variance
        that the module states.
        """
        placed = [
            m.place(a[:, r], b[:, r], target, weight=weight, starts=starts, covariance=covariance)
            for _, m, _, r in self._parts
        ]
        people = len(placed[0])
        means = np.concatenate([one.mean for one in placed], axis=1)
        spread = np.zeros((people, 0, 0))
        if covariance:
            spread = _beside([one.covariance for one in placed], self.weights)
        shares = np.array(self.weights) / sum(self.weights)
        return Posteriors(
            np.ones((people, 1)), means[:, None], spread[:, None],
            shares @ np.stack([one.log_evidence for one in placed]),
            np.max([one.gradients for one in placed], axis=0),
            np.max([one.iterations for one in placed], axis=0),
            np.all([one.converged for one in placed], axis=0), placed[0].comparisons,
        )  # fmt: skip

    @property
    def untaught(self) -> Blend:
        """The blend of its members as they were fitted, without what answers have taught since."""
        fitted = (m.untaught if isinstance(m, Hybrid) else m for m in self.members)
        return replace(self, members=tuple(fitted))

    @property
    def teachable(self) -> tuple[Hybrid, ...]:
        """Members that learn items one by one."""
        return tuple(m for m in self.members if isinstance(m, Hybrid) and m.teachable)

    def with_answers(self, items: F32, answers: ItemAnswers, prompts: F32 | None = None) -> Blend:
        """The same blend with what answers say of some items; see `Hybrid.with_answers`.

        Every member that can learns for itself, from its own part of the user vectors, as each was
        fitted for itself.

        Raises:
            InputError: no member learns items one by one, or a shape is wrong.
        """
        if not self.teachable:
            message = "answers: no member of this blend learns items one by one; train again"
            raise InputError(message, where="answers")
        for name, value, width in (
            ("other", answers.other, self.representation_dim), ("user", answers.user, self.user_dim),
        ):  # fmt: skip
            if np.ndim(value) != 2 or np.shape(value)[1] != width:
                message = (
                    f"answers.{name}: expected {width} columns, got the shape {np.shape(value)}"
                )
                raise InputError(message, where=f"answers.{name}")
        members: list[PreferenceModel] = []
        for _, m, u, r in self._parts:
            if isinstance(m, Hybrid) and m.teachable:
                own = answers._replace(user=answers.user[:, u], other=answers.other[:, r])
                members.append(m.with_answers(items, own, prompts))
            else:
                members.append(m)
        return replace(self, members=tuple(members))

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The members' parameters and arrays, by their number."""
        rows, arrays = [], dict[str, np.ndarray]()
        for number, (weight, m) in enumerate(zip(self.weights, self.members, strict=True)):
            params, own = m.save()
            rows.append({"family": m.family, "weight": weight, "params": params})
            arrays |= {f"{number}.{name}": value for name, value in own.items()}
        return {"members": rows}, arrays

    @classmethod
    def load(cls, params: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Blend:
        """Inverse of `save`."""
        members = []
        for number, row in enumerate(params["members"]):
            start = f"{number}."
            own = {n.removeprefix(start): v for n, v in arrays.items() if n.startswith(start)}
            members.append(load_model(row["family"], row["params"], own))
        return cls(tuple(members), tuple(row["weight"] for row in params["members"]))

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
        """Fit every member; options are those of `BlendOptions`."""
        from gustibus.models.blend_fit import blend_options, fit_blend

        return fit_blend(
            train, valid, options=blend_options(**options), seed=seed, device=device,
            progress=progress, checkpoint=checkpoint,
        )  # fmt: skip

    @cached_property
    def _parts(self) -> tuple[tuple[float, PreferenceModel, slice, slice], ...]:
        """Weight, model, its part of a user vector, its part of a representation."""
        users = _slices([m.user_dim for m in self.members])
        reps = _slices([m.representation_dim for m in self.members])
        return tuple(zip(self.weights, self.members, users, reps, strict=True))


def mean_answering(each: Sequence[Answering], weights: Sequence[float]) -> Answering:
    """The weighted mean lapse rate and tie threshold of members."""
    lapse, tie = ([getattr(one, name) for one in each] for name in ("lapse", "tie"))
    return Answering(
        float(np.average(lapse, weights=weights)), float(np.average(tie, weights=weights))
    )


def _slices(sizes: Sequence[int]) -> Iterator[slice]:
    return (slice(start, stop) for start, stop in pairwise(accumulate(sizes, initial=0)))


def _beside(covariances: Sequence[F64], weights: Sequence[float]) -> F64:
    """Block diagonal of `(p, u_m, u_m)`, each times `W / w_m`: `(p, u, u)`."""
    sizes = [one.shape[-1] for one in covariances]
    out = np.zeros((len(covariances[0]), sum(sizes), sum(sizes)))
    for one, weight, here in zip(covariances, weights, _slices(sizes), strict=True):
        out[:, here, here] = one * (sum(weights) / weight)
    return out


def _check(members: Sequence[PreferenceModel], weights: Sequence[float]) -> None:
    """Refuse members that cannot be blended.

    Raises:
        InputError: tastes of one run in circles, members read features of different lengths, or the
            weights are none.
    """
    for m in members:
        if not m.transitive:
            message = f"members: tastes of {m.family!r} run in circles, and have no mean reward"
            raise InputError(message, where="members")
    for name in ("item_dim", "prompt_dim"):
        sizes = {getattr(m, name) for m in members} - {0}
        if len(sizes) > 1:
            message = f"members: expected one {name}, got {sorted(sizes)}"
            raise InputError(message, where="members")
    if len(members) != len(weights) or not members or not all(0 < w < np.inf for w in weights):
        message = f"weights: expected {len(members)} numbers above 0, got {list(weights)}"
        raise InputError(message, where="weights")
