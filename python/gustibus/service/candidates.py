"""Candidates as text, ids, base64 or binary embeddings, turned into representations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, cast

import numpy as np
import pybase64
from msgspec import Meta, Struct

from gustibus.errors import NotFiniteError
from gustibus.service.allowance import allowance_of, units_of_texts
from gustibus.service.ids import CLIENT_ID, PlainId
from gustibus.service.norms import too_long, why_too_long
from gustibus.service.problems import Problem, invalid
from gustibus.types import F32

if TYPE_CHECKING:
    from gustibus.service.call import Call
    from gustibus.service.serving import Serving
    from gustibus.service.state import State

MAX_IDS = 4096
"""Most candidates of a body, which its schema says."""
MAX_TEXT = 32 << 10
"""Most bytes of one text."""
_SHORT = MAX_TEXT // 4  # characters that are never more bytes, so that nobody has to count
MAX_NUMBER = 1e11
"""Most that a number of a representation may be away from 0, for people are placed by differences."""
TOO_LARGE = "its numbers are too large for the model"

Dtype = Literal["f32", "f16"]
DTYPES: dict[str, np.dtype[Any]] = {"f32": np.dtype("<f4"), "f16": np.dtype("<f2")}


class TextPart(Struct, forbid_unknown_fields=True):
    """A part of a message."""

    text: str
    type: Literal["text"] = "text"


class Message(Struct, forbid_unknown_fields=True):
    """A chat message."""

    role: Annotated[str, Meta(min_length=1, max_length=64)]
    content: str | list[TextPart]


class Embedding(Struct, forbid_unknown_fields=True):
    """An embedding as base64 of little-endian numbers."""

    b64: str
    dtype: Dtype = "f32"


class Vector(Struct, forbid_unknown_fields=True):
    """What `/v1/encode` made of a candidate; exactly one of b64 and, for debugging, numbers."""

    model: Annotated[str, Meta(max_length=200)]
    """That made it; no other takes it."""
    b64: str | None = None
    dtype: Dtype = "f32"
    numbers: list[float] | None = None


class Candidate(Struct, forbid_unknown_fields=True):
    """Exactly one of text, messages, id, embedding and vector; an array of numbers is for debugging."""

    text: str | None = None
    messages: Annotated[list[Message], Meta(min_length=1, max_length=256)] | None = None
    id: PlainId | None = None
    embedding: Embedding | list[float] | None = None
    vector: Vector | None = None


Prompt = str | Annotated[list[Message], Meta(min_length=1, max_length=256)]
AnyCandidate = str | Candidate


@dataclass(slots=True)
class Represented:
    """Candidates as the model sees them, and what that took."""

    vectors: F32
    """`(n, r)`."""
    cached: int = 0
    tokens: int = 0
    units: int = 0


@dataclass(slots=True)
class _Sorted:
    """Positions of candidates by kind."""

    ids: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    texts: list[int] = field(default_factory=list)
    strings: list[str] = field(default_factory=list)
    embeddings: list[int] = field(default_factory=list)
    features: list[F32] = field(default_factory=list)
    vectors: list[int] = field(default_factory=list)
    kept: list[F32] = field(default_factory=list)
    base64: int = 0
    arrays: int = 0


def text_of(value: str | Sequence[Message], pointer: str) -> str:
    """A prompt or response as the text that is encoded: one message is its content.

    Raises:
        Problem: 413 when it is too long.
    """
    if isinstance(value, str):
        text = value
    elif len(value) == 1:
        text = _content(value[0])
    else:
        text = "\n\n".join(f"{m.role}: {_content(m)}" for m in value)
    if len(text) > _SHORT and len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT:
        detail = f"{pointer}: the text is longer than {MAX_TEXT} bytes"
        raise Problem("too_much_text", detail, errors=[(pointer, detail)])
    return text


def _content(message: Message) -> str:
    if isinstance(message.content, str):
        return message.content
    return "".join(part.text for part in message.content)


def model_of(state: State, name: str) -> Serving:
    """The model that a request means.

    Raises:
        Problem: 404 for another name, 503 when no model is loaded.
    """
    serving = state.serving
    if serving is None:
        raise Problem("not_ready", "No model is loaded", retry_after=30)
    if name != "default" and not serving.answers_to(name):
        detail = (
            f"/model: there is no model {name[:128]!r}; there is {serving.label}, also as 'default'"
        )
        raise Problem("not_found", detail, errors=[("/model", detail)])
    return serving


async def represent(
    call: Call,
    serving: Serving,
    prompt: Prompt | None,
    candidates: Sequence[AnyCandidate],
    *,
    pointer: str = "/candidates",
    names: Sequence[str] | None = None,
    wait: bool = False,
) -> Represented:
    """Candidates of any kind, mixed, as representations in their order.

    Args:
        call: the request.
        serving: the model.
        prompt: what the candidates answer.
        candidates: in the order of the reply.
        pointer: where they are in the body.
        names: of their places; numbers from 0 by default.
        wait: whether items without a vector are encoded now.

    Raises:
        Problem: 403, 404, 409, 413, 415 or 422 with a pointer to the candidate.
    """
    said = "" if prompt is None else text_of(prompt, "/prompt")
    at = _Places(pointer, names)
    if set(map(type, candidates)) == {str}:
        strings = cast("Sequence[str]", candidates)
        if max(map(len, strings)) <= _SHORT:
            _need_encoder(serving, at[0])
            return await _plain(call, serving, said, strings)
    fresh, tokens = await _fetch_items(call, serving, candidates, wait=wait)
    kinds = _sort(call, serving, candidates, at)
    most = call.state.settings
    _limit("text", len(kinds.texts), most.candidate_texts)
    _limit("base64", kinds.base64, most.candidate_base64)
    _limit("float array", kinds.arrays, most.candidate_arrays)
    _limit("id", len(kinds.ids), MAX_IDS)
    if kinds.texts:
        _need_encoder(serving, at[kinds.texts[0]])
    n = len(candidates)
    out = np.empty((n, serving.model.representation_dim), np.float32)
    result = Represented(out, units=len(kinds.ids) + len(kinds.embeddings) + len(kinds.vectors))
    result.units += fresh and -(-tokens // 32)
    counts = serving.candidates
    if kinds.ids:
        out[kinds.ids] = call.state.items.vectors.take(kinds.rows, axis=0)
        counts["id"] += len(kinds.ids)
    if call.laps is not None:
        call.laps.end("lookup")
    if kinds.embeddings:
        found = await from_features(
            call,
            serving,
            said,
            np.stack(kinds.features),
            lambda row: f"{at[kinds.embeddings[row]]}/embedding",
        )
        if len(kinds.embeddings) == n:  # in the order of the candidates
            result.vectors = found
        else:
            out[kinds.embeddings] = found
        counts["embedding"] += len(kinds.embeddings)
    if kinds.vectors:
        out[kinds.vectors] = kinds.kept
        counts["vector"] += len(kinds.vectors)
    if kinds.texts:
        vectors, result.cached, result.tokens = await _encoded(call, serving, said, kinds.strings)
        if call.laps is not None:
            call.laps.end("encode")
        out[kinds.texts] = vectors
        counts["text"] += len(kinds.texts)
        result.units += units_of_texts(len(kinds.texts), result.cached, result.tokens)
    result.tokens += tokens
    return result


async def _fetch_items(
    call: Call, serving: Serving, candidates: Sequence[AnyCandidate], *, wait: bool
) -> tuple[int, int]:
    """Encode those items among candidates that have no vector; how many, and their tokens, roughly.

    Who does not wait for that gets the vectors that are in the store.

    Raises:
        Problem: 413 for too many, or the model cannot encode now.
    """
    state = call.state
    pending = state.items.pending
    if not pending:
        return 0, 0
    found = {c.id for c in candidates if isinstance(c, Candidate) and c.id in pending}
    names = sorted(name for name in found if name is not None)
    if not names:
        return 0, 0
    if not wait or not serving.has_encoder:
        await state.encoding.look_up(names)
        return 0, 0
    _limit("text", len(names), state.settings.candidate_texts)
    began = perf_counter()
    tokens = await state.encoding.encode_now(serving, names, most=allowance_of(call))
    call.encoding += perf_counter() - began
    return len(names), tokens


async def _plain(call: Call, serving: Serving, said: str, texts: Sequence[str]) -> Represented:
    """The same for texts that nothing can be wrong with, which are not looked at one by one."""
    n = len(texts)
    _limit("text", n, call.state.settings.candidate_texts)
    if call.laps is not None:
        call.laps.end("lookup")
    vectors, cached, tokens = await _encoded(call, serving, said, texts)
    if call.laps is not None:
        call.laps.end("encode")
    serving.candidates["text"] += n
    return Represented(vectors, cached, tokens, units_of_texts(n, cached, tokens))


async def _encoded(
    call: Call, serving: Serving, said: str, texts: Sequence[str]
) -> tuple[F32, int, int]:
    """As `Serving.represent`, and the request knows what time it took.

    Raises:
        Problem: 413 for more tokens than a request may have.
    """
    began = perf_counter()
    found = await serving.represent(said, texts, most=allowance_of(call))
    call.encoding += perf_counter() - began
    return found


def _need_encoder(serving: Serving, pointer: str) -> None:
    """Refuse texts where none can be encoded.

    Raises:
        Problem: 422 about the first.
    """
    if not serving.has_encoder:
        raise invalid(pointer, "the model has no text encoder; send ids, embeddings or vectors")


class _Places:
    """Pointers to candidates by number."""

    def __init__(self, pointer: str, names: Sequence[str] | None) -> None:
        self._pointer = pointer
        self._names = names

    def __getitem__(self, place: int) -> str:
        return f"{self._pointer}/{place if self._names is None else self._names[place]}"


def _sort(
    call: Call, serving: Serving, candidates: Sequence[AnyCandidate], places: _Places
) -> _Sorted:
    kinds = _Sorted()
    rows = call.state.items.rows
    for place, candidate in enumerate(candidates):
        # Requests of thousands are of these, and a place's name is only for errors.
        if isinstance(candidate, Candidate) and candidate.id in rows and _ways(candidate) == 1:
            kinds.ids.append(place)
            kinds.rows.append(rows[candidate.id])
            continue
        at = places[place]
        if isinstance(candidate, str):
            kinds.texts.append(place)
            kinds.strings.append(text_of(candidate, at))
            continue
        one_of(candidate, at)
        if candidate.id is not None:
            no_item(call.state, candidate.id, f"{at}/id")
        elif candidate.text is not None:
            kinds.texts.append(place)
            kinds.strings.append(text_of(candidate.text, f"{at}/text"))
        elif candidate.messages is not None:
            kinds.texts.append(place)
            kinds.strings.append(text_of(candidate.messages, f"{at}/messages"))
        elif candidate.embedding is not None:
            if not kinds.embeddings:
                call.need("score:raw")
            kinds.base64 += isinstance(candidate.embedding, Embedding)
            kinds.arrays += not isinstance(candidate.embedding, Embedding)
            kinds.embeddings.append(place)
            dim = serving.model.item_dim
            kinds.features.append(vector_of(candidate.embedding, dim, f"{at}/embedding"))
        elif candidate.vector is not None:
            if not kinds.vectors:
                call.need("score:raw")
            kinds.base64 += candidate.vector.numbers is None
            kinds.arrays += candidate.vector.numbers is not None
            kinds.vectors.append(place)
            kinds.kept.append(kept_vector(serving, candidate.vector, f"{at}/vector"))
    return kinds


def one_of(candidate: Candidate, at: str) -> None:
    """Refuse a candidate that is given in several ways, or in none.

    Raises:
        Problem: 422.
    """
    if _ways(candidate) != 1:
        raise invalid(at, "expected exactly one of text, messages, id, embedding and vector")


def _ways(candidate: Candidate) -> int:
    """In how many ways a candidate is given."""
    given = (
        candidate.text, candidate.messages, candidate.id, candidate.embedding, candidate.vector,
    )  # fmt: skip
    return len(given) - given.count(None)


def no_item(state: State, item: str, pointer: str) -> NoReturn:
    """Say why an item cannot be scored.

    Raises:
        Problem: 422 for a name of the wrong form, 409 when its vector is still to come, else 404.
    """
    if CLIENT_ID.fullmatch(item) is None:
        raise invalid(pointer, "expected 1 to 128 letters, digits or any of . _ : @ -")
    if item in state.items.pending:
        detail = f"{pointer}: the item {item!r} has no vector yet; try again"
        raise Problem("item_pending", detail, errors=[(pointer, detail)])
    detail = f"{pointer}: there is no item {item!r}"
    raise Problem("not_found", detail, errors=[(pointer, detail)])


def vector_of(embedding: Embedding | list[float], dim: int, pointer: str) -> F32:
    """One embedding as float32 `(dim,)`.

    Raises:
        Problem: 422 for broken base64 or another dimension; numbers are checked later, all at once.
    """
    if isinstance(embedding, list):
        vector = _array(embedding)
    else:
        vector = _unpacked(embedding.b64, embedding.dtype, pointer)
    if len(vector) != dim:
        detail = f"dimension {len(vector)}, the model expects {dim}"
        raise invalid(pointer, detail, code="dimension_mismatch")
    return vector


def kept_vector(serving: Serving, vector: Vector, pointer: str) -> F32:
    """A vector `(r,)` that this model made before, as float32.

    Raises:
        Problem: 422 for one of another model, broken base64, another dimension, or a number that is
            NaN, infinite or too large.
    """
    if (vector.b64 is None) == (vector.numbers is None):
        raise invalid(pointer, "expected exactly one of b64 and numbers")
    artifact = serving.artifact
    if not artifact.made(vector.model):
        detail = (
            f"is of {vector.model!r}, the model in service is {artifact.pin!r}; encode it again"
        )
        raise invalid(f"{pointer}/model", detail)
    if vector.b64 is not None:
        found = _unpacked(vector.b64, vector.dtype, pointer)
    else:
        found = _array(vector.numbers or [])
    dim = serving.model.representation_dim
    if len(found) != dim:
        detail = f"dimension {len(found)}, the model expects {dim}"
        raise invalid(pointer, detail, code="dimension_mismatch")
    if not np.isfinite(found).all():
        raise invalid(pointer, "holds NaN or infinity", code="not_finite")
    if too_large(found[None]):
        raise invalid(pointer, TOO_LARGE)
    return found


def _array(numbers: list[float]) -> F32:
    with np.errstate(over="ignore"):  # what does not fit becomes infinite and is refused later
        return np.asarray(numbers, np.float32)


def _unpacked(b64: str, dtype: Dtype, pointer: str) -> F32:
    kind = DTYPES[dtype]
    try:
        data = pybase64.b64decode(b64, validate=True)
    except ValueError:
        raise invalid(f"{pointer}/b64", "not base64") from None
    if len(data) % kind.itemsize:
        detail = f"{len(data)} bytes are no whole number of {dtype}"
        raise invalid(pointer, detail, code="dimension_mismatch")
    return np.frombuffer(data, kind).astype(np.float32, copy=False)


async def from_features(
    call: Call, serving: Serving, prompt: str, features: F32, pointer: Callable[[int], str]
) -> F32:
    """Representations `(n, r)` of embeddings `(n, d)`; `pointer` names a row in errors.

    Raises:
        Problem: 422 when a number is NaN, infinite or too large, or an embedding too long.
    """
    prompts = None
    if serving.model.prompt_dim:
        said = await serving.encode_prompts([prompt], most=allowance_of(call))
        prompts = np.repeat(said, len(features), axis=0)
    try:
        found = represented(serving, features, prompts)
    except NotFiniteError:
        row = int(np.flatnonzero(~np.isfinite(features).all(axis=1))[0])
        raise invalid(pointer(row), "holds NaN or infinity", code="not_finite") from None
    for row in too_long(features, serving.longest)[:1]:
        raise invalid(pointer(row), why_too_long(features[row], serving.longest))
    for row in too_large(found)[:1]:
        raise invalid(pointer(row), TOO_LARGE)
    return found


def represented(serving: Serving, features: F32, prompts: F32 | None) -> F32:
    """Representations; those of very large numbers overflow, which `too_large` finds."""
    with np.errstate(over="ignore", invalid="ignore"):
        return serving.model.represent(features, prompts)


def too_large(vectors: F32) -> list[int]:
    """Rows with a number that is not within `MAX_NUMBER` of 0."""
    if not vectors.size or (vectors.max() <= MAX_NUMBER and vectors.min() >= -MAX_NUMBER):
        return []
    beyond = ~(np.abs(vectors) <= MAX_NUMBER).all(axis=1)  # true of NaN as well
    return [int(row) for row in np.flatnonzero(beyond)]


def _limit(kind: str, count: int, most: int) -> None:
    if count > most:
        detail = f"/candidates: {count} {kind} candidates, at most {most} are allowed"
        raise Problem("too_many_candidates", detail, errors=[("/candidates", detail)])
