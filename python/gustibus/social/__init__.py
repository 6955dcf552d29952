"""What groups decide: ballots and voting rules, strengths, fair committees and fair rankings.

Names are loaded on first use; numpy is all that most of them need.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gustibus.social.approvals import ApprovalProfile as ApprovalProfile
    from gustibus.social.bias import BlockBias as BlockBias
    from gustibus.social.bias import Latent as Latent
    from gustibus.social.bias import RequiredRankings as RequiredRankings
    from gustibus.social.bias import Smoothness as Smoothness
    from gustibus.social.bias import Swapping as Swapping
    from gustibus.social.bias import UtilityBias as UtilityBias
    from gustibus.social.bias import apply_bias as apply_bias
    from gustibus.social.bias import required_rankings as required_rankings
    from gustibus.social.bias import smoothness as smoothness
    from gustibus.social.bounds import Policy as Policy
    from gustibus.social.bounds import at_least as at_least
    from gustibus.social.bounds import at_most as at_most
    from gustibus.social.bounds import equal as equal
    from gustibus.social.bounds import exactly as exactly
    from gustibus.social.bounds import proportional as proportional
    from gustibus.social.bounds import rooney as rooney
    from gustibus.social.bounds import shares as shares
    from gustibus.social.checks import AXIOMS as AXIOMS
    from gustibus.social.checks import AxiomCheck as AxiomCheck
    from gustibus.social.checks import check_committee as check_committee
    from gustibus.social.checks import price_system as price_system
    from gustibus.social.committees import Committee as Committee
    from gustibus.social.committees import committee as committee
    from gustibus.social.committees import committee_rules as committee_rules
    from gustibus.social.committees import committee_value as committee_value
    from gustibus.social.committees import price_of_fairness as price_of_fairness
    from gustibus.social.consensus import chanas as chanas
    from gustibus.social.consensus import footrule as footrule
    from gustibus.social.consensus import kemeny as kemeny
    from gustibus.social.consensus import mc4 as mc4
    from gustibus.social.consensus import pick_a_perm as pick_a_perm
    from gustibus.social.consensus import slater as slater
    from gustibus.social.consensus import weak_kemeny as weak_kemeny
    from gustibus.social.cultures import random_profile as random_profile
    from gustibus.social.decisions import Decision as Decision
    from gustibus.social.decisions import RuleRow as RuleRow
    from gustibus.social.decisions import decide as decide
    from gustibus.social.decisions import rules as rules
    from gustibus.social.exposure import ExposurePolicy as ExposurePolicy
    from gustibus.social.exposure import exposure_policy as exposure_policy
    from gustibus.social.fair import FairTable as FairTable
    from gustibus.social.fair import Reranking as Reranking
    from gustibus.social.fair import fail_probability as fail_probability
    from gustibus.social.fair import fair_methods as fair_methods
    from gustibus.social.fair import fair_rerank as fair_rerank
    from gustibus.social.fair import fair_table as fair_table
    from gustibus.social.fair_measures import FairMetrics as FairMetrics
    from gustibus.social.fair_measures import attention_gap as attention_gap
    from gustibus.social.fair_measures import fair_metrics as fair_metrics
    from gustibus.social.fair_rankings import FairConsensus as FairConsensus
    from gustibus.social.fair_rankings import PairwiseParity as PairwiseParity
    from gustibus.social.fair_rankings import ParityRepair as ParityRepair
    from gustibus.social.fair_rankings import closest_fair_ranking as closest_fair_ranking
    from gustibus.social.fair_rankings import fair_consensus as fair_consensus
    from gustibus.social.fair_rankings import pairwise_parity as pairwise_parity
    from gustibus.social.fair_rankings import repair_parity as repair_parity
    from gustibus.social.fusion import FusedRun as FusedRun
    from gustibus.social.fusion import RunArrays as RunArrays
    from gustibus.social.fusion import fuse as fuse
    from gustibus.social.fusion import fusion_methods as fusion_methods
    from gustibus.social.fusion import fusion_norms as fusion_norms
    from gustibus.social.majority import baldwin as baldwin
    from gustibus.social.majority import banks as banks
    from gustibus.social.majority import beat_path as beat_path
    from gustibus.social.majority import bipartisan_set as bipartisan_set
    from gustibus.social.majority import black as black
    from gustibus.social.majority import condorcet_loser as condorcet_loser
    from gustibus.social.majority import condorcet_winner as condorcet_winner
    from gustibus.social.majority import copeland as copeland
    from gustibus.social.majority import maximal_lotteries as maximal_lotteries
    from gustibus.social.majority import minimax as minimax
    from gustibus.social.majority import nanson as nanson
    from gustibus.social.majority import ranked_pairs as ranked_pairs
    from gustibus.social.majority import river as river
    from gustibus.social.majority import schulze as schulze
    from gustibus.social.majority import schwartz_set as schwartz_set
    from gustibus.social.majority import simple_stable_voting as simple_stable_voting
    from gustibus.social.majority import smith_set as smith_set
    from gustibus.social.majority import split_cycle as split_cycle
    from gustibus.social.majority import stable_voting as stable_voting
    from gustibus.social.majority import uncovered_set as uncovered_set
    from gustibus.social.majority import weak_condorcet_winner as weak_condorcet_winner
    from gustibus.social.metrics import distance as distance
    from gustibus.social.metrics import distances as distances
    from gustibus.social.metrics import rbo as rbo
    from gustibus.social.nearness import dodgson as dodgson
    from gustibus.social.nearness import single_peaked_axis as single_peaked_axis
    from gustibus.social.nearness import young as young
    from gustibus.social.parity_program import ParityConsensus as ParityConsensus
    from gustibus.social.parity_program import parity_consensus as parity_consensus
    from gustibus.social.profile import Lists as Lists
    from gustibus.social.profile import Profile as Profile
    from gustibus.social.runoffs import benham as benham
    from gustibus.social.runoffs import bottom_two_runoff as bottom_two_runoff
    from gustibus.social.runoffs import bucklin as bucklin
    from gustibus.social.runoffs import coombs as coombs
    from gustibus.social.runoffs import hare as hare
    from gustibus.social.runoffs import instant_runoff as instant_runoff
    from gustibus.social.runoffs import runoff as runoff
    from gustibus.social.runoffs import simplified_bucklin as simplified_bucklin
    from gustibus.social.runoffs import smith_irv as smith_irv
    from gustibus.social.runoffs import supplementary_vote as supplementary_vote
    from gustibus.social.scoring import borda as borda
    from gustibus.social.scoring import dowdall as dowdall
    from gustibus.social.scoring import eurovision as eurovision
    from gustibus.social.scoring import exponential as exponential
    from gustibus.social.scoring import formula_one as formula_one
    from gustibus.social.scoring import plurality as plurality
    from gustibus.social.scoring import positional as positional
    from gustibus.social.scoring import t_approval as t_approval
    from gustibus.social.scoring import veto as veto
    from gustibus.social.seats import meek as meek
    from gustibus.social.seats import stv as stv
    from gustibus.social.seats import warren as warren
    from gustibus.social.strength import bradley_terry as bradley_terry
    from gustibus.social.strength import bradley_terry_totals as bradley_terry_totals
    from gustibus.social.strength_chains import average_win_rate as average_win_rate
    from gustibus.social.strength_chains import counting as counting
    from gustibus.social.strength_chains import eigen as eigen
    from gustibus.social.strength_chains import elo as elo
    from gustibus.social.strength_chains import hits as hits
    from gustibus.social.strength_chains import pagerank as pagerank
    from gustibus.social.strength_chains import rank_centrality as rank_centrality
    from gustibus.social.strength_chains import spectral as spectral
    from gustibus.social.strength_doubt import Bootstrap as Bootstrap
    from gustibus.social.strength_doubt import Intervals as Intervals
    from gustibus.social.strength_doubt import bootstrap as bootstrap
    from gustibus.social.strength_doubt import covariance as covariance
    from gustibus.social.strength_doubt import intervals as intervals
    from gustibus.social.strength_rankings import break_rankings as break_rankings
    from gustibus.social.strength_rankings import davidson_luce as davidson_luce
    from gustibus.social.strength_rankings import plackett_luce as plackett_luce
    from gustibus.social.strength_results import DisconnectedWarning as DisconnectedWarning
    from gustibus.social.strength_results import Scores as Scores
    from gustibus.social.strength_results import Strengths as Strengths
    from gustibus.social.strength_ties import davidson as davidson
    from gustibus.social.strength_ties import rao_kupper as rao_kupper
    from gustibus.social.strength_ties import thurstone as thurstone
    from gustibus.social.study import BiasStudy as BiasStudy
    from gustibus.social.study import bias_study as bias_study
    from gustibus.social.study import study_rules as study_rules
    from gustibus.social.utilities import UtilityProfile as UtilityProfile

_HOME = {
    "AXIOMS": "checks",
    "ApprovalProfile": "approvals",
    "AxiomCheck": "checks",
    "BiasStudy": "study",
    "BlockBias": "bias",
    "Bootstrap": "strength_doubt",
    "Committee": "committees",
    "Decision": "decisions",
    "DisconnectedWarning": "strength_results",
    "ExposurePolicy": "exposure",
    "FairConsensus": "fair_rankings",
    "FairMetrics": "fair_measures",
    "FairTable": "fair",
    "FusedRun": "fusion",
    "Intervals": "strength_doubt",
    "Latent": "bias",
    "Lists": "profile",
    "PairwiseParity": "fair_rankings",
    "ParityConsensus": "parity_program",
    "ParityRepair": "fair_rankings",
    "Policy": "bounds",
    "Profile": "profile",
    "RequiredRankings": "bias",
    "Reranking": "fair",
    "RuleRow": "decisions",
    "RunArrays": "fusion",
    "Scores": "strength_results",
    "Smoothness": "bias",
    "Strengths": "strength_results",
    "Swapping": "bias",
    "UtilityBias": "bias",
    "UtilityProfile": "utilities",
    "apply_bias": "bias",
    "at_least": "bounds",
    "at_most": "bounds",
    "attention_gap": "fair_measures",
    "average_win_rate": "strength_chains",
    "baldwin": "majority",
    "banks": "majority",
    "beat_path": "majority",
    "benham": "runoffs",
    "bias_study": "study",
    "bipartisan_set": "majority",
    "black": "majority",
    "bootstrap": "strength_doubt",
    "borda": "scoring",
    "bottom_two_runoff": "runoffs",
    "bradley_terry": "strength",
    "bradley_terry_totals": "strength",
    "break_rankings": "strength_rankings",
    "bucklin": "runoffs",
    "chanas": "consensus",
    "check_committee": "checks",
    "closest_fair_ranking": "fair_rankings",
    "committee": "committees",
    "committee_rules": "committees",
    "committee_value": "committees",
    "condorcet_loser": "majority",
    "condorcet_winner": "majority",
    "coombs": "runoffs",
    "copeland": "majority",
    "counting": "strength_chains",
    "covariance": "strength_doubt",
    "davidson": "strength_ties",
    "davidson_luce": "strength_rankings",
    "decide": "decisions",
    "distance": "metrics",
    "distances": "metrics",
    "dodgson": "nearness",
    "dowdall": "scoring",
    "eigen": "strength_chains",
    "elo": "strength_chains",
    "equal": "bounds",
    "eurovision": "scoring",
    "exactly": "bounds",
    "exponential": "scoring",
    "exposure_policy": "exposure",
    "fail_probability": "fair",
    "fair_consensus": "fair_rankings",
    "fair_methods": "fair",
    "fair_metrics": "fair_measures",
    "fair_rerank": "fair",
    "fair_table": "fair",
    "footrule": "consensus",
    "formula_one": "scoring",
    "fuse": "fusion",
    "fusion_methods": "fusion",
    "fusion_norms": "fusion",
    "hare": "runoffs",
    "hits": "strength_chains",
    "instant_runoff": "runoffs",
    "intervals": "strength_doubt",
    "kemeny": "consensus",
    "maximal_lotteries": "majority",
    "mc4": "consensus",
    "meek": "seats",
    "minimax": "majority",
    "nanson": "majority",
    "pagerank": "strength_chains",
    "pairwise_parity": "fair_rankings",
    "parity_consensus": "parity_program",
    "pick_a_perm": "consensus",
    "plackett_luce": "strength_rankings",
    "plurality": "scoring",
    "positional": "scoring",
    "price_of_fairness": "committees",
    "price_system": "checks",
    "proportional": "bounds",
    "random_profile": "cultures",
    "rank_centrality": "strength_chains",
    "ranked_pairs": "majority",
    "rao_kupper": "strength_ties",
    "rbo": "metrics",
    "repair_parity": "fair_rankings",
    "required_rankings": "bias",
    "river": "majority",
    "rooney": "bounds",
    "rules": "decisions",
    "runoff": "runoffs",
    "schulze": "majority",
    "schwartz_set": "majority",
    "shares": "bounds",
    "simple_stable_voting": "majority",
    "simplified_bucklin": "runoffs",
    "single_peaked_axis": "nearness",
    "slater": "consensus",
    "smith_irv": "runoffs",
    "smith_set": "majority",
    "smoothness": "bias",
    "spectral": "strength_chains",
    "split_cycle": "majority",
    "stable_voting": "majority",
    "study_rules": "study",
    "stv": "seats",
    "supplementary_vote": "runoffs",
    "t_approval": "scoring",
    "thurstone": "strength_ties",
    "uncovered_set": "majority",
    "veto": "scoring",
    "warren": "seats",
    "weak_condorcet_winner": "majority",
    "weak_kemeny": "consensus",
    "young": "nearness",
}

__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"gustibus.social.{_HOME[name]}"), name)
    message = f"module 'gustibus.social' has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted(__all__)
