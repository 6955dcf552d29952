"""A run: which data, which encoder, which model; from a TOML file, from flags, or from code."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from gustibus.data.comparisons import Identical
from gustibus.encoders import ENCODERS
from gustibus.errors import ConfigError, InputError
from gustibus.models import MODELS
from gustibus.models.automatic_options import AUTO
from gustibus.models.hybrid import check_adds, check_takes
from gustibus.rewards import Transform

_TABLES: dict[str, tuple[str, ...]] = {
    "": ("seed", "device", "output"),
    "data": (
        "path",
        "layout",
        "columns",
        "identical",
        "split",
        "valid_people",
        "new_users",
        "new_prompts",
        "groups",
        "margins",
        "languages",
        "keys",
        "key_share",
        "trusted_keys",
        "limit_people",
        "flags",
        "strengths",
        "strength_exponent",
        "rewards",
        "ratings",
    ),
    "encoder": ("name",),
    "model": ("name",),
    "objective": ("name",),
    "onboarding": ("questions", "terms", "max_lix"),
    "transform": ("name",),
}


_DEVICE = re.compile(r"auto|cpu|mps|(cuda|xpu)(:\d+)?")


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Everything that decides the result of a run.

    Attributes:
        data: file or folder of comparisons.
        output: folder of the artifact.
        layout: of a file; `auto` looks at its columns.
        columns: the file's names for the columns, such as `{"chosen": "good"}`.
        identical: `refuse` or `drop` comparisons of a response with itself.
        split: `given` uses the folder's own parts, `four_cells` holds people and prompts (or items)
            out, `all` fits on every row but those of the validation people; `auto` is `given` where
            the data has parts, else `four_cells`.
        valid_people: share of people who choose settings and checkpoints.
        new_users: share of people held out by `four_cells`.
        new_prompts: share of prompts or items held out by `four_cells`.
        groups: further column of the comparisons that names the data set of each, for `bt` with
            `reducer = "more"`, `"worst_group"` or `"user_mean"`.
        margins: further column by how much the reward of the preferred response should exceed the
            other's, for an objective or for `gpm` with `loss = "margin"`; empty cells count as 0.
        languages: further column with the language of what each comparison shows, as a tag such as `de-AT`
            (BCP 47), which the questions of the onboarding pool keep; empty cells leave it open.
        keys: further column that names who sent each comparison, such as the column `key` of exports of the
            service: no sender has more than `key_share` of the loss, comparisons with an empty cell
            keep their weight, and the card tells what each sender has changed.
        key_share: in (0, 1], of the loss that one sender may have; 1/n where there are only n.
        trusted_keys: senders that may have any share.
        limit_people: whether nobody may have more of the loss than the larger of 0.1 % and five times
            an equal share.
        flags: further column that is true where a pair must not be shown to others, as by a filter for
            safety; the pool leaves it out. Not used where empty.
        strengths: further column by how much each response was preferred, such as 1 for slightly and 3
            for clearly: answers count for more or less by it, and those that the service is given
            later as well. Empty cells count as one answer; not used where empty.
        strength_exponent: in `[0, 1]`, an answer counts for its strength to that power; None lets
            held-out people choose.
        rewards: file with a row an item, which a column `item_id` or `text` names, and a column of numbers
            a reward model, for `pro` to weigh; every item that was compared has all of them. New
            items' are foretold from their features by ridge. `names` of the model's options picks
            columns; not used where empty.
        ratings: the same of attributes that were rated; cells may be empty.
        encoder: name; `auto` takes ready-made embeddings where the data has them, else `static`.
        encoder_options: of that encoder.
        model: family, or `auto`, which chooses one on held-out people.
        model_options: of that family.
        objective: what a family that trains by name minimises: a row of `PAIRWISE`, or of
            `LISTWISE`, which takes ranked lists; the family's own where empty.
        objective_options: of that row.
        auxiliary: rows of `AUXILIARY` added to the objective: for each name its weight, or a table
            with `weight` and options; `degree_ce` reads a further column `degree`.
        transform: row of `gustibus.rewards.TRANSFORMS` that is saved with the model; empty saves none.
        transform_options: of that row.
        questions: size of the onboarding pool saved with the model; 0 saves none.
        terms: file of words and phrases, one a line, that no question may hold; empty for none.
        max_lix: above 0, how hard a text or prompt of a question may read, as
            `gustibus.onboarding.suitability.lix` measures it; None for however hard.
        seed: of splits, starts and orders.
        device: `auto`, `cpu` or `cuda`.
    """

    data: str
    output: str
    layout: str = "auto"
    columns: Mapping[str, str] = field(default_factory=dict)
    identical: Identical = "refuse"
    split: str = "auto"
    valid_people: float = 0.1
    new_users: float = 0.2
    new_prompts: float = 0.15
    groups: str = ""
    margins: str = ""
    languages: str = ""
    keys: str = ""
    key_share: float = 0.2
    trusted_keys: Sequence[str] = ()
    limit_people: bool = False
    flags: str = ""
    strengths: str = ""
    strength_exponent: float | None = None
    rewards: str = ""
    ratings: str = ""
    encoder: str = "auto"
    encoder_options: Mapping[str, Any] = field(default_factory=dict)
    model: str = "hierarchical"
    model_options: Mapping[str, Any] = field(default_factory=dict)
    objective: str = ""
    objective_options: Mapping[str, Any] = field(default_factory=dict)
    auxiliary: Mapping[str, Any] = field(default_factory=dict)
    transform: str = ""
    transform_options: Mapping[str, Any] = field(default_factory=dict)
    questions: int = 500
    terms: str = ""
    max_lix: float | None = None
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        """Refuse what can be refused before any work starts."""
        self._check_kinds()
        if self.encoder != "auto":
            ENCODERS[self.encoder]
        if self.model != AUTO:
            MODELS[self.model]
        self._check_objective()
        if self.transform or self.transform_options:
            Transform(self.transform, self.transform_options)
        if self.split not in ("auto", "given", "four_cells", "all"):
            message = f"split: expected auto, given, four_cells or all, got {self.split!r}"
            raise ConfigError(message, where="data.split")
        if self.identical not in ("refuse", "drop"):
            message = f"identical: expected refuse or drop, got {self.identical!r}"
            raise ConfigError(message, where="data.identical")

    def _check_kinds(self) -> None:
        """Refuse values of another kind, which would fail far from here, and name what they are for."""
        for name in ("data", "output"):
            value = getattr(self, name)
            if isinstance(value, Path):  # as it is saved with the model
                object.__setattr__(self, name, str(value))
            elif not isinstance(value, str):
                message = f"{name}: expected a path, got {value!r}"
                raise ConfigError(message, where="data.path" if name == "data" else name)
        for name in ("columns", *(f"{t}_options" for t in ("encoder", "model", "objective"))):
            if not isinstance(getattr(self, name), Mapping):
                message = f"{name}: expected names with values, got {getattr(self, name)!r}"
                raise ConfigError(message, where=name)
        for name in ("valid_people", "new_users", "new_prompts"):
            value = getattr(self, name)
            if not isinstance(value, Real) or not 0 <= float(value) < 1:
                message = f"{name}: expected a share in [0, 1), got {value!r}"
                raise ConfigError(message, where=f"data.{name}")
            object.__setattr__(self, name, float(value))  # as it is saved, whatever counted
        self._check_limits()
        self._check_strengths()
        self._check_attributes()
        for name, where in (("flags", "data.flags"), ("terms", "onboarding.terms")):
            if not isinstance(getattr(self, name), str):
                message = f"{name}: expected a text, got {getattr(self, name)!r}"
                raise ConfigError(message, where=where)
        hard = self.max_lix
        if hard is not None:
            if not isinstance(hard, Real) or isinstance(hard, bool) or not float(hard) > 0:
                message = f"max_lix: expected a number above 0 or none, got {hard!r}"
                raise ConfigError(message, where="onboarding.max_lix")
            object.__setattr__(self, "max_lix", float(hard))
        for name, where, most in (
            ("questions", "onboarding.questions", 20_000), ("seed", "seed", 2**32 - 1)
        ):  # fmt: skip
            value = getattr(self, name)
            if not isinstance(value, Integral) or not 0 <= int(value) <= most:
                message = f"{name}: expected 0 to {most}, got {value!r}"
                raise ConfigError(message, where=where)
            object.__setattr__(self, name, int(value))
        if not isinstance(self.device, str) or not _DEVICE.fullmatch(self.device):
            message = f"device: expected auto, cpu, cuda or cuda:1, got {self.device!r}"
            raise ConfigError(message, where="device")

    def _check_limits(self) -> None:
        if not isinstance(self.key_share, Real) or not 0 < float(self.key_share) <= 1:
            message = f"key_share: expected a share in (0, 1], got {self.key_share!r}"
            raise ConfigError(message, where="data.key_share")
        object.__setattr__(self, "key_share", float(self.key_share))
        given = self.trusted_keys
        if not isinstance(given, list | tuple) or not all(isinstance(one, str) for one in given):
            message = f"trusted_keys: expected names of senders, got {given!r}"
            raise ConfigError(message, where="data.trusted_keys")
        object.__setattr__(self, "trusted_keys", list(given))  # as JSON has it
        if not isinstance(self.limit_people, bool):
            message = f"limit_people: expected true or false, got {self.limit_people!r}"
            raise ConfigError(message, where="data.limit_people")

    def _check_strengths(self) -> None:
        power = self.strength_exponent
        if not isinstance(self.strengths, str):
            message = f"strengths: expected the name of a column, got {self.strengths!r}"
            raise ConfigError(message, where="data.strengths")
        if power is None:
            return
        if not isinstance(power, Real) or isinstance(power, bool) or not 0 <= float(power) <= 1:
            message = f"strength_exponent: expected a number in [0, 1] or none, got {power!r}"
            raise ConfigError(message, where="data.strength_exponent")
        if not self.strengths:
            message = "strength_exponent: needs a column of strengths, got none"
            raise ConfigError(message, where="data.strengths")
        object.__setattr__(self, "strength_exponent", float(power))

    def _check_attributes(self) -> None:
        """Refuse files of rewards where nothing weighs them, and arrays, which no card can keep."""
        for name in ("rewards", "ratings"):
            value = getattr(self, name)
            if isinstance(value, Path):
                object.__setattr__(self, name, str(value))
            elif not isinstance(value, str):
                message = f"{name}: expected a path, got {value!r}"
                raise ConfigError(message, where=f"data.{name}")
            if value and self.model != "pro":
                message = f"{name}: need the model 'pro', which weighs them, got {self.model!r}"
                raise ConfigError(message, where=f"data.{name}")
        options = self.model_options
        if hasattr(options.get("ratings"), "dtype"):
            message = (
                "model_options: ratings: expected lists of numbers, got an array, which a card "
                "cannot keep; name a file by ratings=PATH instead"
            )
            raise ConfigError(message, where="model.ratings")
        if not (self.rewards or self.ratings):
            return
        if options.get("rewards", "auto") not in ("auto", "ratings"):
            where = f"model_options: rewards={options['rewards']!r}"
        else:
            where = next((name for name in ("columns", "ratings") if name in options), "")
        if where:
            message = f"{where}: rewards come from a file already ({self.rewards or self.ratings})"
            raise ConfigError(message, where="model.rewards")

    def _check_objective(self) -> None:
        for name in ("objective_options", "auxiliary"):
            if getattr(self, name) and not self.objective:
                message = f"{name}: needs an objective, got none"
                raise ConfigError(message, where="objective.name")
        if not self.objective:
            self._check_own_margins()
            return
        if check_takes(self.model, self.objective):
            from gustibus.objectives.choice import choose

            chosen = choose(self.objective, self.objective_options)
            if chosen.listwise and not getattr(MODELS[self.model].run, "takes_lists", False):
                message = (
                    f"objective: {self.model!r} takes pairwise objectives, {self.objective!r} "
                    "takes lists"
                )
                raise ConfigError(message, where="objective.name")
            if chosen.listwise and self.margins:
                message = (
                    f"margins: a pairwise objective keeps them, {self.objective!r} takes lists"
                )
                raise ConfigError(message, where="data.margins")
        if self.auxiliary:
            check_adds(self.model)
            from gustibus.models.bt_auxiliary import choose_terms

            choose_terms(self.auxiliary)

    def _check_own_margins(self) -> None:
        """Without an objective only a family keeps margins whose own loss has some."""
        if not self.margins:
            return
        run = None if self.model == AUTO else MODELS[self.model].run
        keeps = getattr(run, "keeps_margins", None)
        if keeps is None:
            message = "margins: needs an objective, got none"
            raise ConfigError(message, where="objective.name")
        option, value = keeps
        given = self.model_options.get(option)
        if given != value:
            found = "the default" if given is None else repr(given)
            message = f"margins: {self.model!r} keeps them with {option} = {value!r}, got {found}"
            raise ConfigError(message, where="data.margins")

    @classmethod
    def read(cls, path: str | Path, **overrides: Any) -> RunConfig:
        """A run file; `overrides` (flags) win over it.

        Raises:
            ConfigError: the file is missing, not TOML, or has an unknown key; known ones are
                listed.
        """
        try:
            table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            message = f"{path}: cannot be read ({error.strerror})"
            raise ConfigError(message, where=str(path)) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            message = f"{path}: not a TOML file ({error})"
            raise ConfigError(message, where=str(path)) from None
        return cls(**{**_flat(table, str(path)), **overrides})

    @classmethod
    def of_card(cls, card: Mapping[str, Any], data: str, *, name: str = "model") -> RunConfig:
        """The run that a model came from, on other data.

        Args:
            card: of the model.
            data: file or folder of comparisons.
            name: of the model, for messages.

        Raises:
            InputError: the card does not say how the model was trained, or says more than is known.
        """
        saved = card.get("run")
        if not isinstance(saved, Mapping):
            message = f"{name}: its card does not say how it was trained"
            raise InputError(message, where=name)
        try:
            return cls(**{**saved, "data": data})
        except TypeError as error:
            message = f"{name}: its card has settings that this version does not know ({error})"
            raise InputError(message, where=name) from None

    def as_json(self) -> dict[str, Any]:
        """The resolved configuration, as it is saved with the model."""
        return asdict(self)


def _flat(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Fields of `RunConfig` from the tables of a run file."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        if key in _TABLES[""]:
            found[key] = value
        elif key in _TABLES and isinstance(value, Mapping):
            found |= _section(key, value, where)
        else:
            raise _unknown(key, [*_TABLES[""], *(f"[{t}]" for t in _TABLES if t)], where)
    for name, place in (("data", "[data] path"), ("output", "output")):
        if name not in found:
            message = f"{where}: {place} is missing"
            raise ConfigError(message, where=place)
    return found


def _section(table: str, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    known = _TABLES[table]
    if table in ("encoder", "model", "objective", "transform"):
        # what is not the name is an option of the entry
        options = {k: v for k, v in values.items() if k != "name"}
        named = {table: values["name"]} if "name" in values else {}
        if table == "objective" and "auxiliary" in options:
            named["auxiliary"] = _named_terms(options.pop("auxiliary"), where)
        return named | {f"{table}_options": options}
    for key in values:
        if key not in known:
            raise _unknown(f"{table}.{key}", [f"{table}.{k}" for k in known], where)
    return {("data" if (table, k) == ("data", "path") else k): v for k, v in values.items()}


def _named_terms(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        message = (
            f"{where}: objective.auxiliary: expected a table of weights by name, got {value!r}"
        )
        raise ConfigError(message, where="objective.auxiliary")
    return value


def _unknown(key: str, known: list[str], where: str) -> ConfigError:
    close = get_close_matches(key, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {known}"
    return ConfigError(f"{where}: unknown key {key!r}; {hint}", where=key)
