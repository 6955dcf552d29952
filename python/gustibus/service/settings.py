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

from gustibus.errors import ConfigError
from gustibus.service.addresses import Network, network_of, normal_ranges
from gustibus.service.origins import origin_of

T = TypeVar("T")
PREFIX = "GUSTIBUS_"
_ORIGIN = r"(?:'self'|https?://[A-Za-z0-9.:*-]+)"
_ANCESTORS = re.compile(rf"'none'|{_ORIGIN}(?: {_ORIGIN})*")
_ADDRESS = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9._/-]*)?")
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
    """Name under which the model is addressed, beside `default`."""
    host: str = "127.0.0.1"
    port: int = 8000
    """0 takes a free port."""
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0
    """Separate listener for `/metrics`; 0 serves `/metrics` to keys with scope `admin` instead, of the
    process that answers."""
    metrics_merged: bool = True
    """Whether that listener shows the processes of this machine together; else each has its own, one port
    up for each."""
    workers: int = 1
    """Processes that share the port."""
    bound_embeddings: bool = True
    """Whether embeddings of clients are refused that are more than twice as long as nearly all of the
    training; models that were trained before lengths were kept bound none."""
    docs: bool = False
    """Whether `/openapi.json` is open; else it needs a key with any scope."""
    store_text: bool = True
    """Whether texts are kept; without them only digests and vectors are."""
    secret: str = ""
    """Signs session tokens and cursors; empty takes the one kept in the store."""
    rate: float = 50_000.0
    """Units a second for each key, over the processes of this machine; 0 is no limit."""
    burst: float = 100_000.0
    """Units that a key may save up, over the processes of this machine."""
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
    """Seconds that requests may wait for their turn on the event loop; above it scoring gets 503."""
    scoring_body: int = 4 * MIB
    """Most bytes of a JSON body on scoring routes."""
    binary_body: int = 64 * MIB
    """Most bytes of a binary body."""
    other_body: int = 1 * MIB
    """Most bytes of a body elsewhere."""
    import_body: int = 10 * 1024 * MIB
    """Most bytes of one upload of an import."""
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
    import_folder: str = ""
    """Folder whose files jobs may import; empty refuses such jobs."""
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

    def check(self) -> None:
        """Check ranges.

        Raises:
            ConfigError: names the variable.
        """
        _within("PORT", self.port, 0, 65535)
        _within("METRICS_PORT", self.metrics_port, 0, 65535)
        _within("WORKERS", self.workers, 1, 256)
        _within("READERS", self.readers, 1, 64)
        _within("WRITERS", self.writers, 1, 64)
        _within("QUEUE", self.queue, 1, 1_000_000)
        _within("COVARIANCES", self.covariances, 0, 100_000_000)
        _within("TEXTS", self.texts, 0, 100_000_000)
        _within("TEXTS_BYTES", self.texts_bytes, 0, 1 << 50)
        _within("RATE", self.rate, 0, 1e12)
        _within("BURST", self.burst, 1, 1e12)
        _within("HEAD_TIMEOUT", self.head_timeout, 0.1, 3600)
        _within("BODY_TIMEOUT", self.body_timeout, 0.1, 3600)
        _within("BODY_RATE", self.body_rate, 1, 1e9)
        _within("MAX_WAIT", self.max_wait, 0.01, 3600)
        _within("IN_FLIGHT", self.in_flight, 1, 1_000_000)
        for name in ("failed_keys", "sessions", "answers"):
            _within(name.upper(), getattr(self, name), 0, 1_000_000_000)
        _ranges("TRUSTED_PROXIES", self.trusted_proxies)
        _within("DEADLINE_MS", self.deadline_ms, 0, 60_000)
        _within("ENCODER_TIMEOUT", self.encoder_timeout, 0.01, 600)
        _within("ENCODER_CONNECTIONS", self.encoder_connections, 1, 256)
        _within("ENCODER_FAILURES", self.encoder_failures, 1, 1_000_000)
        _within("ENCODER_PAUSE", self.encoder_pause, 0.01, 3600)
        if self.encoder_url and not _ADDRESS.fullmatch(self.encoder_url):
            raise _wrong("ENCODER_URL", self.encoder_url, "an address such as http://host:8001")
        _within("REFRESH", self.refresh, 0.01, 60)
        _within("LEASE", self.lease, 1, 3600)
        _within("KEEP_FILES", self.keep_files, 60, 1e9)
        for kept in ("sessions", "comparisons", "audit"):
            days = getattr(self, f"keep_{kept}_days")
            _within(f"KEEP_{kept.upper()}_DAYS", days, 0, 10_000)
        if self.model and self.models:
            raise _wrong("MODEL", self.model, "no folder beside GUSTIBUS_MODELS")
        for name in ("files", "import_folder", "models"):
            folder = getattr(self, name)
            if folder and not Path(folder).is_dir():
                raise _wrong(name.upper(), folder, "a folder")
        _within("DRAIN", self.drain, 0, 600)
        _within("FINISH", self.finish, 1, 600)
        for name in ("scoring_body", "binary_body", "other_body"):
            _within(name.upper(), getattr(self, name), 1024, 1 << 32)
        _within("IMPORT_BODY", self.import_body, 1024, 1 << 50)
        if self.model and not Path(self.model).is_dir():
            raise _wrong("MODEL", self.model, "the folder of a trained model")
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
        name = self.model_name
        if not (0 < len(name) <= 64 and all(c.isalnum() or c in "._-" for c in name)):
            raise _wrong("MODEL_NAME", name, "1 to 64 letters, digits, '.', '_' or '-'")


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


def _within(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise _wrong(name, value, f"a number from {least:g} to {most:g}")


def _ranges(name: str, text: str) -> list[str]:
    try:
        return normal_ranges(filter(None, re.split(r"[\s,]+", text)))
    except ValueError as error:
        raise ConfigError(f"{PREFIX}{name}: {error}", where=PREFIX + name) from None


def _wrong(name: str, value: object, expected: str) -> ConfigError:
    variable = PREFIX + name
    return ConfigError(f"{variable}: expected {expected}, got {value!r}", where=variable)
