"""Rewarded soups: one pooled reward whose parameters are the weighted mean of several.

For linear rewards the soup is the mean of the rewards, exactly. For networks it is near it only
where they were trained from one start and stayed close together; endpoints are exact for all.

Source: Rame et al. 2023, "Rewarded soups: towards Pareto-optimal alignment by interpolating weights
fine-tuned on diverse rewards", arXiv 2306.04488; Jang et al. 2023, arXiv 2310.11564, for a person
who chooses some of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gustibus.errors import InputError
from gustibus.models.bt import BradleyTerry
from gustibus.models.network import Network
from gustibus.posterior import Answering
from gustibus.types import F64


def soup(models: Sequence[BradleyTerry], weights: F64) -> BradleyTerry:
    """One reward whose parameters are `sum_k weights_k` times those of the models.

    Args:
        models: of one shape, such as one for each of several tastes.
        weights: `(k,)` on the simplex.

    Raises:
        InputError: the models differ in shape, or the weights are none of a simplex.
    """
    share = np.asarray(weights, np.float64)
    if len(models) == 0 or share.shape != (len(models),):
        message = f"weights: expected shape ({len(models)},), one a model, got {share.shape}"
        raise InputError(message, where="weights")
    if not ((share >= 0).all() and abs(share.sum() - 1) < 1e-6):
        message = f"weights: expected numbers at or above 0 that sum to 1, got {share.tolist()}"
        raise InputError(message, where="weights")
    first = models[0]
    for number, model in enumerate(models):
        if _form(model) != _form(first):
            message = f"models: number {number} has another shape than the first"
            raise InputError(message, where="models")
    plain = [_uncentred(model) for model in models]
    layers = [
        tuple(
            sum(
                s * np.asarray(part[depth], np.float64)
                for s, part in zip(share, parts, strict=True)
            )
            for depth in range(len(first.network.weights))
        )
        for parts in ([n.weights for n in plain], [n.biases for n in plain])
    ]
    network = Network(layers[0], layers[1], first.network.activation, first.network.residual)
    answering = Answering(
        float(share @ [m.answering.lapse for m in models]),
        float(share @ [m.answering.tie for m in models]),
    )
    return BradleyTerry(network, np.zeros_like(first.center), answering)


def _form(model: BradleyTerry) -> tuple[object, ...]:
    network = model.network
    return (*(w.shape for w in network.weights), network.activation, network.residual)


def _uncentred(model: BradleyTerry) -> Network:
    """The same reward of features that are not centred: the centre goes into the first bias."""
    network = model.network
    moved = network.biases[0] - model.center.astype(np.float64) @ network.weights[0]
    return Network(
        network.weights, (moved, *network.biases[1:]), network.activation, network.residual
    )
