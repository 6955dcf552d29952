"""The fit of a blend: its members', one after the other."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from gustibus.errors import ConfigError
from gustibus.models.base import MODELS, Fitted, Progress, TrainingSet
from gustibus.models.blend import BLEND, Blend
from gustibus.models.candidates import titled
from gustibus.models.hybrid import fit_model
from gustibus.models.keywords import Positive, read_options
from gustibus.models.validation import held_out_loss, hold_out

MEMBERS = ("hierarchical", "lore")


class Member(NamedTuple):
    """A family with options."""

    family: str
    options: Mapping[str, Any]

    @property
    def title(self) -> str:
        """For people to read."""
        return titled(self.family, self.options)


@dataclass(frozen=True, slots=True)
class _Weights:
    """What is checked by kind alone."""

    weights: tuple[Positive, ...] | None = None


class BlendOptions(NamedTuple):
    """Options of the fit.

    Attributes:
        members: families, each by its name or as a table with `family` and that family's options.
        weights: of the members' log-odds, above 0; with a sum of 1 the blend is a mean, which is what
            it is when None.
    """

    members: tuple[Member, ...]
    weights: tuple[float, ...]


def blend_options(
    members: Sequence[str | Mapping[str, Any]] | str = MEMBERS,
    weights: Sequence[float] | None = None,
    **more: Any,
) -> BlendOptions:
    """Options from keywords.

    Raises:
        ConfigError: an unknown keyword, fewer than two members, or weights that do not fit.
        UnknownNameError: there is no family of a name.
    """
    for name in more:
        message = f"{BLEND} has no option {name!r}; known: ['members', 'weights']"
        raise ConfigError(message, where=name)
    listed = members.split(",") if isinstance(members, str) else members
    if not isinstance(listed, list | tuple):
        message = f"members: expected names of families, got {members!r:.80}"
        raise ConfigError(message, where="members")
    found = tuple(map(_member, listed))
    if len(found) < 2:
        message = f"members: expected at least two families, got {len(found)}"
        raise ConfigError(message, where="members")
    for number, one in enumerate(found):
        if one in found[:number]:
            message = f"members: expected different ones, got {one.title} twice"
            raise ConfigError(message, where="members")
    weighed = read_options(_Weights, BLEND, {"weights": weights}).weights
    given = (1 / len(found),) * len(found) if weighed is None else weighed
    if len(given) != len(found):
        message = f"weights: expected {len(found)} numbers above 0, one a member, got {list(given)}"
        raise ConfigError(message, where="weights")
    return BlendOptions(found, given)


def _member(given: str | Mapping[str, Any]) -> Member:
    rest: dict[str, Any] = {}
    if isinstance(given, str):
        rest = {"family": given.strip()}
    elif isinstance(given, Mapping):
        rest = dict(given)
    name = rest.pop("family", None)
    if not isinstance(name, str) or name == BLEND:
        message = f"members: expected names of families that are no blends, got {given!r}"
        raise ConfigError(message, where="members")
    MODELS[name]
    return Member(name, rest)


def fit_blend(
    train: TrainingSet,
    valid: TrainingSet | None,
    *,
    options: BlendOptions,
    seed: int,
    device: str,
    progress: Progress | None,
    checkpoint: Path | None,
) -> Fitted:
    """Fit every member on the same people, each with known items where that serves it.

    Returns:
        The blend; its report has `held_out_loss` and a row for each member.

    Raises:
        ConfigError: an option of a member is wrong.
        InputError: a member's tastes run in circles, or members do not fit together.
    """
    started = time.perf_counter()
    fits: list[Fitted] = []
    for number, one in enumerate(options.members):
        fits.append(fit_model(
            one.family, train, valid, seed=seed, device=device,
            progress=_titled(progress, one.title),
            checkpoint=None if checkpoint is None else checkpoint / f"{number} {one.family}",
            **one.options,
        ))  # fmt: skip
    model = Blend(tuple(fit.model for fit in fits), options.weights)
    judged = None if valid is None else held_out_loss(model, valid, hold_out(valid))
    rows = [
        {"family": one.family, "weight": weight, **fit.report}
        for one, weight, fit in zip(options.members, options.weights, fits, strict=True)
    ]
    seconds = time.perf_counter() - started
    return Fitted(model, {"held_out_loss": judged, "members": rows, "seconds": seconds})


def _titled(progress: Progress | None, title: str) -> Progress | None:
    if progress is None:
        return None
    shown = progress
    return lambda stage, *rest: shown(f"{title}: {stage}", *rest)
