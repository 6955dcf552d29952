"""A golden set: how right a model is on it, and what a candidate may lose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gustibus.artifact import Artifact, People
from gustibus.data import to_comparisons
from gustibus.data.dataset import Dataset
from gustibus.data.files import Table
from gustibus.data.origin import Origin
from gustibus.errors import InputError
from gustibus.evaluation.golden import Figure, GoldenFigures, golden_figures, losses
from tests.service.harness import model_of

TEXTS = [f"text {n}" for n in range(6)]


def golden(rows):
    """A set of answers `(user, a, b, outcome)` about the six texts."""
    names = ("user", "response_a", "response_b", "outcome")
    columns = {
        name: list(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)
    }
    columns["prompt"] = [""] * len(rows)
    table = Table(columns, Origin("golden", np.arange(len(rows))))
    comparisons = to_comparisons(table, layout="gustibus")
    order = [int(text.split()[1]) for text in comparisons.item_texts]
    return Dataset(comparisons, item_features=np.eye(6, dtype=np.float32)[order], name="golden")


@pytest.fixture(scope="module")
def artifact():
    """Everybody likes text 5 best and text 0 least, whatever they answered."""
    model = model_of(6, seed=0)
    model = replace(model, population=np.arange(6, dtype=np.float32), basis=0 * model.basis)
    card = {"family": "hierarchical", "encoder": None, "created": "2026-01-01T00:00:00+00:00"}
    return Artifact(
        model, card, People.empty(model.user_dim), model.represent(np.eye(6, dtype=np.float32))
    )


def test_figures_are_of_answers_other_than_ties_and_of_groups_of_fifty(artifact):
    rows = [(f"p{n}", TEXTS[5], TEXTS[0], "a") for n in range(50)]
    rows += [(f"q{n}", TEXTS[1], TEXTS[4], "a" if n % 2 else "b") for n in range(49)]
    rows += [("p0", TEXTS[2], TEXTS[3], "b"), ("p1", TEXTS[2], TEXTS[3], "tie")]
    groups = {f"p{n}": "many" for n in range(50)} | {f"q{n}": "few" for n in range(49)}
    found = golden_figures(artifact, golden(rows), groups)
    assert found.overall == Figure(pytest.approx((50 + 25 + 1) / 100), 100, 99)
    assert found.groups == {"many": Figure(1.0, 51, 50)}
    assert GoldenFigures.from_json(found.as_json()) == found


def test_a_golden_set_of_ties_is_refused(artifact):
    with pytest.raises(InputError, match="golden: expected answers other than ties"):
        golden_figures(artifact, golden([("p", TEXTS[0], TEXTS[1], "tie")]))


def figures(overall, **groups):
    def figure(accuracy):
        return Figure(accuracy, 1000, 100)

    return GoldenFigures(figure(overall), {name: figure(one) for name, one in groups.items()})


@pytest.mark.parametrize(
    ("candidate", "worse"),
    [
        (figures(0.695, young=0.78), []),  # exactly half a point and two points less
        (figures(0.6949, young=0.9), ["the golden set: right on 69.49 % of 1000 answers"]),
        (figures(0.9, young=0.779), ["group 'young': right on 77.90 % of 1000 answers"]),
        (figures(0.1, young=0.1), ["the golden set: ", "group 'young': "]),
        (figures(0.7, old=0.1), []),
    ],
)
def test_what_a_candidate_may_lose(candidate, worse):
    found = losses(candidate, figures(0.7, young=0.8))
    assert len(found) == len(worse)
    for said, begins in zip(found, worse, strict=True):
        assert said.startswith(begins)
