"""Every objective trains the families that take one, by its name in a run file; others refuse it."""

from __future__ import annotations

import numpy as np
import pytest

from gustibus import load
from gustibus.data import Dataset, write_folder
from gustibus.data.comparisons import Comparisons
from gustibus.errors import ConfigError
from gustibus.models import MODELS
from gustibus.models.hybrid import fit_model
from gustibus.objectives import AUXILIARY, LISTWISE, PAIRWISE
from gustibus.objectives.choice import ELSEWHERE
from gustibus.policy import POLICY
from gustibus.training import RunConfig, train
from tests.conftest import small_world

TAKES = {"bt": [*PAIRWISE, *LISTWISE], "pal": [*PAIRWISE]}
OPTIONS = {
    "bt": "ridge = 1.0\nsteps = 200\n",
    "pal": "prototypes = 1\nepochs = 3\nridge = 1.0\nequalise = 0.0\n",
}
REFUSE = sorted({"auto", *MODELS} - set(TAKES))
OBJECTIVES = [*PAIRWISE, *LISTWISE]
ITEMS = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six people who all rank twelve lists of five items by the first of two features."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((ITEMS, 2)).astype(np.float32)
    rows = []
    for prompt in range(12):
        shown = rng.choice(ITEMS, 5, replace=False)
        rows += [
            (f"u{user}", f"p{prompt}", f"i{a}", f"i{b}", float(features[a, 0] > features[b, 0]))
            for user in range(6)
            for k, a in enumerate(shown)
            for b in shown[k + 1 :]
        ]
    c = Comparisons.build(*zip(*rows, strict=True))
    ordered = features[[int(name[1:]) for name in c.item_texts]]
    path = tmp_path_factory.mktemp("lists")
    write_folder(Dataset(c, item_features=ordered), path / "data")
    return path


def run_file(folder, family, objective):
    name = f"{family}-{objective}"
    path = folder / f"{name}.toml"
    path.write_text(
        f'output = "{folder / name}"\n[data]\npath = "{folder / "data"}"\nsplit = "all"\n'
        f'valid_people = 0.0\n[model]\nname = "{family}"\nknown_items = "never"\n{OPTIONS[family]}'
        f'[onboarding]\nquestions = 0\n[objective]\nname = "{objective}"\n'
    )
    return path


@pytest.mark.parametrize(("family", "objective"), [(f, o) for f in TAKES for o in TAKES[f]])
def test_an_objective_trains_a_family_by_its_name(folder, family, objective):
    artifact = train(RunConfig.read(run_file(folder, family, objective)))
    assert artifact.card["run"]["objective"] == objective
    assert artifact.card["fit"]["objective"]["name"] == objective
    model = load(str(folder / f"{family}-{objective}")).artifact.model
    new = np.random.default_rng(9).standard_normal((200, 2)).astype(np.float32)
    everybody = np.ones(model.user_dim)  # none for `bt`, one prototype for `pal`
    reward = model.utility(everybody, model.represent(new))
    assert np.corrcoef(reward, new[:, 0])[0, 1] > 0.9


@pytest.mark.parametrize("objective", LISTWISE)
def test_lists_are_refused_where_pairs_alone_are_taken(objective):
    with pytest.raises(ConfigError, match=f"'pal' takes pairwise objectives, '{objective}' takes"):
        RunConfig(data="x", output="y", model="pal", objective=objective)


@pytest.mark.parametrize("family", REFUSE)
def test_a_family_with_its_own_likelihood_refuses_every_objective(family):
    for objective in OBJECTIVES:
        message = rf"'{family}' cannot be trained with '{objective}'; .*{sorted(TAKES)}".replace(
            "[", r"\["
        )
        with pytest.raises(ConfigError, match=message):
            RunConfig(data="x", output="y", model=family, objective=objective)
        if family != "auto":  # a choice among families, made before any is fitted
            with pytest.raises(ConfigError, match=message):
                fit_model(family, small_world(), None, seed=0, objective=objective)


@pytest.mark.parametrize("family", sorted(set(MODELS) - {"bt"}))
def test_a_family_without_a_network_of_its_own_refuses_every_term(family):
    for term in AUXILIARY:
        with pytest.raises(ConfigError, match=rf"'{family}' cannot add terms; .* can: \['bt'\]"):
            fit_model(family, small_world(), None, seed=0, auxiliary={term: 0.1})


@pytest.mark.parametrize("family", sorted(TAKES))
@pytest.mark.parametrize("name", sorted(ELSEWHERE))
def test_what_is_no_objective_of_a_reward_says_where_it_is_found(family, name):
    with pytest.raises(ConfigError, match=f"objective: '{name}' trains no reward: "):
        RunConfig(data="x", output="y", model=family, objective=name)


def test_policy_objectives_that_are_no_rows_are_all_told_apart():
    assert set(POLICY) - set(PAIRWISE) | set(AUXILIARY) | {"soft_bt", "cream_pair"} == set(
        ELSEWHERE
    )
