"""A typed client of the HTTP service; it needs httpx and nothing of the server.

`Client` waits and `AsyncClient` is awaited; their operations are the same, written once as requests
in `calls`. `client.score.with_raw_response(…)` gives the reply with its head.
"""

from gustibus.client.attempts import Options
from gustibus.client.calls.answers import Comparison, Taken
from gustibus.client.calls.encoding import Encoded, Vector
from gustibus.client.calls.groups import Aggregated, Chosen, FairReranked, Placed
from gustibus.client.calls.imports import Import, RowError
from gustibus.client.calls.items import Item
from gustibus.client.calls.jobs import Job
from gustibus.client.calls.keys import Key
from gustibus.client.calls.matching import Decision, Matching
from gustibus.client.calls.onboarding import Question, Result, Session
from gustibus.client.calls.operations import Limits, Model
from gustibus.client.calls.people import Pair, Profile, User
from gustibus.client.calls.scoring import BestOfN, Compared, Reranked, Scores
from gustibus.client.calls.versions import Alias, ModelState, Version
from gustibus.client.errors import (
    ApiConflictError,
    ApiConnectionError,
    ApiError,
    ApiNotFoundError,
    ApiTimeoutError,
    AuthenticationError,
    BadReplyError,
    ClientClosedError,
    GoneError,
    InvalidRequestError,
    JobCancelledError,
    JobFailedError,
    PermissionDeniedError,
    RateLimitedError,
    ServiceError,
    TooLargeError,
    UnavailableError,
)
from gustibus.client.transport import AsyncClient, Client
from gustibus.client.waiting import Pending
from gustibus.client.wire import Page, Raw, Request

__all__ = [
    "Aggregated",
    "Alias",
    "ApiConflictError",
    "ApiConnectionError",
    "ApiError",
    "ApiNotFoundError",
    "ApiTimeoutError",
    "AsyncClient",
    "AuthenticationError",
    "BadReplyError",
    "BestOfN",
    "Chosen",
    "Client",
    "ClientClosedError",
    "Compared",
    "Comparison",
    "Decision",
    "Encoded",
    "FairReranked",
    "GoneError",
    "Import",
    "InvalidRequestError",
    "Item",
    "Job",
    "JobCancelledError",
    "JobFailedError",
    "Key",
    "Limits",
    "Matching",
    "Model",
    "ModelState",
    "Options",
    "Page",
    "Pair",
    "Pending",
    "PermissionDeniedError",
    "Placed",
    "Profile",
    "Question",
    "RateLimitedError",
    "Raw",
    "Request",
    "Reranked",
    "Result",
    "RowError",
    "Scores",
    "ServiceError",
    "Session",
    "Taken",
    "TooLargeError",
    "UnavailableError",
    "User",
    "Vector",
    "Version",
]
