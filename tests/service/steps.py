"""What is done to people, comparisons, versions and the server itself."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random

import httpx
import numpy as np

from gustibus.social import Profile, decide
from tests.service import talks
from tests.service.reference import ITEMS, TARGET, TEXTS, Answer
from tests.service.world import ALIAS, Step, World

OUTCOMES = tuple(TARGET)


def put_person(world: World, pick: Random) -> None:
    user, ref = pick.choice(world.names), world.ref
    attributes = pick.choice([None, {"n": pick.randrange(4)}])
    world.say(user, attributes)
    new = user not in ref.people
    body = {} if attributes is None else {"attributes": attributes}
    reply = world.write(pick, "PUT", f"/v1/users/{user}", body, {user})
    assert reply.status_code == (201 if new else 200), reply.text
    ref.people[user] = attributes or ref.people.get(user, {})
    ref.deleted.discard(user)
    assert reply.json()["attributes"] == ref.people[user]


def get_person(world: World, pick: Random) -> None:
    user = pick.choice([*world.names, f"{world.tag}-nobody"])
    world.say(user)
    world.check_person(user)


def delete_person(world: World, pick: Random) -> None:
    if pick.randrange(3):  # else nobody lives long
        return
    user, ref = pick.choice(world.names), world.ref
    world.say(user)
    reply = world.http.delete(f"/v1/users/{user}")
    if not ref.known(user):
        assert reply.status_code == 404, reply.text
        return
    removed = reply.json()["removed"]
    assert removed["users"] == (user in ref.people), removed
    assert removed["comparisons"] == len(ref.of(user)), removed
    assert removed["sessions"] == sum(talk.user == user for talk in ref.talks), removed
    assert removed["replies"] == sum(user in kept.users for kept in ref.keys.values())
    ref.drop_person(user)
    body = {"user": user, "candidates": [{"text": TEXTS[0]}]}
    assert world.http.post("/v1/score", json=body).json()["user"]["state"] == "population"


def reset_person(world: World, pick: Random) -> None:
    """Forget a fit; the answers stay, and the next one fits them all again."""
    user, ref = pick.choice(world.names), world.ref
    world.say(user)
    reply = world.http.post(f"/v1/users/{user}/profile:reset")
    if not ref.known(user):
        assert (reply.status_code, reply.json()["code"]) == (404, "not_found"), reply.text
        return
    assert reply.status_code == 200, reply.text
    assert reply.json()["fitted_comparisons"] == 0, reply.text
    ref.people.setdefault(user, {})
    ref.reset(user)


def list_people(world: World, pick: Random) -> None:
    limit = pick.choice([3, 7, 1000])
    world.say(limit)
    world.check_list(limit)


def compare(world: World, pick: Random) -> None:
    """Answers of one or several people, with or without names of their own."""
    ref, rows = world.ref, [new_answer(world, pick) for _ in range(pick.choice([1, 1, 2, 4]))]
    twice = pick.randrange(4) == 0 and rows[0].client is not None
    if twice:
        rows.append(replace(rows[0]))
    world.say([(one.user, one.client, one.outcome) for one in rows])
    reply = world.post_answers(pick, rows)
    taken = [one for one in rows if one.user not in ref.deleted]
    if not taken:
        assert (reply.status_code, reply.json()["code"]) == (410, "user_deleted"), reply.text
        return
    told = reply.json()
    double = int(twice and rows[0] in taken)
    assert reply.status_code == 201, reply.text
    assert (told["accepted"], told["duplicates"]) == (len(taken) - double, double), told
    refused = [one["index"] for one in told["rejected"]]
    assert refused == [at for at, one in enumerate(rows) if one not in taken]
    for at, one in enumerate(rows):
        one.id = told["ids"][at] or ""
    if double:
        assert taken.pop().id == rows[0].id
    assert len({one.id for one in taken}) == len(taken)
    ref.add_answers(taken)
    if told["profiles"] == "ready":
        assert set(told["profile_versions"]) == {one.user for one in taken}
        for one in taken:
            world.check_scores(one.user, TEXTS[:3], at_once=True)


def new_answer(world: World, pick: Random) -> Answer:
    def side() -> dict[str, str]:
        if pick.randrange(3):
            return {"text": pick.choice(TEXTS)}
        return {"id": pick.choice(list(ITEMS))}

    return Answer(
        pick.choice(world.names), side(), side(), pick.choice(OUTCOMES),
        world.fresh() if pick.randrange(3) else None, pick.choice([None, "Well?"]),
    )  # fmt: skip


def compare_again(world: World, pick: Random) -> None:
    """An answer that was kept, word for word or with another outcome."""
    named = [one for one in world.ref.answers if one.client and not one.told]
    if not named:
        return
    one = pick.choice(named)
    changed = bool(pick.randrange(2))
    world.say(one.client, "changed" if changed else "same")
    other = pick.choice([o for o in OUTCOMES if o != one.outcome])
    sent = replace(one, outcome=other) if changed else one
    reply = world.post_answers(pick, [sent])
    if changed:
        assert (reply.status_code, reply.json()["code"]) == (409, "conflict"), reply.text
        return
    told = reply.json()
    assert (told["accepted"], told["duplicates"], told["ids"]) == (0, 1, [one.id]), told


def list_answers(world: World, pick: Random) -> None:
    user = pick.choice(world.names)
    outcome, newest = pick.choice([None, "a", "tie"]), bool(pick.randrange(2))
    limit = pick.choice([1, 2, 5, 1000])
    world.say(user, outcome, "newest" if newest else "oldest", limit)
    world.check_answers(user, outcome=outcome, newest=newest, limit=limit)


def delete_answer(world: World, pick: Random) -> None:
    here = [one for one in world.ref.answers if one.id]
    if not here or (world.ref.gone and pick.randrange(4) == 0):
        name = pick.choice([*world.ref.gone, "cmp_nothing"])
        world.say(name or "cmp_nothing", "gone")
        reply = world.http.delete(f"/v1/comparisons/{name or 'cmp_nothing'}")
        assert reply.status_code == 404, reply.text
        return
    one = pick.choice(here)
    world.say(one.user, one.client or one.id)
    world.await_fit(one.user)
    reply = world.http.delete(f"/v1/comparisons/{one.id}")
    assert (reply.status_code, reply.json()["user"]) == (200, one.user), reply.text
    world.ref.drop_answers([one])


def replay(world: World, pick: Random) -> None:
    """A write again under its key: its reply again, or a refusal where it says something else."""
    if not world.ref.keys:
        return
    key = pick.choice(list(world.ref.keys))
    kept, changed = world.ref.keys[key], pick.randrange(4) == 0
    world.say(kept.method, kept.path, key, "changed" if changed else "same")
    body = kept.body
    if changed and "comparisons" in body:
        body = {"comparisons": [{**row, "source": "changed"} for row in body["comparisons"]]}
    elif changed and "user" in body:
        body = {**body, "seed": body["seed"] + 1}
    elif changed:
        body = {"attributes": {"n": 99}}
    headers = {"Idempotency-Key": key}
    reply = world.http.request(kept.method, kept.path, json=body, headers=headers)
    if changed:
        assert (reply.status_code, reply.json()["code"]) == (422, "idempotency_mismatch")
        return
    assert reply.headers["idempotency-replayed"] == "true"
    again, before = reply.json(), json.loads(kept.reply)
    if "wait=" in kept.path:  # people may have been fitted again since
        versions = again.pop("profile_versions"), before.pop("profile_versions")
        assert all(versions[0][user] >= version for user, version in versions[1].items())
    assert (reply.status_code, again) == (kept.status, before)


def promote(world: World, pick: Random) -> None:
    """Another version, or the same, on the revision that is known or on a wrong one."""
    ref, version = world.ref, pick.choice([1, 2])
    seen = ref.revision + (pick.randrange(4) == 0)
    world.say(version, f"from revision {seen}")
    headers = {"If-Match": f'"{seen}"'}
    reply = world.http.put(ALIAS, json={"version": version}, headers=headers)
    _moved(world, reply, version, stale=seen != ref.revision)


def roll_back(world: World, pick: Random) -> None:
    ref = world.ref
    headers = {"If-Match": f'"{ref.revision}"'}
    reply = world.http.post("/v1/models/default:rollback", headers=headers)
    if ref.previous is None:
        assert (reply.status_code, reply.json()["code"]) == (409, "conflict"), reply.text
        return
    _moved(world, reply, ref.previous)


def _moved(world: World, reply: httpx.Response, version: int, *, stale: bool = False) -> None:
    ref = world.ref
    if stale:
        assert (reply.status_code, reply.json()["code"]) == (412, "etag_mismatch"), reply.text
        return
    if version != ref.serving:  # whoever promotes a version again may still go back to the other
        ref.previous = ref.serving
    ref.serving, ref.revision = version, ref.revision + 1
    told = reply.json()
    assert reply.status_code == 200, reply.text
    assert (told["version"], told["previous"], told["revision"]) == (
        ref.serving, ref.previous, ref.revision,
    )  # fmt: skip
    ref.seen.clear()  # somebody of the training alone begins at 0 under another version
    world.await_version()


def restart(world: World, pick: Random) -> None:
    """The server ends, in peace or not, and starts again."""
    if len(world.log) < world.restarted + 200:  # it takes as long as many other steps
        return
    world.restarted, gently = len(world.log), bool(pick.randrange(2))
    world.say("SIGTERM" if gently else "SIGKILL")
    if gently:
        assert world.service.stop() == 0
    else:
        world.service.kill()
    world.service.start()


def score(world: World, pick: Random) -> None:
    user = pick.choice([*world.names, f"{world.tag}-nobody"])
    texts = [pick.choice(TEXTS) for _ in range(pick.randrange(1, 5))]
    world.say(user, f"{len(texts)} texts")
    world.check_scores(user, texts)


def decide_for_all(world: World, pick: Random) -> None:
    """What a group decides is what the library does with the scores of its people."""
    group = pick.sample(world.names, 3)
    texts = pick.sample(TEXTS, 4)
    world.say(group)
    for user in group:
        world.check_scores(user, texts)
    rows = [world.ref.library.scores(world.ref.person(user)[0].mean, texts) for user in group]
    wanted = decide(Profile.from_scores(np.stack(rows)), "borda")
    ranking = [list(bucket) for bucket in wanted.ranking]
    unknown = [user for user in group if world.ref.person(user)[1] == 0]
    body = {"users": group, "candidates": [{"text": text} for text in texts],
            "method": "borda"}  # fmt: skip

    def wrong() -> str:
        reply = world.http.post("/v1/rank/aggregate", json=body)
        assert reply.status_code == 200, reply.text
        told = reply.json()
        right = told["result"]["ranking"] == ranking and told["unknown_users"] == unknown
        return "" if right else f"{told}, not {ranking} without {unknown}"

    # Scores can be right by chance, while a fit is made of an answer that is deleted by now.
    world.settle(wrong)


STEPS: dict[Step, int] = {
    put_person: 3, get_person: 3, delete_person: 2, reset_person: 2, list_people: 1, compare: 8,
    compare_again: 4, list_answers: 4, delete_answer: 4, replay: 4, talks.begin: 4,
    talks.next_question: 2, talks.answer: 12, talks.change_answer: 4, talks.undo: 4,
    talks.finish: 2, talks.doubt: 3, talks.restart_session: 1, talks.delete_session: 1,
    promote: 2, roll_back: 1, restart: 1, score: 8, decide_for_all: 2,
}  # fmt: skip
"""How often each step is taken, relative to the others."""
