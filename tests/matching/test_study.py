"""Studies of rules on named instances and recorded streams."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gustibus.errors import InputError, UnknownNameError
from gustibus.matching import INSTANCES, RULES, read_stream, simulate
from gustibus.matching.study import run


def test_a_study_has_ratios_with_intervals_and_curves():
    study = simulate(
        "balance", "random", runs=5, sizes={"n": 10, "arrivals": 120, "capacity": 6}, points=10
    )
    assert 0.5 < study.ratio.low <= study.ratio.value <= study.ratio.high <= 1
    assert study.bound_ratio == study.ratio
    curves = study.curves
    assert curves.arrivals.tolist() == [12 * k for k in range(1, 11)]
    assert np.all(np.diff(curves.value) >= 0)
    assert np.all(np.diff(curves.best) >= 0)
    assert np.all(curves.regret >= -1e-9)
    assert curves.load.shape == (10, 5)
    assert np.all((curves.load >= 0) & (curves.load <= 1))
    assert np.all(np.diff(curves.load, axis=1) >= 0)
    assert "share of the optimum in hindsight" in study.table()


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_can_be_studied(rule):
    entry = RULES[rule].run
    sizes = {"n": 8, "arrivals": 60, "degree": 3, "capacity": 4}
    if entry["stochastic"]:
        sizes["p"] = 0.5
    options = {"range": (1e-9, 1.0)} if rule == "threshold" else {}
    study = simulate(rule, "random", runs=3, sizes=sizes, options=options)
    if not entry["stochastic"]:  # coins may be kinder than the program expects
        assert np.all(study.value <= study.optimum * (1 + 1e-9))
    assert 0.2 < study.ratio.value < 1.2


@pytest.mark.parametrize("name", INSTANCES)
def test_every_instance_is_well_formed_and_has_its_optimum(name):
    from gustibus.matching import hindsight

    instance = INSTANCES[name].run(np.random.default_rng(0))
    assert INSTANCES[name].source
    if name in ("triangular", "weighted_triangular", "block"):
        weight = np.ones(len(instance.limit)) if instance.weight is None else instance.weight
        items = np.asarray(instance.arrivals.items, int)
        rows = type(instance.arrivals)(instance.arrivals.indptr, items, weight[items])
        assert hindsight(rows, instance.limit)[1].value == pytest.approx(instance.optimum)


def test_pictures_of_load_and_regret(tmp_path):
    pytest.importorskip("matplotlib")
    study = run("ranking", "triangular", runs=2, sizes={"n": 30}, plot=tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 10_000
    assert [axes.get_title() for axes in study.plot().axes] == [
        "ranking: load",
        "triangular: regret",
    ]


def record(path, lines):
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return str(path)


def test_a_recorded_stream(tmp_path):
    lines = [
        {"capacity": [1, 2], "weight": [1.0, 3.0]},
        {"items": [0, 1]},
        {"items": [1]},
        {"items": []},
    ]
    path = record(tmp_path / "day.jsonl", lines)
    stream = read_stream(path)
    assert (len(stream.arrivals), stream.weight.tolist()) == (3, [1.0, 3.0])
    study = run("balance", path, runs=1)
    assert (study.instance, study.value.tolist(), study.optimum.tolist()) == (
        "day.jsonl",
        [6.0],
        [6.0],
    )


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([{"items": [0]}], ":1: expected a list 'capacity' or 'budget'"),
        ([{"capacity": [1]}, {"item": [0]}], ":2: expected a list of numbers 'items'"),
        ([{"capacity": [1]}, {"items": ["a"]}], ":2: expected a list of numbers 'items'"),
        ([{"capacity": [1]}, {"items": [0], "values": []}], ":2: expected as many values"),
        (
            [{"capacity": [1]}, {"items": [0], "values": [1]}, {"items": [0]}],
            ":3: expected as many",
        ),
        ([[1]], ":1: expected a JSON object"),
    ],
)
def test_bad_streams_name_the_line(tmp_path, lines, message):
    with pytest.raises(InputError, match=message):
        read_stream(record(tmp_path / "bad.jsonl", lines))


def test_bad_studies(tmp_path):
    with pytest.raises(UnknownNameError, match="matching rule"):
        simulate("rank", "triangular")
    with pytest.raises(UnknownNameError, match="matching instance"):
        simulate("ranking", "triangle")
    with pytest.raises(UnknownNameError, match="instance or file"):
        run("ranking", str(tmp_path / "none.jsonl"))
    with pytest.raises(InputError, match="runs"):
        simulate("ranking", "triangular", runs=0)
    with pytest.raises(InputError, match="sizes"):
        simulate("ranking", "triangular", sizes={"m": 1})
    with pytest.raises(InputError, match="options"):
        simulate("ranking", "triangular", options={"speed": 1})
    with pytest.raises(InputError, match="values"):
        simulate("stochastic_balance", "random", runs=1, sizes={"p": 2.0})
