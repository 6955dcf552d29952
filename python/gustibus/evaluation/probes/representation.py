"""What a frozen representation knows: one linear layer per attribute, and distance as confidence.

Source: MRMBench, "Evaluating multi-dimensional reward models by probing preference representations";
one linear layer, one epoch, the reward model untouched.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gustibus.data.arrays import above, count, finite, flags, names, number, same_length
from gustibus.errors import InputError, MissingExtraError
from gustibus.methods import method
from gustibus.types import F64, I64

if TYPE_CHECKING:
    import torch

DIMENSIONS = (
    "harmlessness", "helpfulness", "correctness", "coherence", "complexity", "verbosity",
)  # fmt: skip
"""Of the published benchmark; any names will do."""
_PAPER = "MRMBench, probing preference representations"
_BATCH = 32
_DECAY = (0.9, 0.999)
"""Of Adam's means."""


@method(
    "PROBES",
    source=f"{_PAPER}, linear probe",
    purpose="Whether an attribute can be read off a frozen representation by one linear layer",
    check="tests/methods/test_probes_representation.py::"
    "test_a_planted_attribute_is_read_and_a_shuffled_one_is_not",
    example="ops.linear_probe(vectors=[[0.1], [0.9]] * 40, labels=[0, 1] * 40, train=[1, 1, 0, 0] * 20)",
    laws=("user_renaming", "row_order", "perfect"),
)
def linear_probe(
    vectors: Any, labels: Any, train: Any, *, epochs: int = 1, rate: float = 0.01, seed: int = 0
) -> float:
    """Accuracy on held-out rows of one softmax layer fitted on the others; 1 when perfect.

    Classes are balanced in both parts by leaving rows out. Rows are ordered by their content before
    they are drawn, so that the order in which they are given plays no part.

    Args:
        vectors: `(n, d)` last-token last-layer vectors, or any other representation.
        labels: `(n,)` classes, two for the easy form and three for the hard one.
        train: `(n,)` true for rows to fit on.
        epochs: passes over the fitting rows.
        rate: step size of Adam.
        seed: of the draws.

    Raises:
        InputError: a part lacks a class, or there is only one class.
    """
    x, fitted = finite("vectors", vectors, dims=2), flags("train", train)
    named, y = np.unique(names("labels", labels).astype(str), return_inverse=True)
    same_length(vectors=x, labels=y, train=fitted)
    if len(named) < 2:
        message = f"labels: expected at least two classes, got {named.tolist()}"
        raise InputError(message, where="labels")
    order = np.lexsort((*x.T, y))
    x, y, fitted = x[order], y[order], fitted[order]
    rng = np.random.default_rng(seed)
    inner = _balanced(y, np.flatnonzero(fitted), len(named), "train", rng)
    outer = _balanced(y, np.flatnonzero(~fitted), len(named), "held out", rng)
    center, scale = x[inner].mean(0), x[inner].std(0)
    x = (x - center) / np.where(scale > 0, scale, 1)
    weight = _fit(
        x[inner], y[inner], len(named), count("epochs", epochs), above("rate", rate), rng
    )  # (d + 1, c)
    said = (x[outer] @ weight[:-1] + weight[-1]).argmax(1)
    return float((said == y[outer]).mean())


def probe_dimensions(
    vectors: Any, labels: Mapping[str, Any], train: Any, *, epochs: int = 1, seed: int = 0
) -> dict[str, float]:
    """Accuracy of `linear_probe` on every dimension by its name, and their `mean`."""
    found = {
        name: linear_probe(vectors, given, train, epochs=epochs, seed=seed)
        for name, given in labels.items()
    }
    return found | {"mean": float(np.mean(list(found.values())))}


def _balanced(y: I64, rows: I64, classes: int, part: str, rng: np.random.Generator) -> I64:
    """As many rows of each class as the rarest has, in a random order."""
    sizes = np.bincount(y[rows], minlength=classes)
    if sizes.min() == 0:
        message = f"labels: expected every class among the rows that are {part}, got {sizes}"
        raise InputError(message, where="labels")
    kept = [rng.permutation(rows[y[rows] == c])[: sizes.min()] for c in range(classes)]
    return rng.permutation(np.concatenate(kept))


def _fit(x: F64, y: I64, classes: int, epochs: int, rate: float, rng: np.random.Generator) -> F64:
    """`(d + 1, c)` weights of a softmax layer after so many epochs of Adam on cross-entropy."""
    wide = np.column_stack([x, np.ones(len(x))])
    weight = np.zeros((wide.shape[1], classes))
    mean, square, step = np.zeros_like(weight), np.zeros_like(weight), 0
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for rows in np.array_split(order, max(len(x) // _BATCH, 1)):
            step += 1
            z = wide[rows] @ weight
            p = np.exp(z - z.max(1, keepdims=True))
            p /= p.sum(1, keepdims=True)
            p[np.arange(len(rows)), y[rows]] -= 1
            slope = wide[rows].T @ p / len(rows)
            mean += (1 - _DECAY[0]) * (slope - mean)
            square += (1 - _DECAY[1]) * (slope**2 - square)
            size = np.sqrt(square / (1 - _DECAY[1] ** step)) + 1e-8
            weight -= rate * (mean / (1 - _DECAY[0] ** step)) / size
    return weight


def centroids(vectors: Any, labels: Any = None, *, k: int = 8, seed: int = 0) -> F64:
    """`(c, d)` means of each class, or of k clusters where there are no labels.

    Args:
        vectors: `(n, d)` of validation data.
        labels: `(n,)` classes.
        k: clusters, without labels.
        seed: of the clusters' starts.

    Raises:
        MissingExtraError: clusters need scipy.
    """
    x = finite("vectors", vectors, dims=2)
    if labels is not None:
        given = names("labels", labels).astype(str)
        same_length(vectors=x, labels=given)
        return np.stack([x[given == name].mean(0) for name in np.unique(given)])
    try:
        from scipy.cluster.vq import kmeans2
    except ImportError:
        raise MissingExtraError.of("scipy", "social") from None
    clusters = min(count("k", k), len(x))
    found, _ = kmeans2(x, clusters, minit="++", seed=seed, missing="raise")
    return np.asarray(found, np.float64)


@method(
    "OPS",
    source=f"{_PAPER}, inference-time probing",
    purpose="Distance to the nearest centroid: how far a vector is from what the model was tried on",
    check="tests/methods/test_probes_representation.py::"
    "test_a_threshold_keeps_what_is_in_a_cluster_and_rejects_what_is_far_away",
    example="ops.centroid_distances(vectors=[[0.0, 1.0]], centroids=[[0.0, 0.0], [3.0, 1.0]])",
)
def centroid_distances(vectors: Any, centroids: Any) -> F64:
    """`(n,)` Euclidean distance of each vector `(n, d)` to its nearest centroid `(c, d)`."""
    x, c = finite("vectors", vectors, dims=2), finite("centroids", centroids, dims=2)
    if x.shape[1] != c.shape[1]:
        message = f"centroids: expected {x.shape[1]} columns, got {c.shape[1]}"
        raise InputError(message, where="centroids")
    square = (x**2).sum(1)[:, None] - 2 * x @ c.T + (c**2).sum(1)  # (n, c)
    return np.sqrt(np.maximum(square.min(1), 0))


def distance_threshold(distances: Any, *, keep: float = 0.95) -> float:
    """The distance within which a share `keep` of validation vectors lies.

    Policy updates on responses beyond it are skipped or weighed down.
    """
    share = number("keep", keep, low=0, high=1)
    return float(np.quantile(finite("distances", distances, low=0), share))


@method(
    "OPS",
    source=f"{_PAPER}, selective discard at inference time; the soft form is the project's own",
    purpose="How much a policy should learn from responses that are far from what the model knows",
    check="tests/methods/test_probes_representation.py::"
    "test_weights_are_1_within_the_threshold_and_fall_beyond_it",
    example="ops.distance_weights(distances=[0.5, 2.0], threshold=1.0)",
)
def distance_weights(distances: Any, threshold: float, *, soft: bool = False) -> F64:
    """`(n,)` weights of policy updates: 1 up to the threshold, 0 beyond, or `threshold / distance`.

    Args:
        distances: `(n,)` of `centroid_distances`.
        threshold: of `distance_threshold`, above 0.
        soft: whether updates beyond it are weighed down rather than skipped.
    """
    away = finite("distances", distances, low=0)
    limit = number("threshold", threshold, low=0, open_ends="(")
    beyond = limit / np.maximum(away, limit) if soft else np.zeros_like(away)
    return np.where(away <= limit, 1.0, beyond)


def last_token_states(
    model: torch.nn.Module, input_ids: torch.Tensor, attention_mask: torch.Tensor
) -> F64:
    """`(n, d)` last-layer vectors of the last real token; the model is left exactly as it was.

    Args:
        model: of transformers, called with `output_hidden_states=True`.
        input_ids: `(n, t)`.
        attention_mask: `(n, t)`, 1 for real tokens, on whichever side the padding is.
    """
    import torch

    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            out = model(
                input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=True
            )
    finally:
        model.train(was_training)
    place = torch.arange(input_ids.shape[1], device=input_ids.device)
    last = (attention_mask * place).argmax(1)  # (n,)
    states = out.hidden_states[-1][torch.arange(len(last), device=last.device), last]
    return np.asarray(states.float().cpu().numpy(), np.float64)
