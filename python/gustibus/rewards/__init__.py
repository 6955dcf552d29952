"""From a raw reward to the number that is used: transforms, combination, further sources.

numpy alone is enough to import it; what needs torch, POT or transformers imports them when called.
"""

from gustibus.rewards.combine import (
    COMBINE,
    and_combine,
    linear_sum,
    minimum,
    or_combine,
    weighted_log_sigmoid,
)
from gustibus.rewards.continuations import best_of_n_value
from gustibus.rewards.follow_up import follow_up_reward, mine_pair
from gustibus.rewards.gaussian import (
    entropy_hinge,
    gaussian_loss,
    gaussian_preference,
    gaussian_preference_approx,
)
from gustibus.rewards.judging import sift
from gustibus.rewards.relevance import relevance_reward
from gustibus.rewards.saved import Transform
from gustibus.rewards.statistics import Statistics
from gustibus.rewards.tooled import tool_reward
from gustibus.rewards.transforms import (
    TRANSFORMS,
    arctan,
    ceiling,
    centred,
    clip,
    length_penalty,
    lsc,
    mean_std,
    min_max,
    par,
    ref_quantile,
    shifted_sigmoid,
    tanh,
)
from gustibus.rewards.transport import transfer_labels

__all__ = [
    "COMBINE",
    "TRANSFORMS",
    "Statistics",
    "Transform",
    "and_combine",
    "arctan",
    "best_of_n_value",
    "ceiling",
    "centred",
    "clip",
    "entropy_hinge",
    "follow_up_reward",
    "gaussian_loss",
    "gaussian_preference",
    "gaussian_preference_approx",
    "length_penalty",
    "linear_sum",
    "lsc",
    "mean_std",
    "min_max",
    "mine_pair",
    "minimum",
    "or_combine",
    "par",
    "ref_quantile",
    "relevance_reward",
    "shifted_sigmoid",
    "sift",
    "tanh",
    "tool_reward",
    "transfer_labels",
    "weighted_log_sigmoid",
]
