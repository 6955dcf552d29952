"""Encoders by name, with a cache where one is asked for."""

from __future__ import annotations

import inspect
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from gustibus.encoders import hashing, ready, static, transformer
from gustibus.encoders.base import ENCODERS, Encoder
from gustibus.encoders.cache import CachedEncoder
from gustibus.errors import ConfigError

_ROWS = (hashing, ready, static, transformer)  # imported for what they add to the table


def load_encoder(name: str, *, cache: str | Path | None = None, **options: Any) -> Encoder:
    """An encoder by name.

    Args:
        name: row of `ENCODERS`.
        cache: folder in which vectors are kept between runs; default none.
        options: keyword arguments of the row's class.

    Raises:
        UnknownNameError: there is no such encoder.
        ConfigError: there is no such option, or it is out of range.
        MissingExtraError: a package that the encoder needs is not installed.
    """
    make = ENCODERS[name].run
    known = [p for p in inspect.signature(make).parameters if p != "self"]
    for option in options:
        if option not in known:
            close = get_close_matches(option, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {known}"
            message = f"encoder {name!r} has no option {option!r}; {hint}"
            raise ConfigError(message, where=option)
    wanted = [p.name for p in inspect.signature(make).parameters.values() if p.default is p.empty]
    absent = [option for option in wanted if option not in options]
    if absent:
        message = (
            f"encoder {name!r} needs the option {' and '.join(map(repr, absent))}: "
            f"--encoder-set {absent[0]}=VALUE, in Python load_encoder({name!r}, {absent[0]}=...)"
        )
        raise ConfigError(message, where=name)
    encoder: Encoder = make(**options)
    if cache is None:
        return encoder
    return CachedEncoder(encoder, cache)
