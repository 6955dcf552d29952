"""Second thoughts in a session: undo, doubt, begin anew, delete, and a fresh token."""

from __future__ import annotations

from tests.service.test_onboarding_over_http import SESSIONS, begin, put, run


def post(http, session, verb, body=None):
    return http.post(f"{SESSIONS}/{session}:{verb}", **({} if body is None else {"json": body}))


def kept(http, user):
    return http.get("/v1/comparisons", params={"user": user}).json()["data"]


def test_the_last_answer_can_be_taken_back_and_given_again(http):
    session = begin(http, "re-1", max_questions=6)["id"]
    first = put(http, session, 0, "left").json()
    put(http, session, 1, "right")
    back = post(http, session, "undo", {"seq": 1}).json()
    assert back["question"] == first["question"]
    assert back["progress"] == first["progress"]
    assert post(http, session, "undo", {"seq": 1}).json() == back  # sent again
    again = put(http, session, 1, "left").json()
    assert (again["question"]["seq"], again["progress"]["answered"]) == (2, 2)


def test_only_the_last_answer_of_an_open_session_can_be_taken_back(http):
    session = begin(http, "re-2", max_questions=3)["id"]
    put(http, session, 0, "left")
    put(http, session, 1, "left")
    for seq, code in ((0, "conflict"), (7, "not_found")):
        assert post(http, session, "undo", {"seq": seq}).json()["code"] == code
    last = run(http, session)
    assert last["state"] == "finished"
    late = post(http, session, "undo", {"seq": last["progress"]["answered"] - 1})
    assert (late.status_code, late.json()["code"]) == (409, "conflict")


def test_a_doubt_asks_one_more_pair_and_its_answer_counts(http):
    session = begin(http, "re-3", max_questions=5)["id"]
    early = post(http, session, "doubt", {"direction": 0})
    assert (early.status_code, early.json()["code"]) == (409, "conflict")
    last = run(http, session)
    before = http.get("/v1/users/re-3").json()
    asked = post(http, session, "doubt", {"direction": 1}).json()
    question = asked["question"]
    assert (asked["state"], question["reason"]) == ("finished", "doubt")
    assert question["seq"] == last["progress"]["answered"]
    assert post(http, session, "doubt", {"direction": 2}).json()["question"] == question
    assert http.get(f"{SESSIONS}/{session}/next?prefetch=2").json()["question"] == question
    done = put(http, session, question["seq"], "right").json()
    assert (done["state"], done["question"]) == ("finished", None)
    after = http.get("/v1/users/re-3").json()
    assert after["fitted_comparisons"] == before["fitted_comparisons"] + 1
    assert after["profile_version"] > before["profile_version"]
    assert len(kept(http, "re-3")) == question["seq"] + 1
    changed = put(http, session, question["seq"], "left")
    assert (changed.status_code, changed.json()["code"]) == (409, "conflict")


def test_a_doubt_about_a_trait_shows_a_pair_that_differs_in_it(http, vectors_model):
    session = begin(http, "re-4", max_questions=2)["id"]
    put(http, session, 0, "left")
    post(http, session, "finish")
    reply = post(http, session, "doubt", {"trait": "words"}).json()
    sides = [reply["question"][side]["text"] for side in ("left", "right")]
    letters = [[len(word) for word in side.split() if word.isalpha()] for side in sides]
    means = [sum(row) / len(row) for row in letters]
    assert abs(means[0] - means[1]) >= 0.5
    for body in ({}, {"trait": "words", "direction": 0}, {"trait": "x"}, {"direction": 999}):
        assert post(http, session, "doubt", body).status_code == 422


def test_what_waited_when_a_session_was_stopped_waits_no_more(http):
    session = begin(http, "re-5")["id"]
    put(http, session, 0, "left")
    post(http, session, "finish")
    assert http.get(f"{SESSIONS}/{session}/next").json()["question"] is None
    late = put(http, session, 1, "left")
    assert (late.status_code, late.json()["code"]) == (404, "not_found")


def test_beginning_anew_forgets_the_answers(http):
    session = begin(http, "re-6", max_questions=4, seed=5)
    run(http, session["id"])
    assert kept(http, "re-6")
    anew = post(http, session["id"], "restart").json()
    assert (anew["id"], anew["state"], anew["question"]["seq"]) == (session["id"], "open", 0)
    assert anew["progress"] == session["progress"]
    assert kept(http, "re-6") == []
    assert http.get("/v1/users/re-6").json()["fitted_comparisons"] == 0
    last = run(http, session["id"])
    assert last["state"] == "finished"
    assert len(kept(http, "re-6")) == last["progress"]["answered"]


def test_deleting_a_session_removes_its_answers_and_no_others(http):
    other = begin(http, "re-7", max_questions=3)["id"]
    stay = run(http, other)["progress"]["answered"]
    session = begin(http, "re-7", max_questions=3)
    more = run(http, session["id"])["progress"]["answered"]
    assert len(kept(http, "re-7")) == stay + more
    gone = http.delete(f"{SESSIONS}/{session['id']}").json()
    assert (gone["deleted"], gone["questions"], gone["comparisons"]) == (True, more, more)
    assert len(kept(http, "re-7")) == stay
    assert http.get("/v1/users/re-7").json()["fitted_comparisons"] == stay
    assert http.get(f"{SESSIONS}/{session['id']}/next").status_code == 404
    assert http.delete(f"{SESSIONS}/{session['id']}").status_code == 404


def test_a_session_that_is_open_can_be_deleted_by_its_token(http, service):
    session = begin(http, "re-8")
    put(http, session["id"], 0, "left")
    with service.client(session["token"]) as page:
        assert page.delete(f"{SESSIONS}/{session['id']}").status_code == 200
        assert page.get(f"{SESSIONS}/{session['id']}/next").status_code == 404
    assert kept(http, "re-8") == []


def test_a_token_is_renewed_for_its_own_session_alone(http, service):
    session, other = begin(http, "re-9"), begin(http, "re-10")
    assert session["url"] == f"/onboard#{session['token']}"
    with service.client(session["token"]) as page:
        fresh = post(page, session["id"], "renew").json()
        assert post(page, other["id"], "renew").status_code == 401
    assert fresh["url"].endswith(fresh["token"])
    with service.client(fresh["token"]) as page:
        assert put(page, session["id"], 0, "left").status_code == 200
    assert post(http, session["id"], "renew").status_code == 200  # an application's new link
    assert post(http, "ses_none", "renew").status_code == 404


def test_the_result_says_in_words_what_the_answers_agree_on(http):
    session = begin(http, "re-11", max_questions=12, min_questions=8, seed=1)["id"]
    reply = http.get(f"{SESSIONS}/{session}/next").json()

    def letters(text):
        return sum(map(str.isalpha, text))  # of as many words: numbers are none

    while reply["state"] == "open":
        question = reply["question"]
        longer = letters(question["left"]["text"]) > letters(question["right"]["text"])
        side = "left" if longer else "right"
        reply = put(http, session, question["seq"], side).json()
    found = http.get(f"{SESSIONS}/{session}/result").json()["tendencies"]
    words = next(one for one in found if one["trait"] == "words")
    assert words["more"]
    assert (
        words["words"]
        == f"You tend to prefer answers with longer words: {words['kept']} of {words['of']}."
    )
    assert 1 <= len(words["examples"]) <= 2
