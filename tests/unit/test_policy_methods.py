"""The policy methods as they are listed, and what importing them brings."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gustibus.policy
from gustibus import ops
from gustibus.methods import METHODS

ROOT = Path(__file__).parents[2]
OURS = [n for n, row in METHODS.items() if row.run.run.__module__.startswith("gustibus.policy")]
ASKED = (
    "dpo", "dpo_gamma", "flip_threshold", "ipo_flip_threshold", "ipo", "rdpo", "rdpo_grad_logit",
    "rpo", "dove", "rationale_dpo", "orpo_log_odds", "apo_extrapolate", "apo_coefficients",
    "mcts_backup", "puct", "visit_label_smoothing", "group_advantage", "gae", "ppo_policy_terms",
    "adpa_term", "forward_kl", "unlikeliness", "group_win_rate", "group_win_rate_advantage",
    "unlikeliness_advantage", "diffusion_dpo", "smoothed_label", "smoothed_diffusion_dpo",
    "rank_diffusion", "rank_labels_from_rewards", "npo_renoise", "pseudo_huber",
    "negative_guidance",
)  # fmt: skip


def test_every_published_method_is_listed():
    assert set(ASKED) <= set(METHODS)


@pytest.mark.parametrize("name", OURS)
def test_the_example_of_a_method_runs_and_its_check_is_there(name):
    row = METHODS[name].run
    found = eval(row.example, {"ops": ops})
    for part in found if isinstance(found, tuple) else (found,):
        assert np.isfinite(part).all()
    file, _, test = row.check.partition("::")
    assert f"def {test}(" in (ROOT / file).read_text("utf-8")


@pytest.fixture(scope="module")
def fresh():
    """What a fresh process has imported, and what it says of trainers without TRL."""
    code = (
        "import sys, gustibus.policy, gustibus.errors\nprint(*sys.modules)\n"
        "sys.modules['trl'] = None\n"
        "try: import gustibus.policy.trainers\n"
        "except gustibus.errors.GustibusError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split("\n", 1)


def test_importing_the_package_brings_no_trainer(fresh):
    assert "gustibus.policy" in fresh[0].split()
    assert not {"trl", "peft", "diffusers", "transformers", "datasets"} & set(fresh[0].split())


def test_trainers_without_trl_say_what_to_install(fresh):
    assert "pip install 'gustibus[policy]'" in fresh[1]


def test_the_examples_of_the_page_run():
    names = {}
    page = (ROOT / "docs" / "policy.md").read_text("utf-8")
    for block in re.findall(r"^```python\n(.*?)^```", page, re.S | re.M):
        exec(compile(block, "policy.md", "exec"), names)
    assert names["pair"].chosen == "2"


def test_every_public_name_is_there():
    assert all(hasattr(gustibus.policy, name) for name in gustibus.policy.__all__)
