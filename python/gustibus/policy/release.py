"""Which releases of TRL the trainers here extend."""

from __future__ import annotations

from gustibus.errors import ConfigError, MissingExtraError

SUPPORTED = ("1.16",)
"""Major and minor numbers."""


def require_trl() -> None:
    """Refuse to go on without a TRL that the trainers were written for.

    Raises:
        MissingExtraError: TRL is not installed.
        ConfigError: it is of another release.
    """
    try:
        from trl import __version__ as version
    except ImportError:
        raise MissingExtraError.of("trl", "policy") from None
    check_release(version)


def check_release(version: str) -> None:
    """Refuse a release by its version, such as `1.16.0`.

    Raises:
        ConfigError: names the release and those that are supported.
    """
    if ".".join(version.split(".")[:2]) not in SUPPORTED:
        message = f"trl: expected a release of {', '.join(SUPPORTED)}, got {version}"
        raise ConfigError(message, where="trl")
