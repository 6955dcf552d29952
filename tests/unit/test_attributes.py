"""Rewards and ratings of items from files: what they must hold, and what a run makes of them."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from gustibus.artifact import Artifact
from gustibus.cli.app import run as command
from gustibus.data import Comparisons, Dataset, read, write_folder
from gustibus.data.item_columns import ItemColumns
from gustibus.errors import ConfigError, InputError, NotFoundError
from gustibus.models.hybrid import Hybrid
from gustibus.training import RunConfig, train

QUICK = {"steps": 60, "ridges": [10.0], "gate": "constant", "known_items": "never"}
ITEMS, PEOPLE, EACH = 150, 40, 25


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A folder, and true attributes `(m, 2)`: half of the people want the first, half the second."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ITEMS, 8)).astype(np.float32)
    truth = x @ rng.standard_normal((8, 2))
    user = np.repeat(np.arange(PEOPLE), EACH)
    a = rng.integers(0, ITEMS, len(user))
    b = (a + rng.integers(1, ITEMS, len(user))) % ITEMS
    apart = (truth[a] - truth[b])[np.arange(len(user)), user % 2]
    c = Comparisons.build(
        [f"p{u:02}" for u in user], ["?"] * len(user), [f"i{i}" for i in a], [f"i{i}" for i in b],
        (rng.random(len(user)) < 1 / (1 + np.exp(-apart))).astype(float),
        item_texts={f"i{i}": f"text {i}" for i in range(ITEMS)},
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("planted") / "data"
    write_folder(Dataset(c, item_features=x, prompt_features=np.ones((1, 2), np.float32)), folder)
    return folder, truth


def table(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return str(path)


def scored(truth, *, order=None, text=False, names=("kind", "brief")):
    """Rows of a file in some order: the item and both attributes, in units of their own."""
    rows = [
        [f"text {i}" if text else f"i{i}", 100 + 7 * truth[i, 0], 0.01 * truth[i, 1]]
        for i in (range(ITEMS) if order is None else order)
    ]
    return [["text" if text else "item_id", *names], *rows]


def run(folder, output, **more):
    given = {"model": "pro", "model_options": QUICK, "split": "all", "questions": 0}
    return RunConfig(data=str(folder), output=str(output), **given | more)


def arrays(artifact):
    return artifact.model.save()[1]


def test_planted_attributes_are_recovered_and_people_are_told_apart_by_them(planted, tmp_path):
    folder, truth = planted
    path = table(tmp_path / "r.csv", scored(truth))
    artifact = train(run(folder, tmp_path / "m", rewards=path))
    model, fit = artifact.model, artifact.card["fit"]
    assert model.names == ("kind", "brief")
    assert min(fit["foretold"].values()) > 0.99
    found = model.rewards(read(folder).item_features)  # of items, whether or not anybody met them
    for k in range(2):
        assert np.corrcoef(found[:, k], truth[:, k])[0, 1] > 0.99
    for code, name in enumerate(("p00", "p01")):
        mean = artifact.people.find(name).mean
        assert model.personal_weights(mean, None)[0].argmax() == code


def test_the_order_of_the_rows_and_what_names_the_item_change_no_bit(planted, tmp_path):
    folder, truth = planted
    shuffled = np.random.default_rng(1).permutation(ITEMS)
    more = [["i999", 5, 5]]  # that nobody compared
    paths = {
        "a": table(tmp_path / "a.csv", scored(truth)),
        "b": table(tmp_path / "b.csv", scored(truth, order=shuffled) + more),
        "c": table(tmp_path / "c.csv", scored(truth, order=shuffled, text=True)),
    }
    models = [train(run(folder, tmp_path / n, rewards=p)) for n, p in paths.items()]
    for other in models[1:]:
        for name, array in arrays(models[0]).items():
            np.testing.assert_array_equal(array, arrays(other)[name], err_msg=name)


def test_a_model_of_rewards_comes_back_bit_for_bit_and_needs_features_alone(planted, tmp_path):
    folder, truth = planted
    path = table(tmp_path / "r.csv", scored(truth))
    made = train(run(folder, tmp_path / "m", rewards=path))
    (tmp_path / "r.csv").unlink()
    kept = Artifact.load(tmp_path / "m")
    assert arrays(made).keys() == arrays(kept).keys()
    for name, array in arrays(made).items():
        np.testing.assert_array_equal(array, arrays(kept)[name], err_msg=name)
    assert kept.model.names == made.model.names
    assert kept.card["run"]["rewards"] == path
    new = np.random.default_rng(2).standard_normal((5, 8)).astype(np.float32)
    np.testing.assert_array_equal(kept.model.represent(new), made.model.represent(new))


def test_ratings_may_have_gaps_and_stand_beside_rewards(planted, tmp_path):
    folder, truth = planted
    rows = scored(truth, names=("kind", "brief"))
    rewards = table(tmp_path / "r.csv", [[row[0], row[1]] for row in rows])
    gaps = [[row[0], "" if k % 3 == 0 and k else row[2]] for k, row in enumerate(rows)]
    ratings = table(tmp_path / "s.csv", gaps)
    with pytest.raises(
        InputError, match=r"s\.csv:4: column 'brief': expected a finite number, got ''"
    ):
        train(run(folder, tmp_path / "m", rewards=ratings))
    model = train(run(folder, tmp_path / "m", rewards=rewards, ratings=ratings)).model
    found = model.rewards(read(folder).item_features)
    assert model.names == ("kind", "brief")
    for k in range(2):
        assert np.corrcoef(found[:, k], truth[:, k])[0, 1] > 0.99
    both = run(folder, tmp_path / "n", rewards=rewards, ratings=rewards)
    with pytest.raises(
        ConfigError, match=r"ratings: expected other columns .* got \['kind'\] in both"
    ):
        train(both)


def test_names_choose_columns_in_their_order(planted, tmp_path):
    folder, truth = planted
    rows = [[*row, "a remark" if k else "remark"] for k, row in enumerate(scored(truth))]
    path = table(tmp_path / "r.csv", rows)
    with pytest.raises(InputError, match=r"r\.csv:2: column 'remark': expected a finite number"):
        train(run(folder, tmp_path / "m", rewards=path))
    options = {**QUICK, "names": "brief, kind"}
    model = train(run(folder, tmp_path / "m", rewards=path, model_options=options)).model
    assert model.names == ("brief", "kind")
    assert np.corrcoef(model.rewards(read(folder).item_features)[:, 1], truth[:, 0])[0, 1] > 0.99
    options["names"] = 5
    with pytest.raises(ConfigError, match="names: expected names of columns, got 5"):
        train(run(folder, tmp_path / "m", rewards=path, model_options=options))
    options["names"] = ["kindd"]
    with pytest.raises(InputError, match=r"r\.csv: no column 'kindd'; did you mean 'kind'\?"):
        train(run(folder, tmp_path / "m", rewards=path, model_options=options))


def test_heads_do_not_see_numbers_of_items_that_only_held_out_people_compared(planted, tmp_path):
    folder, truth = planted
    options = {"split": "four_cells", "new_prompts": 0.3, "valid_people": 0.1}
    path = table(tmp_path / "r.csv", scored(truth))
    config = run(folder, tmp_path / "m", rewards=path, **options)
    made = train(config)
    dataset = read(folder)
    from gustibus.training.run import make_split

    split, c = make_split(dataset, config), dataset.comparisons
    rows = np.concatenate([split["train"], split["valid_people"]])
    seen = np.unique(np.concatenate([c.a[rows], c.b[rows]]))
    assert len(seen) < ITEMS
    wild = np.array(scored(truth), dtype=object)
    unseen = np.setdiff1d(np.arange(ITEMS), [int(c.item_ids[i][1:]) for i in seen])
    wild[1 + unseen, 1:] = 1e6
    other = train(run(folder, tmp_path / "n", rewards=table(tmp_path / "w.csv", wild), **options))
    for name, array in arrays(made).items():
        np.testing.assert_array_equal(array, arrays(other)[name], err_msg=name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[:-1], r"r\.csv: no row for 1 of 150 items that were compared, such as 'i149'"),
        (lambda rows: [*rows, rows[3]], r"r\.csv:152: column 'item_id': expected an id that no earlier"),
        (lambda rows: [*rows[:5], ["i4", "high", 1], *rows[6:]], r"r\.csv:6: column 'kind'.* got 'high'"),
        (lambda rows: [*rows[:5], ["i4", 1, "inf"], *rows[6:]], r"r\.csv:6: column 'brief'.* got 'inf'"),
        (lambda rows: [*rows[:5], ["i4", 1, "nan"], *rows[6:]], r"r\.csv:6: column 'brief'.* got 'nan'"),
        (lambda rows: [["thing", *rows[0][1:]], *rows[1:]], r"expected a column 'item_id' or 'item' or"),
        (lambda rows: [rows[0], *([*row[:2], 4] for row in rows[1:])], "'brief' says the same of all"),
        (lambda rows: [row[:1] for row in rows], r"expected a column of numbers beside 'item_id'"),
    ],
    ids=["lacking", "twice", "no number", "infinite", "nan", "no item", "constant", "no column"],
)  # fmt: skip
@pytest.mark.parametrize("field", ["rewards", "ratings"])
def test_files_that_are_wrong_are_named_with_row_and_column(
    planted, tmp_path, change, message, field
):
    folder, truth = planted
    path = table(tmp_path / "r.csv", change(scored(truth)))
    with pytest.raises(InputError, match=message):
        train(run(folder, tmp_path / "m", **{field: path}))
    assert not (tmp_path / "m").exists()


def test_parquet_gives_what_text_gives(planted, tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    folder, truth = planted
    header, *rows = scored(truth)
    columns = dict(zip(header, map(list, zip(*rows, strict=True)), strict=True))
    columns["brief"][3] = None
    parquet.write_table(pa.table(columns), tmp_path / "r.parquet")
    c = read(folder).comparisons
    plain = ItemColumns.read(table(tmp_path / "r.csv", [header, *rows]))
    found = ItemColumns.read(tmp_path / "r.parquet").of(c, ("brief", "kind"), gaps=True)
    assert np.isnan(found).sum() == 1
    same = plain.of(c, ("brief", "kind"), gaps=True)
    where = ~np.isnan(found)
    np.testing.assert_array_equal(found[where], same[where])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": "bt", "rewards": "r.csv"}, "rewards: need the model 'pro', which weighs them, got 'bt'"),
        ({"model": "auto", "ratings": "r.csv"}, "ratings: need the model 'pro', .* got 'auto'"),
        ({"rewards": 3}, "rewards: expected a path, got 3"),
        ({"model_options": {"ratings": np.ones((2, 2))}}, "ratings: expected lists .* got an array"),
        ({"rewards": "r.csv", "model_options": {"columns": [0]}}, "columns: rewards come from a file"),
        ({"rewards": "r.csv", "model_options": {"rewards": "experts"}}, "rewards='experts': rewards"),
    ],
)  # fmt: skip
def test_runs_that_make_no_sense_are_refused_before_any_work(tmp_path, given, message):
    with pytest.raises(ConfigError, match=message):
        RunConfig(**{"data": "nowhere", "output": str(tmp_path / "m"), "model": "pro", **given})


def test_a_file_that_is_not_there_is_named_before_texts_are_encoded(tmp_path):
    with pytest.raises(NotFoundError, match=r"none\.csv: no such file"):
        train(run(tmp_path / "nowhere", tmp_path / "m", rewards=str(tmp_path / "none.csv")))


def test_known_items_keep_their_own_coordinates_beside_rewards(planted, tmp_path):
    folder, truth = planted
    path = table(tmp_path / "r.csv", scored(truth))
    options = {**QUICK, "known_items": "always"}
    config = run(folder, tmp_path / "m", rewards=path, model_options=options)
    artifact = train(replace(config, valid_people=0.2))
    assert isinstance(artifact.model, Hybrid)
    assert artifact.model.inner.names == ("kind", "brief")


def test_the_command_and_the_run_file_take_them_and_tell_how_well_they_are_foretold(
    planted, tmp_path, capsys
):
    folder, truth = planted
    path = table(tmp_path / "r.csv", scored(truth))
    settings = [f"--set={name}={value}" for name, value in QUICK.items() if name != "ridges"]
    given = ["train", str(folder), "-o", str(tmp_path / "m"), "--model", "pro", "--split", "all"]
    assert command([*given, "--rewards", path, "--questions", "0", *settings]) == 0
    told = capsys.readouterr().out
    assert "rewards, and how well features foretell them: kind 1.00, brief 1.00" in told
    file = tmp_path / "run.toml"
    file.write_text(
        f'output = "{tmp_path / "n"}"\n[data]\npath = "{folder}"\nratings = "{path}"\n'
        '[model]\nname = "pro"\n'
    )
    config = RunConfig.read(file, rewards="other.csv")
    assert (config.ratings, config.rewards, config.model) == (path, "other.csv", "pro")
