"""The gate of promotions: a version is no worse on a trusted golden set than the one in its place."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from gustibus.errors import InputError
from gustibus.evaluation.golden import GoldenFigures, losses
from gustibus.service.problems import Problem
from gustibus.service.settings import Settings
from gustibus.store import Connection, VersionRow, champion, get_version

_ASK = 'queue the job {{"kind": "evaluate", "version": {}, "golden": true}} and try again'


def golden_digest(settings: Settings) -> str:
    """Identity of the golden set as it is now, with what makes its groups; empty where there is none.

    Raises:
        InputError: the file cannot be read.
    """
    if not settings.golden:
        return ""
    try:
        with Path(settings.golden).open("rb") as file:
            found = hashlib.file_digest(file, "sha256")
    except OSError as error:
        message = f"the golden set cannot be read ({error.strerror})"
        raise InputError(message, where="golden") from None
    found.update(f"\0{settings.golden_groups}".encode())
    return found.hexdigest()


@dataclass(frozen=True, slots=True)
class Gate:
    """The golden set at the time of a promotion."""

    digest: str
    """Empty where there is none, and nothing is refused."""
    unread: str = ""
    """Why it cannot be read, if it cannot."""

    @classmethod
    def of(cls, settings: Settings) -> Gate:
        """The gate as it is now; reads the file."""
        try:
            return cls(golden_digest(settings))
        except InputError as error:
            return cls("", error.message)

    def admit(self, conn: Connection, *, model: str, version: int, force: bool) -> bool:
        """Whether a version may only become the champion because it is forced to.

        Raises:
            Problem: 409 where it may not, and is not.
        """
        row = get_version(conn, model=model, version=version)
        if row is None:
            return False
        reasons = [self.unread] if self.unread else why_not(conn, row, self.digest)
        if reasons and not force:
            detail = f"Version {version} is not promoted: {'; '.join(reasons)}"
            raise Problem("gate_failed", f"{detail}. `force` promotes it all the same")
        return bool(reasons)


def why_not(conn: Connection, target: VersionRow, golden: str) -> list[str]:
    """Why a version may not become the champion; nothing where it may.

    Args:
        conn: the transaction that is to move the alias.
        target: the version.
        golden: `golden_digest`.
    """
    now = champion(conn, model=target.model) if golden else None
    if now is None or now.version == target.version:
        return []
    for row in (target, now):
        if row.golden is None or row.golden["digest"] != golden:
            return [
                f"version {row.version} was not judged on the golden set as it is now; "
                + _ASK.format(target.version)
            ]
    found = [GoldenFigures.from_json(row.golden) for row in (target, now) if row.golden]
    return list(losses(*found))
