"""Every family keeps the laws of the protocol; a new row of the table is tested by being there."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gustibus.artifact import Artifact, People
from gustibus.errors import (
    ConfigError,
    DimensionError,
    GustibusError,
    InputError,
    NotFiniteError,
    UnknownNameError,
)
from gustibus.models import MODELS, PreferenceModel
from gustibus.models.automatic import fit_any
from gustibus.models.automatic_options import auto_options
from gustibus.models.base import Fitted, TrainingSet
from gustibus.models.fingerprint import fingerprint
from gustibus.models.gpm_options import gpm_options
from gustibus.models.hybrid import fit_model, load_model
from gustibus.models.keywords import option_names
from gustibus.models.pro_options import pro_options
from gustibus.posterior import Posterior
from gustibus.scoring import Scorer
from tests.conftest import small_world
from tests.laws.option_readers import READERS

GPM = {"steps": 30, "ridges": [10.0], "transitive": {"basis": "features", "folds": 1}}
VPL = {"latent": 4, "hidden": 8, "steps": 40}
HIERARCHICAL = {"basis": "features", "folds": 1}
BLENDED = {"family": "hierarchical", "basis": "features", "groups": 2}
PPD = {"steps": 40, "decays": [0.01], "width": 16, "dim": 8, "ranks": [4], "spreads": [1.5]}
VARIANTS = {
    "bt": {},
    "bt-deep": {"hidden": 1},
    "hierarchical": {"ridges": [10.0], "equalise": [0.5], "rounds": 3},
    "hierarchical-features": {"basis": "features"},
    "hierarchical-groups": {"basis": "features", "groups": 2},
    "pal": {"prototypes": 3, "epochs": 3},
    "pal-dirichlet": {"prototypes": 3, "epochs": 3, "population": "dirichlet"},
    "pal-one": {"prototypes": 1, "epochs": 2},
    "pal-dist": {"prototypes": 2, "epochs": 2, "form": "dist", "loss": "hinge"},
    "pal-normalised": {"prototypes": 2, "epochs": 2, "form": "dist_normalization", "layers": 1},
    "pal-angle": {"prototypes": 2, "epochs": 2, "form": "angle", "point": "f(Pw)", "layers": 2},
    "pal-norm": {"prototypes": 2, "epochs": 2, "form": "norm", "layers": 1, "batch_norm": True},
    "pal-dist-logistic": {"prototypes": 2, "epochs": 2, "form": "dist_logistic"},
    "pal-unit-points": {"prototypes": 2, "epochs": 2, "point": "|f(P)|w", "layers": 1},
    "pal-projected-points": {"prototypes": 2, "epochs": 2, "point": "f(P)w", "layers": 1},
    "pal-bilinear": {"prototypes": 2, "epochs": 2, "form": "bilinear"},
    "pal-b": {"variant": "b", "prototypes": 2, "epochs": 2, "layers": 1},
    "pal-b-bilinear": {"variant": "b", "prototypes": 2, "epochs": 2, "form": "bilinear"},
    "pal-gumbel": {"prototypes": 2, "epochs": 2, "mixing": "gumbel"},
    "pal-partition": {
        "prototypes": 2,
        "epochs": 2,
        "mixing": "partition",
        "population": "dirichlet",
    },
    "pal-published": {"prototypes": 2, "recipe": "published", "bound": 1.0},
    "lore": {"rank": 3, "ridges": [10.0], "steps": 10},
    "lore-one": {"rank": 1, "ridges": [10.0], "steps": 10},
    "lore-gaussian": {"rank": 3, "ridges": [10.0], "steps": 10, "weights": "gaussian"},
    "lore-published": {"rank": 2, "recipe": "published", "steps": 20, "onboarding_steps": 20},
    "bt-known": {"known_items": "always"},
    "hierarchical-known": {
        "known_items": "always",
        "ridges": [10.0],
        "equalise": [0.5],
        "rounds": 3,
    },
    "lore-known": {"known_items": "always", "rank": 3, "ridges": [10.0], "steps": 10},
    "pal-known": {"known_items": "always", "prototypes": 3, "epochs": 3},
    "pal-dist-known": {
        "known_items": "always",
        "prototypes": 2,
        "epochs": 2,
        "form": "dist",
        "layers": 1,
    },
    "gpm": {**GPM, "optional": False, "gate": "none"},
    "gpm-gated": {**GPM, "gate": "softmax"},
    "gpm-blocks": {**GPM, "head": "gpm", "unit_norm": True, "gate": "softplus"},
    "gpm-pooled": {"personal": False, "optional": False, "steps": 30, "ridges": [10.0]},
    "gpm-without-blocks": {**GPM, "gate": "none", "ridges": [1e9]},
    "gpm-groups": {**GPM, "optional": False, "transitive": {"basis": "features", "groups": 2}},
    "gpm-regression": {**GPM, "optional": False, "loss": "regression"},
    "gpm-margin": {**GPM, "optional": False, "loss": "margin", "gate": "softmax_root"},
    "gpm-known": {**GPM, "known_items": "always", "optional": False},
    "pro": {"experts": 4, "steps": 30, "ridges": [10.0], "gate": "prompt"},
    "pro-columns": {"columns": [0, 1, 2], "steps": 30, "ridges": [10.0]},
    "pro-target": {"columns": [0, 5], "steps": 30, "gate": "prompt", "objective": "target"},
    "pro-constant": {"experts": 3, "steps": 30, "ridges": [10.0], "gate": "constant"},
    "pro-pooled": {"experts": 3, "steps": 30, "ridges": [10.0], "personal": False},
    "pro-armorm": {"columns": [0, 1], "gate": "armorm", "width": 8, "steps": 20},
    "ppd": PPD,
    "ppd-encoder": {**PPD, "refine": "encoder"},
    "ppd-plain": {**PPD, "refine": "encoder", "odd": False},
    "ppd-particles": {**PPD, "refine": "particles"},
    "ppd-attention": {**PPD, "head": "cross_attention"},
    "ppd-attention-particles": {**PPD, "head": "cross_attention", "refine": "particles"},
    "ppd-known": {**PPD, "known_items": "always"},
    "ppd-encoder-known": {**PPD, "known_items": "always", "refine": "encoder"},
    "pro-known": {"known_items": "always", "experts": 3, "steps": 30, "ridges": [10.0]},
    "blend": {"members": [BLENDED, {"family": "pal", "prototypes": 3, "epochs": 3}]},
    "blend-three": {
        "members": [BLENDED, "bt", {"family": "vpl", **VPL, "beta": [0.0]}],
        "weights": [0.75, 0.5, 0.25],
    },
    "blend-known": {"members": [{**BLENDED, "known_items": "always"}, "bt"]},
    "factors": {"ridges": [10.0], "rounds": 3, "rank": 4},
    "factors-few": {"most": 20, "ridges": [10.0], "rounds": 2, "rank": 2},
    "mrm": {"rank": 3, "steps": 20, "step_sizes": [3.0]},
    "mrm-one": {"rank": 1, "steps": 5, "step_sizes": [3.0]},
    "mrm-adam": {"rank": 3, "steps": 20, "step_sizes": [0.1], "inner": "adam"},
    "mrm-published": {"recipe": "published", "steps": 20},
    "ridge": {"spreads": [1.0], "ridge": 10.0},
    "ridge-short": {"spreads": [0.5, 1.0], "ridge": 10.0, "max_features": 3},
    "hyre": {"hierarchical": HIERARCHICAL},
    "hyre-agreement": {"hierarchical": HIERARCHICAL, "score": "zero_one", "count": 20},
    "hyre-bootstrap": {"heads": "bootstrap", "count": 8},
    "hyre-published": {"recipe": "published"},
    "hyre-known": {"known_items": "always", "hierarchical": HIERARCHICAL},
    "nearest": {"spreads": [1.0], "ridge": 10.0, "neighbours": [5], "imaginary": [1.0]},
    "nearest-agreement": {
        "spreads": [1.0],
        "ridge": 10.0,
        "neighbours": 3,
        "imaginary": 0.0,
        "similarity": "zero_one",
    },
    "vpl": {**VPL, "beta": [0.0, 0.01]},
    "vpl-rescaled": {**VPL, "rescale": "always", "swap": 0.1},
    "vpl-leaky": {**VPL, "activation": "leaky_relu"},
    "vpl-published": {**VPL, "recipe": "published"},
}
_FITTED: dict[str, Fitted] = {}


@pytest.fixture(params=VARIANTS)
def model(request: pytest.FixtureRequest, world: TrainingSet, valid_world: TrainingSet):
    name = request.param
    if name not in _FITTED:
        options = {"known_items": "never", **VARIANTS[name]}
        family = name.split("-")[0]
        _FITTED[name] = fit_model(family, world, valid_world, seed=0, **options)
    return _FITTED[name].model


def test_a_fit_reports_its_time_and_its_loss_on_held_out_people(model, request):
    report = _FITTED[request.node.callspec.params["model"]].report
    assert report["seconds"] >= 0
    assert report["held_out_loss"] is None or 0 < report["held_out_loss"] < 5
    json.dumps(report)


@pytest.mark.parametrize("name", [*sorted(MODELS), "auto"])
def test_a_fit_that_nobody_can_judge_reports_no_loss_and_no_nan(name):
    train, valid = small_world(0, people=12), small_world(1, people=6, rows=1)
    report = fit_any(name, train, valid, seed=0, **QUICK.get(name, {})).report
    assert report["held_out_loss"] is None
    json.dumps(report, allow_nan=False)


def some(model: PreferenceModel, n: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    items = rng.standard_normal((n, model.item_dim)).astype(np.float32)
    prompts = rng.standard_normal((n, model.prompt_dim)).astype(np.float32)
    return model.represent(items, prompts if model.prompt_dim else None)


@dataclass(frozen=True)
class Letters:
    """An encoder that needs no files: codes of the letters."""

    dim: int
    name: str = "letters"
    fingerprint: str = "letters"
    options: tuple = ()

    def encode(self, texts, *, progress: bool = False):
        del progress
        rows = [[ord(c) / 50 - 2 for c in text[: self.dim].ljust(self.dim)] for text in texts]
        return np.array(rows, np.float32)


def artifact_of(model: PreferenceModel) -> Artifact:
    u = model.user_dim
    ada = People(
        ("ada",), np.ones((1, u), np.float32), np.eye(u, dtype=np.float32)[None],
        np.ones(1, np.int32), fingerprint(model),
    )  # fmt: skip
    return Artifact(model, {"family": model.family}, ada, some(model, 3))


def people(model: PreferenceModel, shape: tuple[int, ...], seed: int = 0):
    rng = np.random.default_rng(seed)
    raw = rng.random((*shape, model.user_dim)) + 0.1
    return raw / raw.sum(-1, keepdims=True) if model.user_dim else raw


def test_margin_is_antisymmetric(model):
    a, b, user = some(model, 9, 1), some(model, 9, 2), people(model, (9,))
    np.testing.assert_allclose(model.margin(user, a, b), -model.margin(user, b, a), atol=1e-6)


def test_where_no_taste_runs_in_a_circle_margins_are_differences_of_utilities(model):
    if not model.transitive:
        pytest.skip("tastes of this model may run in a circle")
    reps, user = some(model, 5), people(model, ())
    value = model.utility(user, reps)
    pairs = model.margin(np.repeat(user[None], 4, 0), reps[:4], reps[1:])
    np.testing.assert_allclose(pairs, value[:4] - value[1:], rtol=1e-5, atol=1e-5)


def test_where_tastes_run_in_circles_a_utility_is_the_mean_margin_over_the_panel(model):
    if model.transitive:
        pytest.skip("no taste of this model runs in a circle")
    reps, user = some(model, 5), people(model, ())
    panel = getattr(model, "inner", model).panel
    expected = [np.mean([model.margin(user, rep, other) for other in panel]) for rep in reps]
    np.testing.assert_allclose(model.utility(user, reps), expected, rtol=1e-5, atol=1e-5)


def test_the_cyclic_share_is_a_share_and_nothing_without_circles(model):
    share = model.cyclic_share(people(model, ()), some(model, 6))
    assert 0.0 <= share <= 1.0
    assert share == 0.0 or not model.transitive


def test_contrast_is_the_margin_and_its_slope(model):
    a, b, user = some(model, 6, 1), some(model, 6, 2), people(model, ())
    value, slope = model.contrast(user, a, b)
    users = np.repeat(user[None], 6, 0)
    np.testing.assert_allclose(value, model.margin(users, a, b), rtol=1e-5, atol=1e-5)
    for k in range(model.user_dim):
        step = np.eye(model.user_dim)[k] * 1e-3
        moved = (model.margin(users + step, a, b) - model.margin(users - step, a, b)) / 2e-3
        np.testing.assert_allclose(moved, slope[:, k], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_a_batch_of_people_equals_a_loop(model, shape):
    users, reps = people(model, shape), some(model, 4)
    together = model.utility(users, reps)
    assert together.shape == (*shape, 4)
    for index in np.ndindex(*shape):
        np.testing.assert_allclose(together[index], model.utility(users[index], reps), atol=1e-9)


def test_permuting_items_permutes_utilities(model):
    reps, user = some(model, 7), people(model, ())
    order = np.random.default_rng(0).permutation(7)
    permuted = model.utility(user, reps[order])
    np.testing.assert_allclose(permuted, model.utility(user, reps)[order], atol=1e-9)


def test_linearize_is_the_value_and_its_slope(model):
    reps, user = some(model, 6), people(model, ())
    value, slope = model.linearize(user, reps)
    np.testing.assert_allclose(value, model.utility(user, reps), atol=1e-6)
    for k in range(model.user_dim):
        step = np.eye(model.user_dim)[k] * 1e-3
        moved = (model.utility(user + step, reps) - model.utility(user - step, reps)) / 2e-3
        np.testing.assert_allclose(moved, slope[:, k], rtol=1e-3, atol=1e-4)


def test_saving_and_loading_gives_an_equal_model(model):
    again = load_model(model.family, *model.save())
    user = people(model, (3,))
    np.testing.assert_array_equal(
        model.utility(user, some(model, 5)), again.utility(user, some(again, 5))
    )
    assert again.answering == model.answering


def test_a_state_of_another_artifact_is_refused(model, tmp_path):
    params, arrays = model.save()
    floats = {n: np.count_nonzero(v) for n, v in arrays.items() if v.dtype.kind == "f"}
    name = max((n for n in floats if not n.startswith("known.")), key=lambda n: floats[n])
    other = load_model(model.family, params, {**arrays, name: arrays[name] * 1.001})
    assert fingerprint(load_model(model.family, params, arrays)) == fingerprint(model)
    assert fingerprint(other) != fingerprint(model)

    encoder = Letters(model.item_dim)
    mine, theirs = (Scorer(artifact_of(m), encoder=encoder) for m in (model, other))
    again = Scorer(mine.artifact.save(tmp_path / "saved"), encoder=encoder)
    loaded = Scorer(Artifact.load(tmp_path / "saved"), encoder=encoder)
    for state in (mine.place([("?", "abc", "xyz", 1.0)]), mine.posterior("ada"), mine.place([])):
        expected = mine.score("?", ["abc", "xyz"], user=state)
        for same in (again, loaded):
            np.testing.assert_array_equal(same.score("?", ["abc", "xyz"], user=state), expected)
        with pytest.raises(
            InputError, match=r"user: this state was made by model .* place the person"
        ):
            theirs.score("?", ["abc", "xyz"], user=state)
    with pytest.raises(InputError, match="people: were placed by model"):
        replace(theirs.artifact, people=loaded.artifact.people)
    longer = np.ones(model.user_dim + 1)
    stranger = Posterior(
        np.ones(1), longer[None], np.diag(longer)[None], 0.0, 0, converged=True, comparisons=1
    )
    with pytest.raises(DimensionError, match="user: expected a state of length"):
        mine.score("?", ["abc"], user=stranger)


def test_no_answers_place_a_person_exactly_at_the_population(model):
    reps = some(model, 0) if model.representation_dim else np.zeros((0, 1), np.float32)
    placed = model.place(reps, reps, np.zeros(0))[0]
    np.testing.assert_array_equal(placed.mean, model.prior.mean)
    assert placed.comparisons == 0


def test_adding_a_person_changes_nobody_else(model):
    a, b = some(model, 8, 1), some(model, 8, 2)
    target = np.array([1, 0, 1, 1, 0, 0.5, 1, 0])
    alone = model.place(a[:5], b[:5], target[:5], starts=np.array([0, 2, 5]))
    joined = model.place(a, b, target, starts=np.array([0, 2, 5, 8]))
    np.testing.assert_array_equal(alone.mean, joined.mean[:2])


def answers_of(model, n, seed, dtype):
    """Comparisons of one person among few items, some of them ties or unsure."""
    rng = np.random.default_rng(seed)
    items = some(model, 12, seed % 1000)
    a = rng.integers(0, 12, n)
    b = (a + rng.integers(1, 12, n)) % 12
    target = rng.choice([0.0, 0.2, 0.5, 1.0], n)
    return items[a].astype(dtype), items[b].astype(dtype), target, rng


def assert_alike(one, other):
    """Two posteriors agree to a millionth of their size."""
    for name in ("mean", "covariance"):
        x, y = getattr(one, name), getattr(other, name)
        np.testing.assert_allclose(x, y, rtol=0, atol=1e-6 * max(np.abs(x).max(initial=0.0), 1e-3))


ANSWERS = given(
    n=st.integers(1, 14), seed=st.integers(0, 2**32 - 1),
    dtype=st.sampled_from([np.float32, np.float64]),
)  # fmt: skip
FEW = settings(
    max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@FEW
@ANSWERS
def test_the_order_of_comparisons_does_not_move_a_person(model, n, seed, dtype):
    a, b, target, rng = answers_of(model, n, seed, dtype)
    weight, order = rng.uniform(0.5, 2, n), rng.permutation(n)
    one = model.place(a, b, target, weight=weight)[0]
    other = model.place(a[order], b[order], target[order], weight=weight[order])[0]
    assert_alike(one, other)


@FEW
@ANSWERS
def test_a_comparison_made_again_counts_as_its_weight(model, n, seed, dtype):
    a, b, target, rng = answers_of(model, n, seed, dtype)
    times = rng.integers(1, 4, n)
    again = np.repeat(np.arange(n), times)
    one = model.place(a, b, target, weight=times.astype(float))[0]
    other = model.place(a[again], b[again], target[again])[0]
    assert_alike(one, other)


@FEW
@ANSWERS
def test_swapping_sides_and_flipping_targets_places_a_person_alike(model, n, seed, dtype):
    a, b, target, rng = answers_of(model, n, seed, dtype)
    turned = rng.random(n) < 0.5
    first, second = np.where(turned[:, None], b, a), np.where(turned[:, None], a, b)
    one = model.place(a, b, target)[0]
    other = model.place(first, second, np.where(turned, 1 - target, target))[0]
    assert_alike(one, other)


def test_a_wrong_dimension_and_nan_are_named(model):
    wrong = np.zeros((2, model.item_dim + 1), np.float32)
    prompts = np.zeros((2, model.prompt_dim), np.float32) if model.prompt_dim else None
    with pytest.raises(DimensionError, match=rf"items: expected shape \(n, {model.item_dim}\)"):
        model.represent(wrong, prompts)
    bad = np.zeros((2, model.item_dim), np.float32)
    bad[1, 0] = np.nan
    with pytest.raises(NotFiniteError, match="row 1"):
        model.represent(bad, prompts)


APART = {
    "hierarchical": {"basis": "features"},
    "lore": {"rank": 3},
    "pal": {"prototypes": 4, "epochs": 30},
    "ppd": {**PPD, "steps": 150},
    "gpm": {**GPM, "optional": False, "gate": "none"},
    "pro": {"columns": range(6), "steps": 30, "ridges": [10.0], "gate": "constant"},
    "ridge": {"spreads": [1.0], "ridge": 10.0},
    "hyre": {"hierarchical": HIERARCHICAL},
    "mrm": {"rank": 3, "step_sizes": [3.0]},
    "nearest": {"spreads": [1.0], "ridge": 10.0},
    "vpl": {"latent": 4, "hidden": 16, "steps": 200, "lr": 1e-2, "judgements": 0},
}


@pytest.mark.parametrize("name", APART)
def test_opposite_people_are_told_apart(name, valid_world):
    world, options = small_world(0, people=60), APART[name]
    model = MODELS[name].run.fit(world, valid_world, seed=0, **options).model
    reps = model.represent(world.item_features)
    order = np.argsort(world.user, kind="stable")
    starts = np.arange(0, len(order) + 1, 30)
    placed = model.place(
        reps[world.a[order]], reps[world.b[order]], world.target[order].astype(float), starts=starts
    )
    fresh = small_world(0, people=60)  # the same people and items
    margin = model.margin(placed.mean[fresh.user], reps[fresh.a], reps[fresh.b])
    swapped = np.roll(placed.mean, 1, axis=0)  # the next person is of the other kind
    other = model.margin(swapped[fresh.user], reps[fresh.a], reps[fresh.b])
    own = ((margin > 0) == (fresh.target > 0.5)).mean()
    assert own > 0.75
    assert own - ((other > 0) == (fresh.target > 0.5)).mean() > 0.15


@pytest.mark.parametrize("name", sorted(MODELS))
def test_an_unknown_option_lists_the_known_ones(name, world):
    with pytest.raises(ConfigError, match=r"no option 'protoypes'; known: \["):
        MODELS[name].run.fit(world, None, seed=0, protoypes=3)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_an_empty_training_set_is_refused(name):
    nobody = small_world(0, people=1, rows=1)
    empty = TrainingSet(
        user=nobody.user[:0], prompt=nobody.prompt[:0], a=nobody.a[:0], b=nobody.b[:0],
        target=nobody.target[:0], weight=nobody.weight[:0], item_features=nobody.item_features,
        prompt_features=None, people=0,
    )  # fmt: skip
    with pytest.raises(InputError, match="train: expected at least one comparison"):
        MODELS[name].run.fit(empty, None, seed=0)


ODD_VALUES = (
    "abc", "", np.nan, np.inf, -1, -0.5, 2.5, True, None, [], {}, [np.nan], ["abc"], [-1], {"a": 1},
    10**30, 10**400, b"x", object(),
)  # fmt: skip
QUICK = {
    "gpm": GPM, "ppd": PPD, "vpl": VPL, "factors": {"rounds": 2},
    "hierarchical": HIERARCHICAL, "hyre": {"heads": "bootstrap", "count": 4},
    "lore": {"rank": 2, "steps": 5}, "mrm": {"rank": 2, "steps": 5},
    "pal": {"prototypes": 2, "epochs": 1}, "pro": {"steps": 5, "experts": 2},
    "auto": {"families": ["bt"]}, "blend": {"members": ["bt", "ridge"]},
}  # fmt: skip


def test_every_family_reads_its_options_by_their_annotations():
    assert set(READERS) == {*MODELS, "auto"} - {"blend"}  # whose options are its members
    for kind, _ in READERS.values():
        assert {f.name for f in fields(kind)} == set(option_names(kind))


def _refusal(make) -> GustibusError | None:
    try:
        make()
    except (ConfigError, InputError, UnknownNameError) as error:
        return error
    return None


def _finite_fit(name: str, data: TrainingSet, options: dict) -> None:
    model = fit_any(name, data, None, seed=0, **options).model
    assert np.isfinite(model.utility(people(model, ()), some(model, 3))).all()


@pytest.mark.parametrize("name", READERS)
def test_odd_values_of_an_option_are_fitted_or_refused_by_its_name(name):
    kind, read = READERS[name]
    small = small_world(0, people=6, rows=12)
    for option, value in product((f.name for f in fields(kind)), ODD_VALUES):
        options = {**QUICK.get(name, {}), option: value}
        error = _refusal(partial(read, options))
        if error is None:
            error = _refusal(partial(_finite_fit, name, small, options))
        if isinstance(error, UnknownNameError):
            assert "abc" in error.message
        elif error is not None:
            assert option in error.message
            assert error.where


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("gpm", {"steps": "abc"}, "steps: expected a whole number of at least 1, got 'abc'"),
        ("gpm", {"blocks": np.nan}, "blocks: expected a whole number of at least 1, got nan"),
        ("gpm", {"unit_norm": "abc"}, "unit_norm: expected true or false, got 'abc'"),
        ("gpm", {"transitive": {"rank": 0.5}}, "transitive: rank: expected a whole number"),
        ("pro", {"experts": 1.5}, "experts: expected a whole number of at least 1, got 1.5"),
        ("pro", {"rho": np.nan}, r"rho: expected a number in \[0, inf\), got nan"),
        ("ppd", {"leash": -1}, r"leash: expected a number in \[0, inf\), got -1"),
        ("bt", {"nosuch": 1}, r"bt has no option 'nosuch'; known: \['auxiliary', 'hidden'"),
        ("bt", {"objective_options": 3}, "objective_options: expected options by name, got 3"),
        ("bt", {"auxiliary": [1]}, r"auxiliary: expected options by name, got \[1\]"),
        ("auto", {"settings": {"bt": 3}}, "settings: expected options by name, for each family"),
        ("auto", {"families": "bt,bt"}, "families: expected each name once"),
        ("blend", {"weights": 1}, "weights: expected 2 numbers above 0, one a member"),
        ("blend", {"weights": "abc"}, "weights: expected a number"),
        ("blend", {"members": "bt,bt"}, "members: expected different ones, got bt twice"),
        ("blend", {"members": 3}, "members: expected names of families, got 3"),
        ("blend", {"members": [3, "bt"]}, "members: expected names of families"),
    ],
)
def test_options_of_the_wrong_kind_are_named(name, options, said, world):
    with pytest.raises(ConfigError, match=f"^{said}"):
        fit_any(name, world, None, seed=0, **options)


def test_several_values_are_a_list_or_a_text_with_commas():
    for three in ("0,1,2", [0, 1, 2], (0, 1.0, 2), range(3), np.arange(3)):
        assert pro_options({"columns": three}).columns == (0, 1, 2)
    assert pro_options({"columns": 0}).columns == (0,)
    assert pro_options({"columns": [0, 1], "names": "warm, short"}).names == ("warm", "short")
    assert gpm_options({"ridges": "3,1e2"}).ridges == (100.0, 3.0)
    assert auto_options({"families": "bt, lore"}).families == ("bt", "lore")
    with pytest.raises(ConfigError, match=r"columns: expected a whole number .* got 'a'"):
        pro_options({"columns": "0,a"})


def _with(column: str, row: int, value: float, kind: str = "float32"):
    """A world with another number in one row of a column."""

    def change(data: TrainingSet) -> TrainingSet:
        values = getattr(data, column).astype(kind)
        values[row] = value
        return replace(data, **{column: values})

    return change


def _short(column: str):
    return lambda data: replace(data, **{column: getattr(data, column)[:-1]})


ODD_DATA = {
    "item_features: row 4 holds NaN or infinity": _with("item_features", 4, np.nan),
    "prompt_features: row 2 holds NaN or infinity": _with("prompt_features", 2, np.inf),
    "target: row 3 holds NaN or infinity": _with("target", 3, np.nan),
    r"target: expected numbers in \[0, 1\], got 1.5 in row 3": _with("target", 3, 1.5),
    r"target: expected numbers in \[0, 1\], got -0.5 in row 0": _with("target", 0, -0.5),
    "weight: row 5 holds NaN or infinity": _with("weight", 5, np.nan),
    "weight: expected numbers at least 0, got -1 in row 5": _with("weight", 5, -1.0),
    "weight: row 6 holds NaN or infinity": _with("weight", 6, 1e300, "float64"),
    "a: expected codes from 0 to below 200, .* got 200 in row 7": _with("a", 7, 200, "int32"),
    "b: expected codes from 0 to below 200, .* got -1 in row 7": _with("b", 7, -1, "int32"),
    "user: expected codes from 0 to below .*people, got 40 in row 1": _with("user", 1, 40, "int32"),
    "prompt: expected codes from 0 to below 20, .* got 20 in row 1": _with("prompt", 1, 20, "int32"),
    "a: expected whole numbers, got float64": _with("a", 0, 0.5, "float64"),
    **{
        rf"{column}: expected shape \([0-9]+,\), got": _short(column)
        for column in ("prompt", "a", "b", "target", "weight")
    },
    r"item_features: expected shape \(rows, columns\), got \(200,\)": lambda data: replace(
        data, item_features=data.item_features[:, 0]
    ),
    "item_features: expected numbers, got <U1": lambda data: replace(
        data, item_features=np.full((200, 6), "x")
    ),
    "people: expected a whole number of at least 0, got 2.5": lambda data: replace(data, people=2.5),
    "own: expected at most the 6 columns of features, got 7": lambda data: replace(data, own=7),
    r"is_support: expected shape \(360,\), got": lambda data: replace(
        data, is_support=np.ones(3, bool)
    ),
    r"margin: expected shape \(360,\), got": lambda data: replace(data, margin=np.ones(3)),
    r"grade: expected shape \(360, 2\), got": lambda data: replace(data, grade=np.ones(360)),
    "group: expected codes from 0 to below .* got -1 in row 0": lambda data: replace(
        data, group=np.full(360, -1, np.int32)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", [*sorted(MODELS), "auto"])
def test_comparisons_that_are_not_as_said_are_refused_by_column_and_row(name):
    good = small_world(0, people=12)
    for said, change in ODD_DATA.items():
        bad = replace(change(good), people=40) if "people, got 40" in said else change(good)
        for where, pair in (("train", (bad, None)), ("valid", (good, bad))):
            with pytest.raises(InputError, match=f"{where}.{said}") as error:
                fit_any(name, *pair, seed=0)
            assert error.value.where == f"{where}.{said.split(':')[0]}"


def test_validation_people_are_over_the_features_of_training(world, valid_world):
    more = np.vstack([valid_world.item_features] * 2)
    other = replace(valid_world, item_features=more, a=np.full_like(valid_world.a, 250))
    with pytest.raises(InputError, match=r"valid.a: .* the rows of train.item_features, got 250"):
        fit_any("bt", world, other, seed=0)
    narrow = replace(valid_world, item_features=valid_world.item_features[:, :3])
    with pytest.raises(DimensionError, match=r"valid.item_features: expected 6 columns"):
        fit_any("bt", world, narrow, seed=0)
    with pytest.raises(InputError, match=r"valid.prompt_features: expected them where train has"):
        fit_any("bt", world, replace(valid_world, prompt_features=None), seed=0)


@pytest.mark.parametrize("name", ["bt", "ridge", "lore"])
def test_numbers_of_other_types_are_fitted_as_the_same_in_single_precision(name, valid_world):
    world = small_world(0, people=12)
    wide = replace(
        world, user=world.user.astype(np.int64), a=world.a.tolist(),
        target=world.target.astype(np.float64), weight=np.ones(len(world), np.int64),
        item_features=world.item_features.astype(np.float64),
    )  # fmt: skip
    one, other = (fit_any(name, data, valid_world, seed=0).model for data in (world, wide))
    np.testing.assert_array_equal(some(one, 5), some(other, 5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "cosine"}, "form"),
        ({"variant": "b", "form": "dist"}, "variant 'b'"),
        ({"population": "gaussian", "form": "dist"}, "population"),
        ({"loss": "exponential"}, "loss"),
        ({"residual": True, "width": 3, "layers": 1}, "residual"),
    ],
)
def test_pal_refuses_options_that_do_not_go_together(world, options, message):
    with pytest.raises((ConfigError, InputError), match=message):
        MODELS["pal"].run.fit(world, None, seed=0, epochs=1, **options)


@pytest.mark.parametrize("name", ["hierarchical", "pal"])
def test_an_interrupted_fit_goes_on_to_the_same_model(name, world, valid_world, tmp_path):
    options = {"prototypes": 2, "epochs": 4, "patience": 9} if name == "pal" else {
        "basis": "learned", "equalise": [0.5, 1.0], "ridges": [10.0], "rounds": 2}  # fmt: skip
    family = MODELS[name].run
    straight = family.fit(world, valid_world, seed=3, **options).model

    def stop(stage: str, done: int, total: int, figure: float) -> None:
        if done == total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        family.fit(world, valid_world, seed=3, progress=stop, checkpoint=tmp_path, **options)
    resumed = family.fit(world, valid_world, seed=3, checkpoint=tmp_path, **options).model
    user, reps = people(straight, (4,)), some(straight, 5)
    np.testing.assert_allclose(straight.utility(user, reps), resumed.utility(user, reps), rtol=1e-4)
