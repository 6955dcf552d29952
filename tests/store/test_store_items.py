"""Items and their vectors under each model."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from gustibus.store import (
    NewItem,
    delete_item,
    find_vectors,
    get_item,
    iter_vectors,
    list_items,
    pending_items,
    position,
    put_items,
    set_vectors,
)
from tests.store.follow import follow


def vector(seed: int, dim: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(dim).astype(np.float32)


def new(
    name: str, text: str | None = None, *, given: np.ndarray | None = None, prompt=None, tags=()
):
    return NewItem(name, text, prompt, tuple(tags), given)


def test_an_item_with_a_vector_is_ready_under_its_model_alone(store):
    with store.write() as conn:
        put_items(conn, rows=[new("i", given=vector(1), tags=["x", "ü"])], model="m1")
    with store.read() as conn:
        row = get_item(conn, item="i", model="m1")
        assert row.ready
        assert row.tags == ("x", "ü")
        assert row.text is None
        assert not get_item(conn, item="i", model="m2").ready
        assert get_item(conn, item="j", model="m1") is None
        found = find_vectors(conn, found=["i", "j"], model="m1")
        assert find_vectors(conn, found=["i"], model="m2") == {}
    assert list(found) == ["i"]
    assert found["i"].dtype == np.float32
    assert np.array_equal(found["i"], vector(1))


def test_a_text_waits_for_its_vector(store):
    with store.write() as conn:
        put_items(conn, rows=[new("t", "hello", prompt="p"), new("v", given=vector(2))], model="m")
    with store.read() as conn:
        (row,) = pending_items(conn, names=["t", "v", "w"], model="m")
        both = pending_items(conn, names=["t", "v"], model="other")
    assert (row.id, row.text, row.prompt, row.ready) == ("t", "hello", "p", False)
    assert [row.id for row in both] == ["t"]  # what has no text cannot be encoded again
    with store.write() as conn:
        assert set_vectors(conn, found={"t": vector(3)}, model="m", seen=[row]) == ["t"]
    with store.read() as conn:
        assert pending_items(conn, names=["t", "v"], model="m") == []
        assert get_item(conn, item="t", model="m").ready


def test_another_text_makes_an_item_wait_again_and_keeps_when_it_was_made(store):
    with store.write() as conn:
        put_items(conn, rows=[new("i", "one", given=vector(1))], model="m")
    with store.read() as conn:
        first = get_item(conn, item="i", model="m")
    with store.write() as conn:
        put_items(conn, rows=[new("i", "two")], model="m")
    with store.read() as conn:
        second = get_item(conn, item="i", model="m")
    assert (second.text, second.ready) == ("two", False)
    assert second.created_at == first.created_at


def test_a_vector_of_a_text_that_has_changed_is_not_kept(store):
    with store.write() as conn:
        put_items(conn, rows=[new("i", "one"), new("gone", "x"), new("same", "y")], model="m")
    with store.read() as conn:
        seen = pending_items(conn, names=["i", "gone", "same"], model="m")
    with store.write() as conn:  # while the encoder works
        put_items(conn, rows=[new("i", "two")], model="m")
        delete_item(conn, item="gone")
    made = {row.id: vector(number) for number, row in enumerate(seen)}
    with store.write() as conn:
        assert set_vectors(conn, found=made, model="m", seen=seen) == ["same"]
    with store.read() as conn:
        assert [row.id for row in pending_items(conn, names=["i", "gone", "same"], model="m")] == [
            "i"
        ]
        assert [name for name, _ in iter_vectors(conn, model="m")] == ["same"]


def test_deleting_removes_the_vectors_and_is_told(store):
    with store.write() as conn:
        put_items(conn, rows=[new("i", given=vector(1))], model="m")
    with store.read() as conn:
        cursor = position(conn)
    with store.write() as conn:
        assert delete_item(conn, item="i")
        assert not delete_item(conn, item="i")
    with store.read() as conn:
        assert get_item(conn, item="i", model="m") is None
        assert find_vectors(conn, found=["i"], model="m") == {}
    assert follow(store, cursor)[1] == [("item", "i")]


def test_items_are_listed_in_the_order_of_python(store):
    names = ["b", "A", "a", "B", "é", "z", "_", "10", "9"]
    with store.write() as conn:
        put_items(conn, rows=[new(name, name) for name in names], model="m")
    seen, after = [], None
    with store.read() as conn:
        while page := list_items(conn, model="m", after=after, limit=4):
            seen += [row.id for row in page]
            after = seen[-1]
    assert seen == sorted(names)


def test_the_last_of_two_rows_of_one_name_counts(store):
    with store.write() as conn:
        put_items(conn, rows=[new("i", "one"), new("i", "two")], model="m")
        assert get_item(conn, item="i", model="m").text == "two"


def test_many_vectors_come_back_in_pages(store, monkeypatch):
    monkeypatch.setattr("gustibus.store.items._PAGE", 100)
    rows = [new(f"i{number:04}", given=vector(number, 3)) for number in range(1203)]
    with store.write() as conn:
        put_items(conn, rows=rows, model="m")
    with store.read() as conn:
        found = dict(iter_vectors(conn, model="m"))
    assert list(found) == [row.id for row in rows]
    assert all(np.array_equal(found[row.id], row.vector) for row in rows)


def test_several_threads_that_put_the_same_items_do_not_stop_each_other(store):
    names = [f"i{number}" for number in range(150)]

    def work(seed: int) -> None:
        mixed = np.random.default_rng(seed).permutation(names)
        with store.write() as conn:
            put_items(
                conn, rows=[new(str(n), f"by {seed}", given=vector(seed)) for n in mixed], model="m"
            )

    errors = []

    def safely(seed: int) -> None:
        try:
            work(seed)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=safely, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with store.read() as conn:
        rows = list_items(conn, model="m", limit=1000)
        held = find_vectors(conn, found=names, model="m")
    assert len(rows) == 150
    for row in rows:  # text and vector are of the same writer
        assert np.array_equal(held[row.id], vector(int(row.text.removeprefix("by "))))


@pytest.mark.parametrize("text", ["", "naïve 🤖 \U0010ffff", "a\nb\t\r\\'\"%s{}", "x" * 2_000_000])
def test_any_text_comes_back_as_it_was(store, text):
    with store.write() as conn:
        put_items(conn, rows=[new("i", text, prompt=text)], model="m")
    with store.read() as conn:
        row = get_item(conn, item="i", model="m")
    assert row.text == text
    assert row.prompt == text


def test_many_rows_at_once_keep_awkward_texts_and_tags(store):
    texts = [
        None,
        "NULL",
        "",
        '{a,"b"}',
        "back\\slash",
        "it's",
        "%(x)s :x $1",
        "\u2028\x7f",
        "é" * 9,
    ]
    tags = [(), ("a",), ("a", "b"), ("NULL",), ('"', "\\"), ("{}",), ("ü", ""), ("x",) * 9, ("%s",)]
    rows = [
        new(f"i{place}", text, prompt=text, tags=tag, given=vector(place))
        for place, (text, tag) in enumerate(zip(texts, tags, strict=True))
    ]
    for _ in range(2):  # inserted, then replaced
        with store.write() as conn:
            put_items(conn, rows=rows, model="m")
        with store.read() as conn:
            kept = list_items(conn, model="m")
        assert [row.text for row in kept] == texts
        assert [row.prompt for row in kept] == texts
        assert [row.tags for row in kept] == tags
