"""Question rules against BoTorch's, on the belief of a preference model of its own."""

from __future__ import annotations

import numpy as np
import pytest

from gustibus.posterior import Answering, Posterior, acquire

torch = pytest.importorskip("torch")
pytest.importorskip("botorch", reason="botorch is not installed")

POINTS, PAIRS = 12, 30


@pytest.fixture(scope="module", params=["probit", "logit"])
def believed(request):
    """A fitted `PairwiseGP`, points that it did not see, and what it believes of them together."""
    from botorch.models.likelihoods import pairwise
    from botorch.models.pairwise_gp import PairwiseGP

    rng = np.random.default_rng(3)
    seen = torch.tensor(rng.random((20, 2)))
    utility = 3 * np.sin(4 * seen[:, 0]) - 2 * seen[:, 1]
    ends = np.array([rng.choice(20, 2, replace=False) for _ in range(40)])
    better = utility[ends[:, 0]] > utility[ends[:, 1]]
    won = torch.tensor(np.where(better.numpy()[:, None], ends, ends[:, ::-1]).copy())
    name = {"probit": "PairwiseProbitLikelihood", "logit": "PairwiseLogitLikelihood"}[request.param]
    likelihood = getattr(pairwise, name)()
    model = PairwiseGP(seen, won, likelihood=likelihood).eval()
    points = torch.tensor(rng.random((POINTS, 2)))
    with torch.no_grad():
        belief = model.posterior(points)
        mean = belief.mean.squeeze(-1).numpy()
        covariance = belief.covariance_matrix.numpy()
    ends = np.array([rng.choice(POINTS, 2, replace=False) for _ in range(PAIRS)])
    return model, points, ends, mean, covariance


def ours(rule: str, ends, mean, covariance):
    """The value of each pair where the user vector is the utility of every point."""
    delta = np.eye(len(mean))[ends[:, 0]] - np.eye(len(mean))[ends[:, 1]]
    known = Posterior(np.ones(1), mean[None], covariance[None], 0.0, 0, True, 0)
    return acquire(rule, delta, known, base=mean[ends[:, 1]], answering=Answering(lapse=0.0))


@pytest.mark.filterwarnings("ignore")  # of gpytorch's own numerics
def test_expected_utility_of_the_best_option_is_that_of_botorch(believed):
    from botorch.acquisition.preference import AnalyticExpectedUtilityOfBestOption

    model, points, ends, mean, covariance = believed
    rule = AnalyticExpectedUtilityOfBestOption(model)
    with torch.no_grad():
        theirs = rule(points[torch.tensor(ends)]).numpy()  # (m, 2, 2) -> (m,)
    assert np.ptp(theirs) > 0.1
    np.testing.assert_allclose(ours("eubo", ends, mean, covariance), theirs, atol=1e-4)


@pytest.mark.filterwarnings("ignore")
def test_information_is_that_of_answers_by_botorchs_logistic_likelihood(believed):
    """Entropies of the answer, with the integral by gpytorch's quadrature.

    BoTorch's own rule is for probit answers and draws samples; ours is for logistic ones.
    """
    from botorch.models.likelihoods.pairwise import PairwiseLogitLikelihood
    from gpytorch.utils.quadrature import GaussHermiteQuadrature1D

    _, _, ends, mean, covariance = believed
    margin = mean[ends[:, 0]] - mean[ends[:, 1]]
    delta = np.eye(POINTS)[ends[:, 0]] - np.eye(POINTS)[ends[:, 1]]
    variance = np.einsum("mi,ij,mj->m", delta, covariance, delta)
    scale = torch.tensor(variance).sqrt()
    spread = torch.distributions.Normal(torch.tensor(margin), scale)
    likelihood, sides = PairwiseLogitLikelihood(), torch.tensor([[1.0, -1.0]], dtype=torch.float64)
    average = GaussHermiteQuadrature1D(num_locs=96).double()

    def answer(z):
        utility = torch.stack([z, torch.zeros_like(z)], -1)  # (*b, 2)
        return torch.distributions.Bernoulli(likelihood.p(utility, sides).squeeze(-1))

    marginal = torch.distributions.Bernoulli(average(lambda z: answer(z).probs, spread))
    expected = average(lambda z: answer(z).entropy(), spread)
    theirs = (marginal.entropy() - expected).numpy()
    assert np.ptp(theirs) > 0.01
    np.testing.assert_allclose(ours("information", ends, mean, covariance), theirs, atol=1e-4)
