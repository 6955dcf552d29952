"""Addresses of clients: who asks, behind which proxies, and within which ranges."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

_MAPPED = 0xFFFF << 32  # where IPv6 holds the addresses of IPv4
_LONGEST = 80  # characters of an address with its zone and its port
_FORWARDED = b"x-forwarded-for"


class Address(NamedTuple):
    """An address as a number; one of IPv4 that came as IPv6 is one of IPv4."""

    version: int
    number: int


class Network(NamedTuple):
    """A range of addresses, ready to be looked at."""

    version: int
    mask: int
    number: int


def address_of(text: str) -> Address | None:
    """An address, with or without a port; None for anything else."""
    return _address_of(text) if len(text) <= _LONGEST else None


@lru_cache(maxsize=4096)
def _address_of(text: str) -> Address | None:
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    number = int(found)
    if found.version == 6 and number >> 32 == _MAPPED >> 32:
        return Address(4, number & 0xFFFFFFFF)
    return Address(found.version, number)


def shown(address: Address | None) -> str:
    """An address as people write it."""
    if address is None:
        return "an unknown address"
    kind = IPv4Address if address.version == 4 else IPv6Address
    return str(kind(address.number))


def normal_range(text: str) -> str:
    """A range in its one form: `10.0.0.0/8`, `2001:db8::/32`, and an address alone as a range of one.

    Raises:
        ValueError: says what is wrong with it.
    """
    try:
        return str(_unmapped(ip_network(text)))
    except ValueError as error:
        try:
            near = ip_network(text, strict=False)
        except ValueError:
            raise ValueError(f"expected a range such as 10.0.0.0/8, got {text[:64]!r}") from error
        message = f"{text!r} is an address in {near}, and no range; which of them is meant?"
        raise ValueError(message) from None


def _unmapped(found: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    start = int(found.network_address)
    if isinstance(found, IPv6Network) and found.prefixlen >= 96 and start >> 32 == _MAPPED >> 32:
        return IPv4Network((start & 0xFFFFFFFF, found.prefixlen - 96))
    return found


def normal_ranges(texts: Iterable[str]) -> list[str]:
    """Ranges in their one form, each once, IPv4 first.

    Raises:
        ValueError: says what is wrong with one.
    """
    return sorted({normal_range(text) for text in texts}, key=lambda text: network_of(text))


def network_of(text: str) -> Network:
    """A range in its one form, as numbers."""
    found = ip_network(text)
    return Network(found.version, int(found.netmask), int(found.network_address))


def among(address: Address | None, networks: Sequence[Network]) -> bool:
    """Whether an address is in one of some ranges; one that is not known is in none."""
    if address is None:
        return False
    version, number = address
    return any(number & mask == start and kind == version for kind, mask, start in networks)


def within(inner: Iterable[str], outer: Iterable[str]) -> bool:
    """Whether each of some ranges lies in one of others."""
    around = [network_of(text) for text in outer]
    for text in inner:
        version, mask, number = network_of(text)
        if not any(
            version == kind and mask & wide == wide and number & wide == start
            for kind, wide, start in around
        ):
            return False
    return True


def client_of(
    peer: str | None, headers: Iterable[tuple[bytes, bytes]], trusted: Sequence[Network]
) -> Address | None:
    """Who asks: the peer, or where that is a trusted proxy, the nearest hop that is none.

    Args:
        peer: address of the other end of the connection, None where it has none.
        headers: of the request, in order.
        trusted: ranges of the proxies whose `X-Forwarded-For` is believed.

    Returns:
        The address; None where a trusted proxy names something that is none.
    """
    found = None if peer is None else address_of(peer)
    if not trusted or not among(found, trusted):
        return found
    told = b",".join(value for name, value in headers if name == _FORWARDED)
    for hop in reversed(told.split(b",")):
        name = hop.strip().decode("latin-1")
        if not name:
            continue
        found = address_of(name)
        if not among(found, trusted):
            break
    return found
