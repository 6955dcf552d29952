"""One scrape of several processes: one text, counters that never go backwards, whoever dies meanwhile."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from multiprocessing import Pipe

import httpx
import pytest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from gustibus.service.merging import GAUGES, Whole, merged
from gustibus.service.metrics import Meter
from tests.service.harness import DIM, Service, new_key, quiet_port, running


def free_ports() -> int:
    """The first of two neighbouring ports that nobody uses."""
    while True:
        port = quiet_port()
        with contextlib.suppress(OSError), socket.socket() as other:
            other.bind(("127.0.0.1", port + 1))
            return port


def families(port: int) -> dict[str, Metric]:
    """One scrape, as Prometheus would read it; no family may come twice."""
    reply = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=20)
    assert reply.status_code == 200
    found = list(text_string_to_metric_families(reply.text))
    assert len({family.name for family in found}) == len(found)
    for family in found:
        names = [(sample.name, *sorted(sample.labels.items())) for sample in family.samples]
        assert len(set(names)) == len(names), family.name
    return {family.name: family for family in found}


def counted(found: dict[str, Metric]) -> dict[tuple, float]:
    """Everything that may only grow."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in found.values()
        if family.type in {"counter", "histogram", "summary"}
        for sample in family.samples
    }


def value(found: dict[str, Metric], name: str, **labels: str) -> float:
    (sample,) = (s for s in found[name].samples if s.labels == labels)
    return sample.value


@pytest.fixture(scope="module")
def served(tmp_path_factory, vectors_folder, vectors_model) -> Iterator[tuple[Service, int]]:
    folder, port = tmp_path_factory.mktemp("merged"), free_ports()
    with running(
        f"sqlite:///{folder}/s.db", folder, gustibus_model=str(vectors_folder),
        gustibus_workers="2", gustibus_metrics_port=str(port),
    ) as service:  # fmt: skip
        yield service, port


def ask(service: Service, times: int) -> None:
    """Requests of a connection each, which either process may take."""
    for _ in range(times):
        assert httpx.get(f"{service.base}/livez").status_code == 200


def requests(found: dict[str, Metric]) -> float:
    return value(found, "gustibus_http_requests", route="/livez", method="GET", status="2xx")


def test_one_scrape_holds_what_all_processes_counted(served, vectors_model):
    service, port = served
    kept = vectors_model.digest[:12]
    with service.client() as http:
        http.put("/v1/items/x", json={"embedding": [1.0] * DIM})
    ask(service, 40)
    found = families(port)
    assert requests(found) == 40
    buckets = {
        sample.labels["le"]: sample.value
        for sample in found["gustibus_http_request_duration_seconds"].samples
        if sample.labels["route"] == "/livez" and sample.name.endswith("_bucket")
    }
    assert buckets["+Inf"] == 40
    assert list(buckets.values()) == sorted(buckets.values())
    assert value(found, "gustibus_processes") == 2
    assert value(found, "gustibus_rows_in_memory", table="items") == 1
    assert value(found, "gustibus_model_info", model="default", version=kept, digest=kept) == 1
    assert httpx.get(f"http://127.0.0.1:{port}/v1/score").status_code == 404
    with service.client() as http:
        assert http.get("/metrics").status_code == 404


def test_every_gauge_says_what_it_is_of_several_processes(served):
    gauges = {name for name, family in families(served[1]).items() if family.type == "gauge"}
    assert gauges - {"gustibus_processes"} <= GAUGES.keys()


def test_counters_do_not_go_backwards_when_a_process_is_replaced(served):
    service, port = served
    ask(service, 20)
    before = counted(families(port))
    pid = next(line["pid"] for line in service.lines() if line.get("event") == "listening")
    os.kill(pid, signal.SIGKILL)
    answering, until = [], time.monotonic() + 60
    while answering[-1:] != [2] or 1 not in answering:
        assert time.monotonic() < until
        found = families(port)
        now = counted(found)
        assert now.keys() >= before.keys()
        assert all(now[key] >= kept for key, kept in before.items())
        before = now
        answering.append(value(found, "gustibus_processes"))
        time.sleep(0.02)
    total = requests(found)
    ask(service, 10)
    assert requests(families(port)) == total + 10


def test_a_process_that_hangs_is_shown_as_it_answered_last(served):
    service, port = served
    before = families(port)
    assert value(before, "gustibus_processes") == 2
    pid = [line["pid"] for line in service.lines() if line.get("event") == "listening"][-1]
    os.kill(pid, signal.SIGSTOP)
    try:
        found = while_one_hangs(lambda: families(port))
    finally:
        os.kill(pid, signal.SIGCONT)
    now = counted(found)
    assert all(now[key] >= kept for key, kept in counted(before).items())


def test_each_process_can_have_a_port_of_its_own(tmp_path, vectors_folder, vectors_model):
    port = free_ports()
    with running(
        f"sqlite:///{tmp_path}/s.db", tmp_path, gustibus_model=str(vectors_folder),
        gustibus_workers="2", gustibus_metrics_port=str(port), gustibus_metrics_merged="0",
    ) as service:  # fmt: skip
        ask(service, 20)
        found = [families(port), families(port + 1)]
        shown = [
            requests(one) for one in found
            if any(s.labels["route"] == "/livez" for s in one["gustibus_http_requests"].samples)
        ]  # fmt: skip
        assert sum(shown) == 20
        assert not any("gustibus_processes" in one for one in found)


def while_one_hangs(scrape: Callable[[], dict[str, Metric]]) -> dict[str, Metric]:
    """What is shown once the other process was heard in time, which other programs may delay."""
    until = time.monotonic() + 30
    while True:
        began = time.monotonic()
        found = scrape()
        assert time.monotonic() - began < 8  # scrapes are given 10 seconds
        assert value(found, "gustibus_processes") < 2
        if value(found, "gustibus_processes") == 1:
            return found
        assert time.monotonic() < until


def asked(http: httpx.Client) -> dict[str, Metric]:
    """One scrape on the port of the API, over a connection of its own, which either process may take."""
    reply = httpx.get(f"{http.base_url}/metrics", headers=http.headers, timeout=20)
    assert reply.status_code == 200, reply.text
    return {family.name: family for family in text_string_to_metric_families(reply.text)}


@pytest.fixture(scope="module")
def without_port(tmp_path_factory, vectors_folder, vectors_model) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("merged-api")
    with running(
        f"sqlite:///{folder}/s.db", folder, gustibus_model=str(vectors_folder), gustibus_workers="2",
    ) as service:  # fmt: skip
        yield service


def test_the_port_of_the_api_shows_all_processes_too(without_port):
    with without_port.client() as http:
        ask(without_port, 40)
        for _ in range(10):  # whichever of the two answers
            found = asked(http)
            assert requests(found) == 40
            assert value(found, "gustibus_processes") == 2
        assert httpx.get(f"{without_port.base}/metrics").status_code == 401
        key = new_key(without_port.url, "score")
        without_port.settle(key)
        with without_port.client(key) as other:
            assert other.get("/metrics").status_code == 403


def test_counters_on_the_port_of_the_api_do_not_go_backwards(without_port):
    with without_port.client() as http:
        ask(without_port, 20)
        before = counted(asked(http))
        ready = sum(line.get("event") == "ready" for line in without_port.lines())
        pid = next(line["pid"] for line in without_port.lines() if line.get("event") == "listening")
        time.sleep(6)  # what it counted is asked for every five seconds
        os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + 60
        while sum(line.get("event") == "ready" for line in without_port.lines()) == ready:
            assert time.monotonic() < until
            time.sleep(0.05)
        now = counted(asked(http))
        assert all(now[key] >= kept for key, kept in before.items())
        assert value(asked(http), "gustibus_processes") == 2


def test_who_asks_is_not_kept_waiting_by_a_process_that_hangs(without_port):
    with without_port.client() as http:
        before = asked(http)
        pids = [line["pid"] for line in without_port.lines() if line.get("event") == "listening"]
        os.kill(pids[-1], signal.SIGSTOP)
        try:
            found = while_one_hangs(lambda: asked(http))
        finally:
            os.kill(pids[-1], signal.SIGCONT)
        now = counted(found)
        assert all(now[key] >= kept for key, kept in counted(before).items())


def test_nothing_comes_from_a_process_that_has_ended():
    ours, others = Pipe()
    others.close()
    assert Whole(ours).exposition() is None


def test_processes_that_are_not_to_be_merged_show_themselves(
    tmp_path, vectors_folder, vectors_model
):
    with running(
        f"sqlite:///{tmp_path}/s.db", tmp_path, gustibus_model=str(vectors_folder),
        gustibus_workers="2", gustibus_metrics_merged="0",
    ) as service, service.client() as http:  # fmt: skip
        assert "gustibus_processes" not in asked(http)


def test_the_port_of_metrics_must_be_free(tmp_path, vectors_folder, vectors_model):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(AssertionError, match="GUSTIBUS_METRICS_PORT: cannot listen on"), running(
            f"sqlite:///{tmp_path}/s.db", tmp_path, gustibus_workers="2",
            gustibus_metrics_port=str(port),
        ):  # fmt: skip
            pass


def test_sums_and_maxima_by_hand():
    def part(lag: float, flying: int, seconds: list[float]) -> list[Metric]:
        meter = Meter()
        meter.lag, meter.in_flight = lag, flying
        for one in seconds:
            meter.count("/r", "GET", 200, one)
        return list(meter.families())

    both = {f.name: f for f in merged([part(0.5, 2, [0.001, 0.04]), part(0.25, 3, [0.04])])}
    assert value(both, "gustibus_event_loop_lag_seconds") == 0.5
    assert value(both, "gustibus_http_requests_in_flight") == 5
    assert value(both, "gustibus_http_requests", route="/r", method="GET", status="2xx") == 3
    duration = {
        (s.name.rpartition("_")[2], s.labels.get("le")): s.value
        for s in both["gustibus_http_request_duration_seconds"].samples
    }
    assert duration[("bucket", "0.032")] == 1
    assert duration[("bucket", "0.05")] == 3
    assert duration[("count", None)] == 3
    assert duration[("sum", None)] == pytest.approx(0.081)
