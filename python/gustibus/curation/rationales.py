"""A reason for every choice, in words, as a column of the pair.

Source: Just et al. 2024, "Data-Centric Human Preference Optimization with Rationales", arXiv
2407.14477.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gustibus.curation.builders import Row, Rows, builder, winner
from gustibus.errors import InputError

Generate = Callable[[str, str, str], str]
"""From prompt, chosen and rejected response to the reason for the choice."""


@builder("rationale", source="Just et al. 2024, preference optimisation with rationales")
def rationale(
    rows: Rows, *, column: str = "reason", generate: Generate | None = None
) -> Iterator[Row]:
    """The same labels with a `rationale`, from a column, or from a generator where that is empty.

    Args:
        rows: of labels; ties without a reason of their own are passed over.
        column: where reasons stand.
        generate: a language model, or anything else that writes a reason; none by default.

    Raises:
        InputError: the generator gave no text.
    """
    for row in rows:
        best = winner(row)
        reason = row.get(column)
        if reason is None and generate is not None and best:
            other = "b" if best == "a" else "a"
            reason = generate(
                row[f"prompt_{best}"], row[f"response_{best}"], row[f"response_{other}"]
            )
            if not isinstance(reason, str) or not reason.strip():
                message = f"generate: expected a text that says why, got {reason!r:.60}"
                raise InputError(message, where="generate")
        if isinstance(reason, str) and reason.strip():
            yield {"row": row["row"], "rationale": reason.strip()}
