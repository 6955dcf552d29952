"""One onboarding session as a person at a terminal sees it, against a model or a service."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from gustibus.errors import ConfigError, ConflictError

if TYPE_CHECKING:
    from gustibus.artifact import Artifact
    from gustibus.client import Client, Question
    from gustibus.client.calls.onboarding import Answer, Session


@dataclass(frozen=True, slots=True)
class Shown:
    """A question as it is shown."""

    seq: int
    prompt: str
    left: str
    right: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a session is."""

    answered: int
    expected_remaining: int
    confidence: float


class Interview(Protocol):
    """A session that is asked and answered one question at a time."""

    @property
    def question(self) -> Shown | None:
        """What waits for an answer, None at the end."""

    @property
    def standing(self) -> Standing:
        """How far it is."""

    def answer(self, said: str, ms: int) -> None:
        """Take an answer; it is kept before this returns."""

    def undo(self) -> bool:
        """Go back one question and take its answer back; False at the first."""

    def finish(self) -> dict[str, Any]:
        """End it; what was learned."""

    def resume(self) -> str:
        """How to go on later, after an interruption."""


class LocalInterview:
    """A session over a model folder; answers are kept in a file.

    Args:
        artifact: the model.
        user: who answers.
        kept: file of the answers; one that is there is gone on with.
        most: questions at most.
        seed: of the session; another one for every new session where it is None.

    Raises:
        ConflictError: the model has no questions.
        ConfigError: the file is of another person or model.
    """

    def __init__(
        self, artifact: Artifact, user: str, *, kept: Path, most: int, seed: int | None = None
    ) -> None:
        from gustibus.onboarding import Session, Settings, Stopping, Turn

        if artifact.pool is None:
            message = "model: trained without questions; train it with --questions above 0"
            raise ConflictError(message, where="model")
        self._model, self._pool, self._digest = artifact.model, artifact.pool, artifact.digest
        self._user, self._kept = user, kept
        turns: tuple[Any, ...] = ()
        if kept.exists():
            value = self._read()
            seed = int(value["seed"])
            turns = tuple(map(Turn.load, value["turns"]))
        seed = secrets.randbits(31) if seed is None else seed
        settings = Settings(seed, stopping=Stopping(min(2, most), most))
        self._session = Session(settings, turns)
        self._advance()

    def _read(self) -> dict[str, Any]:
        try:
            value = json.loads(self._kept.read_text(encoding="utf-8"))
            whose = value["user"], value["model"]
        except (ValueError, KeyError, TypeError):
            message = f"{self._kept}: expected the answers of an earlier run, got something else"
            raise ConfigError(message, where="--answers") from None
        if whose != (self._user, self._digest):
            message = (
                f"{self._kept}: holds answers of {whose[0]!r} to the model {str(whose[1])[:12]}; "
                "name another file"
            )
            raise ConfigError(message, where="--answers")
        return cast("dict[str, Any]", value)

    def _advance(self) -> None:
        from gustibus.onboarding import advance

        self._step = advance(self._model, self._pool, self._session)

    @property
    def question(self) -> Shown | None:
        """What waits for an answer."""
        if self._step.question is None:
            return None
        shown = self._step.question.show(self._pool)
        return Shown(shown["seq"], shown["prompt"], shown["left"]["text"], shown["right"]["text"])

    @property
    def standing(self) -> Standing:
        """How far it is."""
        now = self._step.progress
        return Standing(now.answered, now.expected_remaining, now.confidence)

    def answer(self, said: str, ms: int) -> None:
        """Take an answer."""
        assert self._step.question is not None, "somebody was asked"
        self._session = self._session.answered(self._step.question, said, ms=ms)
        self._keep()
        self._advance()

    def undo(self) -> bool:
        """Leave the last answer out."""
        if not self._session.turns:
            return False
        self._session = self._session.undone()
        self._keep()
        self._advance()
        return True

    def _keep(self) -> None:
        value = {
            "user": self._user, "model": self._digest, "seed": self._session.settings.seed,
            "turns": [turn.save() for turn in self._session.turns],
        }  # fmt: skip
        scratch = self._kept.with_name(f".{self._kept.name}.{os.getpid()}")
        scratch.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
        scratch.replace(self._kept)

    def finish(self) -> dict[str, Any]:
        """What was learned, and where it puts the person."""
        from gustibus.onboarding import explain, place_person

        turns = self._session.turns
        posterior = place_person(self._model, self._pool, turns)
        found = explain(self._model, posterior, self._pool, turns=turns)
        return {
            "user": self._user, "words": found.words, "answers": found.answers,
            "confidence": found.confidence, "information": found.information,
            "mean": posterior.mean.tolist(), "kept": str(self._kept) if turns else None,
        }  # fmt: skip

    def resume(self) -> str:
        """The file has it all."""
        return f"the answers so far are in {self._kept}; run the command again to go on"


class ServedInterview:
    """A session of a running service, which keeps the answers.

    Args:
        client: of the service.
        user: who answers.
        most: questions at most.
        session: one to go on with; empty begins another.
        seed: of a new session.
    """

    def __init__(
        self, client: Client, user: str, *, most: int, session: str = "", seed: int | None = None
    ) -> None:
        self._client = client
        self._now: Session = (
            client.onboarding.next(session)
            if session
            else client.onboarding.create(
                user, min_questions=min(2, most), max_questions=most, seed=seed
            )
        )
        self._asked: list[Question] = []
        self._waiting = self._now.question

    @property
    def question(self) -> Shown | None:
        """What waits for an answer: the next question, or one that was gone back to."""
        asked = self._waiting
        if asked is None:
            return None
        return Shown(asked.seq, asked.prompt, asked.left.text, asked.right.text)

    @property
    def standing(self) -> Standing:
        """How far it is."""
        now = self._now.progress
        return Standing(now.answered, now.expected_remaining, now.confidence)

    def answer(self, said: str, ms: int) -> None:
        """Take an answer."""
        asked = self._waiting
        assert asked is not None, "somebody was asked"
        self._now = self._client.onboarding.answer(
            self._now.id, asked.seq, cast("Answer", said), ms=ms, pair=asked.id
        )
        self._asked.append(asked)
        self._waiting = self._now.question

    def undo(self) -> bool:
        """Have the last answer count as skipped, and ask again."""
        if not self._asked:
            return False
        back = self._asked.pop()
        self._now = self._client.onboarding.undo(self._now.id, back.seq)
        self._waiting = back
        return True

    def finish(self) -> dict[str, Any]:
        """Close the session, which fits the person."""
        if self._now.state == "open":
            self._now = self._client.onboarding.finish(self._now.id)
        found = self._client.onboarding.result(self._now.id)
        return {
            "user": found.user, "words": found.words, "answers": found.answers,
            "confidence": found.confidence, "information": found.information,
            "session": found.id, "profile_version": self._now.profile_version,
        }  # fmt: skip

    def resume(self) -> str:
        """The service has it all."""
        return f"the service keeps the session for 7 days; go on with --session {self._now.id}"
