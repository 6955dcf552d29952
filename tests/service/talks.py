"""What is done to onboarding sessions."""

from __future__ import annotations

from random import Random

import httpx

from tests.service.reference import Talk
from tests.service.world import SESSIONS, World

SAID = ("left", "right", "tie", "both_bad", "skip")


def begin(world: World, pick: Random) -> None:
    user, ref = pick.choice(world.names), world.ref
    least = pick.choice([1, 2])
    most = least + pick.randrange(5)
    world.say(user, least, most)
    body = {"user": user, "min_questions": least, "max_questions": most,
            "seed": pick.randrange(1000)}  # fmt: skip
    reply = world.write(pick, "POST", SESSIONS, body, {user})
    if user in ref.deleted:
        assert (reply.status_code, reply.json()["code"]) == (410, "user_deleted"), reply.text
        return
    assert reply.status_code == 201, reply.text
    told = reply.json()
    ref.people.setdefault(user, {})
    talk = Talk(told["id"], user, ref.digest, least, most, told["question"])
    assert (told["state"], told["question"]["seq"]) == ("open", 0), told
    assert told["progress"]["answered"] == 0
    ref.talks.append(talk)


def some_talk(world: World, pick: Random) -> Talk | None:
    """Open ones of the version in service first."""
    live = [t for t in world.ref.talks if not t.closed and t.digest == world.ref.digest]
    return pick.choice(live if live and pick.randrange(5) else world.ref.talks or [None])


def talking(
    world: World, talk: Talk, method: str, rest: str, body: dict | None = None
) -> httpx.Response | None:
    """A request about a session; None where it is of another version and was refused.

    Open ones of another version are left alone: they would go on under this one, as
    `test_carried_sessions.py` tells, and not come back as they were.
    """
    if talk.digest != world.ref.digest and not talk.closed:
        return None
    world.say(talk.id[-6:], talk.user, f"{len(talk.turns)} answers", rest, body)
    reply = world.http.request(method, f"{SESSIONS}/{talk.id}{rest}", json=body)
    if talk.digest != world.ref.digest:
        assert (reply.status_code, reply.json()["code"]) == (410, "session_expired"), reply.text
        return None
    return reply


def next_question(world: World, pick: Random) -> None:
    talk = some_talk(world, pick)
    if talk is not None and (reply := talking(world, talk, "GET", "/next")) is not None:
        world.check_talk(talk, reply)


def answer(world: World, pick: Random) -> None:
    """The question that waits."""
    talk = some_talk(world, pick)
    if talk is None:
        return
    seq, said = len(talk.turns), pick.choice(SAID)
    reply = talking(world, talk, "PUT", f"/answers/{seq}", {"answer": said})
    if reply is None:
        return
    if talk.waiting is None:
        assert (reply.status_code, reply.json()["code"]) == (404, "not_found"), reply.text
        return
    told = reply.json()
    assert reply.status_code == 200, reply.text
    talk.turns.append((talk.waiting, said))
    talk.waiting = told["question"]
    if talk.closed:  # a doubt
        world.ref.add_answers([world.ref.library.answer_of(talk, seq)])
        world.check_talk(talk, reply)
        return
    assert told["progress"]["answered"] == seq + 1, told
    if told["state"] == "finished":
        assert len(talk.turns) >= talk.least, told
        close(world, talk)
    else:
        assert len(talk.turns) < talk.most, told
        assert told["question"]["seq"] == seq + 1, told


def close(world: World, talk: Talk) -> None:
    """What the answers of a session become."""
    talk.closed, talk.waiting = True, None
    library = world.ref.library
    world.ref.add_answers([library.answer_of(talk, seq) for seq in range(len(talk.turns))])
    world.check_answers(talk.user)


def change_answer(world: World, pick: Random) -> None:
    """An answer to an earlier question, the same or another."""
    talk = some_talk(world, pick)
    if talk is None or not talk.turns:
        return
    seq, said = pick.randrange(len(talk.turns)), pick.choice(SAID)
    question, before = talk.turns[seq]
    reply = talking(world, talk, "PUT", f"/answers/{seq}", {"answer": said})
    if reply is None:
        return
    if talk.closed and said != before:
        assert (reply.status_code, reply.json()["code"]) == (409, "conflict"), reply.text
        return
    if not talk.closed:
        talk.turns[seq] = (question, said)
    world.check_talk(talk, reply)


def undo(world: World, pick: Random) -> None:
    talk = some_talk(world, pick)
    if talk is None:
        return
    answered = len(talk.turns)
    seq = max(0, answered + pick.choice([-1, -1, -1, 0, -2, 1]))
    reply = talking(world, talk, "POST", ":undo", {"seq": seq})
    if reply is None:
        return
    if talk.closed or seq < answered - 1:
        assert (reply.status_code, reply.json()["code"]) == (409, "conflict"), reply.text
    elif seq > answered:
        assert (reply.status_code, reply.json()["code"]) == (404, "not_found"), reply.text
    else:
        if seq < answered:
            talk.waiting, _ = talk.turns.pop()
        world.check_talk(talk, reply)


def finish(world: World, pick: Random) -> None:
    talk = some_talk(world, pick)
    if talk is None or (not talk.closed and pick.randrange(2)):
        return
    reply = talking(world, talk, "POST", ":finish")
    if reply is not None:
        told = reply.json()
        assert (told["state"], told["question"]) == ("finished", None), reply.text
        assert told["progress"]["answered"] == len(talk.turns), told
        if not talk.closed:
            close(world, talk)


def doubt(world: World, pick: Random) -> None:
    """One more question about a closed session."""
    talk = some_talk(world, pick) if pick.randrange(2) else None
    if talk is None:
        closed = [one for one in world.ref.talks if one.closed]
        talk = pick.choice(closed or [None])
    if talk is None:
        return
    reply = talking(world, talk, "POST", ":doubt", {"direction": pick.randrange(3)})
    if reply is None:
        return
    told = reply.json()
    if not talk.closed or reply.status_code == 409:
        assert (reply.status_code, told["code"]) == (409, "conflict"), reply.text
        assert not talk.closed or "no pair left" in told["detail"], reply.text
        return
    asked = told["question"]
    assert talk.waiting is None or talk.waiting == asked, told
    assert (asked["seq"], asked["reason"]) == (len(talk.turns), "doubt"), told
    talk.waiting = asked
    world.check_talk(talk, reply)


def restart_session(world: World, pick: Random) -> None:
    talk = some_talk(world, pick)
    if talk is None or pick.randrange(2):
        return
    world.await_fit(talk.user)
    reply = talking(world, talk, "POST", ":restart")
    if reply is None:
        return
    told = reply.json()
    assert (told["state"], told["progress"]["answered"]) == ("open", 0), reply.text
    world.ref.drop_answers([one for one in world.ref.answers if one.client in talk.clients])
    talk.closed, talk.turns, talk.waiting = False, [], told["question"]
    assert told["question"]["seq"] == 0


def delete_session(world: World, pick: Random) -> None:
    talk = some_talk(world, pick)
    if talk is None or pick.randrange(3):
        return
    world.say(talk.id[-6:], talk.user)
    world.await_fit(talk.user)
    reply = world.http.delete(f"{SESSIONS}/{talk.id}")
    mine = [one for one in world.ref.answers if one.client in talk.clients]
    assert reply.json()["comparisons"] == len(mine), reply.text
    world.ref.drop_answers(mine)
    world.ref.talks.remove(talk)
    assert world.http.get(f"{SESSIONS}/{talk.id}/next").status_code == 404
