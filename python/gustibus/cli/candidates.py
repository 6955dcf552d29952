"""Candidates read from standard input: a text, a JSON string or a JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from gustibus.errors import InputError

if TYPE_CHECKING:
    from gustibus.scoring import Scorer
    from gustibus.types import F32

LOCAL = ("text", "embedding")
"""What a model folder can score."""
SERVED = ("id", "text", "messages", "embedding")
"""What a service can score."""


class Candidate(NamedTuple):
    """A line of standard input.

    Attributes:
        line: its number, from 1.
        kind: of `SERVED`.
        value: of that kind.
        answer: that a text leads to, None where nothing is said.
    """

    line: int
    kind: str
    value: Any
    answer: str | None = None

    @property
    def shown(self) -> str:
        """In one line, for people."""
        return self.value if self.kind in ("text", "id") else f"{self.kind} of line {self.line}"

    @property
    def told(self) -> dict[str, Any]:
        """In a JSON document: the numbers of an embedding are not told again."""
        return {} if self.kind == "embedding" else {self.kind: self.value}

    @property
    def sent(self) -> Any:
        """As the service takes it."""
        return self.value if self.kind == "text" else {self.kind: self.value}


def read_candidates(
    lines: Iterable[str], *, kinds: tuple[str, ...], choosing: bool, plain: bool
) -> list[Candidate]:
    """Candidates of lines that are not empty.

    Args:
        lines: of standard input.
        kinds: that can be scored.
        choosing: whether an object may tell its final `answer`.
        plain: whether every line is a text, whatever it looks like.

    Raises:
        InputError: there are none, or a line is no candidate; the message has its number.
    """
    found = [
        Candidate(number, "text", line)
        if plain
        else _candidate(number, line, kinds, choosing=choosing)
        for number, line in enumerate(map(str.strip, lines), 1)
        if line
    ]
    found = [one for one in found if one.value != ""]
    if not found:
        message = "candidates: expected at least one line on standard input, got none"
        raise InputError(message, where="candidates")
    return found


def _candidate(
    number: int, line: str, kinds: tuple[str, ...], *, choosing: bool
) -> Candidate:  # fmt: skip
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
    odd = [name for name in value if name not in kinds and not (choosing and name == "answer")]
    given = [name for name in kinds if name in value]
    if odd or len(given) != 1:
        more = ", and its 'answer'," if choosing else ""
        raise _wrong(
            number, f"expected an object with one of {list(kinds)}{more} and nothing else, got "
            f"{sorted(value)}; --text reads every line as a text"
        )  # fmt: skip
    (kind,) = given
    if kind in ("text", "id") and not isinstance(value[kind], str):
        raise _wrong(number, f"{kind}: expected a text, got {json.dumps(value[kind]):.80}")
    if not isinstance(value.get("answer", ""), str):
        raise _wrong(number, f"answer: expected a text, got {json.dumps(value['answer']):.80}")
    return Candidate(number, kind, value[kind], value.get("answer"))


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
    """Representations `(n, r)` of texts and embeddings, in the order in which they stand.

    Raises:
        InputError: an embedding is none of the model's; the message has the number of the line.
    """
    import numpy as np

    texts = [place for place, one in enumerate(candidates) if one.kind == "text"]
    rest = [place for place, one in enumerate(candidates) if one.kind != "text"]
    parts = []
    if texts:
        parts.append(scorer.represent(prompt, [candidates[place].value for place in texts]))
    if rest:
        dim = scorer.model.item_dim
        rows = np.stack([_embedding(candidates[place], dim) for place in rest])
        parts.append(scorer.represent(prompt, rows))
    vectors = np.concatenate(parts)
    return np.asarray(vectors[np.argsort(texts + rest)])


def _embedding(one: Candidate, dim: int) -> F32:
    import numpy as np

    try:
        row = np.asarray(one.value, np.float32)
    except (TypeError, ValueError):
        row = np.zeros((0, 0), np.float32)
    if not isinstance(one.value, list) or row.shape != (dim,):
        got = f"{len(one.value)}" if row.ndim == 1 and isinstance(one.value, list) else "no numbers"
        raise _wrong(one.line, f"embedding: expected {dim} numbers, got {got}")
    if not np.isfinite(row).all():
        raise _wrong(one.line, "embedding: expected finite numbers, got NaN or infinity")
    return row


def _wrong(number: int, problem: str) -> InputError:
    return InputError(f"candidates: line {number}: {problem}", where=f"candidates:{number}")
