"""Between people, and between a person and the population, for any family.

A share says how much of a person there is. *Embedding* mode mixes user vectors: shares may be any
numbers, what they leave to 1 is the population, so that 0 is the population, 1 the person, and above
1 the person exaggerated. *Reward* mode mixes rewards in the same way. The two agree where the reward
is affine in the user vector.

The project's own.
"""

from __future__ import annotations

import numpy as np

from gustibus.errors import DimensionError, NotFiniteError
from gustibus.models.base import PreferenceModel
from gustibus.models.keywords import check_choice
from gustibus.types import F32, F64

MODES = ("embedding", "reward")


def mixed_user(model: PreferenceModel, users: F64, shares: F64) -> F64:
    """`(k, u)` user vectors and `(k,)` shares -> `(u,)`.

    Raises:
        DimensionError: there is not one share a person.
        NotFiniteError: a share is NaN or infinite.
    """
    users, shares = np.asarray(users, np.float64), np.asarray(shares, np.float64)
    if users.ndim != 2 or users.shape[1] != model.user_dim:
        message = f"users: expected shape (k, {model.user_dim}), got {users.shape}"
        raise DimensionError(message, where="users")
    if shares.shape != (len(users),):
        message = f"shares: expected shape ({len(users)},), one a person, got {shares.shape}"
        raise DimensionError(message, where="shares")
    if not np.isfinite(shares).all():
        message = f"shares: expected finite numbers, got {shares.tolist()}"
        raise NotFiniteError(message, where="shares")
    return np.asarray(shares @ users + (1 - shares.sum()) * model.prior.mean)


def mixed_utility(
    model: PreferenceModel,
    users: F64,
    shares: F64,
    representations: F32,
    *,
    mode: str = "embedding",
) -> F64:
    """Rewards `(n,)` of `(n, r)` representations for a mixture of people.

    Args:
        model: of any family.
        users: `(k, u)` user vectors.
        shares: `(k,)`; what they leave to 1 is the population.
        representations: of the items.
        mode: `embedding` or `reward`.

    Raises:
        ConfigError: there is no such mode.
        DimensionError: there is not one share a person.
        NotFiniteError: a share is NaN or infinite.
    """
    check_choice("mode", mode, MODES)
    mixed = mixed_user(model, users, shares)
    if mode == "embedding":
        return model.utility(mixed, representations)
    every = np.concatenate([np.asarray(users, np.float64), model.prior.mean[None]])
    weights = np.append(shares, 1 - np.sum(shares))
    # one by one, and nobody without a share: a whole person's rewards are theirs to the last bit
    each = [w * model.utility(u, representations) for u, w in zip(every, weights, strict=True) if w]
    return np.asarray(np.sum(each, axis=0))
