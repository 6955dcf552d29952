"""Quotas of a key over several machines: their bounds, and what happens when Redis or a process goes away."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

import httpx
import pytest

from gustibus.cli.app import run
from gustibus.errors import ConfigError
from gustibus.service.settings import Settings
from gustibus.store import Store, create_key
from tests.service.harness import DIM, Service, database, running
from tests.service.redis_server import redis

BODY = {"candidates": [{"embedding": [0.5] * DIM}]}
SESSIONS = "/v1/onboarding/sessions"


@contextlib.contextmanager
def machines(folder, model, count, *, quotas, engine="sqlite", workers="1", **settings):
    """Servers over one store, each what a machine has."""
    with database(engine, folder) as url, contextlib.ExitStack() as stack:
        common = {"gustibus_model": str(model), "gustibus_quotas": quotas, **settings}
        found = []
        for place in range(count):
            own = folder / f"machine-{place}"
            own.mkdir()
            found.append(stack.enter_context(running(url, own, gustibus_workers=workers, **common)))
        yield found


def key_for(found: list[Service], name: str = "test") -> str:
    store = Store(found[0].url)
    with store.write() as conn:
        made = create_key(conn, name=name, scopes=("score", "score:raw", "onboard", "admin"))
    store.close()
    for one in found:
        one.settle(made.secret_text)
    return made.secret_text


def left_of(reply) -> int:
    return int(reply.headers["ratelimit"].split("r=")[1].split(";")[0])


def gauge(service, key) -> float:
    with service.client(key) as http:
        text = http.get("/metrics").text
    (line,) = [row for row in text.splitlines() if row.startswith("gustibus_quotas_away ")]
    return float(line.split()[1])


def until_gauge(service, key, value, *, seconds=20.0):
    end = time.monotonic() + seconds
    while gauge(service, key) != value:
        assert time.monotonic() < end, f"quotas_away is not {value}"
        time.sleep(0.05)


@dataclass
class Load:
    """Everything that is sent for a while over several connections to each machine."""

    seconds: float
    statuses: list[int] = field(default_factory=list)
    slowest: float = 0.0
    took: float = 0.0

    def send(self, found: list[Service], key: str, *, connections: int = 2, pause=0.0) -> Load:
        begun = time.monotonic()

        def work(service):
            with service.client(key) as http:
                while time.monotonic() < begun + self.seconds:
                    asked = time.monotonic()
                    status = http.post("/v1/score", json=BODY).status_code
                    self.slowest = max(self.slowest, time.monotonic() - asked)
                    self.statuses.append(status)
                    time.sleep(pause)

        threads = [
            threading.Thread(target=work, args=(s,)) for s in found for _ in range(connections)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.took = time.monotonic() - begun
        return self

    @property
    def admitted(self) -> int:
        return self.statuses.count(200)

    @property
    def refused(self) -> int:
        return self.statuses.count(429)


@pytest.fixture(scope="module")
def server():
    """A Redis for the tests that leave it alone."""
    with redis() as found:
        yield found.start()


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_all_machines_together_admit_what_a_key_may_do(
    tmp_path, vectors_folder, vectors_model, server, engine
):
    rate, burst, processes = 20, 20, 4
    settings = {"gustibus_rate": str(rate), "gustibus_burst": str(burst)}
    with machines(
        tmp_path, vectors_folder, 2, quotas=server.url, engine=engine, workers="2", **settings
    ) as found:
        key = key_for(found, 'odd "name" {of} a \n key, ключ')
        load = Load(4.0).send(found, key, connections=3)
        # What a process may hold: a tenth of a second of the rate, or what its open requests need.
        slack = processes * max(rate / 10, 4)
        assert load.admitted <= rate * load.took + burst + slack
        assert load.admitted >= 0.85 * (rate * 4.0 + burst) - slack
        assert load.refused > 0
        assert set(load.statuses) == {200, 429}
        # Another key is not touched by that.
        other = key_for(found)
        calm = Load(1.0).send(found, other, connections=1, pause=0.1)
        assert calm.refused == 0


@pytest.mark.parametrize("rate", [2, 500])
def test_a_burst_of_one_is_one(tmp_path, vectors_folder, vectors_model, server, rate):
    settings = {"gustibus_rate": str(rate), "gustibus_burst": "1"}
    with machines(tmp_path, vectors_folder, 2, quotas=server.url, **settings) as found:
        key = key_for(found)
        load = Load(3.0).send(found, key)
        slack = 2 * max(rate / 10, 3)
        assert load.admitted <= rate * load.took + 1 + slack
        assert load.admitted >= (3 if rate == 2 else 30)  # a small burst cannot be used up in full
        if rate == 2:
            assert load.refused > 0


def test_the_first_request_in_each_process_is_answered(
    tmp_path, vectors_folder, vectors_model, server
):
    with machines(tmp_path, vectors_folder, 2, quotas=server.url) as found:
        for number in range(10):
            key = key_for(found, f"first-{number}")
            for service in found:
                with service.client(key) as http:
                    reply = http.post("/v1/score", json=BODY)
                assert reply.status_code == 200, reply.text
        many = {"requests": [BODY] * 20}
        with found[0].client(key_for(found)) as http:
            rows = http.post("/v1/score:batch", json=many).json()["data"]
        assert {row["status"] for row in rows} == {200}


def test_headers_and_limits_tell_of_the_shared_bucket(
    tmp_path, vectors_folder, vectors_model, server
):
    settings = {"gustibus_rate": "5", "gustibus_burst": "100"}
    with machines(tmp_path, vectors_folder, 2, quotas=server.url, workers="2", **settings) as found:
        key = key_for(found)
        first, second = found
        with first.client(key) as http, second.client(key) as other:
            for _ in range(40):
                assert http.post("/v1/score", json=BODY).status_code == 200
            reply = other.post("/v1/score", json=BODY)
            assert reply.headers["ratelimit-policy"] == '"units";q=5;w=1'
            assert 50 <= left_of(reply) <= 75
            told = other.get("/v1/limits").json()
            assert (told["shared"], told["units_per_second"], told["burst_units"]) == (True, 5, 100)


def test_leases_that_nobody_needs_are_given_back(tmp_path, vectors_folder, vectors_model):
    settings = {"gustibus_rate": "10", "gustibus_burst": "1000"}
    with redis() as own:
        own.start()
        with machines(tmp_path, vectors_folder, 2, quotas=own.url, **settings) as found:
            key = key_for(found)
            load = Load(1.0).send(found, key, connections=1)
            begun = time.monotonic()
            name = next(row for row in own.ask("KEYS", "*").split() if ":units:" in row)
            time.sleep(1.5)
            left, _ = own.ask("HMGET", name, "left", "at").split()
            refilled = 10 * (time.monotonic() - begun + load.took)
            assert 1000 - load.admitted <= float(left) <= 1000 - load.admitted + refilled
            before = own.ask("INFO", "commandstats")
            time.sleep(2.0)
            assert calls(own.ask("INFO", "commandstats")) <= calls(before) + 2  # idle costs nothing
            for service in found:
                assert service.stop() == 0


def calls(told: str) -> int:
    return sum(
        int(row.split("calls=")[1].split(",")[0]) for row in told.splitlines() if "_eval:" in row
    )


def test_a_process_that_is_killed_takes_little_with_it(
    tmp_path, vectors_folder, vectors_model, server
):
    rate, burst = 20, 40
    settings = {"gustibus_rate": str(rate), "gustibus_burst": str(burst)}
    with machines(tmp_path, vectors_folder, 2, quotas=server.url, **settings) as found:
        key = key_for(found)
        load, after = Load(1.0), Load(2.0)
        load.send(found, key)
        found[0].kill()
        after.send(found[1:], key)
        assert set(load.statuses) | set(after.statuses) <= {200, 429}
        whole = load.took + after.took
        assert load.admitted + after.admitted <= rate * whole + burst + 2 * 4
        assert after.admitted >= 0.75 * rate * 2.0 - 4  # it has all of the rate now
        found[0].start()
        with found[0].client(key) as http:
            time.sleep(0.2)
            assert http.post("/v1/score", json=BODY).status_code == 200


def test_without_redis_each_machine_has_quotas_of_its_own(tmp_path, vectors_folder, vectors_model):
    settings = {"gustibus_rate": "100000", "gustibus_burst": "200000"}
    password = secrets.token_hex(8)
    with (
        redis(password=password) as own,
        machines(tmp_path, vectors_folder, 2, quotas=own.url, workers="2", **settings) as found,
    ):
        first, _ = found
        key = key_for(found)
        with first.client(key) as http:  # it was not there at the start
            reply = http.post("/v1/score", json=BODY)
            assert reply.status_code == 200
            assert reply.headers["ratelimit-policy"] == '"units";q=50000;w=1'
            assert http.get("/v1/limits").json()["shared"] is False
        until_gauge(first, key, 1.0)
        own.start()
        for service in found:
            until_gauge(service, key, 0.0)
        with first.client(key) as http:
            policies = {
                http.post("/v1/score", json=BODY).headers["ratelimit-policy"] for _ in range(5)
            }
        assert policies == {'"units";q=100000;w=1'}
        load = Load(4.0)
        timers = [
            threading.Timer(1.0, own.kill, [signal.SIGSTOP]),  # silent, then gone, then there
            threading.Timer(2.0, own.kill),
            threading.Timer(2.5, own.start),
        ]
        for timer in timers:
            timer.start()
        load.send(found, key)
        for timer in timers:
            timer.join()
        assert set(load.statuses) == {200}
        assert load.slowest < 1.0
        for service in found:
            until_gauge(service, key, 0.0)
        for service in found:
            said = service.log_path.read_text()
            away = said.count("quotas of keys are those of each machine")
            # At the start and once more in each of two processes; one without requests hears of it later.
            assert 3 <= away <= 5
            assert password not in said


def test_sessions_are_counted_over_all_machines(tmp_path, vectors_folder, vectors_model, server):
    settings = {"gustibus_sessions": "4"}
    with machines(tmp_path, vectors_folder, 2, quotas=server.url, **settings) as found:
        first, second = found
        key = key_for(found)
        with first.client(key) as http, second.client(key) as other:
            begun = [
                one.post(SESSIONS, json={"user": f"u-{n}"}).status_code
                for n, one in enumerate([http] * 5 + [other] * 3)
            ]
        # The other machine hears of the four with the first that it counts.
        assert begun == [201] * 4 + [429] + [201, 429, 429]


def test_wrong_keys_are_counted_over_all_machines(tmp_path, vectors_folder, vectors_model, server):
    settings = {"gustibus_failed_keys": "4"}
    with machines(tmp_path, vectors_folder, 2, quotas=server.url, **settings) as found:
        first, second = found
        seen = [wrong(one, "gustibus_live_x_" + "A" * 43) for one in [first] * 5 + [second] * 3]
        assert seen == [401] * 4 + [429] + [401, 429, 429]


def wrong(service, key) -> int:
    headers = {"Authorization": f"Bearer {key}"}
    status = httpx.get(f"{service.base}/v1/version", headers=headers).status_code
    time.sleep(0.05)  # what was counted is told
    return status


def doctor(capsys, monkeypatch, folder, url) -> str:
    monkeypatch.setenv("GUSTIBUS_QUOTAS", url)
    monkeypatch.setenv("GUSTIBUS_DATABASE", f"sqlite:///{folder}/s.db")
    run(["doctor"])
    return capsys.readouterr().out


def test_without_the_extra_a_start_says_what_to_install(tmp_path):
    code = (
        "import sys; sys.modules['redis'] = None\n"
        "from gustibus.service.run import main\nsys.exit(main())"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, timeout=60, capture_output=True, text=True,
        env={**os.environ, "GUSTIBUS_QUOTAS": "redis://:s3cret@127.0.0.1:1"}, check=False,
    )  # fmt: skip
    assert found.returncode == 2
    assert found.stderr == (
        "GUSTIBUS_QUOTAS is set: redis is not installed; "
        "install it with: pip install 'gustibus[redis]'\n"
    )


def test_redis_is_not_loaded_where_none_is_named():
    code = (
        "import sys\nfrom gustibus.service.app import create_app\n"
        "from gustibus.service.settings import Settings\n"
        "assert create_app(Settings(log=False)).state.quotas is None\nprint(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "redis" not in done.stdout.split()


def test_the_doctor_says_whether_redis_answers_and_no_password(tmp_path, capsys, monkeypatch):
    with redis(password="open-sesame") as own:
        away = doctor(capsys, monkeypatch, tmp_path, own.url)
        assert f"warn  quotas      redis://***@127.0.0.1:{own.port}/0 does not answer" in away
        own.start()
        there = doctor(capsys, monkeypatch, tmp_path, own.url)
        assert "ok    quotas      shared by all machines through redis://***@127.0.0.1" in there
        other = doctor(capsys, monkeypatch, tmp_path, own.url.replace("open", "closed"))
        assert "AuthenticationError" in other or "ResponseError" in other
        assert "sesame" not in away + there + other


@pytest.mark.parametrize(
    "url", ["redis://:s3cret@", "http://s3cret", "redis://h:s3cret/0", "s3cret"]
)
def test_a_url_of_something_else_is_refused_and_not_shown(url):
    with pytest.raises(
        ConfigError, match="GUSTIBUS_QUOTAS: expected a URL such as redis"
    ) as caught:
        Settings.from_env({"GUSTIBUS_QUOTAS": url})
    assert "s3cret" not in str(caught.value)
