"""Things that a client does to a service at random, each with what must come of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random
from typing import Any

import httpx
import numpy as np

from tests.service.harness import Service
from tests.service.reference import TEXTS, Answer, Kept, Library, Reference, Talk

SESSIONS = "/v1/onboarding/sessions"
ALIAS = "/v1/models/default/aliases/champion"
NEAR = {"rtol": 1e-4, "atol": 2e-4}  # vectors and profiles are kept in single precision
PATIENCE = 30.0  # seconds for a fit


class World:
    """A client with names of its own, and the reference that it is compared with.

    Args:
        service: that is asked.
        http: a client of it with every scope.
        versions: of the model, in the order of their numbers.
        tag: begins every name, so that many worlds fit one service.
        trained: names that the first version's training knows, this world's alone.
    """

    def __init__(
        self, service: Service, http: httpx.Client, versions: list[Library], *, tag: str,
        trained: list[str],
    ) -> None:  # fmt: skip
        self.service, self.http, self.tag = service, http, tag
        self.ref = Reference(versions)
        self.names = [f"{tag}-p{n}" for n in range(5)] + trained
        self.log: list[str] = []
        self.counts: dict[str, int] = {}
        self.sent = 0
        self.restarted = 0
        alias = http.get(ALIAS).json()
        self.ref.serving, self.ref.revision = alias["version"], alias["revision"]
        self.ref.previous = alias["previous"]
        self.await_version()

    def do(self, step: Step, pick: Random) -> None:
        """One step; a failure carries every step before it."""
        name = step.__name__
        self.log.append(f"{len(self.log)} {name}")
        self.counts[name] = self.counts.get(name, 0) + 1
        try:
            step(self, pick)
        except Exception as error:
            error.add_note("steps:\n" + "\n".join(self.log))
            raise

    def say(self, *what: Any) -> None:
        self.log[-1] += " " + " ".join(map(str, what))

    def fresh(self) -> str:
        self.sent += 1
        return f"{self.tag}-{self.sent}"

    def check_person(self, user: str) -> None:
        ref, reply = self.ref, self.http.get(f"/v1/users/{user}")
        if not ref.known(user):
            assert (reply.status_code, reply.json()["code"]) == (404, "not_found")
            return
        told = reply.json()
        assert told["attributes"] == ref.people.get(user, {})
        assert told["comparisons"] == len(ref.of(user))
        assert (told["created_at"] is not None) == (user in ref.people)
        assert told["profile_version"] >= ref.seen.get(user, 0), "a version was given twice"
        ref.seen[user] = told["profile_version"]

    def pages(self, path: str, query: dict[str, Any]) -> list[dict]:
        rows: list[dict] = []
        while True:
            page = self.http.get(path, params=query).json()
            rows += page["data"]
            assert len(page["data"]) <= query["limit"]
            assert page["has_more"] == (page["next"] is not None)
            if page["next"] is None:
                return rows
            query = {**query, "after": page["next"]}

    def post_answers(self, pick: Random, rows: list[Answer]) -> httpx.Response:
        body = {"comparisons": [one.body() for one in rows]}
        path = "/v1/comparisons" + pick.choice(["", "", "?wait=profile"])
        return self.write(pick, "POST", path, body, {one.user for one in rows})

    def check_list(self, limit: int) -> None:
        rows = [row["id"] for row in self.pages("/v1/users", {"limit": limit})]
        assert len(set(rows)) == len(rows), "a person is listed twice"
        mine = {user for user in rows if user in self.names}
        assert mine == set(self.ref.people), mine ^ set(self.ref.people)

    def check_answers(
        self, user: str, *, outcome: str | None = None, newest: bool = False, limit: int = 1000
    ) -> None:
        query: dict[str, Any] = {"user": user, "limit": limit}
        query |= ({"outcome": outcome} if outcome else {}) | ({"newest": "true"} if newest else {})
        rows = self.pages("/v1/comparisons", query)
        wanted = [one for one in self.ref.of(user) if outcome in {None, one.outcome}]
        wanted = wanted[:: -1 if newest else 1]
        assert [row["client_id"] for row in rows] == [one.client for one in wanted]
        for row, one in zip(rows, wanted, strict=True):
            one.id = one.id or row["id"]  # of an answer in a session it is told here alone
            assert row["id"] == one.id
            assert (row["outcome"], row["prompt"]) == (one.outcome, one.prompt)
            assert [{k: v for k, v in row[s].items() if v is not None} for s in "ab"] == [
                one.a, one.b
            ]  # fmt: skip

    def write(
        self, pick: Random, method: str, path: str, body: dict, users: set[str]
    ) -> httpx.Response:
        """A write, one of three under a key and at times sent twice."""
        if pick.randrange(3):
            return self.http.request(method, path, json=body)
        key = self.fresh()
        reply = self.http.request(method, path, json=body, headers={"Idempotency-Key": key})
        assert "idempotency-replayed" not in reply.headers
        if reply.is_success:
            self.ref.keys[key] = Kept(method, path, body, reply.status_code, reply.content, users)
        return reply

    def check_talk(self, talk: Talk, reply: httpx.Response) -> None:
        """A reply about a session in which nothing has changed."""
        told = reply.json()
        assert reply.status_code == 200, reply.text
        assert told["state"] == ("finished" if talk.closed else "open"), told
        assert told["question"] == talk.waiting, told
        assert told["progress"]["answered"] == len(talk.turns), told

    def await_version(self) -> None:
        label, until = f"default@{self.ref.serving}", time.monotonic() + PATIENCE
        while (told := self.http.get("/v1/models/default").json())["serving"] != label:
            assert time.monotonic() < until, told
            time.sleep(0.01)

    def check_scores(self, user: str, texts: list[str], *, at_once: bool = False) -> None:
        """The library's numbers, once the person is fitted; at once for whom there is no fit."""
        ref = self.ref
        person, count = ref.person(user)
        wanted = ref.library.scores(person.mean, texts)
        body = {"user": user, "candidates": [{"text": text} for text in texts]}
        label = f"default@{ref.serving}"

        def stale() -> str:
            """The version before serves people until they are fitted."""
            found = self.http.post("/v1/score", json=body).json()
            return str(found) if found["user"]["state"] == "stale" else ""

        def told() -> str:
            reply = self.http.post("/v1/score", json=body)
            assert reply.status_code == 200, reply.text
            found = reply.json()
            assert found["model"] == label, found
            scores = [one["score"] for one in found["data"]]
            right = found["user"]["comparisons"] == count and np.allclose(scores, wanted, **NEAR)
            return "" if right else f"{user}: {scores} on {found['user']}, not {wanted} on {count}"

        self.settle(stale)
        self.settle(told, at_once=at_once or not ref.known(user))

    def await_fit(self, user: str) -> None:
        """Let somebody who was reset be fitted to what they answered since, before that may go.

        Else it hangs on who is faster whether the fit that was forgotten comes back.
        """
        if user in self.ref.begun:
            self.check_scores(user, TEXTS[:1])

    def settle(self, told: Callable[[], str], *, at_once: bool = False) -> None:
        """Ask until nothing is wrong any more."""
        until = time.monotonic() + PATIENCE
        while wrong := told():
            assert not at_once, wrong
            assert time.monotonic() < until, wrong
            time.sleep(0.01)

    def check_everything(self) -> None:
        """Every person, every list, every score."""
        self.log.append("everything")
        for user in self.names:
            self.check_answers(user)
            self.check_person(user)
            self.check_scores(user, TEXTS[:6])
        self.check_list(1000)
        for talk in self.ref.talks:
            if talk.digest == self.ref.digest:
                reply = self.http.get(f"{SESSIONS}/{talk.id}/next")
                self.check_talk(talk, reply)


Step = Callable[[World, Random], None]
