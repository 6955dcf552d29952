"""A Ray cluster: the one that is there, or one on this machine for as long as it is needed."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gustibus.errors import InputError, MissingExtraError

_PATIENCE = 5.0  # seconds for a connection to the head of a cluster


@contextmanager
def cluster(address: str = "") -> Iterator[Any]:
    """The `ray` module, with its data part, connected to a cluster.

    Where this process is connected already, that cluster is used and stays as it is. Else the one at
    an address, or at that of `RAY_ADDRESS`, or one that is begun here with every core of this machine
    and ended after the block; it reports to nobody.

    Args:
        address: of a cluster: `auto`, `HOST:PORT` or `ray://HOST:PORT`.

    Raises:
        InputError: there is no cluster at the address.
        MissingExtraError: Ray is not installed.
    """
    try:
        import ray
        import ray.data
    except ImportError:
        raise MissingExtraError.of("ray", "ray") from None
    if ray.is_initialized():
        with _quiet(ray):
            yield ray
        return
    _reach(address)
    given: dict[str, Any] = {"address": address} if address else {}
    if not address and "RAY_ADDRESS" not in os.environ:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        given["include_dashboard"] = False
    try:
        ray.init(logging_level=logging.WARNING, log_to_driver=False, **given)
    except (ConnectionError, ValueError) as error:
        message = f"address: no Ray cluster at {address or os.environ.get('RAY_ADDRESS')} ({error})"
        raise InputError(message, where="address") from None
    try:
        with _quiet(ray):
            yield ray
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Refuse an address where nobody listens, after which Ray would look for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:
        return  # `auto` and the like: Ray knows at once
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
    except (OSError, ValueError, OverflowError) as error:
        message = f"address: no Ray cluster at {address} ({error})"
        raise InputError(message, where="address") from None


@contextmanager
def _quiet(ray: Any) -> Iterator[None]:
    """Run datasets without bars and reports: whoever calls is told by a function."""
    context, log = ray.data.DataContext.get_current(), logging.getLogger("ray.data")
    before = context.enable_progress_bars, log.level
    context.enable_progress_bars = False
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        context.enable_progress_bars, log.level = before
