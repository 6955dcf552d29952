"""Which model a person's state was made by: a user vector means something under that model alone."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from gustibus.errors import DimensionError, InputError
from gustibus.models.base import PreferenceModel
from gustibus.models.blend import Blend
from gustibus.models.hybrid import Hybrid
from gustibus.posterior import Posterior


def fingerprint(model: PreferenceModel) -> str:
    """Identity of a fitted model: SHA-256 of its family, parameters and arrays.

    Equal for a model and for what `load_model` makes of its `save`, different for any other fit.
    What a model has learned of single items after its fit changes no person, and does not count.
    """
    if isinstance(model, Hybrid):
        model = model.inner
    elif isinstance(model, Blend):
        model = model.untaught
    params, arrays = model.save()
    state = hashlib.sha256(json.dumps([model.family, params], sort_keys=True).encode())
    for name, value in sorted(arrays.items()):
        array = np.ascontiguousarray(value)
        state.update(f"\0{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        state.update(array.tobytes())
    return state.hexdigest()


def check_state(state: Posterior, model: PreferenceModel, *, own: str = "") -> None:
    """Refuse a person's state that another model made.

    A state without `made_by`, as `model.place` returns it, is held to its length alone.

    Args:
        state: of the person.
        model: under which it is to be used.
        own: the model's fingerprint, where it is known; otherwise it is computed.

    Raises:
        InputError: the state was made by another model.
        DimensionError: it has another length than the model's user vectors.
    """
    if state.made_by:
        own = own or fingerprint(model)
        if state.made_by != own:
            message = (
                f"user: this state was made by model {state.made_by[:12]}, not by {own[:12]}, and "
                "means nothing here; place the person again from their answers"
            )
            raise InputError(message, where="user")
    length = state.means.shape[-1]
    if length != model.user_dim:
        message = (
            f"user: expected a state of length {model.user_dim}, got {length}: another model made "
            "it; place the person again from their answers"
        )
        raise DimensionError(message, where="user")
