"""Languages of sessions, and where their finished page links back to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gustibus.errors import ConfigError, InputError
from gustibus.onboarding import QuestionPool, build_pool, random_pairs
from gustibus.service.settings import Settings
from gustibus.store import NewItem, Store, put_items, tagged_texts, upgrade
from tests.service.harness import DIM, database, model_of, running
from tests.service.test_onboarding_over_http import SESSIONS, begin, put

BACK = "https://app.example.org/done?user=1#top"
ORIGINS = "https://app.example.org http://localhost:3000"
TONGUES = ("de", "de-CH", "fr", "")


def in_languages(pool: QuestionPool) -> QuestionPool:
    """Every fourth pair in one of the languages."""
    return replace(pool, locales=tuple(TONGUES[row % 4] for row in range(len(pool))))


@pytest.fixture(scope="module")
def tongues(tmp_path_factory, vectors_model):
    """A server whose questions have languages of their own."""
    folder = tmp_path_factory.mktemp("tongues")
    model = replace(vectors_model, pool=in_languages(vectors_model.pool)).save(folder / "model")
    with running(
        f"sqlite:///{folder}/service.db", folder, gustibus_model=str(folder / "model"),
        gustibus_return_origins=ORIGINS,
    ) as service:  # fmt: skip
        yield service, model


@pytest.fixture
def client(tongues):
    with tongues[0].client() as found:
        yield found


def asked(client, session, count):
    """Names of the pairs that a session asks."""
    names = [session["question"]["id"]]
    for seq in range(count - 1):
        reply = put(client, session["id"], seq, "left").json()
        names.append(reply["question"]["id"])
    return names


@pytest.mark.parametrize(
    ("locale", "found", "spoken"),
    [
        ("de-AT", "de", {"de", "de-CH"}),
        ("de-ch", "de-ch", {"de-CH"}),
        ("FR", "FR", {"fr"}),
        ("de-Latn-CH-1996", "de", {"de", "de-CH"}),
        ("it", "*", {"de", "de-CH", "fr", ""}),
    ],
)
def test_a_session_is_asked_in_its_language(client, tongues, locale, found, spoken):
    pool = tongues[1].pool
    session = begin(client, f"say-{locale}", locale=locale, max_questions=8, min_questions=8)
    assert (session["locale"], session["pool_locale"]) == (locale, found)
    rows = [pool.ids.index(name) for name in asked(client, session, 8)]
    assert {pool.locales[row] for row in rows} <= spoken
    again = client.get(f"{SESSIONS}/{session['id']}/next").json()
    assert (again["locale"], again["pool_locale"]) == (locale, found)


def test_a_language_with_too_few_questions_is_left_for_a_wider_one(client, tongues):
    pool = tongues[1].pool
    few = len(pool.within("de-CH")[0].askable) + 1
    session = begin(client, "few", locale="de-CH", max_questions=few)
    assert session["pool_locale"] == "de"
    assert "locale" not in begin(client, "none")
    assert "pool_locale" not in begin(client, "none-2")


@pytest.mark.parametrize(
    "locale",
    ["", "d", "german language", "de_AT", "de-", "-de", "de--AT", "de-AT\n", "12", "de-A", "x" * 65, "*",
     "<script>"],
)  # fmt: skip
def test_what_is_no_language_tag_is_refused(http, locale):
    reply = http.post(SESSIONS, json={"user": "wrong", "locale": locale})
    assert reply.status_code == 422, reply.text
    assert reply.json()["errors"][0]["pointer"] == "/locale"


@pytest.mark.parametrize("locale", ["de", "de-AT", "zh-Hant-TW", "es-419", "sl-rozaj-biske", "de-a-bc-x-y",
                                    "en-x-test"])  # fmt: skip
def test_language_tags_are_taken(client, locale):
    assert begin(client, f"tag-{locale}", locale=locale)["locale"] == locale


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "//app.example.org/x", "/done",
        "http://app.example.org/", "https://app.example.org:8443/", "https://evil.example.org/",
        "https://app.example.org.evil.org/", "https://app.example.org@evil.org/",
        "https://evil.org\\@app.example.org/", "https://app.example.org\\.evil.org/", " https://app.example.org/",
        "https://app.example.org/\n", "java\nscript:alert(1)", "https://app.example.org/a b",
        "https:app.example.org",
        "https:///app.example.org", "https://user:pw@app.example.org/", "ftp://app.example.org/", "",
        "http://localhost/", "https://localhost:3000/", "HTTPS://app.example.org",
    ],
)  # fmt: skip
def test_an_address_elsewhere_is_refused(client, address):
    reply = client.post(SESSIONS, json={"user": "astray", "return_url": address})
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid_field"), reply.text
    assert reply.json()["errors"][0]["pointer"] == "/return_url"
    assert "https://app.example.org" in reply.json()["detail"]


@pytest.mark.parametrize(
    "address", [BACK, "https://APP.example.org:443", "http://localhost:3000/x%20y"]
)
def test_an_address_at_an_origin_that_is_allowed_is_taken(client, address):
    assert begin(client, "way", return_url=address)["return_url"] == address


def test_the_language_and_the_way_back_outlive_a_new_beginning_and_a_restart(client, tongues):
    service, model = tongues
    session = begin(client, "keeps", locale="fr-CA", return_url=BACK, max_questions=6)
    gone = begin(client, "gone", return_url="http://localhost:3000/")
    assert (session["return_url"], gone["return_url"]) == (BACK, "http://localhost:3000/")
    put(client, session["id"], 0, "left")
    assert client.post(f"{SESSIONS}/{session['id']}:restart").status_code == 200
    service.stop()
    service.environment["GUSTIBUS_RETURN_ORIGINS"] = "https://app.example.org"
    service.start()
    with service.client(service.key) as other:
        now = other.get(f"{SESSIONS}/{session['id']}/next").json()
        assert (now["locale"], now["pool_locale"], now["return_url"]) == ("fr-CA", "fr", BACK)
        assert model.pool.locales[model.pool.ids.index(now["question"]["id"])] == "fr"
        done = other.post(f"{SESSIONS}/{session['id']}:finish").json()
        assert (done["state"], done["return_url"]) == ("finished", BACK)
        # What the operator allows today counts.
        assert "return_url" not in other.get(f"{SESSIONS}/{gone['id']}/next").json()


def test_without_a_word_of_the_operator_there_is_no_way_back(http):
    reply = http.post(SESSIONS, json={"user": "nowhere", "return_url": BACK})
    assert reply.status_code == 422
    assert "GUSTIBUS_RETURN_ORIGINS names no origin" in reply.json()["detail"]


def test_settings_name_origins_and_nothing_else():
    Settings(return_origins=ORIGINS).check()
    for wrong in ("https://app.example.org/", "http://app.example.org", "app.example.org", "*",
                  "https://APP.example.org", "https://app.example.org:443"):  # fmt: skip
        with pytest.raises(ConfigError, match="GUSTIBUS_RETURN_ORIGINS"):
            Settings(return_origins=wrong).check()


def test_tags_of_items_choose_the_questions_of_a_model_without_languages(texts_http, texts_model):
    pool = texts_model.pool
    texts = sorted({*pool.texts_a, *pool.texts_b})
    mine = set(texts[:60])
    items = [
        {"id": f"low-{n}", "text": text, "prompt": "?", "tags": ["short", "locale:nds"]}
        for n, text in enumerate(texts[:60])
    ] + [{"id": "low-other", "text": texts[61], "prompt": "?", "tags": ["locale:fy"]}]
    assert texts_http.post("/v1/items:batch", json={"items": items}).status_code == 200
    session = begin(texts_http, "low", locale="nds-DE", max_questions=5, min_questions=5)
    assert session["pool_locale"] == "nds"
    for name in asked(texts_http, session, 5):
        row = pool.ids.index(name)
        assert {pool.texts_a[row], pool.texts_b[row]} <= mine
    assert begin(texts_http, "low-2", locale="fy")["pool_locale"] == "*"


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_tags_are_found_by_how_they_begin(engine, tmp_path):
    tags = {
        "a": ("x", "locale:de"),
        "b": ("not-locale:de",),
        "c": ("locale:fr", "locale:de"),
        "d": (),
    }
    with database(engine, tmp_path) as url:
        upgrade(url)
        store = Store(url)
        with store.write() as conn:
            rows = [NewItem(name, f"text {name}", None, of, None) for name, of in tags.items()]
            silent = NewItem("e", None, None, ("locale:de",), None)
            put_items(conn, rows=[*rows, silent], model="m")
        with store.read() as conn:
            found = tagged_texts(conn, prefix="locale:")
        store.close()
    assert sorted(found) == [("text a", ["locale:de"]), ("text c", ["locale:fr", "locale:de"])]


def test_a_pool_is_narrowed_without_losing_its_rows():
    def pool(*locales):
        vectors = np.arange(2.0 * len(locales), dtype=np.float32).reshape(-1, 2)
        names = tuple(f"q{row}" for row in range(len(locales)))
        nothing = ("",) * len(locales)
        held = np.arange(len(locales)) % 3 == 2
        return QuestionPool(vectors, -vectors, nothing, nothing, nothing, names, held, locales)

    whole = pool("de", "fr", "de", "DE-at", "", "fr")
    narrow, found = whole.within("De-CH-1996")
    assert found == "De"
    assert narrow.askable.tolist() == [0, 3]
    assert narrow.sample().tolist() == [2]
    assert narrow.still_open([3]).tolist() == [True, *[False] * 5]
    assert narrow.ids == whole.ids
    assert whole.within("de", least=2)[0] is narrow
    assert whole.within("de", least=3) == (whole, "*")
    assert whole.within("d") == whole.within("dex") == (whole, "*")
    assert whole.within("fr")[0].sample().tolist() == [5]
    again = QuestionPool.load(*whole.save())
    assert again.locales == whole.locales
    assert "locales" not in replace(whole, locales=()).save()[0]
    with pytest.raises(InputError, match="locales: expected 2 entries"):
        replace(pool("de", "fr"), locales=("de",))


def test_languages_of_prompts_become_those_of_the_pool():
    model = model_of(DIM, seed=1)
    items = np.random.default_rng(2).standard_normal((40, DIM)).astype(np.float32)
    pairs = random_pairs(np.arange(40) % 4, count=60, seed=0)
    names = [f"prompt {number}" for number in range(4)]
    tags = ["de", "fr", "", "de"]
    pool = build_pool(model, items, pairs, prompts=names, locales=tags, size=20, held_out=5, seed=0)
    assert pool.locales == tuple(tags[names.index(prompt)] for prompt in pool.prompts)
    with pytest.raises(InputError, match="locales: expected one for each of 4 prompts, got 2"):
        build_pool(model, items, pairs, prompts=names, locales=tags[:2], size=20, seed=0)
