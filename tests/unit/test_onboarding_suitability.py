"""What may be asked: texts without some terms, easy enough to read, and pairs that are not flagged."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gustibus.errors import ConfigError, InputError
from gustibus.onboarding import Pairs
from gustibus.onboarding.suitability import lix, suitable, suiting
from gustibus.training import RunConfig, train

WORDS = [
    "short",
    "long",
    "warm",
    "plain",
    "funny",
    "clear",
    "rich",
    "calm",
    "sharp",
    "bright",
    "dry",
    "round",
]


def test_how_hard_a_text_reads_is_words_a_sentence_and_the_share_of_long_ones():
    assert lix("One two three. Four five six!") == 3.0
    assert lix("Considerable sentences are hard") == 4 + 50
    assert lix("") == lix("12 34 ...") == 0.0
    assert lix("Version 2.5 is out. Try it.") == pytest.approx(2.5 + 100 / 5)


def test_terms_are_whole_words_in_any_case_and_over_any_spaces():
    suits = suiting(terms=["ass", "hot sauce"], max_lix=40)
    assert suits("A class of its own")
    assert not suits("What an Ass!")
    assert not suits("More HOT\n  sauce, please")
    assert not suits("Considerable sentences are hard")
    for given in ({"terms": [" "]}, {"max_lix": 0.0}):
        with pytest.raises(InputError, match=next(iter(given))):
            suiting(**given)


def test_a_pair_needs_both_texts_and_its_prompt():
    pairs = Pairs(*(np.array(c) for c in ([0, 0, 1, 0], [0, 1, 0, 2], [1, 2, 1, 0])))
    texts, prompts, judged = ["good", "fine", "bad"], ["why", "worse"], []

    def suits(text):
        judged.append(text)
        return text in {"good", "fine", "why"}

    assert suitable(pairs, suits, texts=texts, prompts=prompts).tolist() == [0]
    assert len(judged) == len(set(judged))


@pytest.fixture
def log(tmp_path):
    rng, path = np.random.default_rng(3), tmp_path / "log.jsonl"
    with path.open("w") as file:
        for row in range(240):
            a, b = rng.choice(12, 2, replace=False)
            file.write(json.dumps({
                "user": f"u{row % 16}", "prompt": "Well?", "response_a": WORDS[a],
                "response_b": WORDS[b], "label": int(a > b), "unsafe": {a, b} == {0, 1} or None,
            }) + "\n")  # fmt: skip
    return path


def config(log, **more):
    return RunConfig(
        str(log), str(log.parent / "model"), encoder="hashing", encoder_options={"dim": 16},
        split="all", questions=60, **more,
    )  # fmt: skip


def test_a_run_asks_about_nothing_that_is_flagged_or_holds_a_term(log):
    terms = log.parent / "terms.txt"
    terms.write_text("# not at table\nFunny\n\n")
    pool = train(config(log, flags="unsafe", terms=str(terms))).pool
    asked = {frozenset(pair) for pair in zip(pool.texts_a, pool.texts_b, strict=True)}
    assert len(asked) > 20
    assert frozenset(WORDS[:2]) not in asked
    assert not any("funny" in pair for pair in asked)


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"flags": "nothing"}, InputError, "flags: the comparisons have no further column"),
        ({"flags": "user"}, InputError, "flags: "),
        ({"max_lix": 0.5}, InputError, "none are left"),
        ({"terms": "no-such-file"}, ConfigError, "terms: no-such-file: cannot be read"),
        ({"max_lix": -1}, ConfigError, "max_lix: expected a number above 0 or none, got -1"),
    ],
)
def test_what_a_run_cannot_ask_by_is_refused_before_it_begins(log, more, error, message):
    with pytest.raises(error, match=message):
        train(config(log, **more))
