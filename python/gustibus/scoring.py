"""Numbers for one person: scores, order, best of n, comparison, each with its uncertainty.

Everything here is arithmetic on `(value, gradient)` as `PreferenceModel.linearize` gives them, so no
family is a special case. Standard errors are of the person's posterior alone: they say how well the
person is known, not how noisy an answer is.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast, get_args

import numpy as np

from gustibus.artifact import Artifact
from gustibus.data.quick_answers import checked_answers, checked_strengths
from gustibus.encoders import Encoder, load_encoder
from gustibus.encoders.base import checked_texts
from gustibus.errors import ConfigError, InputError, NotFoundError, UnknownUserWarning
from gustibus.models.base import PreferenceModel, check_features
from gustibus.models.directions import direction, rewards, robust_scores
from gustibus.models.fingerprint import check_state
from gustibus.models.hybrid import Hybrid
from gustibus.posterior import Answering, Posterior, predict
from gustibus.rewards import Transform
from gustibus.showing import shown
from gustibus.types import F32, F64, I64

Normalization = Literal["none", "user", "population"]
OnUnknown = Literal["warn", "population", "error"]
"""What to do for somebody whom a model does not know: all but `error` score for the population."""
_CHOICES = get_args(OnUnknown)


def rank(scores: F64) -> I64:
    """Indices from best to worst, `(n,)`; equal scores keep the lower index first.

    Examples:
        >>> rank(np.array([0.2, 1.5, 1.5, -1.0])).tolist()
        [1, 2, 0, 3]
    """
    return (-scores).argsort(kind="stable")


def stderr(covariance: F64, gradient: F64) -> F64:
    """Posterior standard deviation of each score: `(u, u)`, `(n, u)` -> `(n,)`."""
    variance = np.einsum("nu,uv,nv->n", gradient, covariance, gradient)
    return np.sqrt(np.maximum(variance, 0.0))


def draw(mean: F64, covariance: F64, *, draws: int, seed: int) -> F64:
    """`(draws, u)` user vectors from `N(mean, covariance)`; a singular covariance is fine."""
    values, vectors = np.linalg.eigh(covariance)
    # the symmetric root: with directions of equal variance no other one moves as little as its input
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T  # (u, u)
    noise = np.random.default_rng(seed).standard_normal((draws, len(mean)))
    return np.asarray(mean + noise @ root)


@dataclass(frozen=True, slots=True)
class BestOf:
    """The best of n candidates and how sure that is."""

    index: int
    """Position of the best candidate in the request."""
    score: float
    """Its reward under the person's mean, in log-odds."""
    p_best: float
    """Share of posterior draws in which it is the best, in `[0, 1]`."""
    runner_up: int | None
    """Position of the second best; None when there is one candidate."""
    expected_regret: float
    """Mean over draws of (best reward in the draw - its reward), in log-odds, at or above 0."""


def best_of_n(
    mean: F64,
    covariance: F64,
    value: F64,
    gradient: F64,
    *,
    draws: int = 256,
    seed: int = 0,
    chosen: int | None = None,
) -> BestOf:
    """Best candidate under the posterior mean, with `p_best` and regret from posterior draws.

    Args:
        mean: `(u,)` posterior mean of the person.
        covariance: `(u, u)`.
        value: `(n,)` rewards at the mean, as `PreferenceModel.linearize_among` gives them.
        gradient: `(n, u)` their gradients in the user vector.
        draws: posterior draws.
        seed: of the draws; equal input and seed give equal numbers.
        chosen: a candidate that was chosen in another way, whose chances are then told.

    Raises:
        InputError: there is no candidate.
    """
    if len(value) == 0:
        message = "candidates: expected at least one, got none"
        raise InputError(message, where="candidates")
    order = rank(value)
    best = int(order[0]) if chosen is None else chosen
    rest = order[order != best]
    moved = draw(np.zeros_like(mean), covariance, draws=draws, seed=seed) @ gradient.T  # (draws, n)
    sampled = value + moved
    top = sampled.max(axis=1)
    return BestOf(
        index=best,
        score=float(value[best]),
        p_best=float((sampled.argmax(axis=1) == best).mean()),
        runner_up=int(rest[0]) if len(rest) else None,
        expected_regret=float((top - sampled[:, best]).mean()),
    )


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a person is expected to compare two candidates."""

    p_a: float
    """Probability that a is preferred, averaged over the posterior, lapses included."""
    stderr: float
    """Posterior standard deviation of the margin, in log-odds."""
    margin: float
    """Reward of a less reward of b at the posterior mean, in log-odds."""


def compare(covariance: F64, margin: float, direction: F64, *, answering: Answering) -> Comparison:
    """Compare a with b from the margin and its gradient `(u,)` under a covariance `(u, u)`."""
    variance = max(float(direction @ covariance @ direction), 0.0)
    p_a = predict(np.array([margin]), np.array([variance]), answering=answering)
    return Comparison(float(p_a[0]), variance**0.5, float(margin))


def normalize(scores: F64, kind: Normalization, reference: F64 | None) -> F64:
    """Scores on a comparable scale.

    Args:
        scores: `(n,)` raw rewards.
        kind: `none` leaves them; `user` and `population` subtract the mean and divide by the
            standard deviation of `reference`.
        reference: `(k,)` rewards of the fixed reference set under this person (`user`) or under the
            population (`population`).

    Raises:
        InputError: the model carries no reference set.
    """
    if kind == "none":
        return scores
    if reference is None or len(reference) < 2:
        message = f"normalize: {kind!r} needs a model with a reference set, this one has none"
        raise InputError(message, where="normalize")
    return (scores - reference.mean()) / max(float(reference.std()), 1e-12)


def own_transform(artifact: Artifact) -> Transform:
    """The transform that was saved with a model.

    Raises:
        InputError: there is none.
    """
    if artifact.transform is None:
        message = "transform: this model was saved without one; name one of the table"
        raise InputError(message, where="transform")
    return artifact.transform


def reference_rewards(
    transform: Transform,
    rewards: Callable[[F32], F64],
    *,
    reference: F32,
    given: F32 | None = None,
) -> F64 | None:
    """What a transform compares with, the same here, in training and over HTTP.

    In this order: the responses that came with the call, what was frozen into the transform, the
    model's reference set under the same person.

    Args:
        transform: that compares.
        rewards: raw rewards of representations `(k, r)` under the person.
        reference: `(k, r)` the model's reference set.
        given: `(p, r)` reference responses to the same prompt, or None.

    Returns:
        `(p,)` or `(k,)`; None where the transform's own count, or there are none.
    """
    if given is None and (transform.references is not None or not len(reference)):
        return None
    return rewards(reference if given is None else given)


class Scorer:
    """A loaded model with its encoder: texts in, one person's numbers out.

    Args:
        artifact: the model with its people.
        encoder: of its texts; by default the one that it was trained with, loaded on first use.

    Examples:
        scorer = gustibus.load("runs/demo")
        scorer.score("How do I boil an egg?", ["Briefly.", "At length."], user="ada")
    """

    def __init__(self, artifact: Artifact, *, encoder: Encoder | None = None) -> None:
        self.artifact = artifact
        self.model: PreferenceModel = artifact.model
        self._encoder = encoder

    def __repr__(self) -> str:
        card = self.artifact.card
        encoder = self._encoder.name if self._encoder else (card.get("encoder") or {}).get("name")
        return shown(
            self, model=card.get("name") or card.get("family"), people=len(self.artifact.people),
            items=len(self.model.known) if isinstance(self.model, Hybrid) else None,
            encoder=encoder, digest=self.artifact.digest[:12] or None,
        )  # fmt: skip

    @property
    def encoder(self) -> Encoder:
        """The encoder that the model was trained with, loaded on first use."""
        if self._encoder is None:
            spec = self.artifact.card.get("encoder")
            if not spec:
                message = (
                    "this model was trained on ready-made embeddings and has no text encoder; "
                    "pass embeddings, or Scorer(artifact, encoder=...)"
                )
                raise ConfigError(message, where="encoder")
            encoder = load_encoder(spec["name"], **spec["options"])
            if encoder.fingerprint != spec["fingerprint"]:
                message = (
                    f"encoder {spec['name']!r}: fingerprint {encoder.fingerprint[:12]} is not "
                    f"the model's {spec['fingerprint'][:12]}; its scores would mean something else"
                )
                raise ConfigError(message, where="encoder")
            self._encoder = encoder
        return self._encoder

    def knows(self, user: str) -> bool:
        """Whether somebody is among the people of this model, and has a reward of their own."""
        return user in self.artifact.people

    def posterior(self, user: str | None, *, on_unknown_user: OnUnknown = "warn") -> Posterior:
        """What is known of a training person; the population for None or an unknown one.

        Its `comparisons` are 0 where nothing is known.

        Args:
            user: name of a person, or None for nobody in particular.
            on_unknown_user: `warn` with an `UnknownUserWarning`, `population` says nothing, `error`
                refuses.

        Raises:
            InputError: `user` is no name, or `on_unknown_user` no choice.
            NotFoundError: the person is unknown and `on_unknown_user` is `error`.
        """
        return self._posterior(user, on_unknown_user, caller=3)

    def _posterior(
        self, user: str | Posterior | None, unknown: OnUnknown, *, caller: int
    ) -> Posterior:
        """The same, or a posterior as it is; a warning is about the line `caller` calls away."""
        if unknown not in _CHOICES:
            message = f"on_unknown_user: expected one of {list(_CHOICES)}, got {unknown!r}"
            raise InputError(message, where="on_unknown_user")
        if isinstance(user, Posterior):
            return user
        if user is None:
            return self._own(Posterior.from_prior(self.model.prior))
        if not isinstance(user, str):
            message = (
                f"user: expected a name, a posterior or None, got {type(user).__name__} {user!r}"
            )
            raise InputError(message, where="user")
        found = self.artifact.people.find(user)
        if found is not None:
            return self._own(found)
        message = (
            f"user: {user!r} is not among the {len(self.artifact.people)} people of this model"
        )
        if unknown == "error":
            raise NotFoundError(message, where="user")
        if unknown == "warn":
            hint = "scores are the population's; place the person, or say on_unknown_user"
            warnings.warn(f"{message}: {hint}", UnknownUserWarning, stacklevel=caller)
        return self._own(Posterior.from_prior(self.model.prior))

    def _own(self, state: Posterior) -> Posterior:
        """The state with the mark of this model, which other models refuse."""
        return replace(state, made_by=self.artifact.fingerprint)

    def represent(self, prompt: str, responses: Sequence[str] | F32) -> F32:
        """Representations `(n, r)` of texts, or of embeddings `(n, d)`.

        Args:
            prompt: that the responses answer.
            responses: `n` texts; or, as the model was trained on them, embeddings of its `item_dim`.

        Raises:
            InputError: something is no text; the message says which.
            DimensionError: embeddings of another length.
            NotFiniteError: an embedding holds NaN or infinity.
            ConfigError: the model has no text encoder.
        """
        if not isinstance(prompt, str):
            message = f"prompt: expected a text, got {type(prompt).__name__}"
            raise InputError(message, where="prompt")
        if isinstance(responses, np.ndarray) and responses.dtype.kind in "fiu":
            items = check_features("candidates", responses, self.model.item_dim)
        else:
            texts = cast("Sequence[str]", responses)
            items = self.encoder.encode(checked_texts(texts, "candidates"))
        prompts = None
        if self.model.prompt_dim:
            prompts = np.repeat(self.encoder.encode([prompt]), len(items), axis=0)
        return self.model.represent(items, prompts)

    def place(
        self, answers: Sequence[tuple[str, str, str, float]], *,
        strengths: Sequence[float | None] | None = None,
    ) -> Posterior:  # fmt: skip
        """Posterior of a new person from `(prompt, a, b, target)` answers.

        Args:
            answers: of one person; target is the probability that `a` is preferred, in `[0, 1]`: 1 for
                a, 0 for b, 0.5 for a tie. Without answers it is the population.
            strengths: how strongly each was preferred, above 0, in the units that the model was trained
                with, None where that was not said; they count only for a model that was trained with
                strengths.

        Raises:
            InputError: an answer or a strength has another form; the message says which.
        """
        asked = checked_answers(answers)
        said = checked_strengths(strengths, len(asked))
        if not asked:
            return self._own(Posterior.from_prior(self.model.prior))
        a = np.concatenate([self.represent(p, [x]) for p, x, _, _ in asked])
        b = np.concatenate([self.represent(p, [y]) for p, _, y, _ in asked])
        rule = self.artifact.strengths
        weight = None if rule is None or said is None else rule.weights(said)
        target = np.array([t for *_, t in asked], np.float64)
        return self._own(self.model.place(a, b, target, weight=weight)[0])

    def score(
        self,
        prompt: str,
        candidates: Sequence[str] | F32,
        *,
        user: str | Posterior | None = None,
        on_unknown_user: OnUnknown = "warn",
        transform: Transform | Literal["model"] | None = None,
        references: Sequence[str] = (),
        among: bool = False,
    ) -> F64:
        """Rewards `(n,)` of candidates for a person, in log-odds: equal ones are chosen equally often.

        Each is of one candidate by itself. Where tastes can run in circles no such number orders every
        two candidates as the person would: order and choose by those with `among`.

        Args:
            prompt: that the candidates answer.
            candidates: `n` texts, or embeddings `(n, d)` where the model was trained on them; none
                give `(0,)`.
            user: whose rewards, by name or as a posterior from `place`; the population's by default.
            on_unknown_user: for a name that the model does not know: `warn` scores for the population
                and warns once a place in the code and name, `population` does not warn, `error`
                refuses.
            transform: of the rewards; `model` is the one saved with the model.
            references: texts that the transform compares with, as `transformed` says.
            among: score the candidates among each other, as rerank and best of n do; the same
                numbers where tastes never run in circles.

        Raises:
            InputError: an argument is of another kind; the posterior is of another model; or the
                transform lacks what it needs.
            NotFoundError: the person is unknown and `on_unknown_user` is `error`.
        """
        person = self._posterior(user, on_unknown_user, caller=3)
        check_state(person, self.model, own=self.artifact.fingerprint)
        utility = self.model.utility_among if among else self.model.utility
        value = utility(person.mean, self.represent(prompt, candidates))
        if transform is None:
            return value
        shape, compared = self.compared(
            transform,
            lambda vectors: self.model.utility(person.mean, vectors),
            prompt=prompt,
            references=references,
        )
        return np.asarray(shape(value, compared))

    def compared(
        self,
        transform: Transform | Literal["model"],
        rewards: Callable[[F32], F64],
        *,
        prompt: str = "",
        references: Sequence[str] = (),
    ) -> tuple[Transform, F64 | None]:
        """A transform, and the rewards `(p,)` that it compares with, as `reference_rewards` says.

        Args:
            transform: of rewards; `model` is the one saved with the model.
            rewards: from representations `(k, r)` to `(k,)`.
            prompt: that the references answer.
            references: texts to compare with; the model's reference set by default.

        Raises:
            InputError: no transform was saved.
        """
        shape = own_transform(self.artifact) if transform == "model" else transform
        if not isinstance(shape, Transform):
            message = f"transform: expected a Transform or 'model', got {transform!r}"
            raise InputError(message, where="transform")
        given = self.represent(prompt, references) if references else None
        return shape, reference_rewards(
            shape, rewards, reference=self.artifact.reference, given=given
        )

    def score_stated(
        self,
        prompt: str,
        candidates: Sequence[str],
        weights: Mapping[str, float],
        *,
        degrees: float = 0.0,
    ) -> F64:
        """Worth `(n,)` of candidate texts along weights of the model's objectives.

        In standard deviations of the rewards; with `degrees`, in the worst direction within that
        angle of the stated one.

        Raises:
            InputError: the model has no objectives, or the weights or the angle are none.
        """
        along = direction(self.model, weights)
        values = rewards(self.model, self.represent(prompt, candidates))
        return robust_scores(values, along, degrees=degrees)
