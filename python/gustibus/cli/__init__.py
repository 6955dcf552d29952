"""The command line: `gustibus --help`."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point; without the extras it says which to install instead of a traceback."""
    try:
        from gustibus.cli.app import run
    except ImportError as error:
        missing = getattr(error, "name", None) or str(error)
        sys.stderr.write(
            f"gustibus: {missing} is not installed; the command line needs an extra:\n"
            "  pip install 'gustibus[train,serve]'\n"
        )
        raise SystemExit(1) from None
    raise SystemExit(run())
