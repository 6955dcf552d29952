"""Auxiliary terms in a fit: what each does to the reward, what is saved, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

import gustibus
from gustibus import ops
from gustibus.artifact import Artifact
from gustibus.cli.app import run as cli
from gustibus.errors import ConfigError, InputError
from gustibus.models.bt_auxiliary import Terms, choose_terms
from gustibus.models.bt_fit import Reward
from gustibus.models.bt_rows import Rows
from gustibus.models.hybrid import fit_model
from gustibus.objectives import AUXILIARY
from gustibus.training import RunConfig
from tests.conftest import small_world
from tests.unit.test_objectives_training import planted, tau

QUICK = {"seed": 0, "ridge": 1.0, "steps": 60}


def with_degrees(world):
    """A fifth of the rows say that b lacks one or two parts of a, which show in a feature."""
    degree = np.zeros(len(world), np.int32)
    degree[::5] = 1 + np.arange(len(degree[::5])) % 2
    items = world.item_features.copy()
    items[world.b[degree > 0], 3] = 4 * degree[degree > 0]
    items[world.a[degree > 0], 3] = 0
    return replace(world, item_features=items, degree=degree)


def terms_of(world, given, *, hidden=1):
    torch.manual_seed(0)
    module = Reward(world.item_features.shape[1], hidden)
    center = np.zeros(world.item_features.shape[1], np.float32)
    width = module.head.in_features if hidden else 0
    terms = Terms(choose_terms(given), world, center, 1.0, torch.device("cpu"), width=width)
    return module, terms


@pytest.mark.parametrize("name", list(AUXILIARY))
def test_every_term_trains_beside_an_objective_and_is_recorded(name):
    world = with_degrees(planted(lists=60))
    losses = []
    for weight in (1e-9, 1.0):
        model, report = fit_model(
            "bt", world, None, objective="bt_pair", hidden=1, auxiliary={name: weight}, **QUICK
        )
        record = report["objective"]["auxiliary"][name]
        assert record["weight"] == weight
        losses.append(record["loss"])
    assert losses[1] < losses[0]
    assert tau(model) > (0.2 if name == "degree_ce" else 0.8)


def test_the_spread_is_that_of_the_responses_to_each_prompt():
    world = replace(planted(lists=7, members=3), weight=np.zeros(21, np.float32))
    module, terms = terms_of(world, {"metarm_spread": 1.0}, hidden=0)
    torch.nn.init.normal_(module.head.weight)
    reward = module(torch.as_tensor(world.item_features))[:, 0].reshape(7, 3)
    found = terms(module, torch.Generator().manual_seed(0))
    torch.testing.assert_close(found, AUXILIARY["metarm_spread"].run(reward, None))


def test_prompts_of_several_sizes_count_by_their_lists():
    world = planted(lists=6, members=3)
    kept = np.flatnonzero((world.prompt < 4) | ((world.a % 3 == 0) & (world.b % 3 == 1)))
    columns = {n: getattr(world, n)[kept] for n in ("user", "prompt", "a", "b", "target", "weight")}
    _, terms = terms_of(replace(world, grade=None, **columns), {"metarm_spread": 1.0}, hidden=0)
    assert {tuple(lists.shape) for lists in terms.lists} == {(4, 3), (2, 2)}


def test_degrees_are_those_of_the_variants_and_0_of_what_they_were_made_from():
    world = with_degrees(planted(lists=10))
    _, terms = terms_of(world, {"degree_ce": 1.0})
    told = world.degree > 0
    rows = Rows(world, np.zeros(4, np.float32), 1.0, torch.device("cpu"))
    items = rows.items[terms.variant].numpy()
    half = int(told.sum())
    np.testing.assert_array_equal(items[:half], world.item_features[world.a[told]])
    np.testing.assert_array_equal(items[half:], world.item_features[world.b[told]])
    assert terms.degree.tolist() == [0] * half + world.degree[told].tolist()


def test_views_without_dropped_units_are_contrasted_with_themselves():
    world = planted(lists=10)
    module, terms = terms_of(
        world, {"info_nce": {"weight": 2.0, "tau": 0.5, "dropout": 1e-12, "of": "response"}}
    )
    rows = terms.rows
    hidden = module.hidden(rows.items[torch.cat([rows.a, rows.b])])
    expected = 2 * AUXILIARY["info_nce"].run(hidden, hidden, tau=0.5)
    found = terms(module, torch.Generator().manual_seed(0))
    torch.testing.assert_close(found, expected)


def test_the_tail_of_the_largest_losses_is_an_option():
    world = planted(lists=60, noise=1.0)
    whole, part = (
        fit_model("bt", world, None, reducer="cvar", tail=tail, **QUICK).report["history"][0]
        for tail in (1.0, 0.1)
    )
    mean = fit_model("bt", world, None, **QUICK).report["history"][0]
    assert whole["train_loss"] == pytest.approx(mean["train_loss"], rel=0.02)
    assert part["train_loss"] > whole["train_loss"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"info_nec": 0.1}, r"no auxiliary term 'info_nec'; did you mean \['info_nce'\]"),
        ({"info_nce": 0}, r"'info_nce': weight: expected a number in \(0, "),
        ({"info_nce": {"tau": 1}}, "'info_nce' needs a weight"),
        ({"info_nce": {"weight": 1, "tua": 1}}, r"no option 'tua'; known: \['dropout', 'of', "),
        ({"info_nce": {"weight": 1, "of": "x"}}, "of: expected one of"),
        ({"degree_ce": {"weight": 1, "tau": 1}}, "'degree_ce' has no option 'tau'"),
    ],
)
def test_wrong_terms_are_refused_before_any_work(given, message):
    with pytest.raises(ConfigError, match=message):
        RunConfig(data="x", output="y", model="bt", objective="bt_pair", auxiliary=given)
    with pytest.raises(ConfigError, match=message):
        fit_model("bt", small_world(), None, seed=0, objective="bt_pair", auxiliary=given)


def test_terms_need_an_objective_a_family_that_adds_them_and_what_they_read():
    world, fit = planted(lists=10), {"seed": 0, "objective": "bt_pair"}
    with pytest.raises(ConfigError, match="auxiliary: needs an objective, got none"):
        RunConfig(data="x", output="y", model="bt", auxiliary={"info_nce": 0.1})
    with pytest.raises(ConfigError, match="auxiliary: terms stand beside an objective"):
        fit_model("bt", world, None, seed=0, auxiliary={"info_nce": 0.1})
    with pytest.raises(ConfigError, match=r"'gpm' cannot add terms; families that can: \['bt'\]"):
        fit_model("gpm", world, None, seed=0, auxiliary={"info_nce": 0.1})
    with pytest.raises(ConfigError, match="a linear reward has none; set hidden to 1 or more"):
        fit_model("bt", world, None, auxiliary={"info_nce": 0.1}, **fit)
    with pytest.raises(InputError, match=r"'degree_ce' needs comparisons .* a column 'degree'"):
        fit_model("bt", world, None, auxiliary={"degree_ce": 0.1}, hidden=1, **fit)
    with pytest.raises(ConfigError, match="tail: is of the reducer 'cvar', got 'mean'"):
        fit_model("bt", world, None, seed=0, tail=0.1)
    with pytest.raises(ConfigError, match=r"tail: expected a number in \(0, 1\]"):
        fit_model("bt", world, None, seed=0, reducer="cvar", tail=0.0)


def test_degraded_variants_of_a_file_teach_degrees_by_name(tmp_path, capsys):
    rng = np.random.default_rng(0)
    words = ["granite", "volcanic", "crystal", "sediment", "lithoid", "basalt"]
    rows = []
    for row in range(60):
        said = rng.permutation(words)
        degree = row % 3
        better, worse = " and ".join(said), " and ".join(said[: 6 - 2 * degree])
        worse = worse if degree else " and ".join(rng.permutation(words)[:4])
        rows.append({"user": f"u{row % 6}", "prompt": f"p{row}", "response_a": better,
                     "response_b": worse, "label": 1, "degree": degree})  # fmt: skip
    source, out = tmp_path / "rows.jsonl", tmp_path / "model"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = tmp_path / "run.toml"
    run.write_text(
        f'output = "{out}"\n[data]\npath = "{source}"\nsplit = "all"\nvalid_people = 0.0\n'
        '[model]\nname = "bt"\nhidden = 1\nridge = 1.0\nsteps = 30\n[onboarding]\nquestions = 0\n'
        '[encoder]\nname = "hashing"\ndim = 16\n[objective]\nname = "bt_pair"\n'
        "[objective.auxiliary]\nmetarm_spread = 0.1\n"
    )
    code = cli(["train", str(run), "--auxiliary", "degree_ce=0.5",
                "--auxiliary", "info_nce=0.1", "--auxiliary", "info_nce.tau=0.5"])  # fmt: skip
    assert code == 0
    said = capsys.readouterr().out
    assert "objective: bt_pair, degree_ce x 0.5, info_nce x 0.1\n" in said
    card = Artifact.load(str(out)).card
    assert card["run"]["auxiliary"]["info_nce"] == {"weight": 0.1, "tau": 0.5}
    assert card["fit"]["objective"]["auxiliary"]["degree_ce"]["weight"] == 0.5
    rows[1]["degree"] = 0.5
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert cli(["train", str(run), "--auxiliary", "degree_ce=0.5"]) != 0
    assert "degrees: expected whole numbers of at least 0" in capsys.readouterr().err


def sentences(rng, count, keys):
    """Texts of key words among common ones."""
    names = [f"{a}{b}" for a in ("gran", "vol", "crys") for b in ("ite", "canic", "tal", "oid")]
    common = "the of and with near under".split()  # noqa: SIM905
    return [
        " ".join(w for key in rng.choice(names, keys, replace=False)
                 for w in (str(rng.choice(common)), str(key))).capitalize() + "."
        for _ in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_what_the_builder_of_degraded_variants_writes_is_trained_as_it_stands(
    tmp_path, capsys, ending
):
    rng = np.random.default_rng(0)
    log, labels, out = tmp_path / "log.jsonl", tmp_path / f"labels.{ending}", tmp_path / "model"
    pairs = zip(sentences(rng, 60, 8), sentences(rng, 60, 3), strict=True)
    log.write_text("".join(
        json.dumps({"user": f"u{row % 6}", "prompt": f"p{row}", "response_a": a, "response_b": b,
                    "label": 1}) + "\n" for row, (a, b) in enumerate(pairs)
    ))  # fmt: skip
    add = ["data", "add", "degraded", str(log), "-o", str(labels), "--set", "degrees=4", "--json"]
    assert cli(add) == 0
    assert json.loads(capsys.readouterr().out)["degraded"] == {"rows": 180, "counting": 180}
    train = ["train", str(labels), "-o", str(out), "--model", "bt", "--encoder", "hashing",
             "--encoder-set", "dim=32", "--objective", "bt_pair", "--split", "all",
             "--questions", "0", "--set", "hidden=1", "--set", "ridge=1", "--set", "steps=60",
             "--set", "known_items=never"]  # fmt: skip
    assert cli([*train, "--auxiliary", "degree_ce=0.5"]) == 0
    assert "objective: bt_pair, degree_ce x 0.5\n" in capsys.readouterr().out
    term = Artifact.load(str(out)).card["fit"]["objective"]["auxiliary"]["degree_ce"]
    # of degrees 0, 0, 0, 1, 2, 3 (each variant beside what it was made from) a guess costs 1.24
    assert term["loss"] < 0.6
    scorer = gustibus.load(str(out))
    falls = [
        spearmanr(scorer.score("p0", ops.degraded_variants(text, 4)), range(4)).statistic
        for text in sentences(rng, 10, 8)
    ]
    assert np.mean(falls) < -0.6
