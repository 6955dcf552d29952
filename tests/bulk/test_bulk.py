"""The best of everybody: exact, in parts, the same after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gustibus.artifact import Artifact, People
from gustibus.bulk import MANIFEST, best_of, bulk_score
from gustibus.cli.app import run
from gustibus.errors import InputError
from gustibus.models.hierarchical import Hierarchical
from gustibus.posterior import Answering, GaussianPrior

pq = pytest.importorskip("pyarrow.parquet")


def model_of(dim: int, tastes: int) -> Hierarchical:
    rng = np.random.default_rng(0)
    return Hierarchical(
        center=np.zeros(dim, np.float32),
        population=rng.standard_normal(dim).astype(np.float32),
        basis=rng.standard_normal((dim, tastes)).astype(np.float32),
        prior=GaussianPrior.standard(tastes),
        answering=Answering(),
    )


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_the_best_are_those_of_a_sort(data):
    n, people = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 5))
    top = data.draw(st.integers(1, n))
    model = model_of(3, 2)
    items = np.array(
        data.draw(st.lists(st.lists(st.integers(-1, 1), min_size=3, max_size=3), min_size=n, max_size=n)),
        np.float32,
    )  # fmt: skip  # few values, so that many scores are equal
    users = np.random.default_rng(n).integers(-1, 2, (people, 2)).astype(np.float64)
    representations = model.represent(items)
    best = best_of(model, users, representations, top=top)
    for row, user in enumerate(users):
        scores = model.utility(user, representations)
        order = np.argsort(-scores, kind="stable")[:top]
        np.testing.assert_array_equal(best.scores[row], scores[order])
        np.testing.assert_array_equal(best.rows[row], order)


def world(people: int, candidates: int):
    rng = np.random.default_rng(1)
    model = model_of(6, 4)
    users = [f"u{n}" for n in range(people)]
    means = rng.standard_normal((people, 4)).astype(np.float32)
    items = [f"c{n}" for n in range(candidates)]
    return model, users, means, items, rng.standard_normal((candidates, 6)).astype(np.float32)


def written(folder) -> dict[str, tuple[list[str], list[float]]]:
    rows = {}
    for path in sorted(folder.glob("part-*.parquet")):
        for row in pq.read_table(path).to_pylist():
            assert row["user"] not in rows
            rows[row["user"]] = (row["items"], row["scores"])
    return rows


def test_everybody_is_written_once_and_a_second_run_has_nothing_to_do(tmp_path):
    model, users, means, items, features = world(5000, 40)
    representations = model.represent(features)
    arguments = {
        "digest": "d", "users": users, "means": means, "items": items,
        "representations": representations, "output": tmp_path / "out", "top": 7, "parts": 9,
    }  # fmt: skip
    assert bulk_score(model, **arguments) == 5000
    rows = written(tmp_path / "out")
    assert set(rows) == set(users)
    scores = model.utility(means.astype(np.float64), representations)
    for place in (0, 77, 4999):
        order = np.argsort(-scores[place], kind="stable")[:7]
        found, told = rows[users[place]]
        assert found == [items[k] for k in order]
        np.testing.assert_allclose(told, scores[place, order], rtol=1e-6)
    assert json.loads((tmp_path / "out" / MANIFEST).read_text())["complete"]
    assert bulk_score(model, **arguments) == 0
    with pytest.raises(InputError, match="another people"):
        bulk_score(model, **{**arguments, "means": means + 1})
    with pytest.raises(InputError, match="another top"):
        bulk_score(model, **{**arguments, "top": 3})


@pytest.mark.parametrize(
    ("changed", "expected"),
    [({"top": 0}, "top"), ({"top": 41}, "from 1 to 40"), ({"parts": 0}, "parts"),
     ({"threads": 0}, "threads"), ({"means": np.full((50, 4), np.nan)}, "finite")],
)  # fmt: skip
def test_wrong_numbers_are_named(tmp_path, changed, expected):
    model, users, means, items, features = world(50, 40)
    arguments = {
        "digest": "d", "users": users, "means": means, "items": items,
        "representations": model.represent(features), "output": tmp_path / "out", **changed,
    }  # fmt: skip
    with pytest.raises(InputError, match=expected):
        bulk_score(model, **arguments)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    model, users, means, items, features = world(5, 4)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="something else"):
        bulk_score(
            model, digest="d", users=users, means=means, items=items, top=1,
            representations=model.represent(features), output=tmp_path,
        )  # fmt: skip


@pytest.fixture
def trained(tmp_path):
    """A model of 60,000 people on disk, and a table of candidates."""
    model, users, means, items, features = world(60_000, 50)
    people = People(tuple(users), means, np.zeros((0, 4, 4), np.float32), np.ones(60_000, np.int32))
    card = {"name": "m", "family": "hierarchical", "version": "0", "encoder": None, "created": ""}
    Artifact(model, card, people, model.represent(features)).save(tmp_path / "model")
    rows = [{"id": n, "embedding": f.tolist()} for n, f in zip(items, features, strict=True)]
    (tmp_path / "c.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path


def test_a_wrong_candidate_is_named_with_its_file_and_row(trained, capsys):
    model = str(trained / "model")
    dim = Artifact.load(model).model.item_dim
    good = [0.0] * dim

    def told(*rows):
        path = trained / "wrong.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        out = str(trained / "never")
        assert run(["bulk-score", model, "--candidates", str(path), "-o", out]) == 1
        return capsys.readouterr().err

    twice = told({"id": "x", "text": "a"}, {"id": "y", "text": "b"}, {"id": "x", "text": "c"})
    assert "wrong.jsonl:3: the id 'x' is that of row 1 too" in twice
    short = told({"id": "x", "embedding": good}, {"id": "y", "embedding": good[1:]})
    assert f"wrong.jsonl:2: embedding: expected {dim} finite numbers, got {dim - 1}" in short
    odd = told({"id": "x", "embedding": [*good[1:], float("nan")]})
    assert f"wrong.jsonl:1: embedding: expected {dim} finite numbers, got NaN" in odd
    assert "wrong.jsonl:1: expected the columns id and text" in told({"text": "a"})
    assert not (trained / "never").exists()


def test_a_killed_run_is_finished_by_the_same_command(trained, capsys):
    command = ["bulk-score", str(trained / "model"), "--candidates", str(trained / "c.jsonl"),
               "--top", "3", "--parts", "30"]  # fmt: skip
    code = "from gustibus.cli import main; main()"
    out = trained / "killed"
    process = subprocess.Popen([sys.executable, "-c", code, *command, "-o", str(out)],
                               stdout=subprocess.DEVNULL, env=os.environ)  # fmt: skip
    until = time.monotonic() + 60
    while len(list(out.glob("part-*.parquet"))) < 2:
        assert time.monotonic() < until
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    assert run([*command, "-o", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["scored"] < told["people"] == 60_000
    assert run([*command, "-o", str(trained / "whole")]) == 0
    assert written(out) == written(trained / "whole")
    assert not list(out.glob(".part-*"))
