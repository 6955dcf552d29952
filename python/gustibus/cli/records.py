"""People and their comparisons, in a running service or straight in its database."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from typer import Option

from gustibus.cli.common import opened_store
from gustibus.errors import ConfigError, NotFoundError

if TYPE_CHECKING:
    from gustibus.client import ApiError, Client
    from gustibus.client.calls.people import User
    from gustibus.data.answers import Answer
    from gustibus.store import Store, UserRow

UrlOption = Annotated[
    str, Option("--url", help="A running service; default GUSTIBUS_URL, with the key GUSTIBUS_KEY.")
]
DatabaseOption = Annotated[
    str, Option("--database", help="URL of a database, instead of a service; see `gustibus db`.")
]

_PAGE = 1000
_ROW_PROBLEMS = frozenset({400, 404, 409, 410, 413, 422})
"""Statuses that may be one row's fault."""


@dataclass(slots=True)
class Sent:
    """What became of answers."""

    accepted: int = 0
    duplicates: int = 0
    rejected: list[tuple[int, str, str]] = field(default_factory=list)
    """Place among those that were sent, code, and what is wrong."""


class Records(Protocol):
    """What the commands about people need."""

    def add(self, answers: Sequence[Answer]) -> Sent:
        """Keep answers, each once."""

    def comparisons(self, user: str | None) -> Iterator[dict[str, Any]]:
        """Comparisons of one person or of all, the oldest first, as rows of a file.

        All are for training, and leave out people whose processing is restricted.
        """

    def show(self, user: str) -> dict[str, Any]:
        """One person."""

    def export(self, user: str) -> list[dict[str, Any]]:
        """Everything held about a person."""

    def delete(self, user: str) -> dict[str, Any]:
        """Remove a person: how much was `removed`, and the signed `statement` of it."""

    def restrict(self, user: str, *, lift: bool) -> dict[str, Any]:
        """A person, once their processing is restricted, or no longer is."""

    def people(self, state: str | None, limit: int) -> list[dict[str, Any]]:
        """The first people by name, of one state where one is given."""

    def release(self, user: str) -> dict[str, Any]:
        """A person, once their quarantine is lifted."""

    def consent(self, user: str, *, follow_ups: bool | None) -> dict[str, Any]:
        """What a person said of their next turns, once it is changed where a change is given."""


@contextmanager
def opened(url: str, database: str) -> Iterator[Records]:
    """The service or the database that flags and environment name.

    Raises:
        ConfigError: both are named.
        MissingExtraError: a service without httpx.
    """
    if url and database:
        message = "--url and --database: expected one of them, got both"
        raise ConfigError(message, where="--url")
    url = url or ("" if database else os.environ.get("GUSTIBUS_URL", ""))
    if url:
        from gustibus.client import Client

        with Client(url, max_retries=6) as client:
            yield Served(client)
        return
    with opened_store(database) as store:
        yield Stored(store)


class Served:
    """Records of a running service."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._most: tuple[int, int] | None = None

    def add(self, answers: Sequence[Answer]) -> Sent:
        """Send answers in requests that are not too large."""
        if self._most is None:
            limits = self.client.limits()
            self._most = limits.comparisons, limits.other_body_bytes - 4096
        rows, size = self._most
        done, start, used = Sent(), 0, 0
        places = [n for n, one in enumerate(answers) if not _is_hollow(one)]
        if len(places) < len(answers):  # a request needs both sides
            whole = set(places)
            found = self.add([answers[place] for place in places])
            found.rejected = [(places[at], code, told) for at, code, told in found.rejected]
            found.rejected += [
                (n, "invalid_field", _HOLLOW) for n in range(len(answers)) if n not in whole
            ]
            return found
        for place, one in enumerate(answers):
            cost = 600 + 6 * sum(len(t or "") for t in (one.prompt, one.a_text, one.b_text))
            if place > start and (place - start >= rows or used + cost > size):
                self._send(answers, list(range(start, place)), done)
                start, used = place, 0
            used += cost
        if answers:
            self._send(answers, list(range(start, len(answers))), done)
        return done

    def _send(self, answers: Sequence[Answer], places: list[int], done: Sent) -> None:
        """Send some of the answers; where one row spoils the request, the others go without it."""
        from gustibus.client import ApiError

        while places:
            try:
                reply = self.client.comparisons.create(
                    [_wire(answers[p]) for p in places], replayed=True
                )
            except ApiError as error:
                if error.status not in _ROW_PROBLEMS or error.code == "not_ready":
                    raise
                bad = _rows_named(error, len(places))
                if not bad and len(places) > 1:
                    half = len(places) // 2
                    self._send(answers, places[:half], done)
                    places = places[half:]
                    continue
                bad = bad or {0: error.detail}
                done.rejected += [(places[row], error.code, bad[row]) for row in sorted(bad)]
                places = [p for row, p in enumerate(places) if row not in bad]
                continue
            done.accepted += reply.accepted
            done.duplicates += reply.duplicates
            done.rejected += [
                (places[one.index], one.problem.code, one.problem.detail) for one in reply.rejected
            ]
            return

    def comparisons(self, user: str | None) -> Iterator[dict[str, Any]]:
        """Comparisons as rows of a file, fetched page by page."""
        everything = user is not None
        for one in self.client.comparisons.iterate(user=user, limit=_PAGE, restricted=everything):
            yield _row(
                one.client_id or one.id, one.user, one.prompt, (one.a.id, one.a.text),
                (one.b.id, one.b.text), one.outcome, one.strength, one.at, one.source,
                one.created_at, one.key,
            )  # fmt: skip

    def show(self, user: str) -> dict[str, Any]:
        """One person."""
        return _served(self.client.users.get(user))

    def export(self, user: str) -> list[dict[str, Any]]:
        """Everything held about a person."""
        return self.client.users.export(user)

    def delete(self, user: str) -> dict[str, Any]:
        """Remove a person."""
        done = self.client.users.delete(user)
        return {"removed": done.removed, "statement": done.statement}

    def restrict(self, user: str, *, lift: bool) -> dict[str, Any]:
        """A person, once their processing is restricted, or no longer is."""
        users = self.client.users
        return _served(users.unrestrict(user) if lift else users.restrict(user))

    def people(self, state: str | None, limit: int) -> list[dict[str, Any]]:
        """The first people by name."""
        return [_served(one) for one in self.client.users.list(limit=limit, state=state).data]

    def release(self, user: str) -> dict[str, Any]:
        """A person, once their quarantine is lifted."""
        return _served(self.client.users.release(user))

    def consent(self, user: str, *, follow_ups: bool | None) -> dict[str, Any]:
        """What a person said of their next turns."""
        users = self.client.users
        said = (
            users.consent(user)
            if follow_ups is None
            else users.put_consent(user, follow_ups=follow_ups)
        )
        return _consent(
            user, follow_ups=said.follow_ups, updated=said.updated_at, removed=said.removed
        )


class Stored:
    """Records of a database; a running service sees new answers within seconds."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._batches = 0

    def add(self, answers: Sequence[Answer]) -> Sent:
        """Keep answers in one transaction, and have a running service fit their people."""
        from gustibus.store import draft_answers, ensure_job, take_answers

        if not answers:
            return Sent()
        drafts = draft_answers(answers)
        with self._store.write() as conn:
            taken = take_answers(conn, drafts=drafts)
            if taken.accepted:
                ensure_job(conn, kind="refit_profiles", by="cli")
        self._batches += 1
        if self._batches & (self._batches - 1) == 0:  # whenever what was added has doubled
            self._store.gather_statistics()
        refused = [(one.place, one.code, one.problem) for one in taken.refused]
        return Sent(taken.accepted, taken.duplicates, refused)

    def comparisons(self, user: str | None) -> Iterator[dict[str, Any]]:
        """Comparisons as rows of a file, read page by page."""
        from gustibus.store import list_comparisons

        after: str | None = None
        while True:
            with self._store.read() as conn:
                rows = list_comparisons(
                    conn, user=user, after=after, limit=_PAGE, all_people=user is not None
                )
            for one in rows:
                yield _row(
                    one.client_id or one.id, one.user, one.prompt, (one.a_item, one.a_text),
                    (one.b_item, one.b_text), one.outcome, one.strength, one.at, one.source,
                    one.created_at, one.key,
                )  # fmt: skip
            if len(rows) < _PAGE:
                return
            after = rows[-1].id

    def show(self, user: str) -> dict[str, Any]:
        """One person."""
        from gustibus.store import get_user

        with self._store.read() as conn:
            found = get_user(conn, user=user)
        return _stored(user, found)

    def export(self, user: str) -> list[dict[str, Any]]:
        """Everything held about a person."""
        from gustibus.service.holdings import held_of
        from gustibus.service.settings import Settings

        settings = Settings.from_env()
        with self._store.read() as conn:
            found = list(held_of(conn, settings, user))
        if not found:
            raise _nobody(user)
        return found

    def delete(self, user: str) -> dict[str, Any]:
        """Remove a person, also from what a model's training says of them."""
        from gustibus.service.erasing import erase, remove_results
        from gustibus.service.membership import ask
        from gustibus.service.settings import Settings
        from gustibus.store import get_user

        settings = Settings.from_env()
        with self._store.read() as conn:
            asked = ask(conn, settings, user=user)  # here, where nobody waits for it
        with self._store.write() as conn:
            if get_user(conn, user=user) is None:
                raise _nobody(user)
            erased = erase(conn, settings, user=user, actor="cli", asked=asked)
        remove_results(settings, erased.files)
        return {"removed": erased.removed, "statement": erased.statement}

    def restrict(self, user: str, *, lift: bool) -> dict[str, Any]:
        """A person, once their processing is restricted, or no longer is; then a running service fits them."""
        from gustibus.store import (
            audit,
            ensure_job,
            get_user,
            hashed_user,
            restrict_user,
            unrestrict_user,
        )

        change, verb = (unrestrict_user, "unrestrict") if lift else (restrict_user, "restrict")
        with self._store.write() as conn:
            if change(conn, user=user):
                audit(conn, actor="cli", action=f"user.{verb}", what=hashed_user(conn, user))
                if lift:
                    ensure_job(conn, kind="refit_profiles", by="cli")
            return _stored(user, get_user(conn, user=user))

    def people(self, state: str | None, limit: int) -> list[dict[str, Any]]:
        """The first people by name."""
        from gustibus.store import list_users

        with self._store.read() as conn:
            return [_stored(one.id, one) for one in list_users(conn, limit=limit, state=state)]

    def release(self, user: str) -> dict[str, Any]:
        """A person, once their quarantine is lifted; then a running service fits them."""
        from gustibus.store import audit, ensure_job, get_user, hashed_user, release_user

        with self._store.write() as conn:
            if release_user(conn, user=user):
                audit(conn, actor="cli", action="user.release", what=hashed_user(conn, user))
                ensure_job(conn, kind="refit_profiles", by="cli")
            return _stored(user, get_user(conn, user=user))

    def consent(self, user: str, *, follow_ups: bool | None) -> dict[str, Any]:
        """What a person said of their next turns; a running service fits them again if it is needed."""
        from gustibus.store import audit, ensure_job, get_consent, hashed_user, set_consent

        if follow_ups is None:
            with self._store.read() as conn:
                row = get_consent(conn, user=user)
            return _consent(
                user, follow_ups=None if row is None else row.follow_ups,
                updated=None if row is None else row.updated_at, removed=0,
            )  # fmt: skip
        with self._store.write() as conn:
            told, removed = set_consent(conn, user=user, follow_ups=follow_ups)
            audit(
                conn, actor="cli", action="user.consent", what=hashed_user(conn, user),
                follow_ups=follow_ups,
            )  # fmt: skip
            if removed:
                ensure_job(conn, kind="refit_profiles", by="cli")
        return _consent(user, follow_ups=told.follow_ups, updated=told.updated_at, removed=removed)


def _served(found: User) -> dict[str, Any]:
    return {
        "id": found.id, "state": found.state, "attributes": found.attributes,
        "comparisons": found.comparisons, "fitted_comparisons": found.fitted_comparisons,
        "profile_version": found.profile_version, "created_at": _iso(found.created_at),
        "updated_at": _iso(found.updated_at), "signals": list(found.signals),
    }  # fmt: skip


def _stored(user: str, found: UserRow | None) -> dict[str, Any]:
    if found is None:
        raise _nobody(user)
    return {
        "id": found.id, "state": found.state, "attributes": found.attributes,
        "comparisons": found.n_comparisons, "profile_version": found.profile_version,
        "created_at": _iso(found.created_at), "updated_at": _iso(found.updated_at),
        "signals": list(found.signals),
    }  # fmt: skip


def _consent(
    user: str, *, follow_ups: bool | None, updated: datetime | None, removed: int
) -> dict[str, Any]:
    return {
        "id": user, "follow_ups": follow_ups, "updated_at": _iso(updated), "removed": removed,
    }  # fmt: skip


_HOLLOW = (
    "tells of no response on one side, as an export does of an answer that was given with embeddings; "
    "as JSON Lines it is found again"
)


def _is_hollow(one: Answer) -> bool:
    return (one.a_item is one.a_text is None) or (one.b_item is one.b_text is None)


def _wire(one: Answer) -> dict[str, Any]:
    """An answer as the service takes it."""
    sides = {
        "a": {"id": one.a_item} if one.a_item is not None else {"text": one.a_text},
        "b": {"id": one.b_item} if one.b_item is not None else {"text": one.b_text},
    }
    more = {
        "prompt": one.prompt, "strength": one.strength, "at": _iso(one.at),
        "source": one.source or "import", "created_at": _iso(one.created_at),
    }  # fmt: skip
    told = {name: value for name, value in more.items() if value is not None}
    return {"id": one.id, "user": one.user, **sides, "outcome": one.outcome, **told}


def _rows_named(error: ApiError, count: int) -> dict[int, str]:
    """The rows that a problem points at, with what is wrong with each."""
    found: dict[int, str] = {}
    for one in error.errors:
        parts = one.pointer.split("/")
        if len(parts) > 2 and parts[1] == "comparisons" and parts[2].isdigit():
            row = int(parts[2])
            if row < count:
                found.setdefault(row, one.detail)
    return found


def _row(
    name: str, user: str, prompt: str | None, a: tuple[str | None, str | None],
    b: tuple[str | None, str | None], outcome: str, strength: float | None, at: datetime | None,
    source: str | None, created: datetime, key: str | None,
) -> dict[str, Any]:  # fmt: skip
    return {
        "id": name, "user": user, "prompt": prompt, "item_a": a[0], "response_a": a[1],
        "item_b": b[0], "response_b": b[1], "outcome": outcome, "strength": strength,
        "at": _iso(at), "source": source, "created_at": _iso(created), "key": key,
    }  # fmt: skip


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _nobody(user: str) -> NotFoundError:
    message = f"user: there is nobody called {user!r}"
    return NotFoundError(message, where="user")
