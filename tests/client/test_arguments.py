"""What cannot be sent is refused here, in one sentence that names the argument, before anything is sent."""

from __future__ import annotations

import numpy as np
import pytest

from gustibus.client import ApiError, Client
from gustibus.errors import GustibusError
from tests.client.scripted import ok, problem

CALLS = {
    "one text to score": (
        lambda c: c.score("abc"), "candidates: expected a sequence of candidates, got str"
    ),
    "one object to score": (lambda c: c.score({"id": "a"}), "candidates: expected .*, got dict"),
    "nothing to score": (lambda c: c.score(None), "candidates: expected .*, got NoneType"),
    "letters": (lambda c: c.score(np.array([["a"]])), "embedding: expected numbers, got .*U1"),
    "a flat array": (lambda c: c.score(np.zeros(4)), r"candidates: expected .*\(n, d\).*\(4,\)"),
    "one document": (lambda c: c.rerank("q", "abc"), "documents: expected a sequence .* got str"),
    "one text of n": (lambda c: c.best_of_n("abc"), "candidates: expected a sequence"),
    "one text of a pair": (
        lambda c: c.users.next_pair("ada", candidates="abc"), "candidates: expected a sequence"
    ),
    "one text for a group": (
        lambda c: c.rank.aggregate(users=["a"], candidates="abc"), "candidates: expected a sequence"
    ),
    "a number for a name": (lambda c: c.users.get(5), "name: expected an id, got int 5"),
    "no name": (lambda c: c.users.get(""), "name: expected an id, got an empty text"),
    "one comparison": (
        lambda c: c.comparisons.create({"user": "a"}),
        "comparisons: expected a sequence of objects, got dict",
    ),
    "no comparison": (
        lambda c: c.comparisons.create([{"user": "a"}, "b"]),
        r"comparisons\[1\]: expected an object, got str",
    ),
    "one turn": (lambda c: c.comparisons.follow_ups({}), "turns: expected a sequence of objects"),
    "one item": (lambda c: c.items.put_many("abc"), "items: expected a sequence of objects, got str"),
    "a matrix for an item": (
        lambda c: c.items.put("a", embedding=np.zeros((2, 2))), r"embedding: expected shape \(d,\)"
    ),
    "one arrival": (
        lambda c: c.rank.matchings.arrive("m", {"id": "v"}), "arrivals: expected a sequence of objects"
    ),
    "an idempotency key": (
        lambda c: c.users.put("a", idempotency_key="one\ntwo"),
        "idempotency_key: expected at most 255 printable ASCII characters",
    ),
    "NaN": (lambda c: c.score([{"embedding": [float("nan")]}]), "request: expected values that JSON"),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_what_cannot_be_sent_is_not(make, script, name):
    call, said = CALLS[name]
    script.answers = [ok({})]
    with pytest.raises(GustibusError, match=said):
        call(make(script.url, "key"))
    assert script.seen == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"timeout": 0}, "timeout: expected a number of seconds above 0, got 0"),
        ({"timeout": None}, "timeout: expected a number of seconds above 0, got None"),
        ({"timeout": float("nan")}, "timeout: .* got nan"),
        ({"max_retries": -1}, "max_retries: expected a whole number at or above 0, got -1"),
        ({"max_retries": 0.5}, "max_retries: expected a whole number"),
        ({"deadline": 0}, "deadline: expected a number of seconds above 0, got 0"),
        ({"base_url": "host:1"}, "base_url: expected http:// or https://, got 'host:1'"),
        ({"base_url": 5}, "base_url: expected http:// or https://, got 5"),
        ({"api_key": 5}, "api_key: expected a text, got int"),
    ],
)
def test_a_client_that_could_not_work_is_not_made(make, options, said):
    with pytest.raises(GustibusError, match=said):
        make(**options)


def test_a_wrong_option_is_refused_for_some_calls_as_well(make, script):
    with pytest.raises(GustibusError, match="timeout"):
        make(script.url, "key").with_options(timeout=-1)


def test_a_key_that_cannot_be_a_header_is_not_shown(make):
    for key in ("gustibus_sécret", "gustibus_secret\nX-Other: 1"):
        with pytest.raises(GustibusError, match="printable ASCII") as caught:
            make("http://host", key)
        assert "cret" not in str(caught.value)


def test_a_key_read_from_a_file_with_its_line_end_works(script, monkeypatch):
    monkeypatch.setenv("GUSTIBUS_KEY", "gustibus_abc\n")
    script.answers = [ok({"status": "ok"})]
    with Client(script.url) as client:
        client.livez()
    assert script.seen[0]["headers"]["authorization"] == "Bearer gustibus_abc"


def test_an_error_says_which_request_it_was(make, script):
    status, headers, body = problem(404, "not_found")
    script.answers = [(status, {**headers, "X-Request-Id": "01ABC"}, body)]
    with pytest.raises(ApiError, match=r"\(404 not_found, request 01ABC\)$") as caught:
        make(script.url, "key").users.get("ada")
    assert (caught.value.request_id, caught.value.code) == ("01ABC", "not_found")
