"""Skew scores, their rankings, gates, losses, and the fit of a general preference model."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gustibus.artifact import Artifact, People
from gustibus.data import given_split
from gustibus.data.synthetic import linear_mixture_world
from gustibus.errors import ConfigError, DimensionError, InputError, NotFiniteError
from gustibus.evaluation import Modelled
from gustibus.evaluation.rows import fitting_sets, rows_of
from gustibus.models import MODELS
from gustibus.models.gpm import GeneralPreference
from gustibus.models.gpm_fit import mean_cyclic_share
from gustibus.models.gpm_gate import GATES, Gate
from gustibus.models.gpm_module import Batch, Blocks, Statistics, losses
from gustibus.models.gpm_options import gpm_options
from gustibus.models.gpm_rank import (
    borda,
    cyclic_norm,
    hodge_split,
    skew_scores,
    von_neumann_winner,
)
from gustibus.models.validation import hold_out
from gustibus.posterior import Answering, GaussianPrior
from gustibus.scoring import Scorer, rank
from tests.conftest import small_world

FIT = MODELS["gpm"].run.fit
QUICK = {
    "steps": 40, "ridges": [10.0],
    "transitive": {"basis": "features", "folds": 1, "rounds": 3},
}  # fmt: skip
shapes = given(n=st.integers(1, 12), k=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))


def made(
    *, k=2, d=5, shift=0, gate="none", h=3, unit_norm=False, temperature=1.0, seed=0, bias=1.0
):
    """A model with random numbers in every place."""
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    u = k + shift if shift else 0
    gating = Gate.none()
    if gate != "none":
        gating = Gate(gate, draw(h, k), draw(k), draw(h), np.abs(draw(h)) + np.float32(0.5))
    root = rng.standard_normal((u, u))
    prior = GaussianPrior.single(rng.standard_normal(u), root @ root.T + np.eye(u))
    model = GeneralPreference(
        center=draw(d), spread=np.abs(draw(d)) + np.float32(0.5), scalar=draw(d),
        shift=draw(d, shift), blocks=draw(d, 2 * k), bias=bias * draw(2 * k), gate=gating,
        unit_norm=unit_norm, temperature=temperature, panel=draw(1, 1), prior=prior,
        answering=Answering(lapse=0.0),
    )  # fmt: skip
    panel = replace(model, gate=Gate.none()).represent(draw(7, d))
    return replace(model, panel=np.pad(panel, ((0, 0), (0, k if model.prompt_dim else 0))))


def candidates(model, n, seed=1):
    """Representations of candidates of one prompt."""
    rng = np.random.default_rng(seed)
    items = rng.standard_normal((n, model.item_dim)).astype(np.float32)
    prompt = rng.standard_normal((1, model.prompt_dim)).astype(np.float32)
    return model.represent(items, np.repeat(prompt, n, axis=0) if model.prompt_dim else None)


EVERY = [
    {}, {"shift": 3}, {"gate": "softmax", "shift": 2}, {"gate": "softplus"},
    {"unit_norm": True, "temperature": 0.1}, {"k": 1, "shift": 1, "gate": "softmax_plain"},
]  # fmt: skip
every = pytest.mark.parametrize("options", EVERY, ids=str)


# Tables


@shapes
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_tables_are_skew_to_the_last_bit_in_every_precision(dtype, n, k, seed):
    rng = np.random.default_rng(seed)
    table = skew_scores(*rng.standard_normal((2, n, k)).astype(dtype))
    assert table.dtype == dtype
    assert not (table + table.T).any()
    assert not np.diag(table).any()


def test_tables_of_tensors_are_skew_in_bfloat16():
    v = torch.randn(2, 20, 3, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    table = skew_scores(v[0], v[1])
    assert not (table + table.T).any()


@shapes
@settings(max_examples=40, deadline=None)
def test_a_common_rotation_inside_a_block_changes_nothing(n, k, seed):
    rng = np.random.default_rng(seed)
    left, right = rng.standard_normal((2, n, k))
    angle = rng.uniform(0, 2 * np.pi, k)
    c, s = np.cos(angle), np.sin(angle)
    turned = skew_scores(c * left - s * right, s * left + c * right)
    np.testing.assert_allclose(turned, skew_scores(left, right), atol=1e-5)


def test_the_scalar_is_a_block_with_a_constant_coordinate_and_has_the_right_sign():
    r, c = np.random.default_rng(0).standard_normal(6), 1.7
    table = skew_scores(r[:, None], np.full((6, 1), c))
    np.testing.assert_allclose(table, c * (r[:, None] - r), atol=1e-6)


@given(n=st.integers(1, 9), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_every_skew_table_can_be_written(n, seed):
    raw = np.random.default_rng(seed).standard_normal((n, n))
    table = raw - raw.T
    np.testing.assert_allclose(skew_scores(np.eye(n), -table / 2), table, atol=1e-6)


@shapes
@settings(max_examples=40, deadline=None)
def test_the_mean_score_needs_no_table(n, k, seed):
    rng = np.random.default_rng(seed)
    left, right = rng.standard_normal((2, n, k))
    scalar = rng.standard_normal(n)
    table = skew_scores(left, right) + (scalar[:, None] - scalar)
    np.testing.assert_allclose(borda(left, right, scalar), table.mean(1), atol=1e-6)


@shapes
@settings(max_examples=40, deadline=None)
def test_a_table_is_a_ranking_and_circles_at_right_angles(n, k, seed):
    rng = np.random.default_rng(seed)
    left, right = rng.standard_normal((2, n, k))
    factor = rng.standard_normal(k)
    table = skew_scores(left * factor, right)
    split = hodge_split(table)
    np.testing.assert_allclose(split.transitive + split.cyclic, table, atol=1e-5)
    np.testing.assert_allclose(split.cyclic.sum(1), 0, atol=1e-5)
    assert (split.transitive * split.cyclic).sum() == pytest.approx(0, abs=1e-5)
    assert cyclic_norm(left, right, factor) == pytest.approx(
        np.linalg.norm(split.cyclic), abs=1e-6 * max(n, 1) + 1e-6 * np.linalg.norm(table)
    )


def test_circles_and_rankings_are_told_apart_by_their_share():
    circle = np.array([[0.0, 1, -1], [-1, 0, 1], [1, -1, 0]])
    r = np.array([2.0, 0.5, -1])
    assert hodge_split(circle).cyclic_share == pytest.approx(1.0)
    assert hodge_split(r[:, None] - r).cyclic_share == pytest.approx(0.0, abs=1e-12)
    assert hodge_split(np.zeros((4, 4))).cyclic_share == 0.0
    assert hodge_split(np.zeros((0, 0))).cyclic_share == 0.0


def test_the_winning_mixture_is_the_circle_that_beats_the_rest():
    table = np.zeros((4, 4))
    for i, j, size in (
        (0, 1, 1.0),
        (1, 2, 1.0),
        (2, 0, 1.0),
        (0, 3, 2.0),
        (1, 3, 2.0),
        (2, 3, 2.0),
    ):
        table[i, j], table[j, i] = size, -size
    mixture, gap = von_neumann_winner(table, rounds=20_000)
    np.testing.assert_allclose(mixture, [1 / 3, 1 / 3, 1 / 3, 0], atol=0.02)
    assert 0 <= gap < 0.02
    assert (table @ mixture).max() == pytest.approx(gap)


@given(n=st.integers(1, 10), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_the_gap_keeps_its_bound(n, seed):
    raw = np.random.default_rng(seed).standard_normal((n, n))
    table = raw - raw.T
    found = von_neumann_winner(table, rounds=500)
    assert found.mixture.sum() == pytest.approx(1)
    assert (found.mixture >= 0).all()
    size = np.abs(table).max()
    assert 0 <= found.gap <= 2 * size * np.sqrt(np.log(max(n, 2)) / (2 * 500)) + 1e-9


def test_a_response_that_beats_all_wins_alone():
    r = np.array([0.0, 3.0, -1.0, 1.0])
    assert von_neumann_winner(r[:, None] - r).mixture.argmax() == 1
    assert von_neumann_winner(r[:, None] - r).mixture[1] > 0.9


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (np.zeros((2, 3)), DimensionError, r"scores: expected shape \(n, n\), got \(2, 3\)"),
        (np.ones((2, 2)), InputError, r"scores\[i, j\] = -scores\[j, i\]"),
        (np.full((2, 2), np.nan), NotFiniteError, "NaN"),
    ],
)
def test_tables_that_are_none_are_refused(table, error, message):
    for rule in (hodge_split, von_neumann_winner):
        with pytest.raises(error, match=message):
            rule(table)
    with pytest.raises(InputError, match="a response"):
        von_neumann_winner(np.zeros((0, 0)))
    with pytest.raises(DimensionError, match="right"):
        skew_scores(np.zeros((2, 3)), np.zeros((3, 3)))


# The fitted model


@every
def test_probabilities_of_both_sides_sum_to_one_and_of_itself_to_a_half(options):
    model = made(**options)
    reps, user = candidates(model, 6), model.prior.mean
    users = np.repeat(user[None], 6, 0)
    forth = model.margin(users, reps, reps[::-1])
    np.testing.assert_array_equal(forth, -model.margin(users, reps[::-1], reps))
    np.testing.assert_array_equal(model.margin(users, reps, reps), 0.0)
    p, q = 1 / (1 + np.exp(-forth)), 1 / (1 + np.exp(forth))
    np.testing.assert_allclose(p + q, 1, atol=2e-7)


@every
def test_the_table_is_skew_and_holds_the_margins(options):
    model = made(**options)
    reps, user = candidates(model, 6), model.prior.mean
    table = model.margins(user, reps)
    assert not (table + table.T).any()
    for i in range(6):
        row = np.repeat(reps[i : i + 1], 6, axis=0)
        np.testing.assert_allclose(table[i], model.contrast(user, row, reps)[0], atol=1e-5)


@every
def test_the_cyclic_share_is_that_of_the_table(options):
    model = made(**options)
    for n in (2, 3, 8):
        reps, user = candidates(model, n), model.prior.mean
        assert model.cyclic_share(user, reps) == pytest.approx(
            model.hodge_split(user, reps).cyclic_share, abs=1e-9
        )
    assert model.cyclic_share(user, reps[:0]) == 0.0


@every
def test_a_utility_is_the_mean_margin_over_the_panel(options):
    model = made(**options)
    reps, user = candidates(model, 5), model.prior.mean
    expected = [np.mean([model.margin(user, rep, other) for other in model.panel]) for rep in reps]
    np.testing.assert_allclose(model.utility(user, reps), expected, atol=1e-5)


# Candidates among each other


def planted(table, *, opponent):
    """A model whose margins among `n` unit vectors are a given table; its panel is one of them."""
    n = len(table)
    zero = np.zeros(n, np.float32)
    model = replace(
        made(k=n, d=n), center=zero, spread=zero + 1, scalar=zero, bias=np.zeros(2 * n, np.float32),
        blocks=np.column_stack([np.eye(n), -np.asarray(table) / 2]).astype(np.float32),
    )  # fmt: skip
    return replace(model, panel=model.represent(np.eye(n, dtype=np.float32)[[opponent]]))


CIRCLE = np.array([[0.0, 1, -1], [-1, 0, 1], [1, -1, 0]])


@every
def test_among_each_other_candidates_have_their_mean_margin(options):
    model = made(**options)
    reps = candidates(model, 9)
    users = np.random.default_rng(2).standard_normal((4, model.user_dim)) + model.prior.mean
    among = model.utility_among(users, reps)
    for user, scores in zip(users, among, strict=True):
        mean = model.margins(user, reps).mean(1)
        np.testing.assert_allclose(scores - scores.mean(), mean, atol=1e-5)
        reward, p, q, factor = model.coordinates(user, reps)
        np.testing.assert_allclose(borda(p * factor, q, reward), mean, atol=1e-6)
        value, slope = model.linearize_among(user, reps)
        np.testing.assert_allclose(value, scores, atol=1e-9)
        step = 1e-3 * np.ones(model.user_dim)
        moved = model.utility_among(user + step, reps) - scores
        np.testing.assert_allclose(slope @ step, moved, atol=1e-9)
    np.testing.assert_allclose(among.mean(1), model.utility(users, reps).mean(1), atol=1e-5)


@every
def test_two_candidates_are_ordered_by_their_own_margin_and_one_has_its_utility(options):
    model = made(**options)
    reps, user = candidates(model, 12), model.prior.mean
    table = model.margins(user, reps)
    for i, j in zip(*np.triu_indices(12, 1), strict=True):
        first, second = model.utility_among(user, reps[[i, j]])
        assert first - second == pytest.approx(table[i, j], abs=1e-5)
    np.testing.assert_allclose(
        model.utility_among(user, reps[:1]), model.utility(user, reps[:1]), atol=1e-9
    )
    assert model.utility_among(user, reps[:0]).shape == (0,)


def test_candidates_under_different_gates_are_ordered_by_their_margin_too():
    model = made(gate="softplus", shift=2, k=3)
    rng = np.random.default_rng(0)
    items, prompts = (rng.standard_normal((30, n)).astype(np.float32) for n in (5, 3))
    reps, user = model.represent(items, prompts), model.prior.mean
    for pair in np.split(np.arange(30), 15):
        margin = float(model.margin(user, *reps[pair]))
        first, second = model.utility_among(user, reps[pair])
        assert first - second == pytest.approx(margin, rel=1e-6)


@every
def test_scores_among_each_other_move_with_the_candidates_and_equal_ones_tie(options):
    model = made(**options)
    reps, user = candidates(model, 10), model.prior.mean
    turn = np.random.default_rng(3).permutation(10)
    scores = model.utility_among(user, reps)
    np.testing.assert_allclose(model.utility_among(user, reps[turn]), scores[turn], atol=1e-9)
    twice = model.utility_among(user, reps[[4, 1, 4, 7, 4]])
    np.testing.assert_allclose(twice[[2, 4]], twice[0], atol=1e-12)


@pytest.mark.parametrize("opponent", range(4))
def test_who_beats_a_whole_circle_comes_first_whoever_is_in_the_panel(opponent):
    table = np.zeros((4, 4))
    table[:3, :3] = 5 * CIRCLE
    table[3, :3], table[:3, 3] = 1, -1  # a little, and everyone
    model = planted(table, opponent=opponent)
    reps = model.represent(np.eye(4, dtype=np.float32))
    assert rank(model.utility_among(np.zeros(0), reps))[0] == 3
    if opponent < 3:  # who beats the panel by much is ahead of it
        assert rank(model.utility(np.zeros(0), reps))[0] != 3
    circle = model.utility_among(np.zeros(0), reps[:3])
    np.testing.assert_allclose(circle, circle[0], atol=1e-6)


def test_without_circles_who_else_is_there_changes_no_score():
    model = made(k=0, shift=3)
    reps, user = candidates(model, 6), model.prior.mean
    np.testing.assert_allclose(
        model.utility_among(user, reps), model.utility(user, reps), atol=1e-9
    )
    bt = MODELS["bt"].run.fit(small_world(), None, seed=0).model
    reps = bt.represent(small_world().item_features[:6])
    np.testing.assert_array_equal(
        bt.utility_among(np.zeros(0), reps), bt.utility(np.zeros(0), reps)
    )


def test_a_scorer_scores_candidates_among_each_other_when_asked():
    model = planted(5 * CIRCLE, opponent=0)
    artifact = Artifact(model, {"family": "gpm", "version": "0"}, People.empty(0), model.panel)
    scorer, items = Scorer(artifact), np.eye(3, dtype=np.float32)
    for i, j in ((0, 1), (1, 2), (2, 0)):  # i beats j
        first, second = scorer.score("", items[[i, j]], among=True)
        assert first - second == pytest.approx(5.0, abs=1e-5)
    lone = [scorer.score("", items[[i]])[0] for i in range(3)]
    np.testing.assert_allclose(scorer.score("", items), lone, atol=1e-9)
    np.testing.assert_allclose(lone, [0, -5, 5], atol=1e-5)


def test_scores_scale_with_the_coordinates_unless_they_have_unit_length():
    for unit, expected in ((False, 3.0), (True, 1.0)):
        model = made(unit_norm=unit, temperature=0.5, d=5)
        model = replace(model, scalar=np.zeros(5, np.float32))
        root = np.float32(np.sqrt(3.0))
        longer = replace(model, blocks=model.blocks * root, bias=model.bias * root)
        items = np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32)
        before = model.margins(np.zeros(0), model.represent(items))
        after = longer.margins(np.zeros(0), longer.represent(items))
        np.testing.assert_allclose(after, expected * before, atol=1e-5)


@pytest.mark.parametrize("gate", GATES[1:])
def test_gates_are_weights_and_bound_the_scores_of_unit_vectors(gate):
    model = made(k=4, gate=gate, unit_norm=True, temperature=0.1)
    model = replace(model, scalar=np.zeros(5, np.float32))
    prompts = np.random.default_rng(0).standard_normal((9, 3)).astype(np.float32)
    weight = model.gate(prompts)
    assert (weight >= 0).all()
    if gate.startswith("softmax"):
        total = 1 if gate == "softmax_plain" else 4
        np.testing.assert_allclose(weight.sum(1), total, atol=1e-6)
    reps = candidates(model, 20)
    most = reps[0, -4:].max()
    assert np.abs(model.margins(np.zeros(0), reps)).max() * 0.1 <= most + 1e-6


def test_a_gate_starts_with_equal_blocks():
    for kind in ("softmax", "softmax_root", "softplus"):
        zero = np.zeros((3, 4), np.float32)
        gate = Gate(kind, zero, zero[0], zero[:, 0], np.ones(3, np.float32))
        np.testing.assert_allclose(gate(np.ones((2, 3), np.float32)), 1.0, atol=1e-6)
    with pytest.raises(InputError, match="gate: expected one of"):
        Gate("hard", zero, zero[0], zero[:, 0], zero[:, 0])


@pytest.mark.parametrize("d", [5, 384])
@every
def test_a_pair_does_not_depend_on_what_it_travels_with(options, d):
    model = made(**options, d=d)
    rng = np.random.default_rng(1)
    items = rng.standard_normal((200, d)).astype(np.float32)
    prompt = rng.standard_normal((1, model.prompt_dim)).astype(np.float32)
    user = model.prior.mean

    def margins(*rows):
        each = np.repeat(prompt, len(rows), axis=0) if model.prompt_dim else None
        reps = model.represent(items[list(rows)], each)
        return model.contrast(user, reps[:-1], reps[1:])[0]

    together = margins(*range(200))
    for i in range(0, 198, 18):
        alone = np.concatenate([model.represent(items[[j]], prompt if model.prompt_dim else None)
                                for j in (i, i + 1)])  # fmt: skip
        found = [margins(i, i + 1)[0], model.contrast(user, alone[:1], alone[1:])[0][0]]
        found += [margins(*range(i, i + 3))[0], -margins(*range(i + 1, -1, -1))[0]]
        np.testing.assert_allclose(found, together[i], rtol=1e-6, atol=0)


def test_a_gated_model_without_prompts_says_so():
    model = made(gate="softmax")
    items = np.zeros((2, 5), np.float32)
    with pytest.raises(InputError, match="prompts: this model's blocks depend on the prompt"):
        model.represent(items)
    with pytest.raises(InputError, match="prompts: expected 2 rows"):
        model.represent(items, np.zeros((3, 3), np.float32))


# Losses


def test_losses_are_those_of_the_formulas():
    s, p = torch.tensor([-2.0, 0.3, 4.0]), torch.tensor([1.0, 0.5, 0.2])
    soft = -(p * torch.sigmoid(s).log() + (1 - p) * torch.sigmoid(-s).log())
    torch.testing.assert_close(losses(s, p, "soft", 1.0), soft)
    hard = torch.tensor([1.0, 0.5, 0.0])
    expected = -(hard * torch.sigmoid(s).log() + (1 - hard) * torch.sigmoid(-s).log())
    torch.testing.assert_close(losses(s, p, "hard", 1.0), expected)
    first = -torch.sigmoid(s[0] - 1.5).log()
    torch.testing.assert_close(losses(s, p, "margin", 1.5)[0], first)
    own = torch.tensor([0.5, 2.0, 3.0])
    expected = hard * torch.nn.functional.softplus(own - s)
    expected += (1 - hard) * torch.nn.functional.softplus(own + s)
    torch.testing.assert_close(losses(s, p, "margin", 1.5, own), expected)
    for kind in ("soft", "hard", "regression"):
        torch.testing.assert_close(losses(s, p, kind, 1.5, own), losses(s, p, kind, 1.5))
    wanted = torch.tensor([10.0, 0.0, -1.3862944])  # the last is ln(0.2 / 0.8)
    torch.testing.assert_close(losses(s, p, "regression", 10.0), 0.5 * (s - wanted) ** 2)


@pytest.mark.parametrize("kind", ["soft", "hard", "margin", "regression"])
def test_losses_are_alike_for_swapped_sides_and_stay_finite(kind):
    s, p = torch.tensor([-300.0, 0.3, 300.0]), torch.tensor([1.0, 0.5, 0.2])
    forth, back = losses(s, p, kind, 1.0), losses(-s, 1 - p, kind, 1.0)
    torch.testing.assert_close(forth, back, rtol=1e-5, atol=1e-5)
    assert torch.isfinite(forth).all()


@pytest.mark.parametrize("kind", ["soft", "hard", "margin", "regression"])
@pytest.mark.parametrize("gate", ["none", "softmax"])
def test_even_scores_leave_the_temperature_alone(kind, gate):
    generator = torch.Generator().manual_seed(0)
    options = gpm_options({"head": "gpm", "unit_norm": True, "loss": kind})
    module = Blocks(5, 3, options, size=2, gate=gate, generator=generator)
    assert module.heat.requires_grad
    x, other = torch.randn(2, 5, 5, generator=generator)
    prompt, target = torch.randn(5, 3, generator=generator), torch.tensor([1.0, 0, 1, 0.5, 0.2])
    for b, moves in ((x, False), (other, True)):
        module.zero_grad()
        batch = Batch(x, b, prompt, torch.zeros(5), target, torch.ones(5))
        margin = module.margin(batch)
        losses(margin, target, kind, 1.0).mean().backward()
        assert bool(margin.any()) == moves
        assert bool(module.heat.grad != 0.0) == moves


# The fit


def circle_world(people=30, rows=40, seed=0, flip=False):
    """Phases and quality; with `flip`, every other person runs round the circle the other way."""
    rng = np.random.default_rng(seed)
    world = small_world(seed, people=people, rows=rows, dim=6)
    phase, good = rng.uniform(0, 2 * np.pi, 200), rng.standard_normal(200)
    noise = 0.3 * rng.standard_normal((200, 3))
    items = np.column_stack([np.cos(phase), np.sin(phase), good, noise]).astype(np.float32)
    turn = np.where(world.user % 2, -1.0, 1.0) if flip else 1.0
    z = 4 * turn * np.sin(phase[world.a] - phase[world.b]) + (good[world.a] - good[world.b])
    target = (rng.random(len(world)) < 1 / (1 + np.exp(-z))).astype(np.float32)
    return replace(world, item_features=items, target=target)


def test_held_out_people_choose_blocks_where_there_are_circles_and_none_where_there_are_not():
    world = circle_world()
    model, report = FIT(world, circle_world(people=12), seed=0, **{**QUICK, "steps": 150})
    assert model.size == 2
    assert not model.transitive
    assert report["chosen"]["blocks"] == 2
    assert report["held_out_loss"] < report["history"][0]["valid_loss"] - 0.02
    straight = small_world(0, people=30)
    plain, _ = FIT(straight, small_world(0, people=12), seed=0, **{**QUICK, "gate": "none"})
    assert plain.transitive
    assert plain.cyclic_share(plain.prior.mean, candidates(plain, 5)) == 0.0


def test_the_report_says_how_much_of_what_held_out_people_think_runs_in_circles():
    options = {**QUICK, "steps": 150, "optional": False, "gate": "none", "personal": False}
    circles, straight = circle_world(people=12), small_world(1, people=12)
    report = FIT(circle_world(), circles, seed=0, **options).report
    assert report["cyclic_share"] == report["history"][0]["cyclic_share"] > 0.5
    assert FIT(small_world(0), straight, seed=0, **options).report["cyclic_share"] < 0.1
    assert FIT(circle_world(), None, seed=0, **options).report["cyclic_share"] is None


@pytest.mark.parametrize("gate", ["none", "softmax"])
def test_the_mean_cyclic_share_is_that_of_each_persons_items(gate):
    model, world = made(shift=2, gate=gate, h=6, d=6), small_world(0, people=4, rows=12)
    split = hold_out(world)
    shares = []
    for who in range(4):
        support = split.support[split.support_starts[who] : split.support_starts[who + 1]]
        sides = [
            model.represent(
                world.item_features[side[support]], world.prompt_features[world.prompt[support]]
            )
            for side in (world.a, world.b)
        ]
        person = model.place(*sides, world.target[support].astype(float))[0].mean
        query = split.query[split.query_person == who]
        asked: dict[int, int] = {}  # items with the prompt that they were first seen under
        for side in (world.a, world.b):
            for row in query:
                asked.setdefault(int(side[row]), int(world.prompt[row]))
        reps = model.represent(
            world.item_features[list(asked)], world.prompt_features[list(asked.values())]
        )
        shares.append(model.cyclic_share(person, reps))
    assert np.ptp(shares) > 0.01
    assert mean_cyclic_share(model, world, split) == pytest.approx(np.mean(shares), rel=1e-5)
    alone = small_world(0, people=4, rows=1)
    assert mean_cyclic_share(model, alone, hold_out(alone)) is None


def test_people_who_run_round_the_other_way_are_told_apart():
    world = circle_world(flip=True, people=40)  # the same items, and half of the people turned
    options = {**QUICK, "gate": "none", "optional": False, "steps": 300}
    model = FIT(circle_world(people=40), None, seed=0, **options).model
    wide = np.diag(np.full(model.user_dim, 1.0))
    model = replace(model, prior=GaussianPrior.single(model.prior.mean, wide))
    for who, sign in ((0, 1), (1, -1)):
        rows = np.flatnonzero(world.user == who)
        reps = model.represent(world.item_features)
        placed = model.place(
            reps[world.a[rows]], reps[world.b[rows]], world.target[rows].astype(float)
        )
        assert np.sign(placed.mean[0][: model.size]).sum() * sign > 0


def test_comparisons_are_led_by_their_own_margins_where_they_have_some():
    world = circle_world()
    x = world.item_features
    phase = np.arctan2(x[:, 1], x[:, 0])
    about = 4 * np.sin(phase[world.a] - phase[world.b])
    along = x[world.a, 2] - x[world.b, 2]
    world = replace(world, target=(about + along > 0).astype(np.float32))
    options = {"personal": False, "ridges": [30.0], "steps": 150, "head": "gpm", "loss": "margin"}
    good, bad = np.zeros((2, 1, 6), np.float32)
    good[0, 2], bad[0, 2] = 1, -1  # at one place of the circle, where quality alone decides

    def led(margin):
        """A fit with margins, the mean size of its own margins, and that of good over bad."""
        data = replace(world, margin=margin.astype(np.float32))
        model = FIT(data, None, seed=0, **options).model
        reps, nobody = model.represent(x), np.zeros((len(world), 0))
        size = np.abs(model.margin(nobody, reps[world.a], reps[world.b])).mean()
        over = model.margin(nobody[:1], model.represent(good), model.represent(bad))
        return model, size, float(over[0])

    one = np.ones(len(world))
    same, wide, _ = led(2 * one)
    fixed = FIT(world, None, seed=0, least=2.0, **options).model
    np.testing.assert_array_equal(same.blocks, fixed.blocks)
    assert wide > 1.3 * led(0 * one)[1]
    decides = np.abs(along) > np.abs(about)
    assert led(6 * decides)[2] > 1.2 * led(6 * ~decides)[2]


@pytest.mark.parametrize("head", ["hrc", "gpm"])
def test_coordinates_of_unit_length_learn_a_temperature_that_serves_as_well_as_a_good_one(head):
    world, other = circle_world(), circle_world(seed=1).item_features
    phase = np.arctan2(other[:, 1], other[:, 0])
    z = 4 * np.sin(phase[:100] - phase[100:]) + (other[:100, 2] - other[100:, 2])
    right = {}
    for temperature in (None, 0.5):
        model, report = FIT(
            world, None, seed=0, head=head, unit_norm=True, temperature=temperature,
            personal=False, ridges=[30.0],
        )  # fmt: skip
        reps = model.represent(other)
        found = model.margin(np.zeros((100, 0)), reps[:100], reps[100:])
        right[temperature] = (np.sign(found) == np.sign(z)).mean()
        assert report["temperature"] == model.temperature == (temperature or model.temperature)
        assert 0.01 <= model.temperature < 0.8
    assert right[None] >= right[0.5] - 0.02
    assert right[0.5] > 0.85


def test_a_temperature_that_is_learned_stays_below_1_and_a_given_one_is_kept():
    for given_options, most in (({}, 1.0), ({"temperature": 0.3}, 0.3)):
        options = gpm_options({"unit_norm": True, **given_options})
        module = Blocks(
            5, 0, options, size=2, gate="none", generator=torch.Generator().manual_seed(0)
        )
        assert module.heat.requires_grad == (not given_options)
        if not given_options:
            module.heat.data.fill_(5.0)
        assert float(module.temperature.detach()) == pytest.approx(most, abs=0.01)
        assert float(module.temperature.detach()) < 1


def test_statistics_are_frozen_and_constant_features_do_not_explode():
    x = np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32) * [1, 5, 0]
    center, spread = Statistics.of(x.astype(np.float32))
    assert (spread > 0.01).all()
    np.testing.assert_allclose(center, x.mean(0), atol=1e-5)
    assert Statistics.of(np.ones((4, 2), np.float32)).spread.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head": "bt"}, "head: expected one of"),
        ({"gate": "hard"}, "gate: expected one of"),
        ({"loss": "hinge"}, "loss: expected one of"),
        ({"blocks": 0}, "blocks: expected a whole number of at least 1"),
        ({"temperature": 0.0}, r"temperature: expected a number in \(0, inf\)"),
        ({"unit_norm": True, "temperature": 1.0}, "temperature: expected below 1 with unit_norm"),
        ({"ridges": [-1.0]}, "ridges"),
        ({"head_": "hrc"}, "gpm has no option"),
    ],
)
def test_options_that_make_no_sense_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        FIT(small_world(), None, seed=0, **options)


def test_a_gate_needs_prompts():
    world = replace(small_world(), prompt_features=None)
    with pytest.raises(InputError, match="gate: 'softmax' needs prompt features"):
        FIT(world, None, seed=0, gate="softmax")


@every
def test_an_artifact_keeps_every_bit_and_scores_as_the_model_does(options, tmp_path):
    model = made(**options)
    reps, person = candidates(model, 5), model.prior.mean
    people = People.empty(model.user_dim)
    Artifact(model, {"family": "gpm", "version": "0"}, people, reps).save(tmp_path / "model")
    scorer = Scorer(Artifact.load(tmp_path / "model"))
    again = scorer.model
    np.testing.assert_array_equal(again.margins(person, reps), model.margins(person, reps))
    np.testing.assert_array_equal(
        scorer.model.utility(scorer.posterior(None).mean, reps), model.utility(person, reps)
    )


def test_evaluation_judges_margins_that_run_in_circles():
    dataset, _ = linear_mixture_world(seen=12, new=8, train=12, test=6, support=6, query=8, seed=0)
    split = given_split(dataset, seed=0, repeats="drop")
    train, valid = fitting_sets(dataset, split)
    model = FIT(train, valid, seed=0, **{**QUICK, "optional": False, "gate": "none"}).model
    assert not model.transitive
    judged = Modelled("gpm", model, dataset)
    assert judged.is_linear
    c = dataset.comparisons
    people = np.unique(c.user[split["query"]]).astype(np.int64)
    rows, support = (rows_of(dataset, split[part], people) for part in ("query", "support"))
    found = judged.predict(support, rows)
    reps, first = model.represent(dataset.item_features), np.array([0])
    answered, asked = support.of(first).row, rows.of(first).row
    placed = model.place(reps[c.a[answered]], reps[c.b[answered]], c.target[answered].astype(float))
    expected, _ = model.contrast(placed.mean[0], reps[c.a[asked]], reps[c.b[asked]])
    np.testing.assert_allclose(found.margin[: len(asked)], expected, atol=1e-5)
