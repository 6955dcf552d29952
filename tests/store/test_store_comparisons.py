"""Comparisons are kept once however often they are sent, and read back as evidence."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import event

from gustibus.errors import ConflictError
from gustibus.store import (
    NewComparison,
    Side,
    add_comparisons,
    delete_comparison,
    delete_user,
    ensure_users,
    evidence,
    get_user,
    list_comparisons,
    put_profile,
    put_user,
    set_sides,
    users_with_news,
)
from tests.store.together import at_once

M = "m1"


def vector(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(3).astype(np.float32)


def said(user: str, number: int, *, client: str | None = None, outcome="a", given=True):
    def side(seed):
        return Side(None, f"text {seed}", vector(seed) if given else None)

    return NewComparison(
        user, side(2 * number), side(2 * number + 1), outcome, client_id=client, prompt="why?"
    )


def add(store, rows, **more):
    with store.write() as conn:
        ensure_users(conn, users={row.user for row in rows})
        return add_comparisons(conn, rows=rows, model=M, **more)


def test_a_comparison_comes_back_as_it_was_sent(store):
    at = datetime(2030, 1, 2, 3, 4, 5, 678901, UTC)
    row = NewComparison(
        "ann", Side("i1", None, vector(1)), Side(None, "Ünï 🤖", vector(2)), "tie", client_id="c1",
        prompt="p", strength=0.25, at=at, source="page", score_id="req_1",
    )  # fmt: skip
    (added,) = add(store, [row])
    assert not added.duplicate
    assert not added.conflict
    with store.read() as conn:
        (kept,) = list_comparisons(conn, user="ann")
    assert kept.id == added.id
    assert (kept.client_id, kept.user, kept.prompt, kept.outcome) == ("c1", "ann", "p", "tie")
    assert (kept.a_item, kept.a_text, kept.b_item, kept.b_text) == ("i1", None, None, "Ünï 🤖")
    assert (kept.strength, kept.source, kept.score_id, kept.at) == (0.25, "page", "req_1", at)
    assert abs((kept.created_at - datetime.now(UTC)).total_seconds()) < 60


def test_without_texts_only_names_digests_and_vectors_are_kept(store):
    row = said("ann", 1, client="c")
    add(store, [row], store_text=False)
    with store.read() as conn:
        (kept,) = list_comparisons(conn)
        found = evidence(conn, user="ann", model=M)
        held = conn.exec_driver_sql("SELECT * FROM comparisons").one()
    assert (kept.prompt, kept.a_text, kept.b_text) == (None, None, None)
    assert not any("text" in str(value) for value in held)
    assert np.array_equal(found.a, [vector(2)])
    (again,) = add(store, [row], store_text=False)
    assert again.duplicate
    assert not again.conflict
    (other,) = add(store, [row._replace(prompt="when?")], store_text=False)
    assert other.conflict


def test_the_same_client_id_is_kept_once_within_and_across_requests(store):
    rows = [said("ann", 1, client="c1"), said("ann", 2), said("ann", 1, client="c1")]
    first = add(store, rows)
    assert [one.duplicate for one in first] == [False, False, True]
    assert first[2].id == first[0].id
    second = add(store, [*rows, said("ann", 3, client="c3")])
    assert [one.duplicate for one in second] == [True, False, True, False]
    assert second[0].id == first[0].id
    with store.read() as conn:
        assert len(list_comparisons(conn, user="ann")) == 4
        assert get_user(conn, user="ann").n_comparisons == 4


@pytest.mark.parametrize(
    "other",
    [
        {"user": "bob"}, {"outcome": "b"}, {"prompt": "when?"}, {"prompt": None}, {"strength": 2.0},
        {"a": Side("item", None, vector(2))}, {"b": Side(None, "another", vector(3))},
    ],
)  # fmt: skip
def test_the_same_client_id_with_other_content_is_a_conflict_and_changes_nothing(store, other):
    row = said("ann", 1, client="c")
    (first,) = add(store, [row])
    (second,) = add(store, [row._replace(**other)])
    assert (second.id, second.duplicate, second.conflict) == (first.id, True, True)
    with store.read() as conn:
        (kept,) = list_comparisons(conn)
    assert (kept.user, kept.outcome, kept.prompt) == ("ann", "a", "why?")


def test_bare_vectors_count_as_content(store):
    row = NewComparison(
        "ann", Side(None, None, vector(1)), Side(None, None, vector(2)), "a", client_id="c"
    )
    add(store, [row])
    assert add(store, [row])[0][1:3] == (True, False)
    assert add(store, [row._replace(a=Side(None, None, vector(3)))])[0].conflict


def test_threads_that_send_the_same_client_ids_keep_each_once(store):
    rows = [said(f"u{number % 7}", number, client=f"c{number}") for number in range(600)]
    results: list[dict[str, tuple[str, bool]]] = []
    gate = threading.Barrier(6)
    with store.write() as conn:  # else the first to make them would hold up the others
        ensure_users(conn, users={row.user for row in rows})

    def send(seed: int) -> None:
        mixed = [rows[place] for place in np.random.default_rng(seed).permutation(len(rows))]
        gate.wait()
        added = add(store, mixed)
        assert not any(one.conflict for one in added)
        results.append(
            {row.client_id: (one.id, one.duplicate) for row, one in zip(mixed, added, strict=True)}
        )

    threads = [threading.Thread(target=send, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 6
    for row in rows:
        answers = [result[row.client_id] for result in results]
        assert len({name for name, _ in answers}) == 1
        assert sorted(duplicate for _, duplicate in answers) == [False] + [True] * 5
    with store.read() as conn:
        assert len(list_comparisons(conn, limit=1000)) == 600
        vectors = conn.exec_driver_sql("SELECT count(*) FROM sides").scalar()
    assert vectors == 600


def test_a_thousand_comparisons_take_a_few_statements(store):
    rows = [said("ann", number, client=f"c{number}") for number in range(1000)]
    statements = []
    with store.write() as conn:
        ensure_users(conn, users=["ann"])
        event.listen(
            conn, "before_cursor_execute",
            lambda conn, cursor, statement, *rest: statements.append(statement.split()[0]),
        )  # fmt: skip
        added = add_comparisons(conn, rows=rows, model=M)
    assert len({one.id for one in added}) == 1000
    assert len(statements) <= 10
    assert [one.id for one in added] == sorted(one.id for one in added)


def test_comparisons_are_listed_from_old_to_new_in_pages(store):
    for part in range(3):
        add(store, [said(f"u{part % 2}", 10 * part + number) for number in range(4)])
    with store.read() as conn:
        whole = [row.id for row in list_comparisons(conn)]
        seen, after = [], None
        while page := list_comparisons(conn, after=after, limit=5):
            seen += [row.id for row in page]
            after = seen[-1]
        assert len(list_comparisons(conn, user="u0")) == 8
        assert len(list_comparisons(conn, user="u1")) == 4
        assert list_comparisons(conn, user="nobody") == []
    assert len(whole) == 12
    assert whole == sorted(whole) == seen


def test_evidence_leaves_out_what_says_nothing_and_names_what_has_no_vector(store):
    outcomes = ["a", "b", "tie", "both_bad", "skip"]
    rows = [said("ann", number, outcome=outcome) for number, outcome in enumerate(outcomes)]
    rows += [said("ann", 10, given=False), said("bob", 11)]
    added = add(store, rows)
    with store.read() as conn:
        found = evidence(conn, user="ann", model=M)
        other = evidence(conn, user="ann", model="m2")
        nothing = evidence(conn, user="cy", model=M)
    assert found.target.tolist() == [1.0, 0.0, 0.5, 0.5]
    assert np.array_equal(found.a, [vector(2 * number) for number in range(4)])
    assert np.array_equal(found.b, [vector(2 * number + 1) for number in range(4)])
    assert [row.id for row in found.missing] == [added[5].id]
    assert found.last == added[5].id
    assert len(other.target) == 0
    assert len(other.missing) == 5
    assert nothing.last == ""
    assert nothing.missing == ()


def test_vectors_that_are_made_later_complete_the_evidence(store):
    first, second = add(store, [said("ann", 1, given=False), said("ann", 2)])
    with store.write() as conn:
        set_sides(conn, found={first.id: (vector(7), vector(8))}, model=M)
        set_sides(conn, found={first.id: (vector(7), vector(8))}, model=M)  # a repetition
    with store.read() as conn:
        found = evidence(conn, user="ann", model=M)
    assert found.missing == ()
    assert np.array_equal(found.a, [vector(7), vector(4)])
    assert found.last == second.id


def test_the_last_answers_are_the_ones_that_count_when_there_are_too_many(store):
    added = add(store, [said("ann", number) for number in range(6)])
    with store.read() as conn:
        found = evidence(conn, user="ann", model=M, limit=2)
    assert np.array_equal(found.a, [vector(8), vector(10)])
    assert found.last == added[-1].id


def test_a_deleted_comparison_is_gone_with_its_vectors(store):
    (one, two) = add(store, [said("ann", 1, client="c1"), said("ann", 2)])
    with store.write() as conn:
        assert delete_comparison(conn, comparison=one.id) == "ann"
        assert delete_comparison(conn, comparison=one.id) is None
    with store.read() as conn:
        assert [row.id for row in list_comparisons(conn)] == [two.id]
        assert conn.exec_driver_sql("SELECT count(*) FROM sides").scalar() == 1
    (again,) = add(store, [said("ann", 1, client="c1")])
    assert not again.duplicate


def test_people_with_answers_since_their_profile_are_found(store):
    def fit(conn, user, through, model=M):
        put_profile(
            conn, user=user, model=model, mean=np.zeros(2), covariance=np.eye(2), count=1,
            fitted_through=through,
        )  # fmt: skip

    added = add(store, [said("old", 1), said("new", 2), said("old", 3), said("never", 4)])
    with store.write() as conn:
        put_user(conn, user="quiet")
        fit(conn, "old", added[0].id)
        fit(conn, "new", added[1].id)
        fit(conn, "never", added[3].id, model="m2")
    with store.read() as conn:
        assert users_with_news(conn, model=M) == (["never", "old"], "")
        assert users_with_news(conn, model="m3") == (["never", "new", "old"], "")
        assert users_with_news(conn, model=M, limit=2) == (["never"], "new")
        assert users_with_news(conn, model=M, after="new", limit=2) == (["old"], "")


def test_somebody_who_was_deleted_gets_no_comparisons(store):
    add(store, [said("ann", 1)])
    with store.write() as conn:
        delete_user(conn, user="ann")
    with pytest.raises(ConflictError, match="ann"):
        add(store, [said("ann", 2)])
    with pytest.raises(ConflictError, match="ann"), store.write() as conn:
        add_comparisons(conn, rows=[said("ann", 2)], model=M)
    with store.read() as conn:
        assert list_comparisons(conn) == []


def test_answers_are_deleted_one_by_one_while_their_person_is_removed(store):
    """Both take answers and their vectors; whichever is first, both end well."""
    for turn in range(10):
        with store.write() as conn:
            put_user(conn, user="ann")
        kept = add(store, [said("ann", number) for number in range(30)])

        def delete_each(kept: list = kept) -> None:
            for one in kept:
                with store.write() as conn:
                    delete_comparison(conn, comparison=one.id)

        def remove() -> None:
            with store.write() as conn:
                delete_user(conn, user="ann")

        faults = at_once(delete_each, remove)
        assert not faults, (turn, faults)
        with store.read() as conn:
            assert list_comparisons(conn, user="ann") == []
