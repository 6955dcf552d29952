"""What somebody meets who calls the public functions with wrong values, or looks at what they gave."""

from __future__ import annotations

import numpy as np
import pytest

import gustibus
from gustibus import (
    Answering,
    Evidence,
    GaussianPrior,
    GustibusError,
    RunConfig,
    UnknownUserWarning,
)
from gustibus.client import AsyncClient, Client
from gustibus.client.calls.people import put_user
from gustibus.client.wire import Raw
from gustibus.data import four_cells, read, write_folder
from gustibus.data.demo import demo_world
from gustibus.data.synthetic import linear_mixture_world
from gustibus.evaluation import evaluate
from gustibus.onboarding import Settings
from gustibus.posterior import place
from gustibus.rewards import Transform
from gustibus.training import train

FAST = {"equalise": [0.5], "ridges": [10.0], "rank": 4, "folds": 1, "rounds": 4}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    found = tmp_path_factory.mktemp("api")
    write_folder(demo_world(people=20, new=2, seed=1).dataset, found / "data")
    run = RunConfig(data=found / "data", output=found / "model", encoder="hashing", questions=20,
                    model_options=FAST, seed=np.int64(3))  # fmt: skip
    train(run)
    return found


@pytest.fixture(scope="module")
def scorer(root):
    return gustibus.load(root / "model")


def answer(*changed):
    """One answer with its last parts changed."""
    whole = ("How?", "Short.", "Long and winding.", 1.0)
    return [(*whole[: 4 - len(changed)], *changed)]


SCORER = {
    "one text": (lambda s: s.score("p", "abc"), "candidates: expected a sequence of texts, got one text"),
    "no texts": (lambda s: s.score("p", None), "candidates: expected a sequence of texts, got NoneType"),
    "a number": (lambda s: s.score("p", ["a", 1]), r"candidates\[1\]: expected a text, got int"),
    "half a character": (lambda s: s.score("p", ["\ud800"]), r"candidates\[0\]: expected valid Unicode"),
    "no prompt": (lambda s: s.score(None, ["a"]), "prompt: expected a text, got NoneType"),
    "short embeddings": (
        lambda s: s.score("p", np.ones((2, 5), np.float32)),
        r"candidates: expected shape \(n, 256\), got \(2, 5\)",
    ),
    "one embedding": (
        lambda s: s.score("p", np.ones(256)), r"candidates: expected shape \(n, 256\), got \(256,\)"
    ),
    "embeddings of NaN": (
        lambda s: s.score("p", np.full((2, 256), np.nan)), "candidates: row 0 holds NaN"
    ),
    "a number for a person": (
        lambda s: s.score("p", ["a"], user=5), "user: expected a name, a posterior or None, got int 5"
    ),
    "another model's person": (
        lambda s: s.score("p", ["a"], user=gustibus.Posterior.from_prior(GaussianPrior.standard(2))),
        "user: expected a state of length 64, got 2",
    ),
    "what to do": (
        lambda s: s.score("p", ["a"], user="x", on_unknown_user="create"),
        r"on_unknown_user: expected one of \['warn', 'population', 'error'\], got 'create'",
    ),
    "a transform's name": (
        lambda s: s.score("p", ["a"], transform="tanh"),
        "transform: expected a Transform or 'model', got 'tanh'",
    ),
    "no transform saved": (
        lambda s: s.score("p", ["a"], transform="model"), "transform: this model was saved without one"
    ),
    "answers as a text": (lambda s: s.place("abc"), "answers: expected a sequence of answers, got str"),
    "no answers": (lambda s: s.place(None), "answers: expected a sequence of answers, got NoneType"),
    "three parts": (
        lambda s: s.place([("p", "a", "b")]),
        r"answers\[0\]: expected \(prompt, a, b, target\), .*, got \(str, str, str\)",
    ),
    "a target of NaN": (
        lambda s: s.place([*answer(), *answer(float("nan"))]), r"answers\[1\]: .*got \(str, str, str, nan\)"
    ),
    "a target beyond 1": (lambda s: s.place(answer(2.0)), r"a number in \[0, 1\], got .*2\.0\)"),
    "a side": (lambda s: s.place(answer("left")), r"answers\[0\]: expected .*a number in \[0, 1\]"),
}  # fmt: skip


@pytest.mark.parametrize("name", SCORER)
def test_a_scorer_names_what_is_wrong(scorer, name):
    call, said = SCORER[name]
    with pytest.raises(GustibusError, match=said):
        call(scorer)


def a_run(**change):
    return RunConfig(**{"data": "x", "output": "y", **change})


ROWS = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
KNOWN, PLAIN = Evidence.build(ROWS, np.array([1.0, 1.0, 0.5])), GaussianPrior.standard(2)


def placed(delta=ROWS, target=(1.0, 1.0, 0.5), prior=PLAIN, **options):
    return place(Evidence.build(delta, target), prior, **options)


PLAIN_CALLS = {
    "load a number": (lambda: gustibus.load(5), "folder: expected a path, got int"),
    "load nothing": (lambda: gustibus.load("/nowhere"), "/nowhere: no such folder"),
    "read nothing": (lambda: read(None), "path: expected a file or folder, got NoneType"),
    "an encoder's name": (lambda: gustibus.load_encoder("hshing"), "did you mean .'hashing'"),
    "an encoder's option": (lambda: gustibus.load_encoder("hashing", dims=3), "did you mean 'dim'"),
    "an encoder's width": (
        lambda: gustibus.load_encoder("hashing", dim="a"), "dim: expected 8 to 65536, got 'a'"
    ),
    "nothing encoded": (
        lambda: gustibus.load_encoder("hashing").encode(None),
        "texts: expected a sequence of texts, got NoneType",
    ),
    "train a name": (lambda: train("x"), "config: expected a RunConfig, got str"),
    "no data": (lambda: a_run(data=None), "data: expected a path, got None"),
    "a model's name": (lambda: a_run(model="hierarchicl"), "did you mean .'hierarchical'"),
    "an encoder in a run": (lambda: a_run(encoder="statik"), "did you mean .'static'"),
    "a share as text": (lambda: a_run(valid_people="a"), "valid_people: expected a share .* got 'a'"),
    "a share of NaN": (lambda: a_run(new_users=float("nan")), r"new_users: expected a share .*got nan"),
    "a seed below 0": (lambda: a_run(seed=-1), "seed: expected 0 to 4294967295, got -1"),
    "a seed as text": (lambda: a_run(seed="a"), "seed: expected 0 to 4294967295, got 'a'"),
    "questions below 0": (lambda: a_run(questions=-1), "questions: expected 0 to 20000, got -1"),
    "a device": (lambda: a_run(device="gpu"), "device: expected auto, cpu, cuda or cuda:1, got 'gpu'"),
    "options as text": (
        lambda: a_run(model_options="a=1"), "model_options: expected names with values, got 'a=1'"
    ),
    "columns as a list": (
        lambda: a_run(columns=["a"]), r"columns: expected names with values, got \['a'\]"
    ),
    "a lapse": (lambda: Answering(lapse=2), r"lapse: expected a number in \[0, 0.5\), got 2"),
    "a lapse of NaN": (lambda: Answering(lapse=float("nan")), "lapse: expected .* got nan"),
    "a tie": (lambda: Answering(tie="x"), r"tie: expected a number in \[0, inf\), got 'x'"),
    "a dimension": (lambda: GaussianPrior.standard("a"), "dim: expected a whole number .* got 'a'"),
    "a scale": (lambda: GaussianPrior.standard(2, 0), "scale: expected a number above 0, got 0"),
    "no evidence": (lambda: place(None, PLAIN), "evidence: expected what Evidence.build gives, got NoneType"),
    "no prior": (lambda: place(KNOWN, None), "prior: expected a GaussianPrior, got NoneType"),
    "steps": (lambda: place(KNOWN, PLAIN, max_iter=-1), "max_iter: expected .* at least 1, got -1"),
    "a tolerance": (lambda: place(KNOWN, PLAIN, tolerance=float("nan")), "tolerance: .* got NaN"),
    "a method": (lambda: place(KNOWN, PLAIN, method="x"), "method: expected laplace or variational, got x"),
    "rows of text": (lambda: placed("abc"), "delta: expected numbers, got str"),
    "rows of NaN": (lambda: placed(ROWS * np.nan), "delta: expected finite numbers"),
    "rows of another width": (
        lambda: placed(prior=GaussianPrior.standard(3)), r"delta: expected shape \(n, 3\), got \(3, 2\)"
    ),
    "fewer targets": (lambda: placed(target=(1.0, 0.0)), "expected .*2"),
    "a target": (lambda: placed(target=(1.0, 2.0, 0.0)), r"target: expected numbers in \[0, 1\], got 2"),
    "no data to judge on": (lambda: evaluate(None), "dataset: expected what read gives, got None"),
    "a session's seed": (lambda: Settings(seed="a"), "seed: expected a whole number .* got 'a'"),
    "a strategy": (lambda: Settings(seed=0, strategy="zz"), "no question rule 'zz'; known"),
    "a transform": (lambda: Transform(5, {}), "no transform 5; known"),
    "an address": (lambda: Client("host:1"), "base_url: expected http:// or https://, got 'host:1'"),
}  # fmt: skip


@pytest.mark.parametrize("name", PLAIN_CALLS)
def test_a_function_names_what_is_wrong(name):
    call, said = PLAIN_CALLS[name]
    with pytest.raises(GustibusError, match=said):
        call()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"families": "bt"}, "families: expected names of models, got 'bt'"),
        ({"families": ["btt"]}, "no model 'btt'; did you mean"),
        ({"baselines": ["x"]}, "no baseline 'x'"),
        ({"sizes": ["a"]}, r"sizes\[0\]: expected a whole number, got 'a'"),
        ({"sizes": [-1]}, "sizes: expected at least 0, got -1"),
        ({"draws": 0}, "draws: expected at least 1, got 0"),
        ({"draws": "3"}, "draws: expected a whole number, got '3'"),
        ({"resamples": 1}, "resamples: expected at least 1000, got 1"),
        ({"seed": "a"}, "seed: expected a whole number, got 'a'"),
        ({"focus": "a"}, "focus: expected a whole number, got 'a'"),
        ({"split": {"train": [1]}}, "split: expected a Split, as four_cells gives"),
    ],
)
def test_an_evaluation_names_what_is_wrong_before_it_begins(change, said):
    dataset, _ = linear_mixture_world(seen=20, new=12, test=20, query=20, seed=0)
    with pytest.raises(GustibusError, match=said):
        evaluate(dataset, **change)


def test_a_layout_is_looked_up_even_for_a_folder(root):
    with pytest.raises(GustibusError, match="no layout 'zz'; known"):
        read(root / "data", layout="zz")


def test_few_and_odd_texts_are_scored(scorer):
    assert scorer.score("p", []).shape == (0,)
    odd = ["", " ", "☃ Ünï 漢字 🏳️‍🌈", "word " * 20_000]
    found = scorer.score("", odd)
    assert np.isfinite(found).all()
    assert scorer.score("", odd[2:3])[0] == pytest.approx(found[2], abs=1e-5)
    embedded = scorer.score("", scorer.encoder.encode(odd))
    np.testing.assert_array_equal(embedded, found)


def test_an_unknown_person_is_told_at_the_line_that_asks(scorer):
    for call in (
        lambda: scorer.score("p", ["a"], user="nobody"),
        lambda: scorer.posterior("nobody"),
    ):
        with pytest.warns(UnknownUserWarning, match="'nobody'") as told:
            call()
        assert [one.filename for one in told] == [__file__]


def test_objects_are_shown_in_a_line_without_what_people_wrote(root, scorer):
    dataset = read(root / "data")
    world, _ = linear_mixture_world(seen=20, new=12, test=20, query=20, seed=0)
    texts = [*dataset.comparisons.item_texts, *dataset.comparisons.prompts]
    people = dataset.comparisons.user_ids
    some = [
        scorer, scorer.artifact, scorer.artifact.people, scorer.artifact.pool, scorer.model,
        scorer.model.prior, scorer.posterior(people[0], on_unknown_user="population"),
        scorer.encoder, dataset, dataset.comparisons, four_cells(dataset.comparisons, seed=0),
        KNOWN, placed(), evaluate(world, sizes=(0, 5), draws=1),
    ]  # fmt: skip
    for one in some:
        line = repr(one)
        assert line.startswith(f"{type(one).__name__}(")
        assert len(line) < 240
        assert "\n" not in line
        assert not any(name in line for name in people)
        assert not any(text and text in line for text in texts)
    digest = scorer.artifact.digest[:12]
    assert repr(scorer) == f"Scorer(model='model', people=20, encoder='hashing', digest='{digest}')"
    assert repr(scorer.model) == "Hierarchical(items=256, representation=65, user=64)"


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_client_shows_no_secret(kind):
    client = kind("https://me:hunter2@host:1/sub", api_key="gustibus_secret")
    for one in (client, client.score, client.users, client.users.get, client.users.iterate):
        assert "hunter2" not in repr(one)
        assert "gustibus_secret" not in repr(one)
    assert repr(client) == f"{kind.__name__}(base_url='https://host:1/sub', api_key='…')"
    assert repr(client.users.get) == f"get_user of {client!r}"
    request = put_user("ada", attributes={"diagnosis": "private"}, idempotency_key="once")
    assert repr(request) == "Request(PUT /v1/users/ada)"
    assert len(repr(Raw(200, {}, b"private" * 500, 0, bytes))) < 80
