"""One scrape of several processes: one text, counters that never go backwards, whoever dies meanwhile."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from gustibus.service.merging import GAUGES, merged
from gustibus.service.metrics import Meter
from tests.service.harness import DIM, Service, running


def free_ports() -> int:
    """The first of two neighbouring ports that nobody uses."""
    while True:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            try:
                other.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
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
    assert value(found, "gustibus_model_info", model="default", digest=kept) == 1
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
        found = families(port)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert value(found, "gustibus_processes") == 1
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
