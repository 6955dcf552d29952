"""Placing a new person from 2 to 20 comparisons: the pool, the next question, when to stop."""

from gustibus.onboarding.building import Pairs, build_pool, limits_for, random_pairs
from gustibus.onboarding.confidence import Stopping, confidence
from gustibus.onboarding.doubt import CARELESS, carelessness, consistency, doubt, doubted
from gustibus.onboarding.explain import Explanation, deciding_pair, explain, explain_session
from gustibus.onboarding.pool import QuestionPool
from gustibus.onboarding.questions import QUESTIONS, Exposure, choose, choose_batch
from gustibus.onboarding.session import Progress, Step, advance, next_question, place_person, replay
from gustibus.onboarding.tendencies import TRAITS, Tendency, telling_pair, tendencies
from gustibus.onboarding.turns import ANSWERS, Question, Rows, Session, Settings, Turn, evidence

__all__ = [
    "ANSWERS",
    "CARELESS",
    "QUESTIONS",
    "TRAITS",
    "Explanation",
    "Exposure",
    "Pairs",
    "Progress",
    "Question",
    "QuestionPool",
    "Rows",
    "Session",
    "Settings",
    "Step",
    "Stopping",
    "Tendency",
    "Turn",
    "advance",
    "build_pool",
    "carelessness",
    "choose",
    "choose_batch",
    "confidence",
    "consistency",
    "deciding_pair",
    "doubt",
    "doubted",
    "evidence",
    "explain",
    "explain_session",
    "limits_for",
    "next_question",
    "place_person",
    "random_pairs",
    "replay",
    "telling_pair",
    "tendencies",
]
