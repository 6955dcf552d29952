"""Splits that do not leak, and nested shots."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gustibus.data import (
    Comparisons,
    Dataset,
    Split,
    check_leaks,
    four_cells,
    given_split,
    nested_shots,
    split_by_person,
    split_by_prompt,
)
from gustibus.errors import InputError, UnknownNameError

CELLS = ("train", "val", "test", "test_new_items", "support", "query", "query_new_items")


def log(people=20, prompts=30, items=4, each=25, seed=0):
    """People who each compare random pairs of answers to random prompts, some pairs twice."""
    rng = np.random.default_rng(seed)
    n = people * each
    prompt = rng.integers(prompts, size=n)
    pair = np.array([rng.permutation(items)[:2] for _ in range(n)])
    return Comparisons.build(
        user=[f"u{i}" for i in np.repeat(np.arange(people), each)],
        prompt=[f"p{q}" for q in prompt],
        a=[f"i{q}-{x}" for q, x in zip(prompt, pair[:, 0], strict=True)],
        b=[f"i{q}-{x}" for q, x in zip(prompt, pair[:, 1], strict=True)],
        target=rng.integers(2, size=n),
    )


def pairs_of(c, rows):
    """What each row asks, with sides in order of text."""
    return {
        (c.user[r], c.prompt[r], *sorted((c.item_texts[c.a[r]], c.item_texts[c.b[r]])))
        for r in rows
    }


def people_of(c, split, *names):
    return set(np.concatenate([c.user[split[n]] for n in names]).tolist())


def items_of(c, split, *names):
    return set(np.concatenate([side[split[n]] for n in names for side in (c.a, c.b)]).tolist())


@settings(deadline=None, max_examples=40)
@given(
    people=st.integers(5, 12),
    prompts=st.integers(1, 30),
    items=st.integers(2, 6),
    each=st.integers(4, 20),
    seed=st.integers(0, 2**32),
    unit=st.sampled_from(["auto", "prompt", "item"]),
)
def test_four_cells_never_leak(people, prompts, items, each, seed, unit):
    c = log(people, prompts, items, each, seed)
    try:
        split = four_cells(c, seed=seed, unit=unit)
    except InputError:
        return  # too little data for this unit
    seen = people_of(c, split, "train", "val", "test", "test_new_items")
    valid = people_of(c, split, "valid_people")
    new = people_of(c, split, "support", "query", "query_new_items")
    assert len(seen) + len(valid) + len(new) == len(seen | valid | new)
    judged = ("test_new_items", "query_new_items")
    fitted = [n for n in (*CELLS, "valid_people") if n not in judged]
    if split.unit == "item":
        assert not items_of(c, split, *judged) & items_of(c, split, *fitted)
    else:
        asked = [
            set(np.concatenate([c.prompt[split[n]] for n in ns]).tolist())
            for ns in (judged, fitted)
        ]
        assert not asked[0] & asked[1]
    parts = [pairs_of(c, split[n]) for n in CELLS] + [pairs_of(c, split["valid_people"])]
    assert sum(map(len, parts)) == len(set().union(*parts))
    assert not pairs_of(c, split["valid_support"]) & pairs_of(c, split["valid_query"])
    kept = np.concatenate([split[n] for n in (*CELLS, "valid_people")])
    assert len(set(kept.tolist())) == len(kept) == len(c) - sum(split.dropped.values())


def test_four_cells_have_the_shares_that_were_asked_for():
    c = log(people=50, each=40)
    split = four_cells(
        c, new_users=0.2, valid_people=0.1, new_prompts=0.2, test=0.25, val=0.1, seed=3
    )
    assert split.unit == "prompt"
    assert len(people_of(c, split, "support")) == 10
    assert len(people_of(c, split, "valid_people")) == 5
    assert len(set(c.prompt[split["test_new_items"]].tolist())) == 6
    sizes = {n: len(split[n]) for n in ("train", "val", "test")}
    assert abs(sizes["test"] / sum(sizes.values()) - 0.25) < 0.03
    assert abs(sizes["val"] / sum(sizes.values()) - 0.10) < 0.03
    assert abs(len(split["support"]) - len(split["query"])) < 25
    assert all(len(split[n]) for n in CELLS)


def test_four_cells_depend_on_the_seed_alone():
    c = log()
    one, two, other = (four_cells(c, seed=s) for s in (1, 1, 2))
    assert all(one[n].tolist() == two[n].tolist() for n in one)
    assert any(one[n].tolist() != other[n].tolist() for n in one)


def test_shares_of_zero_leave_parts_empty():
    c = log()
    split = four_cells(c, new_users=0, new_prompts=0, valid_people=0, test=0, val=0, seed=0)
    assert len(split["train"]) == len(c)
    assert not any(len(split[n]) for n in split if n != "train")


def test_data_with_few_prompts_hold_out_items_and_count_mixed_pairs():
    c = log(prompts=1, items=20)
    split = four_cells(c, new_prompts=0.3, seed=0)
    assert split.unit == "item"
    assert len(items_of(c, split, "test_new_items", "query_new_items")) == 6
    assert split.dropped["mixed"] > 0


def test_items_with_one_text_are_held_out_together():
    c = Comparisons.build(
        user=[f"u{i % 6}" for i in range(60)],
        prompt=["p"] * 60,
        a=[f"a{i % 10}" for i in range(60)],
        b=[f"b{i % 10}" for i in range(60)],
        target=[1] * 60,
        item_texts={f"{s}{i}": f"{s} {i // 2}" for s in "ab" for i in range(10)},
    )
    split = split_by_prompt(c, 0.4, seed=0)
    held = {c.item_texts[i] for i in items_of(c, split, "test_new_items")}
    assert held
    assert not held & {c.item_texts[i] for i in items_of(c, split, "train")}


def test_splitting_by_person_keeps_each_person_on_one_side():
    c = log()
    split = split_by_person(c, 0.25, seed=0)
    assert len(people_of(c, split, "query")) == 5
    assert not people_of(c, split, "query") & people_of(c, split, "train")
    assert len(split["train"]) + len(split["query"]) == len(c)


def test_splitting_by_prompt_keeps_each_prompt_on_one_side():
    c = log()
    split = split_by_prompt(c, 0.2, seed=0)
    held = set(c.prompt[split["test_new_items"]].tolist())
    assert len(held) == 6
    assert not held & set(c.prompt[split["train"]].tolist())


@pytest.mark.parametrize("share", [0, 1, -0.1, np.nan])
def test_shares_must_lie_between_zero_and_one(share):
    with pytest.raises(InputError, match="share: expected a share between 0 and 1"):
        split_by_person(log(), share, seed=0)


def test_too_few_people_or_prompts_are_refused():
    with pytest.raises(InputError, match="expected more than 1 people to hold some out, got 1"):
        split_by_person(log(people=1), 0.2, seed=0)
    with pytest.raises(
        InputError, match=r"expected more than 2 people to hold 2 out .*got 2 people"
    ):
        four_cells(log(people=2), seed=0)
    with pytest.raises(InputError, match=r"got 1 person, 1 of whom have; to train .*--split all"):
        four_cells(log(people=1), seed=0)
    with pytest.raises(InputError, match=r"new_users \+ valid_people < 1"):
        four_cells(log(), new_users=0.6, valid_people=0.5, seed=0)


def example():
    """Rows 0 and 3 are the same texts the other way round; row 4 is another person's answer."""
    return Comparisons.build(
        user=["u", "u", "u", "u", "v"],
        prompt=["p", "p", "q", "p", "p"],
        a=["x", "x", "z", "y2", "x"],
        b=["y", "z", "w", "x", "y"],
        target=[1, 1, 0, 0, 1],
        item_texts={"x": "X", "y": "Y", "y2": "Y", "z": "Z", "w": "W"},
    )


@pytest.mark.parametrize(
    ("parts", "unit", "message"),
    [
        ({"train": [0, 1], "test": [1]}, "item", "1 rows are in .* such as 1 in train and test"),
        ({"train": [0, 1], "query": [2]}, "item", "1 people are in .* such as 'u' in seen and new"),
        ({"train": [0], "valid_people": [1]}, "item", "1 people .* in seen and valid"),
        (
            {"train": [0], "test_new_items": [1]},
            "item",
            "1 items .* such as 'x' in fitted and held out",
        ),
        (
            {"train": [0], "test_new_items": [1]},
            "prompt",
            "1 prompts .* such as 'p' in fitted and held out",
        ),
        (
            {"train": [0], "test": [3]},
            "item",
            "1 pairs of one person .* 'u on x against y' in train and test",
        ),
        (
            {"valid_people": [0, 3], "valid_support": [0], "valid_query": [3]},
            "item",
            "1 pairs of one person",
        ),
        (
            {"valid_people": [0], "valid_support": [0], "valid_query": [2]},
            "item",
            "rows that valid_people lacks",
        ),
    ],
)
def test_a_leak_is_refused_with_its_number_and_an_example(parts, unit, message):
    split = Split({n: np.array(r) for n, r in parts.items()}, unit)
    with pytest.raises(InputError, match=message):
        split.assert_no_leak(example())


def test_another_persons_answer_on_the_pair_is_no_leak():
    parts = {"train": np.array([0, 1, 3]), "query": np.array([4])}
    assert check_leaks(Split(parts, "item"), example()) is None


def test_a_part_of_unknown_name_is_refused():
    with pytest.raises(UnknownNameError, match="no part 'tests'"):
        Split({"tests": np.array([0])}, "item")


def dataset(split, *, new=(), user=None):
    """One row per entry of `split`, each between two items of its own; `new` are held out."""
    n = len(split)
    c = Comparisons.build(
        user=user or [("s" if s in CELLS[:4] else "n") + str(i % 3) for i, s in enumerate(split)],
        prompt=["p"] * n,
        a=[f"a{i}" for i in range(n)],
        b=[f"b{i}" for i in range(n)],
        target=[1] * n,
        split=split,
    )
    held = np.array([c.item_ids[k] in new for k in range(len(c.item_ids))])
    return Dataset(c, item_new=held if new else None)


def test_the_given_split_is_used_and_people_are_set_aside():
    data = dataset(["train"] * 6 + ["val"] * 3 + ["test"] * 6 + ["test_new_items"] * 3 + [""] * 2)
    split = given_split(data, valid_people=0.3, seed=1)
    c = data.comparisons
    aside = people_of(c, split, "valid_people")
    assert len(aside) == 1
    assert len(split["valid_support"]) == len(split["valid_query"]) == 2
    assert len(split["valid_people"]) == 5
    assert split.dropped["valid_held_out"] == 1
    assert not aside & people_of(c, split, "train", "val", "test", "test_new_items")
    assert sum(len(split[n]) for n in CELLS) + 5 + 1 == len(c) - 2
    assert len(given_split(data, valid_people=0)["train"]) == 6


def test_queries_on_held_out_items_are_a_cell_of_their_own():
    data = dataset(["train", "support", "query", "query", "query"], new=("a3", "b3", "b4"))
    split = given_split(data, valid_people=0)
    assert split["query"].tolist() == [2]
    assert split["query_new_items"].tolist() == [3]
    assert split.dropped["mixed"] == 1
    derived = given_split(dataset(["train", "support", "query"]), valid_people=0)
    assert derived["query_new_items"].tolist() == [2]


def test_a_given_split_that_leaks_is_refused():
    with pytest.raises(InputError, match="1 people"):
        given_split(dataset(["train", "query"], user=["u", "u"]))
    data = dataset(["train", "test_new_items"], new=("a0", "b0", "a1", "b1"))
    assert len(given_split(data, valid_people=0)["test_new_items"]) == 1
    c = example().take(np.array([0, 1]))
    object.__setattr__(c, "split", np.array(["train", "test_new_items"], dtype=object))
    with pytest.raises(InputError, match="1 items are in more than one part, such as 'x'"):
        given_split(Dataset(c))


def test_repeated_pairs_in_a_given_split_are_refused_or_dropped():
    c = example().take(np.array([0, 3, 1]))
    object.__setattr__(c, "split", np.array(["test", "train", "val"], dtype=object))
    with pytest.raises(InputError, match=r"1 pairs of one person.*repeats='drop'"):
        given_split(Dataset(c), valid_people=0)
    split = given_split(Dataset(c), valid_people=0, repeats="drop")
    assert split["train"].tolist() == [1]
    assert split["test"].tolist() == []
    assert split.dropped["repeated_pair"] == 1


def test_data_without_a_split_are_refused():
    with pytest.raises(InputError, match="expected a column split"):
        given_split(Dataset(example()))


@settings(deadline=None, max_examples=40)
@given(
    counts=st.lists(st.integers(0, 12), min_size=1, max_size=6),
    sizes=st.lists(st.integers(0, 10), min_size=1, max_size=5, unique=True),
    seed=st.integers(0, 2**32),
)
def test_larger_sets_of_shots_contain_the_smaller_ones(counts, sizes, seed):
    starts = np.concatenate([[0], np.cumsum(counts)])
    rows = np.arange(starts[-1]) * 3
    shots = nested_shots(rows, starts, sizes=sizes, draws=3, seed=seed)
    for person, count in enumerate(counts):
        own = set(rows[starts[person] : starts[person + 1]].tolist())
        for draw in range(3):
            before = set()
            for size in sorted(sizes):
                got = shots.of_person(person, draw, size).tolist()
                assert len(got) == len(set(got)) == min(size, count)
                assert before <= set(got) <= own
                before = set(got)
    assert shots.available.tolist() == [[count >= size for size in sizes] for count in counts]


def test_taking_shots_leaves_out_people_who_have_too_few():
    starts = np.array([0, 3, 4, 4, 6])
    shots = nested_shots(np.arange(10, 16), starts, sizes=(0, 2, 3), draws=2, seed=0)
    rows, offsets = shots.take(1, 2)
    assert offsets.tolist() == [0, 2, 2, 2, 4]
    assert set(rows[:2].tolist()) <= {10, 11, 12}
    assert set(rows[2:].tolist()) == {14, 15}
    assert shots.take(0, 0)[0].tolist() == []
    with pytest.raises(InputError, match="size: expected one of"):
        shots.take(0, 1)


def test_the_first_draw_follows_the_order_and_the_others_do_not():
    order = np.arange(40, dtype=np.int32)[::-1].copy()
    order[39] = -1
    shots = nested_shots(
        np.arange(40), np.array([0, 40]), sizes=(5, 40), draws=3, seed=0, order=order
    )
    assert shots.of_person(0, 0, 5).tolist() == [38, 37, 36, 35, 34]
    assert shots.of_person(0, 0, 40)[-1] == 39
    assert shots.rows[1].tolist() != shots.rows[2].tolist()
    again = nested_shots(
        np.arange(40), np.array([0, 40]), sizes=(5, 40), draws=3, seed=0, order=order
    )
    assert (again.rows == shots.rows).all()


@pytest.mark.parametrize("wrong", [{"sizes": (-1,)}, {"sizes": ()}, {"draws": 0}])
def test_impossible_shots_are_refused(wrong):
    with pytest.raises(InputError, match="expected sizes at or above 0"):
        nested_shots(np.arange(2), np.array([0, 2]), seed=0, **wrong)
