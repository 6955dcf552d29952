"""A designed reward beside a learnt one, checkpoint by checkpoint."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from gustibus.errors import InputError
from gustibus.evaluation.probes.proxies import proxy_agreement


def test_checkpoints_are_compared_by_their_mean_rewards():
    rng = np.random.default_rng(0)
    at = np.repeat(np.arange(6), 20)
    level = np.array([0.0, 0.5, 0.4, 1.0, 1.5, 1.2])
    proxy, learnt = level[at] + 0.01 * rng.standard_normal(120), np.sqrt(level)[at] + 0.1
    found = proxy_agreement(at, proxy, learnt)
    means = [[x[at == c].mean() for c in range(6)] for x in (proxy, learnt)]
    assert found["proxy_agreement"] == pytest.approx(spearmanr(*means).statistic)
    assert found == {"proxy_agreement": pytest.approx(1.0), "healthy": 1.0}


def test_a_proxy_that_is_hacked_stops_being_healthy():
    at = ["start", "early", "middle", "late", "end"]
    found = proxy_agreement(at, [0.1, 0.4, 0.8, 1.4, 2.0], [0.0, 0.6, 0.9, 0.3, -0.5])
    # ranks 1 to 5 against 2, 4, 5, 3, 1: squares of differences 1, 4, 4, 1, 16
    assert found["proxy_agreement"] == pytest.approx(1 - 6 * 26 / (5 * 24))
    assert found["healthy"] == 0
    assert proxy_agreement(at, [0.1, 0.4, 0.8, 1.4, 2.0], [1.0] * 5)["proxy_agreement"] == 0


def test_two_checkpoints_say_nothing():
    with pytest.raises(InputError, match="checkpoint: expected at least three of them, got 2"):
        proxy_agreement([0, 1], [0.1, 0.2], [0.1, 0.2])
