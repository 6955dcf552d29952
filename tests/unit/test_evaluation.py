"""`evaluate`, its report and its verdict, on worlds whose truth is known."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import gustibus.evaluation.run
from gustibus.artifact import Artifact, People
from gustibus.data import given_split, split_by_person, split_by_prompt
from gustibus.data.synthetic import linear_mixture_world
from gustibus.errors import InputError, UnknownNameError
from gustibus.evaluation import Fixed, Modelled, Report, contenders, evaluate, fit_shrunk
from gustibus.evaluation.intervals import Estimate
from gustibus.evaluation.judging import ALL
from gustibus.evaluation.protocol import Trial
from gustibus.evaluation.rows import fitting_sets
from gustibus.models.blend import Blend


def world(concentration=0.1, seed=0, **options):
    sizes = {"seen": 40, "new": 40, "train": 30, "test": 30, "support": 24, "query": 40}
    return linear_mixture_world(**{**sizes, **options}, concentration=concentration, seed=seed)[0]


@pytest.fixture(scope="module")
def report():
    return evaluate(world(), families=["bt"], sizes=(0, 5, 20), draws=10)


def test_a_personal_world_has_a_personal_signal_and_tells_methods_apart(report):
    assert report.verdict.personal_signal is True
    assert report.verdict.separates is True
    assert report.method("shrunk").swap.personal
    gain = report.difference("shrunk", "linear", shots=20)
    assert gain.accuracy.low > 0
    assert gain.log_loss.high < 0
    assert report.method("shrunk").point("query", 20).gain.low > 0


def test_every_table_has_the_pooled_reward_and_the_length_rule(report):
    assert [m.name for m in report.methods] == ["bt", "linear", "shrunk", "item_mean", "length"]
    assert [m.kind for m in report.methods] == ["model", "baseline", "baseline", "rule", "rule"]
    few = evaluate(world(), baselines=(), sizes=(0,), draws=1)
    assert [m.name for m in few.methods] == ["linear", "length"]
    assert few.verdict.personal_signal is None


def test_the_pooled_baseline_is_as_good_as_the_pooled_family(report):
    difference = report.difference("bt", "linear", shots=0)
    assert abs(difference.accuracy.value) < 0.01


def test_a_pooled_world_has_no_personal_signal():
    found = evaluate(world(concentration=1e6, seed=3), sizes=(0, 20), draws=5)
    assert found.verdict.personal_signal is False
    assert not found.method("shrunk").swap.personal


def test_a_saturated_benchmark_is_rejected():
    found = evaluate(world(saturated=True, prompts=200, train=100), sizes=(0, 20), draws=2)
    assert found.verdict.separates is False
    assert any("saturated" in reason for reason in found.verdict.reasons)
    assert "cannot separate" in found.markdown()


def test_answers_at_random_do_not_tell_methods_apart():
    dataset = world(seed=5)
    coin = np.random.default_rng(0).integers(0, 2, len(dataset.comparisons)).astype(np.float32)
    dataset = replace(dataset, comparisons=replace(dataset.comparisons, target=coin))
    found = evaluate(dataset, sizes=(0, 20), draws=2)
    assert found.verdict.separates is False
    (reason,) = (one for one in found.verdict.reasons if "beyond chance" in one and "no two" in one)
    assert "; the largest is `" in reason
    assert re.search(r", over \d+ people\)$", reason)
    assert found.verdict.personal_signal is False


def test_a_rule_that_beats_every_method_is_named():
    dataset = world(prompts=4, responses=8, concentration=1e6, train=80)
    noise = np.random.default_rng(0).standard_normal(dataset.item_features.shape)
    found = evaluate(replace(dataset, item_features=noise[:, :2].astype(np.float32)), sizes=(0,))
    assert any(r.startswith("`item_mean`, which reads no features") for r in found.verdict.reasons)
    seen = evaluate(world(), sizes=(0,), draws=1)
    assert not any("reads no features" in reason for reason in seen.verdict.reasons)


def test_training_on_shuffled_people_costs_a_personal_family_what_it_learned_of_people():
    options = {"ridges": [10.0], "equalise": [0.5], "rounds": 3}
    found = evaluate(
        world(train=60, bases=3), families={"hierarchical": options}, sizes=(0, 5), draws=2,
        shuffled=True,
    )  # fmt: skip
    assert found.method("hierarchical").unshuffled_gain.low > 0
    assert found.method("shrunk").unshuffled_gain is None


def test_the_area_of_a_curve_counts_every_doubling_of_the_answers_alike(report):
    method = report.method("shrunk")
    at = {p.shots: p.accuracy.value for p in method.curve if p.part == "query"}
    x = np.log2([1, 6, 21])
    y = np.array([at[0], at[5], at[20]])
    assert method.area("query") == pytest.approx(np.trapezoid(y, x) / np.log2(21))
    assert at[0] < method.area("query") < at[20]
    assert f"| {method.area('query'):.3f} |" in report.markdown()
    assert np.isnan(method.area("query_new_items"))


def test_a_report_says_how_much_of_what_people_prefer_runs_in_circles(report):
    data, options = world(), {"steps": 20, "optional": False, "gate": "none"}
    found = evaluate(data, families={"gpm": options}, sizes=(0,), draws=1).method("gpm")
    assert 0 < found.cyclic_share.value < 1
    assert found.cyclic_share.people == 40
    split = given_split(data, seed=0, repeats="drop")
    trial = Trial(data, split, (0,), 1, 0)
    assert Fixed("none", np.zeros(len(data.comparisons))).cyclic_shares(
        trial.new.evidence, trial.new.judged
    ) is None  # fmt: skip
    assert report.method("bt").cyclic_share is None
    assert report.method("shrunk").cyclic_share is None


def test_a_report_of_before_there_was_a_figure_has_its_default(report):
    data = report.as_json()
    for method in data["methods"]:
        del method["cyclic_share"]
        if method["flip"]:
            del method["flip"]["turned"]
    again = Report.from_json(data).method("shrunk")
    assert again.cyclic_share is None
    assert not again.flip.turned
    del data["methods"][0]["cells"]
    with pytest.raises(InputError, match="not complete"):
        Report.from_json(data)


def test_a_report_survives_json(report, tmp_path):
    text = json.dumps(report.as_json(), allow_nan=False)
    again = Report.from_json(json.loads(text))
    assert again.as_json() == report.as_json()
    assert again.markdown() == report.markdown()
    assert np.isnan(again.method("linear").place_microseconds) == np.isnan(
        report.method("linear").place_microseconds
    )
    report.save(tmp_path / "out", plots=False)
    assert Report.load(tmp_path / "out").as_json() == report.as_json()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "expected schema 1"),
        ({"methods": [{"name": "x"}]}, "not complete"),
        ({"draws": "ten"}, "not complete"),
    ],
)
def test_another_schema_and_broken_reports_are_refused(report, change, message):
    with pytest.raises(InputError, match=message):
        Report.from_json({**report.as_json(), **change})


def test_a_file_that_is_no_report_is_refused(tmp_path):
    (tmp_path / "report.json").write_text("[]")
    with pytest.raises(InputError, match="schema"):
        Report.load(tmp_path)
    with pytest.raises(InputError, match="not a report"):
        Report.load(tmp_path / "nothing.json")


def test_differences_can_be_read_either_way_round(report):
    one, two = (report.difference(*names) for names in (("shrunk", "bt"), ("bt", "shrunk")))
    assert one.accuracy.value == -two.accuracy.value
    assert (one.accuracy.low, one.accuracy.high) == (-two.accuracy.high, -two.accuracy.low)
    assert (one.harmed, one.helped) == (two.helped, two.harmed)
    assert one.helped.value > one.harmed.value
    assert report.difference("bt", "nobody") is None
    assert report.difference("bt", "shrunk", part="test", shots=ALL).accuracy.people == 36


def test_the_report_says_how_it_was_made(report):
    assert report.split["query"] == 1600
    assert report.people == {"seen": 36, "new": 40}
    assert report.digest == gustibus.evaluation.run.data_digest(world())
    assert set(report.versions) == {"gustibus", "python", "numpy"}
    assert (report.headline, report.focus, report.sizes) == ("query", 5, (0, 5, 20))
    again = evaluate(world(), families=["bt"], sizes=(0, 5, 20), draws=10)
    assert again.differences == report.differences


def test_tables_have_intervals_and_every_cell(report):
    text = report.markdown()
    shown = report.method("shrunk").point("query", 20).accuracy
    assert f"{shown.value:.3f} [{shown.low:.3f}, {shown.high:.3f}]" in text
    for head in ("Seen people, known items", "New people, known items", "Controls", "Costs"):
        assert f"## {head}" in text
    assert "nan" not in text
    assert report._repr_markdown_() == text


def test_pictures_are_drawn(report, tmp_path):
    report.save(tmp_path)
    for name in ("curve.png", "calibration.png", "people.png"):
        assert (tmp_path / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert f"({name})" in (tmp_path / "report.md").read_text()


def test_variances_of_long_blends_come_from_their_members(monkeypatch):
    """Long user vectors of one posterior have a short cut, which a blend's several do not have."""
    dataset = world(dim=40)
    split = given_split(dataset, seed=0, repeats="drop")
    shrunk = fit_shrunk(*fitting_sets(dataset, split))
    blend = Blend((shrunk, replace(shrunk, spread=3 * shrunk.spread)), (0.5, 0.5))
    assert blend.user_dim > contenders._LONG
    group = Trial(dataset, split, sizes=(0, 5), draws=1).new
    short = Modelled("", blend, dataset).predict(group.evidence, group.judged)
    monkeypatch.setattr(contenders, "_LONG", 1000)
    plain = Modelled("", blend, dataset).predict(group.evidence, group.judged)
    np.testing.assert_allclose(short.p, plain.p, atol=1e-9)


def test_histograms_count_every_judged_person_once(report):
    for method in report.methods:
        for cell in method.cells:
            assert sum(cell.histogram) == cell.accuracy.people
            assert sum(b.rows for b in cell.bins) == cell.rows


def test_models_of_every_kind_are_judged_and_named_as_given():
    dataset = world()
    split = given_split(dataset, seed=0, repeats="drop")
    model = fit_shrunk(*fitting_sets(dataset, split))
    rule = Fixed("", np.zeros(len(dataset.comparisons)))
    given = {"plain": model, "modelled": Modelled("", model, dataset), "zero": rule}
    found = evaluate(dataset, split, given, sizes=(0, 5), draws=2)
    names = [m.name for m in found.methods]
    assert names[:3] == ["plain", "modelled", "zero"]
    one, two = (found.method(n).point("query", 5).accuracy for n in ("plain", "modelled"))
    assert one == two == found.method("shrunk").point("query", 5).accuracy
    assert found.method("zero").cell("test").accuracy.value == 0.5

    with pytest.raises(InputError, match="twice"):
        evaluate(dataset, split, {"linear": model}, sizes=(0,), draws=1)
    with pytest.raises(UnknownNameError):
        evaluate(dataset, split, families=["palm"], sizes=(0,), draws=1)


def test_an_artifact_that_knows_the_new_people_is_refused():
    dataset = world()
    split = given_split(dataset, seed=0, repeats="drop")
    model = fit_shrunk(*fitting_sets(dataset, split))
    u = model.user_dim
    ids = (dataset.comparisons.user_ids[dataset.comparisons.user[split["query"][0]]],)
    nothing = np.zeros((0, model.representation_dim), np.float32)
    for names, refused in ((ids, True), (("somebody",), False)):
        people = People(names, np.zeros((1, u), np.float32), np.zeros((1, u, u), np.float32),
                        np.ones(1, np.int32))  # fmt: skip
        artifact = Artifact(model, {"fit": {"seconds": 2.5}}, people, nothing, digest="abc")
        if refused:
            with pytest.raises(InputError, match="of the people that the split holds out"):
                evaluate(dataset, split, {"mine": artifact}, sizes=(0,), draws=1)
        else:
            found = evaluate(dataset, split, {"mine": artifact}, sizes=(0,), draws=1)
            assert found.method("mine").fit_seconds == 2.5
            assert found.method("mine").digest == "abc"


@pytest.mark.parametrize("kind", ["prompts", "people"])
def test_splits_that_hold_out_only_prompts_or_only_people_are_judged_on_what_they_have(kind):
    c = world().comparisons
    cut = split_by_prompt(c, 0.2, seed=0) if kind == "prompts" else split_by_person(c, 0.4, seed=0)
    found = evaluate(world(), cut, sizes=(0, 5), draws=2)
    assert found.headline == {"prompts": "test_new_items", "people": "query"}[kind]
    assert (found.people["new"] == 0) == (kind == "prompts")
    assert found.method("linear").cell(found.headline).accuracy.value > 0.55
    swap = found.method("shrunk").swap  # new people without support cannot be swapped
    assert (swap is None) == (kind == "people")
    assert "nan" not in found.markdown()


def test_importing_the_package_brings_neither_torch_nor_matplotlib():
    code = "import sys, gustibus.evaluation; print('torch' in sys.modules, 'matplotlib' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["False", "False"]


def test_progress_tells_what_is_judged():
    said = []
    evaluate(world(), sizes=(0, 5, 20), draws=2, progress=lambda *step: said.append(step))
    assert {stage for stage, *_ in said} == {"judge shrunk"}
    assert [done for _, done, _, _ in said] == [1, 2, 3, 4]
    assert {total for _, _, total, _ in said} == {4}


def test_a_figure_that_nobody_has_is_shown_as_a_dash(report):
    nan = float("nan")
    first = report.methods[0]
    empty = replace(first.cells[0], accuracy=Estimate(nan, nan, nan, nan, 0))
    changed = replace(report, methods=(replace(first, cells=(empty,)), *report.methods[1:]))
    assert "| `bt` | – |" in changed.markdown()
    assert Report.from_json(changed.as_json()).as_json() == changed.as_json()
