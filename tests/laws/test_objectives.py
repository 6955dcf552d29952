"""Every objective keeps the laws that it declares; a new row of a table is tested by being there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck
from torch.nn.functional import softplus

from gustibus.objectives import AUXILIARY, FORMS, LISTWISE, PAIRWISE, REDUCERS

OPTIONS: dict[str, list[dict[str, object]]] = {
    "bt_pair": [{}, {"label_smoothing": 0.1}],
    "rdpo": [{}, {"eps": 0.0}, {"eps": 0.45}],
    "ipo": [{}, {"tau": 1.0}],
    "smoothed_pair": [{}, {"gamma": 3.0}],
    "ranklist": [{"form": form, "max_skip": 2} for form in FORMS] + [{"min_gap": 0.3}],
    "info_nce": [{"tau": 0.5}],
    "cvar": [{}, {"tail": 1.0}, {"tail": 0.5}],
}


def rows(table, law: str = ""):
    """Each row of a table that has a law, with each of its settings."""
    return [
        pytest.param(entry.run, options, id="-".join([name, *map(str, options.values())]))
        for name, entry in table.items()
        if not law or law in entry.laws
        for options in OPTIONS.get(name, [{}])
    ]


def double(*values: object) -> list[Tensor]:
    return [torch.tensor(v, dtype=torch.float64) for v in values]


MARGINS = st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=5)
TARGET = st.floats(0, 1)
BATCHES = ((), (3,), (2, 3))


class TestPairwise:
    @pytest.mark.parametrize(("loss", "options"), rows(PAIRWISE, "swap"))
    @given(margins=MARGINS, target=TARGET)
    @settings(deadline=None, max_examples=8)
    def test_exchanging_the_sides_changes_nothing(self, loss, options, margins, target):
        m, t = double(margins, target)
        torch.testing.assert_close(loss(m, t, **options), loss(-m, 1 - t, **options))

    @pytest.mark.parametrize(("loss", "options"), rows(PAIRWISE, "monotone"))
    @given(margins=MARGINS)
    @settings(deadline=None, max_examples=8)
    def test_a_larger_margin_never_costs_more_where_a_is_preferred(self, loss, options, margins):
        if options.get("label_smoothing"):
            pytest.skip("smoothing keeps part of the other label")
        m = double(sorted(margins))[0]
        fall = -loss(m, torch.ones_like(m), **options).diff()
        assert (fall >= -1e-9 * m.abs().amax()).all()

    @pytest.mark.parametrize(("loss", "options"), rows(PAIRWISE, "monotone"))
    def test_a_law_of_certain_labels_is_not_said_to_hold_of_others(self, loss, options):
        """Only `smoothed_pair` is monotone wherever a is the likelier one; at 1/2 nothing moves it."""
        m = torch.linspace(-20, 20, 81, dtype=torch.float64)
        likely = loss(m, torch.full_like(m, 0.52), **options).diff()
        if loss is PAIRWISE["smoothed_pair"].run:
            assert (likely <= 0).all()
            assert (loss(m, torch.full_like(m, 0.5), **options).diff() == 0).all()
        else:
            assert (likely > 0).any()

    @pytest.mark.parametrize("name", [n for n in PAIRWISE if "bounded" not in PAIRWISE[n].laws])
    def test_a_loss_that_is_not_said_to_be_bounded_has_no_bound(self, name):
        m = torch.tensor([10.0, 100.0, 1000.0], dtype=torch.float64)
        loss = PAIRWISE[name].run(m, torch.ones_like(m))
        assert (loss.diff() < -1).all()
        assert loss[-1] < -100

    @pytest.mark.parametrize("name", [n for n in PAIRWISE if "monotone" not in PAIRWISE[n].laws])
    def test_a_loss_that_is_not_said_to_be_monotone_pulls_margins_back(self, name):
        m = torch.linspace(0, 50, 101, dtype=torch.float64)
        assert (PAIRWISE[name].run(m, torch.ones_like(m)).diff() > 0).any()

    @pytest.mark.parametrize(("loss", "options"), rows(PAIRWISE, "convex"))
    @given(first=st.floats(-50, 50), second=st.floats(-50, 50), target=TARGET)
    @settings(deadline=None, max_examples=10)
    def test_the_chord_lies_above(self, loss, options, first, second, target):
        ends, t = double([first, second], target)
        chord = loss(ends, t, **options).mean()
        assert loss(ends.mean(), t, **options) <= chord + 1e-9 * (1 + chord.abs())

    @pytest.mark.parametrize(("loss", "options"), rows(PAIRWISE, "bounded"))
    @given(margins=MARGINS, target=TARGET)
    @settings(deadline=None, max_examples=8)
    def test_no_loss_is_below_nothing(self, loss, options, margins, target):
        assert (loss(*double(margins, target), **options) >= 0).all()

    @pytest.mark.parametrize(("loss", "options"), rows(PAIRWISE, "log_odds"))
    @pytest.mark.parametrize("target", [0.1, 0.5, 0.8])
    def test_the_least_loss_is_at_the_log_odds_before_flips(self, loss, options, target):
        if options.get("label_smoothing"):
            pytest.skip("smoothing moves the minimum on purpose")
        eps = options.get("eps", 0.1 if loss is PAIRWISE["rdpo"].run else 0.0)
        m = double(np.log(target / (1 - target)))[0].requires_grad_()
        seen = (1 - eps) * target + eps * (1 - target)
        (slope,) = torch.autograd.grad(loss(m, *double(seen), **options), m)
        assert abs(float(slope)) < 1e-9

    @pytest.mark.parametrize(("loss", "options"), rows(PAIRWISE))
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("target", [0.0, 0.3, 0.5, 1.0])
    def test_extremes_have_finite_values_and_slopes(self, loss, options, dtype, target):
        m = torch.tensor([-1e4, -30, 0, 30, 1e4], dtype=dtype, requires_grad=True)
        value = loss(m, torch.full_like(m, target), **options)
        (slope,) = torch.autograd.grad(value.sum(), m)
        assert value.dtype == dtype
        assert value.isfinite().all()
        assert slope.isfinite().all()

    @pytest.mark.parametrize(("loss", "options"), rows(PAIRWISE))
    def test_slopes_agree_with_finite_differences(self, loss, options):
        m, t = double([-3.0, 0.4, 0.7, 2.0], [1.0, 0.8, 0.0, 0.5])
        assert gradcheck(lambda x: loss(x, t, **options), (m.requires_grad_(),))

    @pytest.mark.parametrize(("loss", "options"), rows(PAIRWISE))
    @pytest.mark.parametrize("batch", BATCHES)
    def test_a_batch_is_its_rows(self, loss, options, batch):
        generator = torch.Generator().manual_seed(0)
        m = torch.randn(batch, generator=generator, dtype=torch.float64)
        t = torch.rand(batch, generator=generator, dtype=torch.float64)
        whole = loss(m, t, **options)
        each = [loss(x, y, **options) for x, y in zip(m.flatten(), t.flatten(), strict=True)]
        assert whole.shape == batch
        torch.testing.assert_close(whole.flatten(), torch.stack(each))


@st.composite
def lists(draw, ties: bool = False, least: int = 2):
    """Scores and labels in [0, 1] of one list; without ties the labels differ."""
    n = draw(st.integers(least, 6))
    scores = draw(st.lists(st.floats(-5, 5), min_size=n, max_size=n))
    few = st.integers(0, 3 if ties else 40)
    labels = draw(st.lists(few, min_size=n, max_size=n, unique=not ties))
    return double(scores, [label / 40 for label in labels])


def shuffled(n: int, draw_seed: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(draw_seed))


class TestListwise:
    @pytest.mark.parametrize(("loss", "options"), rows(LISTWISE, "shift"))
    @given(one=lists(), shift=st.floats(-5, 5))
    @settings(deadline=None, max_examples=8)
    def test_a_constant_on_all_scores_changes_nothing(self, loss, options, one, shift):
        s, psi = one
        spread = s + 1e-3 * torch.arange(len(s))  # a shift may not round two scores together
        torch.testing.assert_close(
            loss(spread + shift, psi, None, **options), loss(spread, psi, None, **options)
        )

    @pytest.mark.parametrize(("loss", "options"), rows(LISTWISE, "permutation"))
    @given(one=lists(), seed=st.integers(0, 99))
    @settings(deadline=None, max_examples=8)
    def test_another_order_without_ties_changes_nothing(self, loss, options, one, seed):
        s, psi = one
        s = s + 1e-3 * torch.arange(len(s))
        order = shuffled(len(s), seed)
        torch.testing.assert_close(
            loss(s[order], psi[order], None, **options), loss(s, psi, None, **options)
        )

    @pytest.mark.parametrize(("loss", "options"), rows(LISTWISE, "ties"))
    @given(one=lists(ties=True), seed=st.integers(0, 99))
    @settings(deadline=None, max_examples=8)
    def test_another_order_with_ties_changes_nothing(self, loss, options, one, seed):
        s, psi = one
        s = s + 1e-3 * torch.arange(len(s))
        order = shuffled(len(s), seed)
        torch.testing.assert_close(
            loss(s[order], psi[order], None, **options), loss(s, psi, None, **options)
        )

    @pytest.mark.parametrize(("loss", "options"), rows(LISTWISE, "pair"))
    def test_a_list_of_two_is_its_pair_times_a_constant(self, loss, options):
        s = torch.tensor([[0.7, -0.2], [-3.0, 1.0], [2.0, 2.0]], dtype=torch.float64)
        s.requires_grad_()
        psi = torch.tensor([1.0, 0.0], dtype=torch.float64).expand(3, 2)
        value, pair = loss(s, psi, None, **options), softplus(s[:, 1] - s[:, 0])
        ratio = (value / pair).detach()
        torch.testing.assert_close(ratio, ratio[0].expand(3))
        (slope,), (steep,) = (torch.autograd.grad(v.sum(), s) for v in (value, pair))
        torch.testing.assert_close(slope, ratio[0] * steep)
        gain = 1 / np.log(2) - 1 / np.log(3)  # of exchanging a 1 and a 0
        weighted = loss is LISTWISE["lipo_lambda"].run
        assert float(ratio[0]) == pytest.approx(gain if weighted else 1)

    @pytest.mark.parametrize("name", [n for n in LISTWISE if "shift" not in LISTWISE[n].laws])
    def test_a_loss_that_is_not_said_to_ignore_a_constant_reads_it(self, name):
        s, psi = double([0.4, 0.1, -0.3], [0.9, 0.5, 0.1])
        assert abs(LISTWISE[name].run(s + 1, psi, None) - LISTWISE[name].run(s, psi, None)) > 1e-3

    @pytest.mark.parametrize("name", [n for n in LISTWISE if "ties" not in LISTWISE[n].laws])
    def test_a_loss_that_is_not_said_to_ignore_the_order_of_equals_reads_it(self, name):
        s, psi = double([0.4, 0.1, -0.3], [0.5, 0.5, 0.1])
        turned = torch.tensor([1, 0, 2])
        moved = LISTWISE[name].run(s[turned], psi[turned], None) - LISTWISE[name].run(s, psi, None)
        assert abs(moved) > 1e-3

    @pytest.mark.parametrize("name", [n for n in LISTWISE if n.startswith("pair_")])
    def test_equal_labels_cost_nothing_where_pairs_are_compared(self, name):
        s, psi = double([0.4, 0.1, -0.3], [0.5, 0.5, 0.5])
        assert LISTWISE[name].run(s, psi, None) == 0

    @pytest.mark.parametrize(("loss", "options"), rows(LISTWISE))
    @given(one=lists(ties=True), extra=st.integers(1, 3), seed=st.integers(0, 99))
    @settings(deadline=None, max_examples=8)
    def test_members_left_out_change_neither_value_nor_slope(self, loss, options, one, extra, seed):
        s, psi = one
        generator = torch.Generator().manual_seed(seed)
        size = len(s) + extra
        place = shuffled(size, seed)[: len(s)].sort().values
        scores = 9 * torch.rand(size, generator=generator, dtype=torch.float64) - 4
        labels = torch.rand(size, generator=generator, dtype=torch.float64)
        mask = torch.zeros(size, dtype=torch.bool)
        mask[place] = True
        alone = s.clone().requires_grad_()
        padded = scores.index_put((place,), s).requires_grad_()
        value = loss(alone, psi, None, **options)
        longer = loss(padded, labels.index_put((place,), psi), mask, **options)
        torch.testing.assert_close(longer, value)
        (own,) = torch.autograd.grad(value, alone)
        (slope,) = torch.autograd.grad(longer, padded)
        torch.testing.assert_close(slope[place], own)
        assert (slope[~mask] == 0).all()

    @pytest.mark.parametrize(("loss", "options"), rows(LISTWISE))
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_extremes_and_equal_scores_have_finite_values_and_slopes(self, loss, options, dtype):
        s = torch.tensor([[1e4, -1e4, 0, 5], [2, 2, 2, 2]], dtype=dtype, requires_grad=True)
        psi = torch.tensor([[0.1, 0.9, 0.5, 0.2], [1, 0.4, 0.4, 0]], dtype=dtype)
        mask = torch.tensor([[True, True, True, False], [True] * 4])
        value = loss(s, psi, mask, **options)
        (slope,) = torch.autograd.grad(value.sum(), s)
        assert value.shape == (2,)
        assert value.dtype == dtype
        assert value.isfinite().all()
        assert slope.isfinite().all()

    @pytest.mark.parametrize(("loss", "options"), rows(LISTWISE))
    def test_slopes_agree_with_finite_differences(self, loss, options):
        s, psi = double([[0.4, 0.15, -0.3], [1.0, 2.1, 0.3]], [[0.9, 0.5, 0.1], [0.2, 0.8, 0.5]])
        assert gradcheck(lambda x: loss(x, psi, None, **options), (s.requires_grad_(),))

    @pytest.mark.parametrize(("loss", "options"), rows(LISTWISE))
    @pytest.mark.parametrize("batch", BATCHES)
    def test_a_batch_is_its_lists(self, loss, options, batch):
        generator = torch.Generator().manual_seed(1)
        s = torch.randn(*batch, 4, generator=generator, dtype=torch.float64)
        psi = torch.rand(*batch, 4, generator=generator, dtype=torch.float64)
        whole = loss(s, psi, None, **options)
        flat = zip(s.reshape(-1, 4), psi.reshape(-1, 4), strict=True)
        each = [loss(x, y, None, **options) for x, y in flat]
        assert whole.shape == batch
        torch.testing.assert_close(whole.flatten(), torch.stack(each))

    @pytest.mark.parametrize(("loss", "options"), rows(LISTWISE))
    def test_a_list_of_nobody_or_of_one_is_worth_a_number(self, loss, options):
        s, psi = double([0.3, 0.2], [0.9, 0.1])
        for mask in ([False, False], [False, True]):
            assert loss(s, psi, torch.tensor(mask), **options).isfinite()


def labels_of(name: str) -> Tensor | None:
    generator = torch.Generator().manual_seed(2)
    if name == "degree_ce":
        return torch.tensor([0, 3, 1, 2, 3])
    return torch.randn(5, 4, generator=generator, dtype=torch.float64)


def values() -> Tensor:
    return torch.randn(5, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


class TestAuxiliary:
    @pytest.mark.parametrize("name", [n for n in AUXILIARY if "permutation" in AUXILIARY[n].laws])
    def test_rows_in_another_order_change_nothing(self, name):
        term, labels = AUXILIARY[name].run, labels_of(name)
        order = shuffled(5, 0)
        torch.testing.assert_close(term(values()[order], labels[order]), term(values(), labels))

    @pytest.mark.parametrize("name", [n for n in AUXILIARY if "scale" in AUXILIARY[n].laws])
    def test_the_length_of_vectors_does_not_matter(self, name):
        term, labels = AUXILIARY[name].run, labels_of(name)
        torch.testing.assert_close(term(3 * values(), 0.1 * labels), term(values(), labels))

    @pytest.mark.parametrize("name", [n for n in AUXILIARY if "shift" in AUXILIARY[n].laws])
    def test_a_constant_on_all_scores_changes_nothing(self, name):
        term, labels = AUXILIARY[name].run, labels_of(name)
        torch.testing.assert_close(term(values() + 2, labels), term(values(), labels))

    @pytest.mark.parametrize("name", list(AUXILIARY))
    @pytest.mark.parametrize("size", [1.0, 1e4])
    def test_terms_are_finite_numbers_with_right_slopes(self, name, size):
        term, labels = AUXILIARY[name].run, labels_of(name)
        x = (size * values()).requires_grad_()
        value = term(x, labels)
        assert value.shape == ()
        assert value.isfinite()
        assert torch.autograd.grad(value, x)[0].isfinite().all()
        if size == 1:
            assert gradcheck(lambda v: term(v, labels), (x,))


@st.composite
def losses(draw):
    """Losses, groups and weights of up to eight rows, with weight somewhere."""
    n = draw(st.integers(1, 8))
    loss = draw(st.lists(st.floats(-10, 10), min_size=n, max_size=n))
    group = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    weight = draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 4.0]), min_size=n, max_size=n))
    weight[draw(st.integers(0, n - 1))] = 1.0
    return (*double(loss), torch.tensor(group), *double(weight))


class TestReducers:
    @pytest.mark.parametrize(("reduce", "options"), rows(REDUCERS))
    @given(one=losses(), scale=st.sampled_from([0.0, 0.5, 3.0]))
    @settings(deadline=None, max_examples=8)
    def test_losses_scale_and_weights_have_no_unit(self, reduce, options, one, scale):
        loss, group, weight = one
        once = reduce(loss, group, weight, **options)
        torch.testing.assert_close(reduce(scale * loss, group, weight, **options), scale * once)
        torch.testing.assert_close(reduce(loss, group, 7 * weight, **options), once)

    @pytest.mark.parametrize(("reduce", "options"), rows(REDUCERS))
    @given(one=losses(), seed=st.integers(0, 99))
    @settings(deadline=None, max_examples=8)
    def test_names_of_groups_and_order_of_rows_do_not_matter(self, reduce, options, one, seed):
        loss, group, weight = one
        once = reduce(loss, group, weight, **options)
        order = shuffled(len(loss), seed)
        torch.testing.assert_close(reduce(loss, 9 - group, weight, **options), once)
        again = reduce(loss[order], group[order], weight[order], **options)
        torch.testing.assert_close(again, once)

    @pytest.mark.parametrize(("reduce", "options"), rows(REDUCERS))
    @given(one=losses())
    @settings(deadline=None, max_examples=8)
    def test_the_result_lies_among_the_losses_that_have_weight(self, reduce, options, one):
        loss, group, weight = one
        found, met = reduce(loss, group, weight, **options), loss[weight > 0]
        assert met.min() - 1e-9 <= found <= met.max() + 1e-9

    @pytest.mark.parametrize(("reduce", "options"), rows(REDUCERS))
    @given(one=losses())
    @settings(deadline=None, max_examples=8)
    def test_a_row_without_weight_is_as_if_it_were_not_there(self, reduce, options, one):
        loss, group, weight = one
        there = weight > 0
        torch.testing.assert_close(
            reduce(loss[there], group[there], weight[there], **options),
            reduce(loss, group, weight, **options),
        )
