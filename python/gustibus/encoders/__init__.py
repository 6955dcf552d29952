"""Texts into vectors: without a model, with a small one that a package ships, or with any backbone."""

from gustibus.encoders.base import ENCODERS, Encoder
from gustibus.encoders.cache import CachedEncoder
from gustibus.encoders.load import load_encoder

__all__ = ["ENCODERS", "CachedEncoder", "Encoder", "load_encoder"]
