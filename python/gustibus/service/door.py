"""Who is let in: from where, for which model, and after how many wrong keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gustibus.service.addresses import Address, client_of, shown
from gustibus.service.problems import Problem
from gustibus.service.routing import ANY
from gustibus.service.windows import counts_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gustibus.service.call import Call
    from gustibus.service.keys import Caller
    from gustibus.service.quotas import Quotas
    from gustibus.service.settings import Settings

_TOLD = "The key is unknown, wrong, expired or revoked"


class Door:
    """Looks at addresses, and counts the wrong keys that come from each."""

    def __init__(self, settings: Settings, quotas: Quotas | None) -> None:
        self._trusted = settings.proxies
        self._served = settings.model_name
        self._failures = counts_of(quotas, "failures", settings.failed_keys, settings.workers)

    def client(self, scope: Mapping[str, Any]) -> Address | None:
        """Who asks, None where that is not known."""
        peer = scope.get("client")
        return client_of(None if peer is None else peer[0], scope["headers"], self._trusted)

    def wrong_key(self, call: Call, header: bytes, scope: Mapping[str, Any]) -> Problem:
        """401; 429 once an address has sent too many wrong keys.

        Others may share the address: what comes with a right key is answered as ever. The token of a
        session that has ended was right once, and is not counted.
        """
        call.state.meter.reject("auth")
        session = call.params.get("session", "")
        if call.route.session and call.state.sessions.has_ended(header, session):
            return Problem("unauthenticated", _TOLD)
        client = self.client(scope)
        if client is not None and client.version == 6:  # a household, or a machine, has so many
            client = Address(6, client.number >> 64)
        wait = self._failures.count(client)
        if wait == 0.0:
            return Problem("unauthenticated", _TOLD)
        detail = f"{_TOLD}; too many such requests came from this address within a minute"
        return Problem("too_many_failures", detail, retry_after=wait)

    def check_guess(self, call: Call, header: bytes, scope: Mapping[str, Any]) -> None:
        """Count a wrong key on a route that would answer without one.

        Raises:
            Problem: 429 once the address has sent too many.
        """
        problem = self.wrong_key(call, header, scope)
        if problem.code == "too_many_failures":
            raise problem

    def check_limits(self, call: Call, caller: Caller, scope: Mapping[str, Any]) -> None:
        """Refuse a key that is for other places, or for other models than the one that is served.

        Raises:
            Problem: 403.
        """
        if caller.cidrs is not None:
            client = self.client(scope)
            if not caller.comes_from(client):
                raise Problem("forbidden", f"The key may not be used from {shown(client)}")
        if call.route.scope != ANY and not caller.is_for(self._served):
            detail = (
                f"The key is not for the model {self._served!r}, which is the one that is served"
            )
            raise Problem("forbidden", detail)
