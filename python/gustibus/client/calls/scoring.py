"""Scores, order, best of n and comparison of two, for one person."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from gustibus.client.decoding import decoder
from gustibus.client.wire import (
    OCTETS,
    Array,
    Candidate,
    Prompt,
    Request,
    body_of,
    bytes_of,
    candidate_of,
    rows_of,
    several,
)
from gustibus.errors import InputError

UserState = str
"""`population`, `learning`, `ready`, `restricted` or another that a later service knows."""
OnUnknown = Literal["population", "error", "create"]
Normalize = Literal["none", "user", "population"]
SelectionMethod = Literal["best_of_n", "majority_vote", "best_of_majority"]
Transform = str | Mapping[str, Any]
"""A name, or `{"name": …, "options": {…}, "references": […]}`; `model` is the one saved with the model."""


@dataclass(frozen=True, slots=True)
class UserInfo:
    """Whose scores these are, and how well that person is known."""

    id: str | None
    state: UserState
    comparisons: int
    profile_version: int


@dataclass(frozen=True, slots=True)
class Score:
    """One candidate's reward in log-odds."""

    index: int
    score: float
    stderr: float | None = None
    basis: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What the request took."""

    candidates: int
    encoded_tokens: int
    cached: int
    units: int


@dataclass(frozen=True, slots=True)
class Stated:
    """Weights of the model's objectives that scores are along, or by which they were combined."""

    direction: dict[str, float]
    degrees: float
    combine: str | None = None


@dataclass(frozen=True, slots=True)
class Transformed:
    """The transform that scores went through, and what they were compared with."""

    name: str
    options: dict[str, Any]
    references: str
    """`request`, `model`, `frozen` or `none`."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores in the order of the candidates, and the order from best to worst."""

    id: str
    model: str
    user: UserInfo
    data: tuple[Score, ...]
    ranking: tuple[int, ...]
    usage: Usage
    cyclic_share: float = 0.0
    """Part of the person's preferences among the candidates that no order can express."""
    stated: Stated | None = None
    transform: Transformed | None = None
    created: int = 0
    """Seconds since the epoch."""

    @property
    def scores(self) -> list[float]:
        """The rewards alone."""
        return [one.score for one in self.data]


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was sent."""

    text: str


@dataclass(frozen=True, slots=True)
class Ranked:
    """One document, best first."""

    index: int
    relevance_score: float
    document: Document | None = None


@dataclass(frozen=True, slots=True)
class Reranked:
    """Documents from best to worst."""

    id: str
    model: str
    results: tuple[Ranked, ...]
    cyclic_share: float | None = None
    """Part of the person's preferences among the documents that no order can express; None where
    preferences never run in circles."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Probability that a is preferred to b, and how well that is known."""

    id: str
    model: str
    user: UserInfo
    p_a: float
    stderr: float
    margin: float


@dataclass(frozen=True, slots=True)
class Best:
    """The best candidate."""

    index: int
    score: float


@dataclass(frozen=True, slots=True)
class SelectedAnswer:
    """One of the answers chosen, and the candidate that stands for it."""

    answer: str
    index: int
    count: int
    score: float | None


@dataclass(frozen=True, slots=True)
class BestOfN:
    """The best candidate and how sure that is."""

    id: str
    model: str
    user: UserInfo
    best: Best
    p_best: float
    runner_up: int | None
    expected_regret: float
    usage: Usage
    cyclic_share: float = 0.0
    selection: tuple[SelectedAnswer, ...] = ()
    stated: Stated | None = None
    transform: Transformed | None = None
    created: int = 0
    """Seconds since the epoch."""
    data: tuple[Score, ...] = ()
    """In the order of the candidates; empty from a service before it told them, as is `ranking`."""
    ranking: tuple[int, ...] = ()

    @property
    def scores(self) -> list[float]:
        """The rewards alone."""
        return [one.score for one in self.data]


@dataclass(frozen=True, slots=True)
class BatchProblem:
    """Why one request of several was refused."""

    code: str
    """Stable, such as `item_pending`."""
    detail: str
    retry_after: int | None = None
    """Seconds."""


@dataclass(frozen=True, slots=True)
class BatchEntry:
    """What one request of several would have been answered by itself."""

    index: int
    status: int
    """Of HTTP: 200 with a reply, another with a problem."""
    reply: Scores | None
    problem: BatchProblem | None


@dataclass(frozen=True, slots=True)
class ScoreBatch:
    """Answers in the order of the requests."""

    data: tuple[BatchEntry, ...]


def score(
    candidates: Sequence[Candidate] | Array,
    *,
    user: str | None = None,
    prompt: Prompt | None = None,
    model: str = "default",
    on_unknown_user: OnUnknown = "population",
    normalize: Normalize = "none",
    stderr: bool = False,
    basis: bool = False,
    weights: Mapping[str, float] | None = None,
    robust: float | Literal["auto"] | None = None,
    combine: str | None = None,
    transform: Transform | None = None,
    wait: bool = False,
) -> Request[Scores]:
    """Scores of candidates for one person; without a person, for the population.

    Args:
        candidates: texts, `{"id": …}`, `{"messages": […]}`, arrays `(d,)`; or one array `(n, d)` of
            embeddings, which goes as raw bytes where nothing else is asked.
        user: whose scores.
        prompt: what the candidates answer.
        model: name, or name and version.
        on_unknown_user: what to do for somebody who is not known.
        normalize: `none` gives rewards in log-odds.
        stderr: whether standard errors are wanted.
        basis: whether the gradient in the user vector is wanted.
        weights: of the model's objectives by name, in the place of the person's reward.
        robust: degrees around those weights of which the least score counts.
        combine: how the objectives become one number.
        transform: what the rewards are reported as.
        wait: whether items that have no vector yet are encoded now.

    Example:
        scores = client.score(["Briefly.", "At length."], user="ada", prompt="How?", stderr=True)
        scores.ranking, scores.scores, scores.data[0].stderr
        scores.user.state  # "population" for somebody who is not known
    """
    wanted = [name for name, on in (("stderr", stderr), ("basis", basis)) if on]
    read = decoder(Scores)
    if isinstance(candidates, np.ndarray):
        vectors = _matrix(candidates)
        plain = weights is None and robust is None and combine is None and transform is None
        if prompt is None and not wanted and plain:
            data, dtype = bytes_of(vectors)
            query = {
                "model": model, "user": user, "dtype": dtype, "dim": vectors.shape[1],
                "on_unknown_user": on_unknown_user, "normalize": normalize,
            }  # fmt: skip
            return Request("POST", "/v1/score", read, query, data, OCTETS)
    body = body_of(
        candidates=[candidate_of(one) for one in several("candidates", candidates)],
        model=model, user=user,
        prompt=prompt, on_unknown_user=on_unknown_user, normalize=normalize,
        weights=weights, robust=robust, combine=combine, transform=_transform_of(transform),
        wait=wait or None, **({"return": wanted} if wanted else {}),
    )  # fmt: skip
    return Request("POST", "/v1/score", read, body=body)


def score_batch(requests: Sequence[Mapping[str, Any]]) -> Request[ScoreBatch]:
    """Up to 64 requests for scores at once, each with a status of its own.

    Args:
        requests: the arguments of `score` for each, `candidates` as a list.

    Raises:
        InputError: one is no mapping, or has other arguments.

    Example:
        both = client.score_batch([{"candidates": ["Briefly."], "user": name} for name in ("ada", "bo")])
        [one.reply.scores if one.reply else one.problem.detail for one in both.data]
    """
    parts = []
    for place, given in enumerate(rows_of("requests", requests)):
        if isinstance(given.get("candidates"), np.ndarray):
            given = {**given, "candidates": list(given["candidates"])}
        try:
            one = score(**given)
        except TypeError as error:
            message = f"requests[{place}]: expected arguments of score ({error})"
            raise InputError(message, where=f"requests[{place}]") from None
        parts.append(json.loads(one.body or b"{}"))
    return Request("POST", "/v1/score:batch", decoder(ScoreBatch), body=body_of(requests=parts))


def _transform_of(transform: Transform | None) -> Any:
    if transform is None or isinstance(transform, str) or "references" not in transform:
        return transform
    return {**transform, "references": [candidate_of(one) for one in transform["references"]]}


def _matrix(vectors: Array) -> Array:
    if vectors.ndim != 2 or not len(vectors):
        message = f"candidates: expected an array of shape (n, d), n above 0, got {vectors.shape}"
        raise InputError(message, where="candidates")
    return vectors


def rerank(
    query: str,
    documents: Sequence[Candidate],
    *,
    user: str | None = None,
    top_n: int | None = None,
    return_documents: bool = False,
    raw_scores: bool = False,
    model: str = "default",
    on_unknown_user: OnUnknown = "population",
    weights: Mapping[str, float] | None = None,
    robust: float | Literal["auto"] | None = None,
    combine: str | None = None,
    transform: Transform | None = None,
    wait: bool = False,
) -> Request[Reranked]:
    """Documents in a person's order; relevance is a probability unless `raw_scores` or transformed.

    Example:
        found = client.rerank("How?", ["Briefly.", "At length."], user="ada", top_n=1)
        found.results[0].index
    """
    body = body_of(
        query=query, documents=[candidate_of(one) for one in several("documents", documents)],
        user=user, top_n=top_n,
        return_documents=return_documents, raw_scores=raw_scores, model=model,
        on_unknown_user=on_unknown_user, weights=weights, robust=robust, combine=combine,
        transform=_transform_of(transform), wait=wait or None,
    )  # fmt: skip
    return Request("POST", "/v1/rerank", decoder(Reranked), body=body)


def compare(
    a: Candidate,
    b: Candidate,
    *,
    user: str | None = None,
    prompt: Prompt | None = None,
    model: str = "default",
    on_unknown_user: OnUnknown = "population",
    wait: bool = False,
) -> Request[Compared]:
    """Probability that a person prefers a to b.

    Example:
        client.compare("Briefly.", "At length.", user="ada", prompt="How?").p_a
    """
    body = body_of(
        a=candidate_of(a), b=candidate_of(b), user=user, prompt=prompt, model=model,
        on_unknown_user=on_unknown_user, wait=wait or None,
    )  # fmt: skip
    return Request("POST", "/v1/compare", decoder(Compared), body=body)


def best_of_n(
    candidates: Sequence[Candidate] | Array,
    *,
    user: str | None = None,
    prompt: Prompt | None = None,
    model: str = "default",
    on_unknown_user: OnUnknown = "population",
    seed: int = 0,
    method: SelectionMethod | None = None,
    answers: Sequence[str] | None = None,
    k: int | None = None,
    alpha: float | None = None,
    weights: Mapping[str, float] | None = None,
    robust: float | Literal["auto"] | None = None,
    combine: str | None = None,
    transform: Transform | None = None,
    wait: bool = False,
) -> Request[BestOfN]:
    """The best candidate for a person and how sure that is.

    Args:
        candidates: as those of `score`.
        user: whose best.
        prompt: what the candidates answer.
        model: name, or name and version.
        on_unknown_user: what to do for somebody who is not known.
        seed: of the draws that say how sure it is.
        method: choose among distinct answers instead of among candidates.
        answers: the final answer of each candidate; their texts by default.
        k: how many answers are told; 1 by default.
        alpha: least share of the candidates that give an answer, of `best_of_majority`.
        weights: as those of `score`, like what follows.
        robust: degrees around the weights.
        combine: how the objectives become one number.
        transform: what the rewards are reported as.
        wait: whether items that have no vector yet are encoded now.

    Example:
        best = client.best_of_n(["Briefly.", "At length."], user="ada", prompt="How?")
        best.best.index, best.p_best
    """
    if isinstance(candidates, np.ndarray):
        candidates = list(_matrix(candidates))
    body = body_of(
        candidates=[candidate_of(one) for one in several("candidates", candidates)],
        user=user, prompt=prompt,
        model=model, on_unknown_user=on_unknown_user, seed=seed, method=method, answers=answers,
        k=k, alpha=alpha, weights=weights, robust=robust, combine=combine,
        transform=_transform_of(transform), wait=wait or None,
    )  # fmt: skip
    return Request("POST", "/v1/best-of-n", decoder(BestOfN), body=body)
