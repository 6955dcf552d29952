from __future__ import annotations

import pytest

from tests.client.both import Both
from tests.client.scripted import scripted


@pytest.fixture(params=["sync", "async"])
def make(request):
    made = Both(request.param)
    yield made
    made.close()


@pytest.fixture
def script():
    with scripted() as found:
        yield found
