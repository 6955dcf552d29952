"""What the package is made of: hashes that hold, a bill of materials, licences and sources."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "scripts"
IMAGE = ROOT / "deploy" / "requirements.txt"
BUILD = ROOT / "deploy" / "requirements-build.txt"
LINE = re.compile(r"([a-z0-9-]+)==(\S+)((?: --hash=sha256:[0-9a-f]{64})+)")
EXTRAS = ("serve", "postgres", "client", "otel")
"""Those of the image."""


@pytest.fixture
def script(monkeypatch):
    """What a script of `scripts/` defines."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return lambda name: runpy.run_path(str(SCRIPTS / f"{name}.py"))


def run(*command, **environment):
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, **environment},
    )  # fmt: skip


def pip(*arguments):
    done = run(sys.executable, "-m", "pip", *arguments, PIP_NO_INDEX="1")
    return done.returncode, done.stdout, done.stderr


def wheel(folder: Path, name: str, number: str, *needs: str, body: str = "") -> Path:
    """A wheel of one module, as an archive that pip takes."""
    info = f"{name}-{number}.dist-info"
    files = {
        f"{name}.py": body,
        f"{info}/METADATA": "".join(
            line + "\n"
            for line in ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {number}",
                         *(f"Requires-Dist: {one}" for one in needs)]
        ),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }  # fmt: skip
    record = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode()
        record.append(f"{path},sha256={digest.rstrip('=')},{len(text)}\n")
    files[f"{info}/RECORD"] = "".join(record) + f"{info}/RECORD,,\n"
    made = folder / f"{name}-{number}-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return made


def test_hashes_of_what_pip_tells_let_those_archives_in_and_no_others(tmp_path, script):
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    inner = wheel(shelf, "tiny_inner", "2.0")
    wheel(shelf, "tiny_outer", "1.0", "tiny-inner>=1")
    code, report, said = pip("install", "--quiet", "--dry-run", "--ignore-installed", "--report",
                             "-", "--find-links", shelf, "tiny-outer")  # fmt: skip
    assert code == 0, said
    pins = {"tiny-inner": "2.0", "tiny-outer": "1.0"}
    lines = script("hashes")["lines_of"]([json.loads(report)], pins)
    digest = hashlib.sha256(inner.read_bytes()).hexdigest()
    assert lines[0] == f"tiny-inner==2.0 \\\n    --hash=sha256:{digest}"
    locked = tmp_path / "locked.txt"
    locked.write_text("\n".join(lines) + "\n")
    install = ("install", "--quiet", "--require-hashes", "--find-links", shelf, "-r", locked)
    code, _, said = pip(*install, "--target", tmp_path / "good")
    assert code == 0, said
    assert {path.name for path in (tmp_path / "good").glob("*.py")} == {
        "tiny_inner.py", "tiny_outer.py"
    }  # fmt: skip
    wheel(shelf, "tiny_inner", "2.0", body="import os\n")  # of the same name and version
    code, _, said = pip(*install, "--target", tmp_path / "bad")
    assert code != 0
    assert "HASHES" in said


def test_machines_add_their_hashes_and_what_is_wrong_is_named(script):
    def told(digest, number="1.0", **more):
        archive = {"archive_info": {"hashes": {"sha256": digest}}, **more}
        return {"install": [{"metadata": {"name": "Some_Thing", "version": number},
                             "download_info": archive}]}  # fmt: skip

    lines_of, pins = script("hashes")["lines_of"], {"some-thing": "1.0"}
    both = lines_of([told("b" * 64), told("a" * 64), told("b" * 64)], pins)
    assert both == [
        f"some-thing==1.0 \\\n    --hash=sha256:{'a' * 64} \\\n    --hash=sha256:{'b' * 64}"
    ]
    with pytest.raises(SystemExit, match=r"some-thing 1\.1: constraints\.txt has 1\.0"):
        lines_of([told("a" * 64, "1.1")], pins)
    with pytest.raises(SystemExit, match=r"some-thing 1\.0: constraints\.txt has none"):
        lines_of([told("a" * 64)], {})
    with pytest.raises(SystemExit, match="pip tells no SHA-256"):
        lines_of([told("a" * 64, archive_info={})], pins)


@pytest.mark.parametrize("file", [IMAGE, BUILD], ids=lambda path: path.stem)
def test_the_image_has_hashes_of_the_versions_that_are_tested(file, script):
    text = re.sub(r" \\\n\s*", " ", file.read_text("utf-8"))
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    found = {match[1]: match[2] for match in map(LINE.fullmatch, lines) if match}
    assert len(found) == len(lines), "a line without a hash"
    pins = script("hashes")["pinned"]((ROOT / "constraints.txt").read_text("utf-8"))
    assert found == {name: pins.get(name) for name in found}, "after constraints.txt: make hashes"
    assert "://" not in text
    wanted = ["maturin"] if file is BUILD else script("closure")["shipped"](EXTRAS)
    assert set(wanted) <= found.keys(), "after pyproject.toml: make hashes"


def test_the_image_installs_nothing_without_its_hash():
    text = re.sub(r"\\\n\s*", "", (ROOT / "deploy" / "Dockerfile").read_text("utf-8"))
    fetching = [line for line in text.splitlines()
                if re.search(r"pip (install|wheel|download)", line)
                and "--no-index" not in line]  # fmt: skip
    assert fetching
    assert all("--require-hashes" in line for line in fetching)


def test_the_bill_of_materials_is_one_and_is_the_same_every_time():
    first, second = (
        run(sys.executable, SCRIPTS / "sbom.py", "serve", "client", PYTHONHASHSEED=seed)
        for seed in "12"
    )
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(first.stdout) is None
    told = json.loads(first.stdout)
    assert "serialNumber" not in told
    assert "timestamp" not in told["metadata"]
    parts = {one["purl"]: one for one in told["components"]}
    lock = {one["name"]: one for one in tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]}
    numpy = parts[f"pkg:pypi/numpy@{version('numpy')}"]
    pyo3 = parts[f"pkg:cargo/pyo3@{lock['pyo3']['version']}"]
    assert (numpy["scope"], pyo3["scope"]) == ("required", "required")
    assert pyo3["hashes"] == [{"alg": "SHA-256", "content": lock["pyo3"]["checksum"]}]
    assert parts[f"pkg:pypi/starlette@{version('starlette')}"]["scope"] == "optional"
    assert parts[f"pkg:cargo/proptest@{lock['proptest']['version']}"]["scope"] == "excluded"
    assert not any(purl.startswith("pkg:pypi/torch@") for purl in parts)
    assert sum(purl.startswith("pkg:cargo/") for purl in parts) == len(
        tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    )
    assert all(one.get("licenses") for one in parts.values())
    whole = {one["ref"]: one.get("dependsOn", []) for one in told["dependencies"]}
    assert numpy["bom-ref"] in whole[told["metadata"]["component"]["bom-ref"]]
    assert {ref for refs in whole.values() for ref in refs} <= whole.keys()


@pytest.mark.parametrize(
    ("expression", "met"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("MIT OR GPL-3.0-only", True),
        ("GPL-3.0-only OR MIT", True),
        ("MIT AND GPL-3.0-only", False),
        ("(MIT OR GPL-3.0-only) AND ISC", True),
        ("MIT OR GPL-3.0-only AND ISC", True),
        ("(MIT OR ISC) AND GPL-3.0-only", False),
        ("Apache-2.0 WITH LLVM-exception AND MIT", True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", False),
        ("MIT ISC", False),
        ("(MIT", False),
        ("", False),
    ],
)
def test_a_licence_is_allowed_where_it_can_be_met(script, expression, met):
    assert script("audit")["allows"](expression) is met


def test_what_users_install_has_licences_that_are_allowed_and_fits_together(script):
    audit = script("audit")
    assert re.fullmatch(r"ok, \d+ distributions", audit["licences"]())
    assert audit["consistent"]() == "ok"


def test_an_advisory_is_found_and_an_unknown_version_is_not_called_safe(script):
    audit = script("audit")
    judged, safe = audit["judged"], {"name": "a", "version": "1", "vulns": []}
    assert judged([safe]) == "ok, 1 distributions"
    hit = {"name": "b", "version": "2", "vulns": [{"id": "X-2"}, {"id": "X-1"}]}
    unknown = {"name": "c", "skip_reason": "not found"}
    with pytest.raises(audit["ViolationError"], match="b 2: X-1, X-2"):
        judged([safe, hit, unknown])
    with pytest.raises(audit["NotCheckedError"], match="1 of 2 distributions are not known"):
        judged([safe, unknown])
    with pytest.raises(audit["NotCheckedError"]):
        judged([])


@pytest.mark.skipif(shutil.which("cargo") is None, reason="no cargo")
def test_the_crates_are_of_the_default_registry_and_of_licences_that_are_named():
    """What cargo-deny checks with `make audit`, as far as it can be seen without it."""
    rules = tomllib.loads((ROOT / "deny.toml").read_text("utf-8"))
    assert rules["bans"]["wildcards"] == "deny"
    assert rules["sources"] == {"unknown-registry": "deny", "unknown-git": "deny"}
    done = run("cargo", "metadata", "--locked", "--format-version", "1", "--all-features",
               "--manifest-path", ROOT / "Cargo.toml")  # fmt: skip
    assert done.returncode == 0, done.stderr
    packages = json.loads(done.stdout)["packages"]
    sources = {one["source"] for one in packages if one["source"] is not None}
    assert len(sources) == 1
    assert sources.pop().startswith("registry+")


def keyed(folder: Path) -> tuple[Path, Path]:
    """A new private key, and the file by which its signatures are checked."""
    key, allowed = folder / "key", folder / "allowed_signers"
    assert run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)).returncode == 0
    allowed.write_text(f"releases {key.with_suffix('.pub').read_text()}")
    return key, allowed


def checked(dist: Path, allowed: Path) -> bool:
    """Whether a release is as it was signed, by the commands of the documentation."""
    page = (ROOT / "docs" / "releasing.md").read_text(encoding="utf-8")
    (commands,) = re.findall(r"```sh\n(ssh-keygen -Y verify.*?)```", page, re.DOTALL)
    lines = [line.replace("allowed_signers", str(allowed)) for line in commands.splitlines()]
    return all(
        subprocess.run(["bash", "-c", line], cwd=dist, capture_output=True, check=False).returncode == 0
        for line in lines
    )  # fmt: skip


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs OpenSSH")
def test_a_signed_release_is_told_from_one_that_was_changed(tmp_path):
    key, allowed = keyed(tmp_path)
    dist = tmp_path / "dist"
    dist.mkdir()
    wheel, bill = dist / "gustibus-1-cp311-abi3-linux_x86_64.whl", dist / "sbom.json"
    wheel.write_bytes(os.urandom(1000))
    bill.write_text("{}")
    sums = (sys.executable, str(SCRIPTS / "sums.py"), str(dist))
    for _ in range(2):  # again over what is there
        made = run(*sums, "--key", str(key))
        assert made.returncode == 0, made.stderr
        assert [line.split()[1] for line in made.stdout.splitlines()] == [wheel.name, bill.name]
        assert checked(dist, allowed)
    _, others = keyed(
        Path(shutil.copytree(tmp_path / "dist", tmp_path / "other", dirs_exist_ok=True))
    )
    assert not checked(dist, others)
    bill.write_text("{ }")
    assert not checked(dist, allowed)
    assert run(*sums).returncode == 0  # sums that nobody signed
    assert not checked(dist, allowed)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere"], "folder: expected a folder, got nowhere"),
        (["empty"], "folder: empty is empty; build the wheel first"),
        (["full", "--key", "nokey"], "--key: expected the file of an SSH key, got nokey"),
        (["deep"], "folder: expected files alone, got 'inner'"),
    ],
)
def test_what_cannot_be_summed_or_signed_is_said(tmp_path, arguments, told):
    for name in ("empty", "full", "deep/inner"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "full" / "a.whl").write_text("a")
    found = subprocess.run(
        [sys.executable, str(SCRIPTS / "sums.py"), *arguments],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (found.returncode, found.stderr.strip()) == (1, told)
