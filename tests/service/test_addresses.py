"""Who asks, from where, how often: addresses, ranges, proxies, minutes."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from random import Random

import pytest

from gustibus.errors import ConfigError
from gustibus.service import sessions
from gustibus.service.addresses import (
    address_of,
    among,
    client_of,
    network_of,
    normal_range,
    normal_ranges,
    shown,
    within,
)
from gustibus.service.sessions import GOOD_FOR, SessionTokens
from gustibus.service.settings import Settings
from gustibus.service.windows import MINUTE, Windows, share_of


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("192.0.2.7", "192.0.2.7/32"),
        ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
        ("2001:DB8:0:0::/32", "2001:db8::/32"),
        ("::1", "::1/128"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::/0", "::/0"),
    ],
)
def test_a_range_has_one_form(given, kept):
    assert normal_range(given) == kept
    assert normal_range(kept) == kept


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("10.1.2.3/8", "'10.1.2.3/8' is an address in 10.0.0.0/8"),
        ("10.0.0.0/33", "expected a range such as"),
        ("example.org", "expected a range such as"),
        ("", "expected a range such as"),
        ("010.0.0.0/8", "expected a range such as"),
    ],
)
def test_what_is_no_range_is_refused(given, expected):
    with pytest.raises(ValueError, match=expected):
        normal_range(given)


def test_ranges_are_kept_once_and_in_order():
    given = ["2001:db8::/32", "10.0.0.0/8", "::ffff:10.0.0.0/104", "9.0.0.0/8"]
    assert normal_ranges(given) == ["9.0.0.0/8", "10.0.0.0/8", "2001:db8::/32"]


def test_ranges_hold_what_the_standard_library_says():
    pick = Random(0)
    texts = [f"{pick.randrange(4)}.0.0.0/{pick.randrange(6, 9)}" for _ in range(20)]
    texts += [f"{pick.randrange(4):x}000::/{pick.randrange(2, 6)}" for _ in range(20)]
    ranges = [str(ip_network(text, strict=False)) for text in texts]
    names = [f"{pick.randrange(8)}.{pick.randrange(256)}.0.1" for _ in range(40)]
    names += [f"{pick.randrange(16):x}{pick.randrange(4096):03x}::1" for _ in range(40)]
    found = set()
    for name in names:
        for text in ranges:
            held = ip_address(name) in ip_network(text)
            assert among(address_of(name), [network_of(text)]) is held, (name, text)
            found.add(held)
    assert found == {True, False}
    for inner in ranges:
        for outer in ranges:
            a, b = ip_network(inner), ip_network(outer)
            held = a.version == b.version and a.subnet_of(b)
            assert within([inner], [outer]) is held, (inner, outer)


def test_addresses_are_read_as_proxies_write_them():
    assert address_of("192.0.2.7:4711") == address_of("192.0.2.7")
    assert address_of("[2001:db8::1]:4711") == address_of("2001:db8::1")
    assert address_of("::ffff:192.0.2.7") == address_of("192.0.2.7")
    assert address_of("fe80::1%eth0") == address_of("fe80::1")
    assert [address_of(text) for text in ("unknown", "", "192.0.2", "_hidden")] == [None] * 4
    assert shown(address_of("2001:DB8::0001")) == "2001:db8::1"
    assert not among(None, [network_of("0.0.0.0/0")])


def asked(peer, *forwarded, trusted="10.0.0.0/8 ::1"):
    headers = [(b"host", b"x"), *((b"x-forwarded-for", one.encode()) for one in forwarded)]
    found = client_of(peer, headers, Settings(trusted_proxies=trusted).proxies)
    return None if found is None else shown(found)


def test_only_trusted_proxies_are_believed():
    assert asked("203.0.113.5", "192.0.2.1") == "203.0.113.5"
    assert asked("10.0.0.1", "192.0.2.1", trusted="") == "10.0.0.1"
    assert asked("10.0.0.1") == "10.0.0.1"
    assert asked("10.0.0.1", "192.0.2.1") == "192.0.2.1"
    assert asked("::1", "2001:db8::7") == "2001:db8::7"
    assert asked("::ffff:10.0.0.1", "192.0.2.1") == "192.0.2.1"
    # what the client itself wrote is to the left of what a proxy saw
    assert asked("10.0.0.1", "10.9.9.9, 192.0.2.66, 198.51.100.1, 10.0.0.2") == "198.51.100.1"
    assert asked("10.0.0.1", "192.0.2.66", "198.51.100.1", "10.0.0.2") == "198.51.100.1"
    assert asked("10.0.0.1", "10.0.0.3, 10.0.0.2") == "10.0.0.3"
    assert asked("10.0.0.1", "192.0.2.1, unknown, 10.0.0.2") is None
    assert asked("10.0.0.1", "192.0.2.1, , 10.0.0.2,") == "192.0.2.1"
    assert asked(None, "192.0.2.1") is None


def test_proxies_that_are_no_ranges_are_named():
    with pytest.raises(ConfigError, match=r"GUSTIBUS_TRUSTED_PROXIES: .*10.0.0.1/8"):
        Settings(trusted_proxies="::1, 10.0.0.1/8").check()
    for name in ("failed_keys", "sessions", "answers"):
        with pytest.raises(ConfigError, match=f"GUSTIBUS_{name.upper()}: expected a number from 0"):
            Settings(**{name: -1}).check()


def test_a_minute_begins_with_the_first_that_is_counted_in_it():
    found = Windows(2)
    assert [found.count("a", now=at) for at in (0.0, 50.0)] == [0.0, 0.0]
    assert found.count("a", now=55.0) == pytest.approx(5.0)
    assert found.count("b", now=55.0) == 0.0
    assert found.count("a", now=59.0) == pytest.approx(1.0)  # asking does not make it longer
    assert found.count("a", now=MINUTE) == 0.0
    assert found.count("a", now=MINUTE + 30) == 0.0
    assert found.count("a", now=MINUTE + 30) == pytest.approx(30.0)


def test_memory_is_bounded_and_who_was_seen_longest_ago_is_forgotten():
    found = Windows(1, most=3)
    for name in "abcad":  # `a` is seen again, so `b` goes
        found.count(name, now=0.0)
    assert len(found) == 3
    assert [found.count(name, now=1.0) > 0.0 for name in "acd"] == [True] * 3
    assert found.count("b", now=1.0) == 0.0
    off = Windows(0)
    assert not any(off.count("a", now=0.0) for _ in range(100))
    assert len(off) == 0


def test_processes_share_a_limit_and_each_has_one_at_least():
    assert [share_of(*each) for each in ((10, 1), (10, 4), (10, 100), (0, 4))] == [10, 2, 1, 0]


def test_a_token_that_has_ended_is_told_from_one_that_was_never_good(monkeypatch):
    tokens = SessionTokens("s" * 32)
    header = f"Bearer {tokens.issue('mine').text}".encode()
    assert not tokens.has_ended(header, "mine")
    assert tokens.find(header, "mine") is not None
    now = sessions.time.time()
    monkeypatch.setattr(sessions.time, "time", lambda: now + GOOD_FOR + 1)
    assert tokens.has_ended(header, "mine")
    assert tokens.find(header, "mine") is None
    assert not tokens.has_ended(header, "other")
    assert not tokens.has_ended(header[:-1] + b"x", "mine")
    assert not SessionTokens("t" * 32).has_ended(header, "mine")
