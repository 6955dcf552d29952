"""MRM: mixtures of shared rewards whose start and basis are learned so that few steps place a person.

`r(x) = softmax(logits) . V^T x`; a new person starts at logits that everybody shares and takes a few
gradient steps on their answers. Start and basis are meta-learned: judged after those steps, on other
answers of the same person.

Source: Cai et al. 2026, "One Adapts to Any: Meta Reward Modeling for Personalized LLM Alignment",
arXiv 2601.18731; the inner loop of Finn, Abbeel and Levine 2017, "Model-Agnostic Meta-Learning".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from gustibus.models.base import (
    MODELS,
    Fitted,
    LinearInUser,
    Progress,
    TrainingSet,
    check_features,
)
from gustibus.models.mixtures import softmax, sums_by_person
from gustibus.posterior import Answering, Evidence, GaussianPrior, Posteriors
from gustibus.types import F32, F64, I64


@dataclass(frozen=True, slots=True)
class Inner:
    """How a person is placed.

    Attributes:
        steps: gradient steps from the shared start.
        size: of a step.
        rule: `gradient`, of the summed loss divided by the number of answers plus `imaginary`, or
            `adam`, the published one on the mean loss, whose first step moves every logit by `size`
            whatever the answers weigh.
        imaginary: answers that say nothing, so that one answer moves less than many.
    """

    steps: int
    size: float
    rule: str = "gradient"
    imaginary: float = 4.0


@MODELS.add("mrm", source="Cai et al. 2026, arXiv 2601.18731", laws=("antisymmetric", "transitive"))
@dataclass(frozen=True)
class MetaReward(LinearInUser):
    """Mixtures of shared rewards; representation `[0, x V]`, user vector on the simplex."""

    center: F32
    """`(d,)` subtracted from item features."""
    basis: F32
    """`(d, k)` the shared rewards V, in log-odds."""
    prior: GaussianPrior
    """Of the mixture; its mean is where everybody starts, its covariance that of placed people."""
    answering: Answering
    inner: Inner

    family: ClassVar[str] = "mrm"
    prompt_dim: ClassVar[int] = 0
    most_known: ClassVar[int] = 0

    @property
    def item_dim(self) -> int:
        """Length of an item's feature vector."""
        return len(self.center)

    @property
    def user_dim(self) -> int:
        """Number of shared rewards."""
        return self.basis.shape[1]

    @property
    def representation_dim(self) -> int:
        """An empty offset, and the shared rewards."""
        return 1 + self.user_dim

    def represent(self, items: F32, prompts: F32 | None = None) -> F32:
        """`(n, d)` -> `(n, 1 + k)`."""
        del prompts
        x = check_features("items", items, self.item_dim) - self.center
        return np.column_stack([np.zeros(len(x), np.float32), x @ self.basis])

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
        """A few gradient steps from the shared start; nothing says how sure the result is."""
        diff = np.asarray(a, np.float64) - np.asarray(b, np.float64)
        n = len(diff)
        evidence = Evidence(
            delta=np.ascontiguousarray(diff[:, 1:]), offset=np.ascontiguousarray(diff[:, 0]),
            target=np.asarray(target, np.float64),
            weight=np.ones(n) if weight is None else np.asarray(weight, np.float64),
            starts=np.array([0, n]) if starts is None else np.asarray(starts, np.int64),
        )  # fmt: skip
        counts, k = np.diff(evidence.starts), self.user_dim
        mean = adapted(evidence, self.prior.mean, self.inner)
        spread = np.zeros((len(counts), k, k))
        mean[counts == 0], spread[counts == 0] = self.prior.mean, self.prior.covariance
        people = len(counts)
        return Posteriors(
            np.ones((people, 1)), mean[:, None], spread[:, None] if covariance else spread[:, :0, :0],
            np.zeros(people), np.zeros(people), np.full(people, self.inner.steps, np.int64),
            np.ones(people, np.bool_), counts,
        )  # fmt: skip

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON parameters and arrays."""
        arrays: dict[str, np.ndarray] = {
            "center": self.center, "basis": self.basis, "prior.mean": self.prior.mean,
            "prior.covariance": self.prior.covariance,
        }  # fmt: skip
        params = {"lapse": self.answering.lapse, "tie": self.answering.tie}
        return {**params, "inner": asdict(self.inner)}, arrays

    @classmethod
    def load(cls, params: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> MetaReward:
        """Inverse of `save`."""
        return cls(
            arrays["center"], arrays["basis"],
            GaussianPrior.single(arrays["prior.mean"], arrays["prior.covariance"]),
            Answering(params["lapse"], params["tie"]), Inner(**params["inner"]),
        )  # fmt: skip

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
        """Learn start and basis for a few steps a person; options are those of `MrmOptions`."""
        del checkpoint  # the fit takes seconds
        from gustibus.models.mrm_fit import fit_mrm, mrm_options

        return fit_mrm(
            train, valid, options=mrm_options(options), seed=seed, device=device, progress=progress
        )


def adapted(evidence: Evidence, start: F64, inner: Inner) -> F64:
    """Mixtures `(p, k)` after the inner steps of every person from one start `(k,)`."""
    delta, offset, target, weight = evidence.rows
    counts = np.diff(evidence.starts)
    person = np.repeat(np.arange(len(counts)), counts)
    logits = np.repeat(np.log(np.clip(start, 1e-12, None))[None], len(counts), 0)
    total = sums_by_person(weight[:, None], evidence)
    total = total + inner.imaginary if inner.rule == "gradient" else np.maximum(total, 1e-12)
    moment, second = np.zeros_like(logits), np.zeros_like(logits)
    for step in range(1, inner.steps + 1):
        w = softmax(logits)
        z = offset + (delta * w[person]).sum(1)
        pull = weight * (1 / (1 + np.exp(-np.clip(z, -500, 500))) - target)
        slope = sums_by_person(delta * pull[:, None], evidence) / total
        gradient = w * (slope - (slope * w).sum(1, keepdims=True))
        if inner.rule == "gradient":
            logits -= inner.size * gradient
            continue
        moment += 0.1 * (gradient - moment)
        second += 0.001 * (gradient**2 - second)
        scale = np.sqrt(second / (1 - 0.999**step)) + 1e-8
        logits -= inner.size * moment / (1 - 0.9**step) / scale
    return softmax(logits)
