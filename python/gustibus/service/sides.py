"""What was compared: both sides of answers looked up, with the vectors that need no encoding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from gustibus.service.allowance import encode_each
from gustibus.service.call import Call
from gustibus.service.candidates import (
    AnyCandidate,
    Candidate,
    Prompt,
    no_item,
    one_of,
    text_of,
)
from gustibus.service.decoding import refuse_unstorable
from gustibus.service.features import Wanted, embed
from gustibus.service.ids import Id
from gustibus.service.problems import Problem, invalid
from gustibus.service.serving import Serving
from gustibus.store import Side

Outcome = Literal["a", "b", "tie", "both_bad", "skip"]


class NewAnswer(Struct, forbid_unknown_fields=True):
    """One answer of one person."""

    user: Id
    a: AnyCandidate
    b: AnyCandidate
    outcome: Outcome
    id: Id | None = None
    """Chosen by the client; the same id is kept once."""
    prompt: Prompt | None = None
    strength: Annotated[float, Meta(gt=0, le=100)] | None = None
    """How clear the preference was, such as 1 for slightly and 3 for clearly; a model that was trained with
    strengths counts the answer for more or less by it, in the units of its training."""
    at: Annotated[datetime, Meta(tz=True)] | None = None
    source: Annotated[str, Meta(max_length=64)] | None = None
    score_id: Id | None = None
    """Of the reply that the answer is about."""
    created_at: Annotated[datetime, Meta(tz=True)] | None = None
    """When it was first kept, of an answer of an export."""


@dataclass(slots=True)
class BothSides:
    """Both sides of an answer while they are looked up."""

    a: Side
    b: Side
    prompt: str | None


async def sides_of(call: Call, rows: Sequence[NewAnswer]) -> list[BothSides | Problem]:
    """What was compared, with the vectors that are needed now, or what is wrong.

    Raises:
        Problem: texts would have to be encoded and are too many, or cannot be encoded now.
    """
    sides = (side for row in rows for side in (row.a, row.b))
    await call.state.encoding.look_up(side.id for side in sides if isinstance(side, Candidate))
    found: list[BothSides | Problem] = []
    wanted: list[tuple[int, str, Wanted]] = []
    for place, row in enumerate(rows):
        at = f"/comparisons/{place}"
        try:
            found.append(_looked_up(call, row, at, place, wanted))
        except Problem as problem:
            found.append(problem)
    serving = call.state.serving
    if wanted and serving is None:
        raise Problem("not_ready", "No model is loaded", retry_after=30)
    if wanted and serving is not None:
        made = await embed(call, serving, [one for _, _, one in wanted])
        for (place, name, _), vector in zip(wanted, made, strict=True):
            pair = found[place]
            if isinstance(vector, Problem):
                found[place] = vector
            elif isinstance(pair, BothSides):
                setattr(pair, name, Side(None, None, vector))
    if serving is not None:
        await _encode_now(call, serving, found)
    return found


def _looked_up(
    call: Call, row: NewAnswer, at: str, place: int, wanted: list[tuple[int, str, Wanted]]
) -> BothSides:
    prompt = None if row.prompt is None else _storable(row.prompt, f"{at}/prompt")
    if row.source is not None:
        refuse_unstorable(row.source, f"{at}/source")
    for name, time in (("at", row.at), ("created_at", row.created_at)):
        if time is not None and not 1900 <= time.year <= 2200:
            raise invalid(f"{at}/{name}", "expected a year from 1900 to 2200")
    pair = BothSides(_NOTHING, _NOTHING, prompt)
    for name, candidate in (("a", row.a), ("b", row.b)):
        raw = _raw(candidate, f"{at}/{name}", prompt or "")
        if raw is not None:
            wanted.append((place, name, raw))
        else:
            setattr(pair, name, side_of(call, candidate, f"{at}/{name}"))
    return pair


def _raw(candidate: AnyCandidate, at: str, prompt: str) -> Wanted | None:
    """A side that comes as numbers; None for one that is named or said."""
    if isinstance(candidate, str) or (candidate.embedding is None and candidate.vector is None):
        return None
    one_of(candidate, at)
    if candidate.vector is not None:
        return Wanted(candidate.vector, prompt, f"{at}/vector")
    assert candidate.embedding is not None, "one of the two is given"
    return Wanted(candidate.embedding, prompt, f"{at}/embedding")


_NOTHING = Side(None, None, None)


def side_of(call: Call, candidate: AnyCandidate, at: str) -> Side:
    """A side that is an item or a text.

    Raises:
        Problem: there is no such item, or texts cannot be understood here.
    """
    state = call.state
    if isinstance(candidate, Candidate):
        one_of(candidate, at)
        if candidate.id is not None:
            row = state.items.rows.get(candidate.id)
            if row is not None:
                return Side(candidate.id, None, state.items.vectors[row].copy())
            if candidate.id not in state.items.pending:
                no_item(state, candidate.id, f"{at}/id")
            return Side(candidate.id, None, None)
        said = candidate.text if candidate.text is not None else candidate.messages
        assert said is not None, "one of the rest is given"
        candidate_text: Prompt = said
    else:
        candidate_text = candidate
    if state.serving is not None and not state.serving.has_encoder:
        raise invalid(at, "the model has no text encoder; send ids, embeddings or vectors")
    return Side(None, _storable(candidate_text, at), None)


def _storable(value: Prompt, pointer: str) -> str:
    text = text_of(value, pointer)
    refuse_unstorable(text, pointer)
    return text


async def _encode_now(call: Call, serving: Serving, found: list[BothSides | Problem]) -> None:
    """Encode texts that cannot wait: beside an embedding, or where no texts are kept.

    Raises:
        Problem: they are too many, or cannot be encoded now.
    """
    wanted: list[tuple[int, str, Side]] = []
    asked: list[tuple[str, str]] = []
    for place, pair in enumerate(found):
        if isinstance(pair, Problem) or not _is_needed(call, pair):
            continue
        sides = {"a": pair.a, "b": pair.b}
        for name, side in sides.items():
            if side.item is not None and side.vector is None:
                detail = f"/comparisons/{place}/{name}: the item has no vector yet; try again"
                found[place] = Problem("item_pending", detail)
                break
        else:
            for name, side in sides.items():
                if side.text is not None:
                    wanted.append((place, name, side))
                    asked.append((pair.prompt or "", side.text))
    if not asked:
        return
    vectors = await encode_each(call, serving, asked)
    for (place, name, side), vector in zip(wanted, vectors, strict=True):
        setattr(found[place], name, side._replace(vector=vector))


def _is_needed(call: Call, pair: BothSides) -> bool:
    """Whether texts of an answer are encoded before it is kept."""
    raw = any(side.item is None and side.text is None for side in (pair.a, pair.b))
    return raw or not call.state.settings.store_text
