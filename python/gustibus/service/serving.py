"""The model in service: immutable, swapped as one reference, so that no reply mixes two."""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from functools import partial
from hashlib import sha256
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, cast

import numpy as np

from gustibus import selftest
from gustibus.artifact import Artifact
from gustibus.encoders import ENCODERS, Encoder
from gustibus.encoders.batching import SINCE, BatchingEncoder
from gustibus.errors import ArtifactError, ConfigError, MissingExtraError, OverloadedError
from gustibus.models.base import PreferenceModel
from gustibus.posterior import Posterior
from gustibus.rewards.implicit import Valence, similarity_valence
from gustibus.scoring import Scorer
from gustibus.service.allowance import Allowance
from gustibus.service.encoder_queue import EncoderQueue
from gustibus.service.norms import longest_of
from gustibus.service.pooling import SEQUENCES, RemoteEncoder
from gustibus.service.problems import Problem
from gustibus.service.tables import Recent
from gustibus.service.threads import QueueFullError
from gustibus.service.tracing import part
from gustibus.store import CHAMPION
from gustibus.types import F32, F64

if TYPE_CHECKING:
    from gustibus.encoders.batching import StagedEncoder
    from gustibus.service.metrics import Meter

REMOTE = "remote"
"""Backend of texts that a pooling server encodes."""
MIN_COMPARISONS = 5
"""Comparisons from which a person counts as known, where the card does not say."""
_BATCH = 64
_SHARING = 8  # requests that share the batches of an encoder here
_PAIRS = 8  # of the pool that an encoder is tested on
_TOLERANCE = 0.02  # of a representation's length
_OVERHEAD = 320  # bytes of a kept representation beside its numbers, measured on CPython 3.11
_WIDEST = 16  # bytes of a token, on average of any text; where nobody here can count
_BUCKETS = (".", "word " * 6_500)  # the shortest text, and one as long as a candidate may be

log = logging.getLogger("gustibus.service")


class Serving:
    """A loaded model, its encoder and the texts it has encoded.

    Args:
        artifact: the model with its people, reference set and pool.
        name: under which it is addressed.
        texts: representations of texts to keep at most.
        texts_bytes: memory that they may take.
        warm: whether an encoder of this process is loaded, tested and warmed up by `check`.
        bound: whether embeddings may only be twice as long as nearly all of the training.
        meter: counts hits and misses.
        version: number under which it is registered; None for a model of a folder.
        remote: a pooling server that encodes its texts; None encodes them here.
        connections: requests to that server at once.
        max_delay_ms: milliseconds that texts may wait for others while the device has nothing to do.
        max_wait: seconds that texts of a request with a deadline may wait for those of others.
    """

    def __init__(
        self, artifact: Artifact, *, name: str, texts: int, meter: Meter,
        version: int | None = None, remote: RemoteEncoder | None = None, connections: int = 1,
        texts_bytes: int = 256 << 20, warm: bool = True, bound: bool = True, max_delay_ms: float = 0.0,
        max_wait: float = 0.25,
    ) -> None:  # fmt: skip
        self.artifact = artifact
        self.name = name
        self.model: PreferenceModel = artifact.model
        self.digest = artifact.digest
        self.strengths = artifact.strengths
        """What an answer of some strength counts for; None where all count alike."""
        self.version = version
        self.label = f"{name}@{artifact.digest[:12] if version is None else version}"
        self.min_comparisons = int(artifact.card.get("min_comparisons", MIN_COMPARISONS))
        prior = Posterior.from_prior(self.model.prior)
        self.population: F64 = np.ascontiguousarray(prior.mean, np.float64)
        """`(u,)`."""
        self.spread: F64 = np.asarray(prior.covariance, np.float64)
        """`(u, u)` covariance of the population."""
        self.typical = self._typical(self.population)
        self.longest = longest_of(artifact) if bound else math.inf
        """Most that an embedding of a client may be long."""
        self.remote = remote
        self.aliases: frozenset[str] = frozenset()
        """Names that point at this version, as of when the store was last read."""
        self.superseded = False
        """Whether another version is in service, and people wait to be fitted under that."""
        self.tested = False
        """Whether texts were found to be encoded as when the model was made; False where it kept none."""
        self._compared = False
        self.encoded = 0
        """How often the encoder has answered; threads that count at once may miss one, not all."""
        self.load_seconds = 0.0
        """What reading and checking took."""
        self.candidates = meter.candidates(name, self.label.partition("@")[2])
        """Counted by source."""
        self.backend = self._backend()
        """What encodes texts, as metrics name it."""
        self._scorer = Scorer(artifact, encoder=remote)
        self._valence: Valence | None = None
        self._meter = meter
        self._each = 4 * self.model.representation_dim + _OVERHEAD
        self._texts: Recent[bytes, F32] = Recent(min(texts, texts_bytes // self._each))
        self._salt = secrets.token_bytes(32)
        self._warm = warm
        self._max_delay_ms = max_delay_ms
        self._loading = threading.Lock()
        self._shared: BatchingEncoder | None = None
        local = _SHARING if self._is_staged() else 1
        threads = local if remote is None else connections
        self._encoding = ThreadPoolExecutor(threads, thread_name_prefix="encode")
        self._queue = EncoderQueue(lanes=1 if remote is None else connections, longest=max_wait)

    @property
    def queued(self) -> int:
        """Requests that wait for vectors of texts, or whose texts are being encoded."""
        return self._queue.parts

    def _backend(self) -> str:
        spec = self.artifact.card.get("encoder")
        return REMOTE if self.remote is not None else str(spec["name"]) if spec else ""

    @property
    def has_encoder(self) -> bool:
        """Whether texts can be scored."""
        return bool(self.artifact.card.get("encoder"))

    def _is_staged(self) -> bool:
        """Whether the model's encoder is one that requests can share."""
        spec = self.artifact.card.get("encoder")
        name = spec["name"] if spec else ""
        return name in ENCODERS and hasattr(ENCODERS[name].run, "prepare")

    def encoder(self) -> Encoder:
        """The encoder, loaded once, behind a queue where requests can share its batches."""
        with self._loading:
            if self._shared is None and self.remote is None and self._is_staged():
                staged = cast("StagedEncoder", self._scorer.encoder)
                self._shared = BatchingEncoder(
                    staged, tell=self._note, max_delay_ms=self._max_delay_ms
                )
                self._scorer = Scorer(self.artifact, encoder=self._shared)
            return self._scorer.encoder

    def answers_to(self, name: str) -> bool:
        """Whether a request means this model.

        It is `default` or its name, alone or with `@` and an alias that points at it, its number, or the
        beginning of its digest. What is served is meant by `champion`, also while another version loads.
        """
        base, _, version = name.partition("@")
        if base not in {"default", self.name}:
            return False
        if not version:
            return True
        if self.version is not None and version in {CHAMPION, str(self.version), *self.aliases}:
            return True
        return len(version) >= 4 and self.digest.startswith(version)

    def check(self) -> None:
        """Whether the model gives numbers, and its encoder those that it was trained on.

        A server that cannot be reached is asked again before the first text is encoded, and an
        encoder that is not installed here is missed then: what needs none is scored without it.

        Raises:
            ArtifactError: a reward of its reference set is not finite, or texts are encoded in
                another way.
        """
        if self.typical is not None and not np.isfinite(self.typical).all():
            message = f"model {self.label}: rewards of its reference set are not finite"
            raise ArtifactError(message, where="reference")
        if self.remote is not None:
            try:
                self._test()
            except (Problem, OverloadedError) as error:
                log.warning("the encoder could not be tested: %s", error)
        elif self.has_encoder and self._warm:
            self._load()

    def _load(self) -> None:
        """Load the encoder, test it, and let it meet the shortest and the longest texts.

        Raises:
            ArtifactError: it is another than the model's, or encodes in another way.
        """
        try:
            encoder = self.encoder()
        except (ConfigError, MissingExtraError) as error:
            if error.where == "encoder":  # it is there, and another
                raise ArtifactError(error.message, where="encoder") from None
            log.warning("texts cannot be encoded here: %s", error)
            return
        self._test()
        for text in _BUCKETS:
            encoder.encode([text])

    def _test(self) -> None:
        """Compare texts with what was kept of them: scores in the card, vectors in the pool.

        Raises:
            ArtifactError: they score otherwise, or are represented in another way.
        """
        card, model = self.artifact.card, self.model
        found = selftest.wrong(card, model, self._scorer.represent)
        if found:
            message = (
                f"model {self.label}: {found}, more than {selftest.TOLERANCE:g} away: "
                "another encoder, template, pooling or padding"
            )
            raise ArtifactError(message, where="encoder")
        vectors = self._test_vectors()
        self.tested = vectors or selftest.tells(card)
        self._compared = True
        if self.remote is not None:  # before, the test says more of a wrong server than lengths do
            self.remote.longest = self.longest
        if not self.tested:
            log.warning(
                "model %s keeps neither scores nor questions of texts that would show another encoder: "
                "that its texts are encoded as in its training is not tested", self.label,
            )  # fmt: skip

    def _test_vectors(self) -> bool:
        """Encode texts of the pool and compare with what is kept of them; False where it has none.

        Raises:
            ArtifactError: they are represented in another way.
        """
        pool = self.artifact.pool
        rows = [] if pool is None else [row for row in pool.sample(_PAIRS) if pool.texts_a[row]]
        for row in rows:
            assert pool is not None, "it has rows"
            texts = [pool.texts_a[row], pool.texts_b[row]]
            kept = np.stack([pool.a[row], pool.b[row]])
            found = self._scorer.represent(pool.prompts[row], texts)
            away = np.linalg.norm(found - kept, axis=1) / np.maximum(
                np.linalg.norm(kept, axis=1), 1e-6
            )
            if away.max() > _TOLERANCE:
                message = (
                    f"model {self.label}: its encoder represents {texts[int(away.argmax())][:40]!r} "
                    f"{away.max():.1%} away from when the model was made, more than {_TOLERANCE:.0%}: "
                    "another model, template, pooling or padding"
                )
                raise ArtifactError(message, where="encoder")
        return bool(rows)

    def _note(self, lengths: Sequence[int], came: Sequence[float]) -> None:
        """A batch of the encoder that requests share."""
        self._meter.batches.begun(self.backend, lengths, padded=max(lengths) * len(lengths))
        for since in came:
            self._meter.batches.waited(self.backend, since)

    def _run(self, work: Callable[[Sequence[str]], F32], texts: Sequence[str], since: float) -> F32:
        """What the encoder makes of texts, in a thread, once it is known to be the right one.

        `since` is when they came, on the clock of `perf_counter`.
        """
        if self.remote is not None or not self._is_staged():  # else `_note` is told
            self._meter.batches.waited(self.backend, since)
        if self.remote is None and not self._is_staged():  # others tell of their batches
            tokens = [math.ceil(len(text) / 4) for text in texts]
            self._meter.batches.begun(self.backend, tokens)
        if self.remote is not None and not self._compared:
            self._test()
        self.encoder()
        SINCE.set(since)
        began = monotonic()
        found = work(texts)
        self._queue.encoded(_work(texts), since=began)
        self.encoded += 1
        return found

    def _represent(self, prompt: str, texts: Sequence[str]) -> F32:
        """Representations of texts that answer one prompt."""
        return self._scorer.represent(prompt, texts)

    def _features(self, texts: Sequence[str]) -> F32:
        """Embeddings `(n, d)` of texts, prompts or what answers them."""
        return self._scorer.encoder.encode(texts)

    def _typical(self, user: F64) -> F64 | None:
        reference = self.artifact.reference
        if len(reference) < 2:
            return None
        return np.asarray(self.model.utility(user, reference), np.float64)

    def reference_scores(self, user: F64) -> F64 | None:
        """Rewards `(k,)` of the reference set under a person; None where the model has none."""
        return self.typical if user is self.population else self._typical(user)

    async def represent(
        self, prompt: str, texts: Sequence[str], *, most: Allowance | None = None
    ) -> tuple[F32, int, int]:
        """Representations `(n, r)` of texts, how many were known, and the tokens of the rest, roughly.

        Args:
            prompt: that they answer.
            texts: to be represented.
            most: tokens that those of the request may have which have to be encoded; default any number.

        Raises:
            Problem: the model has no encoder, or it cannot work now, or 413 for more tokens.
        """
        if not self.model.prompt_dim:
            prompt = ""
        work = partial(self._represent, prompt)

        def fresh(places: Sequence[int]) -> Awaitable[F32]:
            some = [texts[place] for place in places]
            return self._encode(some, most=most, said=prompt, work=work)

        return await self._filled(self._digests(prompt, texts), texts, fresh)

    async def represent_each(
        self, asked: Sequence[tuple[str, str]], *, most: Allowance | None = None
    ) -> tuple[F32, int, int]:
        """The same of texts that answer a prompt each, which share the encoder's batches.

        Args:
            asked: prompts, each with a text.
            most: as in `represent`.

        Raises:
            Problem: as `represent`.
        """
        reads = self.model.prompt_dim > 0
        groups: dict[str, list[int]] = {}
        for place, (prompt, _) in enumerate(asked):
            groups.setdefault(prompt if reads else "", []).append(place)
        texts = [text for _, text in asked]
        if len(groups) <= 1:
            return await self.represent(next(iter(groups), ""), texts, most=most)
        keys = [b""] * len(asked)
        for prompt, places in groups.items():
            found = self._digests(prompt, [texts[place] for place in places])
            for place, key in zip(places, found, strict=True):
                keys[place] = key
        return await self._filled(
            keys, texts, lambda places: self._encode_each([asked[place] for place in places], most)
        )

    async def _filled(
        self,
        keys: Sequence[bytes],
        texts: Sequence[str],
        fresh: Callable[[Sequence[int]], Awaitable[F32]],
    ) -> tuple[F32, int, int]:
        """Representations of texts by what they are found by; `fresh` makes those of places."""
        known = self._texts.get_all(keys)
        missing = {
            key: place
            for place, (key, row) in enumerate(zip(keys, known, strict=True))
            if row is None
        }
        self._meter.encoded_hits += len(texts) - len(missing)
        if not missing:
            return np.array(known, np.float32), len(texts), 0
        self._meter.encoded_misses += len(missing)
        with part("encode", texts=len(missing)):
            made = await fresh(list(missing.values()))
        found = dict(zip(missing, made, strict=True))
        out = np.array(
            [found[key] if row is None else row for key, row in zip(keys, known, strict=True)],
            np.float32,
        )
        for key, vector in found.items():
            self._texts.put(key, vector.copy())  # a row would keep its whole batch in memory
        self._meter.encoded_bytes = len(self._texts) * self._each
        tokens = _tokens(texts[place] for place in missing.values())
        return out, len(texts) - len(missing), tokens

    def _digests(self, prompt: str, texts: Sequence[str]) -> list[bytes]:
        """What texts are found by: nobody can tell from outside of this process which were kept.

        SHA-256, for which processors have instructions; half of what a cached text costs is spent here.
        """
        said = prompt.encode("utf-8", "surrogatepass")
        salt = sha256(
            self._salt + said
        ).digest()  # of one length, so that no prompt is part of a text
        return [sha256(salt + text.encode("utf-8", "surrogatepass")).digest() for text in texts]

    async def _encode_each(self, asked: Sequence[tuple[str, str]], most: Allowance | None) -> F32:
        """Representations of texts that answer different prompts; each text and prompt is encoded once."""
        words = list(dict.fromkeys(text for pair in asked for text in pair))
        features = await self._encode(words, most=most, work=self._features)
        row = {text: place for place, text in enumerate(words)}
        prompts, texts = ([row[text] for text in side] for side in zip(*asked, strict=True))

        def represent() -> F32:
            return self.model.represent(features[texts], features[prompts])

        return await asyncio.get_running_loop().run_in_executor(self._encoding, represent)

    async def _encode(
        self, texts: Sequence[str], *, most: Allowance | None, said: str = "",
        work: Callable[[Sequence[str]], F32],
    ) -> F32:  # fmt: skip
        """What `work` makes of texts, in parts.

        Args:
            texts: that have to be encoded.
            most: tokens that they may have, with those that were encoded for the request before.
            said: a prompt that is encoded beside them.
            work: for a part, in a thread.

        Raises:
            Problem: the model has no encoder, or it cannot work now, or 413 for more tokens.
        """
        if not self.has_encoder:
            detail = f"The model {self.label} has no text encoder; send ids or embeddings"
            raise Problem("invalid_field", detail)
        loop = asyncio.get_running_loop()
        size = _BATCH if self.remote is None else SEQUENCES
        parts: list[F32] = []
        try:
            if most is not None:
                await self._refuse_long([text for text in (said, *texts) if text], most)
            with self._queue.place(_work(texts)) as place:
                for at in range(0, len(texts), size):
                    some, since = texts[at : at + size], perf_counter()
                    encode = partial(copy_context().run, self._run, work, some, since)
                    parts.append(await loop.run_in_executor(self._encoding, encode))
                    self._queue.did(place, _work(some))
        except QueueFullError:
            self._meter.reject("queue_full")
            raise
        except (ConfigError, ArtifactError) as error:
            raise Problem("encoder_unavailable", error.message, retry_after=60) from error
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    async def _refuse_long(self, texts: list[str], allowance: Allowance) -> None:
        """Refuse texts of more tokens than a request has left.

        Raises:
            Problem: 413.
        """
        every, most = list(dict.fromkeys([*allowance.texts, *texts])), allowance.most
        size = sum(len(text.encode("utf-8", "surrogatepass")) for text in every)

        def fit() -> bool:
            fits = None if self.remote is not None else getattr(self.encoder(), "fits", None)
            return size <= _WIDEST * most if fits is None else bool(fits(every, most))

        if size > most:  # for a token is a byte at least
            loop = asyncio.get_running_loop()
            if not await loop.run_in_executor(self._encoding, fit):
                detail = f"The texts have more than {most} tokens that would have to be encoded; split them"
                raise Problem("too_many_tokens", detail)
        allowance.texts = every

    async def encode_prompts(self, prompts: Sequence[str], *, most: Allowance | None = None) -> F32:
        """Features `(n, dp)` of prompts; one that comes twice is encoded once.

        Args:
            prompts: of a model that reads them.
            most: as in `represent`.

        Raises:
            Problem: as `represent`.
        """
        if not self.has_encoder:
            raise Problem("invalid_field", f"The model {self.label} has no encoder for prompts")
        words = list(dict.fromkeys(prompts))
        found = await self._encode(words, most=most, work=self._features)
        row = {prompt: place for place, prompt in enumerate(words)}
        return found[[row[prompt] for prompt in prompts]]

    async def valence(self, turns: Sequence[str]) -> F64:
        """How satisfied next turns `(n,)` are, by their nearness to follow-ups of either kind.

        Raises:
            Problem: the model has no encoder, or it cannot work now.
        """
        if not self.has_encoder:
            raise Problem("invalid_field", f"The model {self.label} has no text encoder")
        loop = asyncio.get_running_loop()

        def judge() -> F64:
            if self._valence is None:
                self._valence = similarity_valence(self.encoder().encode)
            parts = [self._valence(turns[at : at + _BATCH]) for at in range(0, len(turns), _BATCH)]
            return np.concatenate(parts)

        try:
            return await loop.run_in_executor(self._encoding, copy_context().run, judge)
        except (ConfigError, ArtifactError) as error:
            raise Problem("encoder_unavailable", error.message, retry_after=60) from error

    def represent_now(self, prompt: str, texts: Sequence[str]) -> F32:
        """The same from a worker thread, without the cache of the event loop."""
        work, since = Context().run, perf_counter()  # nothing of the thread that waits
        make = partial(self._represent, prompt)
        return self._encoding.submit(work, self._run, make, list(texts), since).result()

    def close(self) -> None:
        """Stop the encoding threads."""
        self._encoding.shutdown(wait=False, cancel_futures=True)
        if self._shared is not None:
            self._shared.close()
        if self.remote is not None:
            self.remote.close()


def _tokens(texts: Iterable[str]) -> int:
    """Of texts, roughly."""
    return sum(math.ceil(len(text) / 4) for text in texts)


def _work(texts: Iterable[str]) -> int:
    """What texts cost to encode, the empty ones among them."""
    return sum(1 + len(text) // 4 for text in texts)
