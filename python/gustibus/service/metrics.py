"""Counters of one process, kept in plain arrays and shown through prometheus-client on demand."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from gustibus.service.backlog import Backlog
from gustibus.service.batches import Batches
from gustibus.service.instruments import BOUNDS, Histogram, cumulated
from gustibus.service.outcomes import Outcomes
from gustibus.service.signals import SIGNALS
from gustibus.service.stages import SAMPLED, Stage

if TYPE_CHECKING:
    from gustibus.service.state import State

FRESHNESS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0]
"""Upper edges, in seconds, of the time from an answer to the scores that know of it."""
_AGREEING = [0.1, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99]
_SOURCES = ("id", "embedding", "vector", "text")
CameBy = Literal["api", "follow_up", "import", "onboarding"]
"""How a comparison came in; what a client calls its source is no label."""
_IMPORTED = ("accepted", "duplicate", "rejected")
_RETRIED = ("session", "fit", "job", "changes")
CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


class Traffic(NamedTuple):
    """What one route has answered."""

    route: str
    method: str
    requests: int
    refused: int
    """Replies of 400 to 499."""
    failed: int
    """Replies of 500 and above."""
    mean: float
    """Seconds."""
    median: float
    """Seconds, rounded up to an edge of `BOUNDS`; infinite beyond the last."""
    p99: float


class Meter:
    """How often each route answered what, and how fast."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, str, int], int] = {}
        self._buckets: dict[tuple[str, str], list[int]] = {}
        self._seconds: dict[tuple[str, str], float] = {}
        self.started = monotonic()
        self.in_flight = 0
        self.lag = 0.0
        """Seconds that the event loop has been behind, at every one of the last looks."""
        self.usage: dict[str, tuple[int, int]] = {}
        """Units and requests of each key since they were last written down."""
        self.reloads: dict[str, int] = {"done": 0, "failed": 0}
        self._candidates: dict[tuple[str, str], dict[str, int]] = {}
        self.rejected: dict[str, int] = {}
        self._comparisons: dict[tuple[CameBy, str], int] = {}
        self.onboarding: dict[str, int] = {}
        self.refits = 0
        self.refit_seconds = 0.0
        self.refit_failures = 0
        self.imported = dict.fromkeys(_IMPORTED, 0)
        self.retried = dict.fromkeys(_RETRIED, 0)
        self.backlog = Backlog()
        self.quarantined: dict[str, int] = dict.fromkeys(SIGNALS, 0)
        self.encoded_hits = 0
        self.encoded_bytes = 0
        self.encoded_misses = 0
        self.spans: dict[str, int] = {}
        self._jobs: dict[tuple[str, str], tuple[int, float]] = {}
        self.freshness = Histogram(
            "profile_freshness_seconds", "From an answer to scores that know of it.", FRESHNESS
        )
        self.consistency = Histogram(
            "profile_consistency", "Share of a person's answers that a new fit of them agrees with.",
            _AGREEING,
        )  # fmt: skip
        self.stages = Histogram(
            "score_stage_duration_seconds",
            f"Time in the stages of POST /v1/score, of one request in {SAMPLED}.",
            BOUNDS, labels=["stage"],
        )  # fmt: skip
        for stage in get_args(Stage):
            self.stages.expect(stage)
        self.transactions = Histogram(
            "db_tx_duration_seconds", "Transactions, the wait for a connection included.",
            BOUNDS, labels=["op"],
        )  # fmt: skip
        self.batches = Batches()
        self.outcomes = Outcomes()

    def candidates(self, model: str, version: str) -> dict[str, int]:
        """Candidates of a version by source, to be counted up; those of a version are kept for good."""
        return self._candidates.setdefault((model, version), dict.fromkeys(_SOURCES, 0))

    def retry(self, op: str) -> None:
        """Something that is done again: the store could not be used, or somebody else was faster."""
        self.retried[op] += 1

    def compare(self, source: CameBy, outcomes: Iterable[str]) -> None:
        """Comparisons that are kept by now and were not before."""
        for outcome in outcomes:
            key = (source, outcome)
            self._comparisons[key] = self._comparisons.get(key, 0) + 1

    def expect_jobs(self, kinds: Iterable[str]) -> None:
        """Show jobs before the first of them has ended, for an increase is one from something."""
        for kind in kinds:
            for outcome in ("succeeded", "failed", "cancelled"):
                self._jobs.setdefault((kind, outcome), (0, 0.0))

    def job(self, kind: str, outcome: str, seconds: float) -> None:
        """One job that has ended here."""
        count, total = self._jobs.get((kind, outcome), (0, 0.0))
        self._jobs[kind, outcome] = (count + 1, total + seconds)

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        """One reply."""
        key = (route, method, status // 100)
        self._requests[key] = self._requests.get(key, 0) + 1
        where = (route, method)
        buckets = self._buckets.get(where)
        if buckets is None:
            buckets = self._buckets[where] = [0] * (len(BOUNDS) + 1)
            self._seconds[where] = 0.0
        buckets[bisect_left(BOUNDS, seconds)] += 1
        self._seconds[where] += seconds

    def traffic(self) -> list[Traffic]:
        """What each route has answered, the busiest first."""
        rows = []
        for (route, method), buckets in self._buckets.items():
            count = sum(buckets)
            refused = self._requests.get((route, method, 4), 0)
            failed = self._requests.get((route, method, 5), 0)
            mean = self._seconds[(route, method)] / count
            half, most = _quantile(buckets, 0.5), _quantile(buckets, 0.99)
            rows.append(Traffic(route, method, count, refused, failed, mean, half, most))
        return sorted(rows, key=lambda row: (-row.requests, row.route, row.method))

    def use(self, key: str, units: int, requests: int = 1) -> None:
        """What a key has used."""
        before = self.usage.get(key, (0, 0))
        self.usage[key] = (before[0] + units, before[1] + requests)

    def reject(self, reason: str) -> None:
        """One request that was turned away."""
        self.rejected[reason] = self.rejected.get(reason, 0) + 1

    def families(self) -> Iterator[Metric]:
        """What there is to show."""
        requests = CounterMetricFamily(
            "gustibus_http_requests", "Replies.", labels=["route", "method", "status"]
        )
        for (route, method, hundred), n in self._requests.items():
            requests.add_metric([route, method, f"{hundred}xx"], n)
        yield requests
        duration = HistogramMetricFamily(
            "gustibus_http_request_duration_seconds", "Time in this process.",
            labels=["route", "method"],
        )  # fmt: skip
        for where, counts in self._buckets.items():
            duration.add_metric(list(where), cumulated(BOUNDS, counts), self._seconds[where])
        yield duration
        yield GaugeMetricFamily(
            "gustibus_http_requests_in_flight", "Being answered.", value=self.in_flight
        )
        candidates = CounterMetricFamily(
            "gustibus_score_candidates", "Scored.", labels=["model", "version", "source"]
        )
        for version, sources in self._candidates.items():
            for source, n in sources.items():
                candidates.add_metric([*version, source], n)
        yield candidates
        yield _counter("model_reloads", "By what came of them.", "result", self.reloads)
        yield GaugeMetricFamily(
            "gustibus_event_loop_lag_seconds", "How late the event loop is.", value=self.lag
        )
        yield _counter("rejected", "Turned away.", "reason", self.rejected)
        comparisons = CounterMetricFamily(
            "gustibus_comparisons", "Kept, each once.", labels=["source", "outcome"]
        )
        for came, n in self._comparisons.items():
            comparisons.add_metric(list(came), n)
        yield comparisons
        yield _counter("trace_spans", "That ended.", "outcome", self.spans)
        yield _counter("onboarding_sessions", "By what happened.", "outcome", self.onboarding)
        jobs = SummaryMetricFamily(
            "gustibus_job_duration_seconds", "Jobs that ended here.", labels=["kind", "state"]
        )
        for kind, (count, seconds) in self._jobs.items():
            jobs.add_metric(list(kind), count_value=count, sum_value=seconds)
        yield jobs
        yield CounterMetricFamily("gustibus_profile_refits", "Fits.", value=self.refits)
        yield CounterMetricFamily(
            "gustibus_profile_refit_failures", "Fits that failed.", value=self.refit_failures
        )
        yield CounterMetricFamily(
            "gustibus_profile_refit_seconds", "Time in fits.", value=self.refit_seconds
        )
        yield _counter("profiles_quarantined", "By sign.", "reason", self.quarantined)
        yield CounterMetricFamily(
            "gustibus_vector_cache_hits", "Texts found encoded.", value=self.encoded_hits
        )
        yield CounterMetricFamily(
            "gustibus_vector_cache_misses", "Texts to encode.", value=self.encoded_misses
        )
        yield GaugeMetricFamily(
            "gustibus_vector_cache_bytes", "Memory of encoded texts.", value=self.encoded_bytes
        )
        yield _counter("import_rows", "Read.", "result", self.imported)
        yield _counter("db_retries", "Work done again.", "op", self.retried)
        for shown in (self.backlog, self.batches, self.outcomes):
            yield from shown.families()
        for histogram in (self.freshness, self.consistency, self.stages, self.transactions):
            yield histogram.family()


class _Shown(Collector):
    """Reads a state when somebody asks."""

    def __init__(self, state: Callable[[], State]) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """Families of the meter and sizes of the tables."""
        state = self._state()
        yield from state.meter.families()
        sizes = GaugeMetricFamily("gustibus_rows_in_memory", "Rows.", labels=["table"])
        sizes.add_metric(["people"], len(state.people))
        sizes.add_metric(["items"], len(state.items))
        sizes.add_metric(["keys"], len(state.keys))
        yield sizes
        yield GaugeMetricFamily(
            "gustibus_refits_waiting", "People to fit again.", value=state.refits.waiting
        )
        stale = 0 if state.superseded is None else len(state.superseded.pending)
        yield GaugeMetricFamily(
            "gustibus_people_stale", "People whom the version before still serves.", value=stale
        )
        if state.quotas is not None:
            yield GaugeMetricFamily(
                "gustibus_quotas_away", "Whether quotas are not shared, for Redis does not answer.",
                value=float(not state.quotas.up),
            )  # fmt: skip
        if hasattr(state, "store"):
            yield _counter("audit_events", "Entries.", "action", state.store.audited())
            in_use = GaugeMetricFamily(
                "gustibus_db_pool_in_use", "Connections that transactions have.", labels=["op"]
            )
            for op, n in state.store.in_use().items():
                in_use.add_metric([op], n)
            yield in_use
        if state.serving is not None:
            loading = GaugeMetricFamily(
                "gustibus_model_load_seconds", "To load the model in service.", labels=["model"]
            )
            loading.add_metric([state.serving.name], state.serving.load_seconds)
            yield loading
            if state.serving.has_encoder:
                depth = GaugeMetricFamily(
                    "gustibus_encoder_queue_depth", "Requests that wait for vectors of texts.",
                    labels=["backend"],
                )  # fmt: skip
                depth.add_metric([state.serving.backend], state.serving.queued)
                yield depth
            info = GaugeMetricFamily(
                "gustibus_model_info", "1.", labels=["model", "version", "digest"]
            )
            name, _, version = state.serving.label.partition("@")
            info.add_metric([name, version, state.serving.digest[:12]], 1)
            yield info
            if state.serving.remote is not None:
                yield GaugeMetricFamily(
                    "gustibus_encoder_breaker_open", "Whether the encoder's server is left alone.",
                    value=float(state.serving.remote.breaker.state == "open"),
                )  # fmt: skip


def registry_of(state: Callable[[], State]) -> CollectorRegistry:
    """A registry that shows one process, whose state may be another after a new model."""
    registry = CollectorRegistry()
    registry.register(_Shown(state))
    ProcessCollector(namespace="gustibus", registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def exposition(registry: CollectorRegistry) -> bytes:
    """Prometheus text."""
    return generate_latest(registry)


def _counter(name: str, text: str, label: str, values: dict[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(f"gustibus_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _quantile(counts: list[int], share: float) -> float:
    """Upper edge of the bucket in which a share of the replies has been given."""
    edges = [*BOUNDS, float("inf")]
    wanted, seen = share * sum(counts), 0
    for edge, count in zip(edges, counts, strict=True):
        seen += count
        if seen >= wanted:
            return edge
    return edges[-1]
