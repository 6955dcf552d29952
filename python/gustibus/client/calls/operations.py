"""Health, version, limits and models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gustibus.client.decoding import decoder
from gustibus.client.wire import Request


@dataclass(frozen=True, slots=True)
class Health:
    """The service answers; details are for keys with scope `admin`."""

    status: str
    details: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """What runs there."""

    version: str
    api: str
    model: str | None
    aliases: dict[str, int] = field(default_factory=dict)
    """Versions of the model by the names that point at them."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model that is served; `name` is what its versions and aliases are asked for by."""

    id: str
    name: str
    created: int
    digest: str
    family: str
    embedding_dim: int
    representation_dim: int
    user_dim: int
    min_comparisons: int
    encoder: str | None
    questions: int
    longest_embedding: float | None = None
    """Most that an embedding may be long; None where that is not bounded."""


@dataclass(frozen=True, slots=True)
class Models:
    """What is served."""

    data: tuple[Model, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may be."""

    scoring_body_bytes: int
    binary_body_bytes: int
    other_body_bytes: int
    header_bytes: int
    url_bytes: int
    compression_ratio: int
    texts: int
    base64_embeddings: int
    float_arrays: int
    ids: int
    binary_rows: int
    text_bytes: int
    comparisons: int
    refits_while_waiting: int
    units_per_second: float
    burst_units: float
    requests_open: int
    deadline_ms: int
    longest_deadline_ms: int
    import_bytes: int
    import_line_bytes: int
    import_table_bytes: int
    json_depth: int = 16
    key_models: int = 0
    key_cidrs: int = 0
    sessions_per_minute: int = 0
    """Onboarding sessions that a key may begin; 0 is no limit, here and in the two below."""
    answers_per_minute: int = 0
    """That an onboarding session may be sent."""
    failed_keys_per_minute: int = 0
    """Requests with a wrong key from one address."""
    embedding_dim: int = 8192
    """Numbers of an embedding, of any model that may be served there."""
    user_dim: int = 256
    """Numbers by which a person is known."""
    request_tokens: int = 262_144
    """Of the texts that have to be encoded."""
    shared: bool = False
    """Whether units, sessions and wrong keys are counted over all machines of the service now."""


def livez() -> Request[Health]:
    """Whether the process answers.

    Example:
        client.livez().status
    """
    return Request("GET", "/livez", decoder(Health))


def readyz(*, verbose: bool = False) -> Request[Health]:
    """Whether requests should be sent there; a service that is not ready raises.

    Example:
        client.readyz(verbose=True).details
    """
    return Request("GET", "/readyz", decoder(Health), {"verbose": verbose or None})


def version() -> Request[Version]:
    """Build, version of the API, and the model in service.

    Example:
        client.version().model
    """
    return Request("GET", "/v1/version", decoder(Version))


def models() -> Request[Models]:
    """What is served.

    Example:
        [one.id for one in client.models().data]
    """
    return Request("GET", "/v1/models", decoder(Models))


def limits() -> Request[Limits]:
    """What a request may be.

    Example:
        client.limits().comparisons
    """
    return Request("GET", "/v1/limits", decoder(Limits))
