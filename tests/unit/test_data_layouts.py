"""Logs in other people's columns."""

import json
import re

import numpy as np
import pytest

from gustibus.data import LAYOUTS, Table, parse_columns, read, read_table, to_comparisons
from gustibus.data.columns import renamed
from gustibus.data.layouts import detect
from gustibus.data.origin import Origin
from gustibus.errors import InputError, UnknownNameError


def table(rows, name="logs.jsonl"):
    columns = {key: [row.get(key) for row in rows] for row in rows for key in row}
    return Table(columns, Origin(name, np.arange(1, len(rows) + 1)))


def preferred(c):
    """For each row the person, the prompt and the preferred and the other text."""
    rows = []
    for u, q, a, b, t in zip(c.user, c.prompt, c.a, c.b, c.target, strict=True):
        better, worse = (a, b) if t > 0.5 else (b, a)
        rows.append((c.user_ids[u], c.prompts[q], c.item_texts[better], c.item_texts[worse]))
    return rows


def user(text):
    return {"role": "user", "content": text}


def says(text):
    return {"role": "assistant", "content": text}


def test_layouts_have_names_and_sources():
    assert set(LAYOUTS) == {"gustibus", "arena", "chosen_rejected", "lists", "grades"}
    assert all(entry.source for entry in LAYOUTS.values())


def test_chosen_and_rejected_strings():
    c = to_comparisons(
        table([{"annotator": 7, "prompt": "p", "chosen": "good", "rejected": "bad"}])
    )
    assert preferred(c) == [("7", "p", "good", "bad")]


def test_position_says_nothing_about_which_was_chosen():
    rows = [
        {"user": f"u{i}", "prompt": "p", "chosen": f"good {i}", "rejected": f"bad {i}"}
        for i in range(2000)
    ]
    c = to_comparisons(table(rows))
    assert abs(c.target.mean() - 0.5) < 0.04
    assert preferred(c) == [(f"u{i}", "p", f"good {i}", f"bad {i}") for i in range(2000)]


def test_a_pair_keeps_its_sides_when_the_answer_is_the_other_one():
    one = to_comparisons(table([{"user": "u", "chosen": "x", "rejected": "y"}]))
    two = to_comparisons(table([{"user": "u", "chosen": "y", "rejected": "x"}]))
    sides = [[c.item_texts[c.a[0]], c.item_texts[c.b[0]]] for c in (one, two)]
    assert sides[0] == sides[1]
    assert one.target[0] == 1 - two.target[0]


def test_the_common_beginning_of_messages_is_the_prompt():
    start = [{"role": "system", "content": "be brief"}, user("hi")]
    rows = [{"user": "u", "chosen": [*start, says("good")], "rejected": [*start, says("bad")]}]
    assert preferred(to_comparisons(table(rows))) == [
        ("u", "system: be brief\n\nuser: hi", "good", "bad")
    ]


def test_one_message_as_prompt_is_its_content_and_diverging_turns_are_the_response():
    chosen = [user("hi"), says("hello"), user("more"), says("sure")]
    rejected = [user("hi"), says("what"), user("never mind")]
    c = to_comparisons(table([{"user": "u", "chosen": chosen, "rejected": rejected}]))
    better = "assistant: hello\n\nuser: more\n\nassistant: sure"
    assert preferred(c) == [("u", "hi", better, "assistant: what\n\nuser: never mind")]


def test_an_explicit_prompt_wins_and_is_not_repeated_in_the_response():
    rows = [
        {
            "user": "u",
            "prompt": "the prompt",
            "chosen": [user("the prompt"), says("good")],
            "rejected": [user("the prompt"), says("bad")],
        },
        {
            "user": "u",
            "prompt": [user("as messages")],
            "chosen": [says("x")],
            "rejected": [says("y")],
        },
    ]
    assert preferred(to_comparisons(table(rows))) == [
        ("u", "the prompt", "good", "bad"),
        ("u", "as messages", "x", "y"),
    ]


def test_text_parts_of_a_message_are_joined():
    parts = [{"type": "text", "text": "go"}, {"type": "text", "text": "od"}]
    rows = [{"user": "u", "chosen": [{"role": "assistant", "content": parts}], "rejected": "bad"}]
    assert preferred(to_comparisons(table(rows))) == [("u", "", "good", "bad")]


def test_transcripts_are_cut_where_they_differ():
    start = "\n\nHuman: hi\n\nAssistant:"
    rows = [{"user": "u", "chosen": f"{start} good", "rejected": f"{start} bad"}]
    assert preferred(to_comparisons(table(rows))) == [("u", "hi", "good", "bad")]


def test_arena_logs_with_every_outcome():
    said = ["model_a", "model_b", "A", "b", "tie", "tie (bothbad)", "both_bad", "skip"]
    rows = [
        {"judge": f"j{i}", "prompt": "p", "response_a": f"x{i}", "response_b": f"y{i}", "winner": w}
        for i, w in enumerate(said)
    ]
    loaded = table(rows)
    c = to_comparisons(loaded, layout="arena")
    assert c.target.tolist() == [1, 0, 1, 0, 0.5, 0.5, 0.5]
    assert c.user_ids[0] == "j0"
    assert {k: c.tally[k] for k in ("rows", "tie", "both_bad", "skip")} == {
        "rows": 8, "tie": 3, "both_bad": 2, "skip": 1,
    }  # fmt: skip
    assert c.source_row.tolist() == list(range(7))


def test_arena_conversations():
    rows = [
        {
            "judge": "j",
            "conversation_a": [user("hi"), says("x")],
            "conversation_b": [user("hi"), says("y")],
            "winner": "model_b",
        }
    ]
    assert preferred(to_comparisons(table(rows))) == [("j", "hi", "y", "x")]


@pytest.mark.parametrize(
    ("row", "target"),
    [
        ({"label": 1}, 1),
        ({"label": "0"}, 0),
        ({"outcome": "Tie "}, 0.5),
        ({"target": "0.25"}, 0.25),
    ],
)
def test_answers_come_from_label_outcome_or_target(row, target):
    c = to_comparisons(table([{"user": "u", "prompt": "p", "a": "x", "b": "y", **row}]))
    assert c.target.tolist() == [target]
    assert c.item_texts == ("x", "y")


def test_ids_and_texts_together_give_the_item_table():
    rows = [
        {"user": "u", "prompt": "p", "item_a": 1, "item_b": 2, "response_a": "x", "response_b": "x",
         "label": 1},
    ]  # fmt: skip
    c = to_comparisons(table(rows))
    assert (c.item_ids, c.item_texts) == (("1", "2"), ("x", "x"))
    rows.append({**rows[0], "response_a": "other"})
    with pytest.raises(
        InputError, match=r"logs.jsonl:2: column 'response_a': expected the text that item 1"
    ):
        to_comparisons(table(rows))  # fmt: skip


def test_names_can_be_mapped():
    columns = parse_columns("chosen=good, rejected=bad,user=who")
    rows = [{"who": "u", "good": "x", "bad": "y", "user": "somebody else"}]
    assert preferred(to_comparisons(table(rows), columns=columns)) == [("u", "", "x", "y")]


@pytest.mark.parametrize("text", ["chosen", "chosen=", "=x", "user=a,user=b", ""])
def test_a_map_that_is_none_is_refused(text):
    with pytest.raises(InputError, match="expected name=column"):
        parse_columns(text)


def test_a_map_from_an_unknown_name_suggests_the_known_one():
    with pytest.raises(InputError, match=r"no column is called 'choosen'; did you mean \['chosen'"):
        parse_columns("choosen=x")


def test_a_map_to_an_absent_column_names_what_was_found():
    with pytest.raises(InputError, match=r"missing column 'good'.*did you mean \['god'\]"):
        to_comparisons(
            table([{"user": "u", "god": "x", "rejected": "y"}]), columns={"chosen": "good"}
        )


def test_a_missing_person_is_named_with_what_was_found_and_what_is_close():
    rows = [{"annotater": "u", "prompt": "p", "chosen": "x", "rejected": "y"}]
    with pytest.raises(InputError) as caught:
        to_comparisons(table(rows))
    text = str(caught.value)
    assert "missing column 'user'" in text
    assert "did you mean ['annotater']" in text
    assert "found ['annotater', 'chosen', 'prompt', 'rejected']" in text


def test_columns_that_fit_no_layout_list_the_layouts():
    with pytest.raises(InputError) as caught:
        detect(table([{"user": "u", "text": "x"}]))
    for part in (
        "fits no layout",
        "found columns ['text', 'user']",
        "chosen_rejected needs chosen",
    ):
        assert part in str(caught.value)


def test_the_nearest_layout_and_what_it_lacks_come_first():
    with pytest.raises(InputError) as caught:
        detect(table([{"user": "u", "prompt": "p", "chosen": "x", "worse": "y"}]))
    text = str(caught.value)
    assert "nearest is chosen_rejected, which lacks 'rejected'; found columns" in text
    assert "--map user=their_name" in text


def test_columns_are_found_as_a_spreadsheet_writes_them():
    rows = [
        {"Annotator ID": "u", " Question": "p", "Response-A": "x", "response_b": "y", "LABEL": 1}
    ]
    read = to_comparisons(table(rows))
    assert (read.user_ids, read.prompts, read.target.tolist()) == (("u",), ("p",), [1.0])


def test_an_exact_column_name_is_taken_before_one_that_is_written_otherwise():
    row = {"Chosen": "z", "chosen": "x", "rejected": "y", "user": "u", "prompt": "p"}
    assert set(to_comparisons(table([row])).item_texts) == {"x", "y"}


def test_complaints_name_the_columns_as_the_file_does():
    with pytest.raises(InputError, match=r"logs.jsonl:1: column 'Label': expected 1 where a"):
        to_comparisons(table([{"user": "u", "prompt": "p", "a": "x", "b": "y", "Label": 2}]))
    with pytest.raises(InputError, match=r"found columns \['Better', 'Question', 'user'\]"):
        detect(renamed(table([{"user": "u", "Question": "p", "Better": "x"}]), {}))


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_another_separator_is_named(tmp_path, mark):
    path = tmp_path / "logs.csv"
    path.write_text(mark.join(["user", "prompt", "chosen", "rejected"]) + "\n" + mark.join("upxy"))
    with pytest.raises(InputError, match=re.escape(f"looks as if {mark!r} separated them")):
        to_comparisons(read_table(path))


def test_columns_that_fit_two_layouts_ask_for_a_name():
    rows = [{"user": "u", "prompt": "p", "response_a": "x", "response_b": "y", "outcome": "a",
             "chosen": "x", "rejected": "y"}]  # fmt: skip
    with pytest.raises(InputError, match="fits the layouts"):
        to_comparisons(table(rows))
    assert len(to_comparisons(table(rows), layout="chosen_rejected")) == 1


def test_an_unknown_layout_suggests_the_known_one():
    with pytest.raises(UnknownNameError, match=r"did you mean \['arena'"):
        to_comparisons(table([{"user": "u"}]), layout="arenas")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"winner": "left?"}, r"logs.jsonl:2: column 'winner': expected .*skip, got 'left\?'"),
        ({"winner": None}, "logs.jsonl:2: column 'winner': expected one of a, "),
        ({"winner": ["a"]}, "logs.jsonl:2: column 'winner': expected one of a, "),
        ({"response_a": None}, "logs.jsonl:2: column 'response_a': expected a text or a list"),
        ({"response_a": [{"role": "user"}]}, "column 'response_a': expected a text or a list"),
        ({"response_a": "y"}, "logs.jsonl:2: column 'response_b': expected another item"),
        ({"response_a": "\ud800"}, "logs.jsonl:2: column 'response_a': .* valid Unicode"),
        ({"judge": ""}, "logs.jsonl:2: column 'judge': expected a non-empty string, got ''"),
        ({"prompt": 5}, "logs.jsonl:2: column 'prompt': expected a text"),
    ],
)  # fmt: skip
def test_a_wrong_cell_is_refused_by_line_and_by_the_files_own_name(changed, message):
    good = {"judge": "j", "prompt": "p", "response_a": "x", "response_b": "y", "winner": "a"}
    with pytest.raises(InputError, match=message):
        to_comparisons(table([good, {**good, **changed}]))


def test_skips_do_not_shift_the_line_numbers_of_errors():
    good = {"judge": "j", "prompt": "p", "response_a": "x", "response_b": "y", "winner": "skip"}
    with pytest.raises(InputError, match=r"logs.jsonl:2: column 'judge'"):
        to_comparisons(table([good, {**good, "winner": "a", "judge": " "}]))
    with pytest.raises(InputError, match="all 1 rows are skips"):
        to_comparisons(table([good]))


def test_a_label_may_only_be_zero_or_one():
    rows = [{"user": "u", "prompt": "p", "a": "x", "b": "y", "label": 2}]
    with pytest.raises(InputError, match="column 'label': expected 1 where a was preferred"):
        to_comparisons(table(rows))


def test_identical_answers_can_be_dropped(tmp_path):
    rows = [
        {"user": "u", "prompt": "p", "response_a": "x", "response_b": y, "outcome": "a"}
        for y in "xy"
    ]
    path = tmp_path / "logs.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(InputError, match="expected another item"):
        read(path)
    assert read(path, identical="drop").comparisons.tally["identical"] == 1


def test_equal_texts_are_one_item_with_an_id_that_does_not_depend_on_the_file():
    rows = [{"user": "u", "prompt": p, "a": "yes", "b": "no", "label": 1} for p in "pq"]
    one, two = to_comparisons(table(rows)), to_comparisons(table(rows[1:]))
    assert len(one.item_ids) == 2
    assert one.item_ids == two.item_ids
