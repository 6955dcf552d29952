"""Defences: strange sentences, the median over left-out ones, and the asked-for figures."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from gustibus.errors import InputError
from gustibus.robustness import (
    Defended,
    WordPairs,
    drop_one_median,
    flagged_prefix,
    likelihood_ratios,
    ratio_threshold,
    without_strange_sentences,
)

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "methods" / "robustness.py"
CLEAN = [f"The {a} is in the {b}. I saw the {a} by the {b}." for a in ("cat", "dog", "hen", "fox")
         for b in ("yard", "barn", "house", "field")]  # fmt: skip


def test_the_median_over_left_out_sentences_worked_by_hand():
    def longest(prompt, responses):
        return [float(len(text)) for text in responses]

    text = "Aa. Bbbb. Cccccc."
    expected = np.median([len("Bbbb. Cccccc."), len("Aa. Cccccc."), len("Aa. Bbbb.")])
    assert drop_one_median(longest, "", [text, "Alone."]).tolist() == [expected, 6]


def test_word_pairs_give_each_word_a_probability():
    model = WordPairs.fit(CLEAN, common=0.0)
    vocabulary = [*model.common, "neverseen"]
    before = "the"
    seen, kinds = model.before[before], model.kinds[before]
    total = sum(
        (model.pairs[before, w] + kinds * (model.single[w] + 1) / (model.single.total()
         + len(model.single) + 1)) / (seen + kinds) for w in vocabulary
    )  # fmt: skip
    assert total == pytest.approx(1)


def test_what_is_built_like_clean_text_is_likelier_than_what_is_not():
    model = WordPairs.fit(CLEAN, common=0.5)
    assert model("The owl is in the tower.") > model("Tower owl is the in the.")
    assert model("The owl is in the tower.") == model("The ant is in the mill.")  # both rare


def test_a_strange_sentence_stands_out():
    ratios = likelihood_ratios("It rained. Xq zv. We left.", lambda t: -9.0 if "Xq" in t else -2.0)
    np.testing.assert_allclose(ratios, [-3.5, 7, -3.5])
    assert likelihood_ratios("Alone.", len).tolist() == [0]


def test_a_strange_prefix_is_flagged_and_left_out():
    model = WordPairs.fit(CLEAN, common=0.05)
    threshold = ratio_threshold(CLEAN, model, keep=1.0)
    text = f"Cat dog hen barn yard cat dog. {CLEAN[0]}"
    assert flagged_prefix(text, model, threshold)
    assert without_strange_sentences(text, model, threshold) == CLEAN[0]
    assert not flagged_prefix(CLEAN[0], model, threshold)
    assert without_strange_sentences(CLEAN[0], model, threshold) is CLEAN[0]


def test_one_sentence_always_stays():
    def logp(text):
        return {"A.": -1.0, "B.": -2.0}.get(text, -3.0)

    assert without_strange_sentences("A. B.", logp, -9.0) == "A."


def test_the_defended_scorer_halves_the_flip_rate_and_keeps_its_accuracy():
    measure = runpy.run_path(str(BENCHMARK))["measure"]
    # of 300 pairs one is a third of a point, and a point is what may be lost
    audits = measure(count=300, seed=0, wanted=("bare", "strange sentences left out"))
    bare, defended = audits["bare"], audits["strange sentences left out"]
    assert bare.flip_rate > 0.1
    assert defended.flip_rate <= bare.flip_rate / 2
    assert defended.accuracy >= bare.accuracy - 0.01


def test_a_defended_scorer_is_called_like_the_one_it_wraps():
    def by_length(prompt, responses):
        return [float(len(text)) for text in responses]

    defended = Defended.on(by_length, CLEAN)
    strange = f"{CLEAN[0]} Barn barn yard hen fox dog cat cat."
    assert defended("", [CLEAN[0]]).tolist() == defended("", [strange]).tolist()
    assert Defended.on(by_length, CLEAN, median=True)("", [CLEAN[0]])[0] < len(CLEAN[0])


def test_a_model_of_nothing_is_refused():
    with pytest.raises(InputError, match="texts: expected at least one word"):
        WordPairs.fit(["..."])
    with pytest.raises(InputError, match="texts: expected at least one sentence"):
        ratio_threshold([], len)
