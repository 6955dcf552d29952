"""What is deployed: files that parse, pods that are watched, bounded and without privileges."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from gustibus import __version__
from gustibus.cli.app import app
from gustibus.service.app import TABLE
from gustibus.service.settings import PREFIX, Settings

yaml = pytest.importorskip("yaml")
DEPLOY = Path(__file__).parents[1] / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
SETTINGS = {PREFIX + field.name.upper() for field in fields(Settings)}
COMMANDS = {command.name for command in app.registered_commands} | {
    group.name for group in app.registered_groups
}
DRAIN, FINISH = 10, 25  # seconds; the first is in the manifests, the second in the server


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
    for container in spec["containers"]:
        inside = container["securityContext"]
        assert inside["readOnlyRootFilesystem"] is True
        assert inside["allowPrivilegeEscalation"] is False
        assert inside["capabilities"] == {"drop": ["ALL"]}
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert "memory" in container["resources"]["limits"]
        assert container["image"] == f"gustibus:{__version__}"
        assert container["args"][0] in COMMANDS


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
    known = {route.path for route in TABLE if route.scope == "open"} | {"/metrics"}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["path"] in known
        assert asked["port"] in ports
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    assert mounts == {volume["name"] for volume in template["spec"]["volumes"]}


def environment(pod: dict[str, Any]) -> set[str]:
    return {one["name"] for container in pod["spec"]["containers"] for one in container["env"]}


def test_every_variable_is_a_setting_and_no_secret_is_written_down():
    for one in documents():
        if one["kind"] == "ConfigMap":
            assert set(one["data"]) <= SETTINGS
            assert "GUSTIBUS_DATABASE" not in one["data"]
            assert float(one["data"]["GUSTIBUS_DRAIN"]) == DRAIN
        assert one["kind"] != "Secret"
    for name, pod in pods():
        assert environment(pod) <= SETTINGS, name
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for name, service in compose["services"].items():
        given = set(service.get("environment", {}))
        assert given <= SETTINGS or name == "database"
        assert "PASSWORD:?" in str(service.get("environment", "PASSWORD:?")), name


def test_services_and_budgets_choose_pods_that_there_are():
    labels = [pod["metadata"]["labels"].items() for _, pod in pods()]
    for one in documents():
        selector = one["spec"].get("selector") if one["kind"] != "ConfigMap" else None
        if one["kind"] in {"Service", "PodDisruptionBudget"}:
            wanted = selector.get("matchLabels", selector)
            assert any(wanted.items() <= each for each in labels)
        if one["kind"] == "HorizontalPodAutoscaler":
            target = one["spec"]["scaleTargetRef"]
            assert target["name"] in {d["metadata"]["name"] for d in documents()
                                      if d["kind"] == target["kind"]}  # fmt: skip


def test_the_composition_is_read_only_and_waits_for_what_it_needs():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    services = compose["services"]
    for name in ("api", "worker", "migrate", "folders"):
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
    for name in ("api", "worker"):
        needs = services[name]["depends_on"]
        assert needs["migrate"]["condition"] == "service_completed_successfully"
        assert "user" not in services[name]
    for service in services.values():
        for mount in service.get("volumes", []):
            assert mount.partition(":")[0] in compose["volumes"]
        assert not str(service.get("image", "x:1")).endswith(":latest")


def test_the_image_runs_as_nobody_and_is_built_in_two_steps():
    lines = (DEPLOY / "Dockerfile").read_text()
    steps = re.findall(r"^FROM (\S+)", lines, re.MULTILINE)
    assert len(steps) == 2
    assert all(":" in step and not step.endswith(":latest") for step in steps)
    last = lines.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE)
    assert "HEALTHCHECK" in last
    assert "/livez" in last
    assert 'ENTRYPOINT ["gustibus"]' in last
