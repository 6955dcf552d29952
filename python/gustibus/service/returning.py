"""Where a finished session links back to: addresses that the operator allows, and no others."""

from __future__ import annotations

from gustibus.service.origins import origin_of
from gustibus.service.problems import invalid


def check_return(address: str, allowed: str) -> None:
    """Refuse an address that a page must not link to; the service itself never follows one.

    Args:
        address: as the client sent it.
        allowed: origins, apart by spaces, as `GUSTIBUS_RETURN_ORIGINS` names them.

    Raises:
        Problem: 422.
    """
    if not allowed.split():
        detail = "GUSTIBUS_RETURN_ORIGINS names no origin, so that sessions link back to nowhere"
        raise invalid("/return_url", detail)
    if not may_return(address, allowed):
        detail = f"expected an address at one of the origins {', '.join(allowed.split())}"
        raise invalid("/return_url", detail)


def may_return(address: str | None, allowed: str) -> bool:
    """Whether a page may link to an address, also one that was allowed when its session began."""
    return address is not None and origin_of(address) in allowed.split()
