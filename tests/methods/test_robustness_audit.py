"""The suite of harmless edits, flips and gains, and what surface properties are worth to a scorer."""

import pytest

from gustibus.errors import InputError, UnknownNameError
from gustibus.robustness import PERTURBATIONS, gaming_audit, perturbation_audit
from gustibus.robustness.audit import robustness
from gustibus.robustness.sentences import keywords, sentences, words

PROMPT = "How do I keep the violin strings clean?"
ROWS = [
    (PROMPT, "Wipe the strings after playing. Use a dry cloth.", "I do not know."),
    (PROMPT, "A soft cloth is enough for the strings.", "Strings."),
]


def by_length(prompt, responses):
    return [float(len(text)) for text in responses]


def indifferent(prompt, responses):
    """Reads the first words of what was not added: a scorer that no edit of the suite moves."""
    return [2.0 if "cloth" in text else 1.0 for text in responses]


def test_a_scorer_of_length_flips_and_one_of_content_does_not():
    weak, strong = perturbation_audit(by_length, ROWS), perturbation_audit(indifferent, ROWS)
    assert weak.accuracy == strong.accuracy == 1
    effects = {effect.perturbation: effect for effect in weak.effects}
    assert effects["padding"].flip_rate == 1
    assert effects["padding"].mean_gain > effects["flattery"].mean_gain > 0
    assert strong.flip_rate == 0
    assert all(effect.mean_gain == 0 for effect in strong.effects)


def test_flips_are_counted_among_pairs_that_were_right():
    found = robustness(
        ["flattery"] * 3 + ["padding"], score_w=[1.0, 1.0, 0.0, 0.0],
        score_l=[0.0, 0.0, 1.0, 1.0], score_edited=[1.0, 0.5, 3.0, 1.5],
    )  # fmt: skip
    assert found["flattery/flip_rate"] == 0.5  # a tie is a flip; the third pair was wrong before
    assert found["flattery/gain"] == pytest.approx((1 + 0.5 + 2) / 3)
    assert found["padding/flip_rate"] != found["padding/flip_rate"]  # no pair was right
    assert found["flip_rate"] == 0.5
    assert found["gain"] == pytest.approx(((1 + 0.5 + 2) / 3 + 0.5) / 2)


@pytest.mark.parametrize("name", sorted(PERTURBATIONS))
def test_an_edit_is_fixed_and_keeps_the_response(name):
    edit = PERTURBATIONS[name].run
    response = "Wipe the strings. Use a cloth."
    assert edit(PROMPT, response) == edit(PROMPT, response) != response
    assert set(words(response)) <= set(words(edit(PROMPT, response)))
    kept = sentences(edit(PROMPT, response))
    assert [s for s in kept if s in sentences(response)] == sentences(response)


def test_formatting_adds_no_word_but_the_heading():
    edited = PERTURBATIONS["formatting"].run(PROMPT, "Wipe the strings. Use a cloth.")
    assert edited == "**Answer**\n- Wipe the strings.\n- Use a cloth."


def test_the_words_of_the_prompt_are_its_key_words():
    assert keywords(PROMPT, 3) == ["keep", "violin", "strings"]


def test_the_gaming_audit_measures_each_property_with_content_fixed():
    found = gaming_audit(by_length, [PROMPT] * 2, ["A cloth.", "A soft and dry cloth."])
    assert found["padding"] > found["flattery"] > found["formatting"] > 0
    assert set(gaming_audit(indifferent, [PROMPT], ["A cloth."]).values()) == {0.0}


def test_rows_and_names_that_are_missing_are_refused():
    with pytest.raises(InputError, match="rows: expected at least one"):
        perturbation_audit(by_length, [])
    with pytest.raises(UnknownNameError, match="flattery"):
        perturbation_audit(by_length, ROWS, ["flatery"])
    with pytest.raises(InputError, match="score"):
        perturbation_audit(lambda prompt, responses: [float("nan")] * len(responses), ROWS)
