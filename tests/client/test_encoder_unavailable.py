"""An encoder that cannot be reached is 502 beside what proxies answer so, and is tried again."""

from __future__ import annotations

import pytest

from gustibus.client import ServiceError, UnavailableError
from gustibus.errors import OverloadedError
from tests.client.scripted import ok, problem
from tests.client.test_retries import CHAMPION

AWAY = problem(502, "encoder_unavailable", retry_after=0)


def test_an_encoder_that_comes_back_is_asked_again(make, script):
    script.answers = [AWAY, AWAY, ok({"status": "ok"})]
    assert make(script.url).livez().status == "ok"
    assert len(script.seen) == 3


def test_an_encoder_that_stays_away_is_a_service_that_is_unavailable(make, script):
    script.answers = [AWAY]
    with pytest.raises(UnavailableError) as caught:
        make(script.url, max_retries=1).livez()
    assert isinstance(caught.value, ServiceError)
    assert isinstance(caught.value, OverloadedError)
    assert (caught.value.status, caught.value.code) == (502, "encoder_unavailable")
    assert caught.value.retry_after == 0.0
    assert len(script.seen) == 2


def test_what_may_not_be_repeated_is_sent_again_only_where_nothing_was_done(make, script):
    """The encoder fails before anything is written; what a proxy cut off may have taken effect."""
    script.answers = [problem(502, "bad_gateway")]
    client = make(script.url)
    with pytest.raises(ServiceError) as caught:
        client.versions.rollback(revision=1)
    assert not isinstance(caught.value, UnavailableError)
    assert len(script.seen) == 1
    script.answers = [AWAY, ok(CHAMPION)]
    script.seen.clear()
    client.versions.rollback(revision=1)
    assert len(script.seen) == 2
