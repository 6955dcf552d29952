"""Losses of pairs under a policy keep the laws that they declare, and no others."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gustibus.policy import POLICY, Pairs, pair_loss

LAWS = ("shift", "ratio", "monotone", "convex")
logp = st.floats(-60, -1)
pairs = st.lists(st.tuples(logp, logp, logp, logp), min_size=1, max_size=4)


def columns(rows) -> Pairs:
    """A batch whose reasons and lengths are given too."""
    pi_w, pi_l, ref_w, ref_l = torch.tensor(rows, dtype=torch.float64).T
    more = {"pi_r": torch.full_like(pi_w, -9.0), "len_w": torch.full_like(pi_w, 4.0)}
    return Pairs(pi_w, pi_l, ref_w, ref_l, **more)


def change(law, batch: Pairs, by: float) -> Pairs:
    """A batch that the law says costs the same."""
    if law == "shift":
        return batch._replace(pi_w=batch.pi_w + by, pi_l=batch.pi_l + by)
    return batch._replace(pi_w=batch.pi_w + by, ref_w=batch.ref_w + by)


def having(law):
    return [name for name in POLICY if law in POLICY[name].laws]


def lacking(law):
    return [name for name in POLICY if law not in POLICY[name].laws]


def invariant(keep):
    return [(law, name) for law in ("shift", "ratio") for name in keep(law)]


@pytest.mark.parametrize(("law", "name"), invariant(having))
@given(rows=pairs, by=st.floats(-20, 20))
@settings(deadline=None, max_examples=15)
def test_what_a_law_leaves_out_changes_nothing(law, name, rows, by):
    batch = columns(rows)
    found = pair_loss(name, change(law, batch, by), beta=0.2)
    torch.testing.assert_close(found, pair_loss(name, batch, beta=0.2), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("law", "name"), invariant(lacking))
def test_what_no_law_leaves_out_counts(law, name):
    batch, strong = columns([(-20, -24, -21, -22)]), {"rpo": {"sft_coef": 0.1}}
    options = {
        "beta": 0.2,
        **strong.get(name, {}),
        **({"gamma": 0.5} if name == "dpo_gamma" else {}),
    }
    moved = pair_loss(name, change(law, batch, 3.0), **options) - pair_loss(name, batch, **options)
    assert moved.abs().min() > 1e-3


def chosen(rows, count=41):
    """The first pair of a batch at rising log-probabilities of the chosen response."""
    batch = columns([rows[0]] * count)
    return batch._replace(pi_w=torch.linspace(-80, 0, count, dtype=torch.float64))


@pytest.mark.parametrize("name", having("monotone"))
@given(rows=pairs)
@settings(deadline=None, max_examples=15)
def test_a_likelier_chosen_response_never_costs_more(name, rows):
    assert (pair_loss(name, chosen(rows), beta=0.2).diff() <= 1e-9).all()


@pytest.mark.parametrize("name", lacking("monotone"))
def test_a_loss_that_is_not_monotone_pulls_the_policy_back(name):
    assert (pair_loss(name, chosen([(-20, -24, -21, -22)]), beta=0.2).diff() > 0).any()


@pytest.mark.parametrize("name", having("convex"))
@given(rows=pairs)
@settings(deadline=None, max_examples=15)
def test_the_loss_bends_upwards(name, rows):
    loss = pair_loss(name, chosen(rows), beta=0.2)
    assert (loss.diff().diff() >= -1e-9 * (1 + loss.abs().max())).all()


def test_every_law_of_a_policy_objective_is_checked_here():
    assert {law for entry in POLICY.values() for law in entry.laws} == set(LAWS)
    assert having("convex") == list(POLICY)
