"""A model over features and known items: any family, given a coordinate of its own for each of them.

Where the same items are judged by many people, features alone lose to plain factors of items and
people; for new items it is the other way round. A family that is fitted on features and on known
items' own coordinates scores a known item by both, and a new one by its features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gustibus.errors import ConfigError, InputError
from gustibus.models.base import (
    MODELS,
    Fitted,
    LinearInUser,
    PreferenceModel,
    Progress,
    TrainingSet,
    check_features,
)
from gustibus.models.checking import checked
from gustibus.models.item_answers import ItemAnswers, check_answers
from gustibus.models.known import KnownItems
from gustibus.models.validation import everybody
from gustibus.posterior import Answering, Evidence, GaussianPrior, Posteriors, Prior, place
from gustibus.showing import shown
from gustibus.types import F32, F64, I64

if TYPE_CHECKING:
    from gustibus.models.hybrid_choice import Gain


KNOWN_ITEMS = ("auto", "never", "always")
_SHARE, _LEAST, _MOST, _NUMBERS = 3.0, 8, 4096, 50_000_000
"""Share of own coordinates; answers that make an item known; known items and numbers at most."""


@dataclass(frozen=True)
class Hybrid:
    """A fitted model behind the own coordinates of the items that it knows."""

    inner: PreferenceModel
    known: KnownItems
    shifts: F32
    """`(k, r)` what answers after the fit add to the representations of known items."""

    def __repr__(self) -> str:
        return shown(
            self, family=self.family, items=len(self.known), representation=self.representation_dim,
            user=self.prior.dim,
        )  # fmt: skip

    @classmethod
    def of(cls, inner: PreferenceModel, known: KnownItems) -> Hybrid:
        """A model as it was fitted."""
        return cls(inner, known, np.zeros((len(known), inner.representation_dim), np.float32))

    @property
    def family(self) -> str:
        """Of the model inside."""
        return self.inner.family

    @property
    def transitive(self) -> bool:
        """Of the model inside."""
        return self.inner.transitive

    @property
    def item_dim(self) -> int:
        """Length of an item's feature vector, without its own coordinate."""
        return self.known.dim

    @property
    def prompt_dim(self) -> int:
        """Of the model inside."""
        return self.inner.prompt_dim

    @property
    def representation_dim(self) -> int:
        """Of the model inside."""
        return self.inner.representation_dim

    @property
    def user_dim(self) -> int:
        """Of the model inside."""
        return self.inner.user_dim

    @property
    def prior(self) -> Prior:
        """Of the model inside."""
        return self.inner.prior

    @property
    def answering(self) -> Answering:
        """Of the model inside."""
        return self.inner.answering

    def represent(self, items: F32, prompts: F32 | None = None) -> F32:
        """`(n, d)` -> `(n, r)`; items whose features are those of a known item are known."""
        x = check_features("items", items, self.item_dim)
        out = self.inner.represent(self.known.augment(x), prompts)
        if self.shifts.any():
            found = self.known.find(x)
            out = out + np.where(found[:, None] >= 0, self.shifts[found], np.float32(0))
        return out

    def utility(self, users: F64, representations: F32) -> F64:
        """Of the model inside."""
        return self.inner.utility(users, representations)

    def margin(self, users: F64, a: F32, b: F32) -> F64:
        """Of the model inside."""
        return self.inner.margin(users, a, b)

    def linearize(self, user: F64, representations: F32) -> tuple[F64, F64]:
        """Of the model inside."""
        return self.inner.linearize(user, representations)

    def utility_among(self, users: F64, representations: F32) -> F64:
        """Of the model inside."""
        return self.inner.utility_among(users, representations)

    def linearize_among(self, user: F64, representations: F32) -> tuple[F64, F64]:
        """Of the model inside."""
        return self.inner.linearize_among(user, representations)

    def contrast(self, user: F64, a: F32, b: F32) -> tuple[F64, F64]:
        """Of the model inside."""
        return self.inner.contrast(user, a, b)

    def cyclic_share(self, user: F64, representations: F32) -> float:
        """Of the model inside."""
        return self.inner.cyclic_share(user, representations)

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
        """Of the model inside."""
        return self.inner.place(a, b, target, weight=weight, starts=starts, covariance=covariance)

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Those of the model inside, and `known`."""
        params, arrays = self.inner.save()
        known, more = self.known.save()
        more["shifts"] = self.shifts
        return {"known": known, "inner": params}, arrays | {
            f"known.{name}": value for name, value in more.items()
        }

    @property
    def untaught(self) -> Hybrid:
        """The model as it was fitted, without what answers have taught since."""
        fitted = self.known.signature[: self.known.columns]
        return Hybrid.of(self.inner, replace(self.known, signature=fitted))

    @property
    def teachable(self) -> bool:
        """Whether items are learned one by one: rewards are straight in representation and user."""
        more = getattr(self.inner, "kept", 0)  # numbers behind the basis, which answers do not move
        plain = self.representation_dim - more == 1 + self.user_dim
        return isinstance(self.inner, LinearInUser) and plain

    def with_answers(self, items: F32, answers: ItemAnswers, prompts: F32 | None = None) -> Hybrid:
        """The same model with what answers say of some items, known or new; nothing is retrained.

        What an item has beside its features is placed as a person is: by the posterior engine,
        under the distribution over the known items. All answers about an item count: give old and
        new.

        Args:
            items: `(m, d)` features.
            answers: about them.
            prompts: `(m, dp)` for a family that reads prompts.

        Raises:
            InputError: the family's reward is not linear in representation and user, a shape or a
                number is wrong, or one item is given twice.
        """
        if not self.teachable:
            message = f"answers: items of {self.family!r} are not learned one by one; train again"
            raise InputError(message, where="answers")
        x = check_features("items", items, self.item_dim)
        known = self.known.with_more(x)
        number = known.find(x)
        check_answers(answers, number, self.representation_dim, self.user_dim)
        plain = np.zeros((len(x), self.known.dim + self.known.columns), np.float32)
        plain[:, : self.known.dim] = x
        base = self.inner.represent(plain, prompts)  # by features alone
        fitted = self.inner.represent(self.known.augment(x), prompts)
        shifts = np.zeros((len(known), self.representation_dim), np.float32)
        shifts[: len(self.known)] = self.shifts
        end = 1 + self.user_dim
        own = self._place_items(base[:, :end], answers)
        shifts[number, :end] = base[:, :end] + own - fitted[:, :end]
        return replace(self, known=known, shifts=shifts)

    def _place_items(self, base: F32, answers: ItemAnswers) -> F32:
        """`(m, 1 + u)` posterior means of what items have beside their features."""
        order = np.argsort(answers.item, kind="stable")
        who = np.column_stack([np.ones(len(order)), np.asarray(answers.user)[order]])  # (n, 1 + u)
        other = answers.other[order, : base.shape[1]]
        apart = base[answers.item[order]].astype(np.float64) - other
        counts = np.bincount(answers.item, minlength=len(base))
        evidence = Evidence(
            delta=who, offset=(apart * who).sum(1),
            target=np.asarray(answers.target, np.float64)[order],
            weight=np.ones(len(order)) if answers.weight is None
            else np.asarray(answers.weight, np.float64)[order],
            starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        )  # fmt: skip
        prior = GaussianPrior.single(np.zeros(who.shape[1]), np.diag(self.spread))
        placed = place(evidence, prior, answering=self.answering, covariance=False)
        return placed.mean.astype(np.float32)

    @cached_property
    def spread(self) -> F64:
        """`(1 + u,)` variance, over the known items, of what they have beside their features."""
        columns = self.known.columns
        own = np.zeros((columns + 1, self.known.dim + columns), np.float32)
        own[:columns, self.known.dim :] = self.known.weight * np.eye(columns)
        rep = self.inner.represent(own)[:, : 1 + self.user_dim].astype(np.float64)
        return np.asarray(np.maximum(((rep[:-1] - rep[-1]) ** 2).mean(0), 1e-6))


def load_model(
    family: str, params: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> PreferenceModel:
    """A model of a family from what `save` gave, with known items or without.

    Raises:
        UnknownNameError: there is no such family.
    """
    load = MODELS[family].run.load
    if "known" not in params:
        plain: PreferenceModel = load(params, arrays)
        return plain
    own = {n.removeprefix("known."): v for n, v in arrays.items() if n.startswith("known.")}
    rest = {n: v for n, v in arrays.items() if not n.startswith("known.")}
    shifts = own.pop("shifts")
    return Hybrid(load(params["inner"], rest), KnownItems.load(params["known"], own), shifts)


def fit_model(
    family: str,
    train: TrainingSet,
    valid: TrainingSet | None,
    *,
    seed: int,
    device: str = "cpu",
    progress: Progress | None = None,
    checkpoint: Path | None = None,
    known_items: str = "auto",
    objective: str | None = None,
    objective_options: Mapping[str, Any] | None = None,
    auxiliary: Mapping[str, Any] | None = None,
    **options: Any,
) -> Fitted:
    """Fit a family on features, and with known items where that serves held-out people better.

    Args:
        family: a name of `MODELS`.
        train: comparisons of the seen people.
        valid: comparisons of other people, which choose; None leaves known items out. Where short
            fits of `hierarchical` leave no doubt, the family is fitted that way alone.
        seed: of the fit.
        device: `auto`, `cpu` or `cuda`.
        progress: called with the stage and how far it is.
        checkpoint: folder for the state of an interrupted fit.
        known_items: `auto`, `never`, or `always`, which takes them without asking.
        objective: a name of `PAIRWISE` or `LISTWISE`, for a family that trains by name, or one of
            the family's own; the family's default when None.
        objective_options: of the objective.
        auxiliary: terms beside the objective, by name, for a family that takes them.
        **options: of the family.

    Raises:
        ConfigError: `known_items` or an option is wrong, or the family cannot take the objective.
        InputError: a column of the comparisons is of another kind, length or range than
            `TrainingSet` says.
        UnknownNameError: there is no such family.
    """
    if known_items not in KNOWN_ITEMS:
        message = f"known_items: expected one of {KNOWN_ITEMS}, got {known_items!r}"
        raise ConfigError(message, where="known_items")
    run = MODELS[family].run
    train, valid = checked(train, valid)
    options |= _trained_by(family, objective, objective_options, auxiliary)
    shared: dict[str, Any] = {"seed": seed, "device": device, "progress": progress, **options}
    known = None
    judged = valid is not None and options.get("recipe") != "published"
    if known_items == "always" or (known_items == "auto" and judged):
        both = train if valid is None else everybody(train, valid)
        known = _known(both, getattr(run, "most_known", _MOST))
    serves: bool | None = False  # known items; None where both fits have to tell
    own, own_valid, gain = train, valid, None
    if known is not None:
        own, own_valid = _with_own(train, known), None if valid is None else _with_own(valid, known)
        serves = True if known_items == "always" else None
        slow = not getattr(run, "fits_quickly", False)
        if serves is None and slow and valid is not None and own_valid is not None:
            from gustibus.models.hybrid_choice import gain_of_known  # fits need torch

            gain = gain_of_known((train, valid), (own, own_valid), device, progress)
            serves = gain.told
    found: list[Fitted] = []
    if serves is not True:
        found.append(run.fit(train, valid, checkpoint=checkpoint, **shared))
    if known is not None and serves is not False:
        beside = None if checkpoint is None else checkpoint / "known"
        inner = run.fit(own, own_valid, checkpoint=beside, **shared)
        found.append(Fitted(Hybrid.of(inner.model, known), inner.report))
    return _better(found, gain)


def with_known_items(train: TrainingSet, valid: TrainingSet) -> tuple[TrainingSet, TrainingSet]:
    """Both with a coordinate of its own for each known item; as they are where none is known."""
    known = _known(everybody(train, valid), _MOST)
    return (train, valid) if known is None else (_with_own(train, known), _with_own(valid, known))


def _trained_by(
    family: str,
    objective: str | None,
    objective_options: Mapping[str, Any] | None,
    auxiliary: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What a family's fit is told of its objective, once it is known that it can take it."""
    for name, value in (("objective_options", objective_options), ("auxiliary", auxiliary)):
        if value is not None and not isinstance(value, Mapping):
            message = f"{name}: expected options by name, got {value!r:.80}"
            raise ConfigError(message, where=name)
    told: dict[str, Any] = {}
    if objective is not None:
        check_takes(family, objective)
        told["objective"] = objective
    if objective_options:
        if objective is None:
            message = f"objective_options: needs an objective, got none for {objective_options}"
            raise ConfigError(message, where="objective")
        told["objective_options"] = objective_options
    if auxiliary:
        check_adds(family)
        told["auxiliary"] = auxiliary
    return told


def _better(found: list[Fitted], gain: Gain | None) -> Fitted:
    """The last fit, or the first one where the last, with known items, gained nothing."""
    losses = [each.report["held_out_loss"] for each in found]
    best = found[-1]
    if len(found) == 2 and not (losses[1] or np.inf) < (losses[0] or np.inf):
        best = found[0]
    report = best.report | {
        "known_items": len(best.model.known) if isinstance(best.model, Hybrid) else 0,
        "held_out_losses": {
            "known items" if isinstance(each.model, Hybrid) else "features": loss
            for each, loss in zip(found, losses, strict=True)
        },
        "known_items_gain": None if gain is None else gain._asdict(),
    }  # fmt: skip
    return Fitted(best.model, report)


def check_takes(family: str, objective: str) -> bool:
    """Whether an objective is one by name, not one of the family's own.

    Raises:
        ConfigError: it is neither a family that trains by name nor an objective of its own.
        UnknownNameError: there is no such family.
    """
    takers = [
        name for name, entry in MODELS.items() if getattr(entry.run, "takes_objective", False)
    ]
    own = getattr(MODELS[family].run, "own_objectives", ()) if family in MODELS else ()
    if family in takers or objective in own:
        return objective not in own
    beside = f"; {family!r} knows {list(own)} alone" if own else ""
    message = (
        f"objective: family {family!r} cannot be trained with {objective!r}; "
        f"families that can: {takers}{beside}"
    )
    raise ConfigError(message, where="objective")


def check_adds(family: str) -> None:
    """Refuse auxiliary terms for a family that cannot add them to its loss.

    Raises:
        ConfigError: it is such a family.
    """
    adders = [name for name, entry in MODELS.items() if getattr(entry.run, "adds_terms", False)]
    if family not in adders:
        message = f"auxiliary: family {family!r} cannot add terms; families that can: {adders}"
        raise ConfigError(message, where="objective.auxiliary")


def _known(data: TrainingSet, most: int) -> KnownItems | None:
    """The items that enough answers are about; None where hardly any are."""
    m, d = data.item_features.shape
    most = min(most, max(_NUMBERS // max(m, 1) - d, 0))
    if len(data) == 0 or most < 2:
        return None
    known = KnownItems.of(data, share=_SHARE, least=_LEAST, most=most)
    return known if len(known) > 1 else None


def _with_own(data: TrainingSet, known: KnownItems) -> TrainingSet:
    return replace(data, item_features=known.augment(data.item_features), own=known.columns)
