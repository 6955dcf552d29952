"""Builders of pairs: stages, trees, instructions, degrees, votes, pairs across prompts."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gustibus.curation import BUILDERS, CONSTRAINTS, Labels, build
from gustibus.curation.constraints import language
from gustibus.curation.degrading import degraded_variants
from gustibus.curation.ensembles import vote_labels, vote_shares
from gustibus.curation.keywords import Rarity, words
from gustibus.errors import DimensionError, InputError

few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

REWARDS = [[0.9, 0.4, 0.6], [2, 2.5, -1], [0.1, 0.05, 0.07]]
TEXTS = st.text(alphabet="ab cD.\n-1", min_size=1, max_size=40)


def log(*pairs, **more):
    rows = [
        {"user": "u", "prompt": "Say something.", "response_a": a, "response_b": b, **more}
        for a, b in pairs
    ]
    return Labels.of(rows, source="log")


def made(table):
    return [row for row in table.counting() if row["builder"] != "recorded"]


def test_the_worked_rank_labels():
    np.testing.assert_allclose(
        vote_labels(vote_shares(REWARDS)), [0.833333, 0.333333, 0.333333], atol=1e-6
    )


@few
@given(st.lists(st.lists(st.integers(-2, 2), min_size=4, max_size=4), min_size=1, max_size=5))
def test_rank_labels_have_the_mean_of_a_half_and_no_scale(rewards):
    found = vote_labels(vote_shares(rewards))
    assert found.mean() == pytest.approx(0.5)
    np.testing.assert_allclose(vote_labels(vote_shares(np.exp(rewards))), found)


def test_votes_of_reward_models_become_soft_labels_of_every_pair():
    rows = [
        {"prompt": "p", "response": f"r{i}", "rewards": [model[i] for model in REWARDS]}
        for i in range(3)
    ]
    found = made(build("rank_labels", rows, source="three models"))
    got = {(r["response_a"], r["response_b"]): r["target"] for r in found}
    assert got == pytest.approx({("r0", "r1"): 2 / 3, ("r0", "r2"): 1.0, ("r1", "r2"): 1 / 3})
    assert found[0]["label_a"] == pytest.approx(0.833333, abs=1e-6)
    with pytest.raises(DimensionError, match="at least two responses"):
        vote_shares([[1.0]])


def test_stages_go_from_the_widest_gap_to_the_narrowest():
    rows = [{"prompt": "p", "response": str(r), "rating": r} for r in (7, 9, 2, 4)]
    found = made(build("curriculum", rows, source="ratings"))
    assert [(r["stage"], r["response_a"], r["response_b"]) for r in found] == [
        (0, "9", "2"), (1, "9", "4"), (2, "9", "7"),
    ]  # fmt: skip
    assert [r["gap"] for r in found] == [7, 5, 2]


def test_responses_rated_like_the_best_give_no_stage_and_prompts_stay_apart():
    rows = [{"prompt": p, "response": f"{p}{r}{i}", "rating": r} for p in "pq"
            for i, r in enumerate((5, 5, 3))]  # fmt: skip
    found = made(build("curriculum", rows, source="ratings"))
    assert [(r["response_a"], r["response_b"]) for r in found] == [("p50", "p32"), ("q50", "q32")]


NODES = [
    {"node": 0, "parent": None, "text": "Q", "value": 0.0, "user": "u"},
    {"node": 1, "parent": 0, "text": "good", "value": 0.9, "visits": 12},
    {"node": 2, "parent": 0, "text": "fair", "value": 0.5, "visits": 3},
    {"node": 3, "parent": 0, "text": "bad", "value": 0.1, "visits": 0},
    {"node": 4, "parent": 1, "text": "next", "value": 0.4, "visits": 2},
    {"node": 5, "parent": 1, "text": "other", "value": 0.4, "visits": 2},
]


def test_the_best_step_meets_the_second_best_or_the_worst():
    (found,) = made(build("tree", NODES, source="search"))
    assert (found["prompt_a"], found["response_a"], found["response_b"]) == ("Q", "good", "fair")
    assert found["target"] == pytest.approx(0.8)  # 12 visits against 3
    (worst,) = made(build("tree", NODES, source="search", against="worst"))
    assert (worst["response_b"], worst["target"]) == ("bad", 1)  # never visited


def test_deeper_pairs_have_the_steps_before_them_as_their_prompt():
    nodes = [*NODES[:5], {**NODES[5], "value": 0.2}]
    found = made(build("tree", nodes, source="search"))[1]
    assert (found["prompt_a"], found["response_a"], found["depth"]) == ("Q\ngood", "next", 2)
    assert found["target"] == 0.5  # visited as often: teaches nothing


def test_broken_trees_are_refused():
    with pytest.raises(InputError, match="got 1 twice"):
        build("tree", [*NODES, NODES[1]], source="search")
    with pytest.raises(InputError, match="a parent among the nodes, got 9"):
        build("tree", [{"node": 1, "parent": 9, "text": "", "value": 0}], source="search")
    with pytest.raises(InputError, match="without circles"):
        build("tree", [{"node": 1, "parent": 1, "text": "", "value": 0}], source="search")


@pytest.mark.parametrize("kind", sorted(CONSTRAINTS))
@few
@given(TEXTS, TEXTS, st.integers(0, 99))
def test_a_text_obeys_an_instruction_or_its_opposite(kind, text, rival, seed):
    c = CONSTRAINTS[kind].run
    value = c.value(text, rival, np.random.default_rng(seed))
    assert c.ask(value) != c.ask_not(value)
    assert c.holds(text, value) in (True, False)


def test_instructions_are_decided_by_the_text():
    table = log(("- one\n- two", "Three words here and more."), ("tiny", "A much longer answer."))
    found = made(build("instructions", table, source="log", per_pair=5, seed=3))
    assert {r["constraint"] for r in found} == set(CONSTRAINTS)
    for row in found:
        assert row["target"] == 1
        if row["pairing"] == "intra":
            assert row["response_a"] == row["response_b"]
            assert row["prompt_a"] != row["prompt_b"]
        else:
            assert row["prompt_a"] == row["prompt_b"]
            assert row["response_a"] in ("- one\n- two", "tiny")
    listed = {(r["response_a"], r["prompt_a"]) for r in found if r["constraint"] == "list"}
    assert ("- one\n- two", "Say something. Answer with a list.") in listed
    assert ("tiny", "Say something. Do not use a list.") in listed


@pytest.mark.parametrize(
    ("text", "name"),
    [("The cat is in the house.", "English"), ("Die Katze ist nicht in der Stadt.", "German"),
     ("Le chat est dans la maison.", "French"), ("El gato no es del rey.", "Spanish")],
)  # fmt: skip
def test_languages_are_told_by_their_common_words(text, name):
    assert language(text) == name


def test_variants_lose_key_words_from_the_most_telling_on():
    text = "The fox, the old fox, jumps over the fence."
    found = degraded_variants(text, 4)
    assert found[0] == text
    kept = [set(words(text)) for text in found]
    assert all(later < earlier for earlier, later in pairwise(kept))
    assert "fox" not in kept[1]  # twice in the text
    assert kept[3] == {"the", "over"}


@pytest.mark.parametrize("degrees", [2, 3, 4, 7])
def test_a_degree_takes_its_share_of_the_key_words(degrees):
    keys = ["granite", "volcano", "crystal", "sediment", "basalt", "quartz"]
    found = degraded_variants(" and ".join(keys), degrees)
    kept = [sum(key in text for key in keys) for text in found]
    assert kept == [6 - 6 * k // (degrees - 1) for k in range(degrees)]


def test_rare_words_are_more_telling():
    rarity = Rarity(["a red house", "a red tree", "a red boat"])
    assert rarity.ranked("red boat") == ["boat", "red"]


def test_degrees_rise_with_what_is_missing():
    found = made(build("degraded", log(("The fox jumps over the high fence.", "no")), source="log"))
    assert [r["degree"] for r in found] == [1, 2, 3]
    sizes = [len(words(r["response_b"])) for r in found]
    assert sizes == sorted(sizes, reverse=True)
    both = made(build("degraded", log(("A fox jumps.", "Cats sleep.")), source="log", side="both"))
    assert {r["response_a"] for r in both} == {"A fox jumps.", "Cats sleep."}
    with pytest.raises(InputError, match="side: expected one of"):
        build("degraded", log(("a", "b")), source="log", side="winner")


def test_pairs_across_prompts_are_of_one_person_and_of_unequal_ratings():
    rows = [
        {"user": u, "prompt": f"q{i % 3}", "response": f"{u}{i}", "rating": i % 4}
        for u in "xy" for i in range(12)
    ]  # fmt: skip
    found = made(build("cross_prompt", rows, source="ratings", per_item=2, seed=1))
    rating = {row["response"]: row["rating"] for row in rows}
    assert len(found) > 10
    for row in found:
        assert row["prompt_a"] != row["prompt_b"]
        assert row["response_a"][0] == row["response_b"][0] == row["user"]
        assert rating[row["response_a"]] > rating[row["response_b"]]
    pairs = [frozenset((r["response_a"], r["response_b"])) for r in found]
    assert len(pairs) == len(set(pairs))


def test_a_row_across_prompts_pins_the_level_that_others_cannot():
    from gustibus.evaluation.logistic import Pairs, fit_logistic

    # columns: quality, and whether the response answers the second prompt
    x = np.array([[1.0, 0], [0, 0], [1, 1], [0, 1]])
    within = Pairs(np.array([0, 2]), np.array([1, 3]), np.ones(2), np.ones(2))
    assert fit_logistic(x, within, ridge=0.1)[1] == pytest.approx(0, abs=1e-9)
    across = Pairs(np.array([0, 2, 1]), np.array([1, 3, 3]), np.array([1.0, 1, 0]), np.ones(3))
    assert fit_logistic(x, across, ridge=0.1)[1] > 0.5


def test_reasons_come_from_a_column_or_a_generator():
    table = log(("good", "bad"))
    found = build(
        "rationale", table, source="m", generate=lambda prompt, w, low: f"{w} beats {low}: {prompt}"
    )
    assert made(found)[0]["rationale"] == "good beats bad: Say something."
    with pytest.raises(InputError, match="generate: expected a text"):
        build("rationale", table, source="m", generate=lambda *_: " ")
    assert not made(build("rationale", table, source="m"))


ITEMS = [
    {"prompt": p, "response": f"{p}{i}", "rating": i, "rewards": [i, -i], "node": f"{p}{i}",
     "text": str(i), "value": i, "parent": None if i == 0 else f"{p}0"} for p in "pq" for i in range(4)
]  # fmt: skip


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_every_builder_gives_the_same_rows_again_and_writes_its_provenance(name):
    data = ITEMS if BUILDERS[name].run.reads == "items" else log(
        ("The old fox jumps.", "no"), ("Yes, indeed it does.", "maybe"),
        scores_w=[1.0], scores_l=[2.0], scores_before=[1.0, 2], scores_after=[2.0, 1], ches=0.5,
        reason="short", soft=0.3,
    )  # fmt: skip
    options = {"column": "soft"} if name == "given" else {"drop": 0.5} if name == "ches" else {}
    one, two = (build(name, data, source="file.parquet", seed=7, **options) for _ in range(2))
    assert made(one) or name == "ches"
    assert one.uses() == two.uses()
    for column in one.columns:
        assert one[column].tolist() == two[column].tolist()
    mine = one["builder"] == name
    assert mine.any()
    assert set(one["source"][mine]) == {"file.parquet"}
    assert set(one["version"][mine]) == {BUILDERS[name].run.version}
    assert set(one["seed"][mine]) == {7 if "seed" in BUILDERS[name].run.options else -1}
