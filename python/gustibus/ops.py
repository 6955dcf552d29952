"""Every published method by its name: `gustibus.ops.bt_pair(r_w=[1.2], r_l=[0.2])`.

The modules that define methods are imported on first use, the light ones first, so that a transform
can be had where torch is not installed.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from gustibus.methods import METHODS

HOMES = (
    "gustibus.selection",
    "gustibus.rewards",
    "gustibus.robustness",
    "gustibus.curation",
    "gustibus.evaluation",
    "gustibus.objectives",
    "gustibus.policy",
)
"""Packages whose import lists methods, the light ones first."""


def __getattr__(name: str) -> Callable[..., Any]:
    if name.startswith("__"):
        raise AttributeError(name)
    missing = []
    for home in HOMES:
        if name in METHODS:
            break
        try:
            import_module(home)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("gustibus"):
                raise
            missing.append(f"{home} (no module {error.name!r})")
    if name in METHODS:
        return METHODS[name].run.run
    known = f"; not looked at: {', '.join(missing)}" if missing else ""
    message = f"gustibus.ops has no method {name!r}{known}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    for home in HOMES:
        import_module(home)
    return sorted(METHODS)
