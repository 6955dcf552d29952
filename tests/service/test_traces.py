"""Spans of a real service, as a collector receives them; and requests where there is no collector."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from gustibus.cli.app import run
from gustibus.errors import ConfigError
from gustibus.service.settings import Settings
from gustibus.store import upgrade
from tests.service.harness import Service, running
from tests.service.test_remote_encoder import Pooling

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
SAMPLED = f"00-{TRACE}-{CALLER}-01"
SECRET = "canary"
"""In every name, text and header that no span may tell."""


class Collector:
    """Takes spans by OTLP over HTTP, or does what it is told to."""

    def __init__(self, port: int = 0) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.answer = 200
        """Status; 0 answers nothing."""
        self.ended = threading.Event()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_POST(self):
                assert self.path == "/v1/traces"
                body = self.rfile.read(int(self.headers["content-length"]))
                if collector.answer == 0:
                    collector.ended.wait(60)
                    return
                if collector.answer == 200:
                    collector.bodies.append(body)
                    collector.headers.append({k.lower(): v for k, v in self.headers.items()})
                self.send_response(collector.answer)
                self.send_header("content-length", "0")
                self.end_headers()

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in map(ExportTraceServiceRequest.FromString, tuple(self.bodies))
            for group in request.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]

    def root(self, trace: str) -> Span:
        """The span of the request that was sent with a trace."""
        until = time.monotonic() + 60
        while True:
            found = [s for s in self.of(trace) if s.kind == Span.SPAN_KIND_SERVER]
            if found:
                return found[0]
            assert time.monotonic() < until
            time.sleep(0.05)

    def of(self, trace: str) -> list[Span]:
        return [span for span in self.spans if span.trace_id.hex() == trace]


def told(span: Span) -> dict[str, object]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


@dataclass
class Traced:
    service: Service
    collector: Collector
    pooling: Pooling
    client: httpx.Client = field(init=False)

    def ask(self, method: str, path: str, **options) -> tuple[httpx.Response, str]:
        """A request with a trace of its own."""
        trace = os.urandom(16).hex()
        headers = {"traceparent": f"00-{trace}-{CALLER}-01", **options.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **options), trace

    def send(self, method: str, path: str, **options) -> tuple[httpx.Response, Span, list[Span]]:
        """The same, and its span once it is there, and those under it."""
        reply, trace = self.ask(method, path, **options)
        root = self.collector.root(trace)
        return reply, root, [s for s in self.collector.of(trace) if s != root]


@pytest.fixture(scope="module")
def traced(tmp_path_factory, texts_folder, texts_model) -> Iterator[Traced]:
    folder, collector, pooling = tmp_path_factory.mktemp("traced"), Collector(), Pooling()
    try:
        with running(
            f"sqlite:///{folder}/t.db", folder, gustibus_model=str(texts_folder),
            gustibus_encoder_url=pooling.url, gustibus_trace_endpoint=collector.url,
            gustibus_files=str(folder), gustibus_trace_share="0", gustibus_encoder_failures="1000",
            otel_service_name="tastes", otel_exporter_otlp_headers="authorization=Bearer%20s3cret",
        ) as service:  # fmt: skip
            found = Traced(service, collector, pooling)
            with service.client() as found.client:
                yield found
    finally:
        pooling.kill()
        collector.close()


def test_a_request_is_a_span_under_the_callers(traced):
    body = {"user": "trained-0", "candidates": ["a short text"], "model": "default"}
    reply, span, _ = traced.send("POST", "/v1/score", json=body)
    assert reply.status_code == 200
    assert (span.name, span.parent_span_id.hex()) == ("POST /v1/score", CALLER)
    about = told(span)
    line = logged(traced, reply)
    assert about.pop("gustibus.key_id") == line["key_id"]
    assert line["tenant"] == "default"
    assert about == {
        "http.request.method": "POST", "http.route": "/v1/score", "http.response.status_code": 200,
        "gustibus.tenant": line["tenant"], "gustibus.units": line["units"], "gustibus.model": line["model"],
    }  # fmt: skip
    assert span.status.code == Status.STATUS_CODE_UNSET
    assert 0 < span.end_time_unix_nano - span.start_time_unix_nano < 10e9
    assert line["trace_id"] == span.trace_id.hex()


def test_who_sends_them_is_told(traced):
    traced.send("GET", "/v1/version")
    request = ExportTraceServiceRequest.FromString(traced.collector.bodies[-1])
    about = {
        one.key: one.value.string_value for one in request.resource_spans[0].resource.attributes
    }
    assert about["service.name"] == "tastes"
    assert about["service.instance.id"].split(":")[1] == str(traced.service.process.pid)
    assert set(about) == {"service.name", "service.version", "service.instance.id"}
    assert traced.collector.headers[-1]["authorization"] == "Bearer s3cret"


def test_transactions_are_spans_under_the_request(traced):
    reply, span, parts = traced.send("PUT", f"/v1/users/{SECRET}-kept", json={})
    assert reply.status_code in {200, 201}
    assert (span.name, told(span)["http.route"]) == ("PUT /v1/users/{user}", "/v1/users/{user}")
    written = [part for part in parts if part.name == "store write"]
    assert written
    assert all(part.parent_span_id == span.span_id for part in parts)
    assert all(part.kind == Span.SPAN_KIND_CLIENT for part in written)
    assert told(written[0])["db.system.name"] == "sqlite"
    assert 0 <= told(written[0])["gustibus.waited_ms"] < 10_000


def test_the_encoders_server_is_told_of_the_span_that_asks_it(traced):
    body = {"candidates": [f"a text of {SECRET} one", f"another text of {SECRET}"]}
    headers = {"tracestate": f"vendor={SECRET}"}
    reply, span, parts = traced.send("POST", "/v1/score", json=body, headers=headers)
    assert reply.status_code == 200
    found = {part.name: part for part in parts}
    assert set(found) - {"receive"} == {"POST", "encode"}  # the body may be late on a busy machine
    asked = found["POST"]
    parent = f"00-{span.trace_id.hex()}-{asked.span_id.hex()}-01"
    assert traced.pooling.told()["trace"] == [parent, f"vendor={SECRET}"]
    assert asked.kind == Span.SPAN_KIND_CLIENT
    assert told(asked) == {
        "http.request.method": "POST", "url.full": f"{traced.pooling.url}/v1/embeddings",
        "server.address": "127.0.0.1", "server.port": int(traced.pooling.url.rsplit(":", 1)[1]),
        "http.response.status_code": 200, "gustibus.texts": 2,
    }  # fmt: skip
    assert told(found["encode"]) == {"gustibus.texts": 2}


def test_what_the_caller_does_not_record_is_passed_on_as_it_came(traced):
    trace = os.urandom(16).hex()
    parent = f"00-{trace}-{CALLER}-00"
    body = {"candidates": ["a text of a caller who records nothing"]}
    reply = traced.client.post("/v1/score", json=body, headers={"traceparent": parent})
    assert traced.pooling.told()["trace"] == [parent, ""]
    assert logged(traced, reply)["trace_id"] == trace
    traced.send("GET", "/v1/version")  # whatever was made before has been sent by then
    assert not traced.collector.of(trace)


def test_a_share_of_none_leaves_out_requests_without_a_trace(traced):
    reply = traced.client.post("/v1/score", json={"candidates": ["a text without any trace"]})
    trace = logged(traced, reply)["trace_id"]
    given = traced.pooling.told()["trace"][0]
    assert given.startswith(f"00-{trace}-")
    assert int(given[-2:], 16) & 1 == 0, "the encoder's server is told not to record it"
    traced.send("GET", "/v1/version")
    assert not traced.collector.of(trace)


def test_names_are_those_of_routes(traced):
    asked = [
        ("GET", f"/{SECRET}/nowhere", 404, "GET", None),
        ("DELETE", "/v1/score", 405, "DELETE", None),
        ("PURGE", f"/{SECRET}", 404, "HTTP", None),
        ("GET", f"/v1/users/{SECRET}-nobody", 404, "GET /v1/users/{user}", "/v1/users/{user}"),
        ("HEAD", "/livez", 200, "HEAD /livez", "/livez"),
        ("GET", f"/v1/version?{SECRET}=1", 422, "GET /v1/version", "/v1/version"),
    ]
    answered = [traced.ask(method, path) for method, path, *_ in asked]
    for (method, _, status, name, route), (reply, trace) in zip(asked, answered, strict=True):
        span = traced.collector.root(trace)
        about = told(span)
        assert (reply.status_code, about["http.response.status_code"]) == (status, status)
        assert (span.name, about.get("http.route")) == (name, route)
        assert about["http.request.method"] == ("_OTHER" if method == "PURGE" else method)
        assert "error.type" not in about
        assert span.status.code == Status.STATUS_CODE_UNSET


def test_failures_are_marked_and_not_explained(traced):
    traced.pooling.tell(500)
    try:
        body = {"prompt": f"{SECRET}?", "candidates": [f"a text of {SECRET} that fails"]}
        reply, span, parts = traced.send("POST", "/v1/score", json=body)
    finally:
        traced.pooling.tell("ok")
    assert reply.status_code == 502
    assert told(span)["error.type"] == "502"
    found = {part.name: part for part in parts}
    assert told(found["POST"])["error.type"] == "500"
    assert told(found["encode"])["error.type"] == "encoder_unavailable"
    for one in (span, found["POST"], found["encode"]):
        assert (one.status.code, one.status.message) == (Status.STATUS_CODE_ERROR, "")
        assert not one.events


def test_a_body_that_comes_slowly_is_a_stage(traced):
    trace = os.urandom(16).hex()

    def slowly() -> Iterator[bytes]:
        yield b'{"candidates": [{"id": '
        time.sleep(0.3)
        yield b'"nothing"}]}'

    headers = {"traceparent": f"00-{trace}-{CALLER}-01", "content-type": "application/json"}
    traced.client.post("/v1/score", content=slowly(), headers=headers)
    span = traced.collector.root(trace)
    (stage,) = (one for one in traced.collector.of(trace) if one.name == "receive")
    assert stage.end_time_unix_nano - stage.start_time_unix_nano > 0.2e9
    assert abs(stage.start_time_unix_nano - span.start_time_unix_nano) < 0.1e9


def test_a_client_that_leaves_is_told_by_no_status(traced):
    trace = os.urandom(16).hex()
    head = (
        f"POST /v1/score HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        f"authorization: {traced.client.headers['authorization']}\r\ncontent-length: 100\r\n"
        f"traceparent: 00-{trace}-{CALLER}-01\r\n\r\n{{"
    )
    with socket.create_connection(("127.0.0.1", traced.service.port)) as left:
        left.sendall(head.encode())
        time.sleep(0.3)
    about = told(traced.collector.root(trace))
    assert about["error.type"] == "client_left"
    assert "http.response.status_code" not in about


def test_nothing_of_people_or_texts_is_told(traced):
    person = f"{SECRET}-person"
    for n in range(2):
        traced.client.put(f"/v1/items/{SECRET}-{n}", json={"text": f"{SECRET} text {n}"})
    sent = {
        "id": f"{SECRET}-c", "user": person, "a": {"id": f"{SECRET}-0"}, "b": {"text": SECRET},
        "outcome": "a",
    }  # fmt: skip
    odd = {
        "user-agent": SECRET, "x-request-id": f"{SECRET}-1", "x-forwarded-for": SECRET,
        "tracestate": f"{SECRET}={SECRET}, {SECRET}", "referer": SECRET,
    }  # fmt: skip
    asked = [
        ("POST", "/v1/comparisons", {"comparisons": [sent]}, 201),
        ("POST", "/v1/score", {"user": person, "prompt": SECRET, "candidates": [SECRET]}, 200),
        ("POST", "/v1/score", {"user": person, "candidates": [{"id": f"{SECRET}-none"}]}, 404),
        ("POST", "/v1/score", {"model": SECRET, "candidates": [SECRET]}, 404),
        ("POST", "/v1/onboarding/sessions", {"user": person}, 201),
        ("GET", f"/v1/users/{person}", None, 200),
        ("DELETE", f"/v1/users/{person}", None, 200),
        ("GET", f"/v1/users?cursor={SECRET}", None, 422),
        ("POST", f"/v1/{SECRET}", {SECRET: SECRET}, 404),
    ]
    answered = []
    for method, path, body, status in asked:
        options = {} if body is None else {"json": body}
        headers = {**odd, "idempotency-key": f"{SECRET}-{len(answered)}"}
        reply, trace = traced.ask(method, path, headers=headers, **options)
        assert reply.status_code == status, (path, reply.text)
        answered.append(trace)
    for trace in answered:
        assert traced.collector.root(trace)
    token = {"authorization": f"Bearer {SECRET}-key"}
    reply, span, _ = traced.send("GET", "/v1/version", headers=token)
    assert reply.status_code == 401
    assert "gustibus.key_id" not in told(span)
    found = [span for trace in answered for span in traced.collector.of(trace)]
    assert len(found) > len(asked) + 3, "there are stages among them"
    assert not [body for body in traced.collector.bodies if SECRET.encode() in body.lower()]
    log = traced.service.log_path.read_text().splitlines()
    assert not [line for line in log if SECRET in line and not line.startswith("{")]


def test_metrics_count_what_was_sent(traced):
    traced.send("GET", "/v1/version")
    text = traced.client.get("/metrics").text
    counts = dict(
        line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("gustibus_trace_spans")
    )
    assert float(counts['gustibus_trace_spans_total{outcome="sent"}']) >= 1
    assert float(counts['gustibus_trace_spans_total{outcome="lost"}']) == 0


def logged(traced: Traced, reply: httpx.Response) -> dict[str, object]:
    until = time.monotonic() + 60
    while True:
        for line in traced.service.lines():
            if line.get("request_id") == reply.headers["x-request-id"]:
                return line
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.fixture
def collector():
    found = Collector()
    yield found
    found.close()


def test_jobs_are_spans_and_what_waits_is_sent_at_the_end(
    tmp_path, vectors_folder, vectors_model, collector
):
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / f"{SECRET}.jsonl.gz").write_bytes(b"no gzip")
    asked = [{"kind": "export"}, {"kind": "import", "file": f"{SECRET}.jsonl.gz"}]
    with running(
        f"sqlite:///{tmp_path}/j.db", tmp_path, gustibus_model=str(vectors_folder),
        gustibus_trace_endpoint=f"{collector.url}/v1/traces", gustibus_files=str(tmp_path),
        gustibus_import_folder=str(logs),
    ) as service:  # fmt: skip
        with service.client() as client:
            job, broken = (
                client.post("/v1/jobs", json=body, headers={"Idempotency-Key": str(n)}).json()
                for n, body in enumerate(asked)
            )
            found = {span.name: span for span in jobs(collector, 2)}
            path = f"/v1/jobs/{job['id']}/result"
            reply = client.get(path, headers={"traceparent": SAMPLED})
        assert reply.status_code == 200
        assert service.stop() == 0
    span, failed = found["job export"], found["job import"]
    assert span.parent_span_id == b""
    assert told(span) == {
        "gustibus.tenant": "default", "gustibus.job.kind": "export",
        "gustibus.job.id": job["id"], "gustibus.job.outcome": "succeeded",
    }  # fmt: skip
    assert not [one for one in collector.spans if one.parent_span_id == span.span_id]
    assert (failed.status.code, failed.status.message) == (Status.STATUS_CODE_ERROR, "")
    assert told(failed)["gustibus.job.id"] == broken["id"]
    assert told(failed)["gustibus.job.outcome"] == "failed"
    (root,) = (one for one in collector.of(TRACE) if one.kind == Span.SPAN_KIND_SERVER)
    assert told(root)["http.route"] == "/v1/jobs/{job}/result"
    assert not [body for body in collector.bodies if SECRET.encode() in body]


def jobs(collector: Collector, count: int) -> list[Span]:
    until = time.monotonic() + 30
    while len(found := [one for one in collector.spans if one.name.startswith("job ")]) < count:
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


def test_requests_go_on_while_the_collector_is_away(tmp_path, vectors_folder, vectors_model):
    gone = Collector()
    gone.close()
    with running(
        f"sqlite:///{tmp_path}/d.db", tmp_path, gustibus_model=str(vectors_folder),
        gustibus_trace_endpoint=gone.url,
    ) as service, service.client() as client:  # fmt: skip
        until = time.monotonic() + 30
        while True:
            begun = time.perf_counter()
            assert client.get("/v1/version").status_code == 200
            assert time.perf_counter() - begun < 2
            counts = client.get("/metrics").text
            lost = counts.partition('trace_spans_total{outcome="lost"} ')[2].split()[0]
            if float(lost) > 100:
                break
            assert time.monotonic() < until
        log = service.log_path.read_text()
        assert log.count("spans are dropped") == 1
        assert f"{gone.url}/v1/traces does not take them" in log
        assert "Transient error" not in log.replace("them: Transient error", "")
        back = Collector(gone.port)
        try:
            until = time.monotonic() + 60
            while not back.spans:
                client.get("/v1/version")
                assert time.monotonic() < until
                time.sleep(0.05)
            back.answer = 0
            client.get("/v1/version")
            time.sleep(1.5)  # a request hangs by now
            client.get("/v1/version")
            begun = time.perf_counter()
            assert service.stop() == 0
            assert time.perf_counter() - begun < 8
        finally:
            back.close()
    assert "were not sent" in service.log_path.read_text()


def test_settings_of_traces():
    assert Settings(trace_endpoint="http://c:4318").trace_url == "http://c:4318/v1/traces"
    assert Settings(trace_endpoint="http://c:4318/").trace_url == "http://c:4318/v1/traces"
    assert Settings(trace_endpoint="https://c/otlp/x").trace_url == "https://c/otlp/x"
    with pytest.raises(
        ConfigError, match=r"GUSTIBUS_TRACE_ENDPOINT: expected an address .*'c:4318'"
    ):
        Settings(trace_endpoint="c:4318").check()
    with pytest.raises(ConfigError, match=r"GUSTIBUS_TRACE_SHARE: expected a number from 0 to 1"):
        Settings(trace_share=1.5).check()


def started(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
        env={**os.environ, **environment}, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("workers", ["1", "2"])
def test_without_the_extra_a_start_says_what_to_install(tmp_path, workers):
    upgrade(f"sqlite:///{tmp_path}/s.db")
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from gustibus.service.run import main\nsys.exit(main())"
    )
    found = started(
        code, GUSTIBUS_TRACE_ENDPOINT="http://127.0.0.1:1", GUSTIBUS_WORKERS=workers,
        GUSTIBUS_DATABASE=f"sqlite:///{tmp_path}/s.db",
    )  # fmt: skip
    assert found.returncode == 2
    (line,) = found.stderr.splitlines()
    assert line == (
        "GUSTIBUS_TRACE_ENDPOINT is set: OpenTelemetry is not installed; "
        "install it with: pip install 'gustibus[otel]'"
    )


def test_nothing_of_it_is_loaded_where_no_collector_is_named():
    code = (
        "import sys\nfrom gustibus.service.app import create_app\n"
        "from gustibus.service.settings import Settings\nfrom gustibus.service.tracing import trace_of\n"
        "gate = create_app(Settings(log=False))\nassert gate.trace_of is trace_of\n"
        "print(*sys.modules)"
    )
    found = started(code)
    assert found.returncode == 0, found.stderr
    assert not [name for name in found.stdout.split() if name.startswith("opentelemetry")]


def test_a_request_has_so_many_spans_of_stages_at_most():
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from gustibus.service.spans import PARTS, Root

    kept = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("test")
    root = Root(tracer, tracer.start_span("HTTP"), {"traceparent": "x"}, {})
    for _ in range(PARTS + 7):
        assert root.timed("write", lambda: 3)() == 3
    root.end("POST", "unknown", 200, None)
    with root.part("late", {}), root.asking("http://h/", {}) as asking:
        asking.answered(500)
    assert asking.headers == {"traceparent": "x"}
    found = kept.get_finished_spans()
    assert len(found) == PARTS + 1
    assert found[-1].attributes["gustibus.spans_left_out"] == 7


def test_doctor_asks_the_collector(tmp_path, capsys, monkeypatch, collector):
    url = f"sqlite:///{tmp_path}/s.db"
    upgrade(url)

    def check(endpoint: str) -> tuple[str, str]:
        monkeypatch.setenv("GUSTIBUS_TRACE_ENDPOINT", endpoint)
        run(["doctor", "--json", "--database", url])
        checks = json.loads(capsys.readouterr().out)["checks"]
        (found,) = [(one["status"], one["detail"]) for one in checks if one["name"] == "traces"]
        return found

    monkeypatch.setenv("GUSTIBUS_TRACE_SHARE", "0.25")
    expected = f"25% of what has no trace yet, to {collector.url}/v1/traces"
    assert check(collector.url) == ("ok", expected)
    assert not collector.spans
    collector.answer = 401
    status, detail = check(collector.url)
    assert (status, "401" in detail) == ("warn", True)
    collector.close()
    status, detail = check(collector.url)
    assert (status, "refused" in detail) == ("warn", True)
    exporter = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
    monkeypatch.setitem(sys.modules, exporter, None)
    assert check(collector.url)[0] == "fail"
