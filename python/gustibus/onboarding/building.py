"""Making a pool: random pairs of responses to one prompt, filtered and thinned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from gustibus.errors import InputError
from gustibus.models.base import PreferenceModel, check_features
from gustibus.onboarding.information import answer_information, margin_variance
from gustibus.onboarding.pool import Linear, QuestionPool
from gustibus.onboarding.suitability import Suits, suitable
from gustibus.posterior import Answering, Posterior
from gustibus.types import F32, I64, Bool


class Limits(NamedTuple):
    """What can be read and weighed side by side."""

    max_words: float = 150.0
    """Longest text of a side, in words."""
    max_ratio: float = 2.0
    """Longer text of a pair over the shorter one, in words, at or above 1."""


LIMITS = (Limits(), Limits(max_ratio=math.inf), Limits(math.inf, math.inf))
"""Limits on the texts of questions, the strictest first."""


class Pairs(NamedTuple):
    """Pairs of item rows and the prompt that both answer."""

    prompt: I64
    """`(c,)` codes of prompts."""
    a: I64
    """`(c,)` rows of items."""
    b: I64
    """`(c,)` rows of items."""


def random_pairs(item_prompt: ArrayLike, *, count: int, seed: int) -> Pairs:
    """Up to `count` different pairs of different items with the same prompt, at random.

    Prompts are drawn in proportion to their number of pairs, so every possible pair is as likely as
    every other. With fewer possible pairs than `count`, all that were met in `4 count` draws.

    Args:
        item_prompt: `(m,)` code of the prompt that each item answers, from 0 up.
        count: pairs wanted, above 0.
        seed: of the draws.

    Raises:
        InputError: `count` is not above 0, or no prompt has two items.
    """
    code = np.asarray(item_prompt, np.int64)
    if count < 1:
        message = f"count: expected at least 1, got {count}"
        raise InputError(message, where="count")
    order = np.argsort(code, kind="stable")
    sizes = np.bincount(code) if len(code) else np.zeros(0, np.int64)
    if not (sizes > 1).any():
        message = "item_prompt: expected a prompt with at least two items, got none"
        raise InputError(message, where="item_prompt")
    starts = np.cumsum(sizes) - sizes
    weight = sizes * (sizes - 1.0)
    rng = np.random.default_rng(seed)
    prompt = rng.choice(len(sizes), 4 * count, p=weight / weight.sum())
    first = rng.integers(0, sizes[prompt])
    second = (first + rng.integers(1, sizes[prompt])) % sizes[prompt]  # never the same item
    a, b = order[starts[prompt] + first], order[starts[prompt] + second]
    keep = _first_of_each(np.stack([prompt, np.minimum(a, b), np.maximum(a, b)]))[:count]
    return Pairs(prompt[keep], a[keep], b[keep])


def limits_for(pairs: Pairs, texts: Sequence[str], *, enough: int) -> Limits:
    """The strictest of `LIMITS` within which `enough` different pairs are, else the widest.

    People differ most in how long they like an answer to be, and such a log has few pairs of one
    length: uneven questions are better than none.
    """
    kept = _first_of_each(np.stack([np.minimum(pairs.a, pairs.b), np.maximum(pairs.a, pairs.b)]))
    words = np.array([len(text.split()) for text in texts], np.int64)
    a, b = words[pairs.a[kept]], words[pairs.b[kept]]
    return next((one for one in LIMITS if _readable(a, b, *one).sum() >= enough), LIMITS[-1])


def build_pool(
    model: PreferenceModel,
    items: F32,
    pairs: Pairs,
    *,
    texts: Sequence[str] | None = None,
    prompts: Sequence[str] | None = None,
    prompt_features: F32 | None = None,
    locales: Sequence[str] | None = None,
    size: int = 2000,
    held_out: int = 256,
    seed: int = 0,
    max_words: float = LIMITS[0].max_words,
    max_ratio: float = LIMITS[0].max_ratio,
    suits: Suits | None = None,
) -> QuestionPool:
    """Questions for a model out of many candidate pairs.

    Candidates lose repetitions, pairs of an item with itself, texts that are too long and texts of
    too different lengths. A random part is kept aside to measure confidence on; of the rest the
    `size` most distinct directions are taken, greedily D-optimal under the prior.

    Args:
        model: the fitted model.
        items: `(n, d)` features.
        pairs: candidates, about ten times `size`; see `random_pairs`.
        texts: `n` texts; None leaves texts empty and filters nothing.
        prompts: `q` texts of prompts; None leaves them empty.
        prompt_features: `(q, dp)`, for families that read the prompt.
        locales: `q` language tags (BCP 47) of prompts and what answers them, empty for unknown ones.
        size: questions wanted; fewer candidates give a smaller pool.
        held_out: pairs kept aside, at most a fifth of the candidates.
        seed: of the choice of the pairs kept aside.
        max_words: longest text of a side, in words.
        max_ratio: longest text over shortest text of a pair, in words, at or above 1.
        suits: whether a text may be shown, of either side and of the prompt, as a filter for safety; see
            `gustibus.onboarding.suitability.suiting`. None for all.

    Returns:
        Questions in the order in which they were taken, then the pairs kept aside.

    Raises:
        InputError: a row or code is out of range, texts do not fit, or the filters leave nothing.

    Source: greedy determinant maximisation as in Nemhauser et al. 1978.
    """
    items = check_features("items", items, model.item_dim)
    pairs = _checked(pairs, len(items), texts, prompts, prompt_features)
    if size < 1 or held_out < 0 or max_words < 1 or max_ratio < 1:
        message = (
            "size, held_out, max_words, max_ratio: expected at least 1, 0, 1, 1, "
            f"got {size}, {held_out}, {max_words}, {max_ratio}"
        )
        raise InputError(message, where="size")
    if locales is not None and len(pairs.prompt) and pairs.prompt.max() >= len(locales):
        message = f"locales: expected one for each of {pairs.prompt.max() + 1} prompts, got {len(locales)}"
        raise InputError(message, where="locales")
    keep = _first_of_each(
        np.stack([pairs.prompt, np.minimum(pairs.a, pairs.b), np.maximum(pairs.a, pairs.b)])
    )
    keep = keep[pairs.a[keep] != pairs.b[keep]]
    if texts is not None:
        words = np.array([len(text.split()) for text in texts], np.int64)
        keep = keep[_readable(words[pairs.a[keep]], words[pairs.b[keep]], max_words, max_ratio)]
    if texts is not None and suits is not None:
        left = Pairs(pairs.prompt[keep], pairs.a[keep], pairs.b[keep])
        keep = keep[suitable(left, suits, texts=texts, prompts=prompts)]
    if len(keep) == 0:
        more = "" if suits is None else ", of texts that suit"
        message = (
            f"pairs: no pair of different texts is left within {max_words:g} words a side and "
            f"a ratio of {max_ratio:g}{more}"
        )
        raise InputError(message, where="pairs")
    aside = np.zeros(len(keep), np.bool_)
    rng = np.random.default_rng(seed)
    aside[rng.permutation(len(keep))[: min(held_out, len(keep) // 5)]] = True
    rows = np.concatenate([keep[~aside], keep[aside]])
    candidates = _represent(model, items, pairs, rows, texts, prompts, prompt_features)
    asked = int((~aside).sum())
    person = Posterior.from_prior(model.prior)
    line = candidates.line(model, person.mean)
    taken = thin(
        Linear(line.delta[:asked], line.offset[:asked]), person, model.answering, size=size
    )
    kept = np.concatenate([taken, np.arange(asked, len(rows))])
    pool = _take(candidates, kept, len(taken))
    if locales is None:
        return pool
    return replace(pool, locales=tuple(locales[prompt] for prompt in pairs.prompt[rows][kept]))


def thin(line: Linear, person: Posterior, answering: Answering, *, size: int) -> I64:
    """Rows of the `size` most distinct directions, most telling first, `(min(size, m),)`.

    Each pick maximises `log(1 + a v)` given the picks before it, where `v` is the variance of the
    margin that remains and `a` the information of an answer at the prior mean; variances are
    updated in place, `O(m u)` a pick.
    """
    count, u = line.delta.shape
    size = min(size, count)
    if u == 0:
        return np.arange(size)
    a = answer_information(line.offset + line.delta @ person.mean, answering)
    covariance = person.covariance.copy()
    variance = margin_variance(line.delta, covariance)
    left = np.ones(count, np.bool_)
    taken = np.zeros(size, np.int64)
    for turn in range(size):
        best = int(np.argmax(np.where(left, a * variance, -1.0)))
        taken[turn], left[best] = best, False
        reach = covariance @ line.delta[best]  # (u,)
        shrink = a[best] / (1.0 + a[best] * max(variance[best], 0.0))
        covariance -= shrink * np.outer(reach, reach)
        variance -= shrink * (line.delta @ reach) ** 2
    return taken


def _checked(
    pairs: Pairs,
    items: int,
    texts: Sequence[str] | None,
    prompts: Sequence[str] | None,
    prompt_features: F32 | None,
) -> Pairs:
    """Pairs as int64 with every code in range; texts with one entry an item."""
    prompt, a, b = (np.asarray(column, np.int64) for column in pairs)
    if not (prompt.ndim == 1 and prompt.shape == a.shape == b.shape):
        message = (
            f"pairs: expected three columns of one length, got {prompt.shape}, {a.shape}, {b.shape}"
        )
        raise InputError(message, where="pairs")
    if texts is not None and len(texts) != items:
        message = f"texts: expected {items}, one an item, got {len(texts)}"
        raise InputError(message, where="texts")
    limits = {"a": (a, items), "b": (b, items)}
    if prompts is not None:
        limits["prompt"] = (prompt, len(prompts))
    if prompt_features is not None:
        limits["prompt "] = (prompt, len(prompt_features))
    for name, (codes, limit) in limits.items():
        if len(codes) and (codes.min() < 0 or codes.max() >= limit):
            message = (
                f"pairs.{name.strip()}: expected codes from 0 to {limit - 1}, "
                f"got {codes.min()} to {codes.max()}"
            )
            raise InputError(message, where="pairs")
    return Pairs(prompt, a, b)


def _first_of_each(columns: I64) -> I64:
    """Positions of the first occurrence of every different column, rising."""
    return np.sort(np.unique(columns, axis=1, return_index=True)[1])


def _readable(a: I64, b: I64, max_words: float, max_ratio: float) -> Bool:
    longer, shorter = np.maximum(a, b), np.minimum(a, b)
    return np.asarray((longer <= max_words) & (longer <= max_ratio * np.maximum(shorter, 1)))


def _represent(
    model: PreferenceModel,
    items: F32,
    pairs: Pairs,
    rows: I64,
    texts: Sequence[str] | None,
    prompts: Sequence[str] | None,
    prompt_features: F32 | None,
) -> QuestionPool:
    prompt, a, b = (column[rows] for column in pairs)
    read = None
    if prompt_features is not None and model.prompt_dim:
        read = np.asarray(prompt_features)[prompt]
    empty = ("",) * len(rows)
    return QuestionPool(
        a=model.represent(items[a], read),
        b=model.represent(items[b], read),
        texts_a=empty if texts is None else tuple(texts[i] for i in a),
        texts_b=empty if texts is None else tuple(texts[i] for i in b),
        prompts=empty if prompts is None else tuple(prompts[i] for i in prompt),
        ids=tuple(f"q{row}" for row in range(len(rows))),
    )


def _take(pool: QuestionPool, rows: I64, asked: int) -> QuestionPool:
    """The pool of the given rows, renamed in order; those from `asked` on are held out."""
    return QuestionPool(
        a=pool.a[rows],
        b=pool.b[rows],
        texts_a=tuple(pool.texts_a[i] for i in rows),
        texts_b=tuple(pool.texts_b[i] for i in rows),
        prompts=tuple(pool.prompts[i] for i in rows),
        ids=tuple(f"q{row}" for row in range(len(rows))),
        held_out=np.arange(len(rows)) >= asked,
    )
