"""Write a bill of materials (CycloneDX 1.6, JSON) of the wheel: Python distributions and Rust crates.

python scripts/sbom.py [EXTRA ...] > build/sbom.json

The same installation and the same Cargo.lock give the same bytes: there is no time and no random number in
it, and no address that anything was fetched from.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from closure import SHIPPED, Node, licence, shipped
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from requirements import PROJECT, requirements

ROOT = Path(__file__).parent.parent
LICENCES = LicenseFactory()


def component(
    kind: str, name: str, version: str, told: str | None, scope: ComponentScope | None
) -> Component:
    """One part; `kind` is that of its package URL."""
    purl = PackageURL(kind, None, name, version)
    return Component(
        name=name, version=version, type=ComponentType.LIBRARY, scope=scope, purl=purl,
        bom_ref=purl.to_string(), licenses=[_licence(told)] if told else [],
    )  # fmt: skip


def _licence(told: str) -> License:
    return LICENCES.make_from_string(told.replace("/", " OR "))


def add_python(bom: Bom, root: Component, extras: list[str]) -> None:
    """What the wheel asks for: numpy in any case, the rest where its extra is asked for."""
    nodes, always = shipped(extras), shipped([])
    made = {}
    for name, node in sorted(nodes.items()):
        scope = ComponentScope.REQUIRED if name in always else ComponentScope.OPTIONAL
        made[name] = component("pypi", name, node.found.version, licence(node.found), scope)
        bom.components.add(made[name])
    for name, node in nodes.items():
        bom.register_dependency(made[name], [made[one] for one in sorted(node.needs)])
    bom.register_dependency(root, [made[name] for name in sorted(_asked_for(nodes, extras))])


def _asked_for(nodes: dict[str, Node], extras: list[str]) -> set[str]:
    names: set[str] = {canonicalize_name(Requirement(line).name) for line in requirements(extras)}
    return names & nodes.keys()


def add_rust(bom: Bom, root: Component) -> None:
    """Crates of Cargo.lock: compiled into the wheel, or only built or tested with."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--all-features"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    told = json.loads(done.stdout)
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text("utf-8"))["package"]
    sums = {(one["name"], one["version"]): one.get("checksum") for one in lock}
    nodes = {one["id"]: one for one in told["resolve"]["nodes"]}
    top = next(one["id"] for one in told["packages"] if one["name"] == "gustibus-py")
    inside = _compiled(nodes, top)
    made = {}
    for one in told["packages"]:
        scope = ComponentScope.REQUIRED if one["id"] in inside else ComponentScope.EXCLUDED
        part = component("cargo", one["name"], one["version"], one["license"], scope)
        if sums[one["name"], one["version"]]:
            digest = sums[one["name"], one["version"]]
            part.hashes.add(HashType(alg=HashAlgorithm.SHA_256, content=digest))
        made[one["id"]] = part
        bom.components.add(part)
    for name, node in nodes.items():
        bom.register_dependency(made[name], [made[one["pkg"]] for one in node["deps"]])
    bom.register_dependency(root, [made[top]])


def _compiled(nodes: dict[str, Any], top: str) -> set[str]:
    """Crates that a crate is linked with: neither those of build scripts nor those of tests."""
    found, waiting = set(), [top]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        waiting += [
            one["pkg"]
            for one in nodes[name]["deps"]
            if any(kind["kind"] is None for kind in one["dep_kinds"])
        ]
    return found


def bill(extras: list[str]) -> str:
    """The document, as JSON."""
    bom = Bom(serial_number=None)
    bom.serial_number = None  # type: ignore[assignment]  # a random one comes without
    bom.metadata.timestamp = None  # type: ignore[assignment]  # likewise
    version = tomllib.loads((ROOT / "Cargo.toml").read_text("utf-8"))["workspace"]["package"]
    root = component("pypi", PROJECT["name"], version["version"], PROJECT["license"], None)
    bom.metadata.component = root
    add_python(bom, root, extras)
    add_rust(bom, root)
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(bill(sys.argv[1:] or SHIPPED))
