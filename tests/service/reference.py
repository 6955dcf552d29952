"""What a service must hold, kept in lists: people, answers, sessions, versions, and the library's scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from gustibus.artifact import Artifact, People
from gustibus.encoders import load_encoder
from gustibus.onboarding import QuestionPool, build_pool, random_pairs
from gustibus.posterior import GaussianPrior, Posterior
from gustibus.scoring import Scorer
from gustibus.service.fitting import Answers, fit_person
from tests.service.harness import model_of, responses

TEXTS = responses(24, seed=70)
"""What people compare and have scored."""
ITEMS = {f"item-{n}": text for n, text in enumerate(responses(6, seed=71))}
"""Some that the service knows by name."""
TARGET = {"a": 1.0, "b": 0.0, "tie": 0.5, "both_bad": 0.5, "skip": None}
TRAINED = 400
"""People of the first version's training, enough for every run over one server."""
_DIM = 32


def save_version(root: Path, *, seed: int, tastes: int, trained: int) -> Artifact:
    """A model of texts with questions, in the registry under its digest."""
    encoder = load_encoder("hashing", dim=_DIM)
    rng = np.random.default_rng(seed)
    model = replace(
        model_of(_DIM, seed=seed), basis=rng.standard_normal((_DIM, tastes)).astype(np.float32),
        prior=GaussianPrior.standard(tastes),
    )  # fmt: skip
    texts = responses(60, seed=seed)
    items, prompts = encoder.encode(texts), [f"Number {number}?" for number in range(6)]
    pairs = random_pairs(np.arange(len(texts)) % 6, count=150, seed=seed)
    pool = build_pool(
        model, items, pairs, texts=texts, prompts=prompts, size=80, held_out=20, seed=seed
    )
    spec = {"name": encoder.name, "options": dict(encoder.options),
            "fingerprint": encoder.fingerprint, "dim": encoder.dim}  # fmt: skip
    card = {"name": "stateful", "family": "hierarchical", "version": "0", "encoder": spec,
            "created": "2026-01-01T00:00:00+00:00"}  # fmt: skip
    people = People(
        tuple(f"t-{n}" for n in range(trained)),
        rng.standard_normal((trained, tastes)).astype(np.float32),
        np.repeat(0.2 * np.eye(tastes, dtype=np.float32)[None], trained, 0),
        rng.integers(2, 9, trained).astype(np.int32),
    )
    artifact = Artifact(model, card, people, model.represent(items[:20]), pool).save(root / "new")
    (root / "new").rename(root / artifact.digest)
    return artifact


@dataclass(eq=False)
class Answer:
    """A comparison that was acknowledged."""

    user: str
    a: dict[str, str]
    b: dict[str, str]
    outcome: str
    client: str | None
    prompt: str | None = None
    id: str = ""
    told: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    """Vectors of both sides under the model whose question it answers."""

    def body(self) -> dict[str, object]:
        """As it is sent."""
        row = {"user": self.user, "a": self.a, "b": self.b, "outcome": self.outcome}
        row |= {} if self.client is None else {"id": self.client}
        return row | ({} if self.prompt is None else {"prompt": self.prompt})


@dataclass(eq=False)
class Talk:
    """An onboarding session."""

    id: str
    user: str
    digest: str
    least: int
    most: int
    waiting: dict | None
    """The question that has no answer yet, as it is shown."""
    closed: bool = False
    turns: list[tuple[dict, str]] = field(default_factory=list)
    """Questions with their answers."""

    @property
    def clients(self) -> set[str]:
        """Ids of the comparisons that its answers become."""
        return {f"{self.id}:{seq}" for seq in range(len(self.turns))}


class Library:
    """The numbers of one version as the library gives them."""

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact
        self._scorer = Scorer(artifact)
        self._vectors: dict[str, np.ndarray] = {}

    @property
    def pool(self) -> QuestionPool:
        assert self.artifact.pool is not None
        return self.artifact.pool

    def vector(self, text: str) -> np.ndarray:
        if text not in self._vectors:
            self._vectors[text] = self._scorer.represent("", [text])[0]
        return self._vectors[text]

    def place(self, answers: Sequence[Answer], before: Posterior | None) -> tuple[Posterior, int]:
        """Where answers put somebody of whom a training may know, and on how many that rests."""
        model, known = self.artifact.model, 0
        if before is not None:
            known = before.comparisons
        told = [one for one in answers if TARGET[one.outcome] is not None]
        if not told:
            return before or Posterior.from_prior(model.prior), known
        sides = [self._sides(one) for one in told]
        target = np.array([TARGET[one.outcome] for one in told], np.float64)
        a, b = (np.stack([side[at] for side in sides]) for at in (0, 1))
        fit = fit_person(self.artifact.model, Answers(a, b, target, np.ones(len(told))), before)
        return Posterior(  # as the library places them, believed and bounded as the service does
            np.ones(1), fit.mean[None], fit.covariance[None], 0.0, 0, True, fit.count
        ), known + len(told)

    def _sides(self, one: Answer) -> tuple[np.ndarray, np.ndarray]:
        if self.artifact.digest in one.told:
            return one.told[self.artifact.digest]
        a, b = (side.get("text") or ITEMS[side["id"]] for side in (one.a, one.b))
        return self.vector(a), self.vector(b)

    def scores(self, mean: np.ndarray, texts: Sequence[str]) -> np.ndarray:
        return self.artifact.model.utility(mean, np.stack([self.vector(text) for text in texts]))

    def turn(self, shown: dict, said: str) -> tuple[int, str]:
        """Row of the pool that a question shows, and the outcome that an answer to it is."""
        row = list(self.pool.ids).index(shown["id"])
        sides = (self.pool.texts_a[row], self.pool.texts_b[row])
        swapped = shown["left"]["text"] != sides[0]
        assert (shown["left"]["text"], shown["right"]["text"]) == sides[:: -1 if swapped else 1]
        if said in {"left", "right"}:
            return row, "a" if (said == "left") != swapped else "b"
        return row, said

    def answer_of(self, talk: Talk, seq: int) -> Answer:
        """The comparison that an answer in a session becomes."""
        row, outcome = self.turn(*talk.turns[seq])
        pool = self.pool
        return Answer(
            talk.user, {"text": pool.texts_a[row]}, {"text": pool.texts_b[row]}, outcome,
            f"{talk.id}:{seq}", pool.prompts[row],
            told={self.artifact.digest: (pool.a[row], pool.b[row])},
        )  # fmt: skip


@dataclass
class Kept:
    """A write under an idempotency key, with its reply."""

    method: str
    path: str
    body: dict
    status: int
    reply: bytes
    users: set[str]


@dataclass
class Reference:
    """Everything that was acknowledged, as plain as it can be kept."""

    versions: list[Library]
    serving: int = 1
    previous: int | None = None
    revision: int = 0
    people: dict[str, dict] = field(default_factory=dict)
    """Attributes of everybody who has a row."""
    seen: dict[str, int] = field(default_factory=dict)
    """The highest profile version that was told of somebody."""
    answers: list[Answer] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    """Ids of comparisons that were deleted."""
    talks: list[Talk] = field(default_factory=list)
    keys: dict[str, Kept] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    """Who was deleted and has not come back."""
    forgotten: set[str] = field(default_factory=set)
    """Who was deleted once: what a training knows of them is not used."""
    resets: dict[str, str] = field(default_factory=dict)
    """Whose fit was forgotten, with no answer since, and the digest of the version under which it was."""
    begun: set[str] = field(default_factory=set)
    """Whose fit was forgotten, and who have answered since."""

    @property
    def library(self) -> Library:
        return self.versions[self.serving - 1]

    @property
    def digest(self) -> str:
        return self.library.artifact.digest

    def trained(self, user: str) -> Posterior | None:
        """What the training of the version in service knows of somebody."""
        return None if user in self.forgotten else self.library.artifact.people.find(user)

    def known(self, user: str) -> bool:
        return user in self.people or self.trained(user) is not None

    def of(self, user: str) -> list[Answer]:
        return [one for one in self.answers if one.user == user]

    def person(self, user: str) -> tuple[Posterior, int]:
        """Posterior of somebody, and on how many answers it rests."""
        reset = self.resets.get(user)
        if reset == self.digest:
            return Posterior.from_prior(self.library.artifact.model.prior), 0
        if reset is not None:  # another version says what its training knows, and nothing more
            return self.library.place([], self.trained(user))
        return self.library.place(self.of(user), self.trained(user))

    def answered(self, user: str) -> None:
        """Somebody is fitted again to all answers, because there is one more."""
        if self.resets.pop(user, None) is not None:
            self.begun.add(user)

    def reset(self, user: str) -> None:
        """Forget what was learned of somebody until they answer again."""
        self.resets[user] = self.digest
        self.begun.discard(user)

    def add_answers(self, new: Sequence[Answer]) -> None:
        """Keep comparisons."""
        self.answers += new
        for one in new:
            self.people.setdefault(one.user, {})
            self.answered(one.user)

    def drop_answers(self, gone: Sequence[Answer]) -> None:
        """Forget comparisons that were deleted; who was reset stays so."""
        self.gone += [one.id for one in gone]
        self.answers = [one for one in self.answers if one not in gone]

    def drop_person(self, user: str) -> None:
        """Forget somebody."""
        self.drop_answers(self.of(user))
        self.people.pop(user, None)
        self.seen.pop(user, None)
        self.talks = [talk for talk in self.talks if talk.user != user]
        self.keys = {key: kept for key, kept in self.keys.items() if user not in kept.users}
        self.resets.pop(user, None)
        self.begun.discard(user)
        self.deleted.add(user)
        self.forgotten.add(user)
