"""A league judges every method on every data set, keeps what is made, and says what it found."""

from __future__ import annotations

import json
import shutil
from dataclasses import fields, replace

import numpy as np
import pytest
from typer.testing import CliRunner

from gustibus.bench import METHODS, Entry, LeagueConfig, run_league
from gustibus.bench.league import _settings
from gustibus.bench.standings import League, Standing
from gustibus.cli.app import app
from gustibus.data import write_folder
from gustibus.data.synthetic import linear_mixture_world
from gustibus.errors import ConfigError, InputError, UnknownNameError
from gustibus.evaluation import Report
from gustibus.evaluation.protocol import NEW_CELLS
from gustibus.evaluation.report import encode
from gustibus.models import MODELS
from tests.laws.option_readers import READERS

QUICK = {"ridges": [10.0], "equalise": [0.5], "rounds": 3}
ENTRIES = {
    "bt": Entry("bt", {"ridge": 10}),
    "hierarchical": Entry("hierarchical", QUICK),
    "auto": Entry(
        "auto", {"families": ("bt", "hierarchical"), "settings": {"hierarchical": QUICK}}
    ),
}


@pytest.fixture
def folder(tmp_path):
    for seed, name in enumerate(("first", "second")):
        dataset, _ = linear_mixture_world(
            seen=30, new=16, train=24, test=20, support=12, query=20, seed=seed
        )
        write_folder(dataset, tmp_path / name)
    return tmp_path


def league(folder, *names, **settings):
    said: list[str] = []
    config = LeagueConfig(
        tuple(str(folder / n) for n in names), str(folder / "out"),
        **{"methods": ENTRIES, "draws": 2, **settings},
    )  # fmt: skip
    return run_league(config, told=said.append), said


def clear(folder):
    """A data set `clear` whose thirty new people are enough to tell methods apart."""
    dataset, _ = linear_mixture_world(
        seen=30, new=30, train=24, test=20, support=12, query=20, seed=0
    )
    write_folder(dataset, folder / "clear")
    return dataset


def test_every_family_takes_part_by_default():
    assert set(MODELS) < set(METHODS)
    assert "auto" in METHODS


def test_every_published_recipe_takes_part_beside_the_familys_own():
    published = {
        name for name, (kind, _) in READERS.items() if "recipe" in {f.name for f in fields(kind)}
    }
    assert published == {"pal", "lore", "vpl", "mrm", "hyre"}
    rows = {name for name in METHODS if name.endswith("-published")}
    assert rows == {f"{name}-published" for name in published}
    for row in rows:
        entry = METHODS[row]
        own, said = READERS[entry.family][1]({}), READERS[entry.family][1](entry.options)
        assert said.recipe == "published"
        assert replace(said, recipe=own.recipe) != own


def test_a_league_is_written_and_goes_on_where_it_was(folder):
    _, said = league(folder, "first")
    assert sum("trained" in line for line in said) == 3
    found, said = league(folder, "first", "second")
    assert all(line.startswith("second") for line in said)
    out = folder / "out"
    text = (out / "league.md").read_text()
    shown = Report.load(out / "first" / "0").method("bt").point("query", 5).accuracy
    assert f"{shown.value:.3f} [{shown.low:.3f}, {shown.high:.3f}]" in text
    assert (out / "league.png").stat().st_size > 5000
    record = json.loads((out / "league.json").read_text())
    assert [r["data"] for r in record] == ["first", "second"]
    chosen = record[0]["chosen"]["auto"]["chosen"]["title"]
    assert f"| first | `auto` | {chosen} |" in text
    assert found.standings[0].is_personal


def test_methods_are_compared_at_the_answers_that_are_asked_for(folder):
    methods = {"bt": ENTRIES["bt"], "ridge": Entry("ridge", {})}
    clear(folder)
    found, _ = league(folder, "clear", methods=methods, focus=3)
    standing = found.standings[0]
    assert standing.report.sizes == (0, 1, 2, 3, 5, 6, 10, 20, 50)
    assert standing.report.focus == 3
    text = found.markdown()
    for shots in (3, 6):
        shown = standing.report.method("ridge").point("query", shots).accuracy
        table = text.split(f"### new people, known items, {shots} answers\n")[1].split("###")[0]
        assert f"| `ridge` | {shown.value:.3f} " in table
    assert "nobody gave" not in text
    _, said = league(folder, "clear", methods=methods, focus=3)
    assert said == []  # the report is of these settings


def test_trials_under_several_seeds_are_also_told_together(folder):
    found, _ = league(folder, "first", seeds=(0, 1))
    part, shots = NEW_CELLS[0], found.focus
    values = [s.accuracy("bt", part, shots).value for s in found.standings]
    leads = [s.lead("auto", "bt", part, shots).value for s in found.standings]
    said = found.markdown().split("### Over seeds")[1].splitlines()
    row = next(line for line in said if line.startswith("| `bt`"))
    assert f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})" in row
    assert f"{np.mean(leads):+.3f}, in {sum(x > 0 for x in leads)} of 2" in row
    alone = League(found.standings[:1], focus=found.focus)
    assert "Over seeds" not in alone.markdown()


def test_claims_say_what_the_figures_say(folder):
    found, _ = league(folder, "first")
    standing = found.standings[0]
    claims = {claim: (holds, said) for claim, holds, said in found.claims()}
    holds, _ = claims["`auto` is within a point of the best single family in hindsight"]
    gaps = [
        standing.accuracy("auto", "query", n).value
        - standing.accuracy(standing.best("query", n), "query", n).value
        for n in (5, 10)
    ]
    assert holds == (min(gaps) >= -0.01)
    assert "`hierarchical` is never behind `bt` beyond its interval" in claims
    for shots in (5, 10):
        loss = {n: standing.report.method(n).point("query", shots).log_loss for n in ("auto", "bt")}
        saved = standing.saving("auto", "bt", "query", shots)
        assert saved.value == pytest.approx(loss["bt"].value - loss["auto"].value)


def test_rivals_are_measured_in_accuracy_and_in_log_loss(folder):
    found, _ = league(folder, "first", methods=dict(ENTRIES, vpl=ENTRIES["hierarchical"]))
    claims = {claim: holds for claim, holds, _ in found.claims()}
    for measure, lead in (("accuracy", Standing.lead), ("log loss", Standing.saving)):
        claim = (
            f"`auto` is ahead of `vpl` in {measure} after 5 answers on every data set with personal "
            "signal"
        )
        ahead = lead(found.standings[0], "auto", "vpl", "query", 5)
        assert claims[claim] == (ahead.value > 0)
        assert f"{ahead.value:+.3f}" in found.markdown()


def test_one_row_is_made_again_alone(folder):
    clear(folder)
    methods = {"bt": ENTRIES["bt"], "ridge": Entry("ridge", {})}
    before, _ = league(folder, "clear", "second", methods=methods)
    other = {"bt": Entry("bt", {"ridge": 300})}
    after, said = league(folder, "clear", methods=other, fresh=True)
    assert [line.partition(":")[0] for line in said] == ["clear 0 bt", "clear 0"]
    assert [s.data for s in after.standings] == ["clear", "second"]
    old, new = before.standings[0].report, after.standings[0].report
    assert [m.name for m in new.methods] == [m.name for m in old.methods]
    for name in ("ridge", "linear", "shrunk", "item_mean", "length"):
        assert encode(new.method(name)) == encode(old.method(name))
    assert new.method("bt").digest != old.method("bt").digest
    rows = [line for line in before.markdown().splitlines() if line.startswith("| `ridge`")]
    shown = (folder / "out" / "league.md").read_text().splitlines()
    assert [line for line in shown if line.startswith("| `ridge`")] == rows
    assert any(line.startswith("| `bt`") for line in shown)
    record = json.loads((folder / "out" / "league.json").read_text())
    assert [m["name"] for m in record[0]["report"]["methods"]][:2] == ["bt", "ridge"]
    assert encode(after.standings[1].report) == encode(before.standings[1].report)
    # what is joined is what judging both at once gives
    whole = Report.load(folder / "out" / "clear" / "0")
    assert encode(whole) == encode(new)
    config = LeagueConfig(
        (str(folder / "clear"),), str(folder / "anew"), draws=2,
        methods={**other, "ridge": methods["ridge"]},
    )  # fmt: skip
    anew = run_league(config).standings[0].report
    assert encode(anew.differences) == encode(new.differences)
    assert anew.verdict == new.verdict


def test_rows_without_the_figures_of_people_are_judged_again(folder):
    methods = {"bt": ENTRIES["bt"], "ridge": Entry("ridge", {})}
    before, _ = league(folder, "first", methods=methods)
    out = folder / "out" / "first" / "0"
    (out / ".scores" / "ridge.npz").unlink()  # as versions left it that kept none
    after, _ = league(folder, "first", methods={"bt": ENTRIES["bt"]}, fresh=True)
    old, new = (s.standings[0].report for s in (before, after))
    assert new.method("ridge").cells == old.method("ridge").cells
    assert new.difference("bt", "ridge") == old.difference("bt", "ridge")
    (out / ".scores" / "ridge.npz").write_bytes(b"cut off")
    shutil.rmtree(out / "ridge")
    last, said = league(folder, "first", methods={"bt": ENTRIES["bt"]}, fresh=True)
    assert "first 0 ridge: its row stays, its model is gone: not compared" in said
    report = last.standings[0].report
    assert report.method("ridge").cells == old.method("ridge").cells
    assert report.difference("bt", "ridge") is None
    other, said = league(folder, "first", methods={"bt": ENTRIES["bt"]}, draws=3)
    assert [m.name for m in other.standings[0].report.methods if m.kind == "model"] == ["bt"]
    assert any("no longer in the tables" in line for line in said)


def test_a_data_set_of_coin_flips_is_refused(folder):
    dataset = clear(folder)
    coin = np.random.default_rng(0).integers(0, 2, len(dataset.comparisons)).astype(np.float32)
    comparisons = replace(dataset.comparisons, target=coin)
    write_folder(replace(dataset, comparisons=comparisons), folder / "coins")
    methods = {"bt": ENTRIES["bt"], "ridge": Entry("ridge", {})}
    found, said = league(folder, "clear", "coins", methods=methods)
    assert [s.data for s in found.refused] == ["coins"]
    assert "coins 0: refused, nothing can be told apart" in said
    text = (folder / "out" / "league.md").read_text()
    reasons = text.split("### Refused")[1].split("###")[0]
    assert "- coins:\n" in reasons
    assert "right more often than a coin beyond chance" in reasons
    assert all("coins" not in part for part in text.split("###")[2:])
    assert "| method | clear |" in text
    assert all("coins" not in said for _, _, said in found.claims())
    alone = League(found.refused, focus=5)
    assert alone.claims() == []
    assert "new people" not in alone.markdown()
    assert alone.save(folder / "alone") == []


def test_other_options_train_again(folder):
    league(folder, "first", methods={"bt": ENTRIES["bt"]})
    _, said = league(folder, "first", methods={"bt": Entry("bt", {"ridge": 30})})
    assert "first 0 bt: trained" in said[0]


def test_a_method_that_cannot_be_trained_is_left_out_and_named(folder, monkeypatch):
    from gustibus.models import bt

    def refuse(*_, **__):
        message = "train: expected prompts, got none"
        raise InputError(message, where="train")

    monkeypatch.setattr(bt.BradleyTerry, "fit", refuse)
    methods = {name: ENTRIES[name] for name in ("bt", "hierarchical")}
    found, said = league(folder, "first", methods=methods)
    assert any("left out" in line for line in said)
    assert found.standings[0].failed == {"bt": "train: expected prompts, got none"}
    assert "expected prompts" in found.markdown()


def test_a_data_set_that_cannot_be_read_is_refused_before_any_training(folder, monkeypatch):
    from gustibus.bench import league as running
    from gustibus.data import read

    (folder / "empty.csv").write_text("user,prompt,chosen,rejected\n")
    reads: list[str] = []

    def counted(source, **options):
        reads.append(source)
        return read(source, **options)

    monkeypatch.setattr(running, "read", counted)
    sources = [str(folder / name) for name in ("first", "empty.csv", "gone.csv")]
    with pytest.raises(InputError) as error:
        league(folder, "first", "empty.csv", "gone.csv")
    assert error.value.message.count("empty.csv: the file has no rows") == 1
    assert error.value.message.count("gone.csv") == 1
    assert "first" not in error.value.message
    assert reads == sources
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"data": ()}, ConfigError, "at least one data set"),
        ({"data": ("a/x", "b/x")}, ConfigError, "name of its own"),
        ({"seeds": (1, 1)}, ConfigError, "each once"),
        ({"methods": {}}, ConfigError, "at least one"),
        ({"focus": 0}, ConfigError, "focus: expected a whole number of at least 1, got 0"),
        ({"focus": -3}, ConfigError, "focus: expected a whole number of at least 1, got -3"),
        ({"focus": 2.5}, ConfigError, "focus: expected a whole number of at least 1, got 2.5"),
        ({"identical": "keep"}, ConfigError, "identical: expected refuse or drop, got 'keep'"),
        ({"methods": {"../up": Entry("bt", {})}}, ConfigError, "can be a folder"),
        ({"methods": {"bt": Entry("btt", {})}}, UnknownNameError, "btt"),
    ],
)
def test_wrong_settings_are_named(change, error, said):
    with pytest.raises(error, match=said):
        LeagueConfig(**{"data": ("x",), "output": "out", **change})


def test_the_command_prints_the_tables(folder):
    found = CliRunner().invoke(app, [
        "bench", "league", str(folder / "first"), "-o", str(folder / "out"), "--method", "bt",
        "--draws", "2", "--set", "bt.ridge=10",
    ])  # fmt: skip
    assert found.exit_code == 0, found.output
    assert "| `bt` |" in found.output
    wrong = CliRunner().invoke(app, ["bench", "league", "x", "-o", "y", "--method", "btt"])
    assert wrong.exit_code != 0


def odd_file(path):
    """Comparisons under other names of columns, with a row whose two responses are the same."""
    rng = np.random.default_rng(0)
    rows = [
        {
            "annotator": f"u{n % 24}",
            "question": f"q{n % 10}",
            "good": f"{word} {n}",
            "bad": f"no {n}",
        }
        for n, word in enumerate(rng.choice(["red", "blue", "warm"], 480))
    ]
    rows[7]["bad"] = rows[7]["good"]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def test_columns_are_mapped_and_identical_rows_dropped_as_in_training(tmp_path):
    source = odd_file(tmp_path / "odd.jsonl")
    names = "user=annotator,prompt=question,chosen=good,rejected=bad"

    def command(*more: str):
        return CliRunner().invoke(app, [
            "bench", "league", str(source), "-o", str(tmp_path / "out"), "--method", "bt",
            "--draws", "2", "--set", "bt.ridge=10", *more,
        ])  # fmt: skip

    unnamed = command()
    assert unnamed.exit_code != 0
    refused = command("--map", names)
    assert refused.exit_code != 0
    assert "--identical drop leaves such rows out" in str(refused.exception)
    found = command("--map", names, "--identical", "drop")
    assert found.exit_code == 0, found.output
    card = json.loads((tmp_path / "out" / "odd" / "0" / "bt" / "card.json").read_text())
    assert card["data"]["identical_dropped"] == 1
    assert card["run"]["columns"]["chosen"] == "good"
    again = command("--map", names, "--identical", "drop")
    assert "trained" not in again.output  # the same settings, so the same model
    wrong = command("--map", names, "--identical", "keep")
    assert "expected refuse or drop, got 'keep'" in str(wrong.exception)


def test_a_file_that_fits_two_layouts_is_read_as_the_one_that_is_named(tmp_path):
    source = odd_file(tmp_path / "odd.jsonl")
    rows = [json.loads(line) for line in source.read_text().splitlines()]
    twice = [
        {**row, "response_a": row["good"], "response_b": row["bad"], "outcome": "a"} for row in rows
    ]
    source.write_text("".join(f"{json.dumps(row)}\n" for row in twice))

    def command(*more: str):
        return CliRunner().invoke(app, [
            "bench", "league", str(source), "-o", str(tmp_path / "out"), "--method", "bt", "--draws", "2",
            "--map", "user=annotator,prompt=question,chosen=good,rejected=bad", "--identical", "drop", *more,
        ])  # fmt: skip

    assert "fits the layouts" in str(command().exception) + command().output
    found = command("--layout", "chosen_rejected")
    assert found.exit_code == 0, found.output
    card = json.loads((tmp_path / "out" / "odd" / "0" / "bt" / "card.json").read_text())
    assert card["run"]["layout"] == "chosen_rejected"


def test_a_model_from_before_a_setting_existed_is_kept(folder):
    league(folder, "first", methods={"bt": ENTRIES["bt"]})
    card = folder / "out" / "first" / "0" / "bt" / "card.json"
    saved = json.loads(card.read_text())
    assert saved["run"].pop("device") == "auto"
    assert _settings(saved["run"]) == _settings({**saved["run"], "device": "auto"})
    assert _settings({**saved["run"], "colour": "red"}) is None
