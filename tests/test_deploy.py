"""What is deployed: files that parse, pods that are watched, bounded and without privileges."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import tomllib
from dataclasses import fields
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from shlex import split
from typing import Any

import pytest
from typer.main import get_command

from gustibus import __version__
from gustibus.cli.app import app
from gustibus.service.app import TABLE
from gustibus.service.settings import PREFIX, Settings

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
SETTINGS = {PREFIX + field.name.upper() for field in fields(Settings)}
OPEN = {route.path for route in TABLE if route.scope == "open"} | {"/metrics"}
DRAIN, FINISH = 10, 25  # seconds; the first is in the manifests, the second in the server
ADDRESSES = {"database": "postgresql://host/name", "quotas": "rediss://user:word@host:6379/0"}
"""What stands under the names of a secret."""
IMAGE = f"gustibus:{__version__}"


def is_a_command(words: list[str]) -> bool:
    """Whether words lead through groups of the command line to one of its commands."""
    found: Any = get_command(app)
    for word in words:
        found = getattr(found, "commands", {}).get(word)
        if found is None:
            return False
    return not hasattr(found, "commands")


def documents() -> list[dict[str, Any]]:
    return [one for path in MANIFESTS for one in yaml.safe_load_all(path.read_text())]


def pods() -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{one['kind']} {one['metadata']['name']}", one["spec"]["template"])
        for one in documents()
        if one["kind"] in {"Deployment", "Job"}
    ]


@pytest.mark.parametrize(("name", "pod"), pods(), ids=[name for name, _ in pods()])
def test_a_pod_has_no_privileges_and_its_needs_are_bounded(name, pod):
    spec = pod["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 1000
    assert spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    assert spec["automountServiceAccountToken"] is False
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        inside = container["securityContext"]
        assert inside["readOnlyRootFilesystem"] is True
        assert inside["allowPrivilegeEscalation"] is False
        assert inside["capabilities"] == {"drop": ["ALL"]}
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert "memory" in container["resources"]["limits"]
        assert container["image"] == IMAGE
    assert all(is_a_command(container["args"]) for container in spec["containers"])


@pytest.mark.parametrize(
    "deployment", [one for one in documents() if one["kind"] == "Deployment"],
    ids=lambda one: one["metadata"]["name"],
)  # fmt: skip
def test_a_deployment_is_probed_where_it_answers_and_gets_time_to_end(deployment):
    spec, template = deployment["spec"], deployment["spec"]["template"]
    assert spec["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert template["spec"]["terminationGracePeriodSeconds"] >= DRAIN + FINISH
    (container,) = template["spec"]["containers"]
    ports = {port["name"] for port in container["ports"]}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["path"] in OPEN
        assert asked["port"] in ports
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    assert mounts == {volume["name"] for volume in template["spec"]["volumes"]}


def environment(pod: dict[str, Any]) -> dict[str, str]:
    """What the one container of a pod is told, with an address where a secret is named."""
    (container,) = pod["spec"]["containers"]
    maps = {
        one["metadata"]["name"]: one["data"] for one in documents() if one["kind"] == "ConfigMap"
    }
    given: dict[str, str] = {}
    for source in container.get("envFrom", []):
        given |= maps[source["configMapRef"]["name"]]
    for one in container["env"]:
        secret = one.get("valueFrom", {}).get("secretKeyRef", {}).get("key")
        given[one["name"]] = ADDRESSES[secret] if secret else one["value"]
    return given


def composed() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def ours() -> dict[str, dict[str, Any]]:
    """The services of the composition that are of our image."""
    return {name: one for name, one in composed()["services"].items() if one["image"] == IMAGE}


TOLD = [
    *((name, environment(pod)) for name, pod in pods()),
    *((f"compose {name}", service["environment"]) for name, service in ours().items()),
]


@pytest.mark.parametrize(("name", "told"), TOLD, ids=[name for name, _ in TOLD])
def test_what_a_process_is_told_are_settings_that_it_takes(name, told, tmp_path):
    assert told.keys() <= SETTINGS
    here = {
        n: str(tmp_path) if v.startswith("/srv/") else v for n, v in (image_says() | told).items()
    }
    settings = Settings.from_env(here)
    assert settings.port == 8000
    assert "://" in settings.database


def test_no_secret_is_written_down():
    for one in documents():
        assert one["kind"] != "Secret"
        if one["kind"] == "ConfigMap":
            assert "GUSTIBUS_DATABASE" not in one["data"]
            assert float(one["data"]["GUSTIBUS_DRAIN"]) == DRAIN
    for service in composed()["services"].values():
        assert "PASSWORD:?" in str(service["environment"])


def test_the_address_of_a_service_is_not_taken_for_a_setting():
    """Kubernetes tells each pod of a service by `<SERVICE>_PORT` and more, which wins over the image."""
    (service,) = (one for one in documents() if one["kind"] == "Service")
    link = service["metadata"]["name"].upper().replace("-", "_") + "_PORT"
    for name, pod in pods():
        assert link not in SETTINGS or pod["spec"]["enableServiceLinks"] is False, name


def test_folders_that_are_named_are_there_before_anything_starts():
    for name, pod in pods():
        named = {value for value in environment(pod).values() if value.startswith("/srv/")}
        made = set()
        for first in pod["spec"].get("initContainers", []):
            assert first["command"][:2] == ["mkdir", "-p"]
            made |= set(first["command"][2:])
        assert named == made, name
    for name, service in ours().items():
        named = {value for value in service["environment"].values() if value.startswith("/srv/")}
        assert named == {mount.partition(":")[2] for mount in service["volumes"]}, name
        (line,) = (one for one in last_stage() if "install --directory --owner=10001" in one)
        assert named <= set(split(line)), name


def test_services_and_budgets_choose_pods_that_there_are():
    labels = [pod["metadata"]["labels"].items() for _, pod in pods()]
    for one in documents():
        selector = one["spec"].get("selector") if one["kind"] != "ConfigMap" else None
        if one["kind"] in {"Service", "PodDisruptionBudget"}:
            wanted = selector.get("matchLabels", selector)
            assert any(wanted.items() <= each for each in labels)
        if one["kind"] == "HorizontalPodAutoscaler":
            target = one["spec"]["scaleTargetRef"]
            (scaled,) = (d for d in documents() if d["kind"] == target["kind"]
                         and d["metadata"]["name"] == target["name"])  # fmt: skip
            assert "replicas" not in scaled["spec"]  # each apply would set the number back


def test_the_composition_is_read_only_and_waits_for_what_it_needs():
    compose = composed()
    assert ours().keys() == {"migrate", "api", "worker"}
    for service in ours().values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert "user" not in service
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}
        assert is_a_command(service.get("command", ["serve"]))
    for name in ("api", "worker"):
        needs = compose["services"][name]["depends_on"]
        assert needs["migrate"]["condition"] == "service_completed_successfully"
        assert int(compose["services"][name]["stop_grace_period"].rstrip("s")) > FINISH
    for service in compose["services"].values():
        for mount in service.get("volumes", []):
            assert mount.partition(":")[0] in compose["volumes"]
        assert re.search(r":[^:]*\d", service["image"])


def test_the_database_is_asked_where_it_answers_only_once_it_is_made():
    """The image's first start runs a server on the socket alone, which then ends again."""
    asked = composed()["services"]["database"]["healthcheck"]["test"]
    assert asked[:4] == ["CMD", "pg_isready", "-h", "127.0.0.1"]


def stages() -> list[list[str]]:
    """The instructions of each stage, the first its FROM; lines that go on are one."""
    text = re.sub(r"\\\n\s*", "", (DEPLOY / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    starts = [n for n, line in enumerate(lines) if line.startswith("FROM ")]
    return [lines[a:b] for a, b in zip(starts, [*starts[1:], len(lines)], strict=True)]


def last_stage() -> list[str]:
    return stages()[-1]


def image_says() -> dict[str, str]:
    """The settings that the image sets."""
    given = [pair.split("=", 1) for line in last_stage() if line.startswith("ENV ")
             for pair in split(line)[1:]]  # fmt: skip
    return {name: value for name, value in given if name.startswith(PREFIX)}


def test_the_image_is_built_from_pinned_stages_that_suit_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    least = {
        "python": project["requires-python"].removeprefix(">="),
        "rust": tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"][
            "rust-version"
        ],
    }
    for stage in stages():
        kind, _, tag = stage[0].split()[1].partition(":")
        assert tuple(map(int, tag.split("-")[0].split("."))) >= tuple(
            map(int, least[kind].split("."))
        )
    compiled = [line for stage in stages() for line in stage if "maturin build" in line]
    assert len(compiled) == 2
    assert all("--locked" in line for line in compiled)


def test_all_that_the_image_copies_is_let_through_and_nothing_else():
    first, *rest = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line[:1] not in ("", "#")
    ]
    let = {line[1:] for line in rest if line.startswith("!")}
    copied = [split(line)[1:-1] for stage in stages() for line in stage
              if line.startswith("COPY ") and "--from" not in line]  # fmt: skip
    names = {name for names in copied for name in names}
    assert first == "*"
    assert let == names
    assert all((ROOT / name).exists() for name in names)


def test_the_image_runs_as_nobody_and_ends_when_it_is_told():
    last = last_stage()
    assert "USER 10001:10001" in last
    assert not any("gcc" in line or "cargo" in line for line in last)
    assert image_says().keys() <= SETTINGS
    assert f'org.opencontainers.image.version="{__version__}"' in "".join(last)
    (entry,) = (json.loads(line[11:]) for line in last if line.startswith("ENTRYPOINT "))
    assert entry == [
        "tini",
        "--",
        "gustibus",
    ]  # the first process gets no signal that it does not handle
    assert any("apt-get install" in line and "tini" in line for line in last)
    (command,) = (json.loads(line[4:]) for line in last if line.startswith("CMD "))
    assert is_a_command(command)


def health() -> list[tuple[str, list[str], int, str]]:
    """Name, command, port and path of every check of health."""
    (line,) = (one for one in last_stage() if one.startswith("HEALTHCHECK "))
    found = [("image", json.loads(line.partition(" CMD ")[2]), 8000, "/livez")]
    for name, port, path in (("api", 8000, "/readyz"), ("worker", 9090, "/metrics")):
        test = ours()[name]["healthcheck"]["test"]
        assert test[0] == "CMD"
        found.append((name, test[1:], port, path))
    return found


class Answers(BaseHTTPRequestHandler):
    """Replies with the status that its server has."""

    def do_GET(self):
        self.server.asked.append(self.path)
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.mark.parametrize(
    ("name", "command", "port", "path"), health(), ids=[name for name, *_ in health()]
)
def test_a_check_of_health_passes_while_the_service_is_well(name, command, port, path):
    assert path in OPEN
    server = HTTPServer(("127.0.0.1", 0), Answers)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    told = image_says() | {
        "GUSTIBUS_PORT": str(server.server_port),
        "http_proxy": "http://127.0.0.1:9",
    }
    there = [part.replace(str(port), str(server.server_port)) for part in command]
    assert there[0] == "python"

    def check() -> int:
        return subprocess.run(
            [sys.executable, *there[1:]], env=told, capture_output=True
        ).returncode

    try:
        server.status = 200
        assert check() == 0
        server.status = 503
        assert check() != 0
    finally:
        server.shutdown()
        server.server_close()
    assert check() != 0
    assert server.asked == [path, path]


def test_a_worker_is_asked_on_the_port_of_its_metrics():
    assert ours()["worker"]["environment"]["GUSTIBUS_METRICS_PORT"] == "9090"
    assert image_says()["GUSTIBUS_PORT"] == "8000"
