"""Candidates read from standard input: a text, a JSON string or a JSON object a line."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from gustibus.errors import InputError

if TYPE_CHECKING:
    from gustibus.scoring import Scorer
    from gustibus.types import F32

LOCAL = ("text", "embedding", "vector")
"""What a model folder can score."""
SERVED = ("id", "text", "messages", "embedding", "vector")
"""What a service can score."""


class Candidate(NamedTuple):
    """A line of standard input.

    Attributes:
        line: its number, from 1.
        kind: of `SERVED`.
        value: of that kind.
        answer: that a text leads to, None where nothing is said.
        prompt: that it answers, None where nothing is said.
    """

    line: int
    kind: str
    value: Any
    answer: str | None = None
    prompt: str | None = None

    @property
    def shown(self) -> str:
        """In one line, for people."""
        return self.value if self.kind in ("text", "id") else f"{self.kind} of line {self.line}"

    @property
    def told(self) -> dict[str, Any]:
        """In a JSON document: the numbers of an embedding are not told again."""
        return {} if self.kind in ("embedding", "vector") else {self.kind: self.value}

    @property
    def sent(self) -> Any:
        """As the service takes it."""
        return self.value if self.kind == "text" else {self.kind: self.value}


def read_candidates(
    lines: Iterable[str], *, kinds: tuple[str, ...], choosing: bool, plain: bool,
    prompted: bool = False,
) -> list[Candidate]:  # fmt: skip
    """Candidates of lines that are not empty.

    Args:
        lines: of standard input.
        kinds: that can be scored.
        choosing: whether an object may tell its final `answer`.
        plain: whether every line is a text, whatever it looks like.
        prompted: whether an object may tell the `prompt` that it answers.

    Raises:
        InputError: there are none, or a line is no candidate; the message has its number.
    """
    beside = ("answer",) * choosing + ("prompt",) * prompted
    found = [
        Candidate(number, "text", line) if plain else _candidate(number, line, kinds, beside)
        for number, line in enumerate(map(str.strip, lines), 1)
        if line
    ]
    found = [one for one in found if one.value != ""]
    if not found:
        message = "candidates: expected at least one line on standard input, got none"
        raise InputError(message, where="candidates")
    return found


def _candidate(
    number: int, line: str, kinds: tuple[str, ...], beside: tuple[str, ...]
) -> Candidate:
    if not line.startswith(("{", '"')):
        return Candidate(number, "text", line)
    try:
        value = json.loads(line)
    except ValueError as error:
        if line.startswith('"'):
            return Candidate(number, "text", line)  # a text that begins with a quotation
        raise _wrong(
            number, f"expected a JSON object, got something else ({error}); --text reads every "
            "line as a text"
        ) from None  # fmt: skip
    if isinstance(value, str):
        return Candidate(number, "text", value)
    if value.keys() == {"id"} and "id" not in kinds:
        raise _wrong(
            number, f"a model folder knows no ids, got {line:.80}; give the text or the embedding, "
            "or ask a service that keeps the item with --url"
        )  # fmt: skip
    odd = [name for name in value if name not in (*kinds, *beside)]
    given = [name for name in kinds if name in value]
    if odd or len(given) != 1:
        more = "".join(f", and its {name!r}," for name in beside)
        raise _wrong(
            number, f"expected an object with one of {list(kinds)}{more} and nothing else, got "
            f"{sorted(value)}; --text reads every line as a text"
        )  # fmt: skip
    (kind,) = given
    if kind in ("text", "id") and not isinstance(value[kind], str):
        raise _wrong(number, f"{kind}: expected a text, got {json.dumps(value[kind]):.80}")
    for name in beside:
        if not isinstance(value.get(name, ""), str):
            raise _wrong(number, f"{name}: expected a text, got {json.dumps(value[name]):.80}")
    return Candidate(number, kind, value[kind], value.get("answer"), value.get("prompt"))


def answers_of(candidates: list[Candidate]) -> list[str]:
    """The final answer of each candidate, which is its text where nothing else is said.

    Raises:
        InputError: a candidate has neither.
    """
    found: list[str] = []
    for one in candidates:
        if one.answer is None and one.kind != "text":
            raise _wrong(one.line, "expected an 'answer', as there is no text to choose by")
        found.append(one.value if one.answer is None else one.answer)
    return found


def represented(scorer: Scorer, prompt: str, candidates: list[Candidate]) -> F32:
    """Representations `(n, r)` of texts, embeddings and vectors, in the order in which they stand.

    Raises:
        InputError: an embedding or a vector is none of the model's; the message has the number of the
            line.
    """
    import numpy as np

    places: dict[str, list[int]] = {kind: [] for kind in LOCAL}
    for place, one in enumerate(candidates):
        places[one.kind].append(place)
    out = np.empty((len(candidates), scorer.model.representation_dim), np.float32)
    if places["text"]:
        texts = [candidates[place].value for place in places["text"]]
        out[places["text"]] = scorer.represent(prompt, texts)
    if places["embedding"]:
        dim = scorer.model.item_dim
        rows = np.stack([_numbers(candidates[place], dim) for place in places["embedding"]])
        out[places["embedding"]] = scorer.represent(prompt, rows)
    for place in places["vector"]:
        out[place] = _kept(scorer, candidates[place])
    return out


def _kept(scorer: Scorer, one: Candidate) -> F32:
    """A vector that the same model made before."""
    artifact, value = scorer.artifact, one.value
    name = value.get("model") if isinstance(value, dict) else None
    if not isinstance(name, str) or not artifact.made(name):
        raise _wrong(one.line, f"vector: expected one of {artifact.pin}, got one of {name!r}")
    one = one._replace(value=value.get("numbers", value))
    return _numbers(one, scorer.model.representation_dim)


def _numbers(one: Candidate, dim: int) -> F32:
    """The numbers of a list, or of an object that holds them as base64."""
    import numpy as np

    value = one.value
    try:
        if isinstance(value, dict):
            kind = {"f32": "<f4", "f16": "<f2"}[value.get("dtype", "f32")]
            row = np.frombuffer(base64.b64decode(value["b64"], validate=True), kind)
        else:
            row = np.asarray(value)
        row = row.astype(np.float32)
    except (TypeError, ValueError, LookupError):
        row = np.zeros((0, 0), np.float32)
    if not isinstance(value, list | dict) or row.shape != (dim,):
        got = f"{len(row)}" if row.ndim == 1 and isinstance(value, list | dict) else "no numbers"
        raise _wrong(one.line, f"{one.kind}: expected {dim} numbers, got {got}")
    if not np.isfinite(row).all():
        raise _wrong(one.line, f"{one.kind}: expected finite numbers, got NaN or infinity")
    return row


def _wrong(number: int, problem: str) -> InputError:
    return InputError(f"candidates: line {number}: {problem}", where=f"candidates:{number}")
