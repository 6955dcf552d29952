"""Training language models: their losses, trainers of TRL, tree search, distillation, diffusion.

`gustibus.policy.trainers` holds what needs TRL; nothing here imports it, peft or diffusers.
"""

from gustibus.policy import diffusion, distillation, groups, noising, rollouts, thresholds
from gustibus.policy.momentum import extrapolate_files, extrapolate_weights, stack_lora
from gustibus.policy.pairs import POLICY, Pairs, pair_loss
from gustibus.policy.rewarding import PersonReward
from gustibus.policy.tree import Proposal, StepPair, Tree

__all__ = [
    "POLICY",
    "Pairs",
    "PersonReward",
    "Proposal",
    "StepPair",
    "Tree",
    "diffusion",
    "distillation",
    "extrapolate_files",
    "extrapolate_weights",
    "groups",
    "noising",
    "pair_loss",
    "rollouts",
    "stack_lora",
    "thresholds",
]
