"""A short run of every parser: nothing but documented errors, within seconds."""

from __future__ import annotations

from time import monotonic

import pytest

from tests.fuzz.parsers.cases import TARGETS, prepare, run, served

SECONDS = 3.0
LEAST = 15
"""Cases, on however slow a machine."""


@pytest.fixture(scope="module", autouse=True)
def prepared():
    prepare(TARGETS)
    yield
    served().close()
    served.cache_clear()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("target", TARGETS)
def test_random_inputs_end_as_documented(target):
    ends, seed, until = set(), 0, monotonic() + SECONDS
    while seed < LEAST or monotonic() < until:
        kind, story = run(target, seed)
        assert story is None, f"--case '{target} {seed}': {story}"
        ends.add(kind)
        seed += 1
    assert len(ends) > 1, f"every input ended alike, in {ends}"
    assert ends & {"200", "201", "read", "read and refused"}, f"no input is valid: {ends}"
