"""Training by the name of an objective: what is learned, what is saved, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kendalltau

from gustibus.artifact import Artifact
from gustibus.cli.app import run as cli
from gustibus.data import Dataset, write_folder
from gustibus.data.comparisons import Comparisons
from gustibus.errors import ConfigError, InputError
from gustibus.models import MODELS
from gustibus.models.base import TrainingSet
from gustibus.models.hybrid import fit_model
from gustibus.models.lists import ranked_lists
from gustibus.models.validation import everybody, part
from gustibus.objectives import LISTWISE, PAIRWISE, REDUCERS
from gustibus.training import RunConfig, train
from tests.conftest import small_world

TASTE = np.array([1.5, -1.0, 0.5, 0.0], np.float32)


def planted(seed=0, *, lists=120, members=5, noise=0.0, flips=0.0):
    """Ranked lists of items with one linear reward, as all pairs of each list, one list a prompt."""
    rng = np.random.default_rng(seed)
    items = rng.standard_normal((lists * members, 4)).astype(np.float32)
    score = items @ TASTE + noise * rng.logistic(size=len(items))
    x, y = np.triu_indices(members, 1)
    a = (np.arange(lists)[:, None] * members + x).ravel().astype(np.int32)
    b = (np.arange(lists)[:, None] * members + y).ravel().astype(np.int32)
    target = (score[a] > score[b]) ^ (rng.random(len(a)) < flips)
    of = np.repeat(np.arange(lists), len(x)).astype(np.int32)
    grade = 1 / (1 + np.exp(-score))
    return TrainingSet(
        user=of % 10, prompt=of, a=a, b=b, target=target.astype(np.float32),
        weight=np.full(len(a), 2 / members, np.float32), item_features=items, prompt_features=None,
        people=10, grade=np.stack([grade[a], grade[b]], 1).astype(np.float32),
    )  # fmt: skip


def tau(model, count=400):
    """Kendall's tau of the rewards of new items with the planted ones."""
    items = np.random.default_rng(99).standard_normal((count, 4)).astype(np.float32)
    return kendalltau(model.represent(items)[:, 0], items @ TASTE).statistic


class TestLearning:
    @pytest.mark.parametrize("objective", [*PAIRWISE, *LISTWISE])
    def test_every_objective_recovers_the_planted_ranking(self, objective):
        options = {"eps": 0.01} if objective == "rdpo" else {}
        model, report = fit_model(
            "bt", planted(), None, seed=0, ridge=1.0, steps=150, objective=objective,
            objective_options=options,
        )  # fmt: skip
        assert tau(model) >= 0.9
        assert report["objective"]["name"] == objective

    @pytest.mark.parametrize("reducer", list(REDUCERS))
    def test_every_reducer_recovers_the_planted_ranking(self, reducer):
        model, _ = fit_model(
            "bt", planted(lists=60), None, seed=0, ridge=1.0, steps=80, reducer=reducer
        )
        assert tau(model) >= 0.9

    def test_the_logistic_row_learns_what_the_default_learns(self):
        world = small_world(0)
        plain = fit_model("bt", world, None, seed=0).model
        named = fit_model("bt", world, None, seed=0, objective="bt_pair").model
        items = world.item_features
        np.testing.assert_allclose(named.represent(items), plain.represent(items), atol=1e-4)

    @pytest.mark.parametrize("objective", ["hinge", "ipo", "lipo_lambda"])
    def test_margins_are_log_odds_whatever_the_objective(self, objective):
        world = planted(lists=400, noise=1.0)
        model, report = fit_model(
            "bt", world, None, seed=0, ridge=1.0, steps=100, objective=objective
        )
        plain = fit_model("bt", world, None, seed=0, ridge=1.0).model
        items = world.item_features
        rewards = [m.represent(items)[:, 0] for m in (model, plain)]
        slope = np.polyfit(rewards[1], rewards[0], 1)[0]
        assert slope == pytest.approx(1, abs=0.12)
        assert report["objective"]["unit"] != 1

    def test_a_network_can_be_trained_too(self):
        model, _ = fit_model(
            "bt",
            planted(lists=80),
            None,
            seed=0,
            ridge=1.0,
            hidden=1,
            steps=100,
            objective="list_mle",
        )
        assert tau(model) >= 0.85

    def test_validation_people_choose_the_ridge_by_the_objective(self):
        world = planted(lists=60, noise=1.0)
        people = np.arange(10)
        _, report = fit_model(
            "bt", part(world, people[:7]), part(world, people[7:]), seed=0, objective="list_mle",
            known_items="never", steps=40,
        )  # fmt: skip
        losses = {row["ridge"]: row["valid_loss"] for row in report["history"]}
        assert report["ridge"] == min(losses, key=losses.get)
        assert np.isfinite(report["held_out_loss"])

    def test_flipped_labels_do_not_shrink_rewards_under_the_robust_loss(self):
        clean, noisy = planted(lists=400, noise=1.0), planted(lists=400, noise=1.0, flips=0.3)
        fit = {"seed": 0, "ridge": 1.0}
        truth = fit_model("bt", clean, None, **fit).model
        plain = fit_model("bt", noisy, None, **fit).model
        robust = fit_model(
            "bt", noisy, None, objective="rdpo", objective_options={"eps": 0.3}, **fit
        ).model
        size = [np.linalg.norm(m.network.weights[0]) for m in (truth, plain, robust)]
        assert size[1] < 0.5 * size[0]
        assert 0.7 < size[2] / size[0] < 1.8

    def test_margins_move_strong_pairs_apart(self):
        world = planted(noise=1.0)
        strong = replace(world, margin=np.full(len(world), 2.0, np.float32))
        plain, wide = (
            fit_model("bt", data, None, seed=0, ridge=10.0, objective="hinge")
            for data in (world, strong)
        )
        assert wide.report["objective"]["unit"] < 0.6 * plain.report["objective"]["unit"]


class TestLists:
    def one(self, target, grade=None, weight=None):
        a, b = np.array([0, 0, 1], np.int32), np.array([1, 2, 2], np.int32)
        return TrainingSet(
            user=np.zeros(3, np.int32), prompt=np.zeros(3, np.int32), a=a, b=b,
            target=np.asarray(target, np.float32),
            weight=np.ones(3, np.float32) if weight is None else np.asarray(weight, np.float32),
            item_features=np.eye(3, dtype=np.float32), prompt_features=None, people=1, grade=grade,
        )  # fmt: skip

    def labels(self, lists):
        return dict(zip(lists.item[lists.mask], lists.grade[lists.mask], strict=True))

    def test_labels_are_mean_chances_to_win(self):
        found = self.labels(ranked_lists(self.one([1, 1, 0.5])))
        assert found == pytest.approx({0: 2.5 / 3, 1: 1 / 3, 2: 1 / 3})

    def test_pairs_never_compared_count_one_half(self):
        found = self.labels(ranked_lists(self.one([1, 1, 0.5], weight=[1, 1, 0])))
        assert found == pytest.approx({0: 2.5 / 3, 1: 1 / 3, 2: 1 / 3})

    def test_repeated_pairs_count_by_their_mean(self):
        once = self.one([1, 1, 0.5])
        turned = replace(once, a=once.b, b=once.a, target=1 - once.target)
        twice = everybody(once, turned)
        twice = replace(twice, user=np.zeros(6, np.int32), people=1)
        assert self.labels(ranked_lists(twice)) == pytest.approx(self.labels(ranked_lists(once)))

    def test_grades_win_over_answers(self):
        grade = np.array([[0.9, 0.2], [0.9, 0.4], [0.2, 0.4]], np.float32)
        found = self.labels(ranked_lists(self.one([0, 0, 0], grade)))
        assert found == pytest.approx({0: 0.9, 1: 0.2, 2: 0.4})

    def test_lists_are_by_person_and_prompt(self):
        world = small_world(0)
        lists = ranked_lists(world)
        keys = {(u, q) for u, q in zip(world.user, world.prompt, strict=True)}
        assert len(lists.item) == len(keys)
        for row in range(len(lists.item)):
            same = (world.user == world.user[lists.row[row]]) & (
                world.prompt == world.prompt[lists.row[row]]
            )
            expected = set(world.a[same]) | set(world.b[same])
            assert set(lists.item[row][lists.mask[row]]) == expected

    def test_long_lists_are_cut_and_nobody_is_lost(self):
        world = replace(small_world(0), prompt=np.zeros(1200, np.int32))
        lists = ranked_lists(world, longest=8)
        sizes = lists.mask.sum(1)
        assert sizes.max() <= 8
        assert sizes.min() >= 4
        whole = ranked_lists(world, longest=10_000)
        assert lists.mask.sum() == whole.mask.sum()
        assert set(lists.item[lists.mask]) == set(whole.item[whole.mask])

    def test_a_ranked_list_weighs_one(self):
        np.testing.assert_allclose(ranked_lists(planted()).weight, 1, rtol=1e-6)


class TestRefusals:
    @pytest.mark.parametrize(
        ("family", "objective", "options", "message"),
        [
            (
                "hierarchical",
                "rdpo",
                {},
                r"'hierarchical' cannot be trained with 'rdpo'; .*\['bt', 'pal'\]",
            ),
            (
                "pro",
                "rdpo",
                {},
                r"families that can: \['bt', 'pal'\]; 'pro' knows \['likelihood', ",
            ),
            ("auto", "rdpo", {}, r"'auto' cannot be trained with 'rdpo'; families that can"),
            ("bt", "rdop", {}, r"no objective 'rdop'; did you mean .*'rdpo'"),
            ("bt", "rdpo", {"epsilon": 0.1}, r"'rdpo' has no option 'epsilon'; known: \['eps'\]"),
            ("bt", "rdpo", {"eps": 0.5}, r"eps: expected a number in \[0, 0.5\), got 0.5"),
            ("bt", "ranklist", {"form": "x"}, "form: expected one of"),
        ],
    )
    def test_wrong_objectives_are_refused_before_any_work(
        self, family, objective, options, message
    ):
        with pytest.raises(ConfigError, match=message):
            RunConfig(
                data="nowhere.parquet", output="x", model=family, objective=objective,
                objective_options=options,
            )  # fmt: skip
        if family != "auto":
            with pytest.raises(ConfigError, match=message):
                fit_model(
                    family, small_world(), None, seed=0, objective=objective,
                    objective_options=options,
                )  # fmt: skip

    def test_options_and_margins_need_an_objective(self):
        for given in ({"objective_options": {"eps": 0.1}}, {"margins": "strength"}):
            with pytest.raises(ConfigError, match="needs an objective, got none"):
                RunConfig(data="x", output="y", model="bt", **given)
        with pytest.raises(ConfigError, match="margins: a pairwise objective keeps them"):
            RunConfig(data="x", output="y", model="bt", objective="list_mle", margins="gap")
        with pytest.raises(ConfigError, match="objective_options: needs an objective"):
            fit_model("bt", small_world(), None, seed=0, objective_options={"eps": 0.1})

    def test_objectives_of_a_family_stay_its_own(self):
        RunConfig(data="x", output="y", model="pro", objective="target")
        model, _ = fit_model(
            "pro", small_world(), None, seed=0, objective="target", columns=[0, 1], steps=5,
            known_items="never",
        )  # fmt: skip
        assert model.family == "pro"

    def test_unknown_reducers_are_refused(self):
        with pytest.raises(ConfigError, match=r"reducer: expected one of .*'cvar'"):
            MODELS["bt"].run.fit(small_world(), None, seed=0, reducer="median")


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    """Comparisons of texts whose length is the taste, 20 % of them flipped, with a margin column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    texts = [" ".join(["word"] * n) + f" number {n}." for n in range(2, 42)]
    rows = []
    for row in range(1500):
        x, y = rng.choice(len(texts), 2, replace=False)
        longer = (x > y) ^ (rng.random() < 0.2)
        rows.append({
            "user": f"u{row % 30}", "prompt": f"p{row % 20}", "response_a": texts[x],
            "response_b": texts[y], "label": int(longer), "strength": 0.1 * abs(int(x) - int(y)),
        })  # fmt: skip
    path = tmp_path_factory.mktemp("noisy") / "noisy.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_a_noisy_file_is_trained_by_name_and_the_model_says_so(noisy, tmp_path, capsys):
    code = cli([
        "train", str(noisy), "-o", str(tmp_path / "model"), "--model", "bt", "--encoder", "hashing",
        "--encoder-set", "dim=64", "--objective", "rdpo", "--objective-set", "eps=0.2",
        "--questions", "0", "--set", "known_items=never",
    ])  # fmt: skip
    assert code == 0
    assert "objective: rdpo (eps 0.2)\n" in capsys.readouterr().out
    artifact = Artifact.load(str(tmp_path / "model"))
    assert artifact.card["run"]["objective"] == "rdpo"
    assert artifact.card["run"]["objective_options"] == {"eps": 0.2}
    assert artifact.card["fit"]["objective"]["name"] == "rdpo"
    assert "objective `rdpo`" in (tmp_path / "model" / "README.md").read_text()
    assert cli(["eval", str(noisy), "--model", str(tmp_path / "model")]) == 0


def test_a_run_file_names_objective_options_and_margins(noisy, tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(
        f'output = "{tmp_path / "model"}"\n[data]\npath = "{noisy}"\nmargins = "strength"\n'
        '[model]\nname = "bt"\nridge = 10.0\nknown_items = "never"\n'
        '[encoder]\nname = "hashing"\ndim = 64\n[onboarding]\nquestions = 0\n'
        '[objective]\nname = "bt_pair"\nlabel_smoothing = 0.1\n'
    )
    config = RunConfig.read(path)
    assert config.objective == "bt_pair"
    assert config.objective_options == {"label_smoothing": 0.1}
    report = train(config).card["fit"]
    assert report["objective"]["options"] == {"label_smoothing": 0.1}
    assert report["objective"]["unit"] != 1  # margins move the scale, which is put right


def test_margins_go_with_the_margin_loss_of_gpm_and_with_no_other(noisy, tmp_path):
    given = [
        "train", str(noisy), "--model", "gpm", "--encoder", "hashing", "--encoder-set", "dim=16",
        "--questions", "0", "--set", "known_items=never", "--set", "personal=false",
        "--set", "steps=30", "--set", "ridges=[10.0]", "--set", "head=gpm", "--set", "gate=none",
    ]  # fmt: skip
    blocks = []
    for name, more in (("with", ["--margins", "strength"]), ("without", [])):
        out = str(tmp_path / name)
        assert cli([*given, "--set", "loss=margin", "-o", out, *more]) == 0
        artifact = Artifact.load(out)
        assert artifact.card["run"]["margins"] == ("strength" if more else "")
        blocks.append(artifact.model.blocks)
    assert np.abs(blocks[0] - blocks[1]).max() > 1e-3
    run = {"data": "x", "output": "y", "margins": "strength"}
    for loss, got in (({}, "the default"), ({"loss": "soft"}, "'soft'")):
        message = f"margins: 'gpm' keeps them with loss = 'margin', got {got}"
        with pytest.raises(ConfigError, match=message) as caught:
            RunConfig(**run, model="gpm", model_options=loss)
        assert caught.value.where == "data.margins"
    for model in ("auto", "hierarchical"):
        with pytest.raises(ConfigError, match="margins: needs an objective, got none"):
            RunConfig(**run, model=model, model_options={"loss": "margin"})


def test_a_column_of_margins_must_be_there_and_hold_numbers(noisy, tmp_path):
    run = {"data": str(noisy), "output": str(tmp_path / "x"), "model": "bt", "objective": "hinge",
           "encoder": "hashing", "encoder_options": {"dim": 16}}  # fmt: skip
    with pytest.raises(InputError, match="margins: the comparisons have no further column 'gap'"):
        train(RunConfig(**run, margins="gap"))
    c = Comparisons.build(["u", "v"], ["p", "p"], ["x", "y"], ["y", "x"], [1, 0])
    features = np.eye(2, dtype=np.float32)
    data = Dataset(c, item_features=features, row_table={"gap": np.array(["far", "1"], object)})
    write_folder(data, tmp_path / "data")
    run |= {
        "data": str(tmp_path / "data"),
        "encoder": "auto",
        "encoder_options": {},
        "split": "all",
    }
    with pytest.raises(InputError, match="margins: expected finite numbers in column 'gap'"):
        train(RunConfig(**run, margins="gap"))


def test_ranked_lists_are_trained_by_a_listwise_objective(tmp_path, capsys):
    rng = np.random.default_rng(1)
    texts = [" ".join(["word"] * n) + f" number {n}." for n in range(2, 42)]
    lines = []
    for row in range(200):
        chosen = rng.choice(len(texts), 5, replace=False)
        ranks = (5 - np.argsort(np.argsort(chosen))).tolist()  # the longest is the best
        lines.append({"user": f"u{row % 20}", "prompt": f"p{row}",
                      "responses": [texts[i] for i in chosen], "ranks": ranks})  # fmt: skip
    path = tmp_path / "rankings.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    code = cli([
        "train", str(path), "-o", str(tmp_path / "model"), "--model", "bt", "--encoder", "hashing",
        "--encoder-set", "dim=64", "--objective", "lipo_lambda", "--questions", "0",
        "--split", "all", "--set", "known_items=never", "--set", "ridge=10", "--set", "steps=150",
    ])  # fmt: skip
    assert code == 0
    assert "objective: lipo_lambda, 200 lists\n" in capsys.readouterr().out
    artifact = Artifact.load(str(tmp_path / "model"))
    from gustibus.scoring import Scorer

    scored = Scorer(artifact).score("p0", [texts[i] for i in (0, 8, 20, 38)])
    assert kendalltau(scored, range(4)).statistic == 1
