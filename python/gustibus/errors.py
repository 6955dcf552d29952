"""One family of errors; `code` is stable and is what the service and the command line report."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar


class GustibusError(Exception):
    """Base of every error that gustibus raises on purpose."""

    code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, where: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        """What the message is about: an argument, a JSON Pointer, or `file:row:column`."""


class InputError(GustibusError, ValueError):
    """A value is wrong: shape, range, type, not finite, duplicated."""

    code = "invalid_field"


class DimensionError(InputError):
    """An embedding has another dimension than the model expects."""

    code = "dimension_mismatch"


class NotFiniteError(InputError):
    """A number is NaN or infinite."""

    code = "not_finite"


class InfeasibleError(InputError):
    """No answer satisfies the constraints; the message names the one that cannot be met."""

    code = "infeasible"


class ConfigError(GustibusError, ValueError):
    """A run file, a flag or an environment variable is wrong."""

    code = "invalid_config"


class UnknownUserWarning(UserWarning):
    """Somebody is not among the people of a model, and is taken for anybody."""


class UnknownNameError(GustibusError, LookupError):
    """A name is in no table."""

    code = "unknown_name"

    @classmethod
    def of(cls, kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
        """Error for `name`, with the closest known names, or all of them when none is close."""
        known = sorted(known)
        close = get_close_matches(str(name), known, n=3, cutoff=0.5)
        hint = f"did you mean {close}?" if close else f"known: {known}"
        return cls(f"no {kind} {name!r}; {hint}", where=kind)


class NotFoundError(GustibusError, LookupError):
    """A person, item, session or file does not exist."""

    code = "not_found"


class ConflictError(GustibusError):
    """The state does not allow it: another writer was faster, or the thing exists already."""

    code = "conflict"


class ArtifactError(GustibusError):
    """A model folder is incomplete, altered or of another kind."""

    code = "bad_artifact"


class NoArtifactError(ArtifactError, NotFoundError):
    """There is no such model folder."""


class OverloadedError(GustibusError):
    """There is more work than capacity; retry later."""

    code = "queue_full"


class MissingExtraError(GustibusError, ImportError):
    """An optional dependency is not installed."""

    code = "missing_extra"

    @classmethod
    def of(cls, package: str, extra: str) -> MissingExtraError:
        """Error that names the package and the extra that brings it."""
        return cls(f"{package} is not installed; install it with: pip install 'gustibus[{extra}]'")
