"""What is shipped to watch a service names what a service shows; a trace is followed through it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gustibus.service.app import TABLE
from gustibus.service.problems import CODES
from gustibus.service.tracing import trace_of
from tests.service.harness import Service, running
from tests.service.test_merged_metrics import free_ports
from tests.service.test_remote_encoder import Pooling

yaml = pytest.importorskip("yaml")
DEPLOY = Path(__file__).parents[2] / "deploy"
BOARD = json.loads((DEPLOY / "grafana" / "gustibus.json").read_text("utf-8"))
GROUPS = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text("utf-8"))["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
ADDED = {"job", "instance"}
"""Labels that Prometheus gives to whatever it scrapes."""
SELECTED = re.compile(r"\b(gustibus[a-z0-9_:]*)(?:\{([^}]*)\})?")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def expressions() -> list[str]:
    shown = [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]
    return [*shown, *(rule["expr"] for rule in RULES)]


def selections(expression: str) -> list[tuple[str, dict[str, str]]]:
    """Names of series in an expression, with the labels by which they are chosen."""
    return [
        (name, dict(re.findall(r'(\w+)\s*=~?\s*"((?:[^"\\]|\\.)*)"', chosen)))
        for name, chosen in SELECTED.findall(expression)
    ]


@dataclass
class Watched:
    """A service of two processes, and where its metrics are."""

    service: Service
    pooling: Pooling
    metrics: str

    def labels(self) -> dict[str, set[str]]:
        """Labels of every series that is shown."""
        text = httpx.get(self.metrics, timeout=20).text
        found: dict[str, set[str]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)
        return found


@pytest.fixture(scope="module")
def watched(tmp_path_factory, texts_folder, texts_model) -> Iterator[Watched]:
    folder, port, pooling = tmp_path_factory.mktemp("watched"), free_ports(), Pooling()
    try:
        with running(
            f"sqlite:///{folder}/s.db", folder, gustibus_model=str(texts_folder),
            gustibus_workers="2", gustibus_metrics_port=str(port), gustibus_encoder_url=pooling.url,
            gustibus_quotas="redis://127.0.0.1:1/0",  # where none is
        ) as service:  # fmt: skip
            yield Watched(service, pooling, f"http://127.0.0.1:{port}/metrics")
    finally:
        pooling.kill()


@pytest.fixture(scope="module")
def http(watched) -> Iterator[httpx.Client]:
    """A client, once there has been a little of everything."""
    with watched.service.client() as client:
        assert client.get("/v1/users/nobody").status_code == 404
        wrong = {"Authorization": f"Bearer {watched.service.key[:-1]}"}
        assert client.get("/v1/version", headers=wrong).status_code == 401
        client.post("/v1/score", json={"candidates": ["one", "two"]})
        row = {"user": "ann", "a": {"text": "one"}, "b": {"text": "two"}, "outcome": "a"}
        reply = client.post("/v1/comparisons?wait=profile", json={"comparisons": [row]})
        assert reply.json()["profiles"] == "ready"
        begun = client.post("/v1/onboarding/sessions", json={"user": "bob"}).json()
        session = f"/v1/onboarding/sessions/{begun['id']}"
        said = {"answer": "left", "ms": 2000}
        assert client.put(f"{session}/answers/0", json=said).status_code == 200
        assert client.post(f"{session}:finish").status_code == 200
        yield client


def test_every_name_and_label_that_is_watched_is_shown(watched, http):
    shown = watched.labels()
    found = 0
    for expression in expressions():
        grouped = {
            label.strip()
            for part in re.findall(r"\bby \(([^)]*)\)", expression)
            for label in part.split(",")
        } - ADDED
        chosen = selections(expression)
        assert chosen, expression
        for name, labels in chosen:
            if name in RECORDED:
                assert not labels
                continue
            assert name in shown, f"{name} in {expression}"
            assert labels.keys() - ADDED <= shown[name], expression
            assert grouped <= shown[name], expression
            found += 1
    assert found > 50
    used = {one for expression in expressions() for one, _ in selections(expression)}
    assert used >= RECORDED


def test_legends_and_texts_name_labels_that_are_left():
    for panel in BOARD["panels"]:
        for target in panel["targets"]:
            named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            by = re.match(r"\w+ by \(([^)]*)\)", target["expr"])
            kept = {one.strip() for one in by[1].split(",")} if by else ADDED
            assert named <= kept, target
    for rule in RULES:
        said = " ".join(rule.get("annotations", {}).values())
        named = set(re.findall(r"\$labels\.(\w+)", said))
        by = re.match(r"(?:sum|max) by \(([^)]*)\)", rule["expr"])
        assert named <= ({one.strip() for one in by[1].split(",")} if by else ADDED), rule


def test_alerts_name_the_codes_of_problems_with_their_status():
    said = " ".join(text for rule in RULES for text in rule.get("annotations", {}).values())
    named = re.findall(r"\b([1-5]\d\d)\b(?: ([a-z]+(?:_[a-z]+)+))?", said)
    assert named
    assert [(str(CODES[code].status), code) for _, code in named] == named


def test_objectives_are_about_all_scoring_and_the_edges_are_there(watched, http):
    available, slow = (
        {labels["route"] for expr in exprs for _, labels in selections(expr) if "route" in labels}
        for exprs in (
            [r["expr"] for r in RULES if r.get("record", "").startswith("gustibus:unavailable")],
            [r["expr"] for r in RULES if r.get("record", "").startswith("gustibus:slow")],
        )
    )
    scoring = {route.path for route in TABLE if route.scope == "score" and route.body == "scoring"}
    every = {route.path for route in TABLE}
    (pattern,), (fast,) = available, slow
    assert {path for path in every if re.fullmatch(pattern, path)} == scoring
    assert {path for path in every if re.fullmatch(fast, path)} < scoring
    edges: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(httpx.get(watched.metrics, timeout=20).text):
        for sample in family.samples:
            if "le" in sample.labels:
                edges.setdefault(sample.name, set()).add(sample.labels["le"])
    for expression in expressions():
        for name, labels in selections(expression):
            assert "le" not in labels or labels["le"] in edges[name]


def test_budgets_burn_at_two_rates_over_two_windows_each():
    alerts = {rule["alert"]: rule for rule in RULES if "alert" in rule}
    assert len(alerts) == len([rule for rule in RULES if "alert" in rule])
    for name, budget in (("Unavailable", "0.001"), ("Slow", "0.01"), ("Stale", "0.01")):
        record = f"gustibus:{name.lower()}:ratio_rate"
        for speed, burn, windows in (("Fast", "14.4", "1h 5m"), ("Steady", "6", "6h 30m")):
            long, short = windows.split()
            said = " ".join(alerts[f"Gustibus{name}{speed}"]["expr"].split())
            assert said == (
                f"{record}{long} > {burn} * {budget} and {record}{short} > {burn} * {budget}"
            )
    for rule in RULES:
        for window in re.findall(r"ratio_rate(\w+)$", rule.get("record", "")):
            assert set(re.findall(r"\[(\w+)\]", rule["expr"])) == {window}


def test_panels_do_not_lie_on_each_other():
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        at: dict[str, Any] = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"])
                 for y in range(at["y"], at["y"] + at["h"])}  # fmt: skip
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(ids)) == len(ids)


def logged(watched: Watched, request_id: str) -> dict[str, Any]:
    until = time.monotonic() + 60
    while True:
        for line in watched.service.lines():
            if line.get("request_id") == request_id:
                return line
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_trace_is_in_the_log_and_goes_on_to_the_encoder(watched, http):
    headers = {"traceparent": PARENT, "tracestate": "vendor=1", "X-Request-Id": "traced"}
    body = {"candidates": ["a text that nobody has sent"]}
    assert http.post("/v1/score", json=body, headers=headers).status_code == 200
    assert logged(watched, "traced")["trace_id"] == TRACE
    assert watched.pooling.told()["trace"] == [PARENT, "vendor=1"]
    headers = {"X-Request-Id": "untraced"}
    body = {"candidates": ["another text that nobody has sent"]}
    assert http.post("/v1/score", json=body, headers=headers).status_code == 200
    assert "trace_id" not in logged(watched, "untraced")
    assert watched.pooling.told()["trace"] == ["", ""]


def test_a_trace_that_is_not_well_formed_is_ignored(watched, http):
    headers = {"traceparent": f'00-{TRACE}","level":"x-01', "X-Request-Id": "spoiled"}
    assert http.get("/v1/version", headers=headers).status_code == 200
    assert "trace_id" not in logged(watched, "spoiled")


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (PARENT, TRACE),
        (PARENT.replace("00-4", "01-4"), TRACE),
        (PARENT.replace("00-4", "cc-4") + "-more", TRACE),
        (PARENT + "-more", None),
        (PARENT.replace("00-4", "ff-4"), None),
        (PARENT.upper(), None),
        (PARENT[:-1], None),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (PARENT.replace("00-4", "cc-4") + "-more\r\nx: y", None),
        ("", None),
    ],
)
def test_which_headers_tell_of_a_trace(given, found):
    trace = trace_of({b"traceparent": given.encode()})
    assert (trace and trace.id) == found
    assert trace is None or trace.headers == {"traceparent": given}
