"""How the service is run: one frozen record, read from a file and the environment, checked once."""

from __future__ import annotations

import os
import re
import secrets
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from gustibus.errors import ConfigError
from gustibus.service.addresses import Network, network_of, normal_ranges
from gustibus.service.origins import origin_of

T = TypeVar("T")
PREFIX = "GUSTIBUS_"
_ORIGIN = r"(?:'self'|https?://[A-Za-z0-9.:*-]+)"
_ANCESTORS = re.compile(rf"'none'|{_ORIGIN}(?: {_ORIGIN})*")
_ADDRESS = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9._/-]*)?")
MODEL_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
"""Names of models; those that a store has from before may also be `_OLD_NAME`."""
_OLD_NAME = re.compile(r"[\w.-]{1,64}")
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything an operator chooses; the variable of a field is `GUSTIBUS_` and its name."""

    database: str = "sqlite:///gustibus.db"
    """URL of the store: `sqlite:///file` or `postgresql+psycopg://user@host/name`."""
    model: str = ""
    """Folder of a trained model; empty serves people, items and comparisons only."""
    models: str = ""
    """Folder of registered models, each under its digest; the version that is promoted is served."""
    model_name: str = "default"
    """Name under which the model is addressed, beside `default`: 1 to 64 of a-z, 0-9, `.`, `_` and `-`, the
    first a letter or a digit. Another name only goes on where the store has versions or keys of it."""
    host: str = "127.0.0.1"
    port: int = 8000
    """0 takes a free port."""
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0
    """Separate listener for `/metrics`; 0 serves `/metrics` to keys with scope `admin` instead."""
    metrics_merged: bool = True
    """Whether the processes of this machine are shown together; else each has a listener of its own, one
    port up for each, or shows itself alone where it is the one that answers."""
    workers: int = 1
    """Processes that share the port."""
    bound_embeddings: bool = True
    """Whether embeddings of clients are refused that are more than twice as long as nearly all of the
    training; models that were trained before lengths were kept bound none."""
    docs: bool = False
    """Whether `/openapi.json` is open, and `/docs` shows its operations to be read and tried; else the
    document needs a key with any scope, and there is no such page."""
    store_text: bool = True
    """Whether texts are kept; without them only digests and vectors are."""
    secret: str = ""
    """Signs session tokens and cursors; empty takes the one kept in the store."""
    rate: float = 50_000.0
    """Units a second for each key, over the processes of this machine; 0 is no limit."""
    burst: float = 100_000.0
    """Units that a key may save up, over the processes of this machine."""
    quotas: str = ""
    """URL of a Redis or Valkey, `redis://` or `rediss://`, through which all machines share the quotas of a
    key; empty gives each machine its own."""
    in_flight: int = 64
    """Scoring requests that a key may have open, over the processes of this machine."""
    deadline_ms: int = 2_000
    """Milliseconds that a scoring request may take where it sends no `X-Deadline-Ms`; 0 is no limit."""
    trusted_proxies: str = ""
    """Ranges, with commas between, of the proxies whose `X-Forwarded-For` says who asks; empty for none."""
    failed_keys: int = 10
    """Requests with a wrong key that an address may send a minute, over the processes of this
    machine; above it such requests get 429. 0 is no limit."""
    sessions: int = 1_200
    """Onboarding sessions that a key may begin a minute, over the processes of this machine; 0 is no limit."""
    answers: int = 240
    """Answers that an onboarding session may be sent a minute; 0 is no limit."""
    head_timeout: float = 20.0
    """Seconds that the head of a request may take."""
    body_timeout: float = 30.0
    """Seconds that a body may keep the service waiting, and a reply without any of it being taken."""
    body_rate: float = 1024.0
    """Bytes of a body that earn it another second."""
    max_wait: float = 0.25
    """Seconds that requests may wait for their turn on the event loop, and those with a deadline for texts of
    others to be encoded; above it scoring gets 503."""
    scoring_body: int = 4 * MIB
    """Most bytes of a JSON body on scoring routes."""
    binary_body: int = 64 * MIB
    """Most bytes of a binary body."""
    other_body: int = 1 * MIB
    """Most bytes of a body elsewhere."""
    import_body: int = 10 * 1024 * MIB
    """Most bytes of one upload of an import."""
    import_line: int = 1 * MIB
    """Most bytes of a record of an import."""
    import_table: int = 1024 * MIB
    """Most bytes of a Parquet file."""
    header_bytes: int = 16 << 10
    """Most bytes of the headers of a request."""
    url_bytes: int = 4 << 10
    """Most bytes of the path and the query of a request."""
    candidate_texts: int = 256
    """Most candidates of a request that are texts."""
    candidate_base64: int = 512
    """Most that are embeddings or vectors in base64."""
    candidate_arrays: int = 16
    """Most that are embeddings or vectors as arrays of numbers."""
    request_tokens: int = 262_144
    """Most tokens of a request's texts that have to be encoded."""
    binary_rows: int = 16_384
    """Most embeddings of a binary body."""
    embedding_dim: int = 8192
    """Most numbers of an embedding; a model of longer ones is not served."""
    user_dim: int = 256
    """Most numbers by which a person is known; a model of more is not served."""
    readers: int = 4
    """Threads that read the store."""
    writers: int = 4
    """Threads that write to PostgreSQL; SQLite has one."""
    queue: int = 256
    """Most store operations waiting; above it writes get 503."""
    covariances: int = 20_000
    """People whose uncertainty is kept in memory."""
    texts: int = 100_000
    """Most encoded texts kept in memory."""
    texts_bytes: int = 256 * MIB
    """Most bytes of them; what was not used for longest is forgotten."""
    warm: bool = True
    """Whether an encoder of this process is loaded, tested on questions of the pool and warmed up before
    the process is ready; else the first text pays for it, and a wrong encoder is found out then."""
    check_memory: bool = True
    """Whether another version of the model is refused that needs more memory than this machine, or the group
    that this process is in, has left."""
    keep_stale: float = 86_400.0
    """Seconds after a version was promoted for which people who are not fitted under it yet are served by the
    version before; 0 has them stand where the population does."""
    encoder_max_delay_ms: float = 0.0
    """Milliseconds, up to 2, that texts may wait for others while the device of this process has nothing to
    do; for accelerators that take as long for one text as for many."""
    encoder_url: str = ""
    """A pooling server that encodes texts, by `POST /v1/embeddings`; empty encodes in this process."""
    encoder_model: str = ""
    """Name of the encoder there; empty takes the one that the model was trained with."""
    encoder_key: str = ""
    """Sent to that server as a bearer token."""
    encoder_timeout: float = 10.0
    """Seconds that a request to it may take."""
    encoder_connections: int = 4
    """Requests to it at once."""
    encoder_failures: int = 5
    """Consecutive failures after which it is left alone."""
    encoder_pause: float = 5.0
    """Seconds that it is left alone for, before one request is tried."""
    refresh: float = 1.0
    """Seconds between looks at what other processes wrote."""
    listen: bool = True
    """Whether a connection to PostgreSQL listens for messages of other processes, which make the next look
    happen at once; off behind a pooler that lends a connection for one transaction."""
    files: str = ""
    """Folder for results of jobs, shared by every process; empty refuses jobs that have any."""
    tombstones: str = ""
    """File outside the database to which each removal of a person is added before it is done, as a keyed
    hash, so that it can be done again after a restore; empty for none."""
    import_folder: str = ""
    """Folder whose files jobs may import; empty refuses such jobs."""
    golden: str = ""
    """File of comparisons that are trusted: a version that does worse on them than the one in its place is not
    promoted; empty for none."""
    golden_groups: str = ""
    """Column of that file, or else attribute of people, that names the group of each person."""
    worker: bool = True
    """Whether a serving process also works on jobs; `gustibus worker` does nothing else."""
    lease: float = 60.0
    """Seconds after which a job is taken from a worker that is not heard of."""
    keep_files: float = 86_400.0
    """Seconds that results of jobs are kept."""
    keep_sessions_days: float = 90.0
    """Days that onboarding sessions are kept after their end; 0 is no limit. What they taught stays."""
    keep_comparisons_days: float = 0.0
    """Days that comparisons are kept after they came in; 0 is no limit."""
    keep_audit_days: float = 731.0
    """Days that entries of the audit log are kept; 0 is no limit."""
    keep_usage_days: float = 731.0
    """Days that the usage of a day is kept after its end; 0 is no limit."""
    drain: float = 5.0
    """Seconds between the end of readiness and the end of the listener."""
    finish: int = 25
    """Seconds that what was begun gets after the end of the listener; what takes longer is given up."""
    frame_ancestors: str = "'none'"
    """Sites that may show a page in a frame, as in `Content-Security-Policy`; `'none'` for none."""
    return_origins: str = ""
    """Origins that a finished session may link back to, such as `https://app.example.org`, apart by
    spaces; none unless named."""
    log: bool = True
    """Whether a line a request is written to standard error."""
    trace_endpoint: str = ""
    """Where spans go, by OTLP over HTTP, such as `http://collector:4318`; `/v1/traces` is added to an address
    without a path. Empty makes none."""
    trace_share: float = 1.0
    """Share of the requests that come with no trace, and of jobs, that spans are made of; whoever sends a
    `traceparent` says so in its flags."""

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read `GUSTIBUS_*`, over what the settings file says.

        Raises:
            ConfigError: names the variable or the entry, what it holds and what is expected.
        """
        environment = os.environ if environment is None else environment
        given = from_file(settings_file(environment))
        for field in fields(cls):
            name = PREFIX + field.name.upper()
            text = environment.get(name)
            if text is not None:
                given[field.name] = _read(name, text, type(field.default))
        settings = cls(**given)
        settings.check()
        return settings

    @property
    def share(self) -> tuple[float, float, int]:
        """What each of the processes takes of the rate, of the burst, and of the requests in flight."""
        n = self.workers
        return self.rate / n, max(1.0, self.burst / n), max(1, self.in_flight // n)

    @property
    def proxies(self) -> tuple[Network, ...]:
        """The ranges of the proxies that are trusted.

        Raises:
            ConfigError: one of them is no range.
        """
        return tuple(map(network_of, _ranges("TRUSTED_PROXIES", self.trusted_proxies)))

    @property
    def trace_url(self) -> str:
        """Where spans are sent; empty where none are made."""
        bare = self.trace_endpoint.rstrip("/")
        return f"{bare}/v1/traces" if bare.count("/") == 2 else self.trace_endpoint

    def check(self) -> None:
        """Check ranges.

        Raises:
            ConfigError: names the variable.
        """
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise _wrong(name.upper(), value, f"a number from {least:g} to {most:g}")
        _ranges("TRUSTED_PROXIES", self.trusted_proxies)
        for name, port in (("encoder_url", 8001), ("trace_endpoint", 4318)):
            address = getattr(self, name)
            if address and not _ADDRESS.fullmatch(address):
                raise _wrong(name.upper(), address, f"an address such as http://host:{port}")
        if self.quotas and not _is_redis(self.quotas):
            expected = "a URL such as redis://host:6379/0, or rediss://"
            raise _wrong("QUOTAS", "another text", expected)  # it may hold a password
        self._check_paths()
        if "://" not in self.database:
            raise _wrong("DATABASE", self.database, "a URL such as sqlite:///gustibus.db")
        if self.secret and len(self.secret) < 32:
            raise _wrong("SECRET", "a shorter text", "at least 32 characters")
        if not _ANCESTORS.fullmatch(self.frame_ancestors):
            raise _wrong("FRAME_ANCESTORS", self.frame_ancestors, "'none', or 'self' and origins")
        for origin in self.return_origins.split():
            if origin_of(origin) != origin:
                expected = "origins such as https://app.example.org, http for this machine alone"
                raise _wrong("RETURN_ORIGINS", origin, expected)
        if not _OLD_NAME.fullmatch(self.model_name):
            raise self.wrong_name()

    def _check_paths(self) -> None:
        """Files and folders that are read have to be there."""
        if self.model and self.models:
            raise _wrong("MODEL", self.model, "no folder beside GUSTIBUS_MODELS")
        for name in ("files", "import_folder", "models"):
            folder = getattr(self, name)
            if folder and not Path(folder).is_dir():
                raise _wrong(name.upper(), folder, "a folder")
        if self.golden and not Path(self.golden).is_file():
            raise _wrong("GOLDEN", self.golden, "a file of comparisons")
        stones = Path(self.tombstones)
        if self.tombstones and (stones.is_dir() or not stones.absolute().parent.is_dir()):
            raise _wrong("TOMBSTONES", self.tombstones, "a file in a folder that is there")
        if self.model and not Path(self.model).is_dir():
            raise _wrong("MODEL", self.model, "the folder of a trained model")

    def wrong_name(self) -> ConfigError:
        """What a name that no model may have is refused by."""
        expected = "1 to 64 of a-z, 0-9, '.', '_' and '-', the first a letter or a digit"
        return _wrong("MODEL_NAME", self.model_name, expected)


_RANGES: dict[str, tuple[float, float]] = {
    "port": (0, 65535),
    "metrics_port": (0, 65535),
    "workers": (1, 256),
    "readers": (1, 64),
    "writers": (1, 64),
    "queue": (1, 1_000_000),
    "covariances": (0, 100_000_000),
    "texts": (0, 100_000_000),
    "texts_bytes": (0, 1 << 50),
    "rate": (0, 1e12),
    "burst": (1, 1e12),
    "head_timeout": (0.1, 3600),
    "body_timeout": (0.1, 3600),
    "body_rate": (1, 1e9),
    "max_wait": (0.01, 3600),
    "in_flight": (1, 1_000_000),
    "deadline_ms": (0, 60_000),
    "encoder_max_delay_ms": (0, 2),
    "encoder_timeout": (0.01, 600),
    "encoder_connections": (1, 256),
    "encoder_failures": (1, 1_000_000),
    "encoder_pause": (0.01, 3600),
    "trace_share": (0, 1),
    "refresh": (0.01, 60),
    "lease": (1, 3600),
    "keep_files": (60, 1e9),
    "keep_stale": (0, 86_400),
    "drain": (0, 600),
    "finish": (1, 600),
    "import_body": (1024, 1 << 50),
    "failed_keys": (0, 1_000_000_000),
    "sessions": (0, 1_000_000_000),
    "answers": (0, 1_000_000_000),
    "keep_sessions_days": (0, 10_000),
    "keep_comparisons_days": (0, 10_000),
    "keep_audit_days": (0, 10_000),
    "keep_usage_days": (0, 10_000),
    "scoring_body": (1024, 1 << 32),
    "binary_body": (1024, 1 << 32),
    "other_body": (1024, 1 << 32),
    "import_line": (1024, 64 * MIB),
    "import_table": (1024, 1 << 40),
    "header_bytes": (1024, 48 << 10),  # a connection is given up at 64 KiB of a head
    "url_bytes": (256, 16 << 10),
    "candidate_texts": (1, 4096),
    "candidate_base64": (1, 4096),
    "candidate_arrays": (1, 4096),
    "request_tokens": (1, 1 << 30),
    "binary_rows": (1, 1 << 24),
    "embedding_dim": (1, 65_536),
    "user_dim": (1, 65_536),
}
"""Least and most of every number; no body has more than 4,096 candidates."""


def settings_file(environment: Mapping[str, str]) -> Path | None:
    """The file that settings are read from: `GUSTIBUS_CONFIG`, else `gustibus.toml` here, else none.

    Raises:
        ConfigError: `GUSTIBUS_CONFIG` names no file.
    """
    named = environment.get(PREFIX + "CONFIG", "")
    path = Path(named or "gustibus.toml")
    if path.is_file():
        return path
    if named:
        raise _wrong("CONFIG", named, "a TOML file")
    return None


def from_file(path: Path | None) -> dict[str, Any]:
    """The table `[service]` of a TOML file, its entries called as the fields of `Settings`.

    Raises:
        ConfigError: it is not TOML, an entry is not known, or is of another type.
    """
    if path is None:
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("service", {})
    except (ValueError, OSError) as error:
        raise ConfigError(f"{path}: not a TOML file ({error})", where=str(path)) from None
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: service: expected a table", where=str(path))
    kinds = {field.name: type(field.default) for field in fields(Settings)}
    for name, value in table.items():
        if name not in kinds:
            near = get_close_matches(name, kinds, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(kinds)}"
            raise ConfigError(f"{path}: service.{name}: no such setting{hint}", where=str(path))
        whole = kinds[name] is float and type(value) is int
        if type(value) is not kinds[name] and not whole:
            expected = {bool: "true or false", int: "a whole number", float: "a number"}
            message = (
                f"{path}: service.{name}: expected {expected.get(kinds[name], 'a text')}, "
                f"got {value!r}"
            )
            raise ConfigError(message, where=str(path))
    return {name: float(v) if kinds[name] is float else v for name, v in table.items()}


def doubtful(environment: Mapping[str, str]) -> list[str]:
    """Variables and tables of the settings file that nothing reads, with the nearest names that are read."""
    known = [PREFIX + field.name.upper() for field in fields(Settings)] + [*_OTHERS]
    told = [
        _unread(name, known)
        for name in sorted(environment)
        if name.startswith(PREFIX) and name not in known and not name.startswith(_TESTING)
    ]
    path = settings_file(environment)
    if path is not None:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        told += [f"{path}: {_unread(name, ['service'])}" for name in tables if name != "service"]
    return told


_OTHERS = (PREFIX + "CONFIG", PREFIX + "URL", PREFIX + "KEY")
_TESTING = tuple(
    PREFIX + name
    for name in ("EXAMPLES", "FUZZ_", "OVERLOAD", "PREFLIB", "RENEW_LOOKS", "SOAK", "STATEFUL_")
)
"""What variables of the project's own tests begin with."""


def _unread(name: str, known: list[str]) -> str:
    short = {one.removeprefix(PREFIX): one for one in known}
    near = [short[one] for one in get_close_matches(name.removeprefix(PREFIX), short, n=1)]
    return f"{name} is read by nothing" + (f"; did you mean {near[0]}?" if near else "")


def new_secret() -> str:
    """43 random characters."""
    return secrets.token_urlsafe(32)


def _read(name: str, text: str, kind: type) -> Any:
    readers: dict[type, tuple[Callable[[str], Any], str]] = {
        bool: (_boolean, "1 or 0"),
        int: (int, "a whole number"),
        float: (float, "a number"),
        str: (str, "a text"),
    }
    read, expected = readers[kind]
    try:
        return read(text.strip())
    except ValueError:
        raise _wrong(name.removeprefix(PREFIX), text, expected) from None


def _boolean(text: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "on": True}
    known |= {"0": False, "false": False, "no": False, "off": False, "": False}
    if text.lower() not in known:
        raise ValueError(text)
    return known[text.lower()]


def _is_redis(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"redis", "rediss"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none
        return False


def _ranges(name: str, text: str) -> list[str]:
    try:
        return normal_ranges(filter(None, re.split(r"[\s,]+", text)))
    except ValueError as error:
        raise ConfigError(f"{PREFIX}{name}: {error}", where=PREFIX + name) from None


def _wrong(name: str, value: object, expected: str) -> ConfigError:
    variable = PREFIX + name
    return ConfigError(f"{variable}: expected {expected}, got {value!r}", where=variable)
