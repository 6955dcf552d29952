"""A transform that belongs to a reward model: chosen once, saved with it, the same wherever it is used."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from gustibus.errors import InputError, UnknownNameError
from gustibus.rewards.arrays import arrays
from gustibus.rewards.statistics import Statistics
from gustibus.rewards.transforms import TRANSFORMS

Option = float | str
_STEP = 1e-4


@dataclass(frozen=True)
class Transform:
    """A row of `TRANSFORMS` with its options and, where they are frozen, its references.

    Attributes:
        name: of the row.
        options: of the row; what is not named keeps its default.
        references: frozen rewards `(p,)` of reference responses, or `Statistics` of rewards that have
            gone by; None takes the references of each call, so that those of one person or prompt
            never touch another's.

    Raises:
        UnknownNameError: there is no such row or option.
        InputError: an option or the references are wrong.

    Examples:
        >>> shape = Transform("par", {"k": 2.0})
        >>> shape([0.0, 1.0], references=[0.5]).round(3).tolist()
        [0.269, 0.731]
    """

    name: str
    options: Mapping[str, Option] = field(default_factory=dict)
    references: tuple[float, ...] | Statistics | None = None

    def __post_init__(self) -> None:
        """Refuse a wrong option before any reward comes."""
        entry = TRANSFORMS[self.name]
        known = list(inspect.signature(entry.run).parameters.values())[2:]
        for name in self.options:
            if name not in {p.name for p in known}:
                kind = f"option of {self.name!r}"
                raise UnknownNameError.of(kind, name, [p.name for p in known])
        for parameter in known:
            if parameter.default is parameter.empty and parameter.name not in self.options:
                message = f"{parameter.name}: {self.name!r} needs it"
                raise InputError(message, where=parameter.name)
        self(0.0, references=(0.0, 1.0) if self.references is None else None)

    def freeze(self, references: Any) -> Self:
        """The same with references that hold for every call.

        Args:
            references: `(p,)` rewards, or `Statistics`, which `mean_std`, `min_max` and `clip` read.
        """
        if not isinstance(references, Statistics):
            _, values = arrays(references=references)
            references = tuple(values.ravel().tolist())
        return replace(self, references=references)

    def __call__(self, r: Any, references: Any = None) -> Any:
        """Rewards as the row makes them.

        Args:
            r: `(*b, n)` raw rewards; numpy, torch, or plain numbers.
            references: rewards of reference responses, as `gustibus.rewards.transforms` describes
                them; those that were frozen count where none come.

        Returns:
            The shape of `r`.

        Raises:
            InputError: the row reads references and there are none, or their shape is wrong.
            NotFiniteError: NaN or infinity among the rewards.
        """
        run = TRANSFORMS[self.name].run
        refs = self.references if references is None else references
        needed = list(inspect.signature(run).parameters.values())[1]
        if refs is None and needed.default is needed.empty:
            message = f"references: {self.name!r} compares with reference responses, got none"
            raise InputError(message, where="references")
        return run(r, refs, **self.options)

    def slope(self, r: Any, references: Any = None) -> Any:
        """By how much the row stretches small differences around each reward: the shape of `r`.

        A central difference over 1e-4 log-odds, by which standard errors are multiplied.
        """
        _, r = arrays(r=r)
        above, below = (self(r + step, references) for step in (_STEP, -_STEP))
        return (above - below) / (2 * _STEP)

    def save(self) -> dict[str, Any]:
        """JSON values that `load` turns into an equal transform."""
        frozen = self.references
        saved: dict[str, Any] = {"name": self.name, "options": dict(self.options)}
        if isinstance(frozen, Statistics):
            return saved | {"statistics": frozen.save()}
        return saved if frozen is None else saved | {"references": list(frozen)}

    @classmethod
    def load(cls, saved: Mapping[str, Any]) -> Self:
        """What `save` gave.

        Raises:
            InputError: something else.
        """
        unknown = set(saved) - {"name", "options", "statistics", "references"}
        if unknown or not isinstance(saved.get("name"), str):
            message = f"transform: expected what save() gives, got {dict(saved)!r:.120}"
            raise InputError(message, where="transform")
        made = cls(saved["name"], dict(saved.get("options", {})))
        if "statistics" in saved:
            return made.freeze(Statistics.load(saved["statistics"]))
        return made.freeze(saved["references"]) if "references" in saved else made
