"""Responses with growing shares of their key content taken out, and the degree of each.

Source: the degree-aware self-supervision of SPO; the keyword scores are this project's choice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gustibus.curation.builders import Row, Rows, builder, winner
from gustibus.curation.keywords import WORD, Rarity
from gustibus.data.arrays import count, one_of
from gustibus.methods import method

_GAP = re.compile(r"[^\S\n]{2,}")
_LOOSE = re.compile(r"[^\S\n]+([.,;:!?])")


@method(
    "OPS",
    source="SPO, self-supervised degree awareness; keyword scores are this project's",
    purpose="Variants of a response that lack more and more of its key words",
    check="tests/methods/test_curation_builders.py::test_variants_lose_key_words_from_the_most_telling_on",
    example="ops.degraded_variants(text='The fox jumps over the fence.', degrees=3)",
)
def degraded_variants(text: str, degrees: int = 4, rarity: Rarity | None = None) -> list[str]:
    """The text at every degree: degree k lacks the top `k / (degrees - 1)` share of its key words.

    Args:
        text: degree 0.
        degrees: how many variants, at least 2; the last has no key word left.
        rarity: of words in a collection; frequency in the text alone counts without it.
    """
    steps = count("degrees", degrees, low=2) - 1
    ranked = (rarity or Rarity([])).ranked(text)
    return [
        _without(text, set(ranked[: -(-degree * len(ranked) // steps)])) if degree else text
        for degree in range(steps + 1)
    ]


def _without(text: str, out: set[str]) -> str:
    kept = WORD.sub(lambda found: "" if found[0].lower() in out else found[0], text)
    return _LOOSE.sub(r"\1", _GAP.sub(" ", kept)).strip()


@builder("degraded", source="SPO, self-supervised degree awareness")
def degraded(rows: Rows, *, degrees: int = 4, side: str = "chosen") -> Iterator[Row]:
    """Each response against its own degraded variants, `degree` telling how much these lack.

    Args:
        rows: of labels; ties are passed over.
        degrees: variants of each response, the response itself among them.
        side: `chosen`, `rejected` or `both`.
    """
    one_of("side", side, ("chosen", "rejected", "both"))
    rarity = Rarity([row[f"response_{s}"] for row in rows for s in "ab"])
    seen: set[tuple[str, str, str]] = set()
    for row in rows:
        best = winner(row)
        wanted = {"chosen": best, "rejected": "ba"["ab".index(best)] if best else "", "both": "ab"}
        for s in wanted[side] if best else "":
            prompt, text = row[f"prompt_{s}"], row[f"response_{s}"]
            if (row["user"], prompt, text) in seen:
                continue
            seen.add((row["user"], prompt, text))
            for degree, worse in enumerate(degraded_variants(text, degrees, rarity)[1:], start=1):
                if worse != text:
                    yield {
                        "base": row["row"], "prompt": prompt, "response_a": text,
                        "response_b": worse, "target": 1.0, "degree": degree,
                    }  # fmt: skip
